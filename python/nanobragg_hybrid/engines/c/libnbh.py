"""Where the C library and its header are, and how the library was built."""

from __future__ import annotations

from pathlib import Path

from nanobragg_hybrid import _core
from nanobragg_hybrid.engines.c.numbers import KERNEL_NUMBERS
from nanobragg_hybrid.model.conventions import Kernel


def get_library() -> Path:
    """Path of the shared library libnbh that this process uses."""
    return Path(_core.libnbh_path())


def get_include() -> Path:
    """Folder to give to a C compiler with -I: it holds nbh/nbh.h."""
    return Path(_core.__file__).parent / "include"


def get_cmake_dir() -> Path:
    """Folder to give to CMake as nbh_DIR: it holds nbh-config.cmake, for find_package(nbh)."""
    return Path(_core.__file__).parent / "lib" / "cmake" / "nbh"


def get_pkgconfig_dir() -> Path:
    """Folder to put into PKG_CONFIG_PATH: it holds nbh.pc."""
    return Path(_core.__file__).parent / "lib" / "pkgconfig"


def available_kernels() -> tuple[Kernel, ...]:
    """The kernels that this build and this processor have, the definition of the bits first."""
    return tuple(
        name
        for name, number in KERNEL_NUMBERS.items()
        if name != "auto" and _core.kernel_is_available(number)
    )


def build_info() -> dict[str, str]:
    """How the loaded libnbh was built: version, compiler, flags, sanitizers, instruction sets."""
    return _core.build_info()
