"""Two tables of structure factors, reflection by reflection."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.constants import INT32_MAX, INT32_MIN
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.model.structure_factors import StructureFactors

Indices = tuple[int, int, int]
Lookup = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Whole indices, float64 of shape (n, 3), to amplitudes of shape (n,)."""

_EXAMPLES: Final = 10


@dataclass(frozen=True, slots=True)
class TableSide:
    """One table.

    hkl_min, hkl_max: bounds, None without a table.  listed: reflections in its file (in a dump, all
    within the bounds), 0 if that is not known.  filled: entries within the bounds that are not
    default_f.
    """

    name: str
    hkl_min: Indices | None
    hkl_max: Indices | None
    listed: int
    filled: int
    default_f: float


class Mismatch(NamedTuple):
    """A reflection of which the two amplitudes are too far apart."""

    hkl: Indices
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class TableComparison:
    """Two tables over the bounds of both and one index beyond them.

    matched: entries that are not default_f in both.  missing: in `a` only; extra: in `b` only.
    largest, rms: of |F_a - F_b| over all entries (NaN against NaN is 0, against a number infinite).
    mismatches: how many exceed `tolerance`; examples: the first few of them.
    """

    a: TableSide
    b: TableSide
    tolerance: float
    entries: int
    matched: int
    missing: int
    extra: int
    largest: float
    largest_at: Indices | None
    rms: float
    mismatches: int
    examples: tuple[Mismatch, ...]

    @property
    def agree(self) -> bool:
        """Same bounds, the same reflections, and no amplitude beyond tolerance."""
        same_bounds = (self.a.hkl_min, self.a.hkl_max) == (self.b.hkl_min, self.b.hkl_max)
        return same_bounds and self.missing == self.extra == self.mismatches == 0


