"""Imports of the Python package point the way docs/architecture.md says; each rule is also shown a
module that breaks it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "python" / "nanobragg_hybrid"
NAME = "nanobragg_hybrid"

VOCABULARY = {
    "arrays",
    "_version",
    "_lazy",
    "record",
    "trace_record",
    "trace_text",
    "constants",
    "errors",
    "conventions",
    "memory",
    "cores",
}
SETTINGS = VOCABULARY | {"units", "quirks"}
CONFIG = SETTINGS | {"config"}
DATA = CONFIG | {"structure_factors", "result", "plan_warnings"}
ENGINE = DATA | {"quirk_effects", "backends", "c_engine"}
DOOR = ENGINE | {"simulation", "image_parts", "images", "tracing"}
ARGS = DOOR | {"io", "nanobragg_args"}

# What a unit (a module or sub-package directly below the package) may import.
MAY_IMPORT: dict[str, set[str]] = {
    "_version": set(),
    "_lazy": set(),
    "arrays": set(),
    "record": set(),
    "trace_record": {"record"},
    "trace_text": {"record", "trace_record", "errors"},
    "constants": {"_version"},
    "errors": set(),
    "conventions": set(),
    "memory": {"errors"},
    "cores": set(),
    "units": VOCABULARY,
    "quirks": VOCABULARY | {"units"},
    "config": SETTINGS,
    "structure_factors": CONFIG,
    "result": CONFIG | {"structure_factors"},
    "plan_warnings": set(),
    "quirk_effects": DATA,
    "backends": DATA,
    "c_engine": DATA | {"backends"},
    "torch_engine": DATA | {"backends"},
    "reference": DATA | {"backends", "c_engine", "io"},
    "simulation": ENGINE,
    "image_parts": ENGINE,
    "images": ENGINE | {"image_parts"},
    "tracing": ENGINE | {"simulation"},
    "io": CONFIG | {"structure_factors", "c_engine.dump_planes", "c_engine.hkl_text"},
    "nanobragg_args": DOOR | {"io"},
    "parity": ARGS,
    "cli": ARGS | {"parity", "reference", "versions"},
    "versions": VOCABULARY,
    "__init__": ARGS | {"versions"},
}
# Imports inside functions (or for type checkers only) that may point the other way.
DOORS: dict[str, set[str]] = {
    "config": {"io", "nanobragg_args", "c_engine", "structure_factors", "result"},
    "backends": {"c_engine", "torch_engine", "reference"},
    "versions": {"c_engine"},
    "cores": {"io"},
}
HEAVY = {"torch", "matplotlib", "PIL", "cffi"}
CALLS_THAT_TOUCH_FILES = {
    "open",
    "fdopen",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "fromfile",
    "tofile",
    "loadtxt",
    "savetxt",
}


@dataclass(frozen=True)
class Import:
    """One imported module of the package, as `unit` or `unit.module...`, and where it stands."""

    target: str
    line: int
    in_function: bool


def _units(node: ast.AST, module: str) -> list[str]:
    """Full names of what an import statement of `module` imports, relative ones resolved."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parents = module.split(".")
        parents = parents[: len(parents) - node.level]
        base = ".".join([*parents, base] if base else parents)
    if base == NAME:
        return [f"{NAME}.{alias.name}" for alias in node.names]
    return [base]


def _parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports_of(source: str, module: str) -> tuple[list[Import], list[tuple[str, int]]]:
    """Imports inside the package, and top-level names of everything else with their lines.

    `module` is the dotted name of the file, `.__init__` included.
    """
    tree = ast.parse(source)
    parents = _parents(tree)
    inner: list[Import] = []
    outer: list[tuple[str, int]] = []
    for node in ast.walk(tree):
        for name in _units(node, module):
            at: ast.AST | None = node
            lazy = False
            while at is not None and not lazy:
                lazy = isinstance(at, ast.FunctionDef | ast.AsyncFunctionDef)
                lazy = lazy or _is_type_checking(at)
                at = parents.get(at)
            line = getattr(node, "lineno", 0)
            if name == NAME or name.startswith(f"{NAME}."):
                inner.append(Import(name.removeprefix(NAME).removeprefix("."), line, lazy))
            else:
                outer.append((name.split(".")[0], line))
    return inner, outer


def _unit(module: str) -> str:
    """`nanobragg_hybrid.config.beam` -> `config`; the package's own __init__ -> `__init__`."""
    return module.split(".")[1]


def _allowed(target: str, rules: set[str]) -> bool:
    parts = target.split(".")
    return any(".".join(parts[:n]) in rules for n in range(1, len(parts) + 1))


def broken_arrows(source: str, module: str) -> list[str]:
    """One line for each import of `module` that the tables do not allow."""
    unit = _unit(module)
    if unit not in MAY_IMPORT:
        return [f"{module}: {unit} is not in the table of arrows"]
    inner, _ = imports_of(source, module)
    problems = []
    for item in inner:
        own = item.target.split(".")[0] == unit or item.target == ""
        if item.target == "" and unit not in {"__init__", "cli"}:
            own = False  # the package's __init__ imports nearly everything
        if item.target.split(".")[-1] == "_core" or item.target.startswith("_core"):
            own = unit == "c_engine"
        elif not own:
            own = _allowed(item.target, MAY_IMPORT[unit])
            own = own or (item.in_function and _allowed(item.target, DOORS.get(unit, set())))
        if not own:
            problems.append(f"{module}:{item.line}: {unit} may not import {item.target or NAME}")
    return problems


