"""Devices of the agreement tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """A device by name; the test is skipped where there is none."""
    from with_torch import device_or_skip  # only here: without torch the modules are skipped

    name: str = device_or_skip(request.param)
    return name
