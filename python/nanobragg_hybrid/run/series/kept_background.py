"""An engine that computes a background once for frames that differ in nothing it depends on.

The light beside the spots depends on neither the crystal's orientation nor the noise.  The images
are the engine's own, to the last bit.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.arrays import as_ndarray
from nanobragg_hybrid.engines.protocol import RendersTogether
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.result import Rendered
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.run.defined import prepared_run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.engines.protocol import Engine, EngineRun, ProgressCallback
    from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
    from nanobragg_hybrid.model.trace import StepChoice, Trace

_MOST_BYTES: Final = 2**26
"""Of kept backgrounds, but for the last one."""

_WITHOUT_EFFECT: Final[Mapping[str, Any]] = {
    "crystal.misset_deg": (0.0, 0.0, 0.0),
    "crystal.misset_seed": 0,
    "crystal.mosaic_seed": 0,
    "goniometer.phi_deg": 0.0,
    "output.noise_seed": 0,
    "response": None,
}


class _Kept(NamedTuple):
    """A background, and how many pixels its tables were asked outside of their rows."""

    photons: Any
    outside: tuple[int, ...]


class _Backgrounds:
    """Those of the frames rendered last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, _Kept] = OrderedDict()
        self._bytes = 0

    def get(self, key: Any) -> _Kept | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: Any, kept: _Kept) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = kept
            self._bytes += as_ndarray(kept.photons).nbytes
            while self._bytes > _MOST_BYTES and len(self._kept) > 1:
                _, old = self._kept.popitem(last=False)
                self._bytes -= as_ndarray(old.photons).nbytes


class KeepsBackground:
    """Another engine, of which it keeps the backgrounds; see `engines.protocol.Engine`."""

    options: tuple[str, ...] = ()

    def __init__(self, engine: Engine) -> None:
        self.name = engine.name
        self._engine = engine
        self._backgrounds = _Backgrounds()

    def memory_needed(
        self, experiment: Experiment, structure_factors: StructureFactors
    ) -> Mapping[str, int]:
        """The engine's own."""
        return self._engine.memory_needed(experiment, structure_factors)

    def prepare(
        self, experiment: Experiment, structure_factors: StructureFactors, quirks: Quirks
    ) -> EngineRun:
        """The engine's own run, or one whose background is there already."""
        if experiment.background is None:
            return prepared_run(self._engine, experiment, structure_factors, quirks)
        bare = experiment.replace({"background": None})
        run = prepared_run(self._engine, bare, structure_factors, quirks)
        alike = experiment.replace(_WITHOUT_EFFECT)
        key = alike, quirks, run.plan.oversample, run.plan.steps
        kept = self._backgrounds.get(key)
        if kept is None:
            run = prepared_run(self._engine, experiment, structure_factors, quirks)
        return _Run(run, kept, key, self._backgrounds)

    def render_together(
        self,
        runs: Sequence[Any],
        *,
        threads: int,
        progress: ProgressCallback | None,
        unrounded: bool,
    ) -> Sequence[Rendered]:
        """The panels of a detector, together where the engine can."""
        inner = [run.inner if isinstance(run, _Run) else run for run in runs]
        options: Any = {"threads": threads, "unrounded": unrounded}
        if isinstance(self._engine, RendersTogether):
            made = self._engine.render_together(inner, progress=progress, **options)
        else:
            made = [run.render(progress=None, **options) for run in inner]
        return [
            run.completed(image) if isinstance(run, _Run) else image
            for run, image in zip(runs, made, strict=True)
        ]

    def structure_factors_at(
        self, structure_factors: StructureFactors, hkl: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The engine's own."""
        return self._engine.structure_factors_at(structure_factors, hkl)


class _Run:
    """A run of the engine.  kept: its background; None: the run computes it, and it is kept."""

    def __init__(
        self, inner: EngineRun, kept: _Kept | None, key: Any, backgrounds: _Backgrounds
    ) -> None:
        self.inner = inner
        self._kept = kept
        self._key = key
        self._backgrounds = backgrounds

    @property
    def plan(self) -> ResolvedPlan:
        return self.inner.plan

    def render(
        self, *, threads: int, progress: ProgressCallback | None, unrounded: bool
    ) -> Rendered:
        made = self.inner.render(threads=threads, progress=progress, unrounded=unrounded)
        return self.completed(made)

    def completed(self, made: Rendered) -> Rendered:
        """The image with its background."""
        if self._kept is not None:
            return made._replace(
                background=self._kept.photons, background_outside=self._kept.outside
            )
        if made.background is not None:
            self._backgrounds.put(self._key, _Kept(made.background, made.background_outside))
        return made

    def trace(
        self, fast: int, slow: int, choice: StepChoice, limit: int, threads: int | None = None
    ) -> Trace:
        return self.inner.trace(fast, slow, choice, limit, threads)
