"""Files, extras and commands of which the pages speak are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from documentation import listings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "fuzz/**/*.md", ".github/*.md", ".github/**/*.yml")
    for page in ROOT.glob(pattern)
)
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FOLDERS = r"\.ci|\.github|benchmarks|cmake|csrc|docs|examples|fuzz|golden|python|tests"
_CODE = re.compile(r"^```(?!\{toctree).*?^```|(?<!`)`[^`\n]+`(?!`)", re.DOTALL | re.MULTILINE)
_FILE = re.compile(rf"(?<![\w/.-])(?:{FOLDERS})/[\w./*?{{}},-]*[\w*}}]")
MADE = re.compile(r"docs/NAME\.md|tests/commands\.txt|fuzz/findings(/.*)?")
"""What stands for a name of the reader's choice, or is written by the command beside it."""


def files(text: str) -> set[str]:
    """Paths inside the repository that a text has in code."""
    found = {path for code in _CODE.findall(text) for path in _FILE.findall(code)}
    return {path for path in found if not MADE.fullmatch(path)}


def extras(text: str) -> set[str]:
    """Extras that a text asks pip for."""
    named = re.findall(r"(?:\.|nanobragg-hybrid)\[([a-z,]+)\]", text)
    return {extra for each in named for extra in each.split(",")}


def commands(text: str) -> str:
    """The commands of listings for a shell, without comments, in one line."""
    lines = [re.sub(r"\s+#.*$", "", line) for line in text.splitlines()]
    return " && ".join(line for line in lines if line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_extras(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    roots = (ROOT, ROOT / "tests")  # docs/architecture.md has tables of files below tests/
    missing = {path for path in files(text) if not any(any(r.glob(path)) for r in roots)}
    assert missing == set()
    assert extras(text) <= set(CONFIG["optional-dependencies"])


def test_extras_of_error_messages() -> None:
    asked = set()
    for path in (ROOT / "python").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        asked |= extras(source) | set(re.findall(r"how_to_install\(\"(\w+)\"\)", source))
    assert asked <= set(CONFIG["optional-dependencies"])


def test_the_first_picture_is_made_by_the_same_commands_everywhere() -> None:
    """README's are run by .ci/run."""

    def first(path: str) -> list[str]:
        found = [each.text for each in listings(ROOT / path) if each.language == "sh"]
        return [commands(text) for text in found]

    (whole, *_) = first("README.md")
    assert whole.endswith("&& nanobragg-hybrid demo --out demo.png")
    assert first("docs/site/index.md")[0] == whole
    install, then, *_ = first("docs/getting_started.md")
    assert f"{install} && {then}".startswith(whole)


def test_what_is_found() -> None:
    text = "see `tests/unit`, docs/none.md and `python benchmarks/fit.py --only x`, a/docs/x.md\n"
    assert files(text) == {"tests/unit", "benchmarks/fit.py"}
    assert files("```sh\n.ci/run          # docs/no.md\n```\n") == {".ci/run", "docs/no.md"}
    assert extras('pip install ".[mx,png]" and "nanobragg-hybrid[gpu]", a[0]') == {
        *("mx", "png", "gpu"),
    }
    assert commands("a b   # why\n\nc\n") == "a b && c"
