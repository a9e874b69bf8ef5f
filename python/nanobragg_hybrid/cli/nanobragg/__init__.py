"""The drop-in command `nanoBragg`."""

from __future__ import annotations
