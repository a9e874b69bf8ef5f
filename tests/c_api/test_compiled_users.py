"""Programs that a C user would write, compiled against the installed header and library."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import build_info, get_cmake_dir, get_pkgconfig_dir
from nanobragg_hybrid.engines.c.plan import Plan

SOURCES = Path(__file__).parents[2] / "csrc" / "tests"
CC = shutil.which("cc")
CXX = shutil.which("c++")

CMAKE = shutil.which("cmake")
PKG_CONFIG = shutil.which("pkg-config") or shutil.which("pkgconf")

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


needs_plain_library = pytest.mark.skipif(
    build_info()["sanitizers"] != "none", reason="a sanitized library needs a sanitized program"
)


def _run_smallest(program: Path) -> None:
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == f"libnbh {nb.__version__}: {_smallest_in_python()}"


@needs_cc
@needs_plain_library
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
    _run_smallest(program)


CMAKE_LISTS = """
cmake_minimum_required(VERSION 3.18...3.31)
project(user LANGUAGES C)
find_package(nbh {version} REQUIRED)
add_executable(smallest "{source}")
target_link_libraries(smallest PRIVATE nbh::nbh)
"""


def _configure(folder: Path, nbh_dir: Path, version: str) -> subprocess.CompletedProcess[str]:
    """A CMake project that uses the package, configured in folder / "build"."""
    lists = CMAKE_LISTS.format(version=version, source=SOURCES / "smallest.c")
    (folder / "CMakeLists.txt").write_text(lists)
    command = [str(CMAKE), "-S", str(folder), "-B", str(folder / "build"), f"-Dnbh_DIR={nbh_dir}"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _build_and_run(folder: Path) -> None:
    command = [str(CMAKE), "--build", str(folder / "build")]
    subprocess.run(command, capture_output=True, check=True)
    _run_smallest(folder / "build" / "smallest")


@needs_cc
@needs_plain_library
@pytest.mark.skipif(CMAKE is None, reason="there is no `cmake`")
@pytest.mark.parametrize(("version", "is_found"), [("", True), ("{own}", True), ("99.0", False)])
def test_a_cmake_project_finds_the_package(tmp_path: Path, version: str, is_found: bool) -> None:
    own = build_info()["version"].partition("+")[0]
    done = _configure(tmp_path, get_cmake_dir(), version.format(own=own))
    assert (done.returncode == 0) is is_found, done.stderr
    if is_found:
        _build_and_run(tmp_path)


@needs_cc
@needs_plain_library
@pytest.mark.skipif(PKG_CONFIG is None, reason="there is no `pkg-config`")
def test_pkg_config_finds_the_package(tmp_path: Path) -> None:
    def ask(*options: str) -> list[str]:
        done = subprocess.run(
            [str(PKG_CONFIG), *options, "nbh"],
            env={**os.environ, "PKG_CONFIG_PATH": str(get_pkgconfig_dir())},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    assert nb.__version__.startswith(ask("--modversion")[0])
    program = tmp_path / "smallest"
    source = str(SOURCES / "smallest.c")
    _compile([str(CC), *ask("--cflags"), source, *ask("--libs"), "-o", str(program)])
    _run_smallest(program)


@needs_cc
@needs_plain_library
@pytest.mark.skipif(PKG_CONFIG is None, reason="there is no `pkg-config`")
@pytest.mark.skipif(CMAKE is None, reason="there is no `cmake`")
def test_the_package_can_be_moved(tmp_path: Path) -> None:
    """CMake and pkg-config are told nothing of where it was built or installed."""
    package = get_cmake_dir().parents[2]
    moved = tmp_path / "elsewhere" / package.name
    for part in ("include", "lib"):
        shutil.copytree(package / part, moved / part)
    done = subprocess.run(
        [str(PKG_CONFIG), "--cflags", "--libs", str(moved / "lib" / "pkgconfig" / "nbh.pc")],
        capture_output=True,
        text=True,
        check=True,
    )
    folders = [Path(word[2:]).resolve() for word in done.stdout.split() if word[:2] in ("-I", "-L")]
    assert folders == [moved / "include", moved / "lib"]
    done = _configure(tmp_path, moved / "lib" / "cmake" / "nbh", "")
    assert (done.returncode, done.stderr) == (0, "")
    _build_and_run(tmp_path)
    rules = (tmp_path / "build" / "CMakeCache.txt").read_text()
    assert str(package) not in rules


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
