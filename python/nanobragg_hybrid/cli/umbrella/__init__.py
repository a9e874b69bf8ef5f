"""The command `nanobragg-hybrid`: demo, quirks, bench, versions, structure factors."""

from __future__ import annotations
