"""Experiment lists of DIALS (`.expt`) of many stills, written piece by piece.

The file has all experiments before the first beam, and all beams before the first crystal.  So the
kinds are in files without a name, each its own, until there are no more stills.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from nanobragg_hybrid.base.atomic import access_errors, atomic_write
from nanobragg_hybrid.formats.geometry.content import ExperimentContent
from nanobragg_hybrid.formats.geometry.dials import LIST_ID, PARTS, expt_of

_KINDS: Final = (*PARTS, "imageset")


def write_stills(path: Path, stills: Iterable[tuple[ExperimentContent, str]]) -> None:
    """Writes an experiment for each still; equal models are shared.

    stills: contents, and the experiments' identifiers.  Raises `FileAccessError`.
    """
    with ExitStack() as stack:
        experiments = _Items(path, stack)
        shared = {name: _Items(path, stack) for name in _KINDS}
        places: dict[str, dict[bytes, int]] = {name: {} for name in _KINDS}
        for content, identifier in stills:
            own = expt_of(content)
            numbers = {}
            for name, models in own.items():
                if name not in shared or not models:
                    continue
                text = json.dumps(models[0], sort_keys=True)
                key = hashlib.sha256(text.encode("utf-8")).digest()[:16]
                number = places[name].setdefault(key, shared[name].count)
                numbers[name] = number
                if number == shared[name].count:
                    shared[name].add(models[0])
            experiments.add({"__id__": "Experiment", "identifier": identifier, **numbers})
        with atomic_write(path) as out:
            out.write(f'{{\n  "__id__": "{LIST_ID}"'.encode("ascii"))
            for name, items in {"experiment": experiments, **shared}.items():
                out.write(f',\n  "{name}": '.encode("ascii"))
                items.copy_to(out)
            out.write(b',\n  "profile": [],\n  "scaling_model": []\n}\n')


class _Items:
    """The text of a list, as `json.dumps(..., indent=2)` has it one level deep in an object."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path = path
        self.count = 0
        with access_errors(path):
            self._file: Any = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))  # noqa: SIM115

    def add(self, item: dict[str, Any]) -> None:
        text = json.dumps(item, indent=2).replace("\n", "\n    ")
        with access_errors(self._path):
            self._file.write(f"{',' if self.count else '['}\n    {text}".encode("ascii"))
        self.count += 1

    def copy_to(self, out: Any) -> None:
        if not self.count:
            out.write(b"[]")
            return
        self._file.seek(0)
        shutil.copyfileobj(self._file, out)
        out.write(b"\n  ]")
