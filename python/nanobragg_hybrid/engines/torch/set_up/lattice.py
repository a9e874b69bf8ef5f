"""The crystal lattice: model 4."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.units import (
    cell_angstrom_to_m,
    deg_to_rad,
    mm_to_m,
    wavelength_m_to_per_angstrom,
)
from nanobragg_hybrid.engines.torch.arithmetic.scalars import (
    SMALLEST_NORMAL,
    Scalar,
    as_float,
    chosen,
    clipped,
    cos,
    is_less,
    magnitude_of,
    quotient,
    sin,
    sqrt,
)
from nanobragg_hybrid.engines.torch.arithmetic.vectors import (
    Matrix,
    Vector,
    cross,
    dot,
    mag,
    rescale,
    rot_mat,
    rot_xyz,
    rotation_about,
    scale,
)
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.random_rotations import (
    Shuffle,
    Stream,
    random_rotations,
    rotation_angles,
    uniform_rotation,
)
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks

ROTATION_MATRIX: Final = "crystal.rotation_matrix"
"""Name of the value that multiplies the crystal's vectors after the missetting, shape (3, 3)."""

ROTATION_VECTOR: Final = "crystal.rotation_vector_deg"
"""Name of the value that turns the crystal after the missetting: axis times angle in degrees."""

_RANDOM_MISSET_SPREAD: Final = 90.0  # radians, where degrees were meant (misset_random_radians)

_Star = tuple[Vector, Vector, Vector]


@dataclass(frozen=True, slots=True)
class Lattice:
    """The unit cell and its orientation (model 4.4).

    a, b, c: angstrom, before any spindle rotation.  a_star, b_star, c_star: 1/angstrom.  a0, b0,
    c0: metres.  volume: angstrom^3.  misset: radians, as used.  impossible_volume and
    negative_lengths say which of model 4.1's repairs were needed.
    """

    a: Vector
    b: Vector
    c: Vector
    a_star: Vector
    b_star: Vector
    c_star: Vector
    a0: Vector
    b0: Vector
    c0: Vector
    volume: Scalar
    misset: Vector
    impossible_volume: bool = False
    negative_lengths: bool = False


def lattice(inputs: Inputs, wavelength_m: Scalar, misset: Vector) -> Lattice:
    """Model 4.1 to 4.4; `misset` in radians, from `misset_angles`.

    Raises `ConfigError` for a crystal without cell and matrix.
    """
    has_cell = inputs.is_given("crystal.cell_angstrom")
    has_matrix = inputs.is_given("crystal.orientation_matrix")
    if not has_cell and not has_matrix:
        raise ConfigError("crystal.cell_angstrom", None, "a cell or an orientation matrix")
    if has_matrix and not inputs.quirks.cell_beside_matrix:
        has_cell = False  # the matrix alone
    cell = _Cell.of(inputs) if has_cell else None
    if has_matrix:
        star = _matrix_vectors(inputs.items("crystal.orientation_matrix"), wavelength_m)
    else:
        assert cell is not None
        star = cell.star
    a_star, b_star, c_star = (_turned_further(inputs, rot_xyz(vector, misset)) for vector in star)

    a_x_b, b_x_c, c_x_a = cross(a_star, b_star), cross(b_star, c_star), cross(c_star, a_star)
    star_volume = dot(a_star, b_x_c)
    if cell is not None:
        length_a, length_b, length_c = cell.lengths
        b_x_c = rescale(b_x_c, length_a / cell.volume)
        c_x_a = rescale(c_x_a, length_b / cell.volume)
        a_x_b = rescale(a_x_b, length_c / cell.volume)
        star_volume = 1.0 / cell.volume
    volume = quotient(1.0, star_volume)
    a, b, c = scale(b_x_c, volume), scale(c_x_a, volume), scale(a_x_b, volume)
    return Lattice(
        a=a,
        b=b,
        c=c,
        a_star=scale(cross(b, c), star_volume),
        b_star=scale(cross(c, a), star_volume),
        c_star=scale(cross(a, b), star_volume),
        a0=_in_metres(a),
        b0=_in_metres(b),
        c0=_in_metres(c),
        volume=volume,
        misset=misset,
        impossible_volume=cell is not None and cell.impossible_volume,
        negative_lengths=cell is not None and cell.negative_lengths,
    )


