"""Write the table of deliberate differences in docs/files_and_command_line.md.

    python docs/differences/make_table.py

Every row of differences.toml is run first, and one that does not do what it says is an error;
tests/architecture/test_differences.py does both as well.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from nanobragg_hybrid.cli.nanobragg.main import FAILED, main
from nanobragg_hybrid.formats.smv import write_mask

HERE: Final = Path(__file__).resolve().parent
PAGE: Final = HERE.parent / "files_and_command_line.md"
BEGIN: Final = "<!-- differences: begin -->\n"
END: Final = "<!-- differences: end -->\n"
IMAGES: Final = {"floatimage.bin", "intimage.img", "image.pgm", "noiseimage.img"}
JSON_FILE: Final = "run.json"
ERROR, WARNING, LOG = "error", "warning", "log"
HERE_TEXT: Final = {
    ERROR: "error",
    WARNING: "the same, with a warning",
    LOG: "another text, which may change: scripts read `--json`",
}

Row = Mapping[str, Any]


class Done(NamedTuple):
    """What a command line did: status, both streams, the files it wrote."""

    status: int
    stdout: str
    stderr: str
    written: set[str]


def load_table() -> tuple[str, list[Row]]:
    """The words that every row has, and the rows; ValueError for a row of another form."""
    table = tomllib.loads((HERE / "differences.toml").read_text())
    needed = {"args", "nanobragg", "outcome", "message"}
    for row in table["row"]:
        if not needed <= row.keys() <= needed | {"files"} or row["outcome"] not in HERE_TEXT:
            raise ValueError(f"differences.toml: {row['args']!r}: another form")
    return table["base"], table["row"]


def run_row(base: str, row: Row, folder: Path, *extra: str) -> Done:
    """Runs a row in a new folder."""
    make_files(row, folder)
    before = {path.name for path in folder.iterdir()}
    out, err = io.StringIO(), io.StringIO()
    words = [*shlex.split(base), *shlex.split(row["args"]), *extra]
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status = main(words)
    written = {path.name for path in folder.iterdir()} - before
    return Done(status, out.getvalue(), err.getvalue(), written)


def make_files(row: Row, folder: Path) -> None:
    """What the row reads, and a mask of 8 x 8 pixels."""
    write_mask(folder / "small.img", np.ones((8, 8), np.bool_))
    for name, content in row.get("files", {}).items():
        is_text = isinstance(content, str)
        data = content.encode() if is_text else bytes.fromhex(content["hex"])
        (folder / name).write_bytes(data)


def problem_of(row: Row, done: Done) -> str:
    """What a run did otherwise than its row says; empty if nothing."""
    outcome = row["outcome"]
    files = set() if outcome == ERROR else {*IMAGES, JSON_FILE}
    if done.status != (FAILED if outcome == ERROR else 0):
        return f"status {done.status}: {done.stderr}"
    if done.written != files:
        return f"writes {sorted(done.written)}"
    if outcome == LOG:
        first = done.stdout.splitlines()[0]
        return "" if is_message(first, row["message"]) else f"says {first!r}"
    said = [line.removeprefix(f"nanoBragg: {outcome}: ") for line in done.stderr.splitlines()]
    if outcome == ERROR:
        return "" if is_message(said[-1], row["message"]) else f"says {said[-1]!r}"
    return "" if any(is_message(line, row["message"]) for line in said) else f"says {said}"


def is_message(said: str, message: str) -> bool:
    """Whether it is the message, or begins like one that ends with three dots."""
    if message.endswith("..."):
        return said.startswith(message.removesuffix("..."))
    return said == message


def table_text() -> str:
    """The table of the page."""
    base, rows = load_table()
    lines = [
        f"The rows add their words to `{base}`.",
        "",
        "| words | nanoBragg | here | message |",
        "|---|---|---|---|",
    ]
    for row in rows:
        words = f"`{row['args']}`" if row["args"] else "any"
        cells = (words, row["nanobragg"], HERE_TEXT[row["outcome"]], f"`{row['message']}`")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def page_text(page: str) -> str:
    """The page with the table in its place."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + table_text() + END + tail


def write_page() -> None:
    """Runs every row, then writes the page."""
    base, rows = load_table()
    for row in rows:
        with tempfile.TemporaryDirectory() as name:
            done = run_row(base, row, Path(name), "--json", JSON_FILE)
            problem = problem_of(row, done)
            if problem:
                raise SystemExit(f"{row['args']}: {problem}")
            if row["outcome"] != ERROR:
                json.loads((Path(name) / JSON_FILE).read_text())
    PAGE.write_text(page_text(PAGE.read_text()))


if __name__ == "__main__":
    write_page()
