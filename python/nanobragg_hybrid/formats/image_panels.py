"""What a viewer shows of an image file: the pixels of its panels, in the file's own type.

This is the one place that knows which kinds of files can be shown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.formats import any_image
from nanobragg_hybrid.formats.file_kinds import START_BYTES
from nanobragg_hybrid.formats.geometry.experiment_files import is_experiment_file
from nanobragg_hybrid.formats.measured.image import read_image
from nanobragg_hybrid.formats.npy import NPY_START, read_npy
from nanobragg_hybrid.formats.text import open_binary
from nanobragg_hybrid.model.experiment import Experiment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MEASURED: Final = re.compile(rb"\x89HDF\r\n|\{\n[ \t]*HEADER_BYTES|###_?CBF|II\*\0|MM\0\*")
"""How files begin that the reader of measured images takes."""


class ImagePanels(NamedTuple):
    """An image, whose panels have pixels of shape (slow, fast).

    names: of the panels, if the file has any.  masks: booleans, True where a pixel can be used.
    experiment: reads where the panels are; raises what `read_experiment` does.  None: the file does
    not say.  frame, frames: which one of how many images of the file.
    """

    panels: tuple[NDArray[Any], ...]
    names: tuple[str, ...] = ()
    unit: str = ""
    masks: tuple[NDArray[np.bool_], ...] = ()
    experiment: Callable[[], Experiment] | None = None
    frame: int = 0
    frames: int = 1


def read_image_panels(
    path: str | os.PathLike[str], shape: tuple[int, int] | None = None, frame: int = 0
) -> ImagePanels:
    """A measured image (see `read_image`), PGM or raw floats, or an array of numpy's (.npy) of
    shape (slow, fast) or (panel, slow, fast).

    shape: (slow, fast) of a raw float image.  frame: which one of a file of several.  Raises what
    these readers raise.
    """
    with open_binary(path) as file:
        start = file.read(START_BYTES)
    if _MEASURED.match(start):
        image = read_image(path, frame=frame)
        has_geometry = image.kind == "NXmx" or is_experiment_file(path)
        return ImagePanels(
            image.panels,
            image.panel_names,
            "counts",
            image.masks,
            image.experiment if has_geometry else None,
            image.frame,
            image.frames,
        )
    if frame != 0:
        raise ConfigError("frame", frame, f"0: {os.fspath(path)} has one image")
    if start.startswith(NPY_START):
        array = read_npy(path)
        return ImagePanels(tuple(array) if array.ndim == 3 else (array,))
    return ImagePanels((any_image.read_image(path, shape),))
