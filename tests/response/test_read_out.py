"""From expected counts to frames: statistics against their formulas, and what does not matter."""

from __future__ import annotations

import dataclasses
import multiprocessing
import pickle
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.model.pixel_maps import relative_gains
from nanobragg_hybrid.run import read_out
from nanobragg_hybrid.run.read_out import Chain

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")

NONE = nb.StructureFactors.constant(0.0)
SHAPE = (1000, 1000)
COUNT = 1_000_000


def chain(shape: tuple[int, int] = SHAPE, **response: Any) -> Chain:
    return Chain(nb.Response(**response), shape, 100.0, None)


def frames(own: Chain, mean: float, count: int = 1) -> NDArray[np.float64]:
    """Counts above the pedestal of a flat light of this many photons."""
    expected = own.expected(np.full(own.shape, mean), None)
    drawn = [own.counts(expected, frame).astype(float) for frame in range(count)]
    return np.array(drawn) - own.response.pedestal


PIXEL_NOISE: dict[str, dict[str, Any]] = {
    "shot": {},
    "gain": {"gain": 3.0},
    "fractional gain": {"gain": 1.7, "count_type": "float32"},
    "read-out": {"gain": 2.0, "read_noise": 4.0, "pedestal": 50.0, "count_type": "uint16"},
    "frame gains": {"gain": 2.0, "frame_gain_error": 0.1, "pedestal": -7.0},
    "no shot noise": {"shot_noise": False, "read_noise": 3.0, "pedestal": 30.0},
    "all": {
        "gain": 1.8,
        "frame_gain_error": 0.05,
        "read_noise": 3.0,
        "pedestal": 40.0,
        "count_type": "uint16",
    },
}


@for_each("name", PIXEL_NOISE)
@for_each("mean", [2.3, 50.0])
def test_mean_and_variance_over_pixels(name: str, mean: float) -> None:
    """Within 3 sigma; the variance of a variance from the fourth moment of what was drawn."""
    own = chain(seed=5, **PIXEL_NOISE[name])
    expected = own.expected(np.full(SHAPE, mean), None)
    variance = own.variance(expected)[0, 0]
    (drawn,) = frames(own, mean)
    assert expected[0, 0] == mean * own.response.gain
    assert abs(drawn.mean() - expected[0, 0]) < 3.0 * np.sqrt(variance / COUNT)
    away = (drawn - drawn.mean()) ** 2
    assert abs(away.mean() - variance) < 3.0 * np.sqrt(away.var() / COUNT)


def test_map_of_gains() -> None:
    own = chain(gain_error=0.05, seed=3)
    gains = relative_gains(own.response, SHAPE)
    assert gains is not None
    assert abs(gains.mean() - 1.0) < 3.0 * 0.05 / 1000.0
    assert abs(gains.std() - 0.05) < 3.0 * 0.05 / np.sqrt(2.0 * COUNT)
    assert gains.min() > 0.0
    # Fixed: two frames share it.  Covariance of counts in photons^2 against its formula.
    mean = 400.0
    first, second = frames(own, mean, 2)
    covariance = ((first - first.mean()) * (second - second.mean())).mean()
    variance = own.variance(own.expected(np.full(SHAPE, mean), None)).mean() + (0.05 * mean) ** 2
    wanted = (0.05 * mean) ** 2
    assert abs(covariance - wanted) < 3.0 * np.sqrt((variance**2 + wanted**2) / COUNT)
    # Neighbouring pixels, seeds and panels do not.
    assert abs(np.corrcoef(gains[:, 1:].ravel(), gains[:, :-1].ravel())[0, 1]) < 4.0 / 1000.0
    for seed, panel in ((4, 0), (3, 1)):
        response = nb.Response(gain_error=0.05, seed=seed).of_panel(panel)
        other = relative_gains(response, SHAPE)
        assert other is not None
        assert abs(np.corrcoef(gains.ravel(), other.ravel())[0, 1]) < 4.0 / 1000.0


