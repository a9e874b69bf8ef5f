"""The text of --help, made from the flag table, and the short usage text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.arguments.flags import FLAGS, OWN_OPTIONS, STEMS, SUBJECTS, Flag

USAGE = """\
usage: nanoBragg -cell A B C ALPHA BETA GAMMA -default_F F [options]
       nanoBragg -mat FILE -hkl FILE [options]
A crystal needs -cell, -mat or a -hkl file that has a cell; its reflections need -hkl, -dump or a
-default_F that is not 0.
All options: nanoBragg --help
"""

_INDENT = 30
_WIDTH = 100

_NOTES = """\
Words are separated by blanks; an option that needs values acts only if enough words follow it.
Later options win.  A spelling with ... behind it is the beginning of longer words; the others too
are found inside longer words (quirk cli_substring).  Files that are not named go by the names in
brackets.  The image is written as 32-bit floats, as 16-bit counts (SMV), as a picture (PGM) and
with photon noise (SMV).  Exit status: 0; 9 for every failure; 130 if interrupted."""


def help_text() -> str:
    """Everything the command takes, grouped by subject, with units."""
    lines = [
        USAGE,
        f"nanoBragg (nanobragg-hybrid {__version__}): diffraction images of crystals",
        "",
    ]
    by_subject = {
        subject: list(flags)
        for subject, flags in groupby(
            sorted(FLAGS, key=lambda flag: SUBJECTS.index(flag.subject)), key=attrgetter("subject")
        )
    }
    for subject in SUBJECTS:
        lines.append(subject)
        for flag in by_subject[subject]:
            lines += _entry(_left(flag), _right(flag))
        lines.append("")
    lines.append("options that nanoBragg does not have")
    for option in OWN_OPTIONS:
        lines += _entry(f"{option.spelling} {option.value}".rstrip(), option.help)
    return "\n".join([*lines, "", _NOTES, ""])


def _left(flag: Flag) -> str:
    return " ".join([*_spellings(flag), *flag.words])


def _spellings(flag: Flag) -> Iterable[str]:
    for n, spelling in enumerate(flag.spellings):
        comma = "," if n + 1 < len(flag.spellings) else ""
        yield spelling + ("..." if spelling in STEMS else "") + comma


def _right(flag: Flag) -> str:
    return f"{flag.help} [{flag.unit}]" if flag.unit else flag.help


def _entry(left: str, right: str) -> list[str]:
    wrapped = textwrap.wrap(right, _WIDTH - _INDENT)
    first = f"  {left}"
    if len(first) + 2 > _INDENT:
        return [first, *(" " * _INDENT + line for line in wrapped)]
    return [f"{first:<{_INDENT}}{wrapped[0]}", *(" " * _INDENT + line for line in wrapped[1:])]
