"""Files of spectra (`-spectrum`): a line energy or wavelength, weight for each node."""

from __future__ import annotations

import math
import os
import re
from typing import Final, Literal, get_args

from nanobragg_hybrid.base.atomic import Destination
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError
from nanobragg_hybrid.formats.columns import finite_number, lines_of
from nanobragg_hybrid.formats.numbers import c_atof
from nanobragg_hybrid.formats.text import read_text, write_text
from nanobragg_hybrid.model.spectrum import Spectrum
from nanobragg_hybrid.model.validate import require_class

SpectrumUnit = Literal["eV", "angstrom"]
"""What the first column of a file is in."""

_NEEDED: Final = "lines energy or wavelength, weight"
_WORDS: Final = re.compile(r"[^\W\d_]+")
_EV: Final = frozenset({"ev"})
_ANGSTROM: Final = frozenset({"angstrom", "angstroms", "ångström", "ångstrom", "å", "\u212b"})
_OTHER: Final = frozenset({"kev", "mev", "gev", "nm", "pm", "um", "nanometer", "nanometers"})


def read_spectrum(path: str | os.PathLike[str], *, unit: SpectrumUnit | None = None) -> Spectrum:
    """The spectrum of a text file with two columns, photon energy or wavelength, and weight.

    unit: "eV" or "angstrom", of the first column; None: what the file says before its first number,
    in a comment or a line of words, where one of eV, angstrom or Å has to stand by itself.

    Columns are parted by white space, commas or semicolons; lines end in LF, CR LF or CR.  What
    follows #, !, % or // is a comment, and blank lines are passed over.

    Raises `FileAccessError`; `FileFormatError`, with the line, for a unit that is not said, said
    twice, another one or not the caller's, for a line that has not two numbers, an energy or
    wavelength that is not > 0, a weight below 0, or weights that are all 0; `ConfigError` for
    another `unit`.
    """
    if unit is not None and unit not in get_args(SpectrumUnit):
        raise ConfigError("unit", unit, 'one of "eV" and "angstrom", or None')
    text = read_text(path, _NEEDED, own="h k l F")
    values: list[float] = []
    weights: list[float] = []
    stated: set[str] = set()
    heading = 0  # the line in which the unit is stated
    for number, words, comment in lines_of(text):
        is_heading = bool(words) and not values and not any(c_atof(word)[1] for word in words)
        if not values and (found := _units([*words, comment] if is_heading else [comment])):
            stated |= found
            heading = heading or number
        if not words or is_heading:
            continue
        if not values:
            unit = _unit(path, heading or number, unit, stated)
        value, weight = _row(path, number, words)
        if not value > 0.0:
            raise FileFormatError(path, number, f"got {value:g} {unit}, need a number > 0")
        if weight < 0.0:
            raise FileFormatError(path, number, f"weight: got {weight:g}, need a number >= 0")
        values.append(value)
        weights.append(weight)
    if not values:
        raise FileFormatError(path, 0, "has no line of two numbers")
    if not 0.0 < sum(weights) < math.inf:
        problem = f"got weights whose sum is {sum(weights):g}, need a finite sum > 0"
        raise FileFormatError(path, 0, problem)
    if unit == "eV":
        return Spectrum(energies_ev=tuple(values), weights=tuple(weights))
    return Spectrum(wavelengths_angstrom=tuple(values), weights=tuple(weights))


def write_spectrum(path: Destination, spectrum: Spectrum) -> None:
    """Writes a line that says the unit, and a line for each node, with every digit that
    `read_spectrum` needs.

    Raises `ConfigError` for what is no spectrum; `FileAccessError`.
    """
    require_class("spectrum", spectrum, Spectrum)
    if spectrum.energies_ev is not None:
        lines, values = ["# energy (eV), weight"], spectrum.energies_ev
    else:
        lines, values = ["# wavelength (angstrom), weight"], spectrum.wavelengths_angstrom or ()
    rows = zip(values, spectrum.node_weights, strict=True)
    lines += [f"{value!r} {weight!r}" for value, weight in rows]
    write_text(path, "\n".join(lines) + "\n")


def _units(texts: list[str]) -> set[str]:
    """Those that a heading or comment names."""
    words = {word.lower() for text in texts for word in _WORDS.findall(text)}
    named = {"eV"} if words & _EV else set()
    if words & _ANGSTROM:
        named.add("angstrom")
    return named | (words & _OTHER)


def _unit(
    path: str | os.PathLike[str], line: int, asked: SpectrumUnit | None, stated: set[str]
) -> SpectrumUnit:
    """What the first column is in."""
    names = " and ".join(sorted(stated))
    if len(stated) > 1 or stated & _OTHER:
        raise FileFormatError(path, line, f"unit: got {names}, need one of eV and angstrom")
    if asked is None and not stated:
        problem = "unit: got none, need eV or angstrom, in a line before the numbers or as `unit`"
        raise FileFormatError(path, line, problem)
    if asked is None:
        return "eV" if "eV" in stated else "angstrom"
    if stated and asked not in stated:
        raise FileFormatError(path, line, f"unit: got {names}, need {asked}, which was asked for")
    return asked


def _row(path: str | os.PathLike[str], line: int, words: list[str]) -> tuple[float, float]:
    """The two numbers of a line."""
    if len(words) != 2:
        raise FileFormatError(path, line, f"got {len(words)} columns, need two numbers")
    value, weight = (finite_number(path, line, word) for word in words)
    return value, weight
