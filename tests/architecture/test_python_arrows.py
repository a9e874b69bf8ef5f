"""Imports of the Python package point the way docs/architecture.md says; each rule is also shown a
module that breaks it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from for_each import for_each

PACKAGE = Path(__file__).resolve().parents[2] / "python" / "nanobragg_hybrid"
NAME = "nanobragg_hybrid"

FLOORS = ("base", "model", "formats", "arguments", "engines", "run", "compare", "fitting", "cli")
"""Sub-packages from the ground up: each may import those before it, and itself."""

ENGINES = {f"engines.{path.parent.name}" for path in PACKAGE.glob("engines/*/*.py")}
# Inside a floor: a module below the first name may import nothing below the others.
BLIND: dict[str, tuple[str, ...]] = {
    **{engine: tuple(ENGINES - {engine}) for engine in ENGINES},
    "engines.external": tuple(ENGINES - {"engines.external", "engines.c"}),
    "engines.protocol": tuple(ENGINES),
    "engines.registry": tuple(ENGINES),
    "compare": ("fitting",),
    "fitting": ("compare",),
}
# The only places that may import the compiled extension, torch, gemmi, touch files, print.
CORE = ("base.native", "base.native_scene", "engines.c")
TORCH = (
    "engines.torch",
    "fitting.forward",
    "fitting.panels",
    "fitting.panel_light",
    "run.frame_dataset",
)
GEMMI = ("formats",)
TRITON = ("engines.torch.on_triton",)
FILES = ("base.atomic", "base.control_groups", "formats")
PRINTS = ("cli",)

# What imports a module that no import statement names, and who may use it.
ABOVE_ENGINES = ("run", "compare", "fitting", "cli")
BY_NAME: dict[str, tuple[str, ...]] = {
    "import_module": ("base.lazy", "engines.registry"),
    "sys.modules": ("base.arrays", "base.lazy", "engines.registry"),
    "__import__": (),
    "exec": (),
    "eval": (),
    "pkgutil": (),
    "runpy": (),
    "work_of": (
        "base.lazy",
        "model.experiment",
        "model.result",
        "model.series",
        "model.structure_factors",
    ),
    "class_in": ("base.lazy", "model.validate"),
    "bind_methods": ("base.lazy",),
    "engine_class": ("engines.registry", *ABOVE_ENGINES),
    "make_engine": ("engines.registry", *ABOVE_ENGINES),
}

HEAVY = {
    *("torch", "matplotlib", "PIL", "cffi", "gemmi", "h5py", "fabio", "hdf5plugin"),
    *("pycbf", "msgpack"),
}
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
    """One import of a module of the package, by its dotted name below the package."""

    target: str
    line: int


def _imported(node: ast.AST, module: str) -> list[str]:
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
    if base == NAME or base.removeprefix(f"{NAME}.") in PACKAGES:
        return [f"{base}.{alias.name}" for alias in node.names]
    return [base]


def _below(module: str, roots: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of `roots` or inside one."""
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def imports_of(source: str, module: str) -> tuple[list[Import], list[tuple[str, int]]]:
    """Imports inside the package, wherever they stand (in functions and for type checkers too), and
    top-level names of everything else, with their lines.

    `module` is the full dotted name of the file, `.__init__` included.
    """
    inner: list[Import] = []
    outer: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(source)):
        for name in _imported(node, module):
            line = getattr(node, "lineno", 0)
            if name == NAME or name.startswith(f"{NAME}."):
                inner.append(Import(name.removeprefix(NAME).removeprefix("."), line))
            else:
                outer.append((name.split(".")[0], line))
    return inner, outer


def _own_name(module: str) -> str:
    """`nanobragg_hybrid.engines.c.__init__` -> `engines.c`; the root's `__init__` -> ``."""
    return module.removeprefix(NAME).removeprefix(".").removesuffix("__init__").rstrip(".")


def torch_table() -> dict[str, list[str]]:
    """The packages of the torch engine in the order of docs/architecture.md -> their files."""
    page = (PACKAGE.parents[1] / "docs" / "architecture.md").read_text()
    section = page.partition("## Arrows in the torch engine")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?:`([\w/]+)`|the top) \| ([^|]*) \|", section, re.MULTILINE)
    return {name.replace("/", "."): re.findall(r"`(\w+)`", files) for name, files in rows}


