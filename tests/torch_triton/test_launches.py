"""Pixels and rays in a launch of their own: the bits of torch's operators, when these are needed,
and how many launches and operators there are in a render."""

from __future__ import annotations

from typing import Any

import pytest
from compiled_scenes import relative_error
from sum_scenes import SCENES, experiment, table, the_part
from triton_launches import Watch, meta_render, noted_launches
from triton_scenes import DEVICE, TritonPart
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.on_triton import ray_launches
from nanobragg_hybrid.engines.torch.on_triton.kernel import IS_INTERPRETED
from nanobragg_hybrid.engines.torch.set_up.quantities import GRID

CURVED = ("curved", "curved, facing", "sphere")
MOST_OF_LISTS, MOST_OF_A_GRADIENT = 45, 60


def operators_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels and rays are computed as where they have derivatives."""
    monkeypatch.setattr(ray_launches.RayChoices, "moves", lambda *_: True)


@pytest.mark.parametrize("name", [name for name in SCENES if name not in CURVED])
def test_it_has_the_bits_of_operators(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = TritonPart(the_part(name))
    assert own.kernel.rays_by_operators_because == ""
    values = own.values()
    operators_only(monkeypatch)
    expected = own.values()
    assert float(expected.norm()) > 0.0
    if IS_INTERPRETED:  # where exponentials are the same ones
        assert torch.equal(values, expected)
    assert relative_error(values, expected) < 1e-14


@pytest.mark.parametrize("name", CURVED)
def test_curved_detectors_are_left_to_operators(name: str) -> None:
    own = TritonPart(the_part(name))
    assert own.kernel.rays_by_operators_because == ray_launches.CURVED


CRYSTAL = ("crystal.misset_deg", "crystal.n_cells", "crystal.cell_angstrom")


def gradient(own: ForwardModel) -> tuple[torch.Tensor, ...]:
    """Of a weighted image by the crystal and its structure factors."""
    names = [*(each.name for each in own.parameters() if each.name in CRYSTAL), GRID]
    values = {name: own.initial(name).requires_grad_() for name in names}
    image = own(values)
    weight = torch.linspace(0.5, 1.5, image.numel(), dtype=torch.float64, device=image.device)
    return torch.autograd.grad((image.reshape(-1) * weight).sum(), list(values.values()))


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "running": {"sampling__oversample_polar": True, "sampling__oversample": 2},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_gradients_by_the_crystal_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions and factors have no derivative then: they come from the launch."""
    scene = small(**OPTIONS[name]), table(21)
    filled = []
    launch = ray_launches.PixelLaunch.filled
    monkeypatch.setattr(
        ray_launches.PixelLaunch, "filled", lambda own: filled.append(own) or launch(own)
    )
    found = gradient(ForwardModel(*scene, device=DEVICE, kernel="triton"))
    assert len(filled) == 1  # the image is a launch of its own
    expected = gradient(ForwardModel(*scene, kernel="eager"))
    for one, other in zip(found, expected, strict=True):
        assert float(other.norm()) > 0.0
        assert relative_error(one.cpu(), other) < 1e-11


def test_a_derivative_by_the_detector_is_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ForwardModel(small(), table(21), device=DEVICE, kernel="triton")
    seen = []
    moves = ray_launches.RayChoices.moves
    monkeypatch.setattr(
        ray_launches.RayChoices, "moves", lambda *given: seen.append(moves(*given)) or seen[-1]
    )
    for name, expected in (
        ("detector.distance_mm", True),
        ("beam.wavelength_angstrom", True),
        ("crystal.misset_deg", False),
        ("beam.fluence_photons_per_m2", False),
    ):
        seen.clear()
        own({name: own.initial(name).requires_grad_()}).sum().backward()
        assert seen == [False, expected], name


def small(**changes: Any) -> nb.Experiment:
    """Few pixels of a Gaussian crystal."""
    shape = {"crystal__shape": "gauss", "detector__n_fast": 8, "detector__n_slow": 4}
    return experiment(**{**shape, **changes})


@pytest.mark.parametrize("tolerance", [0.0, 1e-4])
def test_a_render_is_one_launch(tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """And with a tolerance three, and the operators that tiles and bounds take."""
    own = ForwardModel(small(crystal__mosaic_domains=4), table(21), kernel="triton", device=DEVICE)
    kernel, *given = meta_render(own, tolerance)
    launched = noted_launches(monkeypatch)
    with torch.no_grad(), Watch() as watch:
        kernel.values(*given)
    assert watch.on_cpu == []
    if tolerance == 0.0:
        assert launched == ["pixel_values"]
        assert watch.working == []
    else:
        assert launched == ["pixel_rays", "lit_steps", "pixel_values"]
        assert 0 < len(watch.working) <= MOST_OF_LISTS


def test_a_gradient_by_orientations_is_few_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ForwardModel(small(), table(21), kernel="triton", device=DEVICE)
    kernel, piece, packed, template = meta_render(own)
    launched = noted_launches(monkeypatch)
    cells = packed.cells.requires_grad_()
    with Watch() as watch:
        values = kernel.values(piece, packed, template)
        torch.autograd.grad(values, cells, torch.ones_like(values))
    assert launched == ["pixel_rays", "pixel_sums", "pixel_slopes", "cell_slopes"]
    assert watch.on_cpu == []
    assert 0 < len(watch.working) <= MOST_OF_A_GRADIENT


def test_operators_that_work_are_counted() -> None:
    """And those that only look are not."""
    with Watch() as watch:
        x = torch.empty(4)[1:].detach()
        x.add_(1.0).sum()
    assert watch.working == ["add_", "sum"]
    assert 3 in watch.on_cpu


def test_pixels_are_numbered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next render of the same pixels takes their numbers from the last one."""
    own = ForwardModel(small(), table(21), kernel="triton", device=DEVICE)
    first = own()
    monkeypatch.setattr(type(own.active_pixels), "numbers", None)
    assert torch.equal(own(), first)


def test_the_provenance_says_who_computes_rays() -> None:
    engine = nb.TorchEngine(device=str(DEVICE), kernel="triton")
    for curved, reason in ((False, ""), (True, ray_launches.CURVED)):
        scene = small(detector__curved=curved, crystal__mosaic_domains=1), table(21)
        assert nb.simulate(*scene, backend=engine).provenance["operators_reason"] == reason
