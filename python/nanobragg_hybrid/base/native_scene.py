"""Lattice sums, and pixels with derivatives, by the compiled kernels of the C library.

Only this module, `native` and `engines.c` import the compiled extension.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from nanobragg_hybrid.base.errors import NOT_BUILT, UnsupportedError

try:
    from nanobragg_hybrid import _core
except ImportError as error:
    error.add_note(NOT_BUILT)
    raise

if TYPE_CHECKING:
    from nanobragg_hybrid.base.arrays import Array, Buffer

_TOO_LARGE: Final = 3
_AUTO_KERNEL: Final = 0
_SHAPE_NUMBERS: Final[Mapping[str, int]] = MappingProxyType(
    {"square": 0, "round": 1, "gauss": 2, "tophat": 3, "gauss_hkl": 4, "tophat_hkl": 5}
)
"""NBH_TOO_LARGE, NBH_KERNEL_AUTO and the numbers of nbh_shape; a test compares them with nbh.h."""


class Factor(enum.IntEnum):
    """Where a factor of a pixel's value acts (`nbh_factor_place`, model 6.8)."""

    NONE = 0
    PIXEL = 1
    RAY = 2
    STEP = 3
    LAYER = 4
    LAST_LAYER = 5
    SOURCE = 6
    SAMPLE = 7


class Surface(enum.IntEnum):
    """Where the samples of pixels are (`nbh_detector_surface`, model 6.2)."""

    PLANE = 0
    TURNED = 1
    SPHERE = 2


class Own(enum.IntFlag):
    """Factors that background or water has for itself (`nbh_own_factors`)."""

    NONE = 0
    CAPTURE = 1
    POLARIZATION = 2
    SOLID_ANGLE = 4
    OF_SOURCES = 8
    OF_SUB_PIXELS = 16


LARGEST_INDEX: Final = 1e9
LARGEST_PHASE_TURNS: Final = 524288.0
"""Of a Miller index, and of its product with a number of cells, or half the edge of a crystal
times the root of its fudge factor: nothing larger is taken."""

SMALLEST_WAVELENGTH_M: Final = 2.0**-150
LARGEST_WAVELENGTH_M: Final = 2.0**150
"""Others are refused."""

SCENE_NUMBERS: Final = 27
SOURCE_NUMBERS: Final = 5
CRYSTAL_NUMBERS: Final = 17
"""Of a scene, of each of its sources, of each of its crystals; their order is that of nbh.h."""


class Lattice:
    """A crystal in several orientations (`nbh_lattice`, model 6.5).

    shape: see `model.conventions.Shape`.  n_cells: at least 1.  star_per_angstrom: a*, b*, c*.
    cells_m: float64, (orientations, 9): a, b, c of each.  amplitude: float64, (h, k, l), from the
    indices hkl_min on, or None.  interpolate: F is interpolated where all nodes are in the table.
    single_precision: sines, exponentials and what is made of them are float32 (docs/accuracy.md).
    """

    def __init__(
        self,
        *,
        shape: str,
        interpolate: bool,
        n_cells: Sequence[float],
        shape_fudge: float,
        star_per_angstrom: Sequence[float],
        cells_m: Array,
        amplitude: Array | None,
        hkl_min: tuple[int, int, int],
        default_f: float,
        single_precision: bool = False,
    ) -> None:
        self.core = _core.Lattice(
            _AUTO_KERNEL,
            _SHAPE_NUMBERS[shape],
            interpolate,
            n_cells,
            shape_fudge,
            star_per_angstrom,
            cells_m,
            amplitude,
            hkl_min,
            default_f,
            single_precision,
        )


class SceneGradient(NamedTuple):
    """Derivatives of a weighted sum of pixels, float64.

    numbers: (27,).  sources: (sources, 5).  crystals: (crystals, 17).  cells_m, amplitude: for each
    crystal (orientations, 9), and like its table, None if that was not wanted.
    """

    numbers: Buffer
    sources: Buffer
    crystals: Buffer
    cells_m: Sequence[Buffer]
    amplitude: Sequence[Buffer | None]


