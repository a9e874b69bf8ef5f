"""Fixtures of the file tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def inputs() -> Path:
    """The input files of the recorded cases."""
    return Path(__file__).resolve().parents[2] / "golden" / "inputs"
