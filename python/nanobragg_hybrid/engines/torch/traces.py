"""Traces of single pixels: what the render computes, written down (model 6).

Steps are evaluated by the functions that the render is made of; the pixel's own numbers come from
the render of the tile that the pixel belongs to, so that they have the image's bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.base.constants import R_E_SQR_M2
from nanobragg_hybrid.engines.torch.blocks import Block, Tile
from nanobragg_hybrid.engines.torch.factors import background, final_factors, row_share, step_weight
from nanobragg_hybrid.engines.torch.kernel import (
    block_sum,
    cells_of,
    fractional_indices,
    lattice_factors,
    lattice_intensity,
    nearest_indices,
    structure_factor,
)
from nanobragg_hybrid.engines.torch.model import ForwardModel
from nanobragg_hybrid.engines.torch.rays import first_rays, positions, rays_to, solid_angle
from nanobragg_hybrid.engines.torch.scalars import Scalar, as_float
from nanobragg_hybrid.engines.torch.scattering import rows_of
from nanobragg_hybrid.engines.torch.serial import serial_places, single_tile, tile_with
from nanobragg_hybrid.engines.torch.vectors import Vector, as_tensor
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.trace import StepChoice, StepTrace, Trace
from nanobragg_hybrid.model.trace import Vector as Numbers

_Place = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Steps of a block by visit, source and orientation, counted from the block's first."""


