"""Long calls that Ctrl-C ends at once."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from ctrl_c import ctrl_c_raises

import nanobragg_hybrid as nb
from nanobragg_hybrid.base import interruptible as module
from nanobragg_hybrid.base.interruptible import LARGE_BYTES, interruptible


def test_results_and_errors_come_back_whatever_the_size() -> None:
    for size in (0, LARGE_BYTES - 1, LARGE_BYTES):
        assert interruptible(lambda: 7, size) == 7
        with pytest.raises(ZeroDivisionError):
            interruptible(lambda: 1 // 0, size)


def test_only_a_large_call_of_the_main_thread_gets_a_thread() -> None:
    here = threading.current_thread()
    assert interruptible(threading.current_thread, LARGE_BYTES - 1) is here
    assert interruptible(threading.current_thread, LARGE_BYTES) is not here
    found: list[bool] = []

    def elsewhere() -> None:
        own = threading.current_thread()
        found.append(interruptible(threading.current_thread, LARGE_BYTES) is own)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [True]


def test_ctrl_c_is_heard_while_a_call_goes_on() -> None:
    """The call ends when it likes; nobody waits for it."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        signal.pthread_kill(main, signal.SIGINT)
        may_end.wait()
        ended.set()

    main = threading.get_ident()
    with ctrl_c_raises(), pytest.raises(KeyboardInterrupt):
        interruptible(call, LARGE_BYTES)
    assert begun.is_set()
    assert not ended.is_set()
    may_end.set()
    assert ended.wait(60)


@pytest.mark.parametrize("name", ["hkl_scan", "hkl_fill", "read_dump_plane", "write_dump_plane"])
def test_readings_and_writings_can_be_interrupted(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each compiled call runs beside the thread that hears of Ctrl-C."""
    from nanobragg_hybrid.base import native

    monkeypatch.setattr(module, "LARGE_BYTES", 0)
    table = nb.StructureFactors.from_reflections([(0, 0, 0), (1, 2, 3)], [5.0, 7.0])
    hkl, dump = tmp_path / "P1.hkl", tmp_path / "F.bin"
    nb.write_hkl(hkl, table)
    nb.write_dump(dump, table)
    before = dump.read_bytes()
    calls = {
        "hkl_scan": lambda: nb.read_hkl(hkl),
        "hkl_fill": lambda: nb.read_hkl(hkl),
        "read_dump_plane": lambda: nb.read_dump(dump),
        "write_dump_plane": lambda: nb.write_dump(dump, table),
    }
    main = threading.get_ident()
    may_end = threading.Event()
    compiled = getattr(native._core, name)

    def slow(*arguments: object) -> object:
        signal.pthread_kill(main, signal.SIGINT)
        may_end.wait()
        return compiled(*arguments)

    monkeypatch.setattr(native._core, name, slow)
    with ctrl_c_raises(), pytest.raises(KeyboardInterrupt):
        calls[name]()
    may_end.set()
    assert dump.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"P1.hkl", "F.bin"}
