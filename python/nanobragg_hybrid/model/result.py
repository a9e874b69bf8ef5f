"""What an engine renders, and what a simulation returns."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from nanobragg_hybrid.base.arrays import NOT_YET_READ, ArrayField, as_buffer
from nanobragg_hybrid.base.lazy import work_of
from nanobragg_hybrid.model.detector import several_panels
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.statistics import Statistics

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.base.arrays import Array, Buffer
    from nanobragg_hybrid.base.atomic import Destination
    from nanobragg_hybrid.model.geometry import Geometry


ImageFormat = Literal["smv", "smv-adsc", "cbf", "nxmx", "tiff", "png"]
"""Formats of image files; see `write_image`."""

IMAGE_FORMATS: Final[tuple[ImageFormat, ...]] = get_args(ImageFormat)

ImagePixels = Literal["counts", "noise", "integers", "photons"]
"""What of a result an image file has; see `write_image`."""

IMAGE_PIXELS: Final[tuple[ImagePixels, ...]] = get_args(ImagePixels)


class Rendered(NamedTuple):
    """What an engine makes of a run.

    image: float32, shape (slow, fast).  unrounded: float64, the same before rounding, if asked for.
    plan: as rendered.  provenance: what computed it.  random_state: see `SimulationResult`.
    background: float64, photons beside the spots (model 9), if the experiment has such a part.
    background_outside: for each scatterer, and behind them for the radial curve, in how many pixels
    its table was asked outside its rows.
    """

    image: Array
    unrounded: Array | None
    statistics: Statistics
    plan: ResolvedPlan
    provenance: Mapping[str, Any] = MappingProxyType({})
    random_state: object = None
    background: Array | None = None
    background_outside: tuple[int, ...] = ()


OF_ONE_PANEL: Final = (
    "image",
    "unrounded",
    "plan",
    "info",
    "random_state",
    "expected",
    "variance",
    "counts",
)
"""Fields of a result that each panel has for itself."""


_ADDED: Final = MappingProxyType(
    {"panel_results": (), "expected": None, "variance": None, "counts": None, "frame": 0}
)
"""What a pickle of an earlier version lacks."""


class _OfOnePanel(ArrayField):
    """A field of a result that has several panels only in the result of each of them."""

    def __init__(self, slot: Any, name: str) -> None:
        super().__init__(slot)
        self._name = name

    def __get__(self, record: Any, owner: type | None = None) -> Any:
        if record is not None and record.panel_results:
            instead = "result.panels has the result of each"
            if self._name in ("image", "unrounded"):
                instead = "result.images has the image of each, and result.panels the rest"
            raise several_panels(f"result.{self._name}", len(record.panel_results), instead)
        return super().__get__(record, owner)


def _of_one_panel(cls: type[SimulationResult]) -> type[SimulationResult]:
    for name in OF_ONE_PANEL:
        setattr(cls, name, _OfOnePanel(vars(cls)[name], name))
    # Here, because `dataclass` of Python 3.11.2 replaces those that stand in the class.
    for name, method in (("__getstate__", _state), ("__setstate__", _set_state)):
        setattr(cls, name, method)
    return cls


def _state(result: SimulationResult) -> dict[str, Any]:
    """What is pickled: the fields by name, memory as arrays."""
    fields = _fields(result)
    for name in ("image", "unrounded", "expected", "variance", "counts"):
        if isinstance(fields[name], NOT_YET_READ):
            fields[name] = getattr(result, name)
    return fields


def _set_state(result: SimulationResult, state: dict[str, Any] | list[Any]) -> None:
    if isinstance(state, list):  # values in order, of a pickle from before there were panels
        state = {f.name: x for f, x in zip(dataclasses.fields(result), state, strict=False)}
    for name, value in {**_ADDED, **state}.items():
        object.__setattr__(result, name, value)


@_of_one_panel
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SimulationResult:
    """One rendered image, or one for each panel of a detector, and what belongs to it.

    `images` and `panels` are there in both cases.  With several panels image, unrounded, plan,
    info, geometry, random_state, expected, variance and counts are `ConfigError`s: `panels` has
    them for each.

    image: float32, shape (slow, fast); 0 outside the region of interest and under the mask.
    unrounded: float64, same shape, the pixel values before rounding to float32; None unless asked
        for.
    statistics: see this class; of several panels together, with the brightest pixel's place on its
        panel, which `brightest_panel` names.
    plan: what was chosen and derived before the first pixel, SI units, to the last bit.
    info: the same as a dictionary with the names and numbers of the C header's `nbh_plan_info`.
    provenance: what made this image: versions, backend, quirks, threads, seeds, time.
    warnings: what the user should know, one sentence each: what the plan changed or doubts, then
        what one look at the finished image found.  `simulate` has issued them.
    random_state: state of the random generator after set-up, opaque; noise images go on from it
        (model 7.4).  None from an engine that keeps none: then they set it up themselves.
    experiment: as rendered, with the seeds that came from the clock.
    quirks: as rendered.
    quirks_that_mattered: names of the quirks that were on and could have changed this image.
    expected: float64, same shape, counts above the pedestal before noise: photons of image and
        background after the point spread, times the pixels' gains (model 10.2); photons where the
        gain is 1.  0 outside the region of interest and under the mask.  None for an experiment
        without background and response.
    variance: float64, same shape, of these counts (model 10.3); without a response, of counting
        photons.  Infinite where a pixel tells nothing: dead, hot, or not rendered.  Computed
        when it or `expected` is first read.  None as above.
    counts: what the detector reads out in frame `frame`, same shape, in the response's
        `count_type`; 0 where not rendered.  None without a response.
    frame: number of the frame of `counts`; `frame_counts` has the others.
    panel_results: the results of the panels, if there are several; see `panels`.
    """

    image: NDArray[np.float32]
    unrounded: NDArray[np.float64] | None
    statistics: Statistics
    plan: ResolvedPlan
    info: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    random_state: object = None
    experiment: Experiment = field(default_factory=Experiment)
    quirks: Quirks = field(default_factory=Quirks)
    quirks_that_mattered: tuple[str, ...] = ()
    expected: NDArray[np.float64] | None = None
    variance: NDArray[np.float64] | None = None
    counts: NDArray[Any] | None = None
    frame: int = 0
    panel_results: tuple[SimulationResult, ...] = ()

    @property
    def panels(self) -> tuple[SimulationResult, ...]:
        """The result of each panel; this one where there is but one."""
        return self.panel_results or (self,)

    @property
    def images(self) -> tuple[NDArray[np.float32], ...]:
        """The image of each panel, float32, shape (slow, fast)."""
        return tuple(panel.image for panel in self.panels)

    @property
    def brightest_panel(self) -> int:
        """The number of the panel with the brightest pixel, the first of them; 0 where all are
        dark."""
        brightest = [panel.statistics.max for panel in self.panels]
        return brightest.index(max(brightest))

    @property
    def geometry(self) -> Geometry:
        """The plan's geometry in user units."""
        from nanobragg_hybrid.model.geometry import Geometry

        return Geometry.from_plan(self.plan)

    def save(
        self,
        path: Destination,
        *,
        format: ImageFormat | None = None,  # noqa: A002 (what everybody calls it)
        pixels: ImagePixels | None = None,
        **counting: Any,
    ) -> None:
        """Writes the image for other programs, with its geometry: see `write_image`.

        counting: its `pedestal`, `gain`, `saturation` and `sensor_material`.
        """
        work_of("SimulationResult.save")(self, path, format=format, pixels=pixels, **counting)

    @property
    def image_buffer(self) -> Buffer:
        """The memory of `image`, which needs no numpy: float32, shape (slow, fast)."""
        if self.panel_results:
            return as_buffer(self.image)  # an error
        return as_buffer(_stored(self, "image"))

    def show(
        self, path: str | os.PathLike[str] | None = None, *, open_browser: bool | None = None
    ) -> Path:
        """Writes an HTML page to look at the image with (each panel in its place), and opens it.

        The page has everything in it: zoom to pixels and their values, contrast, resolution rings.
        path: where it is written; None: in a new folder for temporary files, which stays.
        open_browser: None: if no path is given.  Returns the path of the page.

        Warns (`NanobraggWarning`) if no browser can be started.  Raises `ConfigError` for more
        pixels than a page holds, and `FileAccessError`.
        """
        page: Path = work_of("SimulationResult.show")(self, path, open_browser=open_browser)
        return page

    def _repr_png_(self) -> bytes | None:
        """A picture for notebooks, at most about 1000 pixels wide, in which each pixel is the
        brightest of those that it stands for; None, and so the text alone, without Pillow."""
        png: bytes | None = work_of("SimulationResult._repr_png_")(self)
        return png

    def replaced(self, **changes: Any) -> SimulationResult:
        """A copy with other values for some fields, and the same memory."""
        return SimulationResult(**{**_fields(self), **changes})

    def __repr__(self) -> str:
        if self.panel_results:
            return f"SimulationResult({len(self.panel_results)} panels, {self.statistics!r})"
        n_slow, n_fast = self.image_buffer.shape
        return f"SimulationResult({n_fast} x {n_slow} pixels, {self.statistics!r})"


def _stored(result: SimulationResult, name: str) -> Any:
    """What a field holds, as it is."""
    found: ArrayField = vars(SimulationResult)[name]
    return found.stored(result)


def _fields(result: SimulationResult) -> dict[str, Any]:
    """What all fields hold, as it is."""
    names = [f.name for f in dataclasses.fields(result)]
    return {
        name: _stored(result, name) if name in OF_ONE_PANEL else getattr(result, name)
        for name in names
    }
