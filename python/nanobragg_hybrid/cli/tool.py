"""What `nb-compare`, `nb-trace` and `nb-compare-hkl` have in common: exit status and errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from nanobragg_hybrid.base.errors import (
    CommandLineError,
    ConfigError,
    FileAccessError,
    FileFormatError,
    NanobraggError,
)
from nanobragg_hybrid.cli.nanobragg.log import (
    being_asked_to_end_is_ctrl_c,
    prepare_streams,
    silence_stdout,
)
from nanobragg_hybrid.cli.nanobragg.options import INPUT_OPTIONS

AGREE, USAGE, RUNNER_FAILED, DIVERGED, FILE_ERROR = 0, 1, 2, 3, 5
INTERRUPTED: Final = 130
EXIT_STATUS: Final = (
    "exit status: 0 they agree (or there was nothing to compare); 1 usage; 2 a backend failed; "
    "3 they differ;\n5 a file cannot be read or written, or its content is wrong; 130 interrupted."
)


class ToolParser(argparse.ArgumentParser):
    """Wrong usage ends with status 1, because 2 is a backend's."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """A tool's own words, and those behind ``--``: a nanoBragg command line.

    Options of the input (`INPUT_OPTIONS`) may stand on either side; they belong to the latter.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    # Beside --files a tool has a --panel of its own.
    has_geometry = any(word.partition("=")[0] == "--experiment" for word in arguments)
    names = INPUT_OPTIONS if has_geometry else ("--column",)
    own: list[str] = []
    moved: list[str] = []
    words = list(arguments[:end])
    while words:
        word = words.pop(0)
        name, equals, _ = word.partition("=")
        if name not in names:
            own.append(word)
            continue
        moved.append(word)
        if not equals and words:
            moved.append(words.pop(0))
    return own, [*moved, *arguments[end + 1 :]]


def say(prog: str, text: str) -> None:
    """One message on standard error."""
    print(f"{prog}: {text}", file=sys.stderr)


def run_tool(prog: str, body: Callable[[], int]) -> int:
    """Runs a tool to its end: errors become one line on standard error and an exit status."""
    try:
        status = body()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        silence_stdout()
        return FILE_ERROR
    except KeyboardInterrupt:
        say(prog, "interrupted")
        return INTERRUPTED
    except (CommandLineError, ConfigError) as error:
        say(prog, f"error: {error}")
        return USAGE
    except (FileAccessError, FileFormatError) as error:
        say(prog, f"error: {error}")
        return FILE_ERROR
    except (NanobraggError, MemoryError) as error:
        say(prog, f"error: {str(error) or 'out of memory'}")
        return RUNNER_FAILED
    except OSError as error:
        say(prog, f"error: {os_problem(error)}")
        return FILE_ERROR


def os_problem(error: OSError) -> str:
    """What went wrong; where no file is named it was the printing, and nothing more is printed."""
    if error.filename is not None:
        return str(error)
    silence_stdout()
    return f"standard output: {error.strerror or error}"


def prepare_process() -> None:
    """For a process of its own: any stream may be closed, and being asked to end counts as Ctrl-C,
    so that no program is left running."""
    prepare_streams()
    being_asked_to_end_is_ctrl_c()
