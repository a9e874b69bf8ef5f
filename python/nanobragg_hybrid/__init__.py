"""Diffraction images of crystals: nanoBragg's pictures, bit for bit, from Python.

>>> import nanobragg_hybrid as nb
>>> experiment = nb.Experiment(crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)))
>>> result = nb.simulate(experiment, nb.StructureFactors.constant(100.0))  # doctest: +SKIP

Importing this package imports numpy and nothing heavier: the compiled engine and the file formats
are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .backends import available_backends
from .config import (
    Beam,
    Crystal,
    Detector,
    Experiment,
    Goniometer,
    Mask,
    Output,
    Sampling,
    Source,
)
from .errors import (
    BackendError,
    CommandLineError,
    ConfigError,
    FileAccessError,
    FileFormatError,
    NanobraggError,
    NanobraggWarning,
    RenderCancelled,
    ResourceError,
    UnsupportedError,
)
from .images import integer_image, noise_image, pgm_image
from .quirks import LEDGER, Quirk, Quirks
from .result import Geometry, SimulationResult, Statistics
from .simulate import simulate
from .structure_factors import StructureFactors

if TYPE_CHECKING:
    from .c_engine.library import get_include, get_library
    from .io import (
        read_dump,
        read_hkl,
        read_matrix,
        read_pgm,
        read_raw,
        read_smv,
        read_source_file,
        write_dump,
        write_hkl,
        write_matrix,
        write_pgm,
        write_png,
        write_raw,
        write_smv,
        write_source_file,
    )
    from .versions import build_info, show_versions

__all__ = [
    "LEDGER",
    "BackendError",
    "Beam",
    "CommandLineError",
    "ConfigError",
    "Crystal",
    "Detector",
    "Experiment",
    "FileAccessError",
    "FileFormatError",
    "Geometry",
    "Goniometer",
    "Mask",
    "NanobraggError",
    "NanobraggWarning",
    "Output",
    "Quirk",
    "Quirks",
    "RenderCancelled",
    "ResourceError",
    "Sampling",
    "SimulationResult",
    "Source",
    "Statistics",
    "StructureFactors",
    "UnsupportedError",
    "__version__",
    "available_backends",
    "build_info",
    "get_include",
    "get_library",
    "integer_image",
    "noise_image",
    "pgm_image",
    "read_dump",
    "read_hkl",
    "read_matrix",
    "read_pgm",
    "read_raw",
    "read_smv",
    "read_source_file",
    "show_versions",
    "simulate",
    "write_dump",
    "write_hkl",
    "write_matrix",
    "write_pgm",
    "write_png",
    "write_raw",
    "write_smv",
    "write_source_file",
]

_LAZY_MODULES = {
    "build_info": ".versions",
    "show_versions": ".versions",
    "get_include": ".c_engine.library",
    "get_library": ".c_engine.library",
}


def __getattr__(name: str) -> Any:
    """Imports the home of a public name when it is first asked for."""
    if name in __all__:
        module = importlib.import_module(_LAZY_MODULES.get(name, ".io"), __name__)
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
