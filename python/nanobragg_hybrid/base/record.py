"""Comparison, hash and text of the package's frozen dataclasses.

`dataclasses` would make these methods for each class out of source text, which takes longer than
everything else that happens when the package is imported.  A class that shares the ones below says
``@dataclass(frozen=True, slots=True, eq=False, repr=False)``.
"""

from __future__ import annotations

import dataclasses
from typing import Any


class Record:
    """Equal if class and fields are equal; printed as the call that makes it."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        names = [field.name for field in dataclasses.fields(self)]  # type: ignore[arg-type]
        shown = zip(names, _values(self), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown)})"


def _values(record: Any) -> tuple[Any, ...]:
    return tuple(getattr(record, field.name) for field in dataclasses.fields(record))
