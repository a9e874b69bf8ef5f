"""What was chosen and derived for an experiment before its first pixel (model 3 to 5).

Every engine fills the same record, in SI units and with names instead of numbers; everything above
the engines reads only this.  Making a class of so many fields takes time, of which the command has
little: a NamedTuple whose annotations are no text (hence no future import here) is made in half a
millisecond, a dataclass in two.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from nanobragg_hybrid.model.conventions import Convention, Kernel, Pivot

Vector = tuple[float, float, float]

PlanWarning = Literal[
    "size_y_clipped",
    "size_z_clipped",
    "normal_recomputed",
    "cell_volume",
    "reciprocal_length",
    "mosaic_domains",
    "interpolation_off",
    "oversample_low",
    "close_distance_negative",
    "distance_ignored",
    "no_sensor_is_black",
    "polarization_factor",
    "polarization_axis",
    "size_x_clipped",
    "impossible_cell",
    "angles_in_radians",
    "left_handed_matrix",
    "matrix_scale",
    "impossible_sources",
    "cell_beside_matrix",
    "step_and_count",
    "count_alone",
    "missing_last_source",
    "osc_overshoot",
    "domains_without_spread",
    "wavelengths_without_range",
    "oversample_high",
    "many_steps",
    "wavelength_outside_spectrum",
    "broken_cells",
]
"""What a plan changed or doubts."""

SENTENCES: Final[Mapping[PlanWarning, str]] = MappingProxyType(
    {
        "size_y_clipped": (
            "the crystal is larger than the beam along b: clipped to {plan.crystal_size_m[1]:g} m"
        ),
        "size_z_clipped": (
            "the crystal is larger than the beam along c: clipped to {plan.crystal_size_m[2]:g} m"
        ),
        "normal_recomputed": (
            "the detector normal is not a unit vector: it was replaced by fast x slow"
        ),
        "cell_volume": "this cell is impossible: its volume was replaced by a tiny one",
        "reciprocal_length": (
            "this cell is impossible: a reciprocal length was not positive, and its sign was "
            "changed"
        ),
        "mosaic_domains": (
            "a mosaic spread without a number of domains: {plan.mosaic_domains} domains are used"
        ),
        "interpolation_off": (
            "there is no table of structure factors to interpolate: interpolation is off"
        ),
        "oversample_low": (
            "oversample {plan.oversample} is too low for the spots, which need "
            "{plan.recommended_oversample}"
        ),
        "close_distance_negative": (
            "the close distance is {plan.close_distance_m:g} m, because the detector's normal "
            "points at the sample: solid angles and photons are below 0 (quirk "
            "normal_towards_source)"
        ),
        "distance_ignored": (
            "the distance is ignored, because a close distance was given, too, and the two are not "
            "of the same detector (quirk distance_beside_close)"
        ),
        "no_sensor_is_black": (
            "the image is black because the sensor captures nothing: it needs a thickness and a "
            "finite attenuation depth, or neither of them nor oversample_thick"
        ),
        "polarization_factor": (
            "the Kahn factor of the polarization is not -1 to 1: pixels may be below 0"
        ),
        "polarization_axis": (
            "the polarization axis lies along the beam: there is no such polarization, and a "
            "divergence has nothing to turn about"
        ),
        "size_x_clipped": (
            "the crystal is larger than the beam along a: clipped to {plan.crystal_size_m[0]:g} m"
        ),
        "impossible_cell": (
            "there is no such cell: its angles fit no parallelepiped, or its axes lie in a plane "
            "(quirk impossible_cell)"
        ),
        "angles_in_radians": (
            "the angles of the cell are all below 3.15 degrees: they look like radians"
        ),
        "left_handed_matrix": (
            "the orientation matrix is left-handed: its axes are the mirror image of a crystal's"
        ),
        "matrix_scale": (
            "the orientation matrix, which holds reciprocal axes times the wavelength in angstrom, "
            "does not fit the wavelength of {plan.wavelength_m:g} m: its axes have other lengths"
        ),
        "impossible_sources": (
            "{plan.impossible_sources} of {plan.source_count} sources cannot be, the first of them "
            "beam.sources[{plan.first_impossible_source}]: they have no direction, shine away from "
            "the detector, or have a wavelength outside 1e-13 to 1e-07 m (quirk impossible_sources)"
        ),
        "cell_beside_matrix": (
            "the cell is not that of the orientation matrix beside it: the lengths and the volume "
            "are the cell's, the directions the matrix's (quirk cell_beside_matrix)"
        ),
        "step_and_count": (
            "a count and a step without a range: the count is ignored, there are two steps "
            "(quirk step_and_count)"
        ),
        "count_alone": (
            "a count without a range: the range is taken as 1 degree (phi), 1 radian (divergence) "
            "or 100 % (dispersion) (quirk count_alone)"
        ),
        "missing_last_source": (
            "the steps of the divergence do not reach from end to end: the beam is off centre "
            "(quirk missing_last_source)"
        ),
        "osc_overshoot": (
            "{plan.phi_steps} steps of phi do not fill the oscillation that is reported "
            "(quirk osc_overshoot)"
        ),
        "domains_without_spread": (
            "a number of mosaic domains without a mosaic spread has no effect: there is one domain"
        ),
        "wavelengths_without_range": (
            "a number of wavelengths without a dispersion has no effect: there is one wavelength"
        ),
        "oversample_high": (
            "oversample {plan.oversample} was chosen for the size of the spots: {plan.steps} steps "
            "for each pixel and sensor layer"
        ),
        "many_steps": (
            "this will take long: {plan.steps} steps for each pixel and sensor layer, "
            "{plan.sensor_layers} layers, {plan.pixels_in_roi} pixels"
        ),
        "wavelength_outside_spectrum": (
            "the beam's wavelength of {plan.wavelength_m:g} m is not one of its spectrum: it still "
            "scales an orientation matrix, chooses the oversampling and stands in headers"
        ),
        "broken_cells": (
            "crystal.n_cells {plan.n_cells[0]:g} x {plan.n_cells[1]:g} x {plan.n_cells[2]:g}: for "
            "parts of cells the interference function of the shape square, sin(pi N h) / "
            "sin(pi h), has poles at reflections, and its light there is without bounds: take "
            "whole numbers or another shape"
        ),
    }
)
"""The sentence for each `PlanWarning`, in the order in which a plan has them."""

DOUBTS: Final[frozenset[PlanWarning]] = frozenset(
    {
        "close_distance_negative",
        "no_sensor_is_black",
        "polarization_factor",
        "polarization_axis",
        "impossible_cell",
        "angles_in_radians",
        "left_handed_matrix",
        "matrix_scale",
        "impossible_sources",
        "cell_beside_matrix",
        "step_and_count",
        "count_alone",
        "missing_last_source",
        "osc_overshoot",
        "domains_without_spread",
        "wavelengths_without_range",
        "wavelength_outside_spectrum",
        "broken_cells",
    }
)
"""Warnings that what is rendered is hardly what was meant: errors where a command is strict."""


class ResolvedPlan(NamedTuple):
    """Everything that does not depend on the pixel, as an engine uses it; see `prepare`.

    Lengths are in metres, angles in radians, unless a name says otherwise.

    Detector and beam (model 3).  convention, pivot: as used.  beam_direction, polarization_axis,
    vertical_axis, spindle_axis, fast_axis, slow_axis, normal_axis: unit vectors, the detector's
    after its rotations; twotheta_axis: as given, twotheta_rad.  pix0_m: outer corner of pixel
    (0, 0).  distance_m: along the beam; close_distance_m: to the nearest point of the plane.
    beam_x_m, beam_y_m: beam centre as image headers report it; beam_fast_m, beam_slow_m: where the
    beam hits the detector; close_fast_m, close_slow_m: its nearest point, org_x_px, org_y_px: the
    same for XDS; dials_origin_mm: for DIALS. pixel_size_m, pixel_size_slow_m: edge of a pixel along
    fast and along slow; size_fast_m, size_slow_m, n_fast, n_slow: of the detector. roi: the pixels
    that are computed, inclusive bounds (fast_min, fast_max, slow_min, slow_max), clipped to the
    detector; min > max: none.

    Crystal (model 4).  a0_m, b0_m, c0_m: cell vectors before any spindle rotation;
    cell_length_angstrom, cell_angle_rad: their lengths and angles.  a_star_per_angstrom,
    b_star_per_angstrom, c_star_per_angstrom: the reciprocal vectors, with their
    reciprocal_length_per_angstrom and reciprocal_angle_rad.  cell_volume_angstrom3.  misset_rad:
    the missetting as used.  n_cells: cells along a, b, c.  crystal_size_m: after clipping to the
    beam; 0 where not given.

    Sampling (model 5).  source_count, mosaic_domains, phi_steps, oversample, sensor_layers: how
    often each loop runs; steps: sources x domains x phi steps x oversample^2, what divides the sum
    of a pixel.  recommended_oversample: what the size of the spots asks for.  interpolate: tricubic
    between structure factors.  divergence_h_steps, divergence_v_steps, dispersion_steps with their
    ranges divergence_h_rad, divergence_v_rad, dispersion_fraction and steps divergence_h_step_rad,
    divergence_v_step_rad, dispersion_step (fractions of the wavelength).  phi_rad, osc_rad,
    phi_step_rad: start, range and step of the spindle.  mosaic_spread_rad.  sensor_thickness_m,
    sensor_layer_step_m, sensor_attenuation_per_m.  wavelength_m, fluence_photons_per_m2.
    water_background: photons that water adds to every step's sum (I_bg of model 6).

    warnings: what was changed or is doubted, see `sentences`.  kernel: which of the engine's
    kernels computes the pixels, None where it has but one; kernel_reason: why that is the exact one
    where it is.  impossible_sources: how many sources cannot be (quirk impossible_sources);
    first_impossible_source: the number of the first, from 0; -1: none.
    """

    convention: Convention
    pivot: Pivot
    beam_direction: Vector
    polarization_axis: Vector
    vertical_axis: Vector
    spindle_axis: Vector
    fast_axis: Vector
    slow_axis: Vector
    normal_axis: Vector
    twotheta_axis: Vector
    pix0_m: Vector
    distance_m: float
    close_distance_m: float
    beam_x_m: float
    beam_y_m: float
    beam_fast_m: float
    beam_slow_m: float
    close_fast_m: float
    close_slow_m: float
    org_x_px: float
    org_y_px: float
    dials_origin_mm: Vector
    pixel_size_m: float
    pixel_size_slow_m: float
    size_fast_m: float
    size_slow_m: float
    twotheta_rad: float
    n_fast: int
    n_slow: int
    roi: tuple[int, int, int, int]
    a0_m: Vector
    b0_m: Vector
    c0_m: Vector
    a_star_per_angstrom: Vector
    b_star_per_angstrom: Vector
    c_star_per_angstrom: Vector
    cell_length_angstrom: Vector
    cell_angle_rad: Vector
    reciprocal_length_per_angstrom: Vector
    reciprocal_angle_rad: Vector
    cell_volume_angstrom3: float
    misset_rad: Vector
    n_cells: Vector
    crystal_size_m: Vector
    source_count: int
    mosaic_domains: int
    phi_steps: int
    oversample: int
    recommended_oversample: int
    sensor_layers: int
    steps: int
    interpolate: bool
    divergence_h_steps: int
    divergence_v_steps: int
    dispersion_steps: int
    divergence_h_rad: float
    divergence_v_rad: float
    divergence_h_step_rad: float
    divergence_v_step_rad: float
    dispersion_fraction: float
    dispersion_step: float
    phi_rad: float
    osc_rad: float
    phi_step_rad: float
    mosaic_spread_rad: float
    sensor_thickness_m: float
    sensor_layer_step_m: float
    sensor_attenuation_per_m: float
    wavelength_m: float
    fluence_photons_per_m2: float
    water_background: float
    warnings: tuple[PlanWarning, ...]
    kernel: Kernel | None = None
    kernel_reason: str = ""
    impossible_sources: int = 0
    first_impossible_source: int = -1

    @property
    def pixels_in_roi(self) -> int:
        """How many pixels are computed, masked ones included."""
        fast_min, fast_max, slow_min, slow_max = self.roi
        return max(fast_max - fast_min + 1, 0) * max(slow_max - slow_min + 1, 0)

    @property
    def shape(self) -> tuple[int, int]:
        """The image's (slow, fast)."""
        return self.n_slow, self.n_fast

    def doubts(self) -> tuple[str, ...]:
        """Those of `sentences` that are of `DOUBTS`."""
        return tuple(SENTENCES[name].format(plan=self) for name in self.warnings if name in DOUBTS)

    def sentences(self) -> tuple[str, ...]:
        """What the user should know, one sentence for each of `warnings`."""
        return tuple(SENTENCES[name].format(plan=self) for name in self.warnings)
