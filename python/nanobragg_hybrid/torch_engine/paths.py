"""What can be differentiated: names, units and shapes of the values of a `ForwardModel`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from nanobragg_hybrid.units import RTD

from .detector import ORIGIN
from .lattice import ROTATION_MATRIX, ROTATION_VECTOR
from .quantities import DEFAULT_F, GRID
from .scalars import as_float
from .setup import Setup, fluence_follows_flux
from .sources import POSITIONS, WAVELENGTHS, WEIGHTS

_GRID_SHAPE: Final = (-3,)
_SOURCES: Final = -1


@dataclass(frozen=True, slots=True)
class Path:
    """One value that a model takes as a tensor.

    name: dotted path of a configuration field, or a name of its own.  unit: that of the
    configuration, empty for none.  shape: without the batch dimension.  smooth: whether the image
    has a derivative everywhere (apart from what no value escapes: indices that change their nearest
    reflection, and the edge of tophat spots).  note: what to know.
    """

    name: str
    unit: str
    shape: tuple[int, ...]
    smooth: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A path before the configuration is known; `applies` says whether it has an effect there."""

    name: str
    unit: str
    shape: tuple[int, ...] = ()
    smooth: bool = True
    note: str = ""
    applies: Callable[[Setup], bool] | None = None


def _given(name: str) -> Callable[[Setup], bool]:
    def is_given(setup: Setup) -> bool:
        part, field = name.split(".")
        value: Any = getattr(getattr(setup.experiment, part), field)
        return value is not None

    return is_given


def _listed(setup: Setup) -> bool:
    return setup.experiment.beam.sources is not None


def _vector(name: str, note: str = "") -> _Rule:
    return _Rule(name, "", (3,), note=note, applies=_given(name))


_RULES: Final = (
    _Rule("beam.wavelength_angstrom", "angstrom"),
    _vector("beam.direction"),
    _vector("beam.polarization_axis"),
    _Rule("beam.polarization_kahn", ""),
    _Rule(
        "beam.fluence_photons_per_m2",
        "photons/m^2",
        applies=lambda setup: not fluence_follows_flux(setup.experiment),
    ),
    _Rule(POSITIONS, "", (_SOURCES, 3), note="positions of all listed sources", applies=_listed),
    _Rule(WAVELENGTHS, "m", (_SOURCES,), note="of all listed sources", applies=_listed),
    _Rule(
        WEIGHTS,
        "",
        (_SOURCES,),
        note="of all listed sources; no effect while source_weights_ignored is on",
        applies=_listed,
    ),
    _Rule("crystal.cell_angstrom", "angstrom", (3,), applies=_given("crystal.cell_angstrom")),
    _Rule("crystal.cell_deg", "deg", (3,), applies=_given("crystal.cell_angstrom")),
    _Rule("crystal.orientation_matrix", "", (9,), applies=_given("crystal.orientation_matrix")),
    _Rule("crystal.misset_deg", "deg", (3,)),
    _Rule(ROTATION_MATRIX, "", (3, 3), note="multiplies the crystal's vectors after missetting"),
    _Rule(ROTATION_VECTOR, "deg", (3,), note="turns the crystal after missetting: axis x angle"),
    _Rule(
        "crystal.n_cells",
        "",
        (3,),
        smooth=False,
        note="constant below 1; with square crystals, poles at reflections where it is not whole",
        applies=lambda setup: None in setup.experiment.crystal.size_mm,
    ),
    _Rule("crystal.shape_fudge", ""),
    _Rule(
        "crystal.mosaic_spread_deg",
        "deg",
        note="the domains' random rotations stay, their angles are in proportion",
        applies=lambda setup: setup.sampling.mosaic_spread_rad > 0.0,
    ),
    _Rule("crystal.water_um", "um"),
    _vector("goniometer.spindle_axis"),
    _Rule(
        "goniometer.phi_deg",
        "deg",
        note="which phi steps are 0 (quirk phi_carryover) is the configuration's",
    ),
    _Rule("goniometer.osc_deg", "deg", applies=_given("goniometer.osc_deg")),
    _vector("detector.fast_axis"),
    _vector("detector.slow_axis"),
    _vector("detector.normal_axis", "no effect if it is replaced by fast x slow"),
    _vector("detector.twotheta_axis"),
    _Rule(
        ORIGIN, "m", (3,), note="corner of pixel (0, 0) as it ends up; overrides what else says so"
    ),
    _Rule("detector.distance_mm", "mm"),
    _Rule("detector.close_distance_mm", "mm", note="overrides distance_mm"),
    _Rule("detector.beam_x_mm", "mm"),
    _Rule("detector.beam_y_mm", "mm"),
    _Rule("detector.pixel_size_mm", "mm", note="the number of pixels stays"),
    _Rule("detector.rotation_deg", "deg", (3,)),
    _Rule("detector.twotheta_deg", "deg"),
    _Rule(
        "detector.sensor_thickness_um",
        "um",
        applies=lambda setup: setup.sampling.layers.range_given and setup.choices.has_sensor,
    ),
    _Rule(
        "detector.sensor_attenuation_depth_um",
        "um",
        applies=lambda setup: setup.choices.has_sensor,
    ),
    _Rule(
        GRID,
        "electrons",
        _GRID_SHAPE,
        applies=lambda setup: setup.structure_factors.grid is not None,
    ),
    _Rule(DEFAULT_F, "electrons"),
)


