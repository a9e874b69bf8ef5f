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
    for line, name, phi in zip(
        lines, ("series_001.cbf", "series_002.cbf"), ("10", "10.5"), strict=True
    ):
        counts = nb.read_image(tmp_path / name).panels[0]
        assert counts.shape == (64, 64)
        assert line == f"{name}: from {phi} degrees on, {counts.sum()} photons"
        assert nb.read_experiment(tmp_path / name).goniometer.phi_deg == float(phi)


def test_listing_of_series(tmp_path: Path) -> None:
    for library in ("h5py", "hdf5plugin"):
        pytest.importorskip(library, reason=f"{library} is not installed (extra: mx)")
    lines = _run([sys.executable, "-c", _listing("series.md", "series-example")], tmp_path)
    first, angles, last = lines.splitlines()
    assert first == "4 True wedge_series.json"
    assert re.fullmatch(r"\(\d+\.\d+, -?\d+\.\d+, \d+\.\d+\)", angles)
    assert last == "0 4"
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".jsonl"} == {
        *(f"wedge_{n:03d}.cbf" for n in (1, 2, 3, 4)),
        *("wedge_series.json", "shots_series.json", "size_series.json"),
        *("shots.h5", "shots_data_000001.h5", "shots_data_000002.h5", "size_1.img", "size_2.img"),
    }


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


def test_joint_listing_of_fitting(tmp_path: Path) -> None:
    """The cell that three images share is found within its standard deviations."""
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    code = _listing("fitting.md", "joint-example")
    first, *lines = _run([sys.executable, "-c", code], tmp_path).splitlines()
    found = [float(word) for word in first.strip("()").split(",")]
    assert [line.split()[:2] for line in lines] == [
        ["crystal.cell_angstrom", str(n)] for n in range(3)
    ]
    for line, value, need in zip(lines, found, (40.0, 45.0, 50.0), strict=True):
        _, _, number, esd = line.split()
        assert float(number) == value
        assert abs(value - need) < 4.0 * float(esd) < 0.1


def test_geometry_listing(tmp_path: Path) -> None:
    lines = _run([sys.executable, "-c", _listing("geometry.md", "geometry-example")], tmp_path)
    names, angles, difference = lines.splitlines()
    assert names == "['panel0']"
    assert angles == "10.0 0.5"
    assert float(difference) < 1e-3


def test_listing_of_files_out(tmp_path: Path) -> None:
    for library in ("h5py", "hdf5plugin"):
        pytest.importorskip(library, reason=f"{library} is not installed (extra: mx)")
    lines = _run([sys.executable, "-c", _listing("files_out.md", "files-out-example")], tmp_path)
    assert lines.splitlines() == ["10.0 0.5", "['run_data_000001.h5', 'run_data_000002.h5']"]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("frame_001.cbf", "frame_001.img", "run.h5"),
        *("run_data_000001.h5", "run_data_000002.h5"),
    }


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


def test_python_listing_of_structure_factors(tmp_path: Path) -> None:
    pytest.importorskip("gemmi", reason="gemmi is not installed (extra: test)")
    code = _listing("structure_factors.md", "python-example")
    summary, *assumed, brightest = _run([sys.executable, "-c", code], ROOT).splitlines()
    assert summary.startswith(
        f"{nb.data_path('helix.pdb')}: an atomic model (PDB), calculated from 106 atoms"
    )
    assert any("Se -11.541 +3.844i" in text for text in assumed)
    assert float(brightest) > 0.0


def test_unique_listing_of_structure_factors(tmp_path: Path) -> None:
    for name in ("torch", "gemmi"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    code = _listing("structure_factors.md", "unique-example")
    (line,) = _run([sys.executable, "-c", code], ROOT).splitlines()
    assert re.fullmatch(r"True \[ *-?\d+ +-?\d+ +-?\d+\]", line)


def test_wavelengths_listing_of_structure_factors(tmp_path: Path) -> None:
    pytest.importorskip("gemmi", reason="gemmi is not installed")
    code = _listing("structure_factors.md", "wavelengths-example")
    assert _run([sys.executable, "-c", code], ROOT).splitlines() == ["(24, 24) (0.75, 0.25)"]


def test_the_helix_is_what_its_script_makes(tmp_path: Path) -> None:
    script = ROOT / "examples" / "make_helix.py"
    assert _run([sys.executable, str(script), "helix.pdb"], tmp_path) == "helix.pdb: 106 atoms\n"
    made = (tmp_path / "helix.pdb").read_text().splitlines()
    kept = nb.data_path("helix.pdb").read_text().splitlines()
    assert len(made) == len(kept)
    for ours, theirs in zip(made, kept, strict=True):
        if ours != theirs:  # the last digit of a coordinate
            assert ours[:30] + ours[54:] == theirs[:30] + theirs[54:]
            assert np.abs(np.subtract(_xyz(ours), _xyz(theirs))).max() < 0.002


def _xyz(line: str) -> list[float]:
    return [float(line[start : start + 8]) for start in (30, 38, 46)]
