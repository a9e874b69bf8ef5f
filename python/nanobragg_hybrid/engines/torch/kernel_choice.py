"""Which kernel is to compute pixels, as far as values do not decide."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import torch

from nanobragg_hybrid.engines.torch.compiled import why_not
from nanobragg_hybrid.engines.torch.fused import why_no_triton
from nanobragg_hybrid.model.validate import Choice

KernelName = Literal["compiled", "triton", "eager"]

KERNELS: Final = Choice(("auto", "compiled", "triton", "eager"))
"""What may be asked for."""


class PlannedKernel(NamedTuple):
    """The kernel that renders; reason: why it is the eager one, None where it is not."""

    name: KernelName
    reason: str | None


def planned_kernel(
    asked: str,
    dtype: torch.dtype,
    device: torch.device,
    domain_weights: tuple[float, ...] | None,
) -> PlannedKernel:
    """asked: one of `KERNELS`; "auto" is Triton's on a GPU, the compiled ones on the CPU."""
    if asked == "eager":
        return PlannedKernel("eager", 'kernel="eager" was asked for')
    if asked == "triton" or (asked == "auto" and device.type == "cuda"):
        reason = why_no_triton(device)
        return PlannedKernel("triton" if reason is None else "eager", reason)
    reason = why_not(dtype, device, domain_weights)
    return PlannedKernel("compiled" if reason is None else "eager", reason)
