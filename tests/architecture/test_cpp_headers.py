"""Each file of the binding includes what it uses of C++, itself or by a file of the binding.

Other compilers' headers do not include each other as this one's do.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

BINDING = Path(__file__).resolve().parents[2] / "csrc" / "binding"
HEADERS = {
    "algorithm": r"std::(copy|copy_n|fill|min|max|sort|any_of|all_of|find)\b",
    "array": r"std::array\b",
    "atomic": r"std::atomic\b",
    "cmath": r"std::(isnan|isfinite|sqrt|abs)\b",
    "cstddef": r"std::(size_t|byte|ptrdiff_t)\b",
    "cstdint": r"std::(u?int\d+_t|u?intptr_t)\b",
    "cstring": r"std::(memcpy|memset|strlen)\b",
    "exception": r"std::(exception_ptr|exception)\b",
    "functional": r"std::function\b",
    "limits": r"std::numeric_limits\b",
    "memory": r"std::(unique_ptr|shared_ptr|make_unique|make_shared)\b",
    "mutex": r"std::(mutex|lock_guard|unique_lock)\b",
    "new": r"std::(bad_alloc|nothrow)\b",
    "optional": r"std::optional\b",
    "sstream": r"std::(istringstream|ostringstream)\b",
    "stdexcept": r"std::(runtime_error|invalid_argument|out_of_range)\b",
    "string": r"std::(string|to_string|getline)\b",
    "thread": r"std::thread\b",
    "tuple": r"std::(tuple|make_tuple|tie)\b",
    "utility": r"std::(move|pair|swap|forward)\b",
    "vector": r"std::vector\b",
}


def _included(text: str, files: dict[str, str]) -> set[str]:
    """The headers of C++ that a file includes, and that files of the binding in it include."""
    found = set(re.findall(r"(?m)^#include <(\w+)>", text))
    for own in re.findall(r'(?m)^#include "(\w+\.h)"', text):
        if own in files:
            found |= _included(files[own], files)
    return found


def missing_headers(text: str, files: dict[str, str]) -> list[str]:
    """The headers of names that a file uses and does not include."""
    return sorted(
        header
        for header in HEADERS.keys() - _included(text, files)
        if re.search(HEADERS[header], text)
    )


def test_every_name_has_its_header() -> None:
    files = {path.name: path.read_text() for path in sorted(BINDING.glob("*.[ch]*"))}
    assert len(files) > 20
    missing = {name: missing_headers(text, files) for name, text in files.items()}
    assert {name: headers for name, headers in missing.items() if headers} == {}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("std::int64_t line;", ["cstdint"]),
        ("#include <cstdint>\nstd::int64_t line;", []),
        ('#include "own.h"\nstd::string text;', []),
        ("#include <string>\nstd::vector<std::string> texts(std::size_t{2});", "cstddef vector"),
    ],
)
def test_a_missing_header_is_seen(text: str, missing: list[str] | str) -> None:
    wanted = missing.split() if isinstance(missing, str) else missing
    assert missing_headers(text, {"own.h": "#include <string>"}) == wanted
