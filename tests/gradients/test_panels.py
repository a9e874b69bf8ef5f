"""The model of a detector of panels: images of the configured numbers, and derivatives by all."""

from __future__ import annotations

import dataclasses
import pickle
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_scenes import projection
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.base import host
from nanobragg_hybrid.engines.torch import ForwardModel, PanelModel, Selection
from nanobragg_hybrid.engines.torch.panel_model import OF_PANELS
from nanobragg_hybrid.model.panel import Panel

A = Panel("a", (100, 10, -12), (0.02, 0.05, 1), (0.1, -1, 0.048), 9, 8, 2.0)
B = Panel("b", (-40, 30, 60), (1, -0.1, 0.3), (0, 1, 1 / 3), 7, 9, 2.5, sensor_thickness_um=300)
C = Panel("c", (90, -20, 15), (0, 1, 0), (0, 0, 1), 6, 6, 1.5, mask=nb.Mask(np.eye(6) == 0))
"""Downstream, upstream, and one whose normal is not fast x slow."""
BASE = nb.Experiment(
    beam=nb.Beam(polarization_kahn=0.7, fluence_photons_per_m2=4e29),
    crystal=nb.Crystal(
        cell_angstrom=(25, 30, 35), n_cells=(2, 3, 3), misset_deg=(10, 25, 30), shape="gauss"
    ),
    detector=nb.Detector(panels=(A, B, C), rotation_deg=(2, -3, 4), twotheta_deg=5),
    sampling=nb.Sampling(oversample=1, interpolate=False),
)
TABLE = nb.StructureFactors.constant(50.0)
SENSORS = BASE.replace(
    {
        "detector.panels": tuple(
            dataclasses.replace(
                panel,
                sensor_thickness_um=200.0 + 50 * n,
                sensor_attenuation_depth_um=150.0,
                sensor_layers=2,
            )
            for n, panel in enumerate((A, B, C))
        )
    }
)


@cache
def model(sensors: bool = False, quirks: str = "nanobragg", kernel: str = "auto") -> PanelModel:
    experiment = SENSORS if sensors else BASE
    return PanelModel(experiment, TABLE, nb.Quirks.parse(quirks), kernel=kernel)


def flat(images: tuple[torch.Tensor, ...]) -> torch.Tensor:
    return torch.cat([image.reshape(-1) for image in images])


NAMES = [each.name for each in model(True).parameters()]
GEOMETRY = [name for name in NAMES if name.startswith("detector.")]


def test_what_there_is_to_differentiate() -> None:
    shared = [each.name for each in model(True).models[0].parameters()]
    assert [name for name in NAMES if not name.startswith("detector.")] == [
        name for name in shared if not name.startswith("detector.")
    ]
    shapes = {each.name: each.shape for each in model(True).parameters()}
    assert {name: shapes[name] for name in GEOMETRY} == {
        "detector.twotheta_axis": (3,),
        "detector.rotation_deg": (3,),
        "detector.twotheta_deg": (),
        "detector.shift_mm": (3,),
        "detector.panels.origin_mm": (3, 3),
        "detector.panels.fast_axis": (3, 3),
        "detector.panels.slow_axis": (3, 3),
        "detector.panels.shift_mm": (3, 2),
        "detector.panels.rotation_deg": (3,),
        "detector.panels.pixel_size_mm": (3,),
        "detector.panels.sensor_thickness_um": (3,),
        "detector.panels.sensor_attenuation_depth_um": (3,),
    }
    assert "detector.panels.sensor_thickness_um" not in [p.name for p in model().parameters()]


def test_page_lists_what_there_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "panels.md").read_text()
    (table,) = re.findall(r"<!-- parameters: begin -->\n(.*?)<!-- parameters: end -->", page, re.S)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    known = {each.name: each for each in model(True).parameters()}
    assert {row[0] for row in rows} == {f"`{name}`" for name in GEOMETRY}
    for name, unit, shape, _ in rows:
        parameter = known[name.strip("`")]
        assert unit == parameter.unit
        sizes = tuple(3 if size == "panels" else int(size) for size in re.findall(r"\w+", shape))
        assert sizes == parameter.shape


