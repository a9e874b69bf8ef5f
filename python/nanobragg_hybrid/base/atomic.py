"""Writing a file completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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
    Until then the bytes are in temporary files of the same folders, which any error removes: what
    stood there before is then untouched.  Symbolic links are followed.  What is no regular file
    (``/dev/null``, a pipe) is written in place.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, Path, str | os.PathLike[str]]] = []
        """Temporary file, what it will be called, and what the caller calls that."""

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
            temporary = target.with_name(f".nanobragg-{os.getpid()}-{os.urandom(6).hex()}.part")
            self._waiting.append((temporary, target, path))
            with temporary.open("xb") as file:
                if mode is not None:
                    with contextlib.suppress(OSError):  # some file systems have no permissions
                        temporary.chmod(mode)
                yield file

    def __enter__(self) -> AtomicFiles:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            while error is None and self._waiting:
                temporary, target, path = self._waiting[0]
                with access_errors(path):
                    temporary.replace(target)
                del self._waiting[0]
        finally:
            for temporary, *_others in self._waiting:
                with contextlib.suppress(OSError):
                    temporary.unlink()


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
    except (OSError, ValueError):
        return False
    return os.path.samestat(there, here) and not os.path.samestat(here, Path(os.devnull).stat())


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