def differentiable_paths(setup: Setup) -> tuple[Path, ...]:
    """The values that a model of this experiment takes."""
    return tuple(
        Path(rule.name, rule.unit, _shape(rule, setup), rule.smooth, rule.note)
        for rule in _RULES
        if rule.applies is None or rule.applies(setup)
    )


def known_names() -> tuple[str, ...]:
    """The names of all values, whether or not an experiment has them."""
    return tuple(rule.name for rule in _RULES)


def value_of(name: str, setup: Setup) -> Any:
    """What the set-up has for a path: numbers (nested), or None if there is none."""
    geometry = setup.geometry
    if name == GRID:
        return setup.structure_factors.grid
    if name == DEFAULT_F:
        return setup.structure_factors.default_f
    if name == ROTATION_MATRIX:
        return ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    if name == ROTATION_VECTOR:
        return (0.0, 0.0, 0.0)
    if name == ORIGIN:
        return tuple(as_float(component) for component in geometry.pix0)
    if name in (POSITIONS, WAVELENGTHS, WEIGHTS):
        listed = setup.experiment.beam.sources or ()
        values = [getattr(source, name.rpartition(".")[2]) for source in listed]
        flat = [x for value in values for x in (value if isinstance(value, tuple) else (value,))]
        return None if None in flat else tuple(values)
    if name == "crystal.misset_deg" and setup.experiment.crystal.misset_random:
        return tuple(as_float(angle) * RTD for angle in setup.misset)
    part, field = name.split(".")
    configured = getattr(getattr(setup.experiment, part), field)
    if configured is None and name in _CHOSEN:
        return _CHOSEN[name](setup)
    return configured


# Values that the set-up chooses where the configuration leaves them open.
_CHOSEN: Final[dict[str, Callable[[Setup], float]]] = {
    "detector.beam_x_mm": lambda setup: 1000.0 * as_float(setup.geometry.beam_x),
    "detector.beam_y_mm": lambda setup: 1000.0 * as_float(setup.geometry.beam_y),
    "detector.sensor_attenuation_depth_um": lambda setup: 1e6 / setup.sampling.attenuation_per_m,
}


def _shape(rule: _Rule, setup: Setup) -> tuple[int, ...]:
    if rule.shape == _GRID_SHAPE:
        grid = setup.structure_factors.grid
        assert grid is not None
        return grid.shape
    return tuple(setup.choices.source_count if size == _SOURCES else size for size in rule.shape)
