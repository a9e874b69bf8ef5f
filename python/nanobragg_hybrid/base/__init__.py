"""What every floor stands on: errors, units, constants, arrays, this computer, C readers."""

from __future__ import annotations
