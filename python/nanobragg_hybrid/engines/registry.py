"""The engines that render, by name; an engine is imported when it is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from nanobragg_hybrid.base.errors import BackendError, ConfigError
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.result import SimulationResult
from nanobragg_hybrid.model.structure_factors import StructureFactors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.model.trace import StepChoice, Trace

ProgressCallback = Callable[[int, int], object]
"""Called now and then with the rows done and the rows in all; returning False stops."""


class PixelTracer(Protocol):
    """Traces pixels of one experiment, for which everything is set up once."""

    @property
    def info(self) -> Mapping[str, Any]:
        """What was chosen and derived, as `SimulationResult.info`."""
        ...

    def trace(self, fast: int, slow: int, choice: StepChoice, limit: int) -> Trace:
        """One pixel's chain with the first `limit` steps of a choice.

        Pixel and indices are inside the image and the experiment's loops.
        """
        ...


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
        **options: Any,
    ) -> SimulationResult:
        """Renders one image; see `simulate`.  `options`: those of `backend_options`."""
        ...

    def tracer(
        self,
        experiment: Experiment,
        structure_factors: StructureFactors,
        *,
        quirks: Quirks,
        **options: Any,
    ) -> PixelTracer:
        """Sets up an experiment for traces of its pixels; see `tracing.tracer`."""
        ...

    def structure_factors_at(
        self, structure_factors: StructureFactors, hkl: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """What the engine takes, without interpolation, at whole indices (model 6.5).

        hkl: float64, shape (n, 3).  The result has shape (n,).
        """
        ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where an engine is; what else its `render` takes; the library and the extra it needs."""

    module: str
    options: tuple[str, ...] = ()
    needs: str = ""


PYTORCH_IS_MISSING: Final = (
    'the torch backend needs PyTorch, which is not installed: pip install "nanobragg-hybrid[torch]"'
)

_BACKENDS: Final = MappingProxyType(
    {
        "c": _Entry("nanobragg_hybrid.engines.c.engine", ("kernel",)),
        "torch": _Entry("nanobragg_hybrid.engines.torch.engine", ("device", "dtype"), "torch"),
        "reference": _Entry("nanobragg_hybrid.engines.external.engine", ("c_bin",)),
    }
)


def available_backends() -> tuple[str, ...]:
    """The names that `simulate` knows."""
    return tuple(_BACKENDS)


def backend_options(name: str) -> tuple[str, ...]:
    """Names of the options that an engine takes beyond those that all take; BackendError as
    `get_backend`."""
    return _entry(name).options


def own_options(backend: str, given: dict[str, object]) -> dict[str, object]:
    """The options that are not None, if the backend takes them; else ConfigError."""
    options = {name: value for name, value in given.items() if value is not None}
    for name, value in options.items():
        if name not in backend_options(backend):
            raise ConfigError(name, value, f"no value: the backend {backend!r} does not take it")
    return options


def get_backend(name: str) -> Backend:
    """The engine of this name.

    Raises `BackendError` for an unknown name, naming the known ones, and for an engine that cannot
    be imported, saying what to install.
    """
    entry = _entry(name)
    if entry.needs:
        from importlib.util import find_spec

        if find_spec(entry.needs) is None:
            raise BackendError(PYTORCH_IS_MISSING)
    try:
        module = importlib.import_module(entry.module)
    except ImportError as error:
        raise BackendError(
            f"backend {name!r} cannot be imported ({error}); was the package built and installed?"
        ) from error
    return cast(Backend, module)


def _entry(name: str) -> _Entry:
    if name not in _BACKENDS:
        known = ", ".join(available_backends())
        raise BackendError(f"no backend {name!r} in this version; available: {known}")
    return _BACKENDS[name]
