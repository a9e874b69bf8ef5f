"""One call from an image and a guess to the experiment that explains it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, Description, NanobraggWarning
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.fitting.blocks import checked_names, checked_system, coordinates_of
from nanobragg_hybrid.fitting.capture import capture_sizes, typical_scattering_vector
from nanobragg_hybrid.fitting.coordinates import Coordinates, Orientation
from nanobragg_hybrid.fitting.information import INFORMATIONS, Information, observed
from nanobragg_hybrid.fitting.likelihoods import LIKELIHOODS, Array, Likelihood
from nanobragg_hybrid.fitting.minimise import Callback, Minimum, Reduced
from nanobragg_hybrid.fitting.options import (
    checked,
    checked_priors,
    checked_turn,
    photons_variance,
)
from nanobragg_hybrid.fitting.pixels import (
    BACKGROUNDS,
    Background,
    FitPixels,
    counts_of,
    fit_pixels,
)
from nanobragg_hybrid.fitting.result import Evaluations, FitResult, FittedNumber
from nanobragg_hybrid.fitting.search import N_CELLS, Search, random_starts
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import (
    COUNT,
    FINITE,
    INT32,
    NOT_NEGATIVE,
    POSITIVE,
    Choice,
    Optional,
    require_class,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from nanobragg_hybrid.engines.torch.model import ForwardModel
    from nanobragg_hybrid.fitting.crystal_systems import CrystalSystem
    from nanobragg_hybrid.fitting.forward import TorchForward
    from nanobragg_hybrid.model.mask import Mask


def fit(
    experiment: Experiment,
    structure_factors: StructureFactors,
    data: ArrayLike,
    parameters: Sequence[str] = ("crystal.misset_deg", "scale"),
    *,
    quirks: Quirks | None = None,
    boxes: ArrayLike | None = None,
    mask: ArrayLike | Mask | None = None,
    background: Background | None = None,
    likelihood: Likelihood = "poisson",
    gain: float = 1.0,
    adc_offset: float = 0.0,
    readout_variance: ArrayLike = 0.0,
    crystal_system: CrystalSystem | str | None = "auto",
    priors: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    capture_deg: float = 0.0,
    starts: int = 1,
    cone_deg: float = 1.0,
    seed: int = 1,
    max_iterations: int = 100,
    step_tolerance: float = 1e-3,
    information: Information = "expected",
    callback: Callback | None = None,
) -> FitResult:
    """Fits numbers of an experiment to a measured image.

    experiment: where to start.  structure_factors: the amplitudes, which stay.
    data: counts, shape (slow, fast), as read from the detector.
    parameters: names as `ForwardModel.parameters` lists them, and "scale", a factor on the beam's
        fluence.  ``crystal.misset_deg`` is moved by rotations, so no order of angles matters.
    quirks: None: all on.
    boxes: integers, shape (boxes, 4): slow_start, slow_stop, fast_start, fast_stop; a pixel counts
        in the first box it is in.  None: one box, the detector.  mask: False where a pixel does not
        count, shape (slow, fast).  The experiment's own mask and region of interest hold too.
    background: None, or "constant" or "plane": below the signal of each box, never negative, found
        together with the parameters.
    likelihood: "poisson" or "gaussian", the latter with the model's variance.
    gain: counts per photon, > 0.  adc_offset: counts without light.  readout_variance: of the
        read-out, counts^2, a number or one for each pixel.
    crystal_system: which numbers of the cell are free: "triclinic", "monoclinic" (b unique),
        "orthorhombic", "tetragonal", "rhombohedral", "hexagonal" (trigonal cells on hexagonal axes
        too), "cubic"; "auto": the one of most rules that the start obeys exactly; None: triclinic.
    priors: by parameter, what is known of it: (value, standard deviation), in its unit.
    capture_deg: how far off the orientation may be, degrees, at most 10.  Where that moves spots by
        more than their width, smaller crystals, which have wider spots, are fitted first.
    starts: number of orientations to start from: the experiment's, and random ones up to cone_deg
        degrees away, at most 10; the best are refined, the best of these is the result.  seed: of
        these.
    max_iterations: trial steps at most.  step_tolerance: it has converged where the next step would
        be shorter, in units of standard deviations.
    information: what the covariance is the inverse of: "expected" (Fisher's; no further cost) or
        "observed" (the second derivatives with these data, by two Jacobians for each number).
    callback: called with an `Iteration` after each trial step; the fit stops if it returns False.

    Warns (`NanobraggWarning`) if it has not converged, and for numbers that the data do not
    determine.  Raises `ConfigError` for what breaks a rule, and where the model is no number or has
    no light where the data have; `ResourceError` for a Jacobian that does not fit into memory;
    `UnsupportedError` for an experiment with a background or a response; `BackendError` without
    PyTorch.
    """
    require_class("experiment", experiment, Experiment)
    require_class("structure_factors", structure_factors, StructureFactors)
    quirks = Quirks() if quirks is None else quirks
    require_class("quirks", quirks, Quirks)
    names = checked_names(parameters)
    system = checked_system(crystal_system, names)
    checked("likelihood", likelihood, Choice(LIKELIHOODS))
    checked("background", background, Optional(Choice(BACKGROUNDS)))
    counts_per_photon: float = checked("gain", gain, POSITIVE, "counts/photon")
    offset: float = checked("adc_offset", adc_offset, FINITE, "counts")
    capture = checked_turn("capture_deg", capture_deg, NOT_NEGATIVE)
    checked("starts", starts, COUNT)
    checked_turn("cone_deg", cone_deg, POSITIVE)
    checked("seed", seed, INT32)
    checked("max_iterations", max_iterations, COUNT)
    checked("step_tolerance", step_tolerance, POSITIVE)
    checked("information", information, Choice(INFORMATIONS))
    if callback is not None and not callable(callback):
        raise ConfigError("callback", callback, "a function of an Iteration, or None")

    experiment = experiment.of_only_panel(quirks)
    shape = experiment.detector.shape
    photons = (counts_of(data, shape) - offset) / counts_per_photon
    variance = photons_variance(readout_variance, counts_per_photon, shape)

    # engines.torch first: it says what to install where there is no torch
    from nanobragg_hybrid.engines.torch.model import ForwardModel
    from nanobragg_hybrid.fitting.forward import TorchForward, TorchModel

    model = ForwardModel(experiment, structure_factors, quirks)
    coordinates, used_system = coordinates_of(TorchModel(model), experiment, names, system)
    pixels = fit_pixels(experiment, model.setup.roi, photons, variance, boxes, mask)
    if likelihood == "poisson":
        _require_counts(pixels)
    columns = sum(value.size for value in coordinates.model_values(coordinates.start).values())
    require_memory({"Jacobian and its weighted copy": 16 * pixels.count * columns})
    forward = TorchForward(model, pixels)
    search = Search(
        forward,
        coordinates,
        pixels,
        likelihood,
        background,
        checked_priors(priors, names, coordinates),
        experiment,
        _capture_sizes(model, coordinates, pixels, capture),
        max_iterations,
        step_tolerance,
        callback,
    )
    minimum = search.run(random_starts(coordinates, starts, cone_deg, seed))
    quadratic = minimum.quadratic
    if information == "observed" and not minimum.stopped:
        quadratic = observed(search.problem(), minimum.state, quadratic)
    reduced = Reduced(quadratic, minimum.state.background)
    result = _result(search, minimum, reduced, used_system, forward)
    if not minimum.stopped:
        _warn(result)
    return result


def _require_counts(pixels: FitPixels) -> None:
    """Raises `ConfigError` for photons < 0 that no read-out noise explains."""
    bad = (pixels.photons < 0.0) & (pixels.variance == 0.0)
    if bad.any():
        n = int(np.argmax(bad))
        where = f"slow {pixels.slow[n]}, fast {pixels.fast[n]}"
        what = Description(f"{pixels.photons[n]:g} photons at {where}")
        rule = "photons >= 0 without a readout_variance (is adc_offset right?)"
        raise ConfigError("data", what, rule)


def _capture_sizes(
    model: ForwardModel, coordinates: Coordinates, pixels: FitPixels, capture_deg: float
) -> tuple[Array, ...]:
    if capture_deg == 0.0:
        return ()
    from nanobragg_hybrid.engines.torch.shapes import is_in_reciprocal_lengths

    if not coordinates.has(Orientation):
        raise ConfigError("capture_deg", capture_deg, "0 where no orientation is fitted", "deg")
    if model.setup.experiment.crystal.size_mm != (None, None, None):
        rule = "0 for a crystal with a size_mm: give n_cells, which the stages change"
        raise ConfigError("capture_deg", capture_deg, rule, "deg")
    setup = model.setup
    n_cells = model.initial(N_CELLS).numpy()
    lengths = np.array(
        [
            1e10 * float(np.linalg.norm(np.array(vector, dtype=np.float64)))
            for vector in (setup.cell.a0, setup.cell.b0, setup.cell.c0)
        ]
    )
    q = typical_scattering_vector(setup.geometry, setup.wavelength_m, pixels)
    by_length = is_in_reciprocal_lengths(model.setup.experiment.crystal.shape)
    return capture_sizes(n_cells, lengths, capture_deg, q, in_reciprocal_lengths=by_length)


def _result(
    search: Search,
    minimum: Minimum,
    reduced: Reduced,
    system: CrystalSystem | None,
    forward: TorchForward,
) -> FitResult:
    coordinates, x = search.coordinates, minimum.state.x
    covariance, lost = reduced.covariance()
    slopes = coordinates.slopes(x)
    covariance = slopes @ covariance @ slopes.T
    unknown = np.abs(slopes[:, lost]).sum(axis=1) > 0.0
    covariance[unknown, unknown] = np.inf
    pixels = search.pixels
    known = int(np.isfinite(search.priors.sigma).sum())
    scale = float(np.exp(coordinates.log_scale(x)))
    return FitResult(
        experiment=coordinates.experiment(x, search.experiment),
        parameters=_numbers(coordinates, x, np.sqrt(np.diagonal(covariance))),
        covariance=covariance,
        likelihood=search.likelihood,
        crystal_system=system,
        deviance=minimum.quadratic.value,
        degrees_of_freedom=pixels.count + known - coordinates.size - minimum.state.background.size,
        scale=scale,
        background=minimum.state.background,
        model=minimum.quadratic.expected,
        converged=minimum.converged,
        reason=minimum.reason,
        trace=minimum.trace,
        evaluations=Evaluations(forward.images, forward.jacobians),
        fitted=pixels,
    )


def _numbers(coordinates: Coordinates, x: Array, esds: Array) -> tuple[FittedNumber, ...]:
    ends, begins = coordinates.numbers(x), coordinates.numbers(coordinates.start)
    numbers: list[FittedNumber] = []
    for block in coordinates.blocks:
        for index in range(block.numbers(block.start).size):
            n = len(numbers)
            end, begin, esd = float(ends[n]), float(begins[n]), float(esds[n])
            numbers.append(FittedNumber(block.name, index, block.unit, end, begin, esd))
    return tuple(numbers)


def _warn(result: FitResult) -> None:
    """What a user should not overlook."""
    if not result.converged:
        text = f"the fit has not converged: {result.reason}"
        warnings.warn(text, NanobraggWarning, stacklevel=3)
    lost = [f"{each.name}[{each.index}]" for each in result.parameters if np.isinf(each.esd)]
    if lost:
        text = f"the data do not determine {', '.join(lost)}: fit fewer numbers, or give priors"
        warnings.warn(text, NanobraggWarning, stacklevel=3)
