"""Images of panels: each has the bytes that it has alone, and is where the laboratory has it."""

from __future__ import annotations

import dataclasses
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from field_values import FACTORS
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.registry import available_backends
from nanobragg_hybrid.model.panel import Panel

CRYSTAL = nb.Crystal(
    cell_angstrom=(25, 30, 35),
    n_cells=(3, 4, 5),
    misset_deg=(10, 25, 30),
    mosaic_spread_deg=1.0,
    mosaic_domains=3,
)
BASE = nb.Experiment(
    beam=nb.Beam(polarization_kahn=0.7, fluence_photons_per_m2=4e29),
    crystal=CRYSTAL,
    sampling=nb.Sampling(oversample=2, interpolate=False),
    output=nb.Output(noise_seed=5),
)
pytestmark = pytest.mark.filterwarnings(
    "ignore:oversample 2 is too low", "ignore:.*interpolat", "ignore::nanobragg_hybrid.ImageWarning"
)


def tiles(rows: int, columns: int, gap_mm: float = 0.3) -> tuple[Panel, ...]:
    """Panels in a grid 80 mm downstream, each tilted a little and with a sensor of its own."""
    panels = []
    for n in range(rows * columns):
        row, column = divmod(n, columns)
        random = np.random.default_rng(n)
        tilt = random.uniform(-0.03, 0.03, 3)
        fast = np.array([tilt[0], tilt[1], 1.0])
        slow = np.cross(fast, [1.0, 0.0, tilt[2]]) * (1 if n % 3 else -1)
        origin = (
            80.0 + random.uniform(-1, 1),
            (rows / 2 - row) * (10.0 + gap_mm),
            (column - columns / 2) * (14.0 + gap_mm),
        )
        panels.append(
            Panel(
                f"r{row}c{column}",
                origin,
                tuple(fast.tolist()),
                tuple(slow.tolist()),
                n_fast=14 - n % 2,
                n_slow=10 + n % 3,
                pixel_size_mm=1.0 + 0.1 * (n % 2),
                sensor_thickness_um=0.0 if n % 2 else 320.0,
                sensor_attenuation_depth_um=None if n % 2 else 200.0,
                sensor_layers=None if n % 2 else 2,
                mask=nb.Mask(random.random((10 + n % 3, 14 - n % 2)) > 0.1) if n % 4 == 1 else None,
                roi=(2, 11, 1, None) if n % 5 == 2 else None,
            )
        )
    return tuple(panels)


BACK = Panel("back", (-60, 12, -9), (0, 0.2, 1), (0, -1, 0.2), 12, 10, 1.5)
SIDE = Panel("side", (-20, 70, 10), (1, 0, 0), (0, 0, 1), 12, 10, 1.5)


def serial(**changes: Any) -> nb.Experiment:
    """With what one pixel inherits from those before it: phi 0, a table that ends, dmin."""
    return BASE.replace(
        {
            "detector.panels": tiles(2, 3),
            "goniometer.osc_deg": 2.0,
            "goniometer.phi_steps": 3,
            "sampling.interpolate": True,
            "sampling.dmin_angstrom": 2.2,
            **changes,
        }
    )


SMALL_TABLE = nb.StructureFactors.from_grid(
    np.random.default_rng(1).uniform(10, 100, (13, 13, 13)), (-6, -6, -6), 20.0
)
EXPERIMENTS: dict[str, tuple[nb.Experiment, nb.StructureFactors, str]] = {
    "grid": (BASE.replace({"detector.panels": tiles(4, 4)}), FACTORS, "nanobragg"),
    "sixty-four": (
        BASE.replace({"detector.panels": tiles(8, 8), "sampling.oversample": 1}),
        FACTORS,
        "nanobragg",
    ),
    "all around": (BASE.replace({"detector.panels": (BACK, SIDE)}), FACTORS, "nanobragg"),
    "all around, corrected": (BASE.replace({"detector.panels": (SIDE, BACK)}), FACTORS, "none"),
    "turned": (
        BASE.replace(
            {
                "detector.panels": (*tiles(1, 2), SIDE),
                "detector.rotation_deg": (3.0, -7.0, 12.0),
                "detector.twotheta_deg": 15.0,
                "detector.convention": "xds",
                "beam.direction": (1.0, 0.0, 0.0),
            }
        ),
        FACTORS,
        "nanobragg",
    ),
    "point pixels": (
        BASE.replace({"detector.panels": tiles(1, 3), "detector.point_pixel": True}),
        FACTORS,
        "nanobragg",
    ),
    "oversampling chosen": (
        BASE.replace({"detector.panels": (BACK, *tiles(1, 2)), "sampling.oversample": None}),
        FACTORS,
        "nanobragg",
    ),
    "random missetting": (
        BASE.replace(
            {
                "detector.panels": tiles(1, 3),
                "crystal.misset_random": True,
                "crystal.misset_seed": 7,
            }
        ),
        FACTORS,
        "nanobragg",
    ),
    "serial order": (serial(), SMALL_TABLE, "nanobragg"),
    "serial order, corrected": (serial(), SMALL_TABLE, "none"),
}


