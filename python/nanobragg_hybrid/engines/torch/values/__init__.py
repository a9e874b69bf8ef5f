"""From values to a packed scene as one step, with the derivatives of all of it at once."""

from __future__ import annotations