def test_flicker() -> None:
    """One factor for a frame and all its panels; the variance of a pixel over 2000 frames."""
    own = chain((4, 5), flicker=0.2, seed=1)
    other = chain((4, 5), panel=1, flicker=0.2, seed=1)
    mean, count = 1000.0, 2000
    drawn = frames(own, mean, count)
    of_frames = drawn.mean((1, 2))
    both = np.corrcoef(of_frames, frames(other, mean, count).mean((1, 2)))[0, 1]
    assert both > 0.99
    variance = own.variance(own.expected(np.full((4, 5), mean), None))[0, 0]
    assert variance == pytest.approx(mean + (0.2 * mean) ** 2, rel=1e-12)
    assert abs(of_frames.mean() - mean) < 3.0 * 0.2 * mean / np.sqrt(count)
    pixel = drawn[:, 2, 3]
    away = (pixel - pixel.mean()) ** 2
    assert abs(away.mean() - variance) < 3.0 * np.sqrt(away.var() / count)


def test_neighbouring_frames_and_seeds_are_not_alike() -> None:
    noise: dict[str, Any] = {"read_noise": 5.0, "frame_gain_error": 0.1, "pedestal": 100.0}
    first, second = frames(chain(seed=7, **noise), 30.0, 2)
    (other,) = frames(chain(seed=8, **noise), 30.0)
    for one, two in ((first, second), (first, other)):
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 4.0 / 1000.0


SCENE = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=1e24),
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(4, 4, 4)),
    detector=nb.Detector(n_fast=60, n_slow=50, pixel_size_mm=1.0),
    background=nb.Background(flat_photons_per_pixel=25.0),
    response=nb.Response(
        gain=2.0,
        gain_error=0.02,
        flicker=0.1,
        frame_gain_error=0.01,
        read_noise=2.0,
        pedestal=20.0,
        dead_fraction=0.02,
        hot_fraction=0.01,
        saturation=5000.0,
        seed=12,
    ),
)
FACTORS = nb.StructureFactors.constant(300.0)


def _counts(frame: int) -> NDArray[Any]:
    counts = nb.simulate(SCENE, FACTORS, threads=1, frame=frame).counts
    assert counts is not None
    return counts


def test_frames_do_not_depend_on_workers_order_or_threads() -> None:
    result = nb.simulate(SCENE, FACTORS, frame=3)
    numbers = [5, 0, 3, 2, 6, 1, 4]
    series = {frame: nb.frame_counts(result, frame) for frame in numbers}
    assert np.array_equal(result.counts, series[3])
    assert result.frame == 3
    assert len({counts.tobytes() for counts in series.values()}) == len(numbers)
    context = multiprocessing.get_context("spawn")
    for workers in (2, 7):
        with context.Pool(workers) as pool:
            for frame, counts in zip(numbers, pool.map(_counts, numbers, 1), strict=True):
                assert np.array_equal(counts, series[frame])


SPREADS = {
    "none": None,
    "sums": nb.PointSpread(1500.0),
    "sums, reflected": nb.PointSpread(2500.0, edges="reflected"),
    "tiles": nb.PointSpread(fibre_radius_um=300.0, reach_um=6000.0),
    "both": nb.PointSpread(2000.0, 300.0, 5000.0, "reflected"),
    "wide": nb.PointSpread(9000.0, 300.0, 20000.0),
}


