"""The X-ray beam and its sources (model 2, 5.1, 5.2, 6.6)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from nanobragg_hybrid.base.constants import DEFAULT_FLUENCE_PHOTONS_PER_M2
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.model.conventions import DIVERGENCE_SHAPES, DivergenceShape
from nanobragg_hybrid.model.spectrum import Spectrum
from nanobragg_hybrid.model.validate import (
    COUNT,
    DIRECTION,
    FINITE,
    FLAG,
    NOT_NEGATIVE,
    POSITIVE,
    Choice,
    Instance,
    Items,
    Optional,
    Sequence,
    check_fields,
    meta,
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Source(Record):
    """One line of a source file (model 5.2).

    position: three coordinates x, y, z of the source seen from the sample, any unit; only the
        direction matters.  None for a coordinate: that of ten metres upstream.  Default all None.
    weight: relative weight, a finite value, default 1; see the quirk source_weights_ignored.
    wavelength_m: wavelength in metres, a finite value; None: the beam's.  0 is allowed, because
        nanoBragg allows it, and gives an image of infinities.
    """

    position: tuple[float | None, float | None, float | None] = field(
        default=(None, None, None), metadata=meta(Items(3, Optional(FINITE)))
    )
    weight: float = field(default=1.0, metadata=meta(FINITE))
    wavelength_m: float | None = field(default=None, metadata=meta(Optional(FINITE), "m"))

    def __post_init__(self) -> None:
        check_fields(self, "source")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Beam(Record):
    """The beam: wavelength, direction, polarization, divergence, dispersion, intensity.

    wavelength_angstrom: wavelength, angstrom, > 0, default 1 (model 2).
    direction: direction of travel b, three finite numbers, not all 0; None: the convention's
        (model 3).
    polarization_axis: axis p of the polarization, as `direction` (model 3, 6.6).
    polarization_kahn: Kahn factor, finite, default 0: 0 unpolarized, 1 along p, -1 across
        (model 6.6).
    polarization_correction: False: factor 1 everywhere; default True (model 6).
    divergence_h_mrad, divergence_v_mrad: full horizontal and vertical range, mrad, >= 0; None: by
        the rules of model 5.1.
    divergence_h_steps, divergence_v_steps: number of directions, >= 1; None: as above.
    divergence_h_step_mrad, divergence_v_step_mrad: distance of two directions, mrad, > 0; None: as
        above.
    divergence_shape: "round" (default) leaves out grid points outside an ellipse, "square" keeps
        all (model 5.2).
    dispersion_percent: full spectral range, percent of the wavelength, >= 0, default 0; None: not
        given, by the rules of model 5.1.
    dispersion_steps: number of wavelengths, >= 1; None: by the rules of model 5.1.
    sources: the sources themselves, at least one `Source`; None (default): made from divergence and
        dispersion, which otherwise have no effect (model 5.2).
    fluence_photons_per_m2: photons per square metre, >= 0, default 1.259e29 (model 2).
    flux_photons_per_s, exposure_s: photons per second, finite, default 0, and seconds, finite,
        default 1.  With the beam size they replace the fluence if flux != 0, exposure > 0 and beam
        size >= 0 (model 2).
    beam_size_mm: side of the square beam, mm, finite, default 0.1.  If >= 0 it also clips the
        crystal's size (model 2).
    spectrum: wavelengths and weights that every direction has, whether it is listed or of the
        divergence (model 5.2); None (default): one wavelength, or those of dispersion or sources.
        Beside it, neither dispersion nor a wavelength of a source may be given.
        `wavelength_angstrom` still scales an orientation matrix, chooses the oversampling and
        stands in headers; a plan warns where it is outside of the spectrum.
    """

    wavelength_angstrom: float = field(default=1.0, metadata=meta(POSITIVE, "angstrom"))
    direction: tuple[float, float, float] | None = field(
        default=None, metadata=meta(Optional(DIRECTION))
    )
    polarization_axis: tuple[float, float, float] | None = field(
        default=None, metadata=meta(Optional(DIRECTION))
    )
    polarization_kahn: float = field(default=0.0, metadata=meta(FINITE))
    polarization_correction: bool = field(default=True, metadata=meta(FLAG))
    divergence_h_mrad: float | None = field(
        default=None, metadata=meta(Optional(NOT_NEGATIVE), "mrad")
    )
    divergence_v_mrad: float | None = field(
        default=None, metadata=meta(Optional(NOT_NEGATIVE), "mrad")
    )
    divergence_h_steps: int | None = field(default=None, metadata=meta(Optional(COUNT)))
    divergence_v_steps: int | None = field(default=None, metadata=meta(Optional(COUNT)))
    divergence_h_step_mrad: float | None = field(
        default=None, metadata=meta(Optional(POSITIVE), "mrad")
    )
    divergence_v_step_mrad: float | None = field(
        default=None, metadata=meta(Optional(POSITIVE), "mrad")
    )
    divergence_shape: DivergenceShape = field(
        default="round", metadata=meta(Choice(DIVERGENCE_SHAPES))
    )
    dispersion_percent: float | None = field(
        default=0.0, metadata=meta(Optional(NOT_NEGATIVE), "%")
    )
    dispersion_steps: int | None = field(default=None, metadata=meta(Optional(COUNT)))
    sources: tuple[Source, ...] | None = field(
        default=None, metadata=meta(Optional(Sequence(Instance(Source))))
    )
    fluence_photons_per_m2: float = field(
        default=DEFAULT_FLUENCE_PHOTONS_PER_M2, metadata=meta(NOT_NEGATIVE, "photons/m^2")
    )
    flux_photons_per_s: float = field(default=0.0, metadata=meta(FINITE, "photons/s"))
    exposure_s: float = field(default=1.0, metadata=meta(FINITE, "s"))
    beam_size_mm: float = field(default=0.1, metadata=meta(FINITE, "mm"))
    spectrum: Spectrum | None = field(default=None, metadata=meta(Optional(Instance(Spectrum))))

    def __post_init__(self) -> None:
        check_fields(self, "beam")
        if self.spectrum is not None:
            self._require_no_other_wavelengths()

    def _require_no_other_wavelengths(self) -> None:
        """Raises `ConfigError` for another field beside the spectrum that gives wavelengths."""
        if self.dispersion_percent not in (None, 0.0):
            rule = "0 or None beside beam.spectrum"
            raise ConfigError("beam.dispersion_percent", self.dispersion_percent, rule, "%")
        if self.dispersion_steps is not None:
            rule = "None beside beam.spectrum"
            raise ConfigError("beam.dispersion_steps", self.dispersion_steps, rule)
        for number, source in enumerate(self.sources or ()):
            if source.wavelength_m is not None:
                name = f"beam.sources[{number}].wavelength_m"
                raise ConfigError(name, source.wavelength_m, "None beside beam.spectrum", "m")

    @property
    def source_candidates(self) -> int:
        """The sources given, or the grid points of those whose numbers are given, each with every
        wavelength of a spectrum (model 5.2)."""
        nodes = 1 if self.spectrum is None else self.spectrum.nodes
        if self.sources is not None:
            return len(self.sources) * nodes
        counts = (self.divergence_h_steps, self.divergence_v_steps, self.dispersion_steps)
        return math.prod(count or 1 for count in counts) * nodes
