"""The options of `nb-compare`, and which of them go together."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, Final

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import CommandLineError, how_to_install
from nanobragg_hybrid.cli.nanobragg.options import tolerance_of
from nanobragg_hybrid.cli.tool import ToolParser
from nanobragg_hybrid.engines.registry import available_backends

_EXAMPLES: Final = """\
examples:
  nb-compare -- -cell 70 80 90 75 85 95 -default_F 100 -lambda 1 -distance 100 -detpixels 256 -N 5
  NB_C_BIN=~/bin/nanoBragg nb-compare --b c --max-ulp 0 -- -mat A.mat -hkl P1.hkl -lambda 1 -N 20
  nb-compare --a c --b c --quirks-b nanobragg,-phi_carryover --roi 90 140 60 110 -- ARGS
  nb-compare --c-bin ~/bin/nanoBragg --py-bin ~/bin/theirs --outdir found -- ARGS
  nb-compare --files ours.bin theirs.bin --shape 2463 2527
  nb-compare --files still_1.cbf still_2.cbf --panel ARRAY_D0Q0S0A0
  nb-compare --measured frame.cbf --b c --threshold 0.9 -- -mat A.mat -hkl P1.hkl -lambda 1 -N 20
  nb-compare --suite commands.txt --a c --b torch

ARGS is a nanoBragg command line, to which --experiment, --image, --panel and --column of the
command nanoBragg may be added.