def _in_metres(vector: Vector) -> Vector:
    x, y, z = (cell_angstrom_to_m(component) for component in vector)
    return x, y, z


def misset_angles(inputs: Inputs, shuffle: Shuffle) -> Vector:
    """The missetting, radians: given, or drawn from its seed (model 4.3)."""
    crystal = inputs.experiment.crystal
    if not crystal.misset_random or inputs.is_live("crystal.misset_deg"):
        x, y, z = inputs.vector("crystal.misset_deg")
        return deg_to_rad(x), deg_to_rad(y), deg_to_rad(z)
    if crystal.misset_seed is None:
        raise ConfigError("crystal.misset_seed", None, "a seed for a random missetting")
    stream = Stream(shuffle, crystal.misset_seed)
    if not inputs.quirks.misset_random_radians:
        return rotation_angles(uniform_rotation(stream))
    rotations = random_rotations(stream, 1)
    x, y, z = (float(component) for component in rotations.axes[0])
    angle = float(rotations.angles(_RANDOM_MISSET_SPREAD)[0])
    return rotation_angles(rotation_about((x, y, z), angle))


@dataclass(frozen=True, slots=True)
class CrystalSize:
    """Numbers of cells along a, b, c; size after clipping, m (0: not given); what was clipped."""

    n_cells: tuple[float, float, float]
    size_m: tuple[float, float, float]
    clipped_x: bool
    clipped_y: bool
    clipped_z: bool


def crystal_size(
    experiment: Experiment, quirks: Quirks, cell: Lattice, beam_direction: Vector
) -> CrystalSize:
    """Model 2 (clipping) and 4.5, for a lattice and a beam of floats."""
    size = [0.0 if mm is None else mm_to_m(mm) for mm in experiment.crystal.size_mm]
    beam = mm_to_m(experiment.beam.beam_size_mm)
    was_clipped = [False, False, False]
    if beam >= 0.0:
        for axis in range(3):
            if quirks.beam_clips_y_and_z:
                limit = math.inf if axis == 0 else beam
            else:  # what a length along the axis shows to the beam is no longer than that
                sine = math.hypot(*(as_float(b) for n, b in enumerate(beam_direction) if n != axis))
                limit = beam / sine if sine > 0.0 else math.inf
            was_clipped[axis] = size[axis] > limit
            size[axis] = min(size[axis], limit)
    counts = []
    for given_mm, metres, count, vector in zip(
        experiment.crystal.size_mm,
        size,
        experiment.crystal.n_cells,
        (cell.a0, cell.b0, cell.c0),
        strict=True,
    ):
        fitting = count
        if given_mm is not None:
            cells = as_float(quotient(metres, as_float(mag(vector))))
            fitting = float(math.ceil(cells)) if math.isfinite(cells) else cells
        counts.append(max(float(fitting), 1.0))
    na, nb, nc = counts
    x, y, z = size
    return CrystalSize((na, nb, nc), (x, y, z), *was_clipped)


def recommended_oversample(
    cell: Lattice,
    n_cells: tuple[float, float, float],
    wavelength_m: float,
    distance: float,
    pixel: float,
) -> int:
    """Sub-pixels along each edge of a pixel that the spots need (model 4.5)."""
    extent = max(
        as_float(mag(vector)) * count
        for vector, count in zip((cell.a0, cell.b0, cell.c0), n_cells, strict=True)
    )
    wanted = quotient(3.0 * extent, wavelength_m * distance / pixel)
    number = as_float(wanted)
    if not number > 0.0:
        return 1
    return math.ceil(number) if number < INT32_MAX else INT32_MAX


