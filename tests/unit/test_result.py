"""Statistics and geometry are the C structs in user units."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, get_args

import pytest
from header import HEADER

from nanobragg_hybrid import Crystal, Detector, Experiment, Geometry, Quirks, Statistics
from nanobragg_hybrid import StructureFactors as Factors
from nanobragg_hybrid.base.units import RTD
from nanobragg_hybrid.engines.c.numbers import WARNING_BITS
from nanobragg_hybrid.engines.c.plan import Plan
from nanobragg_hybrid.engines.c.plan_info import OF_CULLING, plan_info, resolved_plan
from nanobragg_hybrid.model.resolved_plan import PlanWarning, ResolvedPlan

EXPERIMENT = Experiment(
    crystal=Crystal(cell_angstrom=(70, 80, 90), cell_deg=(75, 85, 95), misset_deg=(1, 2, 3)),
    detector=Detector(n_fast=24, n_slow=20, convention="dials", twotheta_deg=-12, distance_mm=77),
)


@pytest.fixture(scope="module")
def c_plan() -> Plan:
    return Plan(EXPERIMENT, Factors.constant(1), Quirks())


@pytest.fixture(scope="module")
def info(c_plan: Plan) -> dict[str, Any]:
    return c_plan.info()


@pytest.fixture(scope="module")
def plan(c_plan: Plan) -> ResolvedPlan:
    return c_plan.resolved()


def test_plan_and_info_say_the_same(info: dict[str, Any], plan: ResolvedPlan) -> None:
    assert resolved_plan(info) == plan
    in_plan = {name: value for name, value in info.items() if name not in OF_CULLING}
    assert plan_info(plan) == in_plan
    assert list(plan_info(plan)) == list(in_plan)
    assert (plan.convention, plan.pivot, plan.roi) == ("dials", "sample", (0, 23, 0, 19))
    assert plan.interpolate is False
    without_kernel = plan_info(plan._replace(kernel=None, kernel_reason=""))
    assert in_plan.items() - without_kernel.items() == {
        ("kernel", info["kernel"]),
        ("kernel_reason", info["kernel_reason"]),
    }


def test_warnings_have_names_bits_and_sentences(info: dict[str, Any]) -> None:
    bits = sum(WARNING_BITS.values())
    every = resolved_plan({**info, "warnings": bits})
    assert every.warnings == get_args(PlanWarning)
    assert plan_info(every)["warnings"] == bits
    assert len(every.sentences()) == len(WARNING_BITS) == bits.bit_count()
    assert set(every.doubts()) < set(every.sentences())
    assert every.sentences()[0].endswith(f"clipped to {info['crystal_size_m'][1]:g} m")
    one = resolved_plan({**info, "warnings": 128, "oversample": 3, "recommended_oversample": 7})
    assert one.warnings == ("oversample_low",)
    assert one.sentences() == ("oversample 3 is too low for the spots, which need 7",)


def test_statistics_have_the_members_of_the_header() -> None:
    struct = re.search(r"struct nbh_statistics \{(.*?)\}", HEADER.read_text("utf-8"), re.DOTALL)
    assert struct is not None
    members = re.findall(r"\w+ (\w+);", struct[1])
    assert [field.name for field in dataclasses.fields(Statistics)] == members
    values = dict(zip(members, range(len(members)), strict=True))
    assert dataclasses.asdict(Statistics(**values)) == values


def test_geometry_is_the_plan_in_user_units(info: dict[str, Any], plan: ResolvedPlan) -> None:
    geometry = Geometry.from_plan(plan)
    assert (geometry.convention, geometry.pivot) == ("dials", "sample")
    assert (geometry.n_fast, geometry.n_slow) == (24, 20)
    assert geometry.roi == (0, 23, 0, 19)
    assert geometry.distance_mm == info["distance_m"] * 1000.0
    assert geometry.close_distance_mm == pytest.approx(77.0, rel=1e-12)
    assert geometry.pix0_mm == tuple(x * 1000.0 for x in info["pix0_m"])
    assert geometry.dials_origin_mm == info["dials_origin_mm"]
    assert geometry.org_x_px == info["org_x_px"]
    assert geometry.fast_axis == info["fast_axis"]
    assert geometry.a_angstrom == tuple(x * 1e10 for x in info["a0_m"])
    assert geometry.cell_angstrom == info["cell_length_angstrom"]
    assert geometry.cell_deg == tuple(x * RTD for x in info["cell_angle_rad"])
    assert geometry.misset_deg == pytest.approx((1.0, 2.0, 3.0), rel=1e-15)
    assert geometry.cell_volume_angstrom3 == info["cell_volume_angstrom3"]


def test_every_number_of_the_geometry_is_plain_python(plan: ResolvedPlan) -> None:
    for value in dataclasses.asdict(Geometry.from_plan(plan)).values():
        for item in value if isinstance(value, tuple) else (value,):
            assert type(item) in (str, int, float)


def test_every_field_is_documented() -> None:
    for cls in (Statistics, Geometry):
        for field in dataclasses.fields(cls):
            assert re.search(rf"\b{field.name}\b", cls.__doc__ or ""), field.name
    for name in ResolvedPlan._fields:
        assert re.search(rf"\b{name}\b", ResolvedPlan.__doc__ or ""), name
