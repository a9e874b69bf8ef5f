"""Every public name has a docstring, and an example or a page that shows it; examples run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import warnings
from pathlib import Path

import pytest

import nanobragg_hybrid as nb

ROOT = Path(__file__).resolve().parents[2]
NAMES = [name for name in dir(nb) if not name.startswith("__")]
PACKAGE = ROOT / "python" / "nanobragg_hybrid"
WITH_EXAMPLES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if re.search(r"^ *>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.fixture
def pages_that_show(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))
    return importlib.import_module("public_names").pages_that_show


def _documented(name: str) -> bool:
    if name in {"LEDGER"}:  # a tuple, which has no docstring of its own
        return True
    return bool(vars(getattr(nb, name)).get("__doc__") or getattr(nb, name).__doc__)


def test_every_name_has_a_docstring_and_an_example_or_a_page(pages_that_show: object) -> None:
    pytest.importorskip("torch", reason="three of the names need PyTorch (extra: torch)")
    assert [name for name in NAMES if not _documented(name)] == []
    without = [
        name
        for name in NAMES
        if ">>>" not in (inspect.getdoc(getattr(nb, name)) or "") and not pages_that_show(name)
    ]
    assert without == [], "neither an example in the docstring nor a page that shows the name"


def test_pages_that_show_a_name(pages_that_show: object) -> None:
    assert "getting_started" in [page.stem for page in pages_that_show("simulate")]
    assert pages_that_show("no_such_name") == []


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: path.stem)
def test_examples_of_docstrings(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "torch" in path.parts:
        pytest.importorskip("torch", reason="the examples need PyTorch (extra: torch)")
    monkeypatch.chdir(tmp_path)
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
