"""From a packed scene to images and their derivatives, by one of the kernels."""

from __future__ import annotations
