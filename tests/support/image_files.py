"""Image files of other programs, made by hand: what `nb.read_image` reads."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
from typing import Any

from geometry_files import IMGCIF, MINICBF, SMV, nxmx
from numpy.typing import NDArray

ELEMENT_TYPES = {
    "int32": "signed 32-bit integer",
    "uint16": "unsigned 16-bit integer",
    "int16": "signed 16-bit integer",
    "float64": "signed 64-bit real IEEE",
    "float32": "signed 32-bit real IEEE",
}


def byte_offset(values: NDArray[Any]) -> bytes:
    """The differences of neighbours, the first from 0, in as few bytes as they take."""
    data, last = b"", 0
    for value in values.ravel().tolist():
        step, last = value - last, value
        if abs(step) < 2**7:
            data += struct.pack("<b", step)
        elif abs(step) < 2**15:
            data += struct.pack("<bh", -128, step)
        elif abs(step) < 2**31:
            data += struct.pack("<bhi", -128, -(2**15), step)
        else:
            data += struct.pack("<bhiq", -128, -(2**15), -(2**31), step)
    return data


def section(
    pixels: NDArray[Any],
    *,
    compression: str = "BYTE_OFFSET",
    in_base64: bool = False,
    digest: bool = True,
    **changes: object,
) -> bytes:
    """A binary section; `changes` are other values of its header, with _ for -."""
    data = byte_offset(pixels) if compression == "BYTE_OFFSET" else pixels.tobytes()
    conversion = f';\r\n     conversions="x-CBF_{compression}"' if compression else ""
    items: dict[str, object] = {
        "Content_Type": f"application/octet-stream{conversion}",
        "Content_Transfer_Encoding": "BASE64" if in_base64 else "BINARY",
        "X_Binary_Size": len(data),
        "X_Binary_ID": 1,
        "X_Binary_Element_Type": f'"{ELEMENT_TYPES[str(pixels.dtype)]}"',
        "X_Binary_Element_Byte_Order": "LITTLE_ENDIAN",
        "X_Binary_Number_of_Elements": pixels.size,
        "X_Binary_Size_Fastest_Dimension": pixels.shape[-1],
        "X_Binary_Size_Second_Dimension": pixels.shape[-2],
    }
    if pixels.ndim == 3:
        items["X_Binary_Size_Third_Dimension"] = pixels.shape[0]
    if digest:
        items["Content_MD5"] = base64.b64encode(hashlib.md5(data).digest()).decode()
    items.update(changes)
    lines = [f"{n.replace('_', '-')}: {v}" for n, v in items.items() if v is not None]
    head = b"--CIF-BINARY-FORMAT-SECTION--\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n"
    body = base64.encodebytes(data) if in_base64 else b"\x0c\x1a\x04\xd5" + data
    return head + body + b"\r\n--CIF-BINARY-FORMAT-SECTION----\r\n;\r\n"


def minicbf(pixels: NDArray[Any], **changes: Any) -> bytes:
    """A miniCBF file."""
    return MINICBF.partition(b"--CIF-BINARY")[0] + section(pixels, **changes)


def imgcif(*panels: NDArray[Any], names: tuple[str, ...] = (), **changes: Any) -> bytes:
    """An imgCIF file with a section for each panel, in a loop."""
    head = IMGCIF.partition(b"_array_data.array_id")[0]
    head += b"loop_\r\n_array_data.array_id\r\n_array_data.binary_id\r\n_array_data.data\r\n"
    names = names or tuple(f"ARRAY{n + 1}" for n in range(len(panels)))
    for number, (name, pixels) in enumerate(zip(names, panels, strict=True)):
        head += f" {name} {number + 1}\r\n;\r\n".encode() + section(pixels, **changes)
    return head


def smv(pixels: NDArray[Any]) -> bytes:
    """An SMV file of 16-bit unsigned pixels."""
    return SMV[:512] + pixels.astype("<u2").tobytes()


def nxmx_with(data: NDArray[Any], *, mask: NDArray[Any] | None = None, **options: Any) -> bytes:
    """An NXmx file of two modules with frames; `options` of the dataset."""
    import h5py

    memory = io.BytesIO(nxmx())
    with h5py.File(memory, "r+") as file:
        group = file.create_group("entry/data")
        group.attrs["NX_class"] = "NXdata"
        group.attrs["signal"] = "data"
        group.create_dataset("data", data=data, **options)
        if mask is not None:
            del file["entry/instrument/eiger/pixel_mask"]
            file["entry/instrument/eiger/pixel_mask"] = mask
    return memory.getvalue()


def tiff(pixels: NDArray[Any], *, cut: int | None = None) -> bytes:
    """A TIFF file of one strip of bytes that are not compressed."""
    data = pixels.tobytes()
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    tags = [
        (256, 4, pixels.shape[1]), (257, 4, pixels.shape[0]), (258, 3, 8 * pixels.itemsize),
        (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, pixels.shape[0]),
        (279, 4, len(data)), (339, 3, kind),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, code, 1, value) for tag, code, value in tags)
    start = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    return (start + struct.pack("<H", len(tags)) + entries + bytes(4))[:cut]
