"""The random generator and its deviates, compared with a plain second version (model 7)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from for_each import for_each

F = np.float32


class PlainGenerator:
    """Model 7.1 and 7.5 in Python: integers, and numpy's float32 where the model says float."""

    def __init__(self) -> None:
        self.table: list[int] = []
        self.y = 0
        self.spare: np.float32 | None = None

    @staticmethod
    def step(s: int) -> int:
        return 16807 * s % 2147483647

    def uniform(self, seed: int) -> tuple[np.float32, int]:
        if seed <= 0 or not self.table:
            seed = max(-seed, 1)
            drawn = []
            for _ in range(40):
                seed = self.step(seed)
                drawn.append(seed)
            self.table = drawn[8:][::-1]
            self.y = self.table[0]
        seed = self.step(seed)
        index = self.y // 67108864
        self.y, self.table[index] = self.table[index], seed
        value = F((1.0 / 2147483647) * self.y)
        return (F(1.0 - 1.2e-7) if float(value) > 1.0 - 1.2e-7 else value), seed


def log_gamma(x: np.float32) -> np.float32:
    x0 = float(x)
    tmp = x0 + 5.5
    tmp -= (x0 + 0.5) * math.log(tmp)
    series, y = 1.000000000190015, x0
    for c in (
        76.18009172947146,
        -86.50532032941677,
        24.01409824083091,
        -1.231739572450155,
        0.1208650973866179e-2,
        -0.5395239384953e-5,
    ):
        y += 1.0
        series += c / y
    return F(-tmp + math.log(2.5066282746310005 * series / x0))


def poisson(uniform: Iterator[np.float32], mean: np.float32) -> np.float32:
    """The two branches below 1e6."""
    if mean < 12.0:
        limit, count, product = F(math.exp(-float(mean))), 0, next(uniform)
        while product > limit:
            count, product = count + 1, product * next(uniform)
        return F(count)
    width, log_mean = F(math.sqrt(2.0 * float(mean))), F(math.log(float(mean)))
    g = mean * log_mean - log_gamma(F(float(mean) + 1.0))
    while True:
        em = F(-1.0)
        while em < 0.0:
            y = F(math.tan(math.pi * float(next(uniform))))
            em = width * y + mean
        em = np.floor(em)
        exponent = em * log_mean - log_gamma(F(float(em) + 1.0)) - g
        t = F(0.9 * (1.0 + float(y * y)) * math.exp(float(exponent)))
        if next(uniform) <= t:
            return em


class CStream:
    """One stream of the library's generator."""

    def __init__(self, ffi: Any, lib: Any, seed: int, state: Any = None) -> None:
        self.lib = lib
        self.state = ffi.new("nbh_random *") if state is None else state
        if state is None:
            lib.nbh_random_init(self.state)
        self.seed = ffi.new("int32_t *", seed)

    def uniform(self) -> np.float32:
        return F(self.lib.nbh_uniform_deviate(self.state, self.seed))

    def __iter__(self) -> Iterator[np.float32]:
        while True:
            yield self.uniform()


@for_each("seed", [-12345678, -1, 0, -2147483647, -(2**31)])
def test_uniform_deviates(ffi: Any, lib: Any, seed: int) -> None:
    stream, plain, plain_seed = CStream(ffi, lib, seed), PlainGenerator(), seed
    for _ in range(500):
        value, plain_seed = plain.uniform(plain_seed)
        assert stream.uniform() == value
        assert stream.seed[0] == plain_seed


@for_each("seed", [-12345678, -1, 0, -(2**31)])
def test_the_first_deviate_can_be_dropped(ffi: Any, lib: Any, seed: int) -> None:
    """C-PARITY-034 off: whenever the table is filled, and no other."""
    stream, twin = CStream(ffi, lib, seed), CStream(ffi, lib, seed)
    stream.state.drops_first = 1
    twin.uniform()
    for _ in range(100):
        assert stream.uniform() == twin.uniform()
        assert stream.seed[0] == twin.seed[0]
    again = CStream(ffi, lib, -5, stream.state)
    fresh = CStream(ffi, lib, -5)
    fresh.uniform()
    assert [again.uniform() for _ in range(3)] == [fresh.uniform() for _ in range(3)]


def test_an_empty_table_is_filled_from_seed_1(ffi: Any, lib: Any) -> None:
    assert CStream(ffi, lib, 99).uniform() == CStream(ffi, lib, -1).uniform()


def test_streams_share_one_table(ffi: Any, lib: Any) -> None:
    first = CStream(ffi, lib, -5)
    second = CStream(ffi, lib, -7, first.state)
    plain, seeds = PlainGenerator(), [-5, -7]
    for turn in [0, 0, 1, 0, 1, 1, 0]:
        value, seeds[turn] = plain.uniform(seeds[turn])
        assert (first, second)[turn].uniform() == value


def test_deviates_stay_below_one(ffi: Any, lib: Any) -> None:
    state = ffi.new("nbh_random *")
    state.shuffle = [2147483646] * 32
    state.y = 1
    assert CStream(ffi, lib, 1, state).uniform() == F(1.0 - 1.2e-7)
    state.shuffle = [2147483646 - 1000] * 32
    assert CStream(ffi, lib, 1, state).uniform() == F((1.0 / 2147483647) * (2147483646 - 1000))


