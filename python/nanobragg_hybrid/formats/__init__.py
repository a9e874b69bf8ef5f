"""Files: every format is read by a `read_*` and written by a `write_*` function."""

from __future__ import annotations
