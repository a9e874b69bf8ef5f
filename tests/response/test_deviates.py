"""Compiled random deviates: the bits of numpy's, and of the definition in numpy."""

from __future__ import annotations

import ctypes
import math
import platform
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from numpy.typing import NDArray

from nanobragg_hybrid import _core
from nanobragg_hybrid.base.philox import Purpose, counter, key, normals, stream
from nanobragg_hybrid.run.photons import PoissonStream, _tables, poisson_photons

HEADER = Path(__file__).resolve().parents[2] / "csrc" / "binding" / "normal_tables.h"
LARGE = 64.0
SLACK = 0 if platform.machine() in ("x86_64", "AMD64") else 2**12
"""How far heights may be off: numpy's multiplication and addition may be one, rounded once."""

# ---- normal deviates


def drawn(source: Any, sizes: list[int]) -> NDArray[np.float64]:
    """Deviates in blocks of these sizes."""
    made = np.empty(sum(sizes))
    begin = 0
    for size in sizes:
        source.draw(made[begin : begin + size])
        begin += size
    return made


@for_each("purpose", ["read-out", "large means"])
def test_normal_deviates_are_those_of_numpy(purpose: Purpose) -> None:
    """300 000 have some 3600 between inner bound and curve, and 80 in the tail."""
    wanted = stream(17, 4, 2, purpose).standard_normal(300_000)
    assert (abs(wanted) > 3.6541528853610088).sum() > 30
    found = drawn(normals(17, 4, 2, purpose), [1, 0, 511, 512, 513, 100_000, 3, 198_460])
    assert found.tobytes() == wanted.tobytes()


@for_each("low", [0, 5, 2**64 - 3])
def test_the_counter_carries(low: int) -> None:
    start = (low, 2**64 - 1, 2**64 - 1, 6)
    numpys = np.random.Philox(
        key=np.array([2**64 - 1, 3], np.uint64), counter=np.array(start, np.uint64)
    )
    wanted = np.random.Generator(numpys).standard_normal(100)
    found = drawn(_core.NormalStream((2**64 - 1, 3), start), [100])
    assert found.tobytes() == wanted.tobytes()


class Words(ctypes.Structure):
    """What numpy asks a bit generator by."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("state", "u64", "u32", "double", "raw")]


class Given:
    """A bit generator of raw numbers that somebody chose; `used` of them were taken."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.used = 0
        of_words = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(self._next)
        of_doubles = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_void_p)(
            lambda state: (self._next(state) >> 11) * 2.0**-53
        )
        word, double = (ctypes.cast(each, ctypes.c_void_p) for each in (of_words, of_doubles))
        words = Words(None, word, None, double, word)
        self._kept = of_words, of_doubles, words
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        self.capsule = new(ctypes.addressof(words), b"BitGenerator", None)
        self.lock = threading.Lock()
        self._generator = np.random.Generator(self)  # type: ignore[arg-type]

    def _next(self, _: object) -> int:
        self.used += 1
        return self.numbers[self.used - 1]

    def normal(self, layer: int, steps: int, height: int = 0) -> tuple[float, int]:
        """The deviate of a point, and how many numbers it took: 1 under the inner bound, 2 at a
        height under the curve, more above it.  Height: of 2^53."""
        sure = 254 | (1 << 9)
        self.numbers, self.used = [layer | steps << 9, height << 11, sure, sure], 0
        return self._generator.standard_normal(), self.used


def table(name: str) -> list[float]:
    """Numbers of the header."""
    found = re.search(rf"{name} = \{{(.*?)\}};", HEADER.read_text(), re.S)
    assert found is not None
    numbers = [float.fromhex(word.strip()) for word in found[1].split(",")]
    assert len(numbers) == 256
    return numbers


def test_layers_are_those_of_numpy() -> None:
    """Widths, inner bounds on both sides, and heights by points on both sides of the curve."""
    numpys = Given()
    widths, inner, heights = (table(f"normal_{what}") for what in ("widths", "inner", "heights"))
    assert heights[0] == 1.0
    looked_at = 0
    for layer in range(1, 256):
        bound = int(inner[layer])
        assert bound == inner[layer]
        assert numpys.normal(layer, 2**20)[0] == widths[layer] * 2**20
        if layer > 1:
            assert numpys.normal(layer, bound - 1)[1] == 1
        assert numpys.normal(layer, bound)[1] > 1
        low, high = heights[layer], heights[layer - 1]
        for part in (0.2, 0.5, 0.8):
            steps = bound + int(part * (2**52 - bound))
            x = steps * widths[layer]
            density = math.exp(-0.5 * x * x)
            first, last = 0, 2**53 - 1  # heights below and above the curve
            if not low < density < (high - low) * (last * 2.0**-53) + low:
                continue
            while last - first > 1:
                middle = (first + last) // 2
                is_below = (high - low) * (middle * 2.0**-53) + low < density
                first, last = (middle, last) if is_below else (first, middle)
            assert numpys.normal(layer, steps, max(first - SLACK, 0))[1] == 2
            assert numpys.normal(layer, steps, min(last + SLACK, 2**53 - 1))[1] > 2
            looked_at += 1
    assert looked_at > 700
    assert numpys.normal(0, int(inner[0]) - 1) == ((inner[0] - 1) * widths[0], 1)
    assert numpys.normal(0, 2**20)[0] == widths[0] * 2**20


