"""The package version, said once: read by the build, the command line and `build_info`."""

from __future__ import annotations

__version__ = "0.1.0"
