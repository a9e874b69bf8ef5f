"""A value at its initial one changes nothing: for every way to place a detector."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch.set_up.detector import detector_geometry
from nanobragg_hybrid.engines.torch.set_up.inputs import Inputs
from nanobragg_hybrid.engines.torch.set_up.parameters import initial_value, parameters_of
from nanobragg_hybrid.engines.torch.set_up.setup import Setup, set_up

FACTORS = nb.StructureFactors.constant(100.0)
BASE = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5), misset_deg=(10, 20, 30)),
    detector=nb.Detector(pixel_size_mm=(1.0, 0.9), n_fast=18, n_slow=16, twotheta_deg=7.0),
)
CENTRES: dict[str, dict[str, Any]] = {
    "none": {},
    "beam": {"beam_x_mm": 9.1, "beam_y_mm": 8.3},
    "beam x": {"beam_x_mm": 9.1},
    "near": {"close_x_mm": 9.1, "close_y_mm": 8.3},
    "near y": {"close_y_mm": 8.3},
    "origin x": {"org_x_px": 7.2},
    "all": {"beam_y_mm": 8.3, "close_x_mm": 9.1, "org_x_px": 7.2},
    "corner": {"pix0_m": (0.1, 0.005, -0.005)},
}
DIRECTIONS: dict[str, dict[str, Any]] = {
    "": {},
    "turned": {"rotation_deg": (2.0, 1.0, -3.0), "close_distance_mm": 90.0},
    # Neither is the point of the plane nearest to the crystal where it was asked to be.
    "not at right angles": {"fast_axis": (0.1, 0.05, 1.0), "slow_axis": (0.02, -1.0, 0.1)},
    "another normal": {"normal_axis": (math.cos(0.1), math.sin(0.1), 0.0)},
    "a stretching axis": {"twotheta_axis": (0.0, 0.5, 1.5)},
}
SWITCHES = ("near_point_ignored", "pivot_flag_ignored", "custom_convention_switch")
QUIRKS = [
    nb.Quirks.none(),
    *(
        dataclasses.replace(nb.Quirks(), **dict(zip(SWITCHES, on, strict=True)))
        for on in itertools.product((False, True), repeat=len(SWITCHES))
    ),
]


def of_detector(setup: Setup) -> list[str]:
    """The active parameters of the detector's place."""
    names = [parameter.name for parameter in parameters_of(setup)]
    return [name for name in names if name.startswith("detector.") and "sensor" not in name]


def numbers(inputs: Inputs) -> list[float]:
    """Everything about where a detector and its beam are."""
    found: list[float] = []
    for field in dataclasses.fields(geometry := detector_geometry(inputs)):
        value = getattr(geometry, field.name)
        if isinstance(value, float):
            found.append(value)
        elif isinstance(value, tuple):
            found += value
    assert len(found) > 30
    return found


@pytest.mark.parametrize("convention", ["adxv", "mosflm", "denzo", "xds", "dials", "custom"])
def test_a_detector_stays_where_it_is(convention: Any) -> None:
    looked_at = set()
    for quirks, pivot, centre, directions in itertools.product(
        QUIRKS, ("beam", "sample"), CENTRES, DIRECTIONS
    ):
        given = {"convention": convention, "pivot": pivot}
        given |= CENTRES[centre] | DIRECTIONS[directions]
        try:
            experiment = BASE.replace({f"detector.{name}": each for name, each in given.items()})
            inputs = Inputs(experiment, FACTORS, quirks)
            wanted = numbers(inputs)
        except nb.ConfigError:
            continue  # two centres, or a distance that is not that of the other
        setup = set_up(experiment, FACTORS, quirks)
        for name in of_detector(setup):
            value = initial_value(name, setup)
            value = tuple(value) if isinstance(value, tuple | list) else (value,)
            moved = numbers(dataclasses.replace(inputs, values={name: value}))
            off = max(abs(a - b) for a, b in zip(moved, wanted, strict=True))
            assert off < 1e-14, (quirks, pivot, centre, directions, name, off)
            looked_at.add(name)
    assert {"detector.org_x_px", "detector.beam_x_mm", "detector.origin_m"} <= looked_at


def test_an_image_stays_as_it_is() -> None:
    """Of a near point that is not where it was asked to be: all parameters, one after the other."""
    quirks = dataclasses.replace(nb.Quirks.none(), custom_convention_switch=False)
    for directions in ("not at right angles", "a stretching axis"):
        placed = {"convention": "adxv", "pivot": "sample", **DIRECTIONS[directions]}
        experiment = BASE.replace({f"detector.{name}": each for name, each in placed.items()})
        model = nb.ForwardModel(experiment, FACTORS, quirks)
        image = model().detach()
        names = [parameter.name for parameter in model.parameters()]
        assert "detector.org_x_px" in names
        for name in names:
            off = (model({name: model.initial(name)}).detach() - image).abs().max()
            assert float(off) < 1e-11 * float(image.max()), (directions, name)
