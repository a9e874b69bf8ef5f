"""Structure factors calculated from an atomic model: PDB, mmCIF or small-molecule CIF, with gemmi.

F = sum over atoms of occupancy (f0 + f' + i f'') exp(-B s^2 / 4) exp(2 pi i h.x), and for
macromolecules a flat bulk solvent, k_sol exp(-B_sol s^2 / 4) F_mask, with s = 1/d (Jiang and
Bruenger, J. Mol. Biol. 243 (1994), 100).  f0: International Tables C (1992), 6.1.1; f' and f'':
Cromer and Liberman, Acta Cryst. A37 (1981), 267.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description, FileFormatError, NanobraggWarning
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.gemmi_library import gemmi_errors
from nanobragg_hybrid.formats.mtz import file_cell
from nanobragg_hybrid.formats.reflection_table import (
    TableOptions,
    finished_table,
    resolution_shells,
)
from nanobragg_hybrid.formats.space_group_symmetry import (
    expand_indices,
    limits_of_range,
    reflections_of_range,
    require_cell_fits,
)
from nanobragg_hybrid.model.reflection_report import ReflectionReport
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import NOT_NEGATIVE, POSITIVE, Choice, Optional, Rule

if TYPE_CHECKING:
    import gemmi
    from gemmi import cif

Method = Literal["direct", "fft"]
Complexes = NDArray[np.complex128]

PDB: Final = "an atomic model (PDB)"
MMCIF: Final = "an atomic model (mmCIF)"
SMALL: Final = "an atomic model (small-molecule CIF)"
IN_MEMORY: Final = "an atomic model (gemmi)"
DEFAULT_K_SOL: Final = 0.35
DEFAULT_B_SOL: Final = 46.0
_ANGLES: Final = ("alpha", "beta", "gamma")
_DISPERSION_RANGE: Final = (0.1, 10.0)  # angstrom
_MASK_SPACING: Final = 0.4  # angstrom
_MOST_DIRECT: Final = 2 * 10**8  # terms; 10^7 take about a second
_ENLARGED: Final = (
    1000.0  # f'' on a grid of 32-bit floats, so that rounding of f0 does not drown it
)


_ATOM: Final = (
    *((axis, slice(30 + 8 * n, 38 + 8 * n), False) for n, axis in enumerate("xyz")),
    ("occupancy", slice(54, 60), True),
    ("B", slice(60, 66), True),
)
_CELL: Final = (
    *((axis, slice(6 + 9 * n, 15 + 9 * n), False) for n, axis in enumerate("abc")),
    *((name, slice(33 + 7 * n, 40 + 7 * n), False) for n, name in enumerate(_ANGLES)),
)
_PDB_NUMBERS: Final = {b"ATOM  ": _ATOM, b"HETATM": _ATOM, b"CRYST1": _CELL}
"""Record -> the numbers that count here: name, columns, whether it may be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """How a model becomes amplitudes; `structure_factors_from_model` says what each means."""

    wavelength_angstrom: float | None = None
    k_sol_electrons_per_angstrom3: float | None = None
    b_sol_angstrom2: float | None = None
    method: Method | None = None

    def __post_init__(self) -> None:
        for name, (rule, unit) in _RULES.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, rule.normalise(value))
            except ValueError:
                raise ConfigError(name, value, rule.text, unit) from None


_RULES: Final[dict[str, tuple[Rule, str]]] = {
    "wavelength_angstrom": (Optional(POSITIVE), "angstrom"),
    "k_sol_electrons_per_angstrom3": (Optional(NOT_NEGATIVE), "electrons/angstrom^3"),
    "b_sol_angstrom2": (Optional(NOT_NEGATIVE), "angstrom^2"),
    "method": (Optional(Choice(("direct", "fft"))), ""),
}


