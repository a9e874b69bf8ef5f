"""`Experiment` -> nanoBragg's words, the inverse of `parse`.

Only what differs from the defaults is written, in an order that no word can spoil: flags that set
more than their name says (-misset_seed, -twotheta_axis, everything that implies a pivot) come
before the flags that set those things in their own right.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.formats.matrix import write_matrix
from nanobragg_hybrid.formats.smv import write_mask
from nanobragg_hybrid.formats.source_file import write_source_file
from nanobragg_hybrid.model.beam import Beam
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.goniometer import Goniometer
from nanobragg_hybrid.model.sampling import Sampling

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nanobragg_hybrid.model.output import Output

MATRIX_NAME = "orientation.mat"
SOURCE_NAME = "sources.txt"
MASK_NAME = "mask.img"

_PIVOT_OF_CONVENTION = {
    "mosflm": "beam",
    "adxv": "beam",
    "denzo": "beam",
    "xds": "sample",
    "dials": "sample",
    "custom": "beam",
}
_SHAPE_FLAGS = {
    "square": "-square_xtal",
    "round": "-round_xtal",
    "gauss": "-gauss_xtal",
    "tophat": "-tophat_spots",
    "gauss_hkl": "-gauss_hkl_xtal",
    "tophat_hkl": "-tophat_hkl_spots",
}


def emit_args(experiment: Experiment, folder: str | os.PathLike[str] | None = None) -> list[str]:
    """The words of a nanoBragg command that gives `experiment`, without structure factors.

    Numbers are written so that reading them gives the same doubles.  An orientation matrix, a
    source list or a mask becomes a file in `folder`, which must exist.  `parse_command` of the
    words, with every quirk on, gives an experiment that renders the same image, and that is equal
    to `experiment` but for spellings of the same thing (a pivot left to the convention, the
    convention "custom" that a vector selects, values that nanoBragg clamps).

    Raises `ConfigError` naming the field if a file is needed and `folder` is None, or if the words
    have no way to say a value (a fractional number of cells).
    """
    place = None if folder is None else Path(folder)
    words = [
        *_mask(experiment.detector, place),
        *_beam(experiment.beam),
        *_sources(experiment.beam, place),
        *_crystal(experiment.crystal),
        *_matrix(experiment.crystal, place),
        *_goniometer(experiment.goniometer),
        *_detector(experiment),
        *_sampling(experiment.sampling),
        *_output(experiment.output),
    ]
    if words and words[-1] == "-curved_det":
        words += ["-adc", repr(experiment.output.adc_offset)]  # it needs a word after it
    return words


def _mask(detector: Detector, folder: Path | None) -> list[str]:
    if detector.mask is None:
        return []
    path = _file(folder, MASK_NAME, "detector.mask")
    write_mask(path, detector.mask.values)
    return ["-mask", str(path)]


def _beam(beam: Beam) -> list[str]:
    start = Beam()
    kahn = _changed(beam, start, "polarization_kahn")
    return [
        *_option("-lambda", _changed(beam, start, "wavelength_angstrom")),
        *_option("-polar", kahn),
        *([] if beam.polarization_correction else ["-nopolar"]),
        *_option("-hdivrange", beam.divergence_h_mrad),
        *_option("-vdivrange", beam.divergence_v_mrad),
        *_option("-hdivsteps", beam.divergence_h_steps),
        *_option("-vdivsteps", beam.divergence_v_steps),
        *_option("-hdivstep", beam.divergence_h_step_mrad),
        *_option("-vdivstep", beam.divergence_v_step_mrad),
        *(["-square_div"] if beam.divergence_shape == "square" else []),
        *_option("-dispersion", _changed(beam, start, "dispersion_percent", none=-1.0)),
        *_option("-dispsteps", beam.dispersion_steps),
        *_option("-fluence", _changed(beam, start, "fluence_photons_per_m2")),
        *_option("-flux", _changed(beam, start, "flux_photons_per_s")),
        *_option("-exposure", _changed(beam, start, "exposure_s")),
        *_option("-beamsize", _changed(beam, start, "beam_size_mm")),
    ]


def _sources(beam: Beam, folder: Path | None) -> list[str]:
    if beam.sources is None:
        return []
    path = _file(folder, SOURCE_NAME, "beam.sources")
    write_source_file(path, beam.sources)
    return ["-sourcefile", str(path)]


def _crystal(crystal: Crystal) -> list[str]:
    start = Crystal()
    words: list[str] = []
    if crystal.cell_angstrom is not None:
        words += _option("-cell", *crystal.cell_angstrom, *crystal.cell_deg)
    for name, cells in zip("abc", crystal.n_cells, strict=True):
        if cells != int(cells):
            raise ConfigError("crystal.n_cells", cells, "whole numbers, to be written as -N")
        if cells != 1.0:
            words += [f"-N{name}", str(int(cells))]
    for name, size in zip("xyz", crystal.size_mm, strict=True):
        words += _option(f"-xtal_{name}", size)
    if crystal.misset_seed is not None:
        # -misset_seed also takes the next three words as angles, so angles must follow it.
        words += ["-misset_seed", str(crystal.misset_seed)]
    if crystal.misset_random:
        words += ["-misset", "random"]
    elif crystal.misset_seed is not None or any(crystal.misset_deg):
        words += _option("-misset", *crystal.misset_deg)
    if crystal.shape != start.shape:
        words.append(_SHAPE_FLAGS[crystal.shape])
    words += _option("-fudge", _changed(crystal, start, "shape_fudge"))
    words += _option("-mosaic", crystal.mosaic_spread_deg)
    words += _option("-mosaic_domains", crystal.mosaic_domains)
    words += _option("-mosaic_seed", _changed(crystal, start, "mosaic_seed"))
    return words + _option("-water", _changed(crystal, start, "water_um"))


def _matrix(crystal: Crystal, folder: Path | None) -> list[str]:
    if crystal.orientation_matrix is None:
        return []
    path = _file(folder, MATRIX_NAME, "crystal.orientation_matrix")
    write_matrix(path, crystal.orientation_matrix)
    return ["-mat", str(path)]


def _goniometer(goniometer: Goniometer) -> list[str]:
    return [
        *_option("-phi", _changed(goniometer, Goniometer(), "phi_deg")),
        *_option("-osc", goniometer.osc_deg),
        *_option("-phisteps", goniometer.phi_steps),
        *_option("-phistep", goniometer.phi_step_deg),
    ]


def _detector(experiment: Experiment) -> list[str]:
    detector, start = experiment.detector, Detector()
    words = [
        *_option("-pixel", _changed(detector, start, "pixel_size_mm")),
        *_option("-detpixels_f", detector.n_fast),
        *_option("-detpixels_s", detector.n_slow),
        *_option("-detsize_f", _changed(detector, start, "size_fast_mm")),
        *_option("-detsize_s", _changed(detector, start, "size_slow_mm")),
        *_sensor(detector),
        *(["-point_pixel"] if detector.point_pixel else []),
        *(["-curved_det"] if detector.curved else []),
    ]
    turns = [
        *_option("-distance", _changed(detector, start, "distance_mm")),
        *_option("-close_distance", detector.close_distance_mm),
        *_option("-Xbeam", detector.beam_x_mm),
        *_option("-Ybeam", detector.beam_y_mm),
        *_option("-Xclose", detector.close_x_mm),
        *_option("-Yclose", detector.close_y_mm),
        *_option("-ORGX", detector.org_x_px),
        *_option("-ORGY", detector.org_y_px),
    ]
    for axis, angle in zip("xyz", detector.rotation_deg, strict=True):
        words += _option(f"-detector_rot{axis}", angle if angle else None)
    convention = _convention(experiment)
    angle = _changed(detector, start, "twotheta_deg")
    if detector.twotheta_axis is not None and angle is None:
        angle = 0.0  # -twotheta_axis X Y Z has set it to X
    turns += convention + _option("-twotheta", angle)
    if detector.pivot is not None or turns:
        pivot = detector.pivot or _PIVOT_OF_CONVENTION[_effective_convention(experiment)]
        turns += ["-pivot", pivot]
    return words + turns


def _vectors(experiment: Experiment) -> list[tuple[str, tuple[float, float, float] | None]]:
    detector = experiment.detector
    return [
        ("-fdet_vector", detector.fast_axis),
        ("-sdet_vector", detector.slow_axis),
        ("-odet_vector", detector.normal_axis),
        ("-twotheta_axis", detector.twotheta_axis),
        ("-pix0_vector", detector.pix0_m),
        ("-beam_vector", experiment.beam.direction),
        ("-polar_vector", experiment.beam.polarization_axis),
        ("-spindle_axis", experiment.goniometer.spindle_axis),
    ]


def _effective_convention(experiment: Experiment) -> str:
    given = any(vector is not None for _, vector in _vectors(experiment))
    return "custom" if given else experiment.detector.convention


def _convention(experiment: Experiment) -> list[str]:
    """The convention flag and then the vectors, which make it CUSTOM."""
    convention = experiment.detector.convention
    words = [] if convention in ("mosflm", "custom") else [f"-{convention}"]
    for flag, vector in _vectors(experiment):
        if vector is not None:
            words += _option(flag, *vector)
    if convention == "custom" and not words:
        words += _option("-fdet_vector", 0.0, 0.0, 1.0)  # CUSTOM's own start value
    return words


def _sensor(detector: Detector) -> list[str]:
    depth = detector.sensor_attenuation_depth_um
    words = [] if depth is None else ["-detector_abs", "inf" if math.isinf(depth) else repr(depth)]
    words += _option("-detector_thick", _changed(detector, Detector(), "sensor_thickness_um", -1.0))
    return words + _option("-detector_thicksteps", detector.sensor_layers)


def _sampling(sampling: Sampling) -> list[str]:
    words = [
        *_option("-oversample", sampling.oversample),
        *(["-oversample_thick"] if sampling.oversample_thick else []),
        *(["-oversample_polar"] if sampling.oversample_polar else []),
        *(["-oversample_omega"] if sampling.oversample_omega else []),
    ]
    if sampling.interpolate is not None:
        words.append("-interpolate" if sampling.interpolate else "-nointerpolate")
    if sampling.roi is not None:
        fast_min, fast_max, slow_min, slow_max = sampling.roi
        words += _option(
            "-roi",
            fast_min or 0,
            -1 if fast_max is None else fast_max,
            slow_min or 0,
            -1 if slow_max is None else slow_max,
        )
    return words + _option("-dmin", _changed(sampling, Sampling(), "dmin_angstrom"))


def _output(output: Output) -> list[str]:
    return [
        *_option("-adc", None if output.adc_offset == 40.0 else output.adc_offset),
        *_option("-scale", output.intensity_scale),
        *_option("-pgmscale", output.pgm_scale),
        *_option("-seed", output.noise_seed),
    ]


def _changed(config: Any, start: Any, name: str, none: float | None = None) -> Any:
    """The field's value if it differs from the default, else None; `none` stands for a None that
    differs from it."""
    value = getattr(config, name)
    if value == getattr(start, name):
        return None
    return none if value is None else value


def _option(flag: str, *values: float | int | None) -> list[str]:
    """The flag and its values, or nothing if any of them is None."""
    if any(value is None for value in values):
        return []
    return [flag, *_texts(values)]


def _texts(values: Iterable[float | int | None]) -> list[str]:
    return [repr(value) for value in values]


def _file(folder: Path | None, name: str, field: str) -> Path:
    if folder is None:
        raise ConfigError(field, "no folder", "a folder to write it to as a file")
    return folder / name
