"""One look at a finished image: what no picture should have, and what the likely cause is.

Whatever engine rendered it, every image goes through `look` once.  The counting is C's, a small
part of what a render takes; causes are looked for only where something was found.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from nanobragg_hybrid.base.constants import R_E_SQR_M2
from nanobragg_hybrid.base.units import m_to_angstrom, m_to_mm
from nanobragg_hybrid.engines.c.images import odd_pixels
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan, Vector
from nanobragg_hybrid.model.structure_factors import StructureFactors

if TYPE_CHECKING:
    from nanobragg_hybrid.base.arrays import Array

Kind = Literal["nan", "infinite", "negative", "dark"]

_WHAT: Final = {"nan": "NaN", "infinite": "infinite", "negative": "below 0"}
DARK: Final = "the image is dark"
UNEXPLAINED: Final = "no setting was found that explains it"
"""How the sentence about a dark image begins; what it says where no cause is found."""
_SAME_WAVELENGTH: Final = 1e-4
"""How far, relative to it, a wavelength may be from that of structure factors."""
_SMALLEST_FLOAT: Final = 2.0**-149


class Finding(NamedTuple):
    """Something odd about an image.

    pixels: how many have it, of the `looked_at`; first: the first of them in raster order, (fast,
    slow), None for a dark image.  causes: likely ones, a clause each.
    """

    kind: Kind
    pixels: int
    looked_at: int
    first: tuple[int, int] | None
    causes: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentence for the user."""
        causes = "; ".join(self.causes)
        if self.first is None:
            return f"{DARK}: {causes}"
        fast, slow = self.first
        are = "pixel is" if self.pixels == 1 else "pixels are"
        return (
            f"{self.pixels} {are} {_WHAT[self.kind]}, of {self.looked_at}, the first at fast "
            f"{fast}, slow {slow}: {causes}"
        )


class Given(NamedTuple):
    """What an image was made from."""

    plan: ResolvedPlan
    experiment: Experiment
    table: StructureFactors
    quirks: Quirks


def look(image: Array, given: Given, *, is_lit_beside: bool = False) -> tuple[Finding, ...]:
    """What is odd about a rendered image, float32, shape (slow, fast).

    Pixels outside the region of interest and under the mask do not count: they are 0 on purpose.
    is_lit_beside: whether a background has light: then an image whose structure factors are all 0
    is meant to be dark.
    """
    plan, mask = given.plan, given.experiment.detector.mask
    odd = odd_pixels(image, plan.roi, mask)
    looked_at = odd["pixels"]
    if looked_at == 0:
        return (Finding("dark", 0, 0, None, (_nothing_to_render(plan),)),)
    if odd["lit"] == 0:
        if is_lit_beside and _no_amplitude(given) is not None:
            return ()
        return (Finding("dark", looked_at, looked_at, None, _causes("dark", given)),)
    kinds: tuple[Kind, ...] = ("nan", "infinite", "negative")
    return tuple(
        Finding(
            kind,
            odd[kind],
            looked_at,
            (odd[f"{kind}_fast"], odd[f"{kind}_slow"]),
            _causes(kind, given),
        )
        for kind in kinds
        if odd[kind] > 0
    )


def _nothing_to_render(plan: ResolvedPlan) -> str:
    fast_min, fast_max, slow_min, slow_max = plan.roi
    if fast_min > fast_max or slow_min > slow_max:
        return (
            f"the region of interest is empty (fast {fast_min} to {fast_max}, slow {slow_min} to "
            f"{slow_max})"
        )
    return "the mask skips every pixel of the region of interest"


def _causes(kind: Kind, given: Given) -> tuple[str, ...]:
    found = (cause(given) for kinds, cause in _TABLE if kind in kinds)
    return tuple(text for text in found if text is not None) or (_UNKNOWN[kind],)


_UNKNOWN: Final[dict[Kind, str]] = {
    "nan": "some number of the experiment is too large, too small or 0",
    "infinite": "more photons than a 32-bit float holds; look at the fluence, F and the cells",
    "negative": UNEXPLAINED,
    "dark": (
        f"{UNEXPLAINED}; the spots may fall between the pixels, or be too weak for 32-bit floats"
    ),
}


def _wavelengths(given: Given) -> list[float]:
    """Those of the sources, metres (model 5.2)."""
    plan, sources = given.plan, given.experiment.beam.sources
    spectrum = given.experiment.beam.spectrum
    if spectrum is not None:
        return list(spectrum.wavelengths_m)
    if sources is not None:
        own = [source.wavelength_m for source in sources]
        return [plan.wavelength_m if length is None else length for length in own]
    steps = range(max(plan.dispersion_steps, 1))
    shifts = (plan.dispersion_step * n - plan.dispersion_fraction / 2.0 for n in steps)
    return [plan.wavelength_m * (1.0 + shift) for shift in shifts]


