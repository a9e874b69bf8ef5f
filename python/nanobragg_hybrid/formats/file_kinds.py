"""What kind a file is of, by how it begins: for messages of readers that want another kind."""

from __future__ import annotations

import os
import re
from typing import Final, Literal, NamedTuple

from nanobragg_hybrid.base.errors import FileFormatError

START_BYTES: Final = 4096
"""How much of a file `kind_of` looks at."""

Own = Literal["", "SMV", "PGM", "dump", "h k l F", "JSON", "MTZ", "CIF", "PDB"]


class FileKind(NamedTuple):
    """A kind of file: how it begins, what it is called, and what to do with it.

    `own` names the kinds that this package reads, with the reader that does.
    """

    pattern: bytes  # a regular expression for the first bytes
    name: str
    advice: str
    own: Own = ""


_READ_HERE: Final = "give it with -hkl, or read_structure_factors (extra: mx)"
_TO_TEXT: Final = "export its amplitudes as text, a line h k l F for each reflection"
_INTENSITIES: Final = (
    "it lists intensities or has more columns: write h, k, l and F, the root of the intensity"
)
_UNPACK: Final = "unpack it first"
_IMAGE: Final = "convert it to SMV with 16-bit pixels"
_ANOTHER_SAVE: Final = "save it as plain text (ASCII, or UTF-8 without a byte-order mark)"
_GEOMETRY: Final = "read_experiment takes its geometry"
_READ_EXPERIMENT: Final = "give it to read_experiment"
_FIELD: Final = rb"[ \d-]{3}\d"
_NUMBER: Final = rb"[ \t]+[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_INDICES: Final = rb"[ \t]*[+-]?\d+[ \t]+[+-]?\d+[ \t]+[+-]?\d+"
_REFLECTION: Final = _INDICES + _NUMBER + rb"[^\n]*\n"

_SHELX_LINE: Final = _FIELD * 3 + rb"(?:[ \d.-]{6}[\d.][\d. ]){2}[ \d]{0,4}[ \t]*\r?\n"

SHELX: Final = FileKind(
    rb"(?:" + _SHELX_LINE + rb"){2}",
    "a SHELX file of intensities and their errors (HKLF 4)",
    _INTENSITIES,
)
"""Its columns are those of h k l F with another one, so it can be read as that."""

