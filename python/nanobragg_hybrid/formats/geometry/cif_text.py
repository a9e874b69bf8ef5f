"""The text of a CIF file up to its first binary section: items and loops."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final

from nanobragg_hybrid.base.errors import FileFormatError, quoted

_WORD: Final = re.compile(
    r"""[ \t]*(?:(?P<comment>\#.*)|'(?P<single>.*?)'(?=\s|$)"""
    r"""|"(?P<double>.*?)"(?=\s|$)|(?P<plain>\S+))"""
)
BINARY: Final = b"--CIF-BINARY-FORMAT-SECTION--"

Row = dict[str, str]
Token = tuple[str, bool, int]
"""A word, whether it was in quotes (so that it is a value), and its line."""


class CifText:
    """The first data block of a CIF file.

    categories: for each category, as ``axis``, its rows, which map names of items to values; the
    names are in lower case.  A value that is not given or does not apply is missing.
    """

    def __init__(self, path: str | os.PathLike[str], text: str) -> None:
        self.categories: dict[str, list[Row]] = {}
        self._path = path
        tokens = list(_tokens(text))
        at = 0
        blocks = 0
        while at < len(tokens):
            word, is_quoted, line = tokens[at]
            low = word.lower()
            if is_quoted:
                raise FileFormatError(path, line, f"got {quoted(word)}, need the name of an item")
            if low.startswith("data_"):
                blocks += 1
                if blocks > 1:
                    return
                at += 1
            elif low == "loop_":
                at = self._loop(tokens, at + 1)
            elif word.startswith("_"):
                at = self._item(tokens, at)
            else:
                raise FileFormatError(path, line, f"got {quoted(word)}, need the name of an item")

    def rows(self, category: str) -> list[Row]:
        """The rows of a category; none if there are none."""
        return self.categories.get(category, [])

    def _item(self, tokens: list[Token], at: int) -> int:
        category, name = _split(tokens[at][0])
        if at + 1 == len(tokens) or _is_name(tokens[at + 1]):
            return at + 1  # what follows was binary, or is missing
        rows = self.categories.setdefault(category, [{}])
        _put(rows[0], name, tokens[at + 1])
        return at + 2

    def _loop(self, tokens: list[Token], at: int) -> int:
        names = []
        while at < len(tokens) and _is_name(tokens[at]) and tokens[at][0].startswith("_"):
            names.append(_split(tokens[at][0]))
            at += 1
        if not names:
            raise FileFormatError(self._path, tokens[at - 1][2], "a loop_ without names of items")
        values = []
        while at < len(tokens) and not _is_name(tokens[at]):
            values.append(tokens[at])
            at += 1
        whole = len(values) - len(values) % len(names)
        if whole < len(values) and at < len(tokens):
            line = values[-1][2]
            raise FileFormatError(
                self._path, line, f"a loop_ of {len(names)} columns has {len(values)} values"
            )
        rows = self.categories.setdefault(names[0][0], [])
        for begin in range(0, whole, len(names)):
            row: Row = {}
            for (_, name), token in zip(names, values[begin : begin + len(names)], strict=True):
                _put(row, name, token)
            rows.append(row)
        return at


def _is_name(token: Token) -> bool:
    word, is_quoted, _ = token
    return not is_quoted and (
        word.startswith("_") or word.lower() == "loop_" or word.lower().startswith("data_")
    )


def _split(word: str) -> tuple[str, str]:
    category, _, name = word.lower().lstrip("_").partition(".")
    return category, name


def _put(row: Row, name: str, token: Token) -> None:
    word, is_quoted, _ = token
    if is_quoted or word not in (".", "?"):
        row.setdefault(name, word)


def _tokens(text: str) -> Iterator[Token]:
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.startswith(";"):
            begin, parts = at, [line[1:]]
            while at < len(lines) and not lines[at].startswith(";"):
                parts.append(lines[at])
                at += 1
            at += 1  # the closing semicolon, or past the end, where binary data begins
            yield "\n".join(parts), True, begin
            continue
        place = 0
        while match := _WORD.match(line, place):
            place = match.end()
            if match["comment"] is not None:
                break
            if match["plain"] is not None:
                yield match["plain"], False, at
            else:
                yield match["single"] if match["single"] is not None else match["double"], True, at
