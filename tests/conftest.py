"""What all tests share: helper modules of tests/support are importable by name."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "support"))

# No test may depend on a nanoBragg executable that happens to be configured.
os.environ.pop("NB_C_BIN", None)

# Workers side by side have a core each; threads of PyTorch in every one of them would wait for
# each other.  It is read when PyTorch is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from whole_messages import faults_of_messages


@pytest.fixture(autouse=True)
def _messages_are_whole() -> Iterator[None]:
    with faults_of_messages() as faults:
        yield
    assert faults == []
