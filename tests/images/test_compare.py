"""`nb-compare` of measured images: panel by panel, without pixels that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import image_files
import numpy as np
import pytest
from for_each import for_each
from json_schema import problems, schema
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.compare.main import main

SHAPE = (20, 30)


def counts(seed: int) -> NDArray[np.int32]:
    return np.random.default_rng(seed).integers(1, 900, SHAPE).astype(np.int32)


def written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def compare(folder: Path, *words: str, status: int = 0) -> dict[str, Any]:
    """The summary of a comparison, in a new folder."""
    out = folder / f"out{len(list(folder.glob('out*')))}"
    assert main(["--outdir", str(out), "--no-pictures", *words]) == status
    found: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return found


def test_pixels_that_cannot_be_used_do_not_count(tmp_path: Path) -> None:
    a, b = counts(1), counts(1)
    a[3, 4] = -1
    b[5, 6] = -2
    first = written(tmp_path / "a", image_files.minicbf(a))
    second = written(tmp_path / "b", image_files.minicbf(b))
    found = compare(tmp_path, "--files", first, second, "--max-ulp", "0")
    assert problems(found, schema("image_comparison")) == []
    assert found["metrics"]["finite"] == 600 - 2
    assert (found["a"]["not_usable"], found["b"]["not_usable"]) == (1, 1)
    b[7, 8] += 1
    second = written(tmp_path / "b", image_files.minicbf(b))
    found = compare(tmp_path, "--files", first, second, "--max-l2", "0", status=3)
    pixel = found["metrics"]["max_abs_pixel"]
    assert (pixel["fast"], pixel["slow"], pixel["b"] - pixel["a"]) == (8, 7, 1)


def test_panel_by_panel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = written(tmp_path / "a", image_files.imgcif(counts(1), counts(2)))
    second = written(tmp_path / "b", image_files.imgcif(counts(1), counts(2) + 1))
    found = compare(tmp_path, "--files", first, first)
    assert found["verdict"] == "pass"
    assert [panel["panel"] for panel in found["panels"]] == ["ARRAY1", "ARRAY2"]
    found = compare(tmp_path, "--files", first, second, status=3)
    assert [panel["verdict"] for panel in found["panels"]] == ["pass", "fail"]
    assert found["verdict"] == "fail"
    assert "2 panels, 1 fail: ARRAY2" in capsys.readouterr().out
    compare(tmp_path, "--files", first, second, "--panel", "ARRAY1")
    compare(tmp_path, "--files", first, second, "--panel", "ARRAY2", status=3)
    capsys.readouterr()
    compare(tmp_path, "--files", first, second, "--json", status=3)
    assert len(json.loads(capsys.readouterr().out)["panels"]) == 2


def test_a_frame_and_a_file_of_another_kind(tmp_path: Path) -> None:
    pytest.importorskip("h5py", reason="h5py is not installed (extra: test)")
    frames = np.stack([np.concatenate([counts(n), counts(n + 9)]) for n in range(3)])
    series = written(tmp_path / "series.h5", image_files.nxmx_with(frames))
    alone = tmp_path / "alone.bin"
    nb.write_raw(alone, frames[2, 20:].astype(np.float32))
    words = ["--panel", "module1", "--max-ulp", "0", "--shape", "30", "20"]
    compare(tmp_path, "--files", series, str(alone), "--frame", "2", *words)
    compare(tmp_path, "--files", series, str(alone), "--frame", "1", *words, status=3)


ARGS = (
    "-cell 70 80 90 90 90 90 -default_F 100 -lambda 1.25 -distance 150 -N 5 -detpixels_x 30 "
    "-detpixels_y 20 -pixel 0.5 -fluence 1e29"
).split()


def test_a_measured_file_and_what_is_rendered(tmp_path: Path) -> None:
    rendered = nb.Experiment.from_nanobragg_args(ARGS)
    photons = nb.simulate(rendered, nb.StructureFactors.constant(100.0)).image
    pixels = np.rint(2.0 * photons).astype(np.int32)  # the header's gain is 2
    pixels[4, 5] = 5000  # above its overload
    data = image_files.imgcif(pixels, pixels).replace(b" 2.0 1000", b" 2.0 4000")
    measured = written(tmp_path / "a", data)
    words = ["--measured", measured, "--threshold", "0.999", "--panel", "ARRAY1"]
    found = compare(tmp_path, *words, "--", *ARGS)
    assert problems(found, schema("image_comparison")) == []
    assert found["metrics"]["sum_ratio"] == pytest.approx(1.0, abs=0.01)
    assert found["metrics"]["finite"] == 599
    assert (found["a"]["panel"], found["b"]["name"]) == ("ARRAY1", "c")
    compare(tmp_path, *words, "--", *ARGS, "-misset", "5", "5", "5", status=3)


@for_each(
    "words, message",
    [
        ("--files A B --panel q", "--panel: A has no panel 'q'; it has ARRAY1, ARRAY2"),
        ("--files A B", "--files: A has 2 panels, B 1; --panel chooses one"),
        ("--files C C --panel q", "--panel: does not go with files of one image each"),
        ("--files A A --frame -1", "--frame: got -1, need a number >= 0"),
        ("--files A A --measured A", "--measured: does not go with --files"),
        ("--measured A -- -N 5", "--measured: A has 2 panels: give --panel NAME"),
        ("--measured A --a c -- -N 5", "--a: does not go with --measured"),
        ("--panel q -- -N 5", "--panel: does not go with a command line without --measured"),
    ],
)
def test_what_does_not_go_together(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "A", image_files.imgcif(counts(1), counts(2)))
    written(tmp_path / "B", image_files.minicbf(counts(1)))
    written(tmp_path / "C", image_files.smv(counts(1)))
    capsys.readouterr()
    assert main(["--no-pictures", *words.split()]) == 1
    assert message in capsys.readouterr().err
