"""Printing facts: a title per group, one fact a line, numbers as C's %g, units behind them."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from nanobragg_hybrid.base.errors import FileAccessError

_NAME_WIDTH = 26


class Log:
    """Writes lines to `stream`; when its reader has gone away (a broken pipe) it goes silent.

    Raises `FileAccessError` if writing fails for another reason (a full disk).
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self.is_open = True  # False once nobody reads any more

    def use_standard_error(self) -> None:
        """From now on: standard output belongs to somebody else."""
        self._stream = sys.stderr

    def line(self, text: str = "") -> None:
        """One line as it is."""
        if not self.is_open:
            return
        with self._errors():
            self._stream.write(text + "\n")

    def flush(self) -> None:
        """Sends what is buffered."""
        if not self.is_open:
            return
        with self._errors():
            self._stream.flush()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """After an error nothing is written any more, nor tried again when the interpreter ends."""
        try:
            yield
        except OSError as error:
            self.is_open = False
            if self._stream is sys.stdout:
                silence_stdout()
            if not isinstance(error, BrokenPipeError):
                problem = error.strerror or str(error)
                raise FileAccessError("standard output", problem) from None

    def group(self, title: str) -> None:
        """Starts a group of facts."""
        self.line()
        self.line(title)

    def fact(self, name: str, value: object, unit: str = "") -> None:
        """One fact: a word, a number or several numbers."""
        self.line(f"  {name:<{_NAME_WIDTH}} {shown(value)}{' ' + unit if unit else ''}")


def shown(value: object) -> str:
    """Numbers as %g, several of them with blanks between, words as they are."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        items: Iterable[Any] = value
        return " ".join(shown(item) for item in items)
    return str(value)


def prepare_streams() -> None:
    """Streams that were closed lead nowhere, and any file name can be printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def being_asked_to_end_is_ctrl_c() -> None:
    """A batch system that ends the process, or a terminal that is gone, counts as Ctrl-C, unless
    the process was started to ignore it."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no terminals that go away
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def silence_stdout() -> None:
    """Points standard output at nothing, so that closing it does not fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
