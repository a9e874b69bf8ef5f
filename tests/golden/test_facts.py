"""The numbers that nanoBragg prints, as --json reports them, printed the same way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from recorded import Run, differing_facts, table

CASES = table("cases")
SUCCEED = [name for name, case in CASES.items() if case["exit"] == 0]


@pytest.mark.parametrize("case", SUCCEED)
def test_facts(case: str, golden_run: Callable[[str], Run]) -> None:
    assert differing_facts(golden_run(case), CASES[case]) == []
