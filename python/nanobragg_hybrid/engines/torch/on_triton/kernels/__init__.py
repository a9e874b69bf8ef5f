"""Triton's kernels: what runs on the device."""

from __future__ import annotations
