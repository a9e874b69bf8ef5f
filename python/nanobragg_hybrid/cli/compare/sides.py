"""One side of a comparison: a command line read for a backend, and rendered by it."""

from __future__ import annotations

import contextlib
import io
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nanobragg_hybrid.base.errors import CommandLineError, ExecutableError, NanobraggError
from nanobragg_hybrid.cli.nanobragg.inputs import Input, Warn, read_input
from nanobragg_hybrid.cli.nanobragg.log import Log
from nanobragg_hybrid.cli.nanobragg.options import nanobragg_words
from nanobragg_hybrid.engines.protocol import Engine
from nanobragg_hybrid.engines.registry import engine_class, make_engine
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.seeds import with_clock_seeds
from nanobragg_hybrid.run.quirk_effects import quirks_that_mattered
from nanobragg_hybrid.run.simulate import simulate

if TYPE_CHECKING:
    from nanobragg_hybrid.model.result import SimulationResult


class Side(NamedTuple):
    """Who renders, with which quirks and how many threads (None: all cores)."""

    label: str  # a or b
    engine: Engine
    quirks: Quirks
    threads: int | None

    @property
    def backend(self) -> str:
        """The engine's name."""
        return self.engine.name


class SideRun(NamedTuple):
    """A rendered side.

    seconds: of the rendering alone; for an executable from its start to its end.  stdout, stderr:
    what an executable printed; else the facts of the set-up, and the warnings.
    """

    result: SimulationResult
    seconds: float
    quirks_that_mattered: tuple[str, ...]
    stdout: str
    stderr: str


class RunnerError(Exception):
    """A side could not be rendered; `stdout` and `stderr` are what it printed."""

    def __init__(self, side: Side, error: Exception) -> None:
        self.side = side
        self.stdout = error.stdout if isinstance(error, ExecutableError) else ""
        own = isinstance(error, NanobraggError)
        text = str(error) if own else f"{type(error).__name__}: {error}"
        self.stderr = error.stderr if isinstance(error, ExecutableError) else text + "\n"
        super().__init__(f"{side.label.upper()} ({side.backend}): {text}")


def make_side(
    label: str, backend: str, quirks: str, wanted: Mapping[str, Any], threads: int | None
) -> Side:
    """A side with those options of `wanted` that its backend takes."""
    known = engine_class(backend).options
    own = {name: value for name, value in wanted.items() if name in known}
    return Side(label, make_engine(backend, own), Quirks.parse(quirks), threads)


def read_sides(
    sides: Sequence[Side], words: Sequence[str] | str, warn: Warn, folder: Path | None = None
) -> list[Input]:
    """What the words (or their text) mean to each side, with the same seeds from the clock.

    folder: of the files that they name; None: the current one.  Raises what the reading raises.
    """
    options = nanobragg_words(_split(words) if isinstance(words, str) else words)
    inputs: dict[Quirks, Input] = {}
    with contextlib.chdir(folder or Path.cwd()):
        for side in sides:
            if side.quirks not in inputs:
                inputs[side.quirks] = read_input(options, side.quirks, warn)
    return [inputs[side.quirks] for side in sides]


def run_side(side: Side, given: Input, now_s: float) -> SideRun:
    """Renders what was read, with the clock at `now_s` for seeds; `RunnerError` if that fails."""
    asked = given.command.experiment
    experiment = with_clock_seeds(asked, now_s, side.quirks)
    try:
        start = time.perf_counter()
        result = simulate(
            experiment,
            given.table,
            backend=side.engine,
            quirks=side.quirks,
            threads=side.threads,
        )
        seconds = time.perf_counter() - start
    except Exception as error:  # whatever an engine raises, it has failed
        raise RunnerError(side, error) from error
    mattered = quirks_that_mattered(asked, side.quirks, result.plan)
    provenance = result.provenance
    if "executable" in provenance:
        texts = (provenance["stdout"], provenance["stderr"])
        return SideRun(result, provenance["seconds"], mattered, *texts)
    warnings = "".join(f"warning: {text}\n" for text in result.warnings)
    return SideRun(result, seconds, mattered, _setup_text(given, result), warnings)


def _setup_text(given: Input, result: SimulationResult) -> str:
    from nanobragg_hybrid.cli.nanobragg.facts import plan_facts
    from nanobragg_hybrid.cli.nanobragg.report import log_setup

    command = given.command._replace(experiment=result.experiment)
    known = plan_facts(result.plan, misset_random=command.experiment.crystal.misset_random)
    text = io.StringIO()
    log_setup(Log(text), command, given.table, known, result.plan)
    return text.getvalue()


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise CommandLineError(f"{text}: {error}") from None
