"""Which elements of a table are the same reflection by symmetry, and sums over them (model 6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.arrays import as_ndarray, is_ndarray, refuse_masked
from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.base.host import require_memory
from nanobragg_hybrid.model.validate import FINITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

OUTSIDE: Final = -1
"""Of an element of the table that is no reflection of the range: it has default_f."""
ABSENT: Final = -2
"""Of a systematic absence, whose amplitude is 0 whatever default_f is."""


@dataclass(frozen=True, slots=True, eq=False)
class UniqueReflections:
    """The unique reflections of a space group, and where they and their equivalents lie in a table.

    hkl: int32, shape (n, 3): one of each set of equivalent reflections.
    index: int32, shape (nh, nk, nl): which of them the element of a table is; `OUTSIDE` (-1) for
        what is none of them, `ABSENT` (-2) for systematic absences.
    hkl_min: the indices of the first element of that table.
    space_group: its Hermann-Mauguin symbol with setting, ``P 43 21 2``, ``R 3:H``.
    anomalous: True: Friedel mates are two reflections, unless the space group makes them one;
        False: they are one.

    `expand` makes a table of one value for each unique reflection, `sum` adds up what a table has
    for each: the derivative of the first is the second.  Both take arrays, and tensors of PyTorch:
    the first may stand in front of a `ForwardModel`, whose parameter is ``structure_factors.grid``.
    """

    hkl: NDArray[np.int32]
    index: NDArray[np.int32]
    hkl_min: tuple[int, int, int]
    space_group: str
    anomalous: bool

    def __len__(self) -> int:
        return len(self.hkl)

    def __repr__(self) -> str:
        mates = "apart" if self.anomalous else "tied"
        return f"UniqueReflections({len(self)} of {self.space_group}, Friedel mates {mates})"

    def at(self, hkl: ArrayLike) -> NDArray[np.int32]:
        """Which unique reflection each of `hkl`, shape (m, 3), is; shape (m,).

        `OUTSIDE` or `ABSENT` for those that are none.  Raises `ConfigError` for what is no list of
        whole numbers.
        """
        import numpy as np

        given = _array("hkl", hkl)
        if given.dtype.kind not in "iu" or given.ndim != 2 or given.shape[1] != 3:
            kind = Description(f"{given.dtype} of shape {given.shape}")
            raise ConfigError("unique_reflections.hkl", kind, "whole numbers of shape (m, 3)")
        places = given - np.array(self.hkl_min)
        inside = ((places >= 0) & (places < np.array(self.index.shape))).all(axis=1)
        found = np.full(len(given), OUTSIDE, np.int32)
        found[inside] = self.index[tuple(places[inside].T)]
        return found

    def multiplicities(self) -> NDArray[np.int64]:
        """How many elements of the table each unique reflection has; shape (n,)."""
        import numpy as np

        return np.bincount(self.index[self.index >= 0], minlength=len(self))

    def expand(self, values: Any, default_f: float = 0.0) -> Any:
        """The table of one value for each unique reflection.

        values: shape (n,), an array or a tensor.  The result is of the same kind and type, shape
        (nh, nk, nl): 0 at systematic absences, `default_f` at what is no reflection of the range.
        Raises `ConfigError` for another shape.
        """
        default_f = _finite(default_f)
        values = self._checked("values", values, (len(self),))
        is_reflection = self.index >= 0
        if is_ndarray(values):
            import numpy as np

            table = np.full(self.index.shape, default_f, np.result_type(values, np.float32))
        else:
            table = values.new_full(self.index.shape, default_f)
        if default_f != 0.0:
            table[self.index == ABSENT] = 0.0
        table[is_reflection] = values[self.index[is_reflection]]
        return table

    def sum(self, table: Any) -> Any:
        """What the elements of a table add up to for each unique reflection: the derivative by the
        unique amplitudes, from that by the elements.

        table: shape (nh, nk, nl), an array or a tensor.  The result has shape (n,).  Raises
        `ConfigError` for another shape.
        """
        table = self._checked("table", table, self.index.shape)
        is_reflection = self.index >= 0
        which, summands = self.index[is_reflection], table[is_reflection]
        if is_ndarray(table):
            import numpy as np

            return np.bincount(which, weights=summands, minlength=len(self))
        places = table.detach().new_empty(0).long().new_tensor(which)
        return table.new_zeros(len(self)).index_add(0, places, summands)

    def _checked(self, name: str, given: Any, shape: tuple[int, ...]) -> Any:
        is_numbers = True
        if not hasattr(given, "new_full"):  # which tensors have
            given = _array(name, given)
            is_numbers = given.dtype.kind in "iuf"
        if tuple(given.shape) != shape or not is_numbers:
            raise ConfigError(
                f"unique_reflections.{name}",
                Description(f"{given.dtype} of shape {tuple(given.shape)}"),
                f"numbers of shape {shape}",
            )
        return given


def _finite(default_f: object) -> float:
    try:
        return FINITE.normalise(default_f)
    except ValueError:
        raise ConfigError("unique_reflections.default_f", default_f, FINITE.text) from None


def _array(name: str, given: Any) -> NDArray[Any]:
    refuse_masked(f"unique_reflections.{name}", given)
    try:
        return as_ndarray(given)
    except (TypeError, ValueError, RuntimeError):
        kind = Description(f"a {type(given).__name__} that numpy makes no array of")
        raise ConfigError(f"unique_reflections.{name}", kind, "an array of numbers") from None


def unique_reflections(
    hkl: NDArray[np.int32],
    rotations: NDArray[np.int32],
    *,
    space_group: str,
    anomalous: bool,
    is_absent: Any,
    limits: Sequence[int] = (0, 0, 0),
) -> UniqueReflections:
    """From one of each set of equivalents, Friedel mates taken for such.

    hkl: shape (n, 3), none of them systematically absent.  rotations: shape (m, 3, 3), those of the
    space group: the equivalents of a row hkl are hkl @ rotation.  is_absent: a function that says
    of int32 indices, shape (p, 3), which are systematically absent.  limits: the table goes at
    least as far, to either side of 0.  Raises `ResourceError` if it does not fit into memory.
    """
    import numpy as np

    largest = np.array(limits, np.int64)
    for rotation in rotations:
        largest = np.maximum(largest, np.abs(hkl @ rotation).max(axis=0, initial=0))
    shape = tuple(int(n) for n in 2 * largest + 1)
    elements = shape[0] * shape[1] * shape[2]
    require_memory({"structure factor table": 12 * elements})
    index = np.full(shape, OUTSIDE, np.int32)

    def place(rows: NDArray[np.int32], which: NDArray[np.int32], signs: Sequence[int]) -> None:
        for rotation in rotations:
            turned = rows @ rotation
            for sign in signs:
                index[tuple((sign * turned + largest).T)] = which

    which = np.arange(len(hkl), dtype=np.int32)
    place(hkl, which, (1,) if anomalous else (1, -1))
    unique = hkl
    if anomalous:
        mates = -hkl
        mates = mates[index[tuple((mates + largest).T)] == OUTSIDE]
        place(mates, np.arange(len(hkl), len(hkl) + len(mates), dtype=np.int32), (1,))
        unique = np.concatenate([hkl, mates])
    for h in range(shape[0]):  # a plane at a time, for memory's sake
        k, l = np.nonzero(index[h] == OUTSIDE)
        rows = np.column_stack([np.full(len(k), h), k, l]) - largest
        absent = is_absent(np.ascontiguousarray(rows, dtype=np.int32))
        index[h, k[absent], l[absent]] = ABSENT
    unique = np.ascontiguousarray(unique, dtype=np.int32)
    for array in (unique, index):
        array.setflags(write=False)
    first = (-int(largest[0]), -int(largest[1]), -int(largest[2]))
    return UniqueReflections(unique, index, first, space_group, anomalous)
