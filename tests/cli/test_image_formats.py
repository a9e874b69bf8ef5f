"""--format and names of images: what the command writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.nanobragg.main import main

WORDS = (
    "-cell 70 80 90 90 90 90 -default_F 100 -N 5 -misset 10 20 30 -distance 100 -detpixels 24 "
    "-pixel 1 -seed 1 -noprogress"
).split()


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def pixels_of(path: str) -> Any:
    fabio = pytest.importorskip("fabio", reason="fabio is not installed (extra: mx)")
    return fabio.open(path).data


def test_the_default_is_nanobraggs_own_format() -> None:
    assert main([*WORDS, "-intfile", "a.dat"]) == 0
    classic = Path("a.dat").read_bytes()
    assert b"BEAMLINE=fake;" in classic[:512]
    assert main([*WORDS, "-intfile", "b.img", "--format", "smv"]) == 0
    assert Path("b.img").read_bytes() == classic


def test_every_image_has_the_format_of_its_name() -> None:
    assert main([*WORDS, "-intfile", "i.img", "-noisefile", "n.img"]) == 0
    integers, noise = (nb.read_smv(name).pixels.astype(int) for name in ("i.img", "n.img"))
    assert main([*WORDS, "-intfile", "i.tif", "-noisefile", "n.cbf", "--json", "j.json"]) == 0
    assert np.array_equal(pixels_of("i.tif"), integers)
    assert np.array_equal(pixels_of("n.cbf"), noise - 40)
    files = json.loads(Path("j.json").read_text())["files"]
    assert (files["integer image"], files["noise image"]) == ("i.tif", "n.cbf")


def test_format_names_the_files_that_have_no_name() -> None:
    assert main([*WORDS, "--format", "cbf"]) == 0
    assert names() == ["floatimage.bin", "image.pgm", "intimage.cbf", "noiseimage.cbf"]
    header = Path("noiseimage.cbf").read_bytes()[:2000]
    assert b'header_convention "GENERIC_MINI"' in header
    assert b"# Detector_distance 0.1 m" in header


def test_counts_of_a_response(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed (extra: mx)")
    h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra: mx)")
    response = {"pedestal": 10.0, "seed": 3, "dead_pixels": [[2, 1]]}
    saved = nb.Experiment(response=nb.Response(pedestal=10.0, seed=3, dead_pixels=((2, 1),)))
    assert response["pedestal"] == 10.0
    Path("light.json").write_text(json.dumps({"response": saved.to_dict()["response"]}))
    words = [*WORDS, "--response", "light.json"]
    assert main(words) == 0
    counts = np.load("counts.npy")
    assert main([*words, "--counts", "c.h5"]) == 0
    with h5py.File("c.h5", "r") as file:
        assert np.array_equal(file["entry/data/data"][0], counts - 10)
        assert np.argwhere(file["entry/instrument/detector/pixel_mask"][:]).tolist() == [[1, 2]]
    assert main([*words, "--format", "cbf"]) == 0
    expected = counts - 10
    expected[1, 2] = -2
    assert np.array_equal(pixels_of("counts.cbf"), expected)
    capsys.readouterr()


@for_each(
    "words, message",
    [
        ("--format jpeg", "--format: got 'jpeg', need one of smv, smv-adsc, cbf, nxmx, tiff"),
        ("--format png", "--format: got 'png', need one of smv, smv-adsc, cbf, nxmx, tiff"),
        ("--format", "--format: needs a value after it"),
        (
            "-intfile a.cbf --format nxmx",
            "-intfile: got 'a.cbf', need a name that ends in .h5, .hdf5, .nxs for the format nxmx",
        ),
        (
            "-noisefile a.cbf --format smv",
            "-noisefile: got 'a.cbf', need a name that ends in .img, .smv for the format smv",
        ),
        (
            "-noisefile a.png",
            "-noisefile: got 'a.png', need a name of another ending: png is a picture",
        ),
        (
            "--format smv-adsc -twotheta 3",
            "an SMV header of ADSC's kind: the detector is turned",
        ),
        (
            "--format nxmx -beam_vector 1 0.1 0",
            "an NXmx file: the beam's direction is",
        ),
    ],
)
def test_what_is_refused(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed (extra: mx)")
    assert main([*WORDS, *words.split()]) == 9
    lines = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert len(lines) == 1
    assert message in lines[0]
    assert names() == []


@for_each(
    "words, message",
    [
        ("-Xbeam 5 -Ybeam 9", "DIALS reads the beam centre of this SMV header"),
        ("-detector_rotx 3", "programs take the detector of an SMV header for one across the beam"),
        ("-twotheta 3", "programs take the detector of an SMV header for one across the beam"),
        ("-osc 1", "intimage.img: an image of a rotation: dials.import wants a number"),
        ("-osc 1 --format cbf", "noiseimage.cbf: an image of a rotation: dials.import wants"),
        ("", None),
        ("-osc 1 -intfile i_1.img -noisefile n_1.img", None),
        ("-Xbeam 5 -Ybeam 9 --format smv-adsc", None),
        ("-Xbeam 5 -Ybeam 9 -twotheta 3 --format tiff", None),
    ],
)
def test_warnings_of_what_other_programs_misread(
    words: str, message: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*WORDS, *words.split()]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "warning: " in line]
    if message is None:
        assert [line for line in said if "DIALS" in line or "dials" in line] == []
    else:
        assert any(message in line for line in said)
