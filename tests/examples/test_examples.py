"""The examples, and the code in the documentation, run and say what they should."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nanobragg_hybrid as nb

ROOT = Path(__file__).resolve().parents[2]


def _run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _listing(page: str, name: str) -> str:
    """The one fenced listing between the `NAME: begin` and `NAME: end` comments of a page."""
    text = (ROOT / "docs" / page).read_text()
    (inner,) = re.findall(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", text, re.DOTALL)
    (code,) = re.findall(r"```\w+\n(.*?)```", inner, re.DOTALL)
    return str(code)


def test_still(tmp_path: Path) -> None:
    """The same experiment as the recorded case `triclinic`."""
    lines = _run([sys.executable, str(ROOT / "examples" / "still.py")], tmp_path).splitlines()
    with np.load(ROOT / "golden" / "images.npz") as images:
        need = images["triclinic"]
    slow, fast = np.unravel_index(need.argmax(), need.shape)
    assert lines == [
        "image: 64 x 64 pixels (slow, fast)",
        f"brightest pixel: {need.max():g} photons at slow {slow}, fast {fast}",
        f"mean: {need.astype(float).mean():g} photons per pixel",
        "sub-pixels along each side: 6",
    ]


def test_rotation_series(tmp_path: Path) -> None:
    script = ROOT / "examples" / "rotation_series.py"
    lines = _run([sys.executable, str(script), str(tmp_path), "2"], tmp_path).splitlines()
    assert [line.split(":")[0] for line in lines] == ["series_001.bin", "series_002.bin"]
    frames = [np.fromfile(tmp_path / f"series_00{n}.bin", "<f4") for n in (1, 2)]
    assert [frame.size for frame in frames] == [64 * 64, 64 * 64]
    assert np.count_nonzero(frames[0] != frames[1]) > 1000
    for line, frame in zip(lines, frames, strict=True):
        photons = float(re.search(r"(\d+) photons", line)[1])
        need = float(frame.sum(dtype=float))
        assert photons == pytest.approx(need, abs=6 * need**0.5)


def test_python_listing_of_getting_started(tmp_path: Path) -> None:
    code = _listing("getting_started.md", "python-example")
    lines = _run([sys.executable, "-c", code], tmp_path).splitlines()
    assert lines[0] == "(64, 64)"
    assert float(lines[1]) > 0.0
    assert int(lines[2]) >= 1


def test_prepare_listing_of_getting_started(tmp_path: Path) -> None:
    code = _listing("getting_started.md", "prepare-example")
    plan, memory, indices = _run([sys.executable, "-c", code], tmp_path).splitlines()
    oversample, _, corner = plan.partition(" ")
    assert int(oversample) >= 1
    assert len(corner.split(",")) == 3
    assert "image of 64 x 64 pixels" in memory
    assert len(indices.split(",")) == 3


def test_panels_listing(tmp_path: Path) -> None:
    lines = _run([sys.executable, "-c", _listing("panels.md", "panels-example")], tmp_path)
    shapes, brightest, distance, value = lines.splitlines()
    assert shapes == "[(38, 100), (38, 100)]"
    assert float(brightest) >= float(value) > 0.0
    assert float(distance) == pytest.approx(100.0, abs=1e-9)


def test_c_listing_links_against_the_library(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("the C listing needs a C compiler called cc")
    library = Path(nb.get_library())
    (tmp_path / "example.c").write_text(_listing("c_api.md", "c-example"))
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{nb.get_include()}"]
    link = [str(library), f"-Wl,-rpath,{library.parent}"]
    _run([compiler, *flags, "example.c", *link, "-o", "example"], tmp_path)
    (line,) = _run([str(tmp_path / "example")], tmp_path).splitlines()
    with np.load(ROOT / "golden" / "images.npz") as images:
        assert images["cubic"].shape == (96, 96)
    assert re.fullmatch(r"max \d+\.?\d*, mean \d+\.?\d*", line)


def test_readme_listing_is_valid(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    check = "\nassert result.image.shape == (512, 512) and result.statistics.max > 0\n"
    _run([sys.executable, "-c", code + check], tmp_path)
