"""What is loaded: little by importing the package, and no numpy by running the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LIBRARIES = (
    *("torch", "matplotlib", "PIL", "cffi", "gemmi", "h5py", "fabio", "hdf5plugin"),
    *("pycbf", "msgpack"),
)
SLOW = (
    *("numpy", "datetime", "platform", "pickle", "ctypes"),
    *("argparse", "subprocess", "tempfile", "random"),
)
"""Modules that take longer to load than a small image to render; the command does without."""

CELL = "-cell 70 80 90 90 90 90 -detpixels 4 -pixel 1 -oversample 1 -distance 100"
RUN = """
import sys
from nanobragg_hybrid.cli.nanobragg.main import main
status = main()
print("loaded", *sorted(set({names!r}) & set(sys.modules)))
sys.exit(status)
"""


def loaded(code: str, names: tuple[str, ...]) -> str:
    """Which of `names` a new interpreter has loaded after `code`."""
    script = f"import sys\n{code}\nprint(*sorted(set({names!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def loaded_by_command(words: str, folder: Path) -> str:
    """Which slow modules a process has loaded that ran the command."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(names=(*SLOW, *LIBRARIES)), *words.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder with a list of reflections, a matrix and sources."""
    (tmp_path / "few.hkl").write_text("0 0 1 10\n1 2 3 20\n-1 0 2 5.5\n")
    (tmp_path / "A.mat").write_text("0.01 0 0\n0 0.0125 0\n0 0 0.011\n")
    (tmp_path / "sources.txt").write_text("0 0 10 1 1e-10\n0 0.1 10 1 1.1e-10\n")
    return tmp_path


@pytest.mark.parametrize("module", ["nanobragg_hybrid", "nanobragg_hybrid.cli.nanobragg.main"])
def test_import_leaves_large_libraries_alone(module: str) -> None:
    assert loaded(f"import {module}", (*SLOW, *LIBRARIES)) == ""


def test_the_probe_sees_a_loaded_library() -> None:
    assert loaded("sys.modules['torch'] = sys", LIBRARIES) == "torch"
    assert "platform" in loaded("import platform", SLOW).split()


@pytest.mark.parametrize(
    "words",
    [
        f"{CELL} -default_F 100",
        f"{CELL} -default_F 100 -floatfile a.bin -intfile a.img -pgmfile a.pgm -noisefile b.img",
        f"{CELL} -hkl few.hkl",
        "-mat A.mat -hkl few.hkl -lambda 1 -detpixels 4 -nonoise -nopgm",
        f"{CELL} -default_F 100 -phi 0 -osc 1 -phisteps 3 -mosaic 1 -mosaic_domains 4",
        f"{CELL} -default_F 100 -dispersion 1 -dispsteps 3 -hdivrange 1 -hdivsteps 3",
        f"{CELL} -default_F 100 -sourcefile sources.txt -misset random -xtal_shape round",
        f"{CELL} -hkl few.hkl -interpolate -printout --json facts.json --quirks none",
        f"{CELL} -default_F 100 -printout_pixel 1 1 -trace_pixel 1 2 --threads 2 --kernel exact",
    ],
)
def test_the_command_needs_no_slow_module(words: str, inputs: Path) -> None:
    assert loaded_by_command(words, inputs) == "loaded"


def test_neither_do_a_dump_and_the_header_of_an_image(inputs: Path) -> None:
    assert loaded_by_command(f"{CELL} -hkl few.hkl -intfile made.img", inputs) == "loaded"
    assert (inputs / "Fdump.bin").is_file()
    again = loaded_by_command(f"{CELL} -dump Fdump.bin -img made.img -intfile new.img", inputs)
    assert again == "loaded"
    assert (inputs / "new.img").read_bytes()[512:] == (inputs / "made.img").read_bytes()[512:]


def test_a_mask_is_an_array(inputs: Path) -> None:
    words = f"{CELL} -default_F 100 -intfile made.img"
    assert loaded_by_command(words, inputs) == "loaded"
    words = f"{CELL} -default_F 100 -mask made.img"
    assert "numpy" in loaded_by_command(words, inputs).split()


def test_a_result_is_plain_memory_until_it_is_read() -> None:
    code = """
import nanobragg_hybrid as nb
crystal = nb.Crystal(cell_angstrom=(70, 80, 90))
experiment = nb.Experiment(crystal=crystal, detector=nb.Detector(n_fast=4, n_slow=3))
result = nb.simulate(experiment, nb.StructureFactors.constant(100.0), threads=1)
assert result.image_buffer.shape == (3, 4)
assert "numpy" not in sys.modules
result.image
"""
    assert "numpy" in loaded(code, SLOW).split()
