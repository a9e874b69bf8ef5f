"""Configuration fields to C struct members, and C errors back to configuration fields.

`LINKS` says once which field goes where and how it is converted (model 2).  A test compares the
table with the configuration classes and with the C header, so that a forgotten option is noticed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, assert_never

from nanobragg_hybrid import _core
from nanobragg_hybrid.base import units
from nanobragg_hybrid.base.arrays import as_buffer
from nanobragg_hybrid.base.errors import (
    BackendError,
    ConfigError,
    NanobraggError,
    RenderCancelled,
    ResourceError,
    UnsupportedError,
)
from nanobragg_hybrid.base.host import available_memory_bytes
from nanobragg_hybrid.engines.c.numbers import (
    CONVENTION_NUMBERS,
    CULLING_NUMBERS,
    KERNEL_NUMBERS,
    PIVOT_NUMBERS,
    SHAPE_NUMBERS,
)
from nanobragg_hybrid.model.beam import Source
from nanobragg_hybrid.model.conventions import Culling, DivergenceShape, Kernel
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.mask import Mask
from nanobragg_hybrid.model.pixel_size import PixelSize, edges_mm
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.rotations import Rotations
from nanobragg_hybrid.model.spectrum import Spectrum

if TYPE_CHECKING:
    from nanobragg_hybrid.base.arrays import Buffer

NOT_GIVEN: Final = -1
"""What the C structs hold for "not given" where the default counts as given (model 5.1)."""


class Link(NamedTuple):
    """One way from the configuration to the C structs.

    `config` and `member` are dotted paths.  `convert` turns the field's value (never None) into the
    member's.  `if_none` is the member's value for None; without it the C default stays.
    """

    config: str
    member: str
    convert: Callable[[Any], Any]
    if_none: Any = None


def _same(value: Any) -> Any:
    return value


def _each(convert: Callable[[float], float]) -> Callable[[Sequence[float | None]], list[float]]:
    """Converts every item; None becomes "not given"."""

    def convert_items(items: Sequence[float | None]) -> list[float]:
        return [_core.UNSET if item is None else convert(item) for item in items]

    return convert_items


def _bound(index: int) -> Callable[[Sequence[int | None]], int]:
    """One of the four bounds of a region of interest."""

    def pick(roi: Sequence[int | None]) -> int:
        bound = roi[index]
        return _core.UNSET_INT if bound is None else bound

    return pick


def _edge_fast(size: PixelSize) -> float:
    return units.mm_to_m(edges_mm(size)[0])


def _edge_slow(size: PixelSize) -> float:
    """Not given where it is that along fast."""
    return units.mm_to_m(size[1]) if isinstance(size, tuple) else _core.UNSET


def _source_rows(sources: Sequence[Source]) -> Buffer:
    """Rows of x, y, z, weight, wavelength in metres, float64; None becomes "not given"."""
    from array import array

    values = array("d")
    for source in sources:
        row = (*source.position, source.weight, source.wavelength_m)
        values.extend(_core.UNSET if value is None else value for value in row)
    return as_buffer(memoryview(values).cast("B").cast("d", (len(sources), 5)))


def _spectrum_rows(spectrum: Spectrum) -> Buffer:
    """Rows of wavelength in metres and weight, float64."""
    from array import array

    values = array("d")
    for row in zip(spectrum.wavelengths_m, spectrum.node_weights, strict=True):
        values.extend(row)
    return as_buffer(memoryview(values).cast("B").cast("d", (spectrum.nodes, 2)))


def _rotation_rows(rotations: Rotations) -> Buffer:
    """Rows of the nine elements of a matrix and its weight, float64."""
    import numpy as np

    matrices = rotations.matrices.reshape(-1, 9)
    return as_buffer(np.concatenate([matrices, rotations.weights[:, None]], axis=1))


def mask_bytes(mask: Mask) -> Buffer:
    """A byte for each value, 0 for False."""
    return as_buffer(mask.values.data.cast("B"))


def _divergence_square(shape: DivergenceShape) -> int:
    match shape:
        case "round":
            return 0
        case "square":
            return 1
        case other:
            assert_never(other)


LINKS: Final[tuple[Link, ...]] = (
    Link("beam.wavelength_angstrom", "beam.wavelength_m", units.angstrom_to_m),
    Link("beam.direction", "beam.direction", _same),
    Link("beam.polarization_axis", "beam.polarization_axis", _same),
    Link("beam.polarization_kahn", "beam.polarization_kahn", _same),
    Link("beam.polarization_correction", "beam.polarization_off", lambda on: int(not on)),
    Link("beam.divergence_h_mrad", "beam.divergence_h_rad", units.mrad_to_rad),
    Link("beam.divergence_v_mrad", "beam.divergence_v_rad", units.mrad_to_rad),
    Link("beam.divergence_h_steps", "beam.divergence_h_steps", _same),
    Link("beam.divergence_v_steps", "beam.divergence_v_steps", _same),
    Link("beam.divergence_h_step_mrad", "beam.divergence_h_step_rad", units.mrad_to_rad),
    Link("beam.divergence_v_step_mrad", "beam.divergence_v_step_rad", units.mrad_to_rad),
    Link("beam.divergence_shape", "beam.divergence_square", _divergence_square),
    Link(
        "beam.dispersion_percent", "beam.dispersion_fraction", units.percent_to_fraction, NOT_GIVEN
    ),
    Link("beam.dispersion_steps", "beam.dispersion_steps", _same),
    Link("beam.sources", "beam.sources", _source_rows),
    Link("beam.fluence_photons_per_m2", "beam.fluence_photons_per_m2", _same),
    Link("beam.flux_photons_per_s", "beam.flux_photons_per_s", _same),
    Link("beam.exposure_s", "beam.exposure_s", _same),
    Link("beam.beam_size_mm", "beam.beam_size_m", units.mm_to_m),
    Link("beam.spectrum", "beam.spectrum", _spectrum_rows),
    Link("crystal.cell_angstrom", "crystal.cell_length_angstrom", _same),
    Link("crystal.cell_deg", "crystal.cell_angle_rad", _each(units.deg_to_rad)),
    Link("crystal.orientation_matrix", "crystal.orientation_matrix", _same),
    Link("crystal.misset_deg", "crystal.misset_rad", _each(units.deg_to_rad)),
    Link("crystal.misset_random", "crystal.misset_random", int),
    Link("crystal.misset_seed", "crystal.misset_seed", _same),
    Link("crystal.n_cells", "crystal.n_cells", _same),
    Link("crystal.size_mm", "crystal.size_m", _each(units.mm_to_m)),
    Link("crystal.shape", "crystal.shape", SHAPE_NUMBERS.__getitem__),
    Link("crystal.shape_fudge", "crystal.shape_fudge", _same),
    Link("crystal.mosaic_spread_deg", "crystal.mosaic_spread_rad", units.deg_to_rad),
    Link("crystal.mosaic_domains", "crystal.mosaic_domains", _same),
    Link("crystal.mosaic_seed", "crystal.mosaic_seed", _same),
    Link("crystal.water_um", "crystal.water_size_m", units.water_um_to_m),
    Link("crystal.mosaic_rotations", "crystal.mosaic_rotations", _rotation_rows),
    Link("goniometer.spindle_axis", "goniometer.spindle_axis", _same),
    Link("goniometer.phi_deg", "goniometer.phi_rad", units.deg_to_rad),
    Link("goniometer.osc_deg", "goniometer.osc_rad", units.deg_to_rad),
    Link("goniometer.phi_steps", "goniometer.phi_steps", _same),
    Link("goniometer.phi_step_deg", "goniometer.phi_step_rad", units.deg_to_rad),
    Link("detector.convention", "detector.convention", CONVENTION_NUMBERS.__getitem__),
    Link("detector.pivot", "detector.pivot", PIVOT_NUMBERS.__getitem__),
    Link("detector.fast_axis", "detector.fast_axis", _same),
    Link("detector.slow_axis", "detector.slow_axis", _same),
    Link("detector.normal_axis", "detector.normal_axis", _same),
    Link("detector.twotheta_axis", "detector.twotheta_axis", _same),
    Link("detector.pix0_m", "detector.pix0_m", _same),
    Link("detector.distance_mm", "detector.distance_m", units.mm_to_m),
    Link("detector.close_distance_mm", "detector.close_distance_m", units.mm_to_m),
    Link("detector.pixel_size_mm", "detector.pixel_size_m", _edge_fast),
    Link("detector.pixel_size_mm", "detector.pixel_size_slow_m", _edge_slow),
    Link("detector.n_fast", "detector.n_fast", _same),
    Link("detector.n_slow", "detector.n_slow", _same),
    Link("detector.size_fast_mm", "detector.size_fast_m", units.mm_to_m),
    Link("detector.size_slow_mm", "detector.size_slow_m", units.mm_to_m),
    Link("detector.beam_x_mm", "detector.beam_x_m", units.mm_to_m),
    Link("detector.beam_y_mm", "detector.beam_y_m", units.mm_to_m),
    Link("detector.close_x_mm", "detector.close_x_m", units.mm_to_m),
    Link("detector.close_y_mm", "detector.close_y_m", units.mm_to_m),
    Link("detector.org_x_px", "detector.org_x_px", _same),
    Link("detector.org_y_px", "detector.org_y_px", _same),
    Link("detector.rotation_deg", "detector.rotation_rad", _each(units.deg_to_rad)),
    Link("detector.twotheta_deg", "detector.twotheta_rad", units.deg_to_rad),
    Link("detector.curved", "detector.curved", int),
    Link("detector.point_pixel", "detector.point_pixel", int),
    Link("detector.sensor_thickness_um", "detector.sensor_thickness_m", units.um_to_m, NOT_GIVEN),
    Link(
        "detector.sensor_attenuation_depth_um",
        "detector.sensor_attenuation_per_m",
        units.attenuation_depth_um_to_per_m,
    ),
    Link("detector.sensor_layers", "detector.sensor_layers", _same),
    Link("detector.mask", "detector.mask", mask_bytes),
    Link("sampling.oversample", "sampling.oversample", _same),
    Link("sampling.oversample_thick", "sampling.oversample_thick", int),
    Link("sampling.oversample_polar", "sampling.oversample_polar", int),
    Link("sampling.oversample_omega", "sampling.oversample_omega", int),
    Link("sampling.interpolate", "sampling.interpolate", int),
    Link("sampling.roi", "sampling.roi_fast_min", _bound(0)),
    Link("sampling.roi", "sampling.roi_fast_max", _bound(1)),
    Link("sampling.roi", "sampling.roi_slow_min", _bound(2)),
    Link("sampling.roi", "sampling.roi_slow_max", _bound(3)),
    Link("sampling.dmin_angstrom", "sampling.dmin_m", units.dmin_angstrom_to_m),
)

OF_SEVERAL_PANELS: Final = ("detector.panels",)
"""Fields that the structs do not have: `Experiment.of_panel` turns them into those above."""

ARRAYS: Final = {
    "beam.sources": "set_sources",
    "beam.spectrum": "set_spectrum",
    "crystal.mosaic_rotations": "set_mosaic_rotations",
    "detector.mask": "set_mask",
}
"""Members that are pointers, and the methods of `_core.Experiment` that set them."""

COUNTS: Final = {
    "beam.source_count": "beam.sources",
    "beam.spectrum_count": "beam.spectrum",
    "crystal.mosaic_rotation_count": "crystal.mosaic_rotations",
    "detector.mask_count": "detector.mask",
}
"""Members that count the elements of an array member."""


_PARTED_LINKS: Final = tuple(
    (link, link.config.split("."), link.member.split(".")) for link in LINKS
)
"""With the paths in parts: splitting them takes longer than setting the members."""


def to_core(
    experiment: Experiment,
    quirks: Quirks,
    kernel: Kernel = "auto",
    culling: Culling = "auto",
    tolerance_photons: float = 0.0,
) -> _core.Experiment:
    """The C structs, in SI units, of a configuration; the plan may have the memory there is.

    Raises `ConfigError` for a detector of several panels.
    """
    experiment = experiment.of_only_panel(quirks)
    core = _core.Experiment()
    core.memory_limit_bytes = available_memory_bytes()[0] or 0
    core.quirks = quirks.bits
    core.kernel = KERNEL_NUMBERS[kernel]
    core.culling = CULLING_NUMBERS[culling]
    core.tolerance_photons = tolerance_photons
    for link, (part, name), (member_part, member) in _PARTED_LINKS:
        value = getattr(getattr(experiment, part), name)
        value = link.if_none if value is None else link.convert(value)
        if value is None:
            continue
        if link.member in ARRAYS:
            getattr(core, ARRAYS[link.member])(value)
        else:
            setattr(getattr(core, member_part), member, value)
    return core


def config_value(experiment: Experiment, path: str) -> Any:
    """The value of a configuration field by its dotted path."""
    part, name = path.split(".")
    return getattr(getattr(experiment, part), name)


_SHOWN_CHARACTERS: Final = 30
"""An error message cuts the middle out of a longer value."""


class _Quoted:
    """Words of a C message that an error shows as they are."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


