"""How far two float images are from each other: pure functions of arrays of shape (slow, fast).

Only pixels that are finite in both images enter the figures; where the others are is compared as
well.  Figures are computed in float64.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.model.validate import COUNT, FINITE

Image = NDArray[np.float32]

ULP_BINS: Final = (0, 1, 2, 4, 8, 16, 64, 256, 1024, 65536, 2**32)
"""Upper ends of the bins of `ulp_histogram`; a bin starts one above the end of the bin before."""


class Difference(NamedTuple):
    """Image B against image A of the same shape.

    pixels: of the whole image; finite: how many are finite in both.
    lit_a, lit_b: how many of the finite ones are not 0.
    same_non_finite: NaN and infinities stand at the same pixels, infinities with the same sign.
    bytes_equal: every pixel has the same bits.  identical: share of the pixels that are equal, NaN
        being equal to NaN.
    correlation: Pearson's; see `correlation`.  sum_a, sum_b, sum_ratio: sums, and b's over a's; NaN
        if a's is 0.
    mse, rmse: mean square of b - a, photons^2, and its root, photons.
    relative_l2: norm of b - a over the norm of a; 0 if both are 0, infinity if only the second is.
    max_abs: largest |b - a|, photons, and the pixel fast, slow (the first one) with its two values.
    max_ulp: largest of `ulp_difference`.
    """

    pixels: int
    finite: int
    lit_a: int
    lit_b: int
    same_non_finite: bool
    bytes_equal: bool
    identical: float
    correlation: float
    sum_a: float
    sum_b: float
    sum_ratio: float
    mse: float
    rmse: float
    relative_l2: float
    max_abs: float
    fast: int
    slow: int
    value_a: float
    value_b: float
    max_ulp: int


class Bin(NamedTuple):
    """How many pixels differ by `first` to `last` units in the last place."""

    first: int
    last: int
    pixels: int


class Peak(NamedTuple):
    """A local maximum: centre of gravity of its 3 x 3 pixels, in pixels, and its largest value."""

    fast: float
    slow: float
    value: float


class PeakPair(NamedTuple):
    """A peak of each image that belong together, and their distance in pixels."""

    a: Peak
    b: Peak
    distance: float


class PeakMatch(NamedTuple):
    """Pairs, nearest first, and the peaks that found no partner."""

    pairs: tuple[PeakPair, ...]
    only_a: tuple[Peak, ...]
    only_b: tuple[Peak, ...]


def compare_images(a: Image, b: Image) -> Difference:
    """All figures of two float32 images; `ConfigError` if their shapes differ or they are empty."""
    require_images(a, b)
    usable = np.isfinite(a) & np.isfinite(b)
    everywhere = bool(usable.all())
    first = (a if everywhere else np.where(usable, a, 0)).astype(np.float64)
    second = (b if everywhere else np.where(usable, b, 0)).astype(np.float64)
    finite = int(usable.sum())
    change = second - first
    slow, fast = (int(n) for n in np.unravel_index(int(np.abs(change).argmax()), a.shape))
    square = float((change * change).sum())
    norm_a = float((first * first).sum())
    sum_a, sum_b = float(first.sum()), float(second.sum())
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    mse = square / finite if finite else math.nan
    return Difference(
        pixels=a.size,
        finite=finite,
        lit_a=int(np.count_nonzero(first)),
        lit_b=int(np.count_nonzero(second)),
        same_non_finite=bool(equal[~usable].all()),
        bytes_equal=bool(np.array_equal(_bits(a), _bits(b))),
        identical=float(equal.mean()),
        correlation=correlation(a[usable], b[usable]),
        sum_a=sum_a,
        sum_b=sum_b,
        sum_ratio=sum_b / sum_a if sum_a else math.nan,
        mse=mse,
        rmse=math.sqrt(mse),
        relative_l2=math.sqrt(square / norm_a) if norm_a else math.inf if square else 0.0,
        max_abs=float(abs(change[slow, fast])),
        fast=fast,
        slow=slow,
        value_a=float(a[slow, fast]),
        value_b=float(b[slow, fast]),
        max_ulp=int(ulp_difference(a[usable], b[usable]).max(initial=0)),
    )


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Pearson's correlation of finite arrays, in float64; exactly 1 for equal ones.

    NaN if either is constant or empty: then nothing is correlated.
    """
    if a.size == 0:
        return math.nan
    first, second = a.astype(np.float64), b.astype(np.float64)
    first -= first.mean()
    second -= second.mean()
    squares = float((first * first).sum()) * float((second * second).sum())
    if squares == 0.0 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return math.nan
    return max(-1.0, min(1.0, float((first * second).sum()) / math.sqrt(squares)))


def ulp_difference(a: Image, b: Image) -> NDArray[np.int64]:
    """Steps from each float32 of `a` to that of `b` through the float32 numbers between them.

    Neighbours are 1 apart, across powers of two and across 0 too; both zeros are the same number.
    The arrays must be finite.
    """
    steps: NDArray[np.int64] = np.abs(_ordinal(b) - _ordinal(a))
    return steps


def ulp_histogram(a: Image, b: Image) -> tuple[Bin, ...]:
    """Pixels, finite in both, by `ulp_difference`, in the bins of `ULP_BINS`."""
    require_images(a, b)
    usable = np.isfinite(a) & np.isfinite(b)
    steps = ulp_difference(a[usable], b[usable])
    which = np.searchsorted(ULP_BINS, steps.ravel())
    counts = np.bincount(which, minlength=len(ULP_BINS)).tolist()
    firsts = (0, *(last + 1 for last in ULP_BINS[:-1]))
    return tuple(Bin(*row) for row in zip(firsts, ULP_BINS, counts, strict=True))


