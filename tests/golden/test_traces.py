"""The chain of numbers behind single pixels, to all digits that were recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import PILATUS_ARGS, table
from structure_factor_files import structure_factors_of

import nanobragg_hybrid as nb
from nanobragg_hybrid.c_engine import engine

CASES = table("cases")
TRACES = table("traces")

# Recorded name -> where our trace has the same quantity, and the factor to the recorded unit.  The
# first step is that of the first source, phi step and domain in the last sub-pixel.
TRACED: dict[str, tuple[str, float]] = {
    "fast": ("fast", 1.0),
    "slow": ("slow", 1.0),
    "pix0_vector_meters": ("pix0_m", 1.0),
    "fdet_vec": ("fast_axis", 1.0),
    "sdet_vec": ("slow_axis", 1.0),
    "pixel_pos_meters": ("first.pixel_pos_m", 1.0),
    "R_distance_meters": ("first.airpath_m", 1.0),
    "omega_pixel_sr": ("omega_sr", 1.0),
    "close_distance_meters": ("close_distance_m", 1.0),
    "obliquity_factor": ("obliquity", 1.0),
    "diffracted_vec": ("first.diffracted", 1.0),
    "incident_vec": ("first.incident", 1.0),
    "lambda_meters": ("first.wavelength_m", 1.0),
    "lambda_angstroms": ("first.wavelength_m", 1e10),
    "scattering_vec_A_inv": ("first.q_per_m", 1.0),
    "rot_a_angstroms": ("first.a_m", 1e10),
    "rot_b_angstroms": ("first.b_m", 1e10),
    "rot_c_angstroms": ("first.c_m", 1e10),
    "rot_a_star_A_inv": ("info.a_star_per_angstrom", 1.0),
    "rot_b_star_A_inv": ("info.b_star_per_angstrom", 1.0),
    "rot_c_star_A_inv": ("info.c_star_per_angstrom", 1.0),
    "hkl_frac": ("first.hkl", 1.0),
    "hkl_rounded": ("first.hkl_rounded", 1.0),
    "F_latt_a": ("first.f_latt_a", 1.0),
    "F_latt_b": ("first.f_latt_b", 1.0),
    "F_latt_c": ("first.f_latt_c", 1.0),
    "F_latt": ("first.f_latt", 1.0),
    "F_cell": ("first.f_cell", 1.0),
    "I_before_scaling": ("i_before_scaling", 1.0),
    "r_e_sqr": ("r_e_sqr_m2", 1.0),
    "fluence_photons_per_m2": ("fluence_photons_per_m2", 1.0),
    "steps": ("steps", 1.0),
    "capture_fraction": ("capture_fraction", 1.0),
    "polar": ("polarization", 1.0),
    "omega_pixel": ("omega_sr", 1.0),
    "cos_2theta": ("cos_2theta", 1.0),
    "I_pixel_final": ("pixel_value", 1.0),
    "floatimage_accumulated": ("pixel_float", 1.0),
}
WHOLE = {"fast", "slow", "hkl_rounded", "steps"}  # integers: there is no -0
# Switches of the experiment, recorded as 0 or 1.
SWITCHES = {"oversample_thick", "oversample_polar", "oversample_omega"}
R_E_METRES = 2.81794117756025e-15  # recorded beside its square

# Recorded name -> format it was printed in, where our trace has it, and the factor to its unit; of
# the last step.
PRINTED: dict[str, tuple[str, str, float]] = {
    "fast": ("%d", "fast", 1.0),
    "slow": ("%d", "slow", 1.0),
    "stol": ("%g", "last.stol_per_m", 1.0),
    "pixel_pos": ("%g", "last.pixel_pos_m", 1.0),
    "hkl": ("%.6f", "last.hkl", 1.0),
    "hkl0": ("%d", "last.hkl_rounded", 1.0),
    "F_cell": ("%g", "last.f_cell", 1.0),
    "F_latt": ("%g", "last.f_latt", 1.0),
    "I": ("%g", "i_before_scaling", 1.0),
    "I_over_steps": ("%.10g", "i_over_steps", 1.0),
    "polar": ("%.10g", "polarization", 1.0),
    "omega": ("%.10g", "omega_sr", 1.0),
    "capture_fraction": ("%.10g", "capture_fraction", 1.0),
    "pixel": ("%.10g", "pixel_float", 1.0),
    "x_row": ("%.8f", "rows.0", 1e10),
    "y_row": ("%.8f", "rows.1", 1e10),
    "z_row": ("%.8f", "rows.2", 1e10),
}


def _at(tree: dict[str, Any], path: str, factor: float) -> list[float]:
    """What is at a dotted path, as a list, times `factor` (1 leaves integers alone)."""
    value: Any = tree
    for key in path.split("."):
        value = value[key]
    items = value if isinstance(value, list | tuple) else np.atleast_1d(value).tolist()
    return [item * factor if factor != 1.0 else item for item in items]


def _text(format_: str, values: list[float]) -> list[str]:
    return [format_ % (int(x) if format_ == "%d" else float(x)) for x in values]


def _trace_differences(args: str, folder: Path, recorded: list[dict[str, Any]]) -> list[str]:
    experiment = nb.Experiment.from_nanobragg_args(args, folder)
    factors = structure_factors_of(args, folder)
    info = engine.plan_for(experiment, factors, nb.Quirks()).info()
    differ = []
    for pixel in recorded:
        assert pixel.keys() == TRACED.keys() | SWITCHES | {"r_e_meters"}
        fast, slow = int(pixel["fast"]), int(pixel["slow"])
        trace = {**engine.trace(experiment, factors, nb.Quirks(), fast, slow), "info": info}
        for name, (path, factor) in TRACED.items():
            format_ = "%d" if name in WHOLE else "%.15g"
            got = _text(format_, _at(trace, path, factor))
            need = _text(format_, np.atleast_1d(pixel[name]).tolist())
            if got != need:
                differ.append(f"({fast}, {slow}) {name}: got {got}, need {need}")
        for name in SWITCHES:
            assert getattr(experiment.sampling, name) == pixel[name]
        assert pixel["r_e_meters"] == R_E_METRES
    return differ


@pytest.mark.parametrize("case", [name for name in TRACES if name != "pilatus"])
def test_trace(case: str, input_folder: Path) -> None:
    recorded = TRACES[case]
    assert _trace_differences(recorded["args"], input_folder, recorded["pixels"]) == []


def test_trace_of_the_pilatus_frame(pilatus_folder: Path) -> None:
    recorded = TRACES["pilatus"]
    assert recorded["args"].split() == PILATUS_ARGS.split()
    assert _trace_differences(PILATUS_ARGS, pilatus_folder, recorded["pixels"]) == []


@pytest.mark.parametrize("case", [name for name in CASES if "printout" in CASES[name]])
def test_printout(case: str, input_folder: Path) -> None:
    experiment = nb.Experiment.from_nanobragg_args(CASES[case]["args"], input_folder)
    factors = structure_factors_of(CASES[case]["args"], input_folder)
    differ = []
    for pixel in CASES[case]["printout"]:
        assert pixel.keys() == PRINTED.keys()
        fast, slow = int(pixel["fast"]), int(pixel["slow"])
        trace = engine.trace(experiment, factors, nb.Quirks(), fast, slow)
        rows = [[trace["last"][f"{axis}_m"][i] for axis in "abc"] for i in range(3)]
        values = {
            **trace,
            "i_over_steps": trace["i_before_scaling"] / trace["steps"],
            "rows": {str(i): row for i, row in enumerate(rows)},
        }
        for name, (format_, path, factor) in PRINTED.items():
            got = _text(format_, _at(values, path, factor))
            need = [str(item) for item in np.atleast_1d(pixel[name]).tolist()]
            if got != need:
                differ.append(f"({fast}, {slow}) {name}: got {got}, need {need}")
    assert differ == []
