"""The MTZ files that we write, as reciprocalspaceship reads them; `.ci/acceptance` installs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nanobragg_hybrid as nb

rs = pytest.importorskip(
    "reciprocalspaceship", reason="reciprocalspaceship is not installed: run .ci/acceptance"
)
pytest.importorskip("gemmi", reason="gemmi is not installed (extra: mx)")


@pytest.mark.parametrize(
    ("wavelength_angstrom", "types"),
    [
        (None, {"F": "SFAmplitude"}),
        (0.9795, {"F(+)": "FriedelSFAmplitude", "F(-)": "FriedelSFAmplitude"}),
    ],
    ids=["mean", "Friedel mates"],
)
def test_written_amplitudes(
    wavelength_angstrom: float | None, types: dict[str, str], tmp_path: Path
) -> None:
    factors = nb.structure_factors_from_model(
        nb.data_path("helix.pdb"), d_min_angstrom=4.0, wavelength_angstrom=wavelength_angstrom
    )
    nb.write_mtz(tmp_path / "written.mtz", factors)
    table = rs.read_mtz(str(tmp_path / "written.mtz"))
    assert table.spacegroup.hm == "P 43 21 2"
    assert table.cell.parameters == pytest.approx((42, 42, 38, 90, 90, 90))
    assert {name: str(kind) for name, kind in table.dtypes.items()} == types
    assert factors.grid is not None
    hkl = table.get_hkls()
    assert len(hkl) > 300
    assert (table.label_absences()["ABSENT"]).sum() == 0
    for name in types:
        own = -hkl if name == "F(-)" else hkl
        expected = factors.grid[tuple((own - factors.hkl_min).T)]
        assert table[name].to_numpy() == pytest.approx(expected, rel=1e-6)
    if len(types) == 2:
        assert np.abs(table["F(+)"] - table["F(-)"]).max() > 1.0  # selenium at its edge
