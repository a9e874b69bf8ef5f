"""The words of the command `nanobragg-hybrid`."""

from __future__ import annotations

import argparse
import os
from typing import Any, Final

from nanobragg_hybrid._version import __version__
from nanobragg_hybrid.base.errors import suggestion
from nanobragg_hybrid.cli.converge.main import add_arguments as add_converge_arguments
from nanobragg_hybrid.cli.series.arguments import add_arguments as add_series_arguments
from nanobragg_hybrid.cli.structure_factors.main import add_arguments
from nanobragg_hybrid.cli.view.main import add_arguments as add_view_arguments

PROGRAMS: Final = ("nanoBragg", "nanobragg-hybrid", "nb-compare", "nb-compare-hkl", "nb-trace")
"""What the package installs."""


class _Formatter(argparse.HelpFormatter):
    """Wraps descriptions, but no example: one can be copied into a shell as it stands."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example:") else super()._fill_text(text, width, indent)


class _Command(argparse.ArgumentParser):
    """The words of one command; `example` is a line for a shell, or several."""

    def __init__(self, *, example: str, **settings: Any) -> None:
        epilog = "example:\n  " + example.replace("\n", "\n    ")
        super().__init__(epilog=epilog, formatter_class=_Formatter, **settings)


class _Umbrella(argparse.ArgumentParser):
    """Of a word that is no command it says which one may be meant."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            known = tuple(action.choices)
            rule = f"got {value}, need one of {', '.join(known)}{suggestion(value, known)}"
            raise argparse.ArgumentError(action, rule)
        super()._check_value(action, value)


