"""Writing a file completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final

from nanobragg_hybrid.base.errors import ConfigError, FileAccessError, NanobraggError


def check_path(path: object, name: str = "path") -> None:
    """Raises `ConfigError` for what is no path, `FileAccessError` for a byte of 0 in it."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise ConfigError(name, path, "a path")
    if "\0" in text:
        problem = "no file can have a byte of value 0 in its name"
        raise FileAccessError(text.replace("\0", "\\0"), problem)


@contextmanager
def access_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns an OSError of the body into a `FileAccessError` that names `path`.

    Raises `ConfigError` first if that is no path, and `FileAccessError` if it has a byte of 0.
    """
    check_path(path)
    try:
        yield
    except NanobraggError:
        raise
    except OSError as error:
        raise FileAccessError(path, error.strerror or str(error)) from error


class AtomicFiles:
    """Files that appear together when all of them are complete, or not at all.

    To be used in a with statement: its end, if it is not an error, gives the files their names.
    Until then the bytes have no name where the system can do that (Linux, most file systems), so
    that nothing is left of a process that was killed.  Elsewhere they are in hidden files of the
    same folders, which any error removes, and what a killed process left there is removed by the
    next one that writes there.  What stood there before is untouched until the end.  Symbolic links
    are followed.  What is no regular file (``/dev/null``, a pipe) is written in place.
    """

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    @contextmanager
    def write(self, path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
        """A binary file to write to, which will take the name `path`.

        Raises `FileAccessError` naming `path`, for an OSError of the body (a full disk) as well.
        """
        with access_errors(path):
            target, mode = _regular_target(Path(path))
            if target is None:
                with _opened_in_place(Path(path)) as file:
                    yield file
                return
            _remove_what_the_dead_left(target.parent)
            waiting = _Waiting(path, target, target.with_name(_hidden_name()))
            self._waiting.append(waiting)
            waiting.open()
            with os.fdopen(waiting.descriptor, "wb", closefd=False) as file:
                if mode is not None and sys.platform != "win32":
                    with contextlib.suppress(OSError):  # some file systems have no permissions
                        os.fchmod(waiting.descriptor, mode)
                yield file

    def __enter__(self) -> AtomicFiles:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            if error is None:
                for waiting in self._waiting:
                    with access_errors(waiting.path):
                        waiting.take_hidden_name()
                while self._waiting:
                    waiting = self._waiting[0]
                    waiting.close()
                    with access_errors(waiting.path):
                        waiting.hidden.replace(waiting.target)
                    del self._waiting[0]
        finally:
            for waiting in self._waiting:
                waiting.close()
                with contextlib.suppress(OSError):
                    waiting.hidden.unlink()


class _Waiting:
    """A file that is complete, or on its way, and does not have its name yet."""

    def __init__(self, path: str | os.PathLike[str], target: Path, hidden: Path) -> None:
        self.path = path  # what the caller calls it
        self.target = target
        self.hidden = hidden
        self.descriptor = -1
        self.is_named = False  # `hidden` is there

    def open(self) -> None:
        """Opens it without a name, else as the file `hidden`."""
        self.descriptor = _open_without_name(self.target.parent)
        if self.descriptor < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
            self.descriptor = os.open(self.hidden, flags, 0o666)
            self.is_named = True

    def take_hidden_name(self) -> None:
        """A name beside the target, which it can take the place of."""
        if self.is_named:
            return
        try:
            # Only with a folder's descriptor does Python ask for the link to be followed.
            folder = os.open(self.hidden.parent, os.O_RDONLY)
            try:
                name = self.hidden.name
                link = _descriptor_path(self.descriptor)
                os.link(link, name, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                os.close(folder)
        except OSError:  # a system that lets nobody link such files
            self.copy_to_hidden_name()
        self.is_named = True

    def copy_to_hidden_name(self) -> None:
        """The same at the cost of writing it once more."""
        import shutil

        with (
            self.hidden.open("xb") as copy,
            os.fdopen(self.descriptor, "rb", closefd=False) as file,
        ):
            if sys.platform != "win32":
                os.fchmod(copy.fileno(), stat.S_IMODE(os.fstat(self.descriptor).st_mode))
            file.seek(0)
            shutil.copyfileobj(file, copy, 2**20)

    def close(self) -> None:
        """Lets go of the file; one without a name is gone with that."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _open_without_name(folder: Path) -> int:
    """The descriptor of a new file of a folder that has no name; -1 where there is no such thing.

    A folder that cannot be written to is for the other way to complain about.
    """
    if sys.platform != "linux":
        return -1
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError:
        return -1
    if not os.path.exists(_descriptor_path(descriptor)):  # nothing to link it by  # noqa: PTH110
        os.close(descriptor)
        return -1
    return descriptor


