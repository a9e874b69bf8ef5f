"""The table of a frame's reflections: rows, frames, masks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import nanobragg_hybrid as nb


def made(frame: int, rows: list[tuple[int, int, list[int]]], **changes: Any) -> nb.ReflectionTruth:
    """A table of one frame of 4 x 5 pixels; rows: h, panel, pixels, each with 10 photons."""
    n = len(rows)
    counts = [len(pixels) for _, _, pixels in rows]
    numbers = [pixel for _, _, pixels in rows for pixel in pixels]
    light = 10.0 * np.array(counts, float)
    boxes = [
        [min(p) // 5, max(p) // 5 + 1, min(x % 5 for x in p), max(x % 5 for x in p) + 1]
        for _, _, p in rows
    ]
    fields: dict[str, Any] = {
        "hkl": np.array([(h, 0, 0) for h, _, _ in rows]).reshape(n, 3),
        "panel": [panel for _, panel, _ in rows],
        "frame_start": np.full(n, frame),
        "frame_stop": np.full(n, frame + 1),
        "fast_px": np.full(n, 1.0 + frame),
        "slow_px": np.full(n, 2.0),
        "phi_deg": np.full(n, frame + 0.5),
        "bounds": np.array(boxes).reshape(n, 4),
        "photons": light,
        "full_photons": np.full(n, 100.0),
        "partiality": light / 100.0,
        "background_photons": np.ones(n),
        "overlap_photons": np.zeros(n),
        "peak_photons": np.full(n, 10.0 + frame),
        "pixel_count": counts,
        "pixel_start": np.concatenate([[0], np.cumsum(counts)]),
        "pixel_number": numbers,
        "pixel_photons": np.full(len(numbers), 10.0),
        "frames": [frame],
        "phi_start_deg": [float(frame)],
        "osc_deg": [1.0],
        "unassigned_photons": [0.25],
        "shapes": ((4, 5), (4, 5)),
    }
    return nb.ReflectionTruth(**{**fields, **changes})


FIRST = made(0, [(1, 0, [0, 1]), (2, 0, [7, 8, 12]), (2, 1, [3])])
SECOND = made(1, [(2, 0, [8, 9]), (3, 0, [19])])
FOURTH = made(3, [(2, 0, [8])])
ALL = nb.ReflectionTruth.joined([FIRST, SECOND, FOURTH])


def test_rows_of_frames() -> None:
    assert (len(ALL), repr(ALL)) == (6, "<6 reflections of 3 frames>")
    assert ALL.frames.tolist() == [0, 1, 3]
    again = ALL.of_frame(1)
    for field in dataclasses.fields(again):
        same = np.array_equal(getattr(again, field.name), getattr(SECOND, field.name))
        assert same, field.name
    chosen = ALL.where(ALL.hkl[:, 0] == 2)
    assert chosen.pixel_number.tolist() == [7, 8, 12, 3, 8, 9, 8]
    assert chosen.pixel_start.tolist() == [0, 3, 4, 6, 7]
    assert len(ALL.where(np.zeros(6, bool))) == 0
    with pytest.raises(nb.ConfigError, match="frame: got 2"):
        ALL.of_frame(2)
    for wrong in (np.zeros(5, bool), np.zeros(6, int)):
        with pytest.raises(nb.ConfigError, match="chosen"):
            ALL.where(wrong)


def test_masks_and_labels() -> None:
    assert np.flatnonzero(FIRST.mask()).tolist() == [0, 1, 7, 8, 12]
    assert np.flatnonzero(FIRST.mask(1)).tolist() == [3]
    labels = FIRST.labels().reshape(-1)
    assert labels[[0, 1, 7, 8, 12]].tolist() == [0, 0, 1, 1, 1]
    assert (labels == -1).sum() == 15
    brighter = made(0, [(1, 0, [0]), (2, 0, [0])], pixel_photons=[3.0, 4.0])
    assert brighter.labels()[0, 0] == 1
    dimmer = made(0, [(1, 0, [0]), (2, 0, [0])], pixel_photons=[5.0, 4.0])
    assert dimmer.labels()[0, 0] == 0
    for panel in (2, -1, True):
        with pytest.raises(nb.ConfigError, match="panel"):
            FIRST.mask(panel)


def test_merged_over_frames_that_follow() -> None:
    third = made(2, [(4, 0, [0])])
    series = nb.ReflectionTruth.joined([FIRST, SECOND, third, FOURTH])
    merged = series.merged()
    rows = list(
        zip(
            merged.hkl[:, 0].tolist(),
            merged.panel.tolist(),
            merged.frame_start.tolist(),
            merged.frame_stop.tolist(),
            strict=True,
        )
    )
    # 2 0 0 on panel 0 is in frames 0 and 1, and again in 3, which does not follow
    assert rows == [
        (1, 0, 0, 1),
        (2, 0, 0, 2),
        (2, 0, 3, 4),
        (2, 1, 0, 1),
        (3, 0, 1, 2),
        (4, 0, 2, 3),
    ]
    assert merged.photons[1] == 50.0
    assert merged.fast_px[1] == pytest.approx((30 * 1.0 + 20 * 2.0) / 50)
    assert merged.phi_deg[1] == pytest.approx((30 * 0.5 + 20 * 1.5) / 50)
    assert merged.partiality[1] == pytest.approx(0.5)
    assert merged.full_photons[1] == 100.0
    assert merged.background_photons[1] == 2.0
    assert merged.peak_photons[1] == 11.0
    assert merged.bounds[1].tolist() == [1, 3, 2, 5]
    pixels = slice(merged.pixel_start[1], merged.pixel_start[2])
    assert merged.pixel_number[pixels].tolist() == [7, 8, 9, 12]
    assert merged.pixel_photons[pixels].tolist() == [10.0, 20.0, 10.0, 10.0]
    assert merged.frames.tolist() == [0, 1, 2, 3]
    empty = made(0, [])
    assert len(empty.merged()) == 0


def test_a_merged_table_has_no_frames() -> None:
    both = nb.ReflectionTruth.joined([FIRST, SECOND])
    assert (len(both.of_frame(0)), len(both.of_frame(1))) == (3, 2)
    with pytest.raises(nb.ConfigError, match=r"truth: got 1 rows of several frames, need .*merged"):
        both.merged().of_frame(0)
    assert len(FIRST.merged().of_frame(0)) == 3


def test_frames_that_do_not_follow_are_not_merged() -> None:
    rows = [(2, 0, [8, 9])]
    still = made(0, rows, osc_deg=[0.0])
    assert len(still.merged()) == 1
    assert len(nb.ReflectionTruth.joined([made(0, rows), made(1, rows)]).merged()) == 1
    for first, second in (
        (still, made(1, rows, osc_deg=[0.0])),
        (made(0, rows), made(2, rows, phi_start_deg=[1.0])),  # a number is missing
        (made(0, rows), made(1, rows, phi_start_deg=[1.5])),
        (made(0, rows), made(1, rows, osc_deg=[2.0])),
        (made(1, rows), made(0, rows)),
    ):
        with pytest.raises(nb.ConfigError, match=r"truth\.frames: .*frames that follow each other"):
            nb.ReflectionTruth.joined([first, second]).merged()


def test_what_cannot_be_joined() -> None:
    with pytest.raises(nb.ConfigError, match="parts"):
        nb.ReflectionTruth.joined([])
    with pytest.raises(nb.ConfigError, match="each frame once"):
        nb.ReflectionTruth.joined([FIRST, FIRST])
    other = made(2, [], shapes=((4, 4), (4, 5)))
    with pytest.raises(nb.ConfigError, match=r"parts\[1\]\.shapes"):
        nb.ReflectionTruth.joined([FIRST, other])


def test_columns_fit_each_other() -> None:
    with pytest.raises(nb.ConfigError, match=r"truth\.photons"):
        made(0, [(1, 0, [0])], photons=[1.0, 2.0])
    with pytest.raises(nb.ConfigError, match=r"truth\.pixel_start"):
        made(0, [(1, 0, [0])], pixel_start=[0, 2])
    with pytest.raises(ValueError, match="read-only"):
        FIRST.photons[0] = 1.0