class Tracer:
    """The traces of a model's pixels; see `EngineRun.trace`."""

    def __init__(self, model: ForwardModel, plan: ResolvedPlan) -> None:
        self._plan = plan
        self._model = model
        self._choices = model.setup.choices
        self._kept_pixels = range(0)
        self._kept = (torch.zeros(0), torch.zeros(0))
        with torch.no_grad():
            self._scene = model.scene({})
            self._serial = serial_places(
                self._scene, self._choices, model.lit, model.tiling, model.device
            )

    def trace(self, fast: int, slow: int, choice: StepChoice, limit: int) -> Trace:
        """One pixel's chain with the first `limit` steps of a choice."""
        number = self._model.lit.number_of(slow, fast)
        with torch.no_grad():
            return self._trace(fast, slow, number, choice, limit)

    def _trace(
        self, fast: int, slow: int, number: int | None, choice: StepChoice, limit: int
    ) -> Trace:
        model, scene, choices = self._model, self._scene, self._choices
        total = value = capture = polar = omega = 0.0
        cosine = math.nan
        steps: tuple[StepTrace, ...] = ()
        if number is not None:
            pixels, tile = tile_with(
                number, choices, model.lit, model.tiling, self._serial, model.device
            )
            at = number - pixels.start
            values, sums = self._tile_results(pixels, tile)
            value, total = float(values[at]), float(sums[at])
            own = single_tile(tile, at)
            capture, polar, omega, cosine = (
                as_float(factor) for factor in final_factors(scene, choices, own)
            )
            steps = tuple(self._steps(own, choice, limit))
        settings = model.setup.experiment.sampling
        return Trace(
            backend="torch",
            fast=fast,
            slow=slow,
            is_active=number is not None,
            pix0_m=_numbers(scene.pix0),
            fast_axis=_numbers(scene.fast),
            slow_axis=_numbers(scene.slow),
            normal_axis=_numbers(scene.normal),
            close_distance_m=as_float(scene.close),
            a_star_per_angstrom=_numbers(scene.a_star),
            b_star_per_angstrom=_numbers(scene.b_star),
            c_star_per_angstrom=_numbers(scene.c_star),
            i_before_scaling=total,
            r_e_sqr_m2=R_E_SQR_M2,
            fluence_photons_per_m2=self._plan.fluence_photons_per_m2,
            step_count=choices.steps,
            oversample_thick=settings.oversample_thick,
            oversample_polar=settings.oversample_polar,
            oversample_omega=settings.oversample_omega,
            capture_fraction=capture,
            polarization=polar,
            omega_sr=omega,
            cos_2theta=cosine,
            pixel_value=value,
            pixel_float=float(torch.tensor(value, dtype=torch.float32)),
            steps=steps,
        )

    def _tile_results(self, pixels: range, tile: Tile) -> tuple[Tensor, Tensor]:
        """Values of a tile's pixels and their sums before scaling; those of the last are kept."""
        if pixels != self._kept_pixels:
            evaluate = partial(block_sum, self._scene, self._choices, tile, dtype=self._model.dtype)
            self._kept = (
                self._model.tile_value(self._scene, tile),
                self._model.tiling.total(self._choices, tile, evaluate),
            )
            self._kept_pixels = pixels
        return self._kept

    def _steps(self, tile: Tile, choice: StepChoice, limit: int) -> Iterator[StepTrace]:
        """The first `limit` steps of a choice, of a tile of one pixel."""
        first = first_rays(self._scene, self._choices, tile.slow, tile.fast)
        running = as_float(background(self._scene, self._choices, tile, first))
        blocks = self._model.tiling.blocks(self._choices, interpolating=tile.interpolated_steps > 0)
        for block in blocks:
            if limit <= 0:
                return
            steps = _BlockSteps.of(self._model, self._scene, tile, block)
            sums = steps.running_sums(running)
            running = float(sums[-1])
            place = _chosen(self._choices, block, choice, steps.is_cut)
            place = (place[0][:limit], place[1][:limit], place[2][:limit])
            limit -= len(place[0])
            if len(place[0]) > 0:
                yield from self._records(tile, block, steps, sums, place)

    def _records(
        self,
        tile: Tile,
        block: Block,
        steps: _BlockSteps,
        sums: NDArray[np.float64],
        place: _Place,
    ) -> Iterator[StepTrace]:
        scene, choices, device = self._scene, self._choices, tile.fast.device
        visits, sources, orientations = (np.asarray(index) for index in place)
        visit = torch.arange(block.visits.start, block.visits.stop, device=device)
        rays = rays_to(scene, choices, tile.slow, tile.fast, visit)
        position = positions(scene, choices, tile.slow, tile.fast, visit)
        rows = rows_of(scene, choices, rays, block.sources)
        cells = cells_of(scene, choices, tile, block)
        hkl = fractional_indices(cells, rows.q)
        whole = nearest_indices(hkl)
        f = structure_factor(scene, choices, tile, block, hkl, whole)
        f_latt = lattice_factors(scene, choices, hkl, whole)

        def pick(value: Scalar) -> NDArray[np.float64]:
            """Of something of the steps: (1, visits, sources, orientations) or its beginning."""
            index = [torch.from_numpy(part).to(device) for part in (visits, sources, orientations)]
            tensor = as_tensor(value)[0]
            return _array(tensor[tuple(index[: tensor.dim()])])

        def picked(vector: Iterable[Scalar]) -> NDArray[np.float64]:
            return np.stack([pick(component) for component in vector], axis=-1)

        def of_source(value: Scalar) -> NDArray[np.float64]:
            every = as_tensor(value)[block.sources.start : block.sources.stop]
            return _array(every)[sources]

        def of_cell(vector: Vector) -> NDArray[np.float64]:
            parts = [as_tensor(component) for component in vector]
            if parts[0].dim() > 1:  # others in the first phi loop of the run
                return picked([part.unsqueeze(0) for part in parts])
            return np.stack([_array(part)[orientations] for part in parts], axis=-1)

        flat = np.ravel_multi_index(place, steps.terms.shape)
        amplitudes = np.stack([pick(factor) for factor in f_latt], axis=-1)
        f_cell = pick(f) if isinstance(f, Tensor) else np.full(len(flat), f)
        if choices.skips_zero:
            f_cell = np.where(amplitudes[:, 3] == 0.0, 0.0, f_cell)
        phi_step, domain = np.divmod(block.orientations.start + orientations, choices.domains)
        layer, sub_slow, sub_fast = _split(choices.oversample, block.visits.start + visits)
        airpath = pick(rays.length)
        columns: dict[str, NDArray[Any]] = {
            "layer": layer,
            "sub_slow": sub_slow,
            "sub_fast": sub_fast,
            "source": block.sources.start + sources,
            "phi_step": phi_step,
            "domain": domain,
            "pixel_pos_m": picked(position),
            "airpath_m": airpath,
            "solid_angle_sr": pick(solid_angle(scene, choices, rays)),
            "obliquity": as_float(scene.close) / airpath,
            "diffracted": picked(rays.direction),
            "incident": np.stack([of_source(part) for part in scene.sources.incident], axis=-1),
            "wavelength_m": of_source(scene.sources.wavelength),
            "q_per_m": picked(rows.q),
            "phi_rad": self._model.setup.phi_rad[phi_step],
            "a_m": of_cell(cells.a),
            "b_m": of_cell(cells.b),
            "c_m": of_cell(cells.c),
            "hkl": picked(hkl),
            "hkl_rounded": picked(whole),
            "f_latt_a": amplitudes[:, 0],
            "f_latt_b": amplitudes[:, 1],
            "f_latt_c": amplitudes[:, 2],
            "f_latt": amplitudes[:, 3],
            "f_cell": f_cell,
            "term": steps.terms.ravel()[flat],
            "running_sum": sums[flat],
        }
        lists = {name: column.tolist() for name, column in columns.items()}
        for n in range(len(flat)):
            fields: dict[str, Any] = {
                name: tuple(values[n]) if isinstance(values[n], list) else values[n]
                for name, values in lists.items()
            }
            yield StepTrace(**fields)


