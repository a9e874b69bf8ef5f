"""The example of docs/parity.md: its command prints what stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nanobragg_hybrid.cli.compare.main import main
from nanobragg_hybrid.cli.trace.main import main as trace

PAGE = Path(__file__).parents[2] / "docs" / "parity.md"


def _example() -> tuple[list[str], list[str]]:
    """Words of the command, and the lines below it."""
    text = PAGE.read_text()
    block = text.split("<!-- example: begin -->")[1].split("<!-- example: end -->")[0]
    command, *lines = block.strip().removeprefix("```\n").removesuffix("\n```").splitlines()
    return shlex.split(command.removeprefix("$ nb-compare ")), lines


def _without_seconds(lines: list[str]) -> list[str]:
    return [re.sub(r", \d+\.\d+ s$", "", line) for line in lines]


def test_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, lines = _example()
    assert main(["--outdir", str(tmp_path), "--no-pictures", *words]) == 3
    printed = capsys.readouterr().out.splitlines()
    assert _without_seconds(printed[:-1]) == _without_seconds(lines)


def test_trace(capsys: pytest.CaptureFixture[str]) -> None:
    words, _ = _example()
    args = words[words.index("--") :]
    (command,) = re.findall(r"^\$ nb-trace (.*) -- ARGS$", PAGE.read_text(), re.MULTILINE)
    assert trace([*command.split(), *args]) == 3
    printed = capsys.readouterr().out
    page = PAGE.read_text()
    (last,) = re.findall(r"^first divergence: .*$", page, re.MULTILINE)
    assert last in printed
    for number in "01":
        (row,) = re.findall(rf"^(?:=>|  )  phi step {number} .*$", page, re.MULTILINE)
        assert row.rstrip() in printed
