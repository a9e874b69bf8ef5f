"""Names of devices and number types."""

from __future__ import annotations

import torch

from nanobragg_hybrid.base.errors import BackendError, ConfigError


def device_of(name: str | torch.device | None) -> torch.device:
    """The device of a name; None is the CPU, "auto" the first accelerator or else the CPU.

    Raises `BackendError` saying what is available.
    """
    if name is None:
        return torch.device("cpu")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
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
    known = {"float64": torch.float64, "float32": torch.float32}
    for text, dtype in known.items():
        if name in (text, dtype):
            return dtype
    if name is None:
        return torch.float64
    raise ConfigError("dtype", str(name), "float64 or float32")


def _available() -> str:
    names = ["cpu"]
    if torch.cuda.is_available():
        names += [f"cuda:{n}" for n in range(torch.cuda.device_count())]
    return ", ".join(names)
