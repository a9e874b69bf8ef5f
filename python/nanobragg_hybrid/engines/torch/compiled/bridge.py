"""Packed scenes rendered by the compiled kernels: values, gradients and Jacobians of pixels.

The functions of `eager/intensities.py` are the definition (model 6.1 to 6.8); the compiled ones
agree with them to rounding and hold nothing for each step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.base.errors import UnsupportedError
from nanobragg_hybrid.base.native_scene import (
    CRYSTAL_NUMBERS,
    LARGEST_PHASE_TURNS,
    LARGEST_WAVELENGTH_M,
    SCENE_NUMBERS,
    SMALLEST_WAVELENGTH_M,
    Factor,
    Lattice,
    Own,
    Scene,
    SceneDirections,
    Surface,
)
from nanobragg_hybrid.engines.torch.arithmetic.derivatives import sum_of
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Template
from nanobragg_hybrid.engines.torch.scenes.scene import Choices
from nanobragg_hybrid.model.conventions import SHAPES

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]


def _places(*names: str) -> NDArray[np.intp]:
    """Where these fields of a scene stand in `NUMBERS`, vectors as three."""
    found = []
    for name in names:
        vector = [f"{name}.{axis}" for axis in range(3)]
        found += [NUMBERS.index(x) for x in (vector if vector[0] in NUMBERS else [name])]
    return np.array(found)


_OF_SCENE: Final = _places(
    "fast",
    "slow",
    "normal",
    "pix0",
    "pixel",
    "layer_step",
    "attenuation",
    "close",
    "kahn",
    "polarization",
    "pixel_slow",
    "beam",
    "distance",
    "beam_fast",
    "beam_slow",
)
_OF_CRYSTAL: Final = _places(
    "n_cells", "fudge", "a_star", "b_star", "c_star", "default_f", "strength", "background", "water"
)
"""The positions of what `nbh_scene` calls its numbers, and those of a crystal, in its order."""

_N_CELLS: Final = _places("n_cells")
_WATER: Final = NUMBERS.index("water")
_WATER_M: Final = NUMBERS.index("water_m")
LARGEST_F: Final = 1e150
"""Of structure factors: the square of a larger one may be no double."""

_FUDGE: Final = NUMBERS.index("fudge")
_DEFAULT_F: Final = NUMBERS.index("default_f")
_WAVELENGTH: Final = 3
"""Its row among the numbers of sources."""
_LENGTHS: Final = _places("pix0", "pixel", "pixel_slow", "close", "layer_step", "distance")
_LARGEST_LENGTH_M: Final = 2.0**150
"""Of what is squared."""

NUMBERS_OF_RAYS: Final = torch.ones(len(NUMBERS), dtype=torch.bool).index_fill(
    0, torch.from_numpy(_OF_CRYSTAL), False
)
"""Which of `NUMBERS` do not belong to crystals."""

assert len(_OF_SCENE) == SCENE_NUMBERS
assert len(_OF_CRYSTAL) == CRYSTAL_NUMBERS


@dataclass(frozen=True, slots=True)
class FactorPlaces:
    """Where the factors of model 6.8 act; background: those that it has besides the pixel's."""

    capture: Factor
    polarization: Factor
    solid_angle: Factor
    background: Own = Own.NONE


def factor_places(choices: Choices) -> FactorPlaces:
    """Where the factors act, see `eager/factors.py`."""
    option = Factor.STEP if choices.running_product else Factor.RAY
    background = Own.NONE
    capture, polarization, solid_angle = Factor.NONE, Factor.NONE, Factor.PIXEL
    if choices.oversample_thick:
        capture = option
    elif choices.capture_per_layer or choices.capture_per_sample:
        capture = _own_capture(choices)
        background |= Own.CAPTURE
    elif choices.has_pixel_capture:
        capture = Factor.PIXEL
    if choices.oversample_polar:
        polarization = option
    elif choices.polar_per_source or choices.polar_per_sample:
        polarization = _own_polarization(choices)
        background |= Own.POLARIZATION
    elif choices.has_pixel_polarization:
        polarization = Factor.PIXEL
    if choices.oversample_omega:
        solid_angle = option
    elif choices.omega_per_sample:
        solid_angle = Factor.RAY
        background |= Own.SOLID_ANGLE
    return FactorPlaces(capture, polarization, solid_angle, background)


