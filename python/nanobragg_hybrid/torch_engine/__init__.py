"""The differentiable engine, in PyTorch; the only part of the package that imports torch."""

from __future__ import annotations

from .model import ForwardModel
from .paths import Path

__all__ = ["ForwardModel", "Path"]
