"""The command `nanobragg-hybrid structure-factors`: a user's file to a table of P1."""

from __future__ import annotations
