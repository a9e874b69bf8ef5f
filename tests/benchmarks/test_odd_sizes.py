"""benchmarks/odd_sizes.py: the shapes that it compares."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from nanobragg_hybrid.engines.c.engine import Plan
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.structure_factors import StructureFactors

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "odd_sizes.py"


def test_shapes() -> None:
    spec = importlib.util.spec_from_file_location("odd_sizes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    shapes = script.shapes(3)
    assert {script.ORDINARY, *script.FEW} <= shapes.keys()
    for name, (experiment, pixels) in shapes.items():
        plan = Plan(experiment, StructureFactors.constant(1.0), Quirks())
        assert plan.info()["steps"] == 3
        image = plan.render(1, None, False)[0]
        assert np.count_nonzero(image) == pixels, name
