"""Everything this library raises on purpose.

Every class also derives from the built-in exception a caller would expect, so `except ValueError`
keeps working; `except NanobraggError` catches all of them.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable
from numbers import Real
from typing import Final

_SHORT = reprlib.Repr()
_SHORT.maxstring = 60


NOT_BUILT: Final = (
    "nanobragg_hybrid._core is compiled when the package is installed: run `pip install .` in its "
    "folder instead of importing the source tree."
)
"""What to add where the compiled extension cannot be imported."""


def how_to_install(extra: str) -> str:
    """The command that brings the packages of an extra, from an index that has this package and in
    a clone."""
    return f"pip install 'nanobragg-hybrid[{extra}]' (in a clone: '.[{extra}]')"


def quoted(text: str) -> str:
    """A word of the user's, in quotes; the middle of a very long one is left out."""
    return _SHORT.repr(text)


def foreign(error: BaseException) -> str:
    """Somebody else's error in a message of ours: its class, and its text if it has one."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def suggestion(name: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """What to say behind a name that is nearly one of the known ones; else nothing.

    cutoff: how much alike they have to be, 0 to 1; short words soon are."""
    import difflib

    word = name if isinstance(name, str) else ""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]}?)" if close else ""


class NanobraggError(Exception):
    """Base class of every error raised on purpose by nanobragg_hybrid."""


class NanobraggWarning(UserWarning):
    """Category of every warning issued by nanobragg_hybrid."""


class SetupWarning(NanobraggWarning):
    """What a plan changed, chose or doubts: one of the sentences of its `ResolvedPlan`."""


class ImageWarning(NanobraggWarning):
    """A rendered image has pixels that are NaN, infinite or below 0, or is dark."""


class Description(str):
    """What an error shows in place of a value that is too large to show."""

    __slots__ = ()


class ConfigError(NanobraggError, ValueError):
    """A field has a value that breaks its rule.

    Attributes: `field` (dotted path, ``detector.pixel_size_mm``), `value` (what was given), `rule`
    (what is needed, ``a finite value > 0``) and `unit` (empty if the field has none).
    """

    def __init__(self, field: str, value: object, rule: str, unit: str = "") -> None:
        self.field = field
        self.value = value
        self.rule = rule
        self.unit = unit
        super().__init__(f"{field}: got {_show(value, unit)}, need {rule}")

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, object, str, str]]:
        return type(self), (self.field, self.value, self.rule, self.unit)


class FileFormatError(NanobraggError, ValueError):
    """The content of a file breaks its format.

    Attributes: `path`, `line` (one-based; 0 if no line is to blame) and `problem`.
    """

    def __init__(self, path: str | os.PathLike[str], line: int | None, problem: str) -> None:
        self.path = os.fspath(path)
        self.line = line or 0
        self.problem = problem
        place = f"{self.path}:{self.line}" if self.line else self.path
        super().__init__(f"{place}: {problem}")

    def __reduce__(self) -> tuple[type[FileFormatError], tuple[str, int, str]]:
        return type(self), (self.path, self.line, self.problem)


class FileAccessError(NanobraggError, OSError):
    """A file cannot be opened, read, written or replaced.  Attributes: `path`, `problem`."""

    def __init__(self, path: str | os.PathLike[str], problem: str) -> None:
        self.path = os.fspath(path)
        self.problem = problem
        super().__init__(f"{self.path}: {problem}")

    def __reduce__(self) -> tuple[type[FileAccessError], tuple[str, str]]:
        return type(self), (self.path, self.problem)


class ResourceError(NanobraggError, MemoryError):
    """Something would not fit into memory; the message names the bytes needed and available."""

    def __reduce__(self) -> tuple[type[ResourceError], tuple[object, ...]]:
        # the way of memory errors, which others replace for all errors (tblib, with dask), fails
        return type(self), self.args


class UnsupportedError(NanobraggError, NotImplementedError):
    """A valid request that this version does not implement."""


class BackendError(NanobraggError, RuntimeError):
    """A backend is unknown, not installed or failed."""


class ExecutableError(BackendError):
    """An external program failed, or did not write what it should.

    Attributes: `status` (its exit status; negative: the signal that ended it), `stdout`, `stderr`.
    """

    def __init__(self, message: str, status: int, stdout: str, stderr: str) -> None:
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(message)

    def __reduce__(self) -> tuple[type[ExecutableError], tuple[str, int, str, str]]:
        return type(self), (str(self), self.status, self.stdout, self.stderr)


class RenderCancelled(NanobraggError):  # noqa: N818 - it is the user's wish, not an error
    """The progress callback asked to stop; there is no image."""


class SeriesError(NanobraggError, RuntimeError):
    """Frames of a series were not rendered; those that are whole are kept.

    Attributes: `lost` (numbers, from 0, of frames that were under way and are lost), `waiting` (how
    many had not been begun), `whole` (how many are there) and `reason`.
    """

    def __init__(self, reason: str, lost: Iterable[int], waiting: int, whole: int) -> None:
        self.reason = reason
        self.lost = tuple(sorted(lost))
        self.waiting = waiting
        self.whole = whole
        shown = ", ".join(map(str, self.lost[:20])) + (", ..." if len(self.lost) > 20 else "")
        lost_text = f"lost frames: {shown or 'none'} ({len(self.lost)}, counted from 0)"
        super().__init__(
            f"{reason}; {lost_text}; not begun: {waiting}; whole and kept: {whole}; "
            "resume renders the rest"
        )

    def __reduce__(self) -> tuple[type[SeriesError], tuple[str, tuple[int, ...], int, int]]:
        return type(self), (self.reason, self.lost, self.waiting, self.whole)


class CommandLineError(NanobraggError, ValueError):
    """A command line that cannot be carried out."""


def _show(value: object, unit: str) -> str:
    """The value as a message shows it: short, and with its unit if it is a number."""
    if isinstance(value, Description):
        return str(value)
    if not isinstance(value, Real) or isinstance(value, bool):
        return reprlib.repr(value)
    text = str(value)
    is_long = len(text) > 40  # an integer of many digits
    text = reprlib.repr(value) if is_long else text
    return f"{text} {unit}" if unit else text
