"""What can be differentiated: a table with one row for each parameter of a `ForwardModel`.

A row has everything about its parameter: name, unit, shape, whether the image is smooth in it, why
it is inactive in a set-up, and the value that it has where none is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nanobragg_hybrid.base.units import (
    angstrom_to_m,
    m_to_mm,
    per_m_to_attenuation_depth_um,
    rad_to_deg,
)
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar, as_float
from nanobragg_hybrid.engines.torch.arithmetic.shapes import (
    has_fudge_factor,
    is_in_reciprocal_lengths,
)
from nanobragg_hybrid.engines.torch.set_up.detector import ORIGIN, PIXEL_SIZE, DetectorGeometry
from nanobragg_hybrid.engines.torch.set_up.lattice import ROTATION_MATRIX, ROTATION_VECTOR
from nanobragg_hybrid.engines.torch.set_up.orientations import ROTATION_SCALE
from nanobragg_hybrid.engines.torch.set_up.placement import normal_is_recomputed
from nanobragg_hybrid.engines.torch.set_up.quantities import DEFAULT_F, GRID
from nanobragg_hybrid.engines.torch.set_up.setup import Setup, fluence_follows_flux
from nanobragg_hybrid.engines.torch.set_up.sources import (
    DISTANCE_M,
    POSITIONS,
    SPECTRUM_WEIGHTS,
    WAVELENGTHS,
    WEIGHTS,
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a model takes as a tensor.

    name: dotted name of a configuration field, or a name of its own.  unit: that of the
    configuration, empty for none.  shape: without the batch dimension.  smooth: whether the image
    has a derivative everywhere (apart from what no value escapes: indices that change their nearest
    reflection, and the edge of tophat spots).  note: what to know.
    """

    name: str
    unit: str
    shape: tuple[int, ...]
    smooth: bool = True
    note: str = ""

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def parameters_of(setup: Setup) -> tuple[Parameter, ...]:
    """The parameters that are active in a set-up: those whose value has an effect."""
    return tuple(
        Parameter(row.name, row.unit, _shape(row, setup), row.smooth, row.note)
        for row in _TABLE.values()
        if row.inactive_because(setup) is None
    )


def known_names() -> tuple[str, ...]:
    """The names of all parameters, active or not."""
    return tuple(_TABLE)


def inactive_because(name: str, setup: Setup) -> str | None:
    """Why a known parameter has no effect in a set-up, and what to use instead; None: unknown."""
    if name == "detector.pix0_m":
        return f"it is the corner of the detector as configured: use {ORIGIN}"
    return _TABLE[name].inactive_because(setup) if name in _TABLE else None


def initial_value(name: str, setup: Setup) -> Any:
    """What the set-up has for an active parameter: numbers (nested)."""
    row = _TABLE[name]
    return _configured(setup, name) if row.initial is None else row.initial(setup)


def counts_cell(setup: Setup) -> bool:
    """Whether the cell's lengths count, and not an orientation matrix alone."""
    return _no_cell(setup) is None


_Reason = Callable[[Setup], str | None]
"""Why a parameter is inactive in a set-up, and what to use instead; None where it is active."""

_GRID_SHAPE: Final = (-3,)
_SOURCES: Final = -1
_NODES: Final = -2
"""Shapes that depend on the set-up."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A parameter before the set-up is known.

    initial: the value where none is given; None: the configuration's own number.
    """

    name: str
    unit: str
    shape: tuple[int, ...] = ()
    smooth: bool = True
    note: str = ""
    inactive_because: _Reason = lambda _: None
    initial: Callable[[Setup], Any] | None = None


def _shape(row: _Row, setup: Setup) -> tuple[int, ...]:
    if row.name == PIXEL_SIZE:
        return (2,) if isinstance(setup.experiment.detector.pixel_size_mm, tuple) else ()
    if row.shape == _GRID_SHAPE:
        grid = setup.structure_factors.grid
        assert grid is not None
        return grid.shape
    beam = setup.experiment.beam
    sizes = {_SOURCES: len(beam.sources or ())}
    if beam.spectrum is not None:
        sizes[_NODES] = beam.spectrum.nodes
    return tuple(sizes.get(size, size) for size in row.shape)


def _configured(setup: Setup, name: str) -> Any:
    part, field = name.split(".")
    return getattr(getattr(setup.experiment, part), field)


# Reasons.


def _unless(is_active: Callable[[Setup], bool], why: str) -> _Reason:
    return lambda setup: None if is_active(setup) else why


