"""What was recorded from nanoBragg, and how to run the drop-in command on it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nanobragg_hybrid.cli.nanobragg.main import main

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
INPUTS = GOLDEN / "inputs"
FACTS = "run.json"  # what the command is told to write with --json
# How the numbers of a log were formatted when they were recorded; %g where nothing is said.
FORMATS = {"misset_deg": "%f", "photons_overloads": "%.0f", "hkls": "%d"}
PILATUS_ARGS = (GOLDEN / "pilatus_args.txt").read_text().strip()


@cache
def table(name: str) -> dict[str, Any]:
    """A recorded table, by file name without suffix: case name -> what was recorded."""
    content: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return content


@cache
def image(archive: str, case: str) -> np.ndarray:
    """A recorded float32 image, shape (slow, fast)."""
    with np.load(GOLDEN / f"{archive}.npz") as images:
        pixels: np.ndarray = images[case]
    return pixels


@dataclass(frozen=True)
class Run:
    """One run of the drop-in command: its exit status and the folder it ran in."""

    exit: int
    folder: Path

    def sha256(self, name: str) -> str:
        return hashlib.sha256((self.folder / name).read_bytes()).hexdigest()

    def facts(self) -> dict[str, Any]:
        """The `facts` of the file that --json wrote."""
        content: dict[str, Any] = json.loads((self.folder / FACTS).read_text())["facts"]
        return content


def link_inputs(folder: Path) -> None:
    """Put the recorded input files into `folder`, as links; copies on Windows, where not everybody
    may make links."""
    for path in INPUTS.iterdir():
        if sys.platform == "win32":
            shutil.copyfile(path, folder / path.name)
        else:
            (folder / path.name).symlink_to(path)


def is_input(path: Path) -> bool:
    """Whether `link_inputs` put this file there, and nothing was written over it."""
    if sys.platform == "win32":
        recorded = INPUTS / path.name
        return recorded.is_file() and recorded.read_bytes() == path.read_bytes()
    return path.is_symlink()


def arguments(args: str, *extra: str) -> list[str]:
    """The words of a recorded command line; the progress meter, which changes no file, is off."""
    return [*args.split(), "-noprogress", "--json", FACTS, *extra]


def run_in_process(folder: Path, words: list[str]) -> Run:
    """Call the command's main() in `folder`; a SystemExit counts like a returned status."""
    with contextlib.chdir(folder):
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Run(int(status or 0), folder)


def differing_files(run: Run, recorded: dict[str, Any], pixels: np.ndarray | None) -> list[str]:
    """One line for each recorded file that `run` did not reproduce.

    The float image of a case with NaN or infinities is compared as numbers, NaN equal to NaN;
    everything else by its sha256.  `pixels` is the recorded float image, for the report.
    """
    problems = []
    for name, entry in recorded["files"].items():
        path = run.folder / name
        if not path.exists():
            problems.append(f"{name}: not written")
        elif run.sha256(name) == entry["sha256"]:
            continue
        elif name != "floatimage.bin" or pixels is None or path.stat().st_size != entry["bytes"]:
            problems.append(f"{name}: other bytes ({path.stat().st_size}, need {entry['bytes']})")
        else:
            got = np.fromfile(path, "<f4").reshape(pixels.shape)
            if recorded["finite"] or not np.array_equal(got, pixels, equal_nan=True):
                problems.append(f"{name}: {pixel_report(got, pixels)}")
    return problems


def pixel_report(got: np.ndarray, need: np.ndarray) -> str:
    """Which pixels differ, for a human."""
    differ = np.argwhere(got.view(np.int32) != np.ascontiguousarray(need).view(np.int32))
    if differ.size == 0:
        return "equal"
    slow, fast = differ[0]
    return (
        f"{len(differ)} of {need.size} pixels differ, the first at slow {slow}, fast {fast}: "
        f"got {got[slow, fast]!r}, need {need[slow, fast]!r}"
    )


def same_text(got: str, need: str) -> bool:
    """Equal as printed; the sign of a NaN is not looked at."""
    return got == need or got.lstrip("-") == need.lstrip("-") == "nan"


def program(name: str) -> str:
    """An installed console script of the environment that runs the tests."""
    path = Path(sys.executable).parent / (f"{name}.exe" if sys.platform == "win32" else name)
    assert os.access(path, os.X_OK), f"{path} is not installed"
    return str(path)


def printed(name: str, value: Any) -> Any:
    """Numbers as text in the recorded format, lists item by item, text as it is."""
    if isinstance(value, list):
        return [printed(name, item) for item in value]
    if isinstance(value, str):
        return value
    if value is None:
        return "nan"
    return FORMATS.get(name, "%g") % value


def differing_facts(run: Run, recorded: dict[str, Any]) -> list[str]:
    """One line for each recorded number of the log that the JSON file of `run` does not have."""
    facts, differ = run.facts(), []
    for name, need in recorded["facts"].items():
        got = printed(name, facts[name])
        pairs = zip(got, need, strict=True) if isinstance(need, list) else [(got, need)]
        if not all(same_text(a, b) for a, b in pairs):
            differ.append(f"{name}: got {got}, need {need}")
    return differ
