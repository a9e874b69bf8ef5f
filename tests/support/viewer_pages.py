"""What a viewer's page holds, read without a browser."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def images_of(page: str) -> list[dict[str, Any]]:
    """The images as the page describes them, whose panels have `pixels`, and `mask` if one is
    kept."""
    found = re.search(r"^const IMAGES = (.*);$", page, re.MULTILINE)
    assert found is not None
    images: list[dict[str, Any]] = json.loads(found[1])
    for image in images:
        for panel in image["panels"]:
            panel["pixels"] = _numbers(page, panel, panel["data"], panel["type"])
            if "mask" in panel:
                panel["mask"] = _numbers(page, panel, panel["mask"], "uint8").astype(bool)
    return images


def _numbers(page: str, panel: dict[str, Any], data: str, kind: str) -> NDArray[Any]:
    found = re.search(rf'id="{data}">([^<]*)<', page)
    assert found is not None
    planes = np.frombuffer(zlib.decompress(base64.b64decode(found[1])), np.uint8)
    shape = panel["n_slow"], panel["n_fast"]
    pixels = planes.reshape(-1, shape[0] * shape[1]).T.copy().view(kind)
    return np.asarray(pixels.reshape(shape))
