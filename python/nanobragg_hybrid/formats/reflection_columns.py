"""Which columns of a reflection file the amplitudes come from, and how."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description, FileFormatError, suggestion
from nanobragg_hybrid.model.validate import FLAG, Choice, Optional, Rule

Quantity = Literal["amplitude", "intensity"]
NegativeIntensities = Literal["zero", "missing"]
Sign = Literal["", "+", "-"]


class Column(NamedTuple):
    """A column that amplitudes can come from.

    sign: "+" or "-": of one Friedel mate alone.
    """

    label: str
    quantity: Quantity
    sign: Sign


class Choosable(NamedTuple):
    """One column, or those of both Friedel mates."""

    columns: tuple[Column, ...]

    @property
    def has_mates(self) -> bool:
        """Whether it says both mates."""
        return len(self.columns) == 2

    @property
    def text(self) -> str:
        """Its labels."""
        return ", ".join(column.label for column in self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOptions:
    """Which columns; `read_structure_factors` says what each means."""

    column: str | tuple[str, str] | None = None
    quantity: Quantity | None = None
    anomalous: bool | None = None
    negative_intensities: NegativeIntensities = "zero"

    def __post_init__(self) -> None:
        for name, rule in _RULES.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, rule.normalise(value))
            except ValueError:
                raise ConfigError(name, value, rule.text) from None
        column: Any = self.column
        if isinstance(column, list):
            column = tuple(column)
            object.__setattr__(self, "column", column)
        labels: Any = (column,) if isinstance(column, str) else column
        if labels is not None and not (
            isinstance(labels, tuple)
            and len(labels) in (1, 2)
            and all(isinstance(label, str) and label for label in labels)
        ):
            raise ConfigError("column", column, "a label, a pair of labels F(+) and F(-), or None")


_RULES: Final[dict[str, Rule]] = {
    "quantity": Optional(Choice(("amplitude", "intensity"))),
    "anomalous": Optional(FLAG),
    "negative_intensities": Choice(("zero", "missing")),
}


def chosen(
    path: str | os.PathLike[str],
    columns: Sequence[Column],
    labels: Sequence[str],
    options: ColumnOptions,
) -> Choosable:
    """What the options choose among the columns of a file, all of whose `labels` are known.

    Without a label: amplitudes before intensities, and mean values before pairs of Friedel mates,
    which come first if `anomalous`.  Raises `FileFormatError` if nothing can be chosen, or if
    several columns can; and `ConfigError` for a label that is not there.
    """
    if options.column is not None:
        return _named(path, columns, labels, options)
    singles = [Choosable((column,)) for column in columns if not column.sign]
    ranked = []
    for quantity in ("amplitude", "intensity"):
        if options.quantity not in (None, quantity):
            continue
        alone = [item for item in singles if item.columns[0].quantity == quantity]
        pairs = _pairs([column for column in columns if column.quantity == quantity])
        ranked += [pairs, alone] if options.anomalous else [alone, pairs]
    if options.anomalous:  # pairs of either quantity before mean values
        ranked.sort(key=lambda items: not (items and items[0].has_mates))
    for items in ranked:
        if len(items) == 1:
            return items[0]
        if items:
            shown = "; ".join(item.text for item in items)
            raise FileFormatError(
                path, 0, f"has {len(items)} columns that could be meant: {shown}: name one (column)"
            )
    wanted = options.quantity or "amplitude or intensity"
    raise FileFormatError(
        path, 0, f"has no column of the type {wanted}, its columns are: {' '.join(labels)}"
    )


def _named(
    path: str | os.PathLike[str],
    columns: Sequence[Column],
    labels: Sequence[str],
    options: ColumnOptions,
) -> Choosable:
    known = {column.label: column for column in columns}
    asked = (options.column,) if isinstance(options.column, str) else options.column
    assert asked is not None
    found = []
    for label in asked:
        if label not in labels:
            raise ConfigError(
                "column",
                label,
                f"one of the columns of {os.fspath(path)}: {' '.join(labels)}"
                + suggestion(label, labels),
            )
        if label not in known:
            raise ConfigError(
                "column", label, f"a column of amplitudes or intensities: {' '.join(known)}"
            )
        found.append(known[label])
    if len({column.quantity for column in found}) == 2:
        raise ConfigError("column", asked, "two amplitudes or two intensities")
    if options.quantity not in (None, found[0].quantity):
        rule = f"{found[0].quantity}, which the column {' '.join(asked)} is, or None"
        raise ConfigError("quantity", options.quantity, rule)
    if len(found) == 1 and found[0].sign:
        raise ConfigError("column", asked[0], "both Friedel mates, a pair of labels")
    return Choosable(tuple(found))


def _pairs(columns: Sequence[Column]) -> list[Choosable]:
    """Columns of one mate, taken two at a time as they stand in the file."""
    plus = [column for column in columns if column.sign == "+"]
    minus = [column for column in columns if column.sign == "-"]
    return [Choosable(pair) for pair in zip(plus, minus, strict=False)]


def amplitudes_of(
    values: NDArray[np.float64], quantity: Quantity, options: ColumnOptions, notes: list[str]
) -> NDArray[np.float64]:
    """Amplitudes of a column's values: they themselves, or the root of an intensity.

    A negative intensity is 0, or no amplitude (`negative_intensities`); no prior distribution of
    intensities is assumed.  `notes` gets a sentence.
    """
    if quantity == "amplitude":
        return values
    negative = values < 0.0
    if negative.any():
        count = int(negative.sum())
        is_zero = options.negative_intensities == "zero"
        notes.append(f"{count} intensities below 0 {'count as 0' if is_zero else 'are missing'}")
        values = np.where(negative, 0.0 if is_zero else np.nan, values)
    return np.sqrt(values)


def refuse_infinite(path: str | os.PathLike[str], label: str, values: NDArray[np.float64]) -> None:
    """Raises `FileFormatError` for a value that is infinite (NaN means that there is none)."""
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax()) + 1
        shown = Description(f"{values[row - 1]}")
        raise FileFormatError(
            path, 0, f"{label}, reflection {row}: got {shown}, need a finite value"
        )
