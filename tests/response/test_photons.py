"""Numbers of photons: Poisson's distribution, whatever the pixels around."""

from __future__ import annotations

import math

import numpy as np
from for_each import for_each
from numpy.typing import NDArray

from nanobragg_hybrid.run.photons import LARGE_MEAN, poisson_photons

SHAPE = (1000, 1000)
COUNT = SHAPE[0] * SHAPE[1]
MEANS = (0.02, 0.5, 0.77, 3.3, 11.99, 63.9, 64.0, 77.7, 1000.5, 1e7)


def probabilities(mean: float) -> NDArray[np.float64]:
    most = int(mean + 8.0 * math.sqrt(mean) + 10.0)
    return np.array(
        [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1.0)) for k in range(most)]
    )


@for_each("mean", MEANS)
def test_mean_and_variance(mean: float) -> None:
    drawn = poisson_photons(np.full(SHAPE, mean), 11, 0, 0)
    assert abs(drawn.mean() - mean) < 3.0 * math.sqrt(mean / COUNT)
    of_variance = math.sqrt((mean + 2.0 * mean * mean) / COUNT)
    assert abs(drawn.var() - mean) < 3.0 * of_variance
    assert np.array_equal(drawn, np.rint(drawn))
    assert drawn.min() >= 0.0


@for_each("mean", [mean for mean in MEANS if mean < 100.0])
def test_distribution(mean: float) -> None:
    """Chi squared over the numbers that are expected ten times or more: within 4 sigma."""
    drawn = poisson_photons(np.full(SHAPE, mean), 3, 1, 2)
    wanted = probabilities(mean) * COUNT
    seen = np.bincount(drawn.astype(int).ravel(), minlength=len(wanted))[: len(wanted)]
    often = wanted > 10.0
    chi2 = ((seen - wanted)[often] ** 2 / wanted[often]).sum()
    degrees = int(often.sum()) - 1
    assert abs(chi2 - degrees) < 4.0 * math.sqrt(2.0 * degrees) + 4.0


def test_large_means_are_as_near_as_stated() -> None:
    """The total variation distance of the expansion at the mean where it begins."""
    mean = LARGE_MEAN
    z = np.linspace(-8.5, 8.5, 400_001)
    x = mean + z * math.sqrt(mean - 1.0 / 12.0) + (z * z - 1.0) / 6.0
    x += z * (1.0 - z * z) / (72.0 * math.sqrt(mean))
    wanted = probabilities(mean)
    quantiles = np.interp(np.arange(len(wanted)) + 0.5, x, z)
    below = np.array([0.5 * math.erfc(-q / math.sqrt(2.0)) for q in quantiles])
    found = np.diff(np.concatenate([[0.0], below]))
    assert 0.5 * abs(found - wanted).sum() < 3.2e-5


def test_a_pixel_depends_on_nothing_but_itself() -> None:
    means = np.random.default_rng(5).gamma(1.0, 60.0, (300, 200))
    drawn = poisson_photons(means, 7, 2, 1)
    for other in (0.0, 1.0, 1e6):
        changed = means.copy()
        changed[100:120, 30:90] = other
        again = poisson_photons(changed, 7, 2, 1)
        same = changed == means
        assert np.array_equal(again[same], drawn[same])


def test_streams_are_apart() -> None:
    """Neighbours in seed, frame and panel: correlations within 4 sigma of 0."""
    means = np.full((500, 500), 40.0)
    first = poisson_photons(means, 8, 3, 1)
    for key in ((9, 3, 1), (8, 4, 1), (8, 3, 2), (3, 8, 1)):
        other = poisson_photons(means, *key)
        correlation = np.corrcoef(first.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 4.0 / 500.0


def test_no_light() -> None:
    assert not poisson_photons(np.zeros((3, 4)), 0, 0, 0).any()
    assert poisson_photons(np.zeros((0, 4)), 0, 0, 0).shape == (0, 4)


def test_blocks_of_large_means_leave_the_small_ones_alone() -> None:
    """They have no use for raw numbers, and blocks of small means none for normal deviates."""
    mean = np.full(1 << 18, 100.0)
    mean[150_000:] = 3.0
    photons = poisson_photons(mean, 5, 6, 7)
    small = poisson_photons(np.full(mean.size, 3.0), 5, 6, 7)
    large = poisson_photons(np.full(mean.size, 100.0), 5, 6, 7)
    assert np.array_equal(photons[150_000:], small[150_000:])
    assert np.array_equal(photons[:150_000], large[:150_000])
    turned = poisson_photons(mean[::-1], 5, 6, 7)
    assert np.array_equal(turned[:112_144], small[:112_144])
    assert np.array_equal(turned[112_144:], large[112_144:])
