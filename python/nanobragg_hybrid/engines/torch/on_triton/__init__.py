"""Pixels by Triton's kernels: their launches, as steps of autograd."""

from __future__ import annotations