FILE_KINDS: Final = (
    FileKind(rb"\xef\xbb\xbf", "text with a byte-order mark (UTF-8)", _ANOTHER_SAVE),
    FileKind(rb"\xff\xfe|\xfe\xff", "text in UTF-16", _ANOTHER_SAVE),
    FileKind(rb"\x1f\x8b", "a gzip file", _UNPACK),
    FileKind(rb"BZh[1-9]1AY&SY", "a bzip2 file", _UNPACK),
    FileKind(rb"\xfd7zXZ\0", "an xz file", _UNPACK),
    FileKind(rb"\x28\xb5\x2f\xfd", "a Zstandard file", _UNPACK),
    FileKind(rb"\x1f\x9d", "a file of compress (.Z)", _UNPACK),
    FileKind(rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    FileKind(
        rb"PK\x03\x04.{26}[^\0]{1,200}\.npy",
        "an archive of numpy arrays (.npz)",
        "load it with numpy and write what is needed with a write function of this package",
    ),
    FileKind(rb"PK\x03\x04", "a zip archive", _UNPACK),
    FileKind(
        rb"\x93NUMPY",
        "a numpy array (.npy)",
        "load it with numpy and write it with a write function of this package",
    ),
    FileKind(rb"MTZ ", "an MTZ file", _READ_HERE, "MTZ"),
    FileKind(
        rb"\x89HDF\r\n\x1a\n",
        "an HDF5 file",
        "export the image or the amplitudes it holds; read_experiment takes the geometry of NXmx",
    ),
    FileKind(rb"###CBF|# *CBF|###_CBF", "a CBF image", f"{_IMAGE}; {_GEOMETRY}"),
    FileKind(rb"II\*\0|MM\0\*|II\+\0|MM\0\+", "a TIFF image", _IMAGE),
    FileKind(
        rb"\x89PNG\r\n\x1a\n", "a PNG picture", "it holds no photons: give the image it shows"
    ),
    FileKind(rb"\xff\xd8\xff", "a JPEG picture", "it holds no photons: give the image it shows"),
    FileKind(
        rb"\{\r\n?\s*HEADER_BYTES",
        "an SMV image whose header has DOS line ends (CR LF)",
        "write its header with LF alone, keeping HEADER_BYTES",
    ),
    FileKind(
        rb"\{\n[ \t]*HEADER_BYTES", "an SMV image", "give it with -img or -mask, or read_smv", "SMV"
    ),
    FileKind(rb"\{\s*(?:HeaderID|EDF_)", "an EDF image", _IMAGE),
    FileKind(rb"P5\s", "a PGM picture", "it is read by read_pgm alone", "PGM"),
    FileKind(rb"P[12346]\s", "a picture of the PNM family", "convert it to a binary PGM (P5)"),
    FileKind(
        rb"[ \t-\r]*(?:[+-]?\d+[ \t-\r]+){5}[+-]?\d+\n\f",
        "a binary dump of structure factors",
        "give it with -dump, or read_dump",
        "dump",
    ),
    FileKind(
        rb"[\x90-\x9f].{0,5}dials::af::reflection_table",
        "a DIALS reflection table (.refl)",
        "read_spots takes its spots",
    ),
    FileKind(rb"!FORMAT=XDS_ASCII", "an XDS_ASCII file", _INTENSITIES),
    FileKind(rb"!OUTPUT_FILE=", "a file of XDS", _INTENSITIES),
    FileKind(rb"CrystFEL reflection list", "a reflection list of CrystFEL", _INTENSITIES),
    FileKind(
        rb"CrystFEL stream",
        "a stream of CrystFEL",
        f"merge it, and write h k l F; {_GEOMETRY} and its crystals",
    ),
    FileKind(rb"\s*XPARM\.XDS\s", "the geometry that XDS found (XPARM.XDS)", _READ_EXPERIMENT),
    FileKind(
        rb"(?![{\[])(?:[^\n]*\n)*?[^!\n]*?\b(?:ORGX|DETECTOR_DISTANCE|X-RAY_WAVELENGTH)\s*=",
        "the input of XDS (XDS.INP)",
        _READ_EXPERIMENT,
    ),
    FileKind(
        rb"(?:[^\n]*\n)*?[^;\n/]*/corner_x\s*=", "a geometry file of CrystFEL", _READ_EXPERIMENT
    ),
    FileKind(
        rb'\s*\{\s*"__id__"\s*:\s*"ExperimentList"', "a DIALS experiment list", _READ_EXPERIMENT
    ),
    FileKind(
        rb"(?:\s|#[^\n]*\n)*data_\S*\s(?:#[^\n]*\n|\s)*(?:_|loop_)", "a CIF file", _READ_HERE, "CIF"
    ),
    FileKind(
        rb"(?:HEADER {4}|CRYST1[ \d.]{9}|REMARK {1,3}\d|(?:ATOM {2}|HETATM)[ \d]{5} |TITLE {5})",
        "a PDB file",
        _READ_HERE,
        "PDB",
    ),
    FileKind(rb"(?i:\s*NREF[A-Z]*[= ]|\s*INDE[X ])", "a reflection file of CNS", _TO_TEXT),
    SHELX,
    FileKind(
        rb"(?:#[^\n]*\n|\s)*" + _REFLECTION + _REFLECTION,
        "text of h k l F",
        "give it with -hkl, or read_hkl",
        "h k l F",
    ),
    FileKind(
        rb'\s*(?:\{\s*"|\{\s*\}|\[\s*[\[{"\d\]-])', "JSON", "load it with Experiment.load", "JSON"
    ),
)
"""The kinds that are recognised; the first whose pattern fits counts."""

_COMPILED: list[tuple[re.Pattern[bytes], FileKind]] = []


def kind_of(start: bytes, *, own: Own = "") -> FileKind | None:
    """The kind of a file that begins with `start`, up to `START_BYTES` of it; None: not known.

    The kind `own`, which the caller reads, is not looked for.
    """
    if not _COMPILED:
        _COMPILED.extend((re.compile(kind.pattern, re.DOTALL), kind) for kind in FILE_KINDS)
    start = start[:START_BYTES]
    for pattern, kind in _COMPILED:
        if pattern.match(start) and not (own and kind.own == own):
            return kind
    return None


def refuse_other_kind(
    path: str | os.PathLike[str], start: bytes, needed: str, *, own: Own = ""
) -> None:
    """Raises `FileFormatError` if a file that begins with `start` is of a kind that is known.

    It says what the file is, what is `needed`, and what to do.
    """
    kind = kind_of(start, own=own)
    if kind is not None:
        raise FileFormatError(path, 0, f"is {kind.name}, need {needed}: {kind.advice}")
