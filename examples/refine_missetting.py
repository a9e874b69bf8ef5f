"""Refine a crystal's missetting from one noisy image.

usage: python examples/refine_missetting.py [DEGREES [FIGURE]]

The C engine renders a short rotation image of a small crystal and adds Poisson noise.  The fit
starts DEGREES (default 0.3) away from the truth and has to come back.  FIGURE: a PNG of data, model
and residuals.  It needs PyTorch (the extra `torch`), and for the figure Pillow (`png`).
"""

from __future__ import annotations

import sys
import warnings

import numpy as np

import nanobragg_hybrid as nb

TRUE_MISSET_DEG = (12.0, 34.0, 56.0)
DIRECTION = (2 / 3, -1 / 3, 2 / 3)


def experiment() -> nb.Experiment:
    """The experiment as it was done."""
    return nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0, fluence_photons_per_m2=1e28),
        crystal=nb.Crystal(
            cell_angstrom=(38, 43, 51),
            cell_deg=(90, 104, 90),
            misset_deg=TRUE_MISSET_DEG,
            n_cells=(12, 12, 12),
            water_um=0.5,
        ),
        goniometer=nb.Goniometer(osc_deg=0.5, phi_steps=5, phi_deg=20.0),
        detector=nb.Detector(distance_mm=90, pixel_size_mm=0.5, n_fast=128, n_slow=128),
        sampling=nb.Sampling(oversample=1),
    )


def structure_factors() -> nb.StructureFactors:
    """Invented amplitudes, distributed as those of a crystal without a centre of symmetry."""
    amplitudes = np.random.default_rng(1).rayleigh(100.0, (51, 51, 51))
    return nb.StructureFactors.from_grid(amplitudes, (-25, -25, -25), default_f=0.0)


def main(degrees: float, figure: str | None) -> None:
    # one sample a pixel is all that truth and model have here
    warnings.filterwarnings("ignore", category=nb.SetupWarning)
    truth = experiment()
    factors = structure_factors()
    noise = nb.noise_image(nb.simulate(truth, factors), seed=1)
    print(f"data: {noise.photons:.0f} photons, {noise.overloads} pixels overloaded")

    misset = np.array(TRUE_MISSET_DEG) + degrees * np.array(DIRECTION)
    start = truth.replace({"crystal.misset_deg": misset})
    result = nb.fit(
        start,
        factors,
        noise.pixels,
        ["crystal.misset_deg", "scale"],
        mask=noise.pixels < np.iinfo(np.uint16).max,
        adc_offset=truth.output.adc_offset,
        capture_deg=abs(degrees),
    )
    print(result)
    found = result.experiment.crystal.misset_deg
    print(f"off by {np.linalg.norm(np.subtract(found, TRUE_MISSET_DEG)):.5f} deg")
    if figure is not None:
        result.figure(figure)


if __name__ == "__main__":
    words = sys.argv[1:]
    main(float(words[0]) if words else 0.3, words[1] if len(words) > 1 else None)
