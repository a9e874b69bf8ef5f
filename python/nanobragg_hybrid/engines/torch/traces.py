"""Traces of single pixels: what the render computes, written down (model 6).

Steps are evaluated by the functions that the render is made of; the pixel's own numbers come from
the render of the tile that the pixel belongs to, so that they have the image's bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanobragg_hybrid.base.constants import R_E_SQR_M2
from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar, as_float
from nanobragg_hybrid.engines.torch.arithmetic.vectors import Vector, as_tensor
from nanobragg_hybrid.engines.torch.eager.factors import (
    background,
    final_factors,
    ray_factor,
    solid_angle,
    step_weight,
)
from nanobragg_hybrid.engines.torch.eager.intensities import (
    Steps,
    block_value_and_sum,
    lattice_factors,
    steps_of,
)
from nanobragg_hybrid.engines.torch.eager.rays import first_beams, positions
from nanobragg_hybrid.engines.torch.eager.serial import serial_order
from nanobragg_hybrid.engines.torch.model import ForwardModel
from nanobragg_hybrid.engines.torch.scenes.scene import Choices, Scene, skips_zero
from nanobragg_hybrid.engines.torch.scenes.tiles import Block, Tile, single_tile, tile_with
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.trace import StepChoice, StepTrace, Trace
from nanobragg_hybrid.model.trace import Vector as Numbers

_Indices = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Steps of a block by sample, source and orientation, counted from the block's first."""


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
            self._order = serial_order(
                self._scene, self._choices, model.active_pixels, model.tiling, model.device
            )

    def trace(self, fast: int, slow: int, choice: StepChoice, limit: int) -> Trace:
        """One pixel's chain with the first `limit` steps of a choice."""
        number = self._model.active_pixels.number_of(slow, fast)
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
                number, choices, model.active_pixels, model.tiling, self._order, model.device
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

            def evaluate(block: Block) -> tuple[Tensor, Tensor]:
                value, own, product = block_value_and_sum(
                    self._scene, self._choices, tile, block, self._model.dtype
                )
                return torch.stack([value, own]), product

            values, sums = self._model.tiling.total(self._choices, tile, evaluate)
            self._kept = values, sums
            self._kept_pixels = pixels
        return self._kept

    def _steps(self, tile: Tile, choice: StepChoice, limit: int) -> Iterator[StepTrace]:
        """The first `limit` steps of a choice, of a tile of one pixel."""
        first = first_beams(self._scene, self._choices, tile)
        running = as_float(background(self._scene, self._choices, tile, first))
        blocks = self._model.tiling.blocks(self._choices, interpolating=tile.interpolated_steps > 0)
        for block in blocks:
            if limit <= 0:
                return
            steps = steps_of(self._scene, self._choices, tile, block, self._model.dtype)
            terms = _Terms.of(self._scene, self._choices, tile, block, steps)
            sums = terms.running_sums(running)
            running = float(sums[-1])
            chosen = _chosen(self._choices, block, choice, terms.is_cut)
            chosen = (chosen[0][:limit], chosen[1][:limit], chosen[2][:limit])
            limit -= len(chosen[0])
            if len(chosen[0]) > 0:
                yield from self._records(tile, block, steps, terms, sums, chosen)

    def _records(
        self,
        tile: Tile,
        block: Block,
        steps: Steps,
        terms: _Terms,
        sums: NDArray[np.float64],
        chosen: _Indices,
    ) -> Iterator[StepTrace]:
        scene, choices, device = self._scene, self._choices, tile.fast.device
        samples, sources, orientations = (np.asarray(index) for index in chosen)
        beams, cells, f = steps.beams, steps.cells, steps.f
        position = positions(scene, choices, tile, block.samples)
        f_latt = lattice_factors(scene, choices, steps.hkl, steps.whole)

        def pick(value: Scalar) -> NDArray[np.float64]:
            """Of something of the steps: (1, samples, sources, orientations) or its beginning."""
            index = [torch.from_numpy(part).to(device) for part in (samples, sources, orientations)]
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

        flat = np.ravel_multi_index(chosen, terms.values.shape)
        amplitudes = np.stack([pick(factor) for factor in f_latt], axis=-1)
        f_cell = pick(f) if isinstance(f, Tensor) else np.full(len(flat), f)
        if skips_zero(scene):
            f_cell = np.where(amplitudes[:, 3] == 0.0, 0.0, f_cell)
        phi_step, domain = np.divmod(block.orientations.start + orientations, choices.domains)
        layer, sub_slow, sub_fast = _split(choices.oversample, block.samples.start + samples)
        airpath = pick(beams.length)
        columns: dict[str, NDArray[Any]] = {
            "layer": layer,
            "sub_slow": sub_slow,
            "sub_fast": sub_fast,
            "source": block.sources.start + sources,
            "phi_step": phi_step,
            "domain": domain,
            "pixel_pos_m": picked(position),
            "airpath_m": airpath,
            "solid_angle_sr": pick(solid_angle(scene, choices, beams)),
            "obliquity": (
                np.ones_like(airpath) if choices.faces_sample else as_float(scene.close) / airpath
            ),
            "diffracted": picked(beams.direction),
            "incident": np.stack([of_source(part) for part in scene.sources.incident], axis=-1),
            "wavelength_m": of_source(scene.sources.wavelength),
            "q_per_m": picked(steps.rays.q),
            "phi_rad": self._model.setup.phi_rad[phi_step],
            "a_m": of_cell(cells.a),
            "b_m": of_cell(cells.b),
            "c_m": of_cell(cells.c),
            "hkl": picked(steps.hkl),
            "hkl_rounded": picked(steps.whole),
            "f_latt_a": amplitudes[:, 0],
            "f_latt_b": amplitudes[:, 1],
            "f_latt_c": amplitudes[:, 2],
            "f_latt": amplitudes[:, 3],
            "f_cell": f_cell,
            "term": terms.values.ravel()[flat],
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
class _Terms:
    """What the steps of a block add to the sum of one pixel; arrays of the steps' shape.

    is_cut: dmin leaves them out.  is_skipped: they change nothing, not even as a running product.
    weights: what the sum is multiplied with after each step, None if with nothing.
    """

    values: NDArray[np.float64]
    is_cut: NDArray[np.bool_]
    is_skipped: NDArray[np.bool_]
    weights: NDArray[np.float64] | None

    @classmethod
    def of(cls, scene: Scene, choices: Choices, tile: Tile, block: Block, steps: Steps) -> _Terms:
        """Of a tile of one pixel."""
        terms = steps.terms
        is_cut = torch.zeros_like(terms, dtype=torch.bool)
        if steps.rays.is_cut is not None:
            is_cut |= steps.rays.is_cut.unsqueeze(-1)
        is_skipped = is_cut if steps.is_skipped is None else is_cut | steps.is_skipped
        own = ray_factor(scene, choices, tile, block, steps.beams, steps.first)
        weight = step_weight(scene, choices, steps.beams, block.sources)
        for factor in (own, None if choices.running_product else weight):
            terms = terms if factor is None else terms * factor.unsqueeze(-1)
        weights = None
        if choices.running_product and weight is not None:
            weights = _array(weight.unsqueeze(-1).expand(terms.shape)[0])
        terms = torch.where(is_skipped, 0.0, terms)
        return cls(_array(terms[0]), is_cut[0].cpu().numpy(), is_skipped[0].cpu().numpy(), weights)

    def running_sums(self, start: float) -> NDArray[np.float64]:
        """The sum after each step, in serial order, flat."""
        terms = self.values.ravel()
        if self.weights is None:
            return np.add.accumulate(np.concatenate([[start], terms]))[1:]
        sums = []
        weights, skipped = self.weights.ravel().tolist(), self.is_skipped.ravel().tolist()
        for term, weight, is_skipped in zip(terms.tolist(), weights, skipped, strict=True):
            start = start if is_skipped else (start + term) * weight
            sums.append(start)
        return np.array(sums)


def _chosen(
    choices: Choices, block: Block, choice: StepChoice, is_cut: NDArray[np.bool_]
) -> _Indices:
    """The block's steps that are of the choice and not cut."""
    layer, sub_slow, sub_fast = _split(choices.oversample, np.array(block.samples))
    samples = _is(choice.layer, layer)
    samples &= _is(choice.sub_slow, sub_slow) & _is(choice.sub_fast, sub_fast)
    sources = _is(choice.source, np.array(block.sources))
    phi_step, domain = np.divmod(np.array(block.orientations), choices.domains)
    orientations = _is(choice.phi_step, phi_step) & _is(choice.domain, domain)
    chosen = samples[:, None, None] & sources[:, None] & orientations & ~is_cut
    sample, source, orientation = np.nonzero(chosen)
    return sample, source, orientation


def _is(wanted: int | None, index: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.full(index.shape, True) if wanted is None else index == wanted


def _split(
    oversample: int, sample: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Layer, sub-pixel along slow, sub-pixel along fast of samples."""
    layer, sub_pixel = np.divmod(sample, oversample * oversample)
    sub_slow, sub_fast = np.divmod(sub_pixel, oversample)
    return layer, sub_slow, sub_fast


def _array(tensor: Tensor) -> NDArray[np.float64]:
    array: NDArray[np.float64] = tensor.to(torch.float64).cpu().numpy()
    return array


def _numbers(vector: Vector) -> Numbers:
    x, y, z = (as_float(component) for component in vector)
    return x, y, z
