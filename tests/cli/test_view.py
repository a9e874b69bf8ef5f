"""Looking at images: nanobragg-hybrid view, SimulationResult.show and pictures for notebooks."""

from __future__ import annotations

import io
import math
import sys
import warnings
import webbrowser
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from viewer_pages import images_of

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.nanobragg.main import main as nanobragg
from nanobragg_hybrid.cli.umbrella.main import main
from nanobragg_hybrid.formats.npy import write_npy
from nanobragg_hybrid.model.panel import Panel

COMMAND = (
    "-cell 50 60 70 90 90 90 -default_F 100 -N 5 -misset 10 20 30 -distance 100 -detpixels 30 "
    "-pixel 2 -oversample 1 -seed 1 -noprogress -floatfile f.bin -intfile i.img -nonoise"
)
LEFT = Panel("left", (100, 10, -12), (0, 0, 1), (0, -1, 0), 5, 10, 2.0)
RIGHT = Panel("right", (90, 30, 15), (-0.6, 0, 0.8), (0, -1, 0), 7, 9, 1.0)
BEHIND = Panel("behind", (-50, 0, 0), (0, 0, 1), (0, -1, 0), 3, 3, 2.0)
CRYSTAL = nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(5, 5, 5))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With f.bin and i.img of one run; the current folder."""
    monkeypatch.chdir(tmp_path)
    assert nanobragg(COMMAND.split()) == 0
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is opened in a browser."""
    addresses: list[str] = []

    def note(address: str) -> bool:
        addresses.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open_new_tab", note)
    return addresses


def _save(result: nb.SimulationResult, path: Path) -> None:
    """As integers; what the writer says of formats that cannot hold all is another test's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        result.save(path, pixels="integers")


def _result(*panels: Panel) -> nb.SimulationResult:
    experiment = nb.Experiment(
        crystal=CRYSTAL,
        detector=nb.Detector(panels=panels) if panels else nb.Detector(n_fast=12, n_slow=9),
        sampling=nb.Sampling(oversample=1),
    )
    return nb.simulate(experiment, nb.StructureFactors.constant(10.0))


def test_pages_of_files(
    folder: Path, opened: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Pixels as they are stored, and the geometry of the header where there is one."""
    assert main(["view", "f.bin", "i.img", "--out", "page.html"]) == 0
    assert f"page: {folder / 'page.html'}" in capsys.readouterr().out
    assert opened == []
    raw, smv = images_of((folder / "page.html").read_text())
    assert [raw["name"], smv["name"]] == ["f.bin", "i.img"]
    assert np.array_equal(raw["panels"][0]["pixels"], nb.read_raw("f.bin", (30, 30)))
    assert np.array_equal(smv["panels"][0]["pixels"], nb.read_smv("i.img").pixels)
    assert smv["panels"][0]["type"] == "uint16"
    assert smv["unit"] == "counts"
    assert "geometry" not in raw["panels"][0]
    assert raw["note"].startswith("No resolution rings: the file does not say where")
    plan = nb.simulate(
        nb.read_experiment("i.img").replace({"crystal": CRYSTAL, "sampling.oversample": 1}),
        nb.StructureFactors.constant(1.0),
    ).plan
    assert smv["note"] == ""
    assert smv["panels"][0]["geometry"] == {
        "pix0": list(plan.pix0_m),
        "fast": list(plan.fast_axis),
        "slow": list(plan.slow_axis),
        "pixel_size": plan.pixel_size_m,
        "beam": list(plan.beam_direction),
        "wavelength_angstrom": pytest.approx(1.0, rel=1e-15),
    }


def test_geometry_of_another_file(folder: Path) -> None:
    assert main(["view", "f.bin", "--out", "page.html", "--geometry", "i.img"]) == 0
    (raw,) = images_of((folder / "page.html").read_text())
    assert raw["panels"][0]["geometry"]["pixel_size"] == pytest.approx(0.002, rel=1e-15)
    assert raw["note"] == ""


