"""Every path's derivative against difference quotients, whose error has to vanish as step^2."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from derivatives import Sweep, sweep
from torch_scenes import SCENES, projection, values_of
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.torch_engine import ForwardModel, kernel
from nanobragg_hybrid.torch_engine.paths import known_names

TOLERANCE = 1e-6
JUMP_MARGIN = 0.05  # of h, k, l, where structure factors or shapes depend on the nearest whole one

# Values that change no pixel of a scene, and why.
WITHOUT_EFFECT = {
    ("still", "crystal.shape_fudge"): "square crystals have no fudge factor",
    ("outside", "crystal.shape_fudge"): "square crystals have no fudge factor",
    ("rotation", "detector.distance_mm"): "the close distance decides",
    ("outside", "detector.distance_mm"): "the close distance decides",
    ("outside", "detector.beam_x_mm"): "with the pivot at the sample the near point decides",
    ("outside", "detector.beam_y_mm"): "with the pivot at the sample the near point decides",
    ("outside", "structure_factors.grid"): "all reflections are outside the table",
    ("rotation", "structure_factors.default_f"): "all reflections are inside the table",
    ("sources", "structure_factors.default_f"): "all reflections are inside the table",
    ("bent", "structure_factors.default_f"): "all reflections are inside the table",
    ("sources", "beam.wavelength_angstrom"): "every source has its own",
    ("bent", "beam.wavelength_angstrom"): "every source has its own, and the cell its lengths",
    ("rotation", "beam.wavelength_angstrom"): "the matrix is in proportion to it",
    ("bent", "crystal.cell_deg"): "the matrix has the angles, and the volume cancels",
    ("sources", "crystal.water_um"): "there is no water, and the background goes with its cube",
    ("sphere", "beam.wavelength_angstrom"): "every source has its own, and the cell its lengths",
    ("sphere", "crystal.cell_deg"): "the matrix has the angles, and the volume cancels",
    ("sphere", "structure_factors.default_f"): "all reflections are inside the table",
    ("weighted", "beam.wavelength_angstrom"): "every source has its own",
    ("weighted", "structure_factors.default_f"): "all reflections are inside the table",
    ("sources", "beam.sources.weight"): "quirk source_weights_ignored",
    ("bent", "beam.sources.weight"): "quirk source_weights_ignored",
}


@cache
def _model(scene: str) -> ForwardModel:
    return ForwardModel(*SCENES[scene]())


CASES = [(scene, path.name) for scene in SCENES for path in _model(scene).paths()]


def _projected(scene: str, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """A random projection of the image, 1 or so."""
    model = _model(scene)
    image = model(values)
    return (image * projection(image.shape)).sum() / _norm(scene)


@cache
def _norm(scene: str) -> float:
    return float(_model(scene)({}).sum())


def _gradient(scene: str, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The path's value, and the projection's gradient with respect to it alone."""
    value = values_of(_model(scene))[name].requires_grad_()
    (gradient,) = torch.autograd.grad(_projected(scene, {name: value}), value)
    return value.detach(), gradient


