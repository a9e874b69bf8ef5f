"""Images as one HTML page to look at, with everything in it (written only).

The page needs no server and no network: it holds the pixels, compressed, and the picture that
`data/picture.js` draws of them.
"""

from __future__ import annotations

import base64
import html
import json
import math
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.formats.text import read_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DATA: Final = Path(__file__).resolve().parents[1] / "data"
_TYPES: Final = ("float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32")
"""Of pixels, as a page can hold them."""
MOST_BYTES: Final = 1 << 30
"""Of pixels in a page."""


class PanelGeometry(NamedTuple):
    """Where a panel is, for resolution: vectors in the laboratory, lengths in metres.

    pix0_m: the outer corner of the first pixel.  beam_direction: in which the beam goes.
    """

    pix0_m: tuple[float, float, float]
    fast_axis: tuple[float, float, float]
    slow_axis: tuple[float, float, float]
    pixel_size_m: float
    beam_direction: tuple[float, float, float]
    wavelength_angstrom: float


class ViewedPanel(NamedTuple):
    """A panel of an image.

    pixels: numbers, shape (slow, fast).  place: x0, y0, fast_x, fast_y, slow_x, slow_y: its first
    corner in the picture, and what a pixel's edges are there; None: fast to the right, slow down.
    mask: booleans of the same shape, False where a pixel is not to be used; None: all are.
    """

    pixels: NDArray[Any]
    name: str = ""
    place: tuple[float, float, float, float, float, float] | None = None
    geometry: PanelGeometry | None = None
    mask: NDArray[np.bool_] | None = None


class SpotLabel(NamedTuple):
    """Words at a place of a panel (its number among those shown), in pixels from its corner."""

    panel: int
    fast_px: float
    slow_px: float
    text: str


class ViewedImage(NamedTuple):
    """An image of a page; note: what should be known of it; spots: what is marked in it."""

    name: str
    panels: tuple[ViewedPanel, ...]
    unit: str = ""
    note: str = ""
    spots: tuple[SpotLabel, ...] = ()


def viewer_page(images: Sequence[ViewedImage], title: str) -> str:
    """The text of the page.

    Raises `ConfigError` for pixels that a page cannot hold without changing them, and for more
    than `MOST_BYTES` of them.
    """
    held = [[_held(image, panel) for panel in image.panels] for image in images]
    size = sum(pixels.nbytes for panels in held for pixels in panels)
    if size > MOST_BYTES:
        raise ConfigError(
            "images", f"{size} bytes of pixels", f"at most {MOST_BYTES} in one page: show fewer"
        )
    documents: list[dict[str, Any]] = []
    data: list[str] = []

    def kept(pixels: NDArray[Any]) -> str:
        name = f"pixels-{len(data)}"
        data.append(f'<script type="text/plain" id="{name}">{_packed(pixels)}</script>')
        return name

    for image, panels in zip(images, held, strict=True):
        described = []
        for panel, pixels in zip(image.panels, panels, strict=True):
            document = {**_panel(panel, pixels), "data": kept(pixels)}
            if panel.mask is not None and not panel.mask.all():
                if panel.mask.shape != pixels.shape:
                    raise ConfigError(f"{image.name}: mask", panel.mask.shape, str(pixels.shape))
                document["mask"] = kept(panel.mask.astype("uint8"))
            described.append(document)
        documents.append(
            {
                "name": image.name,
                "unit": image.unit,
                "note": image.note,
                "panels": described,
                "spots": [
                    # the picture counts from a pixel's middle
                    [spot.panel, spot.fast_px - 0.5, spot.slow_px - 0.5, spot.text]
                    for spot in image.spots
                ],
            }
        )
    parts = {
        "TITLE": html.escape(title),
        "DATA": "\n".join(data),
        "PICTURE": read_text(_DATA / "picture.js"),
        "IMAGES": json.dumps(documents, allow_nan=False).replace("<", "\\u003c"),
    }
    template = read_text(_DATA / "viewer.html")
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found[1]], template)


def _panel(panel: ViewedPanel, pixels: NDArray[Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": panel.name,
        "type": str(pixels.dtype),
        "n_fast": pixels.shape[1],
        "n_slow": pixels.shape[0],
    }
    if panel.place is not None:
        described["place"] = panel.place
    geometry = panel.geometry
    if geometry is not None:
        described["geometry"] = {
            "pix0": geometry.pix0_m,
            "fast": geometry.fast_axis,
            "slow": geometry.slow_axis,
            "pixel_size": geometry.pixel_size_m,
            "beam": geometry.beam_direction,
            "wavelength_angstrom": geometry.wavelength_angstrom,
        }
    return described


def _held(image: ViewedImage, panel: ViewedPanel) -> NDArray[Any]:
    """The pixels in a type of `_TYPES`, with the same values."""
    import numpy as np

    pixels = np.asarray(panel.pixels)
    what = f"{image.name}: pixels"
    if pixels.ndim != 2 or pixels.size == 0:
        raise ConfigError(what, f"shape {pixels.shape}", "(slow, fast), not empty")
    if pixels.dtype.kind not in "fiub":
        raise ConfigError(what, pixels.dtype, "real numbers")
    if str(pixels.dtype) in _TYPES:
        return pixels
    if pixels.dtype.kind == "f":  # another size or byte order
        wanted = "float32" if pixels.dtype.itemsize <= 4 else "float64"
        if pixels.dtype.itemsize > 8 and not _same(pixels, pixels.astype(wanted)):
            raise ConfigError(what, pixels.dtype, "numbers that float64 holds")
        return pixels.astype(wanted)
    low, high = int(pixels.min()), int(pixels.max())
    for name in ("uint8", "int16", "uint16", "int32", "uint32"):
        if np.iinfo(name).min <= low and high <= np.iinfo(name).max:
            return pixels.astype(name)
    if max(-low, high) > 2**53:
        raise ConfigError(what, low if -low > high else high, "whole numbers up to 2^53")
    return pixels.astype(np.float64)


def _same(one: NDArray[Any], other: NDArray[np.float64]) -> bool:
    import numpy as np

    return bool(np.array_equal(one, other, equal_nan=True))


def _packed(pixels: NDArray[Any]) -> str:
    """base64 of zlib of all first bytes (little-endian), all second bytes, ...: alike ones beside
    each other compress well."""
    import numpy as np

    little = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    planes = little.reshape(-1).view(np.uint8).reshape(math.prod(pixels.shape), -1).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")
