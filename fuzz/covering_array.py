"""Command lines in which every pair of settings appears, instead of those that luck brings.

usage: python fuzz/covering_array.py [--list]

An axis is something that a user can set, with its values: the positions of each quirk, the
crystal's shape, how sources are given, numbers at the edges of what doubles hold, and so on.  A
covering array of strength two has, for any two axes, every pair of their values in at least one of
its rows.  Most faults of programs with many settings need no more than two of them; the number of
rows hardly grows with the number of axes.  `tests/fuzz/test_covering_array.py` renders every row
with its kernel and the PyTorch engine.  This program compares the kernels, and the bytes of the
executable `NB_C_BIN` where there is one, which has all quirks on.

A value must be legal in both positions of every quirk; where it is not, the pair is in `FORBIDDEN`,
and in `reject_gate.py`.  The quirks' axes are the rows of `LEDGER`, so that a new quirk is in the
array at once.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shlex
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.formats.smv import write_mask

BASE = "-pixel 2 -detpixels_x 12 -detpixels_y 10 -seed 3"
MOST_ROWS = 200

Value = tuple[str, str]  # the names of an axis and of one of its values

# What a user can set: axis -> name of a value -> words.  The first value is the plain one.
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "cell": {
        "triclinic": "-cell 70 80 90 75 85 95",
        "cubic": "-cell 50 50 50 90 90 90",
        "matrix": "-mat tilted.mat",
        "matrix and cell": "-mat tilted.mat -cell 70 80 90 75 85 95",
    },
    "shape": {
        "square": "-square_xtal",
        "round": "-round_xtal",
        "gauss": "-gauss_xtal",
        "tophat": "-tophat_spots -fudge 0.02",
        "gauss_hkl": "-gauss_hkl_xtal",
        "tophat_hkl": "-tophat_hkl_spots -fudge 0.02",
    },
    "cells": {
        "5": "-N 5",
        "1 2 3": "-Na 1 -Nb 2 -Nc 3",
        "30": "-N 30",
        "1000": "-N 1000",
        "size": "-xtalsize 0.00003",
        "size beyond the beam": "-xtalsize 0.00003 -flux 1e12 -beamsize 0.00002",
    },
    "misset": {
        "none": "",
        "angles": "-misset 10 20 30",
        "random": "-misset random -misset_seed 7",
    },
    "factors": {
        "constant": "-default_F 100",
        "table": "-hkl table.hkl -default_F 7",
        "tiny": "-default_F 1e-15",
        "tiniest": "-default_F 1e-22",
        "huge": "-default_F 1e12",
        "tiny table": "-hkl tiny.hkl -default_F 0",
    },
    "interpolate": {"chosen": "", "yes": "-interpolate", "no": "-nointerpolate"},
    "oversample": {"1": "-oversample 1", "2": "-oversample 2", "3": "-oversample 3"},
    "oversample_thick": {"no": "", "yes": "-oversample_thick"},
    "oversample_polar": {"no": "", "yes": "-oversample_polar"},
    "oversample_omega": {"no": "", "yes": "-oversample_omega"},
    "sensor": {
        "none": "",
        "two layers": "-detector_thick 300 -detector_abs 400",
        "three layers": "-detector_thick 300 -detector_abs 400 -thicksteps 3",
        "thick only": "-detector_thick 450",
        "absorption only": "-detector_abs 400",
        "no absorption": "-detector_thick 300 -detector_abs inf",
        "one layer": "-thicksteps 1 -detector_thick 300 -detector_abs 400",
        "black": "-detector_thick 300 -detector_abs 1e-3",
    },
    "sources": {
        "one": "",
        "divergence": "-hdivrange 20 -vdivrange 10 -hdivsteps 3 -vdivsteps 2",
        "divergence in steps": "-hdivrange 10 -hdivstep 5",
        "step and count": "-hdivstep 5 -hdivsteps 3",
        "square": "-hdivrange 20 -vdivrange 20 -hdivsteps 3 -vdivsteps 3 -square_div",
        "dispersion": "-dispersion 3 -dispsteps 3",
        "count alone": "-hdivsteps 2",
        "file": "-sourcefile sources.txt",
        "spectrum": "-spectrum spectrum.txt",
        "file and spectrum": "-sourcefile directions.txt -spectrum spectrum.txt",
        "divergence and spectrum": "-hdivrange 20 -hdivsteps 3 -spectrum spectrum.txt",
    },
    "phi": {
        "none": "",
        "start": "-phi 5",
        "from 0": "-phi 0 -osc 2 -phisteps 2",
        "through 0": "-phi -1 -osc 2 -phisteps 2",
        "in steps": "-phi 3 -osc 1 -phistep 0.4",
        "step and count": "-phi 3 -phistep 0.5 -phisteps 3",
        "count alone": "-phisteps 3",
    },
    "mosaicity": {
        "none": "",
        "domains": "-mosaic 1 -mosaic_dom 3",
        "spread": "-mosaic 0.5",
        "rotations": "-mosaic_rotations turns.txt",
        "weighted rotations": "-mosaic_rotations weighted_turns.txt",
    },
    "convention": {
        "mosflm": "-mosflm",
        "xds": "-xds",
        "adxv": "-adxv",
        "denzo": "-denzo",
        "dials": "-dials",
        "vectors": "-fdet_vector 0 0.6 0.8 -sdet_vector 0 -0.8 0.6 -odet_vector 1 0 0",
        "one vector": "-spindle_axis 0 0 0.63",
        "long axes": "-xds -twotheta_axis 0 2 0 -odet_vector 0 0 3",
        "pix0": "-pix0_vector_mm 95 12 -9",
    },
    "pivot": {"chosen": "", "beam": "-pivot beam", "sample": "-pivot sample"},
    "centre": {
        "middle": "",
        "on a pixel": "-Xbeam 11 -Ybeam 11",
        "beside": "-Xbeam 3 -Ybeam 30",
        "near": "-Xclose 9 -Yclose 8",
        "origin": "-ORGX 4.5 -ORGY 3.5",
    },
    "distance": {
        "beam": "-distance 100",
        "close": "-close_distance 90",
        "long": "-distance 100000",
    },
    "rotation": {
        "none": "",
        "small": "-detector_rotx 5 -detector_roty 3 -detector_rotz -12",
        "large": "-detector_rotx 40 -detector_roty 130",
    },
    "two-theta": {"0": "", "20": "-twotheta 20", "120": "-twotheta 120"},
    "wavelength": {"1": "-lambda 1", "0.01": "-lambda 0.01", "100": "-lambda 100"},
    "curved": {"no": "", "yes": "-curved_det -nopgm"},
    "point pixel": {"no": "", "yes": "-point_pixel"},
    "polarization": {
        "none": "",
        "factor": "-polar 0.9",
        "off": "-nopolar",
        "axis": "-polar -0.7 -polar_vector 0.1 0.3 1",
    },
    "water": {"no": "", "yes": "-water 5"},
    "region": {
        "all": "",
        "rectangle": "-roi 2 9 3 7",
        "mask": "-mask mask.img",
        "empty": "-roi 9 2 3 7",
    },
    "resolution": {"all": "", "dmin": "-dmin 8"},
    "flux": {"fluence": "", "flux": "-flux 1e20 -exposure 0.5 -beamsize 0.05"},
    "kernel": dict.fromkeys(("auto", "exact", "baseline", "avx2", "avx512"), ""),
    "unrounded kernel": {"exact": "", "fast": ""},
    "dtype": {"float64": "", "float32": ""},
    "torch kernel": {"auto": "", "eager": ""},
}
SWITCH: Mapping[str, str] = {"on": "+", "off": "-"}

# Pairs of values that no row may have, and why.
_REFUSED = "refused: reject_gate.py"
FORBIDDEN: tuple[tuple[Value, Value, str], ...] = (
    (("cell", "matrix and cell"), ("cell_beside_matrix", "off"), _REFUSED),
    (("phi", "count alone"), ("count_alone", "off"), _REFUSED),
    (("sources", "count alone"), ("count_alone", "off"), _REFUSED),
    (
        ("sources", "file"),
        ("impossible_sources", "off"),
        "refused where convention and rotations put the detector behind the sources",
    ),
    (
        ("sources", "file and spectrum"),
        ("impossible_sources", "off"),
        "refused where convention and rotations put the detector behind the sources",
    ),
)

# A row with one of these has a dark image, whatever else is in it: the rest of it is not seen.
BLINDING: tuple[Value, ...] = (("region", "empty"), ("sensor", "black"))


class Row(NamedTuple):
    """One value of each axis, by name."""

    values: Mapping[str, str]

    @property
    def words(self) -> list[str]:
        """The words of nanoBragg, without those that are only ours."""
        settings = (SETTINGS[axis][self.values[axis]] for axis in SETTINGS)
        return shlex.split(" ".join([BASE, *settings]))

    @property
    def quirks(self) -> nb.Quirks:
        """The position of each quirk."""
        return nb.Quirks(**{quirk.name: self.values[quirk.name] == "on" for quirk in nb.LEDGER})

    def with_quirks_on(self) -> Row:
        """The same words as nanoBragg takes them."""
        return Row({**self.values, **{quirk.name: "on" for quirk in nb.LEDGER}})

    @property
    def kernel(self) -> str:
        return self.values["kernel"]

    @property
    def has_fast_values(self) -> bool:
        """Whether the fast kernel's values before rounding are asked for."""
        return self.values["unrounded kernel"] == "fast"

    @property
    def dtype(self) -> str:
        return self.values["dtype"]

    @property
    def torch_kernel(self) -> str:
        return self.values["torch kernel"]

    def __str__(self) -> str:
        return shlex.join(["nanoBragg", *self.words, "--quirks", str(self.quirks)])


