"""Diffraction images of crystals: nanoBragg's pictures, bit for bit, from Python.

>>> import nanobragg_hybrid as nb
>>> experiment = nb.Experiment(crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)))
>>> result = nb.simulate(experiment, nb.StructureFactors.constant(100.0))  # doctest: +SKIP

Importing this package imports nothing else, not even numpy: every name below is imported from its
module when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import lazy_names
from ._version import __version__

if TYPE_CHECKING:
    from .backends import available_backends
    from .c_engine.libnbh import get_include, get_library
    from .config import (
        Beam,
        Crystal,
        Detector,
        Experiment,
        Goniometer,
        Mask,
        Output,
        Sampling,
        SavedRun,
        Source,
        load_run,
    )
    from .errors import (
        BackendError,
        CommandLineError,
        ConfigError,
        ExecutableError,
        FileAccessError,
        FileFormatError,
        NanobraggError,
        NanobraggWarning,
        RenderCancelled,
        ResourceError,
        UnsupportedError,
    )
    from .images import integer_image, noise_image, pgm_image
    from .io import (
        read_dump,
        read_hkl,
        read_matrix,
        read_pgm,
        read_raw,
        read_smv,
        read_source_file,
        read_trace,
        write_dump,
        write_hkl,
        write_matrix,
        write_pgm,
        write_png,
        write_raw,
        write_smv,
        write_source_file,
        write_trace,
    )
    from .quirks import LEDGER, Quirk, Quirks
    from .result import Geometry, SimulationResult, Statistics
    from .simulation import simulate
    from .structure_factors import StructureFactors
    from .trace_record import StepTrace, Trace
    from .tracing import Tracer, trace, trace_phi, tracer
    from .versions import build_info, show_versions

__all__ = [
    "LEDGER",
    "BackendError",
    "Beam",
    "CommandLineError",
    "ConfigError",
    "Crystal",
    "Detector",
    "ExecutableError",
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
    "SavedRun",
    "SimulationResult",
    "Source",
    "Statistics",
    "StepTrace",
    "StructureFactors",
    "Trace",
    "Tracer",
    "UnsupportedError",
    "__version__",
    "available_backends",
    "build_info",
    "get_include",
    "get_library",
    "integer_image",
    "load_run",
    "noise_image",
    "pgm_image",
    "read_dump",
    "read_hkl",
    "read_matrix",
    "read_pgm",
    "read_raw",
    "read_smv",
    "read_source_file",
    "read_trace",
    "show_versions",
    "simulate",
    "trace",
    "trace_phi",
    "tracer",
    "write_dump",
    "write_hkl",
    "write_matrix",
    "write_pgm",
    "write_png",
    "write_raw",
    "write_smv",
    "write_source_file",
    "write_trace",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        ".backends": "available_backends",
        ".c_engine.libnbh": "get_include get_library",
        ".config": (
            "Beam Crystal Detector Experiment Goniometer Mask Output Sampling SavedRun Source "
            "load_run"
        ),
        ".errors": (
            "BackendError CommandLineError ConfigError ExecutableError FileAccessError "
            "FileFormatError NanobraggError NanobraggWarning RenderCancelled ResourceError "
            "UnsupportedError"
        ),
        ".images": "integer_image noise_image pgm_image",
        ".io": (
            "read_dump read_hkl read_matrix read_pgm read_raw read_smv read_source_file read_trace "
            "write_dump write_hkl write_matrix write_pgm write_png write_raw write_smv "
            "write_source_file write_trace"
        ),
        ".quirks": "LEDGER Quirk Quirks",
        ".result": "Geometry SimulationResult Statistics",
        ".simulation": "simulate",
        ".structure_factors": "StructureFactors",
        ".trace_record": "StepTrace Trace",
        ".tracing": "Tracer trace trace_phi tracer",
        ".torch_engine": "ForwardModel",
        ".versions": "build_info show_versions",
    },
)
