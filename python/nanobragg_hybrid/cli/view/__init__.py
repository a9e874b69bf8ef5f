"""`nanobragg-hybrid view`: images in the browser."""

from __future__ import annotations
