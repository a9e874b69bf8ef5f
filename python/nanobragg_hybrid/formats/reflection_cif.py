"""Structure factors from reflections in CIF: mmCIF (``_refln.``) and small molecules (``_refln_``),
with gemmi."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, FileFormatError, suggestion
from nanobragg_hybrid.formats.gemmi_library import gemmi_errors
from nanobragg_hybrid.formats.mtz import column_text, file_cell
from nanobragg_hybrid.formats.reflection_columns import (
    Column,
    ColumnOptions,
    amplitudes_of,
    chosen,
    refuse_infinite,
)
from nanobragg_hybrid.formats.reflection_table import Listed

if TYPE_CHECKING:
    import gemmi
    from gemmi import cif

KIND: Final = "a reflection CIF file"
_INDICES: Final = ("index_h", "index_k", "index_l")
_COLUMNS: Final = (
    *(Column(name, "amplitude", "") for name in ("F_meas_au", "F_meas")),
    *(
        Column(name, "amplitude", "")
        for name in ("F_calc_au", "F_calc", "pdbx_F_calc_with_solvent")
    ),
    Column("pdbx_F_plus", "amplitude", "+"),
    Column("pdbx_F_minus", "amplitude", "-"),
    *(Column(name, "intensity", "") for name in ("intensity_meas", "F_squared_meas")),
    *(Column(name, "intensity", "") for name in ("intensity_calc", "F_squared_calc")),
    Column("pdbx_I_plus", "intensity", "+"),
    Column("pdbx_I_minus", "intensity", "-"),
)


def reflection_blocks(document: cif.Document) -> list[str]:
    """The names of the blocks that have reflections."""
    names = []
    for block in document:
        for prefix in ("_refln.", "_refln_"):
            if block.find_loop(f"{prefix}index_h"):
                names.append(block.name)
                break
    return names


def read_cif_columns(
    path: str | os.PathLike[str],
    document: cif.Document,
    options: ColumnOptions,
    space_group: gemmi.SpaceGroup | None,
    block: str | None,
) -> Listed:
    """The amplitudes of a block of reflections; `space_group` counts in place of the file's own.

    Without a label, measured columns count before calculated ones.  Raises `FileFormatError`, and
    `ConfigError` for a block or column that is not there.
    """
    name = _block_name(path, reflection_blocks(document), block)
    with gemmi_errors(path, f"cannot be read as {KIND}"):
        refln, cell, own_group = _block(document, name)
        labels = refln.column_labels()
    if any(label not in labels for label in _INDICES):
        raise FileFormatError(path, 0, f"block {name} has no columns {' '.join(_INDICES)}")
    present = [column for column in _COLUMNS if column.label in labels]
    if options.column is None:
        measured = [column for column in present if "calc" not in column.label]
        present = measured or present
    choice = chosen(path, present, labels, options)
    group = space_group or own_group
    if group is None:
        raise FileFormatError(
            path, 0, f"block {name} has no space group that is known: give one (space_group)"
        )
    notes: list[str] = []
    if space_group is not None:
        notes.append(f"the space group is {space_group.xhm()}, as given")
    with gemmi_errors(path, f"cannot be read as {KIND}"):
        hkl = np.array(refln.make_miller_array(), np.int32)
        data = [np.array(refln.make_float_array(of.label), np.float64) for of in choice.columns]
    values = []
    for column, numbers in zip(choice.columns, data, strict=True):
        refuse_infinite(path, column.label, numbers)
        values.append(amplitudes_of(numbers, column.quantity, options, notes))
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


def _block_name(path: str | os.PathLike[str], names: list[str], asked: str | None) -> str:
    if asked is not None:
        if asked not in names:
            rule = f"a block with reflections: {' '.join(names)}{suggestion(asked, names)}"
            raise ConfigError("block", asked, rule)
        return asked
    if len(names) > 1:
        raise FileFormatError(
            path, 0, f"has {len(names)} blocks of reflections: {' '.join(names)}: name one (block)"
        )
    return names[0]


def _block(
    document: cif.Document, name: str
) -> tuple[gemmi.ReflnBlock, gemmi.UnitCell, gemmi.SpaceGroup | None]:
    """The block with its cell and its space group, which a block may leave to the first one."""
    import gemmi

    if document[name].find_loop("_refln_index_h"):
        refln = gemmi.hkl_cif_as_refln_block(document[name])
        return refln, refln.cell, refln.spacegroup
    blocks = gemmi.as_refln_blocks(document)  # which takes the document apart
    refln = next(block for block in blocks if block.block.name == name)
    return refln, refln.cell, refln.spacegroup
