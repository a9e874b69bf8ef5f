"""Which launches and operators a render is made of, on a device without values."""

from __future__ import annotations

from typing import Any

import pytest
from triton_scenes import TritonPart  # noqa: F401 (skips where Triton is not installed)
from with_torch import torch

from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.fused.kernel import FusedPiece
from nanobragg_hybrid.engines.torch.on_triton import ray_launches, step_lists, sum_launches
from nanobragg_hybrid.engines.torch.on_triton.kernel import TritonKernel
from nanobragg_hybrid.engines.torch.scenes.packing import Packed, Template, tensors

META = torch.device("meta")
OF_NOTHING = ("empty", "view", "slice", "select", "detach", "unsqueeze", "expand", "alias", "t")
"""Operators that launch nothing."""


class Watch(torch.utils._python_dispatch.TorchDispatchMode):
    """Which operators run, and the sizes of tensors on the CPU that they see."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.on_cpu: list[int] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        self.names.append(function.name())
        for found in torch.utils._pytree.tree_leaves((args, kwargs, result)):
            if isinstance(found, torch.Tensor) and found.device.type == "cpu":
                self.on_cpu.append(found.numel())
        return result

    @property
    def working(self) -> list[str]:
        """Those that launch something."""
        own = [name.removeprefix("aten::").partition(".")[0] for name in self.names]
        return [name for name in own if name.removeprefix("new_") not in OF_NOTHING]


class Launched:
    """A kernel that notes its launches, and launches nothing: what it reads are pointers."""

    def __init__(self, name: str, launched: list[str]) -> None:
        self.name, self.launched = name, launched

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        return lambda *_, **__: self.launched.append(self.name)


def noted_launches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the kernels that are launched from now on, which is not done."""
    launched: list[str] = []
    for module, name in (
        (ray_launches, "pixel_rays"),
        (ray_launches, "pixel_values"),
        (step_lists, "lit_steps"),
        (sum_launches.triton_sums, "pixel_sums"),
        (sum_launches.triton_slopes, "pixel_slopes"),
        (sum_launches.triton_cells, "cell_slopes"),
        (sum_launches.triton_elements, "element_sums"),
    ):
        monkeypatch.setattr(module, name, Launched(name, launched))
    sum_launches.slope_coefficients(torch.ones(3, device=META))  # copies a constant, once
    return launched


def meta_render(
    model: ForwardModel, tolerance_photons: float = 0.0
) -> tuple[TritonKernel, FusedPiece, Packed, Template]:
    """A model's first pixels without values, and what renders them."""
    kernel = TritonKernel.of(model.setup.choices, torch.float64, META, tolerance_photons)
    packed, template = model._packed({})
    empty = Packed(*(None if x is None else x.to(META) for x in tensors(packed)))
    count = min(model.active_pixels.count, 80)
    numbers = model.active_pixels.numbers(0, count, torch.device("cpu"))
    slow, fast = (x.to(META) for x in numbers)
    return kernel, FusedPiece(slice(0, count), slow, fast, False), empty, template
