"""The chain of numbers behind one pixel (model 6), the same record from every engine.

`nanobragg_hybrid.trace` fills it.  `QUANTITIES` says for each number, in computing order, what it
is called in trace files (``TRACE_C: name values``), in which unit they have it and which stage of
the model makes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from nanobragg_hybrid.base.record import Record

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StepChoice(Record):
    """Which evaluations of the innermost loop to record; None: any."""

    layer: int | None = None
    sub_slow: int | None = None
    sub_fast: int | None = None
    source: int | None = None
    phi_step: int | None = None
    domain: int | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StepTrace(Record):
    """One evaluation of the innermost loop (model 6.2 to 6.5).

    layer ... domain: which one, counted from 0.  pixel_pos_m: P; airpath_m: R.  solid_angle_sr and
    obliquity (close distance / R; with the quirk curved_flat_factors off 1 on curved ones): of this
    sub-pixel.  incident, diffracted: unit vectors.
    q_per_m: scattering vector.  a_m, b_m, c_m: cell vectors turned with phi and the domain.
    f_latt_a, f_latt_b, f_latt_c, f_latt: lattice factors and their product (model 6.5); a shape
    other than square has one factor, which is in all four.  f_cell: 0 where a lattice factor of 0
    ends the step before it is looked up.  term: what the step adds to the sum; running_sum: the sum
    before scaling after that (and after the factors of the quirk oversample_running_product).
    """

    layer: int
    sub_slow: int
    sub_fast: int
    source: int
    phi_step: int
    domain: int
    pixel_pos_m: Vector
    airpath_m: float
    solid_angle_sr: float
    obliquity: float
    diffracted: Vector
    incident: Vector
    wavelength_m: float
    q_per_m: Vector
    phi_rad: float
    a_m: Vector
    b_m: Vector
    c_m: Vector
    hkl: Vector
    hkl_rounded: Vector
    f_latt_a: float
    f_latt_b: float
    f_latt_c: float
    f_latt: float
    f_cell: float
    term: float
    running_sum: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trace(Record):
    """The whole chain of one pixel and some of its steps.

    steps: those asked for, in serial order (none if dmin cuts them or the pixel is not active; then
    only fast, slow and is_active mean anything).  a_star_per_angstrom ...: reciprocal axes before
    any rotation with phi.  i_before_scaling: the sum over all steps; step_count: what divides it.
    capture_fraction, polarization, omega_sr: the factors as they stand when the pixel is finished
    (model 6.8).  cos_2theta: of the last step, NaN if dmin cuts them all.  pixel_value: before
    rounding to float32, pixel_float after.
    """

    backend: str
    fast: int
    slow: int
    is_active: bool
    pix0_m: Vector
    fast_axis: Vector
    slow_axis: Vector
    normal_axis: Vector
    close_distance_m: float
    a_star_per_angstrom: Vector
    b_star_per_angstrom: Vector
    c_star_per_angstrom: Vector
    i_before_scaling: float
    r_e_sqr_m2: float
    fluence_photons_per_m2: float
    step_count: int
    oversample_thick: bool
    oversample_polar: bool
    oversample_omega: bool
    capture_fraction: float
    polarization: float
    omega_sr: float
    cos_2theta: float
    pixel_value: float
    pixel_float: float
    steps: tuple[StepTrace, ...]

    @property
    def r_e_m(self) -> float:
        """Classical electron radius, which trace files have beside its square."""
        return math.sqrt(self.r_e_sqr_m2)


PIXEL_INDICES: Final = ("fast", "slow")
"""Fields of `Trace` that say which pixel, and their names in trace files."""

STEP_INDICES: Final = ("layer", "sub_slow", "sub_fast", "source", "phi_step", "domain")
"""Fields of `StepTrace` and `StepChoice` that say which step, and their names in trace files."""


Stage = Literal[
    "detector",
    "pixel position",
    "solid angle",
    "source",
    "scattering vector",
    "cell rotation",
    "reciprocal cell",
    "Miller indices",
    "lattice factor",
    "structure factor",
    "sum over steps",
    "constants",
    "capture fraction",
    "polarization",
    "pixel value",
]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number or vector of a trace.

    name: the attribute; of: of which record; recorded: its name in trace files; factor: from our
    unit to the recorded one; stage: what computes it; kind: "float", "int" or "switch".
    """

    name: str
    of: Literal["pixel", "step"]
    recorded: str
    stage: Stage
    factor: float = 1.0
    kind: Literal["float", "int", "switch"] = "float"


