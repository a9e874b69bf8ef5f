"""The truth of a frame: each reflection's light, compared with images of it alone."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.model.conventions import SHAPES

CELL = (40.0, 50.0, 60.0)


def scene(**changes: Any) -> nb.Experiment:
    """Some thirty spots of which neighbours touch."""
    plain = nb.Experiment(
        crystal=nb.Crystal(
            cell_angstrom=CELL,
            n_cells=(5, 5, 5),
            misset_deg=(10, 20, 30),
            shape="gauss_hkl",
            mosaic_spread_deg=3.0,
            mosaic_domains=6,
        ),
        beam=nb.Beam(polarization_kahn=0.9),
        goniometer=nb.Goniometer(phi_deg=3.0, osc_deg=1.0, phi_steps=4),
        detector=nb.Detector(distance_mm=60, pixel_size_mm=0.2, n_fast=80, n_slow=70),
        sampling=nb.Sampling(oversample=1),
    )
    return plain.replace({name.replace("__", "."): value for name, value in changes.items()})


FACTORS = nb.StructureFactors.constant(100.0)


def alone(hkl: np.ndarray) -> nb.StructureFactors:
    return nb.StructureFactors.from_reflections([hkl.tolist()], [100.0], 0.0)


def test_light_is_each_reflections_own() -> None:
    experiment = scene()
    truth = nb.predict_reflections(experiment, FACTORS, min_peak_photons=0.5, edge_fraction=0.02)
    assert len(truth) > 20
    assert (truth.overlap_photons > 0.1 * truth.photons).any()  # some do touch
    slow, fast = np.indices((70, 80)) + 0.5
    for n in range(len(truth)):
        image = nb.simulate(experiment, alone(truth.hkl[n])).image.astype(float)
        total = image.sum()
        assert truth.photons[n] == pytest.approx(total, rel=1e-3, abs=0.2)  # pixels < 0.01
        if total < 20.0:
            continue
        assert truth.fast_px[n] == pytest.approx((image * fast).sum() / total, abs=2e-2)
        assert truth.slow_px[n] == pytest.approx((image * slow).sum() / total, abs=2e-2)
        assert truth.peak_photons[n] == pytest.approx(image.max(), rel=1e-6)
        belongs = image >= 0.02 * image.max()
        assert truth.pixel_count[n] == belongs.sum()
        here = slice(truth.pixel_start[n], truth.pixel_start[n + 1])
        numbers = np.flatnonzero(belongs)
        assert (truth.pixel_number[here] == numbers).all()
        assert truth.pixel_photons[here] == pytest.approx(image.reshape(-1)[numbers], rel=1e-5)
        rows, columns = np.nonzero(belongs)
        box = [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1]
        assert truth.bounds[n].tolist() == box
    whole = nb.simulate(experiment, FACTORS).image
    assert truth.photons.sum() + truth.unassigned_photons[0] == pytest.approx(whole.sum())
    assert 0.0 <= truth.unassigned_photons[0] < 0.01 * whole.sum()


def test_phi_is_the_mean_of_its_light() -> None:
    """Each phi step rendered alone."""
    experiment = scene()
    truth = nb.predict_reflections(experiment, FACTORS)
    brightest = int(np.argmax(truth.photons))
    table = alone(truth.hkl[brightest])
    light = []
    angles = [3.0, 3.25, 3.5, 3.75]  # left edges: the quirk phi_left_edge
    for angle in angles:
        step = experiment.replace({"goniometer": nb.Goniometer(phi_deg=angle)})
        light.append(nb.simulate(step, table).image.sum(dtype=float))
    assert truth.phi_deg[brightest] == pytest.approx(np.average(angles, weights=light), abs=1e-4)
    centred = nb.predict_reflections(experiment, FACTORS, quirks=nb.Quirks(phi_left_edge=False))
    assert centred.phi_deg.min() >= 3.125 - 1e-9
    assert centred.phi_deg.max() <= 3.875 + 1e-9


def wide(**changes: Any) -> nb.Experiment:
    """A rotation all the way through the reflections of a detector above the beam, where they pass
    the Ewald sphere within a degree."""
    plain = nb.Experiment(
        crystal=nb.Crystal(
            cell_angstrom=CELL, n_cells=(8, 8, 8), misset_deg=(10, 20, 30), shape="gauss_hkl"
        ),
        beam=nb.Beam(polarization_kahn=0.9),
        goniometer=nb.Goniometer(phi_deg=1.0, osc_deg=6.0, phi_steps=150),
        detector=nb.Detector(
            distance_mm=60, pixel_size_mm=0.1, n_fast=100, n_slow=90, beam_x_mm=-15
        ),
        sampling=nb.Sampling(oversample=2),
    )
    return plain.replace({name.replace("__", "."): value for name, value in changes.items()})


def partialities(truth: nb.ReflectionTruth) -> np.ndarray:
    """Of reflections that are not cut by an edge of the rotation or of the panel."""
    good = (truth.phi_deg > 2.8) & (truth.phi_deg < 5.2) & (truth.peak_photons > 20)
    good &= (truth.bounds[:, [0, 2]] > 0).all(axis=1)
    good &= (truth.bounds[:, 1] < 90) & (truth.bounds[:, 3] < 100)
    assert good.sum() > 10
    return truth.partiality[good]


@pytest.mark.parametrize("shape", SHAPES)
def test_partiality_of_a_whole_rotation_is_one(shape: str) -> None:
    found = partialities(nb.predict_reflections(wide(crystal__shape=shape), FACTORS))
    assert np.median(found) == pytest.approx(1.0, abs=0.04 if "tophat" in shape else 0.02)


def test_partialities_of_frames_add_up() -> None:
    whole = nb.predict_reflections(wide(), FACTORS)
    frames = []
    for n in range(3):
        turned = wide(
            goniometer__phi_deg=1.0 + 2.0 * n, goniometer__osc_deg=2.0, goniometer__phi_steps=50
        )
        # the same photons for each degree
        turned = turned.replace(
            {"beam.fluence_photons_per_m2": turned.beam.fluence_photons_per_m2 / 3.0}
        )
        frames.append(nb.predict_reflections(turned, FACTORS, frame=n, min_peak_photons=0.01))
    merged = nb.ReflectionTruth.joined(frames).merged()
    rows = {tuple(hkl): n for n, hkl in enumerate(merged.hkl.tolist())}
    bright = np.flatnonzero(whole.peak_photons > 20)
    assert len(bright) > 20
    for n in bright:
        row = rows[tuple(whole.hkl[n].tolist())]
        assert merged.photons[row] == pytest.approx(whole.photons[n], rel=1e-3)
        assert merged.partiality[row] == pytest.approx(whole.partiality[n], rel=2e-3)
        assert merged.phi_deg[row] == pytest.approx(whole.phi_deg[n], abs=1e-2)


@pytest.mark.parametrize(
    ("changes", "quirks"),
    [
        ({"beam__polarization_correction": False}, nb.Quirks()),
        ({"beam__polarization_kahn": 0.0}, nb.Quirks()),
        ({"detector__curved": True}, nb.Quirks(curved_detector_axes=False)),
        ({"detector__point_pixel": True}, nb.Quirks()),
        ({"detector__point_pixel": True}, nb.Quirks(point_pixel_area=False)),
        (
            {
                "detector__sensor_thickness_um": 300.0,
                "detector__sensor_attenuation_depth_um": 400.0,
                "detector__sensor_layers": 3,
            },
            nb.Quirks(),
        ),
        (
            {
                "detector__sensor_thickness_um": 300.0,
                "detector__sensor_attenuation_depth_um": 400.0,
                "detector__sensor_layers": 3,
            },
            nb.Quirks.none(),
        ),
        ({"beam__spectrum": nb.Spectrum(wavelengths_angstrom=(0.995, 1.005))}, nb.Quirks()),
    ],
)
def test_full_light_has_every_factor(changes: dict[str, Any], quirks: nb.Quirks) -> None:
    truth = nb.predict_reflections(wide(**changes), FACTORS, quirks=quirks)
    assert np.median(partialities(truth)) == pytest.approx(
        1.0, abs=0.01 + 0.02 * ("detector__curved" in changes)
    )  # its pixels are denser


def test_a_still_has_no_partiality() -> None:
    truth = nb.predict_reflections(scene(goniometer=nb.Goniometer(phi_deg=3.0)), FACTORS)
    assert len(truth) > 5
    assert np.isnan(truth.partiality).all()
    assert np.isnan(truth.full_photons).all()
    assert truth.osc_deg.tolist() == [0.0]
    assert (abs(truth.phi_deg - 3.0) < 1e-9).all()


def test_light_under_a_spot() -> None:
    wet = scene(crystal__water_um=20.0, background=nb.Background(flat_photons_per_pixel=2.5))
    dry, under = (nb.predict_reflections(each, FACTORS) for each in (scene(), wet))
    assert (dry.background_photons == 0.0).all()
    assert (under.photons == dry.photons).all()
    beside = nb.simulate(
        scene(crystal__water_um=20.0), nb.StructureFactors.constant(0.0)
    ).image.reshape(-1)
    for n in range(len(under)):
        pixels = under.pixel_number[under.pixel_start[n] : under.pixel_start[n + 1]]
        expected = (beside[pixels].astype(float) + 2.5).sum()
        assert under.background_photons[n] == pytest.approx(expected, rel=1e-9)


def test_the_response_changes_nothing() -> None:
    plain = nb.predict_reflections(scene(), FACTORS)
    response = nb.Response(gain=3.0, point_spread=nb.PointSpread(gaussian_fwhm_um=300.0), seed=1)
    spread = nb.predict_reflections(scene(response=response), FACTORS)
    assert (spread.photons == plain.photons).all()


def test_threads_change_no_bit() -> None:
    one, three = (nb.predict_reflections(scene(), FACTORS, threads=n) for n in (1, 3))
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(three, field.name)
        if field.name == "provenance":
            assert a == b
            continue
        assert np.array_equal(a, b), field.name


def test_panels_are_detectors_of_their_own() -> None:
    plain = scene()
    truth = nb.predict_reflections(plain, FACTORS)
    plan = nb.prepare(plain, FACTORS).plan
    fast, slow = plan.fast_axis, plan.slow_axis
    halves = tuple(
        nb.Panel(
            name=f"half{n}",
            origin_mm=tuple(
                1e3 * o + 35 * n * 0.2 * s for o, s in zip(plan.pix0_m, slow, strict=True)
            ),
            fast_axis=fast,
            slow_axis=slow,
            n_fast=80,
            n_slow=35,
            pixel_size_mm=0.2,
        )
        for n in range(2)
    )
    split = nb.predict_reflections(plain.replace({"detector": nb.Detector(panels=halves)}), FACTORS)
    assert set(split.panel.tolist()) == {0, 1}
    assert split.shapes == ((35, 80), (35, 80))
    both = np.vstack([split.mask(0), split.mask(1)])
    assert (both != truth.mask()).mean() < 0.01  # peaks differ where the edge cuts a spot
    assert split.photons.sum() == pytest.approx(truth.photons.sum(), rel=1e-3)


def test_what_is_left_out() -> None:
    all_of_them = nb.predict_reflections(scene(), FACTORS, min_peak_photons=0.5)
    bright = nb.predict_reflections(scene(), FACTORS, min_peak_photons=50.0)
    wanted = all_of_them.peak_photons >= 50.0
    assert 0 < wanted.sum() < len(all_of_them)
    assert (bright.hkl == all_of_them.hkl[wanted]).all()
    nothing = nb.predict_reflections(scene(), nb.StructureFactors.constant(0.0))
    assert len(nothing) == 0
    assert not nothing.mask().any()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"min_peak_photons": 0.0}, "min_peak_photons"),
        ({"min_peak_photons": float("nan")}, "min_peak_photons"),
        ({"edge_fraction": 0.0}, "edge_fraction"),
        ({"edge_fraction": 1.0}, "edge_fraction"),
        ({"frame": -1}, "frame"),
        ({"frame": 2**31 - 1}, "frame: got 2147483647, need an integer from 0 to 2147483646"),
        ({"threads": 0}, "threads"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(nb.ConfigError, match=field):
        nb.predict_reflections(scene(), FACTORS, **arguments)


def test_numbers_at_the_ends_of_their_types() -> None:
    last = nb.predict_reflections(scene(), FACTORS, frame=2**31 - 2)
    assert set(last.frame_stop.tolist()) == {2**31 - 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        nothing = nb.predict_reflections(scene(), FACTORS, min_peak_photons=1e300)
    assert len(nothing) == 0
    assert nothing.unassigned_photons[0] > 1.0
    bright = nb.predict_reflections(scene(beam__fluence_photons_per_m2=1e54), FACTORS)
    assert np.isfinite(bright.pixel_photons).all()
    assert bright.pixel_photons.max() > 1e27
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(nb.UnsupportedError, match="panel 0 has pixels with more photons"):
            nb.predict_reflections(scene(beam__fluence_photons_per_m2=1e70), FACTORS)


def test_no_truth_of_no_frame() -> None:
    with pytest.raises(nb.ConfigError, match=r"crystal\.misset_seed"):
        nb.predict_reflections(scene(crystal__misset_random=True), FACTORS)
    with pytest.raises(nb.UnsupportedError, match="oversample_running_product"):
        nb.predict_reflections(scene(sampling__oversample_polar=True), FACTORS)
