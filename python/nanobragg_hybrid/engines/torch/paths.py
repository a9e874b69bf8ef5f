"""What can be differentiated: names, units and shapes of the values of a `ForwardModel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from nanobragg_hybrid.engines.torch import obstacles
from nanobragg_hybrid.engines.torch.detector import ORIGIN
from nanobragg_hybrid.engines.torch.lattice import ROTATION_MATRIX, ROTATION_VECTOR
from nanobragg_hybrid.engines.torch.obstacles import Obstacle
from nanobragg_hybrid.engines.torch.quantities import DEFAULT_F, GRID
from nanobragg_hybrid.engines.torch.setup import Setup, fluence_follows_flux
from nanobragg_hybrid.engines.torch.sources import POSITIONS, WAVELENGTHS, WEIGHTS

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
    """A path before the configuration is known.

    obstacle: why the value has no effect in a set-up, and what to use instead; None: it has one.
    """

    name: str
    unit: str
    shape: tuple[int, ...] = ()
    smooth: bool = True
    note: str = ""
    obstacle: Obstacle = lambda _: None


def _vector(name: str, obstacle: Obstacle | None = None) -> _Rule:
    return _Rule(name, "", (3,), obstacle=obstacle or obstacles.given(name))


def _centre(name: str, unit: str) -> _Rule:
    return _Rule(name, unit, obstacle=obstacles.other_centre(name))


_RULES: Final = (
    _Rule("beam.wavelength_angstrom", "angstrom", obstacle=obstacles.wavelength),
    _vector("beam.direction"),
    _vector("beam.polarization_axis", obstacles.polarization_axis),
    _Rule(
        "beam.polarization_kahn",
        "",
        obstacle=obstacles.unless(
            lambda setup: setup.choices.has_polarization, "there is no polarization correction"
        ),
    ),
    _Rule(
        "beam.fluence_photons_per_m2",
        "photons/m^2",
        obstacle=obstacles.unless(
            lambda setup: not fluence_follows_flux(setup.experiment),
            "flux, exposure and beam size decide",
        ),
    ),
    _Rule(
        POSITIONS,
        "",
        (_SOURCES, 3),
        note="positions of all listed sources",
        obstacle=obstacles.listed,
    ),
    _Rule(WAVELENGTHS, "m", (_SOURCES,), note="of all listed sources", obstacle=obstacles.listed),
    _Rule(
        WEIGHTS,
        "",
        (_SOURCES,),
        note="of all listed sources, with the quirk source_weights_ignored off",
        obstacle=obstacles.weight,
    ),
    _Rule(
        "crystal.cell_angstrom", "angstrom", (3,), obstacle=obstacles.given("crystal.cell_angstrom")
    ),
    _Rule("crystal.cell_deg", "deg", (3,), obstacle=obstacles.cell_angle),
    _Rule(
        "crystal.orientation_matrix",
        "",
        (9,),
        obstacle=obstacles.given("crystal.orientation_matrix"),
    ),
    _Rule("crystal.misset_deg", "deg", (3,)),
    _Rule(ROTATION_MATRIX, "", (3, 3), note="multiplies the crystal's vectors after missetting"),
    _Rule(ROTATION_VECTOR, "deg", (3,), note="turns the crystal after missetting: axis x angle"),
    _Rule(
        "crystal.n_cells",
        "",
        (3,),
        smooth=False,
        note="constant below 1; with square crystals, poles at reflections where it is not whole",
        obstacle=obstacles.unless(
            lambda setup: None in setup.experiment.crystal.size_mm, "the crystal's size decides"
        ),
    ),
    _Rule(
        "crystal.shape_fudge",
        "",
        obstacle=obstacles.unless(
            lambda setup: setup.choices.shape != "square", "square crystals have no fudge factor"
        ),
    ),
    _Rule(
        "crystal.mosaic_spread_deg",
        "deg",
        note="the domains' random rotations stay, their angles are in proportion",
        obstacle=obstacles.unless(
            lambda setup: (
                setup.sampling.mosaic_spread_rad > 0.0 and setup.sampling.mosaic_domains > 1
            ),
            "the configuration has no mosaic spread and domains: give them there",
        ),
    ),
    _Rule("crystal.water_um", "um"),
    _vector("goniometer.spindle_axis"),
    _Rule(
        "goniometer.phi_deg",
        "deg",
        note="which phi steps are 0 (quirk phi_carryover) is the configuration's",
    ),
    _Rule("goniometer.osc_deg", "deg", obstacle=obstacles.oscillation),
    _vector("detector.fast_axis"),
    _vector("detector.slow_axis"),
    _vector("detector.normal_axis", obstacles.normal),
    _vector("detector.twotheta_axis"),
    _Rule(
        ORIGIN, "m", (3,), note="corner of pixel (0, 0) as it ends up; overrides what else says so"
    ),
    _Rule("detector.distance_mm", "mm", obstacle=obstacles.distance),
    _Rule(
        "detector.close_distance_mm",
        "mm",
        note="before the two-theta rotation; overrides distance_mm",
        obstacle=obstacles.close_distance,
    ),
    _centre("detector.beam_x_mm", "mm"),
    _centre("detector.beam_y_mm", "mm"),
    _centre("detector.close_x_mm", "mm"),
    _centre("detector.close_y_mm", "mm"),
    _centre("detector.org_x_px", "px"),
    _centre("detector.org_y_px", "px"),
    _Rule("detector.pixel_size_mm", "mm", note="the number of pixels stays"),
    _Rule("detector.rotation_deg", "deg", (3,)),
    _Rule("detector.twotheta_deg", "deg"),
    _Rule(
        "detector.sensor_thickness_um",
        "um",
        obstacle=obstacles.thickness,
    ),
    _Rule(
        "detector.sensor_attenuation_depth_um",
        "um",
        obstacle=obstacles.unless(lambda setup: setup.choices.has_sensor, "there is no sensor"),
    ),
    _Rule(
        GRID,
        "electrons",
        _GRID_SHAPE,
        obstacle=obstacles.unless(
            lambda setup: setup.structure_factors.grid is not None,
            f"there is no table of structure factors: use {DEFAULT_F}",
        ),
    ),
    _Rule(DEFAULT_F, "electrons"),
)


def differentiable_paths(setup: Setup) -> tuple[Path, ...]:
    """The values that a model of this experiment takes."""
    return tuple(
        Path(rule.name, rule.unit, _shape(rule, setup), rule.smooth, rule.note)
        for rule in _RULES
        if rule.obstacle(setup) is None
    )


def known_names() -> tuple[str, ...]:
    """The names of all values, whether or not an experiment has them."""
    return tuple(rule.name for rule in _RULES)


def obstacle(name: str, setup: Setup) -> str | None:
    """Why a known value has no effect in a set-up, and what to use instead; None: unknown."""
    if name == "detector.pix0_m":
        return f"it is the corner of the detector as configured: use {ORIGIN}"
    return next((rule.obstacle(setup) for rule in _RULES if rule.name == name), None)


def _shape(rule: _Rule, setup: Setup) -> tuple[int, ...]:
    if rule.shape == _GRID_SHAPE:
        grid = setup.structure_factors.grid
        assert grid is not None
        return grid.shape
    return tuple(setup.choices.source_count if size == _SOURCES else size for size in rule.shape)
