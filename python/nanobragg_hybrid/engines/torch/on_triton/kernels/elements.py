"""What steps give to elements of a table of structure factors, added up by Triton's kernels."""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.on_triton.kernels.amplitudes import (
    leaves_table,
    nearest_element,
    nodes,
)
from nanobragg_hybrid.engines.torch.on_triton.kernels.profiles import nearest_whole


@triton.jit
def store_elements(
    elements,
    amounts,
    hkl,
    amount,
    counts,
    extent,
    place,
    count,
    lanes,
    interpolation: tl.constexpr,
):
    """What a step gives to elements of the table; -1 where it gives nothing.

    counts: whether it gives anything.  place: of the step's first element.
    """
    h, k, l = hkl
    if interpolation == "nearest":
        element, is_inside = nearest_element(
            nearest_whole(h), nearest_whole(k), nearest_whole(l), extent
        )
        tl.store(elements + place, tl.where(counts & is_inside, element, -1), mask=lanes)
        tl.store(amounts + place, amount, mask=lanes)
    else:
        places, weights, _ = nodes(h, k, l, extent)
        at_h, at_k, at_l = places
        along_h, along_k, along_l = weights
        is_out = lanes & ~lanes
        if interpolation == "inside":
            is_out = leaves_table(h, k, l, extent)
        nearest_one, is_inside = nearest_element(
            nearest_whole(h), nearest_whole(k), nearest_whole(l), extent
        )
        # Outside the first of the nodes stands for the nearest reflection, the others for nothing.
        instead = tl.where(counts & is_inside, nearest_one, -1)
        for i in tl.static_range(4):
            for j in tl.static_range(4):
                row = amount * along_h[i] * along_k[j]
                first = at_h[i] + at_k[j]
                for m in tl.static_range(4):
                    element = tl.where(counts, first + at_l[m], -1)
                    own = row * along_l[m]
                    if interpolation == "inside":
                        element = tl.where(is_out, instead, element)
                        own = tl.where(is_out, amount, own)
                        instead = tl.full(instead.shape, -1, tl.int64)
                    tl.store(elements + place, element, mask=lanes)
                    tl.store(amounts + place, own, mask=lanes)
                    place += count


@triton.jit(do_not_specialize=["count"])
def element_sums(total, amounts, starts, count, block: tl.constexpr):
    """total: what each element of a table was given, (elements,); amounts: in the elements' order,
    of which element n has those from starts[n] to starts[n + 1]."""
    element = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    lanes = element < count
    begin = tl.load(starts + element, mask=lanes, other=0)
    end = tl.load(starts + element + 1, mask=lanes, other=0)
    sums = tl.zeros([block], tl.float64)
    for n in range(tl.max(end - begin, 0)):
        place = begin + n
        sums += tl.load(amounts + place, mask=place < end, other=0.0)
    tl.store(total + element, sums, mask=lanes)