def heavy_imports(source: str, module: str) -> list[str]:
    """Imports of large libraries that would happen with `import nanobragg_hybrid`."""
    tree = ast.parse(source)
    problems = []
    for node in tree.body:
        for name in _units(node, module):
            library = name.split(".")[0]
            own = library == "torch" and _unit(module) == "torch_engine"  # loaded when asked for
            if library in HEAVY and not own:
                problems.append(f"{module}:{node.lineno}: imports {name} when loaded")
    return problems


def broken_calls(source: str, module: str) -> list[str]:
    """Files touched outside io, and printing outside cli."""
    unit = _unit(module)
    problems = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func
            bare = isinstance(function, ast.Name)
            name = getattr(function, "id" if bare else "attr", "")
            # A bare read_text() is a function of io; as an attribute it is a path's method.
            touches = name == "open" if bare else name in CALLS_THAT_TOUCH_FILES
            nowhere = bool(node.args) and ast.unparse(node.args[0]) == "os.devnull"
            if unit != "io" and touches and not nowhere:
                problems.append(f"{module}:{node.lineno}: {name}() belongs to io")
            if unit != "cli" and bare and name == "print":
                problems.append(f"{module}:{node.lineno}: print() belongs to cli")
        if (
            unit != "cli"
            and isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) in {("sys", "stdout"), ("sys", "stderr")}
        ):
            problems.append(f"{module}:{node.lineno}: sys.{node.attr} belongs to cli")
    return problems


def _module_name(path: Path) -> str:
    return ".".join([NAME, *path.relative_to(PACKAGE).with_suffix("").parts])


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=_module_name)
def test_module_keeps_the_rules(path: Path) -> None:
    source, module = path.read_text(), _module_name(path)
    assert broken_arrows(source, module) == []
    assert broken_calls(source, module) == []
    assert heavy_imports(source, module) == []


def test_table_names_every_unit() -> None:
    units = {path.stem for path in PACKAGE.glob("*.py")}
    units |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert units <= MAY_IMPORT.keys()


@pytest.mark.parametrize(
    ("unit", "statement"),
    [
        ("config.beam", "from nanobragg_hybrid.units import mm_to_m"),
        ("config.beam", "from ..errors import ConfigError"),
        ("config.beam", "from .field import checked"),
        ("config.experiment", "def load():\n    from nanobragg_hybrid.io.text import read"),
        ("config.experiment", "if TYPE_CHECKING:\n    from ..result import SimulationResult"),
        ("c_engine.engine", "from . import _core"),
        ("c_engine.engine", "from nanobragg_hybrid import _core"),
        ("io.hkl", "from ..c_engine.hkl_text import parse_hkl_text"),
        ("cli.nanobragg", "from ..io.raw import write_raw"),
        ("backends", "def load():\n    from .c_engine import engine"),
    ],
)
def test_arrow_is_accepted(unit: str, statement: str) -> None:
    assert broken_arrows(statement, f"{NAME}.{unit}") == []


@pytest.mark.parametrize(
    ("unit", "statement", "target"),
    [
        ("config.beam", "from nanobragg_hybrid.c_engine import engine", "c_engine"),
        ("config.beam", "import nanobragg_hybrid.io.text", "io.text"),
        ("config.experiment", "def load():\n    from ..cli import log", "cli"),
        ("units", "from .config import Beam", "config"),
        ("units", "import nanobragg_hybrid", NAME),
        ("io.hkl", "from ..c_engine.engine import render", "c_engine.engine"),
        ("io.hkl", "from ..nanobragg_args.parse import parse", "nanobragg_args.parse"),
        ("simulation", "from .cli import log", "cli"),
        ("simulation", "from . import _core", "_core"),
        ("backends", "from .c_engine import engine", "c_engine"),
        ("images", "from .io.smv import write_smv", "io.smv"),
    ],
)
def test_arrow_is_refused(unit: str, statement: str, target: str) -> None:
    (problem,) = broken_arrows(statement, f"{NAME}.{unit}")
    assert problem.endswith(f"{unit.split('.', maxsplit=1)[0]} may not import {target}")


def test_unknown_unit_is_refused() -> None:
    (problem,) = broken_arrows("", f"{NAME}.helpers")
    assert problem.endswith("helpers is not in the table of arrows")


@pytest.mark.parametrize(
    ("unit", "statement", "accepted"),
    [
        ("io.raw", "open('a', 'rb')", True),
        ("io.raw", "path.read_bytes()", True),
        ("config.beam", "open('a')", False),
        ("config.beam", "read_text('a')", True),
        ("c_engine.engine", "header.read_text()", False),
        ("cli.facts", "path.write_text('x')", False),
        ("simulation", "numpy.fromfile('a')", False),
        ("cli.log", "os.open(os.devnull, os.O_WRONLY)", True),
        ("cli.log", "os.open('a', os.O_WRONLY)", False),
        ("cli.log", "print(1)", True),
        ("cli.log", "sys.stderr.write('x')", True),
        ("io.raw", "print(1)", False),
        ("simulation", "sys.stdout.write('x')", False),
        ("simulation", "sys.exit(1)", True),
    ],
)
def test_calls(unit: str, statement: str, accepted: bool) -> None:
    assert (broken_calls(statement, f"{NAME}.{unit}") == []) is accepted


@pytest.mark.parametrize(
    ("statement", "accepted"),
    [
        ("import torch", False),
        ("from PIL import Image", False),
        ("def f():\n    from PIL import Image", True),
        ("import numpy as np", True),
    ],
)
def test_heavy_imports(statement: str, accepted: bool) -> None:
    assert (heavy_imports(statement, f"{NAME}.io.png") == []) is accepted
