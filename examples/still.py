"""Render a still image and print what it looks like.

usage: python examples/still.py
"""

from __future__ import annotations

import nanobragg_hybrid as nb


def main() -> None:
    experiment = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0),
        crystal=nb.Crystal(cell_angstrom=(70, 80, 90), cell_deg=(75, 85, 95), n_cells=(5, 5, 5)),
        detector=nb.Detector(distance_mm=100, pixel_size_mm=0.4, n_fast=64, n_slow=64),
    )
    result = nb.simulate(experiment, nb.StructureFactors.constant(100.0))
    slow, fast = divmod(int(result.image.argmax()), result.image.shape[1])
    print(f"image: {result.image.shape[0]} x {result.image.shape[1]} pixels (slow, fast)")
    print(f"brightest pixel: {result.statistics.max:g} photons at slow {slow}, fast {fast}")
    print(f"mean: {result.statistics.mean:g} photons per pixel")
    print(f"sub-pixels along each side: {experiment.resolved().sampling.oversample}")


if __name__ == "__main__":
    main()
