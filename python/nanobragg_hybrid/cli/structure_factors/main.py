"""The command `nanobragg-hybrid structure-factors`: from any file to text, a dump or MTZ."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.errors import CommandLineError, NanobraggWarning

if TYPE_CHECKING:
    from nanobragg_hybrid.model.structure_factors import StructureFactors

_ENDINGS: Final = {".hkl": "text", ".txt": "text", ".bin": "dump", ".dump": "dump", ".mtz": "MTZ"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's words."""
    parser.add_argument(
        "input", metavar="IN", help="MTZ, CIF (reflections or atoms), PDB, text of h k l F, dump"
    )
    parser.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        help="file to write: .hkl or .txt text of h k l F, .bin or .dump a dump, .mtz MTZ; "
        "without it only the summary is printed",
    )
    both = parser.add_argument_group("range and symmetry")
    both.add_argument("--d-min", type=float, metavar="ANGSTROM", help="resolution limit")
    both.add_argument("--d-max", type=float, metavar="ANGSTROM", help="low-resolution limit")
    both.add_argument("--f000", type=float, metavar="F", help="F(000), electrons")
    both.add_argument("--default-f", type=float, metavar="F", help="beyond the range (default: 0)")
    both.add_argument("--space-group", metavar="NAME", help="in place of the file's own")
    both.add_argument("--block", metavar="NAME", help="block of a CIF")
    reflections = parser.add_argument_group("files of reflections")
    reflections.add_argument(
        "--column", metavar="LABEL[,LABEL]", help="column, or those of both Friedel mates"
    )
    reflections.add_argument(
        "--quantity", choices=("amplitude", "intensity"), help="type of the column"
    )
    reflections.add_argument(
        "--anomalous",
        action=argparse.BooleanOptionalAction,
        help="keep Friedel mates apart, or average them (default: apart if the columns are a pair)",
    )
    reflections.add_argument(
        "--negative-intensities",
        choices=("zero", "missing"),
        help="what intensities below 0 are (default: zero)",
    )
    reflections.add_argument(
        "--missing",
        choices=("zero", "default", "shell_mean"),
        help="what missing reflections are (default: default_f, with a warning)",
    )
    models = parser.add_argument_group("atomic models")
    models.add_argument(
        "--wavelength", type=float, metavar="ANGSTROM", help="f' and f'' are those for it"
    )
    models.add_argument("--k-sol", type=float, metavar="K", help="electrons/angstrom^3 (0.35)")
    models.add_argument("--b-sol", type=float, metavar="B", help="angstrom^2 (46)")
    models.add_argument("--method", choices=("direct", "fft"), help="how atoms are summed")


def structure_factors(arguments: argparse.Namespace) -> Iterator[str]:
    """Reads, writes, and then the lines of the summary.  Raises errors of the package."""
    out = None if arguments.out is None else Path(arguments.out)
    if out is not None:
        from nanobragg_hybrid.cli.nanobragg.outputs import check_outputs

        if out.suffix.lower() not in _ENDINGS:
            known = " ".join(_ENDINGS)
            raise CommandLineError(
                f"--out: got {arguments.out!r}, need a name that ends in {known}"
            )
        check_outputs({"structure factors": out}, [Path(arguments.input)])
    table = _read(arguments)
    if table.report is not None:
        yield from table.report.lines()
    yield from _table_lines(table)
    if out is not None:
        _write(out, table)
        yield f"written         {out}"


def _write(out: Path, table: StructureFactors) -> None:
    from nanobragg_hybrid.formats.dump import write_dump
    from nanobragg_hybrid.formats.hkl import write_hkl
    from nanobragg_hybrid.formats.mtz import write_mtz

    kind = _ENDINGS[out.suffix.lower()]
    write = write_hkl if kind == "text" else write_dump if kind == "dump" else write_mtz
    write(out, table)


def _read(arguments: argparse.Namespace) -> StructureFactors:
    from nanobragg_hybrid.formats.any_structure_factors import read_structure_factors

    column: Any = arguments.column
    if column is not None and "," in column:
        column = tuple(part.strip() for part in column.split(","))
    group: str | int | None = arguments.space_group
    if isinstance(group, str) and group.isdecimal():
        group = int(group)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NanobraggWarning)
        try:
            return read_structure_factors(
                arguments.input,
                default_f=0.0 if arguments.default_f is None else arguments.default_f,
                column=column,
                quantity=arguments.quantity,
                anomalous=arguments.anomalous,
                negative_intensities=arguments.negative_intensities,
                missing=arguments.missing,
                d_min_angstrom=arguments.d_min,
                d_max_angstrom=arguments.d_max,
                f000=arguments.f000,
                space_group=group,
                block=arguments.block,
                wavelength_angstrom=arguments.wavelength,
                k_sol_electrons_per_angstrom3=arguments.k_sol,
                b_sol_angstrom2=arguments.b_sol,
                method=arguments.method,
            )
        finally:
            for warning in caught:
                print(f"nanobragg-hybrid: warning: {warning.message}", file=sys.stderr)


def _table_lines(table: StructureFactors) -> Iterator[str]:
    pairs = zip("hkl", table.hkl_min, table.hkl_max, strict=True)
    bounds = ", ".join(f"{name} {low} to {high}" for name, low, high in pairs)
    yield f"table of P1     {bounds}"
    yield f"default F       {table.default_f:g} electrons"
