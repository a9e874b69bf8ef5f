"""PyTorch in forked processes: its threads are not there, and it would wait for them for ever."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from nanobragg_hybrid.base.errors import BackendError

AFTER_FORK: Final = (
    "this process was forked after its parent had used the torch engine, in which PyTorch hangs: "
    'start processes by "spawn" (multiprocessing.get_context("spawn")), or use the backend "c"'
)


@dataclass(slots=True)
class _Process:
    """Whether this process has used the engine, and whether it was forked from one that had."""

    has_used: bool = False
    is_forked: bool = False


_PROCESS: Final = _Process()


def _in_child() -> None:
    _PROCESS.is_forked = _PROCESS.is_forked or _PROCESS.has_used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def require_own_threads() -> None:
    """Notes that the engine is used.

    Raises `BackendError` in a process that was forked from one that had used it.
    """
    if _PROCESS.is_forked:
        raise BackendError(AFTER_FORK)
    _PROCESS.has_used = True
