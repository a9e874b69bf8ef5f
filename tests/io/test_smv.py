"""SMV images, in both positions of the quirks smv_header_search and header_overflow."""

from __future__ import annotations

import sys
import warnings
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid.base.errors import (
    ConfigError,
    FileFormatError,
    NanobraggWarning,
)
from nanobragg_hybrid.formats.smv import (
    SmvHeader,
    header_block,
    header_number,
    read_smv,
    read_smv_layout,
    write_mask,
    write_smv,
)
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan

ON = Quirks.nanobragg()
OFF = replace(ON, smv_header_search=False)
HEADER = SmvHeader(
    pixel_size_m=0.0004,
    distance_m=0.1,
    wavelength_angstrom=1.0,
    beam_x_m=0.013,
    beam_y_m=0.014,
    beam_fast_m=0.0132,
    beam_slow_m=0.0122,
    size_slow_m=0.0256,
    dials_origin_mm=(-13.2, 13.2, -100.0),
    org_x_px=33.5,
    org_y_px=31.0,
    close_distance_m=0.09,
    phi_deg=1.0 / 3.0,
    osc_deg=0.0,
    twotheta_deg=1e-7,
)
LONG = replace(
    HEADER,
    **{
        field.name: 0.123456e-5
        for field in fields(SmvHeader)
        if field.name not in ("dials_origin_mm", "size_slow_m")
    },
)
PIXELS = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10000


def smv(path: Path, *lines: str, data: bytes = b"", header_bytes: int = 512) -> Path:
    """A file with these lines in its header."""
    entries = "".join(line + "\n" for line in (f"HEADER_BYTES={header_bytes};", *lines))
    text = "{\n" + entries + "}\f"
    path.write_bytes(text.encode("latin-1").ljust(header_bytes) + data)
    return path


# ---- writing -----------------------------------------------------------------------------------


def test_bytes_of_a_written_image(tmp_path: Path) -> None:
    write_smv(tmp_path / "i.img", PIXELS, HEADER)
    data = (tmp_path / "i.img").read_bytes()
    assert data[:512].decode("ascii") == (
        "{\nHEADER_BYTES=512;\nDIM=2;\n"
        f"BYTE_ORDER={sys.byteorder}_endian;\n"
        "TYPE=unsigned_short;\nSIZE1=3;\nSIZE2=2;\nPIXEL_SIZE=0.4;\nDISTANCE=100;\nWAVELENGTH=1;\n"
        "BEAM_CENTER_X=13;\nBEAM_CENTER_Y=14;\nADXV_CENTER_X=13.2;\nADXV_CENTER_Y=13.4;\n"
        "MOSFLM_CENTER_X=12;\nMOSFLM_CENTER_Y=13;\nDENZO_X_BEAM=12.2;\nDENZO_Y_BEAM=13.2;\n"
        "DIALS_ORIGIN=-13.2,13.2,-100\n"
        "XDS_ORGX=33.5;\nXDS_ORGY=31;\nCLOSE_DISTANCE=90;\nPHI=0.333333;\nOSC_START=0.333333;\n"
        "OSC_RANGE=0;\nTWOTHETA=1e-07;\nDETECTOR_SN=000;\nBEAMLINE=fake;\n}\f"
    ).ljust(512)
    assert data[512:] == PIXELS.tobytes()


def test_round_trip(tmp_path: Path) -> None:
    write_smv(tmp_path / "i.img", PIXELS, HEADER)
    image = read_smv(tmp_path / "i.img")
    assert image.pixels.dtype == np.uint16
    np.testing.assert_array_equal(image.pixels, PIXELS)
    assert image.header["CLOSE_DISTANCE"] == "90"
    assert image.header["DIALS_ORIGIN"] == "-13.2,13.2,-100"
    assert image.header_text.startswith("{\nHEADER_BYTES=512;\n")
    assert len(image.header_text) == 512


