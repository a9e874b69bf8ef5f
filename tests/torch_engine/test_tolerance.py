"""Steps that are left out within a tolerance: values, derivatives, and what is said of them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from realistic_experiments import COMPACT, SHAPES, realistic_experiment
from with_torch import torch

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel, Selection, TorchEngine
from nanobragg_hybrid.engines.torch.compiled.bridge import COUNTED, Visits

NAMES = (
    "crystal.cell_angstrom",
    "crystal.misset_deg",
    "detector.distance_mm",
    "beam.fluence_photons_per_m2",
)


def shot(shape: str = "gauss_hkl", rows: int = 64, **sampling: object) -> nb.Experiment:
    """A spot of some hundred photons in 40 steps a pixel, most of which are dark."""
    return nb.Experiment(
        beam=nb.Beam(
            wavelength_angstrom=1.3,
            dispersion_percent=0.4,
            dispersion_steps=5,
            fluence_photons_per_m2=1e26,
        ),
        crystal=nb.Crystal(
            cell_angstrom=(79, 79, 38),
            misset_deg=(11, 22, 33),
            n_cells=(20, 20, 40),
            shape=shape,
            mosaic_spread_deg=0.1,
            mosaic_domains=8,
        ),
        detector=nb.Detector(distance_mm=120, pixel_size_mm=0.06, n_fast=261, n_slow=256),
        sampling=nb.Sampling(**{"oversample": 1, "roi": (97, 165, 97, 96 + rows), **sampling}),
    )


FACTORS = nb.StructureFactors.constant(100.0)


def model_of(tolerance: float, shape: str = "gauss_hkl", **options: object) -> ForwardModel:
    """A model of the shot."""
    return ForwardModel(shot(shape), FACTORS, tolerance_photons=tolerance, **options)


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """PyTorch's number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def counted_in(visits: Visits) -> Iterator[None]:
    """The steps of what is rendered meanwhile."""
    token = COUNTED.set(visits)
    try:
        yield
    finally:
        COUNTED.reset(token)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_no_pixel_differs_by_more(shape: str, dtype: str) -> None:
    """Realistic experiments at random, whole and some pixels in any order; rounding is that of
    sums in another order, and in float32 one unit in the last place besides."""
    random = np.random.default_rng(SHAPES.index(shape))
    visits = Visits()
    for _ in range(4):
        experiment, factors, quirks = realistic_experiment(random, shape)
        tolerance = float(10 ** random.uniform(-6, 2))
        models = [
            ForwardModel(experiment, factors, quirks, dtype, tolerance_photons=own)
            for own in (0.0, tolerance)
        ]
        every = models[0].pixels()
        with counted_in(visits):
            some = models[1].pixels()
        finite = every.isfinite()
        assert torch.equal(finite, some.isfinite())
        every, some = every[finite].to(torch.float64), some[finite].to(torch.float64)
        rounding = every.abs() * (2.5e-7 if dtype == "float32" else 1e-12)
        assert bool(((every - some).abs() <= tolerance + rounding).all())
        assert bool((every - some >= -rounding).all())  # darker, never brighter
    if shape in COMPACT:
        assert visits.visited < 0.75 * visits.every


@pytest.mark.parametrize("shape", ["gauss_hkl", "tophat_hkl", "round", "square"])
@pytest.mark.parametrize("tolerance", [1e-3, 0.1, 3.0, 50.0])
def test_no_pixel_of_a_spot_differs_by_more(shape: str, tolerance: float) -> None:
    """Where something is left out of shapes whose tails reach far, too."""
    visits = Visits()
    every = model_of(0.0, shape)()
    with counted_in(visits):
        some = model_of(tolerance, shape)()
    assert float((every - some).abs().max()) <= tolerance + 1e-12 * float(every.max())
    assert float(every.max()) > 100.0
    if tolerance > 1.0 or shape in COMPACT:
        assert visits.visited < 0.9 * visits.every


def test_pixels_of_a_selection_come_in_its_order() -> None:
    """Neighbours are put next to each other, and back."""
    model = model_of(1e-3)
    random = np.random.default_rng(2)
    slow, fast = random.integers(97, 161, 900), random.integers(97, 166, 900)
    image = model()
    picked = model.pixels(select=Selection(slow=slow, fast=fast))
    assert float(picked.max()) > 1.0
    assert bool(((image[slow, fast] - picked).abs() <= 1e-3).all())


def test_nothing_is_left_out_without_a_tolerance() -> None:
    """The same bits as without the argument, derivatives too."""
    found = []
    for model in (ForwardModel(shot(), FACTORS), model_of(0.0)):
        values = {name: model.initial(name).requires_grad_() for name in NAMES}
        image = model(values)
        image.sum().backward()
        found.append([image.detach(), *(value.grad for value in values.values())])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("shape", ["gauss_hkl", "gauss", "round", "square", "tophat"])
def test_number_of_threads_changes_no_bit(shape: str) -> None:
    """Values, gradients, Jacobians and tangents on 1, 2 and 7 threads."""
    model = model_of(1e-2, shape)
    found = []
    for threads in (1, 2, 7):
        with on_threads(threads):
            values = {name: model.initial(name).requires_grad_() for name in NAMES}
            image = model(values)
            image.sum().backward()
            own, rows = model.jacobian(None, NAMES)
            found.append([image.detach(), own, rows, *(v.grad for v in values.values())])
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert torch.equal(one, other)