@dataclass(frozen=True, slots=True)
class AtomicModel:
    """Atoms of a crystal: `atoms` is gemmi's Model or SmallStructure, with the images of its cell
    set up for the space group."""

    atoms: Any
    cell: gemmi.UnitCell
    space_group: gemmi.SpaceGroup
    elements: tuple[gemmi.Element, ...]
    count: int
    source: str
    kind: str
    notes: tuple[str, ...]

    @property
    def is_small(self) -> bool:
        """Whether it is a small molecule, of sites in fractions of the cell."""
        return not hasattr(self.atoms, "count_atom_sites")


def model_of_pdb(
    path: str | os.PathLike[str], text: bytes, space_group: gemmi.SpaceGroup | None
) -> AtomicModel:
    """The model of a PDB file's text.  Raises `FileFormatError`."""
    import gemmi

    _require_numbers(path, text)
    with gemmi_errors(path, "cannot be read as a PDB file"):
        structure = gemmi.read_pdb_string(text)
    return model_of_structure(structure, os.fspath(path), PDB, space_group)


def model_of_mmcif(
    path: str | os.PathLike[str],
    document: cif.Document,
    block: str,
    space_group: gemmi.SpaceGroup | None,
) -> AtomicModel:
    """The model of a block of mmCIF.  Raises `FileFormatError`."""
    import gemmi

    with gemmi_errors(path, "cannot be read as an mmCIF file"):
        structure = gemmi.make_structure_from_block(document[block])
    return model_of_structure(structure, os.fspath(path), MMCIF, space_group)


def model_of_small_cif(
    path: str | os.PathLike[str],
    document: cif.Document,
    block: str,
    space_group: gemmi.SpaceGroup | None,
) -> AtomicModel:
    """The model of a block of a small molecule's CIF.  Raises `FileFormatError`."""
    import gemmi

    with gemmi_errors(path, "cannot be read as a small-molecule CIF"):
        structure = gemmi.make_small_structure_from_block(document[block])
    return model_of_small_structure(structure, os.fspath(path), SMALL, space_group)


def model_of_structure(
    structure: gemmi.Structure, source: str, kind: str, space_group: gemmi.SpaceGroup | None
) -> AtomicModel:
    """The first model of gemmi's structure, which is copied."""
    import gemmi

    structure = structure.clone()
    notes = []
    if len(structure) == 0 or structure[0].count_atom_sites() == 0:
        raise FileFormatError(source, 0, "has no atoms")
    if len(structure) > 1:
        notes.append(f"of {len(structure)} models the first counts")
        warnings.warn(f"{source}: {notes[-1]}", NanobraggWarning, stacklevel=2)
    cell = file_cell(source, structure.cell)
    group = space_group or structure.find_spacegroup()
    if group is None:
        raise _no_group(source, structure.spacegroup_hm)
    if space_group is not None:
        structure.spacegroup_hm = space_group.xhm()
        notes.append(f"the space group is {space_group.xhm()}, as given")
    if any(not operation.given for operation in structure.ncs):
        notes.append("non-crystallographic symmetry that the file states is applied")
        structure.expand_ncs(gemmi.HowToNameCopiedChain.Short)
    structure.setup_cell_images()
    atoms = [(site.atom, f"atom {site}") for site in structure[0].all()]
    for atom, name in atoms:
        _require_finite_atom(
            source, name, (*atom.pos.tolist(), atom.occ, atom.b_iso, *atom.aniso.elements_pdb())
        )
    elements = _elements(source, [(atom.element, name) for atom, name in atoms])
    require_cell_fits(cell, group)
    return AtomicModel(
        structure[0], structure.cell, group, elements, len(atoms), source, kind, tuple(notes)
    )


