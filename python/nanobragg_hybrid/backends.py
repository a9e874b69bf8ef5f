"""The engines that render, by name; an engine is imported when it is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, Protocol, cast

from .config import Experiment
from .errors import BackendError
from .quirks import Quirks
from .result import SimulationResult
from .structure_factors import StructureFactors

ProgressCallback = Callable[[int, int], object]
"""Called now and then with the rows done and the rows in all; returning False stops."""


class Backend(Protocol):
    """What an engine's module offers."""

    def render(
        self,
        experiment: Experiment,
        structure_factors: StructureFactors,
        *,
        quirks: Quirks,
        threads: int | None = None,
        progress: ProgressCallback | None = None,
        unrounded: bool = False,
    ) -> SimulationResult:
        """Renders one image; see `simulate`."""
        ...


_MODULES: Final = MappingProxyType({"c": "nanobragg_hybrid.c_engine.engine"})


def available_backends() -> tuple[str, ...]:
    """The names that `simulate` knows."""
    return tuple(_MODULES)


def get_backend(name: str) -> Backend:
    """The engine of this name.

    Raises `BackendError` for an unknown name, naming the known ones, and for an engine that cannot
    be imported.
    """
    if name not in _MODULES:
        known = ", ".join(available_backends())
        raise BackendError(f"no backend {name!r} in this version; available: {known}")
    try:
        module = importlib.import_module(_MODULES[name])
    except ImportError as error:
        raise BackendError(
            f"backend {name!r} cannot be imported ({error}); was the package built and installed?"
        ) from error
    return cast(Backend, module)
