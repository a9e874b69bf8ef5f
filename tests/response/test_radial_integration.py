"""pyFAI's radial integration of a frame that is all background gives back the table."""

from __future__ import annotations

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.base.constants import R_E_SQR_M2

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.ImageWarning")
pytest.importorskip("pyFAI", reason="pyFAI is not installed")


@for_each("kahn", [0.0, 0.8])
def test_profile(kahn: float) -> None:
    from pyFAI.integrator.azimuthal import AzimuthalIntegrator

    water = nb.water_scatterer(1e-3)
    experiment = nb.Experiment(
        beam=nb.Beam(fluence_photons_per_m2=1e24, polarization_kahn=kahn),
        crystal=nb.Crystal(cell_angstrom=(50, 60, 70)),
        detector=nb.Detector(
            n_fast=600, n_slow=600, pixel_size_mm=0.15, distance_mm=100.0, convention="xds"
        ),
        background=nb.Background(scatterers=(water,)),
    )
    result = nb.simulate(experiment, nb.StructureFactors.constant(0.0))
    corner = -np.array(result.plan.pix0_m)
    integrator = AzimuthalIntegrator(
        dist=0.1,
        poni1=float(corner @ result.plan.slow_axis),
        poni2=float(corner @ result.plan.fast_axis),
        pixel1=1.5e-4,
        pixel2=1.5e-4,
        wavelength=1e-10,
    )
    profile = integrator.integrate1d(
        result.expected,
        200,
        unit="2th_deg",
        correctSolidAngle=True,
        polarization_factor=kahn,
        method=("no", "histogram", "cython"),
    )
    inside = (profile.radial > 1.0) & (profile.radial < 23.0)
    stol = np.sin(np.radians(profile.radial[inside] / 2.0))
    square = np.interp(stol, water.stol_per_angstrom, water.values) ** 2
    wanted = R_E_SQR_M2 * 1e24 * water.molecules * square * (0.15 / 100.0) ** 2
    ratio = profile.intensity[inside] / wanted
    assert abs(ratio.mean() - 1.0) < 1e-3
    # But for bins with a bend of the table inside.
    assert np.quantile(abs(ratio - 1.0), 0.95) < 5e-3
