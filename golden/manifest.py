"""Check the recorded files against MANIFEST.json, or write it anew with --write.

usage: python golden/manifest.py [--write]
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
NOT_RECORDED = {"README.md", "MANIFEST.json", "manifest.py"}


def describe(folder: Path) -> dict[str, dict[str, str | int]]:
    """sha256 and size in bytes of every recorded file, by its path relative to `folder`."""
    entries: dict[str, dict[str, str | int]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name in NOT_RECORDED or "__pycache__" in name:
            continue
        data = path.read_bytes()
        entries[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    return entries


def differences(folder: Path) -> list[str]:
    """One line for each file that is missing, new or changed since the manifest was written."""
    recorded = json.loads((folder / "MANIFEST.json").read_text())
    found = describe(folder)
    return [
        *(f"{name}: missing" for name in sorted(recorded.keys() - found.keys())),
        *(f"{name}: not in the manifest" for name in sorted(found.keys() - recorded.keys())),
        *(
            f"{name}: got {found[name]}, need {recorded[name]}"
            for name in sorted(recorded.keys() & found.keys())
            if recorded[name] != found[name]
        ),
    ]


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        text = json.dumps(describe(FOLDER), indent=1, sort_keys=True) + "\n"
        (FOLDER / "MANIFEST.json").write_text(text)
        return 0
    lines = differences(FOLDER)
    print("\n".join(lines) or "all recorded files are as the manifest says")  # noqa: T201
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
