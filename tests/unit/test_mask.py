"""Masks: values, equality, re-indexing, plain data."""

from __future__ import annotations

import base64
import pickle
import zlib
from typing import Any

import numpy as np
import pytest
from for_each import for_each

from nanobragg_hybrid import ConfigError, Mask

VALUES = np.array([[True, False, True], [False, True, True]])


def test_values_are_copied_and_read_only() -> None:
    mine = VALUES.copy()
    mask = Mask(mine)
    mine[0, 0] = False
    assert np.array_equal(mask.values, VALUES)
    assert mask.values.dtype == np.bool_
    assert mask.shape == (2, 3)
    with pytest.raises(ValueError, match="read-only"):
        mask.values[0, 0] = False


def test_zero_of_an_integer_mask_is_skipped() -> None:
    assert Mask(np.array([[40, 0, 65535], [0, 1, 2]], np.uint16)) == Mask(VALUES)


@for_each(
    "values",
    [
        np.ones(3, bool),
        np.ones((1, 2, 3), bool),
        np.ones((0, 3), bool),
        np.ones((2, 2)),
        [["a", "b"]],
        None,
    ],
)
def test_other_values_are_refused(values: Any) -> None:
    with pytest.raises(ConfigError, match=r"mask\.values"):
        Mask(values)


def test_equality_is_by_content() -> None:
    assert Mask(VALUES) == Mask(VALUES.copy())
    assert hash(Mask(VALUES)) == hash(Mask(VALUES.copy()))
    assert Mask(VALUES) != Mask(~VALUES)
    assert Mask(VALUES) != Mask(VALUES.reshape(3, 2))
    assert Mask(VALUES) != VALUES.tolist()


def test_reindexing_takes_values_in_raster_order() -> None:
    mask = Mask(VALUES)
    assert mask.reindexed((2, 3)) is mask
    assert mask.reindexed((3, 2)) == Mask(np.array([[1, 0], [1, 0], [1, 1]]))
    assert mask.reindexed((1, 4)) == Mask(np.array([[1, 0, 1, 0]]))


def test_reindexing_a_mask_that_is_too_small_names_both_sizes() -> None:
    with pytest.raises(ConfigError) as caught:
        Mask(VALUES).reindexed((7, 1))
    assert str(caught.value) == (
        "detector.mask: got 3 x 2 pixels, need at least as many pixels as the detector's 1 x 7"
    )


def test_plain_data_round_trip() -> None:
    random = np.random.default_rng(3)
    for shape in [(1, 1), (2, 3), (8, 8), (31, 7)]:
        mask = Mask(random.integers(0, 2, shape))
        assert Mask.from_dict(mask.to_dict()) == mask


def _bits(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@for_each(
    "data",
    [
        {"shape": [2, 3]},
        {"shape": [2, 3], "bits": _bits(b"\0"), "more": 1},
        [],
        {"shape": [2], "bits": _bits(b"\0")},
        {"shape": [0, 3], "bits": _bits(b"")},
        {"shape": [2.0, 3], "bits": _bits(b"\0")},
        {"shape": [2**31, 1], "bits": _bits(b"\0")},
        {"shape": [2, 3], "bits": _bits(b"\0\0")},
        {"shape": [2, 3], "bits": _bits(b"")},
        {"shape": [2, 3], "bits": "no base 64!"},
        {"shape": [2, 3], "bits": base64.b64encode(b"not deflated").decode()},
        {"shape": [2, 3], "bits": _bits(b"\0")[:-4]},
        {"shape": [2, 3], "bits": 5},
        {"shape": [2, 3], "bits": "\u00e9"},
    ],
)
def test_plain_data_of_something_else_is_refused(data: Any) -> None:
    with pytest.raises(ConfigError, match=r"detector\.mask"):
        Mask.from_dict(data)


def test_pickle_keeps_it_read_only() -> None:
    copy = pickle.loads(pickle.dumps(Mask(VALUES)))
    assert copy == Mask(VALUES)
    assert not copy.values.flags.writeable


def test_repr_says_how_many_are_skipped() -> None:
    assert repr(Mask(VALUES)) == "Mask(3 x 2 pixels, 2 skipped)"
