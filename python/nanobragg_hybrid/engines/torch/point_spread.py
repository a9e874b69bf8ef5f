"""The point spread by torch's operators, differentiable in its widths (model 10.1)."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from nanobragg_hybrid.model.response import PointSpread

_SIGMA_PER_FWHM: Final = 1.0 / math.sqrt(8.0 * math.log(2.0))


def spread(
    image: Tensor,
    point_spread: PointSpread,
    pixel_um: tuple[float, float],
    fwhm_um: Tensor | None,
    fibre_um: Tensor | None,
) -> Tensor:
    """The image (slow, fast), float64, after the point spread; pixel_um: edges along fast and slow;
    the widths are None where there is none of that kind."""
    reflects = point_spread.edges == "reflected"
    if fwhm_um is not None:
        across = fwhm_um * (_SIGMA_PER_FWHM * math.sqrt(2.0))
        x, y = (_edges(point_spread.gaussian_reach_um, edge, image.device) for edge in pixel_um)
        line, column = torch.erf(x / across).diff(), torch.erf(y / across).diff()
        image = _convolved(image, column.unsqueeze(1) * line, reflects)
    if fibre_um is not None:
        x, y = (_edges(point_spread.fibre_reach_um, edge, image.device) for edge in pixel_um)
        y = y.unsqueeze(1)
        corner = torch.atan(x * y / (fibre_um * torch.sqrt(fibre_um * fibre_um + x * x + y * y)))
        image = _convolved(image, corner.diff(dim=0).diff(dim=1), reflects)
    return image


def _edges(reach_um: float, pixel_um: float, device: torch.device) -> Tensor:
    """Where pixels begin and end, from the middle of one, as far as a kernel reaches; um."""
    reach = math.ceil(reach_um / pixel_um)
    edge = torch.arange(-reach, reach + 2, dtype=torch.float64, device=device) - 0.5
    return edge * pixel_um


def _convolved(image: Tensor, kernel: Tensor, reflects: bool) -> Tensor:
    """image: (slow, fast); kernel: (2 rows + 1, 2 columns + 1), of which only the shape counts."""
    kernel = kernel / kernel.sum()
    reach = [length // 2 for length in kernel.shape]
    n_slow, n_fast = image.shape
    row = column = 0
    if reflects:
        row, column = reach
        rows = _mirrored(n_slow, row, image.device)
        image = image[rows][:, _mirrored(n_fast, column, image.device)]
    size = [n + 2 * far for n, far in zip(image.shape, reach, strict=True)]
    product = torch.fft.rfft2(image, s=size) * torch.fft.rfft2(kernel, s=size)
    out: Tensor = torch.fft.irfft2(product, s=size)
    row, column = row + reach[0], column + reach[1]
    return out[row : row + n_slow, column : column + n_fast]


def _mirrored(n: int, reach: int, device: torch.device) -> Tensor:
    """Numbers of rows with the mirror image of the image at its edges, again and again."""
    there = torch.arange(-reach, n + reach, device=device) % (2 * n)
    return torch.where(there < n, there, 2 * n - 1 - there)
