"""The differentiable engine, in PyTorch; the only part of the package that imports torch."""

from __future__ import annotations

import importlib.util

from nanobragg_hybrid.backends import PYTORCH_IS_MISSING
from nanobragg_hybrid.errors import BackendError

if importlib.util.find_spec("torch") is None:
    raise BackendError(PYTORCH_IS_MISSING)

from .model import ForwardModel
from .paths import Path

__all__ = ["ForwardModel", "Path"]