def _not_given(name: str) -> _Reason:
    """For a parameter of which only the configuration's own number counts."""
    return _unless(
        lambda setup: _configured(setup, name) is not None,
        "the configuration does not give it: give it there",
    )


def _no_listed_sources(setup: Setup) -> str | None:
    return None if setup.experiment.beam.sources is not None else "no sources are listed"


def _no_wavelengths(setup: Setup) -> str | None:
    if setup.experiment.beam.spectrum is not None:
        return "the spectrum has the wavelengths"
    return _no_listed_sources(setup)


def _no_spectrum_weights(setup: Setup) -> str | None:
    spectrum = setup.experiment.beam.spectrum
    if spectrum is None:
        return "there is no spectrum"
    if spectrum.nodes == 1:
        return "the spectrum has only one wavelength: use beam.fluence_photons_per_m2"
    return None


def _spectrum_weights(setup: Setup) -> list[float]:
    spectrum = setup.experiment.beam.spectrum
    return [] if spectrum is None else list(spectrum.node_weights)


def _wavelength_without_effect(setup: Setup) -> str | None:
    crystal, sampling = setup.experiment.crystal, setup.experiment.sampling
    own = [source.wavelength_m is not None for source in setup.experiment.beam.sources or ()]
    has_cell = counts_cell(setup)
    if setup.experiment.beam.spectrum is not None:
        own = [True]
        if has_cell:
            return "the spectrum has the wavelengths"
    if own and all(own) and has_cell:
        return f"every source has its own: use {WAVELENGTHS}"
    is_scale_free = not is_in_reciprocal_lengths(crystal.shape) and sampling.dmin_angstrom == 0.0
    if not has_cell and not any(own) and is_scale_free:
        return "the orientation matrix is in proportion to it: use crystal.orientation_matrix"
    return None


def _no_polarization_axis(setup: Setup) -> str | None:
    sampling = setup.sampling
    spreads = max(sampling.divergence_h.count, sampling.divergence_v.count) > 1
    is_used = setup.choices.uses_polarization or (spreads and setup.experiment.beam.sources is None)
    missing = _not_given("beam.polarization_axis")(setup)
    return missing if is_used else "there is neither polarization correction nor divergence"


def _no_weights(setup: Setup) -> str | None:
    if setup.experiment.beam.sources is None:
        return _no_listed_sources(setup)
    if setup.quirks.source_weights_ignored:
        return "the quirk source_weights_ignored is on"
    if len(setup.experiment.beam.sources) == 1:
        return "there is only one source: use beam.fluence_photons_per_m2"
    return None


def _no_cell(setup: Setup) -> str | None:
    has_matrix = setup.experiment.crystal.orientation_matrix is not None
    if has_matrix and not setup.quirks.cell_beside_matrix:
        return "the matrix alone counts: use crystal.orientation_matrix"
    return _not_given("crystal.cell_angstrom")(setup)


def _no_cell_angles(setup: Setup) -> str | None:
    if setup.experiment.crystal.orientation_matrix is not None:
        return "the matrix has the angles: use crystal.orientation_matrix"
    return _not_given("crystal.cell_angstrom")(setup)


def _no_oscillation(setup: Setup) -> str | None:
    missing = _not_given("goniometer.osc_deg")(setup)
    if setup.sampling.phi.rule == "as given":
        return missing or "phi_step_deg says where the steps are"
    return missing


def _no_normal(setup: Setup) -> str | None:
    if normal_is_recomputed(setup.experiment):
        return "it is no unit vector, so fast x slow replaces it: use those axes"
    return _not_given("detector.normal_axis")(setup)


def _distance_without_effect(setup: Setup) -> str | None:
    if setup.experiment.detector.close_distance_mm is not None:
        return "the close distance decides: use detector.close_distance_mm"
    return _placed_by_its_corner(setup)


def _placed_by_its_corner(setup: Setup) -> str | None:
    if setup.geometry.placement.point == "corner":
        return f"pix0_m says where the detector is: use {ORIGIN}"
    return None


def _another_centre(name: str) -> _Reason:
    """For a number that may say where a point of the detector is."""

    def reason(setup: Setup) -> str | None:
        names = setup.geometry.placement.names
        if name in names:
            return None
        if not names:
            return _placed_by_its_corner(setup)
        instead = " and ".join(names)
        return f"with this convention, pivot and centre other numbers count: use {instead}"

    return reason


