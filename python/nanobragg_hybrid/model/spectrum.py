"""The wavelengths of a beam and their weights (model 5.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field
from typing import Any, Final

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.base.units import angstrom_to_m, energy_ev_to_wavelength_angstrom
from nanobragg_hybrid.model.validate import (
    COUNT,
    INT32,
    NOT_NEGATIVE,
    POSITIVE,
    Optional,
    Rule,
    Sequence,
    check_fields,
    meta,
)

PLANCK_EV_FS: Final = 4.135667696
"""Planck's constant, eV fs."""

_FWHM_PER_SIGMA: Final = 2.0 * math.sqrt(2.0 * math.log(2.0))
_EMITTERS: Final = 512
"""Of a SASE pulse: enough for intensities that fluctuate like those of many."""

_SAMPLES_PER_SPIKE: Final = 4
_MOST_SAMPLES: Final = 2**17


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Spectrum(Record):
    """Wavelengths and their weights, for every direction of a beam (`Beam.spectrum`; model 5.2).

    >>> import nanobragg_hybrid as nb
    >>> spectrum = nb.Spectrum(wavelengths_angstrom=(0.99, 1.01), weights=(3, 1))
    >>> nb.Beam(spectrum=spectrum).spectrum.weights
    (3.0, 1.0)

    The image is the weighted mean of those with one wavelength each: the fluence is that of all of
    them together.  Weights always count, whatever the quirk source_weights_ignored says.

    wavelengths_angstrom, energies_ev: the nodes, angstrom or eV, each > 0, in any order, sequences
        or arrays of shape (nodes,); exactly one of the two.  An energy is 12398.42 over its
        wavelength (model 2).
    weights: of the nodes, each >= 0, with a finite sum > 0; None (default): all alike, stored as 1
        each.  A weight is what its node stands for: of nodes at unequal distances, the intensity
        times the width.

    Raises `ConfigError`.
    """

    wavelengths_angstrom: tuple[float, ...] | None = field(
        default=None, metadata=meta(Optional(Sequence(POSITIVE)), "angstrom")
    )
    energies_ev: tuple[float, ...] | None = field(
        default=None, metadata=meta(Optional(Sequence(POSITIVE)), "eV")
    )
    weights: tuple[float, ...] | None = field(
        default=None, metadata=meta(Optional(Sequence(NOT_NEGATIVE)))
    )

    def __post_init__(self) -> None:
        check_fields(self, "spectrum")
        if (self.wavelengths_angstrom is None) == (self.energies_ev is None):
            given = "neither" if self.energies_ev is None else "both"
            rule = "exactly one of wavelengths_angstrom and energies_ev"
            raise ConfigError("spectrum", Description(given), rule)
        if self.weights is None:
            object.__setattr__(self, "weights", (1.0,) * self.nodes)
            return
        if len(self.weights) != self.nodes:
            found = Description(f"{len(self.weights)} of them")
            raise ConfigError("spectrum.weights", found, f"one for each of {self.nodes} nodes")
        total = sum(self.weights)
        if not 0.0 < total < math.inf:
            found = Description(f"weights whose sum is {total:g}")
            raise ConfigError("spectrum.weights", found, "a finite sum > 0")

    @property
    def nodes(self) -> int:
        """How many wavelengths there are."""
        return len(self.wavelengths_angstrom or self.energies_ev or ())

    @property
    def wavelengths_m(self) -> tuple[float, ...]:
        """The wavelengths in metres, as the engines use them (model 2)."""
        lengths = self.wavelengths_angstrom
        if lengths is None:
            lengths = tuple(map(energy_ev_to_wavelength_angstrom, self.energies_ev or ()))
        return tuple(map(angstrom_to_m, lengths))

    @property
    def node_weights(self) -> tuple[float, ...]:
        """The weights, which a spectrum always has."""
        return self.weights or ()

    @classmethod
    def from_table(
        cls,
        *,
        wavelengths_angstrom: SequenceOf[float] | None = None,
        energies_ev: SequenceOf[float] | None = None,
        weights: SequenceOf[float] | None = None,
    ) -> Spectrum:
        """The spectrum of two columns; the same as making one of them."""
        columns: dict[str, Any] = {
            "wavelengths_angstrom": wavelengths_angstrom,
            "energies_ev": energies_ev,
            "weights": weights,
        }
        return cls(**columns)

    @classmethod
    def gaussian(
        cls,
        *,
        centre_ev: float | None = None,
        fwhm_ev: float | None = None,
        centre_angstrom: float | None = None,
        fwhm_angstrom: float | None = None,
        nodes: int = 21,
        span_fwhm: float = 3.0,
    ) -> Spectrum:
        """A Gaussian, at nodes that are equally far from each other.

        centre_ev, fwhm_ev: centre and full width at half maximum, eV, > 0; or centre_angstrom,
        fwhm_angstrom: the same in angstrom, in which it is Gaussian then.  nodes: how many, >= 1;
        one has the centre.  span_fwhm: from the first node to the last, in widths, > 0, default 3.

        Raises `ConfigError`, also for a span that reaches 0.
        """
        in_ev = (centre_ev, fwhm_ev) != (None, None)
        if in_ev == ((centre_angstrom, fwhm_angstrom) != (None, None)):
            given = Description("both pairs" if in_ev else "no pair")
            need = "one pair: centre_ev and fwhm_ev, or centre_angstrom and fwhm_angstrom"
            raise ConfigError("gaussian", given, need)
        unit, word = ("eV", "ev") if in_ev else ("angstrom", "angstrom")
        centre = _number(f"centre_{word}", centre_ev if in_ev else centre_angstrom, unit)
        fwhm = _number(f"fwhm_{word}", fwhm_ev if in_ev else fwhm_angstrom, unit)
        offsets = _offsets(nodes, span_fwhm, centre, fwhm, f"centre_{word}", unit)
        weights = [math.exp(-4.0 * math.log(2.0) * (x / fwhm) ** 2) for x in offsets]
        values = tuple(centre + x for x in offsets)
        if in_ev:
            return cls(energies_ev=values, weights=tuple(weights))
        return cls(wavelengths_angstrom=values, weights=tuple(weights))

    @classmethod
    def sase(
        cls,
        *,
        seed: int,
        centre_ev: float,
        fwhm_ev: float,
        pulse_fwhm_fs: float,
        nodes: int = 101,
        span_fwhm: float = 3.0,
    ) -> Spectrum:
        """One shot of a free-electron laser that starts from noise: spikes below a Gaussian.

        The field at the photon energy E is the sum of exp(i (2 pi (E - centre) t / h + p)) over
        512 emitters, whose times t and phases p are random, the times with a Gaussian distribution
        of the pulse's duration; the square of its magnitude times the Gaussian gain curve is the
        intensity, 1 on average in the middle.  That is the shot noise of
        Saldin, Schneidmiller and Yurkov (Optics Communications 148 (1998) 383) with a Gaussian
        pulse and gain.  Spikes are about 0.62 h / pulse_fwhm_fs wide (full width at half maximum)
        and fluctuate like an exponential distribution.  A node has the mean intensity around it,
        half-way to its neighbours, so that few nodes lose no spike.

        seed: integer of 32 bits; the same seed gives the same shot, up to rounding.  centre_ev,
        fwhm_ev: of the gain curve (the mean spectrum of many shots), eV, > 0.  pulse_fwhm_fs:
        duration, femtoseconds, > 0.  nodes, span_fwhm: as for `gaussian`.

        Raises `ConfigError`, also for a span that reaches 0, and for a pulse so long that there
        would be too many spikes to sum.
        """
        _checked("seed", seed, INT32)
        centre, fwhm = _number("centre_ev", centre_ev, "eV"), _number("fwhm_ev", fwhm_ev, "eV")
        duration = _number("pulse_fwhm_fs", pulse_fwhm_fs, "fs")
        offsets = _offsets(nodes, span_fwhm, centre, fwhm, "centre_ev", "eV")
        width = span_fwhm * fwhm / nodes if nodes == 1 else offsets[1] - offsets[0]
        spike = 0.62 * PLANCK_EV_FS / duration
        per_node = math.ceil(min(_SAMPLES_PER_SPIKE * width / spike, 1e9)) or 1
        if per_node * nodes > _MOST_SAMPLES:
            longest = duration * _MOST_SAMPLES / (per_node * nodes)
            need = f"a pulse of at most {longest:.3g} fs for a span of {span_fwhm * fwhm:g} eV"
            raise ConfigError("pulse_fwhm_fs", pulse_fwhm_fs, need, "fs")
        emitters = _emitters(seed, duration / _FWHM_PER_SIGMA)
        weights = []
        for offset in offsets:
            own = [offset + width * ((n + 0.5) / per_node - 0.5) for n in range(per_node)]
            gain = [math.exp(-4.0 * math.log(2.0) * (x / fwhm) ** 2) for x in own]
            power = _power(own, *emitters)
            weights.append(sum(g * p for g, p in zip(gain, power, strict=True)) / per_node)
        return cls(energies_ev=tuple(centre + x for x in offsets), weights=tuple(weights))


