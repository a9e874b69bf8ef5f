"""`nanobragg-hybrid converge`: counts that are doubled until the frame stands still."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.errors import CommandLineError

if TYPE_CHECKING:
    from nanobragg_hybrid.run.converge import Convergence

NOTHING_CONVERGED: Final = 3
"""Exit status."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1.0,
        metavar="PERCENT",
        help="largest change of the frame, percent of its photons (default: %(default)s)",
    )
    parser.add_argument(
        "--most",
        type=int,
        default=256,
        metavar="N",
        help="largest count that is tried (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="write what was found for scripts")


def converge_command(
    arguments: argparse.Namespace,
    command_line: Sequence[str],
    say: Callable[[str], object],
    warn: Callable[[str], None],
) -> int:
    """Renders the command line's frame again and again; lines go to `say`.  Returns the exit
    status."""
    from pathlib import Path

    from nanobragg_hybrid.cli.json_text import json_text
    from nanobragg_hybrid.cli.nanobragg.inputs import read_input
    from nanobragg_hybrid.cli.nanobragg.options import split_options
    from nanobragg_hybrid.cli.nanobragg.outputs import check_outputs
    from nanobragg_hybrid.engines.registry import make_engine
    from nanobragg_hybrid.formats.text import write_text
    from nanobragg_hybrid.model.quirks import Quirks
    from nanobragg_hybrid.run.converge import converge

    options = split_options(command_line)
    if options.json is not None:
        raise CommandLineError(f"--json {options.json}: has its place before the --")
    quirks = Quirks.parse(options.quirks)
    asked = read_input(options, quirks, warn)
    if arguments.json is not None:
        check_outputs({"JSON": Path(arguments.json)}, asked.files())
    say("count doubled: change = sum |new - old| / sum new over all pixels")
    found = converge(
        asked.command.experiment,
        asked.table,
        tolerance=arguments.tolerance / 100.0,
        most=arguments.most,
        backend=make_engine(options.backend, options.engine_options),
        quirks=quirks,
        say=say,
    )
    for each in found:
        if each.chosen is None:
            say(f"{each.field}: not below {arguments.tolerance:g} % up to {each.tried[-1].count}")
        else:
            say(f"{each.field}: {each.chosen}")
    if arguments.json is not None:
        document = {"tolerance": arguments.tolerance / 100.0, "fields": list(map(_plain, found))}
        write_text(Path(arguments.json), json_text(document))
    return 0 if any(each.chosen is not None for each in found) else NOTHING_CONVERGED


def _plain(found: Convergence) -> dict[str, Any]:
    tried = [
        {"count": step.count, "change": step.change, "steps": step.steps, "seconds": step.seconds}
        for step in found.tried
    ]
    return {"field": found.field, "chosen": found.chosen, "tried": tried}
