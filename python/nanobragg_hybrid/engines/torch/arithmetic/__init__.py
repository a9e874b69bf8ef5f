"""Numbers and vectors with their derivatives, and the functions that are made of them."""

from __future__ import annotations
