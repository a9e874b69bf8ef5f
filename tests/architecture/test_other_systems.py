"""What the package takes from the system it runs on: nothing that Windows lacks.

`WINDOWS` is no Windows: names and modules that it has not got are taken away from this system's
Python.  What the types of Python's library say of it is asked of mypy (.ci/release windows).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WINDOWS = """
import sys, warnings
# whatever chooses by system itself is loaded as it is here
import asyncio, mmap, multiprocessing.pool, os, shutil, signal, socket, subprocess, tempfile
import concurrent.futures.process, concurrent.futures.thread, http.server, importlib.metadata
import numpy, platform, webbrowser
extras = "cffi distributed mpi4py torch triton"
for name in f"fcntl grp pty pwd resource syslog termios tty {extras}".split():
    sys.modules[name] = None
for module, names in {
    mmap: "MADV_DONTNEED",
    os: "O_CLOEXEC O_TMPFILE fchmod fork getpgid getuid killpg mkfifo nice sched_getaffinity "
    "setsid sysconf uname",
    signal: "SIGALRM SIGHUP SIGKILL SIGUSR1 alarm pthread_sigmask setitimer sigwait",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
def kill(process, number):
    assert number != 0, "signal 0 is Ctrl-C there"
os.kill = kill
sys.platform = "win32"
import ctypes, types
def memory(status):  # a MEMORYSTATUSEX of 64 bytes
    numbers = ctypes.cast(status, ctypes.POINTER(ctypes.c_uint64))
    assert numbers[0] == 64
    numbers[1] = 3 * 2**30
    return 1
ctypes.windll = types.SimpleNamespace(
    kernel32=types.SimpleNamespace(GlobalMemoryStatusEx=memory)
)
"""

IMPORT_EVERYTHING = """
import importlib, pkgutil
import nanobragg_hybrid
count = 0
path, prefix = nanobragg_hybrid.__path__, "nanobragg_hybrid."
for found in pkgutil.walk_packages(path, prefix, onerror=lambda name: None):
    if found.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(found.name)
    except nanobragg_hybrid.BackendError as error:
        assert "needs PyTorch" in str(error), f"{found.name}: {error}"
    except ImportError as error:
        extra = (error.name or "").split(".")[0]
        assert extra in extras.split(), f"{found.name}: {error}"
    count += 1
print(count)
"""

RUN = """
from nanobragg_hybrid.cli.nanobragg.log import being_asked_to_end_is_ctrl_c
from nanobragg_hybrid.cli.nanobragg.main import main
from nanobragg_hybrid.cli.umbrella.main import main as umbrella
import nanobragg_hybrid as nb
being_asked_to_end_is_ctrl_c()
for _ in range(2):  # the second finds what the first has left, and replaces it
    open(".nanobragg-%s-999999-0123456789ab.part" % nb.base.atomic._host(), "w").close()
    assert main(["-cell", *"70 80 90 90 90 90 -default_F 100 -detpixels 4 -pixel 1".split(),
                 "-hkl", "few.hkl", "-intfile", "made.img"]) == 0
assert main("-dump Fdump.bin -img made.img -cell 70 80 90 90 90 90 -intfile new.img".split()
    + ["-default_F", "100"]) == 0
assert umbrella(["info"]) == 0
assert "memory: 3.0 GiB" in nb.show_versions()
ctypes.windll.kernel32.GlobalMemoryStatusEx = lambda status: 0
assert "memory: unknown" in nb.show_versions()
"""


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_every_module_is_imported_without_what_windows_lacks(tmp_path: Path) -> None:
    done = _run(WINDOWS + IMPORT_EVERYTHING, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) > 250


@pytest.mark.parametrize("line", ["import fcntl", "from os import killpg", "os.kill(1, 0)"])
def test_what_windows_lacks_is_seen(line: str, tmp_path: Path) -> None:
    done = _run(f"{WINDOWS}\n{line}", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(("ImportError", "Modul", "AssertionError"))


def test_images_are_rendered_and_written_without_what_windows_lacks(tmp_path: Path) -> None:
    (tmp_path / "few.hkl").write_text("0 0 1 10\n1 2 3 20\n")
    done = _run(WINDOWS + RUN, tmp_path)
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "made.img").read_bytes()
    assert (tmp_path / "new.img").read_bytes()[512:] == made[512:]
    assert len(made) == 512 + 2 * 16
