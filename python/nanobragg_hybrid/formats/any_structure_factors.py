"""Structure factors from any file that has them: text, dump, MTZ, CIF, atomic models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from nanobragg_hybrid.base.atomic import access_errors
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.dump import read_dump
from nanobragg_hybrid.formats.file_kinds import (
    SHELX,
    START_BYTES,
    FileKind,
    Own,
    kind_of,
    refuse_other_kind,
)
from nanobragg_hybrid.formats.gemmi_library import gemmi_errors, require_gemmi
from nanobragg_hybrid.formats.hkl import read_hkl
from nanobragg_hybrid.formats.text import open_binary, read_bytes
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors

if TYPE_CHECKING:
    import gemmi
    from gemmi import cif

    from nanobragg_hybrid.formats.atomic_model import AtomicModel, Method
    from nanobragg_hybrid.formats.reflection_columns import NegativeIntensities, Quantity
    from nanobragg_hybrid.formats.reflection_table import Missing

Contents = Literal["P1 table", "reflections", "model"]

NEEDED: Final = "structure factors: h k l F, a dump, MTZ, CIF or PDB"
WITH_GEMMI: Final[tuple[Own, ...]] = ("MTZ", "CIF", "PDB")
"""The kinds that need the extra `mx`."""

_OF_REFLECTIONS: Final = ("column", "quantity", "anomalous", "negative_intensities", "missing")
_OF_MODELS: Final = (
    "wavelength_angstrom",
    "k_sol_electrons_per_angstrom3",
    "b_sol_angstrom2",
    "method",
)
_OF_BOTH: Final = ("d_min_angstrom", "d_max_angstrom", "f000", "space_group", "block")
_BELONG: Final[dict[Contents, tuple[tuple[str, ...], str]]] = {
    "P1 table": ((), "h k l F and dumps are read as they are"),
    "reflections": ((*_OF_REFLECTIONS, *_OF_BOTH), "it belongs to atomic models"),
    "model": ((*_OF_MODELS, *_OF_BOTH), "it belongs to files of reflections"),
}
"""Which options a kind of content has, and what to say of the others."""


def read_structure_factors(
    path: str | os.PathLike[str],
    *,
    default_f: float = 0.0,
    column: str | tuple[str, str] | None = None,
    quantity: Quantity | None = None,
    anomalous: bool | None = None,
    negative_intensities: NegativeIntensities | None = None,
    missing: Missing | None = None,
    d_min_angstrom: float | None = None,
    d_max_angstrom: float | None = None,
    f000: float | None = None,
    space_group: str | int | None = None,
    block: str | None = None,
    wavelength_angstrom: float | None = None,
    k_sol_electrons_per_angstrom3: float | None = None,
    b_sol_angstrom2: float | None = None,
    method: Method | None = None,
    quirks: Quirks | None = None,
) -> StructureFactors:
    """Structure factors from a file, by what its first bytes say that it is.

    Text of h k l F and dumps are `read_hkl` and `read_dump`: only `default_f` and `quirks` count.
    The other kinds need gemmi (extra: mx): MTZ, reflections in CIF (mmCIF or small-molecule), and
    atomic models (PDB, mmCIF, small-molecule CIF), which `structure_factors_from_model` describes.
    The result is P1 with Friedel mates; systematic absences are 0, `unique` says which elements are
    tied by symmetry and `report` what was read and assumed.

    default_f: amplitude of everything outside the range of resolution, electrons.
    column: a label, or a pair of labels of both Friedel mates; None: the only column of amplitudes,
        else of intensities; a mean value before a pair.  `quantity`, "amplitude" or "intensity",
        and `anomalous`, True for a pair before a mean value, narrow the choice.
    anomalous: True: Friedel mates are kept apart; False: pairs are averaged; None: apart if the
        columns are a pair.
    negative_intensities: F is the root of I, with no prior distribution (no French and Wilson).
        What is below 0 is "zero" (None: this) or "missing".
    missing: what reflections of the range without an amplitude get: "zero", "default" (default_f)
        or "shell_mean", the mean amplitude of their shell of resolution; None: "default", with a
        warning.  In a pair, a mate that is missing has the other's amplitude.
    d_min_angstrom, d_max_angstrom: the range of resolution; None: as far as the file has
        amplitudes, and without end.  A model needs the first.
    f000: F(000), electrons; None: as listed in a file of reflections, else default_f.
    space_group: counts in place of the file's own.
    block: the name of a CIF block; None: the only one.

    Raises `FileAccessError`, `FileFormatError`, `ConfigError` for an option that is wrong or that a
    file of this kind has not, `ResourceError` and `UnsupportedError` (gemmi is not installed).
    """
    options: dict[str, Any] = {
        "column": column,
        "quantity": quantity,
        "anomalous": anomalous,
        "negative_intensities": negative_intensities,
        "missing": missing,
        "d_min_angstrom": d_min_angstrom,
        "d_max_angstrom": d_max_angstrom,
        "f000": f000,
        "space_group": space_group,
        "block": block,
        "wavelength_angstrom": wavelength_angstrom,
        "k_sol_electrons_per_angstrom3": k_sol_electrons_per_angstrom3,
        "b_sol_angstrom2": b_sol_angstrom2,
        "method": method,
    }
    kind = _kind(path)
    own: Own = "" if kind is None else kind.own
    if own in WITH_GEMMI:
        return _with_gemmi(path, own, default_f, options)
    if kind is not None and kind is not SHELX and own not in ("h k l F", "dump"):
        raise FileFormatError(path, 0, f"is {kind.name}, need {NEEDED}: {kind.advice}")
    read = read_dump if own == "dump" else read_hkl
    table = read(path, default_f=default_f, quirks=quirks)  # whose errors come first
    _require_belonging("P1 table", options)
    return table


def structure_factors_from_model(
    model: str | os.PathLike[str] | gemmi.Structure | gemmi.SmallStructure,
    *,
    d_min_angstrom: float,
    wavelength_angstrom: float | None = None,
    default_f: float = 0.0,
    d_max_angstrom: float | None = None,
    f000: float | None = None,
    k_sol_electrons_per_angstrom3: float | None = None,
    b_sol_angstrom2: float | None = None,
    space_group: str | int | None = None,
    block: str | None = None,
    method: Method | None = None,
) -> StructureFactors:
    """Structure factors calculated from an atomic model (needs gemmi, extra: mx).

    model: a PDB file, an mmCIF file, the CIF of a small molecule, or gemmi's structure.  Of several
        models in a file the first counts.
    d_min_angstrom: every reflection down to it is calculated, to d_max_angstrom if that is given.
    default_f: amplitude beyond, electrons.
    f000: F(000), electrons; None: default_f, because F(000), which `report` has, would outshine
        every other spot.
    wavelength_angstrom: 0.1 to 10; f' and f'' are those of Cromer and Liberman for it, and Friedel
        mates are apart; None: f' = f'' = 0.
    k_sol_electrons_per_angstrom3, b_sol_angstrom2: the flat bulk solvent of a macromolecule; None:
        0.35 and 46; k_sol = 0: none.  Small molecules have none.
    method: "direct" sums over atoms; "fft" transforms their density on a grid, to about 1e-4 of the
        amplitudes; None: the first up to 2e8 terms (atoms x operations x reflections).

    Form factors are those of the International Tables (1992); B factors, anisotropic ones too, and
    occupancies are the model's.  `report` of the result says what was assumed.

    Raises `FileAccessError`, `FileFormatError`, `ConfigError`, `ResourceError` and
    `UnsupportedError` (gemmi is not installed).
    """
    require_gemmi("an atomic model")
    import gemmi

    from nanobragg_hybrid.formats.atomic_model import (
        IN_MEMORY,
        ModelOptions,
        model_of_small_structure,
        model_of_structure,
        structure_factors_of,
    )
    from nanobragg_hybrid.formats.reflection_table import TableOptions
    from nanobragg_hybrid.formats.space_group_symmetry import space_group_of

    table = TableOptions(
        default_f=default_f,
        d_min_angstrom=d_min_angstrom,
        d_max_angstrom=d_max_angstrom,
        f000=f000,
    )
    options = ModelOptions(
        wavelength_angstrom=wavelength_angstrom,
        k_sol_electrons_per_angstrom3=k_sol_electrons_per_angstrom3,
        b_sol_angstrom2=b_sol_angstrom2,
        method=method,
    )
    group = None if space_group is None else space_group_of(space_group)
    atoms: AtomicModel
    if isinstance(model, gemmi.Structure | gemmi.SmallStructure):
        if block is not None:
            raise ConfigError("block", block, "None for a structure")
        name = model.name or "structure"
        if isinstance(model, gemmi.SmallStructure):
            atoms = model_of_small_structure(model, name, IN_MEMORY, group)
        else:
            atoms = model_of_structure(model, name, IN_MEMORY, group)
        return structure_factors_of(atoms, table, options)
    if not isinstance(model, str | os.PathLike):
        raise ConfigError("model", model, "the name of a file, or a structure of gemmi's")
    own = own_kind(model)
    if own == "PDB":
        return structure_factors_of(_pdb(model, group), table, options)
    if own != "CIF":
        with open_binary(model) as file:
            refuse_other_kind(model, file.read(START_BYTES), "an atomic model: PDB or CIF")
        raise FileFormatError(model, 0, "does not begin like an atomic model (PDB or CIF)")
    document, reflections, atom_blocks = _cif(model)
    if not atom_blocks:
        what = "reflections but no atoms" if reflections else "no atoms"
        raise FileFormatError(model, 0, f"has {what}")
    return structure_factors_of(
        _cif_model(model, document, atom_blocks, block, group), table, options
    )


def own_kind(path: str | os.PathLike[str]) -> Own:
    """Which of the kinds that this package reads a regular file is of; "" for what is none."""
    kind = _kind(path)
    return "" if kind is None else kind.own


def _kind(path: str | os.PathLike[str]) -> FileKind | None:
    """The kind of a regular file; None if it is not known, and for a pipe, which must not lose its
    first bytes, or no file at all."""
    with access_errors(path):
        if not Path(path).is_file():
            return None
    with open_binary(path) as file:
        return kind_of(file.read(START_BYTES))


def holds_model(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an atomic model rather than reflections.

    Raises `FileFormatError`, and `UnsupportedError` without gemmi where a CIF has to be read.
    """
    own = own_kind(path)
    if own != "CIF":
        return own == "PDB"
    require_gemmi(f"{os.fspath(path)}: reading {_WORDS[own]}")
    _, reflections, atoms = _cif(path)
    return bool(atoms) and not reflections


