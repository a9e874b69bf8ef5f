"""Which format an image file has, by its name or by word."""

from __future__ import annotations

import os
import re
from typing import Final

from nanobragg_hybrid.base.atomic import check_path
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.model.result import IMAGE_FORMATS, ImageFormat

ENDINGS: Final[dict[str, tuple[ImageFormat, ...]]] = {
    ".img": ("smv", "smv-adsc"),
    ".smv": ("smv", "smv-adsc"),
    ".cbf": ("cbf",),
    ".h5": ("nxmx",),
    ".hdf5": ("nxmx",),
    ".nxs": ("nxmx",),
    ".tif": ("tiff",),
    ".tiff": ("tiff",),
    ".png": ("png",),
}
_OTHERS: Final = (".npy", ".npz", ".pgm", ".bin", ".jpg", ".jpeg", ".edf", ".mccd", ".gz", ".bz2")
_OTHERS_TOO: Final = (".json", ".expt", ".geom", ".hkl", ".mtz", ".cif", ".pdb")
"""Endings of what is none of these formats."""

FILE_ENDINGS: Final[dict[ImageFormat, str]] = {
    "smv": ".img",
    "smv-adsc": ".img",
    "cbf": ".cbf",
    "nxmx": ".h5",
    "tiff": ".tif",
    "png": ".png",
}


def checked_format(path: object, given: object) -> ImageFormat:
    """The format of a file.  Raises `ConfigError` (``path``, ``format``), `FileAccessError`."""
    if given is not None and given not in IMAGE_FORMATS:
        raise ConfigError("format", given, f"one of {', '.join(IMAGE_FORMATS)}")
    known = next((kind for kind in IMAGE_FORMATS if kind == given), None)
    if not isinstance(path, str | os.PathLike):
        if not callable(getattr(path, "write", None)):
            raise ConfigError("path", path, "a path, or a binary file that is open")
        if known is None:
            raise ConfigError("format", None, f"one of {', '.join(IMAGE_FORMATS)} for an open file")
        return known
    check_path(path)
    name = os.fspath(path)
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122
    of_ending = ENDINGS.get(ending, ())
    if known is None:
        if not of_ending:
            rule = f"a name that ends in {', '.join(ENDINGS)}, or a format"
            raise ConfigError("path", name, rule)
        return of_ending[0]
    if (of_ending and known not in of_ending) or ending in (*_OTHERS, *_OTHERS_TOO):
        wanted = ", ".join(end for end, kinds in ENDINGS.items() if known in kinds)
        raise ConfigError("path", name, f"a name that ends in {wanted} for the format {known}")
    return known


def format_of_name(path: str | os.PathLike[str]) -> ImageFormat | None:
    """The format that a name's ending says; None: it says none."""
    kinds = ENDINGS.get(os.path.splitext(os.fspath(path))[1].lower())  # noqa: PTH122
    return kinds[0] if kinds else None


def without_number(path: object, turns: bool) -> list[str]:
    """What DIALS refuses in the name of an image that turns."""
    if not turns or not isinstance(path, str | os.PathLike):
        return []
    if re.search(r"\d\.|\.\d{2,12}$", os.path.basename(os.fspath(path))):  # noqa: PTH119
        return []
    note = "dials.import wants a number before the ending of such a name, as in image_001.cbf"
    return [f"an image of a rotation: {note}"]
