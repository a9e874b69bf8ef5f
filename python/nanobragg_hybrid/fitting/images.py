"""The images of a fit, made ready: what is measured, what renders them, what they are moved by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.fitting.blocks import Model, coordinates_of
from nanobragg_hybrid.fitting.capture import capture_sizes, typical_scattering_vector
from nanobragg_hybrid.fitting.coordinates import (
    SPOT_SCALES,
    Coordinates,
    Orientation,
)
from nanobragg_hybrid.fitting.image_problem import Beside, Forward
from nanobragg_hybrid.fitting.joint import of_image
from nanobragg_hybrid.fitting.likelihoods import Array, Likelihood
from nanobragg_hybrid.fitting.pixels import FitPixels, fit_pixels
from nanobragg_hybrid.fitting.read_out import Measured, checked_counts
from nanobragg_hybrid.fitting.search import N_CELLS, FitImage
from nanobragg_hybrid.fitting.spot_scales import ScaledForward, ScaledModel
from nanobragg_hybrid.fitting.stack import Stack, counts_of_image, without_panel
from nanobragg_hybrid.formats.measured.image import MeasuredImage
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.torch.model import ForwardModel
    from nanobragg_hybrid.engines.torch.panel_model import PanelModel
    from nanobragg_hybrid.fitting.crystal_systems import CrystalSystem


_WHOLE: Final = (0, 2**31, 0, 2**31)


class Prepared(NamedTuple):
    """images, with the coordinates of each alone, and the crystal system that cells among their
    parameters have."""

    images: tuple[FitImage, ...]
    coordinates: tuple[Coordinates, ...]
    system: CrystalSystem | None


def prepared_images(
    experiments: tuple[Experiment, ...],
    structure_factors: StructureFactors,
    quirks: Quirks,
    measured: list[Measured],
    names: tuple[str, ...],
    system: CrystalSystem | None,
    likelihood: Likelihood,
    capture_deg: float,
) -> Prepared:
    """All images; names: of parameters.  system: of the cell, None: see `coordinates_of`.

    Raises `ConfigError`, which names the image where there are several, and `ResourceError` for a
    Jacobian that does not fit into memory.
    """
    count = len(experiments)
    alone, counted, stacks, flats = [], [], [], []
    measured = list(measured)
    for n, (experiment, own) in enumerate(zip(experiments, measured, strict=True)):
        with of_image(n, count):
            stack = _stack(experiment)
            alone.append(experiment.of_only_panel(quirks) if stack is None else experiment)
            flats.append(alone[n] if stack is None else stack.experiment(experiment))
            measured[n] = _completed(own, experiment, stack)
            response = alone[n].response
            counted.append(
                checked_counts(measured[n], flats[n], response, stack, names, likelihood)
            )
            stacks.append(stack)
    # engines.torch first: it says what to install where there is no torch
    from nanobragg_hybrid.engines.torch.model import ForwardModel
    from nanobragg_hybrid.engines.torch.panel_model import PanelModel

    images: list[FitImage] = []
    every: list[Coordinates] = []
    systems: list[CrystalSystem | None] = []
    for n, (experiment, own, light) in enumerate(zip(alone, measured, counted, strict=True)):
        with of_image(n, count):
            stack = stacks[n]
            model: ForwardModel | PanelModel
            if stack is None:
                model = ForwardModel(experiment, structure_factors, quirks)
            else:
                model = PanelModel(experiment, structure_factors, quirks)
            pixels = fit_pixels(
                flats[n],
                _region(model),
                light.counts,
                light.variance,
                own.boxes,
                own.mask,
                gain=light.gain,
                adc_offset=light.offset,
                growth=light.growth,
                bad=light.bad,
                limits=light.limits,
            )
            if likelihood == "poisson":
                _require_counts(pixels)
            if _has_light(experiment):
                _refuse_spot_scales(names)
            known, forward, beside, sources = _models(model, pixels, stack)
            if SPOT_SCALES in names:
                known, forward = _scaled(known, forward, pixels)
            coordinates, used = coordinates_of(known, experiment, names, system)
            values = coordinates.model_values(coordinates.start)
            columns = sum(value.size for value in values.values())
            require_memory({"Jacobian and its copy": 16 * sources * columns})
            sizes = _capture_sizes(model, coordinates, pixels, stack, capture_deg)
            if used != (systems or [used])[0]:
                what = Description(f"{used}, and {systems[0]} for image 0")
                rule = 'one system for all images: name it in place of "auto"'
                raise ConfigError("crystal_system", what, rule)
        images.append(FitImage(experiment, forward, pixels, sizes, stack, beside))
        every.append(coordinates)
        systems.append(used)
    return Prepared(tuple(images), tuple(every), systems[0])


class _Models(NamedTuple):
    """known: what can be fitted.  forward: the signal.  beside: light beside it, None: none.
    sources: pixels whose light arrives in the fitted ones."""

    known: Model
    forward: Forward
    beside: Beside | None
    sources: int


def _models(model: ForwardModel | PanelModel, pixels: FitPixels, stack: Stack | None) -> _Models:
    """The model of an image, asked for the fitted pixels."""
    from nanobragg_hybrid.engines.torch.panel_model import PanelModel
    from nanobragg_hybrid.fitting.forward import TorchForward, TorchLight, TorchModel
    from nanobragg_hybrid.fitting.panel_light import PanelsBeside, PanelsLight
    from nanobragg_hybrid.fitting.panels import PanelsForward, PanelsModel

    if isinstance(model, PanelModel):
        assert stack is not None
        if not _has_light(model.models[0].setup.experiment):
            forward = PanelsForward(model, pixels, stack)
            return _Models(PanelsModel(model), forward, None, pixels.count)
        lights = PanelsLight(model, pixels, stack)
        beside = PanelsBeside(lights) if lights.has_background else None
        return _Models(PanelsModel(model), lights, beside, lights.source_count)
    if not _has_light(model.setup.experiment):
        return _Models(TorchModel(model), TorchForward(model, pixels), None, pixels.count)
    light = TorchLight(model, pixels)
    return _Models(
        TorchModel(model),
        TorchForward(model, pixels, light),
        light if light.has_background else None,
        light.select.count,
    )


def _has_light(experiment: Experiment) -> bool:
    """Whether there is more than spots in pixels: a background, or a point spread."""
    response = experiment.response
    return experiment.background is not None or (
        response is not None and response.point_spread is not None
    )


def _refuse_spot_scales(names: tuple[str, ...]) -> None:
    """Raises `ConfigError` for factors of boxes, which would act on scattered light, too."""
    if SPOT_SCALES in names:
        rule = "scale, where the experiment has a background or a point spread"
        raise ConfigError("parameters", SPOT_SCALES, rule)


def _stack(experiment: Experiment) -> Stack | None:
    """The panels of a detector of several, as one image."""
    if len(experiment.detector.shapes) == 1:
        return None
    return Stack.of(experiment.detector)


def _completed(own: Measured, experiment: Experiment, stack: Stack | None) -> Measured:
    """What is given, with what a measured image says itself, and panels stacked."""
    gain, offset = own.gain, own.adc_offset
    if isinstance(own.data, MeasuredImage):
        image = own.data
        data, mask = counts_of_image(image, own.mask, experiment)
        own = own._replace(data=data, mask=mask)
        if experiment.response is None:  # which says it
            gain = image.gain if gain is None else gain
            offset = image.pedestal if offset is None else offset
    if experiment.response is None:
        gain = 1.0 if gain is None else gain
        offset = 0.0 if offset is None else offset
    own = own._replace(gain=gain, adc_offset=offset)
    if stack is None:
        return own._replace(boxes=without_panel(own.boxes))
    return own._replace(
        data=stack.arrays("data", own.data, "arrays of real numbers"),
        mask=stack.mask(own.mask),
        boxes=stack.boxes(own.boxes),
        readout_variance=stack.number_or_arrays("readout_variance", own.readout_variance),
    )


def _region(model: ForwardModel | PanelModel) -> tuple[int, int, int, int]:
    """The region of interest; of a stack all of it, whose mask has those of the panels."""
    from nanobragg_hybrid.engines.torch.panel_model import PanelModel

    return _WHOLE if isinstance(model, PanelModel) else model.setup.roi


def _scaled(known: Model, forward: Forward, pixels: FitPixels) -> tuple[Model, Forward]:
    """The same with a factor for each box."""
    return ScaledModel(known, len(pixels.boxes)), ScaledForward(forward, pixels)


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
    model: ForwardModel | PanelModel,
    coordinates: Coordinates,
    pixels: FitPixels,
    stack: Stack | None,
    capture_deg: float,
) -> tuple[Array, ...]:
    if capture_deg == 0.0:
        return ()
    from nanobragg_hybrid.engines.torch.arithmetic.shapes import is_in_reciprocal_lengths

    if not coordinates.has(Orientation):
        raise ConfigError("capture_deg", capture_deg, "0 where no orientation is fitted", "deg")
    from nanobragg_hybrid.engines.torch.panel_model import PanelModel
    from nanobragg_hybrid.fitting.panels import mean_scattering_vector

    setup = model.models[0].setup if isinstance(model, PanelModel) else model.setup
    if setup.experiment.crystal.size_mm != (None, None, None):
        rule = "0 for a crystal with a size_mm: give n_cells, which the stages change"
        raise ConfigError("capture_deg", capture_deg, rule, "deg")
    n_cells = model.initial(N_CELLS).numpy()
    lengths = np.array(
        [
            1e10 * float(np.linalg.norm(np.array(vector, dtype=np.float64)))
            for vector in (setup.cell.a0, setup.cell.b0, setup.cell.c0)
        ]
    )
    if isinstance(model, PanelModel):
        assert stack is not None
        q = mean_scattering_vector(model, pixels, stack)
    else:
        q = typical_scattering_vector(setup.geometry, setup.wavelength_m, pixels.slow, pixels.fast)
    by_length = is_in_reciprocal_lengths(setup.experiment.crystal.shape)
    return capture_sizes(n_cells, lengths, capture_deg, q, in_reciprocal_lengths=by_length)
