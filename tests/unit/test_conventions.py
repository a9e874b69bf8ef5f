"""Names and numbers of conventions, pivots and shapes are those of the C header."""

from __future__ import annotations

from typing import get_args

import pytest
from header import enumerators

from nanobragg_hybrid.model import conventions


@pytest.mark.parametrize(
    ("prefix", "numbers", "literal", "name_of"),
    [
        (
            "NBH_CONVENTION_",
            conventions.CONVENTION_NUMBERS,
            conventions.Convention,
            conventions.convention_name,
        ),
        ("NBH_PIVOT_", conventions.PIVOT_NUMBERS, conventions.Pivot, conventions.pivot_name),
        ("NBH_SHAPE_", conventions.SHAPE_NUMBERS, conventions.Shape, conventions.shape_name),
    ],
)
def test_numbers_are_those_of_the_header(
    prefix: str, numbers: dict[str, int], literal: object, name_of: object
) -> None:
    assert dict(numbers) == enumerators(prefix)
    assert set(get_args(literal)) == set(numbers)
    assert callable(name_of)
    assert [name_of(number) for number in numbers.values()] == list(numbers)
    with pytest.raises(KeyError):
        name_of(99)


def test_kernels_are_those_of_the_header() -> None:
    numbers = enumerators("NBH_KERNEL_")
    reasons = {name: numbers.pop(name) for name in list(numbers) if name.startswith("reason_")}
    assert dict(conventions.KERNEL_NUMBERS) == numbers
    assert list(conventions.KERNEL_REASONS) == list(reasons.values())
    assert [name for name, text in conventions.KERNEL_REASONS.items() if not text] == [0]


def test_divergence_shapes_are_those_of_the_annotation() -> None:
    assert get_args(conventions.DivergenceShape) == conventions.DIVERGENCE_SHAPES
