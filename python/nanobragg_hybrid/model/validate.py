"""Rules for the values of config fields.

Each field carries its rule and its unit in the metadata of its `dataclasses.field`; `check_fields`
applies them when an object is made.  Error messages, documentation and tests are made from the same
rules, so none of them can say something else.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections import abc
from numbers import Integral, Real
from typing import Any, NamedTuple, Protocol

from nanobragg_hybrid.base.arrays import is_boolean, is_ndarray
from nanobragg_hybrid.base.constants import INT32_MAX, INT32_MIN
from nanobragg_hybrid.base.errors import ConfigError


class Rule(Protocol):
    """What a field needs: a text for people and a function for values."""

    @property
    def text(self) -> str:
        """What is needed, as a message says it: ``a finite value > 0``."""
        ...

    def normalise(self, value: object) -> Any:
        """The value as it is stored (plain Python types); ValueError if it breaks the rule."""
        ...


class Number(NamedTuple):
    """A real number, finite unless `infinity`, between open or closed bounds."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    infinity: bool = False

    @property
    def text(self) -> str:
        """What is needed."""
        bounds = [
            f"{sign} {bound:g}"
            for sign, bound in ((">", self.above), (">=", self.at_least), ("<", self.below))
            if bound is not None
        ]
        kind = "a value" if self.infinity else "a finite value"
        return " ".join([kind, " and ".join(bounds)]) if bounds else kind

    def normalise(self, value: object) -> float:
        """The value as a float."""
        if not isinstance(value, Real) or isinstance(value, bool):
            raise ValueError
        try:
            number = float(value)
        except OverflowError:
            raise ValueError from None
        # The most negative double means "not given" in the C interface.
        if math.isnan(number) or number == -sys.float_info.max:
            raise ValueError
        if math.isinf(number) and not (self.infinity and number > 0.0):
            raise ValueError
        if self.above is not None and not number > self.above:
            raise ValueError
        if self.at_least is not None and not number >= self.at_least:
            raise ValueError
        if self.below is not None and not number < self.below:
            raise ValueError
        return number


class Integer(NamedTuple):
    """A whole number of an integer type, between bounds inside the 32 bits of a C int."""

    at_least: int = INT32_MIN
    at_most: int = INT32_MAX

    @property
    def text(self) -> str:
        """What is needed."""
        if self.at_least == INT32_MIN:
            return "an integer of 32 bits"
        if self.at_most < INT32_MAX:
            return f"an integer from {self.at_least} to {self.at_most}"
        return f"an integer >= {self.at_least}"

    def normalise(self, value: object) -> int:
        """The value as an int."""
        if not isinstance(value, Integral) or isinstance(value, bool):
            raise ValueError
        number = int(value)
        if not self.at_least <= number <= self.at_most:
            raise ValueError
        return number


class Flag:
    """A boolean."""

    @property
    def text(self) -> str:
        """What is needed."""
        return "True or False"

    def normalise(self, value: object) -> bool:
        """The value as a bool."""
        if not is_boolean(value):
            raise ValueError
        return bool(value)


class Choice(NamedTuple):
    """One of some words."""

    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """What is needed."""
        return "one of " + ", ".join(self.words)

    def normalise(self, value: object) -> str:
        """The value as a str."""
        if not isinstance(value, str) or value not in self.words:
            raise ValueError
        return str(value)


class Text:
    """A text that can be printed, without blanks around it."""

    @property
    def text(self) -> str:
        """What is needed."""
        return "a text that can be printed, not empty, without blanks around it"

    def normalise(self, value: object) -> str:
        """The text as a str."""
        if not isinstance(value, str) or not value.isprintable() or value != value.strip():
            raise ValueError
        if not value:
            raise ValueError
        return str(value)


class Items(NamedTuple):
    """A fixed number of values, each with the rule `item`; `nonzero`: not all of them 0."""

    length: int
    item: Rule
    nonzero: bool = False

    @property
    def text(self) -> str:
        """What is needed."""
        tail = ", not all 0" if self.nonzero else ""
        return f"{self.length} values, each {self.item.text}{tail}"

    def normalise(self, value: object) -> tuple[Any, ...]:
        """The values as a tuple; arrays are taken in C order."""
        if is_ndarray(value):
            array: Any = value
            value = array.ravel().tolist()
        if isinstance(value, str | bytes) or not isinstance(value, abc.Sequence):
            raise ValueError
        items = tuple(self.item.normalise(item) for item in value)
        if len(items) != self.length or (self.nonzero and not any(items)):
            raise ValueError
        return items


