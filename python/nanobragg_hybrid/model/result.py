"""What a simulation returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nanobragg_hybrid.base.arrays import array_fields, as_buffer, stored
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.base.units import RTD
from nanobragg_hybrid.model.conventions import convention_name, pivot_name
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.base.arrays import Buffer

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Statistics(Record):
    """Statistics of an image over its region of interest (model 6.9).

    max: the brightest pixel's value, 0 if none is positive; max_fast, max_slow: its place, pixels;
    max_fast_m, max_slow_m: the same on the detector, m, at the pixel's last sub-pixel.
    sum, mean, rms: over the pixels that are not masked.  rmsd: root mean square deviation from the
    mean; masked pixels count too with the quirk rmsd_counts_masked.
    solid_angle_sr: solid angle of the region, steradian; see the quirk solid_angle_over_steps.
    pixels: number of pixels in the region and not masked; pixels_in_roi: masked ones too.
    """

    max: float
    max_fast_m: float
    max_slow_m: float
    max_fast: int
    max_slow: int
    sum: float
    mean: float
    rms: float
    rmsd: float
    solid_angle_sr: float
    pixels: int
    pixels_in_roi: int

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Statistics:
        """From the members of the C header's `nbh_statistics` by name."""
        return cls(**{f.name: data[f.name] for f in dataclasses.fields(cls)})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Geometry(Record):
    """Where detector, beam and crystal ended up (model 3, 4.4).

    Lengths in mm are the plan's metres times 1000.0, angles in degrees its radians times 180/pi;
    the exact numbers are in `SimulationResult.info`.

    convention, pivot: as used.  beam_direction, polarization_axis, vertical_axis, spindle_axis,
    fast_axis, slow_axis, normal_axis: unit vectors, the detector's after its rotations;
    twotheta_axis: as given.  pix0_mm: outer corner of pixel (0, 0).  distance_mm: along the beam;
    close_distance_mm: to the nearest point of the plane.  beam_x_mm, beam_y_mm: beam centre as
    image headers report it; beam_fast_mm, beam_slow_mm: where the beam hits the detector;
    close_fast_mm, close_slow_mm: its nearest point; org_x_px, org_y_px: the same for XDS.
    dials_origin_mm: for DIALS.  pixel_size_mm, size_fast_mm, size_slow_mm, n_fast, n_slow: of the
    detector.  roi: inclusive bounds (fast_min, fast_max, slow_min, slow_max).
    a_angstrom, b_angstrom, c_angstrom: cell vectors before any spindle rotation;
    cell_angstrom, cell_deg: their lengths and angles; cell_volume_angstrom3; misset_deg: the
    missetting as used.
    """

    convention: str
    pivot: str
    beam_direction: Vector
    polarization_axis: Vector
    vertical_axis: Vector
    spindle_axis: Vector
    fast_axis: Vector
    slow_axis: Vector
    normal_axis: Vector
    twotheta_axis: Vector
    pix0_mm: Vector
    distance_mm: float
    close_distance_mm: float
    beam_x_mm: float
    beam_y_mm: float
    beam_fast_mm: float
    beam_slow_mm: float
    close_fast_mm: float
    close_slow_mm: float
    org_x_px: float
    org_y_px: float
    dials_origin_mm: Vector
    pixel_size_mm: float
    size_fast_mm: float
    size_slow_mm: float
    n_fast: int
    n_slow: int
    roi: tuple[int, int, int, int]
    a_angstrom: Vector
    b_angstrom: Vector
    c_angstrom: Vector
    cell_angstrom: Vector
    cell_deg: Vector
    cell_volume_angstrom3: float
    misset_deg: Vector

    @classmethod
    def from_info(cls, info: Mapping[str, Any]) -> Geometry:
        """From the members of the C header's `nbh_plan_info` by name."""
        values: dict[str, Any] = {
            "convention": convention_name(info["convention"]),
            "pivot": pivot_name(info["pivot"]),
            "roi": tuple(
                info[f"roi_{bound}"] for bound in ("fast_min", "fast_max", "slow_min", "slow_max")
            ),
            "cell_deg": _scaled(info["cell_angle_rad"], RTD),
            "misset_deg": _scaled(info["misset_rad"], RTD),
            "cell_angstrom": _scaled(info["cell_length_angstrom"], 1.0),
        }
        for axis in "abc":
            values[f"{axis}_angstrom"] = _scaled(info[f"{axis}0_m"], 1e10)
        for f in dataclasses.fields(cls):
            if f.name in values:
                continue
            stem = f.name.removesuffix("_mm")
            if f.name in info:
                values[f.name] = _scaled(info[f.name], 1.0)
            else:
                values[f.name] = _scaled(info[f"{stem}_m"], 1000.0)
        return cls(**values)


@array_fields("image", "unrounded")
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SimulationResult:
    """One rendered image and what belongs to it.

    image: float32, shape (slow, fast); 0 outside the region of interest and under the mask.
    unrounded: float64, same shape, the pixel values before rounding to float32; None unless asked
        for.
    statistics, geometry: see these classes.
    info: every member of the C header's `nbh_plan_info` by name, SI units, to the last bit.
    provenance: what made this image: versions, backend, quirks, threads, seeds, time.
    warnings: what the user should know, one sentence each.
    random_state: state of the random generator after set-up, opaque; noise images go on from it
        (model 7.4).  None from an engine that keeps none: then they set it up themselves.
    experiment: as rendered, with the seeds that came from the clock.
    quirks: as rendered.
    quirks_that_mattered: names of the quirks that were on and could have changed this image.
    """

    image: NDArray[np.float32]
    unrounded: NDArray[np.float64] | None
    statistics: Statistics
    geometry: Geometry
    info: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    random_state: object = None
    experiment: Experiment = field(default_factory=Experiment)
    quirks: Quirks = field(default_factory=Quirks)
    quirks_that_mattered: tuple[str, ...] = ()

    @property
    def image_buffer(self) -> Buffer:
        """The memory of `image`, which needs no numpy: float32, shape (slow, fast)."""
        return as_buffer(stored(self, "image"))

    def replaced(self, **changes: Any) -> SimulationResult:
        """A copy with other values for some fields, and the same memory."""
        names = (f.name for f in dataclasses.fields(self))
        arrays = {name: stored(self, name) for name in ("image", "unrounded")}
        others = {name: getattr(self, name) for name in names if name not in arrays}
        return SimulationResult(**{**arrays, **others, **changes})

    def __repr__(self) -> str:
        n_slow, n_fast = self.image_buffer.shape
        return f"SimulationResult({n_fast} x {n_slow} pixels, {self.statistics!r})"


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value * factor
    return tuple(float(item) * factor for item in value)
