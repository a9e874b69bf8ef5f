"""The user's own nanoBragg executable as an engine."""

from __future__ import annotations
