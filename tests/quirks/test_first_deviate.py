"""C-PARITY-034 first_deviate."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import STILL, info, off, picture

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.images import NoiseStream, random_state
from nanobragg_hybrid.engines.c.plan import Plan

COUNT = 2000
SEEDS = np.random.default_rng(11).integers(1, 2**31, COUNT)
"""Scattered ones: the first deviates of seeds in a row are a lattice (the generator is linear)."""
NAME = "first_deviate"
POSITIONS = {"on": 2 / 32, "off": 1 / 32}
"""How often the first deviate is below 1/32; 2000 seeds leave an uncertainty of 0.005."""


def quirks_of(position: str, *names: str) -> nb.Quirks:
    return off(*names) if position == "on" else off(NAME, *names)


@pytest.mark.parametrize("position", POSITIONS)
def test_missettings(position: str) -> None:
    """Without misset_random_radians the first deviate is the height of the z axis, 0 to 1."""
    quirks = quirks_of(position, "misset_random_radians")
    heights = []
    for seed in SEEDS:
        changes = {"crystal.misset_random": True, "crystal.misset_seed": int(seed)}
        x, y, _ = info(STILL.replace(changes), quirks)["misset_rad"]  # type: ignore[misc]
        heights.append((1.0 + np.cos(x) * np.cos(y)) / 2.0)
    share = np.mean(np.array(heights) < 1 / 32)
    assert share == pytest.approx(POSITIONS[position], abs=0.005)


@pytest.mark.parametrize("position", POSITIONS)
def test_noise(position: str) -> None:
    """A pixel whose mean is ln 32 counts no photon where its first deviate is at most 1/32."""
    state = random_state(STILL, quirks_of(position))
    pixel = np.full((1, 1), np.log(32.0), np.float32)
    counts = [NoiseStream(state, int(s)).draw(pixel, (0, 0, 0, 0), 0.0)[1] for s in SEEDS]
    share = np.mean(np.array(counts) == 0.0)
    assert share == pytest.approx(POSITIONS[position], abs=0.005)


def test_mosaic_domains() -> None:
    """Off: each deviate is the next one; the domains' rotations are made of other triples."""
    quirks = {position: quirks_of(position) for position in POSITIONS}
    changes = {"crystal.mosaic_spread_deg": 1.0, "crystal.mosaic_domains": 20}
    matrices = {
        position: Plan(STILL.replace(changes), nb.StructureFactors.constant(1.0), own)
        .mosaic_matrices()
        .reshape(-1, 3, 3)
        for position, own in quirks.items()
    }
    for found in matrices.values():
        assert np.array_equal(found[0], np.eye(3))
        assert np.allclose(found @ found.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    # the height of an axis is a triple's second deviate in one position, the first in the other
    differs = np.abs(matrices["on"] - matrices["off"]).max(axis=(1, 2))
    assert np.all(differs[1:] > 1e-6)


def test_noise_images_differ_and_pictures_do_not() -> None:
    """An image that draws nothing stays as it is, and so is the quirk not named for it.

    Where the first pixel takes a deviate more than it did, the others may find themselves in step.
    """
    seeded = STILL.replace({"output.noise_seed": 3})
    table = nb.StructureFactors.constant(100.0)
    on, corrected = (
        nb.simulate(seeded, table, quirks=quirks_of(position), threads=1) for position in POSITIONS
    )
    differ = nb.noise_image(on).pixels != nb.noise_image(corrected).pixels
    assert np.count_nonzero(differ) > differ.size // 2
    assert picture(seeded).tobytes() == picture(seeded, off(NAME)).tobytes()
    assert NAME not in on.quirks_that_mattered
