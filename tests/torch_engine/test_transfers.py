"""What is copied to the device that renders: one buffer when a model is made, nothing in a render.

The device is torch's "meta", which has no values: whatever looks at one there is an error.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from transfers_seen import CPU, META, Transfers
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.scenes import transfers
from nanobragg_hybrid.engines.torch.scenes.packing import tensors
from nanobragg_hybrid.engines.torch.scenes.scene import with_tensors
from nanobragg_hybrid.engines.torch.scenes.transfers import constants_on, copied, moved
from nanobragg_hybrid.engines.torch.values.packed_scene import packed_scene
from nanobragg_hybrid.engines.torch.values.placed_set_up import kernel_constants, placed_set_up

MOST_ON_CPU = 65536


def experiment(**changes: Any) -> nb.Experiment:
    start = nb.Experiment(
        crystal=nb.Crystal(
            cell_angstrom=(35, 40, 45),
            n_cells=(4, 5, 3),
            mosaic_spread_deg=0.5,
            mosaic_domains=3,
        ),
        goniometer=nb.Goniometer(phi_deg=1.0, osc_deg=1.0, phi_steps=2),
        detector=nb.Detector(distance_mm=100, pixel_size_mm=1.3, n_fast=12, n_slow=8),
        sampling=nb.Sampling(interpolate=False),
    )
    return start.replace({name.replace("__", "."): value for name, value in changes.items()})


SCENES: dict[str, nb.Experiment] = {
    "mosaic": experiment(),
    "mask": experiment(detector__mask=nb.Mask(np.arange(96).reshape(8, 12) % 3 > 0)),
    "weighted domains": experiment(
        crystal__mosaic_spread_deg=None,
        crystal__mosaic_domains=None,
        crystal__mosaic_rotations=nb.Rotations(
            [np.eye(3), [[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]], weights=[0.5, 1.5]
        ),
    ),
    "sources": experiment(
        beam__sources=(
            nb.Source((-10.0, 0.1, 0.05), weight=2.0),
            nb.Source((-10.0, 0.2, 0.05), wavelength_m=1.1e-10),
        )
    ),
    "spectrum": experiment(
        beam__spectrum=nb.Spectrum(wavelengths_angstrom=(1.0, 1.01), weights=(1, 3))
    ),
    "first loop": experiment(goniometer__phi_deg=0.0),
}


def model_of(name: str) -> ForwardModel:
    grid = np.random.default_rng(1).uniform(10.0, 100.0, (11, 11, 11))
    table = nb.StructureFactors.from_grid(grid, (-5, -5, -5), default_f=7.0)
    quirks = nb.Quirks.none() if name in ("sources", "spectrum") else nb.Quirks()
    return ForwardModel(SCENES[name], table, quirks, kernel="eager")


def leaves(value: object) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        found.append(tensor)
        return tensor

    with_tensors(value, note)
    return found


@pytest.mark.parametrize("name", SCENES)
def test_a_set_up_is_one_transfer(name: str) -> None:
    model = model_of(name)
    with Transfers() as seen:
        there = placed_set_up(model.setup, META)
    assert seen.crossing == ["aten::_to_copy"]
    assert there.tables.host is not None
    assert {x.device for x in leaves(there.tables.host)} == {CPU}
    there = dataclasses.replace(there, tables=dataclasses.replace(there.tables, host=None))
    assert {x.device for x in leaves(there)} == {META}
    here = placed_set_up(model.setup, CPU)
    assert [(x.shape, x.dtype) for x in leaves(there)] == [(x.shape, x.dtype) for x in leaves(here)]


@pytest.mark.parametrize("name", SCENES)
def test_renders_with_values_transfer_nothing(name: str) -> None:
    """But for constants that are new, in a transfer each."""
    model = model_of(name)
    setup, tables = model.setup, placed_set_up(model.setup, META).tables
    values = {
        parameter.name: torch.empty(parameter.shape, dtype=torch.float64, device=META)
        for parameter in model.parameters()
        if parameter.name not in ("detector.origin_m", "crystal.rotation_matrix")
    }
    some = {"crystal.cell_angstrom": values["crystal.cell_angstrom"].requires_grad_()}
    transfers._kept.cache_clear()
    for own in (values, some):
        packed_scene(setup, tables, own, tuple(own))
        with Transfers() as seen:
            packed, _ = packed_scene(setup, tables, own, tuple(own))
        assert seen.crossing == []
        assert {x.device for x in tensors(packed) if x is not None} == {META}
    assert transfers._kept.cache_info().currsize <= 8


def test_transfers_are_seen() -> None:
    with Transfers() as seen:
        torch.ones(3).to(META)
        torch.ones(MOST_ON_CPU + 1).to(META)
    assert seen.crossing == ["aten::_to_copy", "aten::_to_copy"]
    assert seen.largest == MOST_ON_CPU + 1


def test_arrays_are_what_they_were() -> None:
    arrays: list[np.ndarray] = [
        np.array([[1.5, -0.0, np.nan], [np.inf, 2.0, 3.0]]),
        np.array([], dtype=np.float64),
        np.array(7.25),
        np.arange(100, dtype=np.int64)[::3],
    ]
    found = copied(arrays, CPU)
    for one, other in zip(found, arrays, strict=True):
        assert one.shape == other.shape
        assert one.numpy().dtype == other.dtype
        np.testing.assert_array_equal(one.numpy(), other)
    assert np.signbit(found[0].numpy()[0, 1])
    bases = {x.untyped_storage().data_ptr() for x in found}
    assert len(bases) == 1
    places = {(x.data_ptr() - found[0].data_ptr()) % 256 for x in found if x.numel() > 0}
    assert places == {0}


def test_a_tensor_that_stands_in_two_places_is_moved_once() -> None:
    one, other = torch.ones(3, dtype=torch.float64), torch.zeros(2, dtype=torch.int64)
    with Transfers() as seen:
        first, (second, third) = moved((one, (one, other)), META)
    assert first is second
    assert (third.dtype, third.shape) == (torch.int64, (2,))
    assert seen.crossing == ["aten::_to_copy"]
    assert moved((one, other), CPU)[0] is one


def test_constants_are_kept_by_their_bits() -> None:
    with torch.inference_mode():
        first = constants_on(META, [1.0, 0.0])
    assert not first.is_inference()
    assert constants_on(META, [1.0, 0.0]) is first
    assert constants_on(META, [1.0, -0.0]) is not first
    assert constants_on(CPU, [1.0, np.nan]).tolist()[0] == 1.0


def test_constants_of_kernels() -> None:
    constants = kernel_constants(model_of("weighted domains").setup.choices)
    assert constants.tolist() == [0.0, 0.5, 1.5]
    assert kernel_constants(model_of("mosaic").setup.choices).tolist() == [0.0]
