"""Writing a file completely or not at all."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from for_each import for_each

from nanobragg_hybrid.base import atomic
from nanobragg_hybrid.base.atomic import AtomicFiles, atomic_write
from nanobragg_hybrid.base.errors import FileAccessError, FileFormatError

NAMED = "nanobragg_hybrid.base.atomic._open_without_name = lambda _: -1"
"""Makes a process work as where files without a name are not to be had."""

UNPATCHED = atomic._open_without_name


@pytest.fixture(autouse=True, params=["without a name", "hidden", "copied"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Every test is done as on Linux, where files without a name are not to be had, and where they
    cannot be linked."""
    if request.param == "hidden":
        monkeypatch.setattr(atomic, "_open_without_name", lambda _: -1)
    elif request.param == "copied":
        monkeypatch.setattr(os, "link", cannot_link)
    atomic._remove_what_the_dead_left.cache_clear()
    before = open_files()
    yield request.param
    assert open_files() == before


def cannot_link(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def write(path: Path, data: bytes = b"new") -> None:
    with atomic_write(path) as file:
        file.write(data)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def fail_with_full_disk(file: BinaryIO) -> None:
    file.write(b"half of ")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_new_file_appears_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    with atomic_write(path) as file:
        file.write(b"one ")
        assert not path.exists()
        file.write(b"two")
    assert path.read_bytes() == b"one two"
    assert names(tmp_path) == ["image.bin"]


def test_old_file_stays_until_then_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    write(tmp_path / "ours")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_disk_full_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(b"old")
    with (
        pytest.raises(FileAccessError, match=r"image\.bin: No space left on device$") as caught,
        atomic_write(path) as file,
    ):
        fail_with_full_disk(file)
    assert caught.value.path == str(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["image.bin"]


def test_disk_full_leaves_no_new_file(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError), atomic_write(tmp_path / "image.bin") as file:
        fail_with_full_disk(file)
    assert names(tmp_path) == []


def test_disk_full_at_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(FileAccessError, match="No space left on device"):
        write(tmp_path / "image.bin")
    assert names(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_other_errors_pass_and_leave_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(error), atomic_write(tmp_path / "image.bin") as file:
        fail(file)
    assert names(tmp_path) == []


def test_our_own_errors_keep_their_type(tmp_path: Path) -> None:
    with (
        pytest.raises(FileFormatError, match="other:3: bad"),
        atomic_write(tmp_path / "image.bin"),
    ):
        raise FileFormatError("other", 3, "bad")
    assert names(tmp_path) == []


def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target = tmp_path / "far" / "image.bin"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    write(link)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_symbolic_link_to_nothing_makes_its_target(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "image.bin")
    write(link)
    assert link.is_symlink()
    assert (tmp_path / "image.bin").read_bytes() == b"new"


def test_dev_null_is_written_in_place() -> None:
    write(Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_dev_full_is_an_error() -> None:
    with pytest.raises(FileAccessError, match=r"^/dev/full: No space left on device$"):
        write(Path("/dev/full"))
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match="Is a directory"):
        write(tmp_path)


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match=r"image\.bin: No such file or directory$"):
        write(tmp_path / "missing" / "image.bin")


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileAccessError, match="Not a directory"):
        write(tmp_path / "file" / "image.bin")


def test_unwritable_folder_is_refused() -> None:
    """/proc refuses new files even to root."""
    with pytest.raises(FileAccessError, match=r"^/proc/image\.bin: "):
        write(Path("/proc/image.bin"))


def test_read_only_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    with pytest.raises(FileAccessError, match="Permission denied"):
        write(path)
    assert path.read_bytes() == b"old"


# Several files


def test_files_appear_together(tmp_path: Path) -> None:
    with AtomicFiles() as files:
        for name in ("a", "b"):
            with files.write(tmp_path / name) as file:
                file.write(name.encode())
            assert not (tmp_path / name).exists()
    assert (tmp_path / "a").read_bytes() == b"a"
    assert (tmp_path / "b").read_bytes() == b"b"
    assert len(names(tmp_path)) == 2


def test_files_do_not_appear_if_one_of_them_fails(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def write_three() -> None:
        with AtomicFiles() as files:
            with files.write(tmp_path / "a") as file:
                file.write(b"new")
            with files.write(tmp_path / "b") as file:
                fail_with_full_disk(file)

    with pytest.raises(FileAccessError, match="b: No space left on device"):
        write_three()
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_files_do_not_appear_after_another_error(tmp_path: Path, error: type[Exception]) -> None:
    def write_and_fail() -> None:
        with AtomicFiles() as files:
            with files.write(tmp_path / "a") as file:
                file.write(b"new")
            raise error

    with pytest.raises(error):
        write_and_fail()
    assert names(tmp_path) == []


def test_the_file_that_cannot_be_renamed_is_named(tmp_path: Path) -> None:
    def write_two() -> None:
        with AtomicFiles() as files:
            for name in ("a", "b"):
                with files.write(tmp_path / name):
                    pass
            (tmp_path / "b").mkdir()

    with pytest.raises(FileAccessError, match=r"b: Is a directory"):
        write_two()
    assert sorted(names(tmp_path)) == ["a", "b"]


def test_an_open_file_is_written_where_it_is(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.write(b"one ")
        with atomic_write(file) as same:
            same.write(b"two ")
        file.write(b"three")
    assert (tmp_path / "a").read_bytes() == b"one two three"


# What a killed process leaves

KILLED = """
import signal, sys
import nanobragg_hybrid.base.atomic
{set_up}
with nanobragg_hybrid.base.atomic.AtomicFiles() as files:
    for name in ("a", "b"):
        with files.write(name) as file:
            file.write(b"x" * 100000)
            file.flush()
            if name == "b":
                print("ready", flush=True)
                signal.pause()
"""


def start_writing(folder: Path, set_up: str) -> subprocess.Popen[str]:
    """A process that is about to give two files their names."""
    command = [sys.executable, "-c", KILLED.format(set_up=set_up)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number


def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    descriptor = UNPATCHED(tmp_path)
    if descriptor < 0:
        pytest.skip(f"the file system of {tmp_path} has no files without a name (O_TMPFILE)")
    os.close(descriptor)
    (tmp_path / "a").write_bytes(b"old")
    process = start_writing(tmp_path, "")
    assert names(tmp_path) == ["a"]
    end(process, signal.SIGKILL)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """But not what a living one is about to finish, nor what is not ours to judge."""
    killed = start_writing(tmp_path, NAMED)
    left = set(names(tmp_path))
    assert len(left) == 2
    end(killed, signal.SIGKILL)
    living = start_writing(tmp_path, NAMED)
    at_work = set(names(tmp_path)) - left
    assert len(at_work) == 2
    assert left <= set(names(tmp_path)) or len(names(tmp_path)) == 2
    dead = killed.pid
    others = {
        f".nanobragg-elsewhere-{dead}-0123456789ab.part",
        f".nanobragg-{dead}-0123456789ab.part",
        f".nanobragg-{atomic._host()}-{dead}-0123456789ab.part.bak",
        f"nanobragg-{atomic._host()}-{dead}-0123456789ab.part",
        f".nanobragg-{atomic._host()}-{os.getpid()}-0123456789ab.part",
    }
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / f".nanobragg-{atomic._host()}-{dead}-0123456789ab.part").touch()
    write(tmp_path / "c")
    assert set(names(tmp_path)) == {"c"} | others | at_work
    end(living, signal.SIGKILL)


def test_an_old_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    """Whoever looks always finds all of the old or all of the new one."""
    path = tmp_path / "f"
    path.write_bytes(b"0" * 1000)
    seen: set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=look)
    reader.start()
    for digit in b"123":
        write(path, bytes([digit]) * 1000)
    done.set()
    reader.join()
    assert seen <= {bytes([digit]) * 1000 for digit in b"0123"}
    assert path.read_bytes() == b"3" * 1000


@for_each("mask", [0o022, 0o077, 0o002])
def test_new_files_heed_the_umask(mask: int, tmp_path: Path) -> None:
    previous = os.umask(mask)
    try:
        write(tmp_path / f"f{mask}")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / f"f{mask}").stat().st_mode) == 0o666 & ~mask


def test_a_pipe_is_written_in_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write(tmp_path / "pipe", b"through")
    reader.join()
    assert got == [b"through"]
    assert names(tmp_path) == ["pipe"]


def test_standard_output_is_written_in_place(tmp_path: Path) -> None:
    command = (
        "from nanobragg_hybrid.base.atomic import atomic_write\n"
        "print('before', flush=True)\n"
        "with atomic_write('/dev/stdout') as file: file.write(b'ours\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)
    assert done.stdout == b"before\nours\n"