def axes() -> dict[str, tuple[str, ...]]:
    """Every axis with the names of its values."""
    own = {axis: tuple(values) for axis, values in SETTINGS.items()}
    return own | {quirk.name: tuple(SWITCH) for quirk in nb.LEDGER}


class Pairs:
    """The pairs of values as bits: `partners[v]` are the values that `v` should still meet."""

    def __init__(
        self,
        axes: Mapping[str, tuple[str, ...]],
        forbidden: Sequence[tuple[Value, Value, str]] = (),
        blinding: Sequence[Value] = (),
    ) -> None:
        self.values = [(axis, name) for axis, names in axes.items() for name in names]
        self.number = {value: n for n, value in enumerate(self.values)}
        self.of_axis = [[self.number[axis, name] for name in names] for axis, names in axes.items()]
        everything = (1 << len(self.values)) - 1
        self.partners = [0] * len(self.values)
        self.refused = [0] * len(self.values)
        for one, other, _ in forbidden:
            a, b = self.number[one], self.number[other]
            self.refused[a] |= 1 << b
            self.refused[b] |= 1 << a
        for numbers in self.of_axis:
            same = sum(1 << n for n in numbers)
            for n in numbers:
                self.partners[n] = everything & ~same & ~self.refused[n]

        self.blinding = sum(1 << self.number[value] for value in blinding)

    def count(self) -> int:
        """How many pairs are still to come."""
        return sum(bits.bit_count() for bits in self.partners) // 2

    def gain(self, value: int, chosen: int) -> int:
        """How many of them `value` makes with the chosen ones."""
        blind = (chosen | 1 << value) & self.blinding
        if blind and not 1 << value & self.blinding:
            chosen &= self.blinding
        return (self.partners[value] & chosen).bit_count()

    def meet(self, chosen: int) -> None:
        """Takes a row's pairs out; of a blind row, those with what makes it blind."""
        for value in self.values_of(chosen):
            blind = chosen & self.blinding and not 1 << value & self.blinding
            self.partners[value] &= ~(chosen & self.blinding if blind else chosen)

    def values_of(self, chosen: int) -> list[int]:
        return [n for n in range(len(self.values)) if chosen >> n & 1]

    def candidate(self, source: random.Random) -> int | None:
        """A row as bits: a value with many pairs to come, and then the best of each other axis."""
        first = max(range(len(self.values)), key=lambda n: (self.partners[n].bit_count(), -n))
        first = source.choice([first, source.randrange(len(self.values))])
        chosen = 1 << first
        order = [numbers for numbers in self.of_axis if first not in numbers]
        source.shuffle(order)
        for numbers in order:
            legal = [
                n
                for n in numbers
                if not self.refused[n] & chosen
                and (1 << first & self.blinding or not 1 << n & self.blinding)
            ]
            if not legal:
                return None
            most = max(self.gain(n, chosen) for n in legal)
            chosen |= 1 << source.choice([n for n in legal if self.gain(n, chosen) == most])
        return chosen

    def row(self, chosen: int) -> Row:
        return Row({axis: name for n, (axis, name) in enumerate(self.values) if chosen >> n & 1})


