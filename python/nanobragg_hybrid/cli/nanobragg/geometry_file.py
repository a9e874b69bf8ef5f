"""The option --experiment: the geometry of a file in the place of that of nanoBragg's words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from nanobragg_hybrid.base.errors import CommandLineError
from nanobragg_hybrid.formats.geometry.experiment_files import read_experiment
from nanobragg_hybrid.model.experiment import Experiment

if TYPE_CHECKING:
    from nanobragg_hybrid.cli.nanobragg.options import Options
    from nanobragg_hybrid.model.quirks import Quirks

_MOST_NAMES = 8


def with_geometry(
    words: Experiment, options: Options, quirks: Quirks, complain: Callable[[str], None]
) -> Experiment:
    """The experiment of --experiment, completed by that of the words; of one panel alone.

    Complains of each thing that the words say and the file says otherwise.  Raises what
    `read_experiment` raises, and `CommandLineError` where --panel has to choose.
    """
    path = options.experiment or ""
    roi = words.sampling.roi
    like = words.replace({"sampling.roi": None})
    read = read_experiment(path, image=options.image, like=like)
    panel: int | str | None = options.panel
    if isinstance(panel, str) and panel not in read.detector.panel_names and panel.isdecimal():
        panel = int(panel)
    names = read.detector.panel_names
    if panel is None and len(names) > 1:
        shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
        raise CommandLineError(
            f"--experiment {path}: has {len(names)} panels, of which --panel chooses one: {shown}"
        )
    alone = read.of_panel(0 if panel is None else panel, quirks)
    if roi is not None:
        alone = alone.replace({"sampling.roi": roi})
    # How an image is written is the words' choice, where they make one.
    said = {
        f"output.{each.name}": getattr(words.output, each.name)
        for each in dataclasses.fields(words.output)
        if getattr(words.output, each.name) != each.default
    }
    alone = alone.replace(said)
    _complain_of_unused(words, alone, path, complain)
    return alone


def _complain_of_unused(
    words: Experiment, used: Experiment, path: str, complain: Callable[[str], None]
) -> None:
    defaults = Experiment()
    for part in ("beam", "crystal", "goniometer", "detector"):
        said, default, counts = (getattr(each, part) for each in (words, defaults, used))
        for each in dataclasses.fields(said):
            name = each.name
            value = getattr(said, name)
            if name == "pivot" or value == getattr(default, name) or value == getattr(counts, name):
                continue
            complain(f"{part}.{name}: got {value}, which is not used: {path} says otherwise")
