"""Values that no experiment has, tensors of the inference mode, and models that are copied."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
from for_each import for_each
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import relative_l2
from nanobragg_hybrid.engines.torch import ForwardModel

EXPERIMENT = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(30, 32, 35), n_cells=(4, 5, 6), shape="gauss"),
    detector=nb.Detector(distance_mm=60, pixel_size_mm=2.0, n_fast=7, n_slow=6),
)
GRID = "structure_factors.grid"
TABLE = nb.StructureFactors.from_grid(
    np.random.default_rng(3).uniform(1.0, 9.0, (13, 13, 13)), (-6, -6, -6), default_f=2.0
)
NAMES = [each.name for each in ForwardModel(EXPERIMENT, TABLE).parameters() if each.name != GRID]


def _model(kernel: str, *, interpolate: bool = False) -> ForwardModel:
    experiment = EXPERIMENT.replace({"sampling.interpolate": interpolate})
    return ForwardModel(experiment, TABLE, kernel=kernel)


AUTO, EAGER = _model("auto"), _model("eager")


@for_each("name", NAMES)
def test_any_number_gives_the_same_by_all_kernels(name: str) -> None:
    """No error, no warning of numpy's, and not a number where the definition has none."""
    for number in (0.0, -1.0, 1e20, 1e100, 1e300, 1e-300, np.inf, -np.inf, np.nan):
        value = AUTO.initial(name)
        value.view(-1)[0] = number
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, need = (model({name: value}).numpy() for model in (AUTO, EAGER))
        finite = np.isfinite(need)
        assert np.array_equal(np.isfinite(found), finite), number
        assert np.array_equal(found[~finite], need[~finite], equal_nan=True), number
        if finite.any() and need[finite].any():
            assert relative_l2(found[finite], need[finite]) <= 1e-12, number


def test_a_wavelength_that_only_the_eager_kernel_takes() -> None:
    name = "beam.wavelength_angstrom"
    wavelength = torch.tensor(1e300, dtype=torch.float64)
    model = _model("compiled")
    assert model({name: model.initial(name)}).isfinite().all()
    with pytest.raises(nb.UnsupportedError, match=r'kernel="compiled" does not render this: '):
        model({name: wavelength})
    assert torch.equal(AUTO({name: wavelength}), EAGER({name: wavelength}))


@for_each("interpolate", [False, True])
def test_inference_mode(interpolate: bool) -> None:
    model = _model("auto", interpolate=interpolate)
    need = model()
    names = [GRID, "detector.distance_mm"]
    with torch.inference_mode():
        values = {name: model.initial(name).clone() for name in names}
        assert torch.equal(model(), need)
        assert torch.equal(model(values), need)
        values[GRID][6, 6, 6] = np.nan
        assert model(values).isnan().any()
        values[GRID][6, 6, 6] = 3.0
        assert not model(values).isnan().any()
    assert torch.equal(model({names[1]: values[names[1]]}), need)


def test_models_are_pickled_and_copied() -> None:
    model = ForwardModel(
        EXPERIMENT, TABLE, nb.Quirks.none(), "float32", tile_steps=100, kernel="eager"
    )
    need = model()
    for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert type(other) is ForwardModel
        assert torch.equal(other(), need)
        assert (other.kernel, other.dtype, other.tiling) == ("eager", torch.float32, model.tiling)
    assert not torch.equal(AUTO(), need)
