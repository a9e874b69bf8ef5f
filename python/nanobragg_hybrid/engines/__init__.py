"""The engines that render: what they promise, which there are, and one folder for each."""

from __future__ import annotations
