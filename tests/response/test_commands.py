"""The commands: counts beside the classic files, and sums of float images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.nanobragg.main import main
from nanobragg_hybrid.cli.umbrella.main import main as umbrella

WORDS = "-cell 70 80 90 90 90 90 -default_F 100 -detpixels 24 -N 5 -seed 1 -noprogress".split()
LIGHT = {
    "background": {"flat_photons_per_pixel": 3.0},
    "response": {"gain": 2.0, "pedestal": 10, "count_type": "uint16", "seed": 4},
}
CLASSIC = ("floatimage.bin", "intimage.img", "image.pgm", "noiseimage.img")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "light.json").write_text(json.dumps(LIGHT))
    return tmp_path


def test_counts_beside_the_classic_files(folder: Path) -> None:
    assert main(WORDS) == 0
    before = {name: (folder / name).read_bytes() for name in CLASSIC}
    assert not (folder / "counts.npy").exists()
    assert main([*WORDS, "--response", "light.json", "--counts=c.npy"]) == 0
    assert {name: (folder / name).read_bytes() for name in CLASSIC} == before
    counts = np.load(folder / "c.npy")
    experiment = nb.Experiment.from_nanobragg_args(WORDS)
    parts = nb.Experiment.from_dict({**nb.Experiment().to_dict(), **LIGHT})
    experiment = experiment.replace({"background": parts.background, "response": parts.response})
    wanted = nb.simulate(experiment, nb.StructureFactors.constant(100.0)).counts
    assert counts.dtype == np.uint16
    assert np.array_equal(counts, wanted)
    assert main([*WORDS, "--response", "light.json", "--json", "run.json"]) == 0
    assert np.array_equal(np.load(folder / "counts.npy"), wanted)
    assert json.loads((folder / "run.json").read_text())["files"]["counts"] == "counts.npy"


@for_each(
    "text, words, message",
    [
        ("{}", "--response f", "f: response: got None, need a response"),
        ('{"response": {"gain": 0}}', "--response f", "response.gain: got 0 counts/photon, need"),
        ('{"response": {"gian": 1}}', "--response f", "response: got 'gian', need only the keys"),
        ('{"beam": {}, "response": {}}', "--response f", "f: experiment: got 'beam', need only"),
        ("{", "--response f", "f:1: no JSON"),
        ("{}", "--counts f", "--counts: needs --response"),
        (
            '{"response": {}}',
            "--response f --counts f",
            "f: named for the counts, but it is a file",
        ),
        ('{"response": {}}', "--response g", "g: No such file or directory"),
    ],
)
def test_what_is_refused(
    text: str, words: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "f").write_text(text)
    assert main([*WORDS, *words.split()]) == 9
    assert message in capsys.readouterr().err
    assert not (folder / "floatimage.bin").exists()


def test_sums_of_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    images = [rng.exponential(10.0, (5, 7)).astype(np.float32) for _ in range(3)]
    for number, image in enumerate(images):
        nb.write_raw(folder / f"{number}.bin", image)
    files = ["0.bin", "1.bin", "2.bin"]
    assert umbrella(["add", *files, "--out", "sum.bin"]) == 0
    assert capsys.readouterr().out == "3 images of 35 pixels: sum.bin\n"
    wanted = sum(image.astype(float) for image in images)
    assert np.array_equal(nb.read_raw("sum.bin", (5, 7)), np.asarray(wanted).astype(np.float32))
    weights = ["--weight", "2", "--weight=-0.5", "--weight", "1e3"]
    assert umbrella(["add", *files, *weights, "--out", "sum.bin"]) == 0
    wanted = 2.0 * images[0].astype(float) - 0.5 * images[1].astype(float)
    wanted = wanted + 1e3 * images[2].astype(float)
    assert np.array_equal(nb.read_raw("sum.bin", (5, 7)), wanted.astype(np.float32))


@for_each(
    "words, message",
    [
        (
            "0.bin 1.bin --weight 2 --out s",
            "--weight: got 1 of them, need one for each",
        ),
        ("0.bin --weight nan --out s", "--weight: got nan, need a finite number"),
        ("0.bin short.bin --out s", "short.bin: has 4 pixels, 0.bin has 6"),
        ("odd.bin --out s", "odd.bin: 5 bytes are no image of 32-bit floats"),
        ("0.bin none.bin --out s", "none.bin: No such file or directory"),
        ("0.bin 1.bin --out 1.bin", "1.bin: named for the sum, but it is a file that is read"),
    ],
)
def test_sums_that_are_refused(
    words: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, size in (("0", 24), ("1", 24), ("short", 16), ("odd", 5)):
        (folder / f"{name}.bin").write_bytes(bytes(size))
    assert umbrella(["add", *words.split()]) == 1
    assert message in capsys.readouterr().err
    assert not (folder / "s").exists()
