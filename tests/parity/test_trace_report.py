"""Comparisons as text, Markdown and data."""

from __future__ import annotations

import copy
import json
import math

import pytest
from json_schema import problems, schema
from traces import STEP, TRACE, step, trace

from nanobragg_hybrid.compare.trace_report import (
    comparison_document,
    comparison_lines,
    comparison_markdown,
    finding,
    step_text,
)
from nanobragg_hybrid.compare.traces import Comparison, StepIndex, compare_traces
from nanobragg_hybrid.formats.trace_text import TraceText

OTHER = trace(step(b_m=(1e-12, 8e-9, 0.0), hkl=(-1.25, 2.5, -8.25)), pixel_value=0.5)
AGREE = compare_traces(TRACE, TRACE, names=("c", "torch"))
DIFFER = compare_traces(TRACE, OTHER, names=("c", "torch"))
STEPS = compare_traces(
    trace(STEP, step(phi_step=1, phi_rad=math.pi / 180)),
    trace(STEP, step(phi_step=1, phi_rad=math.pi / 180, hkl=(-1.25, 2.5, -8.25))),
    names=("c", "torch"),
)


def test_finding_of_traces_that_agree() -> None:
    assert finding(AGREE) == "no divergence: c and torch agree in all 45 numbers and vectors"
    assert list(comparison_lines(AGREE))[-1] == finding(AGREE)


def test_finding_names_the_first() -> None:
    assert finding(DIFFER) == (
        "first divergence: cell rotation, rot_b_angstroms at phi step 0: "
        "0.000125 relative, 7.04e+11 ULPs"
    )
    pixel = compare_traces(TRACE, trace(pix0_m=(0.1, 0.0132, 0.5)))
    assert finding(pixel).startswith("first divergence: detector, pix0_vector_meters: ")


def test_table_marks_the_first_and_all_others() -> None:
    lines = list(comparison_lines(DIFFER))
    assert lines[0] == "pixel fast 10, slow 20; tolerance 1e-12 relative"
    (first,) = (line for line in lines if line.startswith("=>"))
    assert first.split()[1:] == ["rot_b_angstroms", "0", "0.01", "0.01", "0.000125", "7.04e+11"]
    others = [line.split()[1:] for line in lines if line.startswith(" !")]
    assert [words[-6] for words in others] == ["hkl_frac", "I_pixel_final"]
    after = lines[lines.index(first) + 1]
    assert after.split() == ["80", "80"]  # the second component
    assert lines[2].split() == "stage quantity c torch difference relative ULPs".split()


def test_table_has_a_line_for_each_step() -> None:
    lines = list(comparison_lines(STEPS))
    assert lines[2].split()[:4] == ["step", "phi,", "deg", "delta_rot_b_angstroms"]
    assert lines[3].startswith("    phi step 0  0 ")
    assert lines[4].startswith("=>  phi step 1  1 ")
    assert "0.438" in lines[4].split()
    assert "first divergence: Miller indices, hkl_frac at phi step 1" in lines[-1]
    chain = [line for line in lines[:-1] if " hkl_frac " in line]
    assert len(chain) == 1  # of the step that diverges
    assert "2.5" in lines[lines.index(chain[0]) + 1]


def test_what_is_not_compared_is_told() -> None:
    file = [TraceText("C", {"fast": (10.0,), "slow": (20.0,), "polar": (TRACE.polarization,)})]
    found = compare_traces(file, TRACE, names=("old.txt", "c"))
    assert "not compared, only in c: pix0_vector_meters" in comparison_markdown(found)
    assert list(comparison_lines(found))[-1].startswith(
        "not compared, only in c: pix0_vector_meters, "
    )
    assert comparison_document(found)["max_delta_h"] is None


def test_markdown() -> None:
    text = comparison_markdown(STEPS)
    assert text.startswith("# Trace of pixel fast 10, slow 20\n")
    assert f"**{finding(STEPS)}**" in text
    assert "| => | phi step 1 | 1 | 0 " in text
    assert "\n## Chain\n" in text
    assert "## Steps" not in comparison_markdown(DIFFER)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {16, 9}


@pytest.mark.parametrize("found", [AGREE, DIFFER, STEPS], ids=["agree", "differ", "steps"])
def test_document_fits_its_schema(found: Comparison) -> None:
    document = json.loads(json.dumps(comparison_document(found), allow_nan=False))
    assert problems(document, schema("trace_comparison")) == []


def test_document_says_what_was_found() -> None:
    document = comparison_document(STEPS)
    assert document["agree"] is False
    assert document["first_divergence"]["stage"] == "Miller indices"
    assert document["first_divergence"]["step"]["phi_step"] == 1
    assert document["max_delta_k"] == 0.4375
    assert document["max_delta_h"] == document["max_delta_F_latt_b"] == 0.0
    assert [item["delta_k"] for item in document["steps"]] == [0.0, 0.4375]
    assert comparison_document(AGREE)["first_divergence"] is None


def test_schema_refuses_other_documents() -> None:
    rules = schema("trace_comparison")
    document = json.loads(json.dumps(comparison_document(DIFFER)))
    for change, problem in (
        ({"format": "other"}, "$.format: got 'other'"),
        ({"rtol": -1.0}, "$.rtol: got -1.0, which is out of range"),
        ({"agree": 1}, "$.agree: got 1, need boolean"),
        ({"quantities": []}, "$.quantities: got 0 items"),
        ({"max_delta_h": "big"}, "$.max_delta_h: fits no choice"),
        ({"colour": "red"}, "$: colour is not in the schema"),
    ):
        found = problems({**document, **change}, rules)
        assert len(found) == 1
        assert found[0].startswith(problem)
    lacking = copy.deepcopy(document)
    del lacking["first_divergence"]["ulps"]
    assert "lacks ulps" in problems(lacking, rules)[0]


def test_places_in_words() -> None:
    assert step_text(StepIndex(0, 0, 0, 0, 3, 0)) == "phi step 3"
    assert step_text(StepIndex(1, 0, 2, 0, 0, 4)) == "phi step 0, layer 1, sub fast 2, domain 4"
