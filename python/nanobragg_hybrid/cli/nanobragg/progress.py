"""A progress meter: a bar on a terminal, plain percent lines anywhere else."""

from __future__ import annotations

import os
import sys
from typing import TextIO

_BAR_WIDTH = 40
_BESIDE_BAR = 8  # brackets, percents, and the last column, which some terminals wrap at
_LINE_EVERY = 10  # percent


class Progress:
    """Shows how much is done; give `update` to the renderer.  Writes to standard error."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._percent = -1
        self._bar_shown = False

    def update(self, done: int, total: int) -> bool:
        """`done` of `total` rows are rendered.  Always True: go on."""
        percent = 100 * done // total if total > 0 else 100
        step = 1 if self._terminal else _LINE_EVERY
        percent -= percent % step
        if percent > self._percent:
            self._percent = percent
            self._show(percent)
        return True

    def close(self) -> None:
        """Leaves the line of the bar."""
        if self._bar_shown:
            self._write("\n")
            self._bar_shown = False

    def _show(self, percent: int) -> None:
        if self._terminal:
            width = min(_BAR_WIDTH, self._columns() - _BESIDE_BAR)
            filled = width * percent // 100
            bar = f"[{'#' * filled}{' ' * (width - filled)}] " if width > 0 else ""
            self._write(f"\r{bar}{percent:3d}%")
            self._bar_shown = True
        else:
            self._write(f"{percent}%\n")

    def _columns(self) -> int:
        """How wide the terminal is now; 80 if it does not say."""
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._percent = 100  # nobody is looking: nothing more to show
