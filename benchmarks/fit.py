"""What a fit costs and how well it knows what it found.

usage: python benchmarks/fit.py [--small] [--only SECTION ...]

range: 12 numbers (missetting, cell, distance, scale, mosaic spread) of a Poisson image, from
    orientations 0.1 to 1 degree away, by `nb.fit`, and by the same steps with difference quotients
    of the C engine's image in place of the Jacobian.
pulls: the same numbers over many noisy images: errors over estimated standard deviations.
stills: orientation and scale of many stills of Gaussian crystals, from 0.3 degrees away, in boxes
    of 15 x 15 pixels around the brightest spots.
joint: the same for several stills in one fit, which share cell and distance.

Times are CPU seconds of one thread.  --small: fewer and smaller images, for a quick look.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.fitting.blocks import coordinates_of
from nanobragg_hybrid.fitting.coordinates import MISSET, ROTATION
from nanobragg_hybrid.fitting.forward import TorchModel
from nanobragg_hybrid.fitting.joint import Joint
from nanobragg_hybrid.fitting.pixels import FitPixels, fit_pixels
from nanobragg_hybrid.fitting.problem import Priors
from nanobragg_hybrid.fitting.rotations import (
    angle_between_deg,
    misset_angles,
    misset_matrix,
    rotation_matrix,
)
from nanobragg_hybrid.fitting.search import FitImage, Search, Starts

Array = NDArray[np.float64]

NAMES = (
    "crystal.misset_deg",
    "crystal.cell_angstrom",
    "crystal.cell_deg",
    "detector.distance_mm",
    "scale",
    "crystal.mosaic_spread_deg",
)
TRUTH = (10.0, 20.0, 30.0, 70.0, 80.0, 90.0, 75.0, 85.0, 95.0, 100.0, 1.0, 0.3)
FACTORS = nb.StructureFactors.constant(100.0)
STEPS = {
    ROTATION: 2e-3,
    "crystal.cell_angstrom": 5e-3,
    "crystal.cell_deg": 5e-3,
    "detector.distance_mm": 1e-2,
    "crystal.mosaic_spread_deg": 1e-2,
}
"""Of difference quotients: the image of the C engine is rounded to float32."""


def rotation_image(pixels: int) -> nb.Experiment:
    """The triclinic crystal of the pulls and the range: 5 phi steps of 5 domains."""
    return nb.Experiment(
        beam=nb.Beam(fluence_photons_per_m2=1e28),
        crystal=nb.Crystal(
            cell_angstrom=(70, 80, 90),
            cell_deg=(75, 85, 95),
            misset_deg=(10, 20, 30),
            n_cells=(8, 8, 8),
            mosaic_spread_deg=0.3,
            mosaic_domains=5,
        ),
        goniometer=nb.Goniometer(phi_deg=1.0, osc_deg=1.0, phi_steps=5),
        detector=nb.Detector(
            distance_mm=100, pixel_size_mm=51.2 / pixels, n_fast=pixels, n_slow=pixels
        ),
        sampling=nb.Sampling(oversample=1),
    )


def turned(experiment: nb.Experiment, vector_deg: Array) -> nb.Experiment:
    """The crystal turned after its missetting."""
    matrix = misset_matrix(np.array(experiment.crystal.misset_deg))
    angles = misset_angles(rotation_matrix(vector_deg) @ matrix)
    return experiment.replace({MISSET: tuple(angles.tolist())})


def off_deg(found: nb.Experiment, truth: nb.Experiment) -> float:
    """The angle between two orientations."""
    one, other = (misset_matrix(np.array(each.crystal.misset_deg)) for each in (found, truth))
    return angle_between_deg(one, other)


def away(truth: nb.Experiment, angle_deg: float, seed: int) -> nb.Experiment:
    """A start: turned about a random axis, and every other number off as well."""
    random = np.random.default_rng(seed)
    axis = random.normal(size=3)
    signs = random.choice([-1.0, 1.0], 6)
    cell = np.array(truth.crystal.cell_angstrom) * (1.0 + 0.003 * signs[:3])
    start = turned(truth, angle_deg * axis / np.linalg.norm(axis))
    return start.replace(
        {
            "crystal.cell_angstrom": tuple(cell.tolist()),
            "crystal.cell_deg": tuple(np.array(truth.crystal.cell_deg) + 0.2 * signs[3:]),
            "crystal.mosaic_spread_deg": 0.5,
            "detector.distance_mm": truth.detector.distance_mm + 0.2,
            "beam.fluence_photons_per_m2": 1.35 * truth.beam.fluence_photons_per_m2,
        }
    )


class DifferenceForward:
    """Pixels by the C engine, and their Jacobian by central differences."""

    def __init__(self, experiment: nb.Experiment, pixels: FitPixels) -> None:
        self.images = 0
        self.jacobians = 0
        self._experiment = experiment
        self._where = (pixels.slow, pixels.fast)

    def pixels(self, values: Mapping[str, Array]) -> Array:
        """One image."""
        self.images += 1
        experiment = self._experiment
        changes = {
            name: tuple(value) if value.size > 1 else float(value[0])
            for name, value in values.items()
        }
        vector = changes.pop(ROTATION, None)
        if vector is not None:
            experiment = turned(experiment, np.array(vector))
        image = nb.simulate(experiment.replace(changes), FACTORS, threads=1).image
        return image[self._where].astype(np.float64)

    def members(self, values: Sequence[Mapping[str, Array]]) -> Array:
        """One image for each."""
        return np.stack([self.pixels(each) for each in values])

    def jacobian(self, values: Mapping[str, Array], names: tuple[str, ...]) -> tuple[Array, Array]:
        """One image, and two for each number."""
        self.jacobians += 1
        columns = []
        for name in names:
            for n in range(values[name].size):
                step = np.zeros(values[name].size)
                step[n] = STEPS[name]
                ends = [self.pixels({**values, name: values[name] + end}) for end in (step, -step)]
                columns.append((ends[0] - ends[1]) / (2.0 * STEPS[name]))
        return self.pixels(values), np.stack(columns, axis=1)


class Differences(NamedTuple):
    """A fit with difference quotients: where it ended, and how many images it took."""

    misset_deg: tuple[float, ...]
    converged: bool
    images: int


def fit_by_differences(start: nb.Experiment, data: NDArray[np.int64]) -> Differences:
    """The steps of `nb.fit`, which end where rounding to float32 hides what is left to gain."""
    model = ForwardModel(start, FACTORS)
    coordinates, _ = coordinates_of(TorchModel(model), start, NAMES, "triclinic")
    photons = data.astype(np.float64)
    pixels = fit_pixels(start, model.setup.roi, photons, np.zeros_like(photons), None, None)
    forward = DifferenceForward(start, pixels)
    image, joint = FitImage(start, forward, pixels, ()), Joint((coordinates,), frozenset(NAMES))
    nothing = Priors.none(joint.every)
    search = Search((image,), joint, "poisson", None, nothing, 100, 0.03, None)
    minimum, _ = search.run(Starts(1, 1.0, 1))
    numbers = coordinates.numbers(minimum.state.x)
    return Differences(tuple(numbers[:3].tolist()), minimum.converged, forward.images)


def capture_range(small: bool) -> None:
    """From several distances: `nb.fit`, and differences of the C engine."""
    truth = rotation_image(96 if small else 256)
    image = nb.simulate(truth, FACTORS, threads=1).image
    data = np.random.default_rng(1).poisson(image)
    print(f"range: {image.shape[1]} x {image.shape[0]} pixels, {data.sum()} photons, 12 numbers")
    fit(truth, data)  # what only a first call costs
    for angle in (0.1, 0.3, 0.6, 1.0):
        start = away(truth, angle, seed=1)
        begin = time.process_time()
        result = fit(start, data)
        seconds = time.process_time() - begin
        end = "converged" if result.converged else "not converged"
        cost = f"{result.evaluations.images} images and {result.evaluations.jacobians} Jacobians"
        off = off_deg(result.experiment, truth)
        print(f"  {angle:.1f} deg: {end} in {seconds:.2f} s, {cost}, off by {off:.4f} deg")
        begin = time.process_time()
        other = fit_by_differences(start, data)
        seconds = time.process_time() - begin
        off = off_deg(start.replace({MISSET: other.misset_deg}), truth)
        end = "converged" if other.converged else "not converged"
        cost = f"{other.images} images"
        print(f"    by differences: {end} in {seconds:.2f} s, {cost}, off by {off:.4f} deg")


def fit(start: nb.Experiment, data: NDArray[np.int64]) -> nb.FitResult:
    """The 12 numbers."""
    return nb.fit(start, FACTORS, data, NAMES)


def pulls(small: bool) -> None:
    """Errors over standard deviations: mean and width for each number."""
    truth = rotation_image(96 if small else 256)
    image = nb.simulate(truth, FACTORS, threads=1).image
    rows = []
    for seed in range(10 if small else 50):
        result = fit(truth, np.random.default_rng(seed).poisson(image))
        rows.append(
            [(n.value - need) / n.esd for n, need in zip(result.parameters, TRUTH, strict=True)]
        )
    table = np.array(rows)
    print(f"pulls of {len(table)} images")
    for n, number in enumerate(result.parameters):
        name = f"{number.name}[{number.index}]"
        print(f"  {name:28s} mean {table[:, n].mean():6.2f}, width {table[:, n].std():5.2f}")


def still(seed: int) -> nb.Experiment:
    """A still of a tetragonal crystal in a random orientation, with Gaussian spots."""
    quaternion = np.random.default_rng(seed).normal(size=4)
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.3, fluence_photons_per_m2=1e25),
        crystal=nb.Crystal(
            cell_angstrom=(79, 79, 38),
            misset_deg=tuple(misset_angles(matrix).tolist()),
            n_cells=(20, 20, 40),
            mosaic_spread_deg=0.1,
            mosaic_domains=25,
            shape="gauss_hkl",
        ),
        detector=nb.Detector(distance_mm=120, pixel_size_mm=0.11, n_fast=1024, n_slow=1024),
        sampling=nb.Sampling(oversample=1),
    )


def bright_boxes(
    data: NDArray[np.int64], half: int, most: int, least: int
) -> list[tuple[int, ...]]:
    """Boxes around the brightest squares of 3 x 3 pixels, none centred inside another."""
    sums = sliding_window_view(np.pad(data, 1), (3, 3)).sum(axis=(2, 3))
    boxes: list[tuple[int, ...]] = []
    while len(boxes) < most and sums.max() >= least:
        slow, fast = (int(n) for n in np.unravel_index(sums.argmax(), sums.shape))
        top, left = max(slow - half, 0), max(fast - half, 0)
        boxes.append((top, min(slow + half + 1, len(data)), left, min(fast + half + 1, len(data))))
        sums[top : slow + half + 1, left : fast + half + 1] = 0
    return boxes


def still_factors() -> nb.StructureFactors:
    """Those of the stills."""
    grid = np.random.default_rng(5).rayleigh(100.0, (81, 81, 81))
    return nb.StructureFactors.from_grid(grid, (-40, -40, -40), default_f=0.0)


class Still(NamedTuple):
    """A still, and from where and in which boxes it is fitted."""

    truth: nb.Experiment
    start: nb.Experiment
    data: NDArray[np.int64]
    boxes: list[tuple[int, ...]]


def noisy_still(seed: int, factors: nb.StructureFactors) -> Still:
    """One of them, with a start that is 0.3 degrees away."""
    truth = still(seed)
    noise = np.random.default_rng(seed)
    data = noise.poisson(nb.simulate(truth, factors, threads=1).image + 0.2)
    axis = noise.normal(size=3)
    start = turned(truth, 0.3 * axis / np.linalg.norm(axis))
    return Still(truth, start, data, bright_boxes(data, 7, 60, 25))


def stills(small: bool) -> None:
    """Many stills: how many come home, how near, and what one costs."""
    factors = still_factors()
    offs, esds, seconds, pixels = [], [], [], []
    for seed in range(10 if small else 200):
        one = noisy_still(seed, factors)
        begin = time.process_time()
        result = nb.fit(
            one.start,
            factors,
            one.data,
            ("crystal.rotation_vector_deg", "scale"),
            boxes=one.boxes,
            background="constant",
        )
        seconds.append(time.process_time() - begin)
        offs.append(off_deg(result.experiment, one.truth))
        esds.append(float(np.sqrt(np.trace(result.covariance[:3, :3]))))
        pixels.append(result.data.size)
    print(f"stills: {len(offs)}, {np.median(pixels):.0f} pixels fitted")
    for limit in (0.005, 0.02):
        print(f"  {np.mean(np.array(offs) < limit):.0%} off by less than {limit} deg")
    expected = np.median(esds)
    print(f"  {np.median(offs):.4f} deg in the median; by the standard deviations {expected:.4f}")
    print(f"  {np.median(seconds):.3f} s a still in the median, {np.mean(seconds):.3f} in the mean")


def joint(small: bool) -> None:
    """Stills that share cell and distance: what they know of them together."""
    factors = still_factors()
    names = (
        "crystal.rotation_vector_deg",
        "scale",
        "crystal.cell_angstrom",
        "detector.distance_mm",
    )
    off = {"crystal.cell_angstrom": (79.2, 79.2, 38.1), "detector.distance_mm": 120.2}
    need = (79.0, 79.0, 38.0, 120.0)
    print("joint: errors of a, c and the distance, and their standard deviations")
    for count in (1, 4) if small else (1, 4, 16, 64):
        every = [noisy_still(seed, factors) for seed in range(count)]
        begin = time.process_time()
        result = nb.fit(
            [one.start.replace(off) for one in every],
            factors,
            [one.data for one in every],
            names,
            boxes=[one.boxes for one in every],
            background="constant",
        )
        seconds = time.process_time() - begin
        shared = result.parameters[-4:]
        words = [
            f"{number.value - true:+.5f} +- {number.esd:.5f}"
            for number, true in list(zip(shared, need, strict=True))[1:]
        ]
        cost = f"{len(result.parameters)} numbers, {result.evaluations.jacobians} Jacobians"
        print(f"  {count:2d} stills: {', '.join(words)}; {seconds:.2f} s, {cost}", flush=True)


SECTIONS = {"range": capture_range, "pulls": pulls, "stills": stills, "joint": joint}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="fewer and smaller images")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", nb.NanobraggWarning)
    for name in options.only:
        SECTIONS[name](options.small)


if __name__ == "__main__":
    main()
