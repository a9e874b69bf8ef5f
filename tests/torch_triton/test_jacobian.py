"""Derivatives along many directions by one launch, against the compiled kernels, the launch of one
direction, and the eager kernel."""

from __future__ import annotations

import numpy as np
import pytest
from compiled_scenes import Part, parts_of, relative_error
from sum_scenes import ALL_ON, GIVEN, SCENES, USED, experiment, table, the_part
from transfers_seen import META, Transfers
from triton_launches import Launched
from triton_scenes import DEVICE, TritonPart
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.fused.directions import Directions
from nanobragg_hybrid.engines.torch.fused.kernel import FusedPiece
from nanobragg_hybrid.engines.torch.fused.sum_arguments import LATTICE_NUMBERS
from nanobragg_hybrid.engines.torch.on_triton import fused_jacobian, ray_launches, sum_launches
from nanobragg_hybrid.engines.torch.on_triton import kernel as triton_kernel
from nanobragg_hybrid.engines.torch.on_triton.kernels import batch as triton_batch
from nanobragg_hybrid.engines.torch.on_triton.kernels import jacobian as triton_jacobian
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Packed, Template
from nanobragg_hybrid.engines.torch.values.recorded_setup import SceneTangents, TurningTangent

ALIKE = {
    *("limit", "sources", "sub-pixels", "factors of sub-pixels", "sensor", "layers", "points"),
    *("curved", "curved, facing", "sphere", "unpolarized"),
}
"""Scenes that want of the launch what others want, too."""

EVERYTHING, LATTICE, TURN, CELL = range(4)


def tangents_of(part: Part) -> SceneTangents:
    """Directions that move everything, the numbers of the lattice, orientations one by one, and all
    orientations alike; by about their own size."""
    rng = np.random.default_rng(3)
    packed = part.packed
    numbers = rng.standard_normal((4, len(NUMBERS))) * packed.numbers.abs().numpy()
    used = np.zeros(len(NUMBERS), dtype=bool)
    used[USED] = True
    numbers[:, ~used] = 0.0
    lattice = np.zeros(len(NUMBERS), dtype=bool)
    lattice[list(LATTICE_NUMBERS)] = True
    numbers[LATTICE, ~lattice] = 0.0
    numbers[[TURN, CELL]] = 0.0
    sources = np.zeros((4, *packed.sources.shape))
    sources[EVERYTHING] = rng.standard_normal(packed.sources.shape) * packed.sources.abs().numpy()
    if not part.template.has_weights:
        sources[:, 4] = 0.0
    cells = packed.cells.numpy()
    reference = np.zeros((4, 9))
    reference[[EVERYTHING, CELL]] = rng.standard_normal((2, 9)) * np.abs(cells).max() * 0.3
    turning = tuple(
        TurningTangent(n, rng.standard_normal(cells.shape) * np.abs(cells), None)
        for n in (EVERYTHING, TURN)
    )
    rotations = rng.standard_normal((len(cells), 3, 3))
    return SceneTangents(numbers, sources, rotations, None, cells[0], reference, turning)


def given_by(part: Part, device: torch.device = DEVICE) -> tuple[FusedPiece, Packed, Template]:
    """What a kernel is given for a part, on a device, all numbers live."""
    given, tile = part.template, part.tile
    live = Template(tuple(None for _ in given.constants), given.has_weights, given.hkl_min)
    slow, fast = tile.slow.to(device), tile.fast.to(device)
    piece = FusedPiece(slice(0, len(slow)), slow, fast, tile.interpolated_steps > 0)
    parts = (part.packed.numbers, part.packed.sources, part.packed.cells, None, part.packed.grid)
    return piece, Packed(*(None if x is None else x.to(device) for x in parts)), live


