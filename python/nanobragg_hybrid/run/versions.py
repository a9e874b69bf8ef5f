"""What is installed and how it was built, for bug reports."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import BackendError

_OPTIONAL_PACKAGES = ("pillow", "cffi", "torch", "gemmi")


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
    """A text with one `key: value` a line: this package, Python, the system, the C library."""
    lines = {
        "nanobragg_hybrid": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "numpy": _version_of("numpy"),
    }
    lines.update({package: _version_of(package) for package in _OPTIONAL_PACKAGES})
    try:
        lines.update({f"libnbh {key}": value for key, value in build_info().items()})
    except BackendError as error:
        lines["libnbh"] = str(error)
    return "".join(f"{key}: {value}\n" for key, value in lines.items())


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
