"""Which kernel is to compute pixels, as far as values do not decide.

Triton is loaded where its kernels are asked for.
"""

from __future__ import annotations

import importlib.util
from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor

from nanobragg_hybrid.base.errors import how_to_install
from nanobragg_hybrid.engines.torch.compiled.bridge import why_not
from nanobragg_hybrid.engines.torch.fused.kernel import FusedKernel
from nanobragg_hybrid.engines.torch.scenes.scene import Choices
from nanobragg_hybrid.model.validate import Choice

KernelName = Literal["compiled", "triton", "eager"]

KERNELS: Final = Choice(("auto", "compiled", "triton", "eager"))
"""What may be asked for."""


NOT_INSTALLED: Final = f"Triton is not installed: {how_to_install('gpu')}"
NOT_ON_CPU: Final = (
    "Triton compiles for GPUs, and runs on the CPU in its interpreter only: set TRITON_INTERPRET=1 "
    "before Python starts"
)
INTERPRETED: Final = "Triton's interpreter, which runs on the CPU, is on (TRITON_INTERPRET)"


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


def why_no_triton(device: torch.device) -> str | None:
    """Why Triton's kernels do not render on a device; None if they do."""
    if importlib.util.find_spec("triton") is None:
        return NOT_INSTALLED
    from nanobragg_hybrid.engines.torch.on_triton.kernel import IS_INTERPRETED

    if device.type == "cuda":
        return INTERPRETED if IS_INTERPRETED else None
    return None if IS_INTERPRETED else NOT_ON_CPU


def triton_kernel(
    choices: Choices, dtype: torch.dtype, constants: Tensor, tolerance_photons: float
) -> FusedKernel:
    """Triton's kernels, where `why_no_triton` has nothing to say.

    constants: the `kernel_constants` of the choices, where the kernels are to run.
    """
    from nanobragg_hybrid.engines.torch.on_triton.kernel import TritonKernel

    return TritonKernel.with_constants(choices, dtype, constants, tolerance_photons)