def test_panels_are_placed(folder: Path) -> None:
    """An array of panels of one shape, with the geometry of an experiment list, as the laboratory
    has them seen along the beam; without a geometry below each other."""
    panels = (LEFT, Panel("other", (100, -25, 4), (0, 0.6, 0.8), (0, -0.8, 0.6), 5, 10, 2.0))
    experiment = nb.Experiment(crystal=CRYSTAL, detector=nb.Detector(panels=panels))
    nb.write_experiment(folder / "panels.expt", experiment)
    write_npy(folder / "a.npy", np.arange(100).reshape(2, 10, 5))
    assert main(["view", "a.npy", "--out", "page.html", "--geometry", "panels.expt"]) == 0
    (image,) = images_of((folder / "page.html").read_text())
    first, second = image["panels"]
    assert np.array_equal(second["pixels"], np.arange(50, 100).reshape(10, 5))
    assert first["place"] == pytest.approx([-6, -5, 1, 0, 0, 1])
    assert second["place"] == pytest.approx([2, 12.5, 0.8, -0.6, 0.6, 0.8])
    assert second["geometry"]["pix0"] == pytest.approx([0.1, -0.025, 0.004])

    assert main(["view", "a.npy", "--out", "below.html"]) == 0
    (image,) = images_of((folder / "below.html").read_text())
    assert [panel["place"] for panel in image["panels"]] == [
        [0, 0, 1, 0, 0, 1],
        [0, 12, 1, 0, 0, 1],
    ]
    assert "shown below each other" in image["note"]


@for_each("name", ["a.cbf", "a.img", "a.tif", "several.cbf"])
def test_measured_images(name: str, folder: Path) -> None:
    """With their own geometry where they have one, panels in place, and the counts that are
    stored; what does not count is masked."""
    panels = (LEFT, RIGHT) if name == "several.cbf" else ()
    result = _result(*panels)
    _save(result, folder / name)
    assert main(["view", name, "--out", f"{name}.html"]) == 0
    (image,) = images_of((folder / f"{name}.html").read_text())
    measured = nb.read_image(folder / name)
    assert len(image["panels"]) == len(measured.panels) == len(result.panels)
    for number, panel in enumerate(image["panels"]):
        assert np.array_equal(panel["pixels"], measured.panels[number])
        assert "mask" not in panel
        if name == "a.tif":
            assert "geometry" not in panel
        else:
            plan = result.panels[number].plan
            assert panel["geometry"]["pixel_size"] == pytest.approx(plan.pixel_size_m, rel=1e-6)
    assert (image["note"] == "") is (name != "a.tif")
    assert image["unit"] == "counts"


def test_masks(folder: Path) -> None:
    """Pixels of miniCBF files that are -1 or -2."""
    mask = np.arange(108).reshape(9, 12) % 7 != 0
    for number, given in enumerate((None, nb.Mask(mask))):
        experiment = _result().experiment.replace({"detector.mask": given})
        result = nb.simulate(experiment, nb.StructureFactors.constant(10.0))
        _save(result, folder / "a.cbf")
        assert main(["view", "a.cbf", "--out", "page.html"]) == 0
        (image,) = images_of((folder / "page.html").read_text())
        if number == 0:
            assert "mask" not in image["panels"][0]
        else:
            assert np.array_equal(image["panels"][0]["mask"], mask)


def test_frames(folder: Path) -> None:
    pytest.importorskip("h5py", reason="h5py is not installed (extra: mx)")
    experiment = _result().experiment.replace(
        {"goniometer.osc_deg": 0.5, "goniometer.phi_steps": 1}
    )
    with nb.NXmxSeriesWriter(folder / "a.h5", experiment, 3) as series:
        for number in range(3):
            series.add(number, np.full((9, 12), number))
    words = ["view", "a.h5", "--out", "page.html"]
    assert main([*words, "--frame", "2", "--frame", "0"]) == 0
    images = images_of((folder / "page.html").read_text())
    assert [image["panels"][0]["pixels"].max() for image in images] == [2, 0]
    assert images[0]["name"] == "a.h5, frame 2 of 3 (0 to 2)"
    assert images[0]["panels"][0]["geometry"]["pixel_size"] == pytest.approx(1e-4)
    assert main(words) == 0
    assert images_of((folder / "page.html").read_text())[0]["name"].startswith("a.h5, frame 0 of 3")


