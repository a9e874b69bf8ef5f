"""Names and methods that are imported when they are first used.

The package's root stands above every floor, so it may say where a name lives.  A class on a low
floor may have methods whose work is done on a higher one (`Experiment.save` writes a file): the
class declares them, with types and documentation, and `work_of` finds the function that the root
has put in for it with `bind_methods`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final


def lazy_names(
    package: str, modules: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` for a package.

    `modules`: module relative to the package (``.model.beam``) -> the names it is home to, with
    blanks between them.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        own = vars(sys.modules[package])
        return sorted({name for name in own if name.startswith("__")} | homes.keys())

    return get, names


def class_in(module: str, name: str) -> type:
    """A class, whose module is imported now."""
    found: type = getattr(importlib.import_module(module), name)
    return found


_FUNCTIONS: Final[dict[str, str]] = {}


def bind_methods(functions: Mapping[str, str]) -> None:
    """Says which function does the work of a method: ``Experiment.save`` -> ``module:function``."""
    _FUNCTIONS.update(functions)


def work_of(method: str) -> Callable[..., Any]:
    """The function bound to a method, imported now."""
    module, _, name = _FUNCTIONS[method].partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
