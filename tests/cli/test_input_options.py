"""--experiment and --column: of the command and of the tools beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from for_each import for_each
from geometry_files import EXPT, GEOM

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.compare.main import main as compare
from nanobragg_hybrid.cli.compare_hkl.main import main as compare_hkl
from nanobragg_hybrid.cli.nanobragg.main import main as command
from nanobragg_hybrid.cli.tool import split_arguments
from nanobragg_hybrid.cli.trace.main import main as trace

WORDS = ["-default_F", "100", "-N", "5", "-oversample", "2", "-phisteps", "2"]
QUIET = ["-nopgm", "-nonoise", "-noprogress"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "some.expt").write_bytes(EXPT)
    (tmp_path / "two.geom").write_bytes(GEOM)
    return tmp_path


@for_each(
    "given, own, words",
    [
        (["--a", "c", "--", "-N", "5"], ["--a", "c"], ["-N", "5"]),
        (["--panel=b", "--a", "c"], ["--panel=b", "--a", "c"], []),
        (["--panel=b", "--", "--experiment", "x"], [], ["--panel=b", "--experiment", "x"]),
        (["--experiment", "x", "--a", "c", "--"], ["--a", "c"], ["--experiment", "x"]),
        (["--", "--image", "3"], [], ["--image", "3"]),
    ],
)
def test_they_may_stand_on_either_side(given: list[str], own: list[str], words: list[str]) -> None:
    assert split_arguments(given) == (own, words)


def test_nb_compare_has_the_geometry_of_a_file(folder: Path) -> None:
    """A's image is the command's."""
    assert command(["--experiment", "some.expt", *WORDS, *QUIET]) == 0
    image = nb.read_raw("floatimage.bin", (20, 30))
    assert image.max() > 0.0
    own = ["--a", "c", "--b", "torch", "--outdir", "found", "--no-pictures"]
    for words in (["--experiment", "some.expt", "--"], ["--", "--experiment=some.expt"]):
        assert compare([*own, *words, *WORDS]) == 0
    results = [*Path("found").rglob("a.bin")]
    assert len(results) == 2
    for path in results:
        assert nb.read_raw(path, (20, 30)).tobytes() == image.tobytes()
    assert compare([*own, "--", "--strict", *WORDS]) == 1


def test_nb_trace_has_the_panel_of_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for panel in ("0", "1"):
        words = ["-cell", "40", "50", "60", "90", "90", "90", *WORDS]
        own = ["--pixel", "3", "4", "--format", "json", "--experiment", "two.geom"]
        assert trace([*own, "--panel", panel, "--", *words]) == 0
        document = json.loads(capsys.readouterr().out)
        found.append(document["traces"][0]["records"])
    assert found[0] != found[1]


@pytest.fixture
def mtz(folder: Path) -> Path:
    gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed (extra: test)")
    table = gemmi.Mtz(with_base=True)
    table.spacegroup = gemmi.SpaceGroup("P 1")
    table.set_cell_for_all(gemmi.UnitCell(40, 50, 60, 90, 90, 90))
    table.add_dataset("set")
    for label in ("FONE", "FTWO"):
        table.add_column(label, "F")
    sides = range(-7, 8)
    indices = [(h, k, l) for h in sides for k in sides for l in range(1, 8)]
    import numpy as np

    table.set_data(np.array([(*hkl, 50.0, 10.0 * hkl[2]) for hkl in indices], np.float32))
    path = folder / "two.mtz"
    table.write_to_file(str(path))
    return path


def test_the_command_takes_a_column(mtz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-hkl", str(mtz), "-lambda", "1", "-distance", "60", "-detpixels", "24", "-pixel", "1"]
    words += ["-N", "3", *QUIET]
    assert command(words) != 0
    assert "FONE; FTWO: name one (column)" in capsys.readouterr().err
    images = []
    for label in ("FONE", "FTWO"):
        assert command(["--column", label, *words]) == 0
        images.append(nb.read_raw("floatimage.bin", (24, 24)).tobytes())
    assert images[0] != images[1]
    assert command(["--column", "NONE", *words]) != 0
    assert "NONE" in capsys.readouterr().err
    assert command(["--column", "F", "-cell", "40", "50", "60", "90", "90", "90", *WORDS]) != 0
    assert "--column: chooses a column of -hkl with MTZ or CIF, and there is no -hkl" in (
        capsys.readouterr().err
    )


def test_nb_compare_hkl_reads_mtz(mtz: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = nb.read_structure_factors(mtz, column="FTWO", missing="default")
    nb.write_hkl("two.hkl", table)
    own = ["--hkl", "two.mtz", "--engines", "c", "torch"]
    assert compare_hkl(["--column", "FTWO", *own]) == 0
    assert compare_hkl(["--column", "FTWO", "--hkl", "two.hkl", *own]) != 0
    assert "--column: two.hkl is neither MTZ nor CIF" in capsys.readouterr().err
    nb.write_dump("two.bin", table)
    assert compare_hkl(["--column", "FTWO", "--hkl", "two.mtz", "--fdump", "two.bin"]) == 0
    assert compare_hkl(["--column", "FONE", "--hkl", "two.mtz", "--fdump", "two.bin"]) == 3
