"""What writers refuse is refused before a frame is rendered and before a folder is made."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.run.series import refusals, simulate, worker

for _library in ("h5py", "hdf5plugin", "msgpack", "PIL"):
    pytest.importorskip(_library, reason=f"{_library} is not installed (extras: mx, png)")

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")

FACTORS = nb.StructureFactors.constant(100.0)
BASE = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=1e28),
    crystal=nb.Crystal(cell_angstrom=(40, 50, 60), n_cells=(3, 3, 3), misset_deg=(10, 20, 30)),
    goniometer=nb.Goniometer(phi_deg=3.0, osc_deg=1.0, phi_steps=1),
    detector=nb.Detector(distance_mm=60, pixel_size_mm=4.0, n_fast=8, n_slow=7),
    sampling=nb.Sampling(oversample=1),
)
_SIZE = {"n_fast": 8, "n_slow": 7, "pixel_size_mm": 4.0}
PANELS = tuple(
    nb.Panel(name, (60, 15, z), (0, 0, 1), (0, -1, 0), **_SIZE)
    for name, z in (("a", -40.0), ("b", 5.0))
)
DETECTORS: dict[str, dict[str, Any]] = {
    "plain": {},
    "curved": {"detector.curved": True},
    "panels": {"detector": nb.Detector(panels=PANELS)},
    "turned": {"detector.twotheta_deg": 10.0},
    "oblong pixels": {"detector.pixel_size_mm": (4.0, 3.0)},
    "oblique beam": {"beam.direction": (1.0, 0.1, 0.0)},
}
PIXELS: dict[str, tuple[dict[str, Any], Any]] = {
    "noise": ({}, "noise"),
    "noise on an odd offset": ({"output.adc_offset": 10.5}, "noise"),
    "integers": ({}, "integers"),
    "photons": ({}, "photons"),
    "counts": ({"response": nb.Response(count_type="uint16")}, None),
    "floats": ({"response": nb.Response(count_type="float32")}, "counts"),
    "an odd pedestal": ({"response": nb.Response(pedestal=10.5)}, "counts"),
    "a high pedestal": ({"response": nb.Response(pedestal=7e4)}, "counts"),
    "hot pixels": ({"response": nb.Response(hot_pixels=[(1, 2)])}, "counts"),
    "dead pixels": ({"response": nb.Response(dead_pixels=[(1, 2)], dead_counts=-1)}, "counts"),
    "dead and hot": (
        {"response": nb.Response(dead_pixels=[(1, 2)], hot_pixels=[(1, 2)])},
        "counts",
    ),
    "photons of a response": ({"response": nb.Response(pedestal=10.5)}, "photons"),
}
FORMATS = {
    "x_#.img": "smv",
    "y_#.img": "smv-adsc",
    "x_#.cbf": "cbf",
    "x_#.h5": "nxmx",
    "x.h5": "nxmx",
    "x_#.tif": "tiff",
    "x_#.png": "png",
}


def outcome(call: Any, *arguments: Any, **named: Any) -> str:
    """ "written", or the class of the error; "late" for one after a frame was begun."""
    try:
        call(*arguments, **named)
    except nb.SeriesError as error:
        return f"late: {error}"
    except (nb.ConfigError, nb.UnsupportedError) as error:
        return type(error).__name__
    return "written"


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the frames that have been rendered."""
    numbers: list[int] = []
    render = worker.render_frame

    def counting(settings: bytes, key: str, number: int) -> worker.Done:
        numbers.append(number)
        return render(settings, key, number)

    monkeypatch.setattr(worker, "render_frame", counting)
    return numbers


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_series_takes_what_write_image_takes(
    detector: str, tmp_path: Path, rendered: list[int]
) -> None:
    taken = 0
    for name, (changes, pixels) in PIXELS.items():
        experiment = BASE.replace({**DETECTORS[detector], **changes})
        result = nb.simulate(experiment.replace({"output.noise_seed": 1}), FACTORS)
        for out, format_ in FORMATS.items():
            if out == "x.h5" and pixels == "integers":
                continue  # each image has its own scale
            folder = tmp_path / name / out.replace("#", "n")
            single = tmp_path / out.replace("#", "1")
            call: dict[str, Any] = {"format": format_, "pixels": pixels}
            wanted = outcome(nb.write_image, single, result, **call)
            del rendered[:]
            found = outcome(
                nb.simulate_series, experiment, FACTORS, out=folder / out, frames=1, **call
            )
            assert (found == "written") == (wanted == "written"), (name, out, found, wanted)
            assert not found.startswith("late")
            begun = len(rendered), folder.exists()
            assert begun == ((1, True) if found == "written" else (0, False)), (name, out)
            taken += found == "written"
    assert 0 < taken < len(PIXELS) * len(FORMATS)


