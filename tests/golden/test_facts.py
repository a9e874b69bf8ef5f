"""The numbers that nanoBragg prints, as --json reports them, printed the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from recorded import Run, same_text, table

CASES = table("cases")
SUCCEED = [name for name, case in CASES.items() if case["exit"] == 0]

# How the recorded text was formatted; %g where nothing is said.
FORMATS = {"misset_deg": "%f", "photons_overloads": "%.0f", "hkls": "%d"}


def printed(name: str, value: Any) -> Any:
    """Numbers as text in the recorded format, lists item by item, text as it is."""
    if isinstance(value, list):
        return [printed(name, item) for item in value]
    if isinstance(value, str):
        return value
    if value is None:
        return "nan"
    return FORMATS.get(name, "%g") % value


@pytest.mark.parametrize("case", SUCCEED)
def test_facts(case: str, golden_run: Callable[[str], Run]) -> None:
    recorded: dict[str, Any] = CASES[case]["facts"]
    facts = golden_run(case).facts()
    differ = []
    for name, need in recorded.items():
        got = printed(name, facts[name])
        pairs = zip(got, need, strict=True) if isinstance(need, list) else [(got, need)]
        if not all(same_text(a, b) for a, b in pairs):
            differ.append(f"{name}: got {got}, need {need}")
    assert differ == []
