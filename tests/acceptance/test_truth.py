"""The truth of a series against what DIALS observes, where DIALS is installed."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dials_crystals import cell_lengths, cell_vectors, turn_deg
from dials_series import CELL, IMAGES, dials, experiment, structure_factors

import nanobragg_hybrid as nb

pytestmark = pytest.mark.skipif(
    not os.environ.get("NB_DIALS_SERIES") or shutil.which("dials.import") is None,
    reason="frames for DIALS need its programs: run .ci/acceptance where they are installed",
)
msgpack = pytest.importorskip("msgpack", reason="msgpack is not installed (extra: mx)")

_OBSERVED = 1 << 2  # indexed
_FITTED = 1 << 9


def bright(number: int) -> nb.Experiment:
    """Image `number` of a series whose noise is small against its spots."""
    return experiment(number).replace(
        {"beam.fluence_photons_per_m2": 4.8e28, "crystal.water_um": 0.5}
    )


@pytest.fixture(scope="module")
def truth() -> nb.ReflectionTruth:
    table = structure_factors()
    return nb.ReflectionTruth.joined(
        [nb.predict_reflections(bright(n), table, frame=n) for n in range(IMAGES)]
    )


@pytest.fixture(scope="module")
def folder(truth: nb.ReflectionTruth, tmp_path_factory: Any) -> Path:
    """Images, truth, and what DIALS makes of the images."""
    folder: Path = tmp_path_factory.mktemp("truth")
    table = structure_factors()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        for n in range(IMAGES):
            result = nb.simulate(bright(n), table)
            result.save(folder / f"noise_{n + 1:03d}.cbf", pixels="noise")
    experiments = [bright(n) for n in range(IMAGES)]
    nb.write_experiments(folder / "truth.expt", experiments, template="noise_###.cbf")
    nb.write_truth(folder / "truth.refl", truth, experiments=experiments)
    nb.write_truth(folder / "truth.h5", truth)
    dials("dials.import", folder, "template=noise_###.cbf")
    dials("dials.find_spots", folder, "imported.expt", "nproc=1")
    dials("dials.index", folder, "imported.expt", "strong.refl")
    dials("dials.refine", folder, "indexed.expt", "indexed.refl")
    dials("dials.integrate", folder, "refined.expt", "refined.refl", "nproc=1")
    return folder


@pytest.fixture(scope="module")
def merged(folder: Path) -> Path:
    """What DIALS makes of the integrated intensities: merged ones in the symmetry it finds."""
    dials("dials.symmetry", folder, "integrated.expt", "integrated.refl")
    dials("dials.scale", folder, "symmetrized.expt", "symmetrized.refl")
    dials("dials.merge", folder, "scaled.expt", "scaled.refl")
    return folder / "merged.mtz"


def columns(path: Path) -> dict[str, np.ndarray]:
    kinds = {
        b"int": "<i4",
        b"std::size_t": "<u8",
        b"double": "<f8",
        b"vec3<double>": "<f8",
        b"cctbx::miller::index<>": "<i4",
    }
    table = msgpack.unpackb(path.read_bytes(), raw=True, strict_map_key=False)[2]
    return {
        name.decode(): np.frombuffer(data, kinds[kind]).reshape(rows, -1).squeeze()
        for name, (kind, (rows, data)) in table[b"data"].items()
        if kind in kinds
    }


def matched(
    folder: Path, name: str, flag: int, merged: nb.ReflectionTruth
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """A table of DIALS, and of whole reflections with light of their own the rows there and in the
    truth."""
    table = columns(folder / f"{name}.refl")
    (true,), (found,) = (cell_vectors(folder / f"{each}.expt") for each in ("truth", name))
    hkl = table["miller_index"] @ (true @ np.linalg.inv(found)).T  # indices of the true cell
    assert np.abs(hkl - hkl.round()).max() < 0.02
    whole = merged.partiality > 0.97
    whole &= merged.overlap_photons < 0.02 * merged.photons
    rows = {tuple(merged.hkl[n].tolist()): n for n in np.flatnonzero(whole)}
    mine, theirs = [], []
    for n in np.flatnonzero((table["flags"] & flag) > 0):
        row = rows.get(tuple(hkl[n].round().astype(int).tolist()))
        if row is not None:
            mine.append(row)
            theirs.append(n)
    assert len(mine) > 1000
    return table, np.array(theirs), np.array(mine)


def test_centroids(folder: Path, truth: nb.ReflectionTruth) -> None:
    """Of the spots that DIALS finds; phi too, whose left edges (the quirk phi_left_edge) lie half
    a step before the middle of what they stand for."""
    merged = truth.merged()
    table, theirs, mine = matched(folder, "refined", _OBSERVED, merged)
    observed = table["xyzobs.px.value"][theirs]
    x = observed[:, 0] - merged.fast_px[mine]
    y = observed[:, 1] - merged.slow_px[mine]
    z = observed[:, 2] - (merged.phi_deg[mine] - 10.0) / 0.5
    assert np.median(np.hypot(x, y)) < 0.1
    assert abs(np.median(x)) < 0.02
    assert abs(np.median(y)) < 0.02
    assert np.median(z) == pytest.approx(0.05, abs=0.02)


def test_intensities(folder: Path, truth: nb.ReflectionTruth) -> None:
    merged = truth.merged()
    table, theirs, mine = matched(folder, "integrated", _FITTED, merged)
    fitted = table["intensity.prf.value"][theirs]
    correlation = np.corrcoef(fitted, merged.photons[mine])[0, 1]
    assert correlation > 0.99


def test_cell_and_orientation(folder: Path) -> None:
    """With DIALS' defaults from the first step on."""
    assert cell_lengths(folder / "refined.expt") == pytest.approx(sorted(CELL), abs=0.01)
    (true,), (found,) = (cell_vectors(folder / f"{name}.expt") for name in ("truth", "refined"))
    assert np.linalg.norm(turn_deg(found, true)) < 0.05


