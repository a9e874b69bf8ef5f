"""How finely an experiment has to be sampled: counts are doubled until the frame stands still."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, UnsupportedError
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import Integer, Number, require_class
from nanobragg_hybrid.run.prepare import checked_threads, prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nanobragg_hybrid.engines.protocol import Engine

    Images = tuple[NDArray[np.float64], ...]

_MOST: Final = Integer(at_least=2, at_most=2**20)


@dataclass(frozen=True, slots=True)
class Step:
    """A count that was tried.

    change: the sum of the absolute differences of all pixels to the frame of the count before, over
    the sum of this frame; None for the first.  steps: evaluations of the model for each pixel and
    sensor layer.  seconds: that the frame took on this machine.
    """

    count: int
    change: float | None
    steps: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Convergence:
    """What was found for one count: `field`, its dotted name.

    chosen: the smallest count whose frame changes by less than the tolerance when it is doubled;
    None: there is none up to the largest that was tried.  tried: in order.
    """

    field: str
    chosen: int | None
    tried: tuple[Step, ...]


def converge(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    tolerance: float = 0.01,
    most: int = 256,
    backend: str | Engine = "c",
    quirks: Quirks | None = None,
    threads: int | None = None,
    say: Callable[[str], object] | None = None,
) -> tuple[Convergence, ...]:
    """Doubles each count of an experiment that samples something until the frame stands still,
    from the least one on; the others stay as the experiment has them.

    These are: mosaic domains (with a mosaic spread), phi steps (with an oscillation), sub-pixels
    along an edge, wavelengths (with a dispersion), directions (with a divergence).  A spectrum,
    listed sources and rotations are given one by one, and stay.  The norm is
    ``sum |new - old| / sum new`` over all pixels of the Bragg frame, without background and
    response.  Domains are random, so theirs falls slowly, as the root of their number.

    tolerance: of it, > 0.  most: the largest count, 2 to 2^20.  backend, quirks, threads: as of
    `simulate`.  say: called with a line for each frame, and for each count that stays because its
    step is given (phi_step_deg, divergence_h_step_mrad, divergence_v_step_mrad).  Raises
    `ConfigError`, `UnsupportedError` for a frame without light, and what `simulate` raises.
    """
    require_class("experiment", experiment, Experiment)
    require_class("structure_factors", structure_factors, StructureFactors)
    rules: tuple[tuple[str, object, Number | Integer], ...] = (
        ("tolerance", tolerance, Number(above=0.0)),
        ("most", most, _MOST),
    )
    for name, value, rule in rules:
        try:
            rule.normalise(value)
        except ValueError:
            raise ConfigError(name, value, rule.text) from None
    if say is not None and not callable(say):
        raise ConfigError("say", say, "a function of a text, or None")
    count = checked_threads(threads)
    chosen = quirks_or_all(quirks)
    bare = experiment.replace({"background": None, "response": None, "crystal.water_um": 0.0})
    # seeds are drawn once, and counts that are left open are settled
    bare = prepared(bare, structure_factors, backend, chosen).experiment
    bare = _settled(bare, structure_factors, backend, chosen)

    def frame(field: str, number: int) -> tuple[Images, int, float]:
        changed = bare.replace({field: number})
        run = prepared(changed, structure_factors, backend, chosen)
        started = time.perf_counter()
        result = run.render_quietly(threads=count)
        seconds = time.perf_counter() - started
        images = tuple(np.asarray(image, np.float64) for image in result.images)
        return images, run.plans[0].steps, seconds

    if say is not None:
        for field, step in _given_steps(bare):
            say(f"{field} stays: {step} is given")
    found = []
    for field in _fields(bare):
        tried: list[Step] = []
        before: Images | None = None
        # a range has its two ends at least (model 5.1)
        number, smallest = (2 if field.startswith("beam.") else 1), None
        while number <= most:
            images, steps, seconds = frame(field, number)
            change = None if before is None else _change(before, images)
            tried.append(Step(number, change, steps, seconds))
            if say is not None:
                say(line_of(field, tried[-1]))
            if change is not None and change < tolerance:
                smallest = number // 2
                break
            before = images
            number *= 2
        found.append(Convergence(field, smallest, tuple(tried)))
    return tuple(found)


def line_of(field: str, step: Step) -> str:
    """A step as a line of a table."""
    change = "" if step.change is None else f"{100.0 * step.change:.3g} %"
    return f"{field:26} {step.count:6d}  {change:>9}  {step.steps:9d} steps  {step.seconds:8.3f} s"


def _settled(
    experiment: Experiment,
    structure_factors: StructureFactors,
    backend: str | Engine,
    quirks: Quirks,
) -> Experiment:
    """The experiment with the counts that were chosen for it."""
    plan = prepared(experiment, structure_factors, backend, quirks).plans[0]
    changes: dict[str, int] = {"sampling.oversample": plan.oversample}
    for field in _fields(experiment):
        name = field.partition(".")[2]
        changes[field] = getattr(plan, name)
    return experiment.replace(changes)


def _fields(experiment: Experiment) -> Iterator[str]:
    """The counts that sample something."""
    beam, crystal, goniometer = experiment.beam, experiment.crystal, experiment.goniometer
    if crystal.mosaic_spread_deg and crystal.mosaic_rotations is None:
        yield "crystal.mosaic_domains"
    if goniometer.osc_deg and goniometer.phi_step_deg is None:
        yield "goniometer.phi_steps"
    yield "sampling.oversample"
    if beam.sources is not None:
        return
    if beam.dispersion_percent and beam.spectrum is None:
        yield "beam.dispersion_steps"
    if beam.divergence_h_mrad and beam.divergence_h_step_mrad is None:
        yield "beam.divergence_h_steps"
    if beam.divergence_v_mrad and beam.divergence_v_step_mrad is None:
        yield "beam.divergence_v_steps"


def _given_steps(experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Counts that would sample something if their step were not given, and that step."""
    beam, goniometer = experiment.beam, experiment.goniometer
    if goniometer.osc_deg and goniometer.phi_step_deg is not None:
        yield "goniometer.phi_steps", "goniometer.phi_step_deg"
    if beam.sources is not None:
        return
    if beam.divergence_h_mrad and beam.divergence_h_step_mrad is not None:
        yield "beam.divergence_h_steps", "beam.divergence_h_step_mrad"
    if beam.divergence_v_mrad and beam.divergence_v_step_mrad is not None:
        yield "beam.divergence_v_steps", "beam.divergence_v_step_mrad"


def _change(before: Images, after: Images) -> float:
    total = sum(float(image.sum()) for image in after)
    if not 0.0 < total < np.inf:
        raise UnsupportedError(f"the frame has {total:g} photons in all: nothing can converge")
    difference = sum(float(np.abs(a - b).sum()) for a, b in zip(after, before, strict=True))
    return difference / total
