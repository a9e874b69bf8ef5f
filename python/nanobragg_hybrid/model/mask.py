"""A pixel mask (model 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nanobragg_hybrid.base.arrays import refuse_masked
from nanobragg_hybrid.base.constants import INT32_MAX
from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.model.validate import COUNT, Items

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Mask:
    """Which pixels are computed.

    values: booleans, or integers of which 0 means False, shape (slow, fast), not empty; False (0)
        is skipped and stays 0 in the image (model 6).  Stored as a read-only bool array.

    A masked array of numpy's with a masked element is refused: which of the two masks would count?
    Two masks are equal if their values are.  Raises `ConfigError` (``mask.values``).
    """

    values: NDArray[np.bool_]

    def __init__(self, values: ArrayLike) -> None:
        import numpy as np

        refuse_masked("mask.values", values)
        array = np.asarray(values)
        if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "bui":
            raise ConfigError(
                "mask.values",
                Description(f"{array.dtype} of shape {array.shape}"),
                "booleans or integers of shape (slow, fast), not empty",
            )
        stored = np.array(array != 0, dtype=np.bool_, order="C")
        stored.setflags(write=False)
        object.__setattr__(self, "values", stored)

    @property
    def shape(self) -> tuple[int, int]:
        """(slow, fast)."""
        slow, fast = self.values.shape
        return slow, fast

    def reindexed(self, shape: tuple[int, int]) -> Mask:
        """The mask that nanoBragg sees on a detector of `shape` (slow, fast).

        It takes the values in raster order, `slow*n_fast + fast`, whatever the mask's own size.
        Raises `ConfigError` naming both sizes if the mask has too few values.
        """
        try:
            slow, fast = Items(2, COUNT).normalise(shape)
        except ValueError:
            raise ConfigError("shape", shape, "(slow, fast), two numbers >= 1") from None
        if self.shape == (slow, fast):
            return self
        if self.values.size < slow * fast:
            raise ConfigError(
                "detector.mask",
                Description(f"{self.shape[1]} x {self.shape[0]} pixels"),
                f"at least as many pixels as the detector's {fast} x {slow}",
            )
        return Mask(self.values.ravel()[: slow * fast].reshape(slow, fast))

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the shape, and the bits packed, deflated and in base 64."""
        import base64
        import zlib

        import numpy as np

        packed = zlib.compress(np.packbits(self.values).tobytes(), 9)
        return {"shape": list(self.shape), "bits": base64.b64encode(packed).decode("ascii")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Mask:
        """The inverse of `to_dict`; ConfigError if `data` is no such thing."""
        import numpy as np

        is_mapping: bool = isinstance(data, Mapping)
        if not is_mapping or set(data) != {"shape", "bits"}:
            raise ConfigError("detector.mask", data, "a mapping with the keys shape and bits")
        shape = data["shape"]
        if (
            not isinstance(shape, list | tuple)
            or len(shape) != 2
            or not all(type(n) is int and 1 <= n <= INT32_MAX for n in shape)
        ):
            raise ConfigError("detector.mask.shape", shape, "two integers >= 1")
        count = shape[0] * shape[1]
        packed = _inflate(data["bits"], (count + 7) // 8)
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=count)
        return cls(bits.reshape(shape))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        import numpy as np

        return np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        import numpy as np

        return hash((self.shape, np.packbits(self.values).tobytes()))

    def __repr__(self) -> str:
        skipped = self.values.size - int(self.values.sum())
        return f"Mask({self.shape[1]} x {self.shape[0]} pixels, {skipped} skipped)"

    def __reduce__(self) -> tuple[type[Mask], tuple[NDArray[np.bool_]]]:
        return Mask, (self.values,)


def _inflate(text: object, size: int) -> bytes:
    """The `size` bytes that were deflated and put in base 64; never makes more than that."""
    import base64
    import binascii
    import zlib

    rule = f"base 64 of {size} deflated bytes"
    if not isinstance(text, str):
        raise ConfigError("detector.mask.bits", text, rule)
    try:
        machine = zlib.decompressobj()
        data = machine.decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, ValueError, zlib.error):
        raise ConfigError("detector.mask.bits", text, rule) from None
    if len(data) != size or not machine.eof:
        raise ConfigError("detector.mask.bits", text, rule)
    return data
