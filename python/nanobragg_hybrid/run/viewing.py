"""Pages to look at images with: of results, and of files with the geometry that they have."""

from __future__ import annotations

import os
import tempfile
import warnings
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanobragg_hybrid.base.errors import ConfigError, NanobraggError, NanobraggWarning
from nanobragg_hybrid.base.units import m_to_angstrom, m_to_mm
from nanobragg_hybrid.engines.c.engine import CEngine
from nanobragg_hybrid.formats.geometry.experiment_files import is_experiment_file, read_experiment
from nanobragg_hybrid.formats.image_panels import read_image_panels
from nanobragg_hybrid.formats.text import write_text
from nanobragg_hybrid.formats.viewer_page import (
    PanelGeometry,
    ViewedImage,
    ViewedPanel,
    viewer_page,
)
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
from nanobragg_hybrid.model.result import SimulationResult
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.run.assembled import projected_panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Path = str | os.PathLike[str]


def show(
    result: SimulationResult, path: _Path | None = None, *, open_browser: bool | None = None
) -> Path:
    """Writes a page with the result's image (each panel in its place) and opens it in the browser.

    See `SimulationResult.show`.
    """
    names = [panel.name for panel in result.experiment.detector.panels or ()]
    plans = [panel.plan for panel in result.panels]
    curved = result.experiment.detector.curved
    image = _viewed("simulated image", result.images, names, plans, "photons", curved)
    return show_page(viewer_page([image], "nanobragg-hybrid"), path, open_browser)


def page_of_files(
    paths: Sequence[_Path],
    *,
    shape: tuple[int, int] | None = None,
    geometry: _Path | None = None,
) -> str:
    """A page with the images of files, see `read_image_panels`.

    shape: (slow, fast) of raw float images.  geometry: a file that says where the panels are, for
    all images (see `read_experiment`); None: the image's own header, if it has one.  Raises what
    the readers raise, and `ConfigError`.
    """
    plans = None if geometry is None else _plans_of_file(geometry)
    images = [_file(path, shape, plans) for path in paths]
    title = os.fspath(paths[0]) if len(paths) == 1 else f"{len(paths)} images"
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
    path: _Path, shape: tuple[int, int] | None, plans: tuple[list[ResolvedPlan], bool] | None
) -> ViewedImage:
    found = read_image_panels(path, shape)
    name = os.fspath(path)
    note = ""
    if plans is None and is_experiment_file(path):
        try:
            plans = _plans_of_file(path)
        except NanobraggError as error:  # the pixels are worth a look without
            note = f"No resolution rings: {error}"
    elif plans is None:
        note = "No resolution rings: the file does not say where the detector is."
    if plans is None:
        panels = [(pixels, None) for pixels in found.panels]
        if len(panels) > 1:
            note += "  The panels are shown below each other."
        return ViewedImage(name, _stacked(found.panels, found.names), found.unit, note)
    placed, curved = plans
    shapes = [(plan.n_slow, plan.n_fast) for plan in placed]
    if [pixels.shape for pixels in found.panels] != shapes:
        got = ", ".join(f"{p.shape[1]} x {p.shape[0]}" for p in found.panels)
        need = ", ".join(f"{n_fast} x {n_slow}" for n_slow, n_fast in shapes)
        raise ConfigError(f"{name}: panels", got, f"those of the geometry, {need} (fast x slow)")
    return _viewed(name, found.panels, found.names, placed, found.unit, curved)


def _plans_of_file(path: _Path) -> tuple[list[ResolvedPlan], bool]:
    """Where the panels of a file's experiment are, and whether they are curved."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NanobraggWarning)  # of crystals and scans
        experiment = read_experiment(path)
    return plans_of(experiment), experiment.detector.curved


def plans_of(experiment: Experiment) -> list[ResolvedPlan]:
    """Where each panel of an experiment is, whatever its crystal."""
    bare = experiment.replace({"crystal": Crystal(cell_angstrom=(100.0, 100.0, 100.0))})
    quirks, dark = Quirks(), StructureFactors.constant(0.0)
    return [
        CEngine().prepare(bare.of_panel(number, quirks), dark, quirks).plan
        for number in range(len(bare.detector.shapes))
    ]


def _viewed(
    name: str,
    images: Sequence[NDArray[Any]],
    names: Sequence[str],
    plans: Sequence[ResolvedPlan],
    unit: str,
    curved: bool,
) -> ViewedImage:
    """Panels where their plans have them; one alone as it is stored."""
    smallest_mm = m_to_mm(min(plan.pixel_size_m for plan in plans))
    panels, hidden = [], []
    for number, (image, plan) in enumerate(zip(images, plans, strict=True)):
        own = names[number] if number < len(names) and names[number] else str(number)
        place = None
        if len(images) > 1:
            seen = projected_panel(plan)
            if seen is None:
                hidden.append(own)
                continue
            (fast_x, slow_x), (fast_y, slow_y) = (seen.matrix / smallest_mm).tolist()
            x, y = (seen.origin / smallest_mm).tolist()
            place = (x, y, fast_x, fast_y, slow_x, slow_y)
        panels.append(ViewedPanel(image, own, place, None if curved else _geometry(plan)))
    if not panels:
        raise ConfigError("panels", len(images), "one that is downstream, not seen from its edge")
    note = "No resolution rings: the detector is curved." if curved else ""
    if hidden:
        note += f"  Not shown, upstream of the sample or seen from the edge: {', '.join(hidden)}."
    return ViewedImage(name, tuple(panels), unit, note)


def _geometry(plan: ResolvedPlan) -> PanelGeometry:
    return PanelGeometry(
        plan.pix0_m,
        plan.fast_axis,
        plan.slow_axis,
        plan.pixel_size_m,
        plan.beam_direction,
        m_to_angstrom(plan.wavelength_m),
    )


def _stacked(images: Sequence[NDArray[Any]], names: Sequence[str]) -> tuple[ViewedPanel, ...]:
    """Panels below each other, as they are stored."""
    panels, down = [], 0.0
    for number, image in enumerate(images):
        own = names[number] if number < len(names) and names[number] else str(number)
        place = (0.0, down, 1.0, 0.0, 0.0, 1.0) if len(images) > 1 else None
        panels.append(ViewedPanel(image, own, place))
        down += image.shape[0] + max(2, image.shape[0] // 50)
    return tuple(panels)
