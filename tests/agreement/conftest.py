"""Devices and threads of the agreement tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """A device by name; the test is skipped where there is none."""
    from with_torch import device_or_skip  # only here: without torch the modules are skipped

    name: str = device_or_skip(request.param)
    return name


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch computes with one thread meanwhile."""
    from with_torch import torch  # only here, as above

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
