"""benchmarks/callgrind_counts.py: instruction counts beside those that are kept."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from nanobragg_hybrid.engines.c.libnbh import build_info

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "callgrind_counts.py"
KEPT = {"compiler": "gcc 1", "instructions": {"still": 1000, "text": 500}}


@pytest.fixture(scope="module")
def counts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("callgrind_counts", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_count_is_read_from_the_report(counts: ModuleType) -> None:
    assert counts.collected("==1== Events    : Ir\n==1== Collected : 1705907\n") == 1705907
    with pytest.raises(ValueError, match="no count in what valgrind says: killed"):
        counts.collected("killed")


def test_ratios(counts: ModuleType) -> None:
    found = {"compiler": "gcc 1", "instructions": {"still": 1100, "text": 500, "new": 7}}
    table = [line.split() for line in counts.lines(found, KEPT)]
    assert table[1:] == [
        ["still", "1,100", "1,000", "1.100"],
        ["text", "500", "500", "1.000"],
        ["new", "7", "-", "-"],
    ]
    assert counts.slower(found, KEPT, 1.05) == ["still"]
    assert counts.slower(found, KEPT, 1.2) == []
    other = counts.lines({**found, "compiler": "clang 2"}, KEPT)
    assert other[-1] == "another compiler: clang 2; kept: gcc 1"


def test_what_is_kept(counts: ModuleType) -> None:
    kept = json.loads(counts.BASELINE.read_text())
    assert set(kept) == {"format", "compiler", "flags", "instructions"}
    assert tuple(kept["instructions"]) == counts.CASES
    assert all(isinstance(n, int) and n > 10**5 for n in kept["instructions"].values())


@pytest.mark.skipif(
    build_info()["sanitizers"] != "none", reason="a sanitized library takes more instructions"
)
@pytest.mark.parametrize("case", ["still", "text"])
def test_the_library_takes_what_is_kept(counts: ModuleType, tmp_path: Path, case: str) -> None:
    for program in ("valgrind", "cc"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no program {program}")
    kept = json.loads(counts.BASELINE.read_text())
    if build_info()["compiler"] != kept["compiler"]:
        pytest.skip(f"the counts kept are those of {kept['compiler']}")
    found = counts.count(counts.compile_cases(tmp_path), case, tmp_path)
    assert found <= 1.2 * kept["instructions"][case]
