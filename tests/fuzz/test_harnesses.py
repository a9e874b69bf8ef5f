"""The harnesses of fuzz/: the same few inputs every time; what they cover; what they see."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from covering_array import write_inputs

hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed (extra: test)")

import readers  # noqa: E402 (imports hypothesis)

ROOT = Path(__file__).resolve().parents[2]
FUZZ = ROOT / "fuzz"
HEADER = re.sub(r"/\*.*?\*/", "", (ROOT / "csrc/include/nbh/nbh.h").read_text(), flags=re.DOTALL)
C_TEXT = "".join(path.read_text() for path in sorted((FUZZ / "c").iterdir()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_inputs(tmp_path)
    return tmp_path


@for_each("name", readers.HARNESSES)
def test_a_few_inputs(name: str, folder: Path) -> None:
    """Bytes and words that hypothesis makes without chance."""

    @hypothesis.settings(
        max_examples=20,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(readers.HARNESSES[name].inputs)
    def run(data: Any) -> None:
        readers.check(name, data, folder)

    run()


def test_every_reader_has_a_harness() -> None:
    text = (FUZZ / "readers.py").read_text()
    public = [name for name in nb.__all__ if name.startswith(("read_", "load_"))]
    assert public
    assert [name for name in public if f"nb.{name}" not in text] == []
    assert "nb.Experiment.load" in text


def test_every_c_entry_has_a_harness() -> None:
    entries = re.findall(r"^NBH_API [\w ]+?\*?(nbh_\w+)\(", HEADER, re.MULTILINE)
    assert len(entries) > 30
    assert [name for name in entries if f"{name}(" not in C_TEXT] == []


def test_every_member_of_an_experiment_comes_from_the_bytes() -> None:
    decoder = (FUZZ / "c" / "experiment_from_bytes.h").read_text()
    parts = "beam crystal goniometer detector sampling experiment structure_factors source".split()
    for part in parts:
        body = re.search(rf"typedef struct nbh_{part} {{(.*?)}} nbh_{part};", HEADER, re.DOTALL)
        assert body
        members = re.findall(r"(\w+)(?:\[\d+\])?;", body[1])
        assert members
        assert [name for name in members if not re.search(rf"[.>]{name}\b", decoder)] == []


def test_every_c_harness_is_built_and_has_a_corpus() -> None:
    listed = re.search(r"foreach\(harness ([\w ]+)\)", (FUZZ / "CMakeLists.txt").read_text())
    assert listed
    names = listed[1].split()
    assert sorted(f"{name}.c" for name in names) == sorted(p.name for p in FUZZ.glob("c/*.c"))
    for name in names:
        assert list((FUZZ / "corpus" / name).iterdir())
    assert sum(path.stat().st_size for path in FUZZ.glob("corpus/*/*")) < 20_000


def _attribute_error(data: bytes, folder: Path) -> None:
    raise AttributeError("x")


def _warning(data: bytes, folder: Path) -> None:
    warnings.warn("x", UserWarning, stacklevel=1)


def _memory(data: bytes, folder: Path) -> None:
    bytearray(readers.MEMORY_ANYWAY + readers.MEMORY_PER_BYTE * len(data) + 100_000)


def _refusal(data: bytes, folder: Path) -> None:
    raise nb.FileFormatError("file", 1, "x")


def _accepts(data: bytes, folder: Path) -> None:
    warnings.warn("x", nb.NanobraggWarning, stacklevel=1)


def test_faults_are_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = {
        _attribute_error: AttributeError,
        _warning: UserWarning,
        _memory: readers.Finding,
    }
    for run, wanted in faults.items():
        monkeypatch.setitem(readers.HARNESSES, "pgm", readers.HARNESSES["pgm"]._replace(run=run))
        with pytest.raises(wanted):
            readers.check("pgm", b"1234", folder)
    for run, accepted in ((_refusal, False), (_accepts, True)):
        monkeypatch.setitem(readers.HARNESSES, "pgm", readers.HARNESSES["pgm"]._replace(run=run))
        assert readers.check("pgm", b"1234", folder) is accepted
