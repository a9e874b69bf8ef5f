"""The panels of a real still, which may not be distributed with this repository."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from recorded import GOLDEN


def panels_of_the_real_still() -> list[dict[str, Any]]:
    """The panels as DIALS reads them from the image: DIALS' frame, mm.  Skips without them."""
    folder = Path(
        os.environ.get("NB_REAL_STILL_DIR", str(GOLDEN.parents[1] / "shared" / "real_still"))
    ).resolve()
    path = folder / "panels.json"
    if not path.is_file():
        pytest.skip(f"the real still needs panels.json in {folder} (set NB_REAL_STILL_DIR)")
    found: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
    return found
