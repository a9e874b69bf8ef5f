"""Pixels by the C library, with first derivatives in one pass."""

from __future__ import annotations
