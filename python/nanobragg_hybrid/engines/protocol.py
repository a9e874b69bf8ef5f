"""What an engine is, to everything above it.

An engine is a small frozen object that holds its own options (`CEngine(kernel="exact")`).  Its
`prepare` makes a run: one experiment, set up once, whose plan can be read and whose pixels can be
rendered and traced.  `nanobragg_hybrid.prepare` calls it and is what users call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from nanobragg_hybrid.model.conventions import CULLING_REASONS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.quirks import Quirks
    from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
    from nanobragg_hybrid.model.result import Rendered
    from nanobragg_hybrid.model.structure_factors import StructureFactors
    from nanobragg_hybrid.model.trace import StepChoice, Trace

ProgressCallback = Callable[[int, int], object]
"""Called now and then with the rows done and the rows in all; returning False stops."""


def culling_stated(
    share_visited: float, steps: float, tolerance_photons: float, reason: str
) -> dict[str, float | str]:
    """What was left out, for a provenance.

    share_visited: of the image's steps, 1 for every one.  reason: why the engine looked for none to
    leave out; empty: it did.  Where it found none, the reason stated says that.
    """
    if reason == "" and share_visited == 1.0:
        reason = CULLING_REASONS[5 if steps > 0.0 else 9]
    return {
        "share_visited": share_visited,
        "tolerance_photons": tolerance_photons,
        "reason": reason,
    }


class EngineRun(Protocol):
    """One experiment, set up by an engine."""

    @property
    def plan(self) -> ResolvedPlan:
        """What was chosen and derived."""
        ...

    def render(
        self, *, threads: int, progress: ProgressCallback | None, unrounded: bool
    ) -> Rendered:
        """Renders the image; see `Prepared.render`, which has checked the arguments."""
        ...

    def trace(
        self, fast: int, slow: int, choice: StepChoice, limit: int, threads: int | None = None
    ) -> Trace:
        """One pixel's chain with the first `limit` steps of a choice.

        Pixel and indices are inside the image and the experiment's loops.
        """
        ...


class Engine(Protocol):
    """An engine with its options.

    name: what users call it.  options: names of its constructor's keyword arguments.
    """

    name: ClassVar[str]
    options: ClassVar[tuple[str, ...]]

    def memory_needed(
        self, experiment: Experiment, structure_factors: StructureFactors
    ) -> Mapping[str, int]:
        """Bytes by what needs them, for what the engine allocates before the first pixel and can
        tell from the experiment alone; image, mask and table are counted by `prepare`."""
        ...

    def prepare(
        self, experiment: Experiment, structure_factors: StructureFactors, quirks: Quirks
    ) -> EngineRun:
        """Sets up an experiment, whose seeds are all given; raises as `run.prepare.prepare`."""
        ...

    def structure_factors_at(
        self, structure_factors: StructureFactors, hkl: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What the engine takes, without interpolation, at whole indices (model 6.5).

        hkl: float64, shape (n, 3).  The result has shape (n,).
        """
        ...


class Definition(EngineRun, Protocol):
    """The C engine's run of an experiment: its pixels are the definition of the bits."""

    def cells_m(self) -> NDArray[np.float64]:
        """a, b, c in metres of each orientation, shape (phi steps * domains, 9), domain fastest, as
        every phi loop but the first of the run takes them (model 6.4)."""
        ...

    def sources(self) -> NDArray[np.float64]:
        """Unit vector to each source x, y, z, its weight, its wavelength in m, shape (n, 5)."""
        ...

    def exact_pixels(self, numbers: NDArray[np.int64], threads: int) -> NDArray[np.float32]:
        """The pixels of these numbers (slow * n_fast + fast), shape (n,), by the exact kernel."""
        ...


@runtime_checkable
class NeedsDefinition(Protocol):
    """What a run may be beside: one that proves its pixels to be those of the definition."""

    @property
    def needs_definition(self) -> bool:
        """Whether it renders only after `define`."""
        ...

    def define(self, definition: Definition) -> None:
        """Takes the run that defines the pixels, of the same experiment."""
        ...


@runtime_checkable
class RendersTogether(Protocol):
    """What an engine may do beside: rendering the panels of a detector in one go.

    The runs of one that does not are rendered one after the other.
    """

    def render_together(
        self,
        runs: Sequence[Any],
        *,
        threads: int,
        progress: ProgressCallback | None,
        unrounded: bool,
    ) -> Sequence[Rendered]:
        """One image for each of the engine's own runs, as `EngineRun.render` makes it; `progress`
        counts the rows of all of them."""
        ...