def test_rows_of_a_transposed_array_are_written_in_order(tmp_path: Path) -> None:
    write_smv(tmp_path / "i.img", PIXELS.T, HEADER)
    np.testing.assert_array_equal(read_smv(tmp_path / "i.img").pixels, PIXELS.T)


def test_header_too_long_for_its_block() -> None:
    on = header_block(LONG, 3, 2)
    off = header_block(LONG, 3, 2, replace(ON, header_overflow=False))
    assert len(on) > 512
    assert on.startswith(b"{\nHEADER_BYTES=512;\n")
    assert on.endswith(b"BEAMLINE=fake;\n}\f")
    assert len(off) == 1024
    assert off.startswith(b"{\nHEADER_BYTES=1024;\n")
    assert off.rstrip(b" ").endswith(b"BEAMLINE=fake;\n}\f")


@pytest.mark.parametrize("overflow", [True, False])
def test_header_that_fits_is_the_same_with_and_without_the_quirk(overflow: bool) -> None:
    quirks = replace(ON, header_overflow=overflow)
    assert header_block(HEADER, 3, 2, quirks) == header_block(HEADER, 3, 2)
    assert len(header_block(HEADER, 3, 2, quirks)) == 512


@for_each("length", range(510, 515))
def test_block_boundary(length: int) -> None:
    """Up to 512 bytes a header is padded, beyond it is written whole."""
    digits = length - len(header_block(HEADER, 1, 1).rstrip(b" ")) + 1
    block = header_block(HEADER, 10 ** (digits - 1), 1)
    assert len(block.rstrip(b" ")) == length
    assert len(block) == max(512, length)


def test_overflowing_image_is_shifted_for_its_reader_and_repaired_without_the_quirk(
    tmp_path: Path,
) -> None:
    write_smv(tmp_path / "on.img", PIXELS, LONG)
    shifted = read_smv(tmp_path / "on.img").pixels
    assert not np.array_equal(shifted, PIXELS)
    write_smv(tmp_path / "off.img", PIXELS, LONG, replace(ON, header_overflow=False))
    np.testing.assert_array_equal(read_smv(tmp_path / "off.img").pixels, PIXELS)


@pytest.mark.parametrize("bad", [PIXELS.astype(np.int16), PIXELS.ravel()])
def test_only_uint16_images_are_written(tmp_path: Path, bad: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="need a uint16 image"):
        write_smv(tmp_path / "i.img", bad, HEADER)
    assert not (tmp_path / "i.img").exists()


def test_header_from_a_plan() -> None:
    values = {
        "pixel_size_m": 0.0004,
        "pixel_size_slow_m": 0.0004,
        "distance_m": 0.1,
        "wavelength_m": 0.9e-10,
        "beam_x_m": 0.013,
        "beam_y_m": 0.014,
        "beam_fast_m": 0.0132,
        "beam_slow_m": 0.0122,
        "size_slow_m": 0.0256,
        "dials_origin_mm": (-13.2, 13.2, -100.0),
        "org_x_px": 33.5,
        "org_y_px": 31.0,
        "close_distance_m": 0.09,
        "phi_rad": np.pi / 2,
        "osc_rad": np.pi,
        "twotheta_rad": 0.0,
        "convention": "mosflm",
        "pivot": "beam",
        "beam_direction": (1.0, 0.0, 0.0),
        "fast_axis": (0.0, 0.0, 1.0),
        "slow_axis": (0.0, -1.0, 0.0),
        "spindle_axis": (0.0, 0.0, 1.0),
        "normal_axis": (1.0, 0.0, 0.0),
        "pix0_m": (0.09, 0.0122, -0.0132),
    }
    names = dict.fromkeys(ResolvedPlan._fields)
    plan = ResolvedPlan(**{**names, **values})  # type: ignore[arg-type]
    header = SmvHeader.from_plan(plan)
    rendered = header.rendered
    assert rendered is not None
    assert (rendered.convention, rendered.pivot) == ("mosflm", "beam")
    assert rendered.distance_m == pytest.approx(0.09)
    assert (rendered.beam_fast_m, rendered.beam_slow_m) == pytest.approx((0.0132, 0.0122))
    assert rendered.origin_mm == pytest.approx((-13.2, 12.2, -90.0))
    half_m = 0.5 * header.pixel_size_m
    assert rendered.beam_x_m == pytest.approx(0.0122 - half_m)
    assert rendered.beam_y_m == pytest.approx(0.0132 - half_m)
    assert replace(header, rendered=None) == replace(
        HEADER,
        wavelength_angstrom=0.9e-10 * 1e10,
        phi_deg=90.0,
        osc_deg=180.0,
        twotheta_deg=0.0,
    )


