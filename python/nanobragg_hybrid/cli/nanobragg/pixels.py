"""What -printout prints: the numbers behind single pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nanobragg_hybrid.base.units import m_to_angstrom


def printout_lines(trace: Mapping[str, Any]) -> Iterator[str]:
    """The state of the loops when a pixel was finished, 10 significant digits.

    `trace`: the plan's of the pixel, the members of `nbh_trace` by name.
    """
    place = f"{trace['fast']} {trace['slow']}"
    for name, value in printout_values(trace).items():
        yield f"PIXEL {place}: {name} {_digits(value)}"


def printout_values(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of `printout_lines` by name.

    x_row, y_row, z_row are the components of a, b, c, in angstrom.
    """
    if not trace["is_active"]:
        return {"pixel": 0.0}
    values: dict[str, Any] = {}
    if trace["evaluated"]:
        last = trace["last"]
        vectors = [_angstrom(last[f"{name}_m"]) for name in "abc"]
        values |= {
            "stol": last["stol_per_m"],
            "pixel_pos": last["pixel_pos_m"],
            "hkl": last["hkl"],
            "hkl0": last["hkl_rounded"],
            "F_cell": last["f_cell"],
            "F_latt": last["f_latt"],
            **{f"{axis}_row": [vector[n] for vector in vectors] for n, axis in enumerate("xyz")},
        }
    return values | {
        "I": trace["i_before_scaling"],
        "I_over_steps": trace["i_before_scaling"] / trace["steps"],
        "polar": trace["polarization"],
        "omega": trace["omega_sr"],
        "capture_fraction": trace["capture_fraction"],
        "pixel": trace["pixel_float"],
    }


def _angstrom(vector_m: Any) -> list[float]:
    return [m_to_angstrom(x) for x in vector_m]


def _digits(value: Any) -> str:
    if isinstance(value, float | int):
        return f"{value:.10g}"
    return " ".join(f"{x:.10g}" for x in value)
