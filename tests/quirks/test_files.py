"""Quirks of files, by what the drop-in command makes of them: 018 to 021, 023 and 026.

With the quirk off, the image is that of an experiment without the odd file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from recorded import run_in_process

import nanobragg_hybrid as nb

CRYSTAL = "-cell 40 50 60 90 90 90 -default_F 100 -N 5 -oversample 1 "
SMALL = CRYSTAL + "-detpixels 24 -pixel 1 "


def image(folder: Path, args: str, without: str = "") -> np.ndarray:
    """The float image of a command line run in `folder`, with everything on but `without`."""
    folder.mkdir(exist_ok=True)
    text = f"nanobragg,-{without}" if without else "nanobragg"
    run = run_in_process(folder, [*args.split(), "-noprogress", "--quirks", text, "--threads", "1"])
    assert run.exit == 0
    return np.fromfile(folder / "floatimage.bin", "<f4")


# --- 018 smv_header_search


@pytest.mark.parametrize(
    ("geometry", "reading", "differs"),
    [
        ("-xds -twotheta 25", "-xds", True),
        ("-xds -twotheta 25 -lambda 1.2 -distance 70 -phi 12 -osc 3", "-xds", True),
        ("-lambda 1.2 -distance 70", "", False),
    ],
)
def test_an_image_gives_back_its_geometry(
    geometry: str, reading: str, differs: bool, tmp_path: Path
) -> None:
    need = image(tmp_path, SMALL + geometry + " -intfile a.img")
    args = CRYSTAL + reading + " -img a.img"
    assert np.array_equal(image(tmp_path, args, "smv_header_search"), need)
    assert np.array_equal(image(tmp_path, args), need) != differs


def test_the_beam_centre_of_a_masks_header_counts_as_it_stands(tmp_path: Path) -> None:
    image(tmp_path, SMALL + "-Xbeam 9 -Ybeam 8 -adc 1 -intfile a.img")
    need = image(tmp_path, SMALL + "-Xbeam 9 -Ybeam 8")
    args = CRYSTAL + "-mask a.img"
    assert np.array_equal(image(tmp_path, args, "smv_header_search"), need)
    flipped = image(tmp_path, SMALL + f"-Xbeam 9 -Ybeam {24 - 8}")
    assert np.array_equal(image(tmp_path, args), flipped)
    assert not np.array_equal(flipped, need)


# --- 019 hkl_stream

PLAIN = "0 1 0 200\n0 2 2 500\n0 -3 2 400\n0 2 -3 300\n"
ODD = {
    "columns": PLAIN.replace("\n", " 9 9\n"),
    "comment": "# h k l F\n" + PLAIN,
    "blank": PLAIN.replace("\n", "\n\n# no more\n"),
}


@pytest.mark.parametrize("what", ODD)
def test_further_columns_and_comments_mean_nothing(what: str, tmp_path: Path) -> None:
    for name, text in (("plain", PLAIN), ("odd", ODD[what])):
        (tmp_path / f"{name}.hkl").write_text(text)
    need = image(tmp_path, SMALL + "-hkl plain.hkl")
    assert np.array_equal(image(tmp_path, SMALL + "-hkl plain.hkl", "hkl_stream"), need)
    assert np.array_equal(image(tmp_path, SMALL + "-hkl odd.hkl", "hkl_stream"), need)
    if what == "columns":
        assert not np.array_equal(image(tmp_path, SMALL + "-hkl odd.hkl"), need)


# --- 020 source_file_comments


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("text", ["# one source\n-10 0.5 0\n", "-10 0.5 0", "-10 0.5 0 # no more"])
def test_a_comment_is_no_source(text: str, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("-10 0.5 0\n")
    (tmp_path / "odd.txt").write_text(text)
    need = image(tmp_path, SMALL + "-sourcefile plain.txt")
    off = image(tmp_path, SMALL + "-sourcefile odd.txt", "source_file_comments")
    assert np.array_equal(off, need)
    on = image(tmp_path, SMALL + "-sourcefile odd.txt")
    assert not np.array_equal(on, need, equal_nan=True)


# --- 021 fdump_whitespace


@pytest.mark.parametrize(("first", "is_read_wrongly"), [(0.09, True), (0.1, False)])
def test_the_second_run_renders_the_same_image(
    first: float, is_read_wrongly: bool, tmp_path: Path
) -> None:
    (tmp_path / "first.hkl").write_text(f"-9 -9 -9 {first}\n9 9 9 100\n")
    need = image(tmp_path, SMALL + "-hkl first.hkl")
    assert np.array_equal(image(tmp_path, SMALL, "fdump_whitespace"), need)
    assert np.array_equal(image(tmp_path, SMALL), need) != is_read_wrongly


# --- 023 rmsd_counts_masked


def test_a_masked_picture_is_scaled_like_its_lit_part(tmp_path: Path) -> None:
    """The PGM of a masked detector is that of the same region of interest."""
    centred = SMALL + "-Xbeam 12 -Ybeam 12 "  # whatever the mask's header says
    image(tmp_path, SMALL + "-adc 0 -N 1 -roi 0 23 0 11 -intfile mask.img")
    image(tmp_path, centred + "-roi 0 23 0 11")
    need = nb.read_pgm(tmp_path / "image.pgm")
    image(tmp_path, centred + "-mask mask.img", "rmsd_counts_masked")
    off = nb.read_pgm(tmp_path / "image.pgm")
    assert off.scale == need.scale
    assert np.array_equal(off.pixels, need.pixels)
    image(tmp_path, centred + "-mask mask.img")
    assert not math.isclose(nb.read_pgm(tmp_path / "image.pgm").scale, need.scale, rel_tol=0.01)


# --- 026 header_overflow

DIGITS = (
    "-detector_rotx 1 -distance 123.4567 -lambda 1.012345 -phi 1.234567 -osc 0.123456 "
    "-twotheta 1.234567 -Xbeam 11.23456 -Ybeam 12.34567 -scale 5 -adc 3"
)


def test_a_long_header_leads_to_its_pixels(tmp_path: Path) -> None:
    floats = image(tmp_path, SMALL + DIGITS, "header_overflow").reshape(24, 24)
    need = np.floor(floats.astype(float) * 5 + 3 + 0.5)
    assert np.array_equal(nb.read_smv(tmp_path / "intimage.img").pixels, need)
    assert np.array_equal(image(tmp_path, SMALL + DIGITS).reshape(24, 24), floats)
    shifted = nb.read_smv(tmp_path / "intimage.img").pixels
    assert not np.array_equal(shifted, need)