def covering_array(seed: int = 1, candidates: int = 12) -> list[Row]:
    """The rows: greedily the best of a few random candidates, until no pair is left."""
    source = random.Random(seed)
    pairs = Pairs(axes(), FORBIDDEN, BLINDING)
    rows = []
    while pairs.count():
        found = [row for _ in range(candidates) if (row := pairs.candidate(source)) is not None]
        best = max(
            found,
            key=lambda row: sum(pairs.gain(n, row) for n in pairs.values_of(row)),
        )
        pairs.meet(best)
        rows.append(pairs.row(best))
    return rows


def missing_pairs(rows: list[Row]) -> Iterator[tuple[Value, Value]]:
    """The allowed pairs that no row shows; counted in another way than `covering_array` does."""
    seen = set()
    for row in rows:
        values = tuple(row.values.items())
        blind = [value for value in values if value in BLINDING]
        for one, other in itertools.product(blind or values, values):
            seen |= {(one, other), (other, one)}
    never = {frozenset((one, other)) for one, other, _ in FORBIDDEN}
    for (axis, names), (other_axis, other_names) in itertools.combinations(axes().items(), 2):
        for name, other_name in itertools.product(names, other_names):
            pair = ((axis, name), (other_axis, other_name))
            if pair not in seen and frozenset(pair) not in never:
                yield pair