def _with_gemmi(
    path: str | os.PathLike[str], own: Own, default_f: float, options: dict[str, Any]
) -> StructureFactors:
    require_gemmi(f"{os.fspath(path)}: reading {_WORDS[own]}")
    from nanobragg_hybrid.formats.space_group_symmetry import space_group_of

    group = None
    if options["space_group"] is not None:
        group = space_group_of(options["space_group"])
    if own == "MTZ":
        return _reflections(path, None, group, default_f, options)
    if own == "PDB":
        return _model(_pdb(path, group), default_f, options)
    document, reflections, atom_blocks = _cif(path)
    asked = options["block"]
    if reflections and atom_blocks and asked is None:
        raise FileFormatError(
            path,
            0,
            f"has reflections (block {' '.join(reflections)}) and atoms (block "
            f"{' '.join(atom_blocks)}): name one of the first (block), or read the atoms with "
            "structure_factors_from_model",
        )
    if reflections:
        return _reflections(path, document, group, default_f, options)
    if atom_blocks:
        return _model(_cif_model(path, document, atom_blocks, asked, group), default_f, options)
    raise FileFormatError(path, 0, "has no reflections and no atoms")


_WORDS: Final[dict[Own, str]] = {"MTZ": "an MTZ file", "CIF": "a CIF file", "PDB": "a PDB file"}


