"""Photons beside the spots: both engines against each other, the water of the kernel and formulas
written down once more in numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.base.constants import AVOGADRO_PER_MOL, R_E_SQR_M2

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")

NONE = nb.StructureFactors.constant(0.0)
OFF = nb.Quirks.none()
BEAM = nb.Beam(fluence_photons_per_m2=1e26, polarization_kahn=0.7)
FLAT = nb.Experiment(
    beam=BEAM,
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70)),
    detector=nb.Detector(n_fast=31, n_slow=23, pixel_size_mm=2.0),
    sampling=nb.Sampling(oversample=1),
)
TABLE = nb.Scatterer((0.0, 0.1, 0.2, 0.45), (2.5, 5.0, 8.0, 3.0), 1e-3)
EVERYTHING = nb.Background(
    scatterers=(
        TABLE,
        nb.Scatterer((0.1, 0.2), (3.0, 40.0), 1e-3, "intensity", 0.9, 20.0, 2.0, 0.1, 1.5),
    ),
    air_attenuation_per_mm=0.003,
    radial=nb.RadialBackground((0.0, 5.0, 10.0), (100.0, 50.0, 10.0)),
    flat_photons_per_pixel=3.0,
    offsets=(
        nb.BackgroundOffset(-2.0, 10, 20, None, 8),
        nb.BackgroundOffset(4.0, slow_min=20, slow_max=1000),
    ),
)


def expected(experiment: nb.Experiment, **options: Any) -> NDArray[np.float64]:
    found = nb.simulate(experiment, NONE, **options).expected
    assert found is not None
    assert found.dtype == np.float64
    return found


def analytic(experiment: nb.Experiment, background: nb.Background) -> NDArray[np.float64]:
    """Model 9 for one source of a flat detector, in numpy."""
    plan = nb.prepare(experiment, NONE, quirks=OFF).plan
    n_slow, n_fast = plan.shape
    slow, fast = np.mgrid[0:n_slow, 0:n_fast] + 0.5
    f, s, o, b, p0 = (
        np.array(v)
        for v in (
            plan.fast_axis,
            plan.slow_axis,
            plan.normal_axis,
            plan.beam_direction,
            plan.pix0_m,
        )
    )
    where = (fast[..., None] * f + slow[..., None] * s) * plan.pixel_size_m + p0
    length = np.linalg.norm(where, axis=-1)
    d = where / length[..., None]
    omega = plan.pixel_size_m**2 / length**2 * plan.close_distance_m / length
    cosine = d @ b
    e = np.array(plan.polarization_axis)
    kahn = experiment.beam.polarization_kahn
    split = (d @ e) ** 2 - (d @ np.cross(b, e)) ** 2
    polar = 0.5 * (1.0 + cosine**2 - kahn * split)
    capture = 1.0
    if plan.sensor_thickness_m > 0.0:
        depth = plan.sensor_layers * plan.sensor_layer_step_m * plan.sensor_attenuation_per_m
        capture = 1.0 - np.exp(-depth / (d @ o))
    stol = 0.5 * np.linalg.norm(d - b, axis=-1) / plan.wavelength_m * 1e-10
    photons = np.zeros(plan.shape)
    for each in background.scatterers:
        value = np.interp(stol, each.stol_per_angstrom, each.values)
        square = value if each.quantity == "intensity" else value**2
        cm3 = each.volume_mm3 * 1e-3
        molecules = cm3 * each.density_g_per_cm3 / each.molar_mass_g_per_mol * AVOGADRO_PER_MOL
        absorbed = math.exp(-each.attenuation_per_mm * each.path_mm) * each.scale
        air = np.exp(-background.air_attenuation_per_mm * length * 1e3)
        strength = R_E_SQR_M2 * plan.fluence_photons_per_m2 * molecules * absorbed
        photons += strength * square * polar * omega * capture * air
    if background.radial is not None:
        radial = background.radial
        angle = np.degrees(np.arccos(cosine))
        photons += np.interp(angle, radial.two_theta_deg, radial.photons_per_pixel)
    photons += background.flat_photons_per_pixel
    for offset in background.offsets:
        box = np.s_[
            offset.slow_min or 0 : (offset.slow_max or n_slow) + 1,
            offset.fast_min or 0 : (offset.fast_max or n_fast) + 1,
        ]
        photons[box] += offset.photons_per_pixel
    return photons


SENSOR = {
    "detector.sensor_thickness_um": 320.0,
    "detector.sensor_attenuation_depth_um": 250.0,
    "detector.sensor_layers": 3,
}
TILTED = {"detector.rotation_deg": (5.0, -9.0, 20.0), "detector.twotheta_deg": 15.0}


@for_each("changes", [{}, SENSOR, TILTED, {**SENSOR, **TILTED}, {"beam.polarization_kahn": 0.0}])
def test_profile_is_the_analytic_one(changes: dict[str, Any]) -> None:
    experiment = FLAT.replace({**changes, "background": EVERYTHING})
    found = expected(experiment, quirks=OFF)
    np.testing.assert_allclose(found, analytic(experiment, EVERYTHING), rtol=1e-7)
    assert found.std() > 10.0


def test_water_is_that_of_the_kernel() -> None:
    """With the quirk water_background off the kernel scatters from the same volume."""
    wet = FLAT.replace({"crystal.water_um": 50.0, **SENSOR})
    kernel = nb.simulate(wet, NONE, quirks=OFF, unrounded=True).unrounded
    water = nb.Background(scatterers=(nb.Scatterer((0.0,), (2.57,), 0.05**3),))
    found = expected(wet.replace({"crystal.water_um": 0.0, "background": water}), quirks=OFF)
    np.testing.assert_allclose(found, kernel, rtol=1e-13)


def test_sources_are_averaged() -> None:
    """Two sources of different weight and wavelength: the mean of their own backgrounds."""
    background = nb.Background(scatterers=(TABLE,))
    ahead, aside = ((-10.0, 0.0, 0.0), 1.0, 1e-10), ((-10.0, 0.1, 0.0), 3.0, 0.9e-10)
    images = []
    for sources in ((ahead,), (aside,), (ahead, aside)):
        beam = nb.Beam(
            fluence_photons_per_m2=1e26, sources=tuple(nb.Source(*each) for each in sources)
        )
        experiment = FLAT.replace({"beam": beam, "background": background})
        images.append(expected(experiment, quirks=OFF))
    np.testing.assert_allclose(images[2], (images[0] + 3.0 * images[1]) / 4.0, rtol=1e-13)
    assert abs(images[0] / images[1] - 1.0).max() > 0.05


DETECTORS: dict[str, dict[str, Any]] = {
    "flat": {},
    "tilted sensor": {**SENSOR, **TILTED},
    "curved": {"detector.curved": True},
    "point pixels": {"detector.point_pixel": True},
    "region": {"sampling.roi": (3, 20, 2, 9)},
    "mask": {"detector.mask": nb.Mask(np.arange(31 * 23).reshape(23, 31) % 7 != 0)},
    "divergence": {"beam.divergence_h_mrad": 5.0, "beam.divergence_h_steps": 3},
    "no polarization": {"beam.polarization_correction": False},
}


@for_each("quirks", [nb.Quirks(), OFF])
@for_each("name", DETECTORS)
def test_both_engines_scatter_alike(quirks: nb.Quirks, name: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    experiment = FLAT.replace({**DETECTORS[name], "background": EVERYTHING})
    results = [
        nb.simulate(experiment, NONE, quirks=quirks, backend=backend) for backend in ("c", "torch")
    ]
    first, second = (result.expected for result in results)
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(second, first, rtol=1e-12)
    assert first.max() > 10.0
    dark = results[0].plan.warnings
    assert [w for w in results[0].warnings if "background" in w] == [
        w for w in results[1].warnings if "background" in w
    ], dark


def test_background_is_zero_where_nothing_is_rendered() -> None:
    mask = np.ones((23, 31), dtype=bool)
    mask[5] = False
    changes = {
        "detector.mask": nb.Mask(mask),
        "sampling.roi": (4, 12, 3, 9),
        "background": nb.Background(flat_photons_per_pixel=2.0),
    }
    result = nb.simulate(FLAT.replace(changes), NONE)
    wanted = np.zeros((23, 31))
    wanted[3:10, 4:13] = 2.0
    wanted[5] = 0.0
    assert np.array_equal(result.expected, wanted)
    assert np.array_equal(np.isinf(result.variance), wanted == 0.0)
    assert np.array_equal(result.variance[wanted > 0.0], wanted[wanted > 0.0])
    assert result.counts is None
    assert not result.image.any()


def test_threads_do_not_matter() -> None:
    experiment = FLAT.replace({"background": EVERYTHING})
    first = expected(experiment, threads=1)
    for threads in (2, 7):
        assert np.array_equal(expected(experiment, threads=threads), first)


def test_pixels_outside_a_table_are_told() -> None:
    short = nb.Scatterer((0.0, 0.02), (1.0, 1.0), 1e-3)
    experiment = FLAT.replace({"background": nb.Background(scatterers=(short, TABLE))})
    count = int((stol_of(experiment) > 0.02).sum())
    sentence = (
        f"{count} pixels lie outside the rows of background.scatterers[0]: it has its end values "
        "there"
    )
    assert sentence in nb.simulate(experiment, NONE).warnings
    with pytest.warns(nb.ImageWarning, match=r"background.scatterers\[0\]"):
        nb.simulate(experiment, NONE)
    constant = nb.Background(scatterers=(nb.Scatterer((0.0,), (1.0,), 1e-3),))
    quiet = nb.simulate(FLAT.replace({"background": constant}), NONE)
    assert not [text for text in quiet.warnings if "outside the rows" in text]


def stol_of(experiment: nb.Experiment) -> NDArray[np.float64]:
    """sin(theta)/lambda from an intensity that is the abscissa itself."""
    line = nb.Scatterer((0.0, 1.0), (0.0, 1.0), 1e-3, "intensity")
    one = nb.Scatterer((0.0,), (1.0,), 1e-3, "intensity")
    images = [
        expected(experiment.replace({"background": nb.Background(scatterers=(each,))}))
        for each in (line, one)
    ]
    return images[0] / images[1]


def test_nothing_changes_without_background_and_response() -> None:
    table = nb.StructureFactors.constant(10.0)
    plain, lit = (
        nb.simulate(experiment, table)
        for experiment in (FLAT, FLAT.replace({"background": EVERYTHING}))
    )
    assert plain.expected is None
    assert plain.variance is None
    assert plain.counts is None
    assert np.array_equal(plain.image, lit.image)
    beside = expected(FLAT.replace({"background": EVERYTHING}))
    np.testing.assert_allclose(lit.expected, lit.image + beside, rtol=1e-14)


NO_PART = (
    "experiment: got 'background.f...ons_per_pixel', need a path into a part that there is: "
    "background is None, give all of it"
)
BAD: dict[str, tuple[Any, str]] = {
    "equal abscissae": (
        lambda: nb.Scatterer((0.0, 0.1, 0.1), (1, 2, 3), 1.0),
        "scatterer.stol_per_angstrom[2]: got 0.1, need a value > that of the row before it, 0.1",
    ),
    "falling abscissae": (
        lambda: nb.RadialBackground((3.0, 2.0), (1, 2)),
        "radial.two_theta_deg[1]: got 2.0, need a value > that of the row before it, 3",
    ),
    "columns": (
        lambda: nb.Scatterer((0.0, 0.1), (1, 2, 3), 1.0),
        "scatterer.stol_per_angstrom: got 2, need as many rows as values, 3",
    ),
    "volume": (
        lambda: nb.Scatterer((0.0,), (1,), -1.0),
        "scatterer.volume_mm3: got -1.0 mm^3, need a finite value >= 0",
    ),
    "density": (
        lambda: nb.Scatterer((0.0,), (1,), 1.0, density_g_per_cm3=0.0),
        "scatterer.density_g_per_cm3: got 0.0 g/cm^3, need a finite value > 0",
    ),
    "flat": (
        lambda: nb.Background(flat_photons_per_pixel=-1.0),
        "background.flat_photons_per_pixel: got -1.0 photons, need a finite value >= 0",
    ),
    "box": (
        lambda: nb.BackgroundOffset(1.0, 5, 4),
        "offset.fast_max: got 4 px, need at least fast_min, 5",
    ),
    "resolution": (
        lambda: nb.Scatterer.from_resolution((2.0, 3.0, 2.0), (1, 2, 3), 1.0),
        "scatterer.stol_per_angstrom[2]: got 0.25, need a value > that of the row before it, 0.25",
    ),
    "panel": (
        lambda: FLAT.replace(
            {"background": nb.Background(offsets=(nb.BackgroundOffset(1.0, panel=1),))}
        ),
        "background.offsets[0].panel: got 1, need a panel of the detector, 0 to 0",
    ),
    "part": (
        lambda: FLAT.replace({"background.flat_photons_per_pixel": 1.0}),
        NO_PART,
    ),
}


@for_each("name", BAD)
def test_impossible_values(name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(nb.ConfigError) as caught:
        make()
    assert str(caught.value) == message


def test_resolution_is_another_abscissa() -> None:
    found = nb.Scatterer.from_resolution((2.0, 5.0, 4.0), (7.0, 9.0, 8.0), 2.0, 1.1, 20.0)
    assert found == nb.Scatterer((0.1, 0.125, 0.25), (9.0, 8.0, 7.0), 2.0, "intensity", 1.1, 20.0)


def test_json_and_replace() -> None:
    experiment = FLAT.replace({"background": EVERYTHING})
    assert nb.Experiment.from_json(experiment.to_json()) == experiment
    assert "background" not in FLAT.to_dict()
    assert nb.Experiment.from_dict({**FLAT.to_dict(), "background": None}) == FLAT
    brighter = experiment.replace({"background.flat_photons_per_pixel": 9.0})
    assert brighter.background is not None
    assert brighter.background.flat_photons_per_pixel == 9.0
    assert brighter.background.offsets == EVERYTHING.offsets
    data = experiment.to_dict()
    del data["background"]["scatterers"][0]["values"]
    with pytest.raises(nb.ConfigError, match=r"background.scatterers\[0\]: .*also the key values"):
        nb.Experiment.from_dict(data)


def test_no_words_for_it() -> None:
    with pytest.raises(nb.UnsupportedError, match="background: nanoBragg has no words for it"):
        FLAT.replace({"background": EVERYTHING}).to_nanobragg_args()
    with pytest.raises(nb.UnsupportedError, match="response: nanoBragg has no words for it"):
        FLAT.replace({"response": nb.Response()}).to_nanobragg_args()


def test_background_of_a_panel() -> None:
    offsets = tuple(nb.BackgroundOffset(float(n), panel=n % 2) for n in range(4))
    own = nb.Background(flat_photons_per_pixel=2.0, offsets=offsets).of_panel(1)
    wanted = (nb.BackgroundOffset(1.0), nb.BackgroundOffset(3.0))
    assert own == nb.Background(flat_photons_per_pixel=2.0, offsets=wanted)
