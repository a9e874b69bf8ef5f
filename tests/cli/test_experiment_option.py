"""The option --experiment of the drop-in command: geometry from a file, the rest from the words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from geometry_files import EXPT, GEOM, XDS_INP, expt

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.nanobragg.main import main

WORDS = "-default_F 100 -N 5 -oversample 4 -phisteps 3 -nopgm -nonoise -noprogress"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.expt").write_bytes(EXPT)
    (tmp_path / "XDS.INP").write_bytes(XDS_INP)
    (tmp_path / "two.geom").write_bytes(GEOM)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Lines on standard error, but for those about classic SMV headers in other programs."""
    others = ("beam centre of this SMV header", "dials.import")
    return [
        line
        for line in capsys.readouterr().err.splitlines()
        if not any(words in line for words in others)
    ]


def image(folder: Path, shape: tuple[int, int]) -> np.ndarray:
    return nb.read_raw(folder / "floatimage.bin", shape)


def test_the_image_is_that_of_python(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--experiment", "some.expt", *WORDS.split()]) == 0
    assert said(capsys) == []
    like = nb.Experiment(
        crystal=nb.Crystal(n_cells=(5, 5, 5)),
        goniometer=nb.Goniometer(phi_steps=3),
        sampling=nb.Sampling(oversample=4),
    )
    experiment = nb.read_experiment("some.expt", like=like)
    result = nb.simulate(experiment, nb.StructureFactors.constant(100.0))
    assert result.image.max() > 0.0
    assert image(folder, (20, 30)).tobytes() == result.image.tobytes()


def test_a_panel_and_an_image_are_chosen(folder: Path) -> None:
    words = f"-cell 40 50 60 90 90 90 {WORDS}".split()
    assert main(["--experiment", "two.geom", "--panel", "p1", *words]) == 0
    by_name = image(folder, (20, 30)).tobytes()
    assert main(["--experiment", "two.geom", "--panel=1", *words]) == 0
    assert image(folder, (20, 30)).tobytes() == by_name
    assert main(["--experiment", "two.geom", "--panel=0", *words]) == 0
    assert image(folder, (20, 30)).tobytes() != by_name
    images = []
    for number in ("5", "8"):
        assert main(["--experiment", "XDS.INP", "--image", number, *WORDS.split()]) == 0
        images.append(image(folder, (20, 30)).tobytes())
    assert images[0] != images[1]


def test_counts_are_the_files_or_the_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = []
    for words in ("", "-scale 3 -adc 7"):
        assert main(["--experiment", "some.expt", *WORDS.split(), *words.split()]) == 0
        assert "\ngeometry from some.expt\n" in capsys.readouterr().out
        pixels.append(nb.read_smv(folder / "intimage.img").pixels)
    photons = image(folder, (20, 30)).astype(float)
    for counts, scale, offset in zip(pixels, (1.0, 3.0), (0.0, 7.0), strict=True):
        expected = np.clip(photons * scale + offset, 0, 65535)
        assert np.abs(counts - expected).max() < 0.51


@for_each(
    "words, complaint",
    [
        ("-distance 50", "detector.distance_mm: got 50.0, which is not used: some.expt says other"),
        ("-lambda 2", "beam.wavelength_angstrom: got 2.0, which is not used: some.expt says other"),
        ("-phi 7", "goniometer.phi_deg: got 7.0, which is not used: some.expt says otherwise"),
        ("-misset 1 2 3", "crystal.misset_deg: got (1.0, 2.0, 3.0), which is not used: some.expt"),
    ],
)
def test_words_that_do_not_count_are_told(
    words: str, complaint: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--experiment", "some.expt", *WORDS.split(), *words.split()]
    assert main(arguments) == 0
    assert f"nanoBragg: warning: {complaint}" in capsys.readouterr().err
    assert main([*arguments, "--strict"]) == 9
    assert f"nanoBragg: error: {complaint}" in capsys.readouterr().err


def test_words_that_do_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"{WORDS} -roi 3 9 4 8 -mosaic 0.1 -mosaic_domains 2 -fluence 1e25 -trace_pixel 5 6"
    arguments = ["--experiment", "some.expt", "--json", "run.json", *words.split()]
    assert main(arguments) == 0
    assert said(capsys) == []
    run = json.loads((folder / "run.json").read_text())
    assert run["statistics"]["pixels_in_roi"] == 35
    others = ("beam centre of this SMV header", "dials.import")
    assert [text for text in run["warnings"] if not any(words in text for words in others)] == []
    assert image(folder, (20, 30))[:4].max() == 0.0


@for_each(
    "words, message",
    [
        ("--experiment nothing", "nothing: No such file or directory"),
        ("--experiment two.geom", "--experiment two.geom: has 2 panels, of which --panel chooses"),
        ("--experiment two.geom --panel p7", "panel: got 'p7', need 0 to 1, or a panel's name"),
        ("--experiment two.geom --panel 2", "panel: got 2, need 0 to 1, or a panel's name"),
        ("--experiment some.expt --image 2", "image: got 2, need 1, the only image"),
        ("--experiment some.expt --image x", "--image: got 'x', need a whole number"),
        ("--image 2", "--image: belongs to --experiment, which is not given"),
        ("--panel 2", "--panel: belongs to --experiment, which is not given"),
        ("--experiment no.expt", "there is no crystal: give -cell (a > 0) or -mat"),
        ("--experiment two.expt", "two.expt: has 2 experiments, need one"),
        ("--experiment some.expt -floatfile some.expt", "some.expt: named for the float image, bu"),
    ],
)
def test_what_cannot_be_carried_out(
    words: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "no.expt").write_text(json.dumps(expt(crystal=[None])))
    two = expt()
    two["experiment"] *= 2
    (folder / "two.expt").write_text(json.dumps(two))
    assert main([*words.split(), *WORDS.split()]) == 9
    assert f"nanoBragg: error: {message}" in capsys.readouterr().err
    assert not (folder / "floatimage.bin").exists()
