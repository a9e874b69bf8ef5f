"""`nanobragg-hybrid bench`: how fast this machine renders."""

from __future__ import annotations
