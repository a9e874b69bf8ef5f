"""Tables of structure factors against each other."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from json_schema import problems, schema

import nanobragg_hybrid as nb
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.compare.structure_factors import (
    Mismatch,
    compare_tables,
    table_document,
    table_lines,
    table_lookup,
)
from nanobragg_hybrid.engines.registry import make_engine

GRID = np.arange(1.0, 25.0).reshape(2, 3, 4)
TABLE = nb.StructureFactors.from_grid(GRID, (-1, 0, 2), reflections=24)


def _changed(*changes: tuple[tuple[int, int, int], float]) -> nb.StructureFactors:
    grid = GRID.copy()
    for place, value in changes:
        grid[place] = value
    return nb.StructureFactors.from_grid(grid, (-1, 0, 2), allow_non_finite=True)


def test_equal_tables_agree() -> None:
    found = compare_tables(TABLE, TABLE, names=("hkl", "fdump"))
    assert found.agree
    assert (found.a.hkl_min, found.a.hkl_max) == ((-1, 0, 2), (0, 2, 5))
    assert (found.a.listed, found.a.filled, found.b.filled) == (24, 24, 24)
    assert found.entries == (2 + 2) * (3 + 2) * (4 + 2)
    assert (found.matched, found.missing, found.extra, found.mismatches) == (24, 0, 0, 0)
    assert (found.largest, found.largest_at, found.rms) == (0.0, None, 0.0)


def test_differences_are_counted_and_placed() -> None:
    other = _changed(((0, 0, 1), 2.5), ((1, 2, 3), 20.0))
    found = compare_tables(TABLE, other, tolerance=0.5)
    assert not found.agree
    assert (found.largest, found.largest_at, found.mismatches) == (4.0, (0, 2, 5), 1)
    assert found.examples == (Mismatch((0, 2, 5), 24.0, 20.0),)
    assert found.rms == pytest.approx(math.sqrt((0.5**2 + 4.0**2) / found.entries), rel=1e-15)
    assert compare_tables(TABLE, other, tolerance=4.0).agree
    assert compare_tables(TABLE, other).mismatches == 2


def test_missing_and_extra() -> None:
    found = compare_tables(_changed(((0, 0, 0), 0.0)), _changed(((1, 1, 1), 0.0)))
    assert (found.matched, found.missing, found.extra) == (22, 1, 1)
    assert not compare_tables(
        _changed(((0, 0, 0), 0.0)), _changed(((1, 1, 1), 0.0)), tolerance=99
    ).agree


def test_what_is_the_default_is_not_there() -> None:
    grid = np.full((2, 2, 2), 7.0)
    grid[0, 0, 0] = 1.0
    table = nb.StructureFactors.from_grid(grid, (0, 0, 0), 7.0)
    found = compare_tables(table, table)
    assert (found.a.filled, found.matched) == (1, 1)


def test_other_bounds() -> None:
    shifted = nb.StructureFactors.from_grid(GRID, (-1, 0, 3))
    found = compare_tables(TABLE, shifted)
    assert found.entries == 4 * 5 * 7
    assert (found.missing, found.extra) == (6, 6)
    larger = nb.StructureFactors.from_grid(np.pad(GRID, ((0, 1), (0, 0), (0, 0))), (-1, 0, 2))
    found = compare_tables(TABLE, larger)
    assert (found.missing, found.extra, found.mismatches) == (0, 0, 0)
    assert not found.agree  # the bounds decide where interpolation ends


def test_not_finite() -> None:
    nan = _changed(((0, 0, 0), math.nan), ((0, 0, 1), math.inf))
    assert compare_tables(nan, nan).agree
    found = compare_tables(TABLE, nan, tolerance=1.0)
    assert (found.mismatches, found.largest, found.rms) == (2, math.inf, math.inf)


def test_a_constant() -> None:
    constant = nb.StructureFactors.constant(5.0)
    assert compare_tables(constant, constant).agree
    found = compare_tables(TABLE, constant)
    assert not found.agree
    assert (found.a.filled, found.b.filled, found.b.hkl_min) == (24, 0, None)
    assert "| bounds | h -1 to 0, k 0 to 2, l 2 to 5 | no table |" in list(table_lines(found))


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
def test_tolerances_that_mean_nothing(tolerance: float) -> None:
    with pytest.raises(ConfigError, match=r"tolerance: got .*, need a finite number >= 0"):
        compare_tables(TABLE, TABLE, tolerance=tolerance)


def test_document_fits_its_schema() -> None:
    rules = schema("structure_factor_comparison")
    rules = {**rules["$defs"]["comparison"], "$defs": rules["$defs"]}
    for other in (TABLE, _changed(((1, 2, 3), 20.0)), nb.StructureFactors.constant(1.0)):
        document = json.loads(json.dumps(table_document(compare_tables(TABLE, other))))
        assert problems(document, rules) == []
    assert problems({**document, "missing": -1}, rules) == [
        "$.missing: got -1, which is out of range"
    ]


@pytest.mark.parametrize("default_f", [0.0, 3.5])
@pytest.mark.parametrize("engine", ["c", "torch"])
def test_engines_hold_what_they_were_given(engine: str, default_f: float) -> None:
    if engine == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    table = nb.StructureFactors.from_grid(GRID, (-1, 0, 2), default_f)
    backend = make_engine(engine)

    def look_up(hkl: np.ndarray) -> np.ndarray:
        return backend.structure_factors_at(table, hkl)

    found = compare_tables(table, table, lookups=(table_lookup(table), look_up))
    assert found.agree
    assert found.matched == 23 + (default_f not in GRID)
    far = np.array([[2.0**31, 0.0, 2.0], [-1.0, 0.0, 2.0], [math.nan, 0.0, 2.0]])
    assert look_up(far).tolist() == [default_f, 1.0, default_f]
    constant = nb.StructureFactors.constant(default_f)
    assert backend.structure_factors_at(constant, far).tolist() == [default_f] * 3


def test_c_refuses_other_shapes() -> None:
    with pytest.raises(nb.NanobraggError, match=r"hkl: got another shape, need \(n, 3\)"):
        make_engine("c").structure_factors_at(TABLE, np.zeros((2, 2)))


def test_an_executable_cannot_be_asked() -> None:
    with pytest.raises(nb.UnsupportedError, match="cannot be asked for structure factors"):
        make_engine("reference").structure_factors_at(TABLE, np.zeros((1, 3)))


def test_an_engine_that_shifts_its_table() -> None:
    shifted = nb.StructureFactors.from_grid(GRID, (-1, 0, 3))
    found = compare_tables(TABLE, TABLE, lookups=(table_lookup(TABLE), table_lookup(shifted)))
    assert not found.agree
    assert found.missing == found.extra == 6
