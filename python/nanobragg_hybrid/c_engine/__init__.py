"""The C engine: configuration to SI units, the compiled core, and its results.

The only place that imports the compiled extension `nanobragg_hybrid._core`.
"""

from __future__ import annotations

try:
    from nanobragg_hybrid import _core as _core
except ImportError as error:
    error.add_note(
        "nanobragg_hybrid._core is compiled when the package is installed: run "
        "`pip install .` in its folder instead of importing the source tree."
    )
    raise
