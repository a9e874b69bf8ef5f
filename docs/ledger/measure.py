"""Run the smallest command line of each row of the ledger, and say what changes."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.nanobragg.main import main as nanobragg
from nanobragg_hybrid.cli.umbrella.explain import Change
from nanobragg_hybrid.compare.pictures import grey, white_point
from nanobragg_hybrid.engines.c.plan import Plan

CLOCK_S = 1_000_000_000.0
"""What the clock says during every run, so that a run without seeds can be repeated."""

FACTS = "run.json"
GAP = 4  # pixels between the panels of a picture
PANEL = 128  # least height of a panel in pixels
LEVELS = 15  # a colour is a multiple of it, which keeps the files small

Image = NDArray[np.float64]
Picture = NDArray[np.uint8]


class Run(NamedTuple):
    """What one run wrote: the float image, a picture's source and all facts by name."""

    image: Image
    shown: Image
    facts: dict[str, Any]


def run(entry: Mapping[str, Any], args: str, quirks: str) -> Run:
    """Runs `args` with `quirks` in a folder of its own that holds the files of `entry`.

    The commands in `before` run first, as nanoBragg runs them.  Raises RuntimeError with what the
    command said if one of them fails.
    """
    folder = Path(tempfile.mkdtemp())
    try:
        for name, text in entry.get("files", {}).items():
            (folder / name).write_text(text)
        for words in entry.get("before", ()):
            _command(folder, words, "nanobragg")
        _command(folder, args, quirks)
        return _outcome(folder, entry.get("shows", "floats"))
    finally:
        shutil.rmtree(folder)


def _command(folder: Path, args: str, quirks: str) -> None:
    # our own options come first: the last word of `args` stays the last one
    words = ["--quirks", quirks, "--json", FACTS, "--threads", "1", *args.split()]
    said = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(said),
        mock.patch("time.time", return_value=CLOCK_S),
        warnings.catch_warnings(),
    ):
        status = nanobragg(words)
    if status != 0:
        raise RuntimeError(f"nanoBragg {args}: exit status {status}\n{said.getvalue()}")


def _outcome(folder: Path, shows: str) -> Run:
    document = json.loads((folder / FACTS).read_text())
    known = document["facts"]
    n_fast, n_slow = known["detector"]
    image = np.fromfile(folder / "floatimage.bin", "<f4").reshape(n_slow, n_fast).astype(float)
    smv = (folder / "intimage.img").read_bytes()
    header = smv[: smv.index(b"}")].decode()
    entries = dict(line.rstrip(";").split("=") for line in header.splitlines() if "=" in line)
    header_bytes = int(entries["HEADER_BYTES"])
    pixels = np.frombuffer(smv[header_bytes:][: 2 * image.size], "<u2").reshape(image.shape)
    facts = {
        **known,
        **{f"info.{name}": value for name, value in document["info"].items()},
        **{f"header.{name}": value for name, value in entries.items()},
        "mean": known["mean_rms_rmsd"][0],
        "rmsd": known["mean_rms_rmsd"][2],
        "brightest": float(np.nanmax(image)),
        "dimmest": float(np.nanmin(image)),
        "misset_seed": document["provenance"]["misset_seed"],
        "bytes_before_pixels": len(smv) - 2 * image.size,
        "not_finite": int(np.count_nonzero(~np.isfinite(image))),
        "mattered": document["quirks_that_mattered"],
    }
    shown = image
    if shows == "integers":
        shown = pixels.astype(float)
    elif shows == "pgm":
        shown = nb.read_pgm(folder / "image.pgm").pixels.astype(float)
    return Run(image, shown, facts)


def measure(entry: Mapping[str, Any], before: Run, after: Run) -> dict[str, Any]:
    """The figures of two runs, as they are printed."""
    dark = [np.where(np.isfinite(run.image), run.image, 0.0) for run in (before, after)]
    measured: dict[str, Any] = {}
    if not np.array_equal(before.image, after.image, equal_nan=True):
        change = Change.between(*(image.astype(np.float32) for image in dark))
        measured["relative_l2"] = text(change.relative_l2)
        measured["total"] = [text(change.total_before), text(change.total_after)]
        measured["largest"] = {
            "fast": change.fast,
            "slow": change.slow,
            "values": [text(float(run.image[change.slow, change.fast])) for run in (before, after)],
        }
    measured["facts"] = {
        name: [text(run.facts[name]) for run in (before, after)] for name in entry.get("facts", {})
    }
    return measured


