"""What is installed and how it was built, for bug reports."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import re
import sys

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import BackendError, NanobraggError
from nanobragg_hybrid.base.host import physical_memory_bytes, usable_cores
from nanobragg_hybrid.formats.text import read_text

_OPTIONAL_PACKAGES = (
    *("pillow", "cffi", "torch", "triton", "gemmi", "h5py", "hdf5plugin", "fabio", "pycbf"),
    *("msgpack", "distributed", "mpi4py"),
)


def build_info() -> dict[str, str]:
    """How the loaded C library was built, by key: compiler, flags, instruction sets.

    Raises `BackendError` if the compiled module cannot be imported.
    """
    try:
        from nanobragg_hybrid.engines.c import libnbh

        info: dict[str, str] = dict(libnbh.build_info())
    except ImportError as error:
        raise BackendError(
            f"the compiled module cannot be imported ({error}); was the package built?"
        ) from error
    return info


def show_versions() -> str:
    """A text with one `key: value` a line: this package, Python, the system, the C library.

    What a bug report needs: versions, how the C library was built, which kernel runs here, the
    processor, cores that this process may use, and memory in GiB.
    """
    lines = {
        "nanobragg_hybrid": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processor": processor_name(),
        "cores": str(usable_cores()),
        "memory": _memory(),
        "numpy": _version_of("numpy"),
    }
    lines.update({package: _version_of(package) for package in _OPTIONAL_PACKAGES})
    try:
        lines.update({f"libnbh {key}": value for key, value in build_info().items()})
        from nanobragg_hybrid.engines.c.libnbh import available_kernels

        kernels = available_kernels()
        lines["kernel"] = f"{kernels[-1]} (of {', '.join(kernels)})"
    except BackendError as error:
        lines["libnbh"] = str(error)
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def processor_name() -> str:
    """What the system calls the processor."""
    with contextlib.suppress(NanobraggError):
        found = re.search(r"(?m)^model name\s*:\s*(.+)$", read_text("/proc/cpuinfo"))
        if found is not None:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    found = physical_memory_bytes()
    return "unknown" if found is None else f"{found / 2**30:.1f} GiB"


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