def _own_capture(choices: Choices) -> Factor:
    """Of each sample or of its layer, of each layer or of the last one."""
    if not choices.capture_per_sample:
        return Factor.LAYER
    return Factor.RAY if choices.capture_per_layer else Factor.LAST_LAYER


def _own_polarization(choices: Choices) -> Factor:
    """Of each source or of the first one, at each sample or at the first one."""
    if not choices.polar_per_source:
        return Factor.SAMPLE
    return Factor.RAY if choices.polar_per_sample else Factor.SOURCE


def water_factors(choices: Choices) -> Own:
    """What water of its own is multiplied with (water_background off), see `factors.water`."""
    found = Own.SOLID_ANGLE
    if choices.has_sensor:
        found |= Own.CAPTURE
    if choices.has_polarization:
        found |= Own.POLARIZATION
    if choices.water_sees_all_sources:
        found |= Own.OF_SOURCES
    if choices.water_sees_sub_pixels:
        found |= Own.OF_SUB_PIXELS
    return found


def _surface(choices: Choices) -> Surface:
    if choices.is_sphere:
        return Surface.SPHERE
    return Surface.TURNED if choices.is_curved else Surface.PLANE


def why_not(
    dtype: torch.dtype,
    device: torch.device,
    domain_weights: tuple[float, ...] | None = None,
) -> str | None:
    """Why the compiled kernels do not render there, or such domains; None if they do.

    What depends on values is left to `refusal`.
    """
    if device.type != "cpu":
        return f"the compiled kernels compute on the CPU, not on {device.type}"
    if dtype not in (torch.float64, torch.float32):
        return f"the compiled kernels compute in float64 or float32, not in {dtype}"
    if domain_weights is not None:
        return "the mosaic domains have weights of their own (mosaic_rotations)"
    return None


@dataclass(slots=True, eq=False)
class Visits:
    """Steps of the values that compiled kernels, or Triton's, computed: visited ones, and all."""

    visited: float | Tensor = 0.0
    every: float = 0.0


COUNTED: Final[ContextVar[Visits | None]] = ContextVar("COUNTED", default=None)
"""Where they are counted; None: nobody wants to know."""


class KernelChoices(NamedTuple):
    """Everything discrete about a scene, as whole numbers: an operator takes nothing else.

    capture, polarization, solid_angle: see `Factor`.  surface: see `Surface`.  background, water:
    see `Own`.  has_water: there may be some of its own.  shape: its place in `Shape`.
    """

    oversample: int
    layers: int
    capture: int
    polarization: int
    solid_angle: int
    has_pixel_area: int
    is_oblique: int
    surface: int
    faces_sample: int
    background: int
    water: int
    has_water: int
    steps: int
    shape: int
    interpolate: int
    h_min: int
    k_min: int
    l_min: int
    single_precision: int


def kernel_choices(
    choices: Choices,
    template: Template,
    *,
    interpolate: bool,
    dtype: torch.dtype = torch.float64,
) -> KernelChoices:
    """Those of scenes where `why_not` has nothing to say.

    interpolate: whether structure factors are interpolated where all nodes are in the table.
    dtype: float64, or float32 for sines, exponentials and what is made of them; scenes and results
    are float64 in either case.
    """
    places = factor_places(choices)
    return KernelChoices(
        choices.oversample,
        choices.layers,
        places.capture,
        places.polarization,
        places.solid_angle,
        choices.has_pixel_area,
        choices.is_oblique,
        _surface(choices),
        choices.faces_sample,
        places.background,
        water_factors(choices),
        template.constants[_WATER] != 0.0,
        choices.steps,
        SHAPES.index(choices.shape),
        interpolate,
        *((0, 0, 0) if template.hkl_min is None else template.hkl_min),
        dtype == torch.float32,
    )


