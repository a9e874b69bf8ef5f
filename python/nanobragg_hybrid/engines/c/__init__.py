"""The C engine: configuration to SI units, the compiled core, and its results.

With `base.native`, which says what to do where it is missing, the only importer of the compiled
extension `nanobragg_hybrid._core`.
"""

from __future__ import annotations

from nanobragg_hybrid.base import native as native