@for_each(
    "words,problem",
    [
        (["nothing.img"], "nothing.img"),
        (["f.bin", "--shape", "7", "5"], "7 x 5 floats need 140 bytes, the file has 3600"),
        (["f.bin", "--shape", "0", "5"], "--shape: got 0 5, need two numbers >= 1"),
        (["f.bin", "--shape", "900", "1", "--geometry", "i.img"], "those of the geometry, 30 x 30"),
        (["f.bin", "--geometry", "f.bin"], "f.bin"),
        (["f.bin", "--out", "f.bin"], "f.bin"),
        (["f.bin", "--frame", "1"], "frame: got 1, need 0: f.bin has one image"),
        (["i.img", "--frame", "1"], "frame: got 1, need 0"),
        (["i.img", "--frame", "-1"], "frame: got -1, need"),
    ],
)
def test_what_cannot_be_shown(words: list[str], problem: str, folder: Path) -> None:
    """One line that says why, and no page."""
    out = [] if "--out" in words else ["--out", "page.html"]
    before = (folder / "f.bin").read_bytes()
    said, stderr = io.StringIO(), sys.stderr
    sys.stderr = said
    try:
        assert main(["view", *words, *out]) == 1
    finally:
        sys.stderr = stderr
    assert problem in said.getvalue()
    assert said.getvalue().count("\n") == 1
    assert not (folder / "page.html").exists()
    assert (folder / "f.bin").read_bytes() == before


def _spots_of(*words: str) -> list[list[str]]:
    assert main(["view", *words, "--truth", "t.h5", "--out", "page.html"]) == 0
    images = images_of(Path("page.html").read_text())
    return [[spot[3] for spot in image.get("spots", [])] for image in images]


