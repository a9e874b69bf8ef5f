"""The whole chain of numbers behind single pixels, from either engine."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any, Final

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.engines.registry import PixelTracer, get_backend, own_options
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.seeds import with_clock_seeds
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.trace import STEP_PLACE, StepChoice, Trace
from nanobragg_hybrid.model.validate import Integer, require_class
from nanobragg_hybrid.run.simulate import memory_needed

_LIMIT: Final = Integer(at_least=0)
_COUNTS: Final = (
    "sensor_layers",
    "oversample",
    "oversample",
    "source_count",
    "phi_steps",
    "mosaic_domains",
)
"""How often the loops of `STEP_PLACE` run, by name in the info."""
_STEP_BYTES: Final = 8192
"""About what one recorded step takes while it is made."""


class Tracer:
    """Traces pixels of one experiment, which is set up once.  Made by `tracer`.

    backend: the engine's name.  experiment: what is traced, with the seeds that were taken.
    info: what was chosen and derived, as `SimulationResult.info`.
    """

    def __init__(self, backend: str, experiment: Experiment, engine: PixelTracer) -> None:
        self.backend = backend
        self.experiment = experiment
        self.info: Mapping[str, Any] = engine.info
        self._engine = engine

    def trace(
        self,
        pixel: tuple[int, int],
        *,
        source: int | None = None,
        phi_step: int | None = None,
        domain: int | None = None,
        subpixel: tuple[int, int] | None = None,
        layer: int | None = None,
        limit: int | None = 1,
    ) -> Trace:
        """The chain of one pixel, with the first step that has the given indices; see `trace`.

        limit: that many of these steps, None: all of them.
        """
        fast, slow = self._pixel(pixel)
        choice = self._choice(source, phi_step, domain, subpixel, layer)
        return self._engine.trace(fast, slow, choice, self._limit(limit, choice))

    def trace_phi(
        self,
        pixel: tuple[int, int],
        *,
        source: int | None = None,
        domain: int | None = None,
        subpixel: tuple[int, int] | None = None,
        layer: int | None = None,
    ) -> Trace:
        """The chain of one pixel with a step for each phi step; see `trace_phi`."""
        fast, slow = self._pixel(pixel)
        choice = self._choice(source, None, domain, subpixel, layer)
        first = self._engine.trace(fast, slow, choice, 1)
        if not first.steps:
            return first
        here = first.steps[0]
        places = {field.name: getattr(here, field.name) for field in dataclasses.fields(choice)}
        phi_loop = StepChoice(**{**places, "phi_step": None})
        return self._engine.trace(fast, slow, phi_loop, self.info["phi_steps"])

    def _pixel(self, pixel: object) -> tuple[int, int]:
        fast, slow = self.info["n_fast"], self.info["n_slow"]
        rule = f"(fast, slow) with fast from 0 to {fast - 1} and slow from 0 to {slow - 1}"
        return _pair("pixel", pixel, (fast, slow), rule)

    def _choice(
        self, source: object, phi_step: object, domain: object, subpixel: object, layer: object
    ) -> StepChoice:
        sub_fast = sub_slow = None
        if subpixel is not None:
            per_edge = self.info["oversample"]
            rule = f"(fast, slow), both from 0 to {per_edge - 1}, or None"
            sub_fast, sub_slow = _pair("subpixel", subpixel, (per_edge, per_edge), rule)
        return StepChoice(
            layer=self._index("layer", layer, "sensor_layers"),
            sub_slow=sub_slow,
            sub_fast=sub_fast,
            source=self._index("source", source, "source_count"),
            phi_step=self._index("phi_step", phi_step, "phi_steps"),
            domain=self._index("domain", domain, "mosaic_domains"),
        )

    def _index(self, name: str, index: object, count: str) -> int | None:
        if index is None:
            return None
        rule = Integer(at_least=0, at_most=self.info[count] - 1)
        try:
            return rule.normalise(index)
        except ValueError:
            raise ConfigError(name, index, f"{rule.text}, or None") from None

    def _limit(self, limit: int | None, choice: StepChoice) -> int:
        """The most steps that there can be within a limit; ResourceError if too many for us."""
        loops = zip(STEP_PLACE, _COUNTS, strict=True)
        counts = [int(self.info[n]) for place, n in loops if getattr(choice, place) is None]
        steps = math.prod(counts)
        if limit is not None:
            try:
                steps = min(steps, _LIMIT.normalise(limit))
            except ValueError:
                raise ConfigError("limit", limit, f"{_LIMIT.text}, or None") from None
        require_memory({f"trace of {steps} steps": steps * _STEP_BYTES})
        return steps


def tracer(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    backend: str = "c",
    quirks: Quirks | None = None,
    kernel: str | None = None,
    device: object = None,
    dtype: object = None,
) -> Tracer:
    """Sets up an experiment for traces of many of its pixels; see `trace` and `simulate`."""
    require_class("experiment", experiment, Experiment)
    require_class("structure_factors", structure_factors, StructureFactors)
    if quirks is None:
        quirks = Quirks()
    require_class("quirks", quirks, Quirks)
    engine = get_backend(backend)
    options = own_options(backend, {"kernel": kernel, "device": device, "dtype": dtype})
    require_memory(memory_needed(experiment, structure_factors))
    seeded = with_clock_seeds(experiment, time.time(), quirks)
    own = engine.tracer(seeded, structure_factors, quirks=quirks, **options)
    return Tracer(backend, seeded, own)


def trace(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    pixel: tuple[int, int],
    backend: str = "c",
    quirks: Quirks | None = None,
    source: int | None = None,
    phi_step: int | None = None,
    domain: int | None = None,
    subpixel: tuple[int, int] | None = None,
    layer: int | None = None,
    kernel: str | None = None,
    device: object = None,
    dtype: object = None,
) -> Trace:
    """The chain of numbers behind one pixel, and behind one step of its sum (model 6).

    pixel: (fast, slow).  source, phi_step, domain, subpixel (fast, slow), layer: which step; the
    first, in serial order, that has the given indices, all counted from 0.  backend, quirks,
    kernel, device, dtype: as for `simulate`, whose pixel has the bits of the trace's pixel_float.

    The trace has no step if dmin cuts those asked for, and for a pixel outside the region of
    interest or masked, whose is_lit is False.

    Raises `ConfigError` for a pixel or an index that is not there, and what `simulate` raises.
    """
    own = tracer(
        experiment,
        structure_factors,
        backend=backend,
        quirks=quirks,
        kernel=kernel,
        device=device,
        dtype=dtype,
    )
    return own.trace(
        pixel, source=source, phi_step=phi_step, domain=domain, subpixel=subpixel, layer=layer
    )


def trace_phi(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    pixel: tuple[int, int],
    backend: str = "c",
    quirks: Quirks | None = None,
    source: int | None = None,
    domain: int | None = None,
    subpixel: tuple[int, int] | None = None,
    layer: int | None = None,
    kernel: str | None = None,
    device: object = None,
    dtype: object = None,
) -> Trace:
    """The chain of one pixel with one step for each phi step, in order.

    The other indices of these steps are the given ones, or else those of the pixel's first step
    that is not cut.  See `trace`.
    """
    own = tracer(
        experiment,
        structure_factors,
        backend=backend,
        quirks=quirks,
        kernel=kernel,
        device=device,
        dtype=dtype,
    )
    return own.trace_phi(pixel, source=source, domain=domain, subpixel=subpixel, layer=layer)


def _pair(name: str, given: object, counts: tuple[int, int], rule: str) -> tuple[int, int]:
    """Two indices below `counts`; ConfigError saying `rule`."""
    try:
        if not isinstance(given, tuple | list):
            raise ValueError
        rules = [Integer(at_least=0, at_most=count - 1) for count in counts]
        fast, slow = (own.normalise(x) for own, x in zip(rules, given, strict=True))
    except ValueError:
        raise ConfigError(name, given, rule) from None
    return fast, slow
