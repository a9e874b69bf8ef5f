"""What all tests share: helper modules of tests/support are importable by name."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "support"))

# No test may depend on a nanoBragg executable that happens to be configured.
os.environ.pop("NB_C_BIN", None)
