"""Numbers at the start of a text, as C's `atof` and `atoi` read them.

Both skip leading white space and take the longest text that is a number; text that does not begin
with a number counts as 0, and the number of characters used tells the difference.
"""

from __future__ import annotations

import contextlib
import math
import re
from typing import Final

_DIGITS = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_HEX_DIGITS = r"0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?"
_WORDS = r"[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|[nN][aA][nN](?:\([0-9a-zA-Z_]*\))?"
_DOUBLE: Final = (
    rf"[ \t-\r]*(?P<sign>[+-]?)(?:(?P<hex>{_HEX_DIGITS})|(?P<decimal>{_DIGITS})|(?P<word>{_WORDS}))"
)
_INTEGER: Final = r"[ \t-\r]*(?P<number>[+-]?[0-9]+)"
_FORTRAN: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[dD][+-]?[0-9]+"
_PLAIN: Final = frozenset("0123456789+-.eE")
"""Whatever `float` makes a number of that has these characters alone, C reads alike and whole."""
_LONG_MAX: Final = 2**63 - 1


def c_atof(text: str, start: int = 0) -> tuple[float, int]:
    """The double that `text` begins with at `start`, and how many characters it takes.

    Decimal and hexadecimal numbers, ``inf`` and ``nan`` as in C; (0.0, 0) if there is none.
    """
    if start == 0 and _PLAIN.issuperset(text):
        with contextlib.suppress(ValueError):
            return float(text), len(text)
    match = re.compile(_DOUBLE).match(text, start)
    if match is None:
        return 0.0, 0
    if match["hex"] is not None:
        try:
            value = float.fromhex(match["hex"])
        except OverflowError:
            value = math.inf
    elif match["decimal"] is not None:
        value = float(match["decimal"])
    else:
        value = math.nan if match["word"][0] in "nN" else math.inf
    return (-value if match["sign"] == "-" else value), match.end() - start


def c_atoi(text: str, start: int = 0) -> tuple[int, int]:
    """The C int that `text` begins with at `start`, and how many characters it takes.

    Numbers beyond 32 bits wrap and those beyond 64 bits are clamped before that, as on Linux;
    (0, 0) if there is none.
    """
    if start == 0 and len(text) < 10 and text.isascii() and text.isdecimal():
        return int(text), len(text)
    match = re.compile(_INTEGER).match(text, start)
    if match is None:
        return 0, 0
    # Only the last digits of a longer number could matter, and it is clamped anyway.
    digits = match["number"].lstrip("+-").lstrip("0")
    magnitude = int(digits or "0") if len(digits) < 20 else _LONG_MAX + 1
    wide = -magnitude if match["number"][0] == "-" else magnitude
    wide = min(max(wide, -_LONG_MAX - 1), _LONG_MAX)
    return (wide + 2**31) % 2**32 - 2**31, match.end() - start


def exponent_hint(word: str) -> str:
    """What to add to a message about a word that has Fortran's exponent (0.451D+02); else ""."""
    return ": write E for the D of Fortran's exponent" if re.fullmatch(_FORTRAN, word) else ""
