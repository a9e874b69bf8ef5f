"""Structure factors of their own for each wavelength of a spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb

HELIX = nb.data_path("helix.pdb")
EDGE = (0.9800, 0.9780)
"""Angstrom, below and above the K edge of selenium in energy."""
EXPERIMENT = nb.Experiment(
    beam=nb.Beam(
        wavelength_angstrom=0.979,
        spectrum=nb.Spectrum(wavelengths_angstrom=EDGE, weights=(3.0, 1.0)),
    ),
    crystal=nb.Crystal(
        cell_angstrom=(42, 42, 38), n_cells=(4, 4, 4), misset_deg=(10, 20, 30), shape="gauss"
    ),
    detector=nb.Detector(distance_mm=60, pixel_size_mm=2, n_fast=24, n_slow=20),
    sampling=nb.Sampling(oversample=2, interpolate=False),
)
pytestmark = pytest.mark.filterwarnings("ignore:oversample 2 is too low")


def tables() -> list[nb.StructureFactors]:
    pytest.importorskip("gemmi", reason="needs gemmi")
    return [
        nb.structure_factors_from_model(HELIX, d_min_angstrom=4.0, wavelength_angstrom=length)
        for length in EDGE
    ]


def invented(seed: int) -> nb.StructureFactors:
    grid = np.random.default_rng(seed).uniform(10, 100, (29, 29, 27))
    return nb.StructureFactors.from_grid(grid, hkl_min=(-14, -14, -13))


@for_each("backend", ["c", "torch"])
def test_the_weighted_mean_of_single_wavelengths(backend: str) -> None:
    """Around an edge, with the sum made by hand of images of one wavelength."""
    own = tables()
    found = nb.simulate_by_wavelength(EXPERIMENT, own, backend=backend)
    images = []
    for length, table in zip(EDGE, own, strict=True):
        node = nb.Spectrum(wavelengths_angstrom=(length,))
        with pytest.warns(nb.SetupWarning, match="spectrum"):
            alone = nb.simulate(
                EXPERIMENT.replace({"beam.spectrum": node}), table, backend=backend, unrounded=True
            )
        assert alone.unrounded is not None
        images.append(alone.unrounded)
    wanted = 0.0 + 0.75 * images[0] + 0.25 * images[1]
    np.testing.assert_array_equal(found.unrounded, wanted)
    np.testing.assert_array_equal(found.image, wanted.astype(np.float32))
    assert found.wavelengths_angstrom == pytest.approx(EDGE)
    assert found.weights == (0.75, 0.25)
    one_table = nb.simulate(EXPERIMENT, own[0], backend=backend).image
    assert np.abs(found.image - one_table).max() > 1e-3 * one_table.max()


def test_both_engines_and_equal_tables() -> None:
    table = invented(1)
    c, torch = (
        nb.simulate_by_wavelength(EXPERIMENT, [table, table], backend=backend)
        for backend in ("c", "torch")
    )
    np.testing.assert_allclose(c.unrounded, torch.unrounded, rtol=1e-9)
    np.testing.assert_allclose(c.image, nb.simulate(EXPERIMENT, table).image, rtol=3e-7)


def test_a_node_of_weight_0_and_energies() -> None:
    spectrum = nb.Spectrum(energies_ev=(12650.0, 12700.0), weights=(1.0, 0.0))
    experiment = EXPERIMENT.replace({"beam.spectrum": spectrum})
    found = nb.simulate_by_wavelength(experiment, [invented(1), invented(2)])
    np.testing.assert_allclose(found.image, nb.simulate(experiment, invented(1)).image, rtol=3e-7)


@for_each("backend", ["c", "torch"])
def test_each_panel_has_what_it_has_alone(backend: str) -> None:
    panels = [
        nb.Panel("a", (60, 12, -20), (0, 0, 1), (0, -1, 0), 9, 7, 2.0),
        nb.Panel("b", (61, 12, 0), (0, 0.1, 1), (0, -1, 0.1), 8, 10, 2.0),
    ]
    experiment = EXPERIMENT.replace({"detector": nb.Detector(panels=panels)})
    own = [invented(1), invented(2)]
    found = nb.simulate_by_wavelength(experiment, own, backend=backend)
    assert [image.shape for image in found.images] == [(7, 9), (10, 8)]
    for number in range(2):
        alone = nb.simulate_by_wavelength(experiment.of_panel(number), own, backend=backend)
        assert alone.image.max() > 0.0
        assert found.images[number].tobytes() == alone.image.tobytes()
        assert found.unrounded_images[number].tobytes() == alone.unrounded.tobytes()
    for name, every in (("image", "images"), ("unrounded", "unrounded_images")):
        with pytest.raises(nb.ConfigError, match=f"{name}: got 2 panels, need one panel: {every}"):
            getattr(found, name)


REFUSED: dict[str, tuple[dict[str, Any], Any, type[Exception], str]] = {
    "no spectrum": (
        {"beam.spectrum": None},
        [invented(1)],
        nb.ConfigError,
        r"beam\.spectrum: got None",
    ),
    "one table": ({}, [invented(1)], nb.ConfigError, "structure_factors: got 1 tables, need 2"),
    "no list": ({}, invented(1), nb.ConfigError, "one table for each wavelength"),
    "no tables": ({}, [1, 2], nb.ConfigError, r"structure_factors\[0\]"),
    "background": (
        {"background": nb.Background(flat_photons_per_pixel=1.0)},
        [invented(1), invented(2)],
        nb.UnsupportedError,
        "background: simulate_by_wavelength renders",
    ),
}


@for_each("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    changes, own, error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        nb.simulate_by_wavelength(EXPERIMENT.replace(changes), own)


def test_a_spectrum_with_one_table_is_noted() -> None:
    """And not where the table is for the beam's only wavelength, or knows none."""
    own = tables()[0]
    noted = nb.simulate(EXPERIMENT, own).provenance["structure_factors"]
    assert noted.startswith("the structure factors have f' and f'' for 0.98 angstrom")
    assert "(0.978 to 0.98 angstrom)" in noted
    single = EXPERIMENT.replace({"beam.spectrum": None, "beam.wavelength_angstrom": 0.98})
    assert "structure_factors" not in nb.simulate(single, own).provenance
    assert "structure_factors" not in nb.simulate(EXPERIMENT, invented(1)).provenance
    other = single.replace({"beam.wavelength_angstrom": 1.0})
    assert "(1 angstrom)" in nb.simulate(other, own).provenance["structure_factors"]
