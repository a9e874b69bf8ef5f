"""Listed amplitudes of a space group as a table of P1 (model 6.5): equivalents, Friedel mates,
systematic absences, missing reflections."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description, NanobraggWarning
from nanobragg_hybrid.base.host import sparse_table_text
from nanobragg_hybrid.formats.space_group_symmetry import (
    asymmetric_hkl,
    expand_indices,
    in_range,
    limits_of_range,
    reflections_of_range,
    require_cell_fits,
    space_group_of,
    unit_cell_of,
)
from nanobragg_hybrid.model.reflection_report import ReflectionReport, ResolutionShell
from nanobragg_hybrid.model.structure_factors import StructureFactors, checked_reflections
from nanobragg_hybrid.model.unique_reflections import ABSENT, OUTSIDE, UniqueReflections
from nanobragg_hybrid.model.validate import FINITE, FLAG, POSITIVE, Choice, Optional, Rule

if TYPE_CHECKING:
    import gemmi

Missing = Literal["zero", "default", "shell_mean"]

_SHELLS: Final = 10
_IN_A_SHELL: Final = 20  # reflections at least, on average
_LARGEST_INDEX: Final = 10**6
_SMALLEST_D: Final = 0.1  # angstrom; below it an index or the cell is wrong
_ALIKE: Final = 1e-4  # relative difference of amplitudes that a file's digits explain
_RULES: Final[dict[str, tuple[Rule, str]]] = {
    "default_f": (FINITE, "electrons"),
    "missing": (Optional(Choice(("zero", "default", "shell_mean"))), ""),
    "d_min_angstrom": (Optional(POSITIVE), "angstrom"),
    "d_max_angstrom": (Optional(POSITIVE), "angstrom"),
    "f000": (Optional(FINITE), "electrons"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """How listed amplitudes become a table; `read_structure_factors` says what each means."""

    default_f: float = 0.0
    missing: Missing | None = None
    d_min_angstrom: float | None = None
    d_max_angstrom: float | None = None
    f000: float | None = None

    def __post_init__(self) -> None:
        for name, (rule, unit) in _RULES.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, rule.normalise(value))
            except ValueError:
                raise ConfigError(name, value, rule.text, unit) from None
        low, high = self.d_min_angstrom, self.d_max_angstrom
        if low is not None and high is not None and low > high:
            raise ConfigError("d_max_angstrom", high, f"at least d_min_angstrom, {low}", "angstrom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Amplitudes as they stand in a file.

    hkl: int32, shape (n, 3).  amplitudes: float64, shape (n,), electrons; NaN: none.  has_mates:
    Friedel mates stand in them as their own.  source, kind, columns: for the report, as are the
    assumptions that have been made.
    """

    hkl: NDArray[np.int32]
    amplitudes: NDArray[np.float64]
    space_group: gemmi.SpaceGroup
    cell: gemmi.UnitCell | None
    has_mates: bool
    source: str
    kind: str
    columns: str
    assumptions: list[str] = field(default_factory=list)


