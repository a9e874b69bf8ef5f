"""The variance of a result is that of what was rendered, whenever it is read."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import nanobragg_hybrid as nb

EXPERIMENT = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(40, 50, 60), n_cells=(3, 3, 3)),
    detector=nb.Detector(distance_mm=60, pixel_size_mm=0.8, n_fast=20, n_slow=18),
    sampling=nb.Sampling(oversample=1),
    background=nb.Background(flat_photons_per_pixel=1000.0),
    response=nb.Response(seed=1),
)


def result() -> nb.SimulationResult:
    return nb.simulate(EXPERIMENT, nb.StructureFactors.constant(1.0))


@pytest.mark.parametrize("is_copied", [False, True])
def test_a_background_that_is_taken_off_in_place(is_copied: bool) -> None:
    wanted = result().variance
    own = result()
    reader = own.replaced(frame=1) if is_copied else own
    counts = reader.expected
    counts -= 1000.0
    assert float(np.median(own.variance)) > 900.0
    np.testing.assert_array_equal(own.variance, wanted)
    np.testing.assert_array_equal(reader.variance, wanted)


def test_the_variance_is_read_once() -> None:
    own = result()
    first = own.variance
    assert own.variance is first


def test_a_copy_that_was_made_before_anything_was_read() -> None:
    own = result()
    copied = pickle.loads(pickle.dumps(own))
    wanted = result().variance
    copied.expected[:] = 0.0
    np.testing.assert_array_equal(copied.variance, wanted)
    np.testing.assert_array_equal(own.variance, wanted)
