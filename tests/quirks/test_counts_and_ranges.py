"""C-PARITY-043 step_and_count, 044 count_alone, 045 missing_last_source and 046 osc_overshoot, and
what is said of counts and costs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from pictures import CONSTANT, STILL, assert_differs, off, picture
from recorded import run_in_process

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.plan import Plan

ENGINES = ("c", "torch")
AXES = ("h", "v")


def plan(changes: dict[str, Any], quirks: nb.Quirks | None = None, engine: str = "c") -> Any:
    """The plan of a small still with changes."""
    return nb.prepare(STILL.replace(changes), CONSTANT, backend=engine, quirks=quirks).plan


def scan(
    osc: float | None = None, count: int | None = None, step: float | None = None
) -> dict[str, Any]:
    """A scan from phi = 3, where no step is at 0."""
    return {
        "goniometer.phi_deg": 3.0,
        "goniometer.osc_deg": osc,
        "goniometer.phi_steps": count,
        "goniometer.phi_step_deg": step,
    }


def beam(
    axis: str, span: float | None = None, count: int | None = None, step: float | None = None
) -> dict[str, Any]:
    """A divergence along one axis."""
    names = ("mrad", "steps", "step_mrad")
    values = (span, count, step)
    return {f"beam.divergence_{axis}_{name}": x for name, x in zip(names, values, strict=True)}


def same_picture(first: dict[str, Any], second: dict[str, Any], quirks: nb.Quirks) -> None:
    """By both engines; the second is the same in both positions."""
    for engine in ENGINES:
        got = picture(STILL.replace(first), quirks, backend=engine)
        need = picture(STILL.replace(second), backend=engine)
        np.testing.assert_allclose(got, need, rtol=1e-9)
        assert_differs(picture(STILL.replace(first), backend=engine), need, 1e-3)


def refusal(changes: dict[str, Any], quirks: nb.Quirks | None, field: str) -> str:
    """The error of both engines, which is about the field."""
    said = set()
    for engine in ENGINES:
        with pytest.raises(nb.ConfigError) as caught:
            plan(changes, quirks, engine)
        assert caught.value.field == field
        said.add(str(caught.value))
    (text,) = said
    return text


def warned(name: str, changes: dict[str, Any], quirks: nb.Quirks | None = None) -> bool:
    """Whether both engines warn."""
    (answer,) = {name in plan(changes, quirks, engine).warnings for engine in ENGINES}
    return answer


# --- 043


def test_count_and_step_make_their_range() -> None:
    quirks = off("step_and_count")
    same_picture(scan(count=10, step=0.1), scan(osc=1.0, count=10), quirks)
    same_picture(scan(count=1, step=0.5), scan(osc=0.5, count=1), quirks)
    for axis in AXES:
        same_picture(beam(axis, count=4, step=5.0), beam(axis, span=15.0, count=4), quirks)
        same_picture(beam(axis, count=1, step=5.0), {}, quirks)
    for engine in ENGINES:
        assert plan(scan(count=10, step=0.1), quirks, engine).osc_rad == pytest.approx(
            math.radians(1.0)
        )


def test_on_they_make_two_steps() -> None:
    for count in (1, 3, 10):
        for changes in (scan(count=count, step=0.1), *(beam(a, None, count, 5.0) for a in AXES)):
            assert warned("step_and_count", changes)
            assert not warned("step_and_count", changes, off("step_and_count"))
    assert plan(scan(count=10, step=0.1)).phi_steps == 2
    for changes in (scan(count=2, step=0.1), beam("h", None, 2, 5.0), scan(step=0.1)):
        assert not warned("step_and_count", changes)


# --- 044


@for_each(
    "changes, field, flag",
    [
        (scan(count=2), "goniometer.phi_steps", "-osc"),
        (scan(count=10, step=0.0), "goniometer.phi_steps", "-osc"),
        (beam("h", count=3), "beam.divergence_h_steps", "-hdivrange or -divergence"),
        (beam("v", count=2), "beam.divergence_v_steps", "-vdivrange or -divergence"),
        (
            {"beam.dispersion_percent": None, "beam.dispersion_steps": 3},
            "beam.dispersion_steps",
            "-dispersion",
        ),
    ],
)
def test_a_count_needs_its_range(changes: dict[str, Any], field: str, flag: str) -> None:
    assert flag in refusal(changes, off("count_alone"), field)
    assert warned("count_alone", changes)
    assert (
        "count_alone"
        in nb.simulate(STILL.replace(changes), CONSTANT, threads=1).quirks_that_mattered
    )


@for_each(
    "changes",
    [
        scan(osc=1.0, count=3),
        scan(osc=0.0, count=3),
        scan(),
        scan(count=1),
        beam("h", 20.0, 3),
        beam("v", 0.0, 3),
        {**beam("h", count=3), "beam.sources": (nb.Source(),)},
        {"beam.dispersion_percent": 1.0, "beam.dispersion_steps": 3},
    ],
)
def test_counts_with_a_range_are_taken(changes: dict[str, Any]) -> None:
    assert not warned("count_alone", changes)
    assert not warned("count_alone", changes, off("count_alone"))


def test_one_step_is_a_still() -> None:
    quirks = off("count_alone", "phi_left_edge")
    for engine in ENGINES:
        need = picture(STILL, backend=engine)
        turned = STILL.replace({"goniometer.phi_deg": 3.0})
        for changes, still in (
            (scan(count=1), picture(turned, backend=engine)),
            *((beam(axis, count=1), need) for axis in AXES),
            ({**beam("h", count=1), **beam("v", count=1)}, need),
            ({"beam.dispersion_percent": None, "beam.dispersion_steps": 1}, need),
        ):
            got = picture(STILL.replace(changes), quirks, backend=engine)
            assert got.tobytes() == still.tobytes()
    assert warned("count_alone", scan(count=1), off("phi_left_edge"))  # it moves to the middle of 1


def test_one_direction_either_way_leaves_no_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is an error in both positions of any quirk but count_alone, and names the flag."""
    changes = {**beam("h", count=1), **beam("v", count=1)}
    assert "(-divsteps: -divergence;" in refusal(changes, None, "beam.divergence_h_steps")
    both = {**beam("h", 20.0, None, 30.0), **beam("v", 20.0, None, 30.0)}
    refusal(both, None, "beam.divergence_h_step_mrad")
    words = "-cell 40 50 60 90 90 90 -default_F 9 -detpixels 8 -oversample 1 -divsteps 1".split()
    assert run_in_process(tmp_path, words).exit == 9
    assert "-divsteps: -divergence" in capsys.readouterr().err
    assert run_in_process(tmp_path, [*words, "-divergence", "2"]).exit == 0
    assert run_in_process(tmp_path, [*words, "-square_div"]).exit == 0
    assert run_in_process(tmp_path, [*words, "--quirks", "none"]).exit == 0