@for_each("name", SPREADS)
@for_each("backend", ["c", "torch"])
def test_a_region_is_part_of_the_whole_frame(
    name: str, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit, with the light that spreads into it from outside."""
    if backend == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    # Tiles of some pixels, so that there are many of them.
    monkeypatch.setattr("nanobragg_hybrid.run.point_spread._TILE", 17)
    monkeypatch.setattr("nanobragg_hybrid.run.point_spread._TILE_PER_REACH", 1)
    scene = SCENE.replace({"response.point_spread": SPREADS[name]})
    whole = nb.simulate(scene, FACTORS, backend=backend)
    for roi in ((0, 59, 0, 49), (10, 40, 5, 45), (59, 59, 0, 49), (3, 3, 3, 3)):
        part = nb.simulate(scene.replace({"sampling.roi": roi}), FACTORS, backend=backend)
        box = np.s_[roi[2] : roi[3] + 1, roi[0] : roi[1] + 1]
        for given, own in ((whole.image, part.image), (whole.expected, part.expected)):
            assert given is not None
            wanted = np.zeros_like(given)
            wanted[box] = given[box]
            assert np.array_equal(own, wanted)
        assert whole.counts is not None
        wanted = np.zeros_like(whole.counts)
        wanted[box] = whole.counts[box]
        assert np.array_equal(part.counts, wanted)
        assert part.warnings == whole.warnings


def test_bad_pixels_and_saturation() -> None:
    result = nb.simulate(SCENE, FACTORS)
    counts, variance = result.counts, result.variance
    assert counts is not None
    assert variance is not None
    assert counts.max() == 5000
    blind = np.isinf(variance)
    assert 0 < blind.sum() < 0.08 * blind.size
    assert set(np.unique(counts[blind])) == {0, 5000}
    listed = SCENE.replace(
        {"response": nb.Response(dead_pixels=((3, 4), (59, 49)), hot_pixels=((5, 6), (3, 4)))}
    )
    counts = nb.simulate(listed, FACTORS).counts
    assert counts is not None
    assert counts[4, 3] == counts[49, 59] == 0
    assert counts[6, 5] == 2**31 - 1
    wrong = SCENE.replace({"response": nb.Response(dead_pixels=((3, 4), (60, 49)))})
    with pytest.raises(nb.ConfigError) as caught:
        nb.simulate(wrong, FACTORS)
    assert str(caught.value) == (
        "response.dead_pixels[1]: got (60, 49), need (fast, slow) of the detector's 60 x 50 pixels"
    )


def test_types_and_rounding() -> None:
    values = np.array([[0.5, 1.5, 2.7, -3.0, 70000.0]])
    for count_type, rounding, wanted in (
        ("uint16", "nearest", [0, 2, 3, 0, 65535]),
        ("uint16", "down", [0, 1, 2, 0, 65535]),
        ("int16", "nearest", [0, 2, 3, -3, 32767]),
        ("int32", "nearest", [0, 2, 3, -3, 70000]),
        ("uint32", "down", [0, 1, 2, 0, 70000]),
        ("float32", "nearest", [0.5, 1.5, np.float32(2.7), -3.0, 70000.0]),
    ):
        own = chain((1, 5), count_type=count_type, rounding=rounding)
        read = own._shown(values.copy())
        assert read.dtype == count_type
        assert read.tolist() == [wanted]


def test_light_that_is_none() -> None:
    """NaN, infinity and less than nothing get no photons, and the user hears of it."""
    own = chain((1, 4))
    counts = own.counts(np.array([[np.nan, np.inf, -5.0, 1e6]]), 0)
    assert counts[0, :3].tolist() == [0, 0, 0]
    assert counts[0, 3] > 9e5
    offset = nb.Background(offsets=(nb.BackgroundOffset(-5.0, 0, 9, 0, 0),))
    result = nb.simulate(SCENE.replace({"background": offset, "response": nb.Response()}), NONE)
    assert result.warnings[-1] == (
        "the expected counts of 10 pixels are below 0: they get no photons"
    )


def test_light_from_under_a_mask_is_missing_and_the_user_hears_of_it() -> None:
    response = nb.Response(point_spread=nb.PointSpread(gaussian_fwhm_um=1500.0))
    sentence = (
        "with a point spread, light from under the mask is missing near its borders: what is "
        "masked is not rendered"
    )
    whole = SCENE.replace({"response": response})
    mask = np.ones((50, 60), dtype=bool)
    mask[:, :10] = False
    first = nb.simulate(whole, FACTORS)
    part = nb.simulate(whole.replace({"detector.mask": nb.Mask(mask)}), FACTORS)
    assert sentence not in first.warnings
    assert sentence in part.warnings
    assert first.expected is not None
    assert part.expected is not None
    assert not part.expected[:, :10].any()
    assert part.expected[20, 10] < 0.8 * first.expected[20, 10]
    np.testing.assert_allclose(part.expected[:, 16:], first.expected[:, 16:], rtol=1e-12)


def test_only_background_is_not_dark() -> None:
    """But dark is an image whose background has no light, and one that should have spots."""
    flat = SCENE.replace({"response": None})
    dark = "the image is dark"
    assert not any(dark in text for text in nb.simulate(flat, NONE).warnings)
    for experiment, factors, reason in (
        (flat.replace({"background": nb.Background()}), NONE, "every structure factor is 0"),
        (flat.replace({"background": None}), NONE, "every structure factor is 0"),
        (flat.replace({"beam.fluence_photons_per_m2": 0.0}), FACTORS, "the fluence is 0"),
    ):
        assert f"{dark}: {reason}" in nb.simulate(experiment, factors).warnings


@for_each("name", ["pilatus", "eiger", "ccd", "jungfrau", "cspad"])
def test_presets(name: str) -> None:
    """The gain that a series of flat frames shows, variance over mean, is the one stated."""
    given: nb.Response = getattr(nb, f"{name}_response")(seed=4)
    assert given.seed == 4
    response = dataclasses.replace(given, flicker=0.0)
    own = Chain(response, (300, 400), 75.0, None)
    expected = own.expected(np.full((300, 400), 20.0), None)
    series = np.array([own.counts(expected, frame).astype(float) for frame in range(2)])
    assert series.dtype == np.float64
    good = np.isfinite(own.variance(expected))
    known = own.variance(expected) - own.response.gain * expected
    difference = (series[0] - series[1])[good]
    steady = 0.5 * (difference**2).mean() - known[good].mean()
    assert steady / expected[good].mean() == pytest.approx(response.gain, rel=0.05)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "gain 0": ({"gain": 0.0}, "response.gain: got 0.0 counts/photon, need a finite value > 0"),
    "error": (
        {"gain_error": 1.0},
        "response.gain_error: got 1.0, need a finite value >= 0 and < 1",
    ),
    "noise": ({"read_noise": -1}, "response.read_noise: got -1 counts, need a finite value >= 0"),
    "saturation below pedestal": (
        {"pedestal": 40.0, "saturation": 40.0},
        "response.saturation: got 40.0 counts, need more than the pedestal, 40 counts",
    ),
    "saturation beyond the type": (
        {"count_type": "uint16", "saturation": 1e6},
        "response.saturation: got 1000000.0 counts, need what uint16 holds, 0 to 65535",
    ),
    "pedestal beyond the type": (
        {"count_type": "uint16", "pedestal": -3.0},
        "response.pedestal: got -3.0 counts, need what uint16 holds, 0 to 65535",
    ),
    "hot": (
        {"count_type": "float32", "hot_fraction": 0.1},
        "response.saturation: got None, need a number, which hot pixels show: float32 has no limit",
    ),
    "seed": ({"seed": -1}, "response.seed: got -1, need an integer >= 0"),
    "type": (
        {"count_type": "int8"},
        "response.count_type: got 'int8', need one of int16, uint16, int32, uint32, float32",
    ),
}


@for_each("name", BAD)
def test_impossible_values(name: str) -> None:
    given, message = BAD[name]
    with pytest.raises(nb.ConfigError) as caught:
        nb.Response(**given)
    assert str(caught.value) == message


def test_frames_that_are_none() -> None:
    result = nb.simulate(SCENE, FACTORS)
    for frame in (-1, 1.5, 2**31, True):
        wrong: Any = frame
        with pytest.raises(nb.ConfigError, match="frame: got"):
            nb.frame_counts(result, wrong)
        with pytest.raises(nb.ConfigError, match="frame: got"):
            nb.simulate(SCENE, FACTORS, frame=wrong)
    with pytest.raises(nb.ConfigError, match=r"result.experiment.response: got None"):
        nb.frame_counts(nb.simulate(SCENE.replace({"response": None}), FACTORS), 0)


def test_json() -> None:
    response = nb.Response(
        point_spread=nb.PointSpread(10.0, 27.0, 500.0, "reflected"),
        dead_pixels=((1, 2),),
        hot_pixels=((3, 4), (5, 6)),
        count_type="uint16",
        rounding="down",
    )
    experiment = SCENE.replace({"response": response})
    assert nb.Experiment.from_json(experiment.to_json()) == experiment
    assert hash(experiment) == hash(nb.Experiment.from_json(experiment.to_json()))
    assert "response" not in SCENE.replace({"response": None}).to_dict()


def test_both_engines_read_out_alike() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    changes = {"response.point_spread": nb.PointSpread(1200.0, 100.0, 9000.0)}
    experiment = SCENE.replace(changes)
    first, second = (nb.simulate(experiment, FACTORS, backend=name) for name in ("c", "torch"))
    assert first.expected is not None
    np.testing.assert_allclose(second.expected, first.expected, rtol=1e-6)
    assert first.counts is not None
    assert second.counts is not None
    # The image is rounded to 32 bits in one of them: a few pixels draw another photon.
    assert (first.counts != second.counts).mean() < 0.01
    assert abs(first.counts.astype(float) - second.counts).max() < 20.0


def test_variances_are_computed_when_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(40, 50, 60), n_cells=(3, 3, 3)),
        detector=nb.Detector(distance_mm=60, pixel_size_mm=1.0, n_fast=20, n_slow=10),
        response=nb.Response(read_noise=2.0, gain=1.5, dead_pixels=((3, 4),)),
    )
    asked = []
    of_chain = Chain.variance

    def variance(chain: Chain, expected: NDArray[np.float64]) -> NDArray[np.float64]:
        asked.append(expected.shape)
        return of_chain(chain, expected)

    monkeypatch.setattr(Chain, "variance", variance)
    result = nb.simulate(experiment, NONE)
    other = result.replaced(frame=1)
    assert asked == []
    assert result.expected is not None
    expected = 1.5 * result.expected + 4.0 + 1.0 / 12.0
    expected[4, 3] = np.inf
    for each in (result, other, pickle.loads(pickle.dumps(nb.simulate(experiment, NONE)))):
        assert each.variance == pytest.approx(expected)
        assert each.variance is each.variance
    assert asked == [(10, 20)] * 2  # a copy has that of what it is a copy of


@pytest.mark.parametrize("dead", [0.0, 1e-3, 0.05])
@pytest.mark.parametrize("hot", [0.0, 1e-3, 0.05])
@pytest.mark.parametrize("pixels", [8, 200])
def test_sure_counts_are_those_of_the_pixels(dead: float, hot: float, pixels: int) -> None:
    """Also where so many are bad that nobody looks for one."""
    response = nb.Response(
        dead_fraction=dead, hot_fraction=hot, dead_counts=3.0, pedestal=7.0, seed=5
    )
    chain = Chain(response, (pixels, pixels), 100.0, None)
    masks = chain.bad or (np.zeros((1, 1), bool),) * 2
    has_dead, has_hot = (bool(mask.any()) for mask in masks)
    wanted = [7.0] + [3.0] * has_dead + [response.most_counts] * has_hot
    assert chain.sure_counts().tolist() == [wanted]


def test_bad_pixels_are_drawn_only_where_there_may_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(*_: object) -> None:
        raise AssertionError("drawn")

    monkeypatch.setattr(read_out, "bad_pixels", drawn)
    many = nb.Response(dead_fraction=0.01, hot_fraction=0.01, dead_counts=3.0)
    chain = Chain(many, (200, 200), 100.0, None)
    assert chain.sure_counts().tolist() == [[0.0, 3.0, many.most_counts]]
    with pytest.raises(AssertionError, match="drawn"):
        Chain(many, (50, 50), 100.0, None).sure_counts()
    window = np.zeros((200, 200), bool)
    window[:50, :50] = True
    with pytest.raises(AssertionError, match="drawn"):
        Chain(many, (200, 200), 100.0, window).sure_counts()