class Matrix:
    """Nine finite numbers, row by row, whose three columns do not lie in a plane."""

    @property
    def text(self) -> str:
        """What is needed."""
        return "9 values, each a finite value, whose three columns do not lie in a plane"

    def normalise(self, value: object) -> tuple[Any, ...]:
        """The values as a tuple; arrays are taken in C order."""
        items = Items(9, FINITE, nonzero=True).normalise(value)
        columns = [_unit(items[n::3]) for n in range(3)]
        (a, d, g), (b, e, h), (c, f, i) = columns
        # Rounding makes the volume of three unit vectors in a plane some 1e-15.
        if abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) <= 1e-14:
            raise ValueError
        return items


def _unit(vector: tuple[float, ...]) -> list[float]:
    largest = max(map(abs, vector)) or 1.0  # whose square may overflow or vanish
    scaled = [x / largest for x in vector]
    length = math.hypot(*scaled) or 1.0
    return [x / length for x in scaled]


class Optional(NamedTuple):
    """None, or what `rule` needs."""

    rule: Rule

    @property
    def text(self) -> str:
        """What is needed."""
        return f"{self.rule.text}, or None"

    def normalise(self, value: object) -> Any:
        """None, or the value as the rule stores it."""
        return None if value is None else self.rule.normalise(value)


class Instance(NamedTuple):
    """An object of a class of this package."""

    of: type

    @property
    def text(self) -> str:
        """What is needed."""
        return f"an object of class {self.of.__name__}"

    def normalise(self, value: object) -> Any:
        """The object itself."""
        if not isinstance(value, self.of):
            raise ValueError
        return value


class Sequence(NamedTuple):
    """One or more values, each with the rule `item`."""

    item: Rule

    @property
    def text(self) -> str:
        """What is needed."""
        return f"at least one value, each {self.item.text}"

    def normalise(self, value: object) -> tuple[Any, ...]:
        """The values as a tuple; an array has one dimension."""
        if is_ndarray(value):
            array: Any = value
            value = array.tolist() if array.ndim == 1 else None
        if isinstance(value, str | bytes) or not isinstance(value, abc.Sequence):
            raise ValueError
        items = tuple(self.item.normalise(item) for item in value)
        if not items:
            raise ValueError
        return items


FINITE = Number()
POSITIVE = Number(above=0.0)
NOT_NEGATIVE = Number(at_least=0.0)
COUNT = Integer(at_least=1)
INT32 = Integer()
FLAG = Flag()
VECTOR = Items(3, FINITE)
DIRECTION = Items(3, FINITE, nonzero=True)


def meta(rule: Rule, unit: str = "") -> dict[str, Any]:
    """Metadata of a config field."""
    return {"rule": rule, "unit": unit}


def check_fields(config: Any, path: str) -> None:
    """Replaces every field of a frozen dataclass by its normalised value.

    Raises `ConfigError` with the field's path (`path` and the field's name) for the first value
    that breaks its rule.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        rule: Rule = field.metadata["rule"]
        try:
            normal = rule.normalise(value)
        except ValueError:
            name = f"{path}.{field.name}" if path else field.name
            raise ConfigError(name, value, rule.text, field.metadata["unit"]) from None
        object.__setattr__(config, field.name, normal)


def require_class(name: str, value: object, cls: type) -> None:
    """Raises ConfigError if an argument is of another class."""
    if not isinstance(value, cls):
        raise ConfigError(name, value, f"an object of class {cls.__name__}")


def normalised(name: str, value: object, rule: Rule, unit: str = "") -> Any:
    """An argument as its rule stores it; ConfigError if it breaks the rule."""
    try:
        return rule.normalise(value)
    except ValueError:
        raise ConfigError(name, value, rule.text, unit) from None