def jacobian_of(
    part: Part, tangents: SceneTangents, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and rows by one launch each."""
    kernel = TritonPart(part, dtype).kernel
    values, rows = kernel.jacobian(*given_by(part), Directions.of(tangents, DEVICE))
    return values.cpu(), rows.cpu()


def change_of(part: Part, tangents: SceneTangents, n: int) -> Packed:
    """One of the directions, for kernels that go along one."""
    numbers, sources, cells, _ = (
        None if x is None else torch.from_numpy(x) for x in tangents.changes(n)
    )
    start, grid = (
        None if x is None else torch.zeros_like(x)
        for x in (part.packed.run_start, part.packed.grid)
    )
    return Packed(numbers, sources, cells, start, grid)


@pytest.mark.parametrize("name", sorted(SCENES.keys() - ALIKE))
def test_rows_are_those_of_the_compiled_kernels(name: str) -> None:
    part = the_part(name)
    tangents = tangents_of(part)
    values, rows = jacobian_of(part, tangents)
    assert relative_error(values, part.compiled.values(*part.pixels)) < 1e-13
    for n in range(len(rows)):
        expected = part.tangents(change_of(part, tangents, n))
        assert relative_error(rows[n], expected) < 1e-11, n
        if "tophat" not in name:
            assert float(expected.norm()) > 0.0


@pytest.mark.parametrize("name", ["nearest", "running, limit, water"])
def test_rows_are_those_of_the_launch_of_one_direction(name: str) -> None:
    part = the_part(name)
    tangents = tangents_of(part)
    _, rows = jacobian_of(part, tangents)
    for n in (EVERYTHING, CELL):
        expected = TritonPart(part).tangents(change_of(part, tangents, n))
        assert relative_error(rows[n], expected) < 1e-11


@pytest.mark.parametrize("name", ["square", "gauss_hkl", "running gauss"])
def test_single_precision(name: str) -> None:
    part = the_part(name)
    tangents = tangents_of(part)
    values, rows = jacobian_of(part, tangents, torch.float32)
    assert relative_error(values, part.compiled.values(*part.pixels)) < 1e-5
    for n in range(len(rows)):
        expected = part.tangents(change_of(part, tangents, n))
        assert relative_error(rows[n], expected) < 1e-4


def test_weights_of_domains() -> None:
    """The compiled kernels do not have them."""
    scene = experiment(**GIVEN, sampling__oversample_polar=True)
    part = max(parts_of(scene, table(21), ALL_ON), key=lambda each: len(each.tile.slow))
    tangents = tangents_of(part)
    _, rows = jacobian_of(part, tangents)
    for n in range(len(rows)):
        expected = TritonPart(part).tangents(change_of(part, tangents, n))
        assert relative_error(rows[n], expected) < 1e-11


def test_a_weight_of_zero_has_its_derivative() -> None:
    """Nothing is divided by weights."""
    part = the_part("running gauss")
    prepared = TritonPart(part).kernel.by_operators(*given_by(part))
    tensors, choices = prepared.tensors, prepared.choices
    shape = (len(part.tile.slow), 1, tensors.sources.shape[1])
    weight = tensors.weight.expand(shape).clone()
    weight[:, :, -1] = 0.0
    d_weight = torch.linspace(0.5, 1.5, weight.numel(), dtype=torch.float64, device=DEVICE)
    d_weight = d_weight.reshape(1, *shape)
    nothing = torch.zeros((1, 14), dtype=torch.float64, device=DEVICE)
    number = torch.zeros(1, dtype=torch.int64, device=DEVICE)
    orientations = len(tensors.cells)
    along = fused_jacobian.SumDirections(
        nothing, nothing.new_zeros((orientations, 9)), nothing.new_zeros((1, 9)), number[:0],
        nothing.new_zeros((0, orientations, 9)), number, None, None, None, d_weight, None,
    )  # fmt: skip

    tensors = triton_kernel.replace(tensors, weight=weight)
    totals, rows = fused_jacobian.sums_and_rows(choices, tensors, along)
    assert float(totals.abs().max()) == 0.0
    moving = (
        *(tensors.direction, tensors.sources, tensors.cells, tensors.numbers, tensors.grid),
        *(tensors.factor, tensors.weight, tensors.start),
    )
    launch = sum_launches.Launch.of(choices, None, tensors.others, moving)
    expected = launch.tangents([None] * 6 + [d_weight[0], None])
    assert float(expected.norm()) > 0.0
    assert relative_error(rows[0], expected) < 1e-13


def test_the_same_bits_again_and_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    part = the_part("running, limit, water")
    tangents = tangents_of(part)
    whole = jacobian_of(part, tangents)
    assert all(torch.equal(x, y) for x, y in zip(whole, jacobian_of(part, tangents), strict=True))
    monkeypatch.setattr(triton_kernel, "_RAYS", 100)
    assert all(torch.equal(x, y) for x, y in zip(whole, jacobian_of(part, tangents), strict=True))


NAMES = [
    "crystal.cell_angstrom",
    "crystal.misset_deg",
    "crystal.n_cells",
    "crystal.mosaic_spread_deg",
    "goniometer.osc_deg",
    "detector.distance_mm",
    "beam.wavelength_angstrom",
    "beam.fluence_photons_per_m2",
]


@pytest.mark.parametrize("shape", ["square", "gauss"])
def test_jacobians_of_models(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one launch for all directions, and one for the values."""
    scene = experiment(crystal__shape=shape, detector__n_fast=6, detector__n_slow=4)
    found = {}
    launches = []
    own = fused_jacobian.JacobianLaunch.rows

    def counted(*arguments: object) -> torch.Tensor:
        launches.append(arguments)
        return own(*arguments)

    monkeypatch.setattr(fused_jacobian.JacobianLaunch, "rows", counted)
    for kernel, device in (("triton", DEVICE), ("eager", "cpu")):
        model = ForwardModel(scene, table(21), device=device, kernel=kernel)
        values, rows = model.jacobian({}, NAMES)
        found[kernel] = values.cpu(), rows.cpu()
        assert len(launches) == 1
    assert found["triton"][1].shape == (24, 3 + 3 + 3 + 1 + 1 + 1 + 1 + 1)
    torch.testing.assert_close(found["triton"][0], found["eager"][0], rtol=1e-12, atol=0.0)
    for one, other in zip(found["triton"][1].T, found["eager"][1].T, strict=True):
        assert relative_error(one, other) < 1e-10


def test_no_direction_and_no_pixel() -> None:
    model = ForwardModel(experiment(), table(9), device=DEVICE, kernel="triton")
    values, rows = model.jacobian({}, [])
    assert rows.shape == (96, 0)
    assert float(values.sum()) > 0.0
    empty = nb.Sampling(roi=(5, 4, 0, 3), oversample=1)
    model = ForwardModel(
        experiment().replace({"sampling": empty}), table(9), device=DEVICE, kernel="triton"
    )
    assert model.jacobian({}, ["crystal.misset_deg"])[1].shape == (0, 3)


def test_nothing_is_looked_at_or_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a Jacobian, and of a batch with its gradient, once their scenes are there."""
    part = the_part("running, limit, water")
    names: list[str] = []
    for home, name in (
        (sum_launches.triton_sums, "pixel_sums"),
        (triton_jacobian, "pixel_jacobian"),
        (ray_launches, "pixel_rays"),
        *((triton_batch, f"batch_{each}") for each in ("sums", "slopes", "cell_slopes")),
    ):
        monkeypatch.setattr(home, name, Launched(name, names))
    sum_launches.slope_coefficients(torch.ones(3, device=META))  # copies a constant, once
    kernel = triton_kernel.TritonKernel.of(part.model.setup.choices, torch.float64, META)
    piece, packed, live = given_by(part, META)
    with Transfers() as seen:
        along = Directions.of(tangents_of(part), META)
    assert seen.crossing == ["aten::_to_copy"]
    leaf = packed.cells.clone().requires_grad_()
    with Transfers() as seen:
        kernel.jacobian(piece, packed, live, along)
        moved = Packed(packed.numbers, packed.sources, leaf, None, packed.grid)
        kernel.together(piece, [packed, moved], live).sum().backward()
    assert seen.crossing == []
    assert names[:2] == ["pixel_sums", "pixel_jacobian"]
    batch = ["batch_cell_slopes", "batch_slopes", "batch_sums", "pixel_rays"]
    assert sorted(set(names[2:])) == batch