def test_mask_states_its_size_and_nothing_else(tmp_path: Path) -> None:
    values = np.array([[True, False, True], [False, False, True]])
    write_mask(tmp_path / "m.img", values)
    image = read_smv(tmp_path / "m.img")
    np.testing.assert_array_equal(image.pixels, [[1, 0, 1], [0, 0, 1]])
    assert image.header.keys() == {*("HEADER_BYTES", "DIM", "BYTE_ORDER", "TYPE", "SIZE1", "SIZE2")}
    for keyword in ("PIXEL_SIZE", "DISTANCE", "WAVELENGTH", "BEAM_CENTER_X", "PHI", "ORGX"):
        assert header_number(image.header_text, keyword) is None


@pytest.mark.parametrize("bad", [PIXELS, np.array([True])])
def test_only_boolean_masks_are_written(tmp_path: Path, bad: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="need booleans"):
        write_mask(tmp_path / "m.img", bad)


# ---- numbers of a header -----------------------------------------------------------------------


@for_each(
    "name, keyword, on, off",
    [
        ("donor.img", "DISTANCE", 83.25, 83.25),
        ("donor.img", "PIXEL_SIZE", 0.12, 0.12),
        ("donor.img", "BEAM_CENTER_Y", 4.75, 4.75),
        ("donor.img", "TWOTHETA", 7.0, 7.0),
        ("donor.img", "CLOSE_DISTANCE", None, None),
        ("donor.img", "CENTER_Y", 4.75, None),
        ("donor_close.img", "DISTANCE", 80.5, 83.25),
        ("donor_close.img", "CLOSE_DISTANCE", 80.5, 80.5),
        ("donor_spaced.img", "DISTANCE", 1.2, 90.0),
        ("donor_spaced.img", "WAVELENGTH", 1.2, 1.2),
        ("donor_org.img", "ORGX", 33.25, 33.25),
        ("donor_dimensions.img", "DETECTOR_DIMENSIONS", 64.0, 64.0),
    ],
)
def test_recorded_headers(
    inputs: Path, name: str, keyword: str, on: float | None, off: float | None
) -> None:
    text = read_smv(inputs / name).header_text
    assert header_number(text, keyword) == on
    assert header_number(text, keyword, ON) == on
    assert header_number(text, keyword, OFF) == off


@for_each(
    "text, on, off",
    [
        ("{\nPHI=1;\nPHI=2;\n}", 2.0, 2.0),
        ("{\nPHI= -2.5e1deg;\n}", -25.0, -25.0),
        ("{\n PHI = 3 ;\n}", 3.0, 3.0),
        ("{\nPHI=1;\nXPHIX=2;\n}", 2.0, 1.0),
        ("{\nPHI=1;\nCOMMENT=about PHI;\nOSC=4;\n}", 4.0, 1.0),
        ("{\nPHI=1;\nPHI\n}", 0.0, 1.0),
        ("{\nPHI=1;\nPHI 2\n=3;\n}", 3.0, 1.0),
        ("{\nPHI=\n7;\n}", 7.0, None),
        ("{\nPHI=north;\n}", 0.0, None),
        ("{\nPHI=;\n}", 0.0, None),
        ("{\nOSC=1;\n}", None, None),
        ("", None, None),
    ],
)
def test_header_number(text: str, on: float | None, off: float | None) -> None:
    assert header_number(text, "PHI", ON) == on
    assert header_number(text, "PHI", OFF) == off


