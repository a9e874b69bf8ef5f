"""The per-pixel formulas that are evaluated most, with derivatives written out.

Autograd would keep and pass over an array for every product and sum; here a whole formula is one
step, and sums over pixels are products of vectors.  The values are the model's, in its order.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.arithmetic.scalars import Scalar, remember, remembered, root_of

_Grads = tuple[Tensor | None, ...]


class Positions(torch.autograd.Function):
    """P of model 6.2, three components of shape (pixels, samples).

    Arguments: the sub-pixels' numbers along fast and slow, (pixels, samples), the layers' numbers,
    (samples,); the sub-pixel's edges along fast and slow, the distance of layers; the components of
    f, s, o and D0.
    """

    @staticmethod
    def forward(
        ctx: Any,
        fast: Tensor,
        slow: Tensor,
        layer: Tensor,
        width: Scalar,
        height: Scalar,
        layer_step: Scalar,
        *vectors: Scalar,
    ) -> tuple[Tensor, Tensor, Tensor]:
        along_fast = width * fast + width / 2.0
        along_slow = height * slow + height / 2.0
        depth = layer * layer_step
        remember(ctx, fast, slow, layer, width, height, layer_step, *vectors)
        f, s, o, d0 = vectors[0:3], vectors[3:6], vectors[6:9], vectors[9:12]
        x, y, z = (along_fast * f[n] + along_slow * s[n] + depth * o[n] + d0[n] for n in range(3))
        return x, y, z

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> _Grads:
        fast, slow, layer, width, height, layer_step, *vectors = remembered(ctx)
        along_fast = width * fast + width / 2.0
        along_slow = height * slow + height / 2.0
        needs = ctx.needs_input_grad
        found: list[Tensor | None] = [None] * 18
        # With one sample the arrays along one axis have a single column.
        by_layer = [grad.sum(0) for grad in grads]
        for n, grad in enumerate(grads):
            if needs[6 + n]:
                found[6 + n] = _inner(grad, along_fast)
            if needs[9 + n]:
                found[9 + n] = _inner(grad, along_slow)
            if needs[12 + n]:
                found[12 + n] = _inner(by_layer[n], layer) * layer_step
            if needs[15 + n]:
                found[15 + n] = by_layer[n].sum()
        if needs[3]:
            found[3] = _inner(_combined(grads, vectors[0:3]), fast + 0.5)
        if needs[4]:
            found[4] = _inner(_combined(grads, vectors[3:6]), slow + 0.5)
        if needs[5]:
            found[5] = _inner(_combined(by_layer, vectors[6:9]), layer)
        return tuple(found)


class LengthAndDirection(torch.autograd.Function):
    """R and the three components of d of model 6.2, from the components of P.

    Where R is 0, d is 0, and so are their derivatives.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        length = root_of(x * x + y * y + z * z)
        is_zero = length == 0.0  # as the length of a tiny vector is: its squares are 0
        safe = torch.where(is_zero, 1.0, length)
        direction = tuple(torch.where(is_zero, 0.0, component / safe) for component in (x, y, z))
        ctx.save_for_backward(length, *direction)
        return length, *direction

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> _Grads:
        length, *direction = ctx.saved_tensors
        length = torch.where(length == 0.0, math.inf, length)
        grad_length, *across = grads
        along = _combined(across, direction) / length - grad_length
        return tuple(grad / length - d * along for grad, d in zip(across, direction, strict=True))


class ScatteringVectors(torch.autograd.Function):
    """q of model 6.3, three components of shape (pixels, samples, sources).

    Arguments: the components of d, (pixels, samples), and of the incident directions, (sources,);
    the wavelengths, (sources,).
    """

    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        *vectors, wavelength = arguments
        x, y, z = ((vectors[n].unsqueeze(-1) - vectors[3 + n]) / wavelength for n in range(3))
        ctx.save_for_backward(x, y, z, wavelength)
        return x, y, z

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> _Grads:
        *q, wavelength = ctx.saved_tensors
        needs = ctx.needs_input_grad
        found: list[Tensor | None] = [None] * 7
        for n, grad in enumerate(grads):
            if needs[n] or needs[3 + n]:
                numerator = grad / wavelength
                found[n] = numerator.sum(-1) if needs[n] else None
                found[3 + n] = -numerator.sum((0, 1)) if needs[3 + n] else None
        if needs[6]:
            found[6] = -_combined(grads, q).sum((0, 1)) / wavelength
        return tuple(found)


