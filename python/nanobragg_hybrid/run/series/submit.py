"""Tasks for an executor, a bounded number of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from typing import Any, Final, NamedTuple

DEFAULT_WINDOW: Final = 64
_PER_WORKER: Final = 4


class Call(NamedTuple):
    """A task: key is what tells it from the others."""

    key: Any
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Outcome(NamedTuple):
    """How a task ended: its value, or its error."""

    key: Any
    value: Any = None
    error: BaseException | None = None


class Window:
    """Tasks that are under way, at most `size` at a time.

    executor: None: each is done here, one after the other.
    """

    def __init__(self, executor: Executor | None, size: int) -> None:
        self._executor = executor
        self._size = size
        self._pending: dict[Future[Any], Any] = {}
        self._is_stopped = False

    def run(self, next_call: Callable[[], Call | None]) -> Iterator[list[Outcome]]:
        """The outcome of every task, as they end; those that have ended together in one list.

        next_call: the next task; None: there is none before one of those under way has ended.
        """
        try:
            if self._executor is None:
                yield from self._here(next_call)
                return
            while True:
                refused = self._fill(next_call)
                if refused is not None:
                    yield [refused]
                if not self._pending:
                    return
                yield self._ended()
        finally:
            for future in self._pending:
                future.cancel()

    def stop(self) -> None:
        """Begins no more tasks; those that an executor has not begun are taken back."""
        self._is_stopped = True
        for future in [future for future in self._pending if future.cancel()]:
            del self._pending[future]

    def _here(self, next_call: Callable[[], Call | None]) -> Iterator[list[Outcome]]:
        while not self._is_stopped and (call := next_call()) is not None:
            try:
                value = call.function(*call.arguments)
            except Exception as error:
                yield [Outcome(call.key, error=error)]
            else:
                yield [Outcome(call.key, value)]

    def _fill(self, next_call: Callable[[], Call | None]) -> Outcome | None:
        """Gives the executor as many tasks as fit; the outcome of one that it does not take."""
        assert self._executor is not None
        while not self._is_stopped and len(self._pending) < self._size:
            call = next_call()
            if call is None:
                return None
            try:
                future = self._executor.submit(call.function, *call.arguments)
            except RuntimeError as error:  # it is broken, or was shut down
                self._is_stopped = True
                return Outcome(call.key, error=error)
            self._pending[future] = call.key
        return None

    def _ended(self) -> list[Outcome]:
        found = []
        done, _ = wait(self._pending, return_when=FIRST_COMPLETED)
        for future in done:
            key = self._pending.pop(future)
            if future.cancelled():
                continue
            error = future.exception()
            if isinstance(error, BrokenExecutor):
                self._is_stopped = True
            value = future.result() if error is None else None
            found.append(Outcome(key, value, error))
        return found


def default_window(executor: Executor | None) -> int:
    """So many tasks that no worker waits for the master."""
    workers = getattr(executor, "_max_workers", None)
    if isinstance(workers, int) and workers > 0:
        return min(_PER_WORKER * workers, DEFAULT_WINDOW * 4)
    return DEFAULT_WINDOW
