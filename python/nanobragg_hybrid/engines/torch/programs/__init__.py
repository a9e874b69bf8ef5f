"""Functions that are computed in pieces, as steps of autograd."""

from __future__ import annotations
