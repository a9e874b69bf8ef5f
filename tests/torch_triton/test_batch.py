"""Several crystals in one launch: each is what it is alone, to the last bit."""

from __future__ import annotations

import pytest
from sum_scenes import ALL_OFF, ALL_ON, LISTED, ONE, SENSOR, WATER, experiment, table
from triton_scenes import DEVICE
from with_torch import torch

from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.on_triton import batch_sums, ray_launches, sum_launches
from nanobragg_hybrid.engines.torch.on_triton.kernels import batch as triton_batch

FEW = {"detector__n_fast": 6, "detector__n_slow": 4}
SCENES = {
    "square": (experiment(**FEW, **SENSOR), table(9), ALL_ON),
    "gauss, water": (experiment(**FEW, **WATER, **ONE, crystal__shape="gauss"), table(9), ALL_OFF),
    "running": (
        experiment(**FEW, **ONE, **LISTED, sampling__oversample_polar=True),
        table(9),
        ALL_ON,
    ),
}
OWN = (
    "crystal.misset_deg",
    "crystal.n_cells",
    "crystal.shape_fudge",
    "beam.fluence_photons_per_m2",
)
SHARED = ("detector.distance_mm", "beam.polarization_kahn")
MEMBERS = 2


def values_of(model: ForwardModel, *, has_grid: bool = False) -> dict[str, torch.Tensor]:
    """Some with a batch dimension, others without."""
    factors = torch.tensor([1.0, 1.01], dtype=torch.float64, device=DEVICE)
    listed = {parameter.name for parameter in model.parameters()}
    values = {
        name: model.initial(name) * factors.reshape(-1, *(1,) * model.initial(name).dim())
        for name in OWN
        if name in listed
    }
    values |= {name: model.initial(name) for name in SHARED}
    if has_grid:
        values["structure_factors.grid"] = model.initial("structure_factors.grid")
    return {name: x.requires_grad_() for name, x in values.items()}


def member(values: dict[str, torch.Tensor], n: int) -> dict[str, torch.Tensor]:
    return {name: x[n] if name in OWN else x for name, x in values.items()}


class Counted:
    """Launches of the kernels of a batch, and of one crystal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        for home, names in (
            (triton_batch, ("batch_sums", "batch_slopes", "batch_cell_slopes")),
            (sum_launches.triton_sums, ("pixel_sums",)),
            (sum_launches.triton_slopes, ("pixel_slopes",)),
            (ray_launches, ("pixel_values",)),
        ):
            for name in names:
                self._watch(monkeypatch, home, name)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, home: object, name: str) -> None:
        kernel, names = getattr(home, name), self.names

        class Watched:
            def __getitem__(self, grid: tuple[int, ...]) -> object:
                names.append(name)
                return kernel[grid]

        monkeypatch.setattr(home, name, Watched())


@pytest.mark.parametrize("name", SCENES)
def test_members_have_the_bits_that_they_have_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ForwardModel(*SCENES[name], device=DEVICE, kernel="triton")
    values = values_of(model)
    counted = Counted(monkeypatch)
    images = model(values)
    assert counted.names == ["batch_sums"]
    weight = torch.linspace(0.5, 1.5, images.numel(), dtype=torch.float64, device=DEVICE)
    weight = weight.reshape(images.shape)
    found = torch.autograd.grad((images * weight).sum(), list(values.values()))
    assert "pixel_sums" not in counted.names
    assert counted.names.count("batch_slopes") == counted.names.count("batch_cell_slopes") == 1
    monkeypatch.undo()
    alone = []
    for n in range(MEMBERS):
        image = model(member(values, n))
        assert torch.equal(images[n], image)
        alone.append(torch.autograd.grad((image * weight[n]).sum(), list(values.values())))
    for place, own in enumerate(values):
        if own in OWN:
            for n in range(MEMBERS):
                assert float(alone[n][place][n].norm()) > 0.0
                assert torch.equal(found[place][n], alone[n][place][n]), own
        else:
            together = sum(each[place] for each in alone)
            torch.testing.assert_close(found[place], together, rtol=1e-11, atol=0.0)
    assert not torch.equal(images[0], images[1])


def test_the_table_of_all_members() -> None:
    """By the table each member has a launch; the sum is as before."""
    own, eager = (
        ForwardModel(*SCENES["square"], device=device, kernel=kernel)
        for kernel, device in (("triton", DEVICE), ("eager", "cpu"))
    )
    found = {}
    for model in (own, eager):
        values = {
            name: x.detach().to(model.device).requires_grad_()
            for name, x in values_of(own, has_grid=True).items()
        }
        images = model(values)
        weight = torch.linspace(0.5, 1.5, images.numel(), dtype=torch.float64).to(images.device)
        total = (images.reshape(-1) * weight).sum()
        found[model] = [x.cpu() for x in torch.autograd.grad(total, list(values.values()))]
    for one, other in zip(found[own], found[eager], strict=True):
        assert float((one - other).norm()) <= 1e-11 * float(other.norm())


def test_groups_of_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rays at a time leave derivatives behind."""
    model = ForwardModel(*SCENES["running"], device=DEVICE, kernel="triton")
    angles = model.initial("crystal.misset_deg") + torch.tensor([[0.0], [0.2], [0.4]]).to(DEVICE)
    values = {
        "crystal.misset_deg": angles.requires_grad_(),
        "detector.distance_mm": model.initial("detector.distance_mm").requires_grad_(),
    }

    def gradient() -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(model(values).square().sum(), list(values.values()))

    by_angles, by_distance = gradient()
    monkeypatch.setattr(batch_sums, "_HELD_STEPS", 2 * 24 * 2)
    counted = Counted(monkeypatch)
    in_groups = gradient()
    assert counted.names.count("batch_slopes") == counted.names.count("pixel_slopes") == 1
    assert torch.equal(in_groups[0], by_angles)
    torch.testing.assert_close(in_groups[1], by_distance, rtol=1e-12, atol=0.0)


def test_who_has_a_launch_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members with rays of their own."""
    model = ForwardModel(*SCENES["square"], device=DEVICE, kernel="triton")
    counted = Counted(monkeypatch)
    distances = model.initial("detector.distance_mm") * torch.ones(
        (2,), dtype=torch.float64, device=DEVICE
    )
    model({"detector.distance_mm": distances})
    assert counted.names == ["pixel_values", "pixel_values"]