def table_of_listed(listed: Listed, options: TableOptions, *, anomalous: bool) -> StructureFactors:
    """The table of P1, with its unique reflections and a report.

    anomalous: keep Friedel mates apart.  Equivalents that are listed more than once are averaged,
    with a warning where they differ.  Warns of missing reflections unless `options.missing` says
    what to do with them.  Raises `ConfigError` if no amplitude is left.
    """
    group, cell = listed.space_group, listed.cell
    notes = list(listed.assumptions)
    _require_small_indices(listed)
    is_known = np.isfinite(listed.amplitudes)
    hkl, amplitudes = listed.hkl[is_known], listed.amplitudes[is_known]
    hkl, amplitudes, f000 = _without_origin(hkl, amplitudes, options, notes)
    asymmetric = asymmetric_hkl(hkl, group)
    d_min, d_max = options.d_min_angstrom, options.d_max_angstrom
    if cell is None:
        for name in ("d_min_angstrom", "d_max_angstrom", "missing"):
            if getattr(options, name) is not None:
                raise ConfigError(name, getattr(options, name), "None without a cell")
        unique_hkl = np.unique(asymmetric, axis=0)
        unique_hkl = unique_hkl[~group.operations().systematic_absences(unique_hkl)]
    else:
        require_cell_fits(cell, group)
        spacing = cell.calculate_d_array(asymmetric) if len(hkl) else np.zeros(0)
        if d_min is None:
            d_min = _smallest_spacing(spacing, hkl, listed.source)
            _require_dense(cell, group, d_min, len(hkl), listed.source)
        kept = in_range(spacing, d_min, math.inf if d_max is None else d_max)
        _note_cut(notes, len(hkl) - int(kept.sum()))
        hkl, amplitudes = hkl[kept], amplitudes[kept]
        unique_hkl = np.zeros((0, 3), np.int32)
        if len(hkl):
            high = math.inf if d_max is None else d_max
            unique_hkl = reflections_of_range(cell, group, d_min, high)
    if len(unique_hkl) == 0:
        raise ConfigError(
            "reflections",
            Description(f"{len(hkl)} of {len(listed.hkl)} listed in {listed.source}"),
            "at least one amplitude that is no systematic absence, in the range of resolution",
        )
    if f000 is not None:
        unique_hkl = np.concatenate([np.zeros((1, 3), np.int32), unique_hkl])
    limits = (0, 0, 0) if cell is None or d_min is None else limits_of_range(cell, d_min)
    unique = expand_indices(unique_hkl, group, anomalous=anomalous, limits=limits)
    values = _mean_of_equivalents(unique, hkl, amplitudes, listed, notes, anomalous=anomalous)
    if f000 is not None:
        values[0] = f000
    if anomalous:
        _take_mates(unique, values, notes)
    report = _report(unique, values, listed, cell, d_min, d_max, has_f000=f000 is not None)
    _fill_missing(unique, values, options, report, cell, notes)
    report = _with_notes(report, notes)
    return finished_table(unique, values, options.default_f, len(hkl), report)


def finished_table(
    unique: UniqueReflections,
    values: NDArray[np.float64],
    default_f: float,
    listed: int,
    report: ReflectionReport,
) -> StructureFactors:
    """The table of one amplitude for each unique reflection."""
    grid = unique.expand(values, default_f)
    grid.setflags(write=False)
    return StructureFactors(grid, unique.hkl_min, default_f, listed, unique=unique, report=report)


def expanded_reflections(
    indices: ArrayLike,
    amplitudes: ArrayLike,
    default_f: float,
    *,
    space_group: object,
    cell_angstrom: object,
    cell_deg: object,
    anomalous: object,
    missing: Any,
    d_min_angstrom: Any,
    d_max_angstrom: Any,
    f000: Any,
) -> StructureFactors:
    """The work of `StructureFactors.from_reflections` with a space group."""
    options = TableOptions(
        default_f=default_f,
        missing=missing,
        d_min_angstrom=d_min_angstrom,
        d_max_angstrom=d_max_angstrom,
        f000=f000,
    )
    try:
        keeps_apart = FLAG.normalise(anomalous)
    except ValueError:
        raise ConfigError("anomalous", anomalous, FLAG.text) from None
    hkl, values = checked_reflections(indices, amplitudes)
    listed = Listed(
        hkl=hkl.astype(np.int32),
        amplitudes=values,
        space_group=space_group_of(space_group),
        cell=None if cell_angstrom is None else unit_cell_of(cell_angstrom, cell_deg),
        has_mates=False,
        source="arrays",
        kind="amplitudes",
        columns="as given",
    )
    return table_of_listed(listed, options, anomalous=keeps_apart)