@pytest.mark.parametrize("x", [1.0, 1.5, 13.0, 1e6])
def test_log_gamma(lib: Any, x: float) -> None:
    value = F(lib.nbh_log_gamma(x))
    assert value == log_gamma(F(x))
    assert value == pytest.approx(math.lgamma(x), rel=1e-7, abs=1e-7)


def test_gauss_deviates_come_in_pairs(ffi: Any, lib: Any) -> None:
    stream, twin = CStream(ffi, lib, -3), CStream(ffi, lib, -3)
    uniform = iter(twin)
    for _ in range(200):
        rsq = F(0.0)
        while not (rsq < 1.0 and rsq != 0.0):
            v1, v2 = (F(2.0 * float(next(uniform)) - 1.0) for _ in range(2))
            rsq = v1 * v1 + v2 * v2
        factor = F(math.sqrt(-2.0 * math.log(float(rsq)) / float(rsq)))
        assert lib.nbh_gauss_deviate(stream.state, stream.seed) == v2 * factor
        assert stream.state.has_spare == 1
        assert lib.nbh_gauss_deviate(stream.state, stream.seed) == v1 * factor
        assert stream.state.has_spare == 0
        assert stream.seed[0] == twin.seed[0]


@for_each("mean", [-1.0, 0.0, 0.3, 5.0, 11.99, 12.0, 40.5, 3000.0, 999999.0, 1e6])
def test_poisson_deviates(ffi: Any, lib: Any, mean: float) -> None:
    stream, twin = CStream(ffi, lib, -11), CStream(ffi, lib, -11)
    uniform = iter(twin)
    for _ in range(100):
        value = lib.nbh_poisson_deviate(stream.state, stream.seed, mean)
        assert value == poisson(uniform, F(mean))
        assert stream.seed[0] == twin.seed[0]


def test_poisson_of_large_means_is_normal(ffi: Any, lib: Any) -> None:
    stream, twin = CStream(ffi, lib, -11), CStream(ffi, lib, -11)
    mean = float(F(1000001.0))
    for _ in range(50):
        gauss = lib.nbh_gauss_deviate(twin.state, twin.seed)
        value = lib.nbh_poisson_deviate(stream.state, stream.seed, mean)
        assert value == float(F(mean + math.sqrt(mean) * gauss))


def test_poisson_moments(ffi: Any, lib: Any) -> None:
    stream = CStream(ffi, lib, -1)
    for mean in (3.0, 50.0):
        drawn = [lib.nbh_poisson_deviate(stream.state, stream.seed, mean) for _ in range(20000)]
        assert np.mean(drawn) == pytest.approx(mean, abs=5.0 * math.sqrt(mean / 20000.0))
        assert np.var(drawn) == pytest.approx(mean, rel=0.05)


def test_poisson_of_nan_uses_two_deviates(ffi: Any, lib: Any) -> None:
    stream, twin = CStream(ffi, lib, -11), CStream(ffi, lib, -11)
    assert math.isnan(lib.nbh_poisson_deviate(stream.state, stream.seed, math.nan))
    twin.uniform()
    twin.uniform()
    assert stream.seed[0] == twin.seed[0]


@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0, 90.0])
def test_random_rotation(ffi: Any, lib: Any, spread: float) -> None:
    stream, twin = CStream(ffi, lib, -12345678), CStream(ffi, lib, -12345678)
    matrix = ffi.new("double[9]")
    for _ in range(20):
        lib.nbh_random_rotation(stream.state, stream.seed, spread, matrix)
        r1, r2, r3 = (2.0 * float(twin.uniform()) - 1.0 for _ in range(3))
        assert stream.seed[0] == twin.seed[0]
        angle = float(F(spread) * F((1.0 - r3 * r3) ** (1.0 / 3.0)))
        xy = math.sqrt(1.0 - r2 * r2)
        axis = np.array([xy * math.sin(math.pi * r1), xy * math.cos(math.pi * r1), r2])
        cross = np.cross(np.eye(3), axis)  # cross @ v is axis x v
        expected = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
        got = np.array(list(matrix)).reshape(3, 3)
        # powf and a double power differ by an ulp of float: an angle of 90 rad moves by 4e-6
        np.testing.assert_allclose(got, expected, rtol=0.0, atol=max(1e-14, spread * 1.2e-7))
        np.testing.assert_allclose(got @ got.T, np.eye(3), rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("angles", [(0.1, -0.2, 0.3), (-3.0, 1.5, 2.0), (0.0, 0.0, 0.0)])
def test_rotation_angles(ffi: Any, lib: Any, angles: tuple[float, float, float]) -> None:
    columns = []
    out = ffi.new("double[3]")
    for axis in np.eye(3):
        lib.nbh_rotate_xyz(list(axis), list(angles), out)
        columns.append(list(out))
    matrix = (np.array(columns).T * np.array([[2.0], [3.0], [0.5]])).ravel().tolist()
    lib.nbh_rotation_angles(matrix, out)
    assert list(out) == pytest.approx(list(angles), abs=1e-15)


def test_rotation_angles_of_a_right_angle_about_y(ffi: Any, lib: Any) -> None:
    out = ffi.new("double[3]")
    lib.nbh_rotation_angles([0.0, 0.6, 0.8, 0.0, 0.8, -0.6, -1.0, 0.0, 0.0], out)
    assert list(out) == [
        math.atan2(1.0, 1.0) * 4.0,
        math.atan2(1.0, 1.0) * 2.0,
        math.atan2(0.6, -0.8),
    ]
