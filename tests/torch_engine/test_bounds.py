"""Counts that rules derive are refused with their figures before anything is allocated."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.base import host
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.set_up import bounds
from nanobragg_hybrid.engines.torch.set_up.bounds import Counts
from nanobragg_hybrid.engines.torch.set_up.sampling import sampling_of
from nanobragg_hybrid.engines.torch.set_up.setup import set_up
from nanobragg_hybrid.engines.torch.set_up.tables import tables_of

FACTORS = nb.StructureFactors.constant(100.0)
SMALL = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(3, 4, 5)),
    detector=nb.Detector(n_fast=3, n_slow=2, pixel_size_mm=2.0),
    sampling=nb.Sampling(oversample=1),
)

# What makes a count, and how the message names it.
DERIVED: dict[str, tuple[dict[str, object], str]] = {
    "phi": ({"goniometer.osc_deg": 1.0, "goniometer.phi_step_deg": 0.01}, "100 phi steps"),
    "phi alone": ({"goniometer.phi_step_deg": 0.01}, "2 phi steps"),
    "horizontal divergence": (
        {"beam.divergence_h_mrad": 1.0, "beam.divergence_h_step_mrad": 0.01},
        "100 directions",
    ),
    "divergence": (
        {"beam.divergence_h_mrad": 1.0, "beam.divergence_h_step_mrad": 0.1,
         "beam.divergence_v_mrad": 1.0, "beam.divergence_v_step_mrad": 0.05},
        "200 directions",
    ),
    "dispersion": ({"beam.dispersion_percent": 1.0, "beam.dispersion_steps": 30}, "30 sources"),
    "listed sources": ({"beam.sources": (nb.Source(),) * 7}, "7 sources"),
    "mosaic domains": ({"crystal.mosaic_spread_deg": 0.5}, "10 mosaic domains"),
    "orientations": (
        {"crystal.mosaic_spread_deg": 0.5, "goniometer.phi_steps": 7}, "70 orientations",
    ),
    "layers": (
        {"detector.sensor_thickness_um": 100.0, "detector.sensor_layers": 90,
         "sampling.oversample_omega": True},
        "90 sub-pixels of layers",
    ),
    "layers and a resolution limit": (
        {"detector.sensor_thickness_um": 100.0, "detector.sensor_layers": 90,
         "sampling.dmin_angstrom": 1.5, "beam.dispersion_percent": 1.0, "beam.dispersion_steps": 3},
        "270 sub-pixels of layers and sources",
    ),
    "oversampling": (
        {"sampling.oversample": None, "sampling.oversample_omega": True},
        "441 sub-pixels of layers",
    ),
    "complete polarization": (
        {"sampling.oversample": 5, "beam.polarization_kahn": 1.0},
        "25 sub-pixels of layers and sources",
    ),
}  # fmt: skip


def _counts(experiment: nb.Experiment, quirks: nb.Quirks | None = None) -> Counts:
    quirks = quirks or nb.Quirks()
    oversample = set_up(experiment, FACTORS, quirks).choices.oversample
    return Counts.of(experiment, quirks, sampling_of(experiment, quirks), oversample)


@pytest.mark.parametrize("name", DERIVED)
def test_every_count_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With exactly the bytes that are needed there is a set-up, with one less an error."""
    changes, words = DERIVED[name]
    experiment = SMALL.replace(changes)
    parts = _counts(experiment).memory_needed()
    assert words in parts
    needed = sum(parts.values())
    monkeypatch.setattr(bounds, "require_memory", partial(host.require_memory, available=needed))
    set_up(experiment, FACTORS, nb.Quirks())
    less = needed - 1
    monkeypatch.setattr(bounds, "require_memory", partial(host.require_memory, available=less))
    with pytest.raises(
        nb.ResourceError, match=f"need {needed} bytes of memory.* {less} bytes"
    ) as e:
        set_up(experiment, FACTORS, nb.Quirks())
    assert f"{words} {parts[words]} bytes" in str(e.value)


