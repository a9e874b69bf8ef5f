"""What a kernel is that renders whole pixels where the tensors are, and what it is given."""

from __future__ import annotations
