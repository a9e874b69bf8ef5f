"""Measured images: the pixels of a detector's panels as they are stored, and which of them count.

What a file is follows from how it begins, never from its name.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import (
    ConfigError,
    FileFormatError,
    NanobraggError,
    NanobraggWarning,
)
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.formats.file_kinds import START_BYTES, refuse_other_kind
from nanobragg_hybrid.formats.geometry.content import PanelContent
from nanobragg_hybrid.formats.geometry.experiment_files import contents_of, read_experiment
from nanobragg_hybrid.formats.text import open_binary, read_bytes
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.validate import Integer

Kind = Literal["SMV", "miniCBF", "imgCIF", "NXmx", "TIFF"]
_Path = str | os.PathLike[str]

_NEEDED: Final = "an SMV, miniCBF, imgCIF, NXmx or TIFF image"
_FLAGS: Final = (-1, -2)
"""Of miniCBF files: a pixel in a gap, and a pixel that does not work."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MeasuredImage:
    """A measured image; `read_image` makes them.

    path: the file.  kind: "SMV", "miniCBF", "imgCIF", "NXmx" or "TIFF".  frame, frames: which one
    of how many, counted from 0.  panel_names: as the file has them, or else their numbers.
    panels: the counts of each panel as they are stored, shape (slow, fast), integers or floats.
    masks: booleans, True where a pixel can be used, shape (slow, fast).  pedestal: counts without
    light; gain: counts per photon; None: the file does not say, or not the same for all panels.
    The arrays cannot be written to.
    """

    path: str
    kind: Kind
    frame: int
    frames: int
    panel_names: tuple[str, ...]
    panels: tuple[NDArray[Any], ...]
    masks: tuple[NDArray[np.bool_], ...]
    pedestal: float | None
    gain: float | None

    def __post_init__(self) -> None:
        for array in (*self.panels, *self.masks):
            array.setflags(write=False)

    def __repr__(self) -> str:
        sizes = sorted({f"{p.shape[1]} x {p.shape[0]} {p.dtype}" for p in self.panels})
        return (
            f"<{self.kind} image {self.path!r}: frame {self.frame} of {self.frames}, "
            f"{len(self.panels)} panels of {', '.join(sizes)} (fast x slow)>"
        )

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(slow, fast) of each panel."""
        return tuple((panel.shape[0], panel.shape[1]) for panel in self.panels)

    def photons(self) -> tuple[NDArray[np.float64], ...]:
        """The counts less the pedestal, over the gain, of each panel, shape (slow, fast); where the
        file does not say them, a pedestal of 0 and a gain of 1.  Pixels that cannot be used, too.
        """
        pedestal, gain = self.pedestal or 0.0, self.gain or 1.0
        return tuple((panel.astype(np.float64) - pedestal) / gain for panel in self.panels)

    def experiment(self, *, like: Experiment | None = None) -> Experiment:
        """The experiment of the file's header for this frame: see `read_experiment`.

        Raises what that raises, `FileFormatError` for a file that says nothing of a geometry.
        """
        image: int | None = None
        if self.frames > 1:
            found = contents_of(self.path)
            scan = None if isinstance(found, Experiment) else found[0].scan
            if scan is not None and scan.images > 1:
                image = scan.first_image + self.frame
        return read_experiment(self.path, image=image, like=like)


class _Pixels(NamedTuple):
    """What a file has: names and pixels of its panels, masks where it has any, its frames."""

    kind: Kind
    names: list[str]
    panels: list[NDArray[Any]]
    masks: list[NDArray[np.bool_] | None]
    frames: int = 1


def read_image(path: _Path, *, frame: int = 0) -> MeasuredImage:
    """A measured image: SMV, miniCBF, imgCIF (of one panel or many), NXmx or TIFF.

    frame: which one of a file of several, counted from 0.  NXmx needs h5py (and hdf5plugin, if it
    is compressed with bitshuffle), CBF files that are packed or canonically compressed pycbf: the
    extra ``mx`` has them all.

    A pixel cannot be used if it is NaN or infinite, if an integer is the largest of its type, where
    a file's pixel mask says so (NXmx), outside the file's trusted range (overloads, underloads), in
    miniCBF files at -1 and -2, and in a bad region of the header.

    Warns (`NanobraggWarning`) if the header's geometry, which has the trusted range, cannot be
    read.  Raises `FileAccessError`, `FileFormatError`, `UnsupportedError` (a package is missing, a
    compression is not known), `ConfigError` for a frame that there is not, `ResourceError`.
    """
    rule = Integer(at_least=0)
    try:
        wanted = rule.normalise(frame)
    except ValueError:
        raise ConfigError("frame", frame, rule.text) from None
    with open_binary(path) as file:
        start = file.read(START_BYTES)
    read = next((read for pattern, read in _READERS if pattern.match(start)), None)
    if read is None:
        refuse_other_kind(path, start, _NEEDED)
        raise FileFormatError(path, 0, f"is of no kind that is known, need {_NEEDED}")
    found = read(path, wanted)
    if wanted >= found.frames:
        need = "0, the only frame" if found.frames == 1 else f"0 to {found.frames - 1}"
        raise ConfigError("frame", wanted, need)
    found, described = _described(path, found)
    require_memory({"masks": 2 * sum(panel.size for panel in found.panels)})
    masks = [
        _usable(found.kind, panel, own, content)
        for panel, own, content in zip(found.panels, found.masks, described, strict=True)
    ]
    stated = [content for content in described if content is not None]
    return MeasuredImage(
        path=os.fspath(path),
        kind=found.kind,
        frame=wanted,
        frames=found.frames,
        panel_names=tuple(found.names),
        panels=tuple(found.panels),
        masks=tuple(masks),
        pedestal=_common([content.pedestal for content in stated]),
        gain=_common([content.gain for content in stated]),
    )


def _common(values: list[float | None]) -> float | None:
    return values[0] if len(set(values)) == 1 else None


def _described(path: _Path, found: _Pixels) -> tuple[_Pixels, list[PanelContent | None]]:
    """The pixels, in the order of the header's panels, and what it says of each panel; None:
    nothing that can be read."""
    nothing: list[PanelContent | None] = [None] * len(found.panels)
    if found.kind == "TIFF":
        return found, nothing
    try:
        contents = contents_of(path)
    except NanobraggError as error:
        why = str(error).removeprefix(f"{os.fspath(path)}: ")
        text = f"{os.fspath(path)}: no geometry and no trusted range are known: {why}"
        warnings.warn(text, NanobraggWarning, stacklevel=3)
        return found, nothing
    panels = () if isinstance(contents, Experiment) or not contents else contents[0].panels
    names = [panel.name for panel in panels]
    if found.kind == "imgCIF" and names != found.names and sorted(names) == sorted(found.names):
        order = [found.names.index(name) for name in names]
        arrays = [found.panels[n] for n in order]
        found = found._replace(names=names, panels=arrays)
    shapes = [(panel.n_slow, panel.n_fast) for panel in panels]
    if shapes != [panel.shape for panel in found.panels]:
        text = (
            f"{os.fspath(path)}: no trusted range is known: the header describes {len(shapes)} "
            f"panels, which are not of the sizes of the {len(found.panels)} arrays"
        )
        warnings.warn(text, NanobraggWarning, stacklevel=3)
        return found, nothing
    return found, list(panels)


def _usable(
    kind: Kind,
    panel: NDArray[Any],
    own: NDArray[np.bool_] | None,
    content: PanelContent | None,
) -> NDArray[np.bool_]:
    is_real = panel.dtype.kind == "f"
    mask: NDArray[np.bool_] = np.isfinite(panel) if is_real else panel != np.iinfo(panel.dtype).max
    if own is not None:
        mask &= own
    if kind == "miniCBF" and panel.dtype.kind == "i":
        mask &= (panel != _FLAGS[0]) & (panel != _FLAGS[1])
    if content is None:
        return mask
    if content.trusted_range is not None:
        low, high = content.trusted_range
        with np.errstate(invalid="ignore"):
            mask &= (panel >= low) & (panel <= high)
    if content.mask is not None:
        mask &= content.mask
    return mask


# ---- kinds of files


def is_measured(path: _Path) -> bool:
    """Whether a file begins like a CBF, HDF5 or TIFF file: what holds a detector's panels, frames
    or bad pixels, which SMV does not."""
    with open_binary(path) as file:
        start = file.read(START_BYTES)
    return any(pattern.match(start) for pattern, read in _READERS if read is not _of_smv)


def _of_smv(path: _Path, frame: int) -> _Pixels:  # noqa: ARG001
    from nanobragg_hybrid.formats.smv import read_smv
    from nanobragg_hybrid.model.quirks import Quirks

    image = read_smv(path, quirks=Quirks.parse("nanobragg,-smv_header_search"))
    return _Pixels("SMV", ["0"], [image.pixels], [None])


def _of_cbf(path: _Path, frame: int) -> _Pixels:  # noqa: ARG001
    from nanobragg_hybrid.formats.measured.cbf_sections import cbf_sections

    data = read_bytes(path)
    sections = list(cbf_sections(path, data))
    if not sections:
        raise FileFormatError(path, 0, "has no binary section, so no pixels")
    arrays = [section.pixels for section in sections]
    names = _names_of_arrays(path, [section.before for section in sections])
    panels: list[NDArray[Any]] = []
    panel_names: list[str] = []
    for name, array in zip(names, arrays, strict=True):
        if array.ndim == 2:
            panels.append(array)
            panel_names.append(name)
        else:
            panels.extend(array)
            panel_names.extend(f"{name}[{n}]" for n in range(len(array)))
    start = sections[0].before
    is_mini = "_array_data.header_contents" in start and "_array_structure_list." not in start
    kind: Kind = "miniCBF" if is_mini else "imgCIF"
    return _Pixels(kind, panel_names, panels, [None] * len(panels))


def _names_of_arrays(path: _Path, before: list[str]) -> list[str]:
    """The array_id of each section, where the text before it has one of the header; else its
    number."""
    known = set(re.findall(r"[^\s'\"]+", before[0].partition("_array_structure_list.")[2]))
    names = []
    for number, text in enumerate(before):
        last = text.rpartition("_array_data.")[2] if number == 0 else text
        place = re.search(r"_array_data\.array_id\s+([^\s'\"]+)", text)
        if place is not None and not place[1].startswith("_"):
            names.append(place[1])
            continue
        words = [w for w in re.findall(r"[^\s'\";]+", last) if w in known and not w.isdigit()]
        names.append(words[-1] if words else str(number))
    if len(set(names)) < len(names):
        raise FileFormatError(path, 0, "has two binary sections of the same array_id")
    return names


def _of_nxmx(path: _Path, frame: int) -> _Pixels:
    from nanobragg_hybrid.formats.measured.nxmx_pixels import nxmx_pixels

    modules, frames = nxmx_pixels(path, frame)
    names, panels, masks = zip(*modules, strict=True)
    return _Pixels("NXmx", list(names), list(panels), list(masks), frames)


def _of_tiff(path: _Path, frame: int) -> _Pixels:
    from nanobragg_hybrid.formats.measured.tiff_pixels import tiff_pixels

    pixels, frames = tiff_pixels(path, frame)
    return _Pixels("TIFF", ["0"], [pixels], [None], frames)


_READERS: Final[tuple[tuple[re.Pattern[bytes], Callable[[_Path, int], _Pixels]], ...]] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (rb"\x89HDF\r\n\x1a\n", _of_nxmx),
        (rb"\{\n[ \t]*HEADER_BYTES", _of_smv),
        (rb"###_?CBF", _of_cbf),
        (rb"II\*\0|MM\0\*", _of_tiff),
    )
)
"""How each kind begins."""
