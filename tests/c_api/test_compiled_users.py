"""Programs that a C user would write, compiled against the installed header and library."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import build_info
from nanobragg_hybrid.engines.c.plan import Plan

SOURCES = Path(__file__).parents[2] / "csrc" / "tests"
CC = shutil.which("cc")
CXX = shutil.which("c++")

needs_cc = pytest.mark.skipif(CC is None, reason="there is no C compiler `cc`")


def _compile(arguments: list[str]) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def _smallest_in_python() -> str:
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(70.0, 80.0, 90.0), n_cells=(5.0, 5.0, 5.0)),
        detector=nb.Detector(n_fast=40, n_slow=30, pixel_size_mm=0.5),
    )
    found = nb.simulate(experiment, nb.StructureFactors.constant(100.0)).statistics
    return f"maximum {found.max:.6g} at fast {found.max_fast}, slow {found.max_slow}\n"


@needs_cc
@pytest.mark.skipif(
    build_info()["sanitizers"] != "none", reason="a sanitized library needs a sanitized program"
)
def test_a_c_program_links_and_runs(tmp_path: Path) -> None:
    program, library = tmp_path / "smallest", nb.get_library()
    _compile(
        [
            str(CC),
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            f"-I{nb.get_include()}",
            str(SOURCES / "smallest.c"),
            str(library),
            "-lm",
            f"-Wl,-rpath,{Path(library).parent}",
            "-o",
            str(program),
        ]
    )
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == f"libnbh {nb.__version__}: {_smallest_in_python()}"


@needs_cc
def test_the_header_compiles_alone_as_c99(tmp_path: Path) -> None:
    source = tmp_path / "alone.c"
    source.write_text('#include "nbh/nbh.h"\n#include "nbh/nbh.h"\nint nothing;\n')
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
    _compile([str(CC), *flags, f"-I{nb.get_include()}", str(source)])


@pytest.mark.skipif(CXX is None, reason="there is no C++ compiler `c++`")
def test_the_header_compiles_alone_as_cpp(tmp_path: Path) -> None:
    source = tmp_path / "alone.cpp"
    source.write_text('#include "nbh/nbh.h"\nint main() { return nbh_version() == nullptr; }\n')
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
    _compile([str(CXX), *flags, f"-I{nb.get_include()}", str(source)])


FLUSH_TO_ZERO = """
#include <xmmintrin.h>
unsigned set_control(unsigned value) {
    unsigned before = _mm_getcsr();
    _mm_setcsr(value);
    return before;
}
"""


@needs_cc
@pytest.mark.skipif(platform.machine() != "x86_64", reason="sets the control register of x86-64")
def test_flush_to_zero_of_another_library_changes_no_bit(tmp_path: Path) -> None:
    source, library = tmp_path / "ftz.c", tmp_path / "ftz.so"
    source.write_text(FLUSH_TO_ZERO)
    _compile([str(CC), "-shared", "-fPIC", str(source), "-o", str(library)])
    set_control = ctypes.CDLL(str(library)).set_control
    set_control.restype, set_control.argtypes = ctypes.c_uint, [ctypes.c_uint]

    # F*F is a denormal double, and the fluence lifts it back
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(70.0, 80.0, 90.0)),
        detector=nb.Detector(n_fast=4, n_slow=3),
        beam=nb.Beam(fluence_photons_per_m2=1e308),
    )
    factors = nb.StructureFactors.constant(3e-155)

    def render() -> tuple[np.ndarray, float]:
        plan = Plan(experiment, factors, nb.Quirks())
        image = plan.render(2, None, False)[0]
        return image, plan.trace(0, 0)["pixel_value"]

    image, value = render()
    before = set_control(0x9FC0)  # flush to zero, denormals are zero
    try:
        flushed_image, flushed_value = render()
        after = set_control(before)
    finally:
        set_control(before)
    assert image.min() > 0.0
    assert flushed_image.tobytes() == image.tobytes()
    assert flushed_value == value > 0.0
    assert after & 0x8040 == 0x8040  # and the caller has its own settings again
