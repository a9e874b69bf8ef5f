"""A measured still, fitted from the orientation that DIALS found in it.

    python examples/fit_real_still.py STILL.cbf indexed.expt indexed.refl boxes.png

STILL.cbf: lysozyme on a CSPAD of 64 panels, which .ci/acceptance fetches; indexed.expt and
indexed.refl: what DIALS makes of it (docs/images.md has the commands).  Needs PyTorch and the extra
mx.  Each indexed spot gets a box, a background and a factor of its own, which stands for the square
of its structure factor; all spots share orientation, cell, size of the crystal's blocks, mosaic
spread and the place of the detector.
"""

from __future__ import annotations

import sys

import numpy as np

import nanobragg_hybrid as nb

GAIN = 14.0
"""Counts per photon: how the variance of neighbours grows with their mean, on this image."""
READOUT_VARIANCE = 70.0
"""Counts^2: what is left of that variance without light."""
PLACES = (
    "crystal.misset_deg",
    "crystal.cell_angstrom",
    "detector.shift_mm",
    "detector.panels.shift_mm",
    "spot_scales",
)
"""What moves spots: fitted first, with blocks so small that the spots of the model are wide."""
WIDTHS = ("crystal.n_cells", "crystal.mosaic_spread_deg")
PRIORS = {
    # A still knows little of where the beam hits the detector: to 0.2 mm, and 2 mm along it.
    "detector.shift_mm": ((0.0, 0.0, 0.0), (2.0, 0.2, 0.2)),
    # Each panel is where the header has it, to a pixel.
    "detector.panels.shift_mm": (np.zeros(128), np.full(128, 0.11)),
}


def told(step: nb.Iteration) -> None:
    """A line for each trial step."""
    print(f"stage {step.stage}: deviance {step.deviance:.6g}", file=sys.stderr, flush=True)


def main(still: str, expt: str, refl: str, picture: str) -> None:
    image = nb.read_image(still)
    indexed = nb.read_spots(refl)
    indexed = indexed.where(indexed.is_indexed)
    boxes = indexed.boxes(image.shapes, half_width_px=7)
    start = (
        nb.read_experiment(still, crystal=expt)
        .with_cell()
        .replace(
            {
                "crystal.shape": "gauss_hkl",
                "crystal.mosaic_spread_deg": 0.3,
                "crystal.mosaic_domains": 25,
                "beam.dispersion_percent": 0.3,
                "beam.dispersion_steps": 3,
                "beam.fluence_photons_per_m2": 1e28,
                "sampling.oversample": 1,
            }
        )
    )
    for n_cells, names, iterations in (
        ((8, 8, 16), PLACES, 15),
        ((20, 20, 40), PLACES, 15),
        ((20, 20, 40), PLACES + WIDTHS, 30),
    ):
        if "crystal.n_cells" not in names:
            start = start.replace({"crystal.n_cells": n_cells})
        result = nb.fit(
            start,
            nb.StructureFactors.constant(100.0),
            image,
            names,
            quirks=nb.Quirks.none(),
            boxes=boxes,
            background="plane",
            likelihood="gaussian",
            gain=GAIN,
            readout_variance=READOUT_VARIANCE,
            priors=PRIORS,
            max_iterations=iterations,
            callback=told,
        )
        start = result.experiment
    print(f"{len(boxes)} boxes, {result.fitted.count} pixels")
    print(result)
    print(f"reduced chi square {result.chi_square / result.degrees_of_freedom:.3g}")
    residuals = (result.data - result.model) / np.sqrt(result.model + result.fitted.variance)
    low, high = np.percentile(residuals, [0.5, 99.5])
    print(f"99 % of the residuals lie between {low:.2f} and {high:.2f} standard deviations")
    scales = [number for number in result.parameters if number.name == "spot_scales"]
    sure = [number for number in scales if 0.0 < number.esd < 0.33 * number.value]
    print(f"{len(sure)} of {len(scales)} spots have a factor of more than 3 standard deviations")
    result.figure(picture, zoom=3)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