TORCH_PACKAGES = torch_table()


def _torch_place(module: str) -> int | None:
    """How far down the table of the torch engine a module stands; None: it is not in it."""
    below = module.removeprefix("engines.torch.")
    if below == module:
        return None
    package, _, name = below.rpartition(".")
    if package not in TORCH_PACKAGES and below in TORCH_PACKAGES:
        package = below  # the package itself
    is_there = below in TORCH_PACKAGES or name in TORCH_PACKAGES.get(package, ())
    return list(TORCH_PACKAGES).index(package) if is_there else None


def broken_torch_arrows(source: str, module: str) -> list[str]:
    """One line for each import inside the torch engine that its table does not allow."""
    own = _own_name(module)
    if own == "engines.torch" or not _below(own, ("engines.torch",)):
        return []
    place = _torch_place(own)
    if place is None:
        return [f"{module}: {own} is not in the table of the torch engine"]
    problems = []
    for item in imports_of(source, module)[0]:
        if not _below(item.target, ("engines.torch",)):
            continue
        target = _torch_place(item.target)
        if target is None or target > place:
            problems.append(f"{module}:{item.line}: {own} may not import {item.target}")
    return problems


def broken_arrows(source: str, module: str) -> list[str]:
    """One line for each import of `module` that the floors do not allow."""
    own = _own_name(module)
    floor = own.split(".")[0]
    if own in ("", "_version"):
        return []  # the root names everything; the version imports nothing
    if floor not in FLOORS:
        return [f"{module}: {floor} is no floor"]
    allowed = FLOORS[: FLOORS.index(floor) + 1]
    problems = []
    for item in imports_of(source, module)[0]:
        target = item.target
        if target == "_version":
            continue
        if _below(target, ("_core",)):
            fine = _below(own, CORE)
        else:
            fine = target.split(".")[0] in allowed
            fine = fine and not any(
                _below(own, (blind,)) and _below(target, others) for blind, others in BLIND.items()
            )
        if not fine:
            problems.append(f"{module}:{item.line}: {own} may not import {target or NAME}")
    return problems


def imports_by_name(source: str, module: str) -> list[str]:
    """Uses of what imports a module by a text, where no statement shows an arrow."""
    own = _own_name(module)
    if own == "":
        return []  # the root's tables are where the names come from
    problems = []
    for node in ast.walk(ast.parse(source)):
        used: set[str] = set()
        if isinstance(node, ast.Name):
            used = {node.id}
        elif isinstance(node, ast.Attribute):
            used = {node.attr, ast.unparse(node)} - {"exec", "eval"}  # methods of others
        elif isinstance(node, ast.Import | ast.ImportFrom):
            used = {alias.name for alias in node.names}
            used |= {f"{getattr(node, 'module', '')}.{name}" for name in used}
        for name in sorted(used & set(BY_NAME)):
            if not _below(own, BY_NAME[name]):
                problems.append(f"{module}:{node.lineno}: {own} may not use {name}")
    return problems


def torch_imports(source: str, module: str) -> list[str]:
    """Imports of torch outside the floors that may have it, wherever they stand."""
    if _below(_own_name(module), TORCH):
        return []
    lines = [line for library, line in imports_of(source, module)[1] if library == "torch"]
    return [f"{module}:{line}: torch belongs to engines.torch" for line in lines]


def gemmi_imports(source: str, module: str) -> list[str]:
    """Imports of gemmi outside the readers and writers of files, wherever they stand."""
    if _below(_own_name(module), GEMMI):
        return []
    lines = [line for library, line in imports_of(source, module)[1] if library == "gemmi"]
    return [f"{module}:{line}: gemmi belongs to formats" for line in lines]


def triton_imports(source: str, module: str) -> list[str]:
    """Imports of Triton outside the package of its kernels, wherever they stand."""
    if _below(_own_name(module), TRITON):
        return []
    lines = [line for library, line in imports_of(source, module)[1] if library == "triton"]
    return [f"{module}:{line}: triton belongs to engines.torch.on_triton" for line in lines]