def pair_count() -> int:
    """How many pairs there are."""
    sizes = [len(names) for names in axes().values()]
    return sum(a * b for a, b in itertools.combinations(sizes, 2)) - len(FORBIDDEN)


def write_inputs(folder: Path) -> None:
    """The files that the words name."""
    rows = ("0.012 0.002 -0.001", "-0.001 0.013 0.002", "0.003 -0.001 0.011")
    (folder / "tilted.mat").write_text("\n".join(rows) + "\n")
    source = random.Random(5)
    indices = list(itertools.product(range(-4, 5), repeat=3))
    table = "".join(f"{h} {k} {l} {source.uniform(0, 300):.4f}\n" for h, k, l in indices)
    (folder / "table.hkl").write_text(table)
    tiny = "".join(f"{h} {k} {l} {source.uniform(0, 3) * 1e-21:.4e}\n" for h, k, l in indices)
    (folder / "tiny.hkl").write_text(tiny)
    (folder / "sources.txt").write_text("-10 0.1 0.05 1 1e-10\n-10 -0.2 0.1 0.5 1.02e-10\n")
    (folder / "directions.txt").write_text("-10 0.1 0.05 1\n-10 -0.2 0.1 0.5\n")
    (folder / "turns.txt").write_text("0 0 0\n0.5 -1 0\n")
    (folder / "weighted_turns.txt").write_text("0.2 0 1 1\n0.5 -1 0 3\n")
    (folder / "spectrum.txt").write_text("# angstrom\n0.99 1\n1.0 2\n1.02 0.3\n")
    mask = np.random.default_rng(1).uniform(size=(10, 12)) < 0.8
    write_mask(folder / "mask.img", mask)


