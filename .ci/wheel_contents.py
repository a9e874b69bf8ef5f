"""What a wheel holds: size, licences, and what its libraries need.

usage: python .ci/wheel_contents.py WHEEL_OR_FOLDER...

The list of licences is short: all files are this project's own, and on musl two libraries of GCC,
which such systems need not have.  Compiled in are pybind11's headers and what a compiler adds,
which COMPILED_IN names.  The command fails if a file is there that is none of these, if a library
needs one that SYSTEM does not name, or if the metadata states another licence.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

OURS = ("nanobragg_hybrid/", "nanobragg_hybrid-")
LICENCE = "License-Expression: BSD-3-Clause"
PYBIND11 = "pybind11 (headers), BSD-3-Clause"
GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"
COMPILED_IN = {
    "gcc": f"parts of libstdc++ and libgcc, {GCC}",
    "zig": "libc++, libunwind and compiler-rt, Apache-2.0 WITH LLVM-exception",
    "Apple": "nothing else: libc++ is the system's",
}
"""What the compiler adds: gcc leaves the rest to libstdc++, Apple's clang all to the system."""
VENDORED = re.compile(r"nanobragg_hybrid\.libs/lib(stdc\+\+|gcc_s)-[\da-f]+\.so[.\d]*")
"""What auditwheel puts into a wheel for musl."""
LIBRARY = (".so", ".dylib", ".dll", ".pyd")
NEEDED = re.compile(
    rb"\0((?:lib|ld-)[\w.+-]+\.so(?:\.\d+)*)(?=\0)"  # Linux
    rb"|\0((?:/usr/lib|/System|@\w+)/[\w/.+-]+\.dylib)(?=\0)"  # macOS
    rb"|\0([\w.-]+\.dll)(?=\0)",  # Windows
    re.IGNORECASE,
)
SYSTEM = re.compile(
    r"lib(c|m|dl|pthread|stdc\+\+|gcc_s|nbh|c\.musl-\w+)(-[\da-f]+)?\.so[.\d]*|ld-[\w-]+\.so[.\d]*"
    r"|/usr/lib/lib(System\.B|c\+\+\.1)\.dylib|@rpath/libnbh\.dylib"
    r"|libnbh\.dll|python3\d+\.dll|api-ms-win-crt-\w+-l1-1-0\.dll|(kernel32|ntdll)\.dll",
    re.IGNORECASE,
)


def needed(archive: zipfile.ZipFile) -> list[str]:
    """The shared libraries that those of a wheel name."""
    found: set[str] = set()
    for name in archive.namelist():
        if name.endswith(LIBRARY) or VENDORED.fullmatch(name):
            for groups in NEEDED.findall(archive.read(name)):
                found |= {each.decode("ascii") for each in groups if each}
    unknown = sorted(each for each in found if not SYSTEM.fullmatch(each))
    if unknown:
        raise SystemExit(f"{archive.filename}: needs libraries that nobody lists: {unknown}")
    return sorted(found, key=str.lower)


def compiler(libraries: Iterable[str]) -> str:
    """The key of COMPILED_IN: who compiled a wheel whose libraries need these."""
    names = " ".join(libraries)
    if "libstdc++" in names:
        return "gcc"
    return "Apple" if "/libc++" in names else "zig"


def contents(wheel: Path) -> list[str]:
    """The lines to print.  Raises SystemExit for what should not be there."""
    with zipfile.ZipFile(wheel) as archive:
        files = archive.infolist()
        vendored = [each.filename for each in files if VENDORED.fullmatch(each.filename)]
        foreign = [
            each.filename
            for each in files
            if not each.filename.startswith(OURS) and each.filename not in vendored
        ]
        if foreign:
            raise SystemExit(
                f"{wheel.name}: files of others, whose licence nobody lists: {foreign}"
            )
        (metadata,) = (each for each in files if each.filename.endswith("dist-info/METADATA"))
        text = archive.read(metadata).decode("utf-8")
        if LICENCE not in text.splitlines():
            raise SystemExit(f"{wheel.name}: METADATA does not say {LICENCE}")
        libraries = needed(archive)
        licences = [e.filename for e in files if "/licenses/" in e.filename and not e.is_dir()]
    size = sum(each.file_size for each in files)
    needs = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("Requires-D")]
    biggest = sorted(files, key=lambda each: -each.file_size)[:5]
    return [
        f"{wheel.name}: {wheel.stat().st_size} bytes, {size} unpacked, {len(files)} files",
        f"  licence: {LICENCE.partition(': ')[2]} ({', '.join(licences)})",
        f"  compiled in: {PYBIND11}",
        f"  compiled in: {COMPILED_IN[compiler(libraries)]}",
        *(f"  library of GCC: {each}, {GCC}" for each in vendored),
        f"  shared libraries: {', '.join(libraries)}",
        f"  needs when it runs: {', '.join(each for each in needs if 'extra' not in each)}",
        *(f"  {each.file_size:>9} {each.filename}" for each in biggest),
    ]


def wheels(arguments: Iterable[str]) -> Iterator[Path]:
    """The wheels themselves and those of folders.  Raises SystemExit for a folder without any."""
    for each in map(Path, arguments):
        found = sorted(each.glob("*.whl")) if each.is_dir() else [each]
        if not found:
            raise SystemExit(f"{each}: no wheel is in this folder")
        yield from found


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(f"{__doc__}")
    for path in wheels(sys.argv[1:]):
        sys.stdout.write("\n".join(contents(path)) + "\n")
