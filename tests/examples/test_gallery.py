"""The gallery: ten scripts of at most 40 lines, each of which makes a picture."""

from __future__ import annotations

import re
import runpy
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "examples" / "gallery").glob("*.py"))
NEEDS = {"derivative": "torch", "helix": "gemmi"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_makes_a_picture(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script.stem in NEEDS:
        name = NEEDS[script.stem]
        pytest.importorskip(name, reason=f"the script needs {name}")
    out = tmp_path / "picture.png"
    monkeypatch.setattr(sys, "argv", [str(script), str(out)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runpy.run_path(str(script), run_name="__main__")
    with Image.open(out) as picture:
        assert max(picture.size) <= 600
        levels = np.asarray(picture.convert("L"))
    assert out.stat().st_size < 100_000
    assert 0.002 < np.mean(levels < 128) < 0.7
    assert np.mean(levels > 200) > 0.1


def test_ten_scripts_of_at_most_40_lines_and_a_page_that_shows_each() -> None:
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"\[(\w+)\.py\]\(\.\./examples/gallery/(\w+)\.py\)", page)
    assert all(a == b for a, b in shown)
    assert sorted(a for a, _ in shown) == [path.stem for path in SCRIPTS]
    assert len(SCRIPTS) == 10
    for path in SCRIPTS:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 40, path.name
