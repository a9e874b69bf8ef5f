"""The recipe of a series: what frame i is, that it depends on nothing else, and its JSON."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from series_scenes import STILL, TURNING

import nanobragg_hybrid as nb

PULSES = nb.SasePulses(fwhm_ev=20.0, pulse_fwhm_fs=5.0, nodes=3)
ALL_DRAWN = nb.Series.stills(STILL, 50, seed=3, flux_jitter=0.3, size_jitter=0.1, spectrum=PULSES)
GRID = nb.Series.grid(
    TURNING,
    {
        "crystal.n_cells": [(3, 3, 3), (5, 5, 5)],
        "beam.spectrum": [None, nb.Spectrum(energies_ev=(12000.0, 12100.0))],
        "background": [None, nb.Background(flat_photons_per_pixel=2.0)],
    },
)
EACH_KIND = [nb.Series.rotation(TURNING, 4), ALL_DRAWN, GRID]


def rotation_of(misset_deg: tuple[float, float, float]) -> np.ndarray[Any, Any]:
    """About x, then y, then z."""
    x, y, z = np.deg2rad(misset_deg)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def test_frames_of_a_wedge_follow_each_other() -> None:
    series = nb.Series.rotation(TURNING, 720)
    frames = [series.frame(n).experiment.goniometer for n in (0, 1, 719)]
    assert [each.phi_deg for each in frames] == [10.0, 10.5, 10.0 + 719 * 0.5]
    assert {each.osc_deg for each in frames} == {0.5}
    assert {each.phi_steps for each in frames} == {2}
    given = nb.Series.rotation(TURNING, 3, osc_deg=1.0, start_deg=-90.0)
    assert given.kind == nb.RotationWedge(start_deg=-90.0, osc_deg=1.0)
    assert given.undrawn(2).goniometer.phi_deg == -88.0
    changed = series.frame(1)
    assert changed.provenance["kind"] == "rotation"
    assert changed.provenance["changes"]["goniometer.phi_deg"] == 10.5
    same = changed.experiment.replace(
        {"goniometer.phi_deg": 10.0, "output.noise_seed": None, "crystal.misset_seed": None}
    )
    assert same == TURNING


def test_orientations_are_uniform() -> None:
    """The mean of rotation matrices is 0 and that of their squared elements 1/3, of each column;
    the angle of a uniform rotation has the density (1 - cos a)/pi, so its mean is pi/2 + 2/pi."""
    series = nb.Series.stills(STILL, 1500, seed=11)
    found = np.array(
        [rotation_of(series.frame(n).experiment.crystal.misset_deg) for n in range(1500)]
    )
    assert np.abs(found.mean(axis=0)).max() < 0.06
    assert np.abs((found**2).mean(axis=0) - 1.0 / 3.0).max() < 0.03
    angles = np.arccos(np.clip((np.trace(found, axis1=1, axis2=2) - 1.0) / 2.0, -1.0, 1.0))
    assert angles.mean() == pytest.approx(math.pi / 2 + 2 / math.pi, abs=0.06)
    # Not so the same angles with uniform degrees about y, as a check of the check.
    crooked = np.array(
        [rotation_of((x, y, z)) for x, y, z in np.random.default_rng(1).uniform(-90, 90, (1500, 3))]
    )
    assert np.abs((crooked**2).mean(axis=0) - 1.0 / 3.0).max() > 0.05


def test_jitter_has_the_mean_and_the_deviation_that_are_said() -> None:
    series = nb.Series.rotation(TURNING, 2000, flux_jitter=0.3, size_jitter=0.1)
    frames = [series.frame(n) for n in range(2000)]
    flux = np.array([frame.provenance["flux_factor"] for frame in frames])
    size = np.array([frame.provenance["size_factor"] for frame in frames])
    assert flux.mean() == pytest.approx(1.0, abs=0.03)
    assert flux.std() == pytest.approx(0.3, abs=0.02)
    assert size.std() == pytest.approx(0.1, abs=0.007)
    assert abs(np.corrcoef(flux, size)[0, 1]) < 0.08
    one = frames[7].experiment
    assert one.beam.fluence_photons_per_m2 == 1e28 * flux[7]
    assert one.crystal.n_cells == tuple(round(6 * size[7]) for _ in range(3))
    sized = TURNING.replace({"crystal.size_mm": (0.1, None, 0.2), "beam.flux_photons_per_s": 1e9})
    one = nb.Series.rotation(sized, 9, flux_jitter=0.3, size_jitter=0.1).frame(7).experiment
    assert one.crystal.size_mm == (0.1 * size[7], None, 0.2 * size[7])
    assert one.beam.flux_photons_per_s == 1e9 * flux[7]


def test_a_square_crystal_has_whole_numbers_of_cells_and_the_light_of_its_size() -> None:
    """sin^2(pi N h) over sin^2(pi h) is infinite near a reflection for an N that is not whole."""
    grown = {"crystal.n_cells": (12, 9, 0.6), "crystal.shape": "square", "response": None}
    series = nb.Series.rotation(TURNING.replace(grown), 200, size_jitter=0.3)
    seen = set()
    for number in range(200):
        frame = series.frame(number)
        factor = frame.provenance["size_factor"]
        expected = (round(12 * factor), round(9 * factor), max(1, round(0.6 * factor)))
        assert frame.experiment.crystal.n_cells == expected
        assert frame.provenance["changes"]["crystal.n_cells"] == expected
        seen.add(expected[0])
    assert len(seen) > 10
    for shape in ("gauss", "round", "tophat"):
        smooth = series.experiment.replace({"crystal.shape": shape})
        other = nb.Series.rotation(smooth, 200, size_jitter=0.3).frame(7)
        factor = other.provenance["size_factor"]
        assert other.experiment.crystal.n_cells == (12 * factor, 9 * factor, 0.6 * factor)


def test_the_light_of_a_jittered_square_crystal_goes_with_its_size() -> None:
    sharp: dict[str, Any] = {"crystal.n_cells": (12, 12, 12), "response": None}
    sharp |= {"crystal.mosaic_spread_deg": None, "crystal.mosaic_domains": None}
    series = nb.Series.rotation(TURNING.replace(sharp), 8, size_jitter=0.1)
    table = nb.StructureFactors.constant(100.0)
    sizes = set()
    for number in range(8):
        jittered = series.frame(number).experiment
        sizes.add(jittered.crystal.n_cells)
        fractional = jittered.replace({"crystal.n_cells": (12.45, 12.45, 12.45)})
        plain, found, wrong = (
            nb.simulate(of, table).image.max()
            for of in (series.undrawn(number), jittered, fractional)
        )
        grown = math.prod(jittered.crystal.n_cells) / 12**3
        assert 0.5 < found / plain / grown**2 < 2.0
        assert wrong / plain / (12.45 / 12) ** 6 > 4.0
    assert len(sizes) > 1


def test_each_frame_has_a_pulse_of_its_own() -> None:
    frames = [ALL_DRAWN.frame(n) for n in range(3)]
    spectra = [frame.experiment.beam.spectrum for frame in frames]
    assert len(set(spectra)) == 3
    seed = frames[1].provenance["sase_seed"]
    assert spectra[1] == nb.Spectrum.sase(
        seed=seed, centre_ev=12398.42, fwhm_ev=20.0, pulse_fwhm_fs=5.0, nodes=3
    )
    centred = dataclasses.replace(ALL_DRAWN, spectrum=dataclasses.replace(PULSES, centre_ev=9e3))
    spectrum = centred.frame(1).experiment.beam.spectrum
    assert spectrum is not None
    assert spectrum.energies_ev is not None
    assert spectrum.energies_ev[1] == 9000.0


def test_a_grid_has_every_combination_the_last_path_fastest() -> None:
    assert len(GRID) == 8
    seen = [GRID.frame(n).experiment for n in range(8)]
    assert [each.crystal.n_cells[0] for each in seen] == [3, 3, 3, 3, 5, 5, 5, 5]
    assert [each.background is None for each in seen] == [True, False] * 4
    assert [each.beam.spectrum is None for each in seen] == [True, True, False, False] * 2
    assert list(GRID.frame(0).provenance["changes"])[:3] == [path for path, _ in GRID.kind.axes]  # type: ignore[union-attr]


@for_each("series", EACH_KIND)
def test_frames_depend_on_recipe_and_number_alone(series: nb.Series) -> None:
    forwards = [series.frame(n) for n in range(4)]
    again = nb.Series.from_json(series.to_json())
    backwards = [pickle.loads(pickle.dumps(again)).frame(n) for n in reversed(range(4))]
    assert forwards == backwards[::-1]
    assert [frame.provenance["frame"] for frame in forwards] == [0, 1, 2, 3]
    seeds = {frame.experiment.output.noise_seed for frame in forwards}
    assert len(seeds) == 4
    assert None not in seeds
    assert None not in {frame.experiment.crystal.misset_seed for frame in forwards}
    other = dataclasses.replace(series, seed=series.seed + 1)
    assert other.frame(0).experiment != forwards[0].experiment


def test_stills_have_domains_of_their_own_unless_they_are_given() -> None:
    seeds = {ALL_DRAWN.frame(n).experiment.crystal.mosaic_seed for n in range(5)}
    assert len(seeds) == 5
    given = STILL.replace(
        {
            "crystal.mosaic_spread_deg": None,
            "crystal.mosaic_domains": None,
            "crystal.mosaic_rotations": nb.Rotations([np.eye(3)]),
        }
    )
    assert nb.Series.stills(given, 2).frame(1).experiment.crystal.mosaic_seed == 12345678


@for_each("series", EACH_KIND)
def test_json_gives_back_the_same_series(series: nb.Series) -> None:
    assert nb.Series.from_json(series.to_json()) == series
    assert nb.Series.from_dict(series.to_dict()) == series
    assert hash(nb.Series.from_dict(series.to_dict())) == hash(series)


def test_a_saved_series_is_read(tmp_path: Any) -> None:
    GRID.save(tmp_path / "series.json")
    assert nb.Series.load(tmp_path / "series.json") == GRID
    with pytest.raises(nb.FileAccessError):
        nb.Series.load(tmp_path / "none.json")


def _with(**changes: Any) -> dict[str, Any]:
    return {**nb.Series.rotation(TURNING, 4).to_dict(), **changes}


WEDGE = {"name": "rotation", "start_deg": 0.0, "osc_deg": 1.0}


@for_each(
    "data, field",
    [
        (3, "series"),
        (_with(format="nanobragg-hybrid experiment"), "format"),
        (_with(schema_version=2), "schema_version"),
        (_with(jitter=0.1), "series"),
        (_with(kind={**WEDGE, "name": "turn"}), "series.kind.name"),
        (_with(kind={**WEDGE, "osc": 1}), "series.kind"),
        (_with(kind={"name": "rotation", "osc_deg": 1.0}), "series.kind.start_deg"),
        (_with(kind={"name": "stills", "osc_deg": 1.0}), "series.kind"),
        (_with(kind={"name": "grid", "axes": 3}), "series.kind.axes"),
        (_with(kind={"name": "grid", "axes": [["crystal.size", [1]]]}), "crystal"),
        (_with(spectrum={"fwhm": 1}), "series.spectrum"),
        (_with(frames=0), "series.frames"),
        (_with(experiment={"format": "x"}), "format"),
    ],
)
def test_json_that_is_no_series(data: Any, field: str) -> None:
    with pytest.raises(nb.ConfigError) as error:
        nb.Series.from_dict(data)
    assert error.value.field == field


def test_text_that_is_no_json() -> None:
    with pytest.raises(nb.FileFormatError):
        nb.Series.from_json("{")
    with pytest.raises(nb.ConfigError):
        nb.Series.from_json(3)  # type: ignore[arg-type]


SEEDLESS = STILL.replace({"crystal.misset_random": True})
LIT = STILL.replace({"beam.spectrum": nb.Spectrum(energies_ev=(12000.0,))})
OF_EXPOSURE = "series.kind.axes['beam.exposure_s']"


@for_each(
    "make, field",
    [
        (lambda: nb.Series.rotation(STILL, 4), "osc_deg"),
        (lambda: nb.Series.rotation(STILL, 4, osc_deg=0.0), "series.kind.osc_deg"),
        (lambda: nb.Series.rotation(TURNING, 10**7 + 1), "series.frames"),
        (lambda: nb.Series.rotation(TURNING, 4, jitter=1), "series"),
        (lambda: nb.Series.stills(STILL, 4, seed=-1), "series.seed"),
        (lambda: nb.Series.stills(STILL, 4, flux_jitter=1.0), "series.flux_jitter"),
        (lambda: nb.Series.stills(STILL, 4, size_jitter=-0.1), "series.size_jitter"),
        (lambda: nb.Series.stills(STILL, 4, spectrum="sase"), "series.spectrum"),
        (lambda: nb.Series(STILL, "stills", 4), "series.kind"),  # type: ignore[arg-type]
        (lambda: nb.Series(3, nb.RandomStills(), 4), "series.experiment"),  # type: ignore[arg-type]
        (lambda: nb.Series.stills(TURNING, 4), "series.experiment.goniometer.osc_deg"),
        (
            lambda: nb.Series.stills(STILL.replace({"goniometer.phi_steps": 2}), 4),
            "series.experiment.goniometer.phi_steps",
        ),
        (lambda: nb.Series.stills(SEEDLESS, 4), "series.experiment.crystal.misset_seed"),
        (
            lambda: nb.Series.stills(SEEDLESS.replace({"crystal.misset_seed": 3}), 4),
            "series.experiment.crystal.misset_random",
        ),
        (
            lambda: nb.Series.stills(STILL.replace({"output.noise_seed": 3}), 4),
            "series.experiment.output.noise_seed",
        ),
        (lambda: nb.Series.stills(LIT, 4, spectrum=PULSES), "series.experiment.beam.spectrum"),
        (lambda: nb.Series.grid(STILL, {}), "series.kind.axes"),
        (lambda: nb.Series.grid(STILL, {"crystal.n_cell": [(1, 1, 1)]}), "series.kind.axes"),
        (lambda: nb.Series.grid(STILL, {"output.noise_seed": [1]}), "series.kind.axes"),
        (
            lambda: nb.Series.grid(STILL, {"output": [nb.Output(noise_seed=1)]}),
            "series.kind.axes['output'][0]: output.noise_seed",
        ),
        (
            lambda: nb.Series.grid(STILL, {"beam.spectrum": [None]}, spectrum=PULSES),
            "series.kind.axes",
        ),
        (
            lambda: nb.Series.grid(STILL, {"beam.exposure_s": [1.0, "x"]}),
            "series.kind.axes['beam.exposure_s'][1] (beam.exposure_s)",
        ),
        (
            lambda: nb.Series.grid(STILL, {"beam.exposure_s": []}),
            OF_EXPOSURE,
        ),
        (
            lambda: nb.Series.grid(STILL, {"beam.exposure_s": 3}),
            OF_EXPOSURE,
        ),  # type: ignore[dict-item]
        (lambda: dataclasses.replace(GRID, frames=7), "series.frames"),
        (lambda: GRID.frame(8), "frame"),
        (lambda: GRID.frame(-1), "frame"),
        (lambda: nb.SasePulses(fwhm_ev=0.0, pulse_fwhm_fs=5.0), "series.spectrum.fwhm_ev"),
    ],
)
def test_what_is_no_series_is_named(make: Any, field: str) -> None:
    with pytest.raises(nb.ConfigError) as error:
        make()
    assert error.value.field == field


def test_the_greatest_seed() -> None:
    assert nb.Series.stills(STILL, 1, seed=2**31 - 1).seed == 2**31 - 1
    for seed in (-1, 2**31, 2**70):
        with pytest.raises(nb.ConfigError, match="an integer from 0 to 2147483647"):
            nb.Series.stills(STILL, 1, seed=seed)


def test_combinations_that_cannot_be_are_refused_when_they_are_asked_for() -> None:
    series = nb.Series.grid(
        STILL, {"response.pedestal": [0.0, 100.0], "response.saturation": [50.0, 1000.0]}
    )
    assert series.frame(1).experiment.response is not None
    with pytest.raises(nb.ConfigError) as error:
        series.frame(2)
    assert error.value.field == "response.saturation"
