"""Measured images as sides of a comparison: panels, without pixels that cannot be used."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import NanobraggWarning
from nanobragg_hybrid.cli.compare.options import UsageProblemError
from nanobragg_hybrid.cli.compare.output import document_of
from nanobragg_hybrid.cli.nanobragg.inputs import Warn
from nanobragg_hybrid.compare.images import Image
from nanobragg_hybrid.formats.any_image import read_image as read_plain
from nanobragg_hybrid.formats.measured.image import is_measured, read_image


class MeasuredPanel(NamedTuple):
    """A panel of a file: its counts, and which pixels can be used, shape (slow, fast); pedestal in
    counts and gain in counts per photon."""

    path: str
    name: str
    counts: NDArray[Any]
    mask: NDArray[np.bool_]
    pedestal: float
    gain: float

    @property
    def photons(self) -> Image:
        """Counts less the pedestal, over the gain; NaN where pixels cannot be used."""
        photons = (self.counts.astype(np.float64) - self.pedestal) / self.gain
        return np.where(self.mask, photons, np.nan).astype(np.float32)

    def compared(self, mask: NDArray[np.bool_] | None) -> Image:
        """The counts; NaN where either side's pixels cannot be used (mask), or its own."""
        usable = self.mask if mask is None else mask
        return np.where(usable, self.counts, np.nan).astype(np.float32)

    def document(self, image: Image) -> dict[str, Any]:
        """The side as the summary has it."""
        return document_of(
            name=Path(self.path).name,
            path=self.path,
            image=image,
            panel=self.name,
            not_usable=int(np.count_nonzero(~self.mask)),
        )


def measured_panels(
    path: str, frame: int | None, panel: str | None, shape: tuple[int, int] | None
) -> list[MeasuredPanel]:
    """The panels of a file, or the one of that name; an SMV, PGM or raw file has one.

    shape: (slow, fast) of raw floats.  Raises `UsageProblemError` for a panel that there is not,
    and what the reading raises.
    """
    if not is_measured(path):
        plain = read_plain(path, shape)
        return [MeasuredPanel(path, "0", plain, np.isfinite(plain), 0.0, 1.0)]
    image = read_image(path, frame=frame or 0)
    panels = [
        MeasuredPanel(path, name, counts, mask, image.pedestal or 0.0, image.gain or 1.0)
        for name, counts, mask in zip(image.panel_names, image.panels, image.masks, strict=True)
    ]
    return panels if panel is None else [_named(path, panels, panel)]


def _named(path: str, panels: list[MeasuredPanel], name: str) -> MeasuredPanel:
    for panel in panels:
        if panel.name == name:
            return panel
    known = ", ".join(panel.name for panel in panels[:6]) + (" ..." if len(panels) > 6 else "")
    raise UsageProblemError(f"--panel: {path} has no panel {name!r}; it has {known}")


def measured_side(path: str, frame: int | None, panel: str | None) -> MeasuredPanel:
    """The only panel of a file, or the one of that name."""
    image = read_image(path, frame=frame or 0)
    panels = [
        MeasuredPanel(path, name, counts, mask, image.pedestal or 0.0, image.gain or 1.0)
        for name, counts, mask in zip(image.panel_names, image.panels, image.masks, strict=True)
    ]
    if panel is not None:
        return _named(path, panels, panel)
    if len(panels) > 1:
        raise UsageProblemError(f"--measured: {path} has {len(panels)} panels: give --panel NAME")
    return panels[0]


@contextlib.contextmanager
def told(warn: Warn) -> Iterator[None]:
    """Warnings of the package are given to `warn` instead."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", NanobraggWarning)
        yield
    for each in caught:
        if isinstance(each.message, NanobraggWarning):
            warn(str(each.message))
