"""The drop-in command `nanoBragg`.

`main` only sorts out what went wrong; `run` does the work in this order: read everything, make sure
that every output can be written, plan, render, write.  Nothing heavy is imported before it is clear
that an image is wanted.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.cli.log import silence_stdout
from nanobragg_hybrid.cli.options import Options, split_options
from nanobragg_hybrid.errors import NanobraggError

FAILED = 9
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; `argv` is without the program's name.  Returns the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        status = _dispatch(words)
    except BrokenPipeError:
        status = 0
        silence_stdout()
    except KeyboardInterrupt:
        _say("interrupted")
        status = INTERRUPTED
    except (NanobraggError, OSError) as error:
        _say(f"error: {error}")
        status = FAILED
    except MemoryError as error:
        _say(f"error: out of memory {error}".rstrip())
        status = FAILED
    return status if _flushed() else FAILED


def _flushed() -> bool:
    """Whether everything printed has arrived, or its reader has gone away of its own accord."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    except OSError as error:
        silence_stdout()
        _say(f"error: standard output: {error.strerror}")
        return False
    return True


def _dispatch(words: Sequence[str]) -> int:
    options = split_options(words)
    if options.version:
        print(f"nanoBragg (nanobragg-hybrid) {__version__}")
        return 0
    if options.help:
        from nanobragg_hybrid.cli.help import help_text

        print(help_text(), end="")
        return 0
    return _render(options, shlex.join(["nanoBragg", *words]))


def _render(options: Options, command_line: str) -> int:
    from nanobragg_hybrid.cli.run import UsageError, run

    try:
        run(options, command_line, _say)
    except UsageError as error:
        from nanobragg_hybrid.cli.help import USAGE

        _say(f"error: {error}")
        sys.stderr.write(USAGE)
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
    sys.exit(main())
