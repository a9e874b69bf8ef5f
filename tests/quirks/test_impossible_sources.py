"""C-PARITY-041 impossible_sources."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from pictures import CONSTANT, STILL, assert_same, off, picture
from recorded import run_in_process

import nanobragg_hybrid as nb

ENGINES = ("c", "torch")
OFF = off("impossible_sources")
S = nb.Source
GOOD = S((-10.0, 0.2, 0.1))


def plan(changes: dict[str, Any], quirks: nb.Quirks | None = None, engine: str = "c") -> Any:
    """The plan of a small still with changes."""
    return nb.prepare(STILL.replace(changes), CONSTANT, backend=engine, quirks=quirks).plan


def counted(changes: dict[str, Any]) -> tuple[int, int]:
    """How many sources cannot be and which is the first, as both engines say it with the quirk on;
    with it off, they refuse them, or there is none."""
    found = set()
    for engine in ENGINES:
        made = plan(changes, engine=engine)
        assert ("impossible_sources" in made.warnings) == (made.impossible_sources > 0)
        found.add((made.impossible_sources, made.first_impossible_source))
        if made.impossible_sources == 0:
            assert plan(changes, OFF, engine).impossible_sources == 0
    (one,) = found
    if one[0] > 0:
        refusal(changes, rf"\(source {one[1]} ")
    return one


def refusal(changes: dict[str, Any], match: str) -> nb.ConfigError:
    """The error of both engines with the quirk off."""
    said = {}
    for engine in ENGINES:
        with pytest.raises(nb.ConfigError, match=match) as caught:
            plan(changes, OFF, engine)
        said[str(caught.value)] = caught.value
    (error,) = said.values()
    return error


def test_directions_within_a_right_angle_of_the_beam() -> None:
    """Of random sources, those that the light of the beam does not come from."""
    random = np.random.default_rng(3)
    for convention, beam in (("mosflm", (1, 0, 0)), ("xds", (0, 0, 1))):
        places = random.normal(size=(12, 3))
        wrong = np.flatnonzero(places @ beam >= 0.0)
        sources = tuple(S(tuple(place)) for place in places)
        changes = {"beam.sources": sources, "detector.convention": convention}
        assert 1 < len(wrong) < 11
        assert counted(changes) == (len(wrong), wrong[0])


@for_each(
    "sources, count, first, what",
    [
        ((GOOD,), 0, -1, ""),
        ((GOOD, S((0, 0, 0)), GOOD, S((10, 0, 0))), 2, 1, "a direction for each source"),
        ((S((0.0, 1.0, 0.0)),), 1, 0, "shine towards the detector"),  # at right angles
        ((S((-1e-3, 1.0, 0.0)),), 0, -1, ""),
        ((S((1e-200, 0, 0)),), 1, 0, "a direction for each source"),
        ((S(),), 0, -1, ""),
    ],
)
def test_listed_sources(sources: tuple[nb.Source, ...], count: int, first: int, what: str) -> None:
    changes = {"beam.sources": sources}
    assert counted(changes) == (count, first)
    if what:
        assert refusal(changes, what).field == "beam.sources"


@for_each(
    "wavelength, is_good",
    [
        (0.0, False),
        (-1e-10, False),
        (0.99e-13, False),
        (1e-13, True),
        (1e-10, True),
        (1e-7, True),
        (1.01e-7, False),
        (1.0, False),  # angstrom
    ],
)
def test_wavelengths_of_x_rays(wavelength: float, is_good: bool) -> None:
    changes = {"beam.sources": (GOOD, S((-10, 0, 0), 1.0, wavelength))}
    assert counted(changes) == ((0, -1) if is_good else (1, 1))
    if not is_good:
        assert refusal(changes, "need wavelengths from 1e-13 to 1e-07 m").field == "beam.sources"


def test_what_a_field_makes_is_blamed_on_it() -> None:
    for changes, count, field in (
        ({"beam.wavelength_angstrom": 1e-4}, 1, "beam.wavelength_angstrom"),
        ({"beam.wavelength_angstrom": 1001.0}, 1, "beam.wavelength_angstrom"),
        ({"beam.wavelength_angstrom": 999.0}, 0, ""),
        ({"beam.dispersion_percent": 200.0, "beam.dispersion_steps": 2}, 1, "beam.dispersion_pe"),
        ({"beam.dispersion_percent": 199.0, "beam.dispersion_steps": 2}, 0, ""),
        ({"beam.divergence_h_mrad": 3200.0}, 2, "beam.divergence_h_mrad"),
        ({"beam.divergence_v_mrad": 3200.0}, 2, "beam.divergence_v_mrad"),
        ({"beam.divergence_v_mrad": 3100.0}, 0, ""),
    ):
        assert counted(changes)[0] == count, changes
        if field:
            assert refusal(changes, r"\(source 0 ").field.startswith(field), changes


def test_on_they_are_rendered_with_one_warning() -> None:
    """Off, without them, it is the image of the others."""
    both = STILL.replace({"beam.sources": (GOOD, S((10.0, 0.3, 0.0)))})
    result = nb.simulate(both, CONSTANT, threads=1)
    (said,) = (text for text in result.warnings if "sources cannot be" in text)
    assert said.startswith("1 of 2 sources cannot be, the first of them beam.sources[1]: ")
    assert result.quirks_that_mattered.count("impossible_sources") == 1
    good = STILL.replace({"beam.sources": (GOOD,)})
    assert_same(picture(good, OFF), picture(good))
    assert "impossible_sources" not in nb.simulate(good, CONSTANT, threads=1).quirks_that_mattered


# --- files


@for_each(
    "text, line, problem",
    [
        ("-10 0 0 1 1e-10\n", 0, ""),
        ("-10 0 0\n-10 1 0 2\n", 0, ""),
        ("-10 0 0\n\n-10 1\n", 3, "got 2 of the columns x, y and z, need all three"),
        ("-10\n", 1, "got 1 of the columns x, y and z, need all three"),
        ("-10 0 0\n0 0 0 1 1e-10\n", 2, "got 0 0 0, need a direction"),
        ("-10 0 0 1 0\n", 1, "wavelength: got 0 m, need one from 1e-13 to 1e-07 m"),
        ("-10 0 0 1 -1e-10\n", 1, "wavelength: got -1e-10 m, need one from 1e-13 to 1e-07 m"),
        ("-10 0 0\n-10 0 0 1 1.0\n", 2, "wavelength: got 1 m, need one from 1e-13 to 1e-07 m"),
    ],
)
def test_lines_of_a_file(text: str, line: int, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "sources.txt"
    path.write_text(text)
    if not problem:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert nb.read_source_file(path) == nb.read_source_file(path, quirks=OFF)
        return
    with pytest.raises(nb.FileFormatError) as caught:
        nb.read_source_file(path, quirks=OFF)
    assert str(caught.value) == f"{path}:{line}: {problem}"
    with pytest.warns(nb.NanobraggWarning) as said:
        nb.read_source_file(path)
    assert [str(one.message) for one in said] == [
        f"{path}:{line}: {problem} (quirk impossible_sources)"
    ]


def test_one_warning_counts_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "sources.txt"
    path.write_text("-10 0 0\n-10 1\n0 0 0\n-10 0 0 1 7\n")
    with pytest.warns(nb.NanobraggWarning) as said:
        nb.read_source_file(path)
    (one,) = said
    assert str(one.message).startswith(f"{path}:2: got 2 of the columns")
    assert str(one.message).endswith("; 3 lines have no source that can be")


def test_the_command_says_so_in_its_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.txt").write_text("1.02 0.0268\n1.021 0.03\n")
    (tmp_path / "last.txt").write_text("-10 0 0 1 1e-10\n-10 0.1 0")  # no newline
    words = "-cell 40 50 60 90 90 90 -default_F 9 -detpixels 8 -oversample 1 --json".split()
    for name, count in (("two", 2), ("last", 1)):
        run = run_in_process(tmp_path, [*words, "facts.json", "-sourcefile", f"{name}.txt"])
        assert run.exit == 0
        said = json.loads((tmp_path / "facts.json").read_text())["warnings"]
        assert sum(text.startswith(f"{count} of 2 sources cannot be") for text in said) == 1
        capsys.readouterr()
    run = run_in_process(tmp_path, [*words, "f.json", "-sourcefile", "two.txt", "--quirks", "none"])
    assert run.exit == 9
    assert "error: two.txt:1: got 2 of the columns" in capsys.readouterr().err
    assert not (tmp_path / "f.json").exists()
