"""docs/differentiable.md lists the parameters that the code has, and its code runs; docs/fitting.md
quotes its example."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from torch_scenes import SCENES

from nanobragg_hybrid.engines.torch import ForwardModel
from nanobragg_hybrid.engines.torch.set_up.parameters import known_names

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "differentiable.md").read_text()
FITTING = (ROOT / "docs" / "fitting.md").read_text()
EXAMPLE = (ROOT / "examples" / "refine_missetting.py").read_text()

# Shapes that depend on the experiment.
SHAPES = {
    "beam.sources.position": "(sources, 3)",
    "beam.sources.wavelength_m": "(sources,)",
    "beam.sources.weight": "(sources,)",
    "beam.spectrum.weights": "(nodes,)",
    "structure_factors.grid": "(h, k, l)",
    "detector.pixel_size_mm": "() or (2,)",
}


def parameters_table() -> str:
    """The page's table of parameters, as the code has it."""
    known = {
        each.name: each for scene in SCENES.values() for each in ForwardModel(*scene()).parameters()
    }
    lines = ["| parameter | unit | shape | smooth | |", "|---|---|---|---|---|"]
    for name in known_names():
        parameter = known[name]
        shape = SHAPES.get(name, str(parameter.shape) if parameter.shape else "")
        smooth = "yes" if parameter.smooth else "no"
        lines.append(f"| `{name}` | {parameter.unit} | {shape} | {smooth} | {parameter.note} |")
    return "\n".join(line.replace("|  |", "| |").replace("|  |", "| |") for line in lines)


def _between(name: str, page: str = PAGE) -> str:
    (inner,) = re.findall(rf"<!-- {name}: begin -->\n(.*?)<!-- {name}: end -->", page, re.DOTALL)
    return str(inner).strip()


def test_table_of_parameters() -> None:
    assert _between("parameters") == parameters_table()


def test_quoted_code_is_the_example() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", _between("refine", FITTING), re.DOTALL)
    assert code.strip()
    assert code in EXAMPLE


def test_listings_run(tmp_path: Path) -> None:
    """One after the other, as one program."""
    program = "".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    check = "\nassert stack.shape == (5, 64, 64) and cell.grad.abs().min() > 0\n"
    done = subprocess.run(
        [sys.executable, "-c", program + check],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tensor([")