@dataclass(frozen=True, slots=True)
class _Cell:
    """Model 4.1: lengths and volume in angstrom, and reciprocal vectors in 1/angstrom."""

    lengths: Vector
    volume: Scalar
    star: _Star
    impossible_volume: bool
    negative_lengths: bool

    @classmethod
    def of(cls, inputs: Inputs) -> _Cell:
        """The cell that the inputs give."""
        a, b, c = inputs.vector("crystal.cell_angstrom")
        alpha, beta, gamma = (deg_to_rad(angle) for angle in inputs.items("crystal.cell_deg"))
        m = (alpha + beta + gamma) / 2.0
        skew = magnitude_of(sin(m) * sin(m - alpha) * sin(m - beta) * sin(m - gamma))
        volume = 2.0 * a * b * c * sqrt(skew)
        impossible_volume = isinstance(volume, float) and volume <= 0.0
        if impossible_volume:
            volume = SMALLEST_NORMAL
        star_volume = 1.0 / volume
        lengths = [
            b * c * sin(alpha) * star_volume,
            c * a * sin(beta) * star_volume,
            a * b * sin(gamma) * star_volume,
        ]
        negative_lengths = any(isinstance(x, float) and x <= 0.0 for x in lengths)
        a_star, b_star, c_star = (magnitude_of(x) for x in lengths)
        sin_gamma_star = clipped(c * star_volume / a_star / b_star, -1.0, 1.0)
        cos_alpha_star = _cosine((cos(beta) * cos(gamma) - cos(alpha)) / (sin(beta) * sin(gamma)))
        cos_beta_star = _cosine((cos(gamma) * cos(alpha) - cos(beta)) / (sin(gamma) * sin(alpha)))
        cos_gamma_star = _cosine((cos(alpha) * cos(beta) - cos(gamma)) / (sin(alpha) * sin(beta)))
        if inputs.quirks.triclinic_cell:  # right only if two angles are 90 degrees
            along_z = c_star * volume / (a * b * c * sin_gamma_star)
        else:
            along_z = 1.0 / c
        star = (
            (a_star, 0.0, 0.0),
            (b_star * cos_gamma_star, b_star * sin_gamma_star, 0.0),
            (
                c_star * cos_beta_star,
                c_star * (cos_alpha_star - cos_beta_star * cos_gamma_star) / sin_gamma_star,
                along_z,
            ),
        )
        return cls((a, b, c), volume, star, impossible_volume, negative_lengths)


def _cosine(x: Scalar) -> Scalar:
    return chosen(is_less(1.0, x * x), 1.0, x)


def _matrix_vectors(m: tuple[Scalar, ...], wavelength_m: Scalar) -> _Star:
    """Row i of the matrix holds component i of a*, b*, c* times the wavelength in angstrom."""
    factor = wavelength_m_to_per_angstrom(wavelength_m)
    return (
        scale((m[0], m[3], m[6]), factor),
        scale((m[1], m[4], m[7]), factor),
        scale((m[2], m[5], m[8]), factor),
    )


def _turned_further(inputs: Inputs, vector: Vector) -> Vector:
    """Turned by the rotations that only exist as values."""
    if inputs.is_live(ROTATION_MATRIX):
        m = inputs.items(ROTATION_MATRIX)
        rows: Matrix = ((m[0], m[1], m[2]), (m[3], m[4], m[5]), (m[6], m[7], m[8]))
        vector = rot_mat(vector, rows)
    if inputs.is_live(ROTATION_VECTOR):
        x, y, z = (deg_to_rad(angle) for angle in inputs.items(ROTATION_VECTOR))
        vector = _rotated_by(vector, (x, y, z))
    return vector


def _rotated_by(v: Vector, w: Vector) -> Vector:
    """v turned about w by the length of w in radians, smooth at w = 0 (Rodrigues)."""
    square = dot(w, w)
    half = _sine_over_angle(square / 4.0)
    first = _sine_over_angle(square)
    second = 0.5 * half * half  # (1 - cos(angle))/angle^2
    once = cross(w, v)
    twice = cross(w, once)
    x, y, z = (p + first * q + second * r for p, q, r in zip(v, once, twice, strict=True))
    return x, y, z


def _sine_over_angle(square: Scalar) -> Scalar:
    """sin(angle)/angle as a function of the angle's square, with two derivatives to all digits."""
    is_small = is_less(square, 0.01)
    angle = sqrt(chosen(is_small, 1.0, square))
    series: Scalar = 1.0
    for product in (110.0, 72.0, 42.0, 20.0, 6.0):
        series = 1.0 - square / product * series
    return chosen(is_small, series, sin(angle) / angle)