def model_of_small_structure(
    structure: gemmi.SmallStructure,
    source: str,
    kind: str,
    space_group: gemmi.SpaceGroup | None,
) -> AtomicModel:
    """The sites of gemmi's small structure, which is copied; a site on a special position counts
    once for all operations that leave it where it is."""
    import gemmi

    copy = gemmi.SmallStructure()
    copy.cell = file_cell(source, structure.cell)
    group = space_group or structure.spacegroup
    if group is None:
        raise _no_group(source, structure.spacegroup_hm)
    copy.spacegroup = group
    for site in structure.sites:
        copy.add_site(site.clone())
    if len(copy.sites) == 0:
        raise FileFormatError(source, 0, "has no atoms")
    copy.setup_cell_images()
    sites = [(site, f"atom {site.label}") for site in copy.sites]
    for site, name in sites:
        numbers = (*site.fract.tolist(), site.occ, site.u_iso, *site.aniso.elements_pdb())
        _require_finite_atom(source, name, numbers)
    elements = _elements(source, [(site.element, name) for site, name in sites])
    require_cell_fits(copy.cell, group)
    copy.change_occupancies_to_crystallographic()
    notes = ["occupancies on special positions are divided by the number of images there"]
    return AtomicModel(copy, copy.cell, group, elements, len(sites), source, kind, tuple(notes))


def structure_factors_of(
    model: AtomicModel, table: TableOptions, options: ModelOptions
) -> StructureFactors:
    """The table of a model's amplitudes, with its unique reflections and a report.

    Friedel mates are apart if there is a wavelength.  Raises `ConfigError` without a d_min, or if
    there is no reflection; `FileFormatError` if an amplitude is not finite.
    """
    if table.d_min_angstrom is None:
        raise ConfigError(
            "d_min_angstrom", None, "a finite value > 0: a model has amplitudes at any resolution"
        )
    d_min, d_max = table.d_min_angstrom, table.d_max_angstrom or math.inf
    group, cell = model.space_group, model.cell
    unique_hkl = reflections_of_range(cell, group, d_min, d_max)
    if len(unique_hkl) == 0:
        rule = f"a range of resolution with a reflection of {model.source}"
        raise ConfigError("d_min_angstrom", d_min, rule, "angstrom")
    notes = list(model.notes)
    wavelength = options.wavelength_angstrom
    hkl = np.concatenate([np.zeros((1, 3), np.int32), unique_hkl])  # F(000) is for the report
    plus, imaginary = _atoms_sums(model, hkl, d_min, options, notes)
    plus = plus + _solvent(model, hkl, d_min, options, notes)
    has_origin = table.f000 is not None
    if not has_origin:
        hkl, first = hkl[1:], np.abs(plus + 1j * imaginary)[0]
        plus, imaginary = plus[1:], imaginary[1:]
        notes.append(f"F(000) is default_f, {table.default_f:g}; that of the model is {first:.6g}")
    unique = expand_indices(
        hkl,
        group,
        anomalous=wavelength is not None,
        limits=limits_of_range(cell, d_min),
    )
    values = np.abs(plus + 1j * imaginary)
    if len(unique) > len(hkl):  # Friedel mates come after
        mates = unique.at(-unique.hkl[len(hkl) :])
        values = np.concatenate([values, np.abs(plus[mates] - 1j * imaginary[mates])])
    if table.f000 is not None:
        values[0] = table.f000
        notes.append(f"F(000) is {table.f000:g}, as given")
    if not np.isfinite(values).all():
        h, k, l = unique.hkl[int((~np.isfinite(values)).argmax())].tolist()
        raise FileFormatError(model.source, 0, f"F({h} {k} {l}) is not finite: is a B wrong?")
    start = 1 if has_origin else 0
    spacing = cell.calculate_d_array(np.ascontiguousarray(unique.hkl[start:]))
    shells, _ = resolution_shells(spacing, values[start:])
    report = ReflectionReport(
        source=model.source,
        kind=model.kind,
        columns=f"calculated from {model.count} atoms",
        space_group=unique.space_group,
        cell_angstrom=tuple(cell.parameters[:3]),
        cell_deg=tuple(cell.parameters[3:]),
        anomalous=unique.anomalous,
        d_max_angstrom=table.d_max_angstrom or float(spacing.max()),
        d_min_angstrom=d_min,
        possible=len(spacing),
        known=len(spacing),
        shells=shells,
        assumptions=tuple(notes),
        wavelength_angstrom=wavelength,
    )
    return finished_table(unique, values, table.default_f, len(spacing), report)


