"""Every derivative against difference quotients, whose error has to vanish as step^2."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from derivatives import Sweep, sweep
from torch_scenes import SCENES, projection, values_of
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.eager import intensities as kernel
from nanobragg_hybrid.engines.torch.set_up.parameters import known_names

TOLERANCE = 1e-6
JUMP_MARGIN = 0.05  # of h, k, l, where structure factors or shapes depend on the nearest whole one

# Values that change no pixel of a scene, and why.
WITHOUT_EFFECT = {
    ("outside", "structure_factors.grid"): "all reflections are outside the table",
    ("rotation", "structure_factors.default_f"): "all reflections are inside the table",
    ("sources", "structure_factors.default_f"): "all reflections are inside the table",
    ("bent", "structure_factors.default_f"): "all reflections are inside the table",
    ("sources", "crystal.water_um"): "there is no water, and the background goes with its cube",
    ("spherical", "crystal.water_um"): "there is no water, and the background goes with its cube",
    ("by_beam", "crystal.water_um"): "there is no water, and the background goes with its cube",
    ("by_near_point", "crystal.water_um"): "there is no water",
    ("spectra_of_sources", "crystal.water_um"): "there is no water",
    ("sphere", "structure_factors.default_f"): "all reflections are inside the table",
    ("oblong_sphere", "structure_factors.default_f"): "all reflections are inside the table",
    ("weighted", "structure_factors.default_f"): "all reflections are inside the table",
}

# The image is a polynomial of first or second degree in them, so that quotients have no error (but
# for the polarization where that is in every step's running product).
EXACT = {
    "beam.fluence_photons_per_m2",
    "beam.polarization_kahn",
    "structure_factors.default_f",
    "structure_factors.grid",
}


@cache
def _model(scene: str, kernel: str = "auto") -> ForwardModel:
    return ForwardModel(*SCENES[scene](), kernel=kernel)


CASES = [(scene, each.name) for scene in SCENES for each in _model(scene).parameters()]


def _projected(scene: str, values: dict[str, torch.Tensor], kernel: str = "auto") -> torch.Tensor:
    """A random projection of the image, 1 or so."""
    model = _model(scene, kernel)
    image = model(values)
    return (image * projection(image.shape)).sum() / _norm(scene)


@cache
def _norm(scene: str) -> float:
    return float(_model(scene)({}).sum())


def _gradient(scene: str, name: str, kernel: str = "auto") -> tuple[torch.Tensor, torch.Tensor]:
    """The parameter's value, and the projection's gradient with respect to it alone."""
    value = values_of(_model(scene))[name].requires_grad_()
    (gradient,) = torch.autograd.grad(_projected(scene, {name: value}, kernel), value)
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


def _sweep(scene: str, name: str, kernel: str = "auto") -> Sweep:
    value, gradient = _gradient(scene, name, kernel)
    direction = _direction(value, gradient)
    derivative = float((gradient * direction).sum())

    def along(step: float) -> float:
        with torch.no_grad():
            return float(_projected(scene, {name: value + step * direction}, kernel))

    first = 0.2 / abs(derivative)
    if name == "beam.sources.weight":  # whose sum has to stay positive
        first = min(first, float((value / direction.abs()).min()) / 2.0)
    return sweep(along, derivative, first)


COMPILED = {scene for scene in SCENES if _model(scene).eager_reason is None}


def test_which_scenes_the_compiled_kernels_render() -> None:
    """All but the one whose domains have weights."""
    assert set(SCENES) - COMPILED == {"spectra_of_sources"}


@pytest.mark.parametrize(
    ("scene", "name", "kernel"),
    [
        (*case, kernel)
        for kernel in ("auto", "eager")
        for case in CASES
        if case not in WITHOUT_EFFECT and (kernel == "auto" or case[0] in COMPILED)
    ],
)
def test_error_is_a_straight_line_through_zero(scene: str, name: str, kernel: str) -> None:
    """Central quotients miss the derivative by c step^2 until rounding is seen, and not by more."""
    found = _sweep(scene, name, kernel)
    assert found.derivative != 0.0
    assert found.limit_error() < TOLERANCE
    assert np.all(np.abs(found.slopes()[-1:] - 2.0) < 0.1), found
    assert name in EXACT or len(found.slopes()) >= 2, found


@pytest.mark.parametrize(("scene", "name"), list(WITHOUT_EFFECT))
def test_values_without_effect(scene: str, name: str) -> None:
    """Their derivative is 0, and so is what a large change of them does."""
    value, gradient = _gradient(scene, name)
    assert (gradient * value).abs().max() < 1e-14
    image, changed = _model(scene)({name: value}), _model(scene)({name: 1.1 * value})
    assert torch.allclose(image, changed, rtol=1e-13, atol=0.0)


@pytest.mark.parametrize(("scene", "name"), CASES)
def test_initial_value_is_that_of_the_image(scene: str, name: str) -> None:
    """Giving a parameter the value it has anyway changes nothing but the last digits."""
    model = _model(scene)
    image = model({name: model.initial(name)})
    assert torch.allclose(image, model({}), rtol=1e-11, atol=0.0)


NEEDED_INSTEAD = [
    ("outside", "detector.beam_x_mm", "detector.org_x_px"),
    ("outside", "detector.close_y_mm", "detector.org_y_px"),
    ("outside", "detector.distance_mm", "detector.close_distance_mm"),
    ("still", "detector.org_x_px", "detector.beam_x_mm"),
    ("by_beam", "detector.org_x_px", "detector.beam_x_mm"),
    ("by_near_point", "detector.beam_x_mm", "detector.close_x_mm"),
    ("corrected", "detector.beam_y_mm", "detector.close_y_mm"),
    ("bent", "beam.wavelength_angstrom", "beam.sources.wavelength_m"),
    ("rotation", "beam.wavelength_angstrom", "crystal.orientation_matrix"),
    ("bent", "crystal.cell_deg", "crystal.orientation_matrix"),
    ("still", "structure_factors.grid", "structure_factors.default_f"),
    ("still", "detector.pix0_m", "detector.origin_m"),
]


@pytest.mark.parametrize(("scene", "name", "instead"), NEEDED_INSTEAD)
def test_what_has_no_effect_says_what_has(scene: str, name: str, instead: str) -> None:
    model = _model(scene)
    names = [each.name for each in model.parameters()]
    assert name not in names
    assert instead in names
    with pytest.raises(nb.ConfigError, match=f"{name}.*has an effect.*use .*{instead}"):
        model.initial(name)


NO_EFFECT = [
    ({"beam.polarization_correction": False}, "beam.polarization_kahn", "no polarization"),
    (
        {"beam.polarization_correction": False, "beam.divergence_h_mrad": 0.0,
         "beam.divergence_v_mrad": 0.0, "beam.polarization_axis": (0.0, 0.0, 1.0)},
        "beam.polarization_axis",
        "neither",
    ),
    ({"beam.flux_photons_per_s": 1e9}, "beam.fluence_photons_per_m2", "flux"),
    ({"beam.sources": (nb.Source(),)}, "beam.sources.weight", "source_weights_ignored"),
    ({}, "beam.sources.weight", "no sources"),
    ({}, "beam.direction", "configuration"),
    ({}, "crystal.shape_fudge", "square"),
    ({"crystal.size_mm": (1e-5, 1e-5, 1e-5)}, "crystal.n_cells", "size"),
    ({}, "crystal.mosaic_spread_deg", "no mosaic spread"),
    ({"goniometer.osc_deg": 1.0, "goniometer.phi_step_deg": 0.5}, "goniometer.osc_deg", "step"),
    ({"detector.normal_axis": (2.0, 0.0, 0.0)}, "detector.normal_axis", "fast x slow"),
    ({}, "detector.sensor_thickness_um", "no sensor"),
    ({"detector.sensor_thickness_um": None, "detector.sensor_layers": 3},
     "detector.sensor_thickness_um", "not give it"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "name", "why"), NO_EFFECT)
def test_what_has_no_effect_says_why(changes: dict[str, object], name: str, why: str) -> None:
    experiment, factors, quirks = SCENES["still"]()
    model = ForwardModel(experiment.replace(changes), factors, quirks)
    with pytest.raises(nb.ConfigError, match=f"{name}.*has an effect.*{why}"):
        model.initial(name)


def test_a_given_corner_is_the_origin() -> None:
    """With pix0_ignored off no distance and no centre has an effect."""
    experiment, factors, _ = SCENES["still"]()
    model = ForwardModel(
        experiment.replace({"detector.pix0_m": (0.09, 0.01, -0.01)}),
        factors,
        nb.Quirks(pix0_ignored=False),
    )
    assert model.initial("detector.origin_m").tolist() == [0.09, 0.01, -0.01]
    for name in ("distance_mm", "close_distance_mm", "beam_x_mm", "close_x_mm", "org_y_px"):
        with pytest.raises(nb.ConfigError, match=r"has an effect.*use detector\.origin_m"):
            model.initial(f"detector.{name}")


@pytest.mark.parametrize("convention", ["mosflm", "xds", "adxv", "denzo", "dials", "custom"])
@pytest.mark.parametrize("pivot", ["beam", "sample"])
@pytest.mark.parametrize("centre", ["", "beam_x_mm", "close_y_mm", "org_x_px"])
@pytest.mark.parametrize("is_ignored", [True, False])
def test_the_centre_that_counts(convention: str, pivot: str, centre: str, is_ignored: bool) -> None:
    """Two numbers of a point are listed, both change the image, and the others are refused."""
    changes: dict[str, object] = {"detector.convention": convention, "detector.pivot": pivot}
    if centre:
        changes[f"detector.{centre}"] = 3.0
    experiment = SCENES["by_beam"]()[0].replace(
        {"detector.beam_y_mm": None, "beam.direction": None, **changes}
    )
    quirks = nb.Quirks(near_point_ignored=is_ignored, pivot_flag_ignored=False)
    model = ForwardModel(experiment, nb.StructureFactors.constant(100.0), quirks)
    centres = ["beam_x_mm", "beam_y_mm", "close_x_mm", "close_y_mm", "org_x_px", "org_y_px"]
    listed = [each.name.removeprefix("detector.") for each in model.parameters()]
    counting = [name for name in centres if name in listed]
    assert len(counting) == 2
    if centre and not is_ignored:
        assert centre in counting
    reference = nb.simulate(experiment, nb.StructureFactors.constant(100.0), quirks=quirks).image
    image = model({f"detector.{name}": model.initial(f"detector.{name}") for name in counting})
    assert np.allclose(image.numpy(), reference, rtol=1e-5)
    for name in counting:
        moved = model({f"detector.{name}": model.initial(f"detector.{name}") + 0.3})
        configured = {f"detector.{name}": float(model.initial(f"detector.{name}")) + 0.3}
        need = nb.simulate(
            experiment.replace(configured), nb.StructureFactors.constant(100.0), quirks=quirks
        ).image
        assert np.allclose(moved.numpy(), need, rtol=1e-5)
        assert not np.allclose(moved.numpy(), reference, rtol=1e-3)


def test_initial_value_of_a_random_missetting() -> None:
    experiment = SCENES["still"]()[0].replace(
        {"crystal.misset_random": True, "crystal.misset_seed": 5}
    )
    model = ForwardModel(experiment, nb.StructureFactors.constant(100.0))
    image = model({"crystal.misset_deg": model.initial("crystal.misset_deg")})
    assert torch.allclose(image, model({}), rtol=1e-9, atol=0.0)


def test_every_parameter_has_a_derivative_in_two_scenes() -> None:
    counts = Counter(name for scene, name in CASES if (scene, name) not in WITHOUT_EFFECT)
    rare = {name for name in known_names() if counts[name] < 2}
    assert rare == set()


def _has_jumps(scene: str) -> bool:
    """Whether structure factors or shapes depend on the nearest reflection."""
    experiment, factors, _ = SCENES[scene]()
    return factors.grid is not None or experiment.crystal.shape != "square"


@pytest.mark.parametrize("scene", [scene for scene in SCENES if _has_jumps(scene)])
def test_no_index_is_near_a_jump(scene: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenes are where they have to be for the sweeps."""
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
    """Every element of a few parameters by torch's own check, for a few pixels each."""
    start = values_of(_model(scene))
    brightest = float(_model(scene)({}).max())

    def image(*scaled: torch.Tensor) -> torch.Tensor:
        # Values and pixels of size 1, so that one step and one tolerance do for all.
        values = {name: x * start[name].abs().max() for name, x in zip(names, scaled, strict=True)}
        return _model(scene)(values)[1::3, ::2] / brightest

    scaled = [(start[name] / start[name].abs().max()).requires_grad_() for name in names]
    assert torch.autograd.gradcheck(image, scaled, eps=1e-7, atol=1e-6, rtol=1e-5)
