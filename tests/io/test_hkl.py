"""Structure factors as text, in both positions of the quirk hkl_stream."""

from __future__ import annotations

import random
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid.base import host
from nanobragg_hybrid.base.errors import (
    ConfigError,
    FileFormatError,
    NanobraggWarning,
    ResourceError,
)
from nanobragg_hybrid.base.native import parse_hkl_text
from nanobragg_hybrid.formats.hkl import read_hkl, write_hkl
from nanobragg_hybrid.formats.numbers import c_atof
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors

ON = Quirks.nanobragg()
OFF = replace(ON, hkl_stream=False)


@pytest.fixture
def read(tmp_path: Path):
    def reader(text: bytes | str, quirks: Quirks = ON, default_f: float = 0.0) -> StructureFactors:
        data = text.encode() if isinstance(text, str) else text
        (tmp_path / "P1.hkl").write_bytes(data)
        return read_hkl(tmp_path / "P1.hkl", default_f=default_f, quirks=quirks)

    return reader


def listed(factors: StructureFactors) -> dict[tuple[int, ...], float]:
    """Entries of the table that are not the default."""
    assert factors.grid is not None
    places = np.argwhere(factors.grid != factors.default_f)
    return {
        tuple((place + factors.hkl_min).tolist()): float(factors.grid[tuple(place)])
        for place in places
    }


# ---- well-formed text --------------------------------------------------------------------------


@pytest.mark.parametrize("quirks", [ON, OFF])
def test_recorded_files(inputs: Path, quirks: Quirks) -> None:
    full = read_hkl(inputs / "full.hkl", quirks=quirks)
    assert (full.hkl_min, full.hkl_max, full.reflections) == ((-12,) * 3, (12,) * 3, 15625)
    assert full.grid is not None
    assert full.grid.dtype == np.float64
    assert full.grid.flags.c_contiguous
    assert not full.grid.flags.writeable
    assert full.grid[0, 0, :3].tolist() == [482.97, 481.03, 32.57]
    offset = read_hkl(inputs / "offset.hkl", quirks=quirks)
    assert (offset.hkl_min, offset.hkl_max) == ((-2, 1, -15), (14, 9, -3))
    assert offset.reflections == 1989
    exponents = read_hkl(inputs / "exp.hkl", quirks=quirks)
    assert exponents.grid is not None
    assert exponents.grid[0, 0, 0] == 4188.922


@pytest.mark.filterwarnings("ignore:.*lists a reflection again")
@pytest.mark.parametrize("quirks", [ON, OFF])
def test_default_fills_what_is_not_listed_and_later_lines_win(read, quirks: Quirks) -> None:
    factors = read("0 0 0 1\n1 1 2 5\n0 0 0 3\n", quirks, 7.5)
    assert factors.reflections == 3
    assert factors.default_f == 7.5
    assert factors.grid is not None
    assert factors.grid.shape == (2, 2, 3)
    assert listed(factors) == {(0, 0, 0): 3.0, (1, 1, 2): 5.0}


@for_each("quirks", [ON, OFF])
@for_each(
    "text", ["-1 2 +3 4.5", "\r\n-1\t2 03\v4.5\r\n", "  -1   2   3  45e-1 \n\n", "-1 2 3 0x1.2p2"]
)
def test_layouts_of_one_reflection(read, text: str, quirks: Quirks) -> None:
    assert listed(read(text, quirks)) == {(-1, 2, 3): 4.5}


ROUNDED = [
    "0.1", "123456789012345678", "9007199254740993", "1e22", "1e23", "1.7976931348623157e308",
    "2.2250738585072011e-308", "4.9e-324", "2.4703282292062327e-324", "3e-5000", "-0.0",
    "0." + "0" * 400 + "1e400", "1" + "0" * 400 + "e-400", "1" + "0" * 1000 + "1e-1001",
    "8.5" + "0" * 900 + "1", "1.00000000000000011102230246251565404236316680908203125",
    "1.00000000000000011102230246251565404236316680908203124",
    "1.00000000000000011102230246251565404236316680908203126", "4503599627370496.5" + "0" * 800,
    "4503599627370496.5" + "0" * 800 + "1", ".5", "5.", "0e99999999999999999999", "1E+5",
]  # fmt: skip
"""Close to half-way between two doubles, at the ends of their range, or long."""


