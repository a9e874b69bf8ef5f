"""A scene as a few tensors and back: what goes into a render as one step of autograd."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector, as_tensor
from nanobragg_hybrid.engines.torch.scenes.scene import Cells, Scene, SceneNumbers, Sources
from nanobragg_hybrid.engines.torch.scenes.structure_factors import Table
from nanobragg_hybrid.engines.torch.scenes.transfers import constants_on

_SCALARS: Final = (
    "pixel",
    "pixel_slow",
    "distance",
    "close",
    "beam_fast",
    "beam_slow",
    "layer_step",
    "attenuation",
    "kahn",
    "fudge",
    "default_f",
    "strength",
    "background",
    "water",
    "water_m",
)
_VECTORS: Final = (
    "fast",
    "slow",
    "normal",
    "beam",
    "pix0",
    "polarization",
    "a_star",
    "b_star",
    "c_star",
    "n_cells",
)
NUMBERS: Final[tuple[str, ...]] = (
    *_SCALARS,
    *(f"{name}.{axis}" for name in _VECTORS for axis in range(3)),
)
"""The scene's numbers in the order of `Packed.numbers`: fields of `Scene`, components by number."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A scene's continuous content, float64.

    numbers: those of `NUMBERS`, shape (45,).  sources: for each the components of its incident
    direction, wavelength and relative weight (1 where weights are ignored), shape (5, sources).
    cells: a, b, c of each orientation, shape (orientations, 9).  run_start: the same for each
    domain, where the first phi loop of the run differs, or None.  grid: the table, or None.
    """

    numbers: Tensor
    sources: Tensor
    cells: Tensor
    run_start: Tensor | None
    grid: Tensor | None


@dataclass(frozen=True, slots=True)
class Template:
    """What packing leaves out: which numbers are live (tensors; the others are floats that keep
    their value), and what is no number."""

    constants: tuple[float | None, ...]
    has_weights: bool
    hkl_min: tuple[int, int, int] | None

    @property
    def live(self) -> list[int]:
        """Which of `NUMBERS` are tensors."""
        return [n for n, value in enumerate(self.constants) if value is None]


def pack(scene: Scene) -> tuple[Packed, Template]:
    """The tensors of a scene, differentiable, and what else it takes to make it again."""
    scalars = numbers_in_order(scene)
    constants = tuple(None if isinstance(x, Tensor) else float(x) for x in scalars)
    template = Template(
        constants,
        scene.sources.relative_weight is not None,
        None if scene.table is None else scene.table.hkl_min,
    )
    device = scene.sources.wavelength.device
    numbers = constants_on(device, [0.0 if x is None else x for x in constants])
    if template.live:
        own = zip(scalars, numbers.unbind(), strict=True)
        numbers = torch.stack([x.reshape(()) if isinstance(x, Tensor) else c for x, c in own])
    incident = [as_tensor(x) for x in scene.sources.incident]
    weight = scene.sources.relative_weight
    if weight is None:
        weight = torch.ones_like(scene.sources.wavelength)
    return Packed(
        numbers,
        torch.stack([*incident, scene.sources.wavelength, weight]),
        _packed_cells(scene.cells),
        None if scene.run_start is None else _packed_cells(scene.run_start),
        None if scene.table is None else scene.table.grid,
    ), template


def unpack(packed: Packed, template: Template) -> Scene:
    """The scene of `pack`."""
    # Views: a list of places would have to be brought to the device first.
    every = packed.numbers.unbind()
    numbers: dict[str, Scalar] = {
        name: own if constant is None else constant
        for name, own, constant in zip(NUMBERS, every, template.constants, strict=True)
    }
    x, y, z, wavelength, weight = packed.sources.unbind()
    fields: dict[str, Any] = {name: numbers[name] for name in _SCALARS}
    for name in _VECTORS:
        fields[name] = tuple(numbers[f"{name}.{axis}"] for axis in range(3))
    table = None
    if packed.grid is not None:
        assert template.hkl_min is not None
        table = Table(packed.grid, template.hkl_min, fields["default_f"])
    return Scene(
        **fields,
        sources=Sources((x, y, z), wavelength, weight if template.has_weights else None),
        cells=_cells(packed.cells),
        run_start=None if packed.run_start is None else _cells(packed.run_start),
        table=table,
    )


def tensors(packed: Packed) -> list[Tensor | None]:
    """The five of them, in the order of the fields."""
    return [getattr(packed, field.name) for field in dataclasses.fields(packed)]


def assembled(parts: Iterable[Tensor | None]) -> Packed:
    """What `tensors` took apart."""
    numbers, sources, cells, run_start, grid = parts
    assert numbers is not None
    assert sources is not None
    assert cells is not None
    return Packed(numbers, sources, cells, run_start, grid)


def numbers_in_order(scene: SceneNumbers) -> list[Scalar]:
    """The numbers that `NUMBERS` names."""
    scalars: list[Scalar] = [getattr(scene, name) for name in _SCALARS]
    for name in _VECTORS:
        scalars.extend(getattr(scene, name))
    return scalars


def _packed_cells(cells: Cells) -> Tensor:
    components = [as_tensor(x) for vector in (cells.a, cells.b, cells.c) for x in vector]
    return torch.stack(components, dim=-1)


def _cells(packed: Tensor) -> Cells:
    ax, ay, az, bx, by, bz, cx, cy, cz = packed.unbind(-1)
    a: Vector = (ax, ay, az)
    return Cells(a, (bx, by, bz), (cx, cy, cz))
