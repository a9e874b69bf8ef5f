"""What is said twice - C structs, their Python names, the configuration - is said alike."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any, get_args

import pytest

import nanobragg_hybrid
from nanobragg_hybrid import _core
from nanobragg_hybrid.engines.c import bridge
from nanobragg_hybrid.engines.c.numbers import WARNING_BITS
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.quirks import LEDGER, Quirks
from nanobragg_hybrid.model.resolved_plan import SENTENCES, PlanWarning
from nanobragg_hybrid.model.trace import STEP_INDICES, StepChoice, StepTrace

PARTS = ("beam", "crystal", "goniometer", "detector", "sampling")
NOT_IN_THE_PLAN = "output"  # the integer images' settings


def _members(ffi: Any, struct: str) -> list[str]:
    return [name for name, _ in ffi.typeof(struct).fields if not name.startswith("reserved")]


def _attributes(cls: type) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


def test_every_config_field_has_a_way_into_the_plan() -> None:
    fields = {
        f"{part.name}.{field.name}"
        for part in dataclasses.fields(Experiment)
        for field in dataclasses.fields(part.metadata["rule"].of)
        if part.name != NOT_IN_THE_PLAN
    }
    assert {link.config for link in bridge.LINKS} == fields - set(bridge.OF_SEVERAL_PANELS)
    assert set(bridge.OF_SEVERAL_PANELS) <= fields


def test_every_struct_member_is_filled_once(ffi: Any) -> None:
    members = [f"{part}.{name}" for part in PARTS for name in _members(ffi, f"nbh_{part}")]
    filled = [link.member for link in bridge.LINKS]
    assert sorted([*filled, *bridge.COUNTS]) == sorted(members)
    assert bridge.ARRAYS.keys() == set(bridge.COUNTS.values())


@pytest.mark.parametrize("part", PARTS)
def test_structs_in_python_have_the_members_of_the_header(ffi: Any, part: str) -> None:
    pointers = {path for path in [*bridge.ARRAYS, *bridge.COUNTS] if path.startswith(f"{part}.")}
    expected = set(_members(ffi, f"nbh_{part}")) - {path.split(".")[1] for path in pointers}
    assert _attributes(getattr(_core, part.capitalize())) == expected


def test_experiment_has_the_parts_of_the_header(ffi: Any) -> None:
    members = set(_members(ffi, "nbh_experiment")) - {"struct_size"}
    assert _attributes(_core.Experiment) - set(bridge.ARRAYS.values()) == members


def test_dicts_have_the_members_of_the_header(ffi: Any, small_plan: _core.Plan) -> None:
    image, _, omega_sum, _ = small_plan.render(1, None, False)
    trace, steps, count = small_plan.trace(0, 0, [-1] * 6, 1, 1)
    assert (count, len(steps)) == (1, 1)
    assert list(small_plan.info()) == _members(ffi, "nbh_plan_info")
    assert list(small_plan.statistics(image, omega_sum)) == _members(ffi, "nbh_statistics")
    assert list(trace) == _members(ffi, "nbh_trace")
    assert list(trace["first"]) == list(trace["last"]) == _members(ffi, "nbh_step_trace")
    assert list(steps[0]) == list(trace["first"])
    assert list(_core.odd_pixels(image, (0, 1, 0, 1), None)) == _members(ffi, "nbh_odd_pixels")
    assert list(_core.hkl_scan(b"1 2 3 4\n", True)) == _members(ffi, "nbh_hkl_bounds")


@pytest.fixture
def small_plan() -> _core.Plan:
    experiment = _core.Experiment()
    experiment.crystal.cell_length_angstrom = [50.0, 50.0, 50.0]
    experiment.crystal.cell_angle_rad = [1.5707963267948966] * 3
    experiment.detector.n_fast = experiment.detector.n_slow = 2
    return _core.Plan(experiment, None, 0, 0, 0, 1.0)


def test_warnings_are_those_of_the_header(ffi: Any) -> None:
    bits = {f"NBH_WARN_{name.upper()}": bit for name, bit in WARNING_BITS.items()}
    assert bits == ffi.typeof("nbh_plan_warning").relements
    assert list(SENTENCES) == list(WARNING_BITS) == list(get_args(PlanWarning))


def test_quirks_are_those_of_the_header(lib: Any) -> None:
    bits = {name: getattr(lib, name) for name in dir(lib) if name.startswith("NBH_QUIRK")}
    assert bits.pop("NBH_QUIRKS_NANOBRAGG") == Quirks.nanobragg().bits
    assert bits.pop("NBH_QUIRKS_NANOBRAGG_FIXED") == Quirks.nanobragg_fixed().bits
    assert bits.pop("NBH_QUIRKS_NONE") == Quirks.none().bits
    assert bits == {f"NBH_QUIRK_{quirk.name.upper()}": 1 << n for n, quirk in enumerate(LEDGER)}


def test_constants_are_those_of_the_c_defaults(ffi: Any, lib: Any) -> None:
    experiment = ffi.new("nbh_experiment *")
    lib.nbh_experiment_init(experiment)
    assert experiment.beam.direction[0] == _core.UNSET
    assert experiment.detector.n_fast == _core.UNSET_INT


def test_python_defaults_are_the_c_defaults(ffi: Any, lib: Any) -> None:
    """An experiment of defaults changes nothing, up to the rounding of the conversions."""
    plain, filled = _core.Experiment(), bridge.to_core(Experiment(), Quirks())
    for part in PARTS:
        for name in _attributes(getattr(_core, part.capitalize())):
            default = getattr(getattr(plain, part), name)
            got = getattr(getattr(filled, part), name)
            if f"{part}.{name}" == "crystal.cell_angle_rad":
                assert default == [0.0, 0.0, 0.0]  # no cell, no angles
                continue
            assert got == pytest.approx(default, rel=1e-15), f"{part}.{name}"
    assert filled.quirks == plain.quirks


def test_stub_names_what_the_extension_has() -> None:
    stub = Path(nanobragg_hybrid.__file__).with_name("_core.pyi").read_text(encoding="utf-8")
    for node in ast.parse(stub).body:
        if isinstance(node, ast.ClassDef) and node.name != "Error":
            named = {
                item.target.id if isinstance(item, ast.AnnAssign) else item.name
                for item in node.body
                if isinstance(item, ast.AnnAssign | ast.FunctionDef)
            }
            has = _attributes(getattr(_core, node.name))
            assert {name for name in named if name != "__init__"} == has, node.name
    names = {
        node.target.id if isinstance(node, ast.AnnAssign) else node.name
        for node in ast.parse(stub).body
        if isinstance(node, ast.AnnAssign | ast.FunctionDef | ast.ClassDef)
    }
    assert names == {name for name in vars(_core) if not name.startswith("_")}


def test_step_choices_have_the_members_of_the_header(ffi: Any) -> None:
    names = [field.name for field in dataclasses.fields(StepChoice)]
    assert names == list(STEP_INDICES) == _members(ffi, "nbh_step_choice")
    assert set(names) | {field.name for field in dataclasses.fields(StepTrace)} == {
        *_members(ffi, "nbh_step_trace")
    } - {"stol_per_m"}