# --- 045


RANGES = [(20.0, 5.0, 5), (20.0, 6.0, 5), (20.0, 30.0, 2), (20.0, 20.0, 2), (0.3, 0.1, 4)]


@for_each("span, step, count", RANGES)
def test_directions_at_both_ends(span: float, step: float, count: int) -> None:
    quirks = off("missing_last_source")
    for axis in AXES:
        given = beam(axis, span, None, step)
        for engine in ENGINES:
            got = picture(STILL.replace(given), quirks, backend=engine)
            need = picture(STILL.replace(beam(axis, span, count)), backend=engine)
            np.testing.assert_allclose(got, need, rtol=1e-9)
            assert plan(given, quirks, engine).source_count == count
        assert warned("missing_last_source", given)
        assert not warned("missing_last_source", given, quirks)


@for_each(
    "span, count, step", [(20.0, None, 5.0), (20.0, None, 6.0), (20.0, 3, 5.0), (20.0, 1, 5.0)]
)
def test_the_mean_direction_is_the_beams(span: float, count: int | None, step: float) -> None:
    def mean(quirks: nb.Quirks) -> np.ndarray:
        sources = Plan(STILL.replace(beam("h", span, count, step)), CONSTANT, quirks).sources()
        return np.mean(sources[:, :3], axis=0)

    upstream = np.array((-1.0, 0.0, 0.0))
    corrected = mean(off("missing_last_source"))
    assert np.linalg.norm(np.cross(corrected, upstream)) < 1e-15
    assert np.linalg.norm(np.cross(mean(nb.Quirks()), upstream)) > 5e-4


def test_directions_that_fit_are_left_alone() -> None:
    for axis in AXES:
        for given in ((20.0, 3, 10.0), (20.0, 5, None), (None, None, 10.0), (20.0, None, None)):
            changes = beam(axis, *given)
            assert not warned("missing_last_source", changes)
            assert (
                picture(STILL.replace(changes), off("missing_last_source")).tobytes()
                == picture(STILL.replace(changes)).tobytes()
            )


# --- 046


@for_each(
    "osc, step, count", [(1.0, 0.3, 4), (1.0, 0.7, 2), (1.0, 5.0, 1), (0.3, 0.1, 3), (0.7, 0.1, 7)]
)
def test_steps_fill_the_oscillation(osc: float, step: float, count: int) -> None:
    quirks = off("osc_overshoot")
    given = scan(osc, None, step)
    for engine in ENGINES:
        made = plan(given, quirks, engine)
        assert made.phi_steps == count
        assert made.phi_step_rad == pytest.approx(math.radians(osc) / count, rel=1e-15)
        assert made.osc_rad == math.radians(osc)
        got = picture(STILL.replace(given), quirks, backend=engine)
        need = picture(STILL.replace(scan(osc, count)), backend=engine)
        np.testing.assert_allclose(got, need, rtol=1e-9)
    overshoots = abs(count * step - osc) > 1e-6
    assert warned("osc_overshoot", given) == (overshoots and count > 1)
    assert not warned("osc_overshoot", given, quirks)


