"""`nanobragg-hybrid series`: frames of a rotation, stills or a grid, into files."""

from __future__ import annotations
