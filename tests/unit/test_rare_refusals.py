"""Parts that do not fit each other: the field, what was given, the rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from for_each import for_each

import nanobragg_hybrid as nb

PLAIN = nb.Experiment()
SPREAD = nb.Response(point_spread=nb.PointSpread(gaussian_fwhm_um=100.0))
OBLONG = nb.Detector(pixel_size_mm=(0.1, 0.2), n_fast=10, n_slow=10)
AXIS = ("beam.exposure_s", [1.0, 2.0])


@for_each(
    "made, message",
    [
        (
            lambda: nb.Series.grid(PLAIN, [AXIS[:1]]),
            "series.kind.axes: got ('beam.exposure_s',), need paths of the experiment, each with",
        ),
        (
            lambda: nb.Series.grid(PLAIN, [AXIS, AXIS]),
            "series.kind.axes: got 'beam.exposure_s', need paths of the experiment, each once",
        ),
        (
            lambda: nb.Series.grid(PLAIN, [("beam.exposure_s", [])]),
            "series.kind.axes['beam.exposure_s']: got [], need at least one value",
        ),
        (
            lambda: nb.Scatterer.from_resolution([3.0, 2.0, 1.0], [1.0, 2.0], 1.0),
            "resolution_angstrom: got 3, need as many values as intensities, 2",
        ),
        (
            lambda: nb.Experiment(detector=OBLONG, response=SPREAD),
            "response.point_spread: got PointSpread(",
        ),
    ],
    ids=lambda row: row[1],
)
def test_refused(made: Callable[[], object], message: str) -> None:
    with pytest.raises(nb.ConfigError) as caught:
        made()
    assert str(caught.value).startswith(message), str(caught.value)


def test_point_spread_needs_square_pixels() -> None:
    with pytest.raises(nb.ConfigError, match=r"pixels that are not square, 0\.1 x 0\.2 mm"):
        nb.Experiment(detector=OBLONG, response=SPREAD)
    square = nb.Detector(pixel_size_mm=0.1, n_fast=10, n_slow=10)
    assert nb.Experiment(detector=square, response=SPREAD).response == SPREAD


def test_a_grid_of_pairs_is_that_of_a_mapping() -> None:
    pairs = nb.Series.grid(PLAIN, [AXIS, ("crystal.mosaic_domains", [1, 3])])
    mapping = nb.Series.grid(PLAIN, {AXIS[0]: AXIS[1], "crystal.mosaic_domains": [1, 3]})
    for number, wanted in enumerate([(1.0, 1), (1.0, 3), (2.0, 1), (2.0, 3)]):
        experiment = pairs.frame(number).experiment
        assert (experiment.beam.exposure_s, experiment.crystal.mosaic_domains) == wanted
        assert mapping.frame(number).experiment == experiment
