"""Binary dumps of structure factors, in both positions of the quirk fdump_whitespace."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ctrl_c import ctrl_c_raises
from for_each import for_each

from nanobragg_hybrid.base import host
from nanobragg_hybrid.base.errors import (
    ConfigError,
    FileFormatError,
    NanobraggWarning,
    ResourceError,
)
from nanobragg_hybrid.formats import dump
from nanobragg_hybrid.formats.dump import read_dump, write_dump
from nanobragg_hybrid.formats.hkl import read_hkl
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors

ON = Quirks.nanobragg()
OFF = replace(ON, fdump_whitespace=False)


def table(shape: tuple[int, int, int] = (2, 3, 4)) -> StructureFactors:
    grid = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)
    return StructureFactors.from_grid(grid, (-1, 0, 5), 0.0)


def raw(path: Path, header: bytes, values: np.ndarray) -> Path:
    path.write_bytes(header + values.astype("<f8").tobytes())
    return path


def test_bytes(tmp_path: Path) -> None:
    write_dump(tmp_path / "F.bin", table())
    data = (tmp_path / "F.bin").read_bytes()
    header = b"-1 0 0 2 5 8\n\f"
    assert data.startswith(header)
    values = np.frombuffer(data[len(header) :], "<f8").reshape(3, 4, 5)
    need = np.zeros((3, 4, 5))
    need[:2, :3, :4] = table().grid
    np.testing.assert_array_equal(values, need)


@pytest.mark.parametrize(
    ("case", "name", "default_f"),
    [
        ("hkl_mat", "full.hkl", 0.0),
        ("hkl_sparse", "sparse.hkl", 0.0),
        ("hkl_sparse_default", "sparse.hkl", 25.0),
        ("hkl_small_default", "small.hkl", 12.5),
        ("hkl_offset", "offset.hkl", 0.0),
        ("hkl_exp", "exp.hkl", 0.0),
        ("hkl_integers", "integers.hkl", 0.0),
        ("hkl_wide", "wide.hkl", 0.0),
    ],
)
def test_recorded_dumps(
    tmp_path: Path, inputs: Path, case: str, name: str, default_f: float
) -> None:
    recorded = json.loads((inputs.parent / "cases.json").read_text())[case]
    factors = read_hkl(inputs / name, default_f=default_f)
    assert factors.reflections == int(recorded["facts"]["hkls"])
    write_dump(tmp_path / "F.bin", factors)
    data = (tmp_path / "F.bin").read_bytes()
    assert hashlib.sha256(data).hexdigest() == recorded["files"]["Fdump.bin"]["sha256"]


@pytest.mark.parametrize("quirks", [ON, OFF])
def test_round_trip(tmp_path: Path, quirks: Quirks) -> None:
    write_dump(tmp_path / "F.bin", table())
    factors = read_dump(tmp_path / "F.bin", quirks=quirks)
    assert factors == table()
    assert factors.hkl_min == (-1, 0, 5)
    assert factors.hkl_max == (0, 2, 8)
    assert factors.reflections == 24
    assert factors.grid is not None
    assert not factors.grid.flags.writeable
    assert not factors.allow_non_finite


@pytest.mark.parametrize("quirks", [ON, OFF])
def test_recorded_dump_is_read(inputs: Path, quirks: Quirks) -> None:
    """The dump holds what exp.hkl and its neighbours hold in 17^3 places."""
    factors = read_dump(inputs / "plain_dump.bin", default_f=7.0, quirks=quirks)
    assert (factors.hkl_min, factors.hkl_max) == ((-8, -8, -8), (8, 8, 8))
    assert factors.reflections == 4913
    assert factors.default_f == 7.0
    assert factors.grid is not None
    assert factors.grid[0, 0, :2].tolist() == [12.0, 265.77]


def test_white_space_shifts_the_table(inputs: Path) -> None:
    with pytest.warns(NanobraggWarning, match=r"_dump\.bin: 1 byte\(s\) of data taken for white"):
        shifted = read_dump(inputs / "whitespace_dump.bin", quirks=ON).grid
    plain = read_dump(inputs / "whitespace_dump.bin", quirks=OFF).grid
    assert shifted is not None
    assert plain is not None
    assert plain[0, 0, :2].tolist() == [0.09, 265.77]
    data = (inputs / "whitespace_dump.bin").read_bytes()
    start = data.index(b"\n\f") + 3
    whole = np.frombuffer(data[start:].ljust(18**3 * 8, b"\0"), "<f8").reshape(18, 18, 18)
    np.testing.assert_array_equal(shifted, whole[:-1, :-1, :-1])


@for_each("byte", [9, 10, 11, 12, 13, 32])
def test_every_white_space_byte_counts(tmp_path: Path, byte: int) -> None:
    first = np.frombuffer(bytes([byte, byte, 0, 0, 0, 0, 0, 64]), "<f8")[0]
    grid = np.full((1, 1, 2), first)
    write_dump(tmp_path / "F.bin", StructureFactors.from_grid(grid, (0, 0, 0), 0.0))
    with pytest.warns(NanobraggWarning, match=r"2 byte\(s\) of data"):
        shifted = read_dump(tmp_path / "F.bin").grid
    assert shifted is not None
    assert shifted.tobytes()[:8] == bytes([0, 0, 0, 0, 0, 64, byte, byte])
    np.testing.assert_array_equal(read_dump(tmp_path / "F.bin", quirks=OFF).grid, grid)


def test_table_of_nothing_but_white_space(tmp_path: Path) -> None:
    """All data is skipped; what is missing then counts as 0."""
    values = np.frombuffer(b" " * 64, "<f8")
    path = raw(tmp_path / "F.bin", b"0 0 0 0 0 0\n\f", values)
    with pytest.warns(NanobraggWarning, match=r"64 byte\(s\) of data"):
        assert read_dump(path).grid == [[[0.0]]]
    assert read_dump(path, quirks=OFF).grid == [[[values[0]]]]


def test_form_feed_is_needed_only_without_the_quirk(tmp_path: Path) -> None:
    path = raw(tmp_path / "F.bin", b" 0\t0 0  0 0 0\n", np.arange(1.0, 9.0) * 0.1)
    assert read_dump(path).grid == [[[0.1]]]
    with pytest.raises(FileFormatError, match="a newline and a form feed"):
        read_dump(path, quirks=OFF)


def test_more_data_than_needed_is_ignored(tmp_path: Path) -> None:
    path = raw(tmp_path / "F.bin", b"0 0 0 0 0 0\n\f", np.full(9, 3.0))
    assert read_dump(path).grid == [[[3.0]]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_kept_with_a_warning(tmp_path: Path, bad: float) -> None:
    path = raw(tmp_path / "F.bin", b"0 0 0 0 0 0\n\f", np.full(8, bad))
    with pytest.warns(NanobraggWarning, match=r"F\.bin: some structure factors are not finite$"):
        factors = read_dump(path)
    np.testing.assert_array_equal(factors.grid, [[[bad]]])
    assert factors.allow_non_finite


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", r"F\.bin: is empty$"),
        (b"\n\f", r"F\.bin:1: does not begin with six whole numbers"),
        (b"0 0 0 0 0 \n\f", "does not begin with six whole numbers"),
        (b"0 0 0 0 0 x\n\f", "does not begin with six whole numbers"),
        (b"1 0 0 0 0 0\n\f", "bounds 1 0 0 0 0 0: need hmin <= hmax"),
        (b"0 0 0 0 0 2147483648\n\f", "within 32 bits"),
        (b"-2147483649 0 0 0 0 0\n\f", "within 32 bits"),
    ],
)
@for_each("quirks", [ON, OFF])
def test_bad_headers(tmp_path: Path, header: bytes, message: str, quirks: Quirks) -> None:
    (tmp_path / "F.bin").write_bytes(header)
    with pytest.raises(FileFormatError, match=message):
        read_dump(tmp_path / "F.bin", quirks=quirks)


def test_absurd_bounds_name_the_figures(tmp_path: Path) -> None:
    path = raw(tmp_path / "F.bin", b"-99999 99999 -99999 99999 -99999 99999\n\f", np.ones(8))
    with pytest.raises(FileFormatError, match="needs 64000000000000000 bytes, the file has 64 "):
        read_dump(path, quirks=OFF)
    with pytest.raises(ResourceError, match="structure factor table 63999040004799992 bytes"):
        read_dump(path, quirks=ON)


@for_each(
    "missing_bytes, used",
    [(1, 24), (8 * 26, 24), (8 * 27, 23), (8 * 38, 14), (8 * 40, 12), (8 * 60, 0)],
)
def test_a_short_dump_has_zeros_behind_its_end(
    tmp_path: Path, missing_bytes: int, used: int
) -> None:
    """The table is 2 x 3 x 4 in 3 x 4 x 5 places; it misses nothing where only padding is gone."""
    path = tmp_path / "F.bin"
    write_dump(path, table())
    path.write_bytes(path.read_bytes()[:-missing_bytes])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = read_dump(path).grid
    need = np.array(table().grid)
    need.reshape(-1)[used:] = 0.0
    np.testing.assert_array_equal(got, need)
    messages = [str(warning.message).partition("F.bin")[2] for warning in caught]
    told = f": used {used} of 24 reflections: the file ends there; the others are 0"
    assert messages == ([told] if used < 24 else [])
    with pytest.raises(FileFormatError, match="needs 480 bytes, the file has"):
        read_dump(path, quirks=OFF)


def test_text_of_reflections_is_no_dump(tmp_path: Path) -> None:
    """Its first two lines could be bounds; enough of it would fill a small table."""
    path = tmp_path / "P1.hkl"
    path.write_text("0 0 0 1\n1 1 1 5\n" * 100)
    for quirks in (ON, OFF):
        with pytest.raises(
            FileFormatError, match=r"P1\.hkl: is text of h k l F, need a binary dump"
        ):
            read_dump(path, quirks=quirks)
    path.write_bytes(b"0 0 0 0 0 0\n" + bytes(63))
    with pytest.raises(FileFormatError, match="the table needs 64 bytes, the file has 63 after"):
        read_dump(path, quirks=ON)


def test_ctrl_c_while_a_dump_is_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planes = []

    def plane(*arguments: object) -> None:
        planes.append(arguments)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(dump, "write_plane", plane)
    (tmp_path / "F.bin").write_bytes(b"old")
    with ctrl_c_raises(), pytest.raises(KeyboardInterrupt):
        write_dump(tmp_path / "F.bin", table())
    assert len(planes) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["F.bin"]
    assert (tmp_path / "F.bin").read_bytes() == b"old"


def test_table_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse file, so that nothing that large exists."""
    path = tmp_path / "F.bin"
    path.write_bytes(b"0 9 0 9 0 9\n\f")
    os.truncate(path, 14 + 8 * 11**3)
    monkeypatch.setattr(host, "physical_memory_bytes", lambda: 8000)
    assert read_dump(path, quirks=OFF).reflections == 1000
    monkeypatch.setattr(host, "physical_memory_bytes", lambda: 7999)
    monkeypatch.setattr(np, "empty", None)  # nothing may be allocated
    with pytest.raises(ResourceError, match=r"8000 bytes .* 7999 bytes"):
        read_dump(path, quirks=OFF)