def one_wavelength_note(given: Given) -> str | None:
    """That f' and f'' of the structure factors are for one wavelength, where the beam has others;
    None: they are for the beam's, or not known to depend on it."""
    report = given.table.report
    if report is None or report.wavelength_angstrom is None:
        return None
    of_table = report.wavelength_angstrom
    lengths = [m_to_angstrom(length) for length in _wavelengths(given)]
    low, high = min(lengths), max(lengths)
    if max(abs(low - of_table), abs(high - of_table)) <= _SAME_WAVELENGTH * of_table:
        return None
    beam = f"{low:g} to {high:g}" if high > low else f"{low:g}"
    return (
        f"the structure factors have f' and f'' for {of_table:g} angstrom, and are the same at all "
        f"wavelengths of the beam ({beam} angstrom): simulate_by_wavelength takes a table for each"
    )


def _no_wavelength(given: Given) -> str | None:
    count = sum(length == 0.0 for length in _wavelengths(given))
    return None if count == 0 else f"{count} of the sources have a wavelength of 0"


def _table_is_not_finite(given: Given) -> str | None:
    if given.table.allow_non_finite and not math.isfinite(sum(_amplitudes(given.table))):
        return "some structure factors are NaN or infinite"
    return None


def _negative_fudge(given: Given) -> str | None:
    fudge = given.experiment.crystal.shape_fudge
    return None if fudge >= 0.0 else f"the fudge factor of the crystal's shape, {fudge:g}, is < 0"


def _close_distance(given: Given) -> str | None:
    distance = given.plan.close_distance_m
    if distance < 0.0:
        return (
            f"the close distance, {m_to_mm(distance):g} mm, is below 0, and with it the solid "
            "angle: the detector's normal points towards the source"
        )
    return "the sample lies in the detector's plane (close distance 0)" if distance == 0.0 else None


def _impossible_cell(given: Given) -> str | None:
    if {"cell_volume", "reciprocal_length"} & set(given.plan.warnings):
        return "the cell is impossible"
    return None


def _kahn(given: Given) -> str | None:
    beam = given.experiment.beam
    is_used = beam.polarization_correction or given.experiment.sampling.oversample_polar
    if is_used and abs(beam.polarization_kahn) > 1.0:
        return f"the Kahn factor of the polarization, {beam.polarization_kahn:g}, is not -1 to 1"
    return None


def _negative_water(given: Given) -> str | None:
    water = given.experiment.crystal.water_um
    return f"the size of the water, {water:g} um, is below 0" if water < 0.0 else None


def _fluence(given: Given) -> str | None:
    fluence = given.plan.fluence_photons_per_m2
    if fluence == 0.0 or math.isnan(fluence):
        return f"the fluence is {fluence:g}"
    return f"the fluence, {fluence:g} photons/m^2, is below 0" if fluence < 0.0 else None


def _weights(given: Given) -> str | None:
    sources = given.experiment.beam.sources
    if sources is None or given.quirks.source_weights_ignored:
        return None
    count = sum(source.weight < 0.0 for source in sources)
    return f"{count} of the sources have a weight below 0" if count > 0 else None


def _no_amplitude(given: Given) -> str | None:
    if given.table.default_f == 0.0 and not any(_amplitudes(given.table)):
        return "every structure factor is 0"
    return None