class SceneDirections(NamedTuple):
    """Directions in which a scene of one crystal changes, float64; None: not at all.

    numbers: (directions, 27).  sources: (directions, sources, 5).  crystal: (directions, 17).
    rotations: (orientations, 9), row by row: cells are these times a reference cell, whose changes
    are reference_m, (directions, 9).  turning: directions in which cells change besides, and
    turning_m, (turning, orientations, 9), by how much.  amplitude: change of the table in direction
    0.
    """

    directions: int
    numbers: Array | None
    sources: Array | None
    crystal: Array | None
    rotations: Array | None
    reference_m: Array | None
    turning: Sequence[int]
    turning_m: Array | None
    amplitude: Array | None


class Scene:
    """Crystals on a detector: pixels and their derivatives (`nbh_scene`, model 6.1 to 6.8).

    capture, polarization, solid_angle: where these factors act.  The others are as `nbh_scene` has
    them; sources float64, (sources, 5); water None: there is none.  Each crystal has an image of
    its own.  Pixels are int32 arrays of slow and fast numbers.

    tolerance_photons: >= 0; steps are left out that together are less than this in every pixel, and
    their derivatives with them.  0: every step is visited.

    What the compiled kernels do not compute is an `UnsupportedError` when it is asked for.
    """

    def __init__(
        self,
        *,
        oversample: int,
        layers: int,
        capture: Factor,
        polarization: Factor,
        solid_angle: Factor,
        has_pixel_area: bool,
        is_oblique: bool,
        surface: Surface,
        faces_sample: bool,
        counts_zeros: bool,
        background_factors: Own,
        water_factors: Own,
        steps: float,
        dmin_m: float,
        numbers: Sequence[float],
        sources: Array,
        crystals: Sequence[Lattice],
        strength: Sequence[float],
        background: Sequence[float],
        water: Sequence[float] | None,
        tolerance_photons: float = 0.0,
    ) -> None:
        self._scene = _core.Scene(
            oversample,
            layers,
            (capture, polarization, solid_angle),
            has_pixel_area,
            is_oblique,
            surface,
            faces_sample,
            counts_zeros,
            background_factors,
            water_factors,
            steps,
            dmin_m,
            numbers,
            sources,
            [crystal.core for crystal in crystals],
            strength,
            background,
            water,
            tolerance_photons,
        )

    @property
    def culling(self) -> int:
        """Why every step is visited in spite of a tolerance (`nbh_culling_reason`); 0: not so."""
        with _unsupported():
            reason: int = self._scene.culling
        return reason

    @property
    def visits(self) -> tuple[float, float]:
        """Steps of all `values` so far: those that were visited, and all."""
        visited, every = self._scene.visits
        return visited, every

    def values(self, slow: Array, fast: Array, threads: int) -> Buffer:
        """Photons, float64, shape (crystals, pixels)."""
        with _unsupported():
            return self._scene.values(slow, fast, threads)

    def gradients(
        self, slow: Array, fast: Array, weight: Array, want_amplitude: bool, threads: int
    ) -> SceneGradient:
        """Of the sum of `weight` times `values`; the same bits for any number of threads."""
        with _unsupported():
            found = self._scene.gradients(slow, fast, weight, want_amplitude, threads)
        return SceneGradient(*found)

    def jacobian(
        self, slow: Array, fast: Array, along: SceneDirections, threads: int
    ) -> tuple[Buffer, Buffer]:
        """Values of the only crystal, (pixels,), and their derivatives, (directions, pixels)."""
        with _unsupported():
            return self._scene.jacobian(slow, fast, *along, threads)


@contextmanager
def _unsupported() -> Iterator[None]:
    """Turns what the lattice sums refuse into `UnsupportedError`."""
    try:
        yield
    except _core.Error as error:
        if error.status == _TOO_LARGE:
            raise UnsupportedError(f"{error.field}: {error.message}") from None
        raise
