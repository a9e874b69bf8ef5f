"""Every message of an error or warning that a test brings about is a whole sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nanobragg_hybrid.base.errors import NanobraggError, NanobraggWarning

# Something was to follow: a message ends with a value, a word or a bracket.
_CUT_OFF = re.compile(r"(?:^|[\s(])(?:but|got|need|needs|and|or|of|from|to|as|with)$|[:,;(=]$")
# A value that came out empty in the middle.
_GAP = re.compile(r"\b(?:got|need|but) ?(?:[,;:)]|$)|: :")


def fault_of(message: str, path: str = "") -> str:
    """What is wrong with a message, which may be about a file; empty if nothing."""
    if message != message.strip() or not message:
        return "begins or ends with white space, or is empty"
    if _CUT_OFF.search(message):
        return "ends where something was to follow"
    if _GAP.search(message):
        return "has a gap"
    if path and message.startswith((f"{path}: {path}:", f"{path}: {path} ")):
        return "names its file twice"
    return ""


@contextmanager
def faults_of_messages() -> Iterator[list[str]]:
    """The faults of all messages of the package that are made inside."""
    faults: list[str] = []
    patch = pytest.MonkeyPatch()
    for kind in (NanobraggError, NanobraggWarning):

        def look(self: BaseException, *args: object, _kind: type = kind) -> None:
            super(_kind, self).__init__(*args)  # type: ignore[misc]
            if args and isinstance(args[0], str):
                fault = fault_of(args[0], str(getattr(self, "path", "")))
                if fault:
                    faults.append(f"{type(self).__name__} {args[0]!r} {fault}")

        patch.setattr(kind, "__init__", look)
    try:
        yield faults
    finally:
        patch.undo()
