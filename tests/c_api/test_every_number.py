"""The library refuses every number of an experiment that is not finite, by its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

PARTS = ("beam", "crystal", "goniometer", "detector", "sampling")
Create = Callable[..., tuple[int, Any, Any]]


def numbers(ffi: Any, part: str) -> Iterator[tuple[str, int | None]]:
    """The members that are doubles, and each element of those that are several."""
    for name, field in ffi.typeof(f"nbh_{part}").fields:
        if field.type.cname == "double":
            yield name, None
        elif field.type.kind == "array" and field.type.item.cname == "double":
            yield from ((name, n) for n in range(field.type.length))


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("part", PARTS)
def test_not_finite(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create, part: str, value: float
) -> None:
    found = list(numbers(ffi, part))
    assert found
    for name, element in found:
        experiment = ffi.new("nbh_experiment *", cubic[0])
        struct = getattr(experiment, part)
        if element is None:
            setattr(struct, name, value)
        else:
            getattr(struct, name)[0] = 1.0  # where it is NBH_UNSET the others do not count
            getattr(struct, name)[element] = value
        status, _, error = create_plan(experiment)
        assert (status, ffi.string(error.field).decode()) == (lib.NBH_INVALID, f"{part}.{name}")
    assert create_plan(cubic)[0] == lib.NBH_OK
