"""Values of JSON data, with errors that say where in a file they stand."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from nanobragg_hybrid.base.errors import FileFormatError, quoted
from nanobragg_hybrid.formats.geometry.vectors import Vector, three


def parsed(path: str | os.PathLike[str], text: str) -> Any:
    """The data of JSON text; infinities and NaN of Python's are numbers."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FileFormatError(path, error.lineno, f"no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number too long, brackets too deep
        raise FileFormatError(path, 0, f"no JSON of an experiment: {error}") from None


class Place:
    """A mapping of JSON data and where it stands: a file, and a path like ``beam[0]``."""

    def __init__(self, path: str | os.PathLike[str], where: str, data: object) -> None:
        self.path, self.where = path, where
        if not isinstance(data, dict):
            self.refuse("", data, "a mapping")
        self.data: dict[str, Any] = data

    def refuse(self, key: str, value: object, rule: str) -> NoReturn:
        """Raises `FileFormatError`: got this value at this key, need that."""
        name = ".".join(part for part in (self.where, key) if part)
        shown = quoted(value) if isinstance(value, str) else _short(value)
        raise FileFormatError(self.path, 0, f"{name}: got {shown}, need {rule}")

    def __contains__(self, key: str) -> bool:
        return self.data.get(key) is not None

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value: Any = self.data.get(key)
        if value is None and default is not None:
            return default
        if not _is_number(value) or not math.isfinite(value):
            self.refuse(key, value, "a finite number")
        return float(value)

    def numbers(self, key: str, count: int, *, finite: bool = True) -> list[float]:
        """So many numbers."""
        value: Any = self.data.get(key)
        fine = isinstance(value, list) and len(value) == count and all(map(_is_number, value))
        if not fine or (finite and not all(map(math.isfinite, value))):
            self.refuse(key, value, f"{count} finite numbers" if finite else f"{count} numbers")
        return [float(number) for number in value]

    def whole_numbers(self, key: str, count: int, rule: str) -> list[int]:
        """So many whole numbers, also written as 3.0."""
        numbers = self.numbers(key, count)
        if not all(number.is_integer() for number in numbers):
            self.refuse(key, self.data[key], rule)
        return [int(number) for number in numbers]

    def vector(self, key: str) -> Vector:
        """Three finite numbers."""
        return three(self.numbers(key, 3))

    def direction(self, key: str) -> Vector:
        """Three finite numbers, not all 0."""
        vector = self.vector(key)
        if not any(vector):
            self.refuse(key, list(vector), "a direction, not 0 0 0")
        return vector

    def integer(self, key: str, low: int, high: int = 2**31 - 1) -> int:
        """A whole number within bounds."""
        value = self.data.get(key)
        if type(value) is not int or not low <= value <= high:
            self.refuse(key, value, f"a whole number {low} to {high}")
        return value

    def text(self, key: str, default: str = "") -> str:
        """A text."""
        value = self.data.get(key, default)
        return value if isinstance(value, str) else default

    def items(self, key: str) -> list[Any]:
        """A list; empty where there is none."""
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(key, value, "a list")
        return value

    def places(self, key: str) -> list[Place]:
        """The mappings of a list."""
        where = ".".join(part for part in (self.where, key) if part)
        return [
            Place(self.path, f"{where}[{number}]", item)
            for number, item in enumerate(self.items(key))
        ]


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not isinstance(value, int) or abs(value) < 10**300


def _short(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Sequence) and len(value) > 9:
        return f"{len(value)} values"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