def _direction(value: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """A random direction to which every element contributes alike, so that none can hide.

    Elements with little or no derivative get the longest step of the others.
    """
    generator = torch.Generator().manual_seed(3)
    random = 0.5 + torch.rand(value.shape, dtype=torch.float64, generator=generator)
    size = gradient.abs()
    largest = size.max()
    return random * torch.where(size > 1e-3 * largest, largest / gradient, 1.0)


def _sweep(scene: str, name: str) -> Sweep:
    value, gradient = _gradient(scene, name)
    direction = _direction(value, gradient)
    derivative = float((gradient * direction).sum())

    def along(step: float) -> float:
        with torch.no_grad():
            return float(_projected(scene, {name: value + step * direction}))

    return sweep(along, derivative, first=0.2 / abs(derivative))


@pytest.mark.parametrize(("scene", "name"), [case for case in CASES if case not in WITHOUT_EFFECT])
def test_error_is_a_straight_line_through_zero(scene: str, name: str) -> None:
    """Central quotients miss the derivative by c step^2 until rounding is seen, and not by more."""
    found = _sweep(scene, name)
    assert found.derivative != 0.0
    assert found.limit_error() < TOLERANCE
    assert np.all(np.abs(found.slopes()[-1:] - 2.0) < 0.1), found


@pytest.mark.parametrize(("scene", "name"), list(WITHOUT_EFFECT))
def test_values_without_effect(scene: str, name: str) -> None:
    """Their derivative is 0, and so is what a large change of them does."""
    value, gradient = _gradient(scene, name)
    assert (gradient * value).abs().max() < 1e-14
    image, changed = _model(scene)({name: value}), _model(scene)({name: 1.1 * value})
    assert torch.allclose(image, changed, rtol=1e-13, atol=0.0)


@pytest.mark.parametrize(("scene", "name"), CASES)
def test_initial_value_is_that_of_the_image(scene: str, name: str) -> None:
    """Giving a path the value it has anyway changes nothing but the last digits."""
    model = _model(scene)
    if name == "detector.close_distance_mm" and scene not in ("rotation", "outside"):
        with pytest.raises(nb.ConfigError, match="close_distance_mm"):
            model.initial(name)  # then the distance decides
    else:
        image = model({name: model.initial(name)})
        assert torch.allclose(image, model({}), rtol=1e-11, atol=0.0)


def test_initial_value_of_a_random_missetting() -> None:
    experiment = SCENES["still"]()[0].replace(
        {"crystal.misset_random": True, "crystal.misset_seed": 5}
    )
    model = ForwardModel(experiment, nb.StructureFactors.constant(100.0))
    image = model({"crystal.misset_deg": model.initial("crystal.misset_deg")})
    assert torch.allclose(image, model({}), rtol=1e-9, atol=0.0)


def test_every_path_has_a_derivative_in_two_scenes() -> None:
    counts = Counter(name for scene, name in CASES if (scene, name) not in WITHOUT_EFFECT)
    rare = {name for name in known_names() if counts[name] < 2}
    assert rare == set()


@pytest.mark.parametrize("scene", [scene for scene in SCENES if scene != "still"])
def test_no_index_is_near_a_jump(scene: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenes are where they have to be for the sweeps; in `still` nothing has a jump."""
    seen = []
    inner = kernel.fractional_indices

    def recording(*arguments: object) -> tuple[torch.Tensor, ...]:
        indices = inner(*arguments)
        seen.extend(indices)
        return indices

    monkeypatch.setattr(kernel, "fractional_indices", recording)
    model = _model(scene)
    model({})
    interpolated = model.setup.choices.interpolate
    for index in seen:
        part = index - torch.floor(index)
        assert (part - 0.5).abs().min() > JUMP_MARGIN
        if interpolated:  # the polynomial changes at whole numbers
            assert torch.minimum(part, 1.0 - part).min() > JUMP_MARGIN


@pytest.mark.parametrize(
    ("scene", "name", "factor"),
    [
        ("still", "crystal.misset_deg", 1.0 + 1e-5),
        ("rotation", "detector.sensor_thickness_um", 1.0 - 1e-5),
        ("sources", "beam.sources.wavelength_m", 1.0 + 1e-4),
    ],
)
def test_a_wrong_derivative_is_seen(scene: str, name: str, factor: float) -> None:
    """The criterion itself: an error of 1e-5 is far outside it."""
    found = _sweep(scene, name)
    wrong = Sweep(found.steps, found.quotients, found.noise, found.derivative * factor)
    assert wrong.limit_error() > 5.0 * TOLERANCE


@pytest.mark.parametrize(
    ("scene", "names"),
    [
        ("still", ["crystal.cell_angstrom", "crystal.cell_deg"]),
        ("rotation", ["goniometer.spindle_axis", "crystal.mosaic_spread_deg"]),
        ("sources", ["beam.sources.position", "detector.sensor_thickness_um"]),
    ],
)
def test_torch_gradcheck(scene: str, names: list[str]) -> None:
    """Every element of a few paths by torch's own check, for a few pixels each."""
    start = values_of(_model(scene))
    brightest = float(_model(scene)({}).max())

    def image(*scaled: torch.Tensor) -> torch.Tensor:
        # Values and pixels of size 1, so that one step and one tolerance do for all.
        values = {name: x * start[name].abs().max() for name, x in zip(names, scaled, strict=True)}
        return _model(scene)(values)[1::3, ::2] / brightest

    scaled = [(start[name] / start[name].abs().max()).requires_grad_() for name in names]
    assert torch.autograd.gradcheck(image, scaled, eps=1e-7, atol=1e-6, rtol=1e-5)
