"""Quirks of the command line: 012, 013, 014, 016 and 017, by what the arguments come to mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pictures import CONSTANT, off
from random_experiments import random_quirks
from recorded import INPUTS, table

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.flags import FLAGS, LONGER, STEMS
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.engines.c.plan import Plan

SMALL = "-cell 70 80 90 75 85 95 -default_F 100 -N 5 -detpixels 16 -pixel 1.6 -oversample 1 "


def meaning(args: str, quirks: nb.Quirks | None = None) -> nb.Experiment:
    """The experiment of a command line without warnings."""
    command = parse_command(args, INPUTS, quirks=quirks)
    assert command.warnings == ()
    return command.experiment


def geometry(args: str, quirks: nb.Quirks) -> dict[str, Any]:
    """What the plan of a command line derives."""
    return Plan(parse_command(SMALL + args, quirks=quirks).experiment, CONSTANT, quirks).info()


def vectors(info: dict[str, Any]) -> list[Any]:
    names = ("fast", "slow", "normal", "twotheta", "polarization", "spindle")
    return [info["beam_direction"], *(info[f"{name}_axis"] for name in names)]


# --- 012 misset_seed_default


def test_seed_of_the_missetting() -> None:
    args = SMALL + "-misset random -seed 11"
    corrected = nb.simulate(meaning(args), CONSTANT, quirks=off("misset_seed_default"), threads=1)
    asked = SMALL + "-misset_seed 11 -misset random -seed 11"
    told = parse_command(asked).experiment
    assert np.array_equal(corrected.image, nb.simulate(told, CONSTANT, threads=1).image)
    both = SMALL + "-misset_seed 5 -misset random -seed 11"
    named = parse_command(both).experiment
    images = [
        nb.simulate(named, CONSTANT, quirks=quirks, threads=1).image
        for quirks in (nb.Quirks(), off("misset_seed_default"))
    ]
    assert np.array_equal(*images)  # -misset_seed wins
    assert not np.array_equal(images[0], corrected.image)


# --- 013 custom_convention_switch

NAMED = ["", "-xds", "-adxv", "-denzo", "-dials", "-mosflm"]


@pytest.mark.parametrize("flag", NAMED)
@pytest.mark.parametrize("order", ["{flag} {vector}", "{vector} {flag}"])
def test_named_convention_stays_and_vectors_are_kept(flag: str, order: str) -> None:
    quirks = off("custom_convention_switch")
    args = order.format(flag=flag, vector="-spindle_axis 0 0.6 0.8")
    got, plain = geometry(args, quirks), geometry(flag, quirks)
    assert got["convention"] == plain["convention"] != 0
    assert got["spindle_axis"] == pytest.approx((0.0, 0.6, 0.8))
    assert got["pix0_m"] == plain["pix0_m"]
    assert vectors(got)[:-1] == vectors(plain)[:-1]


def test_last_named_convention_stays() -> None:
    quirks = off("custom_convention_switch")
    got = geometry("-xds -fdet_vector 0 1 0 -dials -beam_vector 0 0.1 1 -adxv", quirks)
    adxv = geometry("-adxv", quirks)
    assert got["convention"] == adxv["convention"]
    assert got["fast_axis"] == (0.0, 1.0, 0.0)
    assert got["beam_direction"][1] > 0.09
    assert vectors(got)[2:] == vectors(adxv)[2:]


def test_on_the_last_word_counts() -> None:
    on = nb.Quirks()
    dropped = geometry("-fdet_vector 0 1 0 -xds", on)
    assert vectors(dropped) == vectors(geometry("-xds", on))
    switched = geometry("-xds -spindle_axis 0 1 0", on)
    assert switched["convention"] == 0
    assert switched["fast_axis"] == (0.0, 0.0, 1.0)  # CUSTOM's own
    assert geometry("-xds -spindle_axis 0 1 0 -mosflm", on)["convention"] == 2


@pytest.mark.parametrize(
    "case", ["spindle", "beam_vector", "custom_vectors", "twotheta_axis_after"]
)
def test_a_command_with_vectors_names_the_quirk(case: str) -> None:
    experiment = parse_command(table("cases")[case]["args"], INPUTS).experiment
    result = nb.simulate(experiment, CONSTANT, threads=1)
    assert "custom_convention_switch" in result.quirks_that_mattered
    assert result.geometry.convention == "custom"


# --- 014 pivot_flag_ignored

PIVOTS = {
    "": "beam",
    "-xds": "sample",
    "-dials": "sample",
    "-adxv": "beam",
    "-distance 100": "beam",
    "-xds -distance 100": "beam",
    "-distance 100 -xds": "beam",  # a convention is not a flag that implies a pivot
    "-close_distance 100": "sample",
    "-twotheta 5": "sample",
    "-twotheta 5 -distance 100": "beam",
    "-distance 100 -twotheta 5": "sample",
    "-ORGX 5 -ORGY 5": "sample",
    "-Xclose 5 -Yclose 5": "sample",
    "-xds -Xbeam 5 -Ybeam 5": "beam",
    "-pivot sample -distance 100": "sample",
    "-distance 100 -pivot sample": "sample",
    "-pivot beam -twotheta 5 -xds": "beam",
    "-pivot sample -pivot beam": "beam",
}


@pytest.mark.parametrize("args", PIVOTS)
def test_pivot(args: str) -> None:
    """-pivot wins, then the last flag that implies one, then the convention."""
    number = {"sample": 0, "beam": 1}[PIVOTS[args]]
    assert geometry(args, off("pivot_flag_ignored"))["pivot"] == number
    assert geometry(args, nb.Quirks.none())["pivot"] == number


@pytest.mark.parametrize("args", [args for args in PIVOTS if "pivot" in args or "distance" in args])
def test_on_a_named_convention_has_its_own_pivot(args: str) -> None:
    assert geometry(args, nb.Quirks())["pivot"] == (0 if "-xds" in args else 1)


@pytest.mark.parametrize(
    ("args", "pivot"),
    [
        ("-xds -spindle_axis 0 1 0", 0),
        ("-dials -spindle_axis 0 1 0", 1),
        ("-twotheta 5 -spindle_axis 0 1 0", 0),
        ("-spindle_axis 0 1 0 -distance 100", 1),
        ("-distance 90 -pivot sample -spindle_axis 0 1 0", 0),
    ],
)
def test_custom_convention_has_the_pivot_of_the_last_flag(args: str, pivot: int) -> None:
    """Which is no quirk: the same in both positions as long as the convention is CUSTOM."""
    for quirks in (nb.Quirks(), off("pivot_flag_ignored")):
        info = geometry(args, quirks)
        assert (info["convention"], info["pivot"]) == (0, pivot)


# --- 016 near_point_ignored


@pytest.mark.parametrize(
    ("args", "given"),
    [
        ("-Xbeam 1 -Ybeam 2", {"beam_x_mm": 1.0, "beam_y_mm": 2.0}),
        ("-ORGX 3 -Xbeam 1 -ORGY 4", {"org_x_px": 3.0, "org_y_px": 4.0}),
        ("-ORGX 3 -ORGY 4 -Xbeam 1", {"beam_x_mm": 1.0}),
        ("-Xbeam 1 -Xclose 5 -Yclose 6", {"close_x_mm": 5.0, "close_y_mm": 6.0}),
        ("-Xclose 5 -Xbeam 1 -Xclose 7", {"close_x_mm": 7.0}),
        ("-ORGX 3 -Yclose 6", {"close_y_mm": 6.0}),
    ],
)
def test_the_centre_given_last_counts(args: str, given: dict[str, float]) -> None:
    command = parse_command(args, quirks=off("near_point_ignored"))
    names = ("beam_x_mm", "beam_y_mm", "close_x_mm", "close_y_mm", "org_x_px", "org_y_px")
    detector = command.experiment.detector
    found = {name: getattr(detector, name) for name in names if getattr(detector, name) is not None}
    assert found == given
    forgotten = len({name for name in args.split() if name[:2] in ("-X", "-Y", "-O")}) - len(given)
    assert len(command.warnings) == forgotten
    if forgotten:
        assert "is not used: detector." in command.warnings[0]
    assert parse_command(args).warnings == ()


def test_a_centre_on_the_command_line_replaces_that_of_a_header() -> None:
    quirks = off("near_point_ignored", "smv_header_search")
    header = parse_command("-img donor.img", INPUTS, quirks=quirks).experiment.detector
    assert header.beam_x_mm is not None
    detector = parse_command("-img donor.img -ORGX 9", INPUTS, quirks=quirks).experiment.detector
    assert (detector.beam_x_mm, detector.beam_y_mm, detector.org_x_px) == (None, None, 9.0)


def test_xds_with_a_beam_centre_is_not_the_centred_image() -> None:
    centred = geometry("-xds", nb.Quirks())["pix0_m"]
    assert geometry("-xds -Xbeam 7 -Ybeam 12", nb.Quirks())["pix0_m"] == centred
    for quirks in (off("near_point_ignored"), nb.Quirks.none()):
        pix0 = geometry("-xds -Xbeam 7 -Ybeam 12", quirks)["pix0_m"]
        assert pix0 == pytest.approx((-0.007, -0.012, 0.1))


# --- 017 cli_substring

WHOLE = off("cli_substring")
WORDS = sorted({word for flag in FLAGS for word in flag.whole_words})


@pytest.mark.parametrize("word", WORDS)
def test_a_whole_word_fires_one_row(word: str) -> None:
    assert len([flag for flag in FLAGS if flag.fires(word, whole=True)]) == 1
    assert not any(flag.fires(word + "zz", whole=True) for flag in FLAGS)
    assert not any(flag.fires("-z" + word[1:], whole=True) for flag in FLAGS)
    # on, the same word does at least the same
    [row] = [flag for flag in FLAGS if flag.fires(word, whole=True)]
    assert row.fires(word)


def test_stems_are_not_words() -> None:
    assert {"-heigh", "-xtal_heigh", "-mosaici", "-molec"} <= STEMS
    for stem in STEMS:
        is_word = stem in LONGER[stem]
        assert any(flag.fires(stem, whole=True) for flag in FLAGS) is is_word
    assert all(word.startswith(stem) for stem, words in LONGER.items() for word in words)


def test_misset_seed_sets_a_seed_and_nothing_else() -> None:
    crystal = meaning("-misset_seed 12 -phi 3 -N 5", WHOLE).crystal
    assert (crystal.misset_seed, crystal.misset_deg) == (12, (0.0, 0.0, 0.0))
    on = parse_command("-misset_seed 12 -phi 3 -N 5").experiment.crystal
    assert on.misset_deg == (12.0, 0.0, 3.0)


def test_twotheta_axis_sets_an_axis_and_nothing_else() -> None:
    experiment = meaning("-twotheta_axis 0.1 0 -1 -N 2", WHOLE)
    assert experiment.detector.twotheta_axis == (0.1, 0.0, -1.0)
    assert (experiment.detector.twotheta_deg, experiment.detector.pivot) == (0.0, None)
    assert parse_command("-twotheta_axis 0.1 0 -1").experiment.detector.twotheta_deg == 0.1


def test_printout_pixel_prints_one_pixel() -> None:
    assert not parse_command("-printout_pixel 1 2", quirks=WHOLE).printout
    assert parse_command("-printout_pixel 1 2").printout


@pytest.mark.parametrize("word", ["-xx-cell", "-recell", "-cellular", "-hkl_file", "-Nabc"])
def test_parts_of_words_mean_nothing(word: str) -> None:
    [warning] = parse_command([word], quirks=WHOLE).warnings
    assert warning.startswith(f"{word!r} is no known option")
    with pytest.raises(nb.CommandLineError, match="no known option"):
        parse_command([word], quirks=WHOLE, strict=True)


def test_images_are_read_by_whole_words() -> None:
    shape = parse_command("-img donor.img", INPUTS, quirks=WHOLE).experiment.detector.shape
    assert parse_command("-imgfile donor.img", INPUTS).experiment.detector.shape == shape
    other = parse_command("-imgfile donor.img", INPUTS, quirks=WHOLE)
    assert other.experiment.detector.shape != shape
    assert len(other.warnings) == 2


SHOW_SUBSTRINGS = {
    "misset_random_1",
    "misset_random_2",
    "misset_random_3",
    "misset_seed_eats_args",
    "twotheta_axis_after",
    "twotheta_axis_before",
}


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("case", table("cases"))
def test_recorded_command_lines_are_whole_words(case: str) -> None:
    """All but a few mean the same either way, and none has a word that is not known."""
    args = table("cases")[case]["args"]
    on = parse_command(args, INPUTS)
    whole = parse_command(args, INPUTS, quirks=WHOLE)
    assert not any("no known option" in text for text in whole.warnings)
    assert (on.experiment != whole.experiment) <= (case in SHOW_SUBSTRINGS)


# --- all of them


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@pytest.mark.parametrize("seed", range(20))
def test_random_quirks_on_recorded_command_lines(seed: int) -> None:
    random = np.random.default_rng(seed)
    cases = table("cases")
    for case in random.choice([c for c in cases if c != "img_dimensions"], 10):
        quirks = random_quirks(random)
        command = parse_command(cases[case]["args"], INPUTS, quirks=quirks)
        assert command.quirks == quirks
        assert Plan(command.experiment, CONSTANT, quirks).info()["steps"] > 0
