"""Traces of the torch engine against those of the C engine, step by step."""

from __future__ import annotations

import numpy as np
import pytest
from for_each import for_each
from recorded import INPUTS, table
from with_torch import torch

import nanobragg_hybrid as nb
from agreement import experiment_of
from nanobragg_hybrid.formats.trace_text import trace_texts

# Everything once that has an influence on a trace.
CASES = """
    triclinic hkl_mat cubic_N1 mat_and_cell rot_large twotheta_pivot_beam point_pixel curved_rot
    thick_os polar_neg nopolar os_all os_polar_mosaic hkl_sparse interp_latch round_fudge
    gauss_mosaic_phi tophat xtal_thick phi0_carryover phi_cross_zero phi0_masked disp_auto
    sourcefile_weighted water_phi dmin_polar mask_roi kitchen
""".split()
QUIRKS = ["nanobragg", "none"]
STEPS = 60
RELATIVE = 1e-12


def _pixels(roi: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    """The first pixel of the region of interest and two others."""
    fast, last_fast, slow, last_slow = roi
    width, height = last_fast - fast + 1, last_slow - slow + 1
    return [(fast + width * n // 5, slow + height * n // 7) for n in (0, 2, 4)]


def _norm(name: str, values: dict[str, tuple[float, ...]], n_cells: tuple[float, ...]) -> float:
    """What the difference in a quantity is measured against; of a vector its length.

    Indices near 0 and lattice factors near their zeros lose the digits of the cancellation in q:
    of an index there remains 1 in its last place, of a lattice factor 1 in the last place of N.
    """
    norm = float(np.linalg.norm(values[name]))
    lattice = dict(zip(("F_latt_a", "F_latt_b", "F_latt_c"), n_cells, strict=True))
    lattice["F_latt"] = float(np.prod(n_cells))
    if name == "hkl_frac":
        return max(norm, 1.0)
    if name in lattice:
        return max(norm, lattice[name])
    if name in ("term", "I_running_sum"):
        (f_cell,), (f_latt,) = values["F_cell"], values["F_latt"]
        return max(norm, f_cell**2 * abs(f_latt) * lattice["F_latt"])
    return norm


@for_each("quirks", QUIRKS)
@pytest.mark.parametrize("case", CASES)
def test_traces_agree(case: str, quirks: str) -> None:
    experiment, factors = experiment_of(table("cases")[case]["args"], INPUTS)
    ours, theirs = (
        nb.prepare(experiment, factors, backend=name, quirks=nb.Quirks.parse(quirks))
        for name in ("torch", "c")
    )
    n_cells = theirs.plan.n_cells
    differ = []
    for pixel in _pixels(theirs.plan.roi):
        got, need = ours.trace(pixel, limit=STEPS), theirs.trace(pixel, limit=STEPS)
        assert (got.is_active, len(got.steps)) == (need.is_active, len(need.steps))
        assert np.float32(got.pixel_float) == np.float32(need.pixel_float)
        for mine, other in zip(trace_texts(got, "T"), trace_texts(need, "T"), strict=True):
            assert mine.values.keys() == other.values.keys()
            for name, values in other.values.items():
                difference = np.linalg.norm(np.subtract(mine.values[name], values))
                if difference > RELATIVE * _norm(name, other.values, n_cells):
                    differ.append(f"{pixel} {name}: got {mine.values[name]}, need {values}")
    assert differ == []


def test_tensors_stay_where_they_are() -> None:
    """Tracing leaves no derivatives behind, and torch's switch as it was."""
    experiment, factors = experiment_of(table("cases")["triclinic"]["args"], INPUTS)
    nb.trace(experiment, factors, pixel=(3, 4), backend="torch")
    assert torch.is_grad_enabled()
