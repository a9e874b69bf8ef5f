"""Completion for shells and manual pages: of every program, with every option."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.cli.completion.manual import manual
from nanobragg_hybrid.cli.completion.programs import Program, every, programs
from nanobragg_hybrid.cli.completion.shells import SHELLS, completion
from nanobragg_hybrid.cli.nanobragg.options import split_options
from nanobragg_hybrid.cli.umbrella.main import main
from nanobragg_hybrid.cli.umbrella.options import PROGRAMS, umbrella_parser

ROOT = Path(__file__).resolve().parents[2]
NAMES = [program.name for program in programs()]


def bash_completes(line: str, folder: Path) -> list[str]:
    """What bash offers for the last word of a line."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    words = line.split(" ")
    function = "_nbh_" + words[0].replace("-", "_")
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        f"{completion('bash')}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}\n"
        f'{function}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    command = ["bash", "--norc", "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_programs_are_those_that_are_installed() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert sorted(NAMES) == sorted(config["project"]["scripts"]) == sorted(PROGRAMS)


def test_every_flag_of_the_table_is_an_option() -> None:
    (command,) = (program for program in programs() if program.name == "nanoBragg")
    spellings = {spelling for option in command.options for spelling in option.spellings}
    assert {spelling for flag in FLAGS for spelling in flag.spellings} <= spellings
    assert "--threads" in spellings


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("nanoBragg -misset_s", ["-misset_seed"]),
        ("nanoBragg -hkl P", ["P1.hkl"]),
        ("nanoBragg -lambda P", []),
        ("nanobragg-hybrid str", ["structure-factors"]),
        ("nanobragg-hybrid completion f", ["fish"]),
        ("nanobragg-hybrid demo --o", ["--out"]),
        ("nanobragg-hybrid demo --out P", ["P1.hkl"]),
        ("nb-compare --max-u", ["--max-ulp"]),
        ("nb-compare --a c -- -misset_s", ["-misset_seed"]),
        ("nb-trace --pixel 1 2 -- -hkl P", ["P1.hkl"]),
        ("nanobragg-hybrid series --out x_#.cbf -- -misset_s", ["-misset_seed"]),
        ("nanobragg-hybrid converge -- -misset_s", ["-misset_seed"]),
        ("nanobragg-hybrid quirks --explain -- -misset_s", ["-misset_seed"]),
        ("nanobragg-hybrid view -- -misset_s", []),
        ("nanobragg-hybrid man nb-t", ["nb-trace"]),
        ("nanobragg-hybrid data hel", ["helix.pdb"]),
    ],
)
def test_bash(line: str, offered: list[str], tmp_path: Path) -> None:
    (tmp_path / "P1.hkl").touch()
    (tmp_path / "other").touch()
    assert bash_completes(line, tmp_path) == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_has_every_option_and_is_valid(shell: str, tmp_path: Path) -> None:
    text = completion(shell)
    for program in programs():
        for each in every(program):
            for option in each.options:
                for spelling in option.spellings:
                    word = spelling.lstrip("-") if shell == "fish" else spelling
                    assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), spelling
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed, so it cannot look at the script's syntax")
    path = tmp_path / "script"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_a_manual_page_has_every_option_and_is_valid(name: str, tmp_path: Path) -> None:
    text = manual(name)
    (program,) = (each for each in programs() if each.name == name)
    for each in every(program):
        for option in each.options:
            for spelling in option.spellings:
                assert "\\fB" + spelling.replace("-", "\\-") + "\\fR" in text
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed, so nothing looks at the page's syntax")
    path = tmp_path / "page.1"
    path.write_text(text, encoding="utf-8")
    command = ["groff", "-man", "-Kutf8", "-Tutf8", "-ww", "-z", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


COMMANDS = [command for program in programs() for command in program.commands]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_help_of_a_command(command: Program, capsys: pytest.CaptureFixture[str]) -> None:
    """Begins with sentences, and ends with a line that a shell and the command take as printed."""
    with pytest.raises(SystemExit) as ended:
        main([command.name, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert len(command.description.split()) >= 8
    assert command.description.endswith(".")
    assert command.description in " ".join(printed.split())
    _, heading, example = printed.rpartition("\nexample:\n")
    assert heading
    assert not [line for line in printed.splitlines() if line != line.rstrip()]
    words = shlex.split(example.replace("\\\n", " "))
    lines = example.replace("\\\n", " ").strip().splitlines()
    assert len(lines) == 1
    if words[0] == "nanobragg-hybrid" and "|" not in words:
        end = words.index("--") if "--" in words else len(words)
        assert umbrella_parser().parse_args(words[1:end]).command == command.name
        split_options(words[end + 1 :])
    else:
        assert f"nanobragg-hybrid {command.name} " in example


@pytest.mark.parametrize(
    ("word", "meant"), [("demoo", "(did you mean demo?)"), ("nothing", "structure-factors\n")]
)
def test_a_word_that_is_no_command(
    word: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word])
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert f"argument COMMAND: got {word}, need one of demo, info, " in printed
    assert printed.rstrip().endswith(meant.rstrip())


def test_the_commands_print_them(capsys: pytest.CaptureFixture[str]) -> None:
    for shell in SHELLS:
        assert main(["completion", shell]) == 0
        assert capsys.readouterr().out == completion(shell)
    assert main(["man", "nb-trace"]) == 0
    assert capsys.readouterr().out == manual("nb-trace")
    assert main(["man", "nb-trase"]) == 1
    assert "did you mean nb-trace?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["completion", "csh"])
    assert "csh" in capsys.readouterr().err
