"""Tables of reflections and true crystals as files, there and back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nanobragg_hybrid as nb

h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra: mx)")
pytest.importorskip("msgpack", reason="msgpack is not installed (extra: mx)")

FACTORS = nb.StructureFactors.constant(100.0)


def frame(number: int = 0, **changes: Any) -> nb.Experiment:
    plain = nb.Experiment(
        crystal=nb.Crystal(
            cell_angstrom=(40, 50, 60),
            n_cells=(5, 5, 5),
            misset_deg=(10, 20, 30),
            shape="gauss_hkl",
        ),
        goniometer=nb.Goniometer(phi_deg=3.0 + number, osc_deg=1.0, phi_steps=4),
        detector=nb.Detector(distance_mm=60, pixel_size_mm=0.2, n_fast=80, n_slow=70),
        sampling=nb.Sampling(oversample=1),
    )
    return plain.replace({name.replace("__", "."): value for name, value in changes.items()})


def still(number: int) -> nb.Experiment:
    return frame(goniometer=nb.Goniometer(), crystal__misset_deg=(10 + number, 20, 30))


FRAMES = [frame(n) for n in range(3)]
TABLES = [nb.predict_reflections(each, FACTORS, frame=n) for n, each in enumerate(FRAMES)]
TRUTH = nb.ReflectionTruth.joined(TABLES)
STILLS = [still(n) for n in range(3)]
OF_STILLS = nb.ReflectionTruth.joined(
    [nb.predict_reflections(each, FACTORS, frame=n) for n, each in enumerate(STILLS)]
)


def same(a: nb.ReflectionTruth, b: nb.ReflectionTruth) -> None:
    for field in dataclasses.fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if field.name in ("shapes", "provenance"):
            assert one == other, field.name
        else:
            assert one.dtype == other.dtype, field.name
            assert np.array_equal(one, other, equal_nan=True), field.name


@pytest.mark.parametrize(
    "truth", [TRUTH, OF_STILLS, TABLES[1].where(np.zeros(len(TABLES[1]), bool))]
)
def test_hdf5_there_and_back(truth: nb.ReflectionTruth, tmp_path: Path) -> None:
    nb.write_truth(tmp_path / "t.h5", truth)
    same(nb.read_truth(tmp_path / "t.h5"), truth)
    assert [path.name for path in tmp_path.iterdir()] == ["t.h5"]


def test_frame_after_frame_gives_the_same_bytes(tmp_path: Path) -> None:
    nb.write_truth(tmp_path / "a.h5", TRUTH)
    with nb.TruthWriter(tmp_path / "b.h5") as writer:
        writer.add(TABLES[0])
        assert not (tmp_path / "b.h5").exists()
        writer.add(nb.ReflectionTruth.joined(TABLES[1:]))
    same(nb.read_truth(tmp_path / "b.h5"), TRUTH)
    nb.write_truth(tmp_path / "c.h5", TRUTH)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()
    with h5py.File(tmp_path / "b.h5") as file:
        assert file["frames/row_stop"][()].tolist() == np.cumsum([len(t) for t in TABLES]).tolist()
        assert file["reflections/photons"].attrs["units"] == "photon"
        assert file["reflections/phi_deg"].attrs["units"] == "deg"
        provenance = json.loads(bytes(file.attrs["provenance"]))
    assert provenance["nanobragg_hybrid"] == nb.__version__
    assert set(provenance["sha256"]) == {"experiment", "structure_factors"}
    other = nb.predict_reflections(frame(), nb.StructureFactors.constant(101.0))
    assert other.provenance["sha256"]["experiment"] == provenance["sha256"]["experiment"]
    hashed = other.provenance["sha256"]["structure_factors"]
    assert hashed != provenance["sha256"]["structure_factors"]


def test_what_a_writer_refuses(tmp_path: Path) -> None:
    path = tmp_path / "t.h5"
    with nb.TruthWriter(path) as writer:
        writer.add(TABLES[1])
        for wrong, field in (
            (TABLES[1], "frames"),
            (TABLES[0], "frames"),
            (dataclasses.replace(TABLES[2], shapes=((80, 70),)), "shapes"),
        ):
            with pytest.raises(nb.ConfigError, match=rf"truth\.{field}"):
                writer.add(wrong)
        writer.add(TABLES[2])
    assert nb.read_truth(path).frames.tolist() == [1, 2]
    with pytest.raises(nb.ConfigError, match="at least one"), nb.TruthWriter(tmp_path / "none.h5"):
        pass
    with pytest.raises(RuntimeError), nb.TruthWriter(tmp_path / "none.h5"):
        raise RuntimeError
    assert [each.name for each in tmp_path.iterdir()] == ["t.h5"]
    with pytest.raises(nb.ConfigError, match="path"):
        nb.write_truth(tmp_path / "t.csv", TRUTH)
    with pytest.raises(nb.ConfigError, match="format"):
        nb.write_truth(tmp_path / "t.h5", TRUTH, format="csv")  # type: ignore[arg-type]
    for path, problem in (
        (tmp_path / "t.h5" / "f", "Not a directory"),
        (tmp_path / "missing" / "f", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(nb.FileAccessError, match=problem):
            nb.TruthWriter(path)


@pytest.mark.parametrize(
    ("name", "given"), [("experiments", FRAMES), ("experiments", []), ("quirks", nb.Quirks())]
)
def test_what_hdf5_has_no_place_for_is_refused(name: str, given: Any, tmp_path: Path) -> None:
    for path, format_ in (("t.h5", None), ("t.dat", "hdf5")):
        with pytest.raises(nb.ConfigError, match="None for HDF5") as error:
            nb.write_truth(tmp_path / path, TRUTH, format=format_, **{name: given})  # type: ignore[arg-type]
        assert error.value.field == name
    assert list(tmp_path.iterdir()) == []
    nb.write_truth(tmp_path / "t.h5", TRUTH, experiments=None, quirks=None)
    nb.write_truth(tmp_path / "t.refl", TRUTH, experiments=FRAMES, quirks=nb.Quirks())


def damaged(path: Path, group: str, name: str, values: Any) -> None:
    nb.write_truth(path, TRUTH)
    with h5py.File(path, "r+") as file:
        if group:
            del file[group][name]
            if values is not None:
                file[group][name] = values
        else:
            file.attrs[name] = values


@pytest.mark.parametrize(
    ("group", "name", "values", "match"),
    [
        ("reflections", "photons", None, "photons"),
        ("reflections", "photons", [1.0], r"truth\.photons"),
        ("reflections", "pixel_count", np.full(len(TRUTH), 10**6), r"truth\.pixel_start"),
        ("reflections", "panel", np.full(len(TRUTH), 1), "panel"),
        ("pixels", "number", np.full(len(TRUTH.pixel_number), 5600), "pixels/number"),
        ("frames", "row_stop", [2, 1, len(TRUTH)], "row_stop: need numbers that ascend"),
        ("frames", "row_stop", [-1, 1, len(TRUTH)], "row_stop: need numbers that ascend"),
        ("frames", "row_stop", [1, 2, len(TRUTH) - 1], f"ascend to .* rows, {len(TRUTH)}"),
        ("frames", "row_stop", np.zeros(0, int), "row_stop"),
        ("reflections", "photons", np.full(len(TRUTH), np.nan), "photons: need finite"),
        ("reflections", "fast_px", np.full(len(TRUTH), np.inf), "fast_px: need finite"),
        ("pixels", "photons", np.full(len(TRUTH.pixel_number), np.nan), "pixel_photons: need"),
        ("reflections", "bounds", np.full((len(TRUTH), 4), -1), "bounds: need boxes"),
        ("reflections", "bounds", TRUTH.bounds[:, [1, 0, 2, 3]], "bounds: need boxes"),
        ("reflections", "bounds", TRUTH.bounds + 79, "bounds: need boxes"),
        ("", "version", 2, "version"),
        ("", "format", "other", "reflection truth"),
        ("", "panel_shapes", [[0, 1]], "panel_shapes"),
        ("", "provenance", np.bytes_(b"{"), "HDF5"),
    ],
)
def test_files_that_are_damaged(
    group: str, name: str, values: Any, match: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.h5"
    damaged(path, group, name, values)
    with pytest.raises(nb.FileFormatError, match=match):
        nb.read_truth(path)


def test_refl_of_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "t.refl"
    nb.write_truth(path, TRUTH, experiments=FRAMES)
    spots = nb.read_spots(path)
    merged = TRUTH.merged()
    assert len(spots) == len(merged) < len(TRUTH)
    assert spots.hkl is not None
    assert spots.bounds is not None
    assert (spots.hkl == merged.hkl).all()
    assert (spots.fast_px == merged.fast_px).all()
    assert (spots.slow_px == merged.slow_px).all()
    assert (spots.bounds == merged.bounds).all()
    assert (spots.intensity == merged.photons).all()
    import msgpack

    name, version, table = msgpack.unpackb(path.read_bytes(), raw=True, strict_map_key=False)
    assert (name, version) == (b"dials::af::reflection_table", 1)
    assert table[b"identifiers"] == {0: b"truth"}
    kind, (rows, data) = table[b"data"][b"xyzcal.px"]
    z = np.frombuffer(data).reshape(rows, 3)[:, 2]
    assert kind == b"vec3<double>"
    assert z == pytest.approx(merged.phi_deg - 3.0, abs=1e-9)
    s1 = np.frombuffer(table[b"data"][b"s1"][1][1]).reshape(rows, 3)
    assert np.linalg.norm(s1, axis=1) == pytest.approx(1.0)  # wavelength 1
    # Bragg's law: |s1 - s0| is 1 / d of the cell
    reciprocal = np.linalg.norm(merged.hkl / np.array([40, 50, 60]), axis=1)
    d = np.frombuffer(table[b"data"][b"d"][1][1])
    assert 1.0 / d == pytest.approx(reciprocal, abs=0.01)


WRONG = {
    "reversed": (TRUTH, FRAMES[::-1], r"experiments\[0\].goniometer: got phi_deg=5, osc_deg=1, "),
    "too many": (TRUTH, FRAMES * 2, "experiments: got 6 of them, need 1, or 3, one for each frame"),
    "elsewhere": (TRUTH, [frame(47)], r"experiments\[0\].goniometer: got phi_deg=50, osc_deg=1, "),
    "a still": (TRUTH, [still(0)], r"experiments\[0\].goniometer: got phi_deg=0, osc_deg=0, "),
    "turning": (OF_STILLS, FRAMES[: len(STILLS)], r"got phi_deg=3, osc_deg=1, need phi_deg=0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_experiments_turn_as_the_table_does(name: str, tmp_path: Path) -> None:
    truth, experiments, message = WRONG[name]
    with pytest.raises(nb.ConfigError, match=message):
        nb.write_truth(tmp_path / "x.refl", truth, experiments=experiments)
    assert not list(tmp_path.iterdir())


def test_one_experiment_will_do_for_a_rotation(tmp_path: Path) -> None:
    for name, experiments in (("all.refl", FRAMES), ("first.refl", FRAMES[:1])):
        nb.write_truth(tmp_path / name, TRUTH, experiments=experiments)
    assert (tmp_path / "all.refl").read_bytes() == (tmp_path / "first.refl").read_bytes()


def test_refl_of_stills(tmp_path: Path) -> None:
    path = tmp_path / "t.refl"
    nb.write_truth(path, OF_STILLS, experiments=STILLS)
    spots = nb.read_spots(path, image=2)
    third = OF_STILLS.of_frame(2)
    assert spots.hkl is not None
    assert (spots.hkl == third.hkl).all()
    for experiments in (None, STILLS[:2], [], [frame(detector__n_fast=79)] * 3):
        with pytest.raises(nb.ConfigError, match="experiments"):
            nb.write_truth(path, OF_STILLS, experiments=experiments)
    gap = nb.ReflectionTruth.joined([TABLES[0], TABLES[2]])
    with pytest.raises(nb.ConfigError, match=r"truth\.frames"):
        nb.write_truth(path, gap, experiments=FRAMES[:1])


def test_crystals_of_a_scan(tmp_path: Path) -> None:
    path = tmp_path / "t.expt"
    nb.write_experiments(path, FRAMES, template="f_###.cbf")
    data = json.loads(path.read_text())
    assert data["scan"][0]["image_range"] == [1, 3]
    assert data["scan"][0]["oscillation"] == [3.0, 1.0]
    assert "A_at_scan_points" not in data["crystal"][0]
    assert data["imageset"][0]["template"] == "f_###.cbf"
    slipping = [
        each.replace({"crystal.misset_deg": (10.0 + 0.1 * n, 20.0, 30.0)})
        for n, each in enumerate(FRAMES)
    ]
    nb.write_experiments(path, slipping)
    assert len(json.loads(path.read_text())["crystal"][0]["A_at_scan_points"]) == 4
    for n, each in enumerate(slipping):
        with pytest.warns(nb.NanobraggWarning, match="varies"):
            again = nb.read_experiment(path, image=n + 1, like=each)
        a, b = (nb.prepare(one, FACTORS).plan for one in (again, each))
        assert np.array(a.a0_m) == pytest.approx(np.array(b.a0_m), rel=1e-9, abs=1e-20)
        assert a.phi_rad == pytest.approx(b.phi_rad)


def test_crystals_of_stills(tmp_path: Path) -> None:
    path = tmp_path / "t.expt"
    nb.write_experiments(path, STILLS)
    data = json.loads(path.read_text())
    assert [len(data[name]) for name in ("experiment", "beam", "detector", "crystal")] == [
        3,
        1,
        1,
        3,
    ]
    for again, each in zip(nb.read_experiments(path, like=STILLS[0]), STILLS, strict=True):
        a, b = (nb.prepare(one, FACTORS).plan for one in (again, each))
        assert np.array(a.c0_m) == pytest.approx(np.array(b.c0_m), rel=1e-9, abs=1e-20)


@pytest.mark.parametrize(
    ("frames", "match"),
    [
        ([FRAMES[0], FRAMES[2]], "phi_deg"),
        ([FRAMES[0], frame(1, goniometer__osc_deg=0.5)], "osc_deg"),
        ([FRAMES[0], STILLS[0]], "scans and stills"),
        ([FRAMES[0], frame(1, beam__wavelength_angstrom=1.1)], "wavelength"),
        ([FRAMES[0], frame(1, detector__distance_mm=61.0)], "panels"),
        ([], "experiments"),
    ],
)
def test_frames_that_make_no_list(frames: list[nb.Experiment], match: str, tmp_path: Path) -> None:
    with pytest.raises(nb.ConfigError, match=match):
        nb.write_experiments(tmp_path / "t.expt", frames)
    assert list(tmp_path.iterdir()) == []


def test_names_of_lists(tmp_path: Path) -> None:
    with pytest.raises(nb.ConfigError, match="template"):
        nb.write_experiments(tmp_path / "t.expt", STILLS, template="f_###.cbf")
