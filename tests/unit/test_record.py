"""Comparison, hash and text that frozen dataclasses share."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import dataclass, field

import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.formats.smv import SmvHeader

RECORDS = [nb.Beam, nb.Crystal, nb.Detector, nb.Experiment, nb.Goniometer, nb.Output, nb.Quirks]
RECORDS += [nb.Sampling, nb.Source, nb.Statistics, nb.Geometry, SmvHeader]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Spot(Record):
    """An example."""

    x: float
    name: str = field(default="a")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class OtherSpot(Record):
    """The same fields in another class."""

    x: float
    name: str = field(default="a")


def test_equal_if_class_and_fields_are() -> None:
    assert Spot(1.0) == Spot(1.0, "a")
    assert hash(Spot(1.0)) == hash(Spot(1.0, "a"))
    assert Spot(1.0) != Spot(2.0)
    assert Spot(1.0) != OtherSpot(1.0)
    assert Spot(1.0) != (1.0, "a")
    assert {Spot(1.0): 3}[Spot(1.0)] == 3


def test_text_is_the_call_that_makes_it() -> None:
    assert repr(Spot(0.1)) == "Spot(x=0.1, name='a')"
    experiment = nb.Experiment(beam=nb.Beam(wavelength_angstrom=0.9))
    assert eval(repr(experiment), vars(nb) | {n: getattr(nb, n) for n in nb.__all__}) == experiment


def test_it_can_be_copied_and_not_changed() -> None:
    spot = Spot(1.0)
    assert copy.deepcopy(spot) == spot
    assert pickle.loads(pickle.dumps(nb.Crystal())) == nb.Crystal()
    with pytest.raises(dataclasses.FrozenInstanceError):
        spot.x = 2.0  # type: ignore[misc]


@for_each("cls", RECORDS)
def test_records_of_the_package(cls: type) -> None:
    assert issubclass(cls, Record)
    for name in ("__eq__", "__hash__", "__repr__"):
        assert getattr(cls, name) is getattr(Record, name)
