"""An experiment, set up once by an engine: its plan, its image, the traces of its pixels."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import ConfigError, ImageWarning, SetupWarning
from nanobragg_hybrid.base.host import MOST_THREADS, default_threads, require_memory
from nanobragg_hybrid.engines.registry import make_engine
from nanobragg_hybrid.model.detector import several_panels
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.result import SimulationResult
from nanobragg_hybrid.model.seeds import with_clock_seeds
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import Integer, require_class
from nanobragg_hybrid.run import measure
from nanobragg_hybrid.run.look import Given, look, one_wavelength_note
from nanobragg_hybrid.run.panels import (
    PreparedPanel,
    experiments_of_panels,
    prepare_panels,
    render_runs,
    result_of_panels,
    without_panels,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.engines.protocol import Engine, EngineRun, ProgressCallback
    from nanobragg_hybrid.model.result import Rendered
    from nanobragg_hybrid.model.trace import StepChoice, Trace

_THREADS: Final = Integer(at_least=1, at_most=MOST_THREADS)
_LIMIT: Final = Integer(at_least=0)
_STEP_BYTES: Final = 8192
"""About what one recorded step of a trace takes while it is made."""


class Prepared:
    """An experiment that an engine has set up.  Made by `prepare`.

    engine: the engine with its options; backend: its name.
    experiment: as it will be rendered, with the seeds that came from the clock.
    structure_factors, quirks: as given.
    memory_needed: bytes that rendering needs, by what needs them.
    panels: the set-up of each panel of the detector, which may be one.
    """

    def __init__(
        self,
        engine: Engine,
        experiment: Experiment,
        structure_factors: StructureFactors,
        quirks: Quirks,
        unrounded: bool = False,
    ) -> None:
        require_class("experiment", experiment, Experiment)
        require_class("structure_factors", structure_factors, StructureFactors)
        require_class("quirks", quirks, Quirks)
        check_render_options(None, unrounded)
        self.engine = engine = make_engine(engine)
        self.structure_factors = structure_factors
        self.quirks = quirks
        self._asked = experiment
        self.experiment = experiment = with_clock_seeds(experiment, time.time(), quirks)
        of_panels = experiments_of_panels(experiment, quirks)
        self.memory_needed: Mapping[str, int] = _memory_of_panels(
            engine, of_panels, structure_factors, unrounded
        )
        require_memory(self.memory_needed)
        names = experiment.detector.panel_names
        self.panels = prepare_panels(engine, of_panels, names, structure_factors, quirks)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as what it was made of, and set up again from that, with the same seeds."""
        parts = (self.engine, self._asked, self.experiment, self.structure_factors, self.quirks)
        return _prepared_again, parts

    @property
    def backend(self) -> str:
        """The engine's name."""
        return self.engine.name

    @property
    def run(self) -> EngineRun:
        """The engine's own side of it; what it has beside `EngineRun` is the engine's business.

        Raises `ConfigError` for a detector of several panels: `panels` has the run of each.
        """
        return self._only_panel("run").run

    @property
    def plan(self) -> ResolvedPlan:
        """What was chosen and derived before the first pixel.

        Raises `ConfigError` for a detector of several panels: `plans` has the plan of each.
        """
        return self._only_panel("plan").run.plan

    @property
    def plans(self) -> tuple[ResolvedPlan, ...]:
        """The plan of each panel of the detector, which may be one."""
        return tuple(panel.run.plan for panel in self.panels)

    @property
    def quirks_that_mattered(self) -> tuple[str, ...]:
        """Names of the quirks that are on and could change this image."""
        found = {
            name
            for panel in self.panels
            for name in panel.quirks_that_mattered(self._asked, self.quirks)
        }
        return tuple(name for name in self.quirks.names_on if name in found)

    def render(
        self,
        *,
        threads: int | None = None,
        progress: ProgressCallback | None = None,
        unrounded: bool = False,
        frame: int = 0,
    ) -> SimulationResult:
        """Renders the image; see `simulate` for the arguments, the result, the warnings and the
        errors."""
        result = self.render_quietly(
            threads=threads, progress=progress, unrounded=unrounded, frame=frame
        )
        issue_warnings(result, stacklevel=3)
        return result

    def render_quietly(
        self,
        *,
        threads: int | None = None,
        progress: ProgressCallback | None = None,
        unrounded: bool = False,
        frame: int = 0,
    ) -> SimulationResult:
        """The same without issuing the result's `warnings`, for who passes them on otherwise."""
        checked = checked_threads(threads)
        check_render_options(progress, unrounded)
        number = measure.checked_frame(frame)
        if unrounded:
            require_memory(
                _memory_of_panels(
                    self.engine,
                    [panel.experiment for panel in self.panels],
                    self.structure_factors,
                    unrounded,
                )
            )
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        runs = [panel.run for panel in self.panels]
        sources = [panel.source for panel in self.panels if panel.source is not None]
        made = list(
            render_runs(
                self.engine, runs + sources, threads=checked, progress=progress, unrounded=unrounded
            )
        )
        wider = iter(made[len(runs) :])
        asked = {"quirks": str(self.quirks), "threads": checked, "started": started}
        results = tuple(
            self._result(panel, own, own if panel.source is None else next(wider), asked, number)
            for panel, own in zip(self.panels, made[: len(runs)], strict=True)
        )
        if len(results) > 1:
            return result_of_panels(self.experiment, self.quirks, results)
        return results[0].replaced(experiment=self.experiment)

    def _result(
        self,
        panel: PreparedPanel,
        made: Rendered,
        source: Rendered,
        asked: Mapping[str, Any],
        frame: int,
    ) -> SimulationResult:
        """That of one panel; source: see `PreparedPanel`; asked: what the provenance has of the
        call."""
        from nanobragg_hybrid.engines.c.plan_info import plan_info

        plan = made.plan
        given = Given(plan, panel.experiment, self.structure_factors, self.quirks)
        is_lit = measure.has_light(made.background)
        findings = tuple(each.text for each in look(made.image, given, is_lit_beside=is_lit))
        seen = measure.measured(made, source, plan, panel.experiment, frame, self.backend)
        note = one_wavelength_note(given)
        crystal, output = panel.experiment.crystal, panel.experiment.output
        return SimulationResult(
            image=cast("NDArray[np.float32]", made.image),
            unrounded=cast("NDArray[np.float64] | None", made.unrounded),
            statistics=made.statistics,
            plan=plan,
            info=plan_info(plan),
            provenance={
                **made.provenance,
                "nanobragg_hybrid": __version__,
                "backend": self.backend,
                **asked,
                "misset_seed": crystal.misset_seed,
                "mosaic_seed": crystal.mosaic_seed,
                "noise_seed": output.noise_seed,
                **({} if note is None else {"structure_factors": note}),
            },
            warnings=plan.sentences() + findings + (() if seen is None else seen.sentences),
            random_state=made.random_state,
            experiment=panel.experiment,
            quirks=self.quirks,
            quirks_that_mattered=panel.quirks_that_mattered(self._asked, self.quirks),
            expected=None if seen is None else cast("NDArray[np.float64]", seen.expected),
            variance=None if seen is None else cast("NDArray[np.float64]", seen.variance),
            counts=None if seen is None else seen.counts,
            frame=frame,
        )

    def _only_panel(self, name: str) -> PreparedPanel:
        if len(self.panels) > 1:
            instead = f"panels has the {name} of each"
            raise several_panels(f"prepared.{name}", len(self.panels), instead)
        return self.panels[0]

    def _panel(self, which: int | str | None) -> PreparedPanel:
        if which is not None:
            return self.panels[self.experiment.detector.panel_number(which)]
        if len(self.panels) > 1:
            rule = f"a number, 0 to {len(self.panels) - 1}, or a panel's name"
            raise ConfigError("panel", None, rule)
        return self.panels[0]

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
        threads: int | None = None,
        panel: int | str | None = None,
    ) -> Trace:
        """The chain of one pixel, with the first step that has the given indices; see `trace`.

        limit: that many of these steps, None: all of them.  threads: of the C engine, which may
        have to look at the pixels before this one; as in `simulate`.
        """
        run = self._panel(panel).run
        fast, slow = _pixel(pixel, run.plan)
        choice = _choice(run.plan, source, phi_step, domain, subpixel, layer)
        steps = _step_limit(run.plan, limit, choice)
        checked = None if threads is None else checked_threads(threads)
        return run.trace(fast, slow, choice, steps, checked)

    def trace_phi(
        self,
        pixel: tuple[int, int],
        *,
        source: int | None = None,
        domain: int | None = None,
        subpixel: tuple[int, int] | None = None,
        layer: int | None = None,
        threads: int | None = None,
        panel: int | str | None = None,
    ) -> Trace:
        """The chain of one pixel with a step for each phi step; see `trace_phi` and `trace`."""
        run = self._panel(panel).run
        fast, slow = _pixel(pixel, run.plan)
        choice = _choice(run.plan, source, None, domain, subpixel, layer)
        checked = None if threads is None else checked_threads(threads)
        first = run.trace(fast, slow, choice, 1, checked)
        if not first.steps:
            return first
        here = first.steps[0]
        indices = {field.name: getattr(here, field.name) for field in dataclasses.fields(choice)}
        phi_loop = dataclasses.replace(choice, **{**indices, "phi_step": None})
        return run.trace(fast, slow, phi_loop, run.plan.phi_steps, checked)