def table_lookup(table: StructureFactors) -> Lookup:
    """The amplitudes of a table, default_f outside."""

    def look_up(hkl: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.full(len(hkl), table.default_f)
        if table.grid is not None:
            place = hkl.astype(np.int64) - np.array(table.hkl_min)
            inside = np.all((place >= 0) & (place < np.array(table.grid.shape)), axis=1)
            found[inside] = table.grid[tuple(place[inside].T)]
        return found

    return look_up


def compare_tables(
    a: StructureFactors,
    b: StructureFactors,
    *,
    tolerance: float = 0.0,
    names: tuple[str, str] = ("a", "b"),
    lookups: tuple[Lookup, Lookup] | None = None,
) -> TableComparison:
    """Compares two tables.

    tolerance: |F_a - F_b| that is let pass, electrons.  lookups: what to ask for the amplitudes
    (an engine that holds the table); None: the tables themselves.  Raises `ConfigError` for a
    tolerance that is no finite number >= 0.
    """
    if not (math.isfinite(tolerance) and tolerance >= 0.0):
        raise ConfigError("tolerance", tolerance, "a finite number >= 0")
    look_a, look_b = lookups or (table_lookup(a), table_lookup(b))
    counts = dict.fromkeys(("entries", "matched", "missing", "extra", "mismatches"), 0)
    filled = [0, 0]
    largest, largest_at, squares = 0.0, None, 0.0
    examples: list[Mismatch] = []
    for hkl in _planes(a, b):
        f_a, f_b = look_a(hkl), look_b(hkl)
        is_a, is_b = f_a != a.default_f, f_b != b.default_f
        delta = _distances(f_a, f_b)
        beyond = np.flatnonzero(delta > tolerance)
        counts["entries"] += len(hkl)
        counts["matched"] += int(np.count_nonzero(is_a & is_b))
        counts["missing"] += int(np.count_nonzero(is_a & ~is_b))
        counts["extra"] += int(np.count_nonzero(is_b & ~is_a))
        counts["mismatches"] += len(beyond)
        filled[0] += int(np.count_nonzero(is_a))
        filled[1] += int(np.count_nonzero(is_b))
        squares += float(np.dot(delta, delta))
        n = int(delta.argmax())
        if float(delta[n]) > largest:
            largest, largest_at = float(delta[n]), _indices(hkl[n])
        for n in beyond[: _EXAMPLES - len(examples)]:
            examples.append(Mismatch(_indices(hkl[n]), float(f_a[n]), float(f_b[n])))
    return TableComparison(
        a=_side(names[0], a, filled[0]),
        b=_side(names[1], b, filled[1]),
        tolerance=tolerance,
        largest=largest,
        largest_at=largest_at,
        rms=math.sqrt(squares / counts["entries"]),
        examples=tuple(examples),
        **counts,
    )


def table_lines(found: TableComparison) -> Iterator[str]:
    """For people, as Markdown."""
    yield f"## {found.a.name} and {found.b.name}: {'agree' if found.agree else 'differ'}"
    yield ""
    yield f"| | {found.a.name} | {found.b.name} |"
    yield "|---|---|---|"
    for what, of in _SIDE_ROWS:
        yield f"| {what} | {of(found.a)} | {of(found.b)} |"
    yield ""
    yield "| compared | |"
    yield "|---|---|"
    where = "" if found.largest_at is None else " at " + " ".join(map(str, found.largest_at))
    for what, text in (
        ("entries, one index beyond both bounds", str(found.entries)),
        ("matched: in both", str(found.matched)),
        (f"missing: in {found.a.name} only", str(found.missing)),
        (f"extra: in {found.b.name} only", str(found.extra)),
        ("largest difference of F", f"{found.largest:.6g}{where}"),
        ("RMS difference of F", f"{found.rms:.6g}"),
        (f"mismatches: beyond {found.tolerance:g}", str(found.mismatches)),
    ):
        yield f"| {what} | {text} |"
    if found.examples:
        yield ""
        yield f"| first mismatches: h k l | {found.a.name} | {found.b.name} |"
        yield "|---|---|---|"
        for item in found.examples:
            yield f"| {' '.join(map(str, item.hkl))} | {item.a:.17g} | {item.b:.17g} |"


def table_document(found: TableComparison) -> dict[str, Any]:
    """Plain data for JSON; schemas/structure_factor_comparison.json says what is in it."""

    def side(of: TableSide) -> dict[str, Any]:
        return {
            "name": of.name,
            "hkl_min": None if of.hkl_min is None else list(of.hkl_min),
            "hkl_max": None if of.hkl_max is None else list(of.hkl_max),
            "listed": of.listed,
            "filled": of.filled,
            "default_f": of.default_f,
        }

    return {
        "a": side(found.a),
        "b": side(found.b),
        "agree": found.agree,
        "tolerance": found.tolerance,
        "entries": found.entries,
        "matched": found.matched,
        "missing": found.missing,
        "extra": found.extra,
        "max_delta_F": found.largest,
        "max_delta_F_at": None if found.largest_at is None else list(found.largest_at),
        "rms_delta_F": found.rms,
        "mismatches": found.mismatches,
        "first_mismatches": [
            {"hkl": list(item.hkl), "a": item.a, "b": item.b} for item in found.examples
        ],
    }


def _bounds(side: TableSide) -> str:
    if side.hkl_min is None or side.hkl_max is None:
        return "no table"
    pairs = zip("hkl", side.hkl_min, side.hkl_max, strict=True)
    return ", ".join(f"{name} {first} to {last}" for name, first, last in pairs)


_SIDE_ROWS: Final[tuple[tuple[str, Callable[[TableSide], object]], ...]] = (
    ("bounds", _bounds),
    ("reflections in the file", lambda side: side.listed or "not known"),
    ("entries that are not the default", lambda side: side.filled),
    ("default F", lambda side: f"{side.default_f:g}"),
)


def _side(name: str, table: StructureFactors, filled: int) -> TableSide:
    has_table = table.grid is not None
    return TableSide(
        name,
        table.hkl_min if has_table else None,
        table.hkl_max if has_table else None,
        table.reflections,
        filled,
        table.default_f,
    )


def _planes(a: StructureFactors, b: StructureFactors) -> Iterator[NDArray[np.float64]]:
    """Every whole index of the bounds of both tables and one beyond, a plane of h at a time."""
    tables = [table for table in (a, b) if table.grid is not None] or [a]
    first = np.min([table.hkl_min for table in tables], axis=0) - 1
    last = np.max([table.hkl_max for table in tables], axis=0) + 1
    first, last = np.maximum(first, INT32_MIN), np.minimum(last, INT32_MAX)
    k, l = np.meshgrid(*(np.arange(first[n], last[n] + 1.0) for n in (1, 2)), indexing="ij")
    for h in range(int(first[0]), int(last[0]) + 1):
        yield np.column_stack([np.full(k.size, float(h)), k.ravel(), l.ravel()])


def _distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", over="ignore"):
        delta = np.abs(a - b)
    delta[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
    delta[np.isnan(delta)] = np.inf
    return delta


def _indices(hkl: NDArray[np.float64]) -> Indices:
    h, k, l = (int(n) for n in hkl)
    return h, k, l
