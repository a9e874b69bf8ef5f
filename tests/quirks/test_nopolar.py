"""C-PARITY-038 nopolar_undone."""

from __future__ import annotations

import pytest
from for_each import for_each
from pictures import STILL, assert_differs, assert_same, off, picture

OFF = off("nopolar_undone")
BARE = STILL.replace({"beam.polarization_correction": False, "beam.polarization_kahn": 0.7})
OPTION = {"sampling.oversample_polar": True}
pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")


@for_each(
    "changes",
    [
        {},
        {"sampling.oversample": 3},
        {"beam.divergence_h_mrad": 60.0, "beam.divergence_h_steps": 3},
        {"sampling.dmin_angstrom": 1.5},
        {"crystal.water_um": 3.0},
        {"sampling.oversample": 2, "sampling.oversample_omega": True},
    ],
)
def test_nopolar_stands(changes: dict[str, object]) -> None:
    """Off: the bytes of nopolar alone, whatever else is off."""
    bare = BARE.replace(changes)
    optional = bare.replace(OPTION)
    for others in ((), ("oversample_running_product",), ("first_subpixel_factors",)):
        quirks = off("nopolar_undone", *others)
        assert picture(optional, quirks).tobytes() == picture(bare, quirks).tobytes()


def test_on_the_option_polarizes() -> None:
    """On: one step has the factor that it has without nopolar, which is far from 1."""
    close = BARE.replace({"detector.distance_mm": 12.0})
    on = picture(close.replace(OPTION))
    polarized = picture(close.replace({"beam.polarization_correction": True}))
    assert_same(on, polarized, 1e-14)
    assert_differs(on, picture(close), 0.1)


def test_polarization_that_is_on_stays_on() -> None:
    """The quirk is about nopolar only."""
    both = BARE.replace({**OPTION, "beam.polarization_correction": True, "sampling.oversample": 2})
    for experiment in (both, BARE):
        assert picture(experiment).tobytes() == picture(experiment, OFF).tobytes()
