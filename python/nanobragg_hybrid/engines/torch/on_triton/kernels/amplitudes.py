"""Structure factors and their derivatives for Triton's kernels: model 6.5 and 6.7.

The functions of `scenes/structure_factors.py` are the definition.  extent: the first index and the
number of reflections along h, k, l.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _place(index, first, size):
    """Where a whole number stands in a table, and whether it does; 0 where it does not."""
    place = index - first
    is_inside = (place >= 0.0) & (place < size)
    return tl.where(is_inside, place, 0.0).to(tl.int64), is_inside


@triton.jit
def nearest_element(h0, k0, l0, extent):
    """The flat place of a reflection in the table, and whether it is there."""
    first_h, first_k, first_l, size_h, size_k, size_l = extent
    at_h, in_h = _place(h0, first_h, size_h)
    at_k, in_k = _place(k0, first_k, size_k)
    at_l, in_l = _place(l0, first_l, size_l)
    return (at_h * size_k + at_k) * size_l + at_l, in_h & in_k & in_l


@triton.jit
def nearest(grid, element, is_inside, default_f, lanes):
    """The amplitude at a place, default_F outside the table."""
    f = tl.load(grid + element, mask=is_inside & lanes, other=0.0)
    return tl.where(is_inside, f, default_f)


@triton.jit
def leaves_table(h, k, l, extent):
    """Where interpolation would need amplitudes from outside the table."""
    first_h, first_k, first_l, size_h, size_k, size_l = extent
    is_out = (h - first_h + 3.0 > size_h) | (h - 2.0 < first_h)
    is_out = is_out | (k - first_k + 3.0 > size_k) | (k - 2.0 < first_k)
    return is_out | (l - first_l + 3.0 > size_l) | (l - 2.0 < first_l)


@triton.jit
def _lagrange(x):
    """The weights of the four nodes around x, and their derivatives."""
    t = x - tl.floor(x)
    a, b, c, d = t + 1.0, t, t - 1.0, t - 2.0
    weights = (b * c * d / -6.0, a * c * d / 2.0, a * b * d / -2.0, a * b * c / 6.0)
    slopes = (
        (c * d + b * d + b * c) / -6.0,
        (c * d + a * d + a * c) / 2.0,
        (b * d + a * d + a * b) / -2.0,
        (b * c + a * c + a * b) / 6.0,
    )
    return weights, slopes


@triton.jit
def _second_node(x, first, size):
    """The place of the second node; inside the table where all four are, anything else where not:
    such steps are the caller's to know."""
    place = tl.floor(x) - first
    last = tl.where(size - 3 > 1, size - 3, 1)
    inside = tl.where(place >= 1.0, place, 1.0)  # also for NaN
    return tl.where(inside > last, last, inside).to(tl.int64)


@triton.jit
def _node(second, step: tl.constexpr, size):
    place = second + step
    place = tl.where(place < 0, 0, place)
    return tl.where(place > size - 1, size - 1, place)


@triton.jit
def _four_nodes(second, size, stride):
    """Where the nodes along one axis are in the table."""
    return (
        _node(second, -1, size) * stride,
        _node(second, 0, size) * stride,
        _node(second, 1, size) * stride,
        _node(second, 2, size) * stride,
    )


@triton.jit
def nodes(h, k, l, extent):
    """Places of the nodes along h, k, l, whose sums are elements of the table; and their weights
    and slopes along each."""
    first_h, first_k, first_l, size_h, size_k, size_l = extent
    places = (
        _four_nodes(_second_node(h, first_h, size_h), size_h, size_k * size_l),
        _four_nodes(_second_node(k, first_k, size_k), size_k, size_l),
        _four_nodes(_second_node(l, first_l, size_l), size_l, 1),
    )
    weights_h, slopes_h = _lagrange(h)
    weights_k, slopes_k = _lagrange(k)
    weights_l, slopes_l = _lagrange(l)
    return places, (weights_h, weights_k, weights_l), (slopes_h, slopes_k, slopes_l)


@triton.jit
def tricubic(grid, h, k, l, extent, lanes):
    """Four-point Lagrange interpolation along l, then k, then h."""
    places, weights, _ = nodes(h, k, l, extent)
    at_h, at_k, at_l = places
    along_h, along_k, along_l = weights
    total = tl.zeros_like(h)
    for i in tl.static_range(4):
        plane = tl.zeros_like(h)
        for j in tl.static_range(4):
            row = tl.zeros_like(h)
            first = at_h[i] + at_k[j]
            for m in tl.static_range(4):
                row += along_l[m] * tl.load(grid + (first + at_l[m]), mask=lanes, other=0.0)
            plane += along_k[j] * row
        total += along_h[i] * plane
    return total


@triton.jit
def tricubic_slopes(grid, h, k, l, extent, lanes):
    """The same and its derivatives by h, k, l."""
    places, weights, slopes = nodes(h, k, l, extent)
    at_h, at_k, at_l = places
    along_h, along_k, along_l = weights
    slope_h, slope_k, slope_l = slopes
    total, by_h = tl.zeros_like(h), tl.zeros_like(h)
    by_k, by_l = tl.zeros_like(h), tl.zeros_like(h)
    for i in tl.static_range(4):
        plane, plane_k, plane_l = tl.zeros_like(h), tl.zeros_like(h), tl.zeros_like(h)
        for j in tl.static_range(4):
            row, row_l = tl.zeros_like(h), tl.zeros_like(h)
            first = at_h[i] + at_k[j]
            for m in tl.static_range(4):
                f = tl.load(grid + (first + at_l[m]), mask=lanes, other=0.0)
                row += along_l[m] * f
                row_l += slope_l[m] * f
            plane += along_k[j] * row
            plane_k += slope_k[j] * row
            plane_l += along_k[j] * row_l
        total += along_h[i] * plane
        by_h += slope_h[i] * plane
        by_k += along_h[i] * plane_k
        by_l += along_h[i] * plane_l
    return total, by_h, by_k, by_l