def test_every_sub_pixel_has_a_solid_angle_where_they_differ() -> None:
    oversampled = SMALL.replace({"sampling.oversample": 5})
    assert _counts(oversampled).samples == 0
    off = nb.Quirks(first_subpixel_factors=False)
    assert _counts(oversampled, off).samples == 25


def test_one_of_everything_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _counts(SMALL).memory_needed() == {}
    monkeypatch.setattr(bounds, "require_memory", partial(host.require_memory, available=0))
    set_up(SMALL, FACTORS, nb.Quirks())


HUGE: list[dict[str, object]] = [
    {"goniometer.osc_deg": 1e300, "goniometer.phi_step_deg": 1e-300},
    {"goniometer.osc_deg": 1.0, "goniometer.phi_step_deg": 1e-12},
    {"beam.divergence_h_mrad": 1e300, "beam.divergence_h_step_mrad": 1e-300},
    {"beam.divergence_v_mrad": 1.0, "beam.divergence_v_step_mrad": 1e-12},
]


@pytest.mark.parametrize("changes", HUGE, ids=" ".join)
def test_huge_counts_do_not_fit(changes: dict[str, object]) -> None:
    """2147483647 of something, which the product of steps just allows."""
    with pytest.raises(nb.ResourceError, match=r"need \d+ bytes of memory \(2147483647 "):
        ForwardModel(SMALL.replace(changes), FACTORS)


PRODUCTS: list[dict[str, object]] = [
    *(changes | {"sampling.oversample": 2} for changes in HUGE),
    {"sampling.oversample": 46341},
    {"sampling.oversample": None, "crystal.n_cells": (1e300, 1.0, 1.0)},
    {"sampling.oversample": None, "crystal.size_mm": (1e308, None, None),
     "crystal.cell_angstrom": (1e-6, 60, 70), "beam.beam_size_mm": -1.0},
    {"beam.divergence_h_mrad": 1.0, "beam.divergence_h_step_mrad": 1e-5,
     "beam.divergence_v_mrad": 1.0, "beam.divergence_v_step_mrad": 1e-5},
    {"goniometer.osc_deg": 1.0, "goniometer.phi_step_deg": 1e-9, "crystal.mosaic_spread_deg": 1.0},
]  # fmt: skip


@pytest.mark.parametrize("changes", PRODUCTS)
def test_products_are_refused_as_by_the_c_engine(changes: dict[str, object]) -> None:
    messages = []
    for backend in ("c", "torch"):
        with pytest.raises(nb.ConfigError, match="product of at most 2147483647 steps") as caught:
            nb.simulate(SMALL.replace(changes), FACTORS, backend=backend)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_the_largest_product_is_a_product() -> None:
    counts = Counts(phi_steps=2**31 - 1, mosaic_domains=1, directions=1, sources=1, oversample=1)
    assert counts.steps() == 2**31 - 1
    with pytest.raises(nb.ConfigError, match=r"2 sources \* 1 mosaic domains \* 1073741824 phi"):
        dataclasses.replace(counts, phi_steps=2**30, sources=2).steps()


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
def test_infinitely_many_cells_are_those_of_the_c_engine() -> None:
    """A size over a cell that is no finite number; given oversampling bounds the sub-pixels."""
    experiment = SMALL.replace(
        {
            "crystal.size_mm": (1e308, None, None),
            "crystal.cell_angstrom": (1e-6, 60, 70),
            "beam.beam_size_mm": -1.0,
        }
    )
    images = [nb.simulate(experiment, FACTORS, backend=name).image for name in ("c", "torch")]
    assert np.array_equal(np.isnan(images[0]), np.isnan(images[1]))
    assert set_up(experiment, FACTORS, nb.Quirks()).size.n_cells[0] == math.inf


def test_no_source_is_refused_as_by_the_c_engine() -> None:
    """The only direction, which is a corner of the divergence, is outside its ellipse."""
    far = {"beam.divergence_h_mrad": 1.0, "beam.divergence_h_step_mrad": 10.0}
    near = {"beam.divergence_v_mrad": 1.0, "beam.divergence_v_step_mrad": 10.0}
    for backend in ("c", "torch"):
        nb.simulate(SMALL.replace(far), FACTORS, backend=backend)
        with pytest.raises(
            nb.ConfigError, match=r"step_mrad: got 10\.0 mrad, need directions inside"
        ):
            nb.simulate(SMALL.replace(far | near), FACTORS, backend=backend)


