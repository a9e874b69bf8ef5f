"""Space groups by name or number, and the unique reflections of one, with gemmi's tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.gemmi_library import require_gemmi
from nanobragg_hybrid.model.unique_reflections import UniqueReflections, unique_reflections
from nanobragg_hybrid.model.validate import POSITIVE, Items, Number

if TYPE_CHECKING:
    import gemmi

_ANGLE = Number(above=0.0, below=180.0)
_EDGE = 1e-9
"""How far below d_min, relatively, a reflection still is in the range: rounding of its d."""


def space_group_of(given: object) -> gemmi.SpaceGroup:
    """The space group of a Hermann-Mauguin symbol (``P 43 21 2``, ``P43212``, ``R 3:H``) or of a
    number of the International Tables.

    Raises `ConfigError`, and `UnsupportedError` without gemmi.
    """
    require_gemmi("a space group")
    import gemmi

    if isinstance(given, gemmi.SpaceGroup):
        return given
    found = None
    if isinstance(given, str):
        found = gemmi.find_spacegroup_by_name(given)
    elif isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= 230:
        found = gemmi.find_spacegroup_by_number(given)
    if found is None:
        raise ConfigError(
            "space_group", given, "a Hermann-Mauguin symbol, like 'P 43 21 2', or a number 1 to 230"
        )
    return found


def unit_cell_of(cell_angstrom: object, cell_deg: object) -> gemmi.UnitCell:
    """The cell of three lengths and three angles; None: right angles.  Raises `ConfigError`."""
    import gemmi

    if cell_deg is None:
        cell_deg = (90.0, 90.0, 90.0)
    numbers: list[float] = []
    for name, given, rule, unit in (
        ("cell_angstrom", cell_angstrom, Items(3, POSITIVE), "angstrom"),
        ("cell_deg", cell_deg, Items(3, _ANGLE), "deg"),
    ):
        try:
            numbers.extend(rule.normalise(given))
        except ValueError:
            raise ConfigError(name, given, rule.text, unit) from None
    cell = gemmi.UnitCell(*numbers)
    if not cell.volume > 0.0:
        raise ConfigError("cell_deg", cell_deg, "three angles that a cell can have", "deg")
    return cell


def require_cell_fits(cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup) -> None:
    """Raises `ConfigError` for a cell that is more than 1 % off the space group's symmetry."""
    if not cell.is_compatible_with_spacegroup(space_group, 0.01):
        numbers = " ".join(f"{x:g}" for x in cell.parameters)
        raise ConfigError(
            "cell", Description(numbers), f"a cell that space group {space_group.xhm()} can have"
        )


def rotations_of(space_group: gemmi.SpaceGroup) -> NDArray[np.int32]:
    """The different rotations, shape (n, 3, 3): the equivalents of hkl are hkl @ rotation."""
    import gemmi

    rotations = [op.rot for op in space_group.operations().sym_ops]
    return np.unique(np.array(rotations, np.int32) // gemmi.Op.DEN, axis=0)


def asymmetric_hkl(hkl: NDArray[np.int32], space_group: gemmi.SpaceGroup) -> NDArray[np.int32]:
    """Of each reflection the equivalent, or the Friedel mate of one, in the asymmetric unit."""
    moved = np.ascontiguousarray(hkl, dtype=np.int32).copy()
    if len(moved):
        space_group.switch_to_asu(moved)
    return moved


def in_range(
    d_angstrom: NDArray[np.float64], d_min_angstrom: float, d_max_angstrom: float
) -> NDArray[np.bool_]:
    """Which spacings belong to a range of resolution, both ends included."""
    return (d_angstrom >= d_min_angstrom * (1.0 - _EDGE)) & (
        d_angstrom <= d_max_angstrom * (1.0 + _EDGE)
    )


def reflections_of_range(
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
    d_min_angstrom: float,
    d_max_angstrom: float,
) -> NDArray[np.int32]:
    """Every reflection of the asymmetric unit in a range of resolution, neither absent nor 0 0 0.

    Raises `ResourceError` if their table would not fit into memory.
    """
    import gemmi

    limits = [2 * int(n) + 1 for n in limits_of_range(cell, d_min_angstrom)]
    require_memory({"structure factor table": 12 * limits[0] * limits[1] * limits[2]})
    hkl = gemmi.make_miller_array(cell, space_group, d_min_angstrom * (1.0 - 1e-6))
    if len(hkl) == 0:
        return np.zeros((0, 3), np.int32)
    kept = in_range(cell.calculate_d_array(hkl), d_min_angstrom, d_max_angstrom)
    return np.ascontiguousarray(hkl[kept], dtype=np.int32)


def limits_of_range(cell: gemmi.UnitCell, d_min_angstrom: float) -> tuple[int, int, int]:
    """The largest h, k and l of a range of resolution, absences included."""
    h, k, l = cell.get_hkl_limits(d_min_angstrom)
    return h, k, l


def expand_indices(
    hkl: NDArray[np.int32],
    space_group: gemmi.SpaceGroup,
    *,
    anomalous: bool,
    limits: tuple[int, int, int] = (0, 0, 0),
) -> UniqueReflections:
    """The equivalents of reflections of the asymmetric unit, in a table that goes at least as far
    as `limits`."""
    return unique_reflections(
        hkl,
        rotations_of(space_group),
        space_group=space_group.xhm(),
        anomalous=anomalous,
        is_absent=space_group.operations().systematic_absences,
        limits=limits,
    )
