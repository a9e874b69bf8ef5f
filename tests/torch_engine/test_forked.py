"""In a process that was forked after a render PyTorch would hang: an error; the C engine works."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import with_torch  # noqa: F401 (skips this module where there is no torch)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

PREPARE = """
import os, sys
import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.torch import ForwardModel
experiment = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(3, 4, 5)),
    detector=nb.Detector(n_fast=64, n_slow=64),
    sampling=nb.Sampling(oversample=1),
)
factors = nb.StructureFactors.constant(100.0)
def attempt(use):
    try:
        print(float(use().sum()) > 0.0, flush=True)
    except nb.BackendError as error:
        print(type(error).__name__, error, flush=True)
def torch_image():
    return nb.simulate(experiment, factors, backend="torch", threads=2).image
def c_image():
    return nb.simulate(experiment, factors, backend="c", threads=2).image
"""
FORK = """
child = os.fork()
if child == 0:
    attempt(c_image)
    attempt(torch_image)
    attempt(lambda: model())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
attempt(torch_image)
"""
REFUSED = "BackendError this process was forked after its parent had used the torch engine"


def _said(code: str) -> list[str]:
    words = [sys.executable, "-c", PREPARE + code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_after_a_render() -> None:
    said = _said("model = ForwardModel(experiment, factors)\nattempt(torch_image)\n" + FORK)
    assert [line[: len(REFUSED)] for line in said] == ["True", "True", REFUSED, REFUSED, "True"]
    assert 'start processes by "spawn"' in said[2]


def test_without_one() -> None:
    """The child is the first to use PyTorch; the C engine's render before does no harm."""
    later = FORK.replace("model()", "ForwardModel(experiment, factors)()")
    assert _said("attempt(c_image)\n" + later) == ["True"] * 5


def test_a_child_of_a_child() -> None:
    said = _said(
        "attempt(torch_image)\nchild = os.fork()\nif child == 0:\n"
        "    grandchild = os.fork()\n"
        "    if grandchild == 0:\n        attempt(torch_image)\n        attempt(c_image)\n"
        "        os._exit(0)\n"
        "    os.waitpid(grandchild, 0)\n    os._exit(0)\nos.waitpid(child, 0)\n"
    )
    assert [line[: len(REFUSED)] for line in said] == ["True", REFUSED, "True"]
