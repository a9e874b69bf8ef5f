"""C-PARITY-004 polar_first_source and C-PARITY-009 source_weights_ignored."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pictures import STILL, assert_differs, assert_same, off, picture

import nanobragg_hybrid as nb

SOURCES = (
    nb.Source((-10.0, 0.5, 0.1), 0.5, 1.0e-10),
    nb.Source((-10.0, -1.5, 0.7), 3.0, 1.05e-10),
    nb.Source((-10.0, 0.2, -0.9), 1.25, 0.97e-10),
)
WEIGHTS = np.array([source.weight for source in SOURCES])
MANY = STILL.replace(
    {"beam.sources": SOURCES, "beam.polarization_kahn": 0.9, "sampling.oversample": 2}
)
CORRECT = off("polar_first_source", "source_weights_ignored")


def one_by_one(experiment: nb.Experiment, quirks: nb.Quirks | None = None) -> list[np.ndarray]:
    """A picture for each source alone."""
    return [picture(experiment.replace({"beam.sources": (s,)}), quirks) for s in SOURCES]


def test_every_source_has_its_own_polarization() -> None:
    need = np.mean(one_by_one(MANY), axis=0)
    assert_same(picture(MANY, off("polar_first_source")), need)
    assert_differs(picture(MANY), need, 0.01)


def test_on_all_share_the_factor_of_the_first() -> None:
    bare = {"beam.polarization_correction": False}
    alone = picture(MANY.replace({"beam.sources": SOURCES[:1]}))
    factor = alone / picture(MANY.replace({"beam.sources": SOURCES[:1], **bare}))
    assert_same(picture(MANY), factor * picture(MANY.replace(bare)))


def test_weights_mix_the_sources() -> None:
    need = np.average(one_by_one(MANY), axis=0, weights=WEIGHTS)
    assert_same(picture(MANY, CORRECT), need)
    assert_differs(picture(MANY, off("polar_first_source")), need, 0.1)


def test_weights_without_polarization() -> None:
    bare = MANY.replace({"beam.polarization_correction": False})
    need = np.average(one_by_one(bare), axis=0, weights=WEIGHTS)
    assert_same(picture(bare, off("source_weights_ignored")), need)


def test_only_the_ratios_of_weights_count() -> None:
    scaled = tuple(dataclasses.replace(s, weight=7.5 * s.weight) for s in SOURCES)
    assert_same(picture(MANY.replace({"beam.sources": scaled}), CORRECT), picture(MANY, CORRECT))


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_equal_weights_change_nothing(weight: float) -> None:
    equal = tuple(dataclasses.replace(s, weight=weight) for s in SOURCES)
    experiment = MANY.replace({"beam.sources": equal})
    assert (
        picture(experiment, off("source_weights_ignored")).tobytes()
        == picture(experiment).tobytes()
    )


def test_a_source_of_weight_zero_is_not_there() -> None:
    dark = (*SOURCES[:2], dataclasses.replace(SOURCES[2], weight=0.0))
    need = picture(MANY.replace({"beam.sources": SOURCES[:2]}), CORRECT)
    assert_same(picture(MANY.replace({"beam.sources": dark}), CORRECT), need)


def test_weights_must_have_a_sum() -> None:
    dark = tuple(dataclasses.replace(s, weight=0.0) for s in SOURCES)
    experiment = MANY.replace({"beam.sources": dark})
    with pytest.raises(nb.ConfigError, match=r"beam\.sources: .* need a finite sum > 0"):
        picture(experiment, CORRECT)
    assert picture(experiment).tobytes() == picture(MANY).tobytes()


def test_sources_that_dmin_cuts_differently() -> None:
    """Off, a source's factor is that of the pixel's first sub-pixel even where dmin cuts that
    one, so that pictures of single sources add up at the edge too."""
    cut = MANY.replace({"sampling.dmin_angstrom": 5.0, "detector.pixel_size_mm": 3.0})
    need = np.average(one_by_one(cut, CORRECT), axis=0, weights=WEIGHTS)
    assert 0 < np.count_nonzero(need) < need.size
    assert_same(picture(cut, CORRECT), need)


def test_divergence_and_dispersion() -> None:
    """The same for sources that the program makes."""
    spread = STILL.replace(
        {
            "beam.divergence_h_mrad": 60.0,
            "beam.divergence_h_steps": 3,
            "beam.dispersion_percent": 2.0,
            "beam.dispersion_steps": 2,
            "beam.polarization_kahn": 0.5,
        }
    )
    from nanobragg_hybrid.engines.c.plan import Plan

    rows = Plan(spread, nb.StructureFactors.constant(1.0), nb.Quirks()).sources()
    assert len(rows) == 6
    pictures = [
        picture(STILL.replace({"beam.polarization_kahn": 0.5, "beam.sources": (source,)}))
        for source in (nb.Source(tuple(row[:3]), 1.0, row[4]) for row in rows)
    ]
    assert_same(picture(spread, off("polar_first_source")), np.mean(pictures, axis=0))
    assert_differs(picture(spread), np.mean(pictures, axis=0), 1e-3)
