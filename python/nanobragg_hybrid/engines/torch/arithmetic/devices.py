"""Names of devices and number types."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal, get_args

import torch

from nanobragg_hybrid.base.errors import BackendError, ConfigError

Precision = Literal["float64", "float32"]
"""What is no phase and no geometry is computed in one of them."""

DTYPES: Final = MappingProxyType({"float64": torch.float64, "float32": torch.float32})


def device_of(name: str | torch.device | None) -> torch.device:
    """The device of a name; None is the CPU, "auto" the first accelerator or else the CPU.

    Raises `BackendError` saying what is available.
    """
    if name is None:
        return torch.device("cpu")
    if isinstance(name, str) and name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise BackendError(f"no device {name!r}; available: {_available()}") from None
    is_there = device.type == "cpu" or (
        device.type == "cuda"
        and torch.cuda.is_available()
        and (device.index or 0) < torch.cuda.device_count()
    )
    if not is_there:
        raise BackendError(f"no device {str(device)!r}; available: {_available()}")
    return device


def dtype_of(name: str | torch.dtype | None) -> torch.dtype:
    """float64 (None too) or float32, by name or as torch's own object."""
    if name is None:
        return torch.float64
    for precision, dtype in DTYPES.items():
        if name is dtype or (isinstance(name, str) and name == precision):
            return dtype
    raise ConfigError("dtype", str(name), "float64 or float32")


def precision_of(dtype: torch.dtype) -> Precision:
    """The name of a number type that `dtype_of` gives."""
    for precision in get_args(Precision):
        if DTYPES[precision] is dtype:
            found: Precision = precision
            return found
    raise TypeError(f"{dtype} is not one of {', '.join(DTYPES)}")


def _available() -> str:
    names = ["cpu"]
    if torch.cuda.is_available():
        names += [f"cuda:{n}" for n in range(torch.cuda.device_count())]
    return ", ".join(names)
