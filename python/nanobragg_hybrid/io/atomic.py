"""Writing a file completely or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nanobragg_hybrid.errors import FileAccessError, NanobraggError


@contextmanager
def access_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns an OSError of the body into a `FileAccessError` that names `path`."""
    try:
        yield
    except NanobraggError:
        raise
    except OSError as error:
        raise FileAccessError(path, error.strerror or str(error)) from error


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write to, which takes the name `path` when the body has ended well.

    Until then the bytes are in a temporary file of the same folder, which any error removes: what
    stood at `path` before is then untouched.  Symbolic links are followed.  What is no regular file
    (``/dev/null``, a pipe) is written in place.

    Raises `FileAccessError` naming `path`, for an OSError of the body (a full disk) as well.
    """
    with access_errors(path):
        target, mode = _regular_target(Path(path))
        if target is None:
            with Path(path).open("wb") as file:
                yield file
            return
        temporary = target.with_name(f".nanobragg-{os.getpid()}-{secrets.token_hex(6)}.part")
        with temporary.open("xb") as file:
            try:
                if mode is not None:
                    with contextlib.suppress(OSError):  # some file systems have no permissions
                        temporary.chmod(mode)
                yield file
                file.close()  # a full disk may show only now
                temporary.replace(target)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise


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
    if not stat.S_ISREG(status.st_mode) or path.absolute().is_relative_to("/dev"):
        return None, None
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return path.resolve(), stat.S_IMODE(status.st_mode)
