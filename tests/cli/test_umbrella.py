"""The command nanobragg-hybrid."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.umbrella import main as umbrella
from nanobragg_hybrid.cli.umbrella.main import DEMO_FILE, demo_experiment, main
from nanobragg_hybrid.compare.pictures import grey
from nanobragg_hybrid.formats.demo_data import DEMO_FILES

SCRIPT = Path(__file__).parents[2] / "examples" / "make_demo_structure_factors.py"
PNG_START = b"\x89PNG\r\n\x1a\n"


def test_demo_writes_a_picture_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "spots.png"
    assert main(["demo", "--out", str(out)]) == 0
    assert out.read_bytes().startswith(PNG_START)
    assert f"picture: {out}" in capsys.readouterr().out


def test_demo_takes_quirks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = demo_experiment().replace(
        {"goniometer.phi_steps": 2, "crystal.mosaic_domains": 1, "detector.n_fast": 50}
    )
    small = small.replace({"detector.n_slow": 40, "detector.distance_mm": 20.0})
    monkeypatch.setattr(umbrella, "demo_experiment", lambda: small)
    for text in ("nanobragg", "none"):
        assert main(["demo", "--out", str(tmp_path / "a.png"), "--quirks", text]) == 0
        quirks = nb.Quirks.parse(text)
        result = nb.simulate(small, nb.read_hkl(DEMO_FILE), quirks=quirks)
        nb.write_png(tmp_path / f"{text}.png", grey(result.image))
        assert (tmp_path / "a.png").read_bytes() == (tmp_path / f"{text}.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "nanobragg.png").read_bytes()


def test_demo_has_spots_on_an_empty_background() -> None:
    experiment = demo_experiment().replace({"goniometer.phi_steps": 4, "crystal.mosaic_domains": 2})
    picture = grey(nb.simulate(experiment, nb.read_hkl(DEMO_FILE)).image)
    assert picture.shape == (800, 800)
    assert picture.dtype == np.uint8
    assert np.median(picture) >= 250
    assert 500 < np.count_nonzero(picture < 128) < 20000


def test_a_dark_image_is_a_white_picture() -> None:
    assert np.all(grey(np.zeros((2, 3), np.float32)) == 255)


def test_structure_factors_come_from_the_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "demo.hkl"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(made)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert nb.read_hkl(made) == nb.read_hkl(DEMO_FILE)
    assert DEMO_FILE.stat().st_size < 150_000


def test_structure_factors_obey_friedel_and_the_screw_axes() -> None:
    table = nb.read_hkl(DEMO_FILE)
    assert table.grid is not None
    assert np.array_equal(table.grid, table.grid[::-1, ::-1, ::-1])
    h0, k0, l0 = (-n for n in table.hkl_min)
    assert not table.grid[h0, k0, l0 + 1 :: 2].any()
    assert table.grid[h0, k0, l0 + 2 :: 2].any()


def test_info_prints_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    output = capsys.readouterr().out
    assert f"nanobragg_hybrid: {nb.__version__}\n" in output
    assert "libnbh compiler: " in output


def test_failures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path), "--backend", "fortran"]) == 1
    assert "nanobragg-hybrid: error: no backend 'fortran'" in capsys.readouterr().err
    for command in ("demo", "quirks"):
        assert main([command, "--quirks", "cubist"]) == 1
        assert "error: quirks: got 'cubist', need one of nanobragg" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["dance"], ["demo", "--colour"]])
def test_wrong_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(words)
    assert error.value.code == 2
    assert "usage: nanobragg-hybrid" in capsys.readouterr().err


def test_data_lists_the_files_and_says_where_one_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data"]) == 0
    folder, *files = capsys.readouterr().out.splitlines()
    assert folder == str(nb.data_path())
    assert [line.split(":")[0].strip() for line in files] == list(DEMO_FILES)
    for name in DEMO_FILES:
        assert main(["data", name]) == 0
        assert capsys.readouterr().out == f"{nb.data_path(name)}\n"
        assert nb.data_path(name).is_file()
    assert main(["data", "demo.mta"]) == 1
    assert "did you mean demo.mat?" in capsys.readouterr().err


def test_the_demo_matrix_belongs_to_the_demo_crystal() -> None:
    matrix = np.reshape(nb.read_matrix(nb.data_path("demo.mat")), (3, 3)).T
    need = nb.prepare(demo_experiment(), nb.StructureFactors.constant(1.0)).plan
    stars = (need.a_star_per_angstrom, need.b_star_per_angstrom, need.c_star_per_angstrom)
    assert np.abs(matrix - np.array(stars)).max() < 1e-8
    assert nb.read_spectrum(nb.data_path("demo_spectrum.txt")) == nb.Spectrum.gaussian(
        centre_ev=12398.42, fwhm_ev=25.0, nodes=15
    )
