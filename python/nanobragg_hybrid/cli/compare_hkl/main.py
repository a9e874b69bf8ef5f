"""The command `nb-compare-hkl`: structure factors of files, and as the engines hold them."""

from __future__ import annotations

import argparse
import hashlib
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.atomic import AtomicFiles
from nanobragg_hybrid.base.errors import CommandLineError, NanobraggWarning
from nanobragg_hybrid.cli.json_text import json_text
from nanobragg_hybrid.cli.nanobragg.outputs import check_outputs
from nanobragg_hybrid.cli.tool import (
    AGREE,
    DIVERGED,
    EXIT_STATUS,
    ToolParser,
    prepare_process,
    run_tool,
    say,
)
from nanobragg_hybrid.compare.structure_factors import (
    Lookup,
    TableComparison,
    compare_tables,
    table_document,
    table_lines,
)
from nanobragg_hybrid.engines.registry import make_engine
from nanobragg_hybrid.formats.dump import read_dump
from nanobragg_hybrid.formats.hkl import read_hkl
from nanobragg_hybrid.formats.text import read_bytes, write_text
from nanobragg_hybrid.model.quirks import Quirks

if TYPE_CHECKING:
    from nanobragg_hybrid.model.structure_factors import StructureFactors

PROG: Final = "nb-compare-hkl"
_REPORT, _METRICS = "report", "metrics"
_SUFFIXES: Final = ("", "_b")  # of the first and the second file of a kind
_ENGINES: Final = ("c", "torch")
_EPILOG: Final = f"""\
examples:
  nb-compare-hkl --hkl P1.hkl --fdump Fdump.bin --out report.md --metrics metrics.json
  nb-compare-hkl --hkl ours.hkl theirs.hkl
  nb-compare-hkl --hkl P1.hkl --engines c torch

Two files are compared, of the same kind or not.  With --engines the
table of the first is given to both engines, and they are asked for the amplitude of every
reflection in its bounds and one index beyond.

{EXIT_STATUS}
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; `argv` is without the program's name.  Returns the exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = compare_hkl_parser()
    asked = parser.parse_args(arguments)
    count = len(asked.hkl) + len(asked.fdump)
    if not 1 <= count <= 2:
        parser.error(f"need one or two files after --hkl and --fdump, got {count}")
    if count == 1 and asked.engines is None:
        parser.error("need two files after --hkl and --fdump, or --engines")
    command = shlex.join([PROG, *arguments])
    return run_tool(PROG, lambda: _compare(asked, command))


def console() -> NoReturn:
    """The console script."""
    prepare_process()
    sys.exit(main())


def compare_hkl_parser() -> argparse.ArgumentParser:
    parser = ToolParser(
        prog=PROG,
        description="Compare structure factors: two files of any kind that is read, and what two "
        "engines make of them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    for name, text in (
        ("--hkl", "text of h k l F, MTZ, CIF or an atomic model; one or two"),
        ("--fdump", "binary dump, as written beside -hkl; one or two"),
    ):
        parser.add_argument(name, nargs="+", action="extend", default=[], metavar="FILE", help=text)
    parser.add_argument(
        "--engines", nargs=2, choices=_ENGINES, metavar=("A", "B"), help="two of c, torch"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="T",
        help="difference of F that is let pass (%(default)g)",
    )
    parser.add_argument(
        "--default-f",
        type=float,
        default=0.0,
        metavar="F",
        help="of reflections that are not listed (%(default)g)",
    )
    parser.add_argument(
        "--column",
        metavar="LABEL",
        help="of --hkl with MTZ or CIF: this column; two labels with a comma are a pair",
    )
    parser.add_argument(
        "--d-min",
        type=float,
        metavar="ANGSTROM",
        help="of --hkl with MTZ, CIF or a model (which needs it): down to this resolution",
    )
    parser.add_argument("--quirks", default="nanobragg", metavar="Q", help="how files are read")
    parser.add_argument("--out", metavar="FILE", help="write the report, Markdown")
    parser.add_argument("--metrics", metavar="FILE", help="write what was found as JSON")
    return parser


def _compare(asked: argparse.Namespace, command: str) -> int:
    quirks = Quirks.parse(asked.quirks)
    tables = _read(asked, quirks)
    files = _files(asked)
    check_outputs(_outputs(asked), [Path(path) for path in files.values()])
    named = {"hkl": None, "fdump": None, **files}
    hashes = {
        f"{name}_sha256": None if path is None else hashlib.sha256(read_bytes(path)).hexdigest()
        for name, path in named.items()
    }
    found: list[TableComparison] = []
    if len(tables) == 2:
        (name_a, a), (name_b, b) = tables
        found.append(compare_tables(a, b, tolerance=asked.tolerance, names=(name_a, name_b)))
    if asked.engines is not None:
        name_a, name_b = asked.engines
        table = tables[0][1]
        lookups = (_lookup(name_a, table), _lookup(name_b, table))
        found.append(
            compare_tables(
                table, table, tolerance=asked.tolerance, names=(name_a, name_b), lookups=lookups
            )
        )
    agree = all(item.agree for item in found)
    lines = ["# Structure factors", ""]
    for item in found:
        lines += [*table_lines(item), ""]
    document = {
        "format": "nanobragg-hybrid structure factor comparison",
        "schema_version": 1,
        "version": __version__,
        "command": command,
        "quirks": str(quirks),
        **named,
        **hashes,
        "agree": agree,
        "comparisons": [table_document(item) for item in found],
    }
    _write(asked, "\n".join(lines), document)
    print("\n".join(lines), end="")
    return AGREE if agree else DIVERGED


def _files(asked: argparse.Namespace) -> dict[str, str]:
    """The files that were named, by what they are called in what is found."""
    return {
        f"{kind}{suffix}": path
        for kind in ("hkl", "fdump")
        for suffix, path in zip(_SUFFIXES, getattr(asked, kind), strict=False)
    }


def _read(asked: argparse.Namespace, quirks: Quirks) -> list[tuple[str, StructureFactors]]:
    """The tables of the files that were named."""
    tables = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NanobraggWarning)
        for name, path in _files(asked).items():
            tables.append((name, _table(name, path, asked, quirks)))
    for warning in caught:
        say(PROG, f"warning: {warning.message}")
    return tables


def _table(name: str, path: str, asked: argparse.Namespace, quirks: Quirks) -> StructureFactors:
    """One of them; --hkl also reads what needs gemmi: MTZ, CIF, atomic models."""
    if name.startswith("fdump"):
        return read_dump(path, default_f=asked.default_f, quirks=quirks)
    from nanobragg_hybrid.formats.any_structure_factors import (
        WITH_GEMMI,
        own_kind,
        read_structure_factors,
    )

    if own_kind(path) not in WITH_GEMMI:
        if asked.column is not None or asked.d_min is not None:
            option = "--column" if asked.column is not None else "--d-min"
            raise CommandLineError(f"{option}: {path} is neither MTZ nor CIF nor a model")
        return read_hkl(path, default_f=asked.default_f, quirks=quirks)
    column = asked.column
    if column is not None and "," in column:
        column = tuple(part.strip() for part in column.split(","))
    return read_structure_factors(
        path, default_f=asked.default_f, column=column, d_min_angstrom=asked.d_min
    )


def _lookup(engine: str, table: StructureFactors) -> Lookup:
    """What an engine that holds this table says about whole indices."""
    backend = make_engine(engine)
    return lambda hkl: backend.structure_factors_at(table, hkl)


def _outputs(asked: argparse.Namespace) -> dict[str, Path]:
    """The files to be written, by what they hold."""
    named = {_REPORT: asked.out, _METRICS: asked.metrics}
    return {kind: Path(path) for kind, path in named.items() if path is not None}


def _write(asked: argparse.Namespace, report: str, document: dict[str, Any]) -> None:
    texts = {_REPORT: report, _METRICS: json_text(document)}
    with AtomicFiles() as files:
        for kind, path in _outputs(asked).items():
            with files.write(path) as file:
                write_text(file, texts[kind])


if __name__ == "__main__":
    console()
