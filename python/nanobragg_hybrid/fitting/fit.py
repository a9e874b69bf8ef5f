"""One call from images and guesses to the experiments that explain them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, NanobraggWarning
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.fitting.blocks import checked_names, checked_system
from nanobragg_hybrid.fitting.coordinates import Coordinates
from nanobragg_hybrid.fitting.images import prepared_images
from nanobragg_hybrid.fitting.information import INFORMATIONS, Information, observed
from nanobragg_hybrid.fitting.joint import Joint, checked_shared
from nanobragg_hybrid.fitting.likelihoods import LIKELIHOODS, Array, Likelihood
from nanobragg_hybrid.fitting.minimise import Callback, Minimum, Reduced
from nanobragg_hybrid.fitting.options import (
    LARGEST_CONE_DEG,
    checked,
    checked_priors,
    checked_turn,
    for_each_image,
)
from nanobragg_hybrid.fitting.pixels import BACKGROUNDS, Background
from nanobragg_hybrid.fitting.read_out import Measured
from nanobragg_hybrid.fitting.result import Evaluations, FitResult, FittedImage, FittedNumber
from nanobragg_hybrid.fitting.search import Search, Starts
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import (
    COUNT,
    INT32,
    NOT_NEGATIVE,
    POSITIVE,
    Choice,
    Optional,
    require_class,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from nanobragg_hybrid.fitting.crystal_systems import CrystalSystem
    from nanobragg_hybrid.formats.measured.image import MeasuredImage
    from nanobragg_hybrid.model.mask import Mask


def fit(
    experiment: Experiment | Sequence[Experiment],
    structure_factors: StructureFactors,
    data: ArrayLike | MeasuredImage | Sequence[ArrayLike | MeasuredImage | Sequence[ArrayLike]],
    parameters: Sequence[str] = ("crystal.misset_deg", "scale"),
    *,
    quirks: Quirks | None = None,
    boxes: ArrayLike | Sequence[ArrayLike | None] | None = None,
    mask: ArrayLike | Mask | Sequence[ArrayLike | Mask | None] | None = None,
    background: Background | None = None,
    likelihood: Likelihood = "poisson",
    gain: float | Sequence[float] | None = None,
    adc_offset: float | Sequence[float] | None = None,
    readout_variance: ArrayLike | Sequence[ArrayLike] = 0.0,
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
    shared: Sequence[str] | None = None,
) -> FitResult:
    """Fits numbers of an experiment to a measured image, or of several to as many images.

    experiment: where to start.  structure_factors: the amplitudes, which stay.
        Its background and response, if it has them, belong to the model.
    data: counts, shape (slow, fast), as read from the detector; of a detector of several panels a
        list with an array for each; or a `MeasuredImage`, whose masks hold as well, and whose gain
        and pedestal, where it has them and they are not given.
        Several images: a list of experiments, and a list of data.  Then boxes, mask, gain,
        adc_offset and readout_variance may be lists with one for each image; what is no list holds
        for all.
    parameters: names as `ForwardModel.parameters` lists them, and "scale", a factor on the beam's
        fluence, or "spot_scales", one on the signal of each box.  ``crystal.misset_deg`` is moved
        by rotations, so no order of angles matters.  Of several panels: names as
        `PanelModel.parameters` lists them; ``detector.shift_mm`` moves them all.  Numbers of the
        experiment's background go by the names of `ForwardModel.expected_initial`; the response is
        fixed.
    quirks: None: all on.
    boxes: integers, shape (boxes, 4): slow_start, slow_stop, fast_start, fast_stop; a pixel counts
        in the first box it is in.  Of several panels shape (boxes, 5), the panel in front, as
        `Spots.boxes` makes them.  None: one box, the detector, or each panel.  mask: False where a
        pixel does not count, shape (slow, fast), or a list with one for each panel.  The
        experiment's own masks and regions of interest hold too.
    background: None, or "constant" or "plane": below the signal of each box, never negative, found
        together with the parameters.
    likelihood: "poisson" or "gaussian", the latter with the model's variance.
    gain: counts per photon, > 0; None: 1.  adc_offset: counts without light; None: 0.
        readout_variance: of the read-out, counts^2, a number or one for each pixel.  An experiment
        with a response says all three, which pixels are bad, and do not count, and where counts are
        cut off: there the likelihood is the probability of what is there or beyond.
    crystal_system: which numbers of the cell are free: "triclinic", "monoclinic" (b unique),
        "orthorhombic", "tetragonal", "rhombohedral", "hexagonal" (trigonal cells on hexagonal axes
        too), "cubic"; "auto": the one of most rules that the start obeys exactly; None: triclinic.
    priors: by parameter, what is known of it: (value, standard deviation), in its unit; of one that
        is each image's own, for each.
    capture_deg: how far off the orientation may be, degrees, at most 10.  Where that moves spots by
        more than their width, smaller crystals, which have wider spots, are fitted first.
    starts: number of orientations to start from: the experiment's, and random ones up to cone_deg
        degrees away, at most 180; the best are refined, the best of these is the result.  seed: of
        these.
    max_iterations: trial steps at most.  step_tolerance: it has converged where the next step would
        be shorter, in units of standard deviations.
    information: what the covariance is the inverse of: "expected" (Fisher's; no further cost) or
        "observed" (the second derivatives with these data, by two Jacobians for each number).
    callback: called with an `Iteration` after each trial step; the fit stops if it returns False.
    shared: of several images, which parameters are the same numbers in all of them, which have to
        start from the same ones; the others each image has of its own.  None: all but missetting,
        rotation vector, scale, fluence, phi and oscillation.

    Warns (`NanobraggWarning`) if it has not converged, and for numbers that the data do not
    determine.  Raises `ConfigError` for what breaks a rule, and where the model is no number or has
    no light where the data have; `ResourceError` for a Jacobian that does not fit into memory;
    `BackendError` without PyTorch.
    """
    is_joint = isinstance(experiment, list | tuple)
    experiments = tuple(experiment) if isinstance(experiment, list | tuple) else (experiment,)
    if not experiments:
        raise ConfigError("experiment", experiment, "an Experiment, or a list of them")
    for n, each in enumerate(experiments):
        require_class(f"experiment[{n}]" if is_joint else "experiment", each, Experiment)
    require_class("structure_factors", structure_factors, StructureFactors)
    quirks = Quirks() if quirks is None else quirks
    require_class("quirks", quirks, Quirks)
    names = checked_names(parameters)
    system = checked_system(crystal_system, names)
    checked("likelihood", likelihood, Choice(LIKELIHOODS))
    checked("background", background, Optional(Choice(BACKGROUNDS)))
    capture = checked_turn("capture_deg", capture_deg, NOT_NEGATIVE)
    checked("starts", starts, COUNT)
    checked_turn("cone_deg", cone_deg, POSITIVE, LARGEST_CONE_DEG)
    checked("seed", seed, INT32)
    checked("max_iterations", max_iterations, COUNT)
    checked("step_tolerance", step_tolerance, POSITIVE)
    checked("information", information, Choice(INFORMATIONS))
    if callback is not None and not callable(callback):
        raise ConfigError("callback", callback, "a function of an Iteration, or None")
    count = len(experiments)
    common = checked_shared(shared, names, count if is_joint else None)
    given = [
        for_each_image(name, value, count, dimensions, one_for_all=name != "data")
        if is_joint
        else [value]
        for name, value, dimensions in (
            ("data", data, 2),
            ("boxes", boxes, 2),
            ("mask", mask, 2),
            ("gain", gain, 0),
            ("adc_offset", adc_offset, 0),
            ("readout_variance", readout_variance, 2),
        )
    ]
    measured = [Measured(*values) for values in zip(*given, strict=True)]
    images = prepared_images(
        experiments, structure_factors, quirks, measured, names, system, likelihood, capture
    )
    joint = Joint(images.coordinates, common if is_joint else frozenset(names))
    size = joint.every.size
    require_memory({"matrices of all coordinates": 4 * 8 * size * size})
    search = Search(
        images.images,
        joint,
        likelihood,
        background,
        checked_priors(priors, joint.every),
        max_iterations,
        step_tolerance,
        callback,
    )
    minimum, reached = search.run(Starts(starts, cone_deg, seed))
    quadratic = minimum.quadratic
    if information == "observed" and not minimum.stopped:
        quadratic = observed(search.problem(), minimum.state, quadratic)
    reduced = Reduced(quadratic, minimum.state.background)
    result = _result(search, minimum, reached, reduced, images.system)
    if not minimum.stopped:
        _warn(result)
    return result


def _result(
    search: Search,
    minimum: Minimum,
    joint: Joint,
    reduced: Reduced,
    system: CrystalSystem | None,
) -> FitResult:
    x = minimum.state.x
    covariance, lost = reduced.covariance()
    slopes = joint.every.slopes(x)
    covariance = slopes @ covariance @ slopes.T
    unknown = np.abs(slopes[:, lost]).sum(axis=1) > 0.0
    covariance[unknown, unknown] = np.inf
    known = int(np.isfinite(search.priors.sigma).sum())
    measured = sum(image.pixels.count - image.pixels.cut_count for image in search.images)
    free = joint.every.size + sum(own.size for own in minimum.state.background)
    parts = zip(
        search.images,
        joint.images,
        joint.parts(x),
        minimum.state.background,
        minimum.quadratic.images,
        strict=True,
    )
    images = tuple(
        FittedImage(
            experiment=coordinates.experiment(own, image.experiment),
            deviance=found.value,
            scale=float(np.exp(coordinates.log_scale(own))),
            background=background,
            model=found.expected,
            fitted=image.pixels,
            stack=image.stack,
        )
        for image, coordinates, own, background, found in parts
    )
    return FitResult(
        images=images,
        parameters=_numbers(joint, x, np.sqrt(np.diagonal(covariance))),
        covariance=covariance,
        likelihood=search.likelihood,
        crystal_system=system,
        deviance=minimum.quadratic.value,
        degrees_of_freedom=measured + known - free,
        converged=minimum.converged,
        reason=minimum.reason,
        trace=minimum.trace,
        evaluations=Evaluations(
            sum(image.forward.images for image in search.images),
            sum(image.forward.jacobians for image in search.images),
        ),
    )


def _numbers(joint: Joint, x: Array, esds: Array) -> tuple[FittedNumber, ...]:
    coordinates: Coordinates = joint.every
    ends, begins = coordinates.numbers(x), coordinates.numbers(coordinates.start)
    numbers: list[FittedNumber] = []
    for block, image in zip(coordinates.blocks, joint.owners, strict=True):
        for index in range(block.numbers(block.start).size):
            n = len(numbers)
            end, begin, esd = float(ends[n]), float(begins[n]), float(esds[n])
            numbers.append(FittedNumber(block.name, index, block.unit, end, begin, esd, image))
    return tuple(numbers)


def _warn(result: FitResult) -> None:
    """What a user should not overlook."""
    overloads = sum(image.fitted.overloads for image in result.images)
    if overloads:
        text = (
            f"pixels that show the largest number of their integer type: {overloads}; they are "
            "left out as overloads or gaps (give a mask, or a response)"
        )
        warnings.warn(text, NanobraggWarning, stacklevel=3)
    if result.degrees_of_freedom <= 0:
        text = (
            f"{result.degrees_of_freedom} degrees of freedom: there are no more pixels that are "
            "not cut off, and priors, than fitted numbers; deviance and e.s.d.s mean nothing"
        )
        warnings.warn(text, NanobraggWarning, stacklevel=3)
    if not result.converged:
        text = f"the fit has not converged: {result.reason}"
        warnings.warn(text, NanobraggWarning, stacklevel=3)
    lost = [
        f"{each.name}[{each.index}]" + ("" if each.image is None else f" of image {each.image}")
        for each in result.parameters
        if np.isinf(each.esd)
    ]
    if lost:
        text = f"the data do not determine {', '.join(lost)}: fit fewer numbers, or give priors"
        warnings.warn(text, NanobraggWarning, stacklevel=3)
