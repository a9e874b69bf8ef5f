"""The set-up for some live values, recorded once: from numbers to a packed scene and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nanobragg_hybrid.engines.torch.arithmetic.axis_rotations import Array
from nanobragg_hybrid.engines.torch.arithmetic.tape import Recording, Symbol
from nanobragg_hybrid.engines.torch.arithmetic.vectors import scale
from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS, Template, numbers_in_order
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.quantities import GRID, numbers_of
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.engines.torch.set_up.sources import DISTANCE_M, POSITIONS
from nanobragg_hybrid.engines.torch.set_up.tables import Tables
from nanobragg_hybrid.engines.torch.values.source_rays import (
    ARRAYS,
    BeamNumbers,
    SourceRays,
    SourceTables,
)
from nanobragg_hybrid.engines.torch.values.turned_cells import (
    CellTables,
    TurnedCells,
    TurningNumbers,
)

_N: Final = len(NUMBERS)
_REAL: Final = slice(_N, _N + 9)
_SPINDLE: Final = slice(_N + 9, _N + 12)
_START, _STEP, _SPREAD = range(_N + 12, _N + 15)
_UPSTREAM: Final = slice(_N + 15, _N + 18)
_POLARIZATION: Final = slice(_N + 18, _N + 21)
_VERTICAL: Final = slice(_N + 21, _N + 24)
_WAVELENGTH: Final = _N + 24
_TURNING: Final = slice(_N + 9, _N + 15)
_DIRECTIONS: Final = slice(_N + 15, _N + 24)
_BEAM: Final = slice(_N + 15, _N + 25)
"""Where the tape's outputs are."""


