"""A real still of 64 panels, each where DIALS has it; `.ci/acceptance` fetches the image."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from positions import TO_SIMULATOR, five_pixels, laboratory_mm, plan_of
from real_still import panels_of_the_real_still

import nanobragg_hybrid as nb


@pytest.fixture(scope="module")
def panels() -> list[dict[str, Any]]:
    """The panels as DIALS reads them from the image: DIALS' frame, mm."""
    return panels_of_the_real_still()


@pytest.fixture(scope="module")
def still() -> nb.Experiment:
    """The experiment of the image's header."""
    name = os.environ.get("NB_REAL_STILL_CBF", "")
    if not name or not Path(name).is_file():
        pytest.skip("the real still needs its image: run .ci/acceptance (or set NB_REAL_STILL_CBF)")
    return nb.read_experiment(name)


def test_every_panel_is_where_dials_has_it(
    still: nb.Experiment, panels: list[dict[str, Any]]
) -> None:
    assert len(panels) == 64
    assert still.detector.panel_names == tuple(panel["name"] for panel in panels)
    worst_mm = worst_axis = 0.0
    for number, panel in enumerate(panels):
        found = (still.detector.panels or ())[number]
        assert [found.n_fast, found.n_slow] == panel["size_px"]
        assert [found.pixel_size_mm] * 2 == panel["pixel_mm"]
        for axis in ("fast", "slow"):
            expected = TO_SIMULATOR["dials"] @ panel[axis]
            worst_axis = max(
                worst_axis, float(np.abs(getattr(found, f"{axis}_axis") - expected).max())
            )
        plan = plan_of(still, number)
        for fast, slow in five_pixels(found.n_fast, found.n_slow):
            point = np.array(panel["origin_mm"]) + 0.11 * fast * np.array(panel["fast"])
            point += 0.11 * slow * np.array(panel["slow"])
            moved = laboratory_mm(plan, (fast, slow), "dials") - point
            worst_mm = max(worst_mm, float(np.abs(moved).max()))
    assert worst_axis < 1e-9
    assert worst_mm < 1e-6


def test_what_else_the_header_says(still: nb.Experiment) -> None:
    assert still.beam.wavelength_angstrom == 1.670421
    assert still.beam.direction == (1.0, 0.0, 0.0)
    assert still.goniometer == nb.Goniometer()
    assert still.crystal == nb.Crystal()


# ---- the crystal


FOUND = json.loads((Path(__file__).parent / "data" / "lysozyme_still.json").read_text())
RENDERED = {
    "beam.dispersion_percent": 0.3,
    "beam.dispersion_steps": 3,
    "crystal.n_cells": (20, 20, 20),
    "crystal.mosaic_spread_deg": 0.2,
    "crystal.mosaic_domains": 25,
    "sampling.oversample": 1,
}
"""-N 20 -mosaic 0.2 -mosaic_domains 25 -dispersion 0.3 -dispsteps 3 -oversample 1"""
FACTORS = nb.StructureFactors.constant(100.0)
NEAR_PX = 4.0

Places = list[tuple[int, float, float]]


def lit_share(experiment: nb.Experiment, spots: Places) -> float:
    """The share of spots (panel, slow, fast) with a pixel near them that is brighter than 99 % of
    all pixels."""
    rendered = experiment.replace(RENDERED)
    images = nb.simulate(rendered, FACTORS, quirks=nb.Quirks.none()).images
    limit = np.percentile(np.concatenate([image.ravel() for image in images]), 99.0)
    lit = 0
    for panel, slow, fast in spots:
        rows, columns = np.ogrid[: images[panel].shape[0], : images[panel].shape[1]]
        near = (rows + 0.5 - slow) ** 2 + (columns + 0.5 - fast) ** 2 <= NEAR_PX**2
        lit += bool((images[panel][near] > limit).any())
    return lit / len(spots)


def turned(matrix: tuple[float, ...], seed: int) -> tuple[float, ...]:
    """The matrix of another orientation, any one."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    basis *= np.sign(np.linalg.det(basis))
    result: tuple[float, ...] = tuple((basis @ np.reshape(matrix, (3, 3))).ravel().tolist())
    return result


def test_the_spots_are_where_the_crystal_has_light(still: nb.Experiment) -> None:
    matrix = tuple(FOUND["orientation_matrix"])
    spots = [(panel, slow, fast) for panel, slow, fast, *_ in FOUND["spots"]]
    assert len(spots) > 200
    assert lit_share(still.replace({"crystal.orientation_matrix": matrix}), spots) >= 0.8
    for seed in range(3):
        other = still.replace({"crystal.orientation_matrix": turned(matrix, seed)})
        assert lit_share(other, spots) <= 0.1


def test_pixels_of_the_image(still: nb.Experiment) -> None:
    image = nb.read_image(os.environ["NB_REAL_STILL_CBF"])
    assert (image.kind, len(image.panels)) == ("imgCIF", 64)
    assert image.panel_names == still.detector.panel_names
    assert set(image.shapes) == {(185, 194)}
    assert (image.pedestal, image.gain) == (None, 1.0)
    assert sum(float(panel.sum()) for panel in image.panels) == 93296006.0  # as CBFlib reads it
    # the spots that DIALS indexed are bright
    bright = 0
    for panel, slow, fast, *_ in FOUND["spots"]:
        counts = image.panels[panel]
        rows, columns = int(slow), int(fast)
        near = counts[max(rows - 1, 0) : rows + 2, max(columns - 1, 0) : columns + 2]
        bright += near.max() > 5.0 * np.median(counts)
    assert bright > 0.9 * len(FOUND["spots"])


def test_what_dials_finds_here(still: nb.Experiment) -> None:
    """Its experiment list and its reflection table, by our readers."""
    folder = Path(os.environ.get("NB_REAL_STILL_DIALS", ""))
    if not os.environ.get("NB_REAL_STILL_DIALS") or not (folder / "indexed.refl").is_file():
        pytest.skip("what DIALS makes of the still needs DIALS: run .ci/acceptance where it is")
    pytest.importorskip("msgpack", reason="msgpack is not installed (extra: test)")
    found = nb.read_spots(folder / "strong.refl")
    assert found.hkl is None
    assert found.bounds is not None
    spots = nb.read_spots(folder / "indexed.refl")
    assert len(spots) == len(found)
    spots = spots.where(spots.is_indexed)
    assert len(spots) > 200
    experiment = nb.read_experiment(
        os.environ["NB_REAL_STILL_CBF"], crystal=folder / "indexed.expt", like=still
    )
    rows = zip(spots.panel.tolist(), spots.slow_px.tolist(), spots.fast_px.tolist(), strict=True)
    assert lit_share(experiment, list(rows)) >= 0.8
