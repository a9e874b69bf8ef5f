"""Tables of structure factors: construction, checks, equality."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid import ConfigError, ResourceError, StructureFactors
from nanobragg_hybrid.formats.smv import write_mask


def test_constant_has_no_table() -> None:
    factors = StructureFactors.constant(100)
    assert factors.grid is None
    assert (factors.default_f, factors.hkl_min, factors.hkl_max) == (100.0, (0, 0, 0), (0, 0, 0))
    assert repr(factors) == "StructureFactors.constant(100.0)"


def test_reflections_fill_the_table_over_their_bounds() -> None:
    factors = StructureFactors.from_reflections([(1, -2, 3), (2, 0, 3)], [7.5, -1], default_f=4)
    assert factors.grid is not None
    assert factors.grid.shape == (2, 3, 1)
    assert (factors.hkl_min, factors.hkl_max) == ((1, -2, 3), (2, 0, 3))
    assert factors.grid[0, 0, 0] == 7.5
    assert factors.grid[1, 2, 0] == -1.0
    assert np.count_nonzero(factors.grid == 4.0) == 4
    assert (factors.default_f, factors.reflections) == (4.0, 2)


def test_later_reflection_overwrites_an_earlier_one_with_a_warning() -> None:
    with pytest.warns(nb.NanobraggWarning) as caught:
        factors = StructureFactors.from_reflections(np.zeros((1000, 3)), np.arange(1000.0))
    assert factors.grid is not None
    assert factors.grid.tolist() == [[[999.0]]]
    assert [str(warning.message) for warning in caught] == [
        (
            "structure_factors: 999 entries list a reflection again, entry 1 for instance 0 0 0: "
            "the last amplitude of each counts"
        )
    ]
    assert caught[0].filename == __file__


def test_the_first_entry_that_is_there_already_is_named() -> None:
    indices = [(3, 0, 0), (0, 1, -2), (0, 0, 7), (0, 1, -2), (3, 0, 0)]
    with pytest.warns(nb.NanobraggWarning, match="2 entries .* entry 3 for instance 0 1 -2: "):
        factors = StructureFactors.from_reflections(indices, [1, 2, 3, 4, 5])
    assert factors.grid is not None
    assert (factors.grid[0, 1, 0], factors.grid[3, 0, 2]) == (4.0, 5.0)
    with pytest.warns(nb.NanobraggWarning, match="1 entry lists a reflection again, entry 3 for"):
        StructureFactors.from_reflections(indices[:4], [1, 2, 3, 4])
    StructureFactors.from_reflections(indices[:3], [1, 2, 3])


def test_a_few_reflections_that_span_a_large_table_are_told() -> None:
    text = "structure_factors: 1 reflection spans|2 reflections span a table of 8 x 1024 x 1024 "
    with pytest.warns(nb.NanobraggWarning, match=text):
        StructureFactors.from_reflections([(0, 0, 0), (7, 1023, 1023)], [1, 5])


MASKED = np.ma.masked_array([[1.0, 2.0, 3.0]], [[False, True, False]])


@for_each(
    "make, field",
    [
        (lambda: StructureFactors.from_reflections(MASKED, [1.0]), "structure_factors.indices"),
        (lambda: StructureFactors.from_reflections([MASKED[0]], [1.0]), "structure_factors.indic"),
        (
            lambda: StructureFactors.from_reflections(np.eye(3), MASKED[0]),
            "structure_factors.amplitudes",
        ),
        (lambda: StructureFactors.from_grid(MASKED[None], (0, 0, 0)), "structure_factors.grid"),
        (lambda: StructureFactors(MASKED[None]), "structure_factors.grid"),
        (lambda: nb.Mask(MASKED.astype(bool)), "mask.values"),
        (lambda: nb.write_raw(io.BytesIO(), MASKED.astype(np.float32)), "pixels"),
        (lambda: nb.write_pgm(io.BytesIO(), MASKED.astype(np.uint8), 1.0), "pixels"),
        (lambda: nb.write_png(io.BytesIO(), MASKED.astype(np.uint8)), "pixels"),
        (lambda: write_mask(io.BytesIO(), MASKED.astype(bool)), "mask.values"),
    ],
)
def test_masked_arrays_are_refused_everywhere(make: Callable[[], object], field: str) -> None:
    with pytest.raises(nb.ConfigError, match=rf"{field}.*: got a masked array \(1 elem"):
        make()


def test_masked_arrays_that_mask_nothing_are_arrays() -> None:
    open_mask = np.ma.masked_array([[1.0, 2.0, 3.0]], False)
    factors = StructureFactors.from_reflections(open_mask, np.ma.masked_array([7.0]))
    assert factors == StructureFactors.from_reflections([(1, 2, 3)], [7.0])
    assert nb.Mask(open_mask.astype(bool)) == nb.Mask([[True, True, True]])


@pytest.mark.filterwarnings("ignore:.*converting a masked element to nan")
def test_a_masked_number_is_no_number() -> None:
    with pytest.raises(nb.ConfigError, match=r"crystal\.cell_angstrom: got"):
        nb.Crystal(cell_angstrom=MASKED[0])


@pytest.mark.parametrize(
    ("index", "entry"),
    [
        ((0, 1.5, 0), r"\[1, 1\]: got 1.5"),
        ((0, 0, 2**31), r"\[1, 2\]: got 2147483648"),
        ((-(2**31) - 1, 0, 0), r"\[1, 0\]: got -2147483649"),
        ((0, float("nan"), 0), r"\[1, 1\]: got nan"),
        ((float("inf"), 0, 0), r"\[1, 0\]: got inf"),
    ],
)
def test_wrong_index_is_named(index: tuple[float, float, float], entry: str) -> None:
    with pytest.raises(ConfigError, match=r"structure_factors\.indices" + entry):
        StructureFactors.from_reflections([(0, 0, 0), index], [1, 1])


def test_indices_of_32_bits_are_accepted() -> None:
    first, last = (-(2**31),) * 3, (2**31 - 1,) * 3
    assert StructureFactors.from_reflections([first], [1]).hkl_min == first
    assert StructureFactors.from_reflections([last], [1]).hkl_max == last


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_wrong_amplitude_is_named(value: float) -> None:
    with pytest.raises(ConfigError, match=r"structure_factors\.amplitudes\[1\]: got"):
        StructureFactors.from_reflections([(0, 0, 0), (1, 0, 0)], [1, value])


@for_each(
    "indices, amplitudes, field",
    [
        ([], [], "indices"),
        (np.zeros((0, 3)), [], "indices"),
        ([(0, 0)], [1], "indices"),
        ([("a", "b", "c")], [1], "indices"),
        ([(0, 0, 0)], [1, 2], "amplitudes"),
        ([(0, 0, 0)], 1, "amplitudes"),
        ([(0, 0, 0)], ["1"], "amplitudes"),
        ([(0, 0, 0)], [1j], "amplitudes"),
    ],
)
def test_wrong_shapes_and_types_are_refused(indices: Any, amplitudes: Any, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        StructureFactors.from_reflections(indices, amplitudes)
    assert caught.value.field == f"structure_factors.{field}"


def test_table_larger_than_memory_is_refused_before_it_is_made() -> None:
    with pytest.raises(ResourceError, match=f"{8 * 1000001**3} bytes"):
        StructureFactors.from_reflections([(0, 0, 0), (10**6,) * 3], [1, 1])


def test_grid_is_copied_and_read_only() -> None:
    mine = np.arange(24.0).reshape(2, 3, 4)
    factors = StructureFactors.from_grid(mine, (-1, 0, 1), 2.0, reflections=9)
    mine[0, 0, 0] = 99.0
    assert factors.grid is not None
    assert factors.grid[0, 0, 0] == 0.0
    assert (factors.hkl_max, factors.reflections) == ((0, 2, 4), 9)
    with pytest.raises(ValueError, match="read-only"):
        factors.grid[0, 0, 0] = 1.0


def test_read_only_grid_is_kept() -> None:
    mine = np.ones((2, 2, 2))
    mine.setflags(write=False)
    assert StructureFactors.from_grid(mine, (0, 0, 0)).grid is mine


def test_grid_is_stored_in_c_order() -> None:
    factors = StructureFactors.from_grid(
        np.asfortranarray(np.ones((2, 3, 4), np.float32)), (0, 0, 0)
    )
    assert factors.grid is not None
    assert factors.grid.flags.c_contiguous
    assert factors.grid.dtype == np.float64


@pytest.mark.parametrize("grid", [np.ones((2, 2)), np.ones((0, 2, 2)), np.ones((1, 1, 1), complex)])
def test_other_grids_are_refused(grid: Any) -> None:
    with pytest.raises(ConfigError, match=r"structure_factors\.grid"):
        StructureFactors.from_grid(grid, (0, 0, 0))


def test_non_finite_values_need_leave() -> None:
    grid = np.ones((1, 2, 1))
    grid[0, 1, 0] = np.nan
    with pytest.raises(ConfigError, match=r"structure_factors\.grid\[0, 1, 0\]: got nan"):
        StructureFactors.from_grid(grid, (0, 0, 0))
    factors = StructureFactors.from_grid(grid, (0, 0, 0), allow_non_finite=True)
    assert factors == StructureFactors.from_grid(grid, (0, 0, 0), allow_non_finite=True)
    assert pickle.loads(pickle.dumps(factors)) == factors


@pytest.mark.parametrize("hkl_min", [(0, 0), (0, 0, 0.5), (0, 0, 2**31), ("0", 0, 0)])
def test_place_must_be_three_integers(hkl_min: Any) -> None:
    with pytest.raises(ConfigError, match=r"structure_factors\.hkl_min"):
        StructureFactors.from_grid(np.ones((1, 1, 1)), hkl_min)


def test_table_must_end_inside_32_bits() -> None:
    last = 2**31 - 1
    assert StructureFactors.from_grid(np.ones((1, 1, 2)), (0, 0, last - 1)).hkl_max[2] == last
    with pytest.raises(ConfigError, match="ends inside 32 bits"):
        StructureFactors.from_grid(np.ones((1, 1, 2)), (0, 0, last))


@for_each("f", [float("nan"), float("inf"), "1", None, True])
def test_default_must_be_finite(f: Any) -> None:
    with pytest.raises(ConfigError, match=r"structure_factors\.default_f"):
        StructureFactors.constant(f)
    assert StructureFactors.constant(-3).default_f == -3.0


@pytest.mark.parametrize("count", [-1, 1.0, None])
def test_number_of_reflections_must_be_a_count(count: Any) -> None:
    with pytest.raises(ConfigError, match=r"structure_factors\.reflections"):
        StructureFactors(reflections=count)


def test_equality_is_by_content() -> None:
    grid = np.ones((2, 2, 2))
    factors = StructureFactors.from_grid(grid, (0, 0, 0))
    assert factors == StructureFactors.from_grid(grid.copy(), (0, 0, 0), reflections=8)
    assert hash(factors) == hash(StructureFactors.from_grid(grid, (0, 0, 0)))
    assert factors != StructureFactors.from_grid(2 * grid, (0, 0, 0))
    assert factors != StructureFactors.from_grid(grid, (0, 0, 1))
    assert factors != StructureFactors.from_grid(grid, (0, 0, 0), 1.0)
    assert factors != StructureFactors.constant(0.0)
    assert factors != "factors"
    assert StructureFactors.constant(1) == StructureFactors.constant(1.0)


def test_pickle_keeps_it_read_only() -> None:
    factors = StructureFactors.from_reflections([(0, 1, 2)], [3])
    copy = pickle.loads(pickle.dumps(factors))
    assert copy == factors
    assert copy.reflections == 1
    assert not copy.grid.flags.writeable