def resolution_shells(
    spacing: NDArray[np.float64], values: NDArray[np.float64], count: int | None = None
) -> tuple[tuple[ResolutionShell, ...], NDArray[np.intp]]:
    """Shells of equal volume in reciprocal space, and which of them each spacing lies in.

    spacing: d of unique reflections, angstrom; values: their amplitudes, NaN: not known.
    """
    if len(spacing) == 0:
        return (), np.zeros(0, np.intp)
    count = count or max(1, min(_SHELLS, len(spacing) // _IN_A_SHELL))
    cubes = spacing**-3.0
    low, high = float(cubes.min()), float(cubes.max())
    edges = np.linspace(low, high, count + 1)
    which = np.clip(np.searchsorted(edges, cubes, side="left") - 1, 0, count - 1)
    shells = []
    for n in range(count):
        inside = values[which == n]
        known = inside[~np.isnan(inside)]
        shells.append(
            ResolutionShell(
                float(edges[n] ** (-1.0 / 3.0)),
                float(edges[n + 1] ** (-1.0 / 3.0)),
                len(inside),
                len(known),
                float(known.mean()) if len(known) else math.nan,
            )
        )
    return tuple(shells), which


def _require_small_indices(listed: Listed) -> None:
    """Raises `ConfigError` for an index whose equivalents might not fit 32 bits."""
    large = (np.abs(listed.hkl.astype(np.int64)) > _LARGEST_INDEX).any(axis=1)
    if large.any():
        h, k, l = listed.hkl[int(large.argmax())].tolist()
        raise ConfigError(
            "reflections",
            Description(f"{h} {k} {l} in {listed.source}"),
            f"indices of at most {_LARGEST_INDEX}",
        )


def _without_origin(
    hkl: NDArray[np.int32],
    amplitudes: NDArray[np.float64],
    options: TableOptions,
    notes: list[str],
) -> tuple[NDArray[np.int32], NDArray[np.float64], float | None]:
    """The reflections but for 0 0 0, and F(000): as given, else as listed, else None."""
    is_origin = (hkl == 0).all(axis=1)
    f000 = options.f000
    if f000 is None and is_origin.any():
        f000 = float(amplitudes[is_origin][-1])
        notes.append(f"F(000) is the listed {f000:g}")
    elif f000 is None:
        notes.append(f"F(000) is not known: it is default_f, {options.default_f:g}")
    return hkl[~is_origin], amplitudes[~is_origin], f000


def _smallest_spacing(spacing: NDArray[np.float64], hkl: NDArray[np.int32], source: str) -> float:
    """d_min of what is listed.  Raises `ConfigError` where a wrong index or cell makes it."""
    if len(spacing) == 0:
        return math.inf
    last = int(spacing.argmin())
    if not spacing[last] >= _SMALLEST_D:
        h, k, l = hkl[last].tolist()
        raise ConfigError(
            "reflections",
            Description(f"{h} {k} {l} at d = {spacing[last]:.3g} angstrom in {source}"),
            f"d >= {_SMALLEST_D:g} angstrom (is an index or the cell wrong?), or a d_min_angstrom",
        )
    return float(spacing[last])


def _require_dense(
    cell: gemmi.UnitCell, group: gemmi.SpaceGroup, d_min: float, listed: int, source: str
) -> None:
    """Raises `ConfigError` for a few reflections that need a large table: a wrong index does it."""
    if not math.isfinite(d_min):
        return
    shape = [2 * limit + 1 for limit in limits_of_range(cell, d_min)]
    equivalents = 2 * len(group.operations())
    if sparse_table_text(listed * equivalents, shape) is not None:
        size = " x ".join(map(str, shape))
        raise ConfigError(
            "reflections",
            Description(
                f"{listed} in {source} that need a table of {size} down to {d_min:g} angstrom"
            ),
            "more of them (is an index or the cell wrong?), or a d_min_angstrom",
        )


def _note_cut(notes: list[str], cut: int) -> None:
    if cut:
        notes.append(
            f"{cut} listed amplitudes lie outside the range of resolution and are left out"
        )


def _mean_of_equivalents(
    unique: UniqueReflections,
    hkl: NDArray[np.int32],
    amplitudes: NDArray[np.float64],
    listed: Listed,
    notes: list[str],
    *,
    anomalous: bool,
) -> NDArray[np.float64]:
    """The mean amplitude of each unique reflection; NaN where there is none."""
    which = unique.at(hkl)
    absent = which == ABSENT
    if absent.any():
        lit = int(np.count_nonzero(amplitudes[absent]))
        notes.append(f"{int(absent.sum())} listed reflections are systematic absences: they are 0")
        if lit:
            (first,) = hkl[absent & (amplitudes != 0.0)][:1].tolist()
            _warn(
                f"{listed.source}: {lit} systematic absences of {unique.space_group} have an "
                f"amplitude, {first[0]} {first[1]} {first[2]} for instance: they count as 0"
            )
    used = (which != ABSENT) & (which != OUTSIDE)
    which, amplitudes, hkl = which[used], amplitudes[used], hkl[used]
    counts = np.bincount(which, minlength=len(unique))
    totals = np.bincount(which, weights=amplitudes, minlength=len(unique))
    values = np.full(len(unique), math.nan)
    values[counts > 0] = totals[counts > 0] / counts[counts > 0]
    again = int((counts > 1).sum())
    if again and listed.has_mates:
        which_ones = "centric amplitudes" if anomalous else "amplitudes"
        notes.append(f"{again} {which_ones} are the mean of those of two Friedel mates")
    elif again:
        gap = np.abs(amplitudes - values[which])
        worst = int(gap.argmax())
        notes.append(f"{again} reflections are listed more than once: the mean counts")
        if gap[worst] > _ALIKE * abs(values[which[worst]]):
            h, k, l = hkl[worst].tolist()
            _warn(
                f"{listed.source}: {again} reflections are listed more than once, equivalents "
                f"counted, and differ, {h} {k} {l} for instance: the mean counts"
            )
    return values


def _take_mates(unique: UniqueReflections, values: NDArray[np.float64], notes: list[str]) -> None:
    """Puts the amplitude of a Friedel mate where only that is known."""
    mate = unique.at(-unique.hkl)
    alone = np.isnan(values) & (mate >= 0)
    alone[alone] = ~np.isnan(values[mate[alone]])
    if alone.any():
        values[alone] = values[mate[alone]]
        notes.append(
            f"{int(alone.sum())} amplitudes are those of the Friedel mate, which alone is known"
        )


def _report(
    unique: UniqueReflections,
    values: NDArray[np.float64],
    listed: Listed,
    cell: gemmi.UnitCell | None,
    d_min: float | None,
    d_max: float | None,
    *,
    has_f000: bool,
) -> ReflectionReport:
    start = 1 if has_f000 else 0
    hkl, known = unique.hkl[start:], values[start:]
    spacing = np.zeros(0) if cell is None else cell.calculate_d_array(hkl)
    shells, _ = resolution_shells(spacing, known)
    numbers = None if cell is None else cell.parameters
    return ReflectionReport(
        source=listed.source,
        kind=listed.kind,
        columns=listed.columns,
        space_group=unique.space_group,
        cell_angstrom=None if numbers is None else tuple(numbers[:3]),
        cell_deg=None if numbers is None else tuple(numbers[3:]),
        anomalous=unique.anomalous,
        d_max_angstrom=None if cell is None else d_max or float(spacing.max()),
        d_min_angstrom=d_min,
        possible=len(hkl),
        known=int((~np.isnan(known)).sum()),
        shells=shells,
        assumptions=(),
    )


def _with_notes(report: ReflectionReport, notes: list[str]) -> ReflectionReport:
    import dataclasses

    return dataclasses.replace(report, assumptions=tuple(notes))


def _fill_missing(
    unique: UniqueReflections,
    values: NDArray[np.float64],
    options: TableOptions,
    report: ReflectionReport,
    cell: gemmi.UnitCell | None,
    notes: list[str],
) -> None:
    """Gives missing reflections an amplitude, and says so."""
    missing = np.isnan(values)
    if not missing.any():
        return
    count, total = report.missing, report.possible
    text = f"{count} of {total} unique reflections are missing"
    if options.missing == "shell_mean":
        assert cell is not None
        away = (unique.hkl != 0).any(axis=1)
        spacing = cell.calculate_d_array(unique.hkl[away])
        shells, which = resolution_shells(spacing, values[away])
        known = [n for n, shell in enumerate(shells) if shell.known]
        numbers = np.arange(len(shells))
        nearest = [known[int(np.abs(np.array(known) - n).argmin())] for n in numbers]
        means = np.array([shells[n].mean_f for n in nearest])
        filled = values[away]
        filled[missing[away]] = means[which[missing[away]]]
        values[away] = filled
        notes.append(f"{text}: they have the mean amplitude of their shell")
        return
    value = 0.0 if options.missing == "zero" else options.default_f
    values[missing] = value
    name = "0" if options.missing == "zero" else f"default_f, {value:g}"
    notes.append(f"{text}: they are {name}")
    if options.missing is None:
        _warn(
            f"{report.source}: {text}: they are {name} (missing='zero', 'default' or 'shell_mean' "
            "chooses)"
        )


def _warn(text: str) -> None:
    warnings.warn(text, NanobraggWarning, stacklevel=2)
