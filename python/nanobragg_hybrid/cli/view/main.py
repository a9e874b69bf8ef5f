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
    parser.add_argument(
        "--truth",
        metavar="FILE",
        help="mark the reflections of this table (truth.h5 of write_truth), frame after frame in "
        "the order of the images, of which there have to be as many",
    )
    parser.add_argument(
        "--truth-frame",
        type=int,
        metavar="N",
        help="the number of the truth's frame that the first image has; the others have those that "
        "follow (files of several images have the frames of their own numbers)",
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
        more = [name for name in (arguments.geometry, arguments.truth) if name is not None]
        inputs = [*arguments.files, *more]
        check_outputs({"page": Path(arguments.out)}, [Path(name) for name in inputs])
    if arguments.truth_frame is not None and arguments.truth is None:
        raise CommandLineError(f"--truth-frame {arguments.truth_frame}: needs --truth FILE")
    truth = None
    if arguments.truth is not None:
        from nanobragg_hybrid.formats.truth_hdf5 import read_truth

        truth = read_truth(arguments.truth)
    text = page_of_files(
        arguments.files,
        shape=shape,
        geometry=arguments.geometry,
        frames=arguments.frame or (0,),
        truth=truth,
        truth_frame=arguments.truth_frame,
    )
    page = show_page(text, arguments.out, None)
    yield f"page: {page}"