KINDS: dict[str, nb.Series] = {
    "rotation": nb.Series.rotation(BASE, 2),
    "stills": nb.Series.stills(BASE.replace({"goniometer": nb.Goniometer()}), 2),
    "grid": nb.Series.grid(BASE, {"crystal.n_cells": [(3, 3, 3), (4, 4, 4)]}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_truth_that_cannot_be_written(kind: str, tmp_path: Path, rendered: list[int]) -> None:
    """A series that is begun ends with its truth."""
    series = KINDS[kind]
    written = set()
    for name, out in itertools.product(DETECTORS, ("x_#.cbf", "x.h5", "x_#.tif", "x_#.png")):
        folder = tmp_path / name / out.replace("#", "n")
        experiment = series.experiment.replace(DETECTORS[name])
        changed = nb.Series(experiment, series.kind, series.frames)
        pixels = None if out.endswith("png") else "noise"
        del rendered[:]
        call: dict[str, Any] = {"out": folder / out, "pixels": pixels, "truth": True}
        found = outcome(nb.simulate_series, changed, FACTORS, **call)
        assert not found.startswith("late")
        begun = len(rendered), folder.exists()
        assert begun == ((2, True) if found == "written" else (0, False)), (name, out)
        if found == "written":
            written.add((name, out))
            assert (folder / "x_truth.h5").exists()
    curved = nb.Series(series.experiment.replace(DETECTORS["curved"]), series.kind, 2)
    if kind != "grid":
        with pytest.raises(nb.UnsupportedError, match=r"true crystals .*: detector\.curved"):
            nb.simulate_series(curved, FACTORS, out=tmp_path / "c" / "x_#.png", truth=True)
    # A picture says no geometry, a grid has no file that does.
    assert (("curved", "x_#.png") in written) == (kind == "grid")
    assert {("plain", out) for out in ("x_#.cbf", "x.h5", "x_#.tif", "x_#.png")} <= written
    assert {("panels", "x_#.cbf"), ("turned", "x_#.tif")} <= written


def test_products_of_all_reflections_have_no_truth(tmp_path: Path, rendered: list[int]) -> None:
    on = nb.Quirks()
    product = BASE.replace({"sampling.oversample_omega": True})
    grid = nb.Series.grid(BASE, {"sampling.oversample_omega": [False, True]})
    call: dict[str, Any] = {"out": tmp_path / "a" / "x_#.cbf", "pixels": "noise"}
    for series in (nb.Series.rotation(product, 1), grid):
        with pytest.raises(nb.UnsupportedError, match="oversample_running_product") as error:
            nb.simulate_series(series, FACTORS, truth=True, quirks=on, **call)
        assert ("in frames with sampling.oversample_omega True" in str(error.value)) == (
            series is grid
        )
    assert rendered == []
    assert not (tmp_path / "a").exists()
    off = nb.Quirks.none()
    done = nb.simulate_series(
        nb.Series.rotation(product, 1), FACTORS, truth=True, quirks=off, **call
    )
    assert done.is_complete


def test_a_combination_of_a_grid_is_named(tmp_path: Path, rendered: list[int]) -> None:
    for axes, out, words in (
        ({"detector.curved": [False, True]}, "x_#.cbf", "detector.curved True"),
        (
            {"detector.distance_mm": [60.0, 70.0], "detector.twotheta_deg": [0.0, 5.0]},
            "x_#.img",
            "detector.twotheta_deg 5.0",
        ),
        ({"output.adc_offset": [10.0, 10.5]}, "x_#.cbf", "output.adc_offset 10.5"),
        ({"detector.pixel_size_mm": [4.0, (4.0, 3.0)]}, "x_#.img", "(4.0, 3.0)"),
    ):
        series = nb.Series.grid(BASE, axes)
        format_: Any = "smv-adsc" if "twotheta" in words else None
        with pytest.raises((nb.ConfigError, nb.UnsupportedError)) as error:
            nb.simulate_series(
                series, FACTORS, out=tmp_path / "a" / out, pixels="noise", format=format_
            )
        assert f"(in frames with {words})" in str(error.value) or words in str(error.value)
    responses = nb.Series.grid(BASE, {"response": [nb.Response(), None]})
    with pytest.raises(nb.ConfigError, match="the experiment has no response") as found:
        nb.simulate_series(responses, FACTORS, out=tmp_path / "a" / "x_#.cbf")
    assert found.value.field == "pixels"
    assert rendered == []
    assert not (tmp_path / "a").exists()
    both = nb.Series.grid(BASE, {"response": [nb.Response(), nb.Response(gain=2.0)]})
    assert nb.simulate_series(both, FACTORS, out=tmp_path / "a" / "x_#.cbf").rendered == 2


def test_only_what_a_writer_may_refuse_is_looked_at() -> None:
    """Neither a place nor a size that nothing depends on, however many values it has."""
    many = [float(n) for n in range(60, 160)]
    axes = {
        "detector.distance_mm": many,
        "detector.beam_x_mm": many,
        "detector.size_fast_mm": many,
        "detector.twotheta_deg": [0.0, 10.0],
    }
    series = nb.Series.grid(BASE, axes)
    for format_, count in (("smv-adsc", 2), ("tiff", 100), ("cbf", 1), ("png", 1)):
        fields = refusals.fields_of_format(format_)  # type: ignore[arg-type]
        assert len(list(refusals.combinations(series, fields))) == count
    refusals.check_truth(series, nb.Quirks())
    sizes = refusals.fields_of_shapes(series, dict(series.kind.axes))  # type: ignore[union-attr]
    assert not sizes & axes.keys()
    opened = nb.Series.grid(BASE, {"detector.n_fast": [None, 8], **axes})
    sizes = refusals.fields_of_shapes(opened, dict(opened.kind.axes))  # type: ignore[union-attr]
    assert sizes & axes.keys() == {"detector.size_fast_mm"}
    with pytest.raises(nb.ConfigError, match="panels of one shape"):
        refusals.check_truth(opened, nb.Quirks())


HARMLESS = {
    "beam": "wavelength_angstrom polarization_axis polarization_kahn polarization_correction "
    "divergence_h_mrad divergence_v_mrad divergence_h_steps divergence_v_steps "
    "divergence_h_step_mrad divergence_v_step_mrad divergence_shape dispersion_percent "
    "dispersion_steps sources fluence_photons_per_m2 flux_photons_per_s exposure_s beam_size_mm "
    "spectrum",
    "goniometer": "phi_deg",
    "detector": "distance_mm beam_x_mm beam_y_mm close_x_mm close_y_mm org_x_px org_y_px "
    "point_pixel sensor_thickness_um sensor_attenuation_depth_um sensor_layers mask",
    "output": "intensity_scale pgm_scale noise_seed",
    "response": "point_spread gain gain_error shot_noise flicker frame_gain_error read_noise panel",
}
"""Fields that no format refuses."""


def test_every_field_is_one_that_a_format_may_refuse_or_not() -> None:
    formats: tuple[Any, ...] = ("smv-adsc", "smv", "cbf", "nxmx", "tiff", "png")
    refused = frozenset().union(*map(refusals.fields_of_format, formats))
    for part, harmless in HARMLESS.items():
        kind = nb.Response if part == "response" else type(getattr(BASE, part))
        every = {f"{part}.{field.name}" for field in dataclasses.fields(kind)}
        known = {path for path in refused if path.startswith(f"{part}.")}
        assert known | {f"{part}.{name}" for name in harmless.split()} == every
        assert part in refused


@pytest.mark.parametrize("n_fast", [None, 8])
def test_every_field_that_changes_the_shape_is_looked_at(n_fast: int | None) -> None:
    base = BASE.replace({"detector": nb.Detector(distance_mm=60.0, n_fast=n_fast)})
    values: dict[str, list[Any]] = {
        "detector": [nb.Detector(n_fast=5), nb.Detector(n_fast=6)],
        "detector.n_fast": [5, 6],
        "detector.n_slow": [5, 6],
        "detector.size_fast_mm": [50.0, 60.0],
        "detector.size_slow_mm": [50.0, 60.0],
        "detector.pixel_size_mm": [1.0, 2.0],
        "detector.distance_mm": [60.0, 70.0],
    }
    for path, of_path in values.items():
        series = nb.Series.grid(base, {path: of_path})
        shapes = {series.frame(n).experiment.detector.shapes for n in range(2)}
        found = outcome(refusals.check_truth, series, nb.Quirks())
        assert found == ("written" if len(shapes) == 1 else "ConfigError"), path


def test_nothing_is_written_by_a_look(tmp_path: Path) -> None:
    series = KINDS["rotation"]
    call: dict[str, Any] = {"out": tmp_path / "a" / "x_#.cbf", "pixels": "noise"}
    simulate.check_series(series, FACTORS, **call)
    assert not (tmp_path / "a").exists()
    nb.simulate_series(series, FACTORS, **call)
    before = sorted((tmp_path / "a").iterdir())
    with pytest.raises(nb.ConfigError, match="True to go on"):
        simulate.check_series(series, FACTORS, **call)
    simulate.check_series(series, FACTORS, resume=True, **call)
    brighter = series.experiment.replace({"beam.fluence_photons_per_m2": 1e29})
    other = nb.Series(brighter, series.kind, series.frames)
    simulate.check_series(other, FACTORS, resume=True, **call)  # the fluence may still change
    with pytest.raises(nb.ConfigError, match="fluence"):
        nb.simulate_series(other, FACTORS, resume=True, **call)
    (tmp_path / "a" / "x_manifest.jsonl").unlink()
    with pytest.raises(nb.ConfigError, match="nothing is overwritten"):
        simulate.check_series(series, FACTORS, **call)
    assert sorted((tmp_path / "a").iterdir()) == [p for p in before if p.suffix != ".jsonl"]
