"""Frames of a series are rendered in the memory of the one before."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

COUNTS = """
import resource, sys
import numpy as np
from nanobragg_hybrid.run.series import worker

def frame():
    arrays = [np.ones(2**20), np.ones(2**20, np.int32), np.ones(2**20)]
    arrays.pop(0)
    return len(arrays)

if sys.argv[1] == "kept":
    worker._keep_memory_of_frames()
frame()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    frame()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Pages that the system hands out in ten frames, behind the first one.

    The import of dask sets MALLOC_TRIM_THRESHOLD_, which has the last word.
    """
    free = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", COUNTS, how]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=free)
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps memory")
def test_frames_take_the_pages_of_the_one_before() -> None:
    assert faults("kept") < 50
    assert faults("given back") > 50
