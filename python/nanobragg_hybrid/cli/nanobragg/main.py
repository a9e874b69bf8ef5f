"""The drop-in command `nanoBragg`.

`main` only sorts out what went wrong; `run` does the work in this order: read everything, make sure
that every output can be written, plan, render, write.  Nothing heavy is imported before it is clear
that an image is wanted.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import FileAccessError, NanobraggError
from nanobragg_hybrid.cli.nanobragg.log import Log, being_asked_to_end_is_ctrl_c, prepare_streams
from nanobragg_hybrid.cli.nanobragg.options import Options, split_options

FAILED = 9
INTERRUPTED = 130


def console() -> NoReturn:
    """The console script: `main` in a process of its own, which starts and ends without detours.

    Nothing here multiplies matrices, so the threads that numpy's would start are not wanted; there
    is no garbage worth collecting; and when everything is written and flushed, the process ends at
    once instead of taking its modules apart.  Being asked to end (by a batch system, or because the
    terminal is gone) counts as Ctrl-C, so that no temporary file is left.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()
    prepare_streams()
    being_asked_to_end_is_ctrl_c()
    os._exit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; `argv` is without the program's name.  Returns the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    log = Log()
    try:
        status = _dispatch(arguments, log)
    except KeyboardInterrupt:
        _say("interrupted")
        status = INTERRUPTED
    except (NanobraggError, OSError) as error:
        _say(f"error: {error}")
        status = FAILED
    except MemoryError as error:
        _say(f"error: out of memory {error}".rstrip())
        status = FAILED
    try:
        log.flush()
    except FileAccessError as error:
        _say(f"error: {error}")
        status = FAILED
    return status


def _dispatch(arguments: Sequence[str], log: Log) -> int:
    options = split_options(arguments)
    if options.version:
        log.line(f"nanoBragg (nanobragg-hybrid) {__version__}")
        return 0
    if options.help:
        from nanobragg_hybrid.cli.nanobragg.help import help_text

        log.line(help_text().rstrip("\n"))
        return 0
    return _render(options, arguments, log)


def _render(options: Options, arguments: Sequence[str], log: Log) -> int:
    from nanobragg_hybrid.cli.nanobragg.inputs import UsageError
    from nanobragg_hybrid.cli.nanobragg.run import run

    try:
        run(options, arguments, log, _say)
    except UsageError as error:
        from nanobragg_hybrid.cli.nanobragg.help import USAGE

        _say(f"error: {error}\n{USAGE}".rstrip("\n"))
        return FAILED
    return 0


def _say(text: str) -> None:
    """One message on standard error."""
    try:
        sys.stderr.write(f"nanoBragg: {text}\n")
        sys.stderr.flush()
    except OSError:
        pass  # nobody listens


if __name__ == "__main__":
    console()
