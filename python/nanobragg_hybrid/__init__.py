"""Diffraction images of crystals: nanoBragg's pictures, bit for bit, from Python.

>>> import nanobragg_hybrid as nb
>>> experiment = nb.Experiment(crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)))
>>> result = nb.simulate(experiment, nb.StructureFactors.constant(100.0))
>>> result.image.shape
(1024, 1024)

Importing this package imports nothing else, not even numpy: every name below is imported from its
module when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.lazy import bind_methods, lazy_names

if TYPE_CHECKING:
    from nanobragg_hybrid.base.errors import (
        BackendError,
        CommandLineError,
        ConfigError,
        ExecutableError,
        FileAccessError,
        FileFormatError,
        ImageWarning,
        NanobraggError,
        NanobraggWarning,
        RenderCancelled,
        ResourceError,
        SeriesError,
        SetupWarning,
        UnsupportedError,
    )
    from nanobragg_hybrid.engines.c.engine import CEngine
    from nanobragg_hybrid.engines.c.libnbh import (
        get_cmake_dir,
        get_include,
        get_library,
        get_pkgconfig_dir,
    )
    from nanobragg_hybrid.engines.external.engine import ExternalEngine
    from nanobragg_hybrid.engines.registry import available_backends
    from nanobragg_hybrid.engines.torch import ForwardModel as ForwardModel
    from nanobragg_hybrid.engines.torch import PanelModel as PanelModel
    from nanobragg_hybrid.engines.torch import TorchEngine as TorchEngine
    from nanobragg_hybrid.fitting.fit import fit
    from nanobragg_hybrid.fitting.minimise import Iteration
    from nanobragg_hybrid.fitting.result import Evaluations, FitResult, FittedImage, FittedNumber
    from nanobragg_hybrid.formats.animation import write_animation
    from nanobragg_hybrid.formats.any_structure_factors import (
        read_structure_factors,
        structure_factors_from_model,
    )
    from nanobragg_hybrid.formats.demo_data import data_path
    from nanobragg_hybrid.formats.dump import read_dump, write_dump
    from nanobragg_hybrid.formats.experiment_json import SavedRun, load_run
    from nanobragg_hybrid.formats.geometry.experiment_files import (
        StreamImage,
        read_experiment,
        read_experiments,
        read_stream,
    )
    from nanobragg_hybrid.formats.hkl import read_hkl, write_hkl
    from nanobragg_hybrid.formats.matrix import read_matrix, write_matrix
    from nanobragg_hybrid.formats.measured.image import MeasuredImage, read_image
    from nanobragg_hybrid.formats.measured.spot_lists import read_spots
    from nanobragg_hybrid.formats.mtz import write_mtz
    from nanobragg_hybrid.formats.pgm import read_pgm, write_pgm
    from nanobragg_hybrid.formats.png import write_png
    from nanobragg_hybrid.formats.raw import read_raw, write_raw
    from nanobragg_hybrid.formats.rotation_file import read_rotations, write_rotations
    from nanobragg_hybrid.formats.scattering_table import (
        read_scattering_table,
        write_scattering_table,
    )
    from nanobragg_hybrid.formats.smv import read_smv, write_smv
    from nanobragg_hybrid.formats.source_file import read_source_file, write_source_file
    from nanobragg_hybrid.formats.spectrum_file import read_spectrum, write_spectrum
    from nanobragg_hybrid.formats.trace_text import read_trace, write_trace
    from nanobragg_hybrid.formats.truth_hdf5 import TruthWriter, read_truth
    from nanobragg_hybrid.model.background import (
        Background,
        BackgroundOffset,
        RadialBackground,
        Scatterer,
    )
    from nanobragg_hybrid.model.beam import Beam, Source
    from nanobragg_hybrid.model.crystal import Crystal
    from nanobragg_hybrid.model.detector import Detector
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.geometry import Geometry
    from nanobragg_hybrid.model.goniometer import Goniometer
    from nanobragg_hybrid.model.mask import Mask
    from nanobragg_hybrid.model.materials import (
        air_scatterer,
        ice_scatterer,
        polyimide_scatterer,
        water_scatterer,
    )
    from nanobragg_hybrid.model.output import Output
    from nanobragg_hybrid.model.panel import Panel
    from nanobragg_hybrid.model.presets import (
        ccd_response,
        cspad_response,
        eiger_response,
        jungfrau_response,
        pilatus_response,
    )
    from nanobragg_hybrid.model.quirks import LEDGER, Quirk, Quirks
    from nanobragg_hybrid.model.reflection_report import ReflectionReport, ResolutionShell
    from nanobragg_hybrid.model.reflection_truth import ReflectionTruth
    from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
    from nanobragg_hybrid.model.response import PointSpread, Response
    from nanobragg_hybrid.model.result import SimulationResult
    from nanobragg_hybrid.model.rotations import Rotations
    from nanobragg_hybrid.model.sampling import Sampling
    from nanobragg_hybrid.model.series import Series, SeriesFrame
    from nanobragg_hybrid.model.series_kinds import (
        ParameterGrid,
        RandomStills,
        RotationWedge,
        SasePulses,
    )
    from nanobragg_hybrid.model.sketch import Sketch
    from nanobragg_hybrid.model.spectrum import Spectrum
    from nanobragg_hybrid.model.spots import Spots
    from nanobragg_hybrid.model.statistics import Statistics
    from nanobragg_hybrid.model.structure_factors import StructureFactors
    from nanobragg_hybrid.model.trace import StepTrace, Trace
    from nanobragg_hybrid.model.unique_reflections import UniqueReflections
    from nanobragg_hybrid.run.assembled import AssembledImage, assembled_image
    from nanobragg_hybrid.run.by_wavelength import SpectralImage, simulate_by_wavelength
    from nanobragg_hybrid.run.converge import Convergence, converge
    from nanobragg_hybrid.run.experiment_files import write_experiment
    from nanobragg_hybrid.run.frame_dataset import FrameDataset as FrameDataset
    from nanobragg_hybrid.run.image_files import write_image
    from nanobragg_hybrid.run.image_series import NXmxSeriesWriter
    from nanobragg_hybrid.run.measure import frame_counts
    from nanobragg_hybrid.run.pictures import (
        integer_image,
        integer_images,
        noise_image,
        noise_images,
        pgm_image,
        pgm_images,
    )
    from nanobragg_hybrid.run.prepare import Prepared, prepare
    from nanobragg_hybrid.run.series.series_result import SeriesResult
    from nanobragg_hybrid.run.series.simulate import simulate_series
    from nanobragg_hybrid.run.simulate import simulate
    from nanobragg_hybrid.run.trace import trace, trace_phi
    from nanobragg_hybrid.run.truth import predict_reflections
    from nanobragg_hybrid.run.truth_files import write_experiments, write_truth
    from nanobragg_hybrid.run.versions import build_info, show_versions

__all__ = [
    "LEDGER",
    "AssembledImage",
    "BackendError",
    "Background",
    "BackgroundOffset",
    "Beam",
    "CEngine",
    "CommandLineError",
    "ConfigError",
    "Convergence",
    "Crystal",
    "Detector",
    "Evaluations",
    "ExecutableError",
    "Experiment",
    "ExternalEngine",
    "FileAccessError",
    "FileFormatError",
    "FitResult",
    "FittedImage",
    "FittedNumber",
    "Geometry",
    "Goniometer",
    "ImageWarning",
    "Iteration",
    "Mask",
    "MeasuredImage",
    "NXmxSeriesWriter",
    "NanobraggError",
    "NanobraggWarning",
    "Output",
    "Panel",
    "ParameterGrid",
    "PointSpread",
    "Prepared",
    "Quirk",
    "Quirks",
    "RadialBackground",
    "RandomStills",
    "ReflectionReport",
    "ReflectionTruth",
    "RenderCancelled",
    "ResolutionShell",
    "ResolvedPlan",
    "ResourceError",
    "Response",
    "RotationWedge",
    "Rotations",
    "Sampling",
    "SasePulses",
    "SavedRun",
    "Scatterer",
    "Series",
    "SeriesError",
    "SeriesFrame",
    "SeriesResult",
    "SetupWarning",
    "SimulationResult",
    "Sketch",
    "Source",
    "SpectralImage",
    "Spectrum",
    "Spots",
    "Statistics",
    "StepTrace",
    "StreamImage",
    "StructureFactors",
    "Trace",
    "TruthWriter",
    "UniqueReflections",
    "UnsupportedError",
    "__version__",
    "air_scatterer",
    "assembled_image",
    "available_backends",
    "build_info",
    "ccd_response",
    "converge",
    "cspad_response",
    "data_path",
    "eiger_response",
    "fit",
    "frame_counts",
    "get_cmake_dir",
    "get_include",
    "get_library",
    "get_pkgconfig_dir",
    "ice_scatterer",
    "integer_image",
    "integer_images",
    "jungfrau_response",
    "load_run",
    "noise_image",
    "noise_images",
    "pgm_image",
    "pgm_images",
    "pilatus_response",
    "polyimide_scatterer",
    "predict_reflections",
    "prepare",
    "read_dump",
    "read_experiment",
    "read_experiments",
    "read_hkl",
    "read_image",
    "read_matrix",
    "read_pgm",
    "read_raw",
    "read_rotations",
    "read_scattering_table",
    "read_smv",
    "read_source_file",
    "read_spectrum",
    "read_spots",
    "read_stream",
    "read_structure_factors",
    "read_trace",
    "read_truth",
    "show_versions",
    "simulate",
    "simulate_by_wavelength",
    "simulate_series",
    "structure_factors_from_model",
    "trace",
    "trace_phi",
    "water_scatterer",
    "write_animation",
    "write_dump",
    "write_experiment",
    "write_experiments",
    "write_hkl",
    "write_image",
    "write_matrix",
    "write_mtz",
    "write_pgm",
    "write_png",
    "write_raw",
    "write_rotations",
    "write_scattering_table",
    "write_smv",
    "write_source_file",
    "write_spectrum",
    "write_trace",
    "write_truth",
]

_imported, __dir__ = lazy_names(
    __name__,
    {
        ".base.errors": (
            "BackendError CommandLineError ConfigError ExecutableError FileAccessError "
            "FileFormatError ImageWarning NanobraggError NanobraggWarning RenderCancelled "
            "ResourceError SeriesError SetupWarning UnsupportedError"
        ),
        ".model.background": "Background BackgroundOffset RadialBackground Scatterer",
        ".model.beam": "Beam Source",
        ".model.crystal": "Crystal",
        ".model.detector": "Detector",
        ".model.experiment": "Experiment",
        ".model.goniometer": "Goniometer",
        ".model.mask": "Mask",
        ".model.materials": ("air_scatterer ice_scatterer polyimide_scatterer water_scatterer"),
        ".model.output": "Output",
        ".model.presets": (
            "ccd_response cspad_response eiger_response jungfrau_response pilatus_response"
        ),
        ".model.panel": "Panel",
        ".model.quirks": "LEDGER Quirk Quirks",
        ".model.geometry": "Geometry",
        ".model.reflection_report": "ReflectionReport ResolutionShell",
        ".model.reflection_truth": "ReflectionTruth",
        ".model.resolved_plan": "ResolvedPlan",
        ".model.result": "SimulationResult",
        ".model.response": "PointSpread Response",
        ".model.rotations": "Rotations",
        ".model.sampling": "Sampling",
        ".model.series": "Series SeriesFrame",
        ".model.series_kinds": "ParameterGrid RandomStills RotationWedge SasePulses",
        ".model.sketch": "Sketch",
        ".model.spectrum": "Spectrum",
        ".model.spots": "Spots",
        ".model.statistics": "Statistics",
        ".model.structure_factors": "StructureFactors",
        ".model.trace": "StepTrace Trace",
        ".model.unique_reflections": "UniqueReflections",
        ".formats.animation": "write_animation",
        ".formats.any_structure_factors": "read_structure_factors structure_factors_from_model",
        ".formats.demo_data": "data_path",
        ".formats.dump": "read_dump write_dump",
        ".formats.experiment_json": "SavedRun load_run",
        ".formats.geometry.experiment_files": (
            "StreamImage read_experiment read_experiments read_stream"
        ),
        ".formats.hkl": "read_hkl write_hkl",
        ".formats.matrix": "read_matrix write_matrix",
        ".formats.measured.image": "MeasuredImage read_image",
        ".formats.measured.spot_lists": "read_spots",
        ".formats.mtz": "write_mtz",
        ".formats.pgm": "read_pgm write_pgm",
        ".formats.png": "write_png",
        ".formats.raw": "read_raw write_raw",
        ".formats.scattering_table": "read_scattering_table write_scattering_table",
        ".formats.rotation_file": "read_rotations write_rotations",
        ".formats.smv": "read_smv write_smv",
        ".formats.source_file": "read_source_file write_source_file",
        ".formats.spectrum_file": "read_spectrum write_spectrum",
        ".formats.trace_text": "read_trace write_trace",
        ".formats.truth_hdf5": "TruthWriter read_truth",
        ".engines.c.engine": "CEngine",
        ".engines.c.libnbh": "get_cmake_dir get_include get_library get_pkgconfig_dir",
        ".engines.registry": "available_backends",
        ".engines.external.engine": "ExternalEngine",
        ".engines.torch": "ForwardModel PanelModel TorchEngine",
        ".fitting.fit": "fit",
        ".fitting.minimise": "Iteration",
        ".run.measure": "frame_counts",
        ".fitting.result": "Evaluations FitResult FittedImage FittedNumber",
        ".run.assembled": "AssembledImage assembled_image",
        ".run.by_wavelength": "SpectralImage simulate_by_wavelength",
        ".run.converge": "Convergence converge",
        ".run.experiment_files": "write_experiment",
        ".run.frame_dataset": "FrameDataset",
        ".run.image_files": "write_image",
        ".run.image_series": "NXmxSeriesWriter",
        ".run.pictures": (
            "integer_image integer_images noise_image noise_images pgm_image pgm_images"
        ),
        ".run.prepare": "Prepared prepare",
        ".run.series.series_result": "SeriesResult",
        ".run.series.simulate": "simulate_series",
        ".run.simulate": "simulate",
        ".run.trace": "trace trace_phi",
        ".run.truth": "predict_reflections",
        ".run.truth_files": "write_experiments write_truth",
        ".run.versions": "build_info show_versions",
    },
)

if not TYPE_CHECKING:  # to which a misspelt name is an error
    __getattr__ = _imported

bind_methods(
    {
        "Experiment.resolved": f"{__name__}.run.resolve:resolved",
        "Experiment.sketch": f"{__name__}.run.sketch:sketch",
        "Experiment.to_dict": f"{__name__}.formats.experiment_json:experiment_to_dict",
        "Experiment.from_dict": f"{__name__}.formats.experiment_json:experiment_from_dict",
        "Experiment.to_json": f"{__name__}.formats.experiment_json:experiment_to_json",
        "Experiment.from_json": f"{__name__}.formats.experiment_json:experiment_from_json",
        "Experiment.save": f"{__name__}.formats.experiment_json:save",
        "Experiment.load": f"{__name__}.formats.experiment_json:load",
        "Experiment.from_nanobragg_args": f"{__name__}.arguments.parse:experiment_from_args",
        "Experiment.to_nanobragg_args": f"{__name__}.arguments.emit:emit_args",
        "Series.to_dict": f"{__name__}.formats.series_json:series_to_dict",
        "Series.from_dict": f"{__name__}.formats.series_json:series_from_dict",
        "Series.to_json": f"{__name__}.formats.series_json:series_to_json",
        "Series.from_json": f"{__name__}.formats.series_json:series_from_json",
        "Series.save": f"{__name__}.formats.series_json:save_series",
        "Series.load": f"{__name__}.formats.series_json:load_series",
        "SimulationResult.show": f"{__name__}.run.viewing:show",
        "SimulationResult._repr_png_": f"{__name__}.compare.pictures:png_of_result",
        "SimulationResult.save": f"{__name__}.run.image_files:save",
        "StructureFactors.from_reflections": (
            f"{__name__}.formats.reflection_table:expanded_reflections"
        ),
    }
)
