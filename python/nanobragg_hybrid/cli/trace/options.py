"""The options of `nb-trace`, and which of them go together."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.cli.tool import EXIT_STATUS, ToolParser
from nanobragg_hybrid.compare.traces import RTOL
from nanobragg_hybrid.engines.registry import available_backends

_EPILOG: Final = f"""\
examples:
  nb-trace --pixel 33 31 --backends c torch -- -cell 70 80 90 75 85 95 -default_F 100 \\
      -lambda 1 -distance 100 -detpixels 64 -pixel 0.4 -N 5
  nb-trace --compare c torch --pixel 33 31 --outdir found -- ARGS
  nb-trace --compare c c --quirks-b nanobragg,-phi_carryover --phi --pixel 33 31 -- ARGS
  nb-trace --compare theirs.log c --pixel 33 31 -- ARGS
  nb-trace --compare old.txt new.txt

A and B are backends ({", ".join(available_backends())}) or files with lines like
'TRACE_C: name values' (a log does; FILE:PY takes the lines TRACE_PY of a file that has several
kinds) or what --format json wrote.  ARGS is a nanoBragg command line, to which --experiment,
--image, --panel and --column of the command nanoBragg may be added.

{EXIT_STATUS}
"""


def trace_parser() -> argparse.ArgumentParser:
    parser = ToolParser(
        prog="nb-trace",
        usage="nb-trace --pixel F S [options] -- ARGS\n"
        "       nb-trace --compare A B [options] [--pixel F S] [-- ARGS]",
        description="Print the whole chain of numbers behind a pixel, or compare two such chains "
        "to the first number that differs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    pixel = parser.add_argument_group("which pixel, and which step of its sum (counted from 0)")
    pixel.add_argument("--pixel", nargs=2, type=int, metavar=("F", "S"), help="fast, slow")
    pixel.add_argument(
        "--scan",
        nargs=4,
        type=int,
        metavar=("F0", "F1", "S0", "S1"),
        help="every pixel of a region, both ends included",
    )
    pixel.add_argument("--phi", action="store_true", help="every phi step")
    for name, what in (
        ("source", "source"),
        ("phi-step", "phi step"),
        ("domain", "mosaic domain"),
        ("layer", "sensor layer"),
    ):
        pixel.add_argument(f"--{name}", type=int, metavar="N", help=f"this {what} (the first)")
    pixel.add_argument(
        "--subpixel", nargs=2, type=int, metavar=("F", "S"), help="this sub-pixel (the first)"
    )
    who = parser.add_argument_group("who computes")
    who.add_argument(
        "--backends",
        nargs="+",
        choices=available_backends(),
        metavar="B",
        help="any of " + ", ".join(available_backends()) + " (c)",
    )
    who.add_argument("--quirks", metavar="Q", help="like none,+phi_carryover (all on)")
    who.add_argument(
        "--c-bin", metavar="PATH", help="executable of 'reference', instead of NB_C_BIN"
    )
    compare = parser.add_argument_group("comparison")
    compare.add_argument("--compare", nargs=2, metavar=("A", "B"), help="backends or files")
    compare.add_argument("--quirks-a", metavar="Q", help="quirks of A alone")
    compare.add_argument("--quirks-b", metavar="Q", help="quirks of B alone")
    compare.add_argument(
        "--rtol", type=float, metavar="R", help=f"relative difference that is let pass ({RTOL:g})"
    )
    compare.add_argument(
        "--outdir", metavar="DIR", help="write metrics.json and summary.md into this folder"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="(text)")
    return parser


def check_trace_usage(
    parser: argparse.ArgumentParser, asked: argparse.Namespace, args: Sequence[str]
) -> None:
    """Ends the program, as argparse does, if options do not go together."""

    def refuse(names: Sequence[str], where: str) -> None:
        for name in names:
            if getattr(asked, name) not in (None, False):
                parser.error(f"--{name.replace('_', '-')} does not go with {where}")

    if asked.phi:
        refuse(("phi_step",), "--phi")
    if asked.compare is None:
        refuse(("quirks_a", "quirks_b", "rtol", "outdir"), "printing: it belongs to --compare")
        if not args:
            parser.error("need a nanoBragg command line after --")
        if (asked.pixel is None) == (asked.scan is None):
            parser.error("need one of --pixel F S and --scan F0 F1 S0 S1")
        if asked.scan is not None and not (
            asked.scan[0] <= asked.scan[1] and asked.scan[2] <= asked.scan[3]
        ):
            parser.error(f"--scan: got {asked.scan}, need F0 <= F1 and S0 <= S1")
        return
    refuse(("scan", "backends"), "--compare")
    renders = [origin in available_backends() for origin in asked.compare]
    if any(renders) and not args:
        parser.error("need a nanoBragg command line after --")
    if any(renders) and asked.pixel is None:
        parser.error("need --pixel F S")
    if not any(renders):
        steps = ("phi", "source", "phi_step", "domain", "layer", "subpixel", "c_bin", "quirks")
        refuse(steps, "two files")
        if args:
            parser.error("two files need no command line after --")
    for name, is_backend in zip(("quirks_a", "quirks_b"), renders, strict=True):
        if not is_backend:
            refuse((name,), "a file")
