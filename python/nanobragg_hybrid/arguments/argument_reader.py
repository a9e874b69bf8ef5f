"""Reading one argument of an option as a number, with everything that can be wrong about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from nanobragg_hybrid.base.errors import CommandLineError, quoted
from nanobragg_hybrid.formats.numbers import c_atof, c_atoi, exponent_hint

if TYPE_CHECKING:
    from nanobragg_hybrid.arguments.flags import Flag, Rule


class ArgumentReader(NamedTuple):
    """Reads the values after `option`, the argument that fires `flag`.

    `named` says that the option names this row; if not, the row fires only because its spelling is
    part of a longer one, and whatever the values hold is taken as nanoBragg takes it.  `complain`
    gets the text of every oddity that does not stop the run.
    """

    option: str
    flag: Flag
    named: bool
    complain: Callable[[str], None]

    def number(self, text: str) -> float:
        """`text` as a finite double; CommandLineError if it has no number, for inf and NaN."""
        value, used = c_atof(text)
        if self.named:
            self._check(text, used, "a number")
            if not math.isfinite(value):
                raise CommandLineError(
                    f"{self.option}: got {quoted(text)}, need a finite number{self._unit()}"
                )
        return value

    def integer(self, text: str) -> int:
        """`text` as a C int; CommandLineError if it has none.

        Beyond 32 bits a seed wraps, as in C; anything else is a CommandLineError.
        """
        value, used = c_atoi(text)
        if self.named:
            self._check(text, used, "a whole number")
        if self.flag.kind != "seed" and used and not _is(value, text[:used]):
            raise CommandLineError(
                f"{self.option}: got {quoted(text)}, need a whole number of at most 32 bits"
            )
        return value

    def value(self, text: str) -> float | int:
        """`text` as the kind of number that the row takes."""
        return self.number(text) if self.flag.kind == "float" else self.integer(text)

    def _check(self, text: str, used: int, wanted: str) -> None:
        if used == 0:
            raise CommandLineError(
                f"{self.option}: got {quoted(text)}, need {wanted}{self._unit()}"
            )
        if used < len(text):
            taken = quoted(text[:used])
            self.complain(
                f"{self.option}: took {taken} of {quoted(text)}{self._unit()}{exponent_hint(text)}"
            )

    def _unit(self) -> str:
        return f" ({self.flag.unit})" if self.flag.unit else ""


def normalised(rule: Rule, value: float | int) -> float | int | None:
    """`value` as the config wants it: what nanoBragg takes for "not given" is None."""
    if rule == "negative is not given":
        return None if value < 0 else value
    if rule == "not positive is not given":
        return None if value <= 0 else value
    if rule == "not positive is zero":
        return max(value, 0.0)
    if rule == "below one is one":
        return float(max(value, 1))
    if rule == "zero is one, negative is not given":
        return None if value < 0 else max(value, 1)
    if rule == "zero is not given":
        return None if value == 0 else value
    return value


def _is(value: int, text: str) -> bool:
    """Whether `text`, which is a whole number, is `value` and not something that wrapped to it."""
    return len(text) < 100 and int(text) == value
