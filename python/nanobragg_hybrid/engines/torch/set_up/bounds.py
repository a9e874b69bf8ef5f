"""Counts that rules derive, bounded before anything is allocated: model 4.5, 5.1 and 5.2; and what
PyTorch cannot allocate all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch

from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError, Description, NanobraggError, ResourceError
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.engines.torch.scenes.pixels import pixel_counts
from nanobragg_hybrid.engines.torch.set_up.sampling import Sampling
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import Quirks

MOST_CHOSEN_OVERSAMPLE: Final = 32
"""An oversampling chosen by model 4.5 above this is worth a warning."""

MANY_STEPS: Final = 10**11
_MOST_STEPS: Final = 2**63
"""Steps of all layers and pixels that are worth a warning, and that would never end."""

_PHI_STEP_BYTES: Final = 64
_ORIENTATION_BYTES: Final = 240
_DOMAIN_BYTES: Final = 280
_DIRECTION_BYTES: Final = 40
_SOURCE_BYTES: Final = 224
_SAMPLE_BYTES: Final = 176
_RAY_BYTES: Final = 272
"""What a set-up and a render have at the same time for each of them, as measured for a million."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are of everything that a rule may derive.

    directions: grid points of the divergence, before those outside an ellipse are left out.
    sources: listed, or for each direction and wavelength.  samples, rays: of those pixels of which
    all have to be looked at together; 0 where they come in blocks.
    """

    phi_steps: int
    mosaic_domains: int
    directions: int
    sources: int
    oversample: int
    samples: int = 0
    rays: int = 0

    @classmethod
    def of(
        cls, experiment: Experiment, quirks: Quirks, sampling: Sampling, oversample: int
    ) -> Counts:
        """Those of an experiment; sources in excess of 32 bits are not multiplied further."""
        listed = experiment.beam.sources
        directions = sampling.divergence_h.count * sampling.divergence_v.count
        nodes = sampling.dispersion.count
        if experiment.beam.spectrum is not None:
            nodes = experiment.beam.spectrum.nodes
        sources = directions * nodes
        if directions > INT32_MAX:
            sources = INT32_MAX + 1
        if listed is not None:
            directions, sources = 0, experiment.beam.source_candidates
        settings, beam = experiment.sampling, experiment.beam
        samples = sampling.layers.count * oversample * oversample
        has_limit = settings.dmin_angstrom > 0.0
        # A pixel's first factor that is not 0 is looked for among all of them.
        searches = beam.polarization_correction and abs(beam.polarization_kahn) >= 1.0
        return cls(
            phi_steps=sampling.phi.count,
            mosaic_domains=sampling.mosaic_domains,
            directions=directions,
            sources=sources,
            oversample=oversample,
            samples=(
                samples if settings.oversample_omega or not quirks.first_subpixel_factors else 0
            ),
            rays=samples * sources if has_limit or searches else 0,
        )

    @classmethod
    def given(cls, experiment: Experiment) -> Counts:
        """Those that an experiment gives; of those that a rule derives, one."""
        return cls(
            phi_steps=experiment.goniometer.phi_steps or 1,
            mosaic_domains=experiment.crystal.given_domains or 1,
            directions=1,
            sources=experiment.beam.source_candidates,
            oversample=experiment.sampling.oversample or 1,
        )

    def steps(self) -> int:
        """Sources x mosaic domains x phi steps x sub-pixels.

        Raises `ConfigError` if that is no 32-bit number.
        """
        product = (
            self.sources * self.mosaic_domains * self.phi_steps * self.oversample * self.oversample
        )
        if product > INT32_MAX:
            raise ConfigError(
                "experiment",
                Description("a combination of values"),
                f"a product of at most {INT32_MAX} steps ({self.sources} sources * "
                f"{self.mosaic_domains} mosaic domains * {self.phi_steps} phi steps * "
                f"{self.oversample} * {self.oversample} sub-pixels)",
            )
        return product

    def memory_needed(self) -> dict[str, int]:
        """Bytes by what needs them; what there is only one of is not named."""
        parts = {}
        for count, what, each in (
            (self.phi_steps, "phi steps", _PHI_STEP_BYTES),
            (self.mosaic_domains, "mosaic domains", _DOMAIN_BYTES),
            (self.phi_steps * self.mosaic_domains, "orientations", _ORIENTATION_BYTES),
            (self.directions, "directions", _DIRECTION_BYTES),
            (self.sources, "sources", _SOURCE_BYTES),
            (self.samples, "sub-pixels of layers", _SAMPLE_BYTES),
            (self.rays, "sub-pixels of layers and sources", _RAY_BYTES),
        ):
            if count > 1:
                parts[f"{count} {what}"] = count * each
        return parts

    def require(self) -> None:
        """Raises `ConfigError` and `ResourceError` where there is too much of something."""
        self.steps()
        require_memory(self.memory_needed())


def require_an_end(steps: int, layers: int, pixels: int) -> int:
    """The steps of all layers and pixels.  Raises `ConfigError` if they would never end."""
    in_all = steps * layers * pixels
    if in_all > _MOST_STEPS:
        raise ConfigError(
            "experiment",
            Description("a combination of values"),
            f"a product of at most 2^63 ({steps} steps * {layers} sensor layers * {pixels} pixels)",
        )
    return in_all


def image_memory(experiment: Experiment, device: torch.device) -> dict[str, int]:
    """Bytes of what a render keeps for each pixel on the CPU; nothing on another device."""
    if device.type != "cpu":
        return {}
    pixels, active = pixel_counts(experiment)
    return {"float64 image": 8 * pixels, f"{active} pixel values": 8 * active}


@contextmanager
def allocation_errors() -> Iterator[None]:
    """Turns what PyTorch and numpy raise where memory ends into `ResourceError`."""
    try:
        yield
    except NanobraggError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ResourceError(str(error)) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        _, _, figures = str(error).partition("can't allocate memory: ")
        raise ResourceError(f"PyTorch cannot allocate memory: {figures}") from error
