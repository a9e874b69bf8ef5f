"""Every pair of settings in some command line: kernels by bytes, the PyTorch engine to rounding."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import with_torch  # noqa: F401 (skips this module where there is no torch)
from for_each import for_each

import nanobragg_hybrid as nb
from agreement import compare, relative_l2
from covering_array import (
    BLINDING,
    FORBIDDEN,
    MOST_ROWS,
    SETTINGS,
    Pairs,
    Row,
    axes,
    covering_array,
    different_kernels,
    differs_from_executable,
    missing_pairs,
    pair_count,
    scene_of,
    write_inputs,
)

ROWS = covering_array()
LIT_ROWS = [row for row in ROWS if not set(row.values.items()) & set(BLINDING)]
# As in tests/agreement: random experiments before rounding, and float32 on recorded cases.
DOUBLE, SINGLE = 1e-12, 1e-5

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inputs")
    write_inputs(path)
    return path


def test_every_pair_is_there() -> None:
    assert list(missing_pairs(ROWS)) == []
    assert len(ROWS) <= MOST_ROWS
    assert covering_array() == ROWS  # the same list each time
    assert pair_count() > 20_000


def test_every_quirk_is_an_axis_of_two() -> None:
    assert [axis for axis in axes() if axis not in SETTINGS] == [q.name for q in nb.LEDGER]
    assert all(axes()[quirk.name] == ("on", "off") for quirk in nb.LEDGER)


def test_a_pair_that_is_missing_is_seen() -> None:
    assert list(missing_pairs(ROWS[: len(ROWS) // 2]))
    assert list(missing_pairs([]))[:1] == [(("cell", "triclinic"), ("shape", "square"))]
    blind = [row for row in ROWS if row not in LIT_ROWS]
    assert list(missing_pairs(blind))  # what is in dark images is not counted


def test_small_arrays() -> None:
    """Three switches need four rows; what is forbidden does not appear."""
    table: dict[str, tuple[str, ...]] = dict.fromkeys("abc", ("0", "1"))
    pairs = Pairs(table, [(("a", "1"), ("b", "1"), "")])
    assert pairs.count() == 12 - 1
    pairs.meet(0b010101)
    assert pairs.count() == 11 - 3
    assert pairs.row(0b010101).values == {"a": "0", "b": "0", "c": "0"}


def test_forbidden_pairs_have_a_reason() -> None:
    for one, other, reason in FORBIDDEN:
        assert reason
        for (axis, name), row in itertools.product((one, other), ROWS):
            assert name in axes()[axis]
            assert not {one, other} <= set(row.values.items())


@for_each("row", ROWS, ids=str)
def test_kernels_give_the_same_bytes(folder: Path, row: Row) -> None:
    assert different_kernels(row, scene_of(row, folder)) == []


@for_each("row", ROWS, ids=str)
def test_torch_gives_the_same_image(folder: Path, row: Row) -> None:
    scene = scene_of(row, folder)
    need = nb.simulate(*scene, quirks=row.quirks, threads=1, unrounded=True)
    engine = nb.TorchEngine(dtype=row.dtype, kernel=row.torch_kernel)
    got = nb.simulate(*scene, quirks=row.quirks, backend=engine, unrounded=True)
    assert need.unrounded is not None
    assert got.unrounded is not None
    figures = compare(got.unrounded, need.image)
    assert figures.same_non_finite
    if row.dtype == "float32":
        assert figures.relative_l2 <= SINGLE
        return
    # At 0.01 A h is in the ten thousands, and so is its rounding; from far away all pixels see one
    # direction, which may be next to a zero of the shape.
    if row.values["wavelength"] != "0.01" and row.values["distance"] != "long":
        finite = np.isfinite(need.unrounded)
        # The phases of a thousand cells are in the thousands, and so is their rounding.
        limit = 10.0 * DOUBLE if row.values["cells"] == "1000" else DOUBLE
        assert relative_l2(got.unrounded[finite], need.unrounded[finite]) <= limit
    assert figures.max_ulp <= 1
    assert figures.identical >= 0.99  # one pixel of the image may round to its neighbour


def test_most_images_are_not_dark(folder: Path) -> None:
    lit = sum(
        bool(nb.simulate(*scene_of(row, folder), quirks=row.quirks, threads=1).image.any())
        for row in LIT_ROWS
    )
    assert lit > 0.6 * len(LIT_ROWS)


def test_a_difference_from_an_executable_is_seen(folder: Path, tmp_path: Path) -> None:
    """Our own command stands in for nanoBragg, and a program that writes something else."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    main = "from nanobragg_hybrid.cli.nanobragg.main import main; main()"
    good.write_text(f"#!{sys.executable}\n{main}\n")
    bad.write_text("#!/bin/sh\nprintf 1234 >floatimage.bin\n")
    row = LIT_ROWS[0]
    found: dict[Any, bool] = {}
    for program in (good, bad):
        program.chmod(0o755)
        found[program] = differs_from_executable(row, str(program), folder)
    assert found == {good: False, bad: True}
