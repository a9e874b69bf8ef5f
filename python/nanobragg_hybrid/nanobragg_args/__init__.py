"""nanoBragg's command-line words: the flag table, words -> `Command`, `Experiment` -> words.

Nothing here prints; what the user should be told comes back as `Command.warnings` or as a
`CommandLineError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nanobragg_hybrid._lazy import lazy_names

if TYPE_CHECKING:
    from .command import Command
    from .emit import emit_args
    from .parse import parse_command

__all__ = ["Command", "emit_args", "parse_command"]

__getattr__, __dir__ = lazy_names(
    __name__, {".command": "Command", ".emit": "emit_args", ".parse": "parse_command"}
)
