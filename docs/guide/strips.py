"""The strips of pictures in docs/choosing.md: one setting, its values, what each costs."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import nanobragg_hybrid as nb

CHOOSING: Final = Path(__file__).resolve().parents[1] / "choosing.md"
STILL: Final = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=3e27),
    crystal=nb.Crystal(
        cell_angstrom=(30, 34, 38), n_cells=(16, 14, 12), misset_deg=(22, 2, -3), shape="gauss_hkl"
    ),
    detector=nb.Detector(
        distance_mm=100, pixel_size_mm=0.1, n_fast=160, n_slow=160, beam_x_mm=-20, beam_y_mm=8
    ),
    sampling=nb.Sampling(oversample=1, interpolate=False),
)
"""A part of the detector beside the beam."""
ROTATION: Final = STILL.replace({"goniometer.phi_deg": 1.0, "goniometer.osc_deg": 3.0})

Image = NDArray[np.float64]


@dataclass(frozen=True)
class Strip:
    """Images of an experiment for values of one setting.

    finest: beside which the error is said; None: no value is the right one.  counts: noise is
    drawn.  enlarged: how many points a pixel is wide in the picture.
    """

    heading: str
    name: str
    values: Sequence[Any]
    base: nb.Experiment
    finest: Any = None
    counts: bool = False
    enlarged: int = 1

    def experiment(self, value: Any) -> nb.Experiment:
        """With a value."""
        return self.base.replace({self.name: value})

    def brightest(self, images: Sequence[Image]) -> float | None:
        """What is drawn black; None: of each image alone."""
        if self.finest is None:
            return None
        return float(images[-1].max())


STRIPS: Final = {
    "shape": Strip(
        "shape",
        "crystal.shape",
        ("square", "round", "gauss_hkl", "tophat_hkl"),
        STILL.replace({"crystal.n_cells": (8, 7, 6), "detector.beam_x_mm": 8}),
    ),
    "domains": Strip(
        "domains, spread 1°",
        "crystal.mosaic_domains",
        (3, 10, 30, 100),
        STILL.replace(
            {
                "crystal.mosaic_spread_deg": 1.0,
                "detector.beam_x_mm": 8,
                "detector.beam_y_mm": -18,
            }
        ),
        finest=1000,
    ),
    "phi": Strip("φ steps in 3°", "goniometer.phi_steps", (2, 6, 20, 60), ROTATION, finest=600),
    "subpixels": Strip(
        "sub-pixels along an edge",
        "sampling.oversample",
        (1, 2, 4, 8),
        ROTATION.replace(
            {
                "crystal.n_cells": (32, 28, 24),
                "goniometer.phi_steps": 120,
                "detector.pixel_size_mm": 0.2,
                "detector.beam_x_mm": -22,
                "detector.n_fast": 40,
                "detector.n_slow": 40,
            }
        ),
        finest=16,
        enlarged=4,
    ),
    "fluence": Strip(
        "photons/m²",
        "beam.fluence_photons_per_m2",
        (1e25, 1e26, 1e27, 1e28),
        ROTATION.replace({"goniometer.phi_steps": 60}),
        counts=True,
    ),
}


@functools.cache
def _image(name: str, value: Any) -> Image:
    strip = STRIPS[name]
    factors = nb.read_hkl(nb.data_path("demo.hkl"))
    result = nb.simulate(strip.experiment(value), factors)
    if strip.counts:
        return np.asarray(nb.noise_image(result, seed=1, adc_offset=0.0).pixels, float)
    return result.image.astype(float)


def _name_of(strip: Strip) -> str:
    return next(name for name, each in STRIPS.items() if each is strip)


def rendered(strip: Strip) -> list[Image]:
    """An image for each value."""
    return [_image(_name_of(strip), value) for value in strip.values]


def table(name: str, strip: Strip) -> str:
    """What each image costs, and how far it is from the finest."""
    rows = [[strip.heading, *map(_said, strip.values)]]
    if strip.finest is not None:
        steps = [steps_of(strip.experiment(value)) for value in strip.values]
        best = _image(name, strip.finest)
        errors = [np.linalg.norm(each - best) / np.linalg.norm(best) for each in rendered(strip)]
        rows.append(["cost: steps of a pixel", *map(str, steps)])
        rows.append([f"error beside {strip.finest}", *map(_percent, errors)])
    elif strip.counts:
        brightest = [f"{image.max():.0f}" for image in rendered(strip)]
        rows.append(["brightest pixel, photons", *brightest])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    return "\n".join(lines) + "\n"


def _said(value: Any) -> str:
    if isinstance(value, float):  # a power of ten
        power = str(round(math.log10(value)))
        return "10" + power.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"`{value}`" if isinstance(value, str) else str(value)


def _percent(error: float) -> str:
    return f"{100 * error:.{0 if error > 0.1 else 1}f} %"


def steps_of(experiment: nb.Experiment) -> int:
    """Steps in the sum of a pixel."""
    plan = experiment.resolved()
    phi, domains = plan.goniometer.phi_steps, plan.crystal.mosaic_domains
    return int(plan.sampling.oversample**2 * phi * domains)