def _no_thickness(setup: Setup) -> str | None:
    if not setup.choices.has_sensor:
        return "there is no sensor"
    return None if setup.sampling.layers.range_given else "the configuration does not give it"


# Values that the configuration does not simply say.


def _or_derived(name: str, derived: Callable[[Setup], float]) -> Callable[[Setup], float]:
    """The configuration's own number, or what the set-up has where it is left open."""

    def initial(setup: Setup) -> float:
        configured: float | None = _configured(setup, name)
        return derived(setup) if configured is None else configured

    return initial


def _positions(setup: Setup) -> list[list[float]]:
    upstream = [DISTANCE_M * as_float(component) for component in setup.geometry.beam]
    return [
        [there if x is None else x for x, there in zip(source.position, upstream, strict=True)]
        for source in setup.experiment.beam.sources or ()
    ]


def _wavelengths(setup: Setup) -> list[float]:
    default = angstrom_to_m(setup.experiment.beam.wavelength_angstrom)
    return [
        default if source.wavelength_m is None else source.wavelength_m
        for source in setup.experiment.beam.sources or ()
    ]


def _misset(setup: Setup) -> tuple[float, ...]:
    crystal = setup.experiment.crystal
    if crystal.misset_random:
        return tuple(rad_to_deg(as_float(angle)) for angle in setup.misset)
    return crystal.misset_deg


# Rows of one kind.


def _vector(name: str, inactive_because: _Reason | None = None) -> _Row:
    return _Row(name, "", (3,), inactive_because=inactive_because or _not_given(name))


def _centre_mm(name: str, derived: Callable[[DetectorGeometry], Scalar]) -> _Row:
    return _Row(
        name,
        "mm",
        inactive_because=_another_centre(name),
        initial=_or_derived(name, lambda setup: m_to_mm(as_float(derived(setup.geometry)))),
    )


def _centre_px(
    name: str,
    derived: Callable[[DetectorGeometry], Scalar],
    edge: Callable[[DetectorGeometry], Scalar],
) -> _Row:
    return _Row(
        name,
        "px",
        inactive_because=_another_centre(name),
        initial=_or_derived(
            name,
            lambda setup: as_float(derived(setup.geometry)) / as_float(edge(setup.geometry)) + 0.5,
        ),
    )


