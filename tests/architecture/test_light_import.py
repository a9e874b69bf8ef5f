"""Importing the package and starting the command load numpy at most."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ["torch", "matplotlib", "PIL", "cffi"]


@pytest.mark.parametrize("module", ["nanobragg_hybrid", "nanobragg_hybrid.cli.nanobragg"])
def test_import_leaves_large_libraries_alone(module: str) -> None:
    code = f"import sys, {module}; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_probe_sees_a_loaded_library() -> None:
    code = f"import sys; sys.modules['torch'] = sys; print(set({HEAVY!r}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'torch'}"
