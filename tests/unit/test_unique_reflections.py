"""Unique reflections in a table: expansion, its transpose, what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.model.unique_reflections import ABSENT, OUTSIDE, unique_reflections

TWOFOLD = np.array([np.eye(3), np.diag([-1, 1, -1])], np.int32)
"""The rotations of P 2 (unique axis b)."""


@pytest.fixture
def gemmi() -> None:
    """What knows space groups."""
    pytest.importorskip("gemmi", reason="gemmi is not installed (extra: mx)")


def of_p21(anomalous: bool) -> nb.UniqueReflections:
    """Two reflections of P 1 21 1, whose 0 k 0 are absent for odd k."""
    return unique_reflections(
        np.array([[1, 1, 0], [0, 2, 0]], np.int32),
        TWOFOLD,
        space_group="P 1 21 1",
        anomalous=anomalous,
        is_absent=lambda hkl: (hkl[:, 0] == 0) & (hkl[:, 2] == 0) & (hkl[:, 1] % 2 != 0),
    )


def test_equivalents_and_absences_have_their_places() -> None:
    unique = of_p21(False)
    assert (unique.hkl_min, unique.index.shape) == ((-1, -2, 0), (3, 5, 1))
    assert unique.hkl.tolist() == [[1, 1, 0], [0, 2, 0]]
    assert unique.index[:, :, 0].tolist() == [
        [OUTSIDE, 0, OUTSIDE, 0, OUTSIDE],
        [1, ABSENT, OUTSIDE, ABSENT, 1],
        [OUTSIDE, 0, OUTSIDE, 0, OUTSIDE],
    ]
    assert unique.multiplicities().tolist() == [4, 2]
    assert repr(unique) == "UniqueReflections(2 of P 1 21 1, Friedel mates tied)"


def test_friedel_mates_apart() -> None:
    unique = of_p21(True)
    # 1 1 0 has the equivalent -1 1 0, and -1 -1 0 is their mate; so are 0 2 0 and 0 -2 0
    assert unique.hkl.tolist() == [[1, 1, 0], [0, 2, 0], [-1, -1, 0], [0, -2, 0]]
    assert unique.at([[1, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]]).tolist() == [0, 0, 2, 2]
    assert unique.at([[0, 2, 0], [0, -2, 0], [0, 1, 0], [1, 0, 0], [9, 9, 9]]).tolist() == [
        *(1, 3, ABSENT, OUTSIDE, OUTSIDE)
    ]
    assert repr(unique) == "UniqueReflections(4 of P 1 21 1, Friedel mates apart)"


@for_each("anomalous", [False, True])
def test_expansion_and_sum_are_transposes(anomalous: bool) -> None:
    unique = of_p21(anomalous)
    random = np.random.default_rng(1)
    values, table = random.random(len(unique)), random.random(unique.index.shape)
    np.testing.assert_allclose((unique.expand(values) * table).sum(), values @ unique.sum(table))


def test_default_f_is_for_what_is_outside_alone() -> None:
    table = of_p21(False).expand([7.0, 8.0], -3.0)
    assert table[:, :, 0].tolist() == [
        [-3.0, 7.0, -3.0, 7.0, -3.0],
        [8.0, 0.0, -3.0, 0.0, 8.0],
        [-3.0, 7.0, -3.0, 7.0, -3.0],
    ]
    assert of_p21(False).expand(np.array([7, 8])).dtype == np.float64


@for_each(
    "call, message",
    [
        (lambda u: u.expand([1.0]), r"values: got float64 of shape \(1,\), need .* shape \(2,\)"),
        (lambda u: u.expand(["a", "b"]), r"values: got <U1 of shape \(2,\), need numbers"),
        (lambda u: u.expand([1.0, 2.0], np.nan), "default_f: got nan, need a finite value"),
        (lambda u: u.expand([[1.0], 2.0]), "values: got a list that numpy makes no array of"),
        (lambda u: u.sum(np.ones((3, 5))), r"table: got .*, need numbers of shape \(3, 5, 1\)"),
        (lambda u: u.at([1, 2, 3]), r"hkl: got int64 of shape \(3,\), need whole numbers of"),
        (lambda u: u.at([[1.5, 0, 0]]), r"hkl: got float64 of shape \(1, 3\), need whole"),
    ],
)
def test_what_does_not_fit_is_refused(call: object, message: str) -> None:
    with pytest.raises(nb.ConfigError, match=message):
        call(of_p21(False))


def test_a_table_keeps_its_unique_reflections_only_if_they_are_its_own() -> None:
    unique = of_p21(False)
    grid = unique.expand([1.0, 2.0])
    made = nb.StructureFactors(grid, (-1, -2, 0), unique=unique)
    again = pickle.loads(pickle.dumps(made))
    assert (again.unique.index == unique.index).all()
    assert again == made
    with pytest.raises(nb.ConfigError, match="unique: got a table of shape"):
        nb.StructureFactors(grid, (0, 0, 0), unique=unique)
    with pytest.raises(nb.ConfigError, match="unique: got 3, need an object of class Unique"):
        nb.StructureFactors(grid, (-1, -2, 0), unique=3)
    with pytest.raises(nb.ConfigError, match="report: got 'x', need an object of class Ref"):
        nb.StructureFactors(grid, (-1, -2, 0), report="x")


@for_each(
    "options, message",
    [
        ({"missing": "zero"}, "missing: got 'zero', need None without a cell"),
        ({"d_min_angstrom": 3.0}, "d_min_angstrom: got 3.0, need None without a cell"),
        ({"d_max_angstrom": 3.0}, "d_max_angstrom: got 3.0, need None without a cell"),
        ({"cell_angstrom": (9, 9)}, "cell_angstrom: got .*, need 3 values"),
        (
            {"cell_angstrom": (9, 9, 9), "cell_deg": (90, 90, 200)},
            "cell_deg: got .*, need 3 values",
        ),
        ({"cell_angstrom": (9, 9, 9), "cell_deg": (10, 90, 170)}, "three angles that a cell can"),
        ({"anomalous": 1}, "anomalous: got 1, need True or False"),
        ({"f000": "x"}, "f000: got 'x', need a finite value, or None"),
    ],
)
def test_options_of_a_space_group_that_break_their_rule(
    gemmi: None, options: dict[str, object], message: str
) -> None:
    with pytest.raises(nb.ConfigError, match=message):
        nb.StructureFactors.from_reflections([[1, 0, 0]], [1.0], space_group="P 1", **options)


@for_each(
    "options",
    [
        {"cell_angstrom": (9, 9, 9)},
        {"cell_deg": (90, 90, 90)},
        {"anomalous": True},
        {"missing": "zero"},
        {"d_min_angstrom": 2.0},
        {"d_max_angstrom": 2.0},
        {"f000": 0.0},
    ],
)
def test_options_that_need_a_space_group(options: dict[str, object]) -> None:
    (name,) = options
    with pytest.raises(nb.ConfigError, match=f"{name}: got .*, need None without a space_group"):
        nb.StructureFactors.from_reflections([[1, 0, 0]], [1.0], **options)
