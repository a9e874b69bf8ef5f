"""Structure factors from and to MTZ files, with gemmi."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.file_kinds import START_BYTES, refuse_other_kind
from nanobragg_hybrid.formats.gemmi_library import gemmi_errors, require_gemmi
from nanobragg_hybrid.formats.reflection_columns import (
    Column,
    ColumnOptions,
    Quantity,
    Sign,
    amplitudes_of,
    chosen,
    refuse_infinite,
)
from nanobragg_hybrid.formats.reflection_table import Listed
from nanobragg_hybrid.formats.space_group_symmetry import unit_cell_of
from nanobragg_hybrid.formats.text import file_size, open_binary
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import require_class

if TYPE_CHECKING:
    import gemmi

KIND: Final = "an MTZ file"
_TYPES: Final[dict[str, tuple[Quantity, str]]] = {
    "F": ("amplitude", ""),
    "G": ("amplitude", "mate"),
    "J": ("intensity", ""),
    "K": ("intensity", "mate"),
}
"""Column types -> what they hold, and whether of one Friedel mate."""


class _Header(NamedTuple):
    columns: list[Column]
    labels: list[str]


def read_mtz_columns(
    path: str | os.PathLike[str], options: ColumnOptions, space_group: gemmi.SpaceGroup | None
) -> Listed:
    """The amplitudes of a merged MTZ file; `space_group` counts in place of the file's own.

    Raises `FileAccessError`, `FileFormatError`, `ConfigError` for a column that is not there, and
    `UnsupportedError` without gemmi.
    """
    require_gemmi("reading an MTZ file")
    import gemmi

    with open_binary(path) as file:
        start, size = file.read(START_BYTES), file_size(file)
    if not start.startswith(b"MTZ "):
        refuse_other_kind(path, start, KIND)
        raise FileFormatError(path, 0, f"does not begin like {KIND}")
    with gemmi_errors(path, f"cannot be read as {KIND}"):
        mtz = gemmi.read_mtz_file(os.fspath(path), with_data=False)
        needed = 80 + 4 * mtz.nreflections * len(mtz.columns)
        if needed > size:
            raise FileFormatError(
                path,
                0,
                f"truncated: {mtz.nreflections} reflections of {len(mtz.columns)} columns need "
                f"{needed} bytes, the file has {size}",
            )
        _require_whole_header(path, needed)
        mtz = gemmi.read_mtz_file(os.fspath(path))
        header = _header(mtz)
    if len(mtz.batches) > 0 or "M/ISYM" in header.labels:
        raise FileFormatError(path, 0, "has unmerged reflections: merge them first")
    group = space_group or mtz.spacegroup
    if group is None:
        raise FileFormatError(path, 0, "has no space group that is known: give one (space_group)")
    choice = chosen(path, header.columns, header.labels, options)
    with gemmi_errors(path, f"cannot be read as {KIND}"):
        hkl = np.array(mtz.make_miller_array(), np.int32)
        data = {
            column.label: np.array(column.array, np.float64)
            for column in mtz.columns
            if column.label in [of.label for of in choice.columns]
        }
        first = next(of for of in mtz.columns if of.label == choice.columns[0].label)
        cell = first.dataset.cell
        if not cell.is_crystal():
            cell = mtz.cell
    notes: list[str] = []
    if space_group is not None:
        notes.append(f"the space group is {space_group.xhm()}, as given")
    values = []
    for column in choice.columns:
        refuse_infinite(path, column.label, data[column.label])
        values.append(amplitudes_of(data[column.label], column.quantity, options, notes))
    return Listed(
        hkl=np.concatenate([hkl, -hkl]) if choice.has_mates else hkl,
        amplitudes=np.concatenate(values),
        space_group=group,
        cell=file_cell(path, cell),
        has_mates=choice.has_mates,
        source=os.fspath(path),
        kind=KIND,
        columns=column_text(choice.columns),
        assumptions=notes,
    )


def _require_whole_header(path: str | os.PathLike[str], start: int) -> None:
    """Raises `FileFormatError` for a header, behind the data, that ends too soon."""
    with open_binary(path) as file:
        file.seek(start)
        if b"MTZENDOFHEADERS" not in file.read():
            raise FileFormatError(path, 0, "truncated: its header has no end (MTZENDOFHEADERS)")


def column_text(columns: tuple[Column, ...]) -> str:
    """How a report names columns."""
    labels = ", ".join(column.label for column in columns)
    return f"root of {labels}" if columns[0].quantity == "intensity" else labels


def file_cell(path: str | os.PathLike[str], cell: gemmi.UnitCell) -> gemmi.UnitCell:
    """The cell of a file, checked.  Raises `FileFormatError`."""
    numbers = cell.parameters
    if not cell.is_crystal():
        raise FileFormatError(path, 0, "has no unit cell")
    try:
        return unit_cell_of(tuple(numbers[:3]), tuple(numbers[3:]))
    except ConfigError as error:
        raise FileFormatError(path, 0, f"has no unit cell that can be: {error}") from None


def _header(mtz: gemmi.Mtz) -> _Header:
    columns: list[Column] = []
    labels: list[str] = []
    mates: dict[Quantity, int] = {}
    for column in mtz.columns:
        labels.append(column.label)
        quantity, mate = _TYPES.get(column.type, (None, ""))
        if quantity is None:
            continue
        sign: Sign = ""
        if mate:
            sign = "-" if mates.get(quantity, 0) % 2 else "+"
            if column.label.endswith(("(+)", "(-)")):
                sign = "+" if column.label.endswith("(+)") else "-"
            mates[quantity] = mates.get(quantity, 0) + 1
        columns.append(Column(column.label, quantity, sign))
    return _Header(columns, labels)


def write_mtz(path: Destination, structure_factors: StructureFactors) -> None:
    """Writes the unique amplitudes with their space group and cell: the column F, or F(+) and F(-).

    A table without `unique` and a cell cannot be written: `ConfigError`, also if it has no finite
    value somewhere.  Raises `UnsupportedError` without gemmi, and `FileAccessError`.  MTZ files
    have 32-bit floats.
    """
    require_class("structure_factors", structure_factors, StructureFactors)
    unique, report = structure_factors.unique, structure_factors.report
    grid = structure_factors.grid
    if unique is None or report is None or report.cell_angstrom is None or grid is None:
        raise ConfigError(
            "structure_factors.unique",
            unique,
            "a table with space group and cell, as read_structure_factors or "
            "structure_factors_from_model makes it",
        )
    require_gemmi("writing an MTZ file")
    import gemmi

    amplitudes = grid[tuple((unique.hkl - np.array(unique.hkl_min)).T)]
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(unique.space_group)
    mtz.set_cell_for_all(unit_cell_of(report.cell_angstrom, report.cell_deg))
    mtz.title = "structure factors of nanobragg-hybrid"
    mtz.add_dataset("calculated")
    if not unique.anomalous:
        mtz.add_column("F", "F")
        rows = np.column_stack([unique.hkl, amplitudes])
    else:
        mtz.add_column("F(+)", "G")
        mtz.add_column("F(-)", "G")
        plus = unique.at(unique.hkl) == np.arange(len(unique))
        mate = unique.at(-unique.hkl)
        first = plus & (mate >= np.arange(len(unique)))
        rows = np.column_stack([unique.hkl, amplitudes, amplitudes[mate]])[first]
    mtz.set_data(np.ascontiguousarray(rows, np.float32))
    mtz.update_reso()
    with atomic_write(path) as file:
        file.write(mtz.write_to_bytes())