def _prepared_again(
    engine: Engine,
    asked: Experiment,
    experiment: Experiment,
    structure_factors: StructureFactors,
    quirks: Quirks,
) -> Prepared:
    again = Prepared(engine, experiment, structure_factors, quirks)
    again._asked = asked
    return again


def prepare(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    backend: str | Engine = "c",
    quirks: Quirks | None = None,
) -> Prepared:
    """Sets up an experiment, to look at its plan, render its image and trace its pixels.

    >>> import nanobragg_hybrid as nb
    >>> experiment = nb.Experiment(
    ...     crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)),
    ...     detector=nb.Detector(distance_mm=100, pixel_size_mm=0.4, n_fast=64, n_slow=48),
    ... )
    >>> prepared = nb.prepare(experiment, nb.StructureFactors.constant(100.0))
    >>> prepared.plan.n_fast, prepared.plan.pixel_size_m
    (64, 0.0004)
    >>> prepared.render().image.shape
    (48, 64)

    backend: an engine's name, see `available_backends`, or an engine with options of its own:
        `CEngine(kernel="exact")`, `TorchEngine(device="cuda", dtype="float32")`,
        `ExternalEngine(executable="~/bin/nanoBragg")`.
    quirks: None: all on, nanoBragg's image.

    Seeds that are None come from the clock, once (with the quirk misset_seed_default off, the
    missetting's from the noise seed).

    Raises `ConfigError` for a value that breaks its rule, `ResourceError` before anything is
    allocated if the image would not fit into memory, `UnsupportedError` for a combination that this
    version lacks, and `BackendError` for a backend that is not there.
    """
    return prepared(experiment, structure_factors, backend, quirks)