def _reflections(
    path: str | os.PathLike[str],
    document: cif.Document | None,
    group: gemmi.SpaceGroup | None,
    default_f: float,
    options: dict[str, Any],
) -> StructureFactors:
    from nanobragg_hybrid.formats.mtz import read_mtz_columns
    from nanobragg_hybrid.formats.reflection_cif import read_cif_columns
    from nanobragg_hybrid.formats.reflection_columns import ColumnOptions
    from nanobragg_hybrid.formats.reflection_table import TableOptions, table_of_listed

    _require_belonging("reflections", options)
    columns = ColumnOptions(
        column=options["column"],
        quantity=options["quantity"],
        anomalous=options["anomalous"],
        negative_intensities=options["negative_intensities"] or "zero",
    )
    table = TableOptions(
        default_f=default_f,
        missing=options["missing"],
        d_min_angstrom=options["d_min_angstrom"],
        d_max_angstrom=options["d_max_angstrom"],
        f000=options["f000"],
    )
    if document is None:
        if options["block"] is not None:
            raise ConfigError("block", options["block"], "None for an MTZ file")
        listed = read_mtz_columns(path, columns, group)
    else:
        listed = read_cif_columns(path, document, columns, group, options["block"])
    apart = listed.has_mates if columns.anomalous is None else columns.anomalous
    try:
        return table_of_listed(listed, table, anomalous=apart)
    except ConfigError as error:
        if error.field in ("reflections", "cell"):  # what the file says, no option
            raise FileFormatError(path, 0, str(error)) from None
        raise


