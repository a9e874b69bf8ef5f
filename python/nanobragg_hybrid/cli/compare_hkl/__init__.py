"""The command `nb-compare-hkl`: structure factors of two files or engines."""

from __future__ import annotations