def test_merged_intensities(merged: Path) -> None:
    """Of the symmetry of the input, and in proportion to its F^2."""
    gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed (extra: mx)")
    mtz = gemmi.read_mtz_file(str(merged))
    assert mtz.spacegroup.hm == "P 4 2 2"
    assert mtz.cell.parameters == pytest.approx((*CELL, 90, 90, 90), abs=0.01)
    factors = structure_factors()
    assert factors.grid is not None
    places = mtz.make_miller_array() - factors.hkl_min
    inside = ((places >= 0) & (places < factors.grid.shape)).all(axis=1)
    squares = factors.grid[tuple(places[inside].T)] ** 2
    intensities = mtz.column_with_label("IMEAN").array[inside]
    known = np.isfinite(intensities) & (squares > 0.0)
    assert known.sum() > 2000
    assert np.corrcoef(intensities[known], squares[known])[0, 1] > 0.98


def test_reciprocalspaceship_reads_the_merged_intensities(merged: Path) -> None:
    gemmi = pytest.importorskip("gemmi", reason="gemmi is not installed (extra: mx)")
    rs = pytest.importorskip(
        "reciprocalspaceship", reason="reciprocalspaceship is not installed: run .ci/acceptance"
    )
    table = rs.read_mtz(str(merged))
    mtz = gemmi.read_mtz_file(str(merged))
    assert (table.spacegroup.hm, len(table)) == ("P 4 2 2", mtz.nreflections)
    assert (table.get_hkls() == mtz.make_miller_array()).all()
    assert table["IMEAN"].to_numpy() == pytest.approx(
        mtz.column_with_label("IMEAN").array, nan_ok=True
    )


def test_dials_opens_the_truth(folder: Path, truth: nb.ReflectionTruth) -> None:
    shown = dials("dials.show", folder, "truth.expt", "truth.refl")
    assert f"Number of reflections: {len(truth.merged())}" in shown.replace("  ", " ") or (
        str(len(truth.merged())) in shown
    )
    assert "Unit cell: 79" in shown
    dials("dials.report", folder, "truth.expt", "truth.refl", "output.html=report.html")
    assert (folder / "report.html").stat().st_size > 10_000
    predicted = dials("dials.predict", folder, "truth.expt", "output=predicted.refl")
    assert "redicted" in predicted
    theirs = columns(folder / "predicted.refl")
    merged = truth.merged()
    rows = {tuple(hkl): n for n, hkl in enumerate(theirs["miller_index"].tolist())}
    whole = np.flatnonzero((merged.partiality > 0.97) & (merged.photons > 500.0))
    pairs = [
        (n, rows[tuple(merged.hkl[n].tolist())])
        for n in whole
        if tuple(merged.hkl[n].tolist()) in rows
    ]
    assert len(pairs) > 0.9 * len(whole)
    off = np.array(
        [
            theirs["xyzcal.px"][there, :2] - (merged.fast_px[n], merged.slow_px[n])
            for n, there in pairs
        ]
    )
    # that of the crystal's matrix: the mean of four random domains of 0.15 degrees is another one
    assert np.median(np.hypot(*off.T)) < 0.3
