"""Fits of an experiment's numbers to measured images; see docs/fitting.md."""

from __future__ import annotations
