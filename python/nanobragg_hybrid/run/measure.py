"""Background and response of a rendered image: what is expected, its variance, the counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.arrays import Deferred, Underlying, as_ndarray
from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError, UnsupportedError
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.validate import Integer, require_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.base.arrays import Array
    from nanobragg_hybrid.model.result import Rendered, SimulationResult

_BLOCK: Final = 1 << 16
"""Pixels at a time, which stay in a cache."""

_FRAME: Final = Integer(at_least=0, at_most=INT32_MAX)


class Measured(NamedTuple):
    """What a result has of background and response; see `SimulationResult`."""

    expected: Underlying
    variance: Deferred
    counts: NDArray[Any] | None
    sentences: tuple[str, ...]


def source_roi(experiment: Experiment, plan: ResolvedPlan) -> tuple[int, int, int, int] | None:
    """The region whose light spreads into the region of interest, inclusive bounds as in
    `Sampling.roi`; None where it is no larger."""
    response = experiment.response
    fast_min, fast_max, slow_min, slow_max = plan.roi
    if response is None or response.point_spread is None:
        return None
    if fast_min > fast_max or slow_min > slow_max:
        return None
    from nanobragg_hybrid.base.units import m_to_um
    from nanobragg_hybrid.run.point_spread import Region, source_region

    region = Region(slow_min, slow_max + 1, fast_min, fast_max + 1)
    pixel_um = m_to_um(plan.pixel_size_m)
    source = source_region(region, response.point_spread, pixel_um, plan.shape)
    if source == region:
        return None
    return source.left, source.right - 1, source.top, source.bottom - 1


def measured(
    made: Rendered,
    source: Rendered,
    plan: ResolvedPlan,
    experiment: Experiment,
    frame: int,
    backend: str,
) -> Measured | None:
    """None for an experiment without background and response.

    source: what was rendered of `source_roi`, the same as made where that is None.

    Raises `UnsupportedError` for an engine that renders no background, and `ConfigError` for bad
    pixels that the detector does not have.
    """
    if experiment.background is None and experiment.response is None:
        return None
    from nanobragg_hybrid.run.read_out import Chain

    if experiment.background is not None and made.background is None:
        raise UnsupportedError(f"the backend {backend!r} renders no background")
    chain = Chain.of(experiment, plan)
    background = None if source.background is None else as_ndarray(source.background)
    expected = chain.expected(as_ndarray(source.image), background)
    counts = None if experiment.response is None else chain.counts(expected, frame)
    doubts = _doubts(chain, expected, is_masked=experiment.detector.mask is not None)
    sentences = (*_outside(experiment, made.background_outside), *doubts)
    # A chain of its own: this one may hold maps of gains.
    variance = Deferred(lambda: Chain.of(experiment, plan).variance(expected))
    return Measured(Underlying(expected, [variance]), variance, counts, sentences)


def frame_counts(result: SimulationResult, frame: int) -> NDArray[Any]:
    """What the detector reads out in one of a series of frames that differ by nothing but noise.

    frame: number, 0 to 2147483647.  The array has shape (slow, fast) and the type of the response;
    it depends on the result's `expected`, the response with its seed, and the frame, and on nothing
    else: not on the order of frames, on threads or on processes (model 10.4).

    Raises `ConfigError` for a frame that is none, and for a result of an experiment without a
    response.
    """
    from nanobragg_hybrid.model.result import SimulationResult
    from nanobragg_hybrid.run.read_out import Chain

    require_class("result", result, SimulationResult)
    number = checked_frame(frame)
    if result.experiment.response is None or result.expected is None:
        rule = "the result of an experiment with a response"
        raise ConfigError("result.experiment.response", None, rule)
    return Chain.of(result.experiment, result.plan).counts(result.expected, number)


def checked_frame(frame: int) -> int:
    """The number of a frame; ConfigError."""
    try:
        return _FRAME.normalise(frame)
    except ValueError:
        raise ConfigError("frame", frame, _FRAME.text) from None


def has_light(background: Array | None) -> bool:
    """Whether there are photons in a background."""
    if background is None:
        return False
    flat = as_ndarray(background).reshape(-1)
    # Where there is light at all, it is mostly everywhere.
    return any(
        bool((flat[start : start + _BLOCK] > 0.0).any()) for start in range(0, flat.size, _BLOCK)
    )


def memory_needed(experiment: Experiment) -> dict[str, int]:
    """Bytes by what needs them; nothing without background and response."""
    if experiment.background is None and experiment.response is None:
        return {}
    n_slow, n_fast = experiment.detector.shape
    parts = {"expected counts and their variance": 16 * n_slow * n_fast}
    has_spread = experiment.response is not None and experiment.response.point_spread is not None
    if has_spread and experiment.sampling.roi is not None:
        parts["light that spreads into the region of interest"] = 12 * n_slow * n_fast
    if experiment.background is not None:
        parts["background"] = 8 * n_slow * n_fast
    if experiment.response is not None:
        parts["counts and what they are made of"] = 36 * n_slow * n_fast
    return parts


def _outside(experiment: Experiment, outside: tuple[int, ...]) -> list[str]:
    """A sentence for each table that does not reach over all pixels."""
    if experiment.background is None:
        return []
    names = [f"scatterers[{n}]" for n in range(len(experiment.background.scatterers))]
    one_row = [len(each.values) == 1 for each in experiment.background.scatterers]
    return [
        f"{count} pixels lie outside the rows of background.{name}: it has its end values there"
        for name, count, is_constant in zip(
            [*names, "radial"], outside, [*one_row, False], strict=False
        )
        if count > 0 and not is_constant
    ]


def _doubts(chain: Any, expected: NDArray[np.float64], *, is_masked: bool) -> list[str]:
    import numpy as np

    from nanobragg_hybrid.run.read_out import is_light

    found = []
    is_usual = is_light(expected)
    negative = 0 if is_usual else int(np.count_nonzero(expected < 0.0))
    if negative:
        found.append(f"the expected counts of {negative} pixels are below 0: they get no photons")
    odd = 0 if is_usual else int(np.count_nonzero(~np.isfinite(expected)))
    if odd:
        found.append(f"the expected counts of {odd} pixels are no number: they get no photons")
    if chain.response.point_spread is not None and is_masked:
        found.append(
            "with a point spread, light from under the mask is missing near its borders: what is "
            "masked is not rendered"
        )
    return found
