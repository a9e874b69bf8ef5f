"""What a differentiated step keeps does not grow with phi steps, domains or steps of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_scenes import CORRECTED
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

# 30 numbers: what an experimenter would refine.
NAMES = (
    "crystal.cell_angstrom",
    "crystal.cell_deg",
    "crystal.misset_deg",
    "crystal.rotation_vector_deg",
    "crystal.n_cells",
    "crystal.mosaic_spread_deg",
    "goniometer.phi_deg",
    "goniometer.osc_deg",
    "detector.rotation_deg",
    "detector.origin_m",
    "detector.twotheta_deg",
    "detector.pixel_size_mm",
    "beam.wavelength_angstrom",
    "beam.polarization_kahn",
    "beam.fluence_photons_per_m2",
    "structure_factors.default_f",
)
TILE_STEPS = 4096
StorageWeakRef = torch.multiprocessing.reductions.StorageWeakRef
PIXELS = 24 * 24


def _experiment(phi_steps: int, domains: int) -> nb.Experiment:
    return nb.Experiment(
        beam=nb.Beam(polarization_kahn=0.5),
        crystal=nb.Crystal(
            cell_angstrom=(30, 35, 40),
            cell_deg=(80, 90, 100),
            n_cells=(5, 6, 7),
            mosaic_spread_deg=0.5,
            mosaic_domains=domains,
        ),
        goniometer=nb.Goniometer(phi_deg=1.0, osc_deg=1.0, phi_steps=phi_steps),
        detector=nb.Detector(pixel_size_mm=0.5, n_fast=24, n_slow=24),
        sampling=nb.Sampling(oversample=1),
    )


def _model(
    phi_steps: int, domains: int, tile_steps: int = TILE_STEPS, kernel: str = "eager"
) -> ForwardModel:
    factors = nb.StructureFactors.constant(100.0)
    experiment = _experiment(phi_steps, domains)
    return ForwardModel(experiment, factors, tile_steps=tile_steps, kernel=kernel)


def _values(model: ForwardModel) -> dict[str, torch.Tensor]:
    return {name: model.initial(name).requires_grad_() for name in NAMES}


class _Watch(torch.utils._python_dispatch.TorchDispatchMode):
    """Elements of the largest tensor that any operation makes, and how many new ones of a size."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0
        self.storages: dict[int, torch.Tensor] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        for found in torch.utils._pytree.tree_leaves(result):
            if isinstance(found, torch.Tensor):
                self.largest = max(self.largest, found.numel())
                self.storages[found.untyped_storage().data_ptr()] = found  # and keeps it
        return result


