"""Reflections of a series as a table of DIALS, some frames after the others."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.formats.geometry.content import ExperimentContent
from nanobragg_hybrid.formats.geometry.frames import from_simulator
from nanobragg_hybrid.formats.truth_refl import ReflWriter
from nanobragg_hybrid.model.reflection_truth import FRAME_COLUMNS, ReflectionTruth

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

_PREDICTED: Final = 1
_SUMMED: Final = 1 << 8
"""Flags of DIALS."""

_COLUMNS: Final = {
    "miller_index": "cctbx::miller::index<>",
    "id": "int",
    "imageset_id": "int",
    "panel": "std::size_t",
    "flags": "std::size_t",
    "bbox": "int6",
    "xyzcal.px": "vec3<double>",
    "xyzcal.mm": "vec3<double>",
    "xyzobs.px.value": "vec3<double>",
    "xyzobs.px.variance": "vec3<double>",
    "xyzobs.mm.value": "vec3<double>",
    "xyzobs.mm.variance": "vec3<double>",
    "s1": "vec3<double>",
    "intensity.sum.value": "double",
    "intensity.sum.variance": "double",
    "background.sum.value": "double",
    "num_pixels.foreground": "int",
    "d": "double",
    "partiality": "double",
}


class TruthForDials:
    """Writes the reflections of a scan (turns), `ReflectionTruth.merged`, or of stills.

    What is in memory are rows of reflections of a scan that may go on in the next frame, and at
    the end of a scan indices and panel of each row, which say where in the file it is.
    """

    def __init__(self, path: Path, *, turns: bool) -> None:
        self._turns = turns
        self._writer = ReflWriter(path, _COLUMNS)
        self._has_partiality = True
        self._frames = 0
        self._content: ExperimentContent | None = None  # of a scan
        self._open: ReflectionTruth | None = None  # what may go on
        self._begin: tuple[float, float, int] = 0.0, 1.0, 0  # angle, width, number of the first

    def add(self, truth: ReflectionTruth, contents: Sequence[ExperimentContent]) -> None:
        """Appends frames that follow those before.  contents: of each frame; of a scan that of its
        first frame will do, and is asked for the first time only.

        Raises `ConfigError` for panels of other shapes and for frames that do not follow each
        other, and `FileAccessError`."""
        for content in contents:
            shapes = tuple((panel.n_slow, panel.n_fast) for panel in content.panels)
            if shapes != truth.shapes:
                found = Description(f"panels of {shapes}")
                raise ConfigError("experiments", found, f"{truth.shapes}")
        self._frames += len(truth.frames)
        if not self._turns:
            first = self._frames - len(truth.frames)
            self._add_stills(truth, contents, first)
            return
        if self._content is None:
            self._content = contents[0]
            start, width = float(truth.phi_start_deg[0]), float(truth.osc_deg[0])
            self._begin = start, width, int(truth.frames[0])
        joined = truth if self._open is None else ReflectionTruth.joined([self._open, truth])
        goes_on = joined.may_go_on()
        self._add_passes(joined.where(~goes_on).merged())
        self._open = _since(joined.where(goes_on))

    def write(self) -> None:
        """Writes the file.  Raises `FileAccessError`."""
        without = () if self._has_partiality else ("partiality",)
        if not self._turns:
            names = (f"truth-{n}" for n in range(self._frames))
            self._writer.write(names, self._frames, without=without)
            return
        if self._open is not None:
            self._add_passes(self._open.merged())
        hkl, box = self._writer.column("miller_index"), self._writer.column("bbox")
        order = np.lexsort((box[:, 4], self._writer.column("panel"), *hkl.T[::-1]))
        del hkl, box
        self._writer.write(("truth",), 1, order, without)

    def _add_stills(
        self, truth: ReflectionTruth, contents: Sequence[ExperimentContent], first: int
    ) -> None:
        numbers = np.searchsorted(truth.frames, truth.frame_start)
        z = np.full(len(truth), 0.5), np.zeros(len(truth)), np.ones(len(truth))
        self._add(truth, contents, numbers, first, z)

    def _add_passes(self, merged: ReflectionTruth) -> None:
        assert self._content is not None
        start, width, first = self._begin
        z = (
            (merged.phi_deg - start) / width,
            merged.frame_start - first,
            merged.frame_stop - first,
        )
        self._add(merged, [self._content], np.zeros(len(merged), np.int64), 0, z)

    def _add(
        self,
        table: ReflectionTruth,
        contents: Sequence[ExperimentContent],
        numbers: NDArray[np.int64],
        first: int,
        z: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    ) -> None:
        """Rows whose contents have these numbers; first: that of the first content in the file."""
        s1, mm = _directions(contents, numbers, table)
        places = np.stack([table.fast_px, table.slow_px, z[0]], axis=1)
        in_mm = np.column_stack([mm, np.deg2rad(table.phi_deg)])
        top, bottom, left, right = table.bounds.T
        light = np.where(table.photons > 0.0, table.photons, 1.0)[:, None]
        variances = np.repeat(1.0 / light, 3, axis=1)
        ids = numbers + first
        self._has_partiality &= bool(np.isfinite(table.partiality).all())
        self._writer.add(
            {
                "miller_index": table.hkl,
                "id": ids,
                "imageset_id": ids,
                "panel": table.panel,
                "flags": np.full(len(table), _PREDICTED | _SUMMED),
                "bbox": np.stack([left, right, top, bottom, z[1], z[2]], axis=1),
                "xyzcal.px": places,
                "xyzcal.mm": in_mm,
                "xyzobs.px.value": places,
                "xyzobs.px.variance": variances,
                "xyzobs.mm.value": in_mm,
                "xyzobs.mm.variance": variances,
                "s1": s1,
                "intensity.sum.value": table.photons,
                "intensity.sum.variance": table.photons + table.background_photons,
                "background.sum.value": table.background_photons,
                "num_pixels.foreground": table.pixel_count,
                "d": _resolution(contents, numbers, s1),
                "partiality": table.partiality,
            }
        )

    def __enter__(self) -> TruthForDials:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)


def _since(truth: ReflectionTruth) -> ReflectionTruth:
    """The same without the frames before its first row, but for the last one."""
    first = min(int(truth.frame_start.min(initial=truth.frames[-1])), int(truth.frames[-1]))
    kept = truth.frames >= first
    return dataclasses.replace(
        truth, **{name: getattr(truth, name)[kept] for name in FRAME_COLUMNS}
    )


def _directions(
    contents: Sequence[ExperimentContent], numbers: NDArray[np.int64], table: ReflectionTruth
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """s1 of DIALS, 1 / angstrom, shape (n, 3), and places on the panels in mm, shape (n, 2)."""
    s1, mm = np.zeros((len(table), 3)), np.zeros((len(table), 2))
    for n, content in enumerate(contents):
        for number, panel in enumerate(content.panels):
            here = (numbers == n) & (table.panel == number)
            edges = np.array(panel.pixel_mm)
            mm[here] = np.stack([table.fast_px[here], table.slow_px[here]], axis=1) * edges
            fast, slow = (
                np.array(from_simulator("dials", axis))
                for axis in (panel.fast_axis, panel.slow_axis)
            )
            # Sums of products, not of matrices: the same bits for any number of rows.
            along = mm[here, :1] * fast + mm[here, 1:] * slow
            places = np.array(from_simulator("dials", panel.origin_mm)) + along
            lengths = np.linalg.norm(places, axis=1)[:, None] * (content.wavelength_angstrom or 1.0)
            s1[here] = places / lengths
    return s1, mm


def _resolution(
    contents: Sequence[ExperimentContent],
    numbers: NDArray[np.int64],
    s1: NDArray[np.float64],
) -> NDArray[np.float64]:
    """1 / |s1 - s0| of the places, angstrom."""
    s0 = []
    for content in contents:
        beam = np.array(from_simulator("dials", content.beam or (1.0, 0.0, 0.0)))
        s0.append(beam / math.sqrt(beam @ beam) / (content.wavelength_angstrom or 1.0))
    q = np.linalg.norm(s1 - np.array(s0)[numbers], axis=1)
    found: NDArray[np.float64] = 1.0 / np.maximum(q, 1e-12)
    return found
