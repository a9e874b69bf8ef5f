"""The rays of all sources with their derivatives, in numpy: model 5.2.

The same as `sources`, for one set of numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nanobragg_hybrid.engines.torch.arithmetic.axis_rotations import (
    Array,
    AxisRotations,
    turned_about,
)
from nanobragg_hybrid.engines.torch.arithmetic.vectors import unit
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.engines.torch.set_up.sources import (
    POSITIONS,
    SPECTRUM_WEIGHTS,
    WAVELENGTHS,
    WEIGHTS,
)
from nanobragg_hybrid.engines.torch.set_up.tables import Tables
from nanobragg_hybrid.model.beam import Source


@dataclass(frozen=True, slots=True, eq=False)
class BeamNumbers:
    """Numbers of the beam, derivatives by them, or tangents (with one more dimension in front).

    upstream: where sources are that have no position, m.  polarization, vertical: the axes of
    divergence.  All of shape (3,).  wavelength: m, shape ().
    """

    upstream: Array
    polarization: Array
    vertical: Array
    wavelength: Array


ARRAYS = (POSITIONS, WAVELENGTHS, WEIGHTS, SPECTRUM_WEIGHTS)
"""Values of all listed sources, or of all nodes of a spectrum, together."""


class SourceTables:
    """What the configuration has of its sources; NaN where a listed one leaves a number open.

    spectrum: the wavelengths of every direction, m, shape (nodes,), innermost in all arrays of
    sources; None: there is none, and one node.
    """

    def __init__(self, setup: Setup, tables: Tables) -> None:
        listed = setup.experiment.beam.sources
        self.listed: tuple[Source, ...] | None = None if listed is None else tuple(listed)
        self.ignores_weights = setup.quirks.source_weights_ignored
        self.horizontal: Array = tables.sources.horizontal.numpy()
        self.vertical: Array = tables.sources.vertical.numpy()
        self.wavelength_ratio: Array = tables.sources.wavelength.numpy()
        sources = self.listed or ()
        self.positions = np.array([_or_nan(source.position) for source in sources]).reshape(-1, 3)
        self.wavelengths = np.array(_or_nan([source.wavelength_m for source in sources]))
        self.weights = np.array([source.weight for source in sources])
        given = setup.experiment.beam.spectrum
        self.spectrum: Array | None = None if given is None else np.array(given.wavelengths_m)
        self.node_weights: Array = np.array((1.0,) if given is None else given.node_weights)
        self.nodes = len(self.node_weights)

    def uses(self, names: Collection[str]) -> tuple[bool, bool, bool]:
        """Whether upstream, the axes of divergence and the wavelength of the beam count beside live
        values of some names."""
        if self.listed is None:
            return True, True, self.spectrum is None
        open_positions = POSITIONS not in names and bool(np.isnan(self.positions).any())
        open_wavelengths = WAVELENGTHS not in names and bool(np.isnan(self.wavelengths).any())
        return open_positions, False, open_wavelengths and self.spectrum is None


def _or_nan(numbers: Any) -> list[float]:
    return [np.nan if number is None else number for number in numbers]


class SourceRays:
    """Rays of some beam and some `ARRAYS`.

    packed: as `Packed.sources`, shape (5, sources).  has_weights: whether they differ.
    """

    def __init__(self, tables: SourceTables, beam: BeamNumbers, live: Mapping[str, Array]) -> None:
        self._tables = tables
        self._beam = beam
        self._live = live
        self._turns: tuple[AxisRotations, AxisRotations] | None = None
        if tables.listed is None:
            self._turned = turned_about(beam.upstream, beam.polarization, tables.vertical)
            self._position = turned_about(self._turned, beam.vertical, tables.horizontal)
            wavelength = beam.wavelength * tables.wavelength_ratio
        else:
            given = live.get(POSITIONS, tables.positions)
            self._has_no_position = np.isnan(tables.positions) & (POSITIONS not in live)
            given = np.where(self._has_no_position, beam.upstream, given)
            self._position = np.repeat(given, tables.nodes, axis=0)
            given = live.get(WAVELENGTHS, tables.wavelengths)
            self._has_no_wavelength = np.isnan(tables.wavelengths) & (WAVELENGTHS not in live)
            wavelength = np.where(self._has_no_wavelength, beam.wavelength, given)
        if tables.spectrum is not None:
            wavelength = np.tile(tables.spectrum, len(self._position) // tables.nodes)
        parts: Any = self._position.T
        travel: Any = unit((parts[0], parts[1], parts[2]))
        self._direction = -np.stack(travel)
        self._weights = self._used_weights()
        relative = np.ones(len(wavelength))
        self.has_weights = self._weights is not None
        if self._weights is not None:
            total = _sum(self._weights)
            relative = np.full(len(wavelength), np.nan)
            if total > 0.0:
                relative = self._weights * len(self._weights) / total
        self.packed: Array = np.concatenate([self._direction, [wavelength, relative]])

    def _used_weights(self) -> Array | None:
        """Of all sources; None where none count that can differ."""
        tables, live = self._tables, self._live
        self._own = np.ones(len(self._position) // tables.nodes)
        self._of_nodes = live.get(SPECTRUM_WEIGHTS, tables.node_weights)
        counts = SPECTRUM_WEIGHTS in live or len(set(tables.node_weights.tolist())) > 1
        if not tables.ignores_weights and tables.listed is not None:
            self._own = live.get(WEIGHTS, tables.weights)
            counts |= WEIGHTS in live or len(set(tables.weights.tolist())) > 1
        return np.multiply.outer(self._own, self._of_nodes).ravel() if counts else None

    def _lengths(self) -> Array:
        """Of the positions, shape (sources,); infinite where there is no direction."""
        length = np.sqrt((self._position * self._position).sum(axis=1))
        return np.where(length == 0.0, np.inf, length)

    def _rotations(self) -> tuple[AxisRotations, AxisRotations]:
        if self._turns is None:
            tables, beam = self._tables, self._beam
            self._turns = (
                AxisRotations(beam.polarization, tables.vertical),
                AxisRotations(beam.vertical, tables.horizontal),
            )
        return self._turns

    def gradient(self, by_packed: Array, *, moves: bool) -> tuple[BeamNumbers, dict[str, Array]]:
        """By the beam's numbers and by the live arrays.

        moves: whether those of the beam's directions are asked for; otherwise they are 0.
        """
        none = np.zeros(3)
        by_wavelength = by_packed[3]
        by_live: dict[str, Array] = {}
        if WEIGHTS in self._live:
            by_weights = self._gradient_by_weights(by_packed[4])
            by_live[WEIGHTS] = by_weights @ self._of_nodes
        if SPECTRUM_WEIGHTS in self._live:
            by_live[SPECTRUM_WEIGHTS] = self._own @ self._gradient_by_weights(by_packed[4])
        if WAVELENGTHS in self._live:
            by_live[WAVELENGTHS] = by_wavelength
        if POSITIONS in self._live:
            by_live[POSITIONS] = self._of_directions(self._gradient_by_positions(by_packed))
        if self._tables.spectrum is not None:
            by_wavelength = np.zeros(len(by_wavelength))
        if self._tables.listed is None:
            by_default = by_wavelength @ self._tables.wavelength_ratio
            directions = self._gradient_by_directions(by_packed) if moves else (none, none, none)
            return BeamNumbers(*directions, by_default), by_live
        by_upstream = none
        if moves:
            by_position = self._of_directions(self._gradient_by_positions(by_packed))
            by_upstream = np.where(self._has_no_position, by_position, 0.0).sum(axis=0)
        by_default = np.zeros(())
        if self._tables.spectrum is None:
            by_default = np.where(self._has_no_wavelength, by_wavelength, 0.0).sum()
        return BeamNumbers(by_upstream, none, none, by_default), by_live

    def _of_directions(self, by_position: Array) -> Array:
        """Sums over the wavelengths of each direction, shape (directions, 3)."""
        sums: Array = by_position.reshape(-1, self._tables.nodes, 3).sum(axis=1)
        return sums

    def _gradient_by_positions(self, by_packed: Array) -> Array:
        by_travel, travel = -by_packed[:3], -self._direction
        across = by_travel - travel * (travel * by_travel).sum(axis=0)
        by_position: Array = (across / self._lengths()).T
        return by_position

    def _gradient_by_directions(self, by_packed: Array) -> tuple[Array, Array, Array]:
        """By upstream, polarization and vertical, of generated sources."""
        by_position = self._gradient_by_positions(by_packed)
        first, second = self._rotations()
        by_vertical = second.gradient_by_axis(_products(self._turned, by_position))
        by_turned = (by_position[:, None] @ second.matrices())[:, 0]
        upstream = np.broadcast_to(self._beam.upstream, by_turned.shape)
        by_polarization = first.gradient_by_axis(_products(upstream, by_turned))
        by_upstream: Array = (by_turned[:, None] @ first.matrices())[:, 0].sum(axis=0)
        return by_upstream, by_polarization, by_vertical

    def _gradient_by_weights(self, by_relative: Array) -> Array:
        """By the weights of all sources, shape (directions, nodes)."""
        weights = self._weights
        shape = len(self._own), len(self._of_nodes)
        if weights is None or not _sum(weights) > 0.0:
            return np.zeros(shape)
        total = _sum(weights)
        by_weights: Array = len(weights) / total * (by_relative - by_relative @ weights / total)
        return by_weights.reshape(shape)

    def tangents(self, beam: BeamNumbers, live: Mapping[str, Array]) -> Array:
        """Of `packed`, shape (p, 5, sources), for tangents of the beam and of the live arrays."""
        count = len(beam.wavelength)
        if self._tables.listed is None:
            first, second = self._rotations()
            still = np.zeros((count, len(self._tables.vertical)))
            turned = self._beam.upstream @ np.swapaxes(
                first.tangents(beam.polarization, still), 2, 3
            )
            turned += np.einsum("nij,pj->pni", first.matrices(), beam.upstream)
            wavelength = beam.wavelength[:, None] * self._tables.wavelength_ratio
            position = np.einsum("nij,pnj->pni", second.matrices(), turned)
            position += np.einsum(
                "pnij,nj->pni", second.tangents(beam.vertical, still), self._turned
            )
        else:
            position = np.where(self._has_no_position, beam.upstream[:, None], 0.0)
            wavelength = np.where(self._has_no_wavelength, beam.wavelength[:, None], 0.0)
            position = np.repeat(position + live.get(POSITIONS, 0.0), self._tables.nodes, axis=1)
            wavelength = wavelength + live.get(WAVELENGTHS, 0.0)
        if self._tables.spectrum is not None:
            wavelength = np.zeros((count, position.shape[1]))
        travel = -self._direction
        moved = np.swapaxes(position, 1, 2) / self._lengths()
        across = moved - travel * (travel * moved).sum(axis=1, keepdims=True)
        packed = np.zeros((count, *self.packed.shape))
        packed[:, :3] = -across
        packed[:, 3] = wavelength
        if self._weights is not None and not live.keys().isdisjoint((WEIGHTS, SPECTRUM_WEIGHTS)):
            total, by = _sum(self._weights), self._tangents_of_weights(count, live)
            if total > 0.0:
                share = self._weights / total
                packed[:, 4] = len(share) / total * (by - share * by.sum(axis=1, keepdims=True))
        return packed

    def _tangents_of_weights(self, count: int, live: Mapping[str, Array]) -> Array:
        """Of the weights of all sources, shape (p, sources)."""
        by_own = live.get(WEIGHTS, np.zeros((count, len(self._own))))
        by_nodes = live.get(SPECTRUM_WEIGHTS, np.zeros((count, len(self._of_nodes))))
        by = by_own[:, :, None] * self._of_nodes + by_nodes[:, None] * self._own[:, None]
        return by.reshape(count, -1)


def _sum(weights: Array) -> float:
    return float(weights.sum())


def _products(vectors: Array, gradients: Array) -> Array:
    return vectors[:, :, None] * gradients[:, None, :]
