"""The comparison of two traces as a text, as Markdown and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from nanobragg_hybrid.compare.traces import DELTAS, Comparison, Difference, StepDeltas, StepIndex

_FIRST, _BEYOND = "=>", " !"
_IN_LINES = (
    *("delta_rot_b_angstroms", "delta_h", "delta_k", "delta_l"),
    *("delta_F_latt_a", "delta_F_latt_b", "delta_F_latt_c"),
)
"""The differences that lines of text have room for; Markdown and data have them all."""
_HEADER = ("", "stage", "quantity", "", "", "difference", "relative", "ULPs")


def comparison_lines(found: Comparison) -> Iterator[str]:
    """For people: what is compared, a line for each step if there are several, the chain of the
    step that diverges (else the first), with the first divergence marked, and the finding."""
    yield f"pixel fast {found.fast}, slow {found.slow}; tolerance {found.rtol:g} relative"
    yield ""
    steps = found.steps()
    if len(steps) > 1:
        yield from _columns(_step_cells(found, steps, _IN_LINES))
        yield ""
    yield from _columns(_chain_cells(found))
    yield ""
    yield finding(found)
    yield from _missing(found)


def finding(found: Comparison) -> str:
    """One sentence: the first divergence, or that there is none."""
    first = found.first_divergence
    if first is None:
        return (
            f"no divergence: {found.name_a} and {found.name_b} agree in all "
            f"{len(found.differences)} numbers and vectors"
        )
    where = "" if first.step_index is None else f" at {step_text(first.step_index)}"
    return (
        f"first divergence: {first.stage}, {first.quantity}{where}: "
        f"{_short(first.distance.relative)} relative, {_short(first.distance.ulps)} ULPs"
    )


def comparison_markdown(found: Comparison) -> str:
    """The same as Markdown, with all steps."""
    lines = [
        f"# Trace of pixel fast {found.fast}, slow {found.slow}",
        "",
        f"a: {found.name_a}; b: {found.name_b}; tolerance {found.rtol:g} relative.",
        "",
        f"**{finding(found)}**",
        "",
        *_missing(found),
        "",
    ]
    steps = found.steps()
    if len(steps) > 1:
        lines += ["## Steps", "", *_markdown_table(_step_cells(found, steps, tuple(DELTAS))), ""]
    lines += ["## Chain", "", *_markdown_table(_chain_cells(found)), ""]
    return "\n".join(lines)


def comparison_document(found: Comparison) -> dict[str, Any]:
    """Plain data for JSON; schemas/trace_comparison.json says what is in it."""
    first = found.first_divergence
    return {
        "format": "nanobragg-hybrid trace comparison",
        "schema_version": 1,
        "a": found.name_a,
        "b": found.name_b,
        "pixel": {"fast": found.fast, "slow": found.slow},
        "rtol": found.rtol,
        "agree": first is None,
        "first_divergence": None if first is None else _difference_document(first),
        **found.maxima(),
        "steps": [
            {
                "step": _place_document(step.step_index),
                "agree": step.agrees,
                "phi_rad": step.phi_rad,
                **step.deltas,
            }
            for step in found.steps()
        ],
        "quantities": [_difference_document(item) for item in found.differences],
        "only_in_a": list(found.only_in_a),
        "only_in_b": list(found.only_in_b),
    }


def step_text(step_index: StepIndex) -> str:
    """The phi step, and of the other loops those that are not at their beginning."""
    others = [
        f"{name.replace('_', ' ')} {number}"
        for name, number in step_index._asdict().items()
        if number and name != "phi_step"
    ]
    return ", ".join([f"phi step {step_index.phi_step}", *others])


def _difference_document(item: Difference) -> dict[str, Any]:
    return {
        "stage": item.stage,
        "quantity": item.quantity,
        "step": _place_document(item.step_index),
        "a": list(item.a),
        "b": list(item.b),
        "absolute": item.distance.absolute,
        "relative": item.distance.relative,
        "ulps": item.distance.ulps,
        "agrees": item.agrees,
    }


def _place_document(step_index: StepIndex | None) -> dict[str, int] | None:
    return None if step_index is None else step_index._asdict()


def _chain_cells(found: Comparison) -> list[Sequence[str]]:
    """Of the pixel's own quantities and those of one step: a line for each component."""
    first = found.first_divergence
    steps = [step.step_index for step in found.steps()]
    shown = (
        first.step_index
        if first is not None and first.step_index is not None
        else next(iter(steps), None)
    )
    rows: list[Sequence[str]] = [(*_HEADER[:3], found.name_a, found.name_b, *_HEADER[5:])]
    stage = ""
    for item in found.differences:
        if item.step_index not in (None, shown):
            continue
        mark = _FIRST if item is first else "" if item.agrees else _BEYOND
        for n in range(max(len(item.a), len(item.b))):
            values = (f"{side[n]:.15g}" if n < len(side) else "" for side in (item.a, item.b))
            if n > 0:
                rows.append(("", "", "", *values, "", "", ""))
                continue
            name = "" if item.stage == stage else item.stage
            rows.append((mark, name, item.quantity, *values, *map(_short, item.distance)))
        stage = item.stage
    return rows


def _step_cells(
    found: Comparison, steps: Sequence[StepDeltas], names: Sequence[str]
) -> list[Sequence[str]]:
    first = found.first_divergence
    names = [name for name in names if any(name in step.deltas for step in steps)]
    rows: list[Sequence[str]] = [("", "step", "phi, deg", *names)]
    for step in steps:
        is_first = first is not None and first.step_index == step.step_index
        mark = _FIRST if is_first else "" if step.agrees else _BEYOND
        phi = "" if step.phi_rad is None else f"{math.degrees(step.phi_rad):.10g}"
        where = "" if step.step_index is None else step_text(step.step_index)
        deltas = (step.deltas.get(name) for name in names)
        rows.append((mark, where, phi, *("" if x is None else _short(x) for x in deltas)))
    return rows


def _missing(found: Comparison) -> Iterator[str]:
    for name, names in ((found.name_a, found.only_in_a), (found.name_b, found.only_in_b)):
        if names:
            yield f"not compared, only in {name}: {', '.join(names)}"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _markdown_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for n, row in enumerate(rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        if n == 0:
            yield "|" + "---|" * len(row)


def _short(number: float) -> str:
    return f"{number:.3g}"
