"""SMV images: a text header of `HEADER_BYTES` bytes, then pixels, mostly 16-bit unsigned ones.

`header_number` reads one number of a header as `-img` and `-mask` do; `SmvHeader` holds the numbers
that a written header states.
"""

from __future__ import annotations

import math
import os
import re
import struct
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, assert_never

from nanobragg_hybrid.base.arrays import as_buffer, as_ndarray, refuse_masked
from nanobragg_hybrid.base.atomic import Destination, atomic_write
from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import (
    ConfigError,
    FileFormatError,
    NanobraggWarning,
    UnsupportedError,
    quoted,
)
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.base.units import m_to_angstrom, m_to_mm, rad_to_deg
from nanobragg_hybrid.formats.file_kinds import START_BYTES, refuse_other_kind
from nanobragg_hybrid.formats.numbers import c_atof
from nanobragg_hybrid.formats.rows import image_buffer, write_rows
from nanobragg_hybrid.formats.text import file_size, open_binary
from nanobragg_hybrid.model.conventions import Convention, Pivot
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.validate import require_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.base.arrays import Array, Buffer

BLOCK: Final = 512
_SAME_DIRECTION: Final = 1e-12
_MOST_PIXELS_OFF: Final = 1.5
_START: Final = rb"\{\nHEADER_BYTES[ \t]*=[ \t]*(\d{1,9})"
_ENTRY: Final = r"(?m)^[ \t]*([^=\n]*[^=\s])[ \t]*=[ \t]*([^;\n]*)"


_FORMATS: Final = {
    "H": "unsignedshort unsignedshortint ushort uint16",
    "h": "short shortint signedshort signedshortint int16",
    "I": "unsignedlong unsignedlongint ulong unsignedint uint32",
    "i": "long longint signedlong signedlongint int signedint int32",
    "f": "float ieeefloat floatieee float32",
    "d": "double float64",
    "B": "unsignedchar uchar uint8",
    "b": "signedchar int8",
}
"""What a memoryview calls a type of pixels, and the names that programs give it in a header.

A long has 32 bits.  Capitals, blanks and underscores do not count.
"""
_PIXEL_FORMATS: Final = {name: code for code, names in _FORMATS.items() for name in names.split()}
_TYPE_KEYWORDS: Final = ("type", "datatype", "pixeltype")
_ORDER_KEYWORDS: Final = ("byteorder", "endian")
_ORDERS: Final = {"littleendian": "little", "little": "little", "bigendian": "big", "big": "big"}


class SmvImage(NamedTuple):
    """An SMV file.

    `pixels` is (slow, fast) and of type uint16, or with the quirk smv_header_search off of the type
    that the header states: int16, uint32, int32, float32, float64, uint8 or int8.  `header_text` is
    everything up to the first zero byte of the header, `header` its entries (the last one of each
    keyword).
    """

    header: dict[str, str]
    header_text: str
    pixels: NDArray[Any]


