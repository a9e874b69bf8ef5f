"""nanoBragg's command line: the flags as data, arguments to an experiment and back."""

from __future__ import annotations
