"""A drawing of an experiment; `Experiment.sketch` makes it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from nanobragg_hybrid.base.atomic import atomic_write, check_path
from nanobragg_hybrid.base.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Sketch:
    """A drawing, which notebooks show.  svg: its text."""

    svg: str

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the text to a file, ``.svg``.  Raises `FileAccessError`, and `ConfigError` for
        another name."""
        check_path(path)
        if not os.fspath(path).lower().endswith(".svg"):
            raise ConfigError("path", os.fspath(path), "a name that ends in .svg")
        with atomic_write(path) as file:
            file.write(self.svg.encode("utf-8"))

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<sketch of {len(self.svg)} characters>"
