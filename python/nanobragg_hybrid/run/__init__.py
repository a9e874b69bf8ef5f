"""One call from an experiment to an image, a trace, pictures or what was chosen."""

from __future__ import annotations