# ---- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("donor.img", (80, 96)),
        ("donor_org.img", (60, 70)),
        ("mask_plain.img", (72, 64)),
        ("donor_dimensions.img", (64, 64)),
    ],
)
def test_sizes_of_recorded_files(inputs: Path, name: str, shape: tuple[int, int]) -> None:
    assert read_smv(inputs / name).pixels.shape == shape


def test_both_dimensions_count_without_the_quirk(inputs: Path, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="64 x 72 pixels need 9728 bytes, the file has 8704"):
        read_smv(inputs / "donor_dimensions.img", quirks=OFF)
    path = smv(tmp_path / "i.img", "DETECTOR_DIMENSIONS=3 2;", data=b"\0" * 12)
    assert read_smv(path, quirks=OFF).pixels.shape == (2, 3)


def test_dimensions_stand_in_for_a_missing_size(tmp_path: Path) -> None:
    path = smv(tmp_path / "i.img", "SIZE1=3;", "DETECTOR_DIMENSIONS=2 9;", data=b"\0" * 12)
    assert read_smv(path).pixels.shape == (2, 3)


@pytest.mark.filterwarnings("ignore:.*but pixels are read as")
def test_byte_order_counts_only_without_the_quirk(tmp_path: Path) -> None:
    lines = ("SIZE1=2;", "SIZE2=1;", "TYPE=unsigned_short;")
    data = b"\x00\x01\x02\x00"
    big = smv(tmp_path / "big.img", *lines, "BYTE_ORDER=big_endian;", data=data)
    little = smv(tmp_path / "little.img", *lines, "BYTE_ORDER=little_endian;", data=data)
    native = np.frombuffer(data, np.uint16).tolist()
    assert read_smv(big, quirks=ON).pixels.tolist() == [native]
    assert read_smv(little, quirks=ON).pixels.tolist() == [native]
    assert read_smv(big, quirks=OFF).pixels.tolist() == [[1, 512]]
    assert read_smv(little, quirks=OFF).pixels.tolist() == [[256, 2]]
    assert read_smv(big, quirks=OFF).pixels.dtype == np.uint16
    odd = smv(tmp_path / "odd.img", *lines, "BYTE_ORDER=middle;", data=data)
    assert read_smv(odd, quirks=ON).pixels.tolist() == [native]
    with pytest.raises(FileFormatError, match="BYTE_ORDER: got 'middle', need little_endian or"):
        read_smv(odd, quirks=OFF)


def test_larger_header_and_more_data_than_needed(tmp_path: Path) -> None:
    path = smv(tmp_path / "i.img", "SIZE1=2;", "SIZE2=1;", data=b"abcdef", header_bytes=1536)
    assert read_smv(path).pixels.tobytes() == b"abcd"


def test_header_text_ends_at_a_zero_byte(tmp_path: Path) -> None:
    path = smv(tmp_path / "i.img", "SIZE1=2;", "SIZE2=1;", "\0", "SIZE2=9;", data=b"abcd")
    image = read_smv(path)
    assert image.pixels.shape == (1, 2)
    assert image.header_text.endswith("SIZE2=1;\n")


NUMBERS = [[0.0, 1.0, 100.0], [2.0, 0.0, 7.0]]
SIGNED = [[0.0, 1.0, -100.0], [2.0, 0.0, -7.0]]


