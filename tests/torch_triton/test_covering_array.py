"""Rows of the covering array by Triton's kernels: those whose pixels have the fewest steps, which
take the interpreter's time."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from triton_scenes import DEVICE

import nanobragg_hybrid as nb
from agreement import relative_l2
from covering_array import Row, covering_array, scene_of, write_inputs

MOST_STEPS = 16
"""Of a pixel."""

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inputs")
    write_inputs(path)
    return path


@cache
def short_rows(folder: Path) -> tuple[Row, ...]:
    """Rows of few steps, in the array's order."""
    rows = []
    for row in covering_array():
        plan = nb.prepare(*scene_of(row, folder), quirks=row.quirks).plan
        if plan.steps * plan.sensor_layers <= MOST_STEPS:
            rows.append(row)
    return tuple(rows)


def engine(row: Row, *, exact: bool) -> nb.TorchEngine:
    """The row's number type, or bytes."""
    dtype = "float64" if exact else row.dtype
    return nb.TorchEngine(device=str(DEVICE), kernel="triton", dtype=dtype, exact=exact)


def test_there_are_rows_of_all_kinds(folder: Path) -> None:
    rows = short_rows(folder)
    assert len(rows) >= 20
    assert {row.values["shape"] for row in rows} >= {"square", "round", "gauss", "tophat"}
    assert {row.dtype for row in rows} == {"float32", "float64"}


def test_images(folder: Path) -> None:
    wrong = {}
    for row in short_rows(folder):
        scene = scene_of(row, folder)
        need = nb.simulate(*scene, quirks=row.quirks, threads=1).image
        got = nb.simulate(*scene, quirks=row.quirks, backend=engine(row, exact=False)).image
        finite = np.isfinite(need)
        assert (np.isfinite(got) == finite).all()
        off = relative_l2(got[finite].astype(float), need[finite].astype(float))
        # The image is float32; two neighbours are 1.2e-7 apart.
        if not off <= (2e-7 if row.dtype == "float64" else 1e-5):
            wrong[str(row)] = off
    assert wrong == {}


def test_bytes(folder: Path) -> None:
    wrong, proven = [], 0
    for row in short_rows(folder):
        scene = scene_of(row, folder)
        need = nb.simulate(*scene, quirks=row.quirks, threads=1).image
        found = nb.simulate(*scene, quirks=row.quirks, threads=1, backend=engine(row, exact=True))
        if not np.array_equal(found.image, need, equal_nan=True):
            wrong.append(str(row))
        proven += not found.provenance["exact"]["reason"]
    assert wrong == []
    assert proven >= 4
