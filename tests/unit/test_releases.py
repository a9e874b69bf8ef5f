"""Files that an earlier release wrote are read as it meant them (tests/data/releases)."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from json_schema import problems, schema

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.trace.main import main as nb_trace

RELEASES = Path(__file__).parents[1] / "data" / "releases"
OLD = RELEASES / "0.1.0"
SCRIPT = RELEASES / "write_files.py"
SCHEMAS = {
    "traces": "traces",
    "trace_comparison": "trace_comparison",
    "image_comparison": "image_comparison",
    "comparison_suite": "comparison_suite",
    "structure_factor_comparison": "structure_factor_comparison",
}
"""Files that programs other than ours read, and the schemas that say what is in them."""


@pytest.fixture(scope="module")
def written() -> ModuleType:
    """The script that wrote the files: what went into them."""
    spec = importlib.util.spec_from_file_location("write_files", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def document(name: str) -> Any:
    return json.loads((OLD / f"{name}.json").read_text())


# ---- experiments ------------------------------------------------------------------------------


def test_experiment(written: ModuleType) -> None:
    """To the last bit: repr also tells -0.0 from 0.0."""
    experiment = nb.Experiment.load(OLD / "experiment.json")
    assert repr(experiment) == repr(written.EXPERIMENT)
    assert experiment == written.EXPERIMENT
    assert experiment.crystal.misset_deg == (12.5, -34.25, 5e-324)
    assert experiment.detector.mask is not None
    assert experiment.detector.mask.values.sum(axis=1).tolist() == [4, 6, 2, 4]
    assert experiment.beam.sources is not None
    assert [source.weight for source in experiment.beam.sources] == [0.6, -1.25, 0.001]


def test_run_with_quirks(written: ModuleType) -> None:
    run = nb.load_run(OLD / "run.json")
    assert repr(run.experiment) == repr(written.RUN.experiment)
    assert run.experiment == written.RUN.experiment
    assert run.quirks == nb.Quirks.parse("none,+phi_carryover,+water_background,+header_overflow")
    assert run.experiment.beam.dispersion_percent is None
    assert run.experiment.detector.sensor_thickness_um is None
    assert run.experiment.detector.sensor_attenuation_depth_um == math.inf
    with pytest.warns(nb.NanobraggWarning, match="load_run reads both"):
        assert nb.Experiment.load(OLD / "run.json") == run.experiment


@pytest.mark.parametrize("name", ["experiment", "run"])
def test_writing_what_was_read_loses_nothing(name: str) -> None:
    old = document(name)
    run = nb.load_run(OLD / f"{name}.json")
    new = run.experiment.to_dict(run.quirks if "quirks" in old else None)
    for part in ("beam", "crystal", "goniometer", "detector", "sampling", "output"):
        assert {field: new[part][field] for field in old[part]} == old[part]
    assert new.get("quirks") == old.get("quirks")


def test_every_field_has_a_value_of_its_own() -> None:
    """A field that is not read keeps its default, which no value in the file is."""
    old, read = document("experiment"), nb.Experiment.load(OLD / "experiment.json")
    assert read.beam.sources is not None
    names = [part.name for part in dataclasses.fields(read) if part.default is not None]
    parts = [(old[name], getattr(read, name)) for name in names]
    parts.append((old["beam"]["sources"][0], read.beam.sources[0]))
    for fields, part in parts:
        defaults = {field.name: field.default for field in dataclasses.fields(part)}
        assert [name for name in fields if getattr(part, name) == defaults[name]] == []
    assert sum(len(fields) for fields, _ in parts) == 80


# ---- traces -----------------------------------------------------------------------------------


def test_trace_text() -> None:
    first, second = nb.read_trace(OLD / "trace.txt")
    assert (first.tag, second.tag) == ("C", "C")
    assert [record.values["phi_step"] for record in (first, second)] == [(0.0,), (1.0,)]
    assert (first.values["fast"], first.values["slow"]) == ((9.0,), (5.0,))
    assert first.values["pix0_vector_meters"] == (0.1, 0.0036, -0.0036)
    assert first.values["hkl_frac"] == (0.396125387278369, 1.0845918662045, 0.0536518398348488)
    assert second.values["I_pixel_final"] == (8.99583136565908,)
    assert len(first.values) == 52


def test_trace_json() -> None:
    (trace,) = document("traces")["traces"]
    assert (trace["backend"], trace["quirks"], trace["is_lit"]) == ("c", "nanobragg", True)
    records = nb.read_trace(OLD / "trace.txt")
    for old, text in zip(trace["records"], records, strict=True):
        assert old.keys() == text.values.keys()
        for name, values in old.items():
            assert values == pytest.approx(list(text.values[name]), rel=1e-14, abs=0.0)


def test_old_traces_compare(written: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """With each other, with the engine of today, and not with another pixel."""
    text, data = str(OLD / "trace.txt"), str(OLD / "traces.json")
    assert nb_trace(["--compare", text, data, "--rtol", "1e-13"]) == 0
    words = written.ARGS.split()
    for file in (text, data):
        assert nb_trace(["--compare", file, "c", "--pixel", "9", "5", "--", *words]) == 0
        assert nb_trace(["--compare", file, "c", "--pixel", "9", "5", "--", *words, "-N", "6"]) == 3
    assert "lattice factor" in capsys.readouterr().out


# ---- documents for other programs -------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMAS)
def test_old_documents_fit_the_schemas(name: str) -> None:
    old = document(name)
    assert old["schema_version"] == 1
    assert problems(old, schema(SCHEMAS[name])) == []
    del old["format"]
    assert problems(old, schema(SCHEMAS[name])) == ["$: lacks format"]


def test_trace_comparison() -> None:
    old = document("trace_comparison")
    assert (old["a"], old["b"]) == ("c", "c [nanobragg,-phi_carryover]")
    assert old["pixel"] == {"fast": 9, "slow": 5}
    assert old["agree"] is False
    assert old["first_divergence"]["quantity"] == "rot_a_angstroms"
    assert old["max_delta_rot_a_angstroms"] == 0.5870303625747969


def test_image_comparison(written: ModuleType) -> None:
    old = document("image_comparison")
    assert old["args"] == written.ARGS.split()
    assert [old[side]["quirks"] for side in "ab"] == ["nanobragg", written.WITHOUT]
    assert "phi_carryover" in old["a"]["quirks_that_mattered"]
    assert old["verdict"] == "fail"
    assert old["metrics"]["relative_l2"] == 0.062261788649053976
    assert old["a"]["statistics"]["max"] == 505.4742736816406
    assert old["shape"] == [16, 16]


def test_suite_comparison() -> None:
    old = document("comparison_suite")
    assert old["counts"] == {"pass": 1, "fail": 1, "bad command line": 1}
    assert [case["status"] for case in old["cases"]] == ["fail", "pass", "bad command line"]
    assert old["cases"][0]["relative_l2"] == 0.062261788649053976


def test_structure_factor_comparison() -> None:
    old = document("structure_factor_comparison")
    (comparison,) = old["comparisons"]
    assert (comparison["a"]["listed"], comparison["b"]["listed"]) == (3, 27)
    assert comparison["max_delta_F_at"] == [1, 2, 3]
    assert comparison["max_delta_F"] == 14.5


# ---- the script -------------------------------------------------------------------------------


def test_the_script_writes_the_files_of_today(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True, timeout=120)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in OLD.iterdir()}
    assert nb.load_run(tmp_path / "run.json") == nb.load_run(OLD / "run.json")
    for name in SCHEMAS:
        assert problems(json.loads((tmp_path / f"{name}.json").read_text()), schema(name)) == []


def test_the_files_say_nothing_about_a_machine() -> None:
    for path in OLD.iterdir():
        text = path.read_text().replace('"bits": "eNrb/XErAATLAmI="', "")
        assert "/" not in text
        assert "\\" not in text
        assert {line.strip() for line in text.splitlines() if '"started"' in line} <= {
            '"started": "2026-01-01T00:00:00Z",'
        }
        assert len(text) < 20_000
