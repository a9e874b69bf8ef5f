"""The tests' own decorator for rules that hold in many places."""

from __future__ import annotations

from pathlib import Path

import pytest
from for_each import LONGEST, for_each


def test_every_row_that_fails_is_named() -> None:
    seen = []

    @for_each("number, text", [(1, "a"), (2, "b"), (3, "c"), (4, "d")], ids=lambda row: row[1])
    def check(number: int, text: str, more: int) -> None:
        seen.append((number, text, more))
        assert number != 2, "two\nis even"
        assert number != 3, "x" * 10_000
        if number == 4:
            with pytest.raises(ValueError, match="four"):
                seen.copy()

    with pytest.raises(pytest.fail.Exception) as caught:
        check(more=7)
    assert seen == [(1, "a", 7), (2, "b", 7), (3, "c", 7), (4, "d", 7)]
    text = str(caught.value)
    two, three, four = (line for line in text.splitlines() if not line.startswith(" "))
    assert (two, "    is even" in text) == ("b: two", True)
    assert three.startswith("c: xxx")
    assert LONGEST < len(three) < LONGEST + 50
    assert four.startswith("d: Failed: DID NOT RAISE")
    assert "(test_for_each.py:" in four


@for_each("number", range(5))
def test_rows_that_keep_the_rule_pass(number: int, tmp_path: Path) -> None:
    """And the fixtures that are no part of a row are pytest's, the same for every row."""
    assert len(list(tmp_path.iterdir())) == number
    (tmp_path / str(number)).touch()


def test_a_rule_that_is_looked_at_nowhere_is_refused() -> None:
    with pytest.raises(AssertionError, match="nowhere"):
        for_each("number", [])


def test_a_row_that_skips_fails_and_hides_no_other() -> None:
    @for_each("number", [1, 2, 3])
    def check(number: int) -> None:
        if number == 1:
            pytest.skip("no such device")
        assert number == 2

    with pytest.raises(pytest.fail.Exception) as caught:
        check()
    first, *others = str(caught.value).splitlines()
    assert first == "1: skips (no such device), which would hide every other row"
    assert [line[:3] for line in others if not line.startswith(" ")] == ["3: "]