class CompiledScene:
    """One packed scene, for pixels that are all treated alike; or several crystals in it.

    numbers, sources, cells, grid: as in `Packed`, plain tensors.  With one more dimension in front,
    numbers and cells are those of several crystals, of which each has an image; rays are the
    first one's.

    tolerance_photons: what steps that are left out may add to a pixel; their derivatives are left
    out with them.  0: every step is visited.

    The table is finite.  Raises `UnsupportedError` with the reason for other values that the
    kernels do not take, see `refusal`, and phases that are too large.
    """

    def __init__(
        self,
        numbers: Tensor,
        sources: Tensor,
        cells: Tensor,
        grid: Tensor | None,
        choices: KernelChoices,
        dmin_m: float,
        tolerance_photons: float = 0.0,
    ) -> None:
        rows, amplitude = np.atleast_2d(_array(numbers)), None if grid is None else _array(grid)
        for row in rows:
            reason = refusal(row, _array(sources))
            if reason is not None:
                raise UnsupportedError(reason)
        self._is_single = numbers.dim() == 1
        self._is_below_one = rows[:, _N_CELLS] < 1.0
        crystals = rows[:, _OF_CRYSTAL]
        crystals[:, :3] = np.maximum(crystals[:, :3], 1.0)
        self._scene = Scene(
            oversample=choices.oversample,
            layers=choices.layers,
            capture=Factor(choices.capture),
            polarization=Factor(choices.polarization),
            solid_angle=Factor(choices.solid_angle),
            has_pixel_area=bool(choices.has_pixel_area),
            is_oblique=bool(choices.is_oblique),
            surface=Surface(choices.surface),
            faces_sample=bool(choices.faces_sample),
            counts_zeros=bool(rows[0][_WATER_M] != 0.0),
            background_factors=Own(choices.background),
            water_factors=Own(choices.water),
            steps=float(choices.steps),
            dmin_m=dmin_m,
            numbers=rows[0][_OF_SCENE].tolist(),
            sources=np.ascontiguousarray(_array(sources).T),
            crystals=[
                _lattice(crystal, own, amplitude, choices)
                for crystal, own in zip(
                    crystals, _array(cells).reshape(len(rows), -1, 9), strict=True
                )
            ],
            strength=crystals[:, 14].tolist(),
            background=crystals[:, 15].tolist(),
            water=crystals[:, 16].tolist() if choices.has_water else None,
            tolerance_photons=tolerance_photons,
        )

    @property
    def culling(self) -> int:
        """Why every step is visited in spite of a tolerance, see `Scene.culling`."""
        return self._scene.culling

    def values(self, slow: Integers, fast: Integers) -> Tensor:
        """Photons, float64, shape (pixels,), or (crystals, pixels)."""
        visited_before, every_before = self._scene.visits  # of all calls so far
        values = _tensor(self._scene.values(slow, fast, torch.get_num_threads()))
        counted = COUNTED.get()
        if counted is not None:
            visited, every = self._scene.visits
            counted.visited += visited - visited_before
            counted.every += every - every_before
        return values[0] if self._is_single else values

    def gradients(
        self, slow: Integers, fast: Integers, weight: Tensor, *, want_grid: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Derivatives of the sum of `weight`, (pixels,), times values by numbers, sources, cells
        and grid; the last are None if they are not wanted or there is no table."""
        found = self._scene.gradients(
            slow, fast, _array(weight), want_grid, torch.get_num_threads()
        )
        numbers = np.zeros((len(found.cells_m), len(NUMBERS)))
        numbers[:, _OF_CRYSTAL] = found.crystals
        for row, is_below_one in zip(numbers, self._is_below_one, strict=True):
            row[_N_CELLS[is_below_one]] = 0.0
        numbers[0, _OF_SCENE] = found.numbers
        cells = torch.stack([_tensor(each) for each in found.cells_m])
        grids = [_tensor(each) for each in found.amplitude if each is not None]
        by_numbers = torch.from_numpy(numbers)
        return (
            by_numbers[0] if self._is_single else by_numbers,
            _tensor(found.sources).T.contiguous(),
            cells[0] if self._is_single else cells,
            sum_of(grids) if grids else None,
        )

    def tangents(
        self,
        slow: Integers,
        fast: Integers,
        numbers: Tensor,
        sources: Tensor,
        cells: Tensor,
        grid: Tensor | None,
    ) -> Tensor:
        """How values change, (pixels,), where all of these do; grid None: it does not."""
        along = self._with_limits(_array(numbers)[None])
        directions = SceneDirections(
            directions=1,
            numbers=np.ascontiguousarray(along[:, _OF_SCENE]),
            sources=np.ascontiguousarray(_array(sources).T)[None],
            crystal=np.ascontiguousarray(along[:, _OF_CRYSTAL]),
            rotations=None,
            reference_m=None,
            turning=(0,),
            turning_m=_array(cells)[None],
            amplitude=None if grid is None else _array(grid),
        )
        _, found = self._scene.jacobian(slow, fast, directions, torch.get_num_threads())
        return _tensor(found)[0]

    def jacobian(
        self,
        slow: Integers,
        fast: Integers,
        *,
        numbers: Floats,
        sources: Floats,
        rotations: Floats,
        reference_cell: Floats,
        turning: Sequence[tuple[int, Floats]],
    ) -> tuple[Tensor, Tensor]:
        """Values, (pixels,), and derivatives along P directions, (P, pixels).

        numbers: changes of the numbers, (P, 45).  sources: (P, 5, sources).  rotations: those of
        every orientation, (orientations, 3, 3), which make its cell of the reference cell.
        reference_cell: changes of that, (P, 9).  turning: directions in which cells change besides,
        with these changes, (orientations, 9).
        """
        numbers = self._with_limits(numbers)
        directions = SceneDirections(
            directions=len(numbers),
            numbers=np.ascontiguousarray(numbers[:, _OF_SCENE]),
            sources=np.ascontiguousarray(sources.transpose(0, 2, 1)),
            crystal=np.ascontiguousarray(numbers[:, _OF_CRYSTAL]),
            rotations=np.ascontiguousarray(rotations),
            reference_m=np.ascontiguousarray(reference_cell),
            turning=[place for place, _ in turning],
            turning_m=np.stack([cells for _, cells in turning]) if turning else None,
            amplitude=None,
        )
        values, found = self._scene.jacobian(slow, fast, directions, torch.get_num_threads())
        return _tensor(values), _tensor(found)

    def _with_limits(self, numbers: Floats) -> Floats:
        """Without changes of numbers of cells below 1, which count as 1."""
        if not self._is_below_one.any():
            return numbers
        numbers = numbers.copy()
        numbers[:, _N_CELLS[self._is_below_one[0]]] = 0.0
        return numbers


def _lattice(
    crystal: Floats, cells: Floats, amplitude: Floats | None, choices: KernelChoices
) -> Lattice:
    """crystal: its numbers, in their order in nbh.h."""
    numbers = crystal.tolist()
    return Lattice(
        shape=SHAPES[choices.shape],
        interpolate=bool(choices.interpolate),
        n_cells=numbers[:3],
        shape_fudge=numbers[3],
        star_per_angstrom=numbers[4:13],
        cells_m=cells,
        amplitude=amplitude,
        hkl_min=(choices.h_min, choices.k_min, choices.l_min),
        default_f=numbers[13],
        single_precision=bool(choices.single_precision),
    )


def refusal(numbers: Floats, sources: Floats) -> str | None:
    """Why the kernels do not take these numbers of a scene and its sources; None: they do."""
    if not numbers[_FUDGE] >= 0.0:
        return "the fudge factor is negative"
    if math.isinf(numbers[_FUDGE]):
        return "the fudge factor is not finite"
    if not np.isfinite(numbers[_N_CELLS]).all():
        return "a number of cells is not finite"
    if not abs(numbers[_DEFAULT_F]) <= LARGEST_F:
        return "default_f, or its square, is too large for a double"
    edge = math.hypot(*np.maximum(numbers[_N_CELLS], 1.0)) * math.sqrt(numbers[_FUDGE])
    if not 0.5 * edge < LARGEST_PHASE_TURNS:
        return "the fudge factor is too large"
    if (np.abs(numbers[_LENGTHS]) > _LARGEST_LENGTH_M).any():
        return "a length is too large to be squared"
    wavelengths = np.abs(sources[_WAVELENGTH])
    if not ((wavelengths >= SMALLEST_WAVELENGTH_M) & (wavelengths <= LARGEST_WAVELENGTH_M)).all():
        return "a wavelength is 0 or too small, too large, or no number"
    return None


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().contiguous().numpy()
    return array


def _tensor(buffer: object) -> Tensor:
    return torch.from_numpy(np.asarray(buffer))
