"""Source files, in both positions of the quirk source_file_comments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from for_each import for_each

from nanobragg_hybrid.base.errors import (
    ConfigError,
    FileFormatError,
    NanobraggWarning,
)
from nanobragg_hybrid.formats.source_file import read_source_file, write_source_file
from nanobragg_hybrid.model.beam import Source
from nanobragg_hybrid.model.quirks import Quirks

pytestmark = [
    pytest.mark.filterwarnings("ignore:.* counts as "),
    pytest.mark.filterwarnings("ignore:.*quirk impossible_sources"),
]

ON = Quirks.nanobragg()
OFF = replace(ON, source_file_comments=False)
ZERO = Source((0.0, 0.0, 0.0), 0.0, 0.0)


def source(*columns: float) -> Source:
    x, y, z, weight, wavelength_m = [*columns, *[None] * (5 - len(columns))]
    return Source((x, y, z), 1.0 if weight is None else weight, wavelength_m)


@pytest.fixture
def read(tmp_path: Path):
    def reader(text: bytes, quirks: Quirks = ON) -> tuple[Source, ...]:
        (tmp_path / "sources.txt").write_bytes(text)
        return read_source_file(tmp_path / "sources.txt", quirks=quirks)

    return reader


@pytest.mark.parametrize("quirks", [ON, OFF])
def test_five_columns(inputs: Path, quirks: Quirks) -> None:
    sources = read_source_file(inputs / "sources.txt", quirks=quirks)
    assert len(sources) == 7
    assert sources[0] == source(-10.0, 0.00203, 0.000134, 1.0, 1.002431e-10)
    weighted = read_source_file(inputs / "sources_weighted.txt", quirks=quirks)
    assert [s.weight for s in weighted] == [0.2, 1.2, 2.2, 3.2, 4.2]


@pytest.mark.parametrize("quirks", [ON, OFF])
def test_missing_columns_and_blank_lines(inputs: Path, quirks: Quirks) -> None:
    assert read_source_file(inputs / "sources_short.txt", quirks=quirks) == (
        source(-10.0, 0.002, 0.0),
        source(-10.0, -0.002, 0.001),
        source(-10.0, 0.0, 0.003),
    )


def test_comment(inputs: Path) -> None:
    rows = (source(-10.0, 0.001, 0.0, 1.0, 1e-10), source(-10.0, -0.001, 0.0, 1.0, 1.001e-10))
    path = inputs / "sources_comment.txt"
    assert read_source_file(path, quirks=ON) == (ZERO, *rows)
    assert read_source_file(path, quirks=OFF) == rows
    assert read_source_file(path) == (ZERO, *rows)


@pytest.mark.parametrize("quirks", [ON, OFF])
def test_full_lines_with_dos_ends(inputs: Path, quirks: Quirks) -> None:
    assert read_source_file(inputs / "sources_crlf.txt", quirks=quirks) == (
        source(-10.0, 0.002, 0.001, 1.0, 1e-10),
        source(-10.0, -0.002, 0.001, 2.0, 1.001e-10),
    )


@for_each(
    "text, on, off",
    [
        (b"1 2\n", source(1, 2), source(1, 2)),
        (b"1 2", source(1, 2, 0, 0, 0), source(1, 2)),
        (b"1 2 ", source(1, 2, 0, 0, 0), source(1, 2)),
        (b"1 2\r\n", source(1, 2, 0, 0, 0), source(1, 2)),
        (b"1 2 \r\n", source(1, 2, 0, 0, 0), source(1, 2)),
        (b"1 2 3 4 5", source(1, 2, 3, 4, 5), source(1, 2, 3, 4, 5)),
        (b"1,2;3:4!5\n", source(1, 2, 3, 4, 5), source(1, 2, 3, 4, 5)),
        (b" ,\t1 ,;: 2 ; \n", source(1, 2), source(1, 2)),
        (b"1 2 3 4 5 6 seven\n", source(1, 2, 3, 4, 5), source(1, 2, 3, 4, 5)),
        (b"1 2 # three\n", source(1, 2, 0, 0, 0), source(1, 2)),
        (b"1 2 # three \n", source(1, 2, 0, 0), source(1, 2)),
        (b"1 2 3 #\n", source(1, 2, 3, 0, 0), source(1, 2, 3)),
        (b"1 2 3 # \n", source(1, 2, 3, 0), source(1, 2, 3)),
        (b"1 2 3e0e\n", source(1, 2, 3), None),
        (b"1 2 eg\n", source(1, 2, 0), None),
        (b"1 2 3 1|1e-10\n", source(1, 2, 3, 1, 0), None),
        (b"1 2 3 1|1e-10 \n", source(1, 2, 3, 1), None),
        (b"1 2 0x4\n", source(1, 2, 4, 0, 0), source(1, 2, 4)),
        (b"\n \n\t,\n7\n\n", source(7), source(7)),
    ],
)
def test_lines(read, text: bytes, on: Source, off: Source | None) -> None:
    assert read(text, ON) == (on,)
    if off is None:
        with pytest.raises(FileFormatError, match=r":1: .*, need a number$"):
            read(text, OFF)
    else:
        assert read(text, OFF) == (off,)


@for_each(
    "second_line, columns",
    [
        (b"# c\n", (0.0, 0.0, 0.0, 0.0, 0.0)),
        (b"# a b\n", (0.0, 0.0, 0.0, 0.0, 0.0)),
        (b"# a b c\n", (0.0, 0.0, 0.0, 0.0, 0.0)),
        (b"x\n", (0.0, 0.0, 0.0, 0.0, 0.0)),
        (b"1 0 0.01 #\n", (1.0, 0.0, 0.01, 0.0, 0.0)),
        (b"1 0 0.01 1|1.1e-10\n", (1.0, 0.0, 0.01, 1.0, 0.0)),
        (b"1 0 0.01 1/1.1e-10\n", (1.0, 0.0, 0.01, 1.0, 0.0)),
        (b"1 0.01 x \n", (1.0, 0.01, 0.0)),
        (b"1.0210 0.0300\n", (1.021, 0.03)),
        (b"-10 0.1 0 1\r\n", (-10.0, 0.1, 0.0, 1.0, 0.0)),
        (b"-10 0.1 0", (-10.0, 0.1, 0.0, 0.0, 0.0)),
        (b"-10 0.1 0 eg\n", (-10.0, 0.1, 0.0, 0.0)),
    ],
)
def test_second_lines_as_recorded(read, second_line: bytes, columns: tuple[float, ...]) -> None:
    """Each is a file that nanoBragg was recorded with; its image has NaN where a source lost its
    wavelength or direction."""
    first = source(1, 0, 0, 1, 1e-10)
    assert read(b"1 0 0 1 1e-10\n" + second_line) == (first, source(*columns))


def test_blank_dos_line_is_a_source_of_zeros_only_with_the_quirk(read) -> None:
    assert read(b"\r\n1 2 3\n", ON) == (ZERO, source(1, 2, 3))
    assert read(b"\r\n1 2 3\n", OFF) == (source(1, 2, 3),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1 2 3\nx 3\n", "sources.txt:2: 'x' is no number and counts as 0"),
        (b"# a b c d\n", "sources.txt:1: '#' is no number and counts as 0, and 4 more words"),
        (b"1 2.5mm \n", "sources.txt:1: '2.5mm' is no number and counts as 2.5"),
        (b"1 " + b"a" * 200 + b" \n", "a...a"),
    ],
)
def test_words_that_count_as_0_are_told(read, text: bytes, message: str) -> None:
    with pytest.warns(NanobraggWarning) as said:
        read(text, ON)
    caught = [one for one in said if "quirk impossible_sources" not in str(one.message)]
    assert len(caught) == 1
    assert message in str(caught[0].message)
    assert len(str(caught[0].message)) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1 2 3 4 5\n1 2 3", "sources.txt:2: counts as 0 instead of the default: weight, wavel"),
        (b"1 2 3 4\r\n1 2 3\r\n", "sources.txt:1: counts as 0 .*: wavelength, .*; 2 lines are lik"),
        (b"\r\n", "sources.txt:1: counts as 0 instead of the default: x, y, z, weight, wavelength"),
    ],
)
def test_columns_that_the_end_of_a_line_takes_are_told(read, text: bytes, message: str) -> None:
    with pytest.warns(NanobraggWarning, match=message) as said:
        read(text, ON)
    caught = [one for one in said if "quirk impossible_sources" not in str(one.message)]
    assert len(caught) == 1


@pytest.mark.filterwarnings("error:.* counts as ")
@pytest.mark.parametrize("text", [b"1 2 3 4 5 six\n", b"0x10 1e-3 \n", b"1 2\n", b"1 2 3 4 5\r\n"])
def test_numbers_are_not_told(read, text: bytes) -> None:
    read(text, ON)


def test_words_that_are_no_numbers(read) -> None:
    text = b"1 2 3\nx 2.5mm 3\n"
    assert read(text, ON)[1] == source(0.0, 2.5, 3.0)
    with pytest.raises(FileFormatError, match=r"sources\.txt:2: x: got 'x', need a number$"):
        read(text, OFF)
    with pytest.raises(FileFormatError, match=r"sources\.txt:1: y: got '2\.5mm', need a number$"):
        read(b"1 2.5mm 3\n", OFF)


@pytest.mark.parametrize("quirks", [ON, OFF])
def test_values_that_are_not_finite(read, quirks: Quirks) -> None:
    with pytest.raises(FileFormatError, match=r"sources\.txt:2: weight: got nan, need a finite"):
        read(b"1 2 3\n1 2 3 nan\n", quirks)
    with pytest.raises(FileFormatError, match=r"sources\.txt:1: wavelength: got inf, need a fin"):
        read(b"1 2 3 1 1e999\n", quirks)


@pytest.mark.parametrize("text", [b"", b"\n\n", b" ,\n"])
@pytest.mark.parametrize("quirks", [ON, OFF])
def test_no_source(read, text: bytes, quirks: Quirks) -> None:
    with pytest.raises(FileFormatError, match=r"sources\.txt: has no source$"):
        read(text, quirks)


@pytest.mark.parametrize("quirks", [ON, OFF])
def test_round_trip(tmp_path: Path, quirks: Quirks) -> None:
    sources = (
        source(-10.0, 1 / 3, 2e-7, 0.1, 1.0000001e-10),
        source(1.0, 2.0, 3.0, 0.5),
        source(1.0, 2.0, 3.0),
        source(1.0, 2.0),
        source(1.0),
        ZERO,
    )
    write_source_file(tmp_path / "s", sources)
    assert read_source_file(tmp_path / "s", quirks=quirks) == sources


@pytest.mark.parametrize(
    "bad",
    [
        Source((None, 1.0, 2.0)),
        Source((1.0, None, None), 0.5),
        Source((1.0, 2.0, None), 1.0, 1e-10),
        Source(),
    ],
)
def test_missing_column_before_a_given_one(tmp_path: Path, bad: Source) -> None:
    with pytest.raises(ConfigError, match=r"^sources\[1\]: "):
        write_source_file(tmp_path / "s", (ZERO, bad))
    assert not (tmp_path / "s").exists()


def test_no_source_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one source"):
        write_source_file(tmp_path / "s", ())
