"""A measured still, fitted from the orientation that DIALS found in it.

    python examples/fit_real_still.py STILL.cbf indexed.expt indexed.refl boxes.png

STILL.cbf: lysozyme on a CSPAD of 64 panels, which .ci/acceptance fetches; indexed.expt and
indexed.refl: what DIALS makes of it (docs/images.md has the commands).  Needs PyTorch and the extra
mx.  Each indexed spot gets a box, a background, a factor of its own, which stands for the square of
its structure factor, and a place of its own, which is known to 0.12 mm: the box is made a panel.
All spots share orientation and size of the crystal's blocks, and at last cell and distance.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nanobragg_hybrid as nb

GAIN = 14.0
"""Counts per photon: how the variance of neighbours grows with their mean, on this image."""
READOUT_VARIANCE = 70.0
"""Counts^2: what is left of that variance without light."""
SATURATED = 9000.0
"""Counts: brighter spots are flat on top."""
SPOTS = 40
"""The brightest of those that are indexed, not saturated, and whole."""
HALF = 7
"""Pixels of a box on each side of its middle."""
PLACE_MM = 0.12
"""How well the place of a spot is known, mm, along fast and slow."""
FACTORS = nb.StructureFactors.constant(100.0)
QUIRKS = nb.Quirks.none()

Boxes = list[NDArray[np.float64]]
Places = NDArray[np.float64]


def told(step: nb.Iteration) -> None:
    """A line for each trial step."""
    print(f"deviance {step.deviance:.6g}", file=sys.stderr, flush=True)


def with_panels(experiment: nb.Experiment, panels: list[nb.Panel]) -> nb.Experiment:
    """The same with other panels."""
    detector = dataclasses.replace(experiment.detector, panels=tuple(panels))
    return experiment.replace({"detector": detector})


def panel_of_box(panel: nb.Panel, name: str, box: list[int]) -> nb.Panel:
    """A box (slow_start, slow_stop, fast_start, fast_stop) of a panel as a panel of its own; it may
    reach beyond."""
    top, bottom, left, right = box
    size: Any = panel.pixel_size_mm
    cut = dataclasses.replace(panel, name=name, n_fast=right - left, n_slow=bottom - top, mask=None)
    corner = np.array(panel.origin_mm) + size * left * np.array(panel.fast_axis)
    corner += size * top * np.array(panel.slow_axis)
    return dataclasses.replace(cut, origin_mm=tuple(corner.tolist()))


def middle(image: NDArray[Any]) -> NDArray[np.float64]:
    """Slow and fast of the middle of a spot: the centroid of its brighter pixels."""
    light = np.clip(image - np.median(image), 0.0, None)
    light = np.where(light > 0.15 * light.max(), light, 0.0)
    slow, fast = np.indices(image.shape)
    return np.array([(light * slow).sum(), (light * fast).sum()]) / light.sum()


def overlapping(start: nb.Experiment, data: Boxes) -> tuple[nb.Experiment, Boxes, Places]:
    """Each box moved so that the spot of the model lies where the measured one does: derivatives do
    not know the way to a spot that is elsewhere.  Boxes without light in the model are left out.

    Also how far they were moved, mm along fast and slow, shape (boxes, 2).
    """
    panels = start.detector.panels or ()
    edge = 2 * HALF + 1
    around = [-edge, 2 * edge, -edge, 2 * edge]
    wide = [panel_of_box(panel, panel.name, around) for panel in panels]
    wide_start = with_panels(start, wide)
    images = nb.simulate(wide_start, FACTORS, quirks=QUIRKS).images
    moves, lights = [], []
    for own, image in zip(data, images, strict=True):
        near = image[10 : 3 * edge - 10, 10 : 3 * edge - 10]
        slow, fast = np.unravel_index(int(near.argmax()), near.shape)
        top, left = max(int(slow) + 10 - HALF, 0), max(int(fast) + 10 - HALF, 0)
        spot = image[top : top + edge, left : left + edge]
        rows, columns = np.indices(spot.shape)
        at = np.array([(spot * rows).sum(), (spot * columns).sum()]) / max(spot.sum(), 1e-300)
        off = middle(own) - at - np.array([top, left]) + edge
        moves.append([-off[1], -off[0]])
        lights.append(float(spot.max()))
    size: Any = panels[0].pixel_size_mm
    moves_mm = size * np.array(moves)
    lit = np.flatnonzero(np.array(lights) > 0.05 * np.median(lights))
    moved = [panels[n].moved(shift_mm=tuple(moves_mm[n].tolist())) for n in lit]
    return with_panels(start, moved), [data[n] for n in lit], moves_mm[lit]


def main(still: str, expt: str, refl: str, picture: str) -> None:
    image = nb.read_image(still)
    indexed = nb.read_spots(refl)
    indexed = indexed.where(indexed.is_indexed)
    whole = nb.read_experiment(still, crystal=expt).with_cell()
    boxes = indexed.boxes(image.shapes, half_width_px=HALF)
    panels, data = [], []
    for n in np.argsort(-indexed.intensity).tolist():
        number, *box = boxes[n].tolist()
        own = np.s_[box[0] : box[1], box[2] : box[3]]
        counts, usable = image.panels[number][own], image.masks[number][own]
        is_whole = counts.shape == (2 * HALF + 1, 2 * HALF + 1) and bool(usable.all())
        if is_whole and counts.max() < SATURATED and len(data) < SPOTS:
            panels.append(panel_of_box((whole.detector.panels or ())[number], f"spot{n}", box))
            data.append(counts.astype(np.float64))
    start = with_panels(whole, panels).replace(
        {
            "crystal.shape": "gauss_hkl",
            "crystal.n_cells": (10, 10, 20),
            "beam.dispersion_percent": 0.5,
            "beam.dispersion_steps": 7,
            "beam.fluence_photons_per_m2": 1e28,
            "sampling.oversample": 1,
        }
    )
    start, data, moved_mm = overlapping(start, data)
    print(f"{len(data)} boxes; moved by {1e3 * np.sqrt((moved_mm**2).mean()):.0f} um along an axis")
    places = ("crystal.misset_deg", "spot_scales", "detector.panels.shift_mm")
    widths = (*places, "crystal.n_cells")
    everything = (*widths, "crystal.cell_angstrom", "detector.shift_mm")
    # From little weight to what is measured: wrong at first, a model must not be taken at its word.
    for names, variance, iterations in (
        (places, 1e4, 30),
        (widths, 1e3, 30),
        (widths, READOUT_VARIANCE, 150),
        (everything, READOUT_VARIANCE, 150),
    ):
        priors: dict[str, Any] = {"detector.panels.shift_mm": (-moved_mm, PLACE_MM)}
        if "detector.shift_mm" in names:
            # A still knows little of where the beam hits the detector: to 0.2 mm, and 2 mm along it
            priors["detector.shift_mm"] = ((0.0, 0.0, 0.0), (2.0, 0.2, 0.2))
        result = nb.fit(
            start,
            FACTORS,
            data,
            names,
            quirks=QUIRKS,
            background="plane",
            likelihood="gaussian",
            gain=GAIN,
            readout_variance=variance,
            priors=priors,
            max_iterations=iterations,
            step_tolerance=0.02,
            callback=told,
        )
        report(result)
        shifts = [each.value for each in result.parameters if "panels.shift" in each.name]
        moved_mm = moved_mm + np.array(shifts).reshape(-1, 2)
        start = result.experiment
    result.figure(picture, zoom=3)


def report(result: nb.FitResult) -> None:
    """What came out, but for the factors and places of single spots."""
    print(f"\n{'converged' if result.converged else 'NOT CONVERGED'}: {result.reason}")
    print(f"{result.fitted.count} pixels, {len(result.parameters)} numbers")
    print(f"reduced chi square {result.chi_square / result.degrees_of_freedom:.3g}")
    residuals = (result.data - result.model) / np.sqrt(result.model + result.fitted.variance)
    low, high = np.percentile(residuals, [0.5, 99.5])
    print(f"99 % of the residuals lie between {low:.1f} and {high:.1f} standard deviations")
    scales = [number for number in result.parameters if number.name == "spot_scales"]
    sure = [number for number in scales if 0.0 < number.esd < 0.33 * number.value]
    print(f"{len(sure)} of {len(scales)} spots have a factor of more than 3 standard deviations")
    for number in result.parameters:
        if number.name not in ("spot_scales", "detector.panels.shift_mm"):
            name = f"{number.name}[{number.index}]"
            print(f"{name:26s} {number.value:10.5g} +- {number.esd:.2g} {number.unit}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