QUANTITIES: Final[tuple[Quantity, ...]] = (
    Quantity("pix0_m", "pixel", "pix0_vector_meters", "detector"),
    Quantity("fast_axis", "pixel", "fdet_vec", "detector"),
    Quantity("slow_axis", "pixel", "sdet_vec", "detector"),
    Quantity("normal_axis", "pixel", "odet_vec", "detector"),
    Quantity("pixel_pos_m", "step", "pixel_pos_meters", "pixel position"),
    Quantity("airpath_m", "step", "R_distance_meters", "pixel position"),
    Quantity("solid_angle_sr", "step", "omega_pixel_sr", "solid angle"),
    Quantity("close_distance_m", "pixel", "close_distance_meters", "solid angle"),
    Quantity("obliquity", "step", "obliquity_factor", "solid angle"),
    Quantity("diffracted", "step", "diffracted_vec", "pixel position"),
    Quantity("incident", "step", "incident_vec", "source"),
    Quantity("wavelength_m", "step", "lambda_meters", "source"),
    Quantity("wavelength_m", "step", "lambda_angstroms", "source", 1e10),
    Quantity("q_per_m", "step", "scattering_vec_A_inv", "scattering vector"),
    Quantity("phi_rad", "step", "phi_rad", "cell rotation"),
    Quantity("a_m", "step", "rot_a_angstroms", "cell rotation", 1e10),
    Quantity("b_m", "step", "rot_b_angstroms", "cell rotation", 1e10),
    Quantity("c_m", "step", "rot_c_angstroms", "cell rotation", 1e10),
    Quantity("a_star_per_angstrom", "pixel", "rot_a_star_A_inv", "reciprocal cell"),
    Quantity("b_star_per_angstrom", "pixel", "rot_b_star_A_inv", "reciprocal cell"),
    Quantity("c_star_per_angstrom", "pixel", "rot_c_star_A_inv", "reciprocal cell"),
    Quantity("hkl", "step", "hkl_frac", "Miller indices"),
    Quantity("hkl_rounded", "step", "hkl_rounded", "Miller indices", kind="int"),
    Quantity("f_latt_a", "step", "F_latt_a", "lattice factor"),
    Quantity("f_latt_b", "step", "F_latt_b", "lattice factor"),
    Quantity("f_latt_c", "step", "F_latt_c", "lattice factor"),
    Quantity("f_latt", "step", "F_latt", "lattice factor"),
    Quantity("f_cell", "step", "F_cell", "structure factor"),
    Quantity("term", "step", "term", "sum over steps"),
    Quantity("running_sum", "step", "I_running_sum", "sum over steps"),
    Quantity("i_before_scaling", "pixel", "I_before_scaling", "sum over steps"),
    Quantity("r_e_m", "pixel", "r_e_meters", "constants"),
    Quantity("r_e_sqr_m2", "pixel", "r_e_sqr", "constants"),
    Quantity("fluence_photons_per_m2", "pixel", "fluence_photons_per_m2", "constants"),
    Quantity("step_count", "pixel", "steps", "constants", kind="int"),
    Quantity("oversample_thick", "pixel", "oversample_thick", "constants", kind="switch"),
    Quantity("oversample_polar", "pixel", "oversample_polar", "constants", kind="switch"),
    Quantity("oversample_omega", "pixel", "oversample_omega", "constants", kind="switch"),
    Quantity("capture_fraction", "pixel", "capture_fraction", "capture fraction"),
    Quantity("polarization", "pixel", "polar", "polarization"),
    Quantity("omega_sr", "pixel", "omega_pixel", "solid angle"),
    Quantity("cos_2theta", "pixel", "cos_2theta", "polarization"),
    Quantity("pixel_value", "pixel", "I_pixel_final", "pixel value"),
    Quantity("pixel_float", "pixel", "floatimage_accumulated", "pixel value"),
)
"""Every number of a trace, in the order in which the model computes them."""
