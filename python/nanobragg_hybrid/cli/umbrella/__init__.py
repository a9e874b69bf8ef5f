"""The command `nanobragg-hybrid`: demo, quirks, bench, versions."""

from __future__ import annotations
