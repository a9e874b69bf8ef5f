"""What must be refused is, with its name, and its neighbour is rendered; the same of engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from covering_array import write_inputs
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.formats.smv import write_mask
from reject_gate import BASE, REFUSALS, Refusal

pytestmark = pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")

SMALL = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)),
    detector=nb.Detector(pixel_size_mm=2, n_fast=4, n_slow=4),
)
WEIGHTED = SMALL.replace(
    {"crystal.mosaic_rotations": nb.Rotations.from_vectors([(0, 0, 0), (0, 1, 0)], (1.0, 2.0))}
)
FACTORS = nb.StructureFactors.constant(100.0)
NOTHING: Any = "nothing"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_inputs(tmp_path)
    write_mask(tmp_path / "mask.img", np.ones((8, 8), bool))
    (tmp_path / "no_direction.txt").write_text("0 0 0 1 1e-10\n-10 0 0 1 1e-10\n")
    (tmp_path / "no_wavelength.txt").write_text("-10 0 0 1 0\n-10 0 0 1 1e-10\n")
    return tmp_path


def render(words: str, quirks: str, folder: Path) -> None:
    chosen = nb.Quirks.parse(quirks)
    experiment = parse_command(f"{BASE} {words}", folder, quirks=chosen).experiment
    nb.simulate(experiment, FACTORS, quirks=chosen, threads=1)


@for_each("refusal", REFUSALS, ids=lambda refusal: f"{refusal.words} ({refusal.quirks})")
def test_words(refusal: Refusal, folder: Path) -> None:
    with pytest.raises(nb.NanobraggError) as caught:
        render(refusal.words, refusal.quirks, folder)
    assert refusal.message in str(caught.value)
    render(refusal.accepted, refusal.accepted_quirks, folder)


def _external(path: str = "/bin/true") -> nb.ExternalEngine:
    return nb.ExternalEngine(executable=path)


ENGINES: dict[str, tuple[type[nb.NanobraggError], Callable[[], object]]] = {
    "unrounded values of an executable": (
        nb.UnsupportedError,
        lambda: nb.simulate(SMALL, FACTORS, backend=_external(), unrounded=True),
    ),
    "a trace of an executable": (
        nb.UnsupportedError,
        lambda: nb.trace(SMALL, FACTORS, pixel=(1, 1), backend=_external()),
    ),
    "quirks off of an executable that is not ours": (
        nb.UnsupportedError,
        lambda: nb.simulate(SMALL, FACTORS, backend=_external(), quirks=nb.Quirks.none()),
    ),
    "an executable that writes no image": (
        nb.ExecutableError,
        lambda: nb.simulate(SMALL, FACTORS, backend=_external()),
    ),
    "an executable that is not there": (
        nb.BackendError,
        lambda: nb.simulate(SMALL, FACTORS, backend=_external("/nothing/there")),
    ),
    "no such backend": (nb.BackendError, lambda: nb.simulate(SMALL, FACTORS, backend="nothing")),
    "no such kernel": (
        nb.ConfigError,
        lambda: nb.simulate(SMALL, FACTORS, backend=nb.CEngine(kernel="nothing")),
    ),
    "no such kernel of values before rounding": (
        nb.ConfigError,
        lambda: nb.simulate(SMALL, FACTORS, backend=nb.CEngine(unrounded_kernel=NOTHING)),
    ),
    "no such kernel of torch": (nb.ConfigError, lambda: _torch(kernel="nothing")),
    "domains with weights by compiled kernels": (
        nb.UnsupportedError,
        lambda: _torch(WEIGHTED, kernel="compiled"),
    ),
    "no such device": (nb.BackendError, lambda: _torch(device="nothing")),
    "a table that no memory holds": (
        nb.ResourceError,
        lambda: nb.simulate(
            SMALL.replace({"detector.n_fast": 2**30, "detector.n_slow": 2**20}), FACTORS
        ),
    ),
}


def _torch(experiment: nb.Experiment = SMALL, **options: str) -> nb.SimulationResult:
    pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    return nb.simulate(experiment, FACTORS, backend=nb.TorchEngine(**options))


@pytest.mark.parametrize("name", ENGINES)
def test_engines(name: str) -> None:
    error, call = ENGINES[name]
    with pytest.raises(error):
        call()


def test_its_neighbour_is_rendered() -> None:
    assert nb.simulate(SMALL, FACTORS).image.any()
    fast = nb.CEngine(unrounded_kernel="fast")
    assert nb.simulate(SMALL, FACTORS, backend=fast, unrounded=True).image.any()


def test_its_neighbour_is_rendered_by_torch() -> None:
    assert _torch(kernel="compiled").image.any()
    assert _torch(WEIGHTED, kernel="eager").image.any()
    assert _torch(SMALL.replace({"detector.curved": True}), kernel="compiled").image.any()
