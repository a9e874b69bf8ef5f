"""The experiment as frozen, comparable, savable data in user units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanobragg_hybrid._lazy import lazy_names

from .beam import Beam, Source
from .crystal import Crystal
from .detector import Detector
from .experiment import Experiment, load_run
from .goniometer import Goniometer
from .mask import Mask
from .output import Output
from .sampling import Sampling

if TYPE_CHECKING:
    from .serialize import SavedRun

__all__ = [
    "Beam",
    "Crystal",
    "Detector",
    "Experiment",
    "Goniometer",
    "Mask",
    "Output",
    "Sampling",
    "SavedRun",
    "Source",
    "load_run",
]

__getattr__, __dir__ = lazy_names(__name__, {".serialize": "SavedRun"})