_ROWS: Final = (
    _Row("beam.wavelength_angstrom", "angstrom", inactive_because=_wavelength_without_effect),
    _vector("beam.direction"),
    _vector("beam.polarization_axis", _no_polarization_axis),
    _Row(
        "beam.polarization_kahn",
        "",
        inactive_because=_unless(
            lambda setup: setup.choices.uses_polarization, "there is no polarization correction"
        ),
    ),
    _Row(
        "beam.fluence_photons_per_m2",
        "photons/m^2",
        inactive_because=_unless(
            lambda setup: not fluence_follows_flux(setup.experiment),
            "flux, exposure and beam size decide",
        ),
    ),
    _Row(
        POSITIONS,
        "",
        (_SOURCES, 3),
        note="positions of all listed sources",
        inactive_because=_no_listed_sources,
        initial=_positions,
    ),
    _Row(
        WAVELENGTHS,
        "m",
        (_SOURCES,),
        note="of all listed sources",
        inactive_because=_no_wavelengths,
        initial=_wavelengths,
    ),
    _Row(
        WEIGHTS,
        "",
        (_SOURCES,),
        note="of all listed sources, with the quirk source_weights_ignored off",
        inactive_because=_no_weights,
        initial=lambda setup: [source.weight for source in setup.experiment.beam.sources or ()],
    ),
    _Row(
        SPECTRUM_WEIGHTS,
        "",
        (_NODES,),
        note="of all wavelengths of the spectrum",
        inactive_because=_no_spectrum_weights,
        initial=_spectrum_weights,
    ),
    _Row(
        "crystal.cell_angstrom",
        "angstrom",
        (3,),
        inactive_because=_no_cell,
    ),
    _Row("crystal.cell_deg", "deg", (3,), inactive_because=_no_cell_angles),
    _Row(
        "crystal.orientation_matrix",
        "",
        (9,),
        inactive_because=_not_given("crystal.orientation_matrix"),
    ),
    _Row("crystal.misset_deg", "deg", (3,), initial=_misset),
    _Row(
        ROTATION_MATRIX,
        "",
        (3, 3),
        note="multiplies the crystal's vectors after missetting",
        initial=lambda _: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    ),
    _Row(
        ROTATION_VECTOR,
        "deg",
        (3,),
        note="turns the crystal after missetting: axis x angle",
        initial=lambda _: (0.0, 0.0, 0.0),
    ),
    _Row(
        "crystal.n_cells",
        "",
        (3,),
        smooth=False,
        note="constant below 1; with square crystals, poles at reflections where it is not whole",
        inactive_because=_unless(
            lambda setup: None in setup.experiment.crystal.size_mm, "the crystal's size decides"
        ),
    ),
    _Row(
        "crystal.shape_fudge",
        "",
        inactive_because=_unless(
            lambda setup: has_fudge_factor(setup.choices.shape),
            "square crystals have no fudge factor",
        ),
    ),
    _Row(
        "crystal.mosaic_spread_deg",
        "deg",
        note="the domains' configured angles, in proportion; those are rounded to float32",
        inactive_because=_unless(
            lambda setup: (
                setup.sampling.mosaic_spread_rad > 0.0 and setup.sampling.mosaic_domains > 1
            ),
            "the configuration has no mosaic spread and domains: give them there",
        ),
    ),
    _Row(
        ROTATION_SCALE,
        "",
        note="factor on the angles of the given domains, about their own axes",
        inactive_because=_unless(
            lambda setup: setup.experiment.crystal.mosaic_rotations is not None,
            "the configuration has no mosaic_rotations: give them there",
        ),
        initial=lambda _: 1.0,
    ),
    _Row("crystal.water_um", "um"),
    _vector("goniometer.spindle_axis"),
    _Row(
        "goniometer.phi_deg",
        "deg",
        note="which phi steps are 0 (quirk phi_carryover) is the configuration's",
    ),
    _Row("goniometer.osc_deg", "deg", inactive_because=_no_oscillation),
    _vector("detector.fast_axis"),
    _vector("detector.slow_axis"),
    _vector("detector.normal_axis", _no_normal),
    _vector("detector.twotheta_axis"),
    _Row(
        ORIGIN,
        "m",
        (3,),
        note="corner of pixel (0, 0) as it ends up; overrides what else says so",
        initial=lambda setup: tuple(as_float(component) for component in setup.geometry.pix0),
    ),
    _Row("detector.distance_mm", "mm", inactive_because=_distance_without_effect),
    _Row(
        "detector.close_distance_mm",
        "mm",
        note="before the two-theta rotation; overrides distance_mm",
        inactive_because=_placed_by_its_corner,
        initial=_or_derived(
            "detector.close_distance_mm",
            lambda setup: m_to_mm(as_float(setup.geometry.asked_close)),
        ),
    ),
    _centre_mm("detector.beam_x_mm", lambda geometry: geometry.beam_x),
    _centre_mm("detector.beam_y_mm", lambda geometry: geometry.beam_y),
    _centre_mm("detector.close_x_mm", lambda geometry: geometry.asked_fast),
    _centre_mm("detector.close_y_mm", lambda geometry: geometry.asked_slow),
    _centre_px(
        "detector.org_x_px",
        lambda geometry: geometry.asked_fast,
        lambda geometry: geometry.pixel,
    ),
    _centre_px(
        "detector.org_y_px",
        lambda geometry: geometry.asked_slow,
        lambda geometry: geometry.pixel_slow,
    ),
    _Row(
        PIXEL_SIZE,
        "mm",
        note="the number of pixels stays; two numbers, fast and slow, where it is not square",
    ),
    _Row("detector.rotation_deg", "deg", (3,)),
    _Row("detector.twotheta_deg", "deg"),
    _Row("detector.sensor_thickness_um", "um", inactive_because=_no_thickness),
    _Row(
        "detector.sensor_attenuation_depth_um",
        "um",
        inactive_because=_unless(lambda setup: setup.choices.has_sensor, "there is no sensor"),
        initial=_or_derived(
            "detector.sensor_attenuation_depth_um",
            lambda setup: per_m_to_attenuation_depth_um(setup.sampling.attenuation_per_m),
        ),
    ),
    _Row(
        GRID,
        "electrons",
        _GRID_SHAPE,
        inactive_because=_unless(
            lambda setup: setup.structure_factors.grid is not None,
            f"there is no table of structure factors: use {DEFAULT_F}",
        ),
        initial=lambda setup: setup.structure_factors.grid,
    ),
    _Row(DEFAULT_F, "electrons", initial=lambda setup: setup.structure_factors.default_f),
)

_TABLE: Final = {row.name: row for row in _ROWS}