@for_each(
    "line, dtype, numbers",
    [
        ("TYPE=unsigned_short;", "u2", NUMBERS),
        ("TYPE=short;", "i2", SIGNED),
        ("TYPE=signed_short;", "i2", SIGNED),
        ("TYPE=long;", "i4", SIGNED),
        ("TYPE=signed_long;", "i4", SIGNED),
        ("TYPE=unsigned_long;", "u4", [[0.0, 1.0, 3e9], [70000.0, 0.0, 7.0]]),
        ("TYPE=float;", "f4", [[0.0, 0.5, -1.25], [1e9, 0.0, 7.0]]),
        ("Data_type= unsigned short int;", "u2", NUMBERS),
        ("Data_type= long int;", "i4", SIGNED),
        ("DATA_TYPE=UNSIGNED_LONG;", "u4", NUMBERS),
        ("Data_type= float IEEE;", "f4", SIGNED),
        ("TYPE = Unsigned Short ;", "u2", NUMBERS),
    ],
)
@pytest.mark.filterwarnings("ignore:.*but pixels are read as")
def test_types_are_read_right_without_the_quirk(
    tmp_path: Path, line: str, dtype: str, numbers: list[list[float]]
) -> None:
    """And with it, their bytes are taken for 16-bit numbers."""
    for order, name in (("<", "little_endian"), (">", "Big_Endian")):
        data = np.array(numbers, order + dtype).tobytes()
        lines = (line, f"BYTE_ORDER={name};", "SIZE1=3;", "SIZE2=2;")
        path = smv(tmp_path / "i.img", *lines, data=data)
        pixels = read_smv(path, quirks=OFF).pixels
        assert pixels.dtype == np.dtype(dtype)
        assert pixels.tolist() == numbers
        first = np.frombuffer(data, np.uint16, count=6).reshape(2, 3)
        np.testing.assert_array_equal(read_smv(path, quirks=ON).pixels, first)


@for_each(
    "line, warned, refused",
    [
        ("TYPE=long;", "TYPE is long, but pixels are read as unsigned_short", None),
        ("TYPE=mad;", "TYPE is mad, but pixels are read as", "TYPE: got 'mad', need unsigned_sh"),
        ("Data_type= float IEEE;", "Data_type is float IEEE, but pixels are read as", None),
        ("data type=odd;", "data type is odd, but pixels are", "data type: got 'odd', need unsi"),
        ("BYTE_ORDER=big_endian;", "BYTE_ORDER is big_endian, but pixels are read as lit", None),
        ("Byte_Order=PDP;", "Byte_Order is PDP, but pixels", "Byte_Order: got 'PDP', need little"),
        ("COMPRESSION=RAXIS;", "COMPRESSION is RAXIS, but", "COMPRESSION: got 'RAXIS', need pix"),
        ("COMPRESSION=None;", None, None),
        ("TYPE=unsigned_short;", None, None),
        ("Data_type= unsigned short int;", None, None),
        ("BYTE_ORDER=little_endian;", None, None),
        ("BYTEORDER=LITTLE ENDIAN;", None, None),
        ("DETECTOR_TYPE=long;", None, None),
    ],
)
def test_what_the_quirk_does_not_look_at_is_told(
    tmp_path: Path, line: str, warned: str | None, refused: str | None
) -> None:
    path = smv(tmp_path / "i.img", line, "SIZE1=2;", "SIZE2=1;", data=b"abcdefgh")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read_smv(path).pixels.tobytes() == b"abcd"
    assert len(caught) == (warned is not None)
    if warned is not None:
        assert f"i.img: {warned}" in str(caught[0].message)
        assert caught[0].category is NanobraggWarning
    if refused is not None:
        with pytest.raises(FileFormatError, match=refused):
            read_smv(path, quirks=OFF)
    else:
        assert read_smv(path, quirks=OFF).pixels.shape == (1, 2)