def test_listings_of_the_page_run() -> None:
    """One after the other, as one program."""
    page = (Path(__file__).parents[2] / "docs" / "panels.md").read_text()
    program = "".join(re.findall(r"```python\n(.*?)```", page, re.S))
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        exec(program, names)
    assert names["shifts"].grad.abs().min() > 0.0


@pytest.mark.parametrize("quirks", ["nanobragg", "none"])
def test_images_are_those_of_the_engine(quirks: str) -> None:
    result = nb.simulate(BASE, TABLE, backend="torch", quirks=nb.Quirks.parse(quirks))
    images = model(quirks=quirks)()
    assert [image.shape for image in images] == [(8, 9), (9, 7), (6, 6)]
    for image, need in zip(images, result.images, strict=True):
        assert np.array_equal(image.numpy().astype(np.float32), need)
        assert float(image.min()) >= 0.0
        assert float(image.max()) > 0.0


@pytest.mark.parametrize("quirks", ["nanobragg", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_initial_values_are_the_configured_ones(name: str, quirks: str) -> None:
    own = model(True, quirks)
    value = own.initial(name)
    assert value.shape == next(each.shape for each in own.parameters() if each.name == name)
    got, need = flat(own({name: value})), flat(own())
    assert float((got - need).norm() / need.norm()) < 1e-12


def moved_experiment(name: str, value: Any) -> nb.Experiment:
    """The configuration that a value of the geometry means."""
    panels = BASE.detector.panels
    assert panels is not None
    if name == "detector.shift_mm":
        return BASE.replace({"detector": BASE.detector.shifted(tuple(value))})
    if not name.startswith(OF_PANELS):
        return BASE.replace({name: tuple(value) if np.ndim(value) else float(value)})
    own = name.removeprefix(OF_PANELS)
    moved = []
    for panel, number in zip(panels, value, strict=True):
        match own:
            case "shift_mm":
                moved.append(panel.moved(tuple(number)))
            case "rotation_deg":
                moved.append(panel.moved(rotation_deg=float(number)))
            case "pixel_size_mm":
                moved.append(dataclasses.replace(panel, pixel_size_mm=float(number)))
            case _:
                moved.append(dataclasses.replace(panel, **{own: tuple(number)}))
    return BASE.replace({"detector.panels": tuple(moved)})


@pytest.mark.parametrize("quirks", ["nanobragg", "none"])
@pytest.mark.parametrize("name", [name for name in GEOMETRY if "sensor" not in name])
def test_a_value_is_the_experiment_that_has_it(name: str, quirks: str) -> None:
    """Shifts and rotations of the configuration (numbers) and of the model (tensors) are one."""
    own = model(quirks=quirks)
    start = own.initial(name)
    random = torch.Generator().manual_seed(len(name))
    value = start + 0.02 * torch.randn(start.shape, generator=random, dtype=torch.float64)
    if name.endswith("fast_axis"):  # which stays perpendicular to slow
        slow = own.initial("detector.panels.slow_axis")
        value = value - (value * slow).sum(-1, keepdim=True) * slow
    if name.endswith("slow_axis"):
        fast = own.initial("detector.panels.fast_axis")
        value = value - (value * fast).sum(-1, keepdim=True) * fast
    need = PanelModel(moved_experiment(name, value.numpy()), TABLE, nb.Quirks.parse(quirks))
    got, expected = flat(own({name: value})), flat(need())
    assert float((expected - flat(own())).norm() / expected.norm()) > 1e-4
    assert float((got - expected).norm() / expected.norm()) < 1e-11


def test_values_of_several_kinds_act_in_order() -> None:
    """First in the panel's plane, then the whole, then rotations; on any of the panels."""
    own = model()
    turn = torch.tensor([3.0, 0.0, -4.0], dtype=torch.float64)
    shift = torch.tensor([[0.5, 0.2], [0.0, 0.0], [-1.0, 0.1]], dtype=torch.float64)
    whole = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    arm = torch.tensor(8.0, dtype=torch.float64)
    panels = tuple(
        panel.moved(tuple(s), rotation_deg=float(t))
        for panel, s, t in zip((A, B, C), shift.tolist(), turn.tolist(), strict=True)
    )
    detector = nb.Detector(panels=panels, rotation_deg=(2, -3, 4), twotheta_deg=8)
    need = PanelModel(BASE.replace({"detector": detector.shifted((1, -2, 3))}), TABLE)
    values = {
        "detector.panels.rotation_deg": turn,
        "detector.panels.shift_mm": shift,
        "detector.shift_mm": whole,
        "detector.twotheta_deg": arm,
    }
    got, expected = flat(own(values)), flat(need())
    assert float((got - expected).norm() / expected.norm()) < 1e-11


@pytest.mark.parametrize("quirks", ["nanobragg", "none"])
@pytest.mark.parametrize("name", GEOMETRY)
def test_gradcheck(name: str, quirks: str) -> None:
    """Torch's own check of every number of the geometry, in units in which it matters alike."""
    own = model(True, quirks)
    start = own.initial(name)
    scale = {"um": 10.0, "deg": 0.2, "mm": 0.2}.get(
        next(each.unit for each in own.parameters() if each.name == name), 1e-2
    )
    total = float(flat(own()).sum())

    def projected(x: torch.Tensor) -> torch.Tensor:
        images = own({name: start + scale * x})
        return flat(images) @ projection((len(flat(images)),)) / total

    point = torch.full_like(start, 0.1).requires_grad_()
    assert torch.autograd.gradcheck(
        projected, (point,), eps=1e-6, atol=1e-7, rtol=1e-5, fast_mode=True
    )


def test_gradcheck_sees_a_wrong_panel() -> None:
    """The criterion itself: the derivative by another panel's number."""
    own = model()

    def swapped(x: torch.Tensor) -> torch.Tensor:
        seen = flat(own({"detector.panels.rotation_deg": x}))
        return (
            seen.detach()
            + (y := flat(own({"detector.panels.rotation_deg": x.flip(0)})))
            - (y.detach())
        )

    point = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(swapped, (point,), eps=1e-6, atol=1e-4)


def test_second_derivatives_and_batches() -> None:
    own = model()
    name = "detector.panels.shift_mm"
    start = own.initial(name)

    def summed(x: torch.Tensor) -> torch.Tensor:
        return own.pixels({name: x}, [Selection.pixels([[3, 4]])] * 3)[1].sum()

    hessian = torch.autograd.functional.hessian(summed, start)
    assert float(hessian[1, :, 1].abs().max()) > 0.0
    assert float(hessian[0].abs().max()) == float(hessian[1, :, 2].abs().max()) == 0.0
    twice = torch.stack([start, start + 0.3])
    whole = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    stacks = own({name: twice, "detector.shift_mm": whole})
    for n in (0, 1):
        single = own({name: twice[n], "detector.shift_mm": whole})
        for stack, image in zip(stacks, single, strict=True):
            assert torch.equal(stack[n], image)


def test_jacobian_is_that_of_the_pixels() -> None:
    own = model(True)
    names = [
        "crystal.misset_deg",
        "detector.panels.shift_mm",
        "detector.shift_mm",
        "detector.panels.sensor_thickness_um",
        "detector.rotation_deg",
        "detector.panels.fast_axis",
    ]
    at = {"detector.panels.rotation_deg": torch.tensor([0.5, 0.0, -0.5], dtype=torch.float64)}
    select = [Selection.pixels([[1, 2], [3, 4]]), None, Selection.pixels([[0, 1]])]
    leaves = tuple(own.initial(name) for name in names)
    panels = own.jacobian(at, names, select)
    assert [rows.shape for _, rows in panels] == [(2, 27), (63, 27), (1, 27)]
    for n, (values, rows) in enumerate(panels):

        def of_panel(*numbers: torch.Tensor, n: int = n) -> torch.Tensor:
            given = {**at, **dict(zip(names, numbers, strict=True))}
            return own.pixels(given, select)[n]

        need = torch.cat(
            [
                block.reshape(len(values), -1)
                for block in torch.autograd.functional.jacobian(of_panel, leaves)
            ],
            dim=1,
        )
        assert torch.allclose(values, of_panel(*leaves), rtol=1e-12)
        assert float((rows - need).norm() / need.norm()) < 1e-10
    (values, rows), *_ = own.jacobian({}, ["crystal.misset_deg"], select)
    assert rows.shape == (2, 3)
    assert own.jacobian({}, [], select)[0][1].shape == (2, 0)


def test_normal_equations_are_added_up_over_panels() -> None:
    own = model()
    names = ["detector.panels.shift_mm", "beam.fluence_photons_per_m2", "detector.shift_mm"]
    panels = own.jacobian({}, names)
    data = [values * 1.1 + 0.5 for values, _ in panels]
    variance = [values + 1.0 for values, _ in panels]
    equations = own.normal_equations({}, names, data, variance)
    matrix = sum(
        rows.T @ (rows / v[:, None]) for (_, rows), v in zip(panels, variance, strict=True)
    )
    gradient = sum(
        rows.T @ ((d - values) / v)
        for (values, rows), d, v in zip(panels, data, variance, strict=True)
    )
    assert torch.allclose(equations.matrix, matrix, rtol=1e-9)
    assert torch.allclose(equations.gradient, gradient, rtol=1e-9)
    chi = sum(((d - x) ** 2 / v).sum() for (x, _), d, v in zip(panels, data, variance, strict=True))
    assert float(equations.chi_square) == pytest.approx(float(chi), rel=1e-12)


def test_a_step_finds_where_the_panels_are() -> None:
    """Each panel and the fluence, from images of panels that have moved."""
    truth = torch.tensor([[0.02, -0.01], [-0.03, 0.01], [0.01, 0.02]], dtype=torch.float64)
    own, name = model(), "detector.panels.shift_mm"
    data = own.pixels({name: truth})
    value = own.initial(name)
    for _ in range(3):
        equations = own.normal_equations({name: value}, [name], data, [d + 1.0 for d in data])
        value = value + torch.linalg.solve(equations.matrix, equations.gradient).reshape(3, 2)
    assert torch.allclose(value, truth, atol=1e-9)


def test_kernels_agree() -> None:
    compiled, eager = (flat(model(kernel=kernel)()) for kernel in ("compiled", "eager"))
    assert float((compiled - eager).norm() / eager.norm()) < 1e-13
    assert model().eager_reason is None
    assert model(kernel="eager").eager_reason == 'panel a: kernel="eager" was asked for'


def test_progress_counts_the_pixels_of_all_panels() -> None:
    seen: list[int] = []
    model()(progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 72 + 63 + 30


def test_memory_is_that_of_all_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """72, 63 and 36 pixels, of which 6 are masked; each fits alone."""
    monkeypatch.setattr(host, "available_memory_bytes", lambda: (2000, "this computer has"))
    with pytest.raises(nb.ResourceError) as caught:
        PanelModel(BASE, TABLE)
    assert str(caught.value) == (
        f"need {8 * (171 + 165)} bytes of memory (float64 image of 3 panels {8 * 171} bytes, pixel "
        f"values of 3 panels {8 * 165} bytes), this computer has 2000 bytes"
    )


def test_copies() -> None:
    again = pickle.loads(pickle.dumps(model()))
    assert all(torch.equal(x, y) for x, y in zip(again(), model()(), strict=True))


def refusal(call: Any) -> str:
    with pytest.raises(nb.ConfigError) as caught:
        call()
    return str(caught.value)


def test_what_is_wrong_is_said() -> None:
    own = model()
    one = torch.ones((), dtype=torch.float64)
    assert refusal(lambda: ForwardModel(BASE, TABLE)) == (
        "config.detector.panels: got 3 panels, need one panel: PanelModel is that of several"
    )
    plain = BASE.replace({"detector": nb.Detector(n_fast=4, n_slow=4)})
    assert refusal(lambda: PanelModel(plain, TABLE)) == (
        "config.detector.panels: got None, need panels; ForwardModel needs none"
    )
    assert refusal(lambda: own({"detector.distance_mm": one})) == (
        "parameter: got 'detector.distance_mm', need one of detector.panels.*, detector.shift_mm, "
        "detector.rotation_deg, detector.twotheta_axis, detector.twotheta_deg"
    )
    assert "not on these panels: a, c)" in refusal(
        lambda: own({"detector.panels.sensor_thickness_um": one})
    )
    assert "(did you mean detector.panels.shift_mm?)" in refusal(
        lambda: own({"detector.panels.shift": one})
    )
    assert "there is no table of structure factors" in refusal(
        lambda: own({"structure_factors.grid": one})
    )
    assert refusal(lambda: own({"detector.panels.rotation_deg": one})) == (
        "values[detector.panels.rotation_deg]: got shape (), need shape (3,), or that with a batch "
        "dimension in front"
    )
    assert "need a tensor of real numbers" in refusal(lambda: own({"detector.shift_mm": 1.0}))
    assert "need a dense tensor" in refusal(
        lambda: own({"detector.shift_mm": torch.ones(3, dtype=torch.int64)})
    )
    shifts = {
        "detector.shift_mm": torch.ones(2, 3),
        "detector.panels.rotation_deg": torch.ones(3, 3),
    }
    assert (
        refusal(lambda: own(shifts))
        == "values: got batches of [2, 3], need one length >= 1 for all"
    )
    assert refusal(lambda: own.pixels({}, [None])) == (
        "select: got [None], need a list or tuple of 3, one for each panel"
    )
    for call in (
        lambda: own.jacobian({}, ["detector.shift_mm", "detector.shift_mm"]),
        lambda: own.jacobian({}, "detector.shift_mm"),
        lambda: own.jacobian({"detector.shift_mm": torch.ones(2, 3)}, ["detector.shift_mm"]),
        lambda: own({}, progress=3),  # type: ignore[arg-type]
        lambda: own([]),  # type: ignore[arg-type]
        lambda: own.initial(3),  # type: ignore[arg-type]
    ):
        refusal(call)


def test_a_fit_takes_one_panel() -> None:
    """Whose mask and detector it takes; the parameters are those of a detector without panels."""
    mask = np.ones((10, 12), bool)
    mask[4, 3] = False
    panel = nb.Panel("a", (100, 10, -12), (0, 0, 1), (0, -1, 0), 12, 10, 2.0, mask=nb.Mask(mask))
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(25, 30, 35), n_cells=(3, 4, 5), misset_deg=(10, 25, 30)),
        detector=nb.Detector(panels=(panel,)),
        sampling=nb.Sampling(oversample=1, interpolate=False),
    )
    factors = nb.StructureFactors.constant(100.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.SetupWarning)
        data = nb.simulate(experiment, factors).image
    names = ["crystal.misset_deg", "detector.close_x_mm"]
    fitted = nb.fit(experiment, factors, data, names, likelihood="gaussian", readout_variance=1.0)
    assert fitted.experiment.detector.panels is None
    assert fitted.experiment.detector.close_x_mm == pytest.approx(12.0, abs=1e-3)
    assert fitted.degrees_of_freedom == 119 - 4
