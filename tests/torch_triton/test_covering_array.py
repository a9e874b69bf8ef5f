"""Rows of the covering array by Triton's kernels: those whose pixels have the fewest steps, which
take the interpreter's time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from triton_scenes import DEVICE

import nanobragg_hybrid as nb
from agreement import relative_l2
from covering_array import Row, covering_array, scene_of, write_inputs

MOST_STEPS = 12
"""Of a pixel."""

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")


class ShortRow(NamedTuple):
    """A row, what it describes, and the C engine's image of that."""

    row: Row
    scene: tuple[nb.Experiment, nb.StructureFactors]
    image: np.ndarray

    def by_triton(self, **options: object) -> nb.SimulationResult:
        """The same by Triton's kernels."""
        engine = nb.TorchEngine(device=str(DEVICE), kernel="triton", **options)
        return nb.simulate(*self.scene, quirks=self.row.quirks, threads=1, backend=engine)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[ShortRow]:
    inputs = tmp_path_factory.mktemp("inputs")
    write_inputs(inputs)
    short = []
    for row in covering_array():
        scene = scene_of(row, inputs)
        prepared = nb.prepare(*scene, quirks=row.quirks)
        if prepared.plan.steps * prepared.plan.sensor_layers <= MOST_STEPS:
            short.append(ShortRow(row, scene, prepared.render(threads=1).image))
    return short


def test_there_are_rows_of_all_kinds(rows: list[ShortRow]) -> None:
    assert len(rows) >= 20
    assert {each.row.values["shape"] for each in rows} >= {"square", "round", "gauss", "tophat"}
    assert {each.row.dtype for each in rows} == {"float32", "float64"}


def test_images(rows: list[ShortRow]) -> None:
    """To rounding; neighbours of float32 are 1.2e-7 apart."""
    wrong = {}
    for own in rows:
        found, finite = own.by_triton(dtype=own.row.dtype).image, np.isfinite(own.image)
        assert (np.isfinite(found) == finite).all()
        off = relative_l2(found[finite].astype(float), own.image[finite].astype(float))
        if not off <= (2e-7 if own.row.dtype == "float64" else 1e-5):
            wrong[str(own.row)] = off
    assert wrong == {}


def test_bytes(rows: list[ShortRow]) -> None:
    wrong, proven = [], 0
    for own in rows:
        found = own.by_triton(exact=True)
        if not np.array_equal(found.image, own.image, equal_nan=True):
            wrong.append(str(own.row))
        proven += not found.provenance["exact"]["reason"]
    assert wrong == []
    assert proven >= 3
