"""Compare the torch engine with every recorded image and print one line for each.

usage: python benchmarks/agreement_table.py [--dtype float64|float32|both] [--device NAME]
           [--only REGEX] [--json FILE] [--pilatus DIR [--whole]]

Columns: share of the pixels that are identical as float32; largest difference in units in the last
place (ULP); relative L2 norm of the difference to the recorded image; for ordinary cases also that
to the C engine's values before rounding.  A row that misses its bound (float64: 99.99% identical,
no more than 1 ULP, 1e-13 before rounding; float32: relative L2 of 1e-5; NaN and infinities at the
same pixels) is marked with `*`, the worst row of each column with `<`; the exit status is 1 if
there is such a row, or no row at all.  --pilatus also renders the real frame in DIR (which holds
A.mat and scaled.hkl): the three recorded crops, or with --whole the whole frame, against the C
engine's image of it, whose hash has to be the recorded one.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "golden"
sys.path.insert(0, str(ROOT / "tests" / "support"))

from agreement import Figures, compare, experiment_of, relative_l2  # noqa: E402


@dataclass(frozen=True)
class Row:
    """One image with its figures; before_rounding: relative L2 against the C engine's doubles."""

    case: str
    dtype: str
    figures: Figures
    before_rounding: float | None
    seconds: float

    @property
    def misses(self) -> bool:
        """Whether the bound of its number type is not met."""
        if not self.figures.same_non_finite:
            return True
        if self.dtype == "float32":
            return not self.figures.relative_l2 <= 1e-5
        if self.before_rounding is not None and not self.before_rounding <= 1e-13:
            return True
        return self.figures.identical < 0.9999 or self.figures.max_ulp > 1


def render(
    experiment: nb.Experiment,
    factors: nb.StructureFactors,
    quirks: nb.Quirks,
    dtype: str,
    device: str,
) -> np.ndarray:
    """The torch engine's image, not rounded beyond its number type."""
    model = ForwardModel(experiment, factors, quirks, dtype, device)
    image: np.ndarray = model({}).cpu().numpy()
    return image


def golden_rows(dtypes: list[str], device: str, only: re.Pattern[str]) -> Iterator[Row]:
    """All recorded cases, then those that change with the fixed preset (`fixed:NAME`)."""
    for name, quirks in (("", nb.Quirks()), ("_fixed", nb.Quirks.nanobragg_fixed())):
        cases = json.loads((GOLDEN / f"cases{name}.json").read_text())
        args = json.loads((GOLDEN / "cases.json").read_text())
        with np.load(GOLDEN / f"images{name}.npz") as images:
            for case in cases:
                label = f"fixed:{case}" if name else case
                if case not in images or not only.search(label):
                    continue
                need = images[case]
                experiment, factors = experiment_of(args[case]["args"], GOLDEN / "inputs")
                unrounded = nb.simulate(
                    experiment, factors, quirks=quirks, unrounded=True
                ).unrounded
                for dtype in dtypes:
                    start = time.perf_counter()
                    got = render(experiment, factors, quirks, dtype, device)
                    seconds = time.perf_counter() - start
                    before = None
                    if dtype == "float64" and np.isfinite(unrounded).all():
                        before = relative_l2(got, unrounded)
                    yield Row(label, dtype, compare(got, need), before, seconds)


