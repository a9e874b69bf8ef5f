"""Image files as few programs write them: what they hold counts, or is refused by its name."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import image_files
import numpy as np
import pytest
from for_each import for_each
from numpy.typing import NDArray

import nanobragg_hybrid as nb

h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra: test)")

SHAPE = (20, 30)
PIXELS = np.arange(600, dtype=np.int32).reshape(SHAPE)
BOTH = np.concatenate([PIXELS, PIXELS + 1000])[None]
EIGER = "entry/instrument/eiger"
Edit = Callable[[Any], object]


def read(folder: Path, data: bytes, **options: Any) -> nb.MeasuredImage:
    path = folder / "file"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        return nb.read_image(path, **options)


def refused(folder: Path, data: bytes, kind: type[Exception] = nb.FileFormatError) -> str:
    """What is said of a file, without its name."""
    with pytest.raises(kind) as caught:
        read(folder, data)
    text = str(caught.value)
    assert text.startswith(f"{folder / 'file'}: ")
    return text.partition("file: ")[2]


# ---- TIFF


def tiff(changes: dict[int, tuple[int, ...]], order: str = "<") -> bytes:
    """Six pixels of 16 bits; `changes` are entries of the directory, by their tags."""
    data = PIXELS[0, :6].astype(f"{order}u2").tobytes()
    tags = {256: (3,), 257: (2,), 258: (16,), 259: (1,), 273: (8,), 277: (1,), 278: (2,)}
    tags |= {279: (len(data),), 339: (1,), **changes}
    at = 8 + len(data)
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, 3, len(values))
        + struct.pack(f"{order}{len(values)}H", *values).ljust(4, b"\0")
        for tag, values in sorted(tags.items())
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, at)
    return head + data + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@for_each("order", ["<", ">"])
def test_tiff_of_either_byte_order(order: str, tmp_path: Path) -> None:
    (found,) = read(tmp_path, tiff({}, order)).panels
    assert found.tolist() == [[0, 1, 2], [3, 4, 5]]
    (found,) = read(tmp_path, tiff({278: (1,), 273: (8, 14), 279: (6, 6)}, order)).panels
    assert found.tolist() == [[0, 1, 2], [3, 4, 5]]  # two strips


@for_each(
    "changes, message",
    [
        ({256: ()}, "ImageWidth: got nothing, need one number >= 1"),
        ({257: (0,)}, "ImageLength: got 0, need one number >= 1"),
        ({258: (16, 8)}, "BitsPerSample: got 16 8, need one number >= 1"),
        ({257: (200,)}, "truncated: 3 x 200 pixels of 16 bits need 1200 bytes, it has 134"),
        ({278: (1,)}, "StripOffsets: got 1 of them, need 2"),
        ({279: (11,)}, "StripByteCounts are not those of 6 pixels"),
    ],
    ids=lambda row: row[1],
)
def test_tiff_that_is_wrong(
    changes: dict[int, tuple[int, ...]], message: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, tiff(changes)) == message


@for_each(
    "changes, message",
    [
        ({322: (16,)}, "its pixels are in tiles: save it in strips"),
        ({258: (12,)}, "pixels of 12 bits, SampleFormat 1, not read"),
        ({258: (64,)}, "pixels of 64 bits, SampleFormat 1, not read"),
        ({339: (4,)}, "pixels of 16 bits, SampleFormat 4, not read"),
        ({339: (3,)}, "pixels of 16 bits, SampleFormat 3, not read"),
    ],
    ids=lambda row: row[1],
)
def test_tiff_that_is_not_read(
    changes: dict[int, tuple[int, ...]], message: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, tiff(changes), nb.UnsupportedError) == message


# ---- sections of CBF

IN_BASE64 = image_files.minicbf(PIXELS, in_base64=True)
END = b"--CIF-BINARY-FORMAT-SECTION----"


@for_each(
    "data, message",
    [
        (
            IN_BASE64.replace(END, b""),
            "binary section 1: has no end, or no empty line below its header",
        ),
        (
            IN_BASE64.replace(END, b"A" + END),
            "binary section 1: is no base64 text",
        ),
        (
            image_files.minicbf(PIXELS, in_base64=True, X_Binary_Size=5000),
            "binary section 1: truncated: X-Binary-Size is 5000, there are ",
        ),
        (
            image_files.minicbf(PIXELS, compression="NONE", digest=False, X_Binary_Size=2399),
            "binary section 1: truncated: 2399 bytes are fewer than 600 pixels",
        ),
        (
            image_files.minicbf(1000 * PIXELS, digest=False, X_Binary_Size=1000),
            "binary section 1: truncated: 1000 bytes are fewer than 600 pixels",
        ),
        (
            image_files.minicbf(
                PIXELS, digest=False, Content_Type='a; conversions="x-CBF_PACKED"',
                X_Binary_Size_Fastest_Dimension=10**7, X_Binary_Size_Second_Dimension=10**7,
                X_Binary_Number_of_Elements=10**14,
            ),
            "bytes are fewer than 100000000000000 pixels",
        ),
        (
            image_files.imgcif(PIXELS, PIXELS, names=("ARRAY1", "ARRAY1")),
            "has two binary sections of the same array_id",
        ),
    ],
    ids=lambda row: row[1],
)  # fmt: skip
def test_sections_that_are_wrong(data: bytes, message: str, tmp_path: Path) -> None:
    assert message in refused(tmp_path, data)


def test_real_numbers_as_differences(tmp_path: Path) -> None:
    data = image_files.minicbf(PIXELS, X_Binary_Element_Type='"signed 32-bit real IEEE"')
    message = "binary section 1: the compression BYTE_OFFSET of real numbers is not read"
    assert refused(tmp_path, data, nb.UnsupportedError) == message


def test_differences_that_are_cut_off() -> None:
    """What is cut off belongs to no value, however long it was."""
    from nanobragg_hybrid.formats.measured.byte_offset import byte_offset_values

    values = np.array([5, 300, 100_000, 2**40])
    data = image_files.byte_offset(values)
    whole = byte_offset_values(data, 4)
    assert whole is not None
    assert whole.tolist() == values.tolist()
    for size, left in ((0, 0), (1, 1), (3, 1), (4, 2), (8, 2), (10, 2), (11, 3), (25, 3)):
        assert byte_offset_values(data[:size], left + 1) is None, size
        found = byte_offset_values(data[:size], left)
        assert found is not None
        assert found.tolist() == values[:left].tolist()


def test_what_cbflib_cannot_unpack(tmp_path: Path) -> None:
    pytest.importorskip("pycbf", reason="pycbf is not installed (extra: test)")
    data = image_files.minicbf(PIXELS, digest=False, Content_Type='a; conversions="x-CBF_PACKED"')
    assert refused(tmp_path, data).startswith("binary section 1: CBFlib ")


# ---- NXmx


def nxmx(edit: Edit, data: NDArray[Any] = BOTH) -> bytes:
    import io

    memory = io.BytesIO(image_files.nxmx_with(data))
    with h5py.File(memory, "r+") as file:
        edit(file)
    return memory.getvalue()


def whole(name: str, value: Any) -> Edit:
    def edit(file: Any) -> None:
        del file[f"{EIGER}/module0/{name}"]
        if value is not None:
            file[f"{EIGER}/module0/{name}"] = value

    return edit


def detector_of_its_own(frames: int | None) -> Edit:
    """A second detector, with so many frames of its own; none for None."""

    def edit(file: Any) -> None:
        file.copy(EIGER, f"{EIGER}2")
        if frames is not None:
            file[f"{EIGER}/data"] = BOTH
            file[f"{EIGER}2/data"] = np.concatenate([BOTH + 5] * frames)

    return edit


def no_modules(file: Any) -> None:
    del file[f"{EIGER}/module0"], file[f"{EIGER}/module1"]


def no_instrument(file: Any) -> None:
    del file["entry/instrument"]


def other_definition(file: Any) -> None:
    del file["entry/definition"]


MODULE = f"/{EIGER}/module0"
RULE = "need two or three whole numbers, slow and fast the last ones"


@for_each(
    "edit, message",
    [
        (other_definition, "has no entry with the definition NXmx"),
        (no_instrument, "/entry: need an NXinstrument"),
        (no_modules, "/entry/instrument: need an NXdetector with an NXdetector_module"),
        (whole("data_size", None), f"{MODULE}: need data_size"),
        (whole("data_size", [30]), f"{MODULE}/data_size: {RULE}"),
        (whole("data_size", [b"20", b"30"]), f"{MODULE}/data_size: {RULE}"),
        (whole("data_size", [20.5, 30]), f"{MODULE}/data_size: need whole numbers >= 0"),
        (whole("data_size", [np.nan, 30]), f"{MODULE}/data_size: need whole numbers >= 0"),
        (whole("data_size", [np.inf, 30]), f"{MODULE}/data_size: need whole numbers >= 0"),
        (whole("data_origin", [-1, 0]), f"{MODULE}/data_origin: need whole numbers >= 0"),
        (
            whole("data_origin", [0, 0, 0]),
            f"{MODULE}: need data_origin and data_size of one plane of slow and fast",
        ),
        (
            whole("data_size", [0, 30]),
            f"{MODULE}: need data_origin and data_size of one plane of slow and fast",
        ),
        (
            detector_of_its_own(None),
            f"/{EIGER}: need its own data, since there are several detectors",
        ),
        (
            detector_of_its_own(2),
            f"/{EIGER}2: need as many frames as the other detectors have",
        ),
    ],
    ids=lambda row: row[1],
)
def test_nxmx_that_is_wrong(edit: Edit, message: str, tmp_path: Path) -> None:
    assert refused(tmp_path, nxmx(edit)) == message


def test_nxmx_of_two_detectors(tmp_path: Path) -> None:
    image = read(tmp_path, nxmx(detector_of_its_own(1)))
    assert image.panel_names == ("module0", "module1", "module0", "module1")
    expected = [PIXELS, PIXELS + 1000, PIXELS + 5, PIXELS + 1005]
    for panel, pixels in zip(image.panels, expected, strict=True):
        np.testing.assert_array_equal(panel, pixels)


def test_nxmx_of_one_image_without_a_mask(tmp_path: Path) -> None:
    """Data of one plane, in a group that does not say what its signal is."""

    def edit(file: Any) -> None:
        del file["entry/data"].attrs["signal"], file[f"{EIGER}/pixel_mask"]

    image = read(tmp_path, nxmx(edit, BOTH[0]))
    assert (image.frames, image.panel_names) == (1, ("module0", "module1"))
    np.testing.assert_array_equal(np.concatenate(image.panels), BOTH[0])
    saturated = PIXELS + 1000 > 1000  # the file's saturation_value is 1000
    np.testing.assert_array_equal(image.masks[0], np.ones(SHAPE, bool))
    np.testing.assert_array_equal(image.masks[1], ~saturated)