def test_count_range_and_step_that_do_not_fit() -> None:
    """The range and the count are what was asked for; a step alone is one step."""
    quirks = off("osc_overshoot")
    for step in (0.0, 0.1, 0.7):
        same_picture(scan(1.0, 4, step), scan(1.0, 4), quirks)
        assert warned("osc_overshoot", scan(1.0, 4, step))
    assert not warned("osc_overshoot", scan(1.0, 4, 0.25))
    same_picture(scan(step=0.8), scan(0.8, 1), quirks)
    for engine in ENGINES:
        assert plan(scan(step=0.8), quirks, engine).phi_steps == 1
        assert plan(scan(0.0, None, 0.8), quirks, engine).phi_steps == 1


# --- counts without effect, and costs


def test_counts_without_effect() -> None:
    for changes, name, is_odd in (
        ({"crystal.mosaic_domains": 10}, "domains_without_spread", True),
        ({"crystal.mosaic_domains": 1}, "domains_without_spread", False),
        ({"crystal.mosaic_domains": 10, "crystal.mosaic_spread_deg": 0.0},
         "domains_without_spread", False),
        ({"crystal.mosaic_domains": 10, "crystal.mosaic_spread_deg": 1.0},
         "domains_without_spread", False),
        ({"beam.dispersion_steps": 3}, "wavelengths_without_range", True),
        ({"beam.dispersion_steps": 1}, "wavelengths_without_range", False),
        ({"beam.dispersion_steps": 3, "beam.dispersion_percent": 1.0},
         "wavelengths_without_range", False),
    ):  # fmt: skip
        assert warned(name, changes) == is_odd, changes
    refusal({"beam.dispersion_steps": 3}, off("count_alone"), "beam.dispersion_steps")


def test_oversampling_chosen_beyond_32() -> None:
    """Its figure is that of model 4.5: 3 L/(lambda distance/pixel)."""
    for cells, count in ((444, 32), (445, 33), (1000, 72)):
        length = 40.0 * cells  # angstrom, along a
        changes = {
            "crystal.n_cells": (float(cells), 1.0, 1.0),
            "sampling.oversample": None,
            "detector.distance_mm": 100.0,
            "detector.pixel_size_mm": 0.06,
        }
        made = [plan(changes, engine=engine) for engine in ENGINES]
        assert {p.oversample for p in made} == {math.ceil(3.0 * length * 0.06 / 100.0)} == {count}
        assert warned("oversample_high", changes) == (count > 32)
        assert not warned("oversample_high", {**changes, "sampling.oversample": 40})
    assert f"{count * count} steps for each pixel" in " ".join(made[0].sentences())


def test_runs_that_take_long_and_that_never_end() -> None:
    """24 x 20 pixels."""
    sensor = {"detector.sensor_thickness_um": 300.0, "sampling.oversample": 1}
    enough, too_many = 208_333_333, 208_333_334  # times 480: 10^11
    for layers, is_long in ((1000, False), (enough, False), (too_many, True), (2**31 - 1, True)):
        assert warned("many_steps", {**sensor, "detector.sensor_layers": layers}) == is_long
    big = {**sensor, "detector.sensor_layers": 2**31 - 1, "sampling.oversample": 4096}
    assert warned("many_steps", {**big, "sampling.roi": (0, 0, 0, 0)})
    assert warned("many_steps", {**big, "sampling.roi": (0, 15, 0, 15)})
    assert "a product of at most 2^63" in refusal(big, None, "experiment")
    assert not warned("many_steps", {**big, "sampling.roi": (5, 4, 0, 0)})  # no pixel


def test_strict_refuses_what_cannot_have_been_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "-cell 40 50 60 90 90 90 -default_F 9 -detpixels 8 -N 3 -oversample 1 --strict".split()
    for more, said in (
        ("-phisteps 10", "a count without a range"),
        ("-mosaic_dom 10", "a number of mosaic domains without a mosaic spread"),
        ("-dispsteps 10", "a number of wavelengths without a dispersion"),
        ("-osc 1 -phistep 0.3", "do not fill the oscillation"),
        ("-hdivrange 3 -hdivstep 1", "the beam is off centre"),
        ("-phisteps 10 -phistep 0.1", "the count is ignored"),
    ):
        assert run_in_process(tmp_path, [*words, *more.split()]).exit == 9
        assert said in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []
    assert run_in_process(tmp_path, [*words, "-osc", "1", "-phisteps", "10"]).exit == 0
