"""What the reflections of an image are, as the model has computed them: whose light is where."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.model.validate import require_class

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

COLUMNS: Final[dict[str, tuple[str, tuple[int, ...], str]]] = {
    "hkl": ("<i4", (3,), ""),
    "panel": ("<i4", (), ""),
    "frame_start": ("<i4", (), "frame"),
    "frame_stop": ("<i4", (), "frame"),
    "fast_px": ("<f8", (), "px"),
    "slow_px": ("<f8", (), "px"),
    "phi_deg": ("<f8", (), "deg"),
    "bounds": ("<i4", (4,), "px"),
    "photons": ("<f8", (), "photon"),
    "full_photons": ("<f8", (), "photon"),
    "partiality": ("<f8", (), ""),
    "background_photons": ("<f8", (), "photon"),
    "overlap_photons": ("<f8", (), "photon"),
    "peak_photons": ("<f8", (), "photon"),
    "pixel_count": ("<i4", (), "px"),
}
"""Type, shape behind the number of rows, and unit of each column of `ReflectionTruth`."""

FRAME_COLUMNS: Final[dict[str, tuple[str, tuple[int, ...], str]]] = {
    "frames": ("<i4", (), "frame"),
    "phi_start_deg": ("<f8", (), "deg"),
    "osc_deg": ("<f8", (), "deg"),
    "unassigned_photons": ("<f8", (), "photon"),
}
"""The same of each frame."""

_ANGLE_DEG: Final = 1e-6
"""How far the start of a frame may be from the end of the one before."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReflectionTruth:
    """The reflections of one frame, or of several; `predict_reflections` makes one of a frame.

    A row is a reflection on a panel.  Its light is that of all steps of the model whose nearest
    whole indices it has (model 6.5), so that neighbours that overlap are told apart.  Photons are
    those of the Bragg part alone, before the detector's response (point spread, gain, noise).  A
    pixel belongs to a reflection where its light is at least `edge_fraction` of its own peak.

    Of n rows.  hkl: Miller indices, int32, shape (n, 3).  panel: from 0.  frame_start, frame_stop:
    the frames that it was seen in, from 0, half-open; of one frame unless `merged`.  fast_px,
    slow_px: centroid of its light, in pixels from the outer corner of the panel's first pixel,
    whose middle is at 0.5, 0.5 (as in DIALS).  phi_deg: mean spindle angle of its light, at which
    the model had the crystal.  bounds: the box of its pixels, slow_start, slow_stop, fast_start,
    fast_stop, half-open, shape (n, 4).  photons: all of its light in the frame.  full_photons:
    what a rotation all the way through the reflection would give at the frame's photons for each
    degree; NaN without an oscillation.  partiality: photons / full_photons.  background_photons,
    overlap_photons: photons beside the spots, and of other reflections, in its pixels.
    peak_photons: its light in its brightest pixel.  pixel_count: how many pixels it has.

    Of m pixels of all rows, row by row.  pixel_start: where those of each row begin, and the end,
    shape (n + 1,).  pixel_number: slow * n_fast + fast on its panel.  pixel_photons: the row's
    light there, float32.

    Of the frames.  frames: their numbers; phi_start_deg, osc_deg: where the spindle begins, and how
    far it turns; unassigned_photons: Bragg light that is in no row.  shapes: (slow, fast) of each
    panel.  provenance: what made it, plain data for JSON.  The arrays cannot be written to.
    """

    hkl: NDArray[np.int32]
    panel: NDArray[np.int32]
    frame_start: NDArray[np.int32]
    frame_stop: NDArray[np.int32]
    fast_px: NDArray[np.float64]
    slow_px: NDArray[np.float64]
    phi_deg: NDArray[np.float64]
    bounds: NDArray[np.int32]
    photons: NDArray[np.float64]
    full_photons: NDArray[np.float64]
    partiality: NDArray[np.float64]
    background_photons: NDArray[np.float64]
    overlap_photons: NDArray[np.float64]
    peak_photons: NDArray[np.float64]
    pixel_count: NDArray[np.int32]
    pixel_start: NDArray[np.int64]
    pixel_number: NDArray[np.int64]
    pixel_photons: NDArray[np.float32]
    frames: NDArray[np.int32]
    phi_start_deg: NDArray[np.float64]
    osc_deg: NDArray[np.float64]
    unassigned_photons: NDArray[np.float64]
    shapes: tuple[tuple[int, int], ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import numpy as np

        kinds = {**COLUMNS, **FRAME_COLUMNS}
        kinds |= {"pixel_start": ("<i8", (), ""), "pixel_number": ("<i8", (), "")}
        kinds |= {"pixel_photons": ("<f4", (), "photon")}
        rows = {name: len(self.hkl) for name in COLUMNS}
        rows |= {name: len(self.frames) for name in FRAME_COLUMNS}
        rows |= {"pixel_start": len(self.hkl) + 1}
        rows |= dict.fromkeys(("pixel_number", "pixel_photons"), len(self.pixel_number))
        for name, (kind, shape, _) in kinds.items():
            array = np.ascontiguousarray(getattr(self, name), np.dtype(kind).newbyteorder("="))
            wanted = (rows[name], *shape)
            if array.shape != wanted:
                found = Description(f"the shape {array.shape}")
                raise ConfigError(f"truth.{name}", found, f"the shape {wanted}")
            array = array.view()
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        steps = np.diff(self.pixel_start)
        ends = self.pixel_start[[0, -1]].tolist()
        if ends != [0, len(self.pixel_number)] or (steps != self.pixel_count).any():
            found = Description(f"{ends[0]} to {ends[1]}")
            rule = "where the pixel_count pixels of each row begin"
            raise ConfigError("truth.pixel_start", found, rule)

    def __len__(self) -> int:
        return len(self.hkl)

    def __repr__(self) -> str:
        return f"<{len(self)} reflections of {len(self.frames)} frames>"

    def where(self, chosen: ArrayLike) -> ReflectionTruth:
        """Some of the rows, in order.  chosen: booleans, shape (n,).  Raises `ConfigError`."""
        import numpy as np

        array = np.asarray(chosen)
        if array.dtype != np.bool_ or array.shape != (len(self),):
            found = Description(f"{array.dtype} of shape {array.shape}")
            raise ConfigError("chosen", found, f"booleans, shape ({len(self)},)")
        return self.rows(np.flatnonzero(array))

    def of_frame(self, frame: int) -> ReflectionTruth:
        """The rows of this frame.  Raises `ConfigError` for a frame that is not here, and in a
        table that is `merged`, with rows of several frames."""
        import numpy as np

        at = np.flatnonzero(self.frames == frame)
        if not at.size:
            raise ConfigError("frame", frame, "the number of a frame that the truth has")
        several = int((self.frame_stop - self.frame_start != 1).sum())
        if several:
            found = Description(f"{several} rows of several frames")
            raise ConfigError("truth", found, "a row for each frame: a table before it is merged")
        rows = self.rows(np.flatnonzero(self.frame_start == frame))
        return dataclasses.replace(
            rows, **{name: getattr(self, name)[at] for name in FRAME_COLUMNS}
        )

    def mask(self, panel: int = 0) -> NDArray[np.bool_]:
        """Which pixels belong to a reflection, shape (slow, fast) of the panel."""
        import numpy as np

        shape = self._shape(panel)
        mask = np.zeros(shape[0] * shape[1], np.bool_)
        mask[self.pixel_number[np.repeat(self.panel == panel, self.pixel_count)]] = True
        return mask.reshape(shape)

    def labels(self, panel: int = 0) -> NDArray[np.int32]:
        """The row of the reflection that each pixel belongs to, the brightest there where several
        overlap; -1: none.  Shape (slow, fast) of the panel."""
        import numpy as np

        shape = self._shape(panel)
        labels = np.full(shape[0] * shape[1], -1, np.int32)
        here = np.repeat(self.panel == panel, self.pixel_count)
        order = np.argsort(self.pixel_photons[here], kind="stable")  # the last one stays
        rows = np.repeat(np.arange(len(self), dtype=np.int32), self.pixel_count)
        labels[self.pixel_number[here][order]] = rows[here][order]
        return labels.reshape(shape)

    def merged(self) -> ReflectionTruth:
        """A row for each reflection on a panel in frames that follow each other.

        Photons, partialities and light under it are sums, centroids means weighted with photons,
        peaks the largest of one frame; pixels are those of all frames, with their sum of light.
        full_photons is the mean.  As programs that integrate rotation series see them.

        Raises `ConfigError` unless the frames follow each other: numbers that rise by 1, each from
        where the spindle was at the end of the one before, all of one width > 0.  One alone may be
        a still.
        """
        import numpy as np

        self._require_scan()
        if not len(self):
            return self
        order, begins = self._passes()
        first = np.flatnonzero(begins)
        group = np.cumsum(begins) - 1

        def total(values: NDArray[Any]) -> NDArray[Any]:
            return np.add.reduceat(values[order], first)

        light = total(self.photons)
        weight = np.where(light > 0.0, light, 1.0)
        starts = np.minimum.reduceat(self.bounds[order], first)
        stops = np.maximum.reduceat(self.bounds[order], first)
        row = np.empty(len(self), np.int64)
        row[order] = group
        width = max(n_slow * n_fast for n_slow, n_fast in self.shapes)
        keys = np.repeat(row, self.pixel_count) * width + self.pixel_number
        unique, place = np.unique(keys, return_inverse=True)
        counts = np.bincount(unique // width, minlength=len(first))
        last = np.append(first[1:], len(order)) - 1
        changes: dict[str, Any] = {name: getattr(self, name)[order][first] for name in COLUMNS}
        changes |= {
            "frame_stop": self.frame_stop[order][last],
            "fast_px": total(self.photons * self.fast_px) / weight,
            "slow_px": total(self.photons * self.slow_px) / weight,
            "phi_deg": total(self.photons * self.phi_deg) / weight,
            "bounds": np.where([True, False, True, False], starts, stops),
            "photons": light,
            "full_photons": total(self.full_photons) / (last - first + 1),
            "partiality": total(self.partiality),
            "background_photons": total(self.background_photons),
            "overlap_photons": total(self.overlap_photons),
            "peak_photons": np.maximum.reduceat(self.peak_photons[order], first),
            "pixel_count": counts,
            "pixel_start": np.concatenate([[0], np.cumsum(counts)]),
            "pixel_number": unique % width,
            "pixel_photons": np.bincount(place, self.pixel_photons, len(unique)),
        }
        return dataclasses.replace(self, **changes)

    def may_go_on(self) -> NDArray[np.bool_]:
        """Which rows `merged` would join with some of a frame that follows, shape (n,): those of
        reflections that are still in the last frame."""
        import numpy as np

        found = np.zeros(len(self), np.bool_)
        if len(self):
            order, begins = self._passes()
            last = np.append(np.flatnonzero(begins)[1:], len(order)) - 1
            in_last = self.frame_stop[order][last] > self.frames[-1]
            found[order] = in_last[np.cumsum(begins) - 1]
        return found

    def _passes(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The order of rows in which those of a reflection in frames that follow each other are
        behind each other, and where in it the first of each such pass is; there is a row."""
        import numpy as np

        order = np.lexsort((self.frame_start, self.panel, *self.hkl.T[::-1]))
        of = np.column_stack([self.hkl, self.panel])[order]
        follows = np.all(of[1:] == of[:-1], axis=1)
        follows &= self.frame_start[order][1:] == self.frame_stop[order][:-1]
        return order, np.concatenate([[True], ~follows])

    def _require_scan(self) -> None:
        """Frames that one rotation goes through."""
        import numpy as np

        if len(self.frames) < 2:
            return
        rule = "frames that follow each other"
        if not (self.osc_deg > 0.0).all():
            raise ConfigError("truth.frames", Description("stills"), rule)
        ends = self.phi_start_deg + self.osc_deg
        follows = np.abs(self.phi_start_deg[1:] - ends[:-1]) <= _ANGLE_DEG
        widths = np.abs(self.osc_deg - self.osc_deg[0]) <= _ANGLE_DEG
        if not (follows.all() and widths.all() and (np.diff(self.frames) == 1).all()):
            found = Description("frames with gaps, or of other widths")
            raise ConfigError("truth.frames", found, rule)

    @classmethod
    def joined(cls, parts: Sequence[ReflectionTruth]) -> ReflectionTruth:
        """The rows of several frames of one detector, in the order given, with the provenance of
        the first.

        Raises `ConfigError` for none, for a frame that is there twice, and for other detectors.
        """
        import numpy as np

        given: object = parts
        if not isinstance(given, list | tuple) or not given:
            raise ConfigError("parts", parts, "a list of at least one ReflectionTruth")
        for n, part in enumerate(parts):
            require_class(f"parts[{n}]", part, ReflectionTruth)
            if part.shapes != parts[0].shapes:
                rule = f"{parts[0].shapes}, as the first one's"
                raise ConfigError(f"parts[{n}].shapes", part.shapes, rule)
        names = (*COLUMNS, *FRAME_COLUMNS, "pixel_number", "pixel_photons")
        fields: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in names
        }
        numbers, counts = np.unique(fields["frames"], return_counts=True)
        if (counts > 1).any():
            raise ConfigError("parts", int(numbers[counts > 1][0]), "each frame once")
        starts = np.cumsum(fields["pixel_count"], dtype=np.int64)
        fields["pixel_start"] = np.concatenate([[0], starts])
        return cls(**fields, shapes=parts[0].shapes, provenance=parts[0].provenance)

    def _shape(self, panel: int) -> tuple[int, int]:
        if type(panel) is not int or not 0 <= panel < len(self.shapes):
            raise ConfigError("panel", panel, f"0 to {len(self.shapes) - 1}")
        return self.shapes[panel]

    def rows(self, numbers: ArrayLike) -> ReflectionTruth:
        """The rows of these numbers, in this order; all frames stay.  Raises `ConfigError`."""
        import numpy as np

        rows = np.asarray(numbers)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            found = Description(f"{rows.dtype} of shape {rows.shape}")
            raise ConfigError("numbers", found, "whole numbers of rows, one dimension")
        rows = rows.astype(np.int64)
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            rule = f"numbers of rows, 0 to {len(self) - 1}"
            raise ConfigError("numbers", Description(f"{rows.min()} to {rows.max()}"), rule)
        changes: dict[str, Any] = {name: getattr(self, name)[rows] for name in COLUMNS}
        starts = self.pixel_start[rows]
        counts = self.pixel_count[rows].astype(np.int64)
        ends = np.cumsum(counts)
        pixels = np.arange(int(ends[-1]) if ends.size else 0)
        pixels = pixels + np.repeat(starts - ends + counts, counts)
        changes["pixel_start"] = np.concatenate([[0], ends])
        changes["pixel_number"] = self.pixel_number[pixels]
        changes["pixel_photons"] = self.pixel_photons[pixels]
        return dataclasses.replace(self, **changes)
