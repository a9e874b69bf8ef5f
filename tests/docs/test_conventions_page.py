"""The numbers of docs/conventions.md are those of the package's own conversions."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from documentation import listings

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.geometry.frames import FRAMES

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "conventions.md").read_text(encoding="utf-8")
FAST_PX, SLOW_PX = 45.25, 30.5
ROWS = re.findall(r"^\| `(\w+)`[^|]*\| `([^`]*)` \| `([^`]*)` \|$", PAGE, re.MULTILINE)
BASE = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)),
    detector=nb.Detector(n_fast=100, n_slow=80, pixel_size_mm=0.1, distance_mm=120),
)
ONE = nb.StructureFactors.constant(1.0)


def beam_hits(experiment: nb.Experiment) -> tuple[float, float]:
    """Fast and slow, pixels from the outer corner of the first pixel, of a straight detector."""
    plan = nb.prepare(experiment, ONE).plan
    corner = np.array(plan.pix0_m) / plan.pixel_size_m
    return -corner @ np.array(plan.fast_axis), -corner @ np.array(plan.slow_axis)


def stated(program: str) -> list[float]:
    """The numbers of a program's two rows in the table of beam centres."""
    lines = PAGE.splitlines()
    (start,) = (n for n, line in enumerate(lines) if line.startswith(f"| {program} | ") and n < 45)
    return [float(line.rstrip(" |").rpartition("|")[2]) for line in lines[start : start + 2]]


def test_five_conventions_say_the_same_point() -> None:
    assert [row[0] for row in ROWS] == ["mosflm", "denzo", "adxv", "xds", "dials"]
    for convention, fields, command in ROWS:
        values = {f"detector.{n}": float(v) for n, v in re.findall(r"(\w+)=([\d.]+)", fields)}
        ours = BASE.replace({"detector.convention": convention, **values})
        assert beam_hits(ours) == pytest.approx((FAST_PX, SLOW_PX), abs=1e-9)
        words = "-cell 70 80 90 90 90 90 -N 5 -detpixels_x 100 -detpixels_y 80 -distance 120 "
        theirs = nb.Experiment.from_nanobragg_args(words + command)
        assert beam_hits(theirs) == pytest.approx((FAST_PX, SLOW_PX), abs=1e-9)
        if convention not in {"xds", "dials"}:
            assert stated(convention.upper()) == list(values.values())


def test_defaults_miss_the_middle_as_the_page_says() -> None:
    for convention, pixels in [("mosflm", 1.0), ("denzo", 0.5), ("adxv", 0.5), ("xds", 0.0)]:
        found = beam_hits(BASE.replace({"detector.convention": convention}))
        assert found == pytest.approx((50.0 + pixels, 40.0 + pixels), abs=1e-9)


