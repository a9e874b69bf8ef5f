"""Fits of detectors of several panels, in boxes around spots, with a factor for each spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import image_files
import numpy as np
import pytest
from fit_scenes import FACTORS
from for_each import for_each
from numpy.typing import NDArray
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel, PanelModel

SIZES = ((30, 40), (26, 40), (30, 34), (26, 34))
PANELS = tuple(
    nb.Panel(
        name=f"p{n}",
        origin_mm=(60.0 + 0.5 * n, 13.0 - 14.0 * (n // 2), -17.0 + 18.0 * (n % 2)),
        fast_axis=(0.02 * n, 0.0, 1.0),
        slow_axis=(0.0, -1.0, 0.0),
        n_fast=fast,
        n_slow=slow,
        pixel_size_mm=0.4,
    )
    for n, (slow, fast) in enumerate(SIZES)
)
TRUTH = nb.Experiment(
    beam=nb.Beam(fluence_photons_per_m2=1.5e27),
    crystal=nb.Crystal(
        cell_angstrom=(80, 80, 70),
        misset_deg=(10, 20, 30),
        n_cells=(8, 8, 8),
        mosaic_spread_deg=0.3,
        mosaic_domains=3,
        shape="gauss",
    ),
    detector=nb.Detector(panels=PANELS),
    sampling=nb.Sampling(oversample=1),
)
START = TRUTH.replace(
    {
        "crystal.misset_deg": (10.1, 19.9, 30.1),
        "crystal.cell_angstrom": (80.15, 80.15, 70.1),
        "detector": TRUTH.detector.shifted((-0.15, 0.0, 0.0)),
    }
)
NAMES = ("crystal.misset_deg", "crystal.cell_angstrom", "detector.shift_mm", "scale")


def images_of(experiment: nb.Experiment = TRUTH) -> list[NDArray[np.float64]]:
    with torch.no_grad():
        return [image.numpy() for image in PanelModel(experiment, FACTORS)()]


EXACT = images_of()


def noisy(seed: int) -> list[NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    return [random.poisson(image) for image in EXACT]


def boxes_around_spots(half: int = 3) -> NDArray[np.int64]:
    """Boxes of the brightest spots of each panel, those of the last panel first."""
    rows = []
    for panel in (3, 0, 2, 1):
        image = EXACT[panel].copy()
        for _ in range(9):
            slow, fast = np.unravel_index(int(image.argmax()), image.shape)
            box = (
                panel,
                max(slow - half, 0),
                min(slow + half + 1, image.shape[0]),
                max(fast - half, 0),
                min(fast + half + 1, image.shape[1]),
            )
            image[box[1] : box[2], box[3] : box[4]] = 0.0
            rows.append(box)
    return np.array(rows)


BOXES = boxes_around_spots()


def pulls(result: nb.FitResult) -> NDArray[np.float64]:
    """Errors over e.s.d.s of misset, cell, shift and scale."""
    true = {
        "crystal.misset_deg": (10.0, 20.0, 30.0),
        "crystal.cell_angstrom": (80.0, 80.0, 70.0),
        "detector.shift_mm": (0.15, 0.0, 0.0),
        "scale": (1.0,),
    }
    return np.array([(n.value - true[n.name][n.index]) / n.esd for n in result.parameters])


def pulls_of_crystal(result: nb.FitResult) -> NDArray[np.float64]:
    """The same of misset and cell."""
    true = {"crystal.misset_deg": (10.0, 20.0, 30.0), "crystal.cell_angstrom": (80.0, 80.0, 70.0)}
    return np.array(
        [(n.value - true[n.name][n.index]) / n.esd for n in result.parameters if n.name in true]
    )


def test_exact_data_give_everything_back() -> None:
    result = nb.fit(START, FACTORS, EXACT, NAMES, boxes=BOXES)
    assert result.converged
    assert result.deviance < 1e-6
    assert result.crystal_system == "tetragonal"
    crystal, panels = result.experiment.crystal, result.experiment.detector.panels or ()
    np.testing.assert_allclose(crystal.misset_deg, (10, 20, 30), atol=1e-5)
    np.testing.assert_allclose(crystal.cell_angstrom or (), (80, 80, 70), atol=1e-5)
    for found, true in zip(panels, PANELS, strict=True):
        np.testing.assert_allclose(found.origin_mm, true.origin_mm, atol=1e-5)
    for image, exact in zip(images_of(result.experiment), EXACT, strict=True):
        np.testing.assert_allclose(image, exact, rtol=1e-3, atol=1e-3)


def test_errors_are_what_they_are_said_to_be() -> None:
    """Of 12 noisy images, whose pulls have a mean of 0 and a width of 1."""
    found = np.array(
        [pulls(nb.fit(START, FACTORS, noisy(seed), NAMES, boxes=BOXES)) for seed in range(12)]
    )
    assert np.abs(found.mean(axis=0)).max() < 1.2  # 4 / sqrt(12)
    assert 0.75 < np.sqrt((found**2).mean()) < 1.25


def test_what_a_fit_of_panels_says() -> None:
    data = noisy(1)
    result = nb.fit(START, FACTORS, data, NAMES, boxes=BOXES, background="constant")
    np.testing.assert_array_equal(result.boxes, BOXES)
    panel, slow, fast = result.pixels.T
    np.testing.assert_array_equal(
        result.data, [data[p][s, f] for p, s, f in zip(panel, slow, fast, strict=True)]
    )
    model = images_of(result.experiment)
    signal = [model[p][s, f] for p, s, f in zip(panel, slow, fast, strict=True)]
    below = result.background[result.fitted.box, 0]
    np.testing.assert_allclose(result.model, np.array(signal) + below, rtol=1e-9, atol=1e-9)
    own, _ = result.box_images(0)
    p, top, bottom, left, right = BOXES[0]
    inside = ~np.isnan(own)
    np.testing.assert_array_equal(own[inside], data[p][top:bottom, left:right][inside])


def test_one_panel_is_what_it_is_without_a_stack() -> None:
    alone = START.of_panel(0)
    of_first = BOXES[BOXES[:, 0] == 0]
    names = ("crystal.misset_deg", "scale")
    expected = nb.fit(alone, FACTORS, noisy(2)[0], names, boxes=of_first[:, 1:])
    stacked = nb.fit(START, FACTORS, noisy(2), names, boxes=of_first)
    for one, other in zip(expected.parameters, stacked.parameters, strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-9)
        assert other.esd == pytest.approx(one.esd, rel=1e-6)
    # Boxes of Spots.boxes do for one panel, too.
    again = nb.fit(alone, FACTORS, noisy(2)[0], names, boxes=of_first)
    assert [n.value for n in again.parameters] == [n.value for n in expected.parameters]


def test_panels_that_are_each_off() -> None:
    """In-plane shifts and rotations of three panels; the first one, by a prior, stays."""
    off = [
        PANELS[0],
        PANELS[1].moved((0.05, -0.03), 0.2),
        PANELS[2].moved((-0.04, 0.02), -0.1),
        PANELS[3].moved((0.03, 0.03), 0.15),
    ]
    start = TRUTH.replace({"detector.panels": tuple(off)})
    names = ("detector.panels.shift_mm", "detector.panels.rotation_deg", "scale")
    result = nb.fit(start, FACTORS, EXACT, names, boxes=BOXES)
    assert result.converged
    for found, true in zip(result.experiment.detector.panels or (), PANELS, strict=True):
        np.testing.assert_allclose(found.origin_mm, true.origin_mm, atol=1e-4)
        np.testing.assert_allclose(found.fast_axis, true.fast_axis, atol=1e-5)


def test_an_orientation_far_off_is_captured() -> None:
    start = TRUTH.replace({"crystal.misset_deg": (10.8, 20.5, 29.3)})
    result = nb.fit(start, FACTORS, noisy(3), ("crystal.misset_deg", "scale"), capture_deg=1.5)
    assert np.abs(pulls(result)).max() < 5.0
    start = TRUTH.replace({"crystal.misset_deg": (11.5, 20.5, 29.3)})
    result = nb.fit(
        start, FACTORS, noisy(3), ("crystal.misset_deg", "scale"), starts=12, cone_deg=2.0,
        capture_deg=1.0,
    )  # fmt: skip
    assert np.abs(pulls(result)).max() < 5.0


# ---- factors of spots


def test_a_factor_for_each_spot() -> None:
    """A model of equal structure factors, and data that have others in each box."""
    flat = nb.StructureFactors.constant(100.0)
    with torch.no_grad():
        means = [image.numpy().copy() for image in PanelModel(TRUTH, flat)()]
    random = np.random.default_rng(6)
    factors = np.exp(random.normal(0.0, 1.0, len(BOXES)))
    for factor, (panel, top, bottom, left, right) in reversed(
        list(zip(factors, BOXES, strict=True))
    ):
        part = PanelModel(TRUTH, flat).models[panel]  # the first box of a pixel counts
        with torch.no_grad():
            own = part().numpy()[top:bottom, left:right]
        means[panel][top:bottom, left:right] = factor * own
    data = [random.poisson(image) for image in means]
    names = ("crystal.misset_deg", "crystal.cell_angstrom", "spot_scales")
    start = START.replace({"detector": TRUTH.detector})
    result = nb.fit(start, flat, data, names, boxes=BOXES)
    assert result.converged
    scales = [n for n in result.parameters if n.name == "spot_scales"]
    assert [n.index for n in scales] == list(range(len(BOXES)))
    found = np.array([(n.value - true) / n.esd for n, true in zip(scales, factors, strict=True)])
    assert 0.7 < np.sqrt((found**2).mean()) < 1.35
    assert np.abs(pulls_of_crystal(result)).max() < 4.0
    assert f"{len(BOXES)} boxes" in str(result)
    with_constant = nb.fit(start, flat, data, names, boxes=BOXES, background="constant")
    assert np.abs(pulls_of_crystal(with_constant)).max() < 4.5


def test_factors_of_spots_of_one_panel_and_their_derivatives() -> None:
    from nanobragg_hybrid.fitting.forward import TorchForward
    from nanobragg_hybrid.fitting.pixels import fit_pixels
    from nanobragg_hybrid.fitting.spot_scales import ScaledForward

    alone = TRUTH.of_panel(0)
    model = ForwardModel(alone, FACTORS)
    counts = EXACT[0]
    bounds = BOXES[BOXES[:, 0] == 0][:3, 1:]
    pixels = fit_pixels(alone, model.setup.roi, counts, np.zeros(counts.shape), bounds, None)
    forward = ScaledForward(TorchForward(model, pixels), pixels)
    values = {
        "spot_scales": np.array([0.5, 2.0, 3.0]),
        "crystal.misset_deg": np.array([10.0, 20.0, 30.0]),
    }
    names = ("spot_scales", "crystal.misset_deg")
    signal, jacobian = forward.jacobian(values, names)
    np.testing.assert_allclose(signal, forward.pixels(values), rtol=1e-12)
    np.testing.assert_allclose(signal, forward.members([values, values])[1], rtol=1e-12)
    column = 0
    for name in names:
        for n in range(3):
            ends = []
            for step in (1e-5, -1e-5):
                moved = {key: value.copy() for key, value in values.items()}
                moved[name][n] += step
                ends.append(forward.pixels(moved))
            slope = (ends[0] - ends[1]) / 2e-5
            scale = np.abs(slope).max()
            np.testing.assert_allclose(jacobian[:, column], slope, atol=1e-6 * scale)
            column += 1


# ---- measured images


def test_a_measured_image(tmp_path: Path) -> None:
    """Two panels of an imgCIF file: its gain, its overload, its geometry."""
    experiment = TRUTH.replace(
        {"detector.panels": tuple(nb.Panel(f"q{n}", (60.0, 5.0 - 9.0 * n, -6.0), (0, 0, 1),
                                           (0, -1, 0), 30, 20, 0.4) for n in range(2))}
    )  # fmt: skip
    random = np.random.default_rng(3)
    counts = [2 * random.poisson(image) for image in images_of(experiment)]
    counts[1][10, 10] = 3000  # above the overload of 1000
    path = tmp_path / "image.cbf"
    bright = int(max(image.max() for image in counts)) - 1
    data = image_files.imgcif(*(c.astype(np.int32) for c in counts))
    path.write_bytes(data.replace(b" 2.0 1000", f" 2.0 {min(bright, 2999)}".encode()))
    image = nb.read_image(path)
    names = ("crystal.misset_deg", "scale")
    result = nb.fit(experiment, FACTORS, image, names)
    assert np.abs(pulls(result)).max() < 5.0
    assert [1, 10, 10] not in result.pixels.tolist()
    assert result.fitted.count == sum(int(mask.sum()) for mask in image.masks)
    by_hand = nb.fit(
        experiment, FACTORS, list(image.panels), names, mask=list(image.masks), gain=2.0
    )
    assert [n.value for n in by_hand.parameters] == [n.value for n in result.parameters]
    other = nb.fit(experiment, FACTORS, image, names, gain=1.0)
    assert other.scale == pytest.approx(2.0 * result.scale, rel=0.05)
    with pytest.raises(nb.ConfigError, match=r"data: got 2 panels of 30 x 20.*need the exp"):
        nb.fit(TRUTH, FACTORS, image, names)
    half = np.zeros((20, 30), dtype=bool)
    half[:, :15] = True
    part = nb.fit(experiment, FACTORS, image, names, mask=[half, None])
    assert part.pixels[part.pixels[:, 0] == 0, 2].max() == 14


def test_several_images_of_several_panels() -> None:
    other = TRUTH.replace({"crystal.misset_deg": (40.0, -15.0, 70.0)})
    random = np.random.default_rng(8)
    data = [noisy(5), [random.poisson(image) for image in images_of(other)]]
    starts = [START, START.replace({"crystal.misset_deg": (40.1, -15.1, 70.1)})]
    result = nb.fit(starts, FACTORS, data, NAMES)
    assert result.converged
    shared = [n for n in result.parameters if n.image is None]
    assert [n.name for n in shared] == [NAMES[1]] * 3 + [NAMES[2]] * 3
    true = (80.0, 80.0, 70.0, 0.15, 0.0, 0.0)
    assert all(abs(n.value - t) < 4.0 * n.esd for n, t in zip(shared, true, strict=True))
    origins = [each.detector.panels[0].origin_mm for each in result.experiments]  # type: ignore[index]
    assert origins[0] == origins[1]


ONE = ("scale",)


@for_each(
    "change, message",
    [
        ({"data": EXACT[0]}, "data: got 30 of them, need a list of 4 arrays of real numbers"),
        ({"data": EXACT[:3]}, "data: got 3 of them, need a list of 4"),
        ({"data": [EXACT[0]] * 4}, r"data[1]: got float64 of shape (30, 40), need"),
        ({"boxes": BOXES[:, 1:]}, "boxes: got int64 of shape (36, 4), need integers of shape"),
        ({"boxes": [[4, 0, 5, 0, 5]]}, "box 0, [4, 0, 5, 0, 5], need a panel from 0 to 3"),
        ({"boxes": [[1, 20, 27, 0, 5]]}, "need start < stop, inside the panel's 26 x 40 pixels"),
        ({"mask": EXACT[0] > 0}, "mask: got 30 of them, need a list of 4 masks"),
        ({"mask": [EXACT[0] > 0] * 4}, "mask[1]: got bool of shape (30, 40), need masks"),
        ({"readout_variance": [1.0]}, "readout_variance: got 1 of them, need a list of 4"),
        ({"parameters": ("detector.distance_mm",)}, "need one of detector.panels.*"),
        ({"parameters": ("detector.panels.origin_mm",)}, "need detector.shift_mm and detector."),
        ({"parameters": ("scale", "spot_scales")}, "need one of scale and spot_scales"),
    ],
    ids=lambda row: row[1],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    given = {"experiment": TRUTH, "data": EXACT, "parameters": ONE, **change}
    with pytest.raises(nb.NanobraggError) as caught:
        nb.fit(structure_factors=FACTORS, **given)
    assert message in str(caught.value)


def test_boxes_of_another_panel_for_a_detector_of_one() -> None:
    with pytest.raises(nb.ConfigError, match="need panel 0, the only one"):
        nb.fit(TRUTH.of_panel(1), FACTORS, EXACT[1], ONE, boxes=BOXES)
