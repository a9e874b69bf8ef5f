"""Values of selected pixels, their Jacobian and the normal equations against the whole image and
its gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from torch_scenes import SCENES
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel, Selection

ROTATION = ForwardModel(*SCENES["rotation"](), tile_steps=300)
NAMES = ["crystal.misset_deg", "detector.close_distance_mm", "goniometer.osc_deg"]


def test_pixels_are_those_of_the_image_in_the_order_of_the_selection() -> None:
    image = ROTATION()
    rows = torch.tensor([[3, 2], [0, 1], [3, 2], [2, 0]])
    assert torch.equal(ROTATION.pixels({}, Selection.pixels(rows)), image[rows[:, 0], rows[:, 1]])
    boxes = Selection.boxes([[2, 4, 1, 3], [0, 1, 0, 4]])
    expected = torch.cat([image[2:4, 1:3].flatten(), image[0:1, 0:4].flatten()])
    assert torch.equal(ROTATION.pixels({}, boxes), expected)
    assert torch.equal(ROTATION.pixels(), image.flatten())
    assert ROTATION.pixels({}, Selection.pixels([])).shape == (0,)


def test_pixels_have_derivatives_and_batches() -> None:
    name = "crystal.misset_deg"
    start = ROTATION.initial(name)
    many = torch.stack([start, start + 0.1]).requires_grad_()
    chosen = Selection.pixels(np.array([[3, 2], [0, 1], [3, 2]]))
    values = ROTATION.pixels({name: many}, chosen)
    images = ROTATION({name: many})
    expected = images[:, [3, 0, 3], [2, 1, 2]]
    assert torch.equal(values, expected)
    weights = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    (found,) = torch.autograd.grad((values * weights).sum(), many, retain_graph=True)
    (wanted,) = torch.autograd.grad((expected * weights).sum(), many)
    assert torch.allclose(found, wanted, rtol=1e-12)
    assert found.count_nonzero() == found.numel()


def test_a_selection_of_columns_is_one_of_rows() -> None:
    slow, fast = np.array([3, 0], dtype=np.uint8), torch.tensor([2, 1])
    made: Any = Selection
    found = ROTATION.pixels({}, made(slow, fast))
    assert torch.equal(found, ROTATION.pixels({}, Selection.pixels([[3, 2], [0, 1]])))


def test_boxes_that_do_not_fit_into_memory() -> None:
    with pytest.raises(nb.ResourceError, match="numbers of pixels"):
        Selection.boxes([[0, 2**31 - 1, 0, 2**31 - 1]])
    assert Selection.boxes([[0, 1, 2**31 - 3, 2**31 - 1]]).count == 2


def _switching() -> ForwardModel:
    """Interpolation is switched off in the middle of the image, and the first loop is special."""
    rng = np.random.default_rng(1)
    grid = rng.uniform(20.0, 150.0, (7, 7, 7))
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(8, 9, 10), n_cells=(1.5, 1.5, 1.5)),
        detector=nb.Detector(distance_mm=60, pixel_size_mm=6.0, n_fast=8, n_slow=8),
        goniometer=nb.Goniometer(phi_deg=0.0, osc_deg=2.0, phi_steps=3),
        sampling=nb.Sampling(oversample=1, interpolate=True),
    )
    table = nb.StructureFactors.from_grid(grid, (-3, -3, -3), default_f=30.0)
    return ForwardModel(experiment, table, tile_steps=64)


def test_serial_order_is_that_of_the_whole_image() -> None:
    model = _switching()
    image = model().flatten()
    off = nb.Quirks.none()
    assert not torch.equal(
        image, ForwardModel(model.setup.experiment, model.setup.structure_factors, off)().flatten()
    )
    every = np.stack(np.divmod(np.arange(64), 8), axis=1)
    for rows in (every, every[::-1], every[20:], every[1:30:2], every[[0, 0, 63, 0]]):
        found = model.pixels({}, Selection.pixels(rows))
        assert torch.equal(found, image[rows[:, 0] * 8 + rows[:, 1]])


def _masked() -> ForwardModel:
    values = np.ones((6, 5), dtype=bool)
    values[2, 3] = False
    experiment, factors, quirks = SCENES["rotation"]()
    changes: dict[str, Any] = {
        "detector.n_fast": 5,
        "detector.n_slow": 6,
        "detector.mask": nb.Mask(values),
        "sampling.roi": (1, 4, 0, 4),
    }
    return ForwardModel(experiment.replace(changes), factors, quirks)


def test_masked_pixels_are_left_out() -> None:
    model = _masked()
    image = model()
    rows = [[2, 2], [2, 4], [4, 4], [0, 1]]
    expected = torch.stack([image[slow, fast] for slow, fast in rows])
    assert torch.equal(model.pixels({}, Selection.pixels(rows)), expected)
    assert bool((expected > 0.0).all())


MASKED = _masked()
REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: MASKED.pixels({}, Selection.pixels([[2, 2], [2, 3]])),
     r"pixel \(slow 2, fast 3\), number 1 of the selection, need pixels that are not masked"),
    (lambda: MASKED.pixels({}, Selection.pixels([[2, 0]])), "fast 0.*of the region of interest"),
    (lambda: MASKED.pixels({}, Selection.pixels([[5, 2]])), "slow 5.*of the region of interest"),
    (lambda: MASKED.pixels({}, Selection.pixels([[6, 2]])), "slow 6.*of the detector, 6 x 5"),
    (lambda: MASKED.pixels({}, Selection.boxes([[0, 1, 3, 6]])), "fast 5.*of the detector"),
    (lambda: MASKED.pixels({}, 3), "select: got 3, need a Selection, or None"),
    (lambda: Selection.pixels([[0, -1]]), r"select\[0\]: got \(0, -1\), need whole numbers >= 0"),
    (lambda: Selection.pixels([[0, 2**40]]), r"select\[0\]: got .*need whole numbers"),
    (lambda: Selection.pixels([[0.0, 1.0]]), r"of float64, need whole numbers"),
    (lambda: Selection.pixels([1, 2]), r"shape \(2,\) of int64, need whole numbers >= 0, shape"),
    (lambda: Selection.pixels(None), "need whole numbers"),
    (lambda: Selection.pixels([[1], [1, 2]]), "need whole numbers"),
    (lambda: Selection.boxes([[0, 2, 0, 2], [2, 2, 0, 1]]), r"select\[1\]: got \(2, 2, 0, 1\)"),
    (lambda: Selection.boxes([[0, 2, 3, 3]]), "starts below stops"),
    (lambda: Selection.boxes([[0, 2]]), r"shape \(n, 4\)"),
    (lambda: Selection(np.array([1.5]), np.array([2])),
     r"slow: got shape \(1,\) of float64, need whole numbers >= 0, shape \(n,\)"),
    (lambda: Selection(np.array([1]), np.array([[2]])), r"fast: got shape \(1, 1\) of int64"),
    (lambda: Selection([0, 1], [0, -1]), r"fast\[1\]: got -1, need whole numbers >= 0"),
    (lambda: Selection([0, 1], [0]), r"fast: got 1 numbers, need as many as of slow \(2\)"),
]  # fmt: skip


@for_each("number", range(len(REFUSED)))
def test_a_wrong_selection_is_an_error(number: int) -> None:
    ask, words = REFUSED[number]
    with pytest.raises(nb.ConfigError, match=words):
        ask()


@for_each("scene", ["rotation", "weighted", "still"])
def test_columns_are_derivatives_of_the_pixels(scene: str) -> None:
    """Of every parameter with few numbers, together, for pixels in any order."""
    model = ForwardModel(*SCENES[scene](), tile_steps=500)
    # Two of them decide, alone, on where the detector is.
    left_out = ["structure_factors.grid", "detector.origin_m", "detector.close_distance_mm"]
    if scene == "rotation":
        left_out.pop()
    names = [each.name for each in model.parameters() if each.name not in left_out]
    values = {name: model.initial(name) for name in names}
    select = Selection.pixels([[3, 1], [0, 2], [3, 1]])
    pixels, jacobian = model.jacobian(values, names, select)
    assert torch.equal(pixels, model.pixels(values, select))
    assert jacobian.shape == (3, sum(value.numel() for value in values.values()))
    assert torch.equal(jacobian[0], jacobian[2])
    for row in range(2):
        leaves = {name: value.clone().requires_grad_() for name, value in values.items()}
        gradients = torch.autograd.grad(
            model.pixels(leaves, select)[row], [leaves[name] for name in names]
        )
        for name, columns, gradient in zip(
            names,
            jacobian[row].split([x.numel() for x in gradients]),
            gradients,
            strict=True,
        ):
            scale = float(gradient.abs().max())
            assert torch.allclose(columns, gradient.flatten(), rtol=1e-8, atol=1e-10 * scale), name


def test_names_without_values_are_at_their_initial_ones() -> None:
    pixels, jacobian = ROTATION.jacobian(None, NAMES)
    again = ROTATION.jacobian({name: ROTATION.initial(name) for name in NAMES}, tuple(NAMES))
    assert torch.equal(pixels, again[0])
    assert torch.equal(jacobian, again[1])
    assert jacobian.shape == (pixels.numel(), 5)
    assert not pixels.requires_grad
    assert not jacobian.requires_grad


def test_normal_equations_are_sums_over_the_jacobian() -> None:
    rng = np.random.default_rng(2)
    select = Selection.boxes([[1, 4, 0, 3], [0, 2, 1, 3]])
    pixels, jacobian = ROTATION.jacobian({}, NAMES, select)
    data = pixels.numpy() * rng.uniform(0.8, 1.2, len(pixels))
    variance = pixels.numpy() * rng.uniform(0.5, 2.0, len(pixels))
    found = ROTATION.normal_equations({}, NAMES, torch.from_numpy(data), variance, select)
    weight = torch.from_numpy(1.0 / variance)
    residual = torch.from_numpy(data) - pixels
    matrix = jacobian.T @ (weight[:, None] * jacobian)
    assert torch.allclose(found.matrix, matrix, rtol=1e-12)
    assert torch.allclose(found.gradient, jacobian.T @ (weight * residual), rtol=1e-12)
    chi_square = (weight * residual * residual).sum()
    assert float(found.chi_square) == pytest.approx(float(chi_square), rel=1e-12)

    def half(misset: torch.Tensor) -> torch.Tensor:
        own = ROTATION.pixels({"crystal.misset_deg": misset}, select)
        return (weight * (torch.from_numpy(data) - own) ** 2).sum() / 2.0

    leaf = ROTATION.initial("crystal.misset_deg").requires_grad_()
    (slope,) = torch.autograd.grad(half(leaf), leaf)
    assert torch.allclose(-found.gradient[:3], slope, rtol=1e-10)


def _equations(data: Any, variance: Any, names: Any = ("crystal.misset_deg",)) -> object:
    select = Selection.pixels([[0, 0], [1, 1]])
    return ROTATION.normal_equations({}, names, data, variance, select)


TWO = torch.ones(2, dtype=torch.float64)
BATCH = {"crystal.misset_deg": torch.ones(2, 3, dtype=torch.float64)}
WRONG: list[tuple[Callable[[], object], str]] = [
    (partial(_equations, torch.ones(3), TWO), r"data: got shape \(3,\).*2 finite numbers"),
    (partial(_equations, [1.0, 2.0], TWO), r"data: got \[1.0, 2.0\], need a tensor or array"),
    (partial(_equations, TWO, torch.tensor([1.0, 0.0])), r"variance\[1\]: got 0.0, need a var"),
    (partial(_equations, TWO, torch.tensor([-1.0, 1.0])), r"variance\[0\]: got -1.0, need a var"),
    (partial(_equations, TWO, np.array([1.0, np.nan])), r"variance\[1\]: got nan, need a tensor"),
    (partial(_equations, torch.tensor([np.inf, 1.0]), TWO), r"data\[0\]: got inf"),
    (partial(_equations, TWO.to(torch.complex64), TWO), "data: got shape .*complex64"),
    (partial(_equations, TWO > 0.0, TWO), "data: got shape .*torch.bool"),
    (partial(_equations, TWO, TWO, "crystal.misset_deg"), "names: got 'crystal.misset_deg', need"),
    (partial(_equations, TWO, TWO, ["crystal.misset"]), r"names: .*you mean crystal.misset_deg"),
    (partial(_equations, TWO, TWO, [3]), "parameter: got 3"),
    (partial(_equations, TWO, TWO, ["crystal.misset_deg"] * 2), "names: got .* need each name"),
    (partial(_equations, TWO, TWO, ["structure_factors.grid"]), "Jacobian by all structure fac"),
    (partial(ROTATION.jacobian, BATCH, ["crystal.misset_deg"]), "values: got a batch, need sin"),
]  # fmt: skip


@for_each("number", range(len(WRONG)))
def test_wrong_arguments_are_errors(number: int) -> None:
    ask, words = WRONG[number]
    with pytest.raises(nb.ConfigError, match=words):
        ask()


def test_a_jacobian_is_no_function_for_torch_func() -> None:
    start = ROTATION.initial("crystal.misset_deg")

    def rows(misset: torch.Tensor) -> torch.Tensor:
        return ROTATION.jacobian({"crystal.misset_deg": misset}, ["crystal.misset_deg"])[1].sum()

    with pytest.raises(nb.UnsupportedError, match="give plain numbers"):
        torch.func.grad(rows)(start)


def test_a_jacobian_without_columns() -> None:
    pixels, jacobian = ROTATION.jacobian({}, [])
    assert torch.equal(pixels, ROTATION.pixels())
    assert jacobian.shape == (pixels.numel(), 0)
    equations = ROTATION.normal_equations({}, [], 2.0 * pixels, pixels)
    assert equations.matrix.shape == (0, 0)
    assert float(equations.chi_square) == pytest.approx(float(pixels.sum()))