def _outside_table(given: Given) -> str | None:
    """The table has no reflection that the detector sees: of nine pixels, none."""
    table, plan = given.table, given.plan
    if table.default_f != 0.0 or table.grid_buffer is None:
        return None
    axes = [
        _rotated(axis, plan.spindle_axis, plan.phi_rad)
        for axis in (plan.a0_m, plan.b0_m, plan.c0_m)
    ]
    nearest: list[tuple[int, ...]] = []
    for q in _scattering_vectors(given):
        index = [_dot(axis, q) for axis in axes]
        if not all(map(math.isfinite, index)):
            return None
        nearest.append(tuple(math.ceil(x - 0.5) for x in index))
    bounds = list(zip(table.hkl_min, table.hkl_max, strict=True))
    if any(
        all(low <= n <= high for n, (low, high) in zip(hkl, bounds, strict=True)) for hkl in nearest
    ):
        return None
    spans = ", ".join(f"{x} {low} to {high}" for x, (low, high) in zip("hkl", bounds, strict=True))
    middle = " ".join(map(str, nearest[len(nearest) // 2]))
    return (
        f"the structure factors ({spans}) are not those of this region, whose middle is near "
        f"{middle}, and there is no default F"
    )


def _dmin(given: Given) -> str | None:
    dmin_m = given.experiment.sampling.dmin_angstrom * 1e-10
    if dmin_m <= 0.0:
        return None
    spacings = [1.0 / length for q in _scattering_vectors(given) if (length := math.hypot(*q)) > 0]
    largest = max(spacings, default=math.inf)
    if dmin_m > largest:
        return (
            f"dmin, {m_to_angstrom(dmin_m):g} A, cuts all that this region sees, which ends at "
            f"{m_to_angstrom(largest):.3g} A"
        )
    return None


def _no_capture(given: Given) -> str | None:
    plan = given.plan
    if plan.sensor_thickness_m <= 0.0:
        if given.experiment.sampling.oversample_thick:
            return "oversample_thick without a sensor thickness: nothing is captured"
        return None
    depth = plan.sensor_layer_step_m * plan.sensor_attenuation_per_m
    if depth == 0.0:
        return "the sensor has no attenuation: nothing is captured"
    reaches_last = math.exp(-max(depth * (plan.sensor_layers - 1), 0.0))
    if given.quirks.thick_last_layer and reaches_last < 1e-30:
        return (
            "of the sensor's layers only the last one counts (quirk thick_last_layer), which no "
            "photon reaches"
        )
    return None


def _underflow(given: Given) -> str | None:
    plan, table = given.plan, given.table
    omega = (
        plan.pixel_size_m / plan.distance_m * (plan.pixel_size_slow_m / plan.distance_m)
        if plan.distance_m != 0.0
        else 1.0
    )
    of_one = R_E_SQR_M2 * plan.fluence_photons_per_m2 * omega
    of_one *= math.prod(plan.n_cells) * math.prod(plan.n_cells)
    brightest = 0.0
    for amplitude in itertools.chain((table.default_f,), _amplitudes(table)):
        brightest = max(brightest, of_one * amplitude * amplitude)
        if brightest >= _SMALLEST_FLOAT:  # of most tables it is one of the first that says so
            return None
    if brightest > 0.0:
        return f"a spot has some {brightest:.1e} photons, too few for a 32-bit float"
    return None


_ODD: Final = frozenset({"nan", "infinite"})
_TABLE: Final[tuple[tuple[frozenset[str], Callable[[Given], str | None]], ...]] = (
    (_ODD, _no_wavelength),
    (_ODD, _table_is_not_finite),
    (_ODD, _negative_fudge),
    (_ODD | {"negative", "dark"}, _close_distance),
    (_ODD | {"dark"}, _impossible_cell),
    (frozenset({"negative"}), _kahn),
    (frozenset({"negative"}), _negative_water),
    (frozenset({"negative", "dark", "nan"}), _fluence),
    (frozenset({"negative"}), _weights),
    (frozenset({"dark"}), _no_amplitude),
    (frozenset({"dark"}), _outside_table),
    (frozenset({"dark"}), _dmin),
    (frozenset({"dark"}), _no_capture),
    (frozenset({"dark"}), _underflow),
)
"""Which findings a cause can have, and what looks for it: a clause, or None."""


def _amplitudes(table: StructureFactors) -> Iterable[float]:
    """The table's, one after the other; nothing without a table."""
    buffer = table.grid_buffer
    return () if buffer is None else memoryview(buffer).cast("B").cast("d")


def _scattering_vectors(given: Given) -> list[Vector]:
    """q of nine pixels, three each way over the region, and of the one nearest to the beam; 1/m.

    Of the beam's own direction and the first wavelength.
    """
    plan = given.plan
    fast_min, fast_max, slow_min, slow_max = plan.roi
    width, height, wavelength_m = plan.pixel_size_m, plan.pixel_size_slow_m, _wavelengths(given)[0]
    if wavelength_m == 0.0:
        return []
    places = [
        (fast + 0.5, slow + 0.5)
        for slow in (slow_min, (slow_min + slow_max) // 2, slow_max)
        for fast in (fast_min, (fast_min + fast_max) // 2, fast_max)
    ]
    nearest = (
        min(max(plan.beam_fast_m / width, fast_min + 0.5), fast_max + 0.5),
        min(max(plan.beam_slow_m / height, slow_min + 0.5), slow_max + 0.5),
    )
    vectors = []
    for fast, slow in [*places, nearest]:
        position = [
            fast * width * f + slow * height * s + origin
            for f, s, origin in zip(plan.fast_axis, plan.slow_axis, plan.pix0_m, strict=True)
        ]
        length = math.hypot(*position) or 1.0
        x, y, z = (
            (p / length - b) / wavelength_m
            for p, b in zip(position, plan.beam_direction, strict=True)
        )
        vectors.append((x, y, z))
    return vectors


def _dot(x: Vector, y: Vector) -> float:
    return math.fsum(a * b for a, b in zip(x, y, strict=True))


def _rotated(v: Vector, k: Vector, angle_rad: float) -> Vector:
    """Rodrigues' rotation of v about the unit vector k."""
    sine, cosine = math.sin(angle_rad), math.cos(angle_rad)
    along = _dot(k, v) * (1.0 - cosine)
    cross = (k[1] * v[2] - k[2] * v[1], k[2] * v[0] - k[0] * v[2], k[0] * v[1] - k[1] * v[0])
    x, y, z = (a * cosine + c * sine + b * along for a, b, c in zip(v, k, cross, strict=True))
    return x, y, z