exit status: 0 the criteria are met; 1 usage; 2 a side could not be rendered; 3 a criterion is not
met; 4 the shapes differ (and no --resample); 5 a file cannot be read or written.
"""


def _photons(word: str) -> float:
    try:
        return tolerance_of(word)
    except CommandLineError:
        raise argparse.ArgumentTypeError(f"got {word!r}, need a finite number >= 0") from None


class UsageProblemError(CommandLineError):
    """Options that do not go together."""


def compare_parser() -> argparse.ArgumentParser:
    parser = ToolParser(
        prog="nb-compare",
        usage="nb-compare [options] -- ARGS\n"
        "       nb-compare [options] --files A B\n"
        "       nb-compare [options] --measured A -- ARGS\n"
        "       nb-compare [options] --suite golden|FILE",
        description="Render a nanoBragg command line (ARGS) twice and compare the images; or "
        "compare two image files; or do that for many command lines.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    backends = available_backends()
    specs = parser.add_argument_group("who renders")
    specs.add_argument(
        "--a", choices=backends, help="default: reference if NB_C_BIN is set, else c"
    )
    specs.add_argument("--b", choices=backends, help="default: torch; for --suite golden: c")
    specs.add_argument("--quirks", metavar="Q", help="like none,+phi_carryover (all on)")
    specs.add_argument("--quirks-a", metavar="Q", help="the same for A alone")
    specs.add_argument("--quirks-b", metavar="Q", help="the same for B alone")
    specs.add_argument(
        "--c-bin", metavar="PATH", help="executable of the side 'reference', instead of NB_C_BIN"
    )
    specs.add_argument(
        "--py-bin",
        metavar="PATH",
        help="a second executable that takes nanoBragg's words: it is B, and B is 'reference'",
    )
    specs.add_argument(
        "--tolerance",
        type=_photons,
        metavar="PHOTONS",
        help="of B, which is 'c' or 'torch': leave out steps with less light in all (0)",
    )
    specs.add_argument("--device", help="of the side 'torch': cpu, cuda, cuda:1, auto")
    specs.add_argument("--dtype", help="of the side 'torch': float64, float32")
    specs.add_argument("--threads", type=int, metavar="N", help="of each engine (all cores)")
    what = parser.add_argument_group("what is compared")
    what.add_argument(
        "--roi",
        type=int,
        nargs=4,
        metavar=("XMIN", "XMAX", "YMIN", "YMAX"),
        help="compare these pixels only, both ends included, if the image has them; to render no "
        "others, put a -roi into ARGS as well",
    )
    what.add_argument(
        "--files",
        nargs=2,
        metavar=("A", "B"),
        help="compare files: SMV, PGM, raw floats, CBF, NXmx, TIFF; panel by panel, without the "
        "pixels that cannot be used",
    )
    what.add_argument(
        "--measured",
        metavar="A",
        help="compare this file, its counts as photons, with what B renders of ARGS",
    )
    what.add_argument("--panel", metavar="NAME", help="of files with several: this panel alone")
    what.add_argument(
        "--frame", type=int, metavar="N", help="of files with several: this frame, from 0 (0)"
    )
    what.add_argument(
        "--shape",
        type=int,
        nargs=2,
        metavar=("FAST", "SLOW"),
        help="of raw floats; default: that of the other file, or square",
    )
    what.add_argument(
        "--resample", action="store_true", help="bring B to the shape of A, sharing photons by area"
    )
    judge = parser.add_argument_group("criteria (default: --max-l2 1e-6)")
    judge.add_argument("--max-l2", type=float, metavar="X", help="relative L2 at most")
    judge.add_argument("--max-ulp", type=int, metavar="N", help="units in the last place at most")
    judge.add_argument("--threshold", type=float, metavar="T", help="correlation at least")
    judge.add_argument(
        "--allow-dark",
        action="store_true",
        help="images in which no pixel is lit may be the same: else there is nothing to compare, "
        "which fails",
    )
    out = parser.add_argument_group("what is written")
    out.add_argument(
        "--outdir",
        metavar="DIR",
        help="write into this folder if it is new or empty, else into a new one in it (a new one "
        "here)",
    )
    out.add_argument("--json", action="store_true", help="print the summary as JSON")
    out.add_argument("--save-diff", action="store_true", help="also write B - A as raw floats")
    out.add_argument(
        "--png-scale",
        type=float,
        default=99.5,
        metavar="PCTL",
        help="percentile of the lit pixels that is drawn black (default: %(default)s)",
    )
    out.add_argument("--no-pictures", action="store_true", help="no PNG files; needs no Pillow")
    suite = parser.add_argument_group("suites")
    suite.add_argument(
        "--suite",
        metavar="FILE",
        help="text with a command line on each line, or a JSON list; 'golden': recorded images",
    )
    suite.add_argument("--golden", metavar="DIR", help="folder of the recorded images")
    suite.add_argument("--limit", type=int, metavar="N", help="the first N cases only")
    suite.add_argument("--select", nargs="+", metavar="NAME", help="these cases only")
    return parser


def check_usage(asked: argparse.Namespace, args: Sequence[str]) -> None:
    """Raises `UsageProblemError` for options that do not go together and numbers out of range."""
    ways = [bool(args), asked.files is not None, asked.suite is not None]
    if sum(ways) != 1:
        raise UsageProblemError("need one of: -- and a nanoBragg command line, --files, --suite")
    rendering = (
        "a",
        "b",
        "quirks",
        "quirks_a",
        "quirks_b",
        "c_bin",
        "py_bin",
        "tolerance",
        "device",
        "dtype",
        "threads",
    )
    suite_only, files_only = ("golden", "limit", "select"), ("shape",)
    one_only = ("roi", "resample", "save_diff", "measured", "panel", "frame")
    if asked.files is not None:
        _refuse(asked, (*rendering, *suite_only, "measured"), "--files")
    elif asked.suite is not None:
        _refuse(asked, (*files_only, *one_only), "--suite")
        if asked.suite == "golden":
            _refuse(asked, ("a", "quirks_a"), "--suite golden, whose A is the recorded image")
        else:
            _refuse(asked, ("golden",), "a --suite of one's own")
    else:
        _refuse(asked, (*suite_only, *files_only), "a command line")
        if asked.measured is None:
            _refuse(asked, ("panel", "frame"), "a command line without --measured")
        else:
            _refuse(asked, ("a", "quirks_a"), "--measured, which is A")
    rules: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
        ("limit", lambda n: n >= 1, "a number >= 1"),
        ("max_l2", lambda x: x >= 0.0, "a number >= 0"),
        ("max_ulp", lambda n: n >= 0, "a number >= 0"),
        ("threshold", lambda x: -1.0 <= x <= 1.0, "a correlation, -1 to 1"),
        ("png_scale", lambda x: 0.0 < x <= 100.0, "a percentile above 0, up to 100"),
        ("shape", lambda pair: min(pair) >= 1, "two numbers >= 1"),
        ("frame", lambda n: n >= 0, "a number >= 0"),
    )
    for name, is_right, rule in rules:
        value = getattr(asked, name)
        if value is not None and not is_right(value):
            raise UsageProblemError(f"{option_name(name)}: got {value}, need {rule}")


def _refuse(asked: argparse.Namespace, names: Sequence[str], where: str) -> None:
    for name in names:
        if getattr(asked, name) not in (None, False):
            raise UsageProblemError(f"{option_name(name)}: does not go with {where}")


def option_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def require_pillow() -> None:
    if importlib.util.find_spec("PIL") is None:
        raise UsageProblemError(
            f"pictures need Pillow: {how_to_install('png')}, or give --no-pictures"
        )
