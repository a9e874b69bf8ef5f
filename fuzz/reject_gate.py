"""Combinations that must be refused: where one of them succeeds, something is silently wrong.

Each row has words that fail with the positions of the quirks that it names, and words like them
that do not, so that it is the combination which is refused.  `tests/fuzz/test_reject_gate.py` goes
through it.
"""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """What is refused, what the message says of it, and what is accepted next to it."""

    words: str
    quirks: str
    message: str
    accepted: str
    accepted_quirks: str


def _off(quirk: str, words: str, message: str, accepted: str = "") -> Refusal:
    """Refused with a quirk off; on, or with the other words, it is rendered."""
    off = f"nanobragg,-{quirk}"
    return Refusal(words, off, message, accepted or words, off if accepted else "nanobragg")


def _always(words: str, message: str, accepted: str) -> Refusal:
    return Refusal(words, "nanobragg", message, accepted, "nanobragg")


BASE = "-pixel 2 -detpixels 8 -default_F 100 -N 5 -oversample 1 -seed 3"
CELL = "-cell 70 80 90 75 85 95"

REFUSALS: tuple[Refusal, ...] = (
    _off("impossible_cell", "-cell 70 80 90 60 60 150", "cell"),
    _off("impossible_cell", "-cell 70 80 90 120 120 130", "cell", "-cell 70 80 90 110 110 130"),
    _off("impossible_sources", f"{CELL} -sourcefile no_direction.txt", "no_direction.txt"),
    _off("impossible_sources", f"{CELL} -sourcefile no_wavelength.txt", "wavelength"),
    _off("cell_beside_matrix", f"{CELL} -mat tilted.mat", "cell"),
    _off("count_alone", f"{CELL} -phisteps 3", "phi_steps", f"{CELL} -phisteps 3 -osc 1"),
    _off("count_alone", f"{CELL} -hdivsteps 3", "divergence_h_steps"),
    _off("count_alone", f"{CELL} -vdivsteps 3", "divergence_v_steps"),
    _off("count_alone", f"{CELL} -dispsteps 3", "dispersion_steps"),
    _off("polarization_unchecked", f"{CELL} -polar 1.5", "polarization_kahn", f"{CELL} -polar 1"),
    _off("polarization_unchecked", f"{CELL} -polar 0.9 -polar_vector 1 0 0", "polarization_axis"),
    _off("water_background", f"{CELL} -water -5", "water", f"{CELL} -water 5"),
    _always("", "need a cell", CELL),
    _always(
        f"{CELL} -mosaic_rotations turns.txt -mosaic 1",
        "mosaic_rotations",
        f"{CELL} -mosaic_rotations turns.txt",
    ),
    _always(f"{CELL} -spectrum spectrum.txt -dispersion 1", "spectrum", f"{CELL} -dispersion 1"),
    _always(
        f"{CELL} -spectrum spectrum.txt -sourcefile sources.txt",
        "spectrum",
        f"{CELL} -spectrum spectrum.txt -sourcefile directions.txt",
    ),
    _always(f"{CELL} -distance 0", "distance", f"{CELL} -distance 10"),
    _always(f"{CELL} -lambda 0", "wavelength", f"{CELL} -lambda 1"),
    _always(f"{CELL} -pixel 0", "pixel", f"{CELL} -pixel 1"),
    _always(f"{CELL} -oversample 50000", "steps", f"{CELL} -oversample 2"),
    _always(f"{CELL} -mosaic 1 -mosaic_dom 50000 -oversample 300", "steps", f"{CELL} -mosaic 1"),
    _always(f"{CELL} -beam_vector 0 0 0", "beam.direction", f"{CELL} -beam_vector 1 0 0"),
    _always(
        f"{CELL} -twotheta 5 -twotheta_axis 0 0 0",
        "twotheta_axis",
        f"{CELL} -twotheta 5 -twotheta_axis 0 0 1",
    ),
    _always(f"{CELL} -mask nothing.there", "nothing.there", f"{CELL} -mask mask.img"),
    _always(f"{CELL} -distance abc", "distance", f"{CELL} -distance 1e2"),
)
