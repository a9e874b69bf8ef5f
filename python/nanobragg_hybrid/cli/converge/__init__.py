"""`nanobragg-hybrid converge`: how finely an experiment has to be sampled."""

from __future__ import annotations
