"""nanoBragg's command-line words: the flag table, words -> `Command`, `Experiment` -> words.

Nothing here prints; what the user should be told comes back as `Command.warnings` or as a
`CommandLineError`.
"""

from __future__ import annotations

from .command import Command
from .emit import emit_args
from .parse import parse_command

__all__ = ["Command", "emit_args", "parse_command"]
