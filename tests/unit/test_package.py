"""The public names and what importing them loads."""

from __future__ import annotations

import ast
import pickle
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.base import lazy
from nanobragg_hybrid.base.errors import BackendError
from nanobragg_hybrid.engines.c.libnbh import available_kernels
from nanobragg_hybrid.run import versions


def test_names_are_sorted_and_unique() -> None:
    assert len(set(nb.__all__)) == len(nb.__all__)


def loaded_by(code: str) -> set[str]:
    """The modules of this package, numpy among them, that a new interpreter has after `code`."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {
        name for name in done.stdout.split() if name.split(".")[0] in {"nanobragg_hybrid", "numpy"}
    }


def test_import_loads_nothing_else() -> None:
    names = loaded_by("import nanobragg_hybrid")
    assert names == {"nanobragg_hybrid"} | {
        f"nanobragg_hybrid.{name}" for name in ("_version", "base", "base.lazy")
    }


def test_a_name_loads_its_module_and_no_engine() -> None:
    names = loaded_by("import nanobragg_hybrid as nb; nb.Experiment()")
    assert "nanobragg_hybrid.model.beam" in names
    assert "numpy" not in names
    for part in ("_core", "formats", "arguments", "engines", "run", "cli"):
        assert not any(name.startswith(f"nanobragg_hybrid.{part}") for name in names)


def test_star_import_brings_every_name() -> None:
    space: dict[str, object] = {}
    exec("from nanobragg_hybrid import *", space)
    assert set(nb.__all__) <= space.keys()
    assert space["simulate"] is nb.simulate


def test_a_loaded_module_hides_no_name() -> None:
    """A module called like a name of its package would take its place once it is imported."""
    modules = {module.name for module in pkgutil.iter_modules(nb.__path__)}
    assert modules.isdisjoint(nb.__all__)


def test_names_of_the_package() -> None:
    for name in nb.__all__:
        assert getattr(nb, name) is not None
        assert name in dir(nb)
    assert [name for name in dir(nb) if name not in nb.__all__ and name[:2] != "__"] == [
        "ForwardModel",  # not with *, which would need torch
        "FrameDataset",
        "PanelModel",
        "TorchEngine",
    ]
    with pytest.raises(AttributeError, match="'nanobragg_hybrid' has no attribute 'nothing'"):
        nb.nothing  # noqa: B018


def test_type_checkers_and_users_find_the_same_names() -> None:
    """The imports for type checkers, the table of homes and `__all__`; those of torch, which need
    not be installed, are not in the last."""
    tree = ast.parse(Path(nb.__file__).read_text(encoding="utf-8"))
    (table,) = (
        node.args[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy_names"
    )
    homes = {
        (module, name)
        for module, names in ast.literal_eval(table).items()
        for name in names.split()
    }
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    typed = {
        (str(node.module).removeprefix(nb.__name__), alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == homes
    plain = {
        name for module, name in typed if module not in (".engines.torch", ".run.frame_dataset")
    }
    assert plain | {"__version__"} == set(nb.__all__)


def test_a_misspelt_name_is_an_error_to_a_type_checker() -> None:
    """`__getattr__` is hidden from them; .ci/run asks mypy itself."""
    tree = ast.parse(Path(nb.__file__).read_text(encoding="utf-8"))
    assigned = {
        ast.unparse(node.test) if isinstance(node, ast.If) else ""
        for node in tree.body
        if "__getattr__" in {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    }
    assert assigned == {"not TYPE_CHECKING"}


def test_every_method_bound_from_above_is_a_function_there() -> None:
    for method in lazy._FUNCTIONS:
        cls, _, name = method.partition(".")
        assert callable(getattr(getattr(nb, cls), name))
        assert callable(lazy.work_of(method))


@pytest.mark.parametrize("value", [nb.Beam(), nb.Quirks(), nb.StructureFactors.constant(1.0)])
def test_objects_survive_pickling(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value


def test_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", nb.__version__)


def test_one_version_everywhere() -> None:
    root = Path(__file__).parents[2]
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^version: (.*)$", citation) == [nb.__version__]
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"(?m)^## \[(\S+)\]", changes)
    assert nb.__version__ in releases[:2]
    config = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    assert config["project"]["dynamic"] == ["version"]
    assert (
        nb.get_cmake_dir()
        .joinpath("nbh-config-version.cmake")
        .read_text()
        .count(f'"{nb.__version__}"')
    )


def test_library_and_header_are_there() -> None:
    assert (Path(nb.get_include()) / "nbh" / "nbh.h").is_file()
    assert Path(nb.get_library()).is_file()


def test_build_info_names_the_compiler() -> None:
    assert nb.build_info()["version"] == nb.__version__
    assert "compiler" in nb.build_info()


def test_show_versions_has_a_line_for_each() -> None:
    text = nb.show_versions()
    assert text.endswith("\n")
    keys = [line.split(": ")[0] for line in text.splitlines()]
    assert keys[:4] == ["nanobragg_hybrid", "python", "platform", "processor"]
    assert {"cores", "memory", "numpy", "torch", "gemmi", "h5py", "kernel"} < set(keys)
    kernels = ", ".join(available_kernels())
    assert f"kernel: {available_kernels()[-1]} (of {kernels})" in text
    assert "libnbh compiler" in keys
    assert f"nanobragg_hybrid: {nb.__version__}" in text


def test_show_versions_names_every_package_of_the_extras() -> None:
    """Those that the package can use; the rest is for tests and documentation."""
    config = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    extras = config["project"]["optional-dependencies"]
    used = {
        re.match(r"[\w.-]+", need)[0]
        for extra in extras.keys() - {"test", "docs", "dev"}
        for need in extras[extra]
    }
    assert set(versions._OPTIONAL_PACKAGES) == used


def test_show_versions_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> dict[str, str]:
        raise BackendError("not built")

    monkeypatch.setattr(versions, "build_info", missing)
    monkeypatch.setattr(versions, "_OPTIONAL_PACKAGES", ("no-such-package-here",))
    text = versions.show_versions()
    assert "libnbh: not built\n" in text
    assert "no-such-package-here: not installed\n" in text


def test_build_info_without_the_compiled_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanobragg_hybrid.engines.c", None)
    with pytest.raises(BackendError, match="cannot be imported"):
        versions.build_info()