def _model(model: AtomicModel, default_f: float, options: dict[str, Any]) -> StructureFactors:
    from nanobragg_hybrid.formats.atomic_model import ModelOptions, structure_factors_of
    from nanobragg_hybrid.formats.reflection_table import TableOptions

    _require_belonging("model", options)
    table = TableOptions(
        default_f=default_f,
        d_min_angstrom=options["d_min_angstrom"],
        d_max_angstrom=options["d_max_angstrom"],
        f000=options["f000"],
    )
    return structure_factors_of(
        model, table, ModelOptions(**{name: options[name] for name in _OF_MODELS})
    )


def _pdb(path: str | os.PathLike[str], group: gemmi.SpaceGroup | None) -> AtomicModel:
    from nanobragg_hybrid.formats.atomic_model import model_of_pdb

    return model_of_pdb(path, read_bytes(path), group)


def _cif(path: str | os.PathLike[str]) -> tuple[cif.Document, list[str], list[str]]:
    """The document, the names of its blocks with reflections, and of those with atoms."""
    from gemmi import cif

    from nanobragg_hybrid.formats.reflection_cif import reflection_blocks

    data = read_bytes(path)
    with gemmi_errors(path, "cannot be read as a CIF file"):
        document = cif.read_string(data)
        atoms = [
            block.name
            for block in document
            if block.find_loop("_atom_site.Cartn_x") or block.find_loop("_atom_site_fract_x")
        ]
        return document, reflection_blocks(document), atoms


def _cif_model(
    path: str | os.PathLike[str],
    document: cif.Document,
    names: list[str],
    asked: str | None,
    group: gemmi.SpaceGroup | None,
) -> AtomicModel:
    from nanobragg_hybrid.formats.atomic_model import model_of_mmcif, model_of_small_cif

    if asked is not None and asked not in names:
        raise ConfigError("block", asked, f"a block with atoms: {' '.join(names)}")
    if asked is None and len(names) > 1:
        raise FileFormatError(
            path, 0, f"has {len(names)} blocks of atoms: {' '.join(names)}: name one (block)"
        )
    name = asked or names[0]
    read = model_of_mmcif if document[name].find_loop("_atom_site.Cartn_x") else model_of_small_cif
    return read(path, document, name, group)


def _require_belonging(contents: Contents, options: dict[str, Any]) -> None:
    """Raises `ConfigError` for an option that a file of such contents has not."""
    names, reason = _BELONG[contents]
    for name, value in options.items():
        if value is not None and name not in names:
            raise ConfigError(name, value, f"None: {reason}")
