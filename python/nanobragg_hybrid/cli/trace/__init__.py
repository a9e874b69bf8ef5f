"""The command `nb-trace`: the chain of numbers behind a pixel, or two of them."""

from __future__ import annotations
