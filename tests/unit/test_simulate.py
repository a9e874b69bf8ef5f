"""The one-call door: what it checks, fills in and reports."""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import Any

import numpy as np
import pytest

from nanobragg_hybrid import (
    BackendError,
    CEngine,
    ConfigError,
    Crystal,
    Detector,
    Experiment,
    Mask,
    Output,
    Quirks,
    RenderCancelled,
    ResourceError,
    StructureFactors,
    available_backends,
    simulate,
)
from nanobragg_hybrid.engines import registry
from nanobragg_hybrid.engines.registry import make_engine
from nanobragg_hybrid.run.prepare import memory_needed

EXPERIMENT = Experiment(
    crystal=Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5), misset_seed=3),
    detector=Detector(n_fast=24, n_slow=20, pixel_size_mm=1.0),
    output=Output(noise_seed=7),
)
FACTORS = StructureFactors.constant(100)


def test_image_is_float32_of_the_detectors_shape() -> None:
    result = simulate(EXPERIMENT, FACTORS)
    assert result.image.shape == (20, 24)
    assert result.image.dtype == np.float32
    assert result.image.max() == result.statistics.max > 0
    assert result.unrounded is None


def test_unrounded_values_round_to_the_image() -> None:
    result = simulate(EXPERIMENT, FACTORS, unrounded=True)
    assert result.unrounded is not None
    assert result.unrounded.dtype == np.float64
    assert np.array_equal(result.unrounded.astype(np.float32), result.image)


def test_number_of_threads_does_not_matter() -> None:
    images = [simulate(EXPERIMENT, FACTORS, threads=n).image for n in (1, 2, 7, None)]
    assert all(np.array_equal(images[0], image) for image in images[1:])


@pytest.mark.parametrize("threads", [0, -1, 1025, 1.0, True, "2"])
def test_other_thread_numbers_are_refused(threads: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"threads: got .*, need an integer from 1 to 1024, or None"
    ):
        simulate(EXPERIMENT, FACTORS, threads=threads)


@pytest.mark.parametrize("name", ["experiment", "structure_factors", "quirks"])
def test_other_objects_are_refused(name: str) -> None:
    arguments: dict[str, Any] = {
        "experiment": EXPERIMENT,
        "structure_factors": FACTORS,
        "quirks": Quirks(),
    }
    with pytest.raises(ConfigError, match=f"{name}: got 'x', need an object of class"):
        simulate(**{**arguments, name: "x"})


def test_unknown_backend_is_refused_with_the_known_ones() -> None:
    assert available_backends() == ("c", "torch", "reference")
    with pytest.raises(
        BackendError, match="no backend 'cuda' in this version; available: c, torch, reference"
    ):
        simulate(EXPERIMENT, FACTORS, backend="cuda")


def test_backend_that_is_not_installed_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        BackendError,
        match=r"pip install 'nanobragg-hybrid\[torch\]' \(in a clone: '\.\[torch\]'\)$",
    ):
        make_engine("torch")


def test_option_of_another_backend_is_refused() -> None:
    with pytest.raises(ConfigError, match="device: got 'cpu', need no value: the backend 'c'"):
        make_engine("c", {"kernel": "exact", "device": "cpu"})
    assert make_engine("c", {"kernel": "exact", "device": None}) == CEngine(kernel="exact")
    image = simulate(EXPERIMENT, FACTORS).image
    exact = simulate(EXPERIMENT, FACTORS, backend=CEngine(kernel="exact"))
    assert exact.provenance["kernel"] == "exact"
    assert np.array_equal(exact.image, image)


@pytest.mark.parametrize("backend", [3, None, CEngine, "C"])
def test_what_is_no_backend_is_refused(backend: Any) -> None:
    with pytest.raises((ConfigError, BackendError), match="backend"):
        simulate(EXPERIMENT, FACTORS, backend=backend)


def test_backend_that_cannot_be_imported_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_OWN", {"c": ("no_such_module_here", "CEngine", "")})
    with pytest.raises(BackendError, match="was the package built"):
        make_engine("c")


def test_memory_is_checked_before_anything_is_allocated() -> None:
    large = EXPERIMENT.replace({"detector.n_fast": 2**25, "detector.n_slow": 2**25})
    with pytest.raises(ResourceError) as caught:
        simulate(large, FACTORS, unrounded=True)
    message = str(caught.value)
    assert f"image of {2**25} x {2**25} pixels {2**52} bytes" in message
    assert f"unrounded image {2**53} bytes" in message