def test_files_of_other_programs_state_the_numbers(tmp_path: Path) -> None:
    centre = {"detector.beam_x_mm": 3.0, "detector.beam_y_mm": 4.475}
    ours = BASE.replace({**centre, "beam.polarization_kahn": 0.98})
    nb.write_experiment(tmp_path / "XDS.INP", ours)
    text = (tmp_path / "XDS.INP").read_text()
    org = [float(re.search(rf"{name}= *(\S+)", text)[1]) for name in ("ORGX", "ORGY")]
    assert org == pytest.approx(stated("XDS"), abs=1e-9)
    fraction = float(re.search(r"FRACTION_OF_POLARIZATION= *(\S+)", text)[1])
    assert fraction == pytest.approx(0.99, abs=1e-12)
    assert "| usual at a synchrotron, and in XDS.INP for one | 0.98 | 0.99 |" in PAGE
    with pytest.warns(nb.NanobraggWarning):
        nb.write_experiment(tmp_path / "a.geom", ours)
    text = (tmp_path / "a.geom").read_text()
    corner = [float(re.search(rf"corner_{name} = (\S+)", text)[1]) for name in "xy"]
    signs = [-1.0 if "fs = -1x" in text else 1.0, -1.0 if "ss = +0x -1y" in text else 1.0]
    found = [-value * sign for value, sign in zip(corner, signs, strict=True)]
    assert np.abs(found) == pytest.approx(stated("CrystFEL"), abs=1e-9)
    nb.write_experiment(tmp_path / "a.expt", ours)
    panel = nb.read_experiment(tmp_path / "a.expt").detector.panels[0]
    corner_mm = np.array(panel.origin_mm)
    found = [-corner_mm @ np.array(axis) / 0.1 for axis in (panel.fast_axis, panel.slow_axis)]
    assert found == pytest.approx(stated("DIALS"), abs=1e-9)
    h5py = pytest.importorskip("h5py", reason="NXmx needs h5py (extra: mx)")
    pytest.importorskip("hdf5plugin", reason="NXmx needs hdf5plugin (extra: mx)")
    readable = {"response": nb.Response(), "beam.polarization_kahn": 0.0}
    measured = nb.simulate(ours.replace(readable), ONE)
    measured.save(tmp_path / "a.nxs", format="nxmx")
    with h5py.File(tmp_path / "a.nxs") as file:
        group = file["entry/instrument/detector"]
        found = [float(group[f"beam_center_{name}"][()]) for name in "xy"]
    assert found == pytest.approx(stated("NXmx"), abs=1e-9)


def test_a_fraction_of_xds_is_read_as_a_kahn_factor(tmp_path: Path) -> None:
    for kahn, fraction in [(0.0, 0.5), (0.98, 0.99), (1.0, 1.0), (-1.0, 0.0)]:
        nb.write_experiment(tmp_path / "XDS.INP", BASE.replace({"beam.polarization_kahn": kahn}))
        text = (tmp_path / "XDS.INP").read_text()
        text, count = re.subn(
            r"FRACTION_OF_POLARIZATION= *\S+", f"FRACTION_OF_POLARIZATION= {fraction}", text
        )
        assert count == 1
        (tmp_path / "XDS.INP").write_text(text)
        again = nb.read_experiment(tmp_path / "XDS.INP")
        assert again.beam.polarization_kahn == pytest.approx(kahn, abs=1e-12)
        row = f"| {kahn:g} | {fraction:g} |".replace("-", "−")
        assert row in PAGE


def test_the_faq_turns_a_matrix_of_dials_into_ours(tmp_path: Path) -> None:
    """With the axes of an experiment list its listing gives the image of that list."""
    (listing,) = (each for each in listings(DOCS / "faq.md") if "dials_a = " in each.text)
    like = BASE.replace({"beam.wavelength_angstrom": 0.98, "crystal.misset_deg": (10, 20, 30)})
    ours = like.replace({"crystal.cell_deg": (75, 85, 95)})
    nb.write_experiment(tmp_path / "a.expt", ours)
    (crystal,) = json.loads((tmp_path / "a.expt").read_text())["crystal"]
    dials_a = np.linalg.inv([crystal[f"real_space_{name}"] for name in "abc"])
    text, count = re.subn(r"dials_a = np\.diag\(.*?\)", "dials_a = given", listing.text)
    assert count == 1
    names = {"given": dials_a}
    exec(text, names)
    image = nb.simulate(ours.replace({"crystal": names["crystal"]}), ONE).image
    expected = nb.simulate(ours, ONE).image
    assert expected.max() > 0
    assert np.abs(image - expected).max() < 1e-5 * expected.max()
    names = {"given": dials_a[[1, 0, 2]]}  # in other axes it is another crystal
    exec(text, names)
    other = nb.simulate(ours.replace({"crystal": names["crystal"]}), ONE).image
    assert np.abs(other - expected).max() > 0.1 * expected.max()


def test_the_picture_is_what_the_script_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "conventions"))
    monkeypatch.delitem(sys.modules, "make_pictures", raising=False)
    import make_pictures

    assert make_pictures.PICTURE.read_text(encoding="utf-8") == make_pictures.picture()
    assert set(make_pictures.NAMES) == set(FRAMES)
