"""The engines that render, by name; an engine is imported when it is first asked for.

Other packages add theirs with an entry point of the group `GROUP`: its name is the backend's, its
object a class whose instances are `Engine`s::

    [project.entry-points."nanobragg_hybrid.engines"]
    mine = "my_package.engine:MyEngine"
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from nanobragg_hybrid.base.errors import (
    BackendError,
    ConfigError,
    foreign,
    how_to_install,
    quoted,
    suggestion,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from typing import Protocol

    from nanobragg_hybrid.engines.protocol import Engine

    class EngineClass(Protocol):
        """A class whose instances are engines."""

        name: str
        options: tuple[str, ...]

        def __call__(self, **options: Any) -> Engine: ...


GROUP: Final = "nanobragg_hybrid.engines"

PYTORCH_IS_MISSING: Final = (
    f"the torch backend needs PyTorch, which is not installed: {how_to_install('torch')}"
)

_OWN: Final = MappingProxyType(
    {
        "c": ("nanobragg_hybrid.engines.c.engine", "CEngine", ""),
        "torch": ("nanobragg_hybrid.engines.torch.engine", "TorchEngine", "torch"),
        "reference": ("nanobragg_hybrid.engines.external.engine", "ExternalEngine", ""),
    }
)
"""Where an engine's class is, and the library that it needs."""


def available_backends() -> tuple[str, ...]:
    """The names that `simulate` knows: ours, then those that other packages have added."""
    return (*_OWN, *(name for name in _added() if name not in _OWN))


def engine_class(name: str) -> EngineClass:
    """The engine of this name, as a class whose instances hold its options.

    Raises `BackendError` for an unknown name, naming the known ones, and for an engine that cannot
    be imported, saying what to install.
    """
    if name not in _OWN:
        return _added_class(name)
    module, class_name, needs = _OWN[name]
    if needs and not _is_installed(needs):
        raise BackendError(PYTORCH_IS_MISSING)
    try:
        found = getattr(importlib.import_module(module), class_name)
    except ImportError as error:
        raise BackendError(
            f"backend {name!r} cannot be imported ({error}); was the package built and installed?"
        ) from error
    return cast("EngineClass", found)


def make_engine(backend: str | Engine, options: Mapping[str, object] | None = None) -> Engine:
    """The engine of a name, with those of `options` that are not None; or the engine given.

    Raises `ConfigError` for an option that the engine does not take, and as `engine_class`.
    """
    if not isinstance(backend, str):
        if isinstance(backend, type) or _missing_parts(backend):
            raise ConfigError("backend", backend, "a name, or an engine such as CEngine()")
        return backend
    made = engine_class(backend)
    given = {name: value for name, value in (options or {}).items() if value is not None}
    for name, value in given.items():
        if name not in made.options:
            raise ConfigError(name, value, f"no value: the backend {backend!r} does not take it")
    return made(**given)


def _is_installed(library: str) -> bool:
    if library in sys.modules:
        return sys.modules[library] is not None
    from importlib.util import find_spec

    return find_spec(library) is not None


def _added() -> dict[str, EntryPoint]:
    """The entry points of other packages, by name."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def _added_class(name: str) -> EngineClass:
    added = _added()
    if name not in added:
        names = available_backends()
        hint = suggestion(name, names)
        raise BackendError(
            f"no backend {quoted(name)} in this version; available: {', '.join(names)}{hint}"
        )
    try:
        found = added[name].load()
    except Exception as error:  # whatever another package's import raises
        raise BackendError(
            f"backend {name!r} of {added[name].value} cannot be imported: {foreign(error)}"
        ) from error
    if not isinstance(found, type):
        raise BackendError(f"backend {name!r} of {added[name].value} is no class")
    missing = _missing_parts(found)
    if missing:
        raise BackendError(
            f"backend {name!r} of {added[name].value} is no engine: it lacks {', '.join(missing)}"
        )
    return cast("EngineClass", found)


def _missing_parts(engine: object) -> list[str]:
    """The parts of an `Engine` that an object or its class lacks."""
    parts = ("name", "options", "memory_needed", "prepare", "structure_factors_at")
    return [part for part in parts if not hasattr(engine, part)]
