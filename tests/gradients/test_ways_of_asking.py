"""First and second derivatives are right in whatever way PyTorch is asked for them; what cannot be
right is an error."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import pytest
from for_each import for_each
from torch_scenes import SCENES, projection, values_of
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel

functional, func, forward_ad = (torch.autograd.functional, torch.func, torch.autograd.forward_ad)
Tensor = torch.Tensor
Function = Callable[[Tensor], Tensor]
SHAPES: dict[str, nb.Shape] = {"misset": "gauss", "distance": "round", "cell": "square"}
NAMES = {
    "misset": "crystal.misset_deg",
    "distance": "detector.distance_mm",
    "cell": "crystal.cell_angstrom",
}
STEPS = {"misset": 1e-3, "distance": 1e-2, "cell": 1e-3}
ROWS = 2
WEIGHTS = projection((4, 4))


@cache
def _model(case: str) -> ForwardModel:
    experiment = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=1.0),
        crystal=nb.Crystal(
            cell_angstrom=(70, 80, 90),
            cell_deg=(75, 85, 95),
            n_cells=(5, 5, 5),
            shape=SHAPES[case],
            mosaic_spread_deg=0.1,
            mosaic_domains=2,
        ),
        detector=nb.Detector(distance_mm=100, pixel_size_mm=0.8, n_fast=4, n_slow=4),
        sampling=nb.Sampling(oversample=1),
    )
    return ForwardModel(experiment, nb.StructureFactors.constant(100.0), tile_steps=16)


def _start(case: str) -> Tensor:
    return 1.0001 * _model(case).initial(NAMES[case]).reshape(-1) + 0.01


def _image(case: str, x: Tensor) -> Tensor:
    name = NAMES[case]
    return _model(case)({name: x.reshape(_model(case).initial(name).shape)})


def _rows(case: str, x: Tensor) -> Tensor:
    """Two pixels of different tiles."""
    return _image(case, x).reshape(-1)[3::9] / 1e-9


def _loss(case: str, x: Tensor) -> Tensor:
    return torch.log((_image(case, x) * WEIGHTS).sum())


def _gradient(f: Function, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(f(leaf), leaf)
    return found


def _quotients(f: Function, x: Tensor, step: float) -> Tensor:
    """Derivatives along each number of x, by differences of fourth order."""
    columns = []
    for unit in step * torch.eye(len(x), dtype=torch.float64):
        near, far = f(x + unit) - f(x - unit), f(x + 2 * unit) - f(x - 2 * unit)
        columns.append((8.0 * near - far) / (12.0 * step))
    return torch.stack(columns, -1)


def _direction(x: Tensor) -> Tensor:
    return torch.linspace(1.0, -2.0, len(x), dtype=torch.float64)


@cache
def _expected(case: str) -> tuple[Tensor, Tensor, Tensor]:
    """Jacobian of the rows, gradient and Hessian of the loss."""
    x, step = _start(case), STEPS[case]
    jacobian = _quotients(partial(_rows, case), x, step)
    gradient = _quotients(partial(_loss, case), x, step)
    hessian = _quotients(partial(_gradient, partial(_loss, case)), x, step)
    return jacobian, gradient, hessian


def _twice(f: Function, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(f(leaf), leaf, create_graph=True)
    (found,) = torch.autograd.grad((first * _direction(x)).sum(), leaf)
    return found


def _backward_twice(f: Function, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    f(leaf).backward(create_graph=True)
    first, leaf.grad = leaf.grad, None
    (first * _direction(x)).sum().backward()
    return leaf.grad


def _through_others(f: Function, x: Tensor) -> Tensor:
    """The image is not the last step, and what is around it has second derivatives of its own."""
    leaf = x.sqrt().requires_grad_()
    (first,) = torch.autograd.grad(torch.exp(f(leaf * leaf)), leaf, create_graph=True)
    (found,) = torch.autograd.grad((first * _direction(x)).sum(), leaf)
    return found


def _expected_through_others(case: str) -> Tensor:
    """The same Hessian by the chain rule."""
    _, gradient, hessian = _expected(case)
    root = _start(case).sqrt()
    value = torch.exp(_loss(case, root * root))
    by_root = 2.0 * root * gradient
    second = 4.0 * root[:, None] * hessian * root + torch.diag(2.0 * gradient)
    return value * ((second + by_root[:, None] * by_root) @ _direction(root))


def _dual(f: Function, x: Tensor) -> Tensor:
    with forward_ad.dual_level():
        result = f(forward_ad.make_dual(x, _direction(x)))
        return forward_ad.unpack_dual(result).tangent


def _dual_of_gradient(f: Function, x: Tensor) -> Tensor:
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.clone().requires_grad_(), _direction(x))
        (first,) = torch.autograd.grad(f(dual), dual, create_graph=True)
        return forward_ad.unpack_dual(first).tangent


def _batched(f: Function, x: Tensor) -> Tensor:
    leaf, rows = x.clone().requires_grad_(), torch.eye(ROWS, dtype=torch.float64)
    (found,) = torch.autograd.grad(f(leaf), leaf, rows, is_grads_batched=True)
    return found


def _graph_of_batched(f: Function, x: Tensor) -> Tensor:
    """The gradient of the sum of squares of the Jacobian over 2, the Jacobian made at once."""
    leaf = x.clone().requires_grad_()
    jacobian = functional.jacobian(f, leaf, vectorize=True, create_graph=True)
    (found,) = torch.autograd.grad(jacobian.square().sum() / 2.0, leaf)
    return found


def _expected_graph_of_batched(case: str) -> Tensor:
    def half(x: Tensor) -> Tensor:
        return functional.jacobian(partial(_rows, case), x).square().sum() / 2.0

    return _quotients(half, _start(case), STEPS[case])


Way = Callable[[Function, Tensor], Tensor]
OF_ROWS: dict[str, Way] = {
    "functional.jacobian": functional.jacobian,
    "vectorized": lambda f, x: functional.jacobian(f, x, vectorize=True),
    "forward mode": lambda f, x: functional.jacobian(
        f, x, vectorize=True, strategy="forward-mode"
    ),
    "is_grads_batched": _batched,
    "func.jacrev": lambda f, x: func.jacrev(f)(x),
    "func.jacfwd": lambda f, x: func.jacfwd(f)(x),
    "vmap of vjp": lambda f, x: func.vmap(lambda g: func.vjp(f, x)[1](g)[0])(
        torch.eye(ROWS, dtype=torch.float64)
    ),
}  # fmt: skip
ALONG: dict[str, Way] = {
    "functional.jvp": lambda f, x: functional.jvp(f, x, _direction(x))[1],
    "dual numbers": _dual,
    "func.jvp": lambda f, x: func.jvp(f, (x,), (_direction(x),))[1],
}
OF_LOSS: dict[str, Way] = {
    "grad": _gradient,
    "functional.vjp": lambda f, x: functional.vjp(f, x)[1],
    "func.grad": lambda f, x: func.grad(f)(x),
    "func.vjp": lambda f, x: func.vjp(f, x)[1](torch.ones((), dtype=torch.float64))[0],
    "func.jacrev": lambda f, x: func.jacrev(f)(x),
    "vmap of grad": lambda f, x: func.vmap(func.grad(f))(torch.stack([x, 1.001 * x]))[0],
    "vmap of vmap": lambda f, x: func.vmap(func.vmap(func.grad(f)))(x[None, None])[0, 0],
}
SECOND: dict[str, Way] = {
    "functional.hessian": functional.hessian,
    "vectorized": lambda f, x: functional.hessian(f, x, vectorize=True),
    "outer forward mode": lambda f, x: functional.hessian(
        f, x, vectorize=True, outer_jacobian_strategy="forward-mode"
    ),
    "func.hessian": lambda f, x: func.hessian(f)(x),
    "reverse over reverse": lambda f, x: func.jacrev(func.jacrev(f))(x),
    "reverse over forward": lambda f, x: func.jacrev(func.jacfwd(f))(x),
}  # fmt: skip
SECOND_ALONG: dict[str, Way] = {
    "grad twice": _twice,
    "backward twice": _backward_twice,
    "functional.hvp": lambda f, x: functional.hvp(f, x, _direction(x))[1],
    "functional.vhp": lambda f, x: functional.vhp(f, x, _direction(x))[1],
    "dual numbers of a gradient": _dual_of_gradient,
    "jvp of grad": lambda f, x: func.jvp(func.grad(f), (x,), (_direction(x),))[1],
    "vmap of jvp of grad": lambda f, x: func.vmap(lambda v: func.jvp(func.grad(f), (x,), (v,))[1])(
        _direction(x)[None]
    )[0],
}


def _same(found: Tensor, expected: Tensor) -> None:
    assert float(expected.abs().max()) > 1e-4
    error = (found.detach() - expected).abs().max() / expected.abs().max()
    assert float(error) < 1e-7


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@for_each("way", OF_ROWS)
def test_jacobian(way: str) -> None:
    for case in NAMES:
        _same(OF_ROWS[way](partial(_rows, case), _start(case)), _expected(case)[0])


@for_each("way", ALONG)
def test_derivative_along_a_direction(way: str) -> None:
    for case in NAMES:
        x = _start(case)
        _same(ALONG[way](partial(_rows, case), x), _expected(case)[0] @ _direction(x))


@for_each("way", OF_LOSS)
def test_gradient(way: str) -> None:
    for case in NAMES:
        _same(OF_LOSS[way](partial(_loss, case), _start(case)), _expected(case)[1])


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@for_each("way", SECOND)
def test_hessian(way: str) -> None:
    for case in NAMES:
        _same(SECOND[way](partial(_loss, case), _start(case)), _expected(case)[2])


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph:UserWarning")
@for_each("way", SECOND_ALONG)
def test_hessian_along_a_direction(way: str) -> None:
    for case in NAMES:
        x = _start(case)
        _same(SECOND_ALONG[way](partial(_loss, case), x), _expected(case)[2] @ _direction(x))


def test_forward_over_forward() -> None:
    for case in NAMES:
        found = func.jacfwd(func.jacfwd(partial(_loss, case)))(_start(case))
        _same(found, _expected(case)[2])


def test_in_the_middle_of_other_steps() -> None:
    for case in NAMES:
        found = _through_others(partial(_loss, case), _start(case))
        _same(found, _expected_through_others(case))


def test_the_graph_of_rows_made_at_once() -> None:
    found = _graph_of_batched(partial(_rows, "misset"), _start("misset"))
    _same(found, _expected_graph_of_batched("misset"))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_gradcheck_and_gradgradcheck() -> None:
    f, x = partial(_rows, "misset"), _start("misset").requires_grad_()
    scale = float(_rows("misset", x).detach().abs().max())

    def scaled(y: Tensor) -> Tensor:
        return f(y) / scale

    assert torch.autograd.gradcheck(
        scaled, x, eps=1e-4, atol=1e-6, check_forward_ad=True, check_batched_grad=True
    )
    assert torch.autograd.gradgradcheck(scaled, x, eps=1e-4, atol=1e-6)


def test_third_derivatives_are_an_error() -> None:
    f, x = partial(_loss, "misset"), _start("misset")
    third = func.jacrev(func.jacrev(func.jacrev(f)))
    with pytest.raises(nb.UnsupportedError, match="first and second derivatives, no third ones"):
        third(x)


def test_what_writes_down_operators_is_an_error() -> None:
    """torch.func.linearize would take the image for a constant."""
    f, x = partial(_loss, "misset"), _start("misset")
    with pytest.raises(nb.UnsupportedError, match="cannot be traced into torch's operators"):
        func.linearize(f, x)


def test_vmap_gives_the_images_of_a_batch() -> None:
    many = torch.stack([_start("cell"), 1.001 * _start("cell")])
    images = func.vmap(partial(_image, "cell"))(many)
    assert torch.equal(images, _model("cell")({NAMES["cell"]: many}))
    assert not torch.equal(images[0], images[1])


def test_each_member_of_a_vmap_has_its_own_serial_order() -> None:
    """Where interpolation leaves the table, and for how many pixels, depends on the values."""
    grid = torch.rand((7, 7, 7), generator=torch.Generator().manual_seed(1)).double().numpy()
    factors = nb.StructureFactors.from_grid(grid, (-3, -3, -3), default_f=30.0)
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(8, 9, 10), n_cells=(1, 1, 1), misset_deg=(12, -31, 55)),
        detector=nb.Detector(distance_mm=90, pixel_size_mm=12.0, n_fast=6, n_slow=5),
        sampling=nb.Sampling(oversample=1, interpolate=True),
    )
    model = ForwardModel(experiment, factors)
    distances = torch.tensor([40.0, 90.0, 400.0], dtype=torch.float64)
    images = func.vmap(lambda d: model({"detector.distance_mm": d}))(distances)
    singly = [model({"detector.distance_mm": d}) for d in distances]
    assert torch.equal(images, torch.stack(singly))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_compile_goes_around_the_model() -> None:
    for f in (
        partial(_loss, "cell"),
        lambda x: _model("cell").pixels({NAMES["cell"]: x}).square().sum(),
    ):
        compiled = torch.compile(f, backend="eager")
        x = _start("cell")
        assert torch.equal(compiled(x), f(x))
        assert torch.equal(_gradient(compiled, x), _gradient(f, x))


@for_each("scene", ["rotation"])
def test_second_derivatives_by_every_parameter(scene: str) -> None:
    """Along a direction, against differences of the gradient."""
    model = ForwardModel(*SCENES[scene]())
    weights = projection(model.active_pixels.shape) / float(model().sum())

    def total(name: str, value: Tensor) -> Tensor:
        return (model({name: value}) * weights).sum()

    for name, value in values_of(model).items():
        leaf = value.clone().requires_grad_()
        (first,) = torch.autograd.grad(total(name, leaf), leaf, create_graph=True)
        size = first.detach().abs()
        if float(size.max()) == 0.0:
            continue
        direction = torch.where(size > 1e-3 * size.max(), size.max() / first.detach(), 1.0)
        slope = float((first.detach() * direction).sum())
        (second,) = torch.autograd.grad((first * direction).sum(), leaf)

        def along(step: float, name: str = name, value: Tensor = value, v: Tensor = direction):  # type: ignore[no-untyped-def]
            return float((_gradient(partial(total, name), value + step * v) * v).sum())

        found = float((second * direction).sum())
        step = 2e-3 / abs(slope)
        if found != 0.0:  # no more than makes the gradient another one
            step = min(step, 3e-3 * abs(slope / found))
        near, far = along(step) - along(-step), along(2 * step) - along(-2 * step)
        quotient = (8.0 * near - far) / (12.0 * step)
        assert abs(found - quotient) < 3e-4 * abs(found) + 1e-6 * slope * slope, name


def test_first_derivatives_add_up() -> None:
    """Two losses of one graph, one after the other."""
    leaf = _start("cell").requires_grad_()
    total = _loss("cell", leaf)
    total.backward(retain_graph=True)
    first = leaf.grad.clone()
    (2.0 * total).backward()
    assert torch.allclose(leaf.grad, 3.0 * first, rtol=1e-14)


def test_an_empty_image_has_derivatives_of_0() -> None:
    experiment = _model("cell").setup.experiment.replace({"sampling.roi": (3, 2, 0, 3)})
    model = ForwardModel(experiment, nb.StructureFactors.constant(100.0))
    found = functional.hessian(lambda x: model({NAMES["cell"]: x}).sum(), _start("cell"))
    assert torch.equal(found, torch.zeros(3, 3, dtype=torch.float64))


def test_functional_call_of_a_module() -> None:
    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.nn.Parameter(_start("cell"))

        def forward(self) -> Tensor:
            return _loss("cell", self.cell)

    other = (_start("cell") * 1.001).requires_grad_()
    total = func.functional_call(Module(), {"cell": other}, ())
    (gradient,) = torch.autograd.grad(total, other)
    assert torch.equal(gradient, _gradient(partial(_loss, "cell"), other.detach()))
