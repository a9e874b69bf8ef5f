"""The command `nb-compare`: two images side by side."""

from __future__ import annotations