@for_each("name", EXPERIMENTS)
def test_each_panel_has_the_bytes_that_it_has_alone(name: str) -> None:
    experiment, table, words = EXPERIMENTS[name]
    quirks = nb.Quirks.parse(words)
    prepared = nb.prepare(experiment, table, quirks=quirks)
    results = [prepared.render(threads=n, unrounded=n == 2) for n in (1, 2, 5)]
    assert sum(image.any() for image in results[0].images) >= len(results[0].images) / 2
    for n, panel in enumerate(results[0].panels):
        alone = nb.simulate(
            prepared.experiment.of_panel(n, quirks), table, quirks=quirks, threads=1, unrounded=True
        )
        for result in results:
            got = result.panels[n]
            assert got.image.tobytes() == alone.image.tobytes()
            assert got.statistics == alone.statistics
            assert got.warnings == alone.warnings
            assert got.experiment == alone.experiment
            assert got.quirks_that_mattered == alone.quirks_that_mattered
        assert results[1].panels[n].unrounded is not None
        assert results[1].panels[n].unrounded.tobytes() == alone.unrounded.tobytes()
        assert panel.image.min() >= 0.0


def test_a_random_missetting_is_that_of_one_crystal() -> None:
    """Also where its seed comes from the clock."""
    asked = BASE.replace({"detector.panels": tiles(2, 2), "crystal.misset_random": True})
    plans = nb.prepare(asked, FACTORS).plans
    assert len({plan.misset_rad for plan in plans}) == 1
    assert plans[0].misset_rad != (0.0, 0.0, 0.0)


def test_bounded_values_are_those_of_each_panel() -> None:
    engine = nb.CEngine(unrounded_kernel="fast")
    experiment = BASE.replace({"detector.panels": tiles(1, 3)})
    together = nb.simulate(experiment, FACTORS, backend=engine, unrounded=True)
    for n, panel in enumerate(together.panels):
        alone = nb.simulate(experiment.of_panel(n), FACTORS, backend=engine, unrounded=True)
        assert panel.unrounded is not None
        assert panel.unrounded.tobytes() == alone.unrounded.tobytes()
        for bound in ("unrounded_bound", "unrounded_relative_bound"):
            assert panel.provenance[bound] == alone.provenance[bound]


def test_interpolation_ends_anew_on_each_panel() -> None:
    """The first panel, whose table ends in it, does not spoil those behind it."""
    experiment, table, _ = EXPERIMENTS["serial order"]
    names = experiment.detector.panel_names
    there = nb.simulate(experiment, table)
    panels = experiment.detector.panels
    assert panels is not None
    back = nb.simulate(experiment.replace({"detector.panels": panels[::-1]}), table)
    assert names[0] != names[-1]
    for first, second in zip(there.images, back.images[::-1], strict=True):
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("backend", ["c", "torch"])
def test_panels_cut_from_a_detector_have_its_pixels(backend: str) -> None:
    """Pixel by pixel to rounding: the panels are where the laboratory of model 3 has them."""
    if backend not in available_backends():
        pytest.skip("no torch here")
    whole = BASE.replace(
        {
            "detector.n_fast": 24,
            "detector.n_slow": 20,
            "detector.pixel_size_mm": 2.0,
            "detector.rotation_deg": (4.0, 3.0, -2.0),
            "detector.twotheta_deg": 9.0,
        }
    )
    picture = nb.simulate(whole, FACTORS, backend=backend)
    plan = picture.plan
    corner, fast, slow = (np.array(v) for v in (plan.pix0_m, plan.fast_axis, plan.slow_axis))
    panels = tuple(
        Panel(
            f"{i} {j}",
            tuple((1e3 * corner + 2.0 * (i * 8 * fast + j * 5 * slow)).tolist()),
            plan.fast_axis,
            plan.slow_axis,
            8,
            5,
            2.0,
        )
        for j in range(4)
        for i in range(3)
    )
    cut = nb.simulate(
        BASE.replace({"detector.panels": panels, "sampling.oversample": plan.oversample}),
        FACTORS,
        backend=backend,
    )
    for n, image in enumerate(cut.images):
        j, i = divmod(n, 3)
        part = picture.image[5 * j : 5 * j + 5, 8 * i : 8 * i + 8]
        assert np.allclose(image, part, rtol=2e-6, atol=1e-6 * picture.image.max())
    assert cut.statistics.sum == pytest.approx(picture.statistics.sum, rel=1e-6)
    solid_angle = picture.statistics.solid_angle_sr
    assert cut.statistics.solid_angle_sr == pytest.approx(solid_angle, rel=0.01)


