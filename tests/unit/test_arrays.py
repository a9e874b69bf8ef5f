"""Memory that becomes a numpy array when somebody looks at it."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
from typing import Any

import numpy as np
import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.base.arrays import (
    ArrayField,
    Deferred,
    Underlying,
    array_fields,
    as_buffer,
    as_ndarray,
    is_boolean,
    is_ndarray,
    stored,
)
from nanobragg_hybrid.base.errors import ConfigError

EXPERIMENT = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(3, 3, 3)),
    detector=nb.Detector(n_fast=5, n_slow=3, pixel_size_mm=1.0),
)


def _result() -> nb.SimulationResult:
    return nb.simulate(EXPERIMENT, nb.StructureFactors.constant(100.0), threads=1, unrounded=True)


def test_image_is_an_array_of_the_same_memory() -> None:
    result = _result()
    buffer = stored(result, "image")
    assert isinstance(buffer, memoryview)
    assert (buffer.format, buffer.shape) == ("f", (3, 5))
    image = result.image
    assert type(image) is np.ndarray
    assert (image.dtype, image.shape, image.flags.c_contiguous) == (np.float32, (3, 5), True)
    assert np.shares_memory(image, np.asarray(buffer))
    assert np.shares_memory(image, np.asarray(result.image_buffer))
    assert image.flags.writeable
    assert image.tolist() == buffer.tolist()
    assert image.max() == result.statistics.max > 0.0
    assert result.image is image


def test_unrounded_is_an_array_or_none() -> None:
    result = _result()
    assert isinstance(stored(result, "unrounded"), memoryview)
    assert result.unrounded is not None
    assert result.unrounded.dtype == np.float64
    assert np.array_equal(result.unrounded.astype(np.float32), result.image)
    plain = nb.simulate(EXPERIMENT, nb.StructureFactors.constant(100.0), threads=1)
    assert plain.unrounded is None


def test_result_keeps_the_array_it_is_given() -> None:
    image = np.ones((3, 5), np.float32)
    result = _result().replaced(image=image, warnings=("a",))
    assert result.image is image
    assert result.warnings == ("a",)
    assert np.shares_memory(np.asarray(result.image_buffer), image)


def test_result_can_be_copied_and_pickled() -> None:
    result = _result()
    again = pickle.loads(pickle.dumps(result))
    assert np.array_equal(again.image, result.image)
    assert again.statistics == result.statistics
    assert copy.copy(result).image is result.image


def test_grid_of_a_reader_is_read_only_memory() -> None:
    memory = memoryview(bytearray(8 * 6)).cast("B").cast("d", (1, 2, 3))
    memory[0, 1, 2] = 7.0
    factors = nb.StructureFactors.from_reader(as_buffer(memory), (0, 0, 0), 1.0, reflections=6)
    assert factors.grid_buffer is not None
    assert factors.grid_buffer.shape == (1, 2, 3)
    assert repr(factors).startswith("StructureFactors((0, 0, 0) to (0, 1, 2), 6 reflections")
    grid = factors.grid
    assert grid is not None
    assert (type(grid), grid.dtype, grid.flags.writeable) == (np.ndarray, np.float64, False)
    assert np.shares_memory(grid, np.asarray(memory))
    assert factors.grid is grid
    assert factors == nb.StructureFactors.from_grid(grid, (0, 0, 0), 1.0)


def test_grid_of_a_reader_ends_inside_32_bits() -> None:
    memory = as_buffer(memoryview(bytearray(16)).cast("B").cast("d", (1, 1, 2)))
    nb.StructureFactors.from_reader(memory, (0, 0, 2**31 - 2), 0.0, reflections=2)
    with pytest.raises(ConfigError, match="hkl_min"):
        nb.StructureFactors.from_reader(memory, (0, 0, 2**31 - 1), 0.0, reflections=2)


def test_buffer_of_an_array_is_its_memory() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert np.shares_memory(np.asarray(as_buffer(array)), array)
    assert np.shares_memory(as_ndarray(as_buffer(array)), array)
    other = as_buffer(array[:, ::2])  # not in C order: a copy
    assert as_ndarray(other).tolist() == [[0.0, 2.0], [3.0, 5.0]]
    assert not np.shares_memory(as_ndarray(other), array)


def test_classes_of_numpy_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    array, true = np.ones(1), np.True_
    assert is_ndarray(array)
    assert not is_ndarray([1.0])
    assert is_boolean(true)
    assert is_boolean(False)
    assert not is_boolean(1)
    monkeypatch.delitem(sys.modules, "numpy")
    assert not is_ndarray(array)
    assert not is_boolean(true)
    assert is_boolean(True)


def test_the_class_shows_its_field() -> None:
    assert isinstance(nb.SimulationResult.image, ArrayField)
    with pytest.raises(AttributeError):
        _result().image = np.zeros((3, 5), np.float32)  # type: ignore[misc]


def test_what_is_computed_from_an_array_is_computed_before_it_is_given_away() -> None:
    """Whatever the fields are called."""

    @array_fields("light", "twice")
    @dataclasses.dataclass(frozen=True, slots=True)
    class Both:
        light: Any
        twice: Any

    def both(made: list[str]) -> Both:
        light = np.array([1.0, 2.0])

        def make() -> Any:
            made.append("twice")
            return 2.0 * light

        twice = Deferred(make)
        return Both(Underlying(light, [twice]), twice)

    made: list[str] = []
    one = both(made)
    assert made == []
    one.light[:] = 0.0
    assert made == ["twice"]
    assert one.twice.tolist() == [2.0, 4.0]
    assert one.light.tolist() == [0.0, 0.0]
    other = both(made)
    assert other.twice.tolist() == [2.0, 4.0]
    assert other.light.tolist() == [1.0, 2.0]
    assert made == ["twice", "twice"]