@for_each("at_a_time", [1, 5000, 2**24])
@for_each("is_mapped", [True, False])
@for_each("lead", range(9))
def test_planes_across_pages(tmp_path: Path, lead: int, is_mapped: bool, at_a_time: int) -> None:
    """Tables that start anywhere in a page, from a mapping or where files cannot be mapped."""
    grid = np.random.default_rng(lead).random((9, 13, 17))
    write_dump(tmp_path / "F.bin", StructureFactors.from_grid(grid, (-1, 0, 5), 0.0))
    (tmp_path / "F.bin").write_bytes(b" " * lead + (tmp_path / "F.bin").read_bytes())
    with pytest.MonkeyPatch.context() as changed:
        if not is_mapped:
            changed.setattr(dump, "_mapped", lambda _: None)
        changed.setattr(dump, "_MAPPED_AT_A_TIME", at_a_time)
        factors = read_dump(tmp_path / "F.bin", quirks=OFF)
    np.testing.assert_array_equal(factors.grid, grid)
    assert factors.hkl_min == (-1, 0, 5)


def test_the_table_does_not_change_with_the_file(tmp_path: Path) -> None:
    write_dump(tmp_path / "F.bin", table())
    factors = read_dump(tmp_path / "F.bin")
    with (tmp_path / "F.bin").open("r+b") as file:
        file.truncate(0)
    assert factors == table()


def test_a_constant_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="need a table to write"):
        write_dump(tmp_path / "F.bin", StructureFactors.constant(100.0))
    assert not (tmp_path / "F.bin").exists()
