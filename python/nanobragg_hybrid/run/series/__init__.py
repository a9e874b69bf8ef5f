"""Series of frames: who renders them, and what is kept when something goes wrong."""

from __future__ import annotations