def _atoms_sums(
    model: AtomicModel,
    hkl: NDArray[np.int32],
    d_min: float,
    options: ModelOptions,
    notes: list[str],
) -> tuple[Complexes, Complexes]:
    """The sum over atoms with f0 + f', and that with f'' alone."""
    import gemmi

    real, imaginary = _dispersion(model, options.wavelength_angstrom, notes)
    terms = len(hkl) * model.count * (len(model.cell.images) + 1) * (2 if imaginary else 1)
    method = options.method
    if method == "fft" and model.is_small:
        raise ConfigError("method", "fft", "direct for a small molecule")
    if method is None:
        method = "fft" if terms > _MOST_DIRECT and not model.is_small else "direct"
    notes.append(
        "atoms are summed directly"
        if method == "direct"
        else "the atoms' density is transformed on a grid, to about 1e-4 of the amplitudes"
    )

    def sums(addends: dict[str, float]) -> Complexes:
        table = gemmi.Addends()
        for name, value in addends.items():
            table.set(gemmi.Element(name), value)
        if method == "direct":
            return _direct(model, hkl, table)
        return _by_grid(model, hkl, d_min, table)

    first = sums(real)
    if not any(imaginary.values()):
        return first, np.zeros(len(hkl), np.complex128)
    enlarged = {name: real[name] + _ENLARGED * f for name, f in imaginary.items()}
    return first, (sums(enlarged) - first) / _ENLARGED


