"""Measured images of other programs and detectors, and lists of spots found in them."""

from __future__ import annotations
