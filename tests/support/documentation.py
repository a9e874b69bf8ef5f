"""The listings of a page of the documentation, and how they are run.

A page's `python` and `sh` listings are run in their order, in one folder and one name space.  What
is said about a listing stands in comments right above it:

    <!-- not run: REASON -->    it is left out
    <!-- output -->             above a listing without a language: what the one before it prints

In Python a comment behind `print(...)` that begins with a number, a bracket, a quote, True or False
is what has to be printed; behind it may follow a blank and more words.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"^<!-- ((?:(?!-->).)*) -->\s*\Z", re.DOTALL | re.MULTILINE)
_STATED = re.compile(r"[-\d(\[{'\"]|True\b|False\b|None\b")


@dataclass(frozen=True)
class Listing:
    """One fenced listing: `place` is page:line, `marks` the comments right above it."""

    place: str
    language: str
    text: str
    marks: tuple[str, ...]

    @property
    def not_run(self) -> str | None:
        """Why it is left out."""
        reasons = [mark.removeprefix("not run: ") for mark in self.marks if "not run: " in mark]
        return reasons[0] if reasons else None


def listings(page: Path) -> Iterator[Listing]:
    """All fenced listings of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        above, marks = text[: found.start()], []
        while (comment := _COMMENT.search(above)) is not None:
            marks.append(" ".join(comment[1].split()))
            above = above[: comment.start()]
        line = text.count("\n", 0, found.start()) + 2
        yield Listing(f"{page.name}:{line}", found[1], found[2], tuple(marks))


class Session:
    """What the listings of one page share: a folder and Python's names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, listing: Listing) -> str:
        """Runs a listing; returns what it printed.  Raises `AssertionError` with its place."""
        return self._sh(listing) if listing.language == "sh" else self._python(listing)

    def _sh(self, listing: Listing) -> str:
        programs = str(Path(sys.executable).parent)
        environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", listing.text],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{listing.place}: status {done.returncode}\n{done.stderr}"
        return done.stdout

    def _python(self, listing: Listing) -> str:
        lines = listing.text.splitlines()
        printed = ""
        for statement in ast.parse(listing.text, listing.place).body:
            code = compile(ast.Module([statement], []), listing.place, "exec")
            out = io.StringIO()
            with contextlib.chdir(self.folder), contextlib.redirect_stdout(out):
                exec(code, self.names)
            printed += out.getvalue()
            stated = _stated_output(statement, lines)
            if stated is not None:
                text = out.getvalue().strip()
                rest = stated.removeprefix(text)
                says_so = stated.startswith(text) and (not rest or rest[0] in " :,;")
                assert says_so, f"{listing.place}: printed {text}, the page says {stated}"
        return printed


def _stated_output(statement: ast.stmt, lines: list[str]) -> str | None:
    """The comment behind a `print(...)` of one line, if it is what is printed."""
    is_print = (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and ast.unparse(statement.value.func) == "print"
        and statement.lineno == statement.end_lineno
    )
    rest = lines[statement.lineno - 1].encode()[statement.end_col_offset or 0 :].decode()
    comment = rest.strip().removeprefix("#").strip()
    return comment if is_print and _STATED.match(comment) else None


def names_from_above(code: str) -> set[str]:
    """Names that a Python listing uses and has not defined before."""
    defined, missing = set(dir(builtins)) | {"__file__", "__name__"}, set()
    for statement in ast.parse(code).body:
        nodes = list(ast.walk(statement))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        stored = {name.id for name in names if not isinstance(name.ctx, ast.Load)}
        inside = {node.arg for node in nodes if isinstance(node, ast.arg)}
        for node in nodes:
            if isinstance(node, ast.comprehension):
                inside |= {each.id for each in ast.walk(node.target) if isinstance(each, ast.Name)}
            elif isinstance(node, ast.alias):
                stored.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                stored.add(node.name)
        if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr):
            inside |= stored  # of loops and functions: what they bind they use
        loaded = {name.id for name in names if isinstance(name.ctx, ast.Load)}
        missing |= loaded - defined - inside
        defined |= stored
    return missing


def same_output(printed: str, stated: str) -> bool:
    """Line by line; a line of dots alone stands for any lines, numbers agree to 1e-6."""
    pattern: list[str] = []
    for line in stated.splitlines():
        pattern.append(line.strip())
    got = [line.strip() for line in printed.splitlines()]
    return _matches(got, pattern)


def _matches(got: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not got
    if pattern[0] == "...":
        return any(_matches(got[n:], pattern[1:]) for n in range(len(got) + 1))
    return bool(got) and _same_line(got[0], pattern[0]) and _matches(got[1:], pattern[1:])


_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def _same_line(got: str, stated: str) -> bool:
    ours, theirs = _NUMBER.findall(got), _NUMBER.findall(stated)
    return _NUMBER.sub("#", got) == _NUMBER.sub("#", stated) and all(
        abs(float(a) - float(b)) <= 1e-6 * abs(float(b)) for a, b in zip(ours, theirs, strict=True)
    )
