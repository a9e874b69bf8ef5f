"""One look at the finished image: pixels that no image should have, and images that are dark."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.engine import CEngine
from nanobragg_hybrid.engines.c.images import odd_pixels

PLAIN = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5), misset_deg=(10, 20, 30)),
    detector=nb.Detector(n_fast=16, n_slow=12, pixel_size_mm=1.0, distance_mm=100.0),
)
F100 = nb.StructureFactors.constant(100.0)
FAR = nb.StructureFactors.from_reflections([(50, 50, 50)], [100.0])
ZEROS = nb.StructureFactors.from_reflections([(0, 0, 0), (1, 1, 1)], [0.0, 0.0])


def changed(**changes: Any) -> nb.Experiment:
    return PLAIN.replace({name.replace("__", "."): value for name, value in changes.items()})


def told(experiment: nb.Experiment, table: nb.StructureFactors = F100, **options: Any) -> list[str]:
    """What an image makes Python warn of, which the result has too."""
    with pytest.warns(nb.ImageWarning) as caught:
        result = nb.simulate(experiment, table, **options)
    texts = [str(w.message) for w in caught if issubclass(w.category, nb.ImageWarning)]
    assert tuple(texts) == result.warnings[len(result.plan.sentences()) :]
    assert all(w.filename == __file__ for w in caught)
    return texts


def test_an_ordinary_image_says_nothing() -> None:
    result = nb.simulate(PLAIN, F100)
    assert result.statistics.max > 0.0
    assert result.warnings == result.plan.sentences()


@dataclass(frozen=True)
class Painted:
    """The C engine, whose image somebody has painted in."""

    pixels: tuple[tuple[int, int, float], ...]
    name: ClassVar[str] = "painted"
    options: ClassVar[tuple[str, ...]] = ()

    memory_needed = CEngine.memory_needed

    def prepare(self, *given: Any) -> Any:
        run = CEngine().prepare(*given)
        plain = run.render

        def render(**options: Any) -> Any:
            made = plain(**options)
            image = np.array(made.image)
            for fast, slow, value in self.pixels:
                image[slow, fast] = value
            return made._replace(image=image)

        run.render = render  # type: ignore[method-assign]
        return run

    def structure_factors_at(self, *given: Any) -> Any:
        return CEngine().structure_factors_at(*given)


def test_each_kind_is_one_sentence_with_number_and_first_pixel() -> None:
    painted = Painted(
        ((3, 4, math.nan), (2, 5, math.nan), (1, 0, math.inf), (0, 1, -math.inf), (15, 11, -1.0))
    )
    texts = told(PLAIN, backend=painted)
    assert [text.split(":")[0] for text in texts] == [
        "2 pixels are NaN, of 192, the first at fast 3, slow 4",
        "2 pixels are infinite, of 192, the first at fast 1, slow 0",
        "1 pixel is below 0, of 192, the first at fast 15, slow 11",
    ]
    assert texts[2].endswith(": no setting was found that explains it")
    assert told(PLAIN, backend=pickle.loads(pickle.dumps(painted))) == texts


def test_pixels_that_are_skipped_do_not_count() -> None:
    mask = np.ones((12, 16), bool)
    mask[4, 3] = False
    painted = Painted(((3, 4, math.nan), (0, 0, -1.0), (9, 9, -0.0)))
    experiment = changed(detector__mask=nb.Mask(mask), sampling__roi=(1, 15, 0, 11))
    assert nb.simulate(experiment, F100, backend=painted).warnings == ()
    without = changed(detector__mask=nb.Mask(mask | True))
    assert len(told(without, backend=painted)) == 2


@for_each(
    "changes, table, quirks, expected",
    [
        ({"detector__distance_mm": 100.0}, F100, "nanobragg", None),
        (
            {"sampling__roi": (5, 4, None, None)},
            F100,
            "nanobragg",
            "the image is dark: the region of interest is empty (fast 5 to 4, slow 0 to 11)",
        ),
        (
            {"detector__mask": nb.Mask(np.zeros((12, 16), bool))},
            F100,
            "nanobragg",
            "the image is dark: the mask skips every pixel of the region of interest",
        ),
        ({"beam__fluence_photons_per_m2": 0.0}, F100, "nanobragg", "the fluence is 0"),
        ({}, nb.StructureFactors.constant(0.0), "nanobragg", "every structure factor is 0"),
        ({}, ZEROS, "nanobragg", "every structure factor is 0"),
        ({}, FAR, "nanobragg", "the structure factors (h 50 to 50, k 50 to 50, l 50 to 50)"),
        ({"sampling__dmin_angstrom": 1e4}, F100, "nanobragg", "dmin, 10000 A, cuts all"),
        ({"sampling__oversample_thick": True}, F100, "nanobragg", "without a sensor thickness"),
        ({"beam__fluence_photons_per_m2": 1e-60}, F100, "nanobragg", "too few for a 32-bit float"),
        (
            {
                "detector__sensor_thickness_um": 1e6,
                "detector__sensor_layers": 50,
                "detector__sensor_attenuation_depth_um": 1.0,
            },
            F100,
            "nanobragg",
            "only the last one counts",
        ),
        (
            {"beam__sources": (nb.Source(), nb.Source(wavelength_m=0.0))},
            F100,
            "nanobragg",
            "NaN, of 192, the first at fast 0, slow 0: 1 of the sources have a wavelength of 0",
        ),
        (
            {"beam__sources": (nb.Source(weight=3.0), nb.Source((-10, 1, 0), weight=-1.0))},
            F100,
            "nanobragg,-source_weights_ignored",
            "1 of the sources have a weight below 0",
        ),
        ({"beam__polarization_kahn": 1000.0}, F100, "nanobragg", "the Kahn factor"),
        ({"detector__twotheta_deg": 120.0}, F100, "nanobragg", "the close distance"),
        (
            {"crystal__shape": "gauss", "crystal__shape_fudge": -1e9},
            F100,
            "nanobragg",
            "the fudge factor of the crystal's shape",
        ),
    ],
)
def test_the_likely_cause_is_named(
    changes: dict[str, Any], table: nb.StructureFactors, quirks: str, expected: str | None
) -> None:
    experiment, used = changed(**changes), nb.Quirks.parse(quirks)
    if expected is None:
        assert nb.simulate(experiment, table, quirks=used).warnings == ()
        return
    assert expected in told(experiment, table, quirks=used)[0]


def test_a_prepared_run_warns_at_each_render() -> None:
    run = nb.prepare(changed(beam__fluence_photons_per_m2=0.0), F100)
    for _ in range(2):
        with pytest.warns(nb.ImageWarning, match=r"^the image is dark: the fluence is 0$") as told:
            run.render()
        assert len(told) == 1
        assert told[0].filename == __file__


@pytest.mark.filterwarnings("error::nanobragg_hybrid.ImageWarning")
def test_python_can_make_it_an_error() -> None:
    with pytest.raises(nb.ImageWarning, match="dark"):
        nb.simulate(PLAIN, nb.StructureFactors.constant(0.0))


def test_what_a_plan_says_is_a_warning_too() -> None:
    experiment = changed(crystal__mosaic_spread_deg=1.0)
    with pytest.warns(nb.SetupWarning, match="10 domains are used") as caught:
        result = nb.simulate(experiment, F100)
    assert (
        [str(w.message) for w in caught] == list(result.warnings) == list(result.plan.sentences())
    )
    assert issubclass(nb.SetupWarning, nb.NanobraggWarning)
    assert issubclass(nb.ImageWarning, nb.NanobraggWarning)


def test_the_count_is_that_of_numpy() -> None:
    """Rows of any length, where vectors end; masks; regions."""
    rng = np.random.default_rng(7)
    special = np.array([math.nan, math.inf, -math.inf, -0.0, 0.0, -1e-45, 1e-45, 3e38], np.float32)
    for width in (1, 3, 8, 17, 40):
        image = rng.uniform(0.0, 9.0, size=(5, width)).astype(np.float32)
        odd = rng.random(image.shape) < 0.2
        image[odd] = rng.choice(special, size=int(odd.sum()))
        mask = rng.random(image.shape) < 0.7
        roi = (width // 3, width - 1, 1, 3)
        inside = np.zeros(image.shape, bool)
        inside[1:4, width // 3 :] = True
        for used, keeps in ((None, inside), (nb.Mask(mask), inside & mask)):
            got = odd_pixels(image, roi, used)
            with np.errstate(invalid="ignore"):
                kinds = {
                    "nan": np.isnan(image),
                    "infinite": np.isinf(image),
                    "negative": (image < 0.0) & np.isfinite(image),
                }
                assert got["lit"] == ((image != 0.0) & keeps).sum()
            assert got["pixels"] == keeps.sum()
            for name, where in kinds.items():
                places = np.argwhere(where & keeps)
                slow, fast = places[0] if len(places) else (-1, -1)
                assert got[name] == len(places)
                assert (got[f"{name}_fast"], got[f"{name}_slow"]) == (fast, slow)
