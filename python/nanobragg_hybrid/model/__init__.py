"""What an experiment is, and what engines make of it: frozen data in the field's words."""

from __future__ import annotations