class FractionalIndices(torch.autograd.Function):
    """h, k, l of model 6.5, shape (pixels, samples, sources, orientations).

    Arguments: the components of a, b, c, (orientations,), and of q, (pixels, samples, sources).
    """

    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        qx, qy, qz = (component.unsqueeze(-1) for component in arguments[9:])
        h, k, l = (
            (arguments[n] * qx).add_(arguments[n + 1] * qy).add_(arguments[n + 2] * qz)
            for n in (0, 3, 6)
        )
        ctx.save_for_backward(*arguments)
        return h, k, l

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> _Grads:
        arguments = ctx.saved_tensors
        needs = ctx.needs_input_grad
        cells = torch.stack(arguments[:9])
        q = arguments[9:]
        count = cells.shape[1]
        rows = [grad.reshape(-1, count) for grad in grads]
        found: list[Tensor | None] = [None] * 12
        if any(needs[:9]):
            columns = torch.stack([component.reshape(-1) for component in q])
            for axis, row in enumerate(rows):
                by_component = columns @ row
                for n in range(3):
                    found[3 * axis + n] = by_component[n]
        if any(needs[9:]):
            if count == 1:
                by_row = [
                    sum_of(cells[3 * axis + n, 0] * rows[axis] for axis in range(3))
                    for n in range(3)
                ]
            else:
                total = sum_of(
                    row @ cells[3 * axis : 3 * axis + 3].T for axis, row in enumerate(rows)
                )
                by_row = list(total.unbind(-1))
            for n in range(3):
                found[9 + n] = by_row[n].reshape(q[n].shape)
        return tuple(found)


class SquaredProduct(torch.autograd.Function):
    """F*F*latt*latt of model 6.5, in this order, float64; F broadcasts.

    The derivatives, too, are products from left to right, without the square of anything that may
    be too small or too large for a double.  Where the lattice factor is 0, F may be infinite: it
    counts as 0 there if its square is no number.
    """

    @staticmethod
    def forward(ctx: Any, f: Scalar, latt: Tensor) -> Tensor:
        remember(ctx, f, latt)
        return (f * f * latt).mul_(latt)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> _Grads:
        f, latt = remembered(ctx)
        wants_f, wants_latt = ctx.needs_input_grad
        used = torch.as_tensor(f, dtype=latt.dtype, device=latt.device)
        used = torch.where((latt == 0.0) & torch.isinf(used * used), 0.0, used)
        # From the gradient's side, so that what is not wanted (0) stays 0.
        slope = grads[0] * 2.0 * used * latt
        grad_f = grad_latt = None
        if wants_f:
            grad_f = slope * latt
            grad_f = grad_f if f.dim() > 0 else grad_f.sum()
        if wants_latt:
            grad_latt = slope * used
        return grad_f, grad_latt


def sum_of(tensors: Any) -> Tensor:
    """The sum of a few tensors."""
    total: Tensor | None = None
    for tensor in tensors:
        total = tensor if total is None else total + tensor
    assert total is not None
    return total


def _inner(x: Tensor, y: Tensor) -> Tensor:
    """The sum of products of all elements of two tensors that broadcast."""
    if x.shape != y.shape:
        return (x * y).sum()
    return torch.dot(x.reshape(-1), y.reshape(-1))


def _combined(tensors: Any, factors: Any) -> Tensor:
    """The sum of products, pair by pair."""
    return sum_of(x * y for x, y in zip(tensors, factors, strict=True))
