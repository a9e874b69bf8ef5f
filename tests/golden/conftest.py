"""Fixtures of the golden tests: each recorded command line is run once and looked at often."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded import GOLDEN, Run, arguments, link_inputs, run_in_process, table


@pytest.fixture(scope="session")
def golden_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Runs a case of cases.json or more/cases.json by name, in this process, with its recorded
    arguments."""
    cases = {**table("cases"), **table("more/cases")}
    runs: dict[str, Run] = {}

    def run(case: str) -> Run:
        if case not in runs:
            folder = tmp_path_factory.mktemp(case)
            link_inputs(folder)
            runs[case] = run_in_process(folder, arguments(cases[case]["args"]))
        return runs[case]

    return run


@pytest.fixture
def input_folder(tmp_path: Path) -> Path:
    """An empty folder with the recorded input files."""
    link_inputs(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def pilatus_folder() -> Path:
    """The folder of the real frame's matrix and structure factors, which we may not distribute."""
    folder = Path(
        os.environ.get("NB_PILATUS_DIR", str(GOLDEN.parents[1] / "shared" / "pilatus"))
    ).resolve()
    for name in ("A.mat", "scaled.hkl"):
        if not (folder / name).is_file():
            pytest.skip(f"the Pilatus frame needs {name} in {folder} (set NB_PILATUS_DIR)")
    return folder
