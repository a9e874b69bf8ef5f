"""Frames most of whose pixels are saturated are a warning."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from series_scenes import STILL

import nanobragg_hybrid as nb

TEXT = "more than half of the pixels are saturated, at {} counts"


def warned(out: Path, photons: float, response: nb.Response | None) -> list[str]:
    """What a series of two stills with so many photons in each pixel warns of."""
    experiment = STILL.replace(
        {"background": nb.Background(flat_photons_per_pixel=photons), "response": response}
    )
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        series = nb.Series.stills(experiment, 2, seed=1)
        nb.simulate_series(series, nb.StructureFactors.constant(1.0), out=out)
    return [str(each.message) for each in found if "saturated" in str(each.message)]


@pytest.mark.parametrize("name", ["x_#.cbf", "x.h5"])
def test_saturated_frames_are_a_warning(name: str, tmp_path: Path) -> None:
    if name.endswith(".h5"):
        pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed (extra: mx)")
    response = nb.Response(saturation=1000, seed=1)
    (found,) = warned(tmp_path / "bright" / name, 2000.0, response)
    assert TEXT.format(1000) in found
    assert warned(tmp_path / "dim" / name, 500.0, response) == []


def test_saturated_image_is_a_warning(tmp_path: Path) -> None:
    result = nb.simulate(
        STILL.replace({"response": nb.Response(saturation=10, seed=1)}).replace(
            {"background": nb.Background(flat_photons_per_pixel=100.0)}
        ),
        nb.StructureFactors.constant(1.0),
    )
    with pytest.warns(nb.NanobraggWarning, match=TEXT.format(10)):
        result.save(tmp_path / "image_1.img", format="smv-adsc")


CHANGES = {
    "a region of interest": {"sampling.roi": (0, 4, 0, 4)},
    "rounded down": {"response": nb.Response(saturation=10.6, rounding="down", seed=1)},
}


@pytest.mark.parametrize("name", CHANGES)
def test_pixels_that_tell_nothing_do_not_count(name: str, tmp_path: Path) -> None:
    """Nor does a count that the read-out has rounded down."""
    plain = STILL.replace({"response": nb.Response(saturation=10, seed=1)}).replace(CHANGES[name])
    factors = nb.StructureFactors.constant(1.0)
    bright, dim = (
        nb.simulate(
            plain.replace({"background": nb.Background(flat_photons_per_pixel=photons)}), factors
        )
        for photons in (100.0, 4.0)
    )
    with pytest.warns(nb.NanobraggWarning, match="more than half of the pixels are saturated"):
        bright.save(tmp_path / "image_1.cbf")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dim.save(tmp_path / "image_2.cbf")