def pilatus_rows(folder: Path, dtypes: list[str], device: str, *, whole: bool) -> Iterator[Row]:
    """The real frame, or the bands of it that are recorded as images."""
    expected = json.loads((GOLDEN / "pilatus_expected.json").read_text())
    args = (GOLDEN / "pilatus_args.txt").read_text().strip()
    experiment, factors = experiment_of(args, folder)
    image = nb.simulate(experiment, factors).image
    if hashlib.sha256(image.tobytes()).hexdigest() != expected["floatimage_sha256"]:
        sys.exit("the C engine does not reproduce the recorded Pilatus frame")
    n_slow, n_fast = image.shape
    if whole:
        areas = {"whole": (0, n_fast - 1, 0, n_slow - 1)}
    else:
        slow, fast = (int(n) for n in np.unravel_index(image.argmax(), image.shape))
        areas = {
            "corner": (100, 156, 100, 156),
            "peak": (max(fast - 32, 0), fast + 31, max(slow - 32, 0), slow + 31),
            "centre": (n_fast // 2 - 64, n_fast // 2 + 63, n_slow // 2 - 64, n_slow // 2 + 63),
        }
    for name, (fast_min, fast_max, slow_min, slow_max) in areas.items():
        part = experiment.replace({"sampling.roi": (fast_min, fast_max, slow_min, slow_max)})
        c_result = nb.simulate(part, factors, unrounded=True)
        window = np.s_[slow_min : slow_max + 1, fast_min : fast_max + 1]
        for dtype in dtypes:
            start = time.perf_counter()
            got = render(part, factors, nb.Quirks(), dtype, device)[window]
            seconds = time.perf_counter() - start
            before = relative_l2(got, c_result.unrounded[window]) if dtype == "float64" else None
            # The frame starts at phi = 0, so a part of it need not equal that part of the frame.
            need = image[window] if whole else c_result.image[window]
            yield Row(f"pilatus:{name}", dtype, compare(got, need), before, seconds)


def line(row: Row, worst: dict[str, float]) -> str:
    """One line of the table."""

    def mark(name: str, value: float | None) -> str:
        return "<" if value is not None and value == worst.get(name) else " "

    figures = row.figures
    before = "" if row.before_rounding is None else f"{row.before_rounding:.1e}"
    text = (
        f"{row.case:28} {row.dtype:8} {figures.pixels:8d}"
        f" {figures.identical:10.4%}{mark('identical', figures.identical)}"
        f" {figures.max_ulp:8d}{mark('max_ulp', figures.max_ulp)}"
        f" {figures.relative_l2:9.1e}{mark('relative_l2', figures.relative_l2)}"
        f" {before:>9}{mark('before_rounding', row.before_rounding)}"
        f" {row.seconds:7.2f}"
    )
    notes = ["*"] if row.misses else []
    if not figures.same_non_finite:
        notes.append("other NaN or infinities")
    return " ".join([text, *notes]).rstrip()


def worst_of(rows: list[Row]) -> dict[str, float]:
    """The worst value of every column."""

    def worst(values: list[float], pick: Any) -> float:
        return float(pick(values)) if values else float("nan")

    return {
        "identical": worst([row.figures.identical for row in rows], min),
        "max_ulp": worst([row.figures.max_ulp for row in rows], max),
        "relative_l2": worst([row.figures.relative_l2 for row in rows], max),
        "before_rounding": worst(
            [row.before_rounding for row in rows if row.before_rounding is not None], max
        ),
    }


def main() -> int:
    """Prints the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=["float64", "float32", "both"], default="both")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, auto")
    parser.add_argument("--only", default="", help="cases whose name has a match")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--pilatus", type=Path, help="folder of the real frame's input files")
    parser.add_argument("--whole", action="store_true", help="all of the frame, not three pieces")
    options = parser.parse_args()
    dtypes = ["float64", "float32"] if options.dtype == "both" else [options.dtype]

    only = re.compile(options.only)
    rows = list(golden_rows(dtypes, options.device, only))
    if options.pilatus is not None:
        rows += pilatus_rows(options.pilatus, dtypes, options.device, whole=options.whole)
    print(
        f"{'case':28} {'dtype':8} {'pixels':>8} {'identical':>10}  {'max ULP':>8}  {'rel. L2':>9}"
        f"  {'unrounded':>9}  {'s':>6}"
    )
    for dtype in dtypes:
        chosen = [row for row in rows if row.dtype == dtype]
        worst = worst_of(chosen)
        for row in chosen:
            print(line(row, worst))
        pixels = sum(row.figures.pixels for row in chosen)
        equal = sum(row.figures.identical * row.figures.pixels for row in chosen)
        print(
            f"{dtype}: {len(chosen)} images, {equal / max(pixels, 1):.4%} of {pixels} pixels "
            f"identical, largest relative L2 {worst['relative_l2']:.1e}, "
            f"{sum(row.misses for row in chosen)} beyond a bound"
        )
    if options.json is not None:
        facts = [dataclasses.asdict(row) for row in rows]
        options.json.write_text(json.dumps(facts, indent=1) + "\n")
    return int(not rows or any(row.misses for row in rows))


if __name__ == "__main__":
    sys.exit(main())
