"""The pictures of the first pages, and the tables beside them, are what the code draws today."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "guide" / "make_pictures.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_guide_pictures", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(SCRIPT.parent))
    spec.loader.exec_module(module)
    sys.path.remove(str(SCRIPT.parent))
    return module


def test_pictures_and_tables_are_up_to_date(script: ModuleType) -> None:
    stale = "stale: run docs/guide/make_pictures.py"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn = dict(script.pictures())
        assert script.CHOOSING.read_text(encoding="utf-8") == script.choosing_page(), stale
    for name, pixels in drawn.items():
        with Image.open(script.PICTURES / name) as picture:
            levels = np.asarray(picture).astype(int)
        assert levels.shape == pixels.shape, f"{name}: {stale}"
        assert np.abs(levels - pixels).max() <= 1, f"{name}: {stale}"
    assert len(drawn) == 8


def test_every_picture_of_the_guide_is_drawn_and_shown(script: ModuleType) -> None:
    pages = [script.DOCS.parent / "README.md", *script.DOCS.glob("*.md")]
    shown = "".join(page.read_text(encoding="utf-8") for page in pages)
    there = [path.name for path in script.PICTURES.glob("*.png") if "quirk" not in path.name]
    assert len(there) == 8
    assert [name for name in there if f"pictures/{name})" not in shown] == []


def test_the_commands_of_the_first_page(script: ModuleType) -> None:
    first, second = script.commands_of_first_page()
    assert first[:2] == ["-cell", "70"]
    assert second[0] == "-hkl"
    assert Path(second[1]).is_file()


def test_errors_of_a_strip_fall(script: ModuleType) -> None:
    """The finest of four values is nearer to the right image than the coarsest."""
    for name in ("domains", "phi", "subpixels"):
        strip = script.STRIPS[name]
        row = script.table(name, strip).splitlines()[-1]
        errors = [float(cell.rstrip(" %")) for cell in row.split("|")[2:-1]]
        assert errors[-1] < errors[0]
        assert errors[-1] == min(errors)
