"""The ledger, its bits, its texts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid import LEDGER, ConfigError, Quirks

NAMES = [quirk.name for quirk in LEDGER]
FIXED = {"phi_carryover", "oversample_running_product", "curved_needs_argument"}


def test_kernel_quirks_are_nine_of_the_first_26() -> None:
    assert [quirk.kind for quirk in LEDGER][:26] == ["kernel"] * 9 + ["setup"] * 17


def test_fields_are_the_ledger_in_order() -> None:
    assert [field.name for field in dataclasses.fields(Quirks)] == NAMES


@for_each("name", NAMES)
def test_bit_is_the_place_in_the_ledger(name: str) -> None:
    """The header has the same bits, and the same presets: tests/c_api/test_mirrors.py."""
    bit = 1 << NAMES.index(name)
    assert dataclasses.replace(Quirks.none(), **{name: True}).bits == bit
    assert dataclasses.replace(Quirks(), **{name: False}).bits == Quirks().bits - bit
    assert Quirks.from_bits(bit).names_on == (name,)


def test_default_is_nanobragg_with_everything_on() -> None:
    assert Quirks() == Quirks.nanobragg()
    assert Quirks().names_on == tuple(NAMES)
    assert Quirks.none().names_on == ()


def test_fixed_preset_turns_three_off() -> None:
    assert set(NAMES) - set(Quirks.nanobragg_fixed().names_on) == FIXED


@for_each(
    "text, names_off",
    [
        ("nanobragg", set()),
        ("nanobragg-fixed", FIXED),
        ("none", set(NAMES)),
        ("none,+phi_carryover", set(NAMES) - {"phi_carryover"}),
        ("nanobragg,-water_background", {"water_background"}),
        ("-water_background,-hkl_stream", {"water_background", "hkl_stream"}),
        (" nanobragg-fixed , + phi_carryover ", FIXED - {"phi_carryover"}),
        ("none,-phi_carryover", set(NAMES)),
    ],
)
def test_parse(text: str, names_off: set[str]) -> None:
    assert set(NAMES) - set(Quirks.parse(text).names_on) == names_off


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got '', need one of nanobragg, nanobragg-fixed, none"),
        (None, r"got None, need a text like none,\+phi_carryover"),
        (Quirks.none(), "need a text like"),
        ("all", "one of nanobragg, nanobragg-fixed, none"),
        ("none,phi_carryover", r"\+name or -name"),
        ("none,none", r"\+name or -name"),
        ("none,", r"\+name or -name"),
        ("none,+phi_carry", "did you mean phi_carryover"),
        ("none,+zzz", "the name of a quirk$"),
        ("none,+hkl_stream,-hkl_stream", "at most once"),
    ],
)
def test_parse_refuses(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Quirks.parse(text)
    assert caught.value.field == "quirks"


@for_each(
    "quirks, text",
    [
        (Quirks(), "nanobragg"),
        (Quirks.nanobragg_fixed(), "nanobragg-fixed"),
        (Quirks.none(), "none"),
        (Quirks(hkl_stream=False), "nanobragg,-hkl_stream"),
        (dataclasses.replace(Quirks.none(), hkl_stream=True), "none,+hkl_stream"),
        (Quirks(phi_carryover=False), "nanobragg,-phi_carryover"),
    ],
)
def test_text_is_the_shortest(quirks: Quirks, text: str) -> None:
    assert str(quirks) == text


def test_text_and_bits_round_trip() -> None:
    random = np.random.default_rng(5)
    for bits in random.integers(0, 2 ** len(LEDGER), 50):
        quirks = Quirks.from_bits(int(bits))
        assert quirks.bits == bits
        assert Quirks.parse(str(quirks)) == quirks


@pytest.mark.parametrize("bits", [-1, 2 ** len(LEDGER)])
def test_unknown_bits_are_refused(bits: int) -> None:
    with pytest.raises(ConfigError, match="bits below"):
        Quirks.from_bits(bits)


@pytest.mark.parametrize("value", [0, 1, "on", None])
def test_value_must_be_a_boolean(value: object) -> None:
    with pytest.raises(ConfigError, match=r"quirks\.hkl_stream"):
        Quirks(hkl_stream=value)  # type: ignore[arg-type]


def test_numpy_boolean_is_stored_as_bool() -> None:
    assert Quirks(hkl_stream=np.bool_(False)).hkl_stream is False  # type: ignore[arg-type]
