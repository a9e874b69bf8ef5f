"""NXmx files: modules, transformations, the rotation of the sample, and faults."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from geometry_files import nxmx
from positions import TO_SIMULATOR, about, five_pixels, laboratory_mm, plan_of

import nanobragg_hybrid as nb

pytest.importorskip("h5py", reason="h5py is not installed (extra: mx)")


def read(folder: Path, *, image: int | None = 1, **changes: Any) -> nb.Experiment:
    path = folder / "some.nxs"
    path.write_bytes(nxmx(**{"sensor_thickness": None, **changes}))
    return nb.read_experiment(path, image=image)


def test_pixels_of_modules(tmp_path: Path) -> None:
    experiment = read(tmp_path)
    assert experiment.detector.panel_names == ("module0", "module1")
    for number in range(2):
        plan = plan_of(experiment, number)
        assert (plan.n_fast, plan.n_slow) == (30, 20)
        for fast, slow in five_pixels(30, 20):
            on_module = np.array([5.0 + number - 0.5 * fast, 4.0 - 12.0 * number - 0.5 * slow, 0.0])
            on_arm = on_module + np.array([1.0, 2.0, 153.0])
            expected = about((-1, 0, 0), 20.0) @ on_arm
            found = laboratory_mm(plan, (fast, slow), "nexus")
            assert np.abs(found - expected).max() < 1e-9


def test_what_else_it_says(tmp_path: Path) -> None:
    experiment = read(tmp_path, image=3)
    assert experiment.beam.wavelength_angstrom == 1.25
    assert experiment.beam.direction == (1.0, 0.0, 0.0)
    assert experiment.goniometer.phi_deg == 10.5
    assert experiment.goniometer.osc_deg == 0.25
    spindle = TO_SIMULATOR["nexus"] @ about((-1, 0, 0), 90.0) @ [0.0, 1.0, 0.0]
    assert np.allclose(experiment.goniometer.spindle_axis, spindle, atol=1e-15)
    first, second = experiment.detector.panels or ()
    assert first.mask is None
    assert second.mask is not None
    assert np.argwhere(~second.mask.values).tolist() == [[5, 3]]
    assert first.trusted_range is not None
    assert first.trusted_range[1] == 1000.0


@for_each(
    "units, value",
    [("angstrom", 1.25), ("nm", 0.125), ("m", 1.25e-10)],
)
def test_units_of_a_wavelength(units: str, value: float, tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "some.nxs"
    path.write_bytes(nxmx(sensor_thickness=None, incident_wavelength=value))
    with h5py.File(path, "r+") as file:
        file["entry/instrument/beam/incident_wavelength"].attrs["units"] = units
    found = nb.read_experiment(path, image=1).beam.wavelength_angstrom
    assert found == pytest.approx(1.25, rel=1e-14)


def test_a_still(tmp_path: Path) -> None:
    assert read(tmp_path, phi=10.0, image=None).goniometer == nb.Goniometer()


def test_an_increment(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "some.nxs"
    path.write_bytes(nxmx(sensor_thickness=None, phi=[10.0]))
    with h5py.File(path, "r+") as file:
        file["entry/sample/transformations/phi_increment_set"] = 0.5
    assert nb.read_experiment(path).goniometer.osc_deg == 0.5


@for_each(
    "changes, text",
    [
        ({"sensor_thickness": 450e-6}, "has a thickness but no attenuation"),
        ({"incident_wavelength": [1.25, 1.26]}, "has 2 wavelengths: the first is used"),
        ({"det_z": [0.15, 0.16]}, "det_z varies: its first value is used"),
        ({"pixel_mask": np.zeros((3, 3))}, r"pixel_mask is not used: it has the shape \(3, 3\)"),
    ],
)
def test_what_cannot_be_held_is_said(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.warns(nb.NanobraggWarning, match=text):
        read(tmp_path, **changes)


@for_each(
    "changes, message",
    [
        ({"definition": "NXsas"}, "has no entry with the definition NXmx"),
        ({"incident_wavelength": None}, "/entry: need incident_wavelength in an NXbeam"),
        ({"incident_wavelength": 0.0}, "/entry/instrument/beam/incident_wavelength: need a wavele"),
        ({"data_size": [20]}, "/entry/instrument/eiger/module0/data_size: need the numbers of"),
        ({"data_size": None}, "/entry/instrument/eiger/module0: need data_size"),
        ({"fast_pixel_direction": None}, "/entry/instrument/eiger/module0: need fast_pixel_direct"),
        (
            {"fast_pixel_direction": 0.0},
            "/entry/instrument/eiger/module0/fast_pixel_direction: nee",
        ),
        ({"det_z": np.nan}, "/entry/instrument/eiger/transformations/det_z: need finite numbers"),
        ({"det_z": None}, "/entry/instrument/eiger/module0/module_offset@depends_on: need a path"),
        ({"det_z": "near"}, "is no HDF5 file that can be read: could not convert"),
    ],
)
def test_faults_name_their_place(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(nb.FileFormatError) as caught:
        read(tmp_path, **changes)
    assert str(caught.value).startswith(f"{tmp_path / 'some.nxs'}: {message}"), str(caught.value)


def test_a_ring_of_transformations(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "some.nxs"
    path.write_bytes(nxmx())
    with h5py.File(path, "r+") as file:
        chain = "/entry/instrument/eiger/transformations"
        file[f"{chain}/twotheta"].attrs["depends_on"] = f"{chain}/det_z"
    with pytest.raises(nb.FileFormatError, match="transformations that end at the laboratory"):
        nb.read_experiment(path)


def test_a_file_that_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "some.nxs"
    path.write_bytes(nxmx()[:5000])
    with pytest.raises(nb.FileFormatError, match="is no HDF5 file that can be read: "):
        nb.read_experiment(path)


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    path = tmp_path / "some.nxs"
    path.write_bytes(nxmx())
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(nb.UnsupportedError) as caught:
        nb.read_experiment(path)
    assert str(caught.value) == (
        f"{path}: an HDF5 file is read with h5py, which is not installed: "
        "pip install 'nanobragg-hybrid[mx]' (in a clone: '.[mx]')"
    )