def _dispersion(
    model: AtomicModel, wavelength_angstrom: float | None, notes: list[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """f' and f'' of each element, electrons; nothing without a wavelength."""
    import gemmi

    if wavelength_angstrom is None:
        notes.append("no wavelength is given: f' and f'' are 0, Friedel mates are equal")
        return {}, {}
    low, high = _DISPERSION_RANGE
    if not low <= wavelength_angstrom <= high:
        rule = f"{low:g} to {high:g} angstrom, where f' and f'' are known, or None"
        raise ConfigError("wavelength_angstrom", wavelength_angstrom, rule, "angstrom")
    real, imaginary = {}, {}
    energy_ev = gemmi.hc / wavelength_angstrom
    unknown = []
    for element in model.elements:
        name, z = element.name, element.atomic_number
        real[name], imaginary[name] = gemmi.cromer_liberman(z, energy_ev)
        if z > 2 and real[name] == imaginary[name] == 0.0:
            unknown.append(name)
    shown = ", ".join(f"{name} {real[name]:.3f} {imaginary[name]:+.3f}i" for name in real)
    notes.append(f"f' and f'' at {wavelength_angstrom:g} angstrom (Cromer-Liberman): {shown}")
    if unknown:
        notes.append(f"no f' and f'' are known of {' '.join(unknown)}: they are 0")
    return real, imaginary


def _direct(model: AtomicModel, hkl: NDArray[np.int32], addends: gemmi.Addends) -> Complexes:
    import gemmi

    calculator = gemmi.StructureFactorCalculatorX(model.cell)
    calculator.addends = addends
    one: Callable[[Any, list[int]], complex] = (
        calculator.calculate_sf_from_small_structure
        if model.is_small
        else calculator.calculate_sf_from_model
    )
    return np.array([one(model.atoms, row) for row in hkl.tolist()], np.complex128)


def _by_grid(
    model: AtomicModel, hkl: NDArray[np.int32], d_min: float, addends: gemmi.Addends
) -> Complexes:
    import gemmi

    density = gemmi.DensityCalculatorX()
    density.d_min = d_min
    density.rate = 1.5
    density.addends = addends
    volume = model.cell.volume / (d_min / 2.0 / density.rate) ** 3
    require_memory({"grid of the density": int(20 * volume)})
    density.grid.unit_cell = model.cell
    density.grid.spacegroup = model.space_group
    density.set_refmac_compatible_blur(model.atoms)
    with gemmi_errors(model.source, "has no density on a grid (method 'direct' does without)"):
        density.put_model_density_on_grid(model.atoms)
        grid = gemmi.transform_map_to_f_phi(density.grid, half_l=True)
    return np.array(grid.get_value_by_hkl(hkl, unblur=density.blur), np.complex128)


def _solvent(
    model: AtomicModel,
    hkl: NDArray[np.int32],
    d_min: float,
    options: ModelOptions,
    notes: list[str],
) -> Complexes:
    """What the flat solvent adds to each F."""
    import gemmi

    k_sol, b_sol = options.k_sol_electrons_per_angstrom3, options.b_sol_angstrom2
    if model.is_small:
        for name in ("k_sol_electrons_per_angstrom3", "b_sol_angstrom2"):
            if getattr(options, name):
                raise ConfigError(name, getattr(options, name), "0 or None for a small molecule")
        notes.append("no bulk solvent")
        return np.zeros(len(hkl), np.complex128)
    given = k_sol is not None and b_sol is not None
    k_sol = DEFAULT_K_SOL if k_sol is None else k_sol
    b_sol = DEFAULT_B_SOL if b_sol is None else b_sol
    if k_sol == 0.0:
        notes.append("no bulk solvent (k_sol is 0)")
        return np.zeros(len(hkl), np.complex128)
    spacing = min(_MASK_SPACING, d_min / 3.0)  # so that F does not depend on the range
    require_memory({"solvent mask": int(16 * model.cell.volume / spacing**3)})
    grid = gemmi.FloatGrid()
    grid.unit_cell = model.cell
    grid.spacegroup = model.space_group
    grid.set_size_from_spacing(spacing, gemmi.GridSizeRounding.Up)
    with gemmi_errors(model.source, "has no solvent mask (k_sol = 0 does without)"):
        gemmi.SolventMasker(gemmi.AtomicRadiiSet.Cctbx).put_mask_on_float_grid(grid, model.atoms)
        transformed = gemmi.transform_map_to_f_phi(grid, half_l=True)
    mask = np.array(transformed.get_value_by_hkl(hkl), np.complex128)
    fraction = float(np.mean(np.array(grid), dtype=np.float64))
    notes.append(
        f"flat bulk solvent in {100.0 * fraction:.0f} % of the cell: k_sol {k_sol:g} "
        f"electrons/angstrom^3, B_sol {b_sol:g} angstrom^2{'' if given else ' (default)'}"
    )
    inverse_d2 = model.cell.calculate_1_d2_array(hkl)
    return np.array(k_sol * np.exp(-b_sol * inverse_d2 / 4.0) * mask)


def _require_numbers(path: str | os.PathLike[str], text: bytes) -> None:
    """Raises `FileFormatError` for a number of a PDB file that is none, which gemmi takes for 0."""
    for number, line in enumerate(text.split(b"\n"), 1):
        for name, columns, may_be_blank in _PDB_NUMBERS.get(line[:6], ()):
            word = line[columns].strip()
            if not word and (may_be_blank or len(line.rstrip()) <= columns.start):
                continue
            try:
                float(word)
            except ValueError:
                shown = word.decode("latin-1")
                raise FileFormatError(
                    path, number, f"{name}: got {shown!r}, need a number"
                ) from None


def _no_group(source: str, name: str) -> FileFormatError:
    what = f"an unknown space group {name!r}" if name else "no space group"
    return FileFormatError(source, 0, f"has {what}: give one (space_group)")


def _require_finite_atom(source: str, name: str, numbers: tuple[float, ...]) -> None:
    if not all(map(math.isfinite, numbers)):
        raise FileFormatError(source, 0, f"{name}: has a number that is not finite")


def _elements(source: str, named: list[tuple[gemmi.Element, str]]) -> tuple[gemmi.Element, ...]:
    """The different elements, by atomic number.  Raises `FileFormatError` for one without f0."""
    found = {}
    for element, name in named:
        if element.atomic_number == 0 or element.it92 is None:
            raise FileFormatError(
                source,
                0,
                f"{name}: element {Description(element.name)} has no form factor",
            )
        found[element.name] = element
    return tuple(sorted(found.values(), key=lambda element: element.atomic_number))
