"""Pixels and rays for Triton's kernels: positions, and what intensities are multiplied with (model
6.2, 6.3 and 6.8), on a flat detector.

The functions of `eager/rays.py` and `eager/factors.py` are the definition; these have the same
operations in the same order, so that only exponentials may round otherwise.  scene: the numbers of
`packing.NUMBERS`.  sources: (5, sources), see `packing.Packed`.  lanes: pixels.
"""

from __future__ import annotations

import triton
import triton.language as tl

from nanobragg_hybrid.engines.torch.scenes.packing import NUMBERS

PIXEL = tl.constexpr(NUMBERS.index("pixel"))
PIXEL_SLOW = tl.constexpr(NUMBERS.index("pixel_slow"))
CLOSE = tl.constexpr(NUMBERS.index("close"))
LAYER_STEP = tl.constexpr(NUMBERS.index("layer_step"))
ATTENUATION = tl.constexpr(NUMBERS.index("attenuation"))
KAHN = tl.constexpr(NUMBERS.index("kahn"))
FAST = tl.constexpr(NUMBERS.index("fast.0"))
SLOW = tl.constexpr(NUMBERS.index("slow.0"))
NORMAL = tl.constexpr(NUMBERS.index("normal.0"))
PIX0 = tl.constexpr(NUMBERS.index("pix0.0"))
POLARIZATION = tl.constexpr(NUMBERS.index("polarization.0"))


@triton.jit
def _vector(scene, place):
    own = scene + place
    return tl.load(own), tl.load(own + 1), tl.load(own + 2)


@triton.jit
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@triton.jit
def _cross(a, b):
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


@triton.jit
def _unit(a):
    """The zero vector where the length is 0."""
    length = tl.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])
    is_zero = length == 0.0
    safe = tl.where(is_zero, 1.0, length)
    return (
        tl.where(is_zero, 0.0, a[0] / safe),
        tl.where(is_zero, 0.0, a[1] / safe),
        tl.where(is_zero, 0.0, a[2] / safe),
    )


@triton.jit
def beam_to(scene, slow, fast, sample, oversample):
    """Length, direction and number of the layer of the beam to a sample of each pixel."""
    per_edge = oversample.to(tl.float64)
    sub_fast = (sample % oversample).to(tl.float64)
    sub_slow = (sample // oversample % oversample).to(tl.float64)
    layer = (sample // (oversample * oversample)).to(tl.float64)
    width = tl.load(scene + PIXEL) / per_edge
    height = tl.load(scene + PIXEL_SLOW) / per_edge
    along_fast = width * (fast * per_edge + sub_fast) + width / 2.0
    along_slow = height * (slow * per_edge + sub_slow) + height / 2.0
    depth = layer * tl.load(scene + LAYER_STEP)
    f, s = _vector(scene, FAST), _vector(scene, SLOW)
    o, d0 = _vector(scene, NORMAL), _vector(scene, PIX0)
    x = along_fast * f[0] + along_slow * s[0] + depth * o[0] + d0[0]
    y = along_fast * f[1] + along_slow * s[1] + depth * o[1] + d0[1]
    z = along_fast * f[2] + along_slow * s[2] + depth * o[2] + d0[2]
    length = tl.sqrt(x * x + y * y + z * z)
    is_zero = length == 0.0
    safe = tl.where(is_zero, 1.0, length)
    direction = (
        tl.where(is_zero, 0.0, x / safe),
        tl.where(is_zero, 0.0, y / safe),
        tl.where(is_zero, 0.0, z / safe),
    )
    return length, direction, layer


@triton.jit
def captured(scene, direction, top, bottom):
    """The part of the photons that is absorbed between two depths, in layers."""
    slant = _dot(direction, _vector(scene, NORMAL))
    step, mu = tl.load(scene + LAYER_STEP), tl.load(scene + ATTENUATION)
    return tl.exp(-top * step * mu / slant) - tl.exp(-bottom * step * mu / slant)


@triton.jit
def layer_capture(scene, slow, fast, sample, oversample):
    """Of the layer of a sample, at the sample."""
    _length, direction, layer = beam_to(scene, slow, fast, sample, oversample)
    return captured(scene, direction, layer, layer + 1.0)


@triton.jit
def solid_angle(scene, length, has_pixel_area: tl.constexpr, is_oblique: tl.constexpr):
    """Of a pixel as seen from the crystal."""
    if has_pixel_area:
        facing = tl.load(scene + PIXEL) * tl.load(scene + PIXEL_SLOW) / length / length
    else:
        facing = 1.0 / length / length
    if is_oblique:
        facing = facing * tl.load(scene + CLOSE) / length
    return facing


@triton.jit
def polarization(scene, sources, source_count, source, direction, has_kahn: tl.constexpr):
    """The factor of a source for diffracted beams."""
    incident = (
        tl.load(sources + source),
        tl.load(sources + source_count + source),
        tl.load(sources + 2 * source_count + source),
    )
    c = _dot(incident, direction)
    c2 = c * c
    if has_kahn:
        across = _unit(_cross(_unit(_vector(scene, POLARIZATION)), incident))
        e_axis = _unit(_cross(incident, across))
        along_b, along_e = _dot(direction, across), _dot(direction, e_axis)
        has_axis = _dot(across, across) != 0.0
        split = tl.where(has_axis, along_e * along_e - along_b * along_b, 1.0 - c2)
        return 0.5 * (1.0 + c2 - tl.load(scene + KAHN) * split)
    else:
        return 0.5 * (1.0 + c2)
