"""The backend "reference": the user's own nanoBragg executable, run as a program.

The executable is named by the option `executable`, else by the environment variable NB_C_BIN.  It
runs in a temporary folder with the words of `Experiment.to_nanobragg_args` and files for the
structure factors and whatever else those words name; its float image is read back, its integer
image is thrown away.  Set-up and statistics of the result are those of the C engine's plan: an
executable tells nobody about its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.arguments.emit import emit_args
from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.base.constants import (
    DEFAULT_DUMP_FILE,
    DEFAULT_FLOAT_FILE,
    DEFAULT_INT_FILE,
)
from nanobragg_hybrid.base.errors import (
    BackendError,
    ConfigError,
    ExecutableError,
    RenderCancelled,
    UnsupportedError,
)
from nanobragg_hybrid.engines.c.engine import CEngine
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.formats.dump import dump_is_read_shifted, write_dump
from nanobragg_hybrid.formats.hkl import write_hkl
from nanobragg_hybrid.formats.raw import read_raw
from nanobragg_hybrid.formats.text import read_bytes
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.result import Rendered
from nanobragg_hybrid.model.structure_factors import StructureFactors

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.protocol import ProgressCallback

VARIABLE: Final = "NB_C_BIN"
_HKL_NAME: Final = "structure_factors.hkl"
_TRACE_LINE: Final = "TRACE_"
_OWN_NAME: Final = "nanobragg-hybrid"
_LOOK_EVERY_S: Final = 0.2
_LAST_LINES: Final = 5


class _Output(NamedTuple):
    status: int
    stdout: str
    stderr: str
    seconds: float


def find_executable(executable: str | os.PathLike[str] | None = None) -> Path:
    """The reference executable: `executable`, else what NB_C_BIN names; a bare name is looked for
    in PATH.  Raises `BackendError` if there is none, or if it cannot be run."""
    if executable is not None and not isinstance(executable, str | os.PathLike):
        raise ConfigError("executable", executable, "a path, or None")
    given = os.fspath(executable) if executable is not None else os.environ.get(VARIABLE, "")
    if not given:
        raise BackendError(
            f"the backend 'reference' needs an executable: set {VARIABLE} to the path of your "
            "nanoBragg"
        )
    path = Path(given).expanduser()
    if os.sep not in given:
        path = Path(shutil.which(given) or given)
    path = path.absolute()
    source = VARIABLE if executable is None else "executable"
    if not path.exists():
        raise BackendError(f"{source}: got {given!r}, but there is no such file")
    if not path.is_file():
        raise BackendError(f"{source}: got {given!r}, need a file that can be executed")
    if not os.access(path, os.X_OK):
        raise BackendError(f"{source}: got {given!r}, which is not executable (chmod +x)")
    return path


class ExternalRun:
    """An experiment for an executable, planned by the C library; see `EngineRun`."""

    def __init__(
        self, engine: ExternalEngine, c_plan: Plan, table: StructureFactors, quirks: Quirks
    ) -> None:
        self.plan: ResolvedPlan = c_plan.resolved()
        self._engine, self._c_plan = engine, c_plan
        self._table, self._quirks = table, quirks

    def render(
        self, *, threads: int, progress: ProgressCallback | None, unrounded: bool
    ) -> Rendered:
        """Renders one image with the executable.

        An executable has the quirks that it has, so every quirk must be on; if it says that it is
        this project's own drop-in command, other positions are handed to it as --quirks.  `threads`
        is not passed on.  `progress` hears of no row before the end, but may stop the program.  The
        solid angle of the statistics is NaN.  The provenance has the executable, its sha256, its
        words, output and seconds.

        Raises `BackendError` if the executable is gone; `ExecutableError`, with what it printed, if
        it fails or does not write an image of the detector's size; `UnsupportedError` for other
        quirks and for `unrounded`; `ConfigError` for a value that nanoBragg's words cannot say.
        """
        if unrounded:
            raise UnsupportedError("the backend 'reference' has no unrounded values")
        executable, experiment = find_executable(self._engine.executable), self._c_plan.experiment
        with tempfile.TemporaryDirectory(prefix="nanobragg-") as name:
            folder = Path(name).resolve()
            plain = experiment.replace({"background": None, "response": None})
            arguments = _arguments(executable, plain, self._table, self._quirks, folder)
            shape = experiment.detector.shape
            output = _run(executable, arguments, folder, progress, shape[0])
            image = _image(executable, output, folder / DEFAULT_FLOAT_FILE, shape)
        photons, outside = self._c_plan.photons_beside_spots(threads)
        return Rendered(
            image=image,
            unrounded=None,
            statistics=self._c_plan.statistics(image, math.nan),
            plan=self.plan,
            provenance={
                "executable": str(executable),
                "executable_sha256": hashlib.sha256(read_bytes(executable)).hexdigest(),
                "command": shlex.join([str(executable), *arguments]),
                "stdout": output.stdout,
                "stderr": output.stderr,
                "seconds": output.seconds,
            },
            random_state=self._c_plan.random_state(),
            background=photons,
            background_outside=outside,
        )

    def trace(self, *_: object, **_options: object) -> NoReturn:
        """An executable fills no record; `trace_text` is what it can say."""
        raise UnsupportedError(
            "the backend 'reference' fills no record of a trace; nb-trace reads the lines it prints"
        )


@dataclass(frozen=True, slots=True)
class ExternalEngine:
    """The user's own nanoBragg executable; set-up and statistics are those of the C library.

    executable: its path, or a name to be looked for in PATH; None: what NB_C_BIN names.

    An executable that is not there is a `BackendError` before anything is rendered, one that fails
    an `ExecutableError` with what it printed.
    """

    name: ClassVar[str] = "reference"
    options: ClassVar[tuple[str, ...]] = ("executable",)

    executable: str | os.PathLike[str] | None = None

    def memory_needed(
        self, experiment: Experiment, structure_factors: StructureFactors
    ) -> dict[str, int]:
        """That of the plan of the C library; the executable's own is not known."""
        return CEngine().memory_needed(experiment, structure_factors)

    def prepare(
        self, experiment: Experiment, structure_factors: StructureFactors, quirks: Quirks
    ) -> ExternalRun:
        """Makes the C library's plan; `BackendError` if there is no executable to render it."""
        find_executable(self.executable)
        return ExternalRun(
            self, Plan(experiment, structure_factors, quirks), structure_factors, quirks
        )

    def structure_factors_at(self, *_: object, **_options: object) -> NoReturn:
        """An executable cannot be asked for single amplitudes."""
        raise UnsupportedError("the backend 'reference' cannot be asked for structure factors")


