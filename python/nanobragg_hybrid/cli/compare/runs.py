"""One side of a comparison: a command line read for a backend, and rendered by it."""

from __future__ import annotations

import contextlib
import io
import shlex
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.errors import (
    CommandLineError,
    ExecutableError,
    NanobraggError,
    NanobraggWarning,
    foreign,
)
from nanobragg_hybrid.cli.nanobragg.inputs import Input, Warn, read_input
from nanobragg_hybrid.cli.nanobragg.log import Log
from nanobragg_hybrid.cli.nanobragg.options import nanobragg_options
from nanobragg_hybrid.engines.protocol import Engine
from nanobragg_hybrid.engines.registry import engine_class, make_engine
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.seeds import with_clock_seeds
from nanobragg_hybrid.run.quirk_effects import quirks_that_mattered
from nanobragg_hybrid.run.simulate import simulate

if TYPE_CHECKING:
    from nanobragg_hybrid.model.result import SimulationResult


REFERENCE: Final = "reference"


class RunSpec(NamedTuple):
    """Who renders, with which quirks and how many threads (None: all cores)."""

    label: str  # a or b
    engine: Engine
    quirks: Quirks
    threads: int | None

    @property
    def backend(self) -> str:
        """The engine's name."""
        return self.engine.name


class FinishedRun(NamedTuple):
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

    def __init__(self, spec: RunSpec, error: Exception) -> None:
        self.spec = spec
        self.stdout = error.stdout if isinstance(error, ExecutableError) else ""
        own = isinstance(error, NanobraggError)
        text = str(error) if own and str(error) else foreign(error)
        self.stderr = error.stderr if isinstance(error, ExecutableError) else text + "\n"
        super().__init__(f"{spec.label.upper()} ({spec.backend}): {text}")


def run_spec(
    label: str, backend: str, quirks: str, wanted: Mapping[str, Any], threads: int | None
) -> RunSpec:
    """A side with those options of `wanted` that its backend takes."""
    known = engine_class(backend).options
    own = {name: value for name, value in wanted.items() if name in known}
    return RunSpec(label, make_engine(backend, own), Quirks.parse(quirks), threads)


def require_executable(spec: RunSpec) -> None:
    """`RunnerError` if the side's executable is not there, before the other side is rendered."""
    from nanobragg_hybrid.engines.external.engine import ExternalEngine, find_executable

    if isinstance(spec.engine, ExternalEngine):
        try:
            find_executable(spec.engine.executable)
        except NanobraggError as error:
            raise RunnerError(spec, error) from error


def read_inputs(
    specs: Sequence[RunSpec], arguments: Sequence[str] | str, warn: Warn, folder: Path | None = None
) -> list[Input]:
    """What the words (or their text) mean to each side, with the same seeds from the clock.

    folder: of the files that they name; None: the current one.  Raises what the reading raises.
    """
    options = nanobragg_options(_split(arguments) if isinstance(arguments, str) else arguments)
    inputs: dict[Quirks, Input] = {}
    with contextlib.chdir(folder or Path.cwd()):
        for spec in specs:
            if spec.quirks not in inputs:
                inputs[spec.quirks] = read_input(options, spec.quirks, warn)
    return [inputs[spec.quirks] for spec in specs]


def finished_run(spec: RunSpec, given: Input, now_s: float) -> FinishedRun:
    """Renders what was read, with the clock at `now_s` for seeds; `RunnerError` if that fails."""
    asked = given.command.experiment
    experiment = with_clock_seeds(asked, now_s, spec.quirks)
    try:
        start = time.perf_counter()
        with warnings.catch_warnings():  # the result has them too
            warnings.simplefilter("ignore", NanobraggWarning)
            result = simulate(
                experiment,
                given.table,
                backend=spec.engine,
                quirks=spec.quirks,
                threads=spec.threads,
            )
        seconds = time.perf_counter() - start
    except Exception as error:  # whatever an engine raises, it has failed
        raise RunnerError(spec, error) from error
    mattered = quirks_that_mattered(asked, spec.quirks, result.plan)
    provenance = result.provenance
    if "executable" in provenance:
        texts = (provenance["stdout"], provenance["stderr"])
        return FinishedRun(result, provenance["seconds"], mattered, *texts)
    told = "".join(f"warning: {text}\n" for text in result.warnings)
    return FinishedRun(result, seconds, mattered, _setup_text(given, result), told)


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