def heavy_imports(source: str, module: str) -> list[str]:
    """Imports of large libraries that would happen with `import nanobragg_hybrid`."""
    problems = []
    for node in ast.parse(source).body:
        for name in _imported(node, module):
            library = name.split(".")[0]
            own = library == "torch" and _below(_own_name(module), TORCH)  # loaded when asked for
            if library in HEAVY and not own:
                problems.append(f"{module}:{node.lineno}: imports {name} when loaded")
    return problems


def broken_calls(source: str, module: str) -> list[str]:
    """Files touched outside formats, and printing outside cli."""
    own = _own_name(module)
    may_touch, may_print = _below(own, FILES), _below(own, PRINTS)
    problems = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = node.func
            bare = isinstance(function, ast.Name)
            name = getattr(function, "id" if bare else "attr", "")
            # A bare read_text() is a function of formats; as an attribute it is a path's method.
            touches = name == "open" if bare else name in CALLS_THAT_TOUCH_FILES
            nowhere = bool(node.args) and ast.unparse(node.args[0]) == "os.devnull"
            if not may_touch and touches and not nowhere:
                problems.append(f"{module}:{node.lineno}: {name}() belongs to formats")
            if not may_print and bare and name == "print":
                problems.append(f"{module}:{node.lineno}: print() belongs to cli")
        if (
            not may_print
            and isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) in {("sys", "stdout"), ("sys", "stderr")}
        ):
            problems.append(f"{module}:{node.lineno}: sys.{node.attr} belongs to cli")
    return problems


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, sorted (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            group = sorted(stack[at:])
            del stack[at:]
            if len(group) > 1 or name in graph.get(name, ()):
                found.append(group)

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def _module_name(path: Path) -> str:
    return ".".join([NAME, *path.relative_to(PACKAGE).with_suffix("").parts])


MODULES = sorted(PACKAGE.rglob("*.py"))
PACKAGES = {".".join(p.parent.relative_to(PACKAGE).parts) for p in PACKAGE.rglob("__init__.py")}


def import_graph() -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports anywhere; the root is not in it."""
    names = {_own_name(_module_name(path)) for path in MODULES}
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        module = _module_name(path)
        own = _own_name(module)
        if own == "":
            continue
        targets = set()
        for item in imports_of(path.read_text(), module)[0]:
            target = item.target
            while target and target not in names:
                target = target.rpartition(".")[0]
            if target:
                targets.add(target)
        graph[own] = targets
    return graph


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


RULES = [
    broken_arrows,
    broken_calls,
    broken_torch_arrows,
    gemmi_imports,
    heavy_imports,
    imports_by_name,
    torch_imports,
    triton_imports,
]


@pytest.mark.parametrize("rule", RULES)
def test_every_module_keeps_the_rule(rule: Callable[[str, str], list[str]]) -> None:
    assert len(MODULES) > 100
    broken = [line for path in MODULES for line in rule(path.read_text(), _module_name(path))]
    if broken:
        pytest.fail("\n".join(broken), pytrace=False)


def test_every_folder_is_a_floor() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= set(FLOORS)
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert modules == {"__init__", "_version"}


def test_no_modules_import_each_other() -> None:
    assert cycles(import_graph()) == []


@for_each(
    "graph, expected",
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}}, [["a", "b"]]),
        ({"a": {"a"}}, [["a"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [["a", "b", "c"]]),
    ],
)
def test_cycles(graph: dict[str, set[str]], expected: list[list[str]]) -> None:
    assert cycles(graph) == expected


@for_each(
    "module, statement",
    [
        ("model.beam", "from nanobragg_hybrid.base.units import mm_to_m"),
        ("model.beam", "from ..base.errors import ConfigError"),
        ("model.beam", "from .validate import checked"),
        ("base.errors", "from nanobragg_hybrid._version import __version__"),
        ("engines.c.engine", "from nanobragg_hybrid import _core"),
        ("base.native", "from nanobragg_hybrid import _core"),
        ("engines.external.engine", "from nanobragg_hybrid.engines.c.plan import Plan"),
        ("engines.torch.model", "from nanobragg_hybrid.engines.protocol import Engine"),
        ("cli.nanobragg.run", "from ...formats.raw import write_raw"),
        ("__init__", "from nanobragg_hybrid.cli import tool"),
    ],
)
def test_arrow_is_accepted(module: str, statement: str) -> None:
    assert broken_arrows(statement, f"{NAME}.{module}") == []


@for_each(
    "module, statement, target",
    [
        ("model.beam", "from nanobragg_hybrid.engines.c import engine", "engines.c.engine"),
        ("model.beam", "import nanobragg_hybrid.formats.text", "formats.text"),
        ("model.experiment", "def load():\n    from ..formats import text", "formats.text"),
        ("model.experiment", "if TYPE_CHECKING:\n    from ..run.trace import Tracer", "run.trace"),
        ("base.units", "from ..model.beam import Beam", "model.beam"),
        ("base.units", "import nanobragg_hybrid", NAME),
        ("formats.hkl", "from ..engines.c.engine import Plan", "engines.c.engine"),
        ("run.simulate", "from nanobragg_hybrid.cli import tool", "cli.tool"),
        ("run.simulate", "from nanobragg_hybrid import _core", "_core"),
        ("engines.torch.model", "from nanobragg_hybrid import _core", "_core"),
        ("engines.torch.model", "from ..c.plan import Plan", "engines.c.plan"),
        ("engines.c.engine", "from ..torch.model import ForwardModel", "engines.torch.model"),
        ("engines.registry", "def f():\n    from .c import engine", "engines.c.engine"),
    ],
)
def test_arrow_is_refused(module: str, statement: str, target: str) -> None:
    (problem,) = broken_arrows(statement, f"{NAME}.{module}")
    assert problem.endswith(f"{module} may not import {target}")


@for_each(
    "module, statement, name",
    [
        ("base.lazy", "importlib.import_module(name)", None),
        ("engines.registry", "from importlib import import_module", None),
        ("model.beam", "def f():\n    importlib.import_module(name)", "import_module"),
        ("model.beam", "from importlib import import_module as load", "import_module"),
        ("base.arrays", "sys.modules.get('numpy')", None),
        ("model.beam", "sys.modules['nanobragg_hybrid'].simulate", "sys.modules"),
        ("model.beam", "from sys import modules", "sys.modules"),
        ("model.beam", "__import__('nanobragg_hybrid.formats')", "__import__"),
        ("model.beam", "exec('import nanobragg_hybrid')", "exec"),
        ("model.beam", "value = eval(text)", "eval"),
        ("engines.torch.model", "module.eval()", None),
        ("formats.raw", "import pkgutil", "pkgutil"),
        ("formats.raw", "import runpy", "runpy"),
        ("model.experiment", "from nanobragg_hybrid.base.lazy import work_of", None),
        ("model.beam", "from nanobragg_hybrid.base.lazy import work_of", "work_of"),
        ("model.beam", "lazy.bind_methods({})", "bind_methods"),
        ("__init__", "bind_methods({})", None),
        ("run.prepare", "from nanobragg_hybrid.engines.registry import make_engine", None),
        ("engines.torch.model", "registry.engine_class('c')", "engine_class"),
        ("engines.c.engine", "from ..registry import make_engine", "make_engine"),
    ],
)
def test_imports_by_name(module: str, statement: str, name: str | None) -> None:
    problems = [] if name is None else [f"{module} may not use {name}"]
    found = imports_by_name(statement, f"{NAME}.{module}")
    assert [line.rpartition(": ")[2] for line in found] == problems


def test_unknown_floor_is_refused() -> None:
    (problem,) = broken_arrows("", f"{NAME}.helpers.text")
    assert problem.endswith("helpers is no floor")


@for_each(
    "module, statement, accepted",
    [
        ("formats.raw", "open('a', 'rb')", True),
        ("formats.raw", "path.read_bytes()", True),
        ("base.atomic", "os.fdopen(3)", True),
        ("base.host", "open('a')", False),
        ("model.beam", "open('a')", False),
        ("model.beam", "read_text('a')", True),
        ("engines.c.engine", "header.read_text()", False),
        ("cli.nanobragg.facts", "path.write_text('x')", False),
        ("run.simulate", "numpy.fromfile('a')", False),
        ("cli.nanobragg.log", "os.open(os.devnull, os.O_WRONLY)", True),
        ("cli.nanobragg.log", "os.open('a', os.O_WRONLY)", False),
        ("cli.nanobragg.log", "print(1)", True),
        ("cli.nanobragg.log", "sys.stderr.write('x')", True),
        ("formats.raw", "print(1)", False),
        ("run.simulate", "sys.stdout.write('x')", False),
        ("run.simulate", "sys.exit(1)", True),
    ],
)
def test_calls(module: str, statement: str, accepted: bool) -> None:
    assert (broken_calls(statement, f"{NAME}.{module}") == []) is accepted


@for_each(
    "module, statement, accepted",
    [
        ("formats.png", "import torch", False),
        ("formats.png", "from PIL import Image", False),
        ("formats.png", "def f():\n    from PIL import Image", True),
        ("formats.png", "import numpy as np", True),
        ("formats.mtz", "import gemmi", False),
        ("formats.mtz", "def f():\n    from gemmi import cif", True),
        ("formats.mtz", "if TYPE_CHECKING:\n    import gemmi", True),
        ("engines.torch.model", "import torch", True),
    ],
)
def test_heavy_imports(module: str, statement: str, accepted: bool) -> None:
    assert (heavy_imports(statement, f"{NAME}.{module}") == []) is accepted


@for_each(
    "module, statement, accepted",
    [
        ("engines.torch.model", "import torch", True),
        ("engines.c.engine", "def f():\n    import torch", False),
        ("run.simulate", "if TYPE_CHECKING:\n    from torch import Tensor", False),
    ],
)
def test_torch_imports(module: str, statement: str, accepted: bool) -> None:
    assert (torch_imports(statement, f"{NAME}.{module}") == []) is accepted


@for_each(
    "module, statement, accepted",
    [
        ("engines.torch.on_triton.kernels.sums", "import triton", True),
        ("engines.torch.on_triton.kernel", "from triton.runtime import jit", True),
        ("engines.torch.rendering.kernel_choice", "def f():\n    import triton", False),
        ("engines.torch.proven", "import triton.language as tl", False),
    ],
)
def test_triton_imports(module: str, statement: str, accepted: bool) -> None:
    assert (triton_imports(statement, f"{NAME}.{module}") == []) is accepted


def test_the_table_of_the_torch_engine_is_that_of_its_files() -> None:
    root = PACKAGE / "engines" / "torch"
    packages: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.py")):
        package = ".".join(path.parent.relative_to(root).parts)
        packages.setdefault(package, []).extend([path.stem] if path.stem != "__init__" else [])
    assert packages == TORCH_PACKAGES


@for_each(
    "module, target, accepted",
    [
        ("set_up.lattice", "arithmetic.vectors", True),
        ("set_up.lattice", "set_up.inputs", True),
        ("arithmetic.vectors", "set_up.lattice", False),
        ("eager.kernel", "compiled.kernel", False),
        ("compiled.kernel", "scenes.packing", True),
        ("on_triton.kernels.sums", "on_triton.sum_launches", False),
        ("on_triton.sum_launches", "on_triton.kernels.sums", True),
        ("rendering.render", "model", False),
        ("model", "rendering.render", True),
        ("model", "rendering.unknown", False),
    ],
)
def test_arrows_of_the_torch_engine(module: str, target: str, accepted: bool) -> None:
    package, _, name = f"{NAME}.engines.torch.{target}".rpartition(".")
    problems = broken_torch_arrows(
        f"from {package} import {name}", f"{NAME}.engines.torch.{module}"
    )
    line = f"engines.torch.{module} may not import engines.torch.{target}"
    assert [each.rpartition(": ")[2] for each in problems] == ([] if accepted else [line])


def test_a_file_that_is_not_in_the_table_is_refused() -> None:
    (problem,) = broken_torch_arrows("", f"{NAME}.engines.torch.eager.unknown")
    assert problem.endswith("eager.unknown is not in the table of the torch engine")


@for_each(
    "module, statement, accepted",
    [
        ("formats.mtz", "def f():\n    import gemmi", True),
        ("formats.reflection_cif", "if TYPE_CHECKING:\n    from gemmi import cif", True),
        ("model.structure_factors", "def f():\n    import gemmi", False),
        ("cli.structure_factors.main", "from gemmi import cif", False),
        ("engines.c.engine", "if TYPE_CHECKING:\n    import gemmi", False),
    ],
)
def test_gemmi_imports(module: str, statement: str, accepted: bool) -> None:
    assert (gemmi_imports(statement, f"{NAME}.{module}") == []) is accepted