def prepared(
    experiment: Experiment,
    structure_factors: StructureFactors,
    backend: str | Engine,
    quirks: Quirks | None,
    unrounded: bool = False,
) -> Prepared:
    """`prepare`, whose check of memory counts an unrounded image too if asked."""
    require_class("experiment", experiment, Experiment)
    engine = make_engine(backend)
    return Prepared(engine, experiment, structure_factors, quirks_or_all(quirks), unrounded)


def issue_warnings(result: SimulationResult, stacklevel: int) -> None:
    """Each of the result's `warnings` as Python's: `ImageWarning` where `image_warnings` has it,
    else `SetupWarning`.  stacklevel: as for `warnings.warn`, counted from here."""
    about_image = image_warnings(result)
    for text in result.warnings:
        category = ImageWarning if text in about_image else SetupWarning
        warnings.warn(text, category, stacklevel=stacklevel)


def image_warnings(result: SimulationResult) -> tuple[str, ...]:
    """Those of the result's `warnings` that are about its images, not its plans."""
    about_plans = {text for panel in result.panels for text in panel.plan.sentences()}
    return tuple(text for text in result.warnings if without_panels(text) not in about_plans)


def memory_needed(
    engine: Engine,
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    unrounded: bool = False,
) -> dict[str, int]:
    """Bytes that rendering needs, by what needs them."""
    of_panels = experiments_of_panels(experiment, Quirks())
    return _memory_of_panels(engine, of_panels, structure_factors, unrounded)


