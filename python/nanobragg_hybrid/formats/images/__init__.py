"""Images as files of the field's programs: a file for each format, which writes a `Frame`."""

from __future__ import annotations
