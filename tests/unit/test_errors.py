"""Messages, attributes and built-in base classes of the errors."""

from __future__ import annotations

import pickle

import pytest
from for_each import for_each

from nanobragg_hybrid.base import errors
from nanobragg_hybrid.base.errors import (
    ConfigError,
    Description,
    FileAccessError,
    FileFormatError,
    NanobraggError,
)


@for_each(
    "name, base",
    [
        ("ConfigError", ValueError),
        ("FileFormatError", ValueError),
        ("FileAccessError", OSError),
        ("ResourceError", MemoryError),
        ("UnsupportedError", NotImplementedError),
        ("BackendError", RuntimeError),
        ("RenderCancelled", Exception),
        ("CommandLineError", ValueError),
    ],
)
def test_every_error_has_both_bases(name: str, base: type) -> None:
    error = getattr(errors, name)
    assert issubclass(error, NanobraggError)
    assert issubclass(error, base)


def test_warning_is_a_user_warning() -> None:
    assert issubclass(errors.NanobraggWarning, UserWarning)


@for_each(
    "value, unit, shown",
    [
        (-0.1, "mm", "-0.1 mm"),
        (3, "", "3"),
        (float("nan"), "deg", "nan deg"),
        ("abc", "mm", "'abc'"),
        (True, "mm", "True"),
        (None, "", "None"),
        ((1, 2), "mm", "(1, 2)"),
        ("x" * 100, "", "'xxxxxxxxxxxx...xxxxxxxxxxxxx'"),
        (Description("float64 of shape (100, 200, 300)"), "mm", "float64 of shape (100, 200, 300)"),
    ],
)
def test_config_error_shows_the_value_shortly(value: object, unit: str, shown: str) -> None:
    assert str(ConfigError("a.b", value, "more", unit)) == f"a.b: got {shown}, need more"


def test_config_error_shortens_a_long_integer() -> None:
    text = str(ConfigError("a.b", 10**400, "less"))
    assert text.startswith("a.b: got 1000")
    assert len(text) < 80


def test_config_error_keeps_its_parts() -> None:
    error = ConfigError("detector.n_fast", 0, "an integer >= 1", "px")
    assert (error.field, error.value, error.rule, error.unit) == (
        "detector.n_fast",
        0,
        "an integer >= 1",
        "px",
    )


@pytest.mark.parametrize(
    ("line", "text"), [(17, "P1.hkl:17: bad"), (0, "P1.hkl: bad"), (None, "P1.hkl: bad")]
)
def test_format_error_names_file_and_line(line: int | None, text: str) -> None:
    error = FileFormatError("P1.hkl", line, "bad")
    assert str(error) == text
    assert (error.path, error.line, error.problem) == ("P1.hkl", line or 0, "bad")


def test_access_error_names_the_file() -> None:
    error = FileAccessError("a.img", "no space left")
    assert str(error) == "a.img: no space left"
    assert (error.path, error.problem) == ("a.img", "no space left")


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("a.b", 1, "more", "mm"),
        FileFormatError("P1.hkl", 17, "bad"),
        FileAccessError("a.img", "bad"),
        errors.ResourceError("need 8 bytes"),
    ],
)
def test_errors_survive_pickling(error: NanobraggError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_memory_errors_say_how_they_are_made() -> None:
    error = errors.ResourceError("need 8 bytes")
    assert error.__reduce__() == (errors.ResourceError, ("need 8 bytes",))