# ---- photons


def defined_photons(
    mean: NDArray[np.float64], seed: int, frame: int, panel: int
) -> NDArray[np.float64]:
    """Model 10.4 in numpy, all pixels at once."""
    raw = stream(seed, frame, panel, "photons").bit_generator.random_raw(mean.size)
    normal = stream(seed, frame, panel, "large means").standard_normal(mean.size)
    square = normal * normal - 1.0
    large = np.maximum(mean, LARGE)
    photons = np.sqrt(large - 1.0 / 12.0) * normal + large + square * (1.0 / 6.0)
    photons = np.maximum(np.rint(photons - normal * square / (np.sqrt(large) * 72.0)), 0.0)
    small = np.minimum(mean, math.nextafter(LARGE, 0.0))
    row = (small * 8.0).astype(int)
    distribution = _tables().distribution.reshape(len(_tables().guide) // 256, -1)
    uniform = (raw >> np.uint64(32)) * 2.0**-32
    second = (raw & np.uint64(0xFFFFFFFF)) * 2.0**-32
    left = small - row / 8.0
    by_inversion = np.empty(mean.size)
    for n in range(mean.size):
        found = int(np.searchsorted(distribution[row[n]], uniform[n], side="right"))
        term = total = math.exp(-left[n])
        k = 0
        while second[n] >= total and (k == 0 or term > 1e-12):
            k += 1
            term = term * left[n] / k
            total += term
        by_inversion[n] = found + k
    return np.where(mean >= LARGE, photons, by_inversion)


@for_each("kind", ["faint", "usual", "near 64", "bright", "all"])
def test_photons_are_those_of_the_definition(kind: str) -> None:
    random = np.random.default_rng(3)
    mean = {
        "faint": lambda: random.exponential(0.3, 40_000),
        "usual": lambda: random.uniform(0.0, 63.99, 40_000),
        "near 64": lambda: np.linspace(63.9, 64.1, 40_001),
        "bright": lambda: random.uniform(64.0, 1e5, 40_000),
        "all": lambda: 10.0 ** random.uniform(-9.0, 17.0, 40_000),
    }[kind]()
    assert np.array_equal(poisson_photons(mean, 9, 8, 7), defined_photons(mean, 9, 8, 7))


def test_photons_do_not_depend_on_blocks() -> None:
    mean = np.random.default_rng(8).uniform(0.0, 128.0, 10_000)
    mean[2000:5000] *= 0.1
    mean[6000:9000] += 64.0
    wanted = poisson_photons(mean, 2, 1, 0)
    for size in (1, 7, 1000, 1024, 1025, 4096):
        source = PoissonStream(2, 1, 0)
        found = np.empty(mean.size)
        for begin in range(0, mean.size, size):
            part = slice(begin, begin + size)
            source.draw(mean[part], found[part])
        assert np.array_equal(found, wanted)


def test_no_number_and_below_zero_give_no_photons() -> None:
    mean = np.array([math.nan, -1.0, -0.0, -math.inf, 5e-324, 70.0, 3.0])
    drawn = poisson_photons(mean, 1, 1, 1)
    assert not drawn[:5].any()
    plain = np.where(mean > 0.0, mean, 1.0)
    assert np.array_equal(drawn[5:], poisson_photons(plain, 1, 1, 1)[5:])


def test_what_is_refused() -> None:
    source = PoissonStream(1, 2, 3)
    mean = np.ones(10)
    with pytest.raises(_core.Error, match="got 9 pixels, need 10"):
        source.draw(mean, np.empty(9))
    for other in (mean, mean[:]):
        with pytest.raises(_core.Error, match="got the memory of the means"):
            source.draw(mean, other)
    with pytest.raises(TypeError):
        source.draw(mean.astype(np.float32), np.empty(10))
    with pytest.raises(TypeError):
        normals(1, 2, 3, "read-out").draw(np.empty((4, 4))[:, :2])
    frozen = np.empty(10)
    frozen.flags.writeable = False
    for call in (
        lambda: source.draw(mean, frozen),
        lambda: normals(1, 2, 3, "read-out").draw(frozen),
    ):
        with pytest.raises(BufferError, match="may not be written to"):
            call()
    tables = _tables()
    start = counter(3, "photons")
    with pytest.raises(_core.Error, match="got 511 rows, need 512"):
        _core.PhotonStream(key(1, 2), start, start, tables.distribution, tables.guide[: 511 * 256])
    both = np.empty(20)
    source.draw(both[:10] * 0.0, both[10:])
    assert not both[10:].any()