def _descriptor_path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


# Hidden files: .nanobragg-HOST-PROCESS-RANDOM.part

_HIDDEN: Final = re.compile(r"\.nanobragg-(?P<host>.+)-(?P<process>\d+)-[0-9a-f]{12}\.part")


def _hidden_name() -> str:
    return f".nanobragg-{_host()}-{os.getpid()}-{os.urandom(6).hex()}.part"


@cache
def _host() -> str:
    """What tells apart the processes that share a folder: the computer's name, and on Linux the
    number of the container's own list of processes."""
    node = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    name = re.sub(r"[^A-Za-z0-9.]", "_", node)[:64]
    with contextlib.suppress(OSError):
        name += f"-{os.stat('/proc/self/ns/pid').st_ino:x}"  # noqa: PTH116
    return name


@cache
def _remove_what_the_dead_left(folder: Path) -> None:
    """Removes hidden files of processes of this host that have ended, once for each folder."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(".nanobragg-")]
    except OSError:
        return
    for name in names:
        match = _HIDDEN.fullmatch(name)
        if match and match["host"] == _host() and not _is_alive(int(match["process"])):
            with contextlib.suppress(OSError):
                (folder / name).unlink()


def _is_alive(process: int) -> bool:
    """Whether a process of this host has not ended; yes where that cannot be known."""
    if sys.platform == "win32":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


Destination = str | os.PathLike[str] | BinaryIO
"""Where the `write_*` functions write: a path, or a binary file that is already open."""


@contextmanager
def atomic_write(destination: Destination) -> Iterator[BinaryIO]:
    """A binary file to write to, which takes its name when the body has ended well.

    A path is written as by `AtomicFiles`; an open file is given back as it is.  Raises
    `FileAccessError`.
    """
    if not isinstance(destination, str | os.PathLike):
        if not callable(getattr(destination, "write", None)):
            raise ConfigError("path", destination, "a path, or a binary file that is open")
        yield destination
        return
    with AtomicFiles() as files, files.write(destination) as file:
        yield file


def is_standard_output(path: str | os.PathLike[str]) -> bool:
    """Whether a file is what standard output leads to: /dev/stdout, /dev/fd/1, a link to them, the
    file it is redirected to.  /dev/null is nobody's output."""
    try:
        there, here = Path(path).stat(), os.fstat(1)
        return os.path.samestat(there, here) and not os.path.samestat(here, Path(os.devnull).stat())
    except (OSError, ValueError):
        return False


def _opened_in_place(path: Path) -> BinaryIO:
    """Standard output goes on where it stands; opening it anew would cut off what is there."""
    if is_standard_output(path):
        return os.fdopen(os.dup(1), "wb")
    return path.open("wb")


def _regular_target(path: Path) -> tuple[Path | None, int | None]:
    """Where the finished file goes and the permissions of the one it replaces, if there is one.

    The first is None for what must be written in place.  Raises OSError for a folder and for a
    file that may not be written.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return path.resolve(), None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    # /dev/stdout may lead to a regular file, which its other writers must keep seeing.
    is_device = path.absolute().is_relative_to("/dev") or is_standard_output(path)
    if not stat.S_ISREG(status.st_mode) or is_device:
        return None, None
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return path.resolve(), stat.S_IMODE(status.st_mode)
