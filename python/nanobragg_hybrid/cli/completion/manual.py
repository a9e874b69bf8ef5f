"""Manual pages in the language of man(7)."""

from __future__ import annotations

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import CommandLineError, suggestion
from nanobragg_hybrid.cli.completion.programs import Option, programs


def manual(name: str) -> str:
    """The page of a program.  Raises `CommandLineError` for a name that is none of ours."""
    by_name = {program.name: program for program in programs()}
    if name not in by_name:
        raise CommandLineError(
            f"man: got {name}, need one of {', '.join(by_name)}{suggestion(name, by_name)}"
        )
    program = by_name[name]
    lines = [
        f'.TH "{name.upper()}" "1" "" "nanobragg-hybrid {__version__}"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(program.summary or program.usage)}",
        ".SH SYNOPSIS",
        _text(program.usage),
        ".SH OPTIONS",
        *(line for option in program.options for line in _entry(option)),
    ]
    if program.commands:
        lines.append(".SH COMMANDS")
        for command in program.commands:
            lines += [f".SS {_text(command.name)}", _text(command.usage), ".PP"]
            lines.append(_text(command.description))
            lines += [line for option in command.options for line in _entry(option)]
            lines += [".PP", ".nf", *map(_text, command.epilog.splitlines()), ".fi"]
    if program.epilog:
        lines += [".SH NOTES", ".nf", *map(_text, program.epilog.splitlines()), ".fi"]
    others = ", ".join(f"{_text(each)}(1)" for each in by_name if each != name)
    return "\n".join([*lines, ".SH SEE ALSO", others]) + "\n"


def _entry(option: Option) -> list[str]:
    spellings = ", ".join(f"\\fB{_text(each)}\\fR" for each in option.spellings)
    values = " ".join(f"\\fI{_text(each)}\\fR" for each in option.values)
    return [".TP", f"{spellings} {values}".rstrip(), _text(option.help) or "\\&"]


def _text(text: str) -> str:
    """Text in which nothing is a request: backslashes, hyphens and what begins a line."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