def _bytes_of(value: object) -> Iterator[int]:
    """Of all arrays and tensors in dataclasses and tuples."""
    if isinstance(value, np.ndarray):
        yield value.nbytes
    elif isinstance(value, torch.Tensor):
        yield value.numel() * value.element_size()
    elif isinstance(value, tuple):
        for item in value:
            yield from _bytes_of(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _bytes_of(getattr(value, field.name))


@pytest.mark.parametrize(
    "changes",
    [
        {"goniometer.phi_steps": 5000},
        {"crystal.mosaic_spread_deg": 0.5, "crystal.mosaic_domains": 5000},
        {"crystal.mosaic_spread_deg": 0.5, "crystal.mosaic_domains": 90,
         "goniometer.phi_steps": 80},
        {"beam.dispersion_percent": 1.0, "beam.dispersion_steps": 5000},
        {"beam.divergence_h_mrad": 1.0, "beam.divergence_h_steps": 5000},
    ],
)  # fmt: skip
def test_what_is_kept_is_counted(changes: dict[str, object]) -> None:
    """Set-up, tables and scene together are less than what was asked for, but not by far."""
    experiment = SMALL.replace(changes)
    model = ForwardModel(experiment, FACTORS)
    tables = tables_of(model.setup)
    kept = sum(_bytes_of((model.setup, tables, model.scene({}))))
    needed = sum(_counts(experiment).memory_needed().values())
    assert kept < needed < 4 * kept


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
@pytest.mark.parametrize(
    ("changes", "active"),
    [
        ({}, 6),
        ({"sampling.roi": (1, 2, 1, 1)}, 2),
        ({"sampling.roi": (2, 1, 0, 1)}, 0),
        ({"detector.mask": nb.Mask(np.array([[1, 0, 0], [1, 0, 1]]))}, 3),
    ],
)
def test_every_pixel_is_counted(
    changes: dict[str, object], active: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image of float64, and the values that it is made of, beside the image of float32."""
    experiment = SMALL.replace(changes)
    prepared = nb.prepare(experiment, FACTORS, backend="torch")
    assert prepared.memory_needed["float64 image"] == 48
    assert prepared.memory_needed[f"{active} pixel values"] == 8 * active
    needed = sum(prepared.memory_needed.values())
    monkeypatch.setattr(host, "available_memory_bytes", lambda: (needed, "the test has"))
    nb.simulate(experiment, FACTORS, backend="torch")
    monkeypatch.setattr(host, "available_memory_bytes", lambda: (needed - 1, "the test has"))
    with pytest.raises(nb.ResourceError, match=f"need {needed} bytes .*float64 image 48 bytes"):
        nb.prepare(experiment, FACTORS, backend="torch")


def _more_than_there_is(library: str) -> None:
    if library == "torch":
        torch.empty(2**52, dtype=torch.float64)
    elif library == "numpy":
        np.empty(2**56, dtype=np.int8)
    else:
        raise RuntimeError("something else")


@pytest.mark.parametrize("library", ["torch", "numpy"])
def test_what_cannot_be_allocated_is_told(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside what is counted, a render needs what its tiles do."""
    prepared = nb.prepare(SMALL, FACTORS, backend="torch")
    monkeypatch.setattr(ForwardModel, "scene", lambda *_: _more_than_there_is(library))
    for use in (prepared.render, partial(prepared.trace, (0, 0))):
        with pytest.raises(nb.ResourceError, match=r"llocate .*(bytes|PiB)"):
            use()


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="something else"), bounds.allocation_errors():
        _more_than_there_is("else")
    with pytest.raises(nb.BackendError, match="t allocate"), bounds.allocation_errors():
        raise nb.BackendError("can't allocate memory")
