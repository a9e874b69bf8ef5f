"""The differentiable engine, in PyTorch; the only part of the package that imports torch."""

from __future__ import annotations

import importlib.util

from nanobragg_hybrid.base.errors import BackendError
from nanobragg_hybrid.engines.registry import PYTORCH_IS_MISSING

if importlib.util.find_spec("torch") is None:
    raise BackendError(PYTORCH_IS_MISSING)

from nanobragg_hybrid.engines.torch.compiled import operators  # torch.ops.nanobragg_hybrid
from nanobragg_hybrid.engines.torch.engine import TorchEngine
from nanobragg_hybrid.engines.torch.model import ForwardModel
from nanobragg_hybrid.engines.torch.panel_model import PanelModel
from nanobragg_hybrid.engines.torch.rendering.jacobian import NormalEquations
from nanobragg_hybrid.engines.torch.scenes.selection import Selection
from nanobragg_hybrid.engines.torch.set_up.parameters import Parameter

__all__ = [
    "ForwardModel",
    "NormalEquations",
    "PanelModel",
    "Parameter",
    "Selection",
    "TorchEngine",
    "operators",
]
