"""Pixels that are not square: where they are, how large they look, what refuses them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from numpy.typing import NDArray
from torch_scenes import projection
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.engines.torch import ForwardModel, PanelModel
from nanobragg_hybrid.formats.smv import SmvHeader
from nanobragg_hybrid.model.panel import Panel

EDGES = (0.1, 0.2)
BASE = nb.Experiment(
    beam=nb.Beam(wavelength_angstrom=1.1, polarization_kahn=0.6),
    crystal=nb.Crystal(
        cell_angstrom=(20, 23, 26), cell_deg=(75, 85, 95), misset_deg=(12, -31, 55), shape="gauss"
    ),
    detector=nb.Detector(distance_mm=8, pixel_size_mm=EDGES, n_fast=9, n_slow=7),
    sampling=nb.Sampling(oversample=2),
)
TABLE = nb.StructureFactors.constant(100.0)
BACKENDS = ("c", "torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*has no place for the")


def oblong(**fields: Any) -> nb.Experiment:
    return BASE.replace({f"detector.{name}": value for name, value in fields.items()})


def test_one_number_stays_one_number(tmp_path: Path) -> None:
    assert nb.Detector(pixel_size_mm=(0.2, 0.2)) == nb.Detector(pixel_size_mm=0.2)
    assert nb.Detector(pixel_size_mm=(0.2, 0.2)).pixel_size_mm == 0.2
    assert nb.Detector(pixel_size_mm=np.array([0.1, 0.2])).pixel_size_mm == (0.1, 0.2)  # type: ignore[arg-type]
    BASE.save(tmp_path / "a.json")
    assert nb.Experiment.load(tmp_path / "a.json") == BASE


@for_each(
    "value", [(0.1,), (0.1, 0.2, 0.3), (0.1, -0.2), (0.1, 0.0), "0.1", None, (0.1, float("nan"))]
)
def test_what_is_no_size(value: Any) -> None:
    with pytest.raises(
        nb.ConfigError, match=r"detector\.pixel_size_mm: .* need a finite value > 0"
    ):
        nb.Detector(pixel_size_mm=value)


def test_the_number_of_pixels() -> None:
    assert nb.Detector(pixel_size_mm=(0.1, 0.2), size_fast_mm=10, size_slow_mm=10).shape == (
        50,
        100,
    )


@for_each("backend", BACKENDS)
@for_each("oversample", [1, 3])
@for_each("convention", ["mosflm", "xds", "adxv", "denzo", "dials", "custom"])
def test_where_every_pixel_is(backend: str, oversample: int, convention: Any) -> None:
    """Of the first sub-pixel and the last, from the corner and the axes alone."""
    experiment = oblong(convention=convention, rotation_deg=(3, -2, 4)).replace(
        {"sampling.oversample": oversample}
    )
    run = nb.prepare(experiment, TABLE, backend=backend)
    plan = run.plan
    assert (plan.pixel_size_m, plan.pixel_size_slow_m) == (1e-4, 2e-4)
    corner, f, s = (np.array(x) for x in (plan.pix0_m, plan.fast_axis, plan.slow_axis))
    for fast in range(9):
        for slow in range(7):
            trace = run.trace((fast, slow), limit=None)
            for step, sub in ((trace.steps[0], 0.5), (trace.steps[-1], oversample - 0.5)):
                wanted = (
                    corner
                    + 1e-4 * (fast + sub / oversample) * f
                    + 2e-4 * (slow + sub / oversample) * s
                )
                np.testing.assert_allclose(step.pixel_pos_m, wanted, rtol=0, atol=1e-17)
                r = float(np.linalg.norm(wanted))
                omega = 1e-4 * 2e-4 / r**3 * plan.close_distance_m
                assert step.solid_angle_sr == pytest.approx(omega, rel=1e-13)


@for_each("convention", ["mosflm", "xds", "adxv", "denzo", "dials"])
def test_where_the_beam_is_without_a_centre(convention: Any) -> None:
    """Half a pixel of the axis that a coordinate runs along (model 3)."""
    plan = nb.prepare(oblong(convention=convention), TABLE).plan
    fast, slow, p, q = 9e-4, 14e-4, 1e-4, 2e-4
    beam_fast, beam_slow = {
        "mosflm": ((fast + p) / 2 + p / 2, (slow + q) / 2 + q / 2),
        "denzo": ((fast + p) / 2, (slow + q) / 2),
        "adxv": ((fast + p) / 2, slow - (slow - q) / 2),
        "xds": (fast / 2, slow / 2),
        "dials": (fast / 2, slow / 2),
    }[convention]
    assert plan.beam_fast_m == pytest.approx(beam_fast, rel=1e-12)
    assert plan.beam_slow_m == pytest.approx(beam_slow, rel=1e-12)
    assert plan.org_x_px == pytest.approx(plan.close_fast_m / p + 0.5)
    assert plan.org_y_px == pytest.approx(plan.close_slow_m / q + 0.5)


def test_the_recommended_oversampling_is_that_of_the_longer_edge() -> None:
    recommended = [
        nb.prepare(
            oblong(pixel_size_mm=size, n_fast=4, n_slow=4), TABLE
        ).plan.recommended_oversample
        for size in (0.1, (0.1, 2.0), (2.0, 0.1), 2.0)
    ]
    assert recommended[0] < recommended[1] == recommended[2] == recommended[3]


@for_each("kernel", ["exact", "auto"])
def test_the_image_by_an_explicit_formula(kernel: Any) -> None:
    """Model 6 written out once more, for one sub-pixel and a parallelepiped."""
    experiment = BASE.replace({"sampling.oversample": 1, "crystal.n_cells": (3, 4, 5)})
    experiment = experiment.replace({"crystal.shape": "square", "detector.beam_x_mm": 0.31})
    result = nb.simulate(experiment, TABLE, backend=nb.CEngine(kernel=kernel))
    plan = result.plan
    f, s, corner, beam = (
        np.array(x) for x in (plan.fast_axis, plan.slow_axis, plan.pix0_m, plan.beam_direction)
    )
    fast, slow = np.meshgrid(np.arange(9) + 0.5, np.arange(7) + 0.5)
    place = corner + 1e-4 * fast[..., None] * f + 2e-4 * slow[..., None] * s
    r = np.linalg.norm(place, axis=-1)
    d = place / r[..., None]
    q = (d - beam) / plan.wavelength_m
    f_latt = np.ones_like(r)
    for n, axis in ((3, plan.a0_m), (4, plan.b0_m), (5, plan.c0_m)):
        h = q @ np.array(axis)
        f_latt *= np.sin(np.pi * n * h) / np.sin(np.pi * h)
    omega = 1e-4 * 2e-4 / r**3 * plan.close_distance_m
    polar = polarization(d, beam, np.array(plan.polarization_axis), 0.6)
    value = 7.94079248018965e-30 * plan.fluence_photons_per_m2 * (100.0 * f_latt) ** 2
    np.testing.assert_allclose(result.image, value * omega * polar, rtol=1e-6)


def polarization(
    d: NDArray[np.float64], beam: NDArray[np.float64], axis: NDArray[np.float64], kahn: float
) -> NDArray[np.float64]:
    """Model 6.6."""
    across = np.cross(axis, beam)
    across /= np.linalg.norm(across)
    e = np.cross(beam, across)
    c = d @ beam
    found: NDArray[np.float64] = 0.5 * (1 + c**2 - kahn * ((d @ e) ** 2 - (d @ across) ** 2))
    return found


SCENES = {
    "still": {},
    "sensor": {
        "detector.sensor_thickness_um": 450.0,
        "detector.sensor_attenuation_depth_um": 200.0,
        "detector.sensor_layers": 2,
    },
    "curved": {"detector.curved": True},
    "point pixels": {"detector.point_pixel": True},
    "tilted": {"detector.rotation_deg": (20, -10, 5), "detector.twotheta_deg": 30.0},
    "rotation": {"goniometer.osc_deg": 2.0, "goniometer.phi_steps": 3},
    "statistics": {"sampling.roi": (1, 7, 2, 5)},
    "background": {
        "background": nb.Background(scatterers=(nb.water_scatterer(1e-3),)),
        "response": nb.Response(gain=2.0),
    },
}


@for_each("name", SCENES)
@for_each("quirks", ["nanobragg", "none"])
def test_the_engines_agree(name: str, quirks: str) -> None:
    own = nb.Quirks.parse(quirks)
    experiment = BASE.replace({"crystal.n_cells": (3, 4, 5), **SCENES[name]})
    a, b = (nb.simulate(experiment, TABLE, backend=x, quirks=own) for x in BACKENDS)
    np.testing.assert_allclose(a.image, b.image, rtol=1e-6)
    assert a.image.any()
    assert a.statistics.max_fast_m == pytest.approx(b.statistics.max_fast_m, rel=1e-12)
    assert a.statistics.max_slow_m == pytest.approx(b.statistics.max_slow_m, rel=1e-12)
    if a.expected is not None:
        assert b.expected is not None
        np.testing.assert_allclose(a.expected, b.expected, rtol=1e-6)


@for_each("kernel", available_kernels())
@for_each("changes", [{}, {"goniometer.osc_deg": 3.0, "goniometer.phi_steps": 40}])
def test_every_kernel_has_the_same_bytes(kernel: Any, changes: dict[str, Any]) -> None:
    experiment = oblong(n_fast=70, n_slow=40).replace({"crystal.n_cells": (6, 6, 6), **changes})
    exact = nb.simulate(experiment, TABLE, backend=nb.CEngine(kernel="exact"))
    other = nb.simulate(experiment, TABLE, backend=nb.CEngine(kernel=kernel))
    assert exact.image.tobytes() == other.image.tobytes()
    assert exact.statistics.solid_angle_sr == other.statistics.solid_angle_sr


def test_two_squares_make_an_oblong() -> None:
    """Twice as many rows of square pixels have the same light, two rows in one."""
    fine = oblong(
        pixel_size_mm=0.1, n_fast=9, n_slow=14, convention="xds", beam_x_mm=0, beam_y_mm=0
    )
    coarse = oblong(convention="xds", beam_x_mm=0, beam_y_mm=0)
    quirks = nb.Quirks.parse("none")  # every sub-pixel has its own solid angle
    small = nb.simulate(fine.replace({"sampling.oversample": 8}), TABLE, quirks=quirks).image
    large = nb.simulate(coarse.replace({"sampling.oversample": 16}), TABLE, quirks=quirks).image
    pairs = small[0::2] + small[1::2]
    np.testing.assert_allclose(large, pairs, rtol=2e-3)


# ---- derivatives


def test_the_parameter_has_two_numbers() -> None:
    for experiment, shape in ((BASE, (2,)), (oblong(pixel_size_mm=0.1), ())):
        model = ForwardModel(experiment, TABLE)
        found = {each.name: each for each in model.parameters()}["detector.pixel_size_mm"]
        assert found.shape == shape
        value = model.initial("detector.pixel_size_mm")
        assert value.tolist() == ([0.1, 0.2] if shape else 0.1)


@for_each("kernel", ["eager", "compiled"])
def test_derivatives_by_each_edge(kernel: Any) -> None:
    """Against quotients of whole images."""
    experiment = BASE.replace({"crystal.n_cells": (3, 4, 5), "detector.distance_mm": 60})
    model = ForwardModel(experiment, TABLE, kernel=kernel)
    weight = projection((7, 9))
    edges = model.initial("detector.pixel_size_mm").requires_grad_()
    (model({"detector.pixel_size_mm": edges}) * weight).sum().backward()
    assert edges.grad is not None
    for n in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[n] = 1e-6
        ahead, behind = (
            (model({"detector.pixel_size_mm": edges.detach() + sign * step}) * weight).sum()
            for sign in (1, -1)
        )
        quotient = float(ahead - behind) / 2e-6
        assert float(edges.grad[n]) == pytest.approx(quotient, rel=1e-5)


PANELS = (
    Panel("a", (60, 3, -2), (0.02, 0.05, 1), (0.1, -1, 0.048), 9, 8, (0.5, 0.8)),
    Panel("b", (55, 9, 4), (0, 0.1, 1), (0, -1, 0.1), 7, 6, (0.7, 0.3)),
)


def test_panels_have_two_numbers_each() -> None:
    experiment = BASE.replace({"detector": nb.Detector(panels=PANELS)})
    model = PanelModel(experiment, TABLE)
    name = "detector.panels.pixel_size_mm"
    assert {each.name: each.shape for each in model.parameters()}[name] == (2, 2)
    values = {
        name: model.initial(name).requires_grad_(),
        "detector.panels.rotation_deg": model.initial("detector.panels.rotation_deg") + 1.0,
    }
    images = model(values)
    turned = tuple(panel.moved(rotation_deg=1.0) for panel in PANELS)
    alone = nb.simulate(experiment.replace({"detector.panels": turned}), TABLE, backend="torch")
    for image, wanted in zip(images, alone.images, strict=True):
        np.testing.assert_allclose(image.detach().numpy(), wanted, rtol=1e-6)
    sum((image * projection(tuple(image.shape))).sum() for image in images).backward()
    grad = values[name].grad
    assert grad is not None
    for panel in range(2):
        for edge in range(2):
            totals = []
            for sign in (1, -1):
                moved = values[name].detach().clone()
                moved[panel, edge] += sign * 1e-6
                found = model({**values, name: moved})
                totals.append(float(sum((x * projection(tuple(x.shape))).sum() for x in found)))
            quotient = (totals[0] - totals[1]) / 2e-6
            assert float(grad[panel, edge]) == pytest.approx(quotient, rel=1e-4)
    both = model.jacobian({}, [name])
    assert [rows.shape[1] for _, rows in both] == [4, 4]
    assert not both[0][1][:, 2:].any()
    assert not both[1][1][:, :2].any()


def test_a_mixture_has_no_parameter() -> None:
    mixed = (PANELS[0], dataclasses.replace(PANELS[1], pixel_size_mm=0.7))
    model = PanelModel(BASE.replace({"detector": nb.Detector(panels=mixed)}), TABLE)
    assert "detector.panels.pixel_size_mm" not in {each.name for each in model.parameters()}
    with pytest.raises(nb.ConfigError, match="pixels that are square in all panels, or in none"):
        model.initial("detector.panels.pixel_size_mm")


# ---- files and arguments


@for_each("name", ["a.expt", "a.geom", "XDS.INP", "a.json"])
def test_geometry_files_have_both_edges(name: str, tmp_path: Path) -> None:
    panels = PANELS if name != "XDS.INP" else PANELS[:1]
    experiment = BASE.replace({"detector": nb.Detector(panels=panels), "goniometer.osc_deg": 1.0})
    path = tmp_path / name
    if name == "a.json":
        experiment.save(path)
    else:
        nb.write_experiment(path, experiment)
    back = nb.read_experiment(path)
    assert back.detector.panels is not None
    for found, panel in zip(back.detector.panels, panels, strict=True):
        assert found.pixel_size_mm == pytest.approx(panel.pixel_size_mm, rel=1e-12)
        run, wanted = (
            nb.prepare(e.replace({"crystal": BASE.crystal, "detector.panels": (p,)}), TABLE).plan
            for e, p in ((back, found), (experiment, panel))
        )
        ends = []
        for plan in (run, wanted):
            corner, f, s = (np.array(x) for x in (plan.pix0_m, plan.fast_axis, plan.slow_axis))
            beam = np.array(plan.beam_direction)
            far = corner + plan.size_fast_m * f + plan.size_slow_m * s
            ends.append((far @ beam, np.linalg.norm(far)))  # frames differ by a rotation
        assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_a_point_spread_is_refused() -> None:
    response = nb.Response(point_spread=nb.PointSpread(gaussian_fwhm_um=150.0))
    rule = r"response\.point_spread: .* need None with pixels that are not square, 0.1 x 0.2 mm"
    with pytest.raises(nb.ConfigError, match=rule):
        BASE.replace({"response": response})
    assert oblong(pixel_size_mm=0.1).replace({"response": response}).response == response


def test_arguments_say_one_size() -> None:
    rule = r"^detector.pixel_size_mm: got \(0.1, 0.2\), need one size, to be written as -pixel$"
    with pytest.raises(nb.ConfigError, match=rule):
        BASE.to_nanobragg_args()


def test_an_smv_header_has_one_size(tmp_path: Path) -> None:
    result = nb.simulate(BASE, TABLE)
    with pytest.raises(nb.UnsupportedError, match=r"one PIXEL_SIZE, .* 0.1 x 0.2 mm"):
        nb.write_smv(tmp_path / "a.img", nb.integer_image(result), SmvHeader.from_plan(result.plan))
    assert list(tmp_path.iterdir()) == []


def test_a_picture_of_panels_has_the_shortest_edge() -> None:
    experiment = BASE.replace({"detector": nb.Detector(panels=PANELS)})
    picture = nb.assembled_image(nb.simulate(experiment, TABLE))
    assert picture.pixel_size_mm == pytest.approx(0.3)
    seen = (picture.panels == 0).sum() * 0.3**2
    assert seen == pytest.approx(9 * 0.5 * 8 * 0.8, rel=0.1)
