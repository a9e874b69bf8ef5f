"""What an image and its warnings say of structure factors that do not fit."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb

PLAIN = nb.Experiment(
    beam=nb.Beam(wavelength_angstrom=1.0),
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5), misset_deg=(10, 20, 30)),
    detector=nb.Detector(n_fast=16, n_slow=12, pixel_size_mm=1.0, distance_mm=100.0),
)


@for_each("value", [np.nan, np.inf])
def test_a_table_that_is_not_finite_is_named(value: float) -> None:
    table = nb.StructureFactors.from_grid(
        np.full((41, 41, 41), value), (-20, -20, -20), allow_non_finite=True
    )
    with pytest.warns(nb.ImageWarning, match="192 pixels are .*NaN or infinite$") as caught:
        nb.simulate(PLAIN, table)
    assert len([w for w in caught if issubclass(w.category, nb.ImageWarning)]) == 1


def reported(wavelength_angstrom: float | None) -> nb.StructureFactors:
    """A table with f' and f'' for a wavelength."""
    report = nb.ReflectionReport(
        source="a.pdb",
        kind="an atomic model",
        columns="F",
        space_group="P 1",
        cell_angstrom=None,
        cell_deg=None,
        anomalous=True,
        d_max_angstrom=None,
        d_min_angstrom=None,
        possible=1,
        known=1,
        shells=(),
        assumptions=("one", "two"),
        wavelength_angstrom=wavelength_angstrom,
    )
    one = nb.StructureFactors.constant(100.0)
    return nb.StructureFactors(default_f=one.default_f, report=report)


@for_each(
    "changes, of_table, beam",
    [
        ({}, 1.0, None),
        ({}, None, None),
        ({}, 1.2, "1"),
        ({"beam.dispersion_percent": 2.0, "beam.dispersion_steps": 2}, 1.0, "0.99 to 1.01"),
    ],
)
def test_dispersion_of_another_wavelength(
    changes: dict[str, Any], of_table: float | None, beam: str | None
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = nb.simulate(PLAIN.replace(changes), reported(of_table))
    expected = (
        f"the structure factors have f' and f'' for {of_table} angstrom, and are the same at all "
        f"wavelengths of the beam ({beam} angstrom): simulate_by_wavelength takes a table for each"
    ).replace("for 1.0 ", "for 1 ")
    assert result.provenance.get("structure_factors") == (None if beam is None else expected)


def test_the_report_as_lines() -> None:
    lines = list(reported(1.0).report.lines())  # type: ignore[union-attr]
    assert lines == [
        "source          a.pdb",
        "  is            an atomic model",
        "  amplitudes    F",
        "space group     P 1",
        "Friedel mates   apart",
        "reflections     1 of 1 (100.0 %)",
        "assumed: one",
        "assumed: two",
    ]
