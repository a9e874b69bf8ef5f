"""The panels of a detector: one run of an engine for each, and one result of all.

A detector without panels has one, itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.engines.protocol import RendersTogether
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.result import Rendered, SimulationResult
from nanobragg_hybrid.model.statistics import statistics_of_panels
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.run.defined import prepared_run
from nanobragg_hybrid.run.look import DARK, UNEXPLAINED
from nanobragg_hybrid.run.measure import source_roi
from nanobragg_hybrid.run.quirk_effects import quirks_that_mattered

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.protocol import Engine, EngineRun, ProgressCallback

_PANELS: Final = " [panels "
"""What stands between a warning and the panels that it is about."""
_MOST_NAMES: Final = 8


class PreparedPanel(NamedTuple):
    """A panel that an engine has set up.

    experiment: of this panel alone, with seeds.  run: the engine's side of it.  source: the same of
    the larger region whose light spreads into the region of interest; None where that is no larger.
    """

    experiment: Experiment
    run: EngineRun
    source: EngineRun | None = None

    def quirks_that_mattered(self, asked: Experiment, quirks: Quirks) -> tuple[str, ...]:
        """Of this panel; asked: as the user gave the experiment, before seeds were filled in."""
        of_panel = dataclasses.replace(self.experiment, crystal=asked.crystal, output=asked.output)
        return quirks_that_mattered(of_panel, quirks, self.run.plan)


def experiments_of_panels(experiment: Experiment, quirks: Quirks) -> tuple[Experiment, ...]:
    """The experiment of each panel alone; itself without panels."""
    if experiment.detector.panels is None:
        return (experiment,)
    whole = experiment.with_directions()  # once for all
    count = len(experiment.detector.panels)
    return tuple(whole.of_panel(number, quirks) for number in range(count))


def prepare_panels(
    engine: Engine,
    experiments: Sequence[Experiment],
    names: Sequence[str],
    structure_factors: StructureFactors,
    quirks: Quirks,
) -> tuple[PreparedPanel, ...]:
    """Sets up the experiment of each panel; names: those of the panels, if it has any.

    Raises what the engine raises; a `ConfigError` about the detector names the panel.
    """
    panels = []
    for number, experiment in enumerate(experiments):
        try:
            run = prepared_run(engine, experiment, structure_factors, quirks)
        except ConfigError as error:
            if not names or not error.field.startswith("detector."):
                raise
            field = f"detector.panels[{names[number]}]{error.field.removeprefix('detector')}"
            raise ConfigError(field, error.value, error.rule, error.unit) from None
        roi = source_roi(experiment, run.plan)
        source = None
        if roi is not None:
            wider = experiment.replace({"sampling.roi": roi})
            source = prepared_run(engine, wider, structure_factors, quirks)
        panels.append(PreparedPanel(experiment, run, source))
    return tuple(panels)


def render_runs(
    engine: Engine,
    runs: Sequence[EngineRun],
    *,
    threads: int,
    progress: ProgressCallback | None,
    unrounded: bool,
) -> Sequence[Rendered]:
    """The image of each run: together where the engine can, else one after the other."""
    if len(runs) > 1 and isinstance(engine, RendersTogether):
        return engine.render_together(runs, threads=threads, progress=progress, unrounded=unrounded)
    rows = [run.plan.n_slow for run in runs]
    return [
        run.render(
            threads=threads,
            progress=_shifted(progress, sum(rows[:n]), sum(rows)) if len(runs) > 1 else progress,
            unrounded=unrounded,
        )
        for n, run in enumerate(runs)
    ]


def _shifted(
    progress: ProgressCallback | None, before: int, all_rows: int
) -> Callable[[int, int], object] | None:
    """A callback that counts the rows of other panels, too."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, all_rows)


def result_of_panels(
    experiment: Experiment, quirks: Quirks, panels: tuple[SimulationResult, ...]
) -> SimulationResult:
    """One result of the results of several panels."""
    mattered = {name for panel in panels for name in panel.quirks_that_mattered}
    nothing: Any = None  # what is of one panel only
    return SimulationResult(
        image=nothing,
        unrounded=None,
        statistics=statistics_of_panels(
            [panel.statistics for panel in panels], quirks.rmsd_counts_masked
        ),
        plan=nothing,
        info=nothing,
        provenance=_common([panel.provenance for panel in panels]),
        warnings=_warnings(experiment.detector.panel_names, panels),
        experiment=experiment,
        quirks=quirks,
        quirks_that_mattered=tuple(name for name in quirks.names_on if name in mattered),
        panel_results=panels,
    )


def _common(provenances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all of them say; where they differ, a tuple of what each of them says."""
    common: dict[str, Any] = {}
    for name in dict.fromkeys(name for each in provenances for name in each):
        values = tuple(each.get(name) for each in provenances)
        common[name] = values[0] if all(value == values[0] for value in values) else values
    return common


def _warnings(names: Sequence[str], panels: Sequence[SimulationResult]) -> tuple[str, ...]:
    """Each once, with the names of its panels unless it is the same sentence of all of them.

    What plans warn of is one sentence, that of the first such panel, whatever its numbers.  Of dark
    panels beside others there is one sentence in place of one each, about those for which a cause
    is known: between the spots of a sharp crystal there is room for a panel, and one that is masked
    as a whole is dark on purpose.
    """
    about: dict[str, dict[str, str]] = {}  # name of a plan's warning or sentence: panel: sentence
    dark: list[str] = []
    all_dark = not any(panel.statistics.max > 0.0 for panel in panels)
    for name, panel in zip(names, panels, strict=True):
        plan, sentences = panel.plan, panel.plan.sentences()
        kinds = dict(zip(sentences, plan.warnings, strict=True))
        for text in panel.warnings:
            if text in kinds or all_dark or not text.startswith(DARK):
                about.setdefault(kinds.get(text, text), {})[name] = text
            elif UNEXPLAINED not in text and panel.statistics.pixels > 0:
                dark.append(name)
    texts = []
    for of in about.values():
        text, *others = dict.fromkeys(of.values())
        if len(of) < len(panels) or others:
            note = "; the numbers are those of the first" if others else ""
            text = f"{text}{_PANELS}{_listed(list(of))}{note}]"
        texts.append(text)
    if dark:
        texts.append(
            f"{len(dark)} of {len(panels)} panels are dark, for reasons that the warnings of "
            f"result.panels name{_PANELS}{_listed(dark)}]"
        )
    return tuple(texts)


def _listed(names: Sequence[str]) -> str:
    """The names, of which a long list is cut."""
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"


def without_panels(text: str) -> str:
    """A warning without the names of its panels."""
    return text.partition(_PANELS)[0]
