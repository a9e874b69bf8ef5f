"""Records: frozen classes that look like dataclasses."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import pprint
from collections.abc import Callable

import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.io import SmvHeader
from nanobragg_hybrid.record import Record, field, items, names, replaced, said_of

RECORDS = [nb.Beam, nb.Crystal, nb.Detector, nb.Experiment, nb.Goniometer, nb.Output, nb.Quirks]
RECORDS += [nb.Sampling, nb.Source, nb.Statistics, nb.Geometry, SmvHeader]


class Spot(Record):
    """An example."""

    x: float
    name: str = field(default="a")


class KeywordSpot(Record, kw_only=True):
    """A field with a default before one without."""

    tags: list[str] = field(default_factory=list, metadata={"unit": "m"})
    x: float


class CheckedSpot(Record):
    """Sets its field once more."""

    x: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", float(self.x))


class LargeSpot(Spot):
    """More fields than the class it is derived from."""

    name: str = "large"
    radius: float = 1.0


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


@pytest.mark.parametrize("cls", RECORDS)
def test_records_of_the_package(cls: type) -> None:
    assert issubclass(cls, Record)
    for name in ("__eq__", "__hash__", "__repr__"):
        assert getattr(cls, name) is getattr(Record, name)


def test_fields_are_slots() -> None:
    assert Spot.__slots__ == Spot.__match_args__ == ("x", "name")
    assert not hasattr(Spot(1.0), "__dict__")
    assert names(Spot) == names(Spot(1.0)) == ("x", "name")
    assert list(items(Spot(1.0))) == [("x", 1.0), ("name", "a")]
    assert said_of(KeywordSpot, "tags") == {"unit": "m"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        del Spot(1.0).x


def test_values_by_place_and_by_name() -> None:
    assert Spot(1.0, "b") == Spot(1.0, name="b") == Spot(name="b", x=1.0)
    assert CheckedSpot("2").x == 2.0  # type: ignore[arg-type]
    first, second = KeywordSpot(x=1.0), KeywordSpot(x=1.0)
    assert first.tags == []
    assert first.tags is not second.tags
    match Spot(3.0):
        case Spot(x, name):
            assert (x, name) == (3.0, "a")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (Spot, r"Spot\(\) needs a value for 'x'"),
        (lambda: Spot(1.0, "a", 2), r"Spot\(\) takes 2 values, 3 were given"),
        (lambda: Spot(1.0, x=2.0), r"Spot\(\) got two values for 'x'"),
        (lambda: Spot(1.0, y=2.0), r"Spot\(\) has no field 'y'"),
        (lambda: KeywordSpot(1.0), r"KeywordSpot\(\) takes 0 values, 1 were given"),
    ],
)
def test_wrong_calls(call: Callable[[], Record], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_replaced() -> None:
    assert replaced(Spot(1.0), name="b") == Spot(1.0, "b")
    assert replaced(CheckedSpot(1.0), x=2).x == 2.0
    assert Spot(1.0).__replace__(x=2.0) == Spot(2.0)  # copy.replace of newer Pythons
    with pytest.raises(TypeError, match="has no field 'y'"):
        replaced(Spot(1.0), y=1)


def test_dataclasses_takes_them() -> None:
    assert dataclasses.is_dataclass(Spot)
    assert [(f.name, f.type) for f in dataclasses.fields(Spot)] == [("x", "float"), ("name", "str")]
    x, name = dataclasses.fields(Spot(1.0))
    assert x.default is dataclasses.MISSING
    assert name.default == "a"
    tags, _ = dataclasses.fields(KeywordSpot)
    assert tags.default_factory is list
    assert dict(tags.metadata) == {"unit": "m"}
    assert dataclasses.replace(Spot(1.0), name="b") == Spot(1.0, "b")
    assert dataclasses.replace(KeywordSpot(x=1.0), x=2.0).x == 2.0
    assert dataclasses.asdict(Spot(1.0)) == {"x": 1.0, "name": "a"}
    assert dataclasses.astuple(Spot(1.0)) == (1.0, "a")
    assert pprint.pformat(Spot(1.0)) == repr(Spot(1.0))


def test_signatures() -> None:
    assert str(inspect.signature(Spot)) == "(x: 'float', name: 'str' = 'a') -> None"
    assert list(inspect.signature(nb.Mask).parameters) == ["values"]
    assert inspect.signature(nb.Crystal).parameters["cell_angstrom"].default is None


def test_a_class_derived_from_one() -> None:
    assert names(LargeSpot) == LargeSpot.__match_args__ == ("x", "name", "radius")
    assert names(Spot) == ("x", "name")
    spot = LargeSpot(2.0, radius=3.0)
    assert (spot.x, spot.name, spot.radius) == (2.0, "large", 3.0)
    assert spot != Spot(2.0, "large")
    assert [f.type for f in dataclasses.fields(LargeSpot)] == ["float", "str", "float"]
    assert dataclasses.replace(spot, x=1.0) == LargeSpot(1.0, radius=3.0)
    assert pickle.loads(pickle.dumps(spot)) == spot
    assert type("KeywordToo", (KeywordSpot,), {})(x=1.0).x == 1.0