def test_panel_is_the_detector_with_that_corner() -> None:
    """With the quirk pix0_ignored off, where a corner can be said."""
    quirks = nb.Quirks(pix0_ignored=False)
    for panel in tiles(1, 3):
        alone = BASE.replace({"detector.panels": (panel,)}).of_panel(0)
        by_corner = alone.replace({"detector.pix0_m": tuple(x / 1000.0 for x in panel.origin_mm)})
        a, b = (nb.simulate(e, FACTORS, quirks=quirks) for e in (alone, by_corner))
        assert b.plan.pix0_m == tuple(x / 1000.0 for x in panel.origin_mm)
        assert np.allclose(a.image, b.image, rtol=2e-6, atol=1e-6 * a.image.max())


def test_engines_agree_on_panels() -> None:
    if "torch" not in available_backends():
        pytest.skip("no torch here")
    for name in ("turned", "all around, corrected", "serial order"):
        experiment, table, words = EXPERIMENTS[name]
        quirks = nb.Quirks.parse(words)
        c, torch = (
            nb.simulate(experiment, table, quirks=quirks, backend=backend, unrounded=True)
            for backend in ("c", "torch")
        )
        for ours, theirs in zip(c.panels, torch.panels, strict=True):
            assert ours.unrounded is not None
            assert theirs.unrounded is not None
            distance = np.linalg.norm(theirs.unrounded - ours.unrounded)
            assert distance <= 1e-12 * np.linalg.norm(ours.unrounded)
        assert theirs.plan.pix0_m == pytest.approx(ours.plan.pix0_m, rel=1e-14)


def test_rendering_panels_can_be_stopped_and_tells_of_rows() -> None:
    experiment = BASE.replace({"detector.panels": tiles(4, 4)})
    rows = []
    nb.simulate(experiment, FACTORS, progress=lambda *row: rows.append(row))
    total = sum(shape[0] for shape in experiment.detector.shapes)
    assert rows[-1] == (total, total)
    with pytest.raises(nb.RenderCancelled):
        nb.simulate(experiment, FACTORS, progress=lambda *_: False)


def test_threads_do_not_matter_to_the_order_of_panels() -> None:
    experiment = BASE.replace({"detector.panels": (BACK, *tiles(2, 2), SIDE)})
    images = {
        threads: [
            image.tobytes() for image in nb.simulate(experiment, FACTORS, threads=threads).images
        ]
        for threads in (1, 3, 64)
    }
    assert images[1] == images[3] == images[64]
    assert len(set(images[1])) == 6
    assert not math.isnan(nb.simulate(experiment, FACTORS).statistics.rms)


def test_names_change_nothing() -> None:
    experiment = BASE.replace({"detector.panels": tiles(1, 2)})
    panels = experiment.detector.panels
    assert panels is not None
    other = tuple(dataclasses.replace(p, name=f"x{n}") for n, p in enumerate(panels))
    a, b = (
        nb.simulate(e, FACTORS)
        for e in (experiment, experiment.replace({"detector.panels": other}))
    )
    assert [x.tobytes() for x in a.images] == [x.tobytes() for x in b.images]


@pytest.mark.filterwarnings("ignore:'-twotheta_axis' also has")
def test_an_executable_renders_panel_by_panel() -> None:
    """The package's own command stands in for nanoBragg's."""
    experiment = BASE.replace({"detector.panels": (SIDE, *tiles(1, 2)[1:])})
    command = shutil.which("nanoBragg", path=str(Path(sys.executable).parent))
    assert command is not None
    c = nb.simulate(experiment, FACTORS)
    other = nb.simulate(experiment, FACTORS, backend=nb.ExternalEngine(executable=command))
    assert [x.tobytes() for x in other.images] == [x.tobytes() for x in c.images]
    assert len(set(other.provenance["command"])) == 2
