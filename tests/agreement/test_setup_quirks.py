"""Both positions of the quirks that act on the cell, the missetting and the detector: the torch
engine against the C engine, in experiments where the position matters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from for_each import for_each
from pictures import CONSTANT, STILL, off
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import compare, relative_l2

TRICLINIC = {"crystal.cell_deg": (75.0, 85.0, 95.0)}
TURNED = {"detector.rotation_deg": (5.0, 3.0, -12.0), "detector.twotheta_deg": 7.0}
MOSAIC = {"crystal.mosaic_spread_deg": 1.0, "crystal.mosaic_domains": 4}
XDS = {"detector.convention": "xds"}
DIALS = {"detector.convention": "dials"}
BEAM = {"detector.beam_x_mm": 7.0, "detector.beam_y_mm": 12.0}
LARGE = {"crystal.size_mm": (5e-5, 4e-5, 6e-5), "beam.beam_size_mm": 2e-5}
NEAR = {"detector.close_x_mm": 9.0, "detector.close_y_mm": 6.5}
ORIGIN = {"detector.org_x_px": 9.5, "detector.org_y_px": 7.0}

# A quirk, which others are off in both positions, and the experiment.
CASES: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("triclinic_cell", (), TRICLINIC),
    ("triclinic_cell", (), {"crystal.cell_deg": (100.0, 90.0, 118.0), "crystal.shape": "gauss"}),
    ("misset_random_radians", (), {"crystal.misset_random": True}),
    (
        "misset_random_radians",
        ("triclinic_cell",),
        {"crystal.misset_random": True, "crystal.misset_seed": -7, **MOSAIC, **TRICLINIC},
    ),
    ("beam_clips_y_and_z", (), {**XDS, **LARGE}),
    ("beam_clips_y_and_z", (), {**LARGE, "beam.direction": (0.6, 0.64, 0.48)}),
    ("first_deviate", (), {"crystal.misset_random": True}),
    ("first_deviate", ("misset_random_radians",), {"crystal.misset_random": True, **MOSAIC}),
    ("first_deviate", (), MOSAIC),
    (
        "custom_convention_switch",
        (),
        {"goniometer.spindle_axis": (0.0, 3.0, 4.0), "goniometer.phi_deg": 20.0},
    ),
    ("custom_convention_switch", (), {**XDS, **TURNED, "detector.twotheta_axis": (0.0, 1.0, 0.0)}),
    (
        "custom_convention_switch",
        ("near_point_ignored",),
        {**DIALS, **NEAR, "detector.fast_axis": (1.0, 0.1, 0.2)},
    ),
    ("pivot_flag_ignored", (), {**TURNED, "detector.pivot": "sample"}),
    ("pivot_flag_ignored", (), {**TURNED, **XDS, "detector.pivot": "beam"}),
    ("pivot_flag_ignored", ("near_point_ignored",), {**TURNED, **BEAM, "detector.pivot": "sample"}),
    ("pix0_ignored", (), {**TURNED, "detector.pix0_m": (0.055, 0.012, -0.009)}),
    (
        "pix0_ignored",
        ("custom_convention_switch",),
        {**TURNED, **XDS, **BEAM, "detector.pix0_m": (-0.012, -0.009, 0.055)},
    ),
    ("near_point_ignored", (), {**TURNED, **XDS, **BEAM}),
    ("near_point_ignored", (), {**TURNED, **NEAR}),
    ("near_point_ignored", (), {**TURNED, **DIALS, **NEAR, "detector.close_distance_mm": 70.0}),
    ("near_point_ignored", ("pivot_flag_ignored",), {**ORIGIN, **TURNED, "detector.pivot": "beam"}),
    (
        "near_point_ignored",
        (),
        {
            **TURNED,
            "detector.convention": "custom",
            "detector.pivot": "sample",
            "beam.direction": (1.0, 0.1, -0.05),
            "detector.beam_x_mm": 7.0,
        },
    ),
]
SET_UP = (
    "triclinic_cell",
    "misset_random_radians",
    "first_deviate",
    "beam_clips_y_and_z",
    "custom_convention_switch",
    "pivot_flag_ignored",
    "pix0_ignored",
    "near_point_ignored",
)


def _rendered(changes: dict[str, Any], quirks: nb.Quirks, backend: str) -> nb.SimulationResult:
    return nb.simulate(
        STILL.replace(changes), CONSTANT, quirks=quirks, backend=backend, unrounded=True
    )


@pytest.mark.parametrize(("name", "others", "changes"), CASES)
def test_both_positions(name: str, others: tuple[str, ...], changes: dict[str, Any]) -> None:
    """Images and plans agree in each position, and the positions differ."""
    images = []
    for quirks in (off(*others), off(name, *others)):
        need, got = (_rendered(changes, quirks, backend) for backend in ("c", "torch"))
        assert need.unrounded is not None
        assert got.unrounded is not None
        assert relative_l2(got.unrounded, need.unrounded) <= 1e-13
        assert compare(got.unrounded, need.image).max_ulp <= 1
        for key, value in got.info.items():
            assert np.allclose(value, need.info[key], rtol=1e-12, atol=1e-17), key
        assert got.quirks_that_mattered == need.quirks_that_mattered
        images.append(got.unrounded)
    assert name in _rendered(changes, off(*others), "torch").quirks_that_mattered
    assert relative_l2(images[1], images[0]) > 1e-3


def test_every_row_is_seen_twice() -> None:
    names = [name for name, _, _ in CASES]
    assert all(names.count(name) >= 2 for name in SET_UP)


@pytest.mark.parametrize("convention", ["mosflm", "xds", "adxv", "denzo", "dials", "custom"])
@for_each("pivot", ["beam", "sample", None])
@for_each("centre", [{}, BEAM, NEAR, ORIGIN])
def test_all_off_in_every_convention(
    convention: str, pivot: str | None, centre: dict[str, float]
) -> None:
    along_x = convention in ("mosflm", "denzo", "custom")
    for vectors in (
        {},
        {"beam.direction": (1.0, 0.05, -0.02) if along_x else (0.05, -0.02, 1.0)},
        {"detector.pix0_m": (0.06, 0.01, -0.01) if along_x else (-0.01, 0.01, 0.06)},
    ):
        changes = {"detector.convention": convention, "detector.pivot": pivot, **TURNED}
        changes |= {**centre, **vectors}
        need, got = (_rendered(changes, off(*SET_UP), backend) for backend in ("c", "torch"))
        assert need.unrounded is not None
        assert got.unrounded is not None
        assert relative_l2(got.unrounded, need.unrounded) <= 1e-13
        assert compare(got.unrounded, need.image).max_ulp <= 1


@pytest.mark.parametrize(
    "given",
    [
        {**BEAM, "detector.close_y_mm": 3.0},
        {"detector.beam_x_mm": 7.0, "detector.org_x_px": 3.0},
        {**NEAR, **ORIGIN},
        {**BEAM, **NEAR, **ORIGIN, "detector.pix0_m": (0.06, 0.0, 0.0)},
    ],
)
def test_two_centres_are_the_same_error(given: dict[str, Any]) -> None:
    texts = set()
    for backend in ("c", "torch"):
        with pytest.raises(nb.ConfigError, match="need only one of beam centre") as caught:
            _rendered(given, off("near_point_ignored", "pix0_ignored"), backend)
        texts.add(str(caught.value))
        assert _rendered(given, nb.Quirks(), backend).image.any()
    assert len(texts) == 1


def test_rotations_are_those_of_the_c_engine() -> None:
    """The corrected random missetting for scattered seeds."""
    for seed in torch.randint(-(2**31), 2**31, (50,), generator=torch.Generator().manual_seed(1)):
        changes = {"crystal.misset_random": True, "crystal.misset_seed": int(seed)}
        changes |= {"detector.n_fast": 1, "detector.n_slow": 1}
        need, got = (
            _rendered(changes, off("misset_random_radians"), backend).info["misset_rad"]
            for backend in ("c", "torch")
        )
        assert np.allclose(got, need, rtol=0.0, atol=1e-13)
