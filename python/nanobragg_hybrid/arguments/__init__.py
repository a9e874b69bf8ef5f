"""nanoBragg's command line: the flags as data, words to an experiment, an experiment to words."""

from __future__ import annotations