def _halfway_word(rng: random.Random) -> str:
    """A number half-way between two doubles, or a unit in its last digit beside it."""
    mantissa = 2 * rng.randint(2**52, 2**53 - 1) + 1
    digits = str(mantissa * 5 ** (cut := rng.randint(0, 12)))
    nudged = str(int(digits) + rng.choice([-1, 0, 0, 1]))
    return f"{nudged}e{rng.randint(-27, 27)}" if rng.random() < 0.5 else f"{nudged}e-{cut}"


def _decimal_word(rng: random.Random) -> str:
    """Up to 25 digits with a point somewhere and an exponent around those that are converted
    without strtod."""
    digits = "0" * rng.choice([0, 0, 1, 30]) + str(rng.randrange(10 ** rng.randint(1, 25)))
    cut = rng.randint(0, len(digits))
    exponent = rng.choice(["", f"e{rng.randint(-32, 32)}", f"E{rng.randint(-350, 280)}"])
    return rng.choice(["", "-", "+"]) + digits[:cut] + "." + digits[cut:] + exponent


@pytest.mark.parametrize("quirks", [ON, OFF])
def test_amplitudes_are_correctly_rounded(read, quirks: Quirks) -> None:
    rng = random.Random(6)
    words = ROUNDED + [
        f"{sign}{digits}e{exponent}"
        for sign in ("", "-")
        for digits in (0, 1, 2**53 - 1, 2**53 + 1, 2**63, 2**64 - 1, 2**64, 10**19 - 1, 10**19)
        for exponent in (-28, -27, -23, -22, -1, 0, 1, 22, 23, 27, 28)
    ]
    words += [_halfway_word(rng) for _ in range(15000)]
    words += [_decimal_word(rng) for _ in range(15000)]
    words += [repr(rng.uniform(0.0, 1000.0)) for _ in range(5000)]
    factors = read("".join(f"0 0 {n} {word}\n" for n, word in enumerate(words)), quirks)
    assert factors.grid is not None
    need = np.array([float(word) for word in words])
    different = np.flatnonzero(factors.grid[0, 0].view(np.int64) != need.view(np.int64))
    assert [words[n] for n in different] == []


