"""The point spread by torch's operators, differentiable in its widths (model 10.1)."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.engines.torch.arithmetic.scalars import as_float
from nanobragg_hybrid.model.response import PointSpread

_SIGMA_PER_FWHM: Final = 1.0 / math.sqrt(8.0 * math.log(2.0))


def spread(
    image: Tensor,
    point_spread: PointSpread,
    pixel_um: Tensor | float,
    fwhm_um: Tensor | None,
    fibre_um: Tensor | None,
) -> Tensor:
    """The image (slow, fast), float64, after the point spread; the widths are None where there is
    none of that kind.  It is differentiable in them and in the pixels' edge."""
    reflects = point_spread.edges == "reflected"
    for reach_um in (
        0.0 if fwhm_um is None else point_spread.gaussian_reach_um,
        0.0 if fibre_um is None else point_spread.fibre_reach_um,
    ):
        reach = math.ceil(reach_um / as_float(pixel_um))
        shape = [n + 4 * reach for n in image.shape]
        what = f"point spread that reaches {reach} pixels (see its reach_um)"
        require_memory({what: 40 * shape[0] * shape[1]})
    if fwhm_um is not None:
        reach = math.ceil(point_spread.gaussian_reach_um / as_float(pixel_um))
        edge = torch.arange(-reach, reach + 2, dtype=torch.float64, device=image.device) - 0.5
        line = torch.erf(edge * pixel_um / (fwhm_um * (_SIGMA_PER_FWHM * math.sqrt(2.0)))).diff()
        image = _convolved(image, line.unsqueeze(1) * line, reflects)
    if fibre_um is not None:
        reach = math.ceil(point_spread.fibre_reach_um / as_float(pixel_um))
        edge = torch.arange(-reach, reach + 2, dtype=torch.float64, device=image.device) - 0.5
        x, y = edge * pixel_um, edge.unsqueeze(1) * pixel_um
        corner = torch.atan(x * y / (fibre_um * torch.sqrt(fibre_um * fibre_um + x * x + y * y)))
        image = _convolved(image, corner.diff(dim=0).diff(dim=1), reflects)
    return image


def _convolved(image: Tensor, kernel: Tensor, reflects: bool) -> Tensor:
    """image: (slow, fast); kernel: (2 reach + 1, 2 reach + 1), of which only the shape counts."""
    kernel = kernel / kernel.sum()
    reach = kernel.shape[0] // 2
    n_slow, n_fast = image.shape
    begin = 0
    if reflects:
        rows, columns = (_mirrored(n, reach, image.device) for n in (n_slow, n_fast))
        image = image[rows][:, columns]
        begin = reach
    size = [n + 2 * reach for n in image.shape]
    product = torch.fft.rfft2(image, s=size) * torch.fft.rfft2(kernel, s=size)
    out: Tensor = torch.fft.irfft2(product, s=size)
    begin += reach
    return out[begin : begin + n_slow, begin : begin + n_fast]


def _mirrored(n: int, reach: int, device: torch.device) -> Tensor:
    """Numbers of rows with the mirror image of the image at its edges, again and again."""
    there = torch.arange(-reach, n + reach, device=device) % (2 * n)
    return torch.where(there < n, there, 2 * n - 1 - there)