def find_peaks(image: Image, quantile: float = 0.99, limit: int = 100) -> tuple[Peak, ...]:
    """The brightest local maxima, brightest first, `limit` at most.

    A local maximum is not below the `quantile` (0 to 1) of the finite pixels > 0, above the
    neighbours that come before it in reading order, not below those that come after it, so that a
    flat top counts once, and above one of them at least.  Pixels that are not finite count as dark.
    """
    _require_image("image", image)
    try:
        is_share = 0.0 <= FINITE.normalise(quantile) <= 1.0
    except ValueError:
        is_share = False
    if not is_share:
        raise ConfigError("quantile", quantile, "a number from 0 to 1")
    try:
        limit = COUNT.normalise(limit)
    except ValueError:
        raise ConfigError("limit", limit, COUNT.text) from None
    values = np.where(np.isfinite(image), image, np.float32(0.0)).astype(np.float64)
    positive = values[values > 0.0]
    if positive.size == 0:
        return ()
    n_slow, n_fast = values.shape
    framed = np.pad(values, 1, constant_values=-np.inf)
    is_peak = (values > 0.0) & (values >= np.quantile(positive, quantile))
    rises = np.zeros_like(is_peak)
    for down in range(3):
        for right in range(3):
            neighbour = framed[down : down + n_slow, right : right + n_fast]
            rises |= (values > neighbour) & (neighbour > -np.inf)
            if (down, right) < (1, 1):
                is_peak &= values > neighbour
            elif (down, right) > (1, 1):
                is_peak &= values >= neighbour
    slow, fast = np.nonzero(is_peak & rises)
    order = np.argsort(-values[slow, fast], kind="stable")[:limit]
    return tuple(_peak(values, int(slow[n]), int(fast[n])) for n in order)


def match_peaks(a: tuple[Peak, ...], b: tuple[Peak, ...], max_distance: float = 3.0) -> PeakMatch:
    """Pairs of peaks not farther apart than `max_distance` pixels: the nearest pair first, then
    the nearest of those that are left, and so on."""
    if not (a and b):
        return PeakMatch((), a, b)
    place_a = np.array([(peak.fast, peak.slow) for peak in a])
    place_b = np.array([(peak.fast, peak.slow) for peak in b])
    distance = np.hypot(*(place_a[:, None, :] - place_b[None, :, :]).transpose(2, 0, 1))
    left_a, left_b = dict(enumerate(a)), dict(enumerate(b))
    pairs = []
    for place in np.argsort(distance, axis=None, kind="stable"):
        n, m = (int(k) for k in np.unravel_index(int(place), distance.shape))
        if distance[n, m] > max_distance:
            break
        if n in left_a and m in left_b:
            pairs.append(PeakPair(left_a.pop(n), left_b.pop(m), float(distance[n, m])))
    return PeakMatch(tuple(pairs), tuple(left_a.values()), tuple(left_b.values()))


def resample(image: Image, shape: tuple[int, int]) -> Image:
    """The image on a grid of another `shape` (slow, fast) that covers the same field.

    Each pixel's photons are shared among the new pixels that it overlaps, in proportion to the
    area, so the sum stays.
    """
    rows = _shared(image.astype(np.float64), shape[0])
    resampled: Image = _shared(rows.T, shape[1]).T.astype(np.float32)
    return np.ascontiguousarray(resampled)


def _shared(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Rows shared among `count` new ones."""
    before = rows.shape[0]
    result = np.zeros((count, rows.shape[1]))
    for n in range(count):
        start, end = n * before / count, (n + 1) * before / count
        for old in range(int(start), min(math.ceil(end), before)):
            result[n] += rows[old] * max(0.0, min(end, old + 1) - max(start, old))
    return result


def _peak(values: NDArray[np.float64], slow: int, fast: int) -> Peak:
    window = values[max(0, slow - 1) : slow + 2, max(0, fast - 1) : fast + 2].clip(min=0.0)
    slows, fasts = np.indices(window.shape)
    total = window.sum()
    return Peak(
        fast=float((fasts * window).sum() / total) + max(0, fast - 1),
        slow=float((slows * window).sum() / total) + max(0, slow - 1),
        value=float(values[slow, fast]),
    )


def _ordinal(values: Image) -> NDArray[np.int64]:
    """Whole numbers in the order of the floats, one apart for neighbours; both zeros give 0."""
    bits = _bits(values).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _bits(values: Image) -> NDArray[np.int32]:
    return np.ascontiguousarray(values).view(np.int32)


def require_images(a: Image, b: Image) -> None:
    """`ConfigError` for what is no pair of images of the same shape."""
    for name, image in (("a", a), ("b", b)):
        _require_image(name, image)
    if a.shape != b.shape:
        raise ConfigError("b", f"the shape {b.shape}", f"the shape of a, {a.shape}")


def _require_image(name: str, image: Any) -> None:
    need = "a float32 image (slow, fast) with pixels"
    if not isinstance(image, np.ndarray):
        raise ConfigError(name, image, need)
    if image.dtype != np.float32 or image.ndim != 2 or image.size == 0:
        raise ConfigError(name, f"{image.dtype} {image.shape}", need)