def test_all_ways_leave_out_the_same_steps() -> None:
    """The Jacobian's values are the image's; its columns added up are the gradient, and the
    tangent is its product with the change."""
    model = model_of(1e-2)
    cell = model.initial(NAMES[0]).requires_grad_()
    image = model({NAMES[0]: cell})
    image.sum().backward()
    assert cell.grad is not None
    values, rows = model.jacobian(None, [NAMES[0]])
    assert torch.allclose(values, model.pixels().detach(), rtol=1e-12, atol=1e-12)
    assert torch.allclose(rows.sum(0), cell.grad, rtol=1e-9)
    change = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    _, tangent = torch.func.jvp(lambda x: model.pixels({NAMES[0]: x}), (cell.detach(),), (change,))
    assert torch.allclose(tangent, rows @ change, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("tolerance", [1e-6, 1e-4, 1e-2])
def test_derivatives_lack_those_of_the_steps_left_out(tolerance: float) -> None:
    """By the fluence they lack the tolerance over it.  Of a Gaussian beyond the distance r from a
    reflection, in units of its weights w, the derivative by an index is the term times
    4 r w fudge / 0.63 at most, which falls; h changes by h / a with a, less than 1 / wavelength."""
    exact, left_out = model_of(0.0), model_of(tolerance)
    names = ["beam.fluence_photons_per_m2", "crystal.cell_angstrom"]
    _, every = exact.jacobian(None, names)
    _, some = left_out.jacobian(None, names)
    differences = (every - some).abs()
    assert 0.0 < float(differences[:, 0].max()) <= tolerance / 1e26
    r = np.sqrt(0.63 / 2 * np.log(1e26 * 7.9e-30 * (100 * 20 * 20 * 40) ** 2 / tolerance))
    n_cells, wavelength = 40.0, 1.3
    bound = tolerance * 4.0 * r * n_cells / 0.63 / wavelength
    assert 0.0 < float(differences[:, 1].max()) <= bound
    relative = torch.linalg.norm(every - some, dim=0) / torch.linalg.norm(every, dim=0)
    assert float(relative.max()) < 10.0 * tolerance


def test_members_of_a_batch_have_the_tolerance_each() -> None:
    """A dark one beside a bright one."""
    tolerance = 1e-2
    fluence = torch.tensor([1e22, 1e26, 0.0], dtype=torch.float64)
    name = "beam.fluence_photons_per_m2"
    every, some = (model_of(own)({name: fluence}) for own in (0.0, tolerance))
    assert float(every[1].max()) > 10.0
    assert bool(((every - some).abs() <= tolerance).all())
    assert bool((some[2] == 0.0).all())


@pytest.mark.parametrize(
    ("experiment", "options", "reason"),
    [
        (shot(), {"tolerance_photons": 1e-3}, ""),
        (shot(), {}, "tolerance_photons is 0"),
        (
            shot(rows=4),
            {"tolerance_photons": 1e-3, "kernel": "eager"},
            "the eager kernel visits every step",
        ),
        (
            shot(oversample_omega=True),
            {"tolerance_photons": 1e-3},
            "oversample options multiply the whole sum at every step",
        ),
    ],
)
def test_provenance_tells_what_was_visited(
    experiment: nb.Experiment, options: dict[str, object], reason: str
) -> None:
    """The share, the tolerance, and why nothing was left out."""
    run = TorchEngine(**options).prepare(experiment, FACTORS, nb.Quirks())  # type: ignore[arg-type]
    culling = run.render(threads=1, progress=None, unrounded=False).provenance["culling"]
    assert culling["reason"] == reason
    assert culling["tolerance_photons"] == options.get("tolerance_photons", 0.0)
    assert (0.0 < culling["share_visited"] < 0.5) if reason == "" else culling["share_visited"] == 1


def test_a_pixel_of_which_every_step_has_light_says_so() -> None:
    """Bounds are made, and leave out nothing there."""
    changes = {"crystal.mosaic_spread_deg": 1e-4, "beam.dispersion_percent": 1e-5}
    alike = shot().replace(changes)
    image = nb.simulate(alike, FACTORS, backend=TorchEngine()).image
    slow, fast = (int(n) for n in np.unravel_index(np.argmax(image), image.shape))
    brightest = alike.replace({"sampling.roi": (fast, fast, slow, slow)})
    engine = TorchEngine(tolerance_photons=1e-3)
    culling = nb.simulate(brightest, FACTORS, backend=engine).provenance["culling"]
    assert culling["share_visited"] == 1.0
    assert culling["reason"] == "nearly all steps may have light"


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf"), True, "1"])
def test_a_tolerance_is_a_finite_number(tolerance: object) -> None:
    """The error names it."""
    with pytest.raises(nb.ConfigError, match=r"tolerance_photons.*finite"):
        ForwardModel(shot(), FACTORS, tolerance_photons=tolerance)  # type: ignore[arg-type]


def test_it_is_pickled() -> None:
    """With its tolerance."""
    again = pickle.loads(pickle.dumps(model_of(0.25)))
    assert again.tolerance_photons == 0.25


def test_light_that_nothing_reaches_keeps_its_derivative() -> None:
    """A fluence of 0: all is dark, but its derivative is the image of a fluence of 1."""
    name = "beam.fluence_photons_per_m2"
    gradients = []
    for tolerance in (0.0, 1.0):
        fluence = torch.zeros((), dtype=torch.float64, requires_grad=True)
        model_of(tolerance)({name: fluence}).sum().backward()
        gradients.append(fluence.grad)
    assert float(gradients[0]) > 0.0
    assert torch.allclose(*gradients, rtol=1e-12, atol=0.0)
