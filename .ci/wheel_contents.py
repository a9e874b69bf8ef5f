"""What a wheel holds: size, licences, and what its libraries need.

usage: python .ci/wheel_contents.py WHEEL...

The list of licences is short: all files are this project's own.  Compiled into them are
pybind11's headers and what a compiler adds, which COMPILED_IN names.  The command fails if a file
is there that is none of ours, if a library needs one that SYSTEM does not name, or if the metadata
states another licence.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

OURS = ("nanobragg_hybrid/", "nanobragg_hybrid-")
PYBIND11 = "pybind11 (headers), BSD-3-Clause"
COMPILED_IN = {
    True: "parts of libstdc++ and libgcc, GPL-3.0-or-later WITH GCC-exception-3.1",
    False: "libc++, libunwind and compiler-rt, Apache-2.0 WITH LLVM-exception",
}
"""What the compiler adds: by gcc, which leaves the rest to the system's libstdc++, or by zig."""
SYSTEM = re.compile(r"(libc|libm|libdl|libpthread|libstdc\+\+|libgcc_s|ld-[\w-]+|libnbh)\.so[.\d]*")
LICENCE = "License-Expression: BSD-3-Clause"


def needed(archive: zipfile.ZipFile) -> list[str]:
    """The shared libraries that those of a Linux wheel name."""
    found: set[str] = set()
    for name in archive.namelist():
        if name.endswith(".so"):
            names = re.findall(rb"\0((?:lib|ld-)[\w+-]+\.so(?:\.\d+)*)(?=\0)", archive.read(name))
            found |= {each.decode("ascii") for each in names}
    unknown = sorted(each for each in found if not SYSTEM.fullmatch(each))
    if unknown:
        raise SystemExit(f"{archive.filename}: needs libraries that nobody lists: {unknown}")
    return sorted(found)


def contents(wheel: Path) -> list[str]:
    """The lines to print.  Raises SystemExit for what should not be there."""
    with zipfile.ZipFile(wheel) as archive:
        files = archive.infolist()
        foreign = [each.filename for each in files if not each.filename.startswith(OURS)]
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
        f"  compiled in: {COMPILED_IN[any('libstdc++' in each for each in libraries)]}",
        f"  shared libraries: {', '.join(libraries)}",
        f"  needs when it runs: {', '.join(each for each in needs if 'extra' not in each)}",
        *(f"  {each.file_size:>9} {each.filename}" for each in biggest),
    ]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write("\n".join(contents(Path(name))) + "\n")
