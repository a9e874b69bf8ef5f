"""Traces as text: lines ``TRACE_C: name values``, which other programs write too.

The names are those of `trace_record.QUANTITIES`; numbers have 15 significant digits.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from nanobragg_hybrid.base.atomic import Destination
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError, quoted
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.formats.text import read_text, write_text
from nanobragg_hybrid.model.trace import PIXEL_INDICES, QUANTITIES, STEP_INDICES, StepTrace, Trace
from nanobragg_hybrid.model.validate import require_class

_TAGS: Final = {"c": "C", "torch": "PY"}
_LINE: Final = re.compile(r"\s*TRACE_(?P<tag>\w+):\s*(?P<name>\S+)(?P<values>.*)")
_PIXEL: Final = re.compile(r"\s*TRACE_CONFIG:.*\bspixel=(?P<slow>\d+),\s*fpixel=(?P<fast>\d+)")
"""What some builds print before the trace instead of the names `fast` and `slow`."""
_TYPES: Final = {
    field.name: field.type for of in (Trace, StepTrace) for field in dataclasses.fields(of)
}
_SIZES: Final = {
    **dict.fromkeys((*PIXEL_INDICES, *STEP_INDICES), 1),
    **{item.recorded: 3 if _TYPES.get(item.name) == "Vector" else 1 for item in QUANTITIES},
}
"""How many numbers each name of ours has."""
_WHOLE: Final = frozenset(
    (*PIXEL_INDICES, *STEP_INDICES, *(item.recorded for item in QUANTITIES if item.kind != "float"))
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TraceText(Record):
    """One step of one pixel as trace files have it.

    tag: what follows ``TRACE_``.  values: the numbers by recorded name, in the recorded units, in
    computing order or that of the file.
    """

    tag: str
    values: dict[str, tuple[float, ...]]


def trace_texts(trace: Trace, tag: str | None = None) -> list[TraceText]:
    """One record for each step of a trace, with every number of `QUANTITIES` that it has.

    A trace without steps has one record, of the numbers of its pixel; if the pixel is not active,
    that says no more than which pixel.  tag: None: "C" or "PY", as the backend is "c" or "torch";
    otherwise the backend's name.
    """
    if tag is None:
        tag = _TAGS.get(trace.backend, trace.backend.upper())
    indices = _numbers(trace, PIXEL_INDICES)
    if not trace.is_active:
        return [TraceText(tag, indices)]
    steps: tuple[StepTrace | None, ...] = trace.steps or (None,)
    return [TraceText(tag, indices | _values(trace, step)) for step in steps]


def format_trace(trace: Trace, tag: str | None = None) -> list[str]:
    """The lines of `trace_texts`, without line ends; numbers have 15 significant digits."""
    return format_texts(trace_texts(trace, tag))


def format_texts(texts: Iterable[TraceText]) -> list[str]:
    """The lines of records, without line ends; numbers have 15 significant digits."""
    return [
        f"TRACE_{text.tag}: {name} {_digits(name, values)}"
        for text in texts
        for name, values in text.values.items()
    ]


def parse_trace(text: str, path: str | os.PathLike[str]) -> list[TraceText]:
    """The records of a text with trace lines, in the order in which they begin.

    A record ends where a name comes a second time after the same tag.  Names may be missing, and
    names that are not ours are kept if their values are numbers.  A record that does not say which
    pixel it is of has the one in a line ``TRACE_CONFIG: ... (spixel=SLOW, fpixel=FAST)`` before it,
    if there is one.  Other lines are not looked at.

    Raises `FileFormatError` with `path` and line for values of our names that are no numbers or not
    as many as they should be, and for a text without trace lines.
    """
    records: list[TraceText] = []
    pixels: list[dict[str, tuple[float, ...]]] = []  # announced before each of them
    current: dict[str, TraceText] = {}
    announced: dict[str, tuple[float, ...]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        pixel = _PIXEL.match(line)
        if pixel is not None:
            announced = {name: (float(pixel[name]),) for name in PIXEL_INDICES}
            current.clear()
            continue
        match = _LINE.match(line)
        if match is None:
            continue
        tag, name = match["tag"], match["name"]
        try:
            values = tuple(float(word) for word in match["values"].split())
        except ValueError:
            if name not in _SIZES:
                continue
            got = quoted(match["values"].strip())
            raise FileFormatError(path, number, f"{name}: got {got}, need numbers") from None
        size = _SIZES.get(name, max(len(values), 1))
        if len(values) != size:
            raise FileFormatError(path, number, f"{name}: got {len(values)} numbers, need {size}")
        if tag not in current or name in current[tag].values:
            current[tag] = TraceText(tag, {})
            records.append(current[tag])
            pixels.append(announced)
        current[tag].values[name] = values
    if not records:
        raise FileFormatError(path, None, "has no line like 'TRACE_C: name values'")
    return [
        record if has_pixel(record) else TraceText(record.tag, {**known, **record.values})
        for record, known in zip(records, pixels, strict=True)
    ]


def has_pixel(text: TraceText) -> bool:
    """Whether a record says which pixel it is of, or a part of it."""
    return any(name in text.values for name in PIXEL_INDICES)


def _values(trace: Trace, step: StepTrace | None) -> dict[str, tuple[float, ...]]:
    values = {} if step is None else _numbers(step, STEP_INDICES)
    for quantity in QUANTITIES:
        record = trace if quantity.of == "pixel" else step
        if record is not None:
            value = getattr(record, quantity.name)
            items = value if isinstance(value, tuple) else (value,)
            values[quantity.recorded] = tuple(
                float(item) if quantity.factor == 1.0 else item * quantity.factor for item in items
            )
    return values


def _numbers(record: Trace | StepTrace, names: Iterable[str]) -> dict[str, tuple[float, ...]]:
    return {name: (float(getattr(record, name)),) for name in names}


def _digits(name: str, values: tuple[float, ...]) -> str:
    # There is no -0 among the integers.
    return " ".join(f"{value + 0.0 if name in _WHOLE else value:.15g}" for value in values)


def read_trace(path: str | os.PathLike[str]) -> list[TraceText]:
    """The records of a trace file, or of a log with trace lines in it; see `parse_trace`.

    Raises `FileAccessError` and `FileFormatError`.
    """
    return parse_trace(read_text(path, "lines TRACE_C: name values"), path)


def write_trace(path: Destination, traces: Trace | Iterable[Trace], tag: str | None = None) -> None:
    """Writes one trace or several; see `format_trace` for `tag`.  Raises `FileAccessError`."""
    several: Any = [traces] if isinstance(traces, Trace) else traces
    if isinstance(several, str | bytes) or not isinstance(several, Iterable):
        raise ConfigError("traces", several, "an object of class Trace, or several")
    several = list(several)
    for trace in several:
        require_class("traces", trace, Trace)
    if tag is not None and not isinstance(tag, str):
        raise ConfigError("tag", tag, "a word, or None")
    lines = [line for trace in several for line in format_trace(trace, tag)]
    write_text(path, "".join(f"{line}\n" for line in lines))
