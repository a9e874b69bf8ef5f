"""benchmarks/trend.csv: the last line is this version's, and what it says comes out again."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.libnbh import available_kernels, build_info

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def trend() -> ModuleType:
    return _script("trend")


def test_the_last_line_is_of_this_version(trend: ModuleType) -> None:
    lines = trend.rows()
    assert lines[-1]["version"] == nb.__version__
    assert len({line["version"] for line in lines}) == len(lines)
    assert all(None not in line.values() for line in lines)


def test_its_hash_is_that_of_the_recording(trend: ModuleType) -> None:
    recorded = json.loads(trend.RECORDED.read_text(encoding="utf-8"))
    assert trend.rows()[-1]["pilatus_sha256"] == recorded["floatimage_sha256"]


@pytest.mark.skipif(
    build_info()["sanitizers"] != "none", reason="a sanitized library takes more instructions"
)
@pytest.mark.parametrize("case", ["still", "text"])
def test_its_counts_come_out_again(trend: ModuleType, tmp_path: Path, case: str) -> None:
    """Within a fifth: whoever changes more than that adds a line, and says so."""
    for program in ("valgrind", "cc"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no program {program}")
    line = trend.rows()[-1]
    if build_info()["compiler"] != line["compiler"]:
        pytest.skip(f"the counts of the last line are those of {line['compiler']}")
    script = _script("callgrind_counts")
    found = script.count(script.compile_cases(tmp_path), case, tmp_path)
    assert found == pytest.approx(int(line[f"instructions_{case}"]), rel=0.2)


def test_it_has_the_cost_of_a_step_by_kernel(trend: ModuleType) -> None:
    """The values are those of the machine that it names; which there are is compared."""
    line = trend.rows()[-1]
    columns = [name for name in line if name.startswith("ns_per_step_")]
    assert columns == [f"ns_per_step_{name}" for name in trend.KERNELS]
    assert line["processor"]
    assert {"exact", "baseline"} <= {name for name in trend.KERNELS if line[f"ns_per_step_{name}"]}
    assert all(0.0 < float(line[name]) < 1000.0 for name in columns if line[name])


def test_a_kernel_that_is_missing_has_no_cost(trend: ModuleType) -> None:
    found = trend.ns_per_step(runs=1, quick=True)
    assert list(found) == list(trend.KERNELS)
    assert {name for name, value in found.items() if value} == set(available_kernels())
    assert all(float(value) > 0.0 for value in found.values() if value)


def test_its_error_of_the_refinement_comes_out_again(trend: ModuleType) -> None:
    pytest.importorskip("torch", reason="the example needs PyTorch (extra: torch)")
    stated = float(trend.rows()[-1]["refinement_error_deg"])
    assert trend.refinement_error_deg() == pytest.approx(stated, abs=2e-5)
    assert 0.0 < stated < 0.001
