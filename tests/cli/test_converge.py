"""How finely an experiment has to be sampled, from Python and from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.umbrella.main import main

FACTORS = nb.StructureFactors.constant(100.0)
EXPERIMENT = nb.Experiment(
    crystal=nb.Crystal(
        cell_angstrom=(40, 50, 60),
        n_cells=(5, 5, 5),
        misset_deg=(10, 20, 30),
        shape="gauss_hkl",
        mosaic_spread_deg=0.05,
        mosaic_domains=3,
    ),
    beam=nb.Beam(dispersion_percent=0.5, dispersion_steps=3),
    goniometer=nb.Goniometer(phi_deg=1.0, osc_deg=0.4, phi_steps=3),
    detector=nb.Detector(distance_mm=60, pixel_size_mm=0.2, n_fast=40, n_slow=30),
    sampling=nb.Sampling(oversample=1),
)


def test_figures_are_those_of_renders() -> None:
    found = nb.converge(EXPERIMENT, FACTORS, tolerance=0.02, most=64)
    assert [each.field for each in found] == [
        "crystal.mosaic_domains",
        "goniometer.phi_steps",
        "sampling.oversample",
        "beam.dispersion_steps",
    ]
    for each in found:
        images = [
            nb.simulate(EXPERIMENT.replace({each.field: step.count}), FACTORS).image.astype(float)
            for step in each.tried
        ]
        first = 2 if each.field.startswith("beam.") else 1
        assert [step.count for step in each.tried] == [first * 2**n for n in range(len(images))]
        assert each.tried[0].change is None
        for n in range(1, len(images)):
            change = np.abs(images[n] - images[n - 1]).sum() / images[n].sum()
            assert each.tried[n].change == pytest.approx(change, rel=1e-12)
        changes = [step.change for step in each.tried[1:]]
        assert all(change is not None and change >= 0.02 for change in changes[:-1])
        if each.chosen is None:
            assert each.tried[-1].count == 64
        else:
            assert changes[-1] is not None
            assert changes[-1] < 0.02
            assert each.chosen == each.tried[-2].count
        assert each.tried[1].steps > each.tried[0].steps
    phi = found[1]
    assert phi.chosen is not None
    assert phi.chosen > 1


def test_only_what_samples_something() -> None:
    plain = EXPERIMENT.replace(
        {
            "crystal": nb.Crystal(cell_angstrom=(40, 50, 60), n_cells=(5, 5, 5)),
            "beam": nb.Beam(),
            "goniometer": nb.Goniometer(),
        }
    )
    (only,) = nb.converge(plain, FACTORS, most=4)
    assert only.field == "sampling.oversample"
    wide = plain.replace({"beam.divergence_h_mrad": 1.0, "beam.divergence_v_mrad": 2.0})
    names = [each.field for each in nb.converge(wide, FACTORS, most=2)]
    assert names[1:] == ["beam.divergence_h_steps", "beam.divergence_v_steps"]


def test_background_and_noise_do_not_count() -> None:
    wet = EXPERIMENT.replace(
        {
            "background": nb.Background(flat_photons_per_pixel=1e6),
            "response": nb.Response(seed=1),
            "crystal.water_um": 100.0,
        }
    )
    for one, other in zip(
        nb.converge(wet, FACTORS, most=4), nb.converge(EXPERIMENT, FACTORS, most=4), strict=True
    ):
        assert [step.change for step in one.tried] == [step.change for step in other.tried]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"tolerance": 0.0}, "tolerance"),
        ({"most": 1}, "most"),
        ({"say": 3}, "say"),
        ({"threads": 0}, "threads"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(nb.ConfigError, match=field):
        nb.converge(EXPERIMENT, FACTORS, **arguments)
    with pytest.raises(nb.UnsupportedError, match="0 photons"):
        nb.converge(EXPERIMENT, nb.StructureFactors.constant(0.0))


WORDS = "-cell 40 50 60 90 90 90 -default_F 100 -N 5 -detpixels 20 -pixel 0.5 -osc 1 -phisteps 5"


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "found.json"
    own = ["converge", "--tolerance", "5", "--most", "8", "--json", str(path)]
    assert main([*own, "--", *WORDS.split()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "sum |new - old| / sum new" in lines[0]
    found = json.loads(path.read_text())
    assert found["tolerance"] == 0.05
    assert [each["field"] for each in found["fields"]] == [
        "goniometer.phi_steps",
        "sampling.oversample",
    ]
    for each, line in zip(found["fields"], lines[-2:], strict=True):
        last = each["tried"][-1]["count"]
        chosen = each["chosen"]
        text = f"not below 5 % up to {last}" if chosen is None else f"{chosen}"
        assert line == f"{each['field']}: {text}"


def test_a_step_that_is_given_is_said() -> None:
    lines: list[str] = []
    given = EXPERIMENT.replace(
        {
            "goniometer": nb.Goniometer(osc_deg=0.4, phi_step_deg=0.1),
            "beam": nb.Beam(divergence_h_mrad=1.0, divergence_h_step_mrad=0.5),
        }
    )
    found = nb.converge(given, FACTORS, most=2, say=lines.append)
    assert [each.field for each in found] == ["crystal.mosaic_domains", "sampling.oversample"]
    assert lines[:2] == [
        "goniometer.phi_steps stays: goniometer.phi_step_deg is given",
        "beam.divergence_h_steps stays: beam.divergence_h_step_mrad is given",
    ]
    lines.clear()
    nb.converge(EXPERIMENT, FACTORS, most=2, say=lines.append)
    assert not any("stays" in line for line in lines)


def test_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    """3 if nothing converged; 0 if something did."""
    words = ["--", *WORDS.split()]
    assert main(["converge", "--tolerance", "1e-9", "--most", "2", *words]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "sampling.oversample: not below 1e-09 % up to 2"
    assert main(["converge", "--tolerance", "99", "--most", "2", *words]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "sampling.oversample: 1"


def test_command_without_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["converge"])
    assert "needs a nanoBragg command line" in capsys.readouterr().err
    assert main(["converge", "--tolerance", "0", "--", *WORDS.split()]) == 1
    assert "tolerance: got 0.0" in capsys.readouterr().err
