"""Files of trace lines, ``TRACE_C: name values``."""

from __future__ import annotations

import os
from collections.abc import Iterable

from nanobragg_hybrid.trace_record import Trace
from nanobragg_hybrid.trace_text import TraceText, format_trace, parse_trace

from .atomic import Destination
from .text import read_text, write_text


def read_trace(path: str | os.PathLike[str]) -> list[TraceText]:
    """The records of a trace file, or of a log with trace lines in it; see `parse_trace`.

    Raises `FileAccessError` and `FileFormatError`.
    """
    return parse_trace(read_text(path), path)


def write_trace(path: Destination, traces: Trace | Iterable[Trace], tag: str | None = None) -> None:
    """Writes one trace or several; see `format_trace` for `tag`.  Raises `FileAccessError`."""
    several = [traces] if isinstance(traces, Trace) else traces
    lines = [line for trace in several for line in format_trace(trace, tag)]
    write_text(path, "".join(f"{line}\n" for line in lines))
