"""The command nb-compare-hkl."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from json_schema import problems, schema
from recorded import INPUTS

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.compare_hkl.main import _ENGINES, main
from nanobragg_hybrid.engines.registry import _OWN

HKL = str(INPUTS / "full.hkl")


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "Fdump.bin"
    nb.write_dump(path, nb.read_hkl(HKL))
    return path


def _run(folder: Path, *words: str) -> tuple[int, dict[str, object], str]:
    report, metrics = folder / "report.md", folder / "metrics.json"
    status = main([*words, "--out", str(report), "--metrics", str(metrics)])
    document = json.loads(metrics.read_text())
    assert problems(document, schema("structure_factor_comparison")) == []
    return status, document, report.read_text()


def test_every_engine_that_can_be_asked_is_a_choice() -> None:
    """An executable cannot."""
    assert {*_ENGINES, "reference"} == set(_OWN)


def test_a_dump_of_the_same_reflections(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, document, report = _run(tmp_path, "--hkl", HKL, "--fdump", str(dump))
    assert status == 0
    assert document["agree"] is True
    assert document["fdump_sha256"] == hashlib.sha256(dump.read_bytes()).hexdigest()
    (found,) = document["comparisons"]  # type: ignore[misc]
    assert found["mismatches"] == found["missing"] == found["extra"] == 0
    assert found["matched"] == found["a"]["filled"] > 100
    assert "## hkl and fdump: agree" in report
    assert capsys.readouterr().out == report


def test_engines(dump: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    words = ("--hkl", HKL, "--fdump", str(dump), "--engines", "c", "torch")
    status, document, report = _run(tmp_path, *words)
    assert status == 0
    assert [item["b"]["name"] for item in document["comparisons"]] == [  # type: ignore[attr-defined]
        "fdump",
        "torch",
    ]
    assert "## c and torch: agree" in report
    assert main(["--fdump", str(dump), "--engines", "torch", "c"]) == 0


def test_two_texts_and_two_dumps(dump: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.hkl"
    lines = Path(HKL).read_text().splitlines()
    h, k, l, f = lines[3].split()
    for words in (("--hkl", HKL, str(other)), ("--hkl", HKL, "--hkl", str(other))):
        other.write_text(
            "\n".join([*lines[:3], f"{h} {k} {l} {float(f) + 0.5}", *lines[4:]]) + "\n"
        )
        status, document, report = _run(tmp_path, *words)
        assert (status, document["agree"]) == (3, False)
        assert (document["hkl"], document["hkl_b"], document["fdump"]) == (HKL, str(other), None)
        assert document["hkl_b_sha256"] == hashlib.sha256(other.read_bytes()).hexdigest()
        (found,) = document["comparisons"]  # type: ignore[misc]
        assert (found["mismatches"], found["max_delta_F_at"]) == (1, [int(h), int(k), int(l)])
        assert found["max_delta_F"] == pytest.approx(0.5, abs=1e-9)
        assert "## hkl and hkl_b: differ" in report
        other.write_bytes(Path(HKL).read_bytes())
        assert _run(tmp_path, *words)[0] == 0
    again = tmp_path / "again.bin"
    again.write_bytes(dump.read_bytes())
    status, document, _ = _run(tmp_path, "--fdump", str(dump), str(again))
    assert (status, document["fdump_b"], document["hkl"]) == (0, str(again), None)


def test_another_amplitude(tmp_path: Path) -> None:
    table = nb.read_hkl(HKL)
    assert table.grid is not None
    grid = table.grid.copy()
    grid[1, 2, 3] += 0.25
    other = tmp_path / "other.bin"
    nb.write_dump(other, nb.StructureFactors.from_grid(grid, table.hkl_min))
    status, document, report = _run(tmp_path, "--hkl", HKL, "--fdump", str(other))
    assert status == 3
    (found,) = document["comparisons"]  # type: ignore[misc]
    assert (found["max_delta_F"], found["mismatches"]) == (0.25, 1)
    at = [n + first for n, first in zip((1, 2, 3), table.hkl_min, strict=True)]
    assert found["max_delta_F_at"] == found["first_mismatches"][0]["hkl"] == at
    assert "differ" in report
    assert main(["--hkl", HKL, "--fdump", str(other), "--tolerance", "0.25"]) == 0


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--hkl", "nothing.hkl", "--fdump", "DUMP"], 5, "nothing.hkl: No such file"),
        (["--hkl", HKL, "--fdump", HKL], 5, "full.hkl: is text of h k l F, need a binary dump"),
        (
            ["--hkl", "DUMP", "--fdump", "DUMP", "--quirks", "none"],
            5,
            "Fdump.bin: is a binary dump of struct",
        ),
        (["--hkl", "GARBAGE", "--fdump", "DUMP"], 5, "garbage"),
        (["--hkl", HKL, "--fdump", "GARBAGE"], 5, "garbage:1: does not begin with six whole"),
        (["--hkl", HKL, "--fdump", "DUMP", "--tolerance", "-1"], 1, "tolerance: got -1.0, need"),
        (["--hkl", HKL, "--fdump", "DUMP", "--quirks", "colour"], 1, "quirks: got 'colour', need"),
        (["--hkl", HKL, "--fdump", "DUMP", "--out", "/nowhere/x.md"], 5, "/nowhere/x.md: No such"),
        (["--hkl", HKL, "--fdump", "DUMP", "--out", "DUMP"], 1, "named for the report, but it is"),
        (["--hkl", HKL, "--fdump", "DUMP", "--metrics", HKL], 1, "but it is a file that is read"),
        (["--fdump", "DUMP", "DUMP", "--out", "DUMP"], 1, "but it is a file that is read"),
        (
            ["--hkl", HKL, "--fdump", "DUMP", "--out", "NEW", "--metrics", "NEW"],
            1,
            "named for the metrics, but it is also named for the report",
        ),
    ],
)
def test_failures(
    words: list[str], status: int, message: str, dump: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    garbage = dump.with_name("garbage")
    garbage.write_bytes(b"\x89\x00\xff\n\xfe garbage")
    files = {"DUMP": str(dump), "GARBAGE": str(garbage), "NEW": str(dump.with_name("new"))}
    before = dump.read_bytes()
    assert main([files.get(word, word) for word in words]) == status
    error = capsys.readouterr().err
    assert message in error
    assert len([line for line in error.splitlines() if " error: " in line]) == 1
    assert dump.read_bytes() == before
    assert not dump.with_name("new").exists()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--hkl", HKL],
        ["--hkl", HKL, HKL, HKL],
        ["--hkl", HKL, HKL, "--fdump", "Fdump.bin"],
        ["--colour"],
        ["--hkl", HKL, "--engines", "c", "reference"],
    ],
)
def test_wrong_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1
    assert "usage: nb-compare-hkl" in capsys.readouterr().err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "nb-compare-hkl --hkl P1.hkl --fdump Fdump.bin --out report.md" in text
    assert "exit status: 0" in text