def _checked(name: str, value: object, rule: Rule, unit: str = "") -> Any:
    try:
        return rule.normalise(value)
    except ValueError:
        raise ConfigError(name, value, rule.text, unit) from None


def _number(name: str, value: object, unit: str) -> float:
    number: float = _checked(name, value, POSITIVE, unit)
    return number


def _offsets(
    nodes: int, span_fwhm: float, centre: float, fwhm: float, name: str, unit: str
) -> list[float]:
    """Distances of the nodes from the centre; the lowest node is above 0."""
    count: int = _checked("nodes", nodes, COUNT)
    span = _number("span_fwhm", span_fwhm, "") * fwhm
    if not centre - span / 2.0 > 0.0:
        raise ConfigError(name, centre, f"more than half the span of {span:g} {unit}", unit)
    if count == 1:
        return [0.0]
    return [span * (n / (count - 1) - 0.5) for n in range(count)]


def _emitters(seed: int, sigma_fs: float) -> tuple[list[float], list[float]]:
    """When each emitter shines, deviates of a normal distribution (Box and Muller), and phases."""
    from random import Random

    uniform = Random(seed).random  # the same numbers in every version of Python
    times: list[float] = []
    while len(times) < _EMITTERS:
        radius = math.sqrt(-2.0 * math.log(1.0 - uniform()))
        angle = 2.0 * math.pi * uniform()
        times += [sigma_fs * radius * math.cos(angle), sigma_fs * radius * math.sin(angle)]
    return times, [2.0 * math.pi * uniform() for _ in times]


def _power(offsets: list[float], times: list[float], start: list[float]) -> list[float]:
    """Square of the emitters' sum at some energies from the centre, eV, over their number."""
    import numpy as np

    per_ev = np.array(times) * (2.0 * np.pi / PLANCK_EV_FS)
    phases = np.multiply.outer(np.array(offsets), per_ev) + np.array(start)
    real, imaginary = np.cos(phases).sum(axis=1), np.sin(phases).sum(axis=1)
    power: list[float] = ((real * real + imaginary * imaginary) / len(times)).tolist()
    return power
