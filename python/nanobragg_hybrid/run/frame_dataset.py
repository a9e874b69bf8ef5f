"""Simulated frames with their truth for PyTorch: a map-style data set.  Imports torch."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, get_args

import numpy as np
import torch
from torch.utils.data import Dataset

from nanobragg_hybrid.base.errors import ConfigError, UnsupportedError
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks, quirks_or_all
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import require_class
from nanobragg_hybrid.run.prepare import checked_threads, prepared
from nanobragg_hybrid.run.truth import (
    predict_reflections,
    require_limits,
    require_orientation,
    require_separable,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nanobragg_hybrid.engines.protocol import Engine
    from nanobragg_hybrid.model.reflection_truth import ReflectionTruth
    from nanobragg_hybrid.model.result import SimulationResult

Label = Literal["boxes", "centroids", "mask", "hkl", "photons"]
LABELS: Final[tuple[Label, ...]] = get_args(Label)


class Frames(Protocol):
    """What has frames: a series, or any object with these two."""

    def __len__(self) -> int: ...

    def frame(self, number: int, /) -> Any:
        """The experiment of a frame, or a tuple that begins with it."""


class FrameDataset(Dataset[dict[str, Any]]):
    """Frames, simulated when they are asked for, with labels from the truth.

    frames: an object with ``len()`` and ``frame(i)``, which gives frame i's experiment (or a tuple
    that begins with it), as `Series` does; or a list of experiments.  It has to be a pure function
    of i, and picklable for a DataLoader with workers that are spawned.  structure_factors, backend,
    quirks: as of `simulate`; threads: of each frame, 1, because a loader has workers.  labels: any
    of "boxes", "centroids", "mask", "hkl", "photons".  min_peak_photons, edge_fraction: as of
    `predict_reflections`.

    ``dataset[i]`` is a dictionary of tensors.  "image", float32, shape (panel, slow, fast): counts
    of frame i where the experiment has a response, else expected photons.  "frame": i.  Of n
    reflections: "panel", int64, shape (n,); "boxes", float32, shape (n, 4): fast_start, slow_start,
    fast_stop, slow_stop; "centroids", float32, shape (n, 2): fast, slow, px, the middle of the
    first pixel is 0.5, 0.5; "hkl", int32, shape (n, 3); "photons", float32, shape (n,).  "mask",
    bool, shape of the image: pixels that belong to a reflection.  `collate` makes a batch.

    Raises `ConfigError`, also for a frame whose orientation the clock would choose;
    `UnsupportedError` for panels of several shapes, which make no tensor; IndexError for a frame
    that there is not.
    """

    def __init__(
        self,
        frames: Frames | Sequence[Experiment],
        structure_factors: StructureFactors,
        *,
        labels: Sequence[Label] = ("boxes", "centroids", "mask"),
        backend: str | Engine = "c",
        quirks: Quirks | None = None,
        threads: int = 1,
        min_peak_photons: float = 1.0,
        edge_fraction: float = 0.01,
    ) -> None:
        require_class("structure_factors", structure_factors, StructureFactors)
        if isinstance(frames, list | tuple):
            for n, each in enumerate(frames):
                require_class(f"frames[{n}]", each, Experiment)
        elif not callable(getattr(frames, "frame", None)) or not hasattr(frames, "__len__"):
            rule = "a list of experiments, or an object with len() and frame(i)"
            raise ConfigError("frames", frames, rule)
        if isinstance(labels, str) or not set(labels) <= set(LABELS):
            raise ConfigError("labels", labels, f"some of {', '.join(LABELS)}")
        self._frames = frames
        self._structure_factors = structure_factors
        self._labels = tuple(labels)
        self._backend = backend
        self._quirks = quirks_or_all(quirks)
        self._threads = checked_threads(threads)
        require_limits(min_peak_photons, edge_fraction)
        self._truth = {"min_peak_photons": min_peak_photons, "edge_fraction": edge_fraction}

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number = self._number(index)
        if not 0 <= number < len(self):
            raise IndexError(f"frame {number} of {len(self)}")
        experiment = self.experiment(number)
        require_orientation(experiment)
        _require_one_shape(experiment)
        if self._labels:
            require_separable(experiment, self._quirks)
        run = prepared(experiment, self._structure_factors, self._backend, self._quirks)
        result = run.render_quietly(threads=self._threads, frame=number)
        sample: dict[str, Any] = {"image": torch.from_numpy(_pixels(result)), "frame": number}
        if self._labels:
            truth = predict_reflections(
                result.experiment,
                self._structure_factors,
                quirks=self._quirks,
                threads=self._threads,
                frame=number,
                **self._truth,
            )
            sample |= _labels_of(truth, self._labels)
        return sample

    def _number(self, index: object) -> int:
        try:
            if isinstance(index, bool):
                raise TypeError
            return operator.index(index)  # type: ignore[arg-type]
        except TypeError:
            rule = f"a whole number from 0 to {len(self) - 1}"
            raise ConfigError("index", index, rule) from None

    def experiment(self, number: int) -> Experiment:
        """That of a frame."""
        if isinstance(self._frames, list | tuple):
            found: Any = self._frames[number]
        else:
            found = self._frames.frame(number)  # type: ignore[union-attr]
        if isinstance(found, tuple) and found:
            found = found[0]
        require_class(f"frames.frame({number})", found, Experiment)
        experiment: Experiment = found
        return experiment

    @staticmethod
    def collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch for a DataLoader (``collate_fn``): images, masks and frame numbers are stacked;
        of what has a row for each reflection there is a list, because every frame has as many as
        it has."""
        batch: dict[str, Any] = {}
        for name in samples[0]:
            values = [sample[name] for sample in samples]
            if name in ("image", "mask"):
                batch[name] = torch.stack(values)
            elif name == "frame":
                batch[name] = torch.tensor(values)
            else:
                batch[name] = values
        return batch


def _pixels(result: SimulationResult) -> NDArray[np.float32]:
    """(panel, slow, fast)."""
    panels = []
    for panel in result.panels:
        chosen = panel.counts if panel.counts is not None else panel.expected
        panels.append(np.asarray(panel.image if chosen is None else chosen, np.float32))
    return np.stack(panels)


def _require_one_shape(experiment: Experiment) -> None:
    shapes = set(experiment.detector.shapes)
    if len(shapes) > 1:
        raise UnsupportedError(f"detector.panels have the shapes {sorted(shapes)}: no one tensor")


def _labels_of(truth: ReflectionTruth, labels: Sequence[Label]) -> dict[str, Any]:
    top, bottom, left, right = truth.bounds.T
    arrays: dict[str, Any] = {
        "boxes": np.stack([left, top, right, bottom], axis=1).astype(np.float32),
        "centroids": np.stack([truth.fast_px, truth.slow_px], axis=1).astype(np.float32),
        "hkl": truth.hkl.astype(np.int32),
        "photons": truth.photons.astype(np.float32),
    }
    made = {"panel": torch.from_numpy(truth.panel.astype(np.int64))}
    for name in labels:
        if name == "mask":
            masks = [truth.mask(panel) for panel in range(len(truth.shapes))]
            made[name] = torch.from_numpy(np.stack(masks))
        else:
            made[name] = torch.from_numpy(arrays[name])
    return made