def scene_of(row: Row, folder: Path) -> tuple[nb.Experiment, nb.StructureFactors]:
    """What the row's words say, with its quirks."""
    command = parse_command(row.words, folder, quirks=row.quirks)
    if command.hkl_path is None:
        return command.experiment, nb.StructureFactors.constant(command.default_f)
    factors = nb.read_hkl(command.hkl_path, default_f=command.default_f, quirks=row.quirks)
    return command.experiment, factors


def different_kernels(row: Row, scene: tuple[nb.Experiment, nb.StructureFactors]) -> list[str]:
    """Which of the row's kernel and the fastest one has not the exact kernel's bytes, and whether
    its values before rounding do not round to them."""
    images = {
        kernel: nb.simulate(
            *scene, quirks=row.quirks, threads=1, backend=nb.CEngine(kernel=kernel)
        ).image.tobytes()
        for kernel in ("exact", *available_kernels())
        if kernel in ("exact", "auto", row.kernel)
    }
    found = [kernel for kernel, image in images.items() if image != images["exact"]]
    if row.has_fast_values and rounded_values(row, scene) != {images["exact"]}:
        found.append("values before rounding")
    return found


def rounded_values(row: Row, scene: tuple[nb.Experiment, nb.StructureFactors]) -> set[bytes]:
    """The image, and what the fast kernel's values before rounding round to: the same bytes."""
    engine = nb.CEngine(unrounded_kernel="fast")
    result = nb.simulate(*scene, quirks=row.quirks, threads=1, backend=engine, unrounded=True)
    assert result.unrounded is not None
    with np.errstate(over="ignore"):
        rounded = np.asarray(result.unrounded).astype(np.float32)
    return {result.image.tobytes(), rounded.tobytes()}


def executable_image(executable: str, words: list[str], folder: Path) -> bytes:
    """The float image that a nanoBragg executable writes, working in `folder`."""
    output = folder / "floatimage.bin"
    output.unlink(missing_ok=True)
    subprocess.run([executable, *words], cwd=folder, capture_output=True, check=False, timeout=600)
    return output.read_bytes() if output.exists() else b""


def differs_from_executable(row: Row, executable: str, folder: Path) -> bool:
    """Does our image with all quirks on differ by a byte from the executable's?"""
    plain = row.with_quirks_on()
    image = nb.simulate(*scene_of(plain, folder), threads=1).image
    return image.tobytes() != executable_image(executable, plain.words, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the command lines and stop")
    options = parser.parse_args()
    warnings.simplefilter("ignore", nb.NanobraggWarning)
    rows = covering_array()
    missing = list(missing_pairs(rows))
    if options.list:
        print("\n".join(map(str, rows)))
        return
    executable = os.environ.get("NB_C_BIN")
    differences = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder)
        for number, row in enumerate(rows):
            found = different_kernels(row, scene_of(row, folder))
            if executable and differs_from_executable(row, executable, folder):
                found.append(executable)
            differences += len(found)
            if found:
                print(f"DIFFERENT, row {number}: {', '.join(found)}: {row}")
    compared = (
        f"the kernels and {executable}" if executable else "the kernels (NB_C_BIN is not set)"
    )
    pairs = f"{pair_count() - len(missing)} of {pair_count()} pairs"
    print(f"{len(rows)} command lines, {pairs}; {compared}:")
    print(f"{differences} differences")
    sys.exit(1 if differences or missing else 0)


if __name__ == "__main__":
    main()
