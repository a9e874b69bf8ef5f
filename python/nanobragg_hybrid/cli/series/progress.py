"""How far a series is: a line that changes on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

_AGAIN_S: Final = 0.2


class SeriesMeter:
    """Writes frames, frames per second and time left to standard error; give `update` to
    `simulate_series`.

    every_s: seconds between two lines where there is no terminal; 0: none.
    """

    def __init__(
        self,
        every_s: float,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()
        self._every_s = _AGAIN_S if self._is_terminal else every_s
        self._clock = clock
        self._began = self._shown = clock()
        self._first: int | None = None
        self._width = 0

    def update(self, done: int, total: int) -> bool:
        """`done` of `total` frames are whole.  Always True: go on."""
        now = self._clock()
        if self._first is None:
            self._first = done - 1  # those of an earlier run took no time
        if self._every_s <= 0.0 or (now - self._shown < self._every_s and done < total):
            return True
        self._shown = now
        rate = (done - self._first) / max(now - self._began, 1e-9)
        left = "" if done >= total else f", {duration((total - done) / rate)} left"
        text = f"{done}/{total} frames, {rate:.3g} frames/s{left}"
        if self._is_terminal:
            self._write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._write(text + "\n")
        return True

    def close(self) -> None:
        """Leaves the line."""
        if self._width:
            self._write("\n")
            self._width = 0

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._every_s = 0.0  # nobody is looking


def duration(seconds: float) -> str:
    """A time for people: 45 s, 3 min 20 s, 5 h 12 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
