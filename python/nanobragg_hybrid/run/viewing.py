"""Pages to look at images with: of results, and of files with the geometry that they have."""

from __future__ import annotations

import os
import tempfile
import warnings
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from nanobragg_hybrid.base.errors import (
    ConfigError,
    Description,
    NanobraggError,
    NanobraggWarning,
)
from nanobragg_hybrid.base.units import m_to_angstrom, m_to_mm
from nanobragg_hybrid.engines.c.engine import CEngine
from nanobragg_hybrid.formats.geometry.experiment_files import read_experiment
from nanobragg_hybrid.formats.image_panels import ImagePanels, read_image_panels
from nanobragg_hybrid.formats.text import write_text
from nanobragg_hybrid.formats.viewer_page import (
    PanelGeometry,
    SpotLabel,
    ViewedImage,
    ViewedPanel,
    viewer_page,
)
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.reflection_truth import ReflectionTruth
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.result import SimulationResult
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.run.assembled import projected_panel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Path = str | os.PathLike[str]
_MOST_SPOTS: Final = 3000
"""That are marked in an image."""


class _Marks(NamedTuple):
    """Reflections to mark.  images: how many are shown; first: the frame of the first of them."""

    truth: ReflectionTruth
    images: int
    first: int | None


def show(
    result: SimulationResult, path: _Path | None = None, *, open_browser: bool | None = None
) -> Path:
    """Writes a page with the result's image (each panel in its place) and opens it in the browser.

    See `SimulationResult.show`.
    """
    detector = result.experiment.detector
    names = tuple(panel.name for panel in detector.panels or ())
    plans = [panel.plan for panel in result.panels]
    panels = ImagePanels(result.images, names, "photons")
    image = _viewed("simulated image", panels, plans, detector.curved)
    return show_page(viewer_page([image], "nanobragg-hybrid"), path, open_browser)


def page_of_files(
    paths: Sequence[_Path],
    *,
    shape: tuple[int, int] | None = None,
    geometry: _Path | None = None,
    frames: Sequence[int] = (0,),
    truth: ReflectionTruth | None = None,
    truth_frame: int | None = None,
) -> str:
    """A page with the images of files, see `read_image_panels`.

    shape: (slow, fast) of raw float images.  geometry: a file that says where the panels are, for
    all images (see `read_experiment`); None: the image's own header, if it has one.  frames: which
    images of each file, counted from 0.  truth: reflections to mark, with their indices: the n-th
    image shown has the n-th of its frames, of which there have to be as many; an image of a file of
    several has the frame of its own number.  truth_frame: the number of the frame that the first
    image shown has; the others have those that follow in the truth.  Raises what the readers raise,
    and `ConfigError`.
    """
    plans = None if geometry is None else _plans_of(lambda: read_experiment(geometry))
    shown = [(path, frame) for path in paths for frame in frames]
    marks = None if truth is None else _Marks(truth, len(shown), truth_frame)
    images = [
        _file(path, shape, frame, plans, place, marks) for place, (path, frame) in enumerate(shown)
    ]
    title = os.fspath(paths[0]) if len(paths) == 1 else f"{len(paths)} files"
    return viewer_page(images, title)


def show_page(text: str, path: _Path | None, open_browser: bool | None) -> Path:
    """Writes a page, to a new folder if `path` is None, and opens it: None: if there is no path."""
    if path is None:
        page = Path(tempfile.mkdtemp(prefix="nanobragg-hybrid-")) / "view.html"
    else:
        page = Path(path)
    write_text(page, text)
    page = page.resolve()
    wanted = path is None if open_browser is None else open_browser
    if wanted and not webbrowser.open_new_tab(page.as_uri()):
        warnings.warn(f"no browser could be started: open {page}", NanobraggWarning, stacklevel=3)
    return page


def _file(
    path: _Path,
    shape: tuple[int, int] | None,
    frame: int,
    plans: tuple[list[ResolvedPlan], bool] | None,
    place: int = 0,
    marks: _Marks | None = None,
) -> ViewedImage:
    """place: among all images shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NanobraggWarning)  # of a header, which is tried below
        found = read_image_panels(path, shape, frame)
    name = os.fspath(path)
    if found.frames > 1:
        name += f", frame {found.frame} of {found.frames} (0 to {found.frames - 1})"
    spots = () if marks is None else _spots(name, found, marks, place)
    note = ""
    if plans is None and found.experiment is not None:
        try:
            plans = _plans_of(found.experiment)
        except NanobraggError as error:  # the pixels are worth a look without
            note = f"No resolution rings: {error}"
    elif plans is None:
        note = "No resolution rings: the file does not say where the detector is."
    if plans is None:
        if len(found.panels) > 1:
            note += "  The panels are shown below each other."
        return ViewedImage(name, _stacked(found), found.unit, note, spots)
    placed, curved = plans
    shapes = [(plan.n_slow, plan.n_fast) for plan in placed]
    if [pixels.shape for pixels in found.panels] != shapes:
        got = ", ".join(f"{p.shape[1]} x {p.shape[0]}" for p in found.panels)
        need = ", ".join(f"{n_fast} x {n_slow}" for n_slow, n_fast in shapes)
        raise ConfigError(f"{name}: panels", got, f"those of the geometry, {need} (fast x slow)")
    viewed = _viewed(name, found, placed, curved)
    numbers = {name: n for n, name in enumerate(panel.name for panel in viewed.panels)}
    shown = [numbers.get(_panel_name(found, n)) for n in range(len(found.panels))]
    return viewed._replace(
        spots=tuple(
            spot._replace(panel=number)
            for spot in spots
            if (number := shown[spot.panel]) is not None
        )
    )


def _spots(name: str, image: ImagePanels, marks: _Marks, place: int) -> tuple[SpotLabel, ...]:
    """The brightest reflections of the image's frame; panel: its number in the file."""
    truth = marks.truth
    shapes = tuple(pixels.shape for pixels in image.panels)
    if shapes != truth.shapes:
        raise ConfigError(f"{name}: truth", truth.shapes, f"panels of (slow, fast) {shapes}")
    rows = truth.of_frame(_frame_of(name, image, marks, place))
    brightest = (-rows.photons).argsort(kind="stable")[:_MOST_SPOTS]
    return tuple(
        SpotLabel(
            int(rows.panel[n]),
            round(float(rows.fast_px[n]), 2),
            round(float(rows.slow_px[n]), 2),
            " ".join(map(str, rows.hkl[n].tolist())),
        )
        for n in brightest.tolist()
    )


