"""One run of a series: which frames are its own, what it renders, what it writes down."""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor
from itertools import chain
from pathlib import Path
from typing import Any, Final

from nanobragg_hybrid.base.errors import (
    ConfigError,
    FileAccessError,
    RenderCancelled,
    SeriesError,
    foreign,
)
from nanobragg_hybrid.formats.series_files import (
    OTHER_FILE,
    ManifestWriter,
    WholeFile,
    first_of,
    hash_of_file,
    make_folder,
    read_summary,
    remove_files,
    write_beside_others,
    write_summary,
    write_whole,
)
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.run.series import worker
from nanobragg_hybrid.run.series.settings import Settings, description, differs, has_data
from nanobragg_hybrid.run.series.submit import Call, Outcome, Window
from nanobragg_hybrid.run.series.whole import Whole, begun_manifests, manifests_of

SeriesProgress = Callable[[int, int], object]
"""Called after some frames with how many are whole and how many there are; False stops."""

_SMALL: Final = 2**16
"""Bytes of structure factors that travel with each task; more are in a file."""

_KINDS_OF_NOTES: Final = 50
_NUMBER_IN_TEXT: Final = re.compile(r"\d[\d.]*(?:e[+-]?\d+)?")


class SeriesRun:
    """One run: its shard of the frames, the manifest that it adds to, what is whole so far."""

    def __init__(
        self, settings: Settings, identity: dict[str, Any], shard: tuple[int, int] | None
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._files = settings.files
        self._shard = shard
        self.whole = Whole(self._files, settings.series.frames, settings.images_per_file)
        self.rendered = 0
        self._kept = 0
        self._notes: dict[str, tuple[int, int, str]] = {}
        self._last: dict[str, str] = {}  # hashes of files beside the frames that are whole

    # ---- which frames

    def numbers(self) -> Iterator[int]:
        """The frames of this run: whole files of data, where there are such."""
        count, unit = self._settings.series.frames, self._settings.images_per_file or 1
        number, shards = self._shard or (1, 1)
        for first in range((number - 1) * unit, count, shards * unit):
            yield from range(first, min(first + unit, count))

    @property
    def total(self) -> int:
        """How many they are."""
        count, unit = self._settings.series.frames, self._settings.images_per_file or 1
        number, shards = self._shard or (1, 1)
        firsts = range((number - 1) * unit, count, shards * unit)
        return 0 if not firsts else (len(firsts) - 1) * unit + min(unit, count - firsts[-1])

    # ---- from beginning to end

    def look(self, *, resume: bool) -> None:
        """Looks at what is there, as far as it does not depend on the recipe.

        Raises `ConfigError` for files that no manifest says are of this series, for one that was
        begun, without resume, and for shards of another number.
        """
        if self._shard is not None:
            for path, count in self._files.shards():
                if count != self._shard[1]:
                    rule = f"(i, {count}), as {path.name} has; or None, to take up those that ended"
                    raise ConfigError("shard", self._shard, rule)
        if resume:
            if next(begun_manifests(self._files), None) is None:
                self._refuse_what_is_there(chain(self._own_paths(), self._last_paths()))
            return
        mine = self._files.manifest(self._shard)
        begun = self._files.manifests()
        if self._shard is not None:
            begun = [path for path in begun if path == mine]
        if begun:
            rule = f"True to go on with {begun[0].name}, or that file away to begin anew"
            raise ConfigError("resume", False, rule)
        # A shard without frames may begin when the others have made the series complete.
        last = self._last_paths() if self.total else ()
        self._refuse_what_is_there(chain(self._own_paths(), last))

    def begin(self, *, resume: bool) -> int:
        """Looks at all that is there; how many frames of this run are whole.

        Raises what `look` does, and `ConfigError` for shards of another series.
        """
        self.look(resume=resume)
        if resume:
            self.whole.read(self._identity)
            with_data = has_data(self._settings)
            self._verify_last_files()
            self._kept = self.whole.verify(self.numbers(), with_data=with_data)
            for number, name in self.whole.other:
                text = f"{name} was not what had been written there: it is made again"
                self._note(number, text)
            return self._kept
        for _ in manifests_of(self._files, self._identity):
            pass  # those of other shards are of the same series, or an error
        return 0

    def _own_paths(self) -> Iterator[Path]:
        """The files of the frames of this run."""
        with_data = has_data(self._settings)
        per_file = self._settings.images_per_file
        for number in self.numbers():
            if per_file and number % per_file == 0:
                yield self._files.data_file(number // per_file)
            yield self._files.image(number)
            if with_data:
                yield self._files.data(number)

    def _last_paths(self) -> Iterator[Path]:
        """The files that are written once the series is complete."""
        if self._files.is_one:
            yield self._files.path
        yield self._files.summary
        if self._settings.truth:
            yield from map(self._files.truth, (".h5", ".expt", ".refl"))

    def _verify_last_files(self) -> None:
        """Looks at the files beside the frames that a summary knows.  Raises `FileAccessError` for
        those that are others, and for a summary that is none of this series."""
        if not self._files.summary.exists():
            return
        said = read_summary(self._files.summary)
        if said is None or differs(self._identity, said[0], self._files.summary) is not None:
            raise FileAccessError(self._files.summary, OTHER_FILE)
        for path in self._last_paths():
            known, found = said[1].get(path.name), hash_of_file(path)
            if known is None or found is None:
                continue
            if found != known:
                raise FileAccessError(path, OTHER_FILE)
            self._last[path.name] = found

    def _refuse_what_is_there(self, paths: Iterable[Path]) -> None:
        if (path := first_of(paths)) is not None:
            rule = (
                f"a name of which no file is there ({path.name} is, and no manifest says that it "
                "is of this series; nothing is overwritten)"
            )
            raise ConfigError("out", self._files.name, rule)

    @contextlib.contextmanager
    def settings_for(
        self, executor: Executor | None, table: StructureFactors
    ) -> Iterator[tuple[bytes, str]]:
        """The settings as they travel, and what they are kept by; structure factors that are large
        are in a file meanwhile."""
        pickled = pickle.dumps(table, protocol=5)
        settings, path = self._settings, None
        worker.keep_factors(settings.factors_hash, table)
        try:
            if len(pickled) > _SMALL:
                settings = settings._replace(factors=None)
                if executor is not None:
                    path = self._files.structure_factors(self._shard)
                    sha256 = write_whole(path, pickled)
                    settings = settings._replace(factors_path=path, factors_file_hash=sha256)
            del pickled
            travelling = pickle.dumps(settings, protocol=5)
            yield travelling, hashlib.sha256(travelling).hexdigest()
        finally:
            if path is not None:
                remove_files([path])

    def render(
        self,
        window: Window,
        travelling: tuple[bytes, str],
        table: StructureFactors,
        progress: SeriesProgress | None,
    ) -> None:
        """Renders what is missing.  Raises `SeriesError`, `RenderCancelled`."""
        needed = has_data(self._settings) or self._files.is_one
        make_folder(self._files.parts, needed=needed)
        manifest = ManifestWriter(self._files.manifest(self._shard), self._identity)
        calls = _Calls(self, travelling, (self._settings.factors_hash, table))
        failed: list[Outcome] = []
        is_cancelled = False
        try:
            for outcomes in window.run(calls.next_call):
                good = [outcome for outcome in outcomes if outcome.error is None]
                bad = [outcome for outcome in outcomes if outcome.error is not None]
                before = self.rendered
                self._note_done(good, manifest)
                for outcome in good:
                    calls.ended(outcome)
                if bad:
                    failed += bad
                    window.stop()
                if progress is not None and self.rendered > before and not is_cancelled:
                    is_cancelled = progress(self._kept + self.rendered, self.total) is False
                    if is_cancelled:
                        window.stop()
        finally:
            manifest.close()
        if failed:
            raise self._error(failed) from failed[0].error
        if is_cancelled:
            raise RenderCancelled("the progress callback asked to stop; whole frames are kept")

    def finish(self) -> bool:
        """Writes what belongs to the whole series, once all of it is there; whether it is."""
        if self._shard is not None:
            self.whole.read(self._identity)  # what the others have done meanwhile
        if not self.whole.is_complete:
            return False
        settings, files = self._settings, self._files
        listed: Iterable[tuple[str, str]] = self.whole.listed()
        if settings.truth:
            from nanobragg_hybrid.run.series.truth_of_series import write_truth_of_series

            truth = write_truth_of_series(settings, self.whole.data, self._last, self._shard)
            listed = chain(listed, truth)
        if files.is_one:
            from nanobragg_hybrid.formats.images import nxmx

            frame = description(
                settings.series, settings.pixels, settings.quirks, settings.material
            )
            for note in nxmx.notes_of(frame):
                self._note(0, note)
            parts = [
                nxmx.DataFile(files.data_file(n).name, len(self.whole.images_in(n)))
                for n in range(self.whole.file_count)
            ]
            if (sha256 := self._last.get(files.path.name)) is None:
                memory = io.BytesIO()
                nxmx.write_master(memory, frame, parts, worker.stored_type(settings))
                sha256 = write_beside_others(files.path, memory.getbuffer())
            listed = chain(listed, [(files.path.name, sha256)])
        write_summary(files.summary, self._identity, listed)
        remove_files([], folder=files.parts)
        return True

    # ---- what is kept of outcomes

    def _note_done(self, outcomes: list[Outcome], manifest: ManifestWriter) -> None:
        lines = []
        for outcome in outcomes:
            done: worker.Done = outcome.value
            lines.append(WholeFile(outcome.key[0], done.number, done.sha256, done.data))
            for note in done.notes:
                self._note(done.number, note)
        manifest.add(lines)
        for line in lines:
            self.whole.add(line)
            if line.kind == "frame":
                self.rendered += 1
            else:
                images = self.whole.images_in(line.number)
                remove_files(self._files.image(number) for number in images)

    def _note(self, number: int, text: str) -> None:
        """Keeps one text of those that differ in nothing but numbers."""
        key = _NUMBER_IN_TEXT.sub("#", text)
        if key in self._notes:
            count, first, shown = self._notes[key]
            self._notes[key] = (count + 1, min(first, number), text if number < first else shown)
        elif len(self._notes) < _KINDS_OF_NOTES:
            self._notes[key] = (1, number, text)

    def warnings(self) -> tuple[str, ...]:
        """Each kind of warning with the first frame that has it."""
        return tuple(
            f"image {first + 1}{f' and {count - 1} more' if count > 1 else ''}: {text}"
            for count, first, text in sorted(self._notes.values(), key=lambda note: note[1])
        )

    def _error(self, failed: list[Outcome]) -> SeriesError:
        first = failed[0]
        kind, number = first.key
        assert first.error is not None
        lost = [outcome.key[1] for outcome in failed if outcome.key[0] == "frame"]
        if isinstance(first.error, BrokenExecutor):
            reason = f"a worker died ({foreign(first.error)})"
        else:
            reason = f"{kind.replace('_', ' ')} {number}: {foreign(first.error)}"
        whole = self._kept + self.rendered
        return SeriesError(reason, lost, self.total - whole - len(lost), whole)


class _Calls:
    """The next task of a run: a file of data that has all its frames, else the next frame."""

    def __init__(
        self, run: SeriesRun, travelling: tuple[bytes, str], factors: tuple[str, StructureFactors]
    ) -> None:
        self._run = run
        self._factors = factors
        self._travelling = travelling
        self._numbers = (number for number in run.numbers() if not run.whole.has(number))
        self._per_file = run.whole.images_per_file
        self._ready: deque[int] = deque()
        if self._per_file:
            whichs = dict.fromkeys(number // self._per_file for number in run.numbers())
            self._ready.extend(which for which in whichs if run.whole.is_ready(which))
        self._begun = set(self._ready)

    def next_call(self) -> Call | None:
        """See `Window.run`."""
        worker.keep_factors(*self._factors)  # for threads of this process
        if self._ready:
            which = self._ready.popleft()
            frames = self._run.whole.frames
            parts = tuple(frames[number] for number in self._run.whole.images_in(which))
            key = ("data_file", which)
            return Call(key, worker.join_frames, (*self._travelling, which, parts))
        number = next(self._numbers, None)
        if number is None:
            return None
        return Call(("frame", number), worker.render_frame, (*self._travelling, number))

    def ended(self, outcome: Outcome) -> None:
        """A frame that is whole may have been the last of its file."""
        kind, number = outcome.key
        if kind == "frame" and self._per_file:
            which = number // self._per_file
            if which not in self._begun and self._run.whole.is_ready(which):
                self._begun.add(which)
                self._ready.append(which)