def _memory_of_panels(
    engine: Engine,
    experiments: Sequence[Experiment],
    structure_factors: StructureFactors,
    unrounded: bool,
) -> dict[str, int]:
    """The same for the experiments of the panels of a detector."""
    shapes = [experiment.detector.shape for experiment in experiments]
    pixels = sum(n_slow * n_fast for n_slow, n_fast in shapes)
    n_slow, n_fast = shapes[0]
    what = f"image of {n_fast} x {n_slow} pixels"
    if len(shapes) > 1:
        what = f"images of {len(shapes)} panels, {pixels} pixels"
    parts = {what: 4 * pixels}
    if unrounded:
        parts["unrounded image"] = 8 * pixels
    masks = [experiment.detector.mask for experiment in experiments]
    masked = [mask.shape[0] * mask.shape[1] for mask in masks if mask is not None]
    if masked:
        parts["mask"] = sum(masked)
    table = structure_factors.grid_buffer
    if table is not None:
        parts["structure factor table"] = table.nbytes
    for experiment in experiments:
        needed = [
            measure.memory_needed(experiment),
            engine.memory_needed(experiment, structure_factors),
        ]
        for name, count in (item for each in needed for item in each.items()):
            parts[name] = parts.get(name, 0) + count
    return parts


def checked_threads(threads: int | None) -> int:
    """The number of threads, as many as usable cores if None; ConfigError."""
    if threads is None:
        return default_threads()
    try:
        return _THREADS.normalise(threads)
    except ValueError:
        raise ConfigError("threads", threads, f"{_THREADS.text}, or None") from None


def check_render_options(progress: object, unrounded: object) -> None:
    """Raises `ConfigError` for a value that is none."""
    if progress is not None and not callable(progress):
        raise ConfigError("progress", progress, "a function of two numbers, or None")
    if not isinstance(unrounded, bool):
        raise ConfigError("unrounded", unrounded, "True or False")


def _pixel(pixel: object, plan: ResolvedPlan) -> tuple[int, int]:
    fast, slow = plan.n_fast, plan.n_slow
    rule = f"(fast, slow) with fast from 0 to {fast - 1} and slow from 0 to {slow - 1}"
    return _pair("pixel", pixel, (fast, slow), rule)


def _choice(
    plan: ResolvedPlan,
    source: object,
    phi_step: object,
    domain: object,
    subpixel: object,
    layer: object,
) -> StepChoice:
    from nanobragg_hybrid.model.trace import StepChoice

    sub_fast = sub_slow = None
    if subpixel is not None:
        per_edge = plan.oversample
        rule = f"(fast, slow), both from 0 to {per_edge - 1}, or None"
        sub_fast, sub_slow = _pair("subpixel", subpixel, (per_edge, per_edge), rule)
    return StepChoice(
        layer=_index("layer", layer, plan.sensor_layers),
        sub_slow=sub_slow,
        sub_fast=sub_fast,
        source=_index("source", source, plan.source_count),
        phi_step=_index("phi_step", phi_step, plan.phi_steps),
        domain=_index("domain", domain, plan.mosaic_domains),
    )


def _step_limit(plan: ResolvedPlan, limit: int | None, choice: StepChoice) -> int:
    """The most steps that there can be within a limit; ResourceError if too many for us."""
    loops = (
        (choice.layer, plan.sensor_layers),
        (choice.sub_slow, plan.oversample),
        (choice.sub_fast, plan.oversample),
        (choice.source, plan.source_count),
        (choice.phi_step, plan.phi_steps),
        (choice.domain, plan.mosaic_domains),
    )
    steps = math.prod(count for index, count in loops if index is None)
    if limit is not None:
        try:
            steps = min(steps, _LIMIT.normalise(limit))
        except ValueError:
            raise ConfigError("limit", limit, f"{_LIMIT.text}, or None") from None
    require_memory({f"trace of {steps} steps": steps * _STEP_BYTES})
    return steps


def _index(name: str, index: object, count: int) -> int | None:
    if index is None:
        return None
    rule = Integer(at_least=0, at_most=count - 1)
    try:
        return rule.normalise(index)
    except ValueError:
        raise ConfigError(name, index, f"{rule.text}, or None") from None


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
