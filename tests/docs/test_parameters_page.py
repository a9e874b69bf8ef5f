"""docs/parameters.md is what the configuration's classes, the flags and the torch engine say."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import nanobragg_hybrid as nb

pytest.importorskip("torch", reason="the column of derivatives needs PyTorch (extra: torch)")

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "parameters" / "make_page.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    specification = importlib.util.spec_from_file_location("make_parameters_page", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_page_is_up_to_date(script: ModuleType) -> None:
    stale = "stale: run docs/parameters/make_page.py"
    assert script.PAGE.read_text(encoding="utf-8") == script.page_text(), stale


def test_every_part_of_an_experiment_is_there(script: ModuleType) -> None:
    assert list(script.CLASSES) == [field.name for field in dataclasses.fields(nb.Experiment)]


def test_every_derivative_has_a_field_or_says_where_it_is(script: ModuleType) -> None:
    """Parameters of the torch engine that are no fields of the same name."""
    fields = {
        f"{part}.{field.name}"
        for part, cls in script.CLASSES.items()
        for field in dataclasses.fields(cls)
    }
    others = [name for name in script.known_names() if name not in fields]
    assert [name for name in others if name.rpartition(".")[0] not in fields] == [
        "crystal.rotation_matrix",
        "crystal.rotation_vector_deg",
        "detector.origin_m",
        "structure_factors.grid",
        "structure_factors.default_f",
    ]
    assert {name.partition(".")[0] for name in script.EXPECTED} == {"background"}


def test_cells(script: ModuleType) -> None:
    assert script.flags_of("beam.wavelength_angstrom") == "`-lambda`"
    assert script.derivative_of("beam.sources") == "part"
    assert script.derivative_of("sampling.oversample") == ""
    assert script.meaning_of(nb.Beam, "polarization_kahn").startswith("Kahn factor")
    with pytest.raises(SystemExit, match="Beam says nothing of colour"):
        script.meaning_of(nb.Beam, "colour")