@dataclass(frozen=True, slots=True)
class _BlockSteps:
    """What the steps of a block add to the sum of one pixel; arrays of the steps' shape.

    is_cut: dmin leaves them out.  is_skipped: they change nothing, not even as a running product.
    weights: what the sum is multiplied with after each step, None if with nothing.
    """

    terms: NDArray[np.float64]
    is_cut: NDArray[np.bool_]
    is_skipped: NDArray[np.bool_]
    weights: NDArray[np.float64] | None

    @classmethod
    def of(cls, model: ForwardModel, scene: Any, tile: Tile, block: Block) -> _BlockSteps:
        """Of a tile of one pixel."""
        choices = model.setup.choices
        visit = torch.arange(block.visits.start, block.visits.stop, device=tile.fast.device)
        rays = rays_to(scene, choices, tile.slow, tile.fast, visit)
        first = first_rays(scene, choices, tile.slow, tile.fast)
        rows = rows_of(scene, choices, rays, block.sources)
        hkl = fractional_indices(cells_of(scene, choices, tile, block), rows.q)
        whole = nearest_indices(hkl)
        intensity = lattice_intensity(scene, choices, hkl, whole, model.dtype)
        f = structure_factor(scene, choices, tile, block, hkl, whole)
        terms = (intensity * (f * f)).to(torch.float64)
        is_cut = torch.zeros_like(terms, dtype=torch.bool)
        if rows.cut is not None:
            is_cut |= rows.cut.unsqueeze(-1)
        is_skipped = is_cut | (intensity == 0.0) if choices.skips_zero else is_cut
        share = row_share(scene, choices, tile, block, first)
        weight = step_weight(scene, choices, rays, block.sources)
        for factor in (share, None if choices.running_product else weight):
            terms = terms if factor is None else terms * factor.unsqueeze(-1)
        weights = None
        if choices.running_product and weight is not None:
            weights = _array(weight.unsqueeze(-1).expand(terms.shape)[0])
        terms = torch.where(is_skipped, 0.0, terms)
        return cls(_array(terms[0]), is_cut[0].cpu().numpy(), is_skipped[0].cpu().numpy(), weights)

    def running_sums(self, start: float) -> NDArray[np.float64]:
        """The sum after each step, in serial order, flat."""
        terms = self.terms.ravel()
        if self.weights is None:
            return np.add.accumulate(np.concatenate([[start], terms]))[1:]
        sums = []
        weights, skipped = self.weights.ravel().tolist(), self.is_skipped.ravel().tolist()
        for term, weight, is_skipped in zip(terms.tolist(), weights, skipped, strict=True):
            start = start if is_skipped else (start + term) * weight
            sums.append(start)
        return np.array(sums)


def _chosen(choices: Any, block: Block, choice: StepChoice, is_cut: NDArray[np.bool_]) -> _Place:
    """The block's steps that are of the choice and not cut."""
    layer, sub_slow, sub_fast = _split(choices.oversample, np.array(block.visits))
    visits = _is(choice.layer, layer)
    visits &= _is(choice.sub_slow, sub_slow) & _is(choice.sub_fast, sub_fast)
    sources = _is(choice.source, np.array(block.sources))
    phi_step, domain = np.divmod(np.array(block.orientations), choices.domains)
    orientations = _is(choice.phi_step, phi_step) & _is(choice.domain, domain)
    chosen = visits[:, None, None] & sources[:, None] & orientations & ~is_cut
    visit, source, orientation = np.nonzero(chosen)
    return visit, source, orientation


def _is(wanted: int | None, index: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.full(index.shape, True) if wanted is None else index == wanted


def _split(
    oversample: int, visit: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Layer, sub-pixel along slow, sub-pixel along fast of visits."""
    layer, sub_pixel = np.divmod(visit, oversample * oversample)
    sub_slow, sub_fast = np.divmod(sub_pixel, oversample)
    return layer, sub_slow, sub_fast


def _array(tensor: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.to(torch.float64).cpu().numpy()
    return array


def _numbers(vector: Vector) -> Numbers:
    x, y, z = (as_float(component) for component in vector)
    return x, y, z