def first_deviate() -> dict[str, list[str]]:
    """How often the first deviate of a seed is below 1/32, seen in the height of a z axis."""
    quirks = nb.Quirks(misset_random_radians=False)
    crystal = nb.Crystal(cell_angstrom=(70, 80, 90), misset_random=True)
    experiment = nb.Experiment(crystal=crystal)
    table = nb.StructureFactors.constant(1.0)
    low, count = 0, 2000
    for seed in np.random.default_rng(11).integers(1, 2**31, count):
        seeded = experiment.replace({"crystal.misset_seed": int(seed)})
        x, y, _ = Plan(seeded, table, quirks).info()["misset_rad"]
        low += (1.0 + np.cos(x) * np.cos(y)) / 2.0 < 1.0 / 32.0
    return {"fraction of seeds whose first deviate is below 1/32": [text(low / count)]}


def mosaic_spread() -> dict[str, list[str]]:
    """Rotation angles of 2000 domains of a spread of 1 degree."""
    crystal = nb.Crystal(
        cell_angstrom=(70, 80, 90), mosaic_spread_deg=1.0, mosaic_domains=2000, mosaic_seed=12345678
    )
    experiment = nb.Experiment(crystal=crystal, sampling=nb.Sampling(oversample=1))
    plan = Plan(experiment, nb.StructureFactors.constant(1.0), nb.Quirks())
    turned = np.linalg.norm(plan.mosaic_matrices() - np.eye(3), axis=(1, 2)) / np.sqrt(8.0)
    angles = np.degrees(2.0 * np.arcsin(turned))
    return {
        "mean rotation, degrees": [text(float(angles.mean()))],
        "median rotation, degrees": [text(float(np.median(angles)))],
        "largest rotation, degrees": [text(float(angles.max()))],
        "first domain's rotation, degrees": [text(float(angles[0]))],
    }


SPECIAL = {"first_deviate": first_deviate, "mosaic_spread": mosaic_spread}
"""Candidates whose figures are no comparison of two images."""


def measure_quirk(entry: Mapping[str, Any], name: str) -> tuple[dict[str, Any], Picture | None]:
    """Figures and picture of a row: on and off, which may be an error."""
    if "refused" in entry:
        return measure_refused(entry, name), None
    runs = [run(entry, entry["args"], quirks) for quirks in ("nanobragg", f"nanobragg,-{name}")]
    measured = measure(entry, *runs)
    measured["named"] = ["yes" if name in run.facts["mattered"] else "no" for run in runs]
    if entry.get("shows") == "none":
        return measured, None
    return measured, picture(runs[0].shown, runs[1].shown)


def measure_refused(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Figures of a row whose quirk hides an error: with it on, and what is said with it off.

    Raises RuntimeError if that is not what the row expects.
    """
    on = run(entry, entry["args"], "nanobragg")
    try:
        run(entry, entry["args"], f"nanobragg,-{name}")
    except RuntimeError as error:
        said = str(error).rpartition("nanoBragg: error: ")[2].strip()
    else:
        raise RuntimeError(f"nanoBragg {entry['args']}: is not refused with {name} off")
    if not said.startswith(entry["refused"]):
        raise RuntimeError(f"nanoBragg {entry['args']}: {said}")
    facts = {label: [text(on.facts[label]), "none"] for label in entry.get("facts", {})}
    named = "yes" if name in on.facts["mattered"] else "no"
    return {"facts": facts, "refused": ["none", said], "named": [named, "no"]}


def measure_candidate(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a candidate: its command line, and the one it is compared with."""
    if "special" in entry:
        return {"special": SPECIAL[entry["special"]]()}
    quirks = entry.get("quirks", "nanobragg")
    runs = [run(entry, entry[which], quirks) for which in ("args", "against")]
    measured = measure(entry, *runs)
    measured["same_image"] = "total" not in measured
    return measured


def picture(on: Image, off: Image) -> Picture:
    """Three panels side by side: on, off, and the difference.

    Grey is darker where there is more light, on one scale for both.  In the difference, red is
    where *on* is brighter and blue where *off* is; the stronger the more.
    """
    images = [np.where(np.isfinite(image), image, 0.0) for image in (on, off)]
    level = max(white_point(image.astype(np.float32)) for image in images if image.any())
    greys = [np.repeat(grey(image.astype(np.float32), level)[..., None], 3, 2) for image in images]
    difference = images[1] - images[0]
    fade = grey(np.abs(difference).astype(np.float32), level)
    third = np.full((*fade.shape, 3), 255, np.uint8)
    third[difference < 0.0, 1:] = fade[difference < 0.0, None]
    third[difference > 0.0, :2] = fade[difference > 0.0, None]
    times = max(1, PANEL // len(fade))
    panels = [
        (panel // LEVELS * LEVELS).repeat(times, 0).repeat(times, 1) for panel in (*greys, third)
    ]
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)


def text(value: object) -> str:
    """A value as the page prints it: numbers with five digits."""
    if isinstance(value, bool | str) or value is None:
        return str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.5g}"
    assert isinstance(value, Sequence)
    return ", ".join(text(item) for item in value)