@for_each("quirks", [ON, OFF])
@for_each(
    "text, message, f",
    [
        (
            "0 0 0 1\n1 1 2 5\n0 0 0 3\n",
            ":3: 1 line lists a reflection again, here 0 0 0: the la",
            3.0,
        ),
        (
            "0 0 0 3\n0 0 0 3\n",
            ":2: 1 line lists a reflection again, here 0 0 0: the last F of",
            3.0,
        ),
        (
            "0 0 0 1\n0 0 0 2\n0 1 -2 3\n0 1 -2 4\n0 0 0 9",
            ":2: 3 lines list a reflection again",
            9.0,
        ),
        ("0 0 0 1\n0 0 1 2\n-1 0 0 3\n", None, 1.0),
    ],
)
def test_reflections_listed_again_are_told(
    read, text: str, message: str | None, f: float, quirks: Quirks
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        factors = read(text, quirks)
    assert factors.grid is not None
    assert factors.grid[tuple(-n for n in factors.hkl_min)] == f
    assert len(caught) == (message is not None)
    if message is not None:
        assert f"P1.hkl{message}" in str(caught[0].message)
        assert caught[0].category is NanobraggWarning


@pytest.mark.parametrize(
    ("text", "quirks", "message"),
    [
        ("1 0 0 50 2\n0 1 0 60 3\n0 0 1 70 2\n0 2 0 80 1\n", ON, "lines have 5 numbers, but four"),
        (
            "1 0 0 5\n0 1 0 6\n0 0 1\n",
            ON,
            "used 2 of 3 reflections: the last line has 3 of h k l F",
        ),
        ("1 0 0 5\n0 1 0 6\n0 0 1", ON, "used 2 of 3 reflections: the last line has 3 of h k l F"),
        (
            "1 0 0 5 0 1 0 6\n0 0 1 7 0 0 2 8\n",
            OFF,
            "lines have 8 numbers, of which the first four",
        ),
        ("1 0 0 5 0 1 0 6\n0 0 1 7 0 0 2 8\n", ON, None),
        ("1 0 0 50 2\n0 1 0 60 3\n", OFF, None),
        ("1 0 0 5\n0 1 0 6\n0 0 1 7", ON, None),
        ("1 0 0 5\r0 1 0 6\r0 0 1 7\r", OFF, None),
        ("1 0 0 5\r\n0 1 0 6\r\n", OFF, None),
    ],
)
def test_lines_that_are_not_one_reflection_are_told(
    read, text: str, quirks: Quirks, message: str | None
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        factors = read(text, quirks)
    told = [str(one.message) for one in caught if "again" not in str(one.message)]
    assert [message in one for one in told] == [True] * (message is not None)
    if message is None and quirks == OFF:
        assert factors.reflections == (3 if "\r0 0 1" in text else 2)


def test_a_few_reflections_that_span_a_large_table_are_told(read) -> None:
    """64 MiB and more than a thousand elements for each reflection; one less is not told."""
    with pytest.warns(NanobraggWarning) as caught:
        factors = read("0 0 0 1\n7 1023 1023 5\n")
    assert factors.grid is not None
    assert factors.grid.nbytes == 2**26
    rest = "67108864 bytes of memory and of every dump: is an index wrong?"
    assert [str(warning.message).partition("P1.hkl")[2] for warning in caught] == [
        f": 2 reflections span a table of 8 x 1024 x 1024 structure factors, {rest}"
    ]
    read("0 0 0 1\n7 1023 1022 5\n")


def test_shelx_files_are_told(read) -> None:
    """Their fourth column is an intensity; four and five columns in free format are our own."""
    text = "".join(f"{h:4d}{-h:4d}{0:4d}{h * 9.5:8.2f}{0.5:8.2f}\n" for h in range(1, 5))
    with pytest.warns(NanobraggWarning, match=r"P1\.hkl: looks like a SHELX file of intensities"):
        assert listed(read(text, OFF))[1, -1, 0] == 9.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read("1 -1 0 9.50 0.50\n2 -2 0 19.00 0.50\n", OFF)
        read("   1  -1   0    9.50\n   2  -2   0   19.00\n", OFF)


def test_a_fortran_exponent_is_named_line_by_line(read) -> None:
    with pytest.raises(
        FileFormatError, match=r'P1\.hkl:2: F: got "0\.2D\+01", need a number: write E'
    ):
        read("0 0 0 1\n0 0 1 0.2D+01\n", OFF)


# ---- four numbers at a time ---------------------------------------------------------------------


def test_fifth_column_shifts_everything(inputs: Path, read) -> None:
    """12.5 and the amplitudes become indices; only the first reflection stands where it should."""
    text = "".join((inputs / "fivecol.hkl").read_text().splitlines(keepends=True)[:4])
    with pytest.warns(NanobraggWarning) as caught:
        factors = read(text, ON)
    assert factors.reflections == 5
    assert (factors.hkl_min, factors.hkl_max) == ((-6, -6, -6), (127, 110, 224))
    assert listed(factors) == {(-6, -6, -6): 320.05}
    messages = [str(warning.message).partition("P1.hkl")[2] for warning in caught]
    assert messages == [
        ": 6 indices are not whole numbers",
        ":1: used 1 of 5 reflections: an index is not written as an integer",
        (
            ": lines have 5 numbers, but four at a time are taken as h k l F, across lines (quirk "
            "hkl_stream): leave out what is behind F"
        ),
    ]
    assert listed(read(text, OFF)) == {
        (-6, -6, -6): 320.05,
        (-6, -6, -5): 127.15,
        (-6, -6, -4): 110.99,
        (-6, -6, -3): 224.36,
    }


def test_comment_ends_the_file_before_it_began(inputs: Path) -> None:
    with pytest.raises(FileFormatError, match=r"commented\.hkl:1: no reflection: reading ended at"):
        read_hkl(inputs / "commented.hkl", quirks=ON)
    factors = read_hkl(inputs / "commented.hkl", quirks=OFF)
    assert (factors.hkl_min, factors.hkl_max, factors.reflections) == ((-4,) * 3, (4,) * 3, 729)


@pytest.mark.parametrize(
    ("text", "entries", "message"),
    [
        ("1 2 3 4 5 6 7", {(1, 2, 3): 4.0}, None),
        ("1 2 3\n4 5\n6 7 8 9 9 9", {(1, 2, 3): 4.0, (5, 6, 7): 8.0}, None),
        ("1-2+3.5 7 8", {(1, -2, 3): 0.5}, ": 1 indices are not whole"),
        (
            "1 2 3 4\n5 6 7 eight\n9 9 9 9",
            {(1, 2, 3): 4.0},
            ":2: used 1 of 3 reflections: reading ended at 'eight', which is no number",
        ),
        ("1 2 3 4abc\n9 9 9 9", {(1, 2, 3): 4.0}, ":1: used 1 of 2 reflections: .* at '4abc', whi"),
        (
            "1 2 3 0.451D+02\n1 2 4 0.2D0\n1 2 5 1",
            {(1, 2, 3): 0.451},
            ":1: used 1 of 3 reflections: .* at '0.451D+02', which is no number: write E for the D",
        ),
        ("1 2 3 4e+\n5 6 7 8", {(1, 2, 3): 4.0, (5, 6, 7): 8.0}, None),
        ("1 2 3 4\0 5", {(1, 2, 3): 4.0}, r":1: used 1 of 1 reflections: .* at '4\x00', which"),
        ("1 2 3 4\n1.0 2 3 7\n1 2 3 9", {(1, 2, 3): 4.0}, ":2: used 1 of 3 reflections: an index"),
        ("1 2 3 4\n\n1e0 2 3 7\n", {(1, 2, 3): 4.0}, ":3: used 1 of 2 reflections: an index"),
        ("0x1 2 3 4\n", {}, ":1: used 0 of 1 reflections: an index is not"),
    ],
)
def test_stream(read, text: str, entries: dict[object, float], message: str | None) -> None:
    if message is None:
        assert listed(read(text)) == entries
        return
    before, _, after = message.partition(" .* ")
    pattern = ".* ".join(re.escape(part) for part in ("P1.hkl" + before, after) if part)
    with pytest.warns(NanobraggWarning, match=pattern):
        assert listed(read(text)) == entries


def test_bounds_are_truncated_toward_zero(read) -> None:
    with pytest.warns(NanobraggWarning):
        factors = read("-1.9 1.9 0.5 7\n0 0 0 7\n")
    assert (factors.hkl_min, factors.hkl_max) == ((-1, 0, 0), (0, 1, 0))


# ---- line by line ------------------------------------------------------------------------------


def test_comments_blank_lines_and_further_columns_are_skipped(read) -> None:
    text = "# h k l F\n\n  # 9 9 9 9\n1 2 3 4 0.5 # six\n \t\r\n-1.0 2e0 3 7"
    assert listed(read(text, OFF)) == {(1, 2, 3): 4.0, (-1, 2, 3): 7.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3 4\n1 2 3\n", r":2: got 3 columns, need four: h k l F$"),
        ("\n1\n", r":2: got 1 column, need four: h k l F$"),
        ("1 2 3 # 4\n", r":1: got 3 columns, need four: h k l F$"),
        ("1 2 x 4\n", r':1: l: got "x", need a number$'),
        ("1 2 3 4abc\n", r':1: F: got "4abc", need a number$'),
        ("1 2 3 4e\n", r':1: F: got "4e", need a number$'),
        ("1 2 3 4#\n", r':1: F: got "4#", need a number$'),
        ("1 2\0 3 4\n", r':1: k: got "2\?", need a number$'),
        ("# x\n1 2.5 3 4\n", r":2: k: got 2\.5, need a whole number$"),
    ],
)
def test_bad_lines(read, text: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=r"P1\.hkl" + message):
        read(text, OFF)


# ---- faults in both ways -----------------------------------------------------------------------


@for_each("quirks", [ON, OFF])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r": the text is empty, need h k l F$"),
        (" \n\n", r": no reflection, need h k l F$"),
        ("0 0 0 1\n1 2 3 nan\n", r":2: F: got nan, need a finite number$"),
        ("0 0 0 1\n1 2 3 -inf\n", r":2: F: got -inf, need a finite number$"),
        ("0 0 0 1\n1 2 3 1e999\n", r":2: F: got 1e999, need a finite number$"),
        ("nan 2 3 4\n", r":1: h: got nan, need a finite number$"),
        ("0 0 0 1\n1 2147483648 3 4\n", r":2: k: got 2147483648, need an index that fits 32"),
        ("0 0 0 1\n1 2 -2147483649 4\n", r":2: l: got -2147483649, need an index that fits 32"),
        ("1e300 0 0 1\n", r":1: h: got 1e300, need an index that fits 32 bits$"),
        ("1 0 0 1\n-2147483646 0 0 1\n0 0 0 0", r":2: index -2147483646 0 0 makes the table"),
        ("0 0 0 1\n0 0 0 1\n2000000000 2000000000 2000000000 1\n", r":3: index 2000000000 2000"),
    ],
)
def test_faults(read, text: str, message: str, quirks: Quirks) -> None:
    with pytest.raises(FileFormatError, match=r"P1\.hkl" + message):
        read(text, quirks)


