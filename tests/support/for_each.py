"""One test for a rule that holds in many places: it names every place where the rule is broken."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

LONGEST = 1000
"""Characters of one problem; what an assertion shows may be much longer."""


def for_each(
    names: str, rows: Iterable[Any], ids: Callable[[Any], str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Runs a test's body for every row, and fails once, with a line for each row that failed.

    Like pytest.mark.parametrize, but the rows are one test: they share its fixtures, and the first
    failure does not end it.  `names` are those of the body's arguments that a row fills, with
    commas; `ids` names a row, which without it is shown as it is.  A row that skips fails.
    """
    arguments = [name.strip() for name in names.split(",")]
    table = [(row, row if len(arguments) > 1 else (row,)) for row in rows]
    assert table, "a rule that is looked at nowhere"

    def decorated(body: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(body)
        def test(**fixtures: Any) -> None:
            problems = []
            for row, values in table:
                given = dict(zip(arguments, values, strict=True))
                try:
                    body(**fixtures, **given)
                except pytest.skip.Exception as error:
                    name = repr(row) if ids is None else ids(row)
                    problems.append(f"{name}: skips ({error}), which would hide every other row")
                except (Exception, pytest.fail.Exception) as error:
                    name = repr(row) if ids is None else ids(row)
                    problems.append(f"{name}: {_problem(error)}")
            if problems:
                pytest.fail("\n".join(problems), pytrace=False)

        signature = inspect.signature(body)
        left = [p for name, p in signature.parameters.items() if name not in arguments]
        test.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return test

    return decorated


def _problem(error: BaseException) -> str:
    """What was wrong, and the line of the test that says so."""
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/test_" in f.filename]
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = f"{kind}{error}".replace("\n", "\n    ")
    return (text if len(text) <= LONGEST else f"{text[:LONGEST]}...") + place
