"""Runs of an engine that proves its pixels to be the C engine's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanobragg_hybrid.engines.protocol import NeedsDefinition

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.protocol import Engine, EngineRun
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.quirks import Quirks
    from nanobragg_hybrid.model.structure_factors import StructureFactors


def prepared_run(
    engine: Engine, experiment: Experiment, structure_factors: StructureFactors, quirks: Quirks
) -> EngineRun:
    """What `Engine.prepare` makes, with the C engine's run where it needs that."""
    run = engine.prepare(experiment, structure_factors, quirks)
    if isinstance(run, NeedsDefinition) and run.needs_definition:
        from nanobragg_hybrid.engines.c.engine import CEngine

        run.define(CEngine().prepare(experiment, structure_factors, quirks))
    return run
