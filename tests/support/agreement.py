"""How far an image is from a recorded one: the figures of tests/agreement and of the table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from structure_factor_files import structure_factors_of

import nanobragg_hybrid as nb

# Recorded cases that have everything in them once.
CHOSEN = """
    triclinic hkl_mat cubic_N1 cubic_N100 cubic_N2 long_wave cell_hex mat_tric mat_and_cell
    misset_xyz misset_mat misset_random_1 conv_xds conv_adxv conv_denzo conv_dials orgxy_xds
    close_distance pivot_sample_rot rot_large twotheta_xds twotheta_pivot_beam xclose_twotheta
    custom_vectors custom_nonunit_odet pix0_sample rect_fs point_pixel curved_rot thick_auto
    thick_rot thick_os polar_neg polar_xds nopolar oversample3 os_all os_polar_mosaic hkl_sparse
    hkl_offset dump_read dump_whitespace interp interp_auto interp_latch interp_saxs round
    round_fudge gauss gauss_mosaic_phi tophat tophat_fudge xtal_thick phi0_carryover phi_cross_zero
    phi_dials phi0_masked mosaic_phi_hkl disp_auto div_even div_square sourcefile_weighted
    sourcefile_comment flux water_phi dmin_polar roi_phi0 mask_roi img_and_mask roi_reversed kitchen
""".split()


@dataclass(frozen=True)
class Figures:
    """An image against the recorded one.

    identical: share of the pixels that are equal, NaN being equal to NaN.  max_ulp: largest
    difference in units in the last place of float32; steps between neighbouring numbers, so that it
    is meaningful across powers of 2 and across 0.  relative_l2: norm of the difference of all
    finite pixels, after rounding, over the norm of the recorded ones.  same_non_finite: NaN and
    infinities are at the same pixels, the infinities of the same sign.
    """

    pixels: int
    identical: float
    max_ulp: int
    relative_l2: float
    same_non_finite: bool


def compare(got: np.ndarray, need: np.ndarray) -> Figures:
    """Figures of a float image, rounded to float32, against a recorded float32 image."""
    assert got.shape == need.shape
    with np.errstate(over="ignore"):
        rounded = got.astype(np.float32)
    finite = np.isfinite(rounded) & np.isfinite(need)
    same_non_finite = np.array_equal(
        np.where(np.isfinite(rounded), np.float32(0.0), rounded),
        np.where(np.isfinite(need), np.float32(0.0), need),
        equal_nan=True,
    )
    steps = np.abs(_ordinal(rounded[finite]) - _ordinal(need[finite]))
    equal = (rounded == need) | (np.isnan(rounded) & np.isnan(need))
    return Figures(
        pixels=need.size,
        identical=float(equal.mean()),
        max_ulp=int(steps.max(initial=0)),
        relative_l2=relative_l2(rounded[finite], need[finite]),
        same_non_finite=same_non_finite,
    )


def relative_l2(got: np.ndarray, need: np.ndarray) -> float:
    """Norm of the difference over the norm of `need`; 0 if both are 0 everywhere."""
    got, need = np.asarray(got, dtype=np.float64), np.asarray(need, dtype=np.float64)
    scale = float(np.abs(need).max(initial=0.0)) or 1.0  # so that no square overflows
    difference = float(np.linalg.norm((got / scale - need / scale).ravel()))
    norm = float(np.linalg.norm((need / scale).ravel()))
    if norm == 0.0:
        return 0.0 if difference == 0.0 else float("inf")
    return difference / norm


def experiment_of(args: str, folder: Path) -> tuple[nb.Experiment, nb.StructureFactors]:
    """What a recorded command line says, its files being in `folder`."""
    return nb.Experiment.from_nanobragg_args(args, folder), structure_factors_of(args, folder)


def _ordinal(values: np.ndarray) -> np.ndarray:
    """Whole numbers in the order of the floats, one apart for neighbours; both zeros give 0."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
    ordinal: np.ndarray = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return ordinal
