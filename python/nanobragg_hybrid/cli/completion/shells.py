"""Completion for bash, zsh and fish: scripts that need nothing but the shell."""

from __future__ import annotations

import shlex
from typing import Final, Literal, assert_never

from nanobragg_hybrid.cli.completion.programs import Option, Program, every, programs

Shell = Literal["bash", "zsh", "fish"]
SHELLS: Final[tuple[Shell, ...]] = ("bash", "zsh", "fish")


def completion(shell: Shell) -> str:
    """The script that a user of the shell reads in."""
    match shell:
        case "bash":
            return _bash()
        case "zsh":
            return _zsh()
        case "fish":
            return _fish()
        case _:
            assert_never(shell)


def _words(program: Program) -> list[str]:
    return [spelling for option in program.options for spelling in option.spellings]


def _name(program: Program, parent: Program | None = None) -> str:
    names = [parent.name] if parent else []
    return "_nbh_" + "_".join([*names, program.name]).replace("-", "_")


def _with_values(program: Program) -> list[tuple[Option, str]]:
    """Options with a value, and what completes it in bash."""
    found = []
    for option in program.options:
        if option.choices:
            found.append((option, f"-W {shlex.quote(' '.join(option.choices))}"))
        elif option.takes_file:
            found.append((option, "-f"))
        elif option.values:
            found.append((option, "-W ''"))
    return found


def _bash() -> str:
    lines = [
        "# Completion of nanobragg-hybrid's programs in bash:",
        '#   eval "$(nanobragg-hybrid completion bash)"',
    ]
    for program in programs():
        for each in every(program):
            parent = None if each is program else program
            lines += _bash_function(each, parent)
        lines.append(f"complete -o filenames -F {_name(program)} {program.name}")
    return "\n".join(lines) + "\n"


def _bash_function(program: Program, parent: Program | None) -> list[str]:
    lines = [f"{_name(program, parent)}() {{", "    local word=${COMP_WORDS[COMP_CWORD]} each"]
    if program.passes_on:
        lines += [
            '    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            "        if [[ $each == -- ]]; then _nbh_nanoBragg; return; fi",
            "    done",
        ]
    if program.commands:
        every_word = " ".join([*(each.name for each in program.commands), *_words(program)])
        lines += [
            "    if ((COMP_CWORD == 1)); then",
            f'        COMPREPLY=($(compgen -W {shlex.quote(every_word)} -- "$word")); return',
            "    fi",
            "    case ${COMP_WORDS[1]} in",
        ]
        lines += [f"        {c.name}) {_name(c, program)}; return;;" for c in program.commands]
        lines.append("    esac")
    lines.append("    case ${COMP_WORDS[COMP_CWORD-1]} in")
    other = f"-W {shlex.quote(' '.join(program.words))}" if program.words else "-f"
    for option, how in _with_values(program):
        spellings = "|".join(option.spellings)
        lines.append(f'        {spellings}) COMPREPLY=($(compgen {how} -- "$word")); return;;')
    lines += [
        "    esac",
        "    if [[ $word == -* ]]; then",
        f'        COMPREPLY=($(compgen -W {shlex.quote(" ".join(_words(program)))} -- "$word"))',
        "    else",
        f'        COMPREPLY=($(compgen {other} -- "$word"))',
        "    fi",
        "}",
    ]
    return lines


def _zsh() -> str:
    all_programs = programs()
    names = " ".join(program.name for program in all_programs)
    lines = [
        f"#compdef {names}",
        "# Completion of nanobragg-hybrid's programs in zsh:",
        '#   eval "$(nanobragg-hybrid completion zsh)"',
    ]
    for program in all_programs:
        for each in every(program):
            lines += _zsh_function(each, None if each is program else program)
    lines += [f"compdef {_name(program)} {program.name}" for program in all_programs]
    return "\n".join(lines) + "\n"


def _described(pairs: list[tuple[str, str]]) -> list[str]:
    escaped = [f"{word.replace(':', chr(92) + ':')}:{text}" for word, text in pairs]
    return [f"        {shlex.quote(each)}" for each in escaped]


def _zsh_function(program: Program, parent: Program | None) -> list[str]:
    lines = [f"{_name(program, parent)}() {{", "    local -a found"]
    if program.passes_on:
        lines.append(
            "    if ((${words[(I)--]} && ${words[(I)--]} < CURRENT)); then "
            "_nbh_nanoBragg; return; fi"
        )
    if program.commands:
        pairs = [(each.name, each.summary) for each in program.commands]
        lines += ["    if ((CURRENT == 2)); then", "        found=(", *_described(pairs)]
        lines += ["        )", "        _describe command found; return", "    fi"]
        lines.append("    case $words[2] in")
        lines += [f"        {c.name}) {_name(c, program)}; return;;" for c in program.commands]
        lines.append("    esac")
    lines.append("    case $words[CURRENT-1] in")
    for option in program.options:
        spellings = "|".join(option.spellings)
        if option.choices:
            choices = " ".join(shlex.quote(each) for each in option.choices)
            lines.append(f"        {spellings}) compadd -- {choices}; return;;")
        elif option.takes_file:
            lines.append(f"        {spellings}) _files; return;;")
        elif option.values:
            message = shlex.quote(" ".join(option.values))
            lines.append(f"        {spellings}) _message {message}; return;;")
    pairs = [(word, option.help) for option in program.options for word in option.spellings]
    lines += ["    esac", "    if [[ $words[CURRENT] == -* ]]; then", "        found=("]
    lines += [*_described(pairs), "        )", "        _describe -o option found"]
    other = f"compadd -- {' '.join(program.words)}" if program.words else "_files"
    return [*lines, "    else", f"        {other}", "    fi", "}"]


def _fish() -> str:
    lines = [
        "# Completion of nanobragg-hybrid's programs in fish:",
        "#   nanobragg-hybrid completion fish | source",
    ]
    for program in programs():
        start = f"complete -c {program.name}"
        for command in program.commands:
            lines.append(
                f"{start} -n __fish_use_subcommand -f -a {command.name} "
                f"-d {_fish_quoted(command.summary)}"
            )
        for each in every(program):
            condition = "" if each is program else f" -n '__fish_seen_subcommand_from {each.name}'"
            lines += [f"{start}{condition} {_fish_option(option)}" for option in each.options]
            if each.words:
                lines.append(f"{start}{condition} -f -a {_fish_quoted(' '.join(each.words))}")
    return "\n".join(lines) + "\n"


def _fish_option(option: Option) -> str:
    words = []
    for spelling in option.spellings:
        if spelling.startswith("--"):
            words.append(f"-l {spelling[2:]}")
        else:
            words.append(f"-{'s' if len(spelling) == 2 else 'o'} {spelling[1:]}")
    if option.choices:
        words.append(f"-x -a {_fish_quoted(' '.join(option.choices))}")
    elif option.takes_file:
        words.append("-r -F")
    elif option.values:
        words.append("-x")
    return " ".join([*words, f"-d {_fish_quoted(option.help)}"])


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
