"""What a viewer shows of an image file: the pixels of its panels, in the file's own type.

This is the one place that knows which kinds of files can be shown.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.formats.any_image import read_image
from nanobragg_hybrid.formats.file_kinds import START_BYTES
from nanobragg_hybrid.formats.npy import NPY_START, read_npy
from nanobragg_hybrid.formats.smv import read_smv
from nanobragg_hybrid.formats.text import open_binary
from nanobragg_hybrid.model.quirks import Quirks

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HONEST_HEADER: Final = dataclasses.replace(Quirks(), smv_header_search=False)


class ImagePanels(NamedTuple):
    """Pixels of each panel, shape (slow, fast), and the panels' names, if the file has any."""

    panels: tuple[NDArray[Any], ...]
    names: tuple[str, ...] = ()
    unit: str = ""


def read_image_panels(
    path: str | os.PathLike[str], shape: tuple[int, int] | None = None
) -> ImagePanels:
    """The panels of an SMV, PGM or raw float image (see `read_image`), or of an array of numpy's
    (.npy), shape (slow, fast) or (panel, slow, fast).

    shape: (slow, fast) of a raw float image.  Raises what these readers raise.
    """
    with open_binary(path) as file:
        start = file.read(START_BYTES)
    if start.startswith(NPY_START):
        array = read_npy(path)
        return ImagePanels(tuple(array) if array.ndim == 3 else (array,))
    if start.startswith(b"{\n"):
        return ImagePanels((read_smv(path, quirks=_HONEST_HEADER).pixels,), unit="counts")
    return ImagePanels((read_image(path, shape),))