class SmvLayout(NamedTuple):
    """Where the pixels of an SMV file are, and whether the file has them.

    `shape` is (slow, fast); `code` is what a memoryview calls their type.
    """

    header: dict[str, str]
    header_text: str
    shape: tuple[int, int]
    code: str
    byte_order: str
    data_start: int
    data_bytes: int
    file_bytes: int

    @property
    def is_complete(self) -> bool:
        """Whether the file is long enough for its pixels."""
        return self.data_start + self.data_bytes <= self.file_bytes

    def shortage(self) -> str:
        """What a file that is not complete lacks, for a message."""
        n_slow, n_fast = self.shape
        return (
            f"truncated: {self.data_start} bytes of header and {n_fast} x {n_slow} pixels need "
            f"{self.data_start + self.data_bytes} bytes, the file has {self.file_bytes}"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class RenderedGeometry(Record):
    """Where the detector of an image stands, as a header says it with header_geometry off.

    Lengths in metres.  distance_m: along the beam to the plane of the detector, below 0 where that
    is behind the sample; beam_fast_m, beam_slow_m: the point that it hits; beam_x_m, beam_y_m: the
    same in the convention's meaning.  origin_mm: corner of pixel (0, 0) in the convention's own
    frame.  unsaid: dotted names of what no header can say.  is_across: the detector is flat, across
    the beam, its fast axis along the spindle, its slow axis as the conventions' headers mean it.
    """

    convention: Convention
    pivot: Pivot
    distance_m: float
    beam_fast_m: float
    beam_slow_m: float
    beam_x_m: float
    beam_y_m: float
    origin_mm: tuple[float, float, float]
    unsaid: tuple[str, ...] = ()
    is_across: bool = True

    @classmethod
    def from_plan(
        cls, plan: ResolvedPlan, experiment: Experiment | None = None
    ) -> RenderedGeometry:
        """That of a plan (model 3); `experiment` says what of it a header cannot say."""
        pix0, beam = plan.pix0_m, plan.beam_direction
        ratio = _dot(beam, plan.normal_axis) or sys.float_info.min
        distance = _dot(pix0, plan.normal_axis) / ratio
        hit = tuple(distance * b - p for b, p in zip(beam, pix0, strict=True))
        fast, slow = _dot(plan.fast_axis, hit), _dot(plan.slow_axis, hit)
        half = 0.5 * plan.pixel_size_m
        origin_m: tuple[float, float, float]
        match plan.convention:
            case "adxv":
                x, y, origin_m = fast, plan.size_slow_m - slow, pix0
            case "xds" | "dials":
                x, y, origin_m = fast, slow, pix0
            case "mosflm":
                x, y, origin_m = slow - half, fast - half, (pix0[2], pix0[1], -pix0[0])
            case "denzo":
                x, y, origin_m = slow, fast, (pix0[2], pix0[1], -pix0[0])
            case "custom":
                x, y, origin_m = fast, slow, (pix0[2], pix0[1], -pix0[0])
            case other:
                assert_never(other)
        return cls(
            convention=plan.convention,
            pivot=plan.pivot,
            distance_m=distance,
            beam_fast_m=fast,
            beam_slow_m=slow,
            beam_x_m=x,
            beam_y_m=y,
            origin_mm=(m_to_mm(origin_m[0]), m_to_mm(origin_m[1]), m_to_mm(origin_m[2])),
            unsaid=() if experiment is None else _unsaid(plan, experiment),
            is_across=_is_across(plan)
            and not (experiment is not None and experiment.detector.curved),
        )


def _is_across(plan: ResolvedPlan) -> bool:
    fast, slow, beam = plan.fast_axis, plan.slow_axis, plan.beam_direction
    across = _cross(beam, fast)  # where the slow axis of such a detector points
    return (
        abs(_dot(fast, beam)) < _SAME_DIRECTION
        and _dot(slow, across) > 1.0 - _SAME_DIRECTION
        and _dot(fast, plan.spindle_axis) > 1.0 - _SAME_DIRECTION
    )


def _cross(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    return (
        x[1] * y[2] - x[2] * y[1],
        x[2] * y[0] - x[0] * y[2],
        x[0] * y[1] - x[1] * y[0],
    )


def _dot(x: Iterable[float], y: Iterable[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


_VECTORS: Final = (
    "beam.direction",
    "detector.fast_axis",
    "detector.slow_axis",
    "detector.normal_axis",
    "detector.twotheta_axis",
)


def _unsaid(plan: ResolvedPlan, experiment: Experiment) -> tuple[str, ...]:
    detector = experiment.detector
    unsaid = ["detector.rotation_deg"] if any(detector.rotation_deg) else []
    if detector.curved:
        unsaid.append("detector.curved")
    if detector.panels is not None:
        unsaid.append("detector.panels")
    for name in _VECTORS:
        part, field = name.split(".")
        if getattr(getattr(experiment, part), field) is not None:
            unsaid.append(name)
    if plan.convention == "custom":
        unsaid.append("detector.convention")
    return tuple(unsaid)


@dataclass(frozen=True, slots=True, eq=False, repr=False, kw_only=True)
class SmvHeader(Record):
    """The numbers of a written header; lengths in metres, as the renderer has them.

    `beam_x_m`, `beam_y_m` are Xbeam and Ybeam before the geometry moves the beam centre (model 3);
    the others are those of the rendered geometry, or what model 3 reports as such.  `rendered` is
    what stands in their place with the quirk header_geometry off; None: they do.
    """

    pixel_size_m: float
    distance_m: float
    wavelength_angstrom: float
    beam_x_m: float
    beam_y_m: float
    beam_fast_m: float
    beam_slow_m: float
    size_slow_m: float
    dials_origin_mm: tuple[float, float, float]
    org_x_px: float
    org_y_px: float
    close_distance_m: float
    phi_deg: float
    osc_deg: float
    twotheta_deg: float
    rendered: RenderedGeometry | None = None

    @classmethod
    def from_plan(cls, plan: ResolvedPlan, experiment: Experiment | None = None) -> SmvHeader:
        """The header for an image of a plan, which `experiment` led to.

        Raises `UnsupportedError` for pixels that are not square: a header has one PIXEL_SIZE.
        """
        if plan.pixel_size_m != plan.pixel_size_slow_m:
            raise UnsupportedError(
                "the header of an SMV image has one PIXEL_SIZE, and the pixels are "
                f"{m_to_mm(plan.pixel_size_m):g} x {m_to_mm(plan.pixel_size_slow_m):g} mm "
                "(fast x slow): write another format"
            )
        return cls(
            pixel_size_m=plan.pixel_size_m,
            distance_m=plan.distance_m,
            wavelength_angstrom=m_to_angstrom(plan.wavelength_m),
            beam_x_m=plan.beam_x_m,
            beam_y_m=plan.beam_y_m,
            beam_fast_m=plan.beam_fast_m,
            beam_slow_m=plan.beam_slow_m,
            size_slow_m=plan.size_slow_m,
            dials_origin_mm=plan.dials_origin_mm,
            org_x_px=plan.org_x_px,
            org_y_px=plan.org_y_px,
            close_distance_m=plan.close_distance_m,
            phi_deg=rad_to_deg(plan.phi_rad),
            osc_deg=rad_to_deg(plan.osc_rad),
            twotheta_deg=rad_to_deg(plan.twotheta_rad),
            rendered=RenderedGeometry.from_plan(plan, experiment),
        )

    def doubts(self, quirks: Quirks | None = None) -> str | None:
        """What the geometry has that a header cannot say, in a sentence; None: nothing, or the
        quirk header_geometry is on."""
        rendered = self.rendered
        if (quirks or Quirks()).header_geometry or rendered is None or not rendered.unsaid:
            return None
        return (
            "an SMV header cannot say " + ", ".join(rendered.unsaid) + ": -img of this image gives "
            "another geometry without the same options beside it"
        )

    def misread(self, quirks: Quirks | None = None) -> str | None:
        """What other programs misread in the header, in a sentence; None: nothing, or the quirk
        header_geometry is off, for which there are `doubts`."""
        rendered = self.rendered
        if not (quirks or Quirks()).header_geometry or rendered is None:
            return None
        instead = "the formats smv-adsc, cbf and nxmx say a geometry as programs read it"
        if not rendered.is_across:
            return (
                "programs take the detector of an SMV header for one across the beam, with its "
                f"fast axis along the spindle and its slow axis down; this one is not: {instead}"
            )
        # BEAMLINE=fake: DIALS takes BEAM_CENTER for ADXV's numbers, plus a pixel.
        pixel = self.pixel_size_m
        fast = self.beam_x_m / pixel + 1.0 - rendered.beam_fast_m / pixel
        slow = (self.size_slow_m - self.beam_y_m - rendered.beam_slow_m) / pixel + 1.0
        off = max(abs(fast), abs(slow))
        if not off > _MOST_PIXELS_OFF:
            return None
        return f"DIALS reads the beam centre of this SMV header {off:.4g} pixels off: {instead}"


def read_smv(path: str | os.PathLike[str], *, quirks: Quirks | None = None) -> SmvImage:
    """Reads an image.

    With the quirk smv_header_search on (default), the size is found as `header_number` finds it,
    and pixels are taken for 16-bit unsigned integers in the machine's byte order; a warning names
    each entry of the header that says otherwise.  With it off, these entries are honoured, in the
    spellings of other programs too (``Data_type= long int``).

    Raises `FileAccessError`, and `FileFormatError` if the file is no SMV image or is shorter than
    its header says; with the quirk off also for a type, a byte order or a compression that this
    package does not know.
    """
    header, header_text, pixels = read_smv_buffer(path, quirks_or_all(quirks))
    return SmvImage(header, header_text, as_ndarray(pixels))


def read_smv_buffer(
    path: str | os.PathLike[str], quirks: Quirks, *, is_mask: bool = False
) -> tuple[dict[str, str], str, Buffer]:
    """The same with its pixels as plain memory: what `SmvImage` has, in its order.

    With `is_mask` only zeros matter, which are the same bytes in any order.
    """
    with open_binary(path) as file:
        layout = _read_layout(path, file, quirks)
        if not layout.is_complete:
            raise FileFormatError(path, 0, layout.shortage())
        require_memory({f"pixels of {os.fspath(path)}": layout.data_bytes})
        file.seek(layout.data_start)
        data = file.read(layout.data_bytes)
    if quirks.smv_header_search:
        for text in _ignored_entries(layout.header, is_mask):
            warnings.warn(f"{os.fspath(path)}: {text}", NanobraggWarning, stacklevel=3)
    if layout.byte_order != sys.byteorder:
        from array import array

        values = array(layout.code, data)
        values.byteswap()
        data = values.tobytes()
    raw: Any = memoryview(data)
    return layout.header, layout.header_text, as_buffer(raw.cast(layout.code, layout.shape))


def read_smv_layout(path: str | os.PathLike[str], quirks: Quirks) -> SmvLayout:
    """The header of an image, whose pixels may be missing.

    Raises as `read_smv` does for a header that is not complete or states no size.
    """
    with open_binary(path) as file:
        return _read_layout(path, file, quirks)


def _read_layout(path: str | os.PathLike[str], file: BinaryIO, quirks: Quirks) -> SmvLayout:
    size = file_size(file)
    beginning = file.read(START_BYTES)
    start = re.match(_START, beginning)
    if start is None:
        refuse_other_kind(path, beginning, "an SMV image", own="SMV")
        raise FileFormatError(path, 0, "does not begin like an SMV image ({, HEADER_BYTES)")
    header_bytes = int(start[1])
    if not start.end() <= header_bytes <= size:
        raise FileFormatError(
            path, 2, f"HEADER_BYTES: got {header_bytes}, but the file has {size} bytes"
        )
    file.seek(0)
    header_text = file.read(header_bytes).partition(b"\0")[0].decode("latin-1")
    header = _entries(header_text)
    n_fast, n_slow = _pixel_counts(path, header_text, quirks)
    code, byte_order = "H", str(sys.byteorder)
    if not quirks.smv_header_search:
        code, byte_order = _pixel_type(path, header)
    return SmvLayout(
        header=header,
        header_text=header_text,
        shape=(n_slow, n_fast),
        code=code,
        byte_order=byte_order,
        data_start=header_bytes,
        data_bytes=n_fast * n_slow * struct.calcsize("=" + code),
        file_bytes=size,
    )


def _pixel_type(path: str | os.PathLike[str], header: Mapping[str, str]) -> tuple[str, str]:
    """The type of the pixels, as a memoryview calls it, and "little" or "big"."""
    code, byte_order = "H", str(sys.byteorder)
    for keyword, value in _entries_like(header, _TYPE_KEYWORDS):
        if _plain(value) not in _PIXEL_FORMATS:
            known = "unsigned_short, short, unsigned_long, long or float"
            raise FileFormatError(path, 0, f"{keyword}: got {quoted(value)}, need {known}")
        code = _PIXEL_FORMATS[_plain(value)]
    for keyword, value in _entries_like(header, _ORDER_KEYWORDS):
        if _plain(value) not in _ORDERS:
            raise FileFormatError(
                path, 0, f"{keyword}: got {quoted(value)}, need little_endian or big_endian"
            )
        byte_order = _ORDERS[_plain(value)]
    for keyword, value in _compression(header):
        raise FileFormatError(path, 0, f"{keyword}: got {quoted(value)}, need pixels as they are")
    return code, byte_order


def _ignored_entries(header: Mapping[str, str], is_mask: bool) -> Iterable[str]:
    """What a header says of its pixels that the quirk smv_header_search does not look at."""
    because = "(quirk smv_header_search)"
    for keyword, value in _entries_like(header, _TYPE_KEYWORDS):
        if _PIXEL_FORMATS.get(_plain(value)) != "H":
            yield f"{keyword} is {value}, but pixels are read as unsigned_short {because}"
    for keyword, value in _entries_like(header, _ORDER_KEYWORDS):
        if _ORDERS.get(_plain(value)) != sys.byteorder and not is_mask:
            yield f"{keyword} is {value}, but pixels are read as {sys.byteorder}_endian {because}"
    for keyword, value in _compression(header):
        yield f"{keyword} is {value}, but pixels are read as they are {because}"


def _compression(header: Mapping[str, str]) -> list[tuple[str, str]]:
    entries = _entries_like(header, ("compression",))
    return [(keyword, value) for keyword, value in entries if _plain(value) not in ("none", "")]


def _entries_like(header: Mapping[str, str], keywords: Sequence[str]) -> list[tuple[str, str]]:
    """The entries whose keyword is one of `keywords`, as `_plain` makes it; the first keyword
    last, so that it counts if there are several."""
    found = [(keyword, value) for keyword, value in header.items() if _plain(keyword) in keywords]
    return sorted(found, key=lambda entry: -keywords.index(_plain(entry[0])))


def _plain(word: str) -> str:
    """Without what programs spell differently: capitals, blanks and underscores."""
    return re.sub(r"[\s_-]", "", word).lower()


def header_number(header_text: str, keyword: str, quirks: Quirks | None = None) -> float | None:
    """The number that a header gives for `keyword`; None if the keyword is not there.

    With the quirk smv_header_search on (default), the keyword is found where its letters occur
    last, inside a longer word as well, and the value is what C's `atof` makes of the text after the
    next ``=``, on a later line if need be, and 0 if there is none.  With it off, the keyword is a
    whole word before a ``=`` and a value that is no number counts as not there.
    """
    if quirks_or_all(quirks).smv_header_search:
        found = header_text.rfind(keyword)
        if found < 0:
            return None
        equals = header_text.find("=", found)
        return c_atof(header_text, equals + 1)[0] if equals >= 0 else 0.0
    value, used = c_atof(_entries(header_text).get(keyword, ""))
    return value if used else None


def header_word(header_text: str, keyword: str) -> str | None:
    """What a header has behind a keyword that is a whole word before a ``=``; None without it."""
    return _entries(header_text).get(keyword)


def write_smv(
    path: Destination,
    pixels: Array,
    header: SmvHeader,
    quirks: Quirks | None = None,
) -> None:
    """Writes a uint16 image (slow, fast) in the machine's byte order.

    The header takes 512 bytes.  One that does not fit is written whole while HEADER_BYTES still
    says 512 with the quirk header_overflow on (default); with it off, HEADER_BYTES is the next
    multiple of 512.  With the quirk header_geometry off, it says where the detector of the image
    stands, and warns of what a header cannot say.

    Raises `ConfigError` for another type of pixels, and `FileAccessError`.
    """
    require_class("header", header, SmvHeader)
    quirks = quirks_or_all(quirks)
    image = image_buffer(pixels, "uint16")
    doubts = header.doubts(quirks)
    if doubts is not None:
        warnings.warn(doubts, NanobraggWarning, stacklevel=2)
    write_smv_blocks(path, [image], image.shape, header, quirks)


def write_smv_blocks(
    path: Destination,
    blocks: Iterable[Array],
    shape: tuple[int, ...],
    header: SmvHeader,
    quirks: Quirks | None = None,
) -> None:
    """Writes as `write_smv` an image of `shape` (slow, fast) that comes in blocks of whole rows.

    Raises `ConfigError` if they make another image than that, and `FileAccessError`.
    """
    n_slow, n_fast = shape
    with atomic_write(path) as file:
        file.write(header_block(header, n_fast, n_slow, quirks))
        write_rows(file, blocks, "uint16", shape)


def write_mask(path: Destination, values: NDArray[np.bool_]) -> None:
    """Writes a mask (slow, fast) for `-mask`: 1 for pixels to compute, 0 for those to skip.

    Its header states the size and nothing else, so that reading it sets no other parameter.
    Raises `ConfigError` for another type, and `FileAccessError`.
    """
    import numpy as np

    refuse_masked("mask.values", values)
    if values.dtype != np.bool_ or values.ndim != 2:
        raise ConfigError("mask.values", f"{values.dtype} {values.shape}", "booleans (slow, fast)")
    n_slow, n_fast = values.shape
    block = "{\n" + _lines(_layout(n_fast, n_slow, BLOCK)) + "}\f"
    with atomic_write(path) as file:
        file.write(block.ljust(BLOCK).encode("ascii"))
        file.write(values.astype(np.uint16).data)


def header_block(
    header: SmvHeader, n_fast: int, n_slow: int, quirks: Quirks | None = None
) -> bytes:
    """The header of an image as it stands in the file, padded with blanks."""
    used = quirks_or_all(quirks)
    as_rendered = not used.header_geometry
    header_bytes = BLOCK
    block = _header_lines(header, n_fast, n_slow, header_bytes, as_rendered=as_rendered)
    if not used.header_overflow:
        while len(block) > header_bytes:
            header_bytes += BLOCK
            block = _header_lines(header, n_fast, n_slow, header_bytes, as_rendered=as_rendered)
    return block.ljust(header_bytes).encode("ascii")


def _header_lines(
    header: SmvHeader, n_fast: int, n_slow: int, header_bytes: int, *, as_rendered: bool
) -> str:
    pixel = header.pixel_size_m
    distance, beam_x, beam_y = header.distance_m, header.beam_x_m, header.beam_y_m
    fast, slow = header.beam_fast_m, header.beam_slow_m
    origin_mm, ending = header.dials_origin_mm, "\n"  # the one line without a semicolon
    last = {"BEAMLINE": "fake"}
    if as_rendered:
        ending = ";\n"
        if header.rendered is not None:
            rendered = header.rendered
            distance, beam_x, beam_y = rendered.distance_m, rendered.beam_x_m, rendered.beam_y_m
            fast, slow, origin_mm = rendered.beam_fast_m, rendered.beam_slow_m, rendered.origin_mm
            # In place of a line that says nothing: most headers are nearly full.
            last = {"GEOMETRY": f"{rendered.convention},{rendered.pivot}"}
    before = {
        **_layout(n_fast, n_slow, header_bytes),
        "PIXEL_SIZE": _mm(pixel),
        "DISTANCE": _mm(distance),
        "WAVELENGTH": _g(header.wavelength_angstrom),
        "BEAM_CENTER_X": _mm(beam_x),
        "BEAM_CENTER_Y": _mm(beam_y),
        "ADXV_CENTER_X": _mm(fast),
        "ADXV_CENTER_Y": _mm(header.size_slow_m - slow),
        "MOSFLM_CENTER_X": _mm(slow - 0.5 * pixel),
        "MOSFLM_CENTER_Y": _mm(fast - 0.5 * pixel),
        "DENZO_X_BEAM": _mm(slow),
        "DENZO_Y_BEAM": _mm(fast),
    }
    after = {
        "XDS_ORGX": _g(header.org_x_px),
        "XDS_ORGY": _g(header.org_y_px),
        "CLOSE_DISTANCE": _mm(header.close_distance_m),
        "PHI": _g(header.phi_deg),
        "OSC_START": _g(header.phi_deg),
        "OSC_RANGE": _g(header.osc_deg),
        "TWOTHETA": _g(header.twotheta_deg),
        "DETECTOR_SN": "000",
        **last,
    }
    origin = ",".join(_g(value) for value in origin_mm)
    return "{\n" + _lines(before) + f"DIALS_ORIGIN={origin}{ending}" + _lines(after) + "}\f"


def _layout(n_fast: int, n_slow: int, header_bytes: int) -> dict[str, str]:
    return {
        "HEADER_BYTES": str(header_bytes),
        "DIM": "2",
        "BYTE_ORDER": f"{sys.byteorder}_endian",
        "TYPE": "unsigned_short",
        "SIZE1": str(n_fast),
        "SIZE2": str(n_slow),
    }


def _lines(entries: Mapping[str, str]) -> str:
    return "".join(f"{keyword}={value};\n" for keyword, value in entries.items())


def _g(value: float) -> str:
    return f"{value:g}"


def _mm(length_m: float) -> str:
    return f"{m_to_mm(length_m):g}"


def _entries(header_text: str) -> dict[str, str]:
    return {key: value.rstrip() for key, value in re.findall(_ENTRY, header_text)}


def _pixel_counts(
    path: str | os.PathLike[str], header_text: str, quirks: Quirks
) -> tuple[int, int]:
    """(fast, slow) as the header states them: SIZE1, SIZE2, DETECTOR_DIMENSIONS for want of one."""
    both = header_number(header_text, "DETECTOR_DIMENSIONS", quirks)
    others = [both, both]
    if not quirks.smv_header_search:
        words = _entries(header_text).get("DETECTOR_DIMENSIONS", "").split()
        others = [c_atof(word)[0] for word in words] if len(words) == 2 else [None, None]
    sizes = [header_number(header_text, keyword, quirks) for keyword in ("SIZE1", "SIZE2")]
    counts = [other if size is None else size for size, other in zip(sizes, others, strict=True)]
    n_fast, n_slow = (
        -1 if count is None or not math.isfinite(count) else int(count) for count in counts
    )
    if min(n_fast, n_slow) < 1 or max(n_fast, n_slow) > INT32_MAX:
        shown = " and ".join("none" if count is None else f"{count:g}" for count in counts)
        raise FileFormatError(
            path, 0, f"SIZE1, SIZE2: got {shown}, need two counts from 1 to {INT32_MAX}"
        )
    return n_fast, n_slow