def trace_text(
    experiment: Experiment,
    structure_factors: StructureFactors,
    *,
    pixel: tuple[int, int],
    quirks: Quirks | None = None,
    executable: str | os.PathLike[str] | None = None,
) -> str:
    """What the executable prints when it renders the image with ``-trace_pixel``.

    pixel: (fast, slow).  Only development builds of nanoBragg have that option; others pass over
    it.  Raises as `ExternalRun.render`, and `UnsupportedError` if there is no line of a trace.
    """
    program = find_executable(executable)
    quirks = Quirks() if quirks is None else quirks
    fast, slow = pixel
    with tempfile.TemporaryDirectory(prefix="nanobragg-") as name:
        folder = Path(name).resolve()
        arguments = [
            *_arguments(program, experiment, structure_factors, quirks, folder),
            *("-trace_pixel", str(slow), str(fast)),
        ]
        output = _run(program, arguments, folder)
    if output.status != 0:
        raise _error(program, output, _status_text(output.status), blame=True)
    if _TRACE_LINE not in output.stdout:
        raise UnsupportedError(
            f"{program} prints no trace: that needs a development build of nanoBragg, which has "
            "-trace_pixel"
        )
    return output.stdout


def _arguments(
    executable: Path,
    experiment: Experiment,
    structure_factors: StructureFactors,
    quirks: Quirks,
    folder: Path,
) -> list[str]:
    """The words that render an experiment; the files they name are written into `folder`."""
    arguments = emit_args(experiment, folder)
    return [
        *arguments,
        *_structure_factor_arguments(structure_factors, folder),
        *("-floatfile", DEFAULT_FLOAT_FILE, "-intfile", DEFAULT_INT_FILE),
        *("-nopgm", "-nonoise", "-noprogress"),
        *_own_arguments(executable, experiment, quirks, arguments, folder),
    ]


def _structure_factor_arguments(table: StructureFactors, folder: Path) -> list[str]:
    """Words for the structure factors, whose table becomes a file.

    That is a dump, which has every bit, unless its first bytes would be taken for white space (the
    quirk fdump_whitespace).  It has the name under which builds look for one that know no -dump.
    """
    arguments = [] if table.default_f == 0.0 else ["-default_F", repr(table.default_f)]
    if table.grid is None:
        return arguments
    if not dump_is_read_shifted(table):
        write_dump(folder / DEFAULT_DUMP_FILE, table)
        return [*arguments, "-dump", DEFAULT_DUMP_FILE]
    write_hkl(folder / _HKL_NAME, table)
    return [*arguments, "-hkl", _HKL_NAME, "-dump", DEFAULT_DUMP_FILE]


