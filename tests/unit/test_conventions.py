"""Names of conventions, pivots, shapes and kernels have the numbers of the C header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import pytest
from header import enumerators

from nanobragg_hybrid.engines.c import numbers
from nanobragg_hybrid.model import conventions


@pytest.mark.parametrize(
    ("prefix", "table", "literal"),
    [
        ("NBH_CONVENTION_", numbers.CONVENTION_NUMBERS, conventions.Convention),
        ("NBH_PIVOT_", numbers.PIVOT_NUMBERS, conventions.Pivot),
        ("NBH_SHAPE_", numbers.SHAPE_NUMBERS, conventions.Shape),
    ],
)
def test_numbers_are_those_of_the_header(
    prefix: str, table: Mapping[str, int], literal: object
) -> None:
    assert dict(table) == enumerators(prefix)
    assert get_args(literal) == tuple(table)
    assert [numbers.name_of(table, number) for number in table.values()] == list(table)
    with pytest.raises(KeyError):
        numbers.name_of(table, 99)


def test_kernels_are_those_of_the_header() -> None:
    found = enumerators("NBH_KERNEL_")
    reasons = {name: found.pop(name) for name in list(found) if name.startswith("reason_")}
    assert dict(numbers.KERNEL_NUMBERS) == found
    assert tuple(found) == conventions.KERNELS
    assert list(numbers.KERNEL_REASONS) == list(reasons.values())
    assert reasons["reason_unrounded"] == numbers.UNROUNDED_REASON
    assert [number for number, text in numbers.KERNEL_REASONS.items() if not text] == [0]
