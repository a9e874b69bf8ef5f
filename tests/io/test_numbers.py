"""Numbers at the start of a text, as C reads them."""

from __future__ import annotations

import ctypes
import math
import random
import struct

import pytest
from for_each import for_each

from nanobragg_hybrid.formats.numbers import c_atof, c_atoi


@for_each(
    "text, value, used",
    [
        ("12.5", 12.5, 4),
        ("12.5abc", 12.5, 4),
        (" \t\n-3", -3.0, 5),
        ("+.5e2;", 50.0, 5),
        ("5.", 5.0, 2),
        ("1e", 1.0, 1),
        ("1e+", 1.0, 1),
        ("0x1p4", 16.0, 5),
        ("0x", 0.0, 1),
        ("-0X.8P+1 ", -1.0, 8),
        ("1e999", math.inf, 5),
        ("-1e999", -math.inf, 6),
        ("0x1p99999", math.inf, 9),
        ("inf", math.inf, 3),
        ("-Infinity", -math.inf, 9),
        ("infinit", math.inf, 3),
        ("1_000", 1.0, 1),
        ("\N{ARABIC-INDIC DIGIT ONE}", 0.0, 0),
        ("", 0.0, 0),
        (" ", 0.0, 0),
        ("-", 0.0, 0),
        (".", 0.0, 0),
        ("#1", 0.0, 0),
        ("abc", 0.0, 0),
    ],
)
def test_atof(text: str, value: float, used: int) -> None:
    assert c_atof(text) == (value, used)


@pytest.mark.parametrize(("text", "used"), [("nan", 3), ("-NaN(12)", 8), ("nan(", 3)])
def test_atof_not_a_number(text: str, used: int) -> None:
    value, got = c_atof(text)
    assert math.isnan(value)
    assert got == used


def test_atof_from_a_place() -> None:
    assert c_atof("a=12;b=3", 2) == (12.0, 2)


@for_each(
    "text, value, used",
    [
        ("12.5", 12, 2),
        (" -7x", -7, 3),
        ("+0012", 12, 5),
        ("2147483647", 2147483647, 10),
        ("2147483648", -2147483648, 10),
        ("3000000000", -1294967296, 10),
        ("-3000000000", 1294967296, 11),
        ("9223372036854775807", -1, 19),
        ("99999999999999999999999", -1, 23),
        ("-99999999999999999999999", 0, 24),
        ("x", 0, 0),
        ("", 0, 0),
        ("--1", 0, 0),
    ],
)
def test_atoi(text: str, value: int, used: int) -> None:
    assert c_atoi(text) == (value, used)


def test_both_agree_with_the_c_library() -> None:
    """Random texts of the characters that numbers are made of (fixed seed)."""
    library = ctypes.CDLL(None)
    library.strtod.restype = ctypes.c_double
    library.strtod.argtypes = (ctypes.c_char_p, ctypes.POINTER(ctypes.c_char_p))
    rng = random.Random(20)
    for _ in range(20000):
        text = "".join(
            rng.choice(" 0123456789.eE+-xXpPaAfFinNyt") for _ in range(rng.randint(0, 9))
        )
        buffer = ctypes.create_string_buffer(text.encode())
        end = ctypes.c_char_p()
        need = library.strtod(ctypes.cast(buffer, ctypes.c_char_p), ctypes.byref(end))
        rest = len(end.value or b"")
        value, used = c_atof(text)
        assert used == len(text) - rest, text
        if math.isnan(need):
            assert math.isnan(value), text
        else:
            assert struct.pack("d", value) == struct.pack("d", need), text
        assert c_atoi(text)[0] == library.atoi(text.encode()), text
