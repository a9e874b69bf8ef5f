"""Without gemmi: one line that names the extra, and everything else as ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from for_each import for_each
from reflection_files import MMCIF_REFLECTIONS, PDB

BLOCKED = """
import sys
sys.modules["gemmi"] = None
import nanobragg_hybrid as nb
"""
NEEDS = "needs gemmi: pip install 'nanobragg-hybrid[mx]' (in a clone: '.[mx]')"


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@for_each(
    "call, purpose",
    [
        ("nb.read_structure_factors('a.mtz')", "a.mtz: reading an MTZ file"),
        ("nb.read_structure_factors('a.cif')", "a.cif: reading a CIF file"),
        ("nb.read_structure_factors('a.pdb', d_min_angstrom=3.0)", "a.pdb: reading a PDB file"),
        ("nb.structure_factors_from_model('a.pdb', d_min_angstrom=3.0)", "an atomic model"),
        (
            "nb.StructureFactors.from_reflections([[1, 0, 0]], [1.0], space_group='P 1')",
            "a space group",
        ),
    ],
)
def test_one_line_names_the_extra(call: str, purpose: str, tmp_path: Path) -> None:
    (tmp_path / "a.mtz").write_bytes(b"MTZ " + bytes(80))
    (tmp_path / "a.cif").write_bytes(MMCIF_REFLECTIONS)
    (tmp_path / "a.pdb").write_bytes(PDB)
    done = run(call, tmp_path)
    assert done.stderr.splitlines()[-1] == (
        f"nanobragg_hybrid.base.errors.UnsupportedError: {purpose} {NEEDS}"
    )


def test_the_commands_say_so_too(tmp_path: Path) -> None:
    (tmp_path / "a.pdb").write_bytes(PDB)
    code = """
from nanobragg_hybrid.cli.nanobragg.main import main
assert main("-hkl a.pdb -detpixels 4 -pixel 9".split()) == 9
from nanobragg_hybrid.cli.umbrella.main import main
assert main("structure-factors a.pdb --d-min 3".split()) == 1
"""
    done = run(code, tmp_path)
    assert done.stderr.splitlines() == [
        f"nanoBragg: error: an atomic model {NEEDS}",
        f"nanobragg-hybrid: error: a.pdb: reading a PDB file {NEEDS}",
    ]
    assert done.returncode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["a.pdb"]


def test_text_needs_none(tmp_path: Path) -> None:
    (tmp_path / "few.hkl").write_text("0 0 1 10\n1 2 3 20\n")
    code = """
assert nb.read_structure_factors("few.hkl").reflections == 2
nb.write_hkl("again.hkl", nb.StructureFactors.from_reflections([[1, 0, 0]], [1.0]))
from nanobragg_hybrid.cli.nanobragg.main import main
assert main("-cell 9 9 9 90 90 90 -hkl few.hkl -detpixels 4 -pixel 9 -noprogress".split()) == 0
"""
    done = run(code, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
