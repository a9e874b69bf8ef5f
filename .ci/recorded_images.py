"""Recorded images of nanoBragg, rendered by a libnbh of another machine.

usage: python .ci/recorded_images.py PROGRAM [EMULATOR...]

PROGRAM is csrc/tests/render_struct.c with that libnbh, EMULATOR what runs it here.  Every recorded
command line with one structure factor and no file is rendered by each kernel of every machine and
compared with nanoBragg's bytes.  Needs the package and cffi; both machines are little-endian and
lay out a struct alike, which the library checks by its size.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.bridge import ARRAYS, config_value, to_core
from nanobragg_hybrid.engines.c.cffi_view import load

CASES = Path(__file__).resolve().parents[1] / "golden" / "cases.json"
KERNELS = ("exact", "baseline")


def without_files() -> Iterator[tuple[str, nb.Experiment, float, str]]:
    """Name, experiment, structure factor and SHA-256 of the image of each case without files."""
    for name, case in json.loads(CASES.read_text(encoding="utf-8")).items():
        factor = re.findall(r"-default_F (\S+)", case["args"])
        wanted = case["files"].get("floatimage.bin")
        if not factor or not wanted:
            continue
        try:
            experiment = nb.Experiment.from_nanobragg_args(case["args"])
        except nb.NanobraggError:  # a file: structure factors, a matrix, a mask, sources
            continue
        if any(config_value(experiment, path) is not None for path in ARRAYS):
            continue
        yield name, experiment, float(factor[-1]), wanted["sha256"]


def copy_members(ffi: Any, source: Any, to: Any) -> None:
    """Every member of one struct that the extension has, to the same of cffi's."""
    for name, field in ffi.typeof(to).fields:
        if not hasattr(source, name):  # pointers, counts, gaps
            continue
        if field.type.kind == "struct":
            copy_members(ffi, getattr(source, name), getattr(to, name))
        else:
            setattr(to, name, getattr(source, name))


def struct_bytes(experiment: nb.Experiment, kernel: Any) -> bytes:
    """The bytes of the nbh_experiment."""
    ffi, lib = load()
    struct = ffi.new("nbh_experiment *")
    lib.nbh_experiment_init(struct)
    copy_members(ffi, to_core(experiment, nb.Quirks(), kernel), struct[0])
    return bytes(ffi.buffer(struct))


def has_recorded_bytes(
    command: Sequence[str], case: tuple[str, nb.Experiment, float, str], kernel: str
) -> bool:
    """Whether `command` renders the recorded image."""
    name, experiment, factor, sha256 = case
    ffi, _ = load()
    with tempfile.TemporaryDirectory() as folder:
        given, image = Path(folder, "experiment"), Path(folder, "image")
        given.write_bytes(
            struct_bytes(experiment, kernel) + bytes(ffi.buffer(ffi.new("double *", factor)))
        )
        done = subprocess.run([*command, str(given), str(image)], check=False)
        rendered = image.read_bytes() if done.returncode == 0 else b""
    found = hashlib.sha256(rendered).hexdigest()
    if found != sha256:
        sys.stdout.write(f"{name}, {kernel}: got {found}, need {sha256}\n")
    return found == sha256


def main(command: Sequence[str]) -> int:
    cases = list(without_files())
    asked = [(case, kernel) for case in cases for kernel in KERNELS]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        same = sum(pool.map(lambda each: has_recorded_bytes(command, *each), asked))
    sys.stdout.write(
        f"{same} of {len(asked)} images have the recorded bytes "
        f"({len(cases)} command lines, kernels {' and '.join(KERNELS)})\n"
    )
    return int(same != len(asked) or not cases)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"{__doc__}")
    *emulator, program = [*sys.argv[2:], sys.argv[1]]
    sys.exit(main([*emulator, program]))
