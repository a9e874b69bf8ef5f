"""The public names and what importing them loads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid import versions
from nanobragg_hybrid.errors import BackendError


@pytest.mark.parametrize("name", nb.__all__)
def test_public_name_is_there(name: str) -> None:
    assert getattr(nb, name) is not None
    assert name in dir(nb)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        nb.no_such_name  # noqa: B018


def test_names_are_sorted_and_unique() -> None:
    assert len(set(nb.__all__)) == len(nb.__all__)


def test_import_loads_no_engine_and_no_file_format() -> None:
    code = (
        "import sys, nanobragg_hybrid\n"
        "print(sorted(m for m in sys.modules if m.startswith('nanobragg_hybrid.')))\n"
        "print('numpy' in sys.modules, 'importlib.metadata' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, others = done.stdout.splitlines()
    assert "nanobragg_hybrid.config.beam" in names
    for part in ("c_engine", "_core", "io", "nanobragg_args", "cli", "versions"):
        assert f"nanobragg_hybrid.{part}'" not in names
        assert f"nanobragg_hybrid.{part}." not in names
    assert others.startswith("True")


def test_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", nb.__version__)


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
    assert keys[:4] == ["nanobragg_hybrid", "python", "platform", "numpy"]
    assert "libnbh compiler" in keys
    assert f"nanobragg_hybrid: {nb.__version__}" in text


def test_show_versions_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> dict[str, str]:
        raise BackendError("not built")

    monkeypatch.setattr(versions, "build_info", missing)
    monkeypatch.setattr(versions, "_OPTIONAL_PACKAGES", ("no-such-package-here",))
    text = versions.show_versions()
    assert "libnbh: not built\n" in text
    assert "no-such-package-here: not installed\n" in text


def test_build_info_without_the_compiled_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanobragg_hybrid.c_engine", None)
    with pytest.raises(BackendError, match="cannot be imported"):
        versions.build_info()