class _Peak(torch.utils._python_dispatch.TorchDispatchMode):
    """Bytes of all tensors that are alive at the same time, at most."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0
        self.alive: dict[int, tuple[Any, int]] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        for found in torch.utils._pytree.tree_leaves((args, kwargs, result)):
            if isinstance(found, torch.Tensor):
                storage = found.untyped_storage()
                reference = StorageWeakRef(storage)
                self.alive[reference.cdata] = (reference, storage.nbytes())
        if sum(size for _, size in self.alive.values()) > self.bytes:  # or some are no more
            self.alive = {key: held for key, held in self.alive.items() if not held[0].expired()}
            self.bytes = max(self.bytes, sum(size for _, size in self.alive.values()))
        return result


def _peak_bytes(model: ForwardModel, values: dict[str, torch.Tensor] | None = None) -> int:
    """Bytes that a forward and backward pass needs at the same time."""
    values = _values(model) if values is None else values
    with _Peak() as peak:
        model(values).square().sum().backward()
    return peak.bytes


def _saved_bytes(model: ForwardModel) -> int:
    """Bytes that the forward pass keeps for the backward pass, each storage counted once."""
    storages: dict[int, int] = {}
    kept = []  # so that no address is used twice

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        image = model(_values(model))
    assert image.requires_grad
    return sum(storages.values())


def _largest_tensor(model: ForwardModel) -> int:
    """Elements of the largest tensor of a forward and backward pass."""
    with _Watch() as watch:
        model(_values(model)).square().sum().backward()
    return watch.largest


def test_the_step_has_30_parameters() -> None:
    values = _values(_model(2, 2))
    assert sum(value.numel() for value in values.values()) == 30


def test_saved_for_backward() -> None:
    """Orientations, of which there are a few hundred bytes each, and the image; no step."""
    few, many = _saved_bytes(_model(1, 2)), _saved_bytes(_model(20, 10))
    orientations = 20 * 10 - 2
    steps = PIXELS * orientations
    assert many - few < 8 * 64 * orientations
    assert many - few < steps  # less than a byte for a step
    assert few < 100 * 8 * PIXELS


@pytest.mark.parametrize(("phi_steps", "domains"), [(1, 2), (7, 5), (40, 3), (3, 60)])
def test_largest_tensor(phi_steps: int, domains: int) -> None:
    """No tensor, forward or backward, is larger than a tile or an image."""
    model = _model(phi_steps, domains)
    assert model.setup.choices.orientations == phi_steps * domains
    assert _largest_tensor(model) <= max(TILE_STEPS, PIXELS)


def test_largest_tensor_with_corrected_quirks() -> None:
    """Factors of layers and sources are no larger than what they multiply."""
    sources = tuple(nb.Source((-10.0, 0.01 * n, 0.0), 1.0 + n) for n in range(10))
    changes = {
        "beam.sources": sources,
        "crystal.water_um": 1.0,
        "detector.curved": True,
        "detector.sensor_thickness_um": 300.0,
        "detector.sensor_layers": 8,
        "sampling.oversample": 2,
    }
    experiment = _experiment(2, 2).replace(changes)
    factors = nb.StructureFactors.constant(100.0)
    model = ForwardModel(experiment, factors, CORRECTED, tile_steps=TILE_STEPS)
    value = model.initial("beam.sources.weight").requires_grad_()
    with _Watch() as watch:
        model({"beam.sources.weight": value}).square().sum().backward()
    assert watch.largest <= max(TILE_STEPS, PIXELS)


def test_larger_tiles_are_seen() -> None:
    """The criterion itself: with a tile of everything the largest tensor has all steps."""
    model = _model(7, 5, tile_steps=10**7)
    assert _largest_tensor(model) >= PIXELS * 7 * 5


@pytest.mark.parametrize(("few", "many"), [((4, 2), (32, 2)), ((2, 4), (2, 32))])
def test_peak_does_not_grow(few: tuple[int, int], many: tuple[int, int]) -> None:
    """With eight times the phi steps or domains, by less than a byte for each additional step."""
    least, most = _peak_bytes(_model(*few)), _peak_bytes(_model(*many))
    orientations = 56
    assert most - least < PIXELS * orientations
    assert least > 8 * TILE_STEPS


def test_compiled_kernels_hold_no_steps() -> None:
    """Ten times the orientations: their cells and rotations, and nothing for each pixel."""
    few, many = (_peak_bytes(_model(phi, 10, kernel="compiled")) for phi in (4, 40))
    assert few > 8 * PIXELS
    assert many - few < 8 * 9 * 360 * 10


def test_4096_pixels_squared_fit_into_4_gb() -> None:
    """What each additional pixel needs, with 30 numbers: a few float64 images, no steps."""
    small, large = (
        _peak_bytes(
            ForwardModel(
                _experiment(2, 2).replace({"detector.n_fast": n, "detector.n_slow": n}),
                nb.StructureFactors.constant(100.0),
                tile_steps=TILE_STEPS,
            )
        )
        for n in (32, 96)
    )
    per_pixel = (large - small) / (96**2 - 32**2)
    assert 4096**2 * per_pixel < 0.5 * 4e9  # of the rest one tile is the most
    assert per_pixel > 8.0


def test_peak_sees_larger_tiles() -> None:
    """The criterion itself: with one tile for everything the peak has all steps."""
    few, many = (_peak_bytes(_model(*n, tile_steps=10**7)) for n in ((4, 2), (32, 2)))
    assert many - few > 8 * PIXELS * 56


TABLE = nb.StructureFactors.from_grid(np.ones((41, 43, 47)), (-20, -20, -20), default_f=2.0)


def _with_table(dtype: torch.dtype = torch.float64) -> ForwardModel:
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(30, 35, 40), n_cells=(5, 6, 7)),
        detector=nb.Detector(n_fast=8, n_slow=8),
    )
    return ForwardModel(experiment, TABLE, dtype=dtype, tile_steps=16)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_no_copy_of_the_table(dtype: torch.dtype) -> None:
    """A table of structure factors, which may be larger than the image, is used where it is, and
    derivatives of other values need no copy either."""
    assert TABLE.grid is not None
    with _Watch() as watch:
        model = _with_table(dtype)
        for name in ("crystal.misset_deg", "structure_factors.default_f"):
            model({name: model.initial(name).requires_grad_()}).sum().backward()
    size = TABLE.grid.size * torch.finfo(dtype).bits // 8
    own = TABLE.grid.ctypes.data
    large = [
        address
        for address, tensor in watch.storages.items()
        if tensor.untyped_storage().nbytes() >= size and address != own
    ]
    assert large == []


def test_derivatives_of_the_table() -> None:
    """The value, its derivative, and two more while the tiles' shares are added up."""
    model = _with_table()
    value = model.initial("structure_factors.grid").requires_grad_()
    peak = _peak_bytes(model, {"structure_factors.grid": value})
    assert 2 * TABLE.grid.nbytes < peak < 4.5 * TABLE.grid.nbytes
