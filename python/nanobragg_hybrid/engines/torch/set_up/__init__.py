"""From the numbers of an experiment to a scene: model 2 to 5."""

from __future__ import annotations
