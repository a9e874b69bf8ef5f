"""Background and response of a rendered image: what is expected, its variance, the counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.arrays import as_ndarray
from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError, UnsupportedError
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.validate import Integer, require_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.model.result import Rendered, SimulationResult

_FRAME: Final = Integer(at_least=0, at_most=INT32_MAX)


class Measured(NamedTuple):
    """What a result has of background and response; see `SimulationResult`."""

    expected: NDArray[np.float64]
    variance: NDArray[np.float64]
    counts: NDArray[Any] | None
    sentences: tuple[str, ...]


def measured(
    made: Rendered, plan: ResolvedPlan, experiment: Experiment, frame: int, backend: str
) -> Measured | None:
    """None for an experiment without background and response.

    Raises `UnsupportedError` for an engine that renders no background, and `ConfigError` for bad
    pixels that the detector does not have.
    """
    if experiment.background is None and experiment.response is None:
        return None
    from nanobragg_hybrid.run.read_out import Chain

    if experiment.background is not None and made.background is None:
        raise UnsupportedError(f"the backend {backend!r} renders no background")
    chain = Chain.of(experiment, plan)
    if made.expected is not None:
        expected = as_ndarray(made.expected)
    else:
        background = None if made.background is None else as_ndarray(made.background)
        expected = chain.expected(as_ndarray(made.image), background)
    counts = None if experiment.response is None else chain.counts(expected, frame)
    sentences = (*_outside(experiment, made.background_outside), *_doubts(chain, expected))
    return Measured(expected, chain.variance(expected), counts, sentences)


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


def memory_needed(experiment: Experiment) -> dict[str, int]:
    """Bytes by what needs them; nothing without background and response."""
    if experiment.background is None and experiment.response is None:
        return {}
    n_slow, n_fast = experiment.detector.shape
    parts = {"expected counts and their variance": 16 * n_slow * n_fast}
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


def _doubts(chain: Any, expected: NDArray[np.float64]) -> list[str]:
    import numpy as np

    found = []
    negative = int(np.count_nonzero(expected < 0.0))
    if negative:
        found.append(f"the expected counts of {negative} pixels are below 0: they get no photons")
    odd = int(np.count_nonzero(~np.isfinite(expected)))
    if odd:
        found.append(f"the expected counts of {odd} pixels are no number: they get no photons")
    if chain.response.point_spread is not None and chain.is_active is not None:
        found.append(
            "with a point spread, light from outside the region of interest and from under the "
            "mask is missing near their borders"
        )
    return found