@pytest.mark.parametrize("quirks", [ON, OFF])
@pytest.mark.parametrize("index", [2147483647, -2147483648])
def test_the_largest_indices_are_accepted(read, index: int, quirks: Quirks) -> None:
    assert listed(read(f"0 {index} 0 1\n", quirks)) == {(0, index, 0): 1.0}


@pytest.mark.parametrize("quirks", [ON, OFF])
def test_table_larger_than_memory(read, quirks: Quirks, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "0 0 0 1\n9 9 9 1\n"
    monkeypatch.setattr(host, "physical_memory_bytes", lambda: 8000 + len(text))
    assert read(text, quirks).reflections == 2
    monkeypatch.setattr(host, "physical_memory_bytes", lambda: 7999 + len(text))
    with pytest.raises(ResourceError, match=f"table 8000 bytes.* {7999 + len(text)} bytes"):
        read(text, quirks)


def test_default_must_be_finite(read) -> None:
    with pytest.raises(ConfigError, match=r"structure_factors\.default_f: got nan"):
        read("0 0 0 1\n", ON, float("nan"))


# ---- writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("quirks", [ON, OFF])
@pytest.mark.parametrize("default_f", [0.0, 12.5])
def test_round_trip_keeps_every_bit(tmp_path: Path, quirks: Quirks, default_f: float) -> None:
    rng = np.random.default_rng(3)
    grid = rng.normal(size=(3, 4, 5)) * 10.0 ** rng.integers(-300, 300, size=(3, 4, 5))
    grid[rng.random(grid.shape) < 0.5] = default_f
    grid[0] = grid[-1] = default_f
    factors = StructureFactors.from_grid(grid, (-7, 0, 2), default_f)
    write_hkl(tmp_path / "P1.hkl", factors)
    assert read_hkl(tmp_path / "P1.hkl", default_f=default_f, quirks=quirks) == factors
    lines = (tmp_path / "P1.hkl").read_text().splitlines()
    assert len(lines) == np.count_nonzero(grid != default_f) + 2  # the two corners


def test_lines(tmp_path: Path) -> None:
    write_hkl(tmp_path / "P1.hkl", StructureFactors.from_reflections([[1, -2, 3]], [0.1]))
    assert (tmp_path / "P1.hkl").read_text() == "1 -2 3 0.1\n"


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (StructureFactors.constant(7.0), "need a table to write"),
        (
            StructureFactors.from_grid(
                np.full((1, 1, 1), np.nan), (0, 0, 0), allow_non_finite=True
            ),
            "need finite values",
        ),
    ],
)
def test_what_text_cannot_hold(tmp_path: Path, factors: StructureFactors, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write_hkl(tmp_path / "P1.hkl", factors)
    assert not (tmp_path / "P1.hkl").exists()


# ---- random texts against a plain reading in Python ---------------------------------------------

_SPACE = re.compile(r"[ \t-\r]*")
_INT = re.compile(r"[+-]?[0-9]+")


def _words(text: str, kinds: str) -> list[list[float]]:
    """Complete rows of numbers as C's scanf would take them; d: integer, g: double."""
    rows: list[list[float]] = []
    row: list[float] = []
    at = 0
    while True:
        at += len(_SPACE.match(text, at)[0])  # type: ignore[index]
        if kinds[len(row)] == "d":
            match = _INT.match(text, at)
            value, used = (float(match[0]), len(match[0])) if match else (0.0, 0)
        else:
            value, used = c_atof(text, at)
        if used == 0:
            return rows
        at += used
        row.append(value)
        if len(row) == 4:
            rows.append(row)
            row = []


def _random_word(rng: random.Random, is_index: bool) -> str:
    if rng.random() < 0.02:
        return rng.choice(["x", "1.5", "2.", "-", "#", "3e0", "7-2", "0x3", ".25", "1e1.5"])
    if is_index:
        return rng.choice(["", "", "+", "-"]) + str(rng.randint(0, 6))
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 24)))
    cut = rng.randint(0, len(digits))
    exponent = rng.choice(["", "", f"e{rng.randint(-330, 260)}", f"E+0{rng.randint(0, 9)}"])
    return rng.choice(["", "-"]) + digits[:cut] + "." + digits[cut:] + exponent


