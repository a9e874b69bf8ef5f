"""Integer images whose numbers the recorded facts give without loss: same bytes as nanoBragg's."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nanobragg_hybrid.formats.smv import SmvHeader, header_block, write_smv


def option(args: str, name: str, default: float) -> float:
    """The number after the last `name` of a command line."""
    words = args.split()
    found = [float(after) for word, after in pairwise(words) if word == name]
    return found[-1] if found else default


def recorded_header(recorded: dict[str, Any]) -> SmvHeader:
    """The header's numbers from a command line and the facts that were printed for it."""
    args, facts = recorded["args"], recorded["facts"]
    numbers = {name: [float(word) for word in facts[name]] for name in (
        "Xbeam_Ybeam", "Fbeam_Sbeam", "Fclose_Sclose", "dials_origin")}  # fmt: skip
    pixel = option(args, "-pixel", 0.1) / 1000.0
    origin_x, origin_y, origin_z = numbers["dials_origin"]
    return SmvHeader(
        pixel_size_m=pixel,
        distance_m=float(facts["distance_m"]),
        wavelength_angstrom=option(args, "-lambda", 1.0),
        beam_x_m=numbers["Xbeam_Ybeam"][0],
        beam_y_m=numbers["Xbeam_Ybeam"][1],
        beam_fast_m=numbers["Fbeam_Sbeam"][0],
        beam_slow_m=numbers["Fbeam_Sbeam"][1],
        size_slow_m=pixel * recorded["shape"][0],
        dials_origin_mm=(origin_x, origin_y, origin_z),
        org_x_px=numbers["Fclose_Sclose"][0] / pixel + 0.5,
        org_y_px=numbers["Fclose_Sclose"][1] / pixel + 0.5,
        close_distance_m=float(facts["distance_m"]),  # the same in all cases below
        phi_deg=option(args, "-phi", 0.0),
        osc_deg=option(args, "-osc", 0.0),
        twotheta_deg=option(args, "-twotheta", 0.0),
    )


def integer_image(image: np.ndarray, args: str) -> np.ndarray:
    """Model 8 for an image without ROI."""
    largest = float(image.max())
    scale = option(args, "-scale", 55000.0 / largest if largest > 0.0 else 1.0)
    values = np.clip(image.astype(float) * scale + option(args, "-adc", 40.0), 0.0, 65535.0)
    return np.floor((values + 0.5).astype(np.float32)).astype(np.uint16)


@pytest.mark.parametrize(
    "case",
    [
        *("dark", "cubic", "hkl_mat", "long_wave", "conv_xds", "conv_adxv", "conv_denzo"),
        *("conv_dials", "beam_mosflm", "orgxy_xds", "close_distance", "twotheta", "phi_osc"),
        *("rect_fs", "custom_vectors", "scale", "adc0", "default_F_negative"),
    ],
)
def test_recorded_image(tmp_path: Path, inputs: Path, case: str) -> None:
    recorded = json.loads((inputs.parent / "cases.json").read_text())[case]
    with np.load(inputs.parent / "images.npz") as images:
        pixels = integer_image(images[case], recorded["args"])
    write_smv(tmp_path / "i.img", pixels, recorded_header(recorded))
    data = (tmp_path / "i.img").read_bytes()
    assert hashlib.sha256(data).hexdigest() == recorded["files"]["intimage.img"]["sha256"]


def test_recorded_overflow(inputs: Path) -> None:
    """The facts lose digits here, but not the header's length."""
    recorded = json.loads((inputs.parent / "cases.json").read_text())["header_overflow"]
    n_slow, n_fast = recorded["shape"]
    block = header_block(recorded_header(recorded), n_fast, n_slow)
    assert len(block) == recorded["files"]["intimage.img"]["bytes"] - n_slow * n_fast * 2
    assert len(block) == 541
