"""From the photons that reach a detector to what it is read out as (model 10).

The last steps are the same for all engines: `counts_of` draws noise on what an engine expects.
`Chain` has the steps before that, in numpy, for engines that have none of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nanobragg_hybrid.base.philox import normals, stream
from nanobragg_hybrid.base.units import m_to_um
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.pixel_maps import bad_pixels, relative_gains
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.response import COUNT_LIMITS, Response
from nanobragg_hybrid.run.photons import PoissonStream
from nanobragg_hybrid.run.point_spread import Region, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 1 << 15
_SURE = 100.0
"""With so many bad pixels expected nobody looks whether there is one: a chance of exp(-100)."""


@dataclass(frozen=True, eq=False)
class Chain:
    """The response of one panel; without a response only photons are counted.

    is_active: pixels that are rendered, shape (slow, fast); None: all.  region: what has all of
    them; None: the whole image.
    """

    response: Response
    shape: tuple[int, int]
    pixel_um: float
    is_active: NDArray[np.bool_] | None
    region: Region | None = None

    @classmethod
    def of(cls, experiment: Experiment, plan: ResolvedPlan) -> Chain:
        """That of an experiment; raises `ConfigError` for a bad pixel outside the detector."""
        response = experiment.response or Response()
        fast_min, fast_max, slow_min, slow_max = plan.roi
        is_empty = fast_min > fast_max or slow_min > slow_max
        region = Region(slow_min, slow_max + 1, fast_min, fast_max + 1)
        chain = cls(
            response,
            plan.shape,
            m_to_um(plan.pixel_size_m),
            _active(experiment, plan),
            None if is_empty else region,
        )
        if response.dead_pixels or response.hot_pixels:
            _ = chain.bad
        return chain

    @cached_property
    def gains(self) -> NDArray[np.float64] | float:
        """Counts per photon."""
        gains = relative_gains(self.response, self.shape)
        if gains is None:
            return self.response.gain
        gains *= self.response.gain
        return gains

    @cached_property
    def bad(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
        """Dead and hot pixels."""
        return bad_pixels(self.response, self.shape)

    def expected(
        self, image: NDArray[np.floating[Any]], background: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Counts above the pedestal before noise (model 10.1, 10.2), of photons in pixels: those of
        `source_roi`, more than the region, where there is a point spread."""
        light = (
            image.astype(np.float64)
            if background is None
            else np.add(image, background, dtype=np.float64)
        )
        if self.response.point_spread is not None:
            light = spread(light, self.response.point_spread, self.pixel_um, self.region)
            if self.is_active is not None:
                light[~self.is_active] = 0.0
        if not _is_one(self.gains):
            light *= self.gains
        return light

    def variance(self, expected: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of the counts (model 10.3), before saturation; infinite where a pixel tells nothing."""
        response = self.response
        per_square = response.frame_gain_error**2
        of_gain = 1.0 + per_square if response.shot_noise else 0.0
        per_square += response.flicker**2 * (1.0 + per_square)
        constant = response.read_noise**2 + response.rounding_variance
        gains = self.gains
        of_pixels = gains.reshape(-1) if isinstance(gains, np.ndarray) else None
        variance = np.empty_like(expected)
        flat, made = expected.reshape(-1), variance.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            block = np.maximum(flat[part], 0.0)
            own = made[part]
            np.multiply(of_gain, response.gain if of_pixels is None else of_pixels[part], out=own)
            if per_square > 0.0:
                own += per_square * block
            own *= block
            own += constant
        if self.is_active is not None:
            variance[~self.is_active] = np.inf
        if self.bad is not None:
            variance[self.bad[0] | self.bad[1]] = np.inf
        return variance

    def counts(self, expected: NDArray[np.float64], frame: int) -> NDArray[Any]:
        """What is read out in a frame (model 10.4), in the type of the response; 0 where nothing is
        rendered.  Pixels whose expected counts are not finite, or below 0, get no photons."""
        response, seed, panel = self.response, self.response.seed, self.response.panel
        photons = PoissonStream(seed, frame, panel) if response.shot_noise else None
        change = normals(seed, frame, panel, "frame gains")
        noise = normals(seed, frame, panel, "read-out")
        flicker = _flicker(response, frame) if response.flicker > 0.0 else 1.0
        gains = self.gains
        of_pixels = gains.reshape(-1) if isinstance(gains, np.ndarray) else None
        flat = np.ascontiguousarray(expected, dtype=np.float64).reshape(-1)
        read = np.empty(flat.size, dtype=response.count_type)
        # Blocks that fit into a cache, in memory that is used for each of them; the numbers of a
        # stream do not depend on them.
        memory = np.empty((3, min(_BLOCK, flat.size)))
        for start in range(0, flat.size, _BLOCK):
            part = slice(start, start + _BLOCK)
            light = flat[part]
            own, counts, deviates = memory[:, : light.size]
            gain = response.gain if of_pixels is None else of_pixels[part]
            has_gain = not _is_one(gain)
            if has_gain:
                light = np.divide(light, gain, out=own)
            if not is_light(light):
                light = np.where(np.isfinite(light), np.maximum(light, 0.0), 0.0)
            if response.flicker > 0.0:
                light = np.multiply(light, flicker, out=own)
            if photons is None:
                counts[:] = light
            else:
                photons.draw(light, counts)
            if has_gain:
                counts *= gain
            if response.frame_gain_error > 0.0:
                change.draw(deviates)
                deviates *= response.frame_gain_error
                deviates += 1.0
                counts *= deviates
            if response.read_noise > 0.0:
                noise.draw(deviates)
                deviates *= response.read_noise
                counts += deviates
            counts += response.pedestal
            read[part] = self._shown(counts)
        if self.bad is not None:
            ends = self._shown(np.array([response.dead_counts, response.most_counts]))
            dead, hot = (each.reshape(-1) for each in self.bad)
            read[hot] = ends[1]
            read[dead] = ends[0]
        if self.is_active is not None:
            read[~self.is_active.reshape(-1)] = 0
        return read.reshape(expected.shape)

    def sure_counts(self) -> NDArray[Any]:
        """What is shown in every frame, whatever light there is, shape (1, n): 0 or the pedestal,
        whichever is more, and the counts of dead and of hot pixels, where there are such."""
        response = self.response
        active = math.prod(self.shape) if self.is_active is None else int(self.is_active.sum())
        found = [max(response.pedestal, 0.0) if active else 0.0]
        has_dead, has_hot = self._has_bad(active)
        found += [response.dead_counts] * has_dead
        found += [response.most_counts] * has_hot
        return self._shown(np.array([found]))

    def _has_bad(self, active: int) -> tuple[bool, bool]:
        """Whether some of the active pixels, of which there are so many, are dead, and hot."""
        response = self.response
        expected = response.dead_fraction * active, response.hot_fraction * active
        listed = response.dead_pixels or response.hot_pixels
        if not listed and all(number == 0.0 or number > _SURE for number in expected):
            return expected[0] > 0.0, expected[1] > 0.0
        if self.bad is None:
            return False, False
        seen = np.True_ if self.is_active is None else self.is_active
        dead, hot = self.bad
        return bool((dead & seen).any()), bool((hot & seen).any())

    def _shown(self, counts: NDArray[np.float64]) -> NDArray[Any]:
        """What a read-out shows of these counts, which are overwritten."""
        response = self.response
        limits = COUNT_LIMITS[response.count_type]
        np.clip(counts, -np.inf if limits is None else limits[0], response.most_counts, out=counts)
        if response.is_rounded:
            (np.rint if response.rounding == "nearest" else np.floor)(counts, out=counts)
        return counts.astype(response.count_type)


def _active(experiment: Experiment, plan: ResolvedPlan) -> NDArray[np.bool_] | None:
    mask = experiment.detector.mask
    fast_min, fast_max, slow_min, slow_max = plan.roi
    is_whole = plan.roi == (0, plan.n_fast - 1, 0, plan.n_slow - 1)
    if is_whole:
        return None if mask is None or bool(mask.values.all()) else mask.values
    active = np.zeros(plan.shape, dtype=bool)
    window = np.s_[slow_min : slow_max + 1, fast_min : fast_max + 1]
    active[window] = True if mask is None else mask.values[window]
    return active


def _is_one(gain: NDArray[np.float64] | float) -> bool:
    """Whether counts are photons, so that there is nothing to multiply by."""
    return isinstance(gain, float) and gain == 1.0


def is_light(light: NDArray[np.float64]) -> bool:
    """Whether all of it is finite and >= 0."""
    return bool(light.min() >= 0.0) and math.isfinite(float(light.max()))


def _flicker(response: Response, frame: int) -> float:
    """The source's intensity in a frame over the mean one: gamma distributed."""
    variance = response.flicker**2
    drawn = stream(response.seed, frame, 0, "flicker").gamma(1.0 / variance, variance)
    return float(drawn)
