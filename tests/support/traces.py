"""Hand-made trace records."""

from __future__ import annotations

import dataclasses
from typing import Any

from nanobragg_hybrid.model.trace import StepTrace, Trace

STEP = StepTrace(
    layer=0,
    sub_slow=0,
    sub_fast=0,
    source=0,
    phi_step=0,
    domain=0,
    pixel_pos_m=(0.1, 0.005, -0.009),
    airpath_m=0.1005,
    solid_angle_sr=1.57e-5,
    obliquity=0.9945,
    diffracted=(0.9945, 0.0513, -0.0911),
    incident=(1.0, 0.0, 0.0),
    wavelength_m=1e-10,
    q_per_m=(-5.4e7, 5.1e8, -9.1e8),
    phi_rad=0.0,
    a_m=(7e-9, 0.0, 0.0),
    b_m=(0.0, 8e-9, 0.0),
    c_m=(0.0, 0.0, 9e-9),
    hkl=(-1.25, 2.0625, -8.25),
    hkl_rounded=(-1.0, 2.0, -8.0),
    f_latt_a=-0.875,
    f_latt_b=3.5,
    f_latt_c=-0.125,
    f_latt=0.3828125,
    f_cell=100.0,
    term=1465.4541015625,
    running_sum=1465.4541015625,
)

TRACE = Trace(
    backend="c",
    fast=10,
    slow=20,
    is_active=True,
    pix0_m=(0.1, 0.0132, -0.0132),
    fast_axis=(0.0, 0.0, 1.0),
    slow_axis=(0.0, -1.0, 0.0),
    normal_axis=(1.0, 0.0, 0.0),
    close_distance_m=0.1,
    a_star_per_angstrom=(0.0142, 0.0, 0.0),
    b_star_per_angstrom=(0.0, 0.0125, 0.0),
    c_star_per_angstrom=(0.0, 0.0, 0.0111),
    i_before_scaling=1465.4541015625,
    r_e_sqr_m2=7.94079248018965e-30,
    fluence_photons_per_m2=1.25e29,
    step_count=1,
    oversample_thick=False,
    oversample_polar=False,
    oversample_omega=False,
    capture_fraction=1.0,
    polarization=0.9945,
    omega_sr=1.57e-5,
    cos_2theta=0.995,
    pixel_value=0.0227,
    pixel_float=0.022700000554323196,
    steps=(STEP,),
)


def step(**changes: Any) -> StepTrace:
    """The made-up step with some fields changed."""
    return dataclasses.replace(STEP, **changes)


def trace(*steps: StepTrace, **changes: Any) -> Trace:
    """The made-up trace with some fields changed, and with these steps if there are any."""
    return dataclasses.replace(TRACE, **({"steps": steps} if steps else {}), **changes)
