"""The executors of `nanobragg-hybrid series`: processes, dask, MPI."""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any, NamedTuple

from nanobragg_hybrid.base.errors import CommandLineError, UnsupportedError, how_to_install
from nanobragg_hybrid.base.host import usable_cores


class Workers(NamedTuple):
    """executor: None: this process.  is_master: False for a rank of MPI that only works.  text:
    what they are, for people."""

    executor: Executor | None
    is_master: bool
    text: str


def check_choice(arguments: argparse.Namespace) -> None:
    """Raises `CommandLineError` for several of them at once, and for a number that is none."""
    given = [
        name
        for name, value in (
            ("--workers", arguments.workers is not None),
            ("--dask", arguments.dask is not None),
            ("--mpi", arguments.mpi),
        )
        if value
    ]
    if len(given) > 1:
        raise CommandLineError(f"{given[1]}: may not stand beside {given[0]}")
    if arguments.workers is not None and not 1 <= arguments.workers <= 4096:
        raise CommandLineError(f"--workers: got {arguments.workers}, need 1 to 4096")


@contextlib.contextmanager
def workers(arguments: argparse.Namespace, frames: int) -> Iterator[Workers]:
    """Who renders; they end with the body."""
    if arguments.mpi:
        with _mpi() as found:
            yield found
    elif arguments.dask is not None:
        with _dask(arguments.dask) as found:
            yield found
    else:
        count = min(arguments.workers or usable_cores(), frames)
        if count == 1:
            yield Workers(None, True, "this process")
            return
        with _processes(count) as found:
            yield found


@contextlib.contextmanager
def _processes(count: int) -> Iterator[Workers]:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_end_with_parent)
    with pool:
        try:
            yield Workers(pool, True, f"{count} processes")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """Ends this process when the one that started it has ended, however it did."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


@contextlib.contextmanager
def _dask(address: str) -> Iterator[Workers]:
    try:
        import distributed
    except ImportError:
        raise UnsupportedError(f"--dask needs dask: {how_to_install('dask')}") from None
    options: dict[str, Any] = {} if address == "local" else {"address": address}
    if address == "local":
        options = {"dashboard_address": None, "threads_per_worker": 1}
    client_of: Any = distributed.Client
    with client_of(**options) as client:
        cores = sum(client.ncores().values())
        yield Workers(client.get_executor(), True, f"dask at {address}, {cores} threads")


@contextlib.contextmanager
def _mpi() -> Iterator[Workers]:
    try:
        from mpi4py import MPI
        from mpi4py.futures import MPICommExecutor
    except (ImportError, RuntimeError) as error:
        why = str(error).partition("\n")[0]
        raise UnsupportedError(
            f"--mpi needs mpi4py and an MPI library ({why}): {how_to_install('mpi')} "
            "and a library, such as mpich"
        ) from None
    size = MPI.COMM_WORLD.Get_size()
    if size < 2:
        rule = "mpiexec -n 2 or more: rank 0 is the master, the others render"
        raise CommandLineError(f"--mpi: got {size} rank, need {rule}")
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as entered:
        executor: Any = entered  # it has no type of its own
        yield Workers(executor, executor is not None, f"MPI, {size - 1} ranks beside the master")
