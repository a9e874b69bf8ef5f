"""What `write_image` refuses of its source, and says of it; each beside what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb

PLAIN = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5), misset_deg=(10, 20, 30)),
    detector=nb.Detector(n_fast=16, n_slow=12, pixel_size_mm=1.0, distance_mm=100.0),
)
COUNTS = np.arange(192, dtype=np.uint16).reshape(12, 16)
OTHER = COUNTS.astype(np.int32)
RULE = "need a result, an array (slow, fast), or one of each panel"


@pytest.fixture(scope="module")
def result() -> nb.SimulationResult:
    return nb.simulate(PLAIN, nb.StructureFactors.constant(100.0))


@for_each(
    "options, message",
    [
        ({"pixels": "light"}, "pixels: got 'light', need one of counts, noise, integers, photons"),
        ({"experiment": PLAIN}, "experiment: got one, need None: a result has its own"),
        ({"quirks": nb.Quirks()}, "quirks: got one, need None: a result has its own"),
        (
            {"name": "a.png", "pixels": "integers"},
            "pixels: got 'integers', need None or 'photons' for a picture",
        ),
    ],
)
def test_of_a_result(
    options: dict[str, Any], message: str, result: nb.SimulationResult, tmp_path: Path
) -> None:
    options = dict(options)
    path = tmp_path / options.pop("name", "a.tif")
    with pytest.raises(nb.ConfigError) as caught:
        nb.write_image(path, result, **options)
    assert str(caught.value).startswith(message)
    assert not path.exists()


@for_each(
    "source, options, message",
    [
        ([], {}, f"source: got [], {RULE}"),
        ("image", {}, f"source: got 'image', {RULE}"),
        ([COUNTS, [1, 2]], {}, f"{RULE}"),
        (COUNTS[0], {}, f"source: got uint16 (16,), {RULE}"),
        (COUNTS[:0], {}, f"source: got uint16 (0, 16), {RULE}"),
        (COUNTS > 3, {}, f"source: got bool (12, 16), {RULE}"),
        ([COUNTS, OTHER], {}, "source: got panels of several types, need one type"),
        (COUNTS, {"quirks": "none"}, "quirks: got 'none', need "),
        (COUNTS, {"pixels": "counts"}, "pixels: got 'counts', need None: an array is what it is"),
        (COUNTS, {"experiment": None}, "experiment: got None, need an experiment, whose image"),
    ],
)
def test_of_arrays(source: Any, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with pytest.raises(nb.ConfigError) as caught:
        nb.write_image(path, source, **{"experiment": PLAIN, **options})
    assert message in str(caught.value), str(caught.value)
    assert not path.exists()


def test_an_array_has_no_picture(tmp_path: Path) -> None:
    with pytest.raises(nb.UnsupportedError, match="png: an array has no picture; write_png takes"):
        nb.write_image(tmp_path / "a.png", COUNTS, experiment=PLAIN)


def test_arrays_that_are_taken(result: nb.SimulationResult, tmp_path: Path) -> None:
    nb.write_image(tmp_path / "a.tif", [COUNTS], experiment=PLAIN, quirks=nb.Quirks.none())
    np.testing.assert_array_equal(nb.read_image(tmp_path / "a.tif").panels[0], COUNTS)
    nb.write_image(tmp_path / "b.tif", result, pixels="photons")
    np.testing.assert_array_equal(nb.read_image(tmp_path / "b.tif").panels[0], result.image)


@for_each("saturated", [96, 97])
def test_an_image_of_which_more_than_half_is_saturated(saturated: int, tmp_path: Path) -> None:
    pixels = np.full((12, 16), 7, np.uint16)
    pixels.ravel()[:saturated] = 100
    text = "more than half of the pixels are saturated, at 100 counts: too many photons of beam"
    options: dict[str, Any] = {"experiment": PLAIN, "saturation": 100}
    if saturated > 96:
        with pytest.warns(nb.NanobraggWarning, match=text):
            nb.write_image(tmp_path / "a.tif", pixels, **options)
    else:
        nb.write_image(tmp_path / "a.tif", pixels, **options)
    np.testing.assert_array_equal(nb.read_image(tmp_path / "a.tif").panels[0], pixels)
