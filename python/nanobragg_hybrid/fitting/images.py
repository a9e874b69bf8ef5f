"""The images of a fit, made ready: what is measured, what renders them, what they are moved by."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.fitting.blocks import coordinates_of
from nanobragg_hybrid.fitting.capture import capture_sizes, typical_scattering_vector
from nanobragg_hybrid.fitting.coordinates import Coordinates, Orientation
from nanobragg_hybrid.fitting.joint import of_image
from nanobragg_hybrid.fitting.likelihoods import Array, Likelihood
from nanobragg_hybrid.fitting.pixels import FitPixels, fit_pixels
from nanobragg_hybrid.fitting.read_out import Measured, checked_counts
from nanobragg_hybrid.fitting.search import N_CELLS, FitImage
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors

if TYPE_CHECKING:
    from nanobragg_hybrid.engines.torch.model import ForwardModel
    from nanobragg_hybrid.fitting.crystal_systems import CrystalSystem


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
    alone, counted = [], []
    for n, (experiment, own) in enumerate(zip(experiments, measured, strict=True)):
        with of_image(n, count):
            alone.append(experiment.of_only_panel(quirks))
            counted.append(checked_counts(own, alone[n], names, likelihood))
    # engines.torch first: it says what to install where there is no torch
    from nanobragg_hybrid.engines.torch.model import ForwardModel
    from nanobragg_hybrid.fitting.forward import TorchForward, TorchLight, TorchModel

    images: list[FitImage] = []
    every: list[Coordinates] = []
    systems: list[CrystalSystem | None] = []
    for n, (experiment, own, light) in enumerate(zip(alone, measured, counted, strict=True)):
        with of_image(n, count):
            model = ForwardModel(experiment, structure_factors, quirks)
            coordinates, used = coordinates_of(TorchModel(model), experiment, names, system)
            pixels = fit_pixels(
                experiment,
                model.setup.roi,
                light.counts,
                light.variance,
                own.boxes,
                own.mask,
                gain=light.gain,
                adc_offset=light.offset,
                growth=light.growth,
                bad=light.bad,
            )
            if likelihood == "poisson":
                _require_counts(pixels)
            values = coordinates.model_values(coordinates.start)
            columns = sum(value.size for value in values.values())
            beside = TorchLight(model, pixels) if _has_light(experiment) else None
            count_of_sources = pixels.count if beside is None else beside.select.count
            require_memory({"Jacobian and its copy": 16 * count_of_sources * columns})
            sizes = _capture_sizes(model, coordinates, pixels, capture_deg)
            if used != (systems or [used])[0]:
                what = Description(f"{used}, and {systems[0]} for image 0")
                rule = 'one system for all images: name it in place of "auto"'
                raise ConfigError("crystal_system", what, rule)
        forward = TorchForward(model, pixels, beside)
        own_light = beside if beside is not None and beside.has_background else None
        images.append(FitImage(experiment, forward, pixels, sizes, own_light))
        every.append(coordinates)
        systems.append(used)
    return Prepared(tuple(images), tuple(every), systems[0])


def _has_light(experiment: Experiment) -> bool:
    """Whether there is more than spots in pixels: a background, or a point spread."""
    response = experiment.response
    return experiment.background is not None or (
        response is not None and response.point_spread is not None
    )


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
