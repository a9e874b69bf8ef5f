"""The coordinates of several images: those that all share, and those of each image."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description, suggestion
from nanobragg_hybrid.fitting.coordinates import (
    FLUENCE,
    MISSET,
    ROTATION,
    SCALE,
    SPOT_SCALES,
    Block,
    Coordinates,
)
from nanobragg_hybrid.fitting.likelihoods import Array

_PER_IMAGE: Final = (
    "data",
    "boxes",
    "mask",
    "gain",
    "adc_offset",
    "readout_variance",
    "experiment",
)
"""Arguments of `fit` that each image has its own of."""

OWN: Final = (
    MISSET,
    ROTATION,
    SCALE,
    FLUENCE,
    SPOT_SCALES,
    "goniometer.phi_deg",
    "goniometer.osc_deg",
)
"""What is one image's own where nobody says what is shared."""


@contextlib.contextmanager
def of_image(n: int, images: int) -> Iterator[None]:
    """Errors that name a field name the image, too, where there are several."""
    try:
        yield
    except ConfigError as error:
        if images == 1:
            raise
        head, *rest = error.field.split("[", 1)
        place = f"{head}[{n}]" if head in _PER_IMAGE else f"{head} of image {n}"
        if head not in _PER_IMAGE and rest:
            place = f"{error.field} of image {n}"
        elif rest:
            place += "[" + rest[0]
        raise type(error)(place, error.value, error.rule, error.unit) from None


def checked_shared(given: object, names: tuple[str, ...], images: int | None) -> frozenset[str]:
    """The names of the parameters that all images share; `ConfigError`.

    images: how many; None: `fit` got one experiment, not a list of them.
    """
    if given is None:
        return frozenset(names) - frozenset(OWN)
    if images is None:
        rule = "None for one image: give lists of experiments and data to fit several"
        raise ConfigError("shared", given, rule)
    shared: Any = (given,) if isinstance(given, str) else given
    if not isinstance(shared, Sequence | set | frozenset):
        raise ConfigError("shared", given, "names of parameters that are fitted, or None")
    for name in shared:
        if name not in names:
            rule = f"one of the parameters that are fitted{suggestion(name, names)}"
            raise ConfigError("shared", name, rule)
    return frozenset(shared)


class Joint:
    """Coordinates of images, those of a shared block being the same ones.

    images: of each image alone.  every: all, in the order of the images' blocks, shared ones once
    and the others image by image.  owners: of each block of `every` its image, None for all.
    places: where the coordinates of each image are among all.

    Raises `ConfigError` for a shared block that does not start from the same numbers everywhere.
    """

    def __init__(self, images: tuple[Coordinates, ...], shared: frozenset[str]) -> None:
        self.images = images
        blocks: list[Block] = []
        owners: list[int | None] = []
        parts: list[list[NDArray[np.intp]]] = [[] for _ in images]
        at = 0
        for same in zip(*(image.blocks for image in images), strict=True):
            is_shared = same[0].name in shared
            if is_shared:
                _require_same_start(same)
            for n, block in enumerate(same):
                if is_shared and n > 0:
                    parts[n].append(parts[0][-1])
                    continue
                blocks.append(block)
                owners.append(None if is_shared else n)
                parts[n].append(np.arange(at, at + block.start.size))
                at += block.start.size
        self._shared = shared
        self.every = Coordinates(tuple(blocks))
        self.owners = tuple(owners)
        self.places = tuple(np.concatenate([np.zeros(0, dtype=np.intp), *own]) for own in parts)

    def counting_from(self, x: Array) -> Joint:
        """The same, where the farthest turn counts from the orientations of x."""
        pairs = zip(self.images, self.parts(x), strict=True)
        images = tuple(coordinates.counting_from(part) for coordinates, part in pairs)
        return Joint(images, self._shared)

    @property
    def start(self) -> Array:
        """All coordinates to start from."""
        return self.every.start

    def parts(self, x: Array) -> list[Array]:
        """The coordinates of each image."""
        return [x[place] for place in self.places]


def _require_same_start(blocks: tuple[Block, ...]) -> None:
    first = blocks[0].numbers(blocks[0].start)
    for n, block in enumerate(blocks[1:], start=1):
        numbers = block.numbers(block.start)
        if numbers.shape != first.shape or (numbers != first).any():
            what = Description(f"{_words(numbers)} {block.unit}".rstrip())
            rule = (
                f"the start of image 0 ({_words(first)}), since all images share it: make them "
                "equal, or leave it out of shared"
            )
            raise ConfigError(f"experiment[{n}], {block.name}", what, rule)


def _words(numbers: Array) -> str:
    return " ".join(repr(number) for number in numbers.tolist())
