"""Pixels by torch's operators, which define what the others compute (model 6 and 9)."""

from __future__ import annotations
