"""Where `nb-trace` gets its traces from: engines, an executable, files."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from nanobragg_hybrid.base.errors import (
    BackendError,
    CommandLineError,
    FileFormatError,
    NanobraggError,
    UnsupportedError,
    foreign,
)
from nanobragg_hybrid.cli.nanobragg.inputs import Warn, read_input
from nanobragg_hybrid.cli.nanobragg.options import nanobragg_options
from nanobragg_hybrid.engines.registry import available_backends
from nanobragg_hybrid.formats.text import read_text
from nanobragg_hybrid.formats.trace_text import TraceText, has_pixel, parse_trace, trace_texts
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.seeds import with_clock_seeds
from nanobragg_hybrid.model.trace import PIXEL_INDICES, STEP_INDICES, Trace
from nanobragg_hybrid.run.prepare import Prepared, prepare

REFERENCE: Final = "reference"
TRACES_FORMAT: Final = "nanobragg-hybrid traces"
Found = Trace | list[TraceText]
"""A record of an engine's, or what an executable or a file says."""


class Wanted(NamedTuple):
    """Which steps of a pixel's sum: `indices` that were given, by their names in `Prepared.trace`;
    phi: every phi step."""

    phi: bool
    indices: Mapping[str, Any]

    @classmethod
    def of(cls, asked: argparse.Namespace) -> Wanted:
        """From the options of the command."""
        indices = {name: getattr(asked, name) for name in _INDICES}
        indices = {name: index for name, index in indices.items() if index is not None}
        return cls(asked.phi, indices)


_INDICES: Final = ("source", "phi_step", "domain", "subpixel", "layer")


class Runner:
    """A backend, set up for a command line: traces of its pixels.

    words: nanoBragg's.  now_s: time on the clock, which seeds may be taken from.
    """

    def __init__(
        self,
        backend: str,
        quirks: Quirks,
        arguments: Sequence[str],
        now_s: float,
        c_bin: str | None,
        warn: Warn,
    ) -> None:
        self.backend = backend
        self.quirks = quirks
        self._c_bin = c_bin
        read = read_input(nanobragg_options(arguments), quirks, warn)
        command, self._table = read.command, read.table
        self._experiment = with_clock_seeds(command.experiment, now_s, quirks)
        self._prepared: Prepared | None = None
        if backend != REFERENCE:
            with _engine_errors(backend):
                self._prepared = prepare(
                    self._experiment, self._table, backend=backend, quirks=quirks
                )

    @property
    def shape(self) -> tuple[int, int]:
        """Pixels of the detector (slow, fast)."""
        return self._experiment.detector.shape

    def trace(self, pixel: tuple[int, int], wanted: Wanted) -> Found:
        """The trace of a pixel (fast, slow) with the steps that were asked for."""
        if self._prepared is None:
            if wanted.phi or wanted.indices:
                raise UnsupportedError(
                    "the backend 'reference' prints one step only, which cannot be chosen"
                )
            return self._printed(pixel)
        with _engine_errors(self.backend):
            if wanted.phi:
                return self._prepared.trace_phi(pixel, **wanted.indices)
            return self._prepared.trace(pixel, **wanted.indices)

    def trace_like(self, pixel: tuple[int, int], texts: Sequence[TraceText]) -> Found:
        """The trace of a pixel with the steps that a file has; the first if it does not say."""
        if self._prepared is None:
            return self._printed(pixel)
        chosen = [_indices(text) for text in texts]
        with _engine_errors(self.backend):
            traces = [self._prepared.trace(pixel, **indices) for indices in chosen]
        steps = tuple(step for trace in traces for step in trace.steps)
        return dataclasses.replace(traces[0], steps=steps)

    def _printed(self, pixel: tuple[int, int]) -> list[TraceText]:
        from nanobragg_hybrid.engines.external.engine import trace_text

        text = trace_text(
            self._experiment, self._table, pixel=pixel, quirks=self.quirks, executable=self._c_bin
        )
        source = "output of the executable"
        printed = _of_pixel(parse_trace(text, source), pixel, source)
        return [TraceText(REFERENCE.upper(), item.values) for item in printed]


@contextmanager
def _engine_errors(backend: str) -> Iterator[None]:
    """Whatever else an engine raises, it has failed."""
    try:
        yield
    except (NanobraggError, MemoryError):
        raise
    except Exception as error:
        raise BackendError(f"{backend}: {foreign(error)}") from error