@contextmanager
def translated_errors(experiment: Experiment | None = None) -> Iterator[None]:
    """Turns `_core.Error` into the exception of `to_exception`, and MemoryError into ours."""
    try:
        yield
    except _core.Error as error:
        raise to_exception(error, experiment) from None
    except MemoryError as error:
        raise ResourceError(str(error)) from error


def to_exception(error: _core.Error, experiment: Experiment | None = None) -> NanobraggError:
    """The exception of this package for a failed C call.

    With `experiment`, a field that the C library blames is named, and its value shown, as the user
    wrote them; the rule is the C library's.
    """
    status = _core.status_name(error.status)
    text = f"{error.field}: {error.message}" if error.field else error.message
    if status == "NBH_CANCELLED":
        return RenderCancelled(text)
    if status == "NBH_OUT_OF_MEMORY":
        return ResourceError(text)
    if status == "NBH_NOT_IMPLEMENTED":
        return UnsupportedError(text)
    if status in ("NBH_INVALID", "NBH_TOO_LARGE"):
        return _config_error(error, experiment)
    return BackendError(f"{status}: {text}")


def _config_error(error: _core.Error, experiment: Experiment | None) -> ConfigError:
    match = re.fullmatch(r"got (.*?), need (.*)", error.message)
    if match:
        got, rule = match.groups()
        if len(got) > _SHOWN_CHARACTERS:
            got, rule = "a combination of values", f"{rule} ({got})"
    elif _core.status_name(error.status) == "NBH_TOO_LARGE":
        got, rule = "too much", f"less: {error.message}"
    else:
        got, rule = "this", f"something else: {error.message}"
    member = COUNTS.get(error.field, error.field)
    for link in LINKS:
        if experiment is not None and link.member == member:
            value = config_value(experiment, link.config)
            return ConfigError(link.config, value, rule, _unit(experiment, link.config))
    return ConfigError(error.field or "experiment", _Quoted(got), rule)


def _unit(experiment: Experiment, path: str) -> str:
    part, name = path.split(".")
    fields = {field.name: field for field in dataclasses.fields(getattr(experiment, part))}
    unit: str = fields[name].metadata["unit"]
    return unit
