"""Pages in a headless Chromium.  Without Chromium, or for the live image without the compiler of
the package ziglang, these tests are skipped, and say so."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from browser import NAMES, Page, chromium, opened

ROOT = Path(__file__).resolve().parents[2]


def _needs_chromium() -> None:
    if chromium() is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")


@pytest.fixture(scope="session")
def make_page() -> ModuleType:
    """docs/live/make_page.py as a module."""
    spec = importlib.util.spec_from_file_location(
        "make_page", ROOT / "docs" / "live" / "make_page.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_page"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def _live(make_page: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    _needs_chromium()
    if not make_page.has_compiler():
        pytest.skip("no C compiler for WebAssembly: ziglang is not installed (the extra docs)")
    folder = tmp_path_factory.mktemp("live")
    path = folder / "live.html"
    path.write_text(make_page.page(make_page.build_module()), encoding="utf-8")
    with opened(path, folder, (1400, 1000)) as page:
        page.run("live.ready")
        yield page


@pytest.fixture
def live(_live: Page) -> Iterator[Page]:
    """The live image as it starts; the test fails with what went wrong in the page."""
    _live.faults.clear()
    _live.run("document.querySelector('#dialog').close(); document.querySelector('#reset').click()")
    yield _live
    assert _live.faults == []


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser for pages that a test writes."""
    _needs_chromium()
    with Page(tmp_path_factory.mktemp("browser")) as page:
        yield page