def _indices(text: TraceText) -> dict[str, Any]:
    """Which step a record is of, by the names in `Prepared.trace`."""
    at: dict[str, Any] = {
        name: int(text.values[name][0]) for name in STEP_INDICES if name in text.values
    }
    if "sub_fast" in at and "sub_slow" in at:
        at["subpixel"] = (at["sub_fast"], at["sub_slow"])
    return {name: at[name] for name in _INDICES if name in at}


def is_file(origin: str) -> bool:
    """Whether a side of a comparison is no backend; a file with a backend's name is ./c."""
    return origin not in available_backends()


def read_trace_file(origin: str, pixel: tuple[int, int] | None) -> list[TraceText]:
    """The records of one pixel in a file: FILE, or FILE:TAG if it has several tags.

    pixel: (fast, slow); None: the file's only one.  Raises `FileAccessError` and
    `FileFormatError`.
    """
    path, wanted = origin, ""
    if not Path(origin).exists():
        path, colon, wanted = origin.rpartition(":")
        if not colon:
            path, wanted = origin, ""
    text = read_text(path, "traces, as text or JSON", own="JSON")
    texts = _from_json(text, path) if text.lstrip().startswith("{") else parse_trace(text, path)
    _require_whole(texts, path)
    tags = list(dict.fromkeys(item.tag for item in texts))
    if wanted:
        texts = [item for item in texts if item.tag == wanted]
        if not texts:
            raise FileFormatError(path, None, f"has no line TRACE_{wanted}, but {_tags(tags)}")
    elif len(tags) > 1:
        raise FileFormatError(path, None, f"has {_tags(tags)}: say which, as {path}:{tags[0]}")
    if pixel is not None:
        return _of_pixel(texts, pixel, path)
    pixels = {_pixel_of(item) for item in texts}
    if len(pixels) > 1:
        raise CommandLineError(f"{path} has {len(pixels)} pixels: say which with --pixel F S")
    if () in pixels:
        raise CommandLineError(f"{path} does not say which pixel it is of: say it with --pixel F S")
    return texts


def _of_pixel(texts: Sequence[TraceText], pixel: tuple[int, int], path: str) -> list[TraceText]:
    """The records of a pixel (fast, slow); those that do not say which they are of are taken to be
    of the one that was asked for."""
    known = dict(zip(PIXEL_INDICES, ((float(x),) for x in pixel), strict=True))
    whole = [
        text if has_pixel(text) else TraceText(text.tag, {**known, **text.values}) for text in texts
    ]
    found = [item for item in whole if _pixel_of(item) == pixel]
    if not found:
        pixels = list(dict.fromkeys(_pixel_of(item) for item in whole))
        shown = "; ".join(" ".join(f"{x:g}" for x in at) for at in pixels[:8])
        raise FileFormatError(
            path, None, f"has no pixel {pixel[0]} {pixel[1]} (fast slow), but {shown}"
        )
    return found


def _require_whole(texts: Sequence[TraceText], path: str) -> None:
    """Raises `FileFormatError` for an index that is none."""
    for text in texts:
        for name in (*PIXEL_INDICES, *STEP_INDICES):
            values = text.values.get(name)
            if values is not None and not (len(values) == 1 and values[0].is_integer()):
                shown = " ".join(f"{x:g}" for x in values)
                raise FileFormatError(path, None, f"{name}: got {shown!r}, need one whole number")


def _pixel_of(text: TraceText) -> tuple[float, ...]:
    return tuple(x for name in PIXEL_INDICES for x in text.values.get(name, ()))


def _tags(tags: Sequence[str]) -> str:
    return " and ".join(f"TRACE_{tag}" for tag in tags)


def _from_json(text: str, path: str) -> list[TraceText]:
    """What --format json wrote."""
    try:
        document = json.loads(text)
        if document["format"] != TRACES_FORMAT or document["schema_version"] != 1:
            raise ValueError
        return [
            TraceText(
                str(trace["tag"]),
                {name: tuple(float(x) for x in values) for name, values in record.items()},
            )
            for trace in document["traces"]
            for record in trace["records"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise FileFormatError(
            path, None, f"is no JSON of the format {TRACES_FORMAT!r}, version 1"
        ) from None


def texts_of(found: Found) -> list[TraceText]:
    """Of either kind, as a file has it."""
    return trace_texts(found) if isinstance(found, Trace) else found
