"""Vectors, shapes, polarization and interpolation of the public header (model 1, 6.5 to 6.7)."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest


def _vector(ffi: Any, values: list[float]) -> Any:
    return ffi.new(f"double[{len(values)}]", values)


@pytest.mark.parametrize("n", [1.0, 2.0, 5.0, 12.0, 2.5])
def test_sincg(lib: Any, n: float) -> None:
    assert lib.nbh_sincg(0.0, n) == n
    assert lib.nbh_sincg(0.3, n) == math.sin(0.3 * n) / math.sin(0.3)
    # away from 0 the quotient is taken as it is, even where sin(x) is only nearly 0
    x = math.pi * 3.0
    assert lib.nbh_sincg(x, n) == math.sin(x * n) / math.sin(x)


def test_sincg_counts_the_cells_of_a_grating(lib: Any) -> None:
    x, n = 0.37, 5
    amplitude = sum(complex(math.cos(2 * x * j), math.sin(2 * x * j)) for j in range(n))
    assert abs(lib.nbh_sincg(x, n)) == pytest.approx(abs(amplitude), rel=1e-14)


def test_sinc3(lib: Any) -> None:
    assert lib.nbh_sinc3(0.0) == 1.0
    x = 2.2
    assert lib.nbh_sinc3(x) == 3.0 * (math.sin(x) / x - math.cos(x)) / (x * x)
    assert lib.nbh_sinc3(1e-3) == pytest.approx(1.0 - 1e-6 / 10.0, abs=1e-9)


def test_unit(ffi: Any, lib: Any) -> None:
    out = ffi.new("double[3]")
    lib.nbh_unit([3.0, 0.0, -4.0], out)
    assert list(out) == [0.6, 0.0, -0.8]
    lib.nbh_unit([0.0, 0.0, 0.0], out)
    assert list(out) == [0.0, 0.0, 0.0]


def test_rotate_xyz_turns_about_x_then_y_then_z(ffi: Any, lib: Any) -> None:
    out = ffi.new("double[3]")
    quarter = math.pi / 2.0
    lib.nbh_rotate_xyz([0.0, 1.0, 0.0], [quarter, 0.0, 0.0], out)
    assert list(out) == [0.0, math.cos(quarter), 1.0]
    lib.nbh_rotate_xyz([0.0, 0.0, 1.0], [0.0, quarter, 0.0], out)
    assert list(out) == [1.0, 0.0, math.cos(quarter)]
    lib.nbh_rotate_xyz([1.0, 0.0, 0.0], [0.0, 0.0, quarter], out)
    assert list(out) == [math.cos(quarter), 1.0, 0.0]
    # y -> z about x, z -> x about y, x -> y about z
    lib.nbh_rotate_xyz([0.0, 1.0, 0.0], [quarter, quarter, quarter], out)
    assert list(out) == pytest.approx([0.0, 1.0, 0.0], abs=1e-15)
    # a step whose angle is 0 is skipped: it does not turn -0.0 into 0.0
    lib.nbh_rotate_xyz([-0.0, -0.0, -0.0], [0.0, 0.0, 0.0], out)
    assert [math.copysign(1.0, x) for x in out] == [-1.0, -1.0, -1.0]


def test_rotate_axis(ffi: Any, lib: Any) -> None:
    out = ffi.new("double[3]")
    third = 2.0 * math.pi / 3.0
    axis = [1.0 / math.sqrt(3.0)] * 3
    lib.nbh_rotate_axis([1.0, 2.0, 3.0], axis, third, out)
    assert list(out) == pytest.approx([3.0, 1.0, 2.0], rel=1e-14)
    lib.nbh_rotate_axis([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 0.5, out)
    assert list(out) == [x * math.cos(0.5) for x in (1.0, 2.0, 3.0)]


@pytest.mark.parametrize("two_theta", [0.0, 0.4, math.pi / 2.0])
def test_polarization_of_unpolarized_beam(ffi: Any, lib: Any, two_theta: float) -> None:
    incident = _vector(ffi, [2.0, 0.0, 0.0])
    diffracted = _vector(ffi, [3.0 * math.cos(two_theta), 3.0 * math.sin(two_theta), 0.0])
    axis = _vector(ffi, [0.0, 0.0, 5.0])
    factor = lib.nbh_polarization(0.0, incident, diffracted, axis)
    assert factor == pytest.approx(0.5 * (1.0 + math.cos(two_theta) ** 2), rel=1e-15)
    assert list(incident) == [1.0, 0.0, 0.0]
    assert list(axis) == [0.0, 0.0, 1.0]
    assert list(diffracted) == pytest.approx([math.cos(two_theta), math.sin(two_theta), 0.0])


@pytest.mark.parametrize(("kahn", "along", "across"), [(1.0, 0.25, 1.0), (-1.0, 1.0, 0.25)])
def test_polarization_of_polarized_beam(
    ffi: Any, lib: Any, kahn: float, along: float, across: float
) -> None:
    """At 60 degrees: cos^2 in the plane of the polarization, 1 across it."""
    cosine, sine = math.cos(math.pi / 3.0), math.sin(math.pi / 3.0)

    def factor(direction: list[float]) -> float:
        value: float = lib.nbh_polarization(
            kahn,
            _vector(ffi, [1.0, 0.0, 0.0]),
            _vector(ffi, direction),
            _vector(ffi, [0.0, 0.0, 1.0]),
        )
        return value

    assert factor([cosine, 0.0, sine]) == pytest.approx(along, rel=1e-14)
    assert factor([cosine, sine, 0.0]) == pytest.approx(across, rel=1e-14)


def test_tricubic_is_exact_for_cubics(ffi: Any, lib: Any) -> None:
    def cubic(h: float, k: float, l: float) -> float:
        return (h**3 - 2.0 * h) * (k * k + 1.0) + l**3 - h * k * l

    nodes = itertools.product(range(1, 5), range(-3, 1), range(6, 10))
    values = _vector(ffi, [cubic(*node) for node in nodes])
    got = lib.nbh_interpolate_tricubic(2.3, -1.6, 7.9, values)
    assert got == pytest.approx(cubic(2.3, -1.6, 7.9), rel=1e-12)
    assert lib.nbh_interpolate_tricubic(2.0, -2.0, 7.0, values) == cubic(2, -2, 7)


def test_versions_agree(ffi: Any, lib: Any) -> None:
    import nanobragg_hybrid as nb

    assert ffi.string(lib.nbh_version()).decode() == nb.__version__
    info = nb.build_info()
    assert info["version"] == nb.__version__
    assert "-ffp-contract=off" in info["flags"]
    assert "fast-math" not in info["flags"].replace("-fno-fast-math", "")
    assert "-march" not in info["flags"]


def test_status_names(ffi: Any, lib: Any) -> None:
    numbers = ffi.typeof("nbh_status").relements
    assert numbers["NBH_OK"] == 0
    for name, number in numbers.items():
        assert ffi.string(lib.nbh_status_name(number)).decode() == name
    for number in (-1, len(numbers)):
        assert ffi.string(lib.nbh_status_name(number)) == b"unknown status"
