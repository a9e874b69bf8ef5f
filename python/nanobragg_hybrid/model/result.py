"""What an engine renders, and what a simulation returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from nanobragg_hybrid.base.arrays import array_fields, as_buffer, stored
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.statistics import Statistics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.base.arrays import Array, Buffer
    from nanobragg_hybrid.model.geometry import Geometry


class Rendered(NamedTuple):
    """What an engine makes of a run.

    image: float32, shape (slow, fast).  unrounded: float64, the same before rounding, if asked for.
    plan: as rendered.  provenance: what computed it.  random_state: see `SimulationResult`.
    background: float64, photons beside the spots (model 9), if the experiment has such a part.
    background_outside: for each scatterer, and behind them for the radial curve, in how many pixels
    its table was asked outside its rows.  expected: float64, see `SimulationResult`, from an engine
    that has the response itself; None: made of image and background.
    """

    image: Array
    unrounded: Array | None
    statistics: Statistics
    plan: ResolvedPlan
    provenance: Mapping[str, Any] = MappingProxyType({})
    random_state: object = None
    background: Array | None = None
    background_outside: tuple[int, ...] = ()
    expected: Array | None = None


@array_fields("image", "unrounded", "expected", "variance", "counts")
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SimulationResult:
    """One rendered image and what belongs to it.

    image: float32, shape (slow, fast); 0 outside the region of interest and under the mask.
    unrounded: float64, same shape, the pixel values before rounding to float32; None unless asked
        for.
    statistics: see this class.
    plan: what was chosen and derived before the first pixel, SI units, to the last bit.
    info: the same as a dictionary with the names and numbers of the C header's `nbh_plan_info`.
    provenance: what made this image: versions, backend, quirks, threads, seeds, time.
    warnings: what the user should know, one sentence each: what the plan changed or doubts, then
        what one look at the finished image found.  `simulate` has issued them.
    random_state: state of the random generator after set-up, opaque; noise images go on from it
        (model 7.4).  None from an engine that keeps none: then they set it up themselves.
    experiment: as rendered, with the seeds that came from the clock.
    quirks: as rendered.
    quirks_that_mattered: names of the quirks that were on and could have changed this image.
    expected: float64, same shape, counts above the pedestal before noise: photons of image and
        background after the point spread, times the pixels' gains (model 10.2); photons where the
        gain is 1.  0 outside the region of interest and under the mask.  None for an experiment
        without background and response.
    variance: float64, same shape, of these counts (model 10.3); without a response, of counting
        photons.  Infinite where a pixel tells nothing: dead, hot, or not rendered.  None as above.
    counts: what the detector reads out in frame `frame`, same shape, in the response's
        `count_type`; 0 where not rendered.  None without a response.
    frame: number of the frame of `counts`; `frame_counts` has the others.
    """

    image: NDArray[np.float32]
    unrounded: NDArray[np.float64] | None
    statistics: Statistics
    plan: ResolvedPlan
    info: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    random_state: object = None
    experiment: Experiment = field(default_factory=Experiment)
    quirks: Quirks = field(default_factory=Quirks)
    quirks_that_mattered: tuple[str, ...] = ()
    expected: NDArray[np.float64] | None = None
    variance: NDArray[np.float64] | None = None
    counts: NDArray[Any] | None = None
    frame: int = 0

    @property
    def geometry(self) -> Geometry:
        """The plan's geometry in user units."""
        from nanobragg_hybrid.model.geometry import Geometry

        return Geometry.from_plan(self.plan)

    @property
    def image_buffer(self) -> Buffer:
        """The memory of `image`, which needs no numpy: float32, shape (slow, fast)."""
        return as_buffer(stored(self, "image"))

    def replaced(self, **changes: Any) -> SimulationResult:
        """A copy with other values for some fields, and the same memory."""
        names = (f.name for f in dataclasses.fields(self))
        arrays = {
            name: stored(self, name)
            for name in ("image", "unrounded", "expected", "variance", "counts")
        }
        others = {name: getattr(self, name) for name in names if name not in arrays}
        return SimulationResult(**{**arrays, **others, **changes})

    def __repr__(self) -> str:
        n_slow, n_fast = self.image_buffer.shape
        return f"SimulationResult({n_fast} x {n_slow} pixels, {self.statistics!r})"