def test_memory_needed_counts_every_part() -> None:
    mask = Mask(np.ones((20, 24), bool))
    factors = StructureFactors.from_grid(np.ones((2, 3, 4)), (0, 0, 0))
    assert memory_needed(CEngine(), EXPERIMENT, FACTORS) == {"image of 24 x 20 pixels": 4 * 480}
    assert memory_needed(
        CEngine(), EXPERIMENT.replace({"detector.mask": mask}), factors, unrounded=True
    ) == {
        "image of 24 x 20 pixels": 4 * 480,
        "unrounded image": 8 * 480,
        "mask": 480,
        "structure factor table": 8 * 24,
    }


def test_memory_needed_uses_the_size_without_pixel_numbers() -> None:
    parts = memory_needed(CEngine(), Experiment(), FACTORS)
    assert parts == {"image of 1024 x 1024 pixels": 4 * 1024**2}


def test_seeds_from_the_clock_are_reported() -> None:
    before = int(time.time())
    result = simulate(
        EXPERIMENT.replace({"crystal.misset_seed": None, "output.noise_seed": None}), FACTORS
    )
    seed = result.experiment.output.noise_seed
    assert seed is not None
    assert before <= seed <= time.time()
    assert result.experiment.crystal.misset_seed == seed
    assert result.provenance["noise_seed"] == result.provenance["misset_seed"] == seed


def test_result_remembers_what_was_asked_for() -> None:
    quirks = Quirks(curved_needs_argument=False)
    result = simulate(EXPERIMENT, FACTORS, quirks=quirks, threads=1)
    assert result.experiment == EXPERIMENT
    assert result.quirks == quirks
    assert result.provenance["backend"] == "c"
    assert result.provenance["quirks"] == "nanobragg,-curved_needs_argument"
    assert result.provenance["threads"] == 1
    assert (result.provenance["mosaic_seed"], result.provenance["noise_seed"]) == (12345678, 7)


@pytest.mark.parametrize("preset", ["nanobragg", "nanobragg-fixed", "none"])
def test_every_preset_renders(preset: str) -> None:
    assert simulate(EXPERIMENT, FACTORS, quirks=Quirks.parse(preset)).image.max() > 0


def test_seed_of_the_missetting() -> None:
    """From the clock; with misset_seed_default off, from the seed that was given."""
    random = EXPERIMENT.replace(
        {"crystal.misset_random": True, "crystal.misset_seed": None, "output.noise_seed": 4711}
    )
    corrected = simulate(random, FACTORS, quirks=Quirks(misset_seed_default=False))
    assert corrected.experiment.crystal.misset_seed == 4711
    asked = simulate(random.replace({"crystal.misset_seed": 4711}), FACTORS)
    assert np.array_equal(corrected.image, asked.image)
    clock = simulate(random, FACTORS)
    assert clock.experiment.crystal.misset_seed not in (None, 4711)
    assert "misset_seed_default" in clock.quirks_that_mattered
    assert "misset_seed_default" not in asked.quirks_that_mattered
    no_seed = random.replace({"output.noise_seed": None})
    both = simulate(no_seed, FACTORS, quirks=Quirks(misset_seed_default=False)).experiment
    assert both.crystal.misset_seed == both.output.noise_seed is not None


def test_crystal_without_cell_and_matrix_cannot_be_rendered() -> None:
    bare = EXPERIMENT.replace({"crystal.cell_angstrom": None})
    with pytest.raises(ConfigError, match="crystal"):
        simulate(bare, FACTORS)
    matrix = (0.01, 0, 0, 0, 0.01, 0, 0, 0, 0.01)
    assert simulate(bare.replace({"crystal.orientation_matrix": matrix}), FACTORS).image.max() > 0


def test_progress_is_called_with_rows() -> None:
    calls: list[tuple[int, int]] = []
    simulate(EXPERIMENT, FACTORS, progress=lambda done, rows: calls.append((done, rows)))
    assert all(0 <= done <= rows == 20 for done, rows in calls)


def test_progress_can_stop_the_rendering() -> None:
    large = EXPERIMENT.replace({"detector.n_fast": 3000, "detector.n_slow": 3000})
    with pytest.raises(RenderCancelled):
        simulate(large, FACTORS, progress=lambda *_: False)


def test_quirks_that_mattered_are_those_of_this_image() -> None:
    assert simulate(EXPERIMENT, FACTORS).quirks_that_mattered == ("first_subpixel_factors",)
    one = EXPERIMENT.replace({"sampling.oversample": 1})
    assert simulate(one, FACTORS).quirks_that_mattered == ()
    triclinic = dataclasses.replace(EXPERIMENT.crystal, cell_deg=(75, 85, 95))
    result = simulate(one.replace({"crystal": triclinic}), FACTORS)
    assert result.quirks_that_mattered == ("triclinic_cell",)
