"""Every parameter of every scene: torch's own check, batches, value 0, and no look at a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from torch_scenes import SCENES, projection, together, values_of
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.set_up.parameters import known_names

EXPERIMENTS = 2  # for each parameter


@cache
def _model(scene: str, kernel: str = "auto") -> ForwardModel:
    return ForwardModel(*SCENES[scene](), kernel=kernel)


def _cases() -> Iterator[tuple[str, str]]:
    """The first two scenes for each parameter, not counting those where the value has no effect."""
    seen: Counter[str] = Counter()
    for scene in SCENES:
        for parameter in _model(scene).parameters():
            if seen[parameter.name] < EXPERIMENTS and (scene, parameter.name) not in SKIPPED:
                seen[parameter.name] += 1
                yield scene, parameter.name


# No reflection of theirs is in, or out of, the table; no water.  See test_difference_quotients.
SKIPPED = {("outside", "structure_factors.grid")}
SKIPPED |= {(scene, "structure_factors.default_f") for scene in ("rotation", "sources", "bent")}
SKIPPED |= {(scene, "crystal.water_um") for scene in ("sources", "spherical", "by_beam")}
CASES = list(_cases())


def test_every_parameter_is_there_twice() -> None:
    counts = Counter(name for _, name in CASES)
    assert counts == dict.fromkeys(known_names(), EXPERIMENTS)


def _gradcheck(scene: str, name: str, right: float, kernel: str = "auto") -> None:
    """torch's check of a random projection of the image, along random directions of the value.

    The unit of the value is that in which the image changes by about itself, so that one step and
    one tolerance do for all.  right: share of the derivative that torch is told about.
    """
    model = _model(scene, kernel)
    start = values_of(model)[name]
    image = model()

    def projected(value: torch.Tensor) -> torch.Tensor:
        seen = model({name: value})
        if right != 1.0:
            seen = right * seen + (1.0 - right) * seen.detach()
        return (seen * projection(tuple(image.shape))).sum() / image.sum()

    leaf = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(projected(leaf), leaf)
    largest = float(gradient.abs().max())
    assert largest > 0.0
    little, change = 1.0 / largest, 1.0
    while change > 1e-6:
        little /= 100.0
        change = float((model({name: start + little}) - image).abs().sum() / image.sum())
    unit = little / change
    shift = torch.zeros_like(start).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: projected(start + unit * x),
        (shift,),
        eps=2e-7,
        atol=5e-7,
        rtol=1e-5,
        fast_mode=True,
    )


EAGER_TOO = [case for case in CASES if _model(case[0]).eager_reason is None]


@pytest.mark.parametrize(
    ("scene", "name", "kernel"),
    [(*case, "auto") for case in CASES] + [(*case, "eager") for case in EAGER_TOO],
)
def test_gradcheck(scene: str, name: str, kernel: str) -> None:
    _gradcheck(scene, name, 1.0, kernel)


@pytest.mark.parametrize(("scene", "name"), CASES[::20])
def test_gradcheck_sees_a_wrong_derivative(scene: str, name: str) -> None:
    """The criterion itself: a thousandth of a derivative is missing."""
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        _gradcheck(scene, name, 0.999)


@pytest.mark.parametrize("scene", ["still", "sources", "outside", "by_beam"])
def test_a_batch_of_every_parameter(scene: str) -> None:
    """Each value in turn has the batch dimension; also all of them, and every second one."""
    model = _model(scene)
    start = together(model)
    many = {name: torch.stack([value, value * (1.0 + 1e-6)]) for name, value in start.items()}
    names = list(start)
    for batched in (*([name] for name in names), names, names[::2]):
        stack = model({name: many[name] if name in batched else start[name] for name in names})
        singly = [
            model({name: many[name][n] if name in batched else start[name] for name in names})
            for n in (0, 1)
        ]
        assert torch.equal(stack, torch.stack(singly)), batched


# Values that are 0 where the configuration has another number.
ZERO = {
    "still": ["crystal.misset_deg", "crystal.water_um", "beam.polarization_kahn",
              "detector.rotation_deg", "detector.twotheta_deg", "structure_factors.default_f"],
    "rotation": ["crystal.mosaic_spread_deg", "goniometer.phi_deg", "goniometer.osc_deg",
                 "beam.polarization_kahn", "crystal.shape_fudge", "structure_factors.grid"],
    "bent": ["crystal.mosaic_spread_deg", "goniometer.phi_deg", "crystal.shape_fudge"],
    "corrected": ["crystal.mosaic_spread_deg", "goniometer.phi_deg", "goniometer.osc_deg",
                  "detector.twotheta_deg", "beam.polarization_kahn"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("scene", "name"), [(scene, name) for scene, names in ZERO.items() for name in names]
)
def test_a_value_of_zero(scene: str, name: str) -> None:
    """The image is that of an experiment with 0 in it; every derivative is finite."""
    model = _model(scene)
    values = {each: value.requires_grad_() for each, value in together(model).items()}
    values[name] = torch.zeros_like(values[name]).requires_grad_()
    image = model(values)
    assert torch.isfinite(image).all()
    gradients = torch.autograd.grad(image.sum(), list(values.values()))
    for each, gradient in zip(values, gradients, strict=True):
        assert torch.isfinite(gradient).all(), each
    if name not in ("structure_factors.grid", "structure_factors.default_f", "crystal.water_um"):
        assert gradients[list(values).index(name)].abs().max() > 0.0


class _Looks(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts how often Python asks for a number that is in a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if function.overloadpacket is torch.ops.aten._local_scalar_dense:
            self.count += 1
        return function(*args, **(kwargs or {}))


class _Operations(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts operations on tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += 1
        return function(*args, **(kwargs or {}))


def _operations(changes: dict[str, Any]) -> int:
    experiment, factors, quirks = SCENES["still"]()
    many = {
        "goniometer.phi_deg": 1.0,
        "goniometer.osc_deg": 1.0,
        "goniometer.phi_steps": 2,
        "crystal.mosaic_spread_deg": 0.5,
        "crystal.mosaic_domains": 2,
        "detector.sensor_thickness_um": 300.0,
        "detector.sensor_layers": 2,
    }
    experiment = experiment.replace(many | changes)
    model = ForwardModel(experiment, factors, quirks, tile_steps=10**7)
    values = {name: value.requires_grad_() for name, value in together(model).items()}
    with _Operations() as operations:
        model(values).sum().backward()
    return operations.count


@pytest.mark.parametrize(
    "changes",
    [
        {"detector.n_fast": 13, "detector.n_slow": 9},
        {"goniometer.phi_steps": 11},
        {"crystal.mosaic_domains": 9},
        {"beam.divergence_h_steps": 7, "beam.dispersion_steps": 3},
        {"sampling.oversample": 5},
        {"detector.sensor_layers": 6},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_no_loop_in_python(changes: dict[str, Any]) -> None:
    """With a tile for everything, forward and backward take as many operations for more pixels,
    phi steps, domains, sources, sub-pixels and layers."""
    assert _operations(changes) == _operations({})


def _looks(model: ForwardModel) -> int:
    values = {name: value.requires_grad_() for name, value in together(model).items()}
    with _Looks() as looks:
        model(values).sum().backward()
    return looks.count


@pytest.mark.parametrize("scene", SCENES)
def test_no_value_is_looked_at(scene: str) -> None:
    """Forward and backward with every parameter a tensor: nothing waits for a device."""
    choices = _model(scene).setup.choices
    switches_off = choices.interpolate and choices.interpolation_switches_off
    assert (scene == "sources") == switches_off  # see the next test
    model = ForwardModel(*SCENES[scene](), kernel="eager")  # the one that computes on devices
    assert (scene == "sources") == (_looks(model) > 0)


def test_looks_for_the_serial_order() -> None:
    """What is looked at: once a tile, whether it has the step that ends interpolation (quirk
    interpolation_latch), or the first one that dmin leaves where phi starts at 0."""
    experiment, factors, quirks = SCENES["sources"]()
    unlatched = nb.Quirks.parse(f"{quirks},-interpolation_latch")
    assert _looks(ForwardModel(experiment, factors, unlatched, kernel="eager")) == 0
    changes: dict[str, Any] = {"goniometer.phi_deg": 0.0, "sampling.interpolate": False}
    still = experiment.replace(changes)
    assert _looks(ForwardModel(still, factors, quirks, kernel="eager")) == 0
    cut = still.replace({"sampling.dmin_angstrom": 1.0})
    assert _looks(ForwardModel(cut, factors, quirks, kernel="eager")) == 2  # whether, and where
