"""What a kernel is given: a scene, its structure factors, pixels, and how the work is cut."""

from __future__ import annotations
