"""The flag table itself: complete, unambiguous, and all of it in --help."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from recorded import table

from nanobragg_hybrid.arguments.fields import Fields
from nanobragg_hybrid.arguments.flags import FLAGS, OWN_OPTIONS, STEMS, SUBJECTS, Flag
from nanobragg_hybrid.cli.nanobragg.help import help_text
from nanobragg_hybrid.engines.registry import _OWN

SPELLINGS = [spelling for flag in FLAGS for spelling in flag.spellings]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "files_and_command_line.md"
PAGE_WORDS = set(re.findall(r"--?\w+", PAGE.read_text()))

# Options that fire more than the row they name (quirk cli_substring).
ALSO = {
    "-misset_seed": {"-misset"},
    "-twotheta_axis": {"-twotheta"},
    "-printout_pixel": {"-printout"},
}

NEVER_RECORDED = set(
    """-square_xtal -mosaici -round_div -floatfile -intfile -pgmfile -noisefile -nopgm -nonoise
    -printout -printout_pixel -trace_pixel -progress -noprogress -coherent -density -MW -molec
    -stol -stolout""".split()
)
"""Rows of nanoBragg's that are in no recorded command line."""


def row(spelling: str) -> Flag:
    """The row that a spelling belongs to."""
    return next(flag for flag in FLAGS if spelling in flag.spellings)


def test_no_spelling_belongs_to_two_rows() -> None:
    assert [name for name, count in Counter(SPELLINGS).items() if count > 1] == []


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_fires_its_row_and_no_more_than_known(spelling: str) -> None:
    fired = {flag.spellings[0] for flag in FLAGS if flag.fires(spelling)}
    others = {row(name).spellings[0] for name in ALSO.get(spelling, set())}
    assert fired == {row(spelling).spellings[0]} | others


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_match_has_finds_a_longer_word_and_is_does_not(spelling: str) -> None:
    assert row(spelling).fires(spelling + "zz") is (row(spelling).match == "has")


def test_every_stem_is_a_spelling_that_is_found_in_longer_words() -> None:
    assert set(SPELLINGS) >= STEMS
    assert {row(stem).match for stem in STEMS} == {"has"}


def test_every_row_has_a_known_subject_and_a_help_text() -> None:
    assert {flag.subject for flag in FLAGS} == set(SUBJECTS)
    assert all(flag.help for flag in FLAGS)


@pytest.mark.parametrize("target", sorted({t for flag in FLAGS for t in flag.targets}))
def test_every_target_is_a_field_of_the_experiment(target: str) -> None:
    part, name, *_ = target.split(".")
    Fields().get(f"{part}.{name}")


@pytest.mark.parametrize("target", sorted({t for flag in FLAGS for t in flag.targets}))
def test_what_is_emitted_is_a_whole_word_of_its_row(target: str) -> None:
    for flag in [flag for flag in FLAGS if flag.targets == (target,)][:1]:
        assert flag.option in flag.whole_words
        assert flag.fires(flag.option)


def test_which_rows_are_not_emitted_by_their_first_spelling() -> None:
    others = {flag.spellings[0]: flag.option for flag in FLAGS if flag.emitted}
    assert others == {"-mosaic_dom": "-mosaic_domains", "-binary_spots": "-tophat_spots"}


def test_every_row_is_nanobraggs_or_says_that_it_is_ours() -> None:
    """nanoBragg's are in a recorded command line or in `NEVER_RECORDED`; it would pass over any
    other option without a word, and the backend "reference" with it."""
    cases = [case for name in ("cases", "cases_fixed") for case in table(name).values()]
    words = {word for case in cases for word in case["args"].split() if word.startswith("-")}
    recorded = {flag for flag in FLAGS if any(flag.fires(word) for word in words)}
    ours = {flag for flag in FLAGS if flag.is_ours}
    assert ours & recorded == set()
    assert {flag.spellings[0] for flag in {*FLAGS} - recorded - ours} == NEVER_RECORDED


def test_an_unknown_field_is_noticed() -> None:
    with pytest.raises(AttributeError):
        Fields().get("crystal.colour")


@pytest.mark.parametrize("spelling", [*SPELLINGS, *(option.spelling for option in OWN_OPTIONS)])
def test_help_mentions_every_spelling(spelling: str) -> None:
    assert re.search(rf"^  .*(?<!\S){re.escape(spelling)}(?![\w-])", help_text(), re.MULTILINE)


@pytest.mark.parametrize("name", list(_OWN))
def test_help_and_page_name_every_engine(name: str) -> None:
    (backend,) = (option for option in OWN_OPTIONS if option.spelling == "--backend")
    (line,) = re.findall(r"^\| `--backend NAME` .*", PAGE.read_text(), re.MULTILINE)
    assert re.search(rf"\b{name}\b", backend.help)
    assert f"`{name}`" in line


def test_help_states_units_under_every_subject_and_fits_a_page() -> None:
    text = help_text()
    lines = text.splitlines()
    assert [subject for subject in SUBJECTS if subject not in lines] == []
    for flag in FLAGS:
        assert flag.unit == "" or f"[{flag.unit}]" in " ".join(text.split())
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("spelling", [*SPELLINGS, *(option.spelling for option in OWN_OPTIONS)])
def test_the_page_mentions_every_spelling(spelling: str) -> None:
    assert spelling in PAGE_WORDS


def test_half_a_word_is_not_a_spelling() -> None:
    assert "-gauss_hkl" not in PAGE_WORDS
