"""What -printout and -trace_pixel print: the numbers behind single pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanobragg_hybrid.config import Sampling

Trace = Mapping[str, Any]


def trace_lines(trace: Trace, info: Mapping[str, Any], sampling: Sampling) -> Iterator[str]:
    """`TRACE_C: name values` lines of one pixel, 15 significant digits.

    `trace` is the plan's trace of the pixel and `info` the plan's.  The state of the loops is that
    of the first source, phi step and domain at the last sub-pixel.
    """
    for name, value in trace_values(trace, info, sampling).items():
        yield f"TRACE_C: {name} {_digits(value, 15)}"


def trace_values(trace: Trace, info: Mapping[str, Any], sampling: Sampling) -> dict[str, Any]:
    """The numbers of `trace_lines` by name; where nothing was computed, only what is known."""
    values: dict[str, Any] = {
        "fast": trace["fast"],
        "slow": trace["slow"],
    }
    if trace["masked"]:
        return values
    values |= {
        "pix0_vector_meters": trace["pix0_m"],
        "fdet_vec": trace["fast_axis"],
        "sdet_vec": trace["slow_axis"],
    }
    if trace["evaluated"]:
        first = trace["first"]
        values |= {
            "pixel_pos_meters": first["pixel_pos_m"],
            "R_distance_meters": first["airpath_m"],
            "omega_pixel_sr": trace["omega_sr"],
            "close_distance_meters": trace["close_distance_m"],
            "obliquity_factor": trace["obliquity"],
            "diffracted_vec": first["diffracted"],
            "incident_vec": first["incident"],
            "lambda_meters": first["wavelength_m"],
            "lambda_angstroms": first["wavelength_m"] * 1e10,
            "scattering_vec_A_inv": first["q_per_m"],  # 1/m in truth
            **{f"rot_{name}_angstroms": _angstrom(first[f"{name}_m"]) for name in "abc"},
            **{f"rot_{name}_star_A_inv": info[f"{name}_star_per_angstrom"] for name in "abc"},
            "hkl_frac": first["hkl"],
            "hkl_rounded": first["hkl_rounded"],
            "F_latt_a": first["f_latt_a"],
            "F_latt_b": first["f_latt_b"],
            "F_latt_c": first["f_latt_c"],
            "F_latt": first["f_latt"],
            "F_cell": first["f_cell"],
        }
    values |= {
        "I_before_scaling": trace["i_before_scaling"],
        "r_e_meters": math.sqrt(trace["r_e_sqr_m2"]),
        "r_e_sqr": trace["r_e_sqr_m2"],
        "fluence_photons_per_m2": trace["fluence_photons_per_m2"],
        "steps": trace["steps"],
        "oversample_thick": float(sampling.oversample_thick),
        "oversample_polar": float(sampling.oversample_polar),
        "oversample_omega": float(sampling.oversample_omega),
        "capture_fraction": trace["capture_fraction"],
        "polar": trace["polarization"],
        "omega_pixel": trace["omega_sr"],
    }
    if trace["evaluated"]:
        values["cos_2theta"] = trace["cos_2theta"]
    return values | {
        "I_pixel_final": trace["pixel_value"],
        "floatimage_accumulated": trace["pixel_float"],
    }


def printout_lines(trace: Trace) -> Iterator[str]:
    """The state of the loops when a pixel was finished, 10 significant digits."""
    place = f"{trace['fast']} {trace['slow']}"
    for name, value in printout_values(trace).items():
        yield f"PIXEL {place}: {name} {_digits(value, 10)}"


def printout_values(trace: Trace) -> dict[str, Any]:
    """The numbers of `printout_lines` by name.

    x_row, y_row, z_row are the components of a, b, c, in angstrom.
    """
    if trace["masked"]:
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
    return [x * 1e10 for x in vector_m]


def _digits(value: Any, digits: int) -> str:
    if isinstance(value, float | int):
        return f"{value:.{digits}g}"
    return " ".join(f"{x:.{digits}g}" for x in value)
