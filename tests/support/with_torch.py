"""Import torch from here: a module that does is skipped, with its reason, where torch is not."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")


def device_or_skip(name: str) -> str:
    """`name`, if torch has such a device; otherwise the test is skipped with the reason."""
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return name