def umbrella_parser() -> argparse.ArgumentParser:
    """The command's words."""
    parser = _Umbrella(
        prog="nanobragg-hybrid",
        description="Diffraction images of crystals: what goes beside the command nanoBragg, which "
        "makes an image.",
        epilog="Options of a command: nanobragg-hybrid COMMAND --help.  The other programs: "
        "nanoBragg, nb-compare, nb-compare-hkl, nb-trace.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", title="commands", parser_class=_Command
    )
    demo = commands.add_parser(
        "demo",
        help="render a picture of an invented crystal",
        description="Render 3 degrees of rotation of a small invented crystal, 800 x 800 pixels, "
        "into a PNG file.  Needs Pillow (the extra png).",
        example="nanobragg-hybrid demo --out demo.png",
    )
    demo.add_argument("--out", default="demo.png", help="PNG file to write (default: %(default)s)")
    demo.add_argument(
        "--backend", default="c", help="what renders it: c, torch, reference (default: %(default)s)"
    )
    demo.add_argument(
        "--quirks", default="nanobragg", metavar="LIST", help="preset and toggles (default: all on)"
    )
    commands.add_parser(
        "info",
        help="print versions and how the compiled core was built",
        description="Print what a report of a fault should have: versions of the package, of "
        "Python and of the libraries that it uses, and which of those are missing; compiler, "
        "processor, memory, and the kernel that runs here.",
        example="nanobragg-hybrid info",
    )
    data = commands.add_parser(
        "data",
        help="say where the files are that come with the package",
        description="Print the path of a file that comes with the package; without a name, list "
        "them all.",
        example='nanoBragg -hkl "$(nanobragg-hybrid data demo.hkl)" -cell 30 34 38 90 90 90 -N 10',
    )
    data.add_argument("name", nargs="?", metavar="NAME", help="a file's name")
    shells = commands.add_parser(
        "completion",
        help="print a script that completes words of all programs in a shell",
        description="Print a script that lets a shell complete the options, commands and files of "
        "all programs of this package.  Put the example's line into the shell's start file "
        "(~/.bashrc, ~/.zshrc; fish reads ~/.config/fish/completions).",
        example='eval "$(nanobragg-hybrid completion bash)"',
    )
    shells.add_argument("shell", choices=("bash", "zsh", "fish"), help="whose script")
    page = commands.add_parser(
        "man",
        help="print the manual page of a program",
        description="Print the manual page of a program of this package, for the command man.",
        example="nanobragg-hybrid man nanoBragg | man -l -",
    )
    page.add_argument("program", metavar="PROGRAM", help=", ".join(PROGRAMS))
    quirks = commands.add_parser(
        "quirks",
        help="list nanoBragg's quirks, or show what they do to an image",
        usage="%(prog)s [--quirks LIST] "
        "[--explain [--pixel FAST SLOW] [--json FILE] [--out FILE] -- ARGS]",
        description="List nanoBragg's quirks.  With --explain, render the nanoBragg command line "
        "ARGS, and again for each quirk that could have changed its image, with that quirk off.",
        example="nanobragg-hybrid quirks --explain -- -mat A.mat -hkl P1.hkl -osc 1 -N 5",
    )
    quirks.add_argument("--explain", action="store_true", help="render ARGS, which follow --")
    quirks.add_argument(
        "--quirks",
        metavar="LIST",
        help="preset and toggles: which are on; with --explain, the same as among ARGS",
    )
    quirks.add_argument(
        "--pixel",
        nargs=2,
        type=int,
        action="append",
        metavar=("FAST", "SLOW"),
        help="also look at this pixel (may be given again)",
    )
    quirks.add_argument("--json", metavar="FILE", help="write what was found for scripts")
    quirks.add_argument("--out", metavar="FILE", help="PNG file: which pixels change, and by what")
    add = commands.add_parser(
        "add",
        help="sum raw float images (-floatfile) with weights",
        description="Sum float images of one size, pixel by pixel, each times its weight: images "
        "of parts of a beam or of several crystals.",
        example="nanobragg-hybrid add --weight 0.7 --weight 0.3 first.bin second.bin --out sum.bin",
    )
    add.add_argument("images", nargs="+", metavar="IMAGE", help="32-bit floats, all of one size")
    add.add_argument(
        "--weight",
        type=float,
        action="append",
        metavar="W",
        help="factor of an image; given once for each, in their order, or not at all",
    )
    add.add_argument("--out", required=True, metavar="FILE", help="float image to write")
    bench = commands.add_parser(
        "bench",
        help="measure how fast this machine renders",
        description="Measure what a step of a pixel's sum costs on this machine, by kernel and "
        "kind of image, and with all threads.",
        example="nanobragg-hybrid bench --quick",
    )
    bench.add_argument(
        "--quick", action="store_true", help="small images and few runs: a few seconds"
    )
    bench.add_argument("--runs", type=int, metavar="N", help="runs of each (default: 5; quick: 2)")
    bench.add_argument("--json", metavar="FILE", help="write the figures for scripts")
    bench.add_argument(
        "--c-bin",
        metavar="FILE",
        default=os.environ.get("NB_C_BIN"),
        help="compare whole runs with this executable, in turn (default: the variable NB_C_BIN)",
    )

    add_converge_arguments(
        commands.add_parser(
            "converge",
            help="how many domains, phi steps, sub-pixels, wavelengths an image needs",
            usage="%(prog)s [--tolerance PERCENT] [--most N] [--json FILE] -- ARGS",
            description="Render the nanoBragg command line ARGS with 1, 2, 4, ... mosaic domains, "
            "phi steps, sub-pixels, wavelengths and directions until the frame stands still. "
            "Exit status: 0; 3 if none of these counts came below the tolerance; 1 for an error.",
            example="nanobragg-hybrid converge -- -mat A.mat -hkl P1.hkl -osc 1 \\\n"
            "-mosaic 0.2 -N 20 -roi 400 600 400 600",
        )
    )
    add_view_arguments(
        commands.add_parser(
            "view",
            help="look at images in the browser: zoom to pixels, contrast, resolution rings",
            description="Write one HTML page with the images, which needs no server and no "
            "network, and open it in the browser.",
            example="nanobragg-hybrid view intimage.img noiseimage.img",
        )
    )
    add_series_arguments(
        commands.add_parser(
            "series",
            help="render a rotation, stills or a grid into files, on many processes or machines",
            usage="%(prog)s --out NAME [--frames N] [options] -- WORDS",
            description="Render frames of the nanoBragg command line WORDS into files that other "
            "programs read.  The files do not depend on who renders them, and a series that was "
            "stopped goes on with --resume.",
            example="nanobragg-hybrid series --frames 90 --osc 1 --out x_####.cbf \\\n"
            "--photons-in-brightest 1e5 -- -cell 79 79 38 90 90 90 -hkl P1.hkl -N 20 -phisteps 10",
        )
    )
    add_arguments(
        commands.add_parser(
            "structure-factors",
            help="read reflections or an atomic model, write h k l F, a dump or MTZ",
            description="Read structure factors of any kind, expand them to P1, say what was "
            "assumed, and write them.",
            example="nanobragg-hybrid structure-factors model.pdb --d-min 2 \\\n"
            "--wavelength 0.9795 -o P1.hkl",
        )
    )
    return parser
