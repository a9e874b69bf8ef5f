"""The C engine: configuration to SI units, the compiled core, and its results.

With `base.native` the only importer of the compiled extension `nanobragg_hybrid._core`.
"""

from __future__ import annotations

from nanobragg_hybrid.base.errors import NOT_BUILT

try:
    from nanobragg_hybrid import _core as _core
except ImportError as error:
    error.add_note(NOT_BUILT)
    raise
