"""The library knows every enumerator of nbh.h and refuses other numbers, naming the field."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

Create = Callable[..., tuple[int, Any, Any]]

CHOICES = [
    ("detector", "convention", "nbh_convention"),
    ("detector", "pivot", "nbh_pivot"),
    ("crystal", "shape", "nbh_shape"),
]
KERNEL_RULE = "need an nbh_kernel that this processor runs"


def enumerators(ffi: Any, name: str) -> list[int]:
    """The numbers of an enumeration of the header."""
    return sorted(ffi.typeof(name).elements)


@pytest.mark.parametrize(("part", "member", "enumeration"), CHOICES)
def test_choices(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create, part: str, member: str, enumeration: str
) -> None:
    known = enumerators(ffi, enumeration)
    assert known == list(range(len(known)))
    for value in known:
        setattr(getattr(cubic, part), member, value)
        assert create_plan(cubic)[0] == lib.NBH_OK, value
    for value in (-1, len(known), 2**31 - 1):
        setattr(getattr(cubic, part), member, value)
        status, _, error = create_plan(cubic)
        assert (status, ffi.string(error.field)) == (lib.NBH_INVALID, f"{part}.{member}".encode())
        assert ffi.string(error.message).decode() == f"got {value}, need 0 to {known[-1]}"


def test_kernels(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    known = enumerators(ffi, "nbh_kernel")
    for value in (*known, -1, len(known), 2**31 - 1):
        cubic.kernel = value
        status, _, error = create_plan(cubic)
        if lib.nbh_kernel_is_available(value):
            assert (status, value in known) == (lib.NBH_OK, True)
        else:
            assert (status, ffi.string(error.field)) == (lib.NBH_INVALID, b"kernel")
            assert ffi.string(error.message).decode() == f"got {value}, {KERNEL_RULE}"
    for value in (lib.NBH_KERNEL_AUTO, lib.NBH_KERNEL_EXACT, lib.NBH_KERNEL_BASELINE):
        assert lib.nbh_kernel_is_available(value) == 1


def test_auto_is_the_last_kernel_that_runs_here(
    ffi: Any, lib: Any, cubic: Any, create_plan: Create
) -> None:
    """Kernels are numbered from slow to fast, so far."""
    running = [
        value for value in enumerators(ffi, "nbh_kernel") if lib.nbh_kernel_is_available(value)
    ]
    cubic.kernel = lib.NBH_KERNEL_AUTO
    _, plan, error = create_plan(cubic)
    info = ffi.new("nbh_plan_info *")
    lib.nbh_plan_get_info(plan, info, error)
    assert info.kernel == running[-1]


def test_status_names(ffi: Any, lib: Any) -> None:
    for value, name in ffi.typeof("nbh_status").elements.items():
        assert ffi.string(lib.nbh_status_name(value)).decode() == name
    for value in (-1, len(enumerators(ffi, "nbh_status"))):
        assert ffi.string(lib.nbh_status_name(value)) == b"unknown status"


def test_no_two_shapes_give_one_image(ffi: Any, lib: Any, cubic: Any, create_plan: Create) -> None:
    """A shape that the kernels took for another one would."""
    cubic.crystal.cell_angle_rad = [1.4, 1.6, 1.8]
    cubic.crystal.cell_length_angstrom = [50.0, 60.0, 70.0]
    images: dict[int, dict[int, tuple[float, ...]]] = {}
    for shape in enumerators(ffi, "nbh_shape"):
        cubic.crystal.shape = shape
        images[shape] = {}
        for kernel in enumerators(ffi, "nbh_kernel"):
            if not lib.nbh_kernel_is_available(kernel):
                continue
            cubic.kernel = kernel
            _, plan, error = create_plan(cubic)
            image = ffi.new("float[48]")
            assert lib.nbh_plan_render(plan, image, ffi.NULL, error) == lib.NBH_OK
            images[shape][kernel] = tuple(image)
    for one, other in combinations(images, 2):
        for kernel in images[one]:
            assert images[one][kernel] != images[other][kernel], (one, other, kernel)
    for of_kernels in images.values():
        assert len(set(of_kernels.values())) == 1
