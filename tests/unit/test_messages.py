"""The look at messages that tests/conftest.py takes in every test."""

from __future__ import annotations

import pickle
import warnings

import pytest
from for_each import for_each
from whole_messages import fault_of, faults_of_messages

import nanobragg_hybrid as nb
from nanobragg_hybrid.base.errors import CommandLineError, foreign


@for_each(
    "message",
    [
        "theirs.log: has no pixel 20 10 (fast slow), but ",
        "has no pixel 20 10 (fast slow), but",
        "detector.distance_mm: got , need a number",
        "-distance: got",
        "a.log: : no text",
        "",
        " -distance: got 0",
        "its last words:",
    ],
)
def test_a_message_that_is_cut_off_is_seen(message: str) -> None:
    assert fault_of(message)


@for_each(
    "message",
    [
        "has no pixel 20 10 (fast slow), but 10 20; 33 31",
        "-distance: got '', need a number (mm)",
        "detector.distance_mm: got 0.0 mm, need a finite value > 0",
        "structure_factors: got (), need three numbers",
        "executable: got 3, need a path, or None",
        "backend: got 3, need a name, or an engine such as CEngine()",
    ],
)
def test_a_whole_message_is_not(message: str) -> None:
    assert fault_of(message) == ""


def test_an_error_of_somebody_else_that_says_nothing() -> None:
    assert foreign(ValueError("too long")) == "ValueError: too long"
    assert foreign(AssertionError()) == "AssertionError"
    assert fault_of(f"mine: {foreign(AssertionError())}") == ""


def test_a_file_is_named_once() -> None:
    assert fault_of("a.log: a.log: fast: got 1, need 2", "a.log") == "names its file twice"
    assert fault_of("a.log: has TRACE_C and TRACE_PY: say which, as a.log:C", "a.log") == ""


def test_every_error_and_warning_is_looked_at() -> None:
    with faults_of_messages() as faults:
        file = nb.FileFormatError("a.log", None, "a.log: fast: got 1, need 2")
        missing = nb.FileAccessError("a.log", "No such file or directory")
        CommandLineError("has no pixel, but ")
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            warnings.warn("need", nb.NanobraggWarning, stacklevel=1)
    assert [fault.partition(" ")[0] for fault in faults] == [
        "FileFormatError",
        "CommandLineError",
        "NanobraggWarning",
    ]
    assert str(missing) == "a.log: No such file or directory"
    assert isinstance(missing, OSError)
    again = pickle.loads(pickle.dumps(missing))
    assert (str(again), again.path) == (str(missing), "a.log")
    with pytest.raises(nb.FileFormatError, match=r"^a\.log: a\.log: fast"):
        raise file