def test_the_keyword_type_counts_more_than_its_other_spellings(tmp_path: Path) -> None:
    lines = ("TYPE=long;", "Data_type=float;", "SIZE1=2;", "SIZE2=1;", "BYTE_ORDER=little_endian;")
    path = smv(tmp_path / "i.img", *lines, data=b"\1\0\0\0\2\0\0\0")
    assert read_smv(path, quirks=OFF).pixels.tolist() == [[1, 2]]


def test_a_header_is_enough_for_its_layout(tmp_path: Path) -> None:
    lines = ("SIZE1=2;", "SIZE2=1;", "TYPE=long;")
    short = read_smv_layout(smv(tmp_path / "i.img", *lines, data=b"1234"), OFF)
    assert (short.shape, short.data_bytes, short.is_complete) == ((1, 2), 8, False)
    assert "2 x 1 pixels need 520 bytes, the file has 516" in short.shortage()
    assert read_smv_layout(smv(tmp_path / "i.img", *lines, data=b"1234"), ON).is_complete


@for_each("quirks", [ON, OFF])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"i\.img: does not begin like an SMV image"),
        (b"{\nDIM=2;\n", "does not begin like an SMV image"),
        (b"{\nHEADER_BYTES=x;\n", "does not begin like an SMV image"),
        (b"{\nHEADER_BYTES=512;\n}\f", r":2: HEADER_BYTES: got 512, but the file has 22 bytes"),
        (b"{\nHEADER_BYTES=999999999;\n}\f", r":2: HEADER_BYTES: got 999999999, but the file"),
        (b"{\nHEADER_BYTES=3;\n}\f", r":2: HEADER_BYTES: got 3, but the file has 20 bytes"),
    ],
)
def test_bad_starts(tmp_path: Path, data: bytes, message: str, quirks: Quirks) -> None:
    (tmp_path / "i.img").write_bytes(data)
    with pytest.raises(FileFormatError, match=message):
        read_smv(tmp_path / "i.img", quirks=quirks)


@for_each("quirks", [ON, OFF])
@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((), "SIZE1, SIZE2: got none and none, need two counts from 1 to 2147483647"),
        (("SIZE1=5;", "SIZE2=3e9;"), r"SIZE1, SIZE2: got 5 and 3e\+09, need two counts from 1 to"),
        (("SIZE1=1e308;", "SIZE2=1;"), r"SIZE1, SIZE2: got 1e\+308 and 1, need two counts from 1"),
        (("SIZE1=5;",), "SIZE1, SIZE2: got 5 and none, need two counts from 1 to 2147483647"),
        (("SIZE1=0;", "SIZE2=5;"), "SIZE1, SIZE2: got 0 and 5, need"),
        (("SIZE1=5;", "SIZE2=-1;"), "SIZE1, SIZE2: got 5 and -1, need"),
        (("SIZE1=nan;", "SIZE2=5;"), "SIZE1, SIZE2: got nan and 5, need"),
        (("SIZE1=5;", "SIZE2=inf;"), "SIZE1, SIZE2: got 5 and inf, need"),
        (
            ("SIZE1=1e9;", "SIZE2=1e9;"),
            "truncated: .* 1000000000 x 1000000000 pixels need 2000000000000000512 bytes, the file",
        ),
        (("SIZE1=3;", "SIZE2=1;"), "3 x 1 pixels need 518 bytes, the file has 516$"),
    ],
)
def test_bad_sizes(tmp_path: Path, lines: tuple[str, ...], message: str, quirks: Quirks) -> None:
    path = smv(tmp_path / "i.img", *lines, data=b"abcd")
    with pytest.raises(FileFormatError, match=message):
        read_smv(path, quirks=quirks)


@pytest.mark.parametrize("size", [8703, 600, 100, 20])
def test_truncated_files(tmp_path: Path, inputs: Path, size: int) -> None:
    path = tmp_path / "i.img"
    path.write_bytes((inputs / "donor_spaced.img").read_bytes()[:size])
    with pytest.raises(FileFormatError, match=f"the file has {size}"):
        read_smv(path)
