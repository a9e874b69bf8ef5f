"""`nanobragg-hybrid view`: images in the browser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from nanobragg_hybrid.base.errors import CommandLineError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="SMV, CBF, NXmx, TIFF, PGM, raw float image or numpy array (.npy)",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="write the page there, instead of opening it in the browser"
    )
    parser.add_argument(
        "--shape",
        nargs=2,
        type=int,
        metavar=("FAST", "SLOW"),
        help="pixels of raw float images (default: square)",
    )
    parser.add_argument(
        "--geometry",
        metavar="FILE",
        help="where the panels are, for all images: DIALS, XDS, CrystFEL, NXmx, an image's header "
        "(default: each image's own header)",
    )
    parser.add_argument(
        "--frame",
        type=int,
        action="append",
        metavar="N",
        help="which image of files with several, counted from 0; may be given again (default: 0)",
    )


def view(arguments: argparse.Namespace) -> Iterator[str]:
    """Writes the page and opens it; what to print."""
    from nanobragg_hybrid.cli.nanobragg.outputs import check_outputs
    from nanobragg_hybrid.run.viewing import page_of_files, show_page

    shape = None
    if arguments.shape is not None:
        fast, slow = arguments.shape
        if fast < 1 or slow < 1:
            raise CommandLineError(f"--shape: got {fast} {slow}, need two numbers >= 1")
        shape = (slow, fast)
    if arguments.out is not None:
        inputs = [*arguments.files, *([arguments.geometry] if arguments.geometry else [])]
        check_outputs({"page": Path(arguments.out)}, [Path(name) for name in inputs])
    text = page_of_files(
        arguments.files, shape=shape, geometry=arguments.geometry, frames=arguments.frame or (0,)
    )
    page = show_page(text, arguments.out, None)
    yield f"page: {page}"