def test_random_texts() -> None:
    rng = random.Random(2024)
    rejected = compared = 0
    for _ in range(3000):
        words = [_random_word(rng, n % 4 < 3) for n in range(rng.randint(1, 40))]
        gaps = rng.choices([" ", "\n", "\t ", "\r\n"], k=len(words))
        text = "".join(word + gap for word, gap in zip(words, gaps, strict=True))
        bounds = np.array(_words(text, "gggg"))
        if len(bounds) == 0:
            rejected += 1
            with pytest.raises(FileFormatError, match="no reflection"):
                parse_hkl_text(text.encode(), stream=True, default_f=0.0, path="random")
            continue
        if np.abs(bounds[:, :3]).max() >= 2.0**31:  # an amplitude where an index is due
            rejected += 1
            with pytest.raises(FileFormatError, match=r"fits 32 bits|too large"):
                parse_hkl_text(text.encode(), stream=True, default_f=0.0, path="random")
            continue
        indices = np.trunc(bounds[:, :3]).astype(int)
        first = indices.min(axis=0)
        if np.prod(indices.max(axis=0) - first + 1.0) > 1e6:
            continue
        compared += 1
        need = np.full(indices.max(axis=0) - first + 1, 0.25)
        for *hkl, f in _words(text, "dddg"):
            place = tuple(np.array(hkl, dtype=int) - first)
            if all(0 <= n < size for n, size in zip(place, need.shape, strict=True)):
                need[place] = f
        got = parse_hkl_text(text.encode(), stream=True, default_f=0.25, path="random")
        assert got.hkl_min == tuple(first.tolist()), text
        assert got.reflections == len(bounds), text
        assert got.grid.tobytes() == need.tobytes(), text
    assert rejected > 300
    assert compared > 2000


def test_random_lines() -> None:
    rng = random.Random(2025)
    for _ in range(300):
        entries: dict[tuple[int, ...], float] = {}
        lines = []
        for _ in range(rng.randint(1, 30)):
            hkl = tuple(rng.randint(-5, 5) for _ in range(3))
            f = rng.uniform(-1, 1) * 10.0 ** rng.randint(-300, 300)
            entries[hkl] = f
            more = rng.choice(["", " 17", "\tx y", " # note", "\r"])
            lines += [f"{hkl[0]} {hkl[1]}\t{hkl[2]}  {f!r}{more}"]
            lines += rng.choices(["", "# 1 2 3 4", " \t"], k=rng.randint(0, 2))
        text = "\n".join(lines) + rng.choice(["", "\n"])
        got = parse_hkl_text(text.encode(), stream=False, default_f=0.0, path="random")
        need = StructureFactors.from_reflections(list(entries), list(entries.values()))
        assert got.hkl_min == need.hkl_min, text
        assert (got.filled, got.stopped_at_line) == (got.reflections, 0)
        assert got.repeated == got.reflections - len(entries)
        np.testing.assert_array_equal(got.grid, need.grid)
