"""Arrays that are plain memory until somebody wants them as numpy's.

The C engine fills memory that Python sees as a `memoryview`, which files are written from as it is.
A numpy array of the same memory is made when a user first looks at it: importing numpy takes longer
than rendering a small image, and a process that only writes files needs none of it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from nanobragg_hybrid.base.errors import ConfigError, Description

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from numpy.typing import ArrayLike, NDArray

    class Buffer(Protocol):
        """What is used of a `memoryview` of numbers in C order, which always has a shape."""

        @property
        def format(self) -> str: ...
        @property
        def nbytes(self) -> int: ...
        @property
        def ndim(self) -> int: ...
        @property
        def shape(self) -> tuple[int, ...]: ...
        def toreadonly(self) -> Any: ...
        def __len__(self) -> int: ...
        def __getitem__(self, key: Any) -> Any: ...
        def __buffer__(self, flags: int, /) -> memoryview: ...

    Array = NDArray[Any] | Buffer
    """An array of numpy's, or memory in C order."""

T = TypeVar("T")


def as_ndarray(array: ArrayLike | Buffer) -> NDArray[Any]:
    """The same memory as a numpy array."""
    import numpy as np

    return np.asarray(array)


def refuse_masked(field: str, value: object) -> None:
    """Raises `ConfigError` for a masked array with a masked element, or a list with such arrays.

    Taken as an ordinary array it would lose its mask, and what is below the mask would count.
    """
    masked_class = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    if masked_class is None:
        return
    for array in value if isinstance(value, list | tuple) else (value,):
        if isinstance(array, masked_class) and array.mask.any():
            raise ConfigError(
                field,
                Description(f"a masked array ({int(array.mask.sum())} elements are masked)"),
                "an array without a mask: drop these elements, or fill them",
            )


def as_buffer(array: Any) -> Buffer:
    """The same memory as a memoryview; a copy only of what is not in C order."""
    buffer: Any = memoryview(array)
    if not buffer.c_contiguous:
        import numpy as np

        buffer = np.ascontiguousarray(array).data
    return cast("Buffer", buffer)


def is_ndarray(value: object) -> bool:
    """Whether it is an array of numpy's; without numpy nothing is."""
    return isinstance(value, _numpy_class("ndarray"))


def is_boolean(value: object) -> bool:
    """Whether it is True or False, numpy's too."""
    return isinstance(value, (bool, _numpy_class("bool_")))


def _numpy_class(name: str) -> type | tuple[()]:
    """A class of numpy's; nothing, which no object is an instance of, if numpy is not loaded."""
    found: type | tuple[()] = getattr(sys.modules.get("numpy"), name, ())
    return found


class Deferred:
    """An array that is computed, once, when somebody first reads an `ArrayField` that holds it."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], NDArray[Any]]) -> None:
        self._make = make
        self._made: NDArray[Any] | None = None

    def made(self) -> NDArray[Any]:
        """The array."""
        if self._made is None:
            self._made = self._make()
        return self._made


class Underlying:
    """An array from which others are computed later.

    Whoever reads it may change it, so these are computed just before an `ArrayField` gives it away.
    """

    __slots__ = ("_array", "_of_it")

    def __init__(self, array: NDArray[Any], of_it: Sequence[Deferred]) -> None:
        self._array = array
        self._of_it = tuple(of_it)

    def made(self) -> NDArray[Any]:
        """The array, when nothing waits for its numbers any more."""
        for each in self._of_it:
            each.made()
        return self._array


class ArrayField:
    """A field of a frozen class: memory, or what makes it, until somebody reads it; then the numpy
    array of it."""

    def __init__(self, slot: Any) -> None:
        self._slot = slot

    def __get__(self, record: object, owner: type | None = None) -> Any:
        if record is None:
            return self
        value = self._slot.__get__(record)
        if isinstance(value, NOT_YET_READ):
            value = as_ndarray(value) if isinstance(value, memoryview) else value.made()
            self._slot.__set__(record, value)
        return value

    def __set__(self, record: object, value: Any) -> None:
        self._slot.__set__(record, value)

    def stored(self, record: object) -> Any:
        """What the field holds, as it is: memory, what makes it, an array or None."""
        return self._slot.__get__(record)


NOT_YET_READ: Final = (memoryview, Deferred, Underlying)
"""What an `ArrayField` holds until it is first read."""


def array_fields(*names: str) -> Callable[[type[T]], type[T]]:
    """Makes fields of a class with slots into `ArrayField`s."""

    def convert(cls: type[T]) -> type[T]:
        for name in names:
            setattr(cls, name, ArrayField(vars(cls)[name]))
        return cls

    return convert


def stored(record: object, name: str) -> Any:
    """What an `ArrayField` of an object holds: memory, what makes it, an array or None."""
    field: ArrayField = vars(type(record))[name]
    return field.stored(record)
