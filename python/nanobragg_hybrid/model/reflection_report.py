"""What structure factors came from: cell, space group, completeness, what was assumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class ResolutionShell(NamedTuple):
    """A shell of resolution, d_max_angstrom > d >= d_min_angstrom.

    possible: unique reflections that the space group has there; known: those of them with an
    amplitude; mean_f: the mean amplitude of these, electrons; NaN if there is none.
    """

    d_max_angstrom: float
    d_min_angstrom: float
    possible: int
    known: int
    mean_f: float


@dataclass(frozen=True, slots=True)
class ReflectionReport:
    """Where a table of structure factors comes from.

    source: the file, or "arrays"; kind: what it is.  columns: what the amplitudes were taken from.
    cell_angstrom, cell_deg: the unit cell; None: not known.  anomalous: Friedel mates are kept
    apart.  d_max_angstrom, d_min_angstrom: the range of resolution; None without a cell.
    possible, known: unique reflections of that range, and those with an amplitude.  shells: the
    same by resolution, from low to high.  assumptions: a sentence for each thing that the source
    does not say or that was chosen for it.  wavelength_angstrom: for which f' and f'' of a model
    are; None: they are 0, or the amplitudes were measured.
    """

    source: str
    kind: str
    columns: str
    space_group: str
    cell_angstrom: tuple[float, float, float] | None
    cell_deg: tuple[float, float, float] | None
    anomalous: bool
    d_max_angstrom: float | None
    d_min_angstrom: float | None
    possible: int
    known: int
    shells: tuple[ResolutionShell, ...]
    assumptions: tuple[str, ...]
    wavelength_angstrom: float | None = None

    @property
    def missing(self) -> int:
        """Unique reflections of the range that have no amplitude."""
        return self.possible - self.known

    @property
    def summary(self) -> str:
        """One sentence: what was read, columns, cell, space group, completeness."""
        parts = [f"{self.kind}, {self.columns}", f"space group {self.space_group}"]
        if self.cell_angstrom is not None and self.cell_deg is not None:
            numbers = (*self.cell_angstrom, *self.cell_deg)
            parts.append("cell " + " ".join(f"{x:g}" for x in numbers))
        parts.append(f"{self.known} of {self.possible} unique reflections{self._range()}")
        return f"{self.source}: {', '.join(parts)}"

    def lines(self) -> Iterator[str]:
        """The whole report as lines of text."""
        yield f"source          {self.source}"
        yield f"  is            {self.kind}"
        yield f"  amplitudes    {self.columns}"
        yield f"space group     {self.space_group}"
        if self.cell_angstrom is not None and self.cell_deg is not None:
            yield f"cell            {' '.join(f'{x:g}' for x in self.cell_angstrom)} angstrom"
            yield f"                {' '.join(f'{x:g}' for x in self.cell_deg)} deg"
        yield f"Friedel mates   {'apart' if self.anomalous else 'tied'}"
        percent = f" ({100.0 * self.known / self.possible:.1f} %)" if self.possible else ""
        yield f"reflections     {self.known} of {self.possible}{percent}{self._range()}"
        if self.shells:
            yield "  d from      to   possible    known  complete    mean F"
        for shell in self.shells:
            complete = 100.0 * shell.known / shell.possible if shell.possible else 0.0
            yield (
                f"{shell.d_max_angstrom:8.3f}{shell.d_min_angstrom:8.3f}{shell.possible:11d}"
                f"{shell.known:9d}{complete:8.1f} %{shell.mean_f:10.4g}"
            )
        for text in self.assumptions:
            yield f"assumed: {text}"

    def _range(self) -> str:
        if self.d_max_angstrom is None or self.d_min_angstrom is None:
            return ""
        return f" from {self.d_max_angstrom:g} to {self.d_min_angstrom:g} angstrom"
