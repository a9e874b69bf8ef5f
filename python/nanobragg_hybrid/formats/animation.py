"""Moving pictures for people: GIF and animated PNG (written only; needs Pillow)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.arrays import refuse_masked
from nanobragg_hybrid.base.atomic import atomic_write, check_path
from nanobragg_hybrid.base.errors import (
    ConfigError,
    Description,
    UnsupportedError,
    how_to_install,
)
from nanobragg_hybrid.model.validate import Integer, Number

_FORMATS: Final = {".gif": "GIF", ".png": "PNG", ".apng": "PNG"}
_DURATION: Final = Integer(at_least=1, at_most=60_000)
_GIF_MS: Final = 10
_PERCENTILE: Final = 99.5


def write_animation(
    path: str | os.PathLike[str],
    images: Sequence[NDArray[Any]],
    *,
    frame_ms: int = 150,
    brightest: float | None = None,
) -> None:
    """Writes images one after the other, without end: ``.gif``, or animated PNG (``.png``,
    ``.apng``).

    images: at least one, real numbers, all of one shape (slow, fast); pixels that are not finite
    count as 0.  Spots are dark on white: darkness goes with the square root.  frame_ms: how long
    each is shown, 1 to 60000; GIF counts in 10 ms, so there it is a multiple of 10.  brightest:
    what is drawn black in all of them, > 0; None: the 99.5th percentile of all pixels above 0.

    Raises `UnsupportedError` without Pillow, `ConfigError`, `FileAccessError`.
    """
    check_path(path)
    ending = os.path.splitext(os.fspath(path).lower())[1]  # noqa: PTH122 (any kind of path)
    if ending not in _FORMATS:
        raise ConfigError("path", os.fspath(path), f"a name that ends in {', '.join(_FORMATS)}")
    arrays = _checked(images)
    rules: tuple[tuple[str, Any, Any], ...] = (
        ("frame_ms", frame_ms, _DURATION),
        ("brightest", brightest, Number(above=0.0)),
    )
    for name, value, rule in rules:
        try:
            if name == "frame_ms" or value is not None:
                rule.normalise(value)
        except ValueError:
            raise ConfigError(name, value, rule.text) from None
    if ending == ".gif" and frame_ms % _GIF_MS:
        rule_of_gif = f"a multiple of {_GIF_MS} for a GIF, from {_GIF_MS}"
        raise ConfigError("frame_ms", frame_ms, rule_of_gif)
    try:
        from PIL import Image
    except ImportError:
        raise UnsupportedError(
            f"writing an animation needs Pillow: {how_to_install('png')}"
        ) from None
    if brightest is None:
        positive = np.concatenate([array[array > 0.0] for array in arrays])
        brightest = float(np.percentile(positive, _PERCENTILE)) if positive.size else 1.0
    pictures = [Image.fromarray(_grey(array, brightest)) for array in arrays]
    with atomic_write(path) as file:
        pictures[0].save(
            file,
            format=_FORMATS[ending],
            save_all=True,
            append_images=pictures[1:],
            duration=frame_ms,
            loop=0,
        )


def _grey(image: NDArray[np.float64], brightest: float) -> NDArray[np.uint8]:
    darkness = np.sqrt(np.clip(image / brightest, 0.0, 1.0))
    return np.asarray(255.0 * (1.0 - darkness) + 0.5).astype(np.uint8)


def _checked(images: object) -> list[NDArray[np.float64]]:
    rule = "a list of at least one array of real numbers, all of one shape (slow, fast)"
    if not isinstance(images, list | tuple) or not images:
        raise ConfigError("images", images, rule)
    arrays: list[NDArray[np.float64]] = []
    for n, image in enumerate(images):
        refuse_masked(f"images[{n}]", image)
        array = np.asarray(image)
        if array.dtype.kind not in "fiub" or array.ndim != 2 or array.size == 0:
            found = Description(f"{array.dtype} of shape {array.shape}")
            raise ConfigError(f"images[{n}]", found, rule)
        if arrays and array.shape != arrays[0].shape:
            raise ConfigError(f"images[{n}]", Description(f"shape {array.shape}"), rule)
        arrays.append(np.nan_to_num(array.astype(np.float64), posinf=0.0, neginf=0.0))
    return arrays
