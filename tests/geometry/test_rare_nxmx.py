"""NXmx files as few programs write them: what they say counts, or is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from geometry_files import nxmx
from positions import TO_SIMULATOR, about, five_pixels, laboratory_mm, plan_of

import nanobragg_hybrid as nb

h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra: mx)")

CHAIN = "/entry/instrument/eiger/transformations"
MODULE = "/entry/instrument/eiger/module0"
PHI = "/entry/sample/transformations/phi"
Edit = Callable[[Any], object]


def read(folder: Path, edit: Edit, *, image: int | None = 1, **changes: Any) -> nb.Experiment:
    path = folder / "some.nxs"
    path.write_bytes(nxmx(**{"sensor_thickness": None, **changes}))
    with h5py.File(path, "r+") as file:
        edit(file)
    return nb.read_experiment(path, image=image)


def attribute(path: str, name: str, value: Any) -> Edit:
    def edit(file: Any) -> None:
        file[path].attrs[name] = value

    return edit


def without(*paths: str) -> Edit:
    def edit(file: Any) -> None:
        for path in paths:
            del file[path]

    return edit


def as_it_is(file: Any) -> None:
    del file


def second_entry(file: Any) -> None:
    group = file.create_group("later")
    group.attrs["NX_class"] = "NXentry"
    group["definition"] = "NXmx"


def module_on_itself(file: Any) -> None:
    file[f"{MODULE}/fast_pixel_direction"].attrs["depends_on"] = CHAIN
    file[f"{MODULE}/slow_pixel_direction"].attrs["depends_on"] = CHAIN


FAULTS: list[tuple[Edit, dict[str, Any], str]] = [
    (without("/entry/instrument"), {}, "/entry: need an NXinstrument"),
    (
        without(MODULE, MODULE.replace("0", "1")),
        {},
        "/entry/instrument: need an NXdetector with an NXdetector_module",
    ),
    (
        attribute(f"{CHAIN}/det_z", "units", "furlong"),
        {},
        f"{CHAIN}/det_z@units: need one of ",
    ),
    (
        attribute(f"{CHAIN}/det_z", "offset_units", "deg"),
        {},
        f"{CHAIN}/det_z@offset_units: need one of ",
    ),
    (
        attribute(f"{CHAIN}/det_z", "vector", [0.0, 1.0]),
        {},
        f"{CHAIN}/det_z@vector: need three finite numbers",
    ),
    (
        attribute(f"{CHAIN}/det_z", "offset", [0.0, np.inf, 0.0]),
        {},
        f"{CHAIN}/det_z@offset: need three finite numbers",
    ),
    (
        attribute(f"{CHAIN}/det_z", "transformation_type", "shift"),
        {},
        f"{CHAIN}/det_z@transformation_type: need 'rotation' or 'translation'",
    ),
    (
        attribute(f"{CHAIN}/det_z", "vector", [0.0, 0.0, 0.0]),
        {},
        f"{CHAIN}/det_z@vector: need a direction, not 0 0 0",
    ),
    (module_on_itself, {}, f"{CHAIN}: need a transformation, not a group"),
    (
        attribute(f"{MODULE}/slow_pixel_direction", "vector", [-1.0, -0.02, 0.0]),
        {},
        f"{MODULE}: need perpendicular pixel directions",
    ),
    (
        as_it_is,
        {"data_origin": [-20, 0]},
        f"{MODULE}/data_origin: need the slow and the fast number of a pixel",
    ),
    (
        as_it_is,
        {"data_origin": [0]},
        f"{MODULE}/data_origin: need the slow and the fast number of a pixel",
    ),
]


@for_each("edit, changes, message", FAULTS, ids=lambda row: row[2])
def test_faults_name_their_place(
    edit: Edit, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(nb.FileFormatError) as caught:
        read(tmp_path, edit, **changes)
    assert str(caught.value).startswith(f"{tmp_path / 'some.nxs'}: {message}"), str(caught.value)


def ub_matrix(file: Any) -> None:
    file["entry/sample/ub_matrix"] = np.eye(3)


@for_each(
    "edit, text",
    [
        (second_entry, "has 2 entries: the first is used"),
        (ub_matrix, "the orientation of the crystal in /entry/sample is not used"),
        (
            attribute(f"{MODULE}/slow_pixel_direction", "offset", [1.0, 0.0, 0.0]),
            f"{MODULE}/slow_pixel_direction@offset is not used: module_offset says where",
        ),
    ],
    ids=lambda row: row[1],
)
def test_what_is_not_used_is_said(edit: Edit, text: str, tmp_path: Path) -> None:
    with pytest.warns(nb.NanobraggWarning) as caught:
        experiment = read(tmp_path, edit)
    assert [text in str(each.message) for each in caught] == [True]
    path = tmp_path / "plain.nxs"
    path.write_bytes(nxmx(sensor_thickness=None))
    assert experiment == nb.read_experiment(path, image=1)


def test_a_module_without_an_offset_of_its_own(tmp_path: Path) -> None:
    """It begins where the fast direction's offset says."""

    def edit(file: Any) -> None:
        del file[f"{MODULE}/module_offset"]
        for axis in ("fast", "slow"):
            direction = file[f"{MODULE}/{axis}_pixel_direction"]
            direction.attrs["depends_on"] = f"{CHAIN}/det_z"
            direction.attrs["offset"] = [5.0, 4.0, 0.0]
            direction.attrs["offset_units"] = "mm"

    plan = plan_of(read(tmp_path, edit), 0)
    for fast, slow in five_pixels(30, 20):
        on_arm = np.array([5.0 - 0.5 * fast + 1.0, 4.0 - 0.5 * slow + 2.0, 153.0])
        found = laboratory_mm(plan, (fast, slow), "nexus")
        assert np.abs(found - about((-1, 0, 0), 20.0) @ on_arm).max() < 1e-9


def test_a_scan_that_turns_back(tmp_path: Path) -> None:
    """The same positions of the crystal about the axis the other way round."""
    ahead = read(tmp_path, as_it_is, image=2)
    back = read(tmp_path, as_it_is, image=2, phi=[10.0, 9.75, 9.5])
    assert (ahead.goniometer.phi_deg, ahead.goniometer.osc_deg) == (10.25, 0.25)
    assert (back.goniometer.phi_deg, back.goniometer.osc_deg) == (-9.75, 0.25)
    spindle = TO_SIMULATOR["nexus"] @ about((-1, 0, 0), 90.0) @ [0.0, 1.0, 0.0]
    assert np.allclose(ahead.goniometer.spindle_axis, spindle, atol=1e-15)
    assert np.allclose(back.goniometer.spindle_axis, -spindle, atol=1e-15)


def test_a_still_without_a_sample(tmp_path: Path) -> None:
    experiment = read(tmp_path, without("/entry/sample"), image=None)
    assert experiment.goniometer == nb.Goniometer()


def test_neither_a_mask_nor_a_saturation(tmp_path: Path) -> None:
    experiment = read(tmp_path, as_it_is, pixel_mask=None, saturation_value=None)
    for panel in experiment.detector.panels or ():
        assert (panel.mask, panel.trusted_range) == (None, None)
    assert len(experiment.detector.panels or ()) == 2