def _frame_of(name: str, image: ImagePanels, marks: _Marks, place: int) -> int:
    """The number of the truth's frame that an image has."""
    frames: list[int] = marks.truth.frames.tolist()
    if image.frames > 1:
        if marks.first is not None:
            rule = f"none: {name} has several images, with the frames of their own numbers"
            raise ConfigError("truth_frame", marks.first, rule)
        return image.frame
    if marks.first is None:
        if marks.images != len(frames):
            found = Description(f"{len(frames)} frames for {marks.images} images")
            rule = "one for each image, or the frame of the first image (--truth-frame)"
            raise ConfigError(f"{name}: truth", found, rule)
        return frames[place]
    if marks.first not in frames:
        rule = f"a frame that the truth has, {min(frames)} to {max(frames)}"
        raise ConfigError("truth_frame", marks.first, rule)
    following = frames[frames.index(marks.first) :]
    if marks.images > len(following):
        found = Description(f"{len(following)} frames from {marks.first} for {marks.images} images")
        raise ConfigError(f"{name}: truth", found, "one for each image")
    return following[place]


def _plans_of(read: Callable[[], Experiment]) -> tuple[list[ResolvedPlan], bool]:
    """Where the panels of an experiment are, and whether they are curved."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NanobraggWarning)  # of crystals and scans
        experiment = read()
        return plans_of(experiment), experiment.detector.curved


def plans_of(experiment: Experiment) -> list[ResolvedPlan]:
    """Where each panel of an experiment is, whatever its crystal."""
    bare = experiment.replace(
        {
            "crystal": Crystal(cell_angstrom=(100.0, 100.0, 100.0)),
            "sampling.oversample": 1,  # a detector next to the sample would need too many
        }
    )
    quirks, dark = Quirks(), StructureFactors.constant(0.0)
    return [
        CEngine().prepare(bare.of_panel(number, quirks), dark, quirks).plan
        for number in range(len(bare.detector.shapes))
    ]


def _viewed(
    name: str, image: ImagePanels, plans: Sequence[ResolvedPlan], curved: bool
) -> ViewedImage:
    """Panels where their plans have them; one alone as it is stored."""
    smallest_mm = m_to_mm(min(plan.pixel_size_m for plan in plans))
    panels, hidden = [], []
    for number, (pixels, plan) in enumerate(zip(image.panels, plans, strict=True)):
        place = None
        if len(image.panels) > 1:
            seen = projected_panel(plan)
            if seen is None:
                hidden.append(_panel_name(image, number))
                continue
            (fast_x, slow_x), (fast_y, slow_y) = (seen.matrix / smallest_mm).tolist()
            x, y = (seen.origin / smallest_mm).tolist()
            place = (x, y, fast_x, fast_y, slow_x, slow_y)
        panels.append(
            ViewedPanel(
                pixels,
                _panel_name(image, number),
                place,
                None if curved else _geometry(plan),
                _mask(image, number),
            )
        )
    if not panels:
        raise ConfigError(
            f"{name}: panels", len(plans), "one that is downstream, not seen from its edge"
        )
    note = "No resolution rings: the detector is curved." if curved else ""
    if hidden:
        note += f"  Not shown, upstream of the sample or seen from the edge: {', '.join(hidden)}."
    return ViewedImage(name, tuple(panels), image.unit, note)


def _panel_name(image: ImagePanels, number: int) -> str:
    return (image.names[number] if number < len(image.names) else "") or str(number)


def _mask(image: ImagePanels, number: int) -> NDArray[np.bool_] | None:
    return image.masks[number] if image.masks else None


def _geometry(plan: ResolvedPlan) -> PanelGeometry:
    return PanelGeometry(
        plan.pix0_m,
        plan.fast_axis,
        plan.slow_axis,
        plan.pixel_size_m,
        plan.beam_direction,
        m_to_angstrom(plan.wavelength_m),
    )


def _stacked(image: ImagePanels) -> tuple[ViewedPanel, ...]:
    """Panels below each other, as they are stored."""
    panels, down = [], 0.0
    for number, pixels in enumerate(image.panels):
        place = (0.0, down, 1.0, 0.0, 0.0, 1.0) if len(image.panels) > 1 else None
        name, mask = _panel_name(image, number), _mask(image, number)
        panels.append(ViewedPanel(pixels, name, place, mask=mask))
        down += pixels.shape[0] + max(2, pixels.shape[0] // 50)
    return tuple(panels)
