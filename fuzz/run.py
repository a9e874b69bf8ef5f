"""Runs harnesses with fresh inputs for a time each, and keeps what they find.

usage: python fuzz/run.py [--seconds N] [--jobs N] [--list] [--reproduce FILE] [HARNESS ...]

Without names: all of them, those in C if they were built (cmake --preset fuzz && cmake --build
--preset fuzz).  A finding is written to fuzz/findings/, its reproducer is printed, and the exit
status is 1.  README.md of this folder says what to do with it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, seed, settings

from covering_array import write_inputs
from readers import HARNESSES, check

HERE = Path(__file__).resolve().parent
FINDINGS = HERE / "findings"
BUILT = HERE.parent / "build" / "fuzz" / "fuzz"
BATCH = 300


class Outcome(NamedTuple):
    """What came of a harness: how many inputs in which time, and a text for each finding."""

    name: str
    seconds: float
    executions: int
    findings: tuple[str, ...]


def c_harnesses() -> list[str]:
    """The names of those in C."""
    helpers = re.findall(r"foreach\(harness ([\w ]+)\)", (HERE / "CMakeLists.txt").read_text())
    return ["c_" + name for name in helpers[0].split()]


def _save(name: str, data: Any) -> Path:
    FINDINGS.mkdir(exist_ok=True)
    content = json.dumps(data).encode() if HARNESSES[name].words else data
    path = FINDINGS / f"{name}-{abs(hash(content)):016x}"
    path.write_bytes(content)
    return path


def run_python(name: str, seconds: float, first_seed: int | None, most: int) -> Outcome:
    """Batches of inputs, each with a seed of its own, in this process."""
    begin, executions, last = time.monotonic(), 0, None
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        write_inputs(folder)

        def one(data: Any) -> None:
            nonlocal executions, last
            if time.monotonic() - begin > seconds or executions == most:
                return  # what is left of the batch
            executions += 1
            last = data
            check(name, data, folder, watch_time=True)

        options = settings(
            max_examples=BATCH,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        for batch in itertools.count():
            if time.monotonic() - begin >= seconds or executions == most:
                break
            fresh = random.SystemRandom().randrange(2**32)
            number = fresh if first_seed is None else first_seed + batch
            try:
                seed(number)(options(given(HARNESSES[name].inputs)(one)))()
            except Exception as error:  # hypothesis has made it small, and it is the last input
                text = f"{type(error).__name__}: {error}\n  {last!r}\n  kept as {_save(name, last)}"
                return Outcome(name, time.monotonic() - begin, executions, (text,))
    return Outcome(name, time.monotonic() - begin, executions, ())


def _in_process(name: str, seconds: float, first_seed: int | None, most: int) -> Outcome:
    command = [sys.executable, __file__, "--one", name, "--seconds", str(seconds)]
    command += ["--inputs", str(most)]
    command += [] if first_seed is None else ["--seed", str(first_seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout.splitlines()[-1])
        return Outcome(*found[:3], tuple(found[3]))
    except (IndexError, ValueError):
        return Outcome(name, seconds, 0, (f"status {done.returncode}\n{done.stderr}",))


def run_c(name: str, seconds: float, first_seed: int | None, most: int) -> Outcome:
    """libFuzzer with the kept corpus and a fresh one that is thrown away."""
    program = BUILT / f"fuzz_{name.removeprefix('c_')}"
    if not program.exists():
        return Outcome(name, 0.0, 0, (f"{program} is not built",))
    FINDINGS.mkdir(exist_ok=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as fresh:
        kept = HERE / "corpus" / name.removeprefix("c_")
        command = [str(program), f"-max_total_time={max(1, int(seconds))}", "-max_len=1024"]
        command += ["-timeout=60", f"-artifact_prefix={FINDINGS}/{name}-", fresh]
        command += [f"-runs={most}"]
        command += [] if first_seed is None else [f"-seed={first_seed}"]
        done = subprocess.run(
            command + ([str(kept)] if kept.is_dir() else []),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    counts = re.findall(r"^#(\d+)", done.stderr, re.MULTILINE)
    findings = () if done.returncode == 0 else ("\n".join(done.stderr.splitlines()[-40:]),)
    return Outcome(name, time.monotonic() - begin, int(counts[-1]) if counts else 0, findings)


def reproduce(path: Path) -> None:
    """Runs a kept input of a Python harness again; what is wrong with it is raised."""
    name = path.name.split("-")[0]
    data = path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder))
        content = json.loads(data) if HARNESSES[name].words else data
        print("accepted" if check(name, content, Path(folder), watch_time=True) else "refused")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("harness", nargs="*")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each (default 30)")
    parser.add_argument("--jobs", type=int, default=2, help="at a time (default 2)")
    parser.add_argument("--seed", type=int, help="the same inputs every time, if fast enough")
    parser.add_argument("--inputs", type=int, default=-1, help="at most so many for each")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--python", action="store_true", help="without those in C")
    parser.add_argument("--reproduce", type=Path, metavar="FILE")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_python(options.one, options.seconds, options.seed, options.inputs)))
        return
    if options.reproduce:
        reproduce(options.reproduce)
        return
    in_c = [] if options.python else c_harnesses()
    names = options.harness or [*in_c, *HARNESSES]
    unknown = sorted(set(names) - {*c_harnesses(), *HARNESSES})
    if unknown:
        parser.error(f"no such harness: {', '.join(unknown)}")
    if options.list:
        print("\n".join(names))
        return

    def one(name: str) -> Outcome:
        run = run_c if name.startswith("c_") else _in_process
        return run(name, options.seconds, options.seed, options.inputs)

    failed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(one, names):
            words = f"{outcome.executions} inputs, {len(outcome.findings)} findings"
            print(f"{outcome.name}: {outcome.seconds / 60:.1f} minutes, {words}", flush=True)
            failed += len(outcome.findings)
            for text in outcome.findings:
                print("  " + text.replace("\n", "\n  "), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
