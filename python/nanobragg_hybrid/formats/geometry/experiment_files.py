"""Experiments from the files of other programs.

What a file is follows from how it begins, never from its name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from nanobragg_hybrid.base.errors import FileFormatError
from nanobragg_hybrid.formats.file_kinds import refuse_other_kind
from nanobragg_hybrid.formats.geometry.cif_text import BINARY
from nanobragg_hybrid.formats.geometry.content import (
    ExperimentContent,
    MadeDetectors,
    experiment_of,
    with_notes,
)
from nanobragg_hybrid.formats.geometry.crystfel_stream import STREAM_START
from nanobragg_hybrid.formats.geometry.xds import XPARM_START
from nanobragg_hybrid.formats.text import open_binary, read_bytes
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.validate import require_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Path = str | os.PathLike[str]

_LOOKED_AT: Final = 1 << 16
_HEADER: Final = 64 << 20
_KINDS: Final = (
    "a DIALS experiment list, XDS.INP, XPARM.XDS, a CrystFEL geometry or stream, an imgCIF, "
    "miniCBF or SMV image, an NXmx file, or an experiment of this package"
)


class StreamImage(NamedTuple):
    """One image of a CrystFEL stream; see `read_stream`.

    image: its file.  event: which of that file's images.  serial: its number in the stream, 0 if it
    has none.  wavelength_angstrom: None if the stream does not say.  peaks: float64, shape
    (peaks, 4): fs and ss, px, in the array of all the panels' data; resolution, 1/nm; intensity.
    peak_panels: the name of the panel of each.  experiments: one for each crystal.
    """

    image: str
    event: str
    serial: int
    wavelength_angstrom: float | None
    peaks: NDArray[np.float64]
    peak_panels: tuple[str, ...]
    experiments: tuple[Experiment, ...]


def read_experiments(
    path: _Path,
    *,
    image: int | None = None,
    crystal: _Path | None = None,
    like: Experiment | None = None,
) -> list[Experiment]:
    """The experiments of a file: beam, panels, rotation and crystal, in the simulator's frame.

    It may be a DIALS experiment list (`.expt`), XDS.INP, XPARM.XDS or GXPARM.XDS, a CrystFEL
    geometry or stream (an experiment for each crystal), an imgCIF, miniCBF or SMV image (of which
    the header counts), an NXmx file (needs h5py), or an experiment of this package.

    image: number of the image of a scan, as the file counts them; None: the first, with a warning
    if there are more.  crystal: a file that the crystal comes from instead: one of the above, or a
    matrix file of MOSFLM's.  like: an experiment that everything comes from which the file says
    nothing of, such as the crystal's size or the fluence; None: defaults.

    Warns (`NanobraggWarning`) of what an experiment cannot hold.  Raises `FileAccessError`,
    `FileFormatError`, `UnsupportedError` (pixels that are not square; h5py is missing),
    `ConfigError` for an argument.
    """
    return _experiments(path, image, crystal, like)


def read_experiment(
    path: _Path,
    *,
    image: int | None = None,
    crystal: _Path | None = None,
    like: Experiment | None = None,
) -> Experiment:
    """The only experiment of a file: see `read_experiments`.

    Raises `FileFormatError`, which says how many there are, for another number of them.
    """
    experiments = _experiments(path, image, crystal, like)
    if len(experiments) != 1:
        raise FileFormatError(
            path,
            0,
            f"has {len(experiments)} experiments, need one: read_experiments gives the list",
        )
    return experiments[0]


def read_stream(path: _Path, *, like: Experiment | None = None) -> list[StreamImage]:
    """The images of a CrystFEL stream, with their peaks and an experiment for each crystal.

    like: as in `read_experiments`.  Warns and raises as it does.
    """
    from nanobragg_hybrid.formats.geometry.crystfel_stream import chunks_of_stream

    if like is not None:
        require_class("like", like, Experiment)
    images, notes, crystals = [], [], 0
    made: MadeDetectors = {}
    for chunk in chunks_of_stream(path):
        experiments = []
        for content in chunk.contents:
            experiment, said = experiment_of(path, content, None, like, made)
            experiments.append(experiment)
            notes.extend(said)
            crystals += 1
        images.append(
            StreamImage(
                chunk.image,
                chunk.event,
                chunk.serial,
                chunk.wavelength_angstrom,
                chunk.peaks,
                chunk.peak_panels,
                tuple(experiments),
            )
        )
    with_notes(path, notes, crystals, stacklevel=3)
    return images


def contents_of(path: _Path) -> list[ExperimentContent] | Experiment:
    """What a file says, in the simulator's frame; of a file of this package its experiment.

    Raises as `read_experiments` does.
    """
    return _read(path)


def _experiments(
    path: _Path, image: int | None, crystal: _Path | None, like: Experiment | None
) -> list[Experiment]:
    if like is not None:
        require_class("like", like, Experiment)
    found = _read(path)
    if isinstance(found, Experiment):
        found = [_of_own(found)]
    if crystal is not None:
        found = _with_crystal(found, path, crystal)
    experiments, notes = [], []
    made: MadeDetectors = {}
    for content in found:
        experiment, said = experiment_of(path, content, image, like, made)
        experiments.append(experiment)
        notes.extend(said)
    with_notes(path, notes, len(found), stacklevel=4)
    return experiments


def _of_own(experiment: Experiment) -> ExperimentContent:
    return ExperimentContent(
        wavelength_angstrom=experiment.beam.wavelength_angstrom, own=experiment
    )


# ---- kinds of files


def is_experiment_file(path: _Path) -> bool:
    """Whether a file begins like one that `read_experiments` reads."""
    with open_binary(path) as file:
        return _kind(file.read(_LOOKED_AT)) is not None


def _kind(start: bytes) -> Callable[[_Path], list[ExperimentContent] | Experiment] | None:
    """What reads a file that begins like this; None: nothing here."""
    for pattern, read in _READERS:
        if pattern.search(start):
            return read
    return None


def _read(path: _Path) -> list[ExperimentContent] | Experiment:
    with open_binary(path) as file:
        start = file.read(_LOOKED_AT)
    read = _kind(start)
    if read is None:
        refuse_other_kind(path, start, _KINDS)
        raise FileFormatError(path, 0, f"is of no kind that is known, need {_KINDS}")
    return read(path)


def _text(path: _Path) -> str:
    """A text file of another program; bytes that are no UTF-8 are left for whom they matter to."""
    data = read_bytes(path)
    zero = data.find(b"\0")
    if zero >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise FileFormatError(path, line, "is no text: it has a byte of value 0")
    return data.decode("utf-8-sig", errors="replace")


def _of_json(path: _Path) -> list[ExperimentContent] | Experiment:
    from nanobragg_hybrid.formats.experiment_json import FORMAT
    from nanobragg_hybrid.formats.geometry.dials import LIST_ID, contents_of_expt
    from nanobragg_hybrid.formats.geometry.json_values import parsed

    data = parsed(path, _text(path))
    kind = data.get("__id__") if isinstance(data, dict) else None
    if kind == LIST_ID:
        return contents_of_expt(path, data)
    if isinstance(data, dict) and data.get("format") == FORMAT:
        return Experiment.load(path)
    raise FileFormatError(
        path, 0, f"is JSON, but neither a DIALS experiment list nor {FORMAT!r}; need {_KINDS}"
    )


def _of_stream(path: _Path) -> list[ExperimentContent]:
    from nanobragg_hybrid.formats.geometry.crystfel_stream import chunks_of_stream

    found = [content for chunk in chunks_of_stream(path) for content in chunk.contents]
    if not found:
        raise FileFormatError(path, 0, "has no crystal")
    return found


def _of_geom(path: _Path) -> list[ExperimentContent]:
    from nanobragg_hybrid.formats.geometry.crystfel_geom import contents_of_geom

    return contents_of_geom(path, _text(path))


def _of_xds_inp(path: _Path) -> list[ExperimentContent]:
    from nanobragg_hybrid.formats.geometry.xds import contents_of_xds_inp

    return contents_of_xds_inp(path, _text(path))


def _of_xparm(path: _Path) -> list[ExperimentContent]:
    from nanobragg_hybrid.formats.geometry.xds import contents_of_xparm

    return contents_of_xparm(path, _text(path))


def _of_old_xparm(path: _Path) -> list[ExperimentContent]:
    from nanobragg_hybrid.formats.geometry.xds import contents_of_old_xparm

    return contents_of_old_xparm(path, _text(path))


def _of_cbf(path: _Path) -> list[ExperimentContent]:
    from nanobragg_hybrid.formats.geometry.cif_text import CifText
    from nanobragg_hybrid.formats.geometry.imgcif import contents_of_imgcif
    from nanobragg_hybrid.formats.geometry.minicbf import contents_of_minicbf

    data = b""
    with open_binary(path) as file:
        while BINARY not in data[-_LOOKED_AT - len(BINARY) :] and len(data) < _HEADER:
            part = file.read(_LOOKED_AT)
            if not part:
                break
            data += part
        data += file.read(4096)
    header, _, rest = data.partition(BINARY)
    cif = CifText(path, header.decode("latin-1"))
    if cif.rows("axis") and cif.rows("array_structure_list"):
        return contents_of_imgcif(path, cif)
    comments = [
        row["header_contents"] for row in cif.rows("array_data") if "header_contents" in row
    ]
    if not comments:
        raise FileFormatError(
            path,
            0,
            "its header says nothing of a geometry: it has neither the tables of imgCIF (_axis, "
            "_array_structure_list) nor the comments of a miniCBF (_array_data.header_contents)",
        )
    return contents_of_minicbf(path, comments[0], rest[:4096].decode("latin-1"))


def _of_smv(path: _Path) -> list[ExperimentContent]:
    from nanobragg_hybrid.formats.geometry.smv_geometry import contents_of_smv
    from nanobragg_hybrid.formats.smv import read_smv_layout
    from nanobragg_hybrid.model.quirks import Quirks

    layout = read_smv_layout(path, Quirks.parse("nanobragg,-smv_header_search"))
    return contents_of_smv(path, layout.header, layout.shape)


def _of_nxmx(path: _Path) -> list[ExperimentContent]:
    from nanobragg_hybrid.formats.geometry.nxmx import contents_of_nxmx

    return contents_of_nxmx(path)


def _numbers_in_lines(*counts: int) -> bytes:
    """A pattern of a text that begins with so many numbers in each line."""
    number = rb"[-+.\deE]+"
    lines = (
        rb"[ \t]*" + number + rb"(?:[ \t]+" + number + rb"){%d}[ \t]*\r?\n" % (count - 1)
        for count in counts
    )
    return rb"\A" + b"".join(lines)


_READERS: Final[
    tuple[tuple[re.Pattern[bytes], Callable[[_Path], list[ExperimentContent] | Experiment]], ...]
] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (rb"\A\x89HDF\r\n\x1a\n", _of_nxmx),
        (rb"\A(?:\xef\xbb\xbf)?\s*\{\s*\"", _of_json),
        (rb"\A\{\n[ \t]*HEADER_BYTES", _of_smv),
        (rb"\A###_?CBF", _of_cbf),
        (rb"\A" + STREAM_START.encode(), _of_stream),
        (rb"\A\s*" + XPARM_START.encode() + rb"\s", _of_xparm),
        (_numbers_in_lines(6, 4, 4, 3, 3, 3, 3, 7), _of_old_xparm),
        (rb"(?m)^[^;\n]*[^;\s/]/corner_x\s*=", _of_geom),  # of any length without a second +
        (rb"(?m)^[^!\n]*\b(?:ORGX|DETECTOR_DISTANCE|X-RAY_WAVELENGTH)\s*=", _of_xds_inp),
    )
)
"""How each kind begins; the first that fits counts."""


# ---- crystals


def _with_crystal(
    found: list[ExperimentContent], path: _Path, crystal: _Path
) -> list[ExperimentContent]:
    """The same with the crystal of another file."""
    from nanobragg_hybrid.formats.geometry.smv_geometry import crystal_of_matrix
    from nanobragg_hybrid.formats.matrix import read_matrix

    with open_binary(crystal) as file:
        read = _kind(file.read(_LOOKED_AT))
    if read is not None:
        others = read(crystal)
        if isinstance(others, Experiment) or len(others) != 1 or others[0].crystal is None:
            raise FileFormatError(crystal, 0, "need a file with one crystal")
        rows = others[0].crystal
        return [content._replace(crystal=rows, crystal_of_image=()) for content in found]
    matrix = read_matrix(crystal)
    result = []
    for content in found:
        if content.wavelength_angstrom is None:
            raise FileFormatError(path, 0, "has no wavelength for the crystal's matrix")
        rows = crystal_of_matrix(matrix, content.wavelength_angstrom)
        result.append(content._replace(crystal=rows, crystal_of_image=()))
    return result
