"""Engines by name, by object and from other packages."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.nanobragg.options import Options
from nanobragg_hybrid.engines.c.plan_info import plan_info
from nanobragg_hybrid.engines.protocol import culling_stated
from nanobragg_hybrid.engines.registry import (
    _OWN,
    GROUP,
    available_backends,
    engine_class,
    make_engine,
)

EXPERIMENT = nb.Experiment(
    crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(3, 3, 3)),
    detector=nb.Detector(n_fast=6, n_slow=4),
)
FACTORS = nb.StructureFactors.constant(10.0)

SOURCE = """
from dataclasses import dataclass
from typing import ClassVar
import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.engine import CEngine

class Run:
    def __init__(self, inner, factor):
        self.inner, self.factor = inner, factor
        self.plan = inner.plan
    def render(self, **options):
        made = self.inner.render(**options)
        import numpy
        image = numpy.asarray(made.image) * numpy.float32(self.factor)
        return made._replace(image=image, provenance={"factor": self.factor})
    def trace(self, *arguments):
        return self.inner.trace(*arguments)

@dataclass(frozen=True)
class Scaled:
    name: ClassVar[str] = "scaled"
    options: ClassVar[tuple] = ("factor",)
    factor: float = 2.0
    def memory_needed(self, experiment, structure_factors):
        return {"nothing": 0}
    def prepare(self, experiment, structure_factors, quirks):
        inner = CEngine().prepare(experiment, structure_factors, quirks)
        return Run(inner, self.factor)
    def structure_factors_at(self, structure_factors, hkl):
        return CEngine().structure_factors_at(structure_factors, hkl)

MADE = Scaled()
"""


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution that adds engines: one that works, and three that do not."""
    (tmp_path / "scaled_engine.py").write_text(SOURCE)
    (tmp_path / "broken_engine.py").write_text("import no_such_module_here")
    info = tmp_path / "scaled_engine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scaled-engine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{GROUP}]\nscaled = scaled_engine:Scaled\nbroken = broken_engine:Engine\n"
        "other = scaled_engine:Run\nmade = scaled_engine:MADE\nc = scaled_engine:Scaled\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in ("scaled_engine", "broken_engine"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", list(_OWN))
def test_options_are_the_fields(name: str) -> None:
    if name == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    cls: Any = engine_class(name)
    assert cls.options == tuple(field.name for field in dataclasses.fields(cls))
    assert cls.name == name
    assert getattr(nb, cls.__name__) is cls
    made = make_engine(name)
    assert make_engine(made) is made
    assert made == cls()
    assert hash(made) == hash(cls())
    # NB_C_BIN names the executable; the command writes no values before rounding, and has no use
    # for the same bytes later.
    of_the_command = {*Options().engine_options, "executable", "unrounded_kernel", "culling"}
    for option in cls.options:
        assert f"{option}:" in (inspect.getdoc(cls) or "")
        assert option in of_the_command


def test_an_engine_object_is_a_backend() -> None:
    by_name = nb.simulate(EXPERIMENT, FACTORS, backend="c")
    by_object = nb.simulate(EXPERIMENT, FACTORS, backend=nb.CEngine())
    assert by_object.image.tobytes() == by_name.image.tobytes()
    assert by_object.provenance["backend"] == "c"
    assert nb.prepare(EXPERIMENT, FACTORS, backend=nb.CEngine()).backend == "c"


@pytest.mark.usefixtures("other_package")
def test_an_engine_of_another_package() -> None:
    assert available_backends() == (*_OWN, "scaled", "broken", "other", "made")
    assert list(_OWN)[:2] == ["c", "torch"]
    plain = nb.simulate(EXPERIMENT, FACTORS)
    scaled = nb.simulate(EXPERIMENT, FACTORS, backend="scaled")
    np.testing.assert_array_equal(scaled.image, plain.image * np.float32(2.0))
    assert scaled.provenance["backend"] == "scaled"
    assert scaled.provenance["factor"] == 2.0
    assert scaled.plan == plain.plan
    assert make_engine("scaled", {"factor": 3.0}).factor == 3.0  # type: ignore[attr-defined]
    assert nb.trace(EXPERIMENT, FACTORS, pixel=(1, 1), backend="scaled") == nb.trace(
        EXPERIMENT, FACTORS, pixel=(1, 1)
    )


def test_a_kernel_of_another_engine_is_text_in_the_plan_only() -> None:
    plan = nb.prepare(EXPERIMENT, FACTORS).plan
    other = plan_info(plan._replace(kernel="cuda", kernel_reason="mine"))  # type: ignore[arg-type]
    assert "kernel" not in other
    assert "kernel_reason" not in other
    assert other.items() <= plan_info(plan).items()
    assert plan_info(plan._replace(kernel_reason="mine"))["kernel_reason"] == 0


@pytest.mark.parametrize("name", ["c", "torch"])
def test_a_prepared_experiment_is_pickled(name: str) -> None:
    if name == "torch":
        pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
    experiment = EXPERIMENT.replace({"crystal.misset_random": True})
    prepared = nb.prepare(experiment, FACTORS, backend=name, quirks=nb.Quirks.nanobragg_fixed())
    again = pickle.loads(pickle.dumps(prepared))
    assert again.experiment == prepared.experiment
    assert again.experiment.crystal.misset_seed is not None
    assert (again.plan, again.quirks, again.engine) == (
        prepared.plan,
        prepared.quirks,
        prepared.engine,
    )
    assert again.quirks_that_mattered == prepared.quirks_that_mattered
    assert again.render().image.tobytes() == prepared.render().image.tobytes()


def test_each_render_says_when_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = nb.prepare(EXPERIMENT, FACTORS)
    found = []
    for day in (1, 2):
        monkeypatch.setattr("time.gmtime", lambda day=day: (2026, 11, day, 0, 0, 0, 0, 0, 0))
        found.append(prepared.render().provenance["started"])
    assert found == ["2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"]


@pytest.mark.usefixtures("other_package")
def test_our_own_names_stay_ours() -> None:
    assert type(make_engine("c")) is nb.CEngine


@pytest.mark.usefixtures("other_package")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "broken_engine:Engine cannot be imported: ModuleNotFoundError: No module"),
        ("other", "scaled_engine:Run is no engine: it lacks name, options, memory_needed, prepare"),
        ("made", "backend 'made' of scaled_engine:MADE is no class"),
        ("nothing", "no backend 'nothing' in this version; available: c, torch, .*reference, sca"),
    ],
)
def test_what_is_no_engine_is_refused(name: str, message: str) -> None:
    with pytest.raises(nb.BackendError, match=message):
        nb.simulate(EXPERIMENT, FACTORS, backend=name)


@pytest.mark.parametrize(
    ("share", "steps", "given", "stated"),
    [
        (0.5, 8.0, "", ""),
        (0.0, 8.0, "", ""),
        (1.0, 8.0, "it was asked for", "it was asked for"),
        (1.0, 8.0, "", "nearly all steps may have light"),
        (1.0, 0.0, "", "no pixel has any light"),
    ],
)
def test_every_step_has_a_reason(share: float, steps: float, given: str, stated: str) -> None:
    found = culling_stated(share, steps, 1e-3, given)
    assert found == {"share_visited": share, "tolerance_photons": 1e-3, "reason": stated}
