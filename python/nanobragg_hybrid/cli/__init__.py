"""The commands: `nanoBragg` (drop-in) and `nanobragg-hybrid`.  The only place that prints."""

from __future__ import annotations
