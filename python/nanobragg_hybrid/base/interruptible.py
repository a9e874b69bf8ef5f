"""Long calls into compiled code that Ctrl-C ends at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

LARGE_BYTES: Final = 2**25
"""What takes so little memory, or file, is done before anybody has pressed a key."""
_SECONDS: Final = 0.1

T = TypeVar("T")


def interruptible(call: Callable[[], T], work_bytes: int) -> T:
    """The result of `call`, which lets other threads run meanwhile (it has released the GIL).

    `work_bytes`: about how much memory or file it goes through.  Python hears of Ctrl-C only
    between two of its own instructions, so a large call runs in a thread of its own while this one
    waits.  When this one is interrupted, the other ends when its call does and nobody gets the
    result.
    """
    import threading

    if work_bytes < LARGE_BYTES or threading.current_thread() is not threading.main_thread():
        return call()
    done: list[T] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            done.append(call())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, name="nanobragg_hybrid.interruptible")
    thread.start()
    while thread.is_alive():
        thread.join(_SECONDS)
    if failed:
        raise failed[0]
    return done[0]