class RecordedSetup:
    """The set-up for values of some names, with so many numbers each.

    slots: where the numbers of a value are among the inputs of the tape.
    """

    def __init__(self, setup: Setup, tables: Tables, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes
        self.slots: dict[str, slice] = {}
        count = 0
        for name, size in sizes.items():
            if name != GRID and name not in ARRAYS:
                self.slots[name] = slice(count, count + size)
                count += size
        recording = Recording(count)
        symbols: Any = {name: recording.inputs[slot] for name, slot in self.slots.items()}
        arrays: dict[str, tuple[float, ...]] = {name: () for name in sizes if name not in symbols}
        inputs = Inputs(
            setup.experiment, setup.structure_factors, setup.quirks, {**symbols, **arrays}
        )
        numbers, origins = numbers_of(setup, inputs)
        single: list[object] = list(numbers_in_order(numbers))
        turning, beam = origins.turning, origins.beam
        outputs: Any = [
            *single,
            *(component for vector in origins.real for component in vector),
            *turning.spindle,
            turning.phi_start,
            turning.phi_step,
            0.0 if turning.mosaic_spread is None else turning.mosaic_spread,
            *scale(beam.direction, DISTANCE_M),
            *beam.polarization,
            *beam.vertical,
            beam.wavelength,
        ]
        self.has_spread = turning.mosaic_spread is not None
        self.constants = tuple(None if isinstance(x, Symbol) else _constant(x) for x in single)
        self.tape = recording.tape(outputs)
        self._is_live: dict[tuple[str, ...], tuple[bool, ...]] = {}
        self.cell_tables = CellTables(setup, tables)
        self.source_tables = SourceTables(setup, tables)
        self.hkl_min = None if tables.grid is None else setup.structure_factors.hkl_min

    def is_live(self, wanted: tuple[str, ...]) -> tuple[bool, ...]:
        """Whether numbers, sources, cells and run_start have derivatives by any of some values."""
        if wanted not in self._is_live:
            needs = [self._needs(name) for name in wanted]
            self._is_live[wanted] = tuple(any(each) for each in zip(*needs, strict=True))
        return self._is_live[wanted]

    def _needs(self, name: str) -> tuple[bool, bool, bool, bool]:
        if name not in self.slots:
            return False, True, False, False
        slot = self.slots[name]
        own = (1 << slot.stop) - (1 << slot.start)
        depends = [bits & own != 0 for bits in self.tape.depends_on]
        upstream, axes, wavelength = self.source_tables.uses(self.sizes)
        in_sources = (
            (upstream and any(depends[_UPSTREAM]))
            or (axes and (any(depends[_POLARIZATION]) or any(depends[_VERTICAL])))
            or (wavelength and depends[_WAVELENGTH])
        )
        at_rest = any(depends[_REAL]) or depends[_SPREAD]
        return any(depends[:_N]), in_sources, at_rest or any(depends[_TURNING]), at_rest

    @np.errstate(all="ignore")
    def evaluate(self, values: Mapping[str, Array]) -> SetupValues:
        """The scene for some numbers of all the names; arrays of any shape."""
        flat: list[float] = []
        for name in self.slots:
            flat.extend(values[name].ravel().tolist())
        live = {name: values[name] for name in ARRAYS if name in values}
        return SetupValues(self, self.tape.replay(flat), live)


class SetupValues:
    """A scene's content, as in `Packed`, and its derivatives.

    numbers: shape (45,).  sources: (5, sources).  cells: (orientations, 9).  run_start: (domains,
    9), or None.
    """

    def __init__(
        self, recorded: RecordedSetup, steps: list[float], live: Mapping[str, Array]
    ) -> None:
        self._recorded = recorded
        self._steps = steps
        results = np.array(recorded.tape.results(steps))
        self._results = results
        self._rays = SourceRays(recorded.source_tables, _beam_of(results), live)
        self._cells = TurnedCells(
            recorded.cell_tables,
            results[_REAL].reshape(3, 3),
            results[_SPINDLE],
            float(results[_START]),
            float(results[_STEP]),
            float(results[_SPREAD]) if recorded.has_spread else None,
        )
        self.numbers: Array = results[:_N].copy()
        self.sources = self._rays.packed
        self.cells = self._cells.cells
        self.run_start = self._cells.run_start
        self.template = Template(recorded.constants, self._rays.has_weights, recorded.hkl_min)

    @np.errstate(all="ignore")
    def gradient(
        self,
        by_numbers: Array | None,
        by_sources: Array | None,
        by_cells: Array | None,
        by_run_start: Array | None,
    ) -> dict[str, Array]:
        """By all values but the structure factors, flat; None stands for zeros."""
        recorded = self._recorded
        weights = np.zeros(len(self._results))
        by_arrays: dict[str, Array] = {}
        if by_numbers is not None:
            weights[:_N] = by_numbers
        if by_sources is not None:
            moves = any(recorded.tape.depends_on[_DIRECTIONS])
            beam, by_arrays = self._rays.gradient(by_sources, moves=moves)
            weights[_UPSTREAM] = beam.upstream
            weights[_POLARIZATION] = beam.polarization
            weights[_VERTICAL] = beam.vertical
            weights[_WAVELENGTH] = beam.wavelength
        if by_cells is not None or by_run_start is not None:
            if by_cells is None:
                by_cells = np.zeros(self.cells.shape)
            turns = any(recorded.tape.depends_on[_TURNING])
            by_real, turning = self._cells.gradient(by_cells, by_run_start, turns=turns)
            weights[_REAL] = by_real.ravel()
            if turning is not None:
                weights[_SPINDLE] = turning.spindle
                weights[_START] = turning.phi_start
                weights[_STEP] = turning.phi_step
                weights[_SPREAD] = turning.mosaic_spread
        flat = np.array(recorded.tape.gradient(self._steps, weights.tolist()))
        gradient = {name: flat[slot] for name, slot in recorded.slots.items()}
        for name in ARRAYS:
            if name in recorded.sizes:
                zeros = np.zeros(recorded.sizes[name])
                gradient[name] = by_arrays[name].ravel() if name in by_arrays else zeros
        return gradient

    @np.errstate(all="ignore")
    def tangents(self, names: Sequence[str]) -> SceneTangents:
        """Derivatives by all numbers of some of the values, one after the other."""
        recorded = self._recorded
        count = sum(recorded.sizes[name] for name in names)
        columns: list[int] = []
        inputs: list[int] = []
        live: dict[str, Array] = {}
        at = 0
        for name in names:
            size = recorded.sizes[name]
            if name in recorded.slots:
                slot = recorded.slots[name]
                columns.extend(range(at, at + size))
                inputs.extend(range(slot.start, slot.stop))
            else:
                own = np.zeros((count, size))
                own[at : at + size] = np.eye(size)
                live[name] = own.reshape(count, -1, 3) if name == POSITIONS else own
            at += size
        outputs = np.zeros((count, len(self._results)))
        outputs[columns] = recorded.tape.jacobian(self._steps, inputs).T
        sources = np.zeros((count, *self.sources.shape))
        moving = np.flatnonzero(outputs[:, _BEAM].any(axis=1) | _any_of(live, count))
        if len(moving):
            own_live = {name: tangent[moving] for name, tangent in live.items()}
            sources[moving] = self._rays.tangents(_beam_of(outputs[moving].T), own_live)
        matrices, start = self._cells.matrices()
        return SceneTangents(
            numbers=outputs[:, :_N],
            sources=sources,
            rotations=matrices,
            run_start_rotations=start,
            reference_cell=self._results[_REAL].copy(),
            reference_cell_tangents=outputs[:, _REAL],
            turning=self._turning(outputs),
        )

    def _turning(self, outputs: Array) -> tuple[TurningTangent, ...]:
        """For the parameters that change rotations, from the tangents of all outputs."""
        which = np.flatnonzero(outputs[:, _TURNING].any(axis=1))
        if not len(which):
            return ()
        own = outputs[which]
        by = TurningNumbers(own[:, _SPINDLE], own[:, _START], own[:, _STEP], own[:, _SPREAD])
        cells, start = self._cells.tangents(by)
        return tuple(
            TurningTangent(int(p), cells[n], None if start is None else start[n])
            for n, p in enumerate(which)
        )


@dataclass(frozen=True, slots=True, eq=False)
class TurningTangent:
    """What one number does to rotations.

    number: which of the P.  cells: derivative of each orientation's cell with the reference cell at
    rest, shape (orientations, 9).  run_start: the same of `Packed.run_start`, shape (domains, 9).
    """

    number: int
    cells: Array
    run_start: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class SceneTangents:
    """Derivatives of a scene by P numbers, those of some parameters one after the other; float64.

    numbers: of `Packed.numbers`, shape (P, 45).  sources: of `Packed.sources`, (P, 5, sources).
    The cell of orientation o is rotations[o] times each vector of the reference cell (before phi
    and domains): rotations has shape (orientations, 3, 3), reference_cell (9,), and its
    derivatives (P, 9).  run_start_rotations: the same for `Packed.run_start`, (domains, 3, 3), or
    None.
    turning: for each number that changes rotations what that adds.
    """

    numbers: Array
    sources: Array
    rotations: Array
    run_start_rotations: Array | None
    reference_cell: Array
    reference_cell_tangents: Array
    turning: tuple[TurningTangent, ...]

    def changes(self, n: int) -> tuple[Array, Array, Array, Array | None]:
        """How the four tensors of a `Packed` besides the grid change with number n."""
        reference = self.reference_cell_tangents[n].reshape(3, 3)
        cells, start = _turned(self.rotations, reference), None
        if self.run_start_rotations is not None:
            start = _turned(self.run_start_rotations, reference)
        for turning in self.turning:
            if turning.number == n:
                cells = cells + turning.cells
                if start is not None and turning.run_start is not None:
                    start = start + turning.run_start
        return self.numbers[n], self.sources[n], cells, start


def _turned(rotations: Array, vectors: Array) -> Array:
    """Three vectors turned by each rotation, shape (rotations, 9)."""
    turned: Array = np.einsum("oxy,iy->oix", rotations, vectors).reshape(len(rotations), 9)
    return turned


def _beam_of(outputs: Array) -> BeamNumbers:
    """The beam's part of the outputs (or of tangents, outputs first)."""
    return BeamNumbers(
        outputs[_UPSTREAM].T, outputs[_POLARIZATION].T, outputs[_VERTICAL].T, outputs[_WAVELENGTH]
    )


def _constant(number: object) -> float:
    assert isinstance(number, float)
    return number


def _any_of(tangents: Mapping[str, Array], count: int) -> Any:
    """Which of the numbers belong to arrays."""
    found = np.zeros(count, dtype=bool)
    for tangent in tangents.values():
        found |= tangent.reshape(count, -1).any(axis=1)
    return found