def _own_arguments(
    executable: Path, experiment: Experiment, quirks: Quirks, arguments: list[str], folder: Path
) -> tuple[str, ...]:
    """What only this project's own command understands, or nothing if all is as in nanoBragg.

    `arguments` are those of the experiment; an option among them that nanoBragg does not have would
    be passed over without a word.
    """
    own = [flag.targets[0] for flag in FLAGS if flag.is_ours and flag.option in arguments]
    as_nanobragg = quirks == Quirks.nanobragg()
    if as_nanobragg and not own:
        return ()
    asked = _run(executable, ["--version"], folder)
    if _OWN_NAME not in asked.stdout:
        what = f"the quirks {quirks}"
        if own:
            part, name = own[0].split(".")
            what = f"{own[0]} {getattr(getattr(experiment, part), name)!r}"
        raise UnsupportedError(
            f"{executable} cannot be asked for {what}: it has nanoBragg's own behaviour only"
        )
    return () if as_nanobragg else ("--quirks", str(quirks))


def _run(
    executable: Path,
    arguments: list[str],
    folder: Path,
    progress: ProgressCallback | None = None,
    rows: int = 1,
) -> _Output:
    """Runs the executable to its end in `folder`; it does not outlive an error or Ctrl-C."""
    start = time.perf_counter()
    program = _Program([str(executable), *arguments], folder)
    try:
        process = program.started()
        while True:
            try:
                stdout, stderr = process.communicate(timeout=_LOOK_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                if progress is not None and progress(0, rows) is False:
                    raise RenderCancelled("the progress callback asked to stop") from None
    except BaseException:
        program.end()
        raise
    seconds = time.perf_counter() - start
    return _Output(process.returncode, _text(stdout), _text(stderr), seconds)


class _Program:
    """A program that a thread of its own starts.

    Ctrl-C in the middle of Popen would leave a program behind that nobody can end; Python hears of
    it in the main thread only.
    """

    def __init__(self, command: list[str], folder: Path) -> None:
        self._command, self._folder = command, folder
        self._process: subprocess.Popen[bytes] | None = None
        self._problem: Exception | None = None
        self._starting = threading.Lock()
        self._is_wanted = True

    def started(self) -> subprocess.Popen[bytes]:
        """Starts it; raises `BackendError` where that is not possible."""
        thread = threading.Thread(target=self._start, name="nanobragg_hybrid.start")
        thread.start()
        thread.join()
        if self._process is None:
            why = getattr(self._problem, "strerror", None) or self._problem
            raise BackendError(f"{self._command[0]}: cannot be run: {why}")
        return self._process

    def _start(self) -> None:
        with self._starting:
            if not self._is_wanted:
                return
            try:
                self._process = subprocess.Popen(
                    self._command,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    process_group=0,
                )
            except (OSError, ValueError) as error:  # such as a word with a null byte
                self._problem = error

    def end(self) -> None:
        """Ends it at once, and what it has started where the system has process groups."""
        with self._starting:  # not joined: after Ctrl-C a thread may not know that it is alive
            self._is_wanted = False
        if self._process is None:
            return
        # its end closes its pipes, and waits for it
        with self._process, contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)


def _image(
    executable: Path, output: _Output, path: Path, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """The image that the program wrote, shape (slow, fast); raises `ExecutableError`."""
    if output.status != 0:
        raise _error(executable, output, _status_text(output.status), blame=True)
    if not path.is_file():
        raise _error(
            executable, output, f"ended well, but wrote no {DEFAULT_FLOAT_FILE}", blame=True
        )
    n_slow, n_fast = shape
    needed, size = 4 * n_slow * n_fast, path.stat().st_size
    if size != needed:
        problem = (
            f"writes another shape: {DEFAULT_FLOAT_FILE} has {size} bytes, {n_fast} x {n_slow} "
            f"floats need {needed}"
        )
        raise _error(executable, output, problem)
    return read_raw(path, shape)


def _status_text(status: int) -> str:
    if status >= 0:
        return f"failed with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _error(
    executable: Path, output: _Output, problem: str, *, blame: bool = False
) -> ExecutableError:
    """With `blame`, the message ends with the last lines that the program printed."""
    message = f"{executable} {problem}"
    printed = (output.stderr.strip() or output.stdout.strip()).splitlines()
    if blame and printed:
        message += "; its last words: " + " | ".join(printed[-_LAST_LINES:])
    return ExecutableError(message, output.status, output.stdout, output.stderr)


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")
