"""Every field of every config class accepts and rejects what its rule says, and is documented."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from rule_cases import accepted, rejected

from nanobragg_hybrid import (
    Background,
    Beam,
    ConfigError,
    Crystal,
    Detector,
    Experiment,
    Goniometer,
    Mask,
    Output,
    Response,
    Sampling,
    Source,
)
from nanobragg_hybrid.model.validate import Choice, Optional

CLASSES: dict[str, type] = {
    "source": Source,
    "beam": Beam,
    "crystal": Crystal,
    "goniometer": Goniometer,
    "detector": Detector,
    "sampling": Sampling,
    "output": Output,
}
# Of these tests/response looks at every rule.
MORE_CLASSES: dict[str, type] = {"background": Background, "response": Response}
FIELDS = [(path, cls, field) for path, cls in CLASSES.items() for field in dataclasses.fields(cls)]
every_field = for_each("path, cls, field", FIELDS, ids=lambda row: f"{row[0]}.{row[2].name}")


@every_field
def test_ordinary_value_is_stored_as_plain_python(
    path: str, cls: type, field: dataclasses.Field[Any]
) -> None:
    value, stored = accepted(field.metadata["rule"])[0]
    assert getattr(cls(**{field.name: value}), field.name) == stored


@every_field
def test_rule_accepts(path: str, cls: type, field: dataclasses.Field[Any]) -> None:
    rule = field.metadata["rule"]
    for value, stored in accepted(rule):
        normal = rule.normalise(value)
        assert normal == stored
        assert type(normal) is type(stored)


@every_field
def test_bad_value_is_refused_by_name(path: str, cls: type, field: dataclasses.Field[Any]) -> None:
    rule = field.metadata["rule"]
    for value in rejected(rule):
        with pytest.raises(ConfigError) as caught:
            cls(**{field.name: value})
        assert caught.value.field == f"{path}.{field.name}"
        assert caught.value.rule == rule.text
        assert caught.value.unit == field.metadata["unit"]
        assert caught.value.value is value


@every_field
def test_default_obeys_its_own_rule(path: str, cls: type, field: dataclasses.Field[Any]) -> None:
    assert field.metadata["rule"].normalise(field.default) == field.default


@every_field
def test_field_is_documented(path: str, cls: type, field: dataclasses.Field[Any]) -> None:
    # Python 3.13 strips the indentation of docstrings, older ones do not
    entries = re.findall(r"^([a-z0-9_, ]+): ", inspect.getdoc(cls) or "", re.MULTILINE)
    documented = [name for entry in entries for name in entry.split(", ")]
    assert field.name in documented


@every_field
def test_every_choice_is_documented(path: str, cls: type, field: dataclasses.Field[Any]) -> None:
    rule = field.metadata["rule"]
    rule = rule.rule if isinstance(rule, Optional) else rule
    words = rule.words if isinstance(rule, Choice) else ()
    assert [word for word in words if f'"{word}"' not in (cls.__doc__ or "")] == []


@every_field
def test_unit_in_the_name_is_the_unit(path: str, cls: type, field: dataclasses.Field[Any]) -> None:
    units = {"mm": "mm", "um": "um", "deg": "deg", "mrad": "mrad", "angstrom": "angstrom"}
    suffix = field.name.rsplit("_", 1)[-1]
    if suffix in units:
        assert field.metadata["unit"] == units[suffix]


@for_each("cls", CLASSES.values())
def test_config_is_frozen_comparable_and_hashable(cls: type) -> None:
    config = cls()
    name = dataclasses.fields(cls)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, None)
    assert config == cls()
    assert hash(config) == hash(cls())


def test_message_shows_value_unit_and_rule() -> None:
    with pytest.raises(ConfigError) as caught:
        Detector(pixel_size_mm=-0.1)
    assert str(caught.value) == "detector.pixel_size_mm: got -0.1 mm, need a finite value > 0"


def test_angle_of_a_cell_must_be_between_0_and_180() -> None:
    assert Crystal(cell_deg=(179.5, 0.5, 90)).cell_deg == (179.5, 0.5, 90.0)
    for angle in (0.0, 180.0, -90.0):
        with pytest.raises(ConfigError, match=r"crystal\.cell_deg"):
            Crystal(cell_deg=(90.0, 90.0, angle))


def test_matrix_may_be_an_array_of_three_rows() -> None:
    matrix = np.arange(9.0).reshape(3, 3) ** 2
    assert Crystal(orientation_matrix=matrix).orientation_matrix == tuple(np.arange(9.0) ** 2)  # type: ignore[arg-type]


def test_normal_axis_may_be_zero_and_others_may_not() -> None:
    assert Detector(normal_axis=(0, 0, 0)).normal_axis == (0.0, 0.0, 0.0)
    with pytest.raises(ConfigError, match="not all 0"):
        Detector(fast_axis=(0, 0, 0))


def test_attenuation_depth_may_be_infinite_and_thickness_may_not() -> None:
    infinite = float("inf")
    detector = Detector(sensor_attenuation_depth_um=infinite)
    assert detector.sensor_attenuation_depth_um == infinite
    with pytest.raises(ConfigError, match=r"detector\.sensor_thickness_um: got inf um"):
        Detector(sensor_thickness_um=infinite)


@for_each(
    "settings, shape",
    [
        ({}, (1024, 1024)),
        ({"n_fast": 3, "n_slow": 5}, (5, 3)),
        ({"pixel_size_mm": 0.37, "size_fast_mm": 25.6, "size_slow_mm": 21.0}, (57, 69)),
        ({"n_fast": 2463, "n_slow": 2527, "pixel_size_mm": 0.172}, (2527, 2463)),
        ({"size_fast_mm": 0.0500001, "n_slow": 1}, (1, 1)),
    ],
)
def test_shape_of_the_image(settings: dict[str, Any], shape: tuple[int, int]) -> None:
    assert Detector(**settings).shape == shape


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"size_fast_mm": 0.05}, "detector.size_fast_mm"),
        ({"size_slow_mm": 0.05}, "detector.size_slow_mm"),
        ({"size_fast_mm": 1e12}, "detector.size_fast_mm"),
        ({"pixel_size_mm": 5e-324}, "detector.size_slow_mm"),
        ({"pixel_size_mm": 5e-324, "n_fast": 1, "n_slow": 1}, "detector.pixel_size_mm"),
    ],
)
def test_sizes_without_a_countable_pixel_are_refused(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match="1 to 2147483647 pixels") as caught:
        Detector(**settings)
    assert caught.value.field == field


def test_mask_must_have_the_shape_of_the_detector() -> None:
    mask = Mask(np.ones((3, 2), bool))
    assert Detector(n_fast=2, n_slow=3, mask=mask).mask is mask
    with pytest.raises(ConfigError) as caught:
        Detector(n_fast=3, n_slow=2, mask=mask)
    assert str(caught.value) == (
        "detector.mask: got 2 x 3 pixels, need the detector's 3 x 2 pixels (fast x slow)"
    )


@for_each("part", [field.name for field in dataclasses.fields(Experiment)])
def test_experiment_takes_parts_of_the_right_class_only(part: str) -> None:
    cls = (CLASSES | MORE_CLASSES)[part]
    assert getattr(Experiment(**{part: cls()}), part) == cls()
    other: dict[str, Any] = {part: Source()}
    with pytest.raises(ConfigError) as caught:
        Experiment(**other)
    assert caught.value.field == part
