"""The programs, their options and commands, as their parsers and the flag table have them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final, NamedTuple

from nanobragg_hybrid.arguments.flags import FLAGS, OWN_OPTIONS
from nanobragg_hybrid.cli.nanobragg.help import USAGE
from nanobragg_hybrid.cli.umbrella.options import PROGRAMS, umbrella_parser
from nanobragg_hybrid.formats.demo_data import DEMO_FILES

FILE_WORDS: Final = frozenset({"FILE", "FOLDER", "DIR", "PATH", "OUT", "IMAGE", "A", "B"})
"""Names of values that are paths."""
_PASS_ON: Final = ("converge", "quirks", "series")
"""Commands behind whose ``--`` a nanoBragg command line stands."""
_WORDS: Final = {"data": tuple(DEMO_FILES), "man": PROGRAMS}
"""What a command takes that checks its words by itself."""


class Option(NamedTuple):
    """`spellings` of one option; the names of its `values`; `choices` of the first of them."""

    spellings: tuple[str, ...]
    values: tuple[str, ...]
    help: str
    choices: tuple[str, ...] = ()

    @property
    def takes_file(self) -> bool:
        """Whether the word behind it is a path."""
        return bool(FILE_WORDS.intersection(self.values[:1])) and not self.choices


class Program(NamedTuple):
    """One program, or one command of a program.

    `passes_on`: words behind ``--`` are a nanoBragg command line.  `words`: what may stand where
    no option does, if not a file.
    """

    name: str
    summary: str
    usage: str
    options: tuple[Option, ...]
    commands: tuple[Program, ...] = ()
    epilog: str = ""
    description: str = ""
    passes_on: bool = False
    words: tuple[str, ...] = ()


def programs() -> tuple[Program, ...]:
    """All programs that the package installs."""
    from nanobragg_hybrid.cli.compare.options import compare_parser
    from nanobragg_hybrid.cli.compare_hkl.main import compare_hkl_parser
    from nanobragg_hybrid.cli.trace.options import trace_parser

    return (
        _nanobragg(),
        _of_parser(umbrella_parser(), "nanobragg-hybrid"),
        _of_parser(compare_parser(), "nb-compare", passes_on=True),
        _of_parser(compare_hkl_parser(), "nb-compare-hkl"),
        _of_parser(trace_parser(), "nb-trace", passes_on=True),
    )


def _nanobragg() -> Program:
    flags = [
        Option(
            flag.spellings,
            tuple("FILE" if flag.kind == "file" else word for word in flag.words),
            f"{flag.help} [{flag.unit}]" if flag.unit else flag.help,
        )
        for flag in FLAGS
    ]
    own = [Option((each.spelling,), tuple(each.value.split()), each.help) for each in OWN_OPTIONS]
    usage = USAGE.partition("\n")[0].removeprefix("usage: ")
    return Program("nanoBragg", "diffraction images of crystals", usage, (*flags, *own))


def _of_parser(
    parser: argparse.ArgumentParser, name: str, *, summary: str = "", passes_on: bool = False
) -> Program:
    options, commands = [], []
    words: tuple[str, ...] = _WORDS.get(name, ())
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help or "" for each in action._choices_actions}
            commands = [
                _of_parser(sub, each, summary=helps.get(each, ""), passes_on=each in _PASS_ON)
                for each, sub in action.choices.items()
            ]
        elif action.option_strings and action.help != argparse.SUPPRESS:
            options.append(_option(action, parser.prog))
        elif action.choices and not action.option_strings:
            words = tuple(str(each) for each in action.choices)
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    description = " ".join((parser.description or "").split())
    return Program(
        name,
        summary or description.rstrip("."),
        usage,
        tuple(options),
        tuple(commands),
        parser.epilog or "",
        description,
        passes_on,
        words,
    )


def _option(action: argparse.Action, prog: str) -> Option:
    metavar = action.metavar if action.metavar is not None else action.dest.upper()
    values = (metavar,) if isinstance(metavar, str) else tuple(metavar)
    if action.nargs == 0:
        values = ()
    choices = tuple(str(each) for each in action.choices or ())
    named = {**vars(action), "prog": prog}
    if choices:
        named["choices"] = ", ".join(choices)
    text = (action.help or "") % named
    return Option(tuple(action.option_strings), values, " ".join(text.split()), choices)


def every(program: Program) -> Iterator[Program]:
    """A program and its commands."""
    yield program
    yield from program.commands
