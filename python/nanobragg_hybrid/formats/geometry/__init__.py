"""Geometry files of other programs: what they say, in the simulator's frame."""

from __future__ import annotations
