"""Parts of images by Triton's kernels: on a GPU, or in the interpreter, whose time is that of the
steps of one pixel, however many pixels there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from compiled_scenes import Part
from with_torch import torch

pytest.importorskip("triton", reason="Triton is not installed (extra: gpu)")

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch.fused.kernel import FusedPiece
from nanobragg_hybrid.engines.torch.on_triton.kernel import TritonKernel
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template, tensors

BETWEEN_SPOTS = nb.Experiment(
    beam=nb.Beam(
        wavelength_angstrom=1.0,
        fluence_photons_per_m2=1e26,
        dispersion_percent=3.0,
        dispersion_steps=2,
    ),
    crystal=nb.Crystal(
        cell_angstrom=(35, 40, 45),
        cell_deg=(75, 85, 95),
        misset_deg=(10, 20, 30),
        n_cells=(20, 22, 18),
        mosaic_spread_deg=1.5,
        mosaic_domains=4,
        shape="gauss",
    ),
    detector=nb.Detector(
        distance_mm=100, pixel_size_mm=0.15, n_fast=500, n_slow=500, rotation_deg=(3, -4, 5)
    ),
    sampling=nb.Sampling(oversample=1, roi=(141, 148, 348, 360)),
)
"""Two wavelengths and four domains on few pixels, which have spots between them."""

Tensor = torch.Tensor
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class TritonPart:
    """A part of an image, by Triton's kernels, on `DEVICE`; what it gives is on the CPU."""

    part: Part
    dtype: torch.dtype = torch.float64
    tolerance_photons: float = 0.0
    kernel: TritonKernel = field(init=False)

    def __post_init__(self) -> None:
        choices = self.part.model.setup.choices
        kernel = TritonKernel.of(choices, self.dtype, DEVICE, self.tolerance_photons)
        object.__setattr__(self, "kernel", kernel)

    def values(self) -> Tensor:
        """Those of the part's pixels."""
        return self._values(self.part.packed).detach().cpu()

    def gradients(self) -> Packed:
        """Derivatives of the weighted sum."""
        leaves = self._leaves()
        total = (self._values(Packed(*leaves)) * self.part.weight.to(DEVICE)).sum()
        return _packed(leaves, torch.autograd.grad(total, _given(leaves), materialize_grads=True))

    def tangents(self, along: Packed) -> Tensor:
        """How values change: derivatives by its weights of what has weights."""
        leaves = self._leaves()
        values = self._values(Packed(*leaves))
        weights = torch.zeros_like(values, requires_grad=True)
        pulled = torch.autograd.grad(
            values, _given(leaves), weights, create_graph=True, materialize_grads=True
        )
        changes = [x.to(DEVICE) for x in tensors(along) if x is not None]
        (found,) = torch.autograd.grad(pulled, weights, changes)
        return found.cpu()

    def _leaves(self) -> list[Tensor | None]:
        return [
            None if x is None else x.detach().to(DEVICE).requires_grad_()
            for x in tensors(self.part.packed)
        ]

    def _values(self, packed: Packed) -> Tensor:
        given = self.part.template
        every_number = Template(
            tuple(None for _ in given.constants), given.has_weights, given.hkl_min
        )
        on_device = Packed(*(None if x is None else x.to(DEVICE) for x in tensors(packed)))
        tile = self.part.tile
        slow, fast = tile.slow.to(DEVICE), tile.fast.to(DEVICE)
        piece = FusedPiece(slice(0, len(slow)), slow, fast, tile.interpolated_steps > 0)
        return self.kernel.values(piece, on_device, every_number)


def _given(leaves: list[Tensor | None]) -> list[Tensor]:
    return [x for x in leaves if x is not None]


def _packed(leaves: list[Tensor | None], found: tuple[Tensor, ...]) -> Packed:
    each: Iterator[Tensor] = iter(found)
    return Packed(*(None if x is None else next(each).cpu() for x in leaves))
