"""What a wheel holds: size, licences, and what its libraries need.

usage: python .ci/wheel_contents.py WHEEL...

The list of licences is short: all files are this project's own.  Compiled into them are
pybind11's headers and what a compiler adds, which COMPILED_IN names.  The command fails if a file
is there that is none of ours, or if the metadata states another licence.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

OURS = ("nanobragg_hybrid/", "nanobragg_hybrid-")
COMPILED_IN = {
    "pybind11 (headers)": "BSD-3-Clause",
    "libc++, in wheels made by zig": "Apache-2.0 WITH LLVM-exception",
    "libgcc, in wheels made by gcc": "GPL-3.0-or-later WITH GCC-exception-3.1",
}
LICENCE = "License-Expression: BSD-3-Clause"


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
        licences = [each.filename for each in files if "/licenses/" in each.filename]
    size = sum(each.file_size for each in files)
    needs = [line.partition(": ")[2] for line in text.splitlines() if line.startswith("Requires-D")]
    biggest = sorted(files, key=lambda each: -each.file_size)[:5]
    return [
        f"{wheel.name}: {wheel.stat().st_size} bytes, {size} unpacked, {len(files)} files",
        f"  licence: {LICENCE.partition(': ')[2]} ({', '.join(licences)})",
        *(f"  compiled in: {name}, {licence}" for name, licence in COMPILED_IN.items()),
        f"  needs when it runs: {', '.join(each for each in needs if 'extra' not in each)}",
        *(f"  {each.file_size:>9} {each.filename}" for each in biggest),
    ]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write("\n".join(contents(Path(name))) + "\n")
