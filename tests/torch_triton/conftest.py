"""Without a GPU these tests run in Triton's interpreter, chosen before its kernels load."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "fuzz"))


def _replace_the_language_once_a_launch() -> None:
    """Triton's interpreter puts its own functions in the place of the language's whenever a kernel
    calls another function, which takes it half of its time.  Where they stand already nothing is
    left to do."""
    import triton.language as tl
    from triton.runtime import interpreter

    replace = interpreter._patch_lang

    @functools.cache
    def languages(function: Any) -> tuple[Any, ...]:
        seen = function.__globals__.values()
        return tuple(x for x in seen if inspect.ismodule(x) and x in (tl, tl.core))

    def replace_what_stands(function: Any) -> Any:
        seen = languages(function)
        if not seen or any(tl.core.is_builtin(each.load) for each in seen):
            return replace(function)
        return interpreter._LangPatchScope()

    interpreter._patch_lang = replace_what_stands


if importlib.util.find_spec("torch") is not None:
    import torch

    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"
        if importlib.util.find_spec("triton") is not None:
            _replace_the_language_once_a_launch()
