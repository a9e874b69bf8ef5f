"""The fields of an experiment while it is being put together from arguments.

A dotted path of the config names a field, with an index for one element of a tuple:
"crystal.n_cells.0".  Nothing is checked until `build` makes the frozen classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from nanobragg_hybrid.model.experiment import Experiment


class Fields:
    """Values set so far, on top of the defaults of `Experiment`."""

    def __init__(self) -> None:
        self._default = Experiment()
        self._set: dict[str, dict[str, Any]] = {}

    def set(self, path: str, value: Any) -> None:
        """Sets the field (or the element of a tuple field) at `path`."""
        part, name, *index = path.split(".")
        if index:
            elements = list(self.get(f"{part}.{name}"))
            elements[int(index[0])] = value
            value = tuple(elements)
        values = self._set.setdefault(part, {})
        values.pop(name, None)  # what is set last stands last
        values[name] = value

    def get(self, path: str) -> Any:
        """The value at `path`: as set, else the default."""
        part, name = path.split(".")
        if name in self._set.get(part, {}):
            return self._set[part][name]
        return getattr(getattr(self._default, part), name)

    def last_set(self, paths: Iterable[str]) -> str | None:
        """Which of the fields of one part was set last, or None if none was."""
        wanted = {path.partition(".")[2]: path for path in paths}
        for part in {path.partition(".")[0] for path in wanted.values()}:
            for name in reversed(self._set.get(part, {})):
                if name in wanted:
                    return wanted[name]
        return None

    def build(self) -> Experiment:
        """The experiment; ConfigError names the first field whose value breaks its rule."""
        parts = {
            part: dataclasses.replace(getattr(self._default, part), **values)
            for part, values in self._set.items()
        }
        return dataclasses.replace(self._default, **parts)