def test_frames_of_a_truth(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many images as frames, or the first one's frame."""
    pytest.importorskip("h5py", reason="h5py is not installed (extra: mx)")
    factors = nb.StructureFactors.constant(100.0)
    tables = []
    for n in range(3):
        experiment = _result().experiment.replace(
            {"crystal.misset_deg": (10 + 20 * n, 20, 30), "detector.distance_mm": 2.0}
        )
        tables.append(nb.predict_reflections(experiment, factors, frame=n, min_peak_photons=1e-3))
        np.save(folder / f"{n}.npy", np.ones((9, 12)))
    truth = nb.ReflectionTruth.joined(tables)
    nb.write_truth(folder / "t.h5", truth)
    names = [
        [" ".join(map(str, hkl)) for hkl in table.hkl[(-table.photons).argsort(kind="stable")]]
        for table in tables
    ]
    assert all(names)
    assert names[0] != names[1] != names[2]
    assert _spots_of("0.npy", "1.npy", "2.npy") == names
    assert _spots_of("2.npy", "--truth-frame", "2") == names[2:]
    assert _spots_of("1.npy", "2.npy", "--truth-frame", "1") == names[1:]
    (folder / "page.html").unlink()
    capsys.readouterr()
    for words, problem in (
        (["2.npy"], "2.npy: truth: got 3 frames for 1 images"),
        (["0.npy", "1.npy", "2.npy", "0.npy"], "got 3 frames for 4 images"),
        (["0.npy", "--truth-frame", "3"], "truth_frame: got 3, need a frame that the truth has"),
        (["0.npy", "--truth-frame", "-1"], "truth_frame: got -1"),
        (["1.npy", "2.npy", "--truth-frame", "2"], "got 1 frames from 2 for 2 images"),
    ):
        assert main(["view", *words, "--truth", "t.h5", "--out", "page.html"]) == 1
        assert problem in capsys.readouterr().err
    assert main(["view", "0.npy", "--truth-frame", "0", "--out", "page.html"]) == 1
    assert "--truth-frame 0: needs --truth FILE" in capsys.readouterr().err
    assert not (folder / "page.html").exists()


def test_a_header_without_geometry_is_no_reason_not_to_look(folder: Path) -> None:
    text = (folder / "i.img").read_bytes().replace(b"PIXEL_SIZE", b"PIXEL_SOZE")
    (folder / "i.img").write_bytes(text)
    assert main(["view", "i.img", "--out", "page.html"]) == 0
    (image,) = images_of((folder / "page.html").read_text())
    assert image["note"].startswith("No resolution rings: ")
    assert "i.img" in image["note"]


def test_show(tmp_path: Path, opened: list[str]) -> None:
    """To a path without, or to a new folder with the browser; either as one wants."""
    result = _result()
    page = result.show(tmp_path / "a.html")
    assert page == (tmp_path / "a.html").resolve()
    assert opened == []
    (image,) = images_of(page.read_text())
    assert np.array_equal(image["panels"][0]["pixels"], result.image)
    assert image["unit"] == "photons"
    assert image["panels"][0]["geometry"]["pix0"] == list(result.plan.pix0_m)
    other = result.show()
    assert opened == [other.as_uri()]
    assert other.read_text() == page.read_text()
    result.show(tmp_path / "b.html", open_browser=True)
    assert opened[1:] == [(tmp_path / "b.html").resolve().as_uri()]
    assert result.show(open_browser=False).is_file()
    assert len(opened) == 2


def test_show_without_a_browser_says_where_the_page_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open_new_tab", lambda _: False)
    with pytest.warns(nb.NanobraggWarning, match=r"no browser could be started: open .*a\.html"):
        assert _result().show(tmp_path / "a.html", open_browser=True).is_file()


def test_show_of_panels(tmp_path: Path) -> None:
    result = _result(LEFT, RIGHT, BEHIND)
    (image,) = images_of(result.show(tmp_path / "a.html").read_text())
    assert [panel["name"] for panel in image["panels"]] == ["left", "right"]
    assert image["note"].strip() == (
        "Not shown, upstream of the sample or seen from the edge: behind."
    )
    for panel, shown in zip(image["panels"], result.images, strict=False):
        assert np.array_equal(panel["pixels"], shown)
    # in units of the smallest pixel, 1 mm
    assert image["panels"][0]["place"] == pytest.approx([-12, -10, 2, 0, 0, 2])
    assert image["panels"][1]["place"] == pytest.approx([15, -30, 0.8, 0, 0, 1])


def test_rings_of_a_curved_detector_are_left_out(tmp_path: Path) -> None:
    experiment = _result().experiment.replace({"detector.curved": True})
    result = nb.simulate(experiment, nb.StructureFactors.constant(10.0))
    (image,) = images_of(result.show(tmp_path / "a.html").read_text())
    assert image["note"] == "No resolution rings: the detector is curved."
    assert "geometry" not in image["panels"][0]


def test_picture_for_notebooks() -> None:
    """As large as the image, or a part of it whose pixels are the brightest of their blocks."""
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra: png)")
    result = _result()
    png = result._repr_png_()
    assert png is not None
    picture = np.asarray(image_module.open(io.BytesIO(png)))
    assert picture.shape == (9, 12)
    brightest = np.unravel_index(result.image.argmax(), result.image.shape)
    assert picture[brightest] == picture.min() == 0

    large = np.zeros((3000, 1025), np.float32)
    large[2999, 1024] = large[0, 4] = 5.0
    large[1500, 500] = math.nan
    png = result.replaced(image=large)._repr_png_()
    assert png is not None
    picture = np.asarray(image_module.open(io.BytesIO(png)))
    assert picture.shape == (1000, 342)
    assert np.argwhere(picture == 0).tolist() == [[0, 1], [999, 341]]
    assert np.count_nonzero(picture < 255) == 2

    png = _result(LEFT, RIGHT, BEHIND)._repr_png_()
    assert png is not None
    assert image_module.open(io.BytesIO(png)).size == (33, 40)
    assert _result(BEHIND)._repr_png_() is not None  # alone, it is shown as it is stored
    edge = Panel("edge", (20, 3, 3), (1, 0, 0), (0, 1, 0), 3, 3, 2.0)
    assert _result(BEHIND, edge)._repr_png_() is None


def test_no_picture_for_notebooks_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert _result()._repr_png_() is None
