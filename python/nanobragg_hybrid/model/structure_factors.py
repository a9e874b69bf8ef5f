"""Structure factors: a dense table of amplitudes over h, k, l (model 6.5)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final, Literal

from nanobragg_hybrid.base.arrays import (
    array_fields,
    as_buffer,
    as_ndarray,
    is_boolean,
    is_ndarray,
    refuse_masked,
    stored,
)
from nanobragg_hybrid.base.constants import INT32_MAX, INT32_MIN
from nanobragg_hybrid.base.errors import ConfigError, Description, NanobraggWarning
from nanobragg_hybrid.base.host import require_memory, sparse_table_text
from nanobragg_hybrid.base.lazy import work_of
from nanobragg_hybrid.model.validate import FINITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from nanobragg_hybrid.base.arrays import Buffer
    from nanobragg_hybrid.model.reflection_report import ReflectionReport
    from nanobragg_hybrid.model.unique_reflections import UniqueReflections


_FILLED_AT_A_TIME: Final = 2**24


@array_fields("grid")
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StructureFactors:
    """Amplitudes |F| in electrons, any sign.

    >>> import nanobragg_hybrid as nb
    >>> nb.StructureFactors.from_reflections([[1, 0, 0], [0, 1, 2]], [30.0, 12.5]).reflections
    2

    grid: float64, shape (nh, nk, nl), C-contiguous and read-only: amplitude of reflection
        (h, k, l) at [h - h_min, k - k_min, l - l_min]; None: no table.
    hkl_min: the indices of the first element; 32-bit integers.
    default_f: amplitude of everything outside the table.
    reflections: how many reflections were listed where the table came from; 0 if that is not known.
    allow_non_finite: True accepts infinities and NaN in the grid, which nanoBragg's binary dumps
        can bring.
    unique: which elements are the same reflection by symmetry; None: that is not known, as of a
        table that was listed in P1.
    report: cell, space group, completeness and what was assumed, where they are known.

    Two objects are equal if table, place and default_f are (NaN equal to NaN).  Raises
    `ConfigError`.
    """

    grid: NDArray[np.float64] | None = None
    hkl_min: tuple[int, int, int] = (0, 0, 0)
    default_f: float = 0.0
    reflections: int = 0
    allow_non_finite: bool = False
    unique: UniqueReflections | None = None
    report: ReflectionReport | None = None

    def __post_init__(self) -> None:
        default_f = _finite(self.default_f, "structure_factors.default_f")
        object.__setattr__(self, "default_f", default_f)
        given_first: Any = self.hkl_min
        if is_ndarray(given_first):
            given_first = given_first.ravel().tolist()
        if not isinstance(given_first, list | tuple):
            given_first = (given_first,)  # which is not three
        first = tuple(given_first)
        if len(first) != 3 or not all(_is_int(n) and INT32_MIN <= n <= INT32_MAX for n in first):
            raise ConfigError("structure_factors.hkl_min", first, "three integers of 32 bits")
        object.__setattr__(self, "hkl_min", tuple(int(n) for n in first))
        if not _is_int(self.reflections) or not 0 <= self.reflections < 2**63:
            need = "an integer >= 0 of 64 bits"
            raise ConfigError("structure_factors.reflections", self.reflections, need)
        if not is_boolean(self.allow_non_finite):
            field = "structure_factors.allow_non_finite"
            raise ConfigError(field, self.allow_non_finite, "True or False")
        given = stored(self, "grid")
        if given is not None:
            object.__setattr__(self, "grid", self._checked_grid(given))
        if self.unique is not None or self.report is not None:
            self._check_origin()

    @classmethod
    def constant(cls, f: float) -> StructureFactors:
        """The same amplitude for every reflection: no table, `default_f` = f."""
        return cls(default_f=f)

    @classmethod
    def from_reflections(
        cls,
        indices: ArrayLike,
        amplitudes: ArrayLike,
        default_f: float = 0.0,
        *,
        space_group: str | int | None = None,
        cell_angstrom: Sequence[float] | None = None,
        cell_deg: Sequence[float] | None = None,
        anomalous: bool = False,
        missing: Literal["zero", "default", "shell_mean"] | None = None,
        d_min_angstrom: float | None = None,
        d_max_angstrom: float | None = None,
        f000: float | None = None,
    ) -> StructureFactors:
        """The dense table over the bounds of listed reflections.

        indices: whole numbers, shape (n, 3), n >= 1.  amplitudes: finite, shape (n,), electrons.
        Elements that are not listed are `default_f`.

        Without a space group what is listed is P1 with its Friedel mates: of a reflection that is
        listed more than once the last amplitude counts, and a warning says so.

        With a `space_group` (a Hermann-Mauguin symbol or a number; needs gemmi) the equivalents of
        each reflection get its amplitude and systematic absences are 0.  Friedel mates are one
        reflection, or two if `anomalous`; then one that is not listed has the amplitude of its
        mate.  Equivalents that are listed more than once are averaged.  `unique` of the result says
        which elements are tied, `report` what was assumed.

        With a cell too (`cell_angstrom`; `cell_deg`, None: right angles) the table has every
        reflection of the range `d_min_angstrom` (None: as far as those that are listed) to
        `d_max_angstrom` (None: without end).  `missing` says what those have that are not listed:
        "zero", "default" (default_f) or "shell_mean" (the mean amplitude of their shell of
        resolution); None is "default" with a warning.  `f000`: F(000), electrons.

        Warns of a few reflections that span a large table.  Raises `ConfigError` naming the entry
        that is wrong, also for masked arrays with a masked element, `ResourceError` if the table
        would not fit into memory, and `UnsupportedError` without gemmi.
        """
        if space_group is not None:
            table: StructureFactors = work_of("StructureFactors.from_reflections")(
                indices,
                amplitudes,
                default_f,
                space_group=space_group,
                cell_angstrom=cell_angstrom,
                cell_deg=cell_deg,
                anomalous=anomalous,
                missing=missing,
                d_min_angstrom=d_min_angstrom,
                d_max_angstrom=d_max_angstrom,
                f000=f000,
            )
            return table
        belongings = {
            "cell_angstrom": cell_angstrom,
            "cell_deg": cell_deg,
            "anomalous": None if anomalous is False else anomalous,
            "missing": missing,
            "d_min_angstrom": d_min_angstrom,
            "d_max_angstrom": d_max_angstrom,
            "f000": f000,
        }
        for name, given in belongings.items():
            if given is not None:
                raise ConfigError(name, given, "None without a space_group")
        import numpy as np

        hkl, values = checked_reflections(indices, amplitudes)
        default_f = _finite(default_f, "structure_factors.default_f")
        first, last = hkl.min(axis=0), hkl.max(axis=0)
        shape = [int(n) for n in last - first + 1]
        require_memory({"structure factor table": 8 * shape[0] * shape[1] * shape[2]})
        grid = np.empty(shape)
        flat = grid.reshape(-1)
        for start in range(0, flat.size, _FILLED_AT_A_TIME):  # one call would not hear of Ctrl-C
            flat[start : start + _FILLED_AT_A_TIME] = default_f
        places = np.ravel_multi_index(tuple((hkl - first).T), shape)
        flat[places] = values
        name = "structure_factors"
        for text in (_repeated_text(hkl, places), sparse_table_text(len(hkl), shape)):
            if text is not None:
                warnings.warn(f"{name}: {text}", NanobraggWarning, stacklevel=2)
        return cls(grid, (int(first[0]), int(first[1]), int(first[2])), default_f, len(hkl))

    @classmethod
    def from_grid(
        cls,
        grid: ArrayLike,
        hkl_min: tuple[int, int, int],
        default_f: float = 0.0,
        *,
        reflections: int = 0,
        allow_non_finite: bool = False,
    ) -> StructureFactors:
        """From a dense table, whose element [0, 0, 0] is the reflection `hkl_min`.

        A read-only float64 array in C order is kept; any other is copied.
        """
        refuse_masked("structure_factors.grid", grid)
        return cls(
            _array("structure_factors.grid", grid),
            hkl_min,
            default_f,
            reflections,
            allow_non_finite,
        )

    @classmethod
    def from_reader(
        cls,
        grid: Buffer,
        hkl_min: tuple[int, int, int],
        default_f: float,
        *,
        reflections: int,
        allow_non_finite: bool = False,
    ) -> StructureFactors:
        """From memory that only a reader of files has seen: float64 in C order, which it has looked
        through for values that are not finite.  Nothing is copied and numpy stays away."""
        table = cls(None, hkl_min, default_f, reflections, allow_non_finite)
        table._check_last(grid.shape)
        object.__setattr__(table, "grid", grid.toreadonly())
        return table

    @property
    def grid_buffer(self) -> Buffer | None:
        """The memory of `grid`, which needs no numpy; None: no table."""
        grid = stored(self, "grid")
        return None if grid is None else as_buffer(grid)

    @property
    def hkl_max(self) -> tuple[int, int, int]:
        """The indices of the last element of the table; `hkl_min` if there is no table."""
        grid = stored(self, "grid")
        if grid is None:
            return self.hkl_min
        last = [n + size - 1 for n, size in zip(self.hkl_min, grid.shape, strict=True)]
        return last[0], last[1], last[2]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StructureFactors):
            return NotImplemented
        if (self.hkl_min, self.default_f) != (other.hkl_min, other.default_f):
            return False
        if self.grid is None or other.grid is None:
            return self.grid is other.grid
        import numpy as np

        return np.array_equal(self.grid, other.grid, equal_nan=True)

    def __hash__(self) -> int:
        shape = None if self.grid is None else self.grid.shape
        return hash((shape, self.hkl_min, self.default_f))

    def __repr__(self) -> str:
        if stored(self, "grid") is None:
            return f"StructureFactors.constant({self.default_f})"
        return (
            f"StructureFactors({self.hkl_min} to {self.hkl_max}, "
            f"{self.reflections} reflections, default_f={self.default_f})"
        )

    def __reduce__(self) -> tuple[type[StructureFactors], tuple[object, ...]]:
        state = (self.grid, self.hkl_min, self.default_f, self.reflections, self.allow_non_finite)
        return StructureFactors, (*state, self.unique, self.report)

    def _checked_grid(self, grid: object) -> NDArray[np.float64]:
        import numpy as np

        refuse_masked("structure_factors.grid", grid)
        array = _array("structure_factors.grid", grid)
        if array.ndim != 3 or array.size == 0 or array.dtype.kind not in "iuf":
            raise ConfigError(
                "structure_factors.grid",
                Description(f"{array.dtype} of shape {array.shape}"),
                "numbers of shape (nh, nk, nl), not empty",
            )
        is_kept = array.dtype == np.float64 and array.flags.c_contiguous
        if not is_kept or array.flags.writeable:
            array = np.array(array, dtype=np.float64, order="C")
            array.setflags(write=False)
        self._check_last(array.shape)
        if not self.allow_non_finite:
            _require_finite(array, "structure_factors.grid")
        return array

    def _check_origin(self) -> None:
        """That `unique` and `report` are such, and the first one this table's."""
        from nanobragg_hybrid.model.reflection_report import ReflectionReport
        from nanobragg_hybrid.model.unique_reflections import UniqueReflections

        origins: tuple[tuple[str, object, type], ...] = (
            ("unique", self.unique, UniqueReflections),
            ("report", self.report, ReflectionReport),
        )
        for name, value, cls in origins:
            if value is not None and not isinstance(value, cls):
                rule = f"an object of class {cls.__name__}, or None"
                raise ConfigError(f"structure_factors.{name}", value, rule)
        if self.unique is None:
            return
        shape = None if self.grid is None else self.grid.shape
        place = (self.unique.index.shape, self.unique.hkl_min)
        if place != (shape, self.hkl_min):
            raise ConfigError(
                "structure_factors.unique",
                Description(f"a table of shape {place[0]} that begins at {place[1]}"),
                f"one of shape {shape} that begins at {self.hkl_min}",
            )

    def _check_last(self, shape: tuple[int, ...]) -> None:
        if any(n + size - 1 > INT32_MAX for n, size in zip(self.hkl_min, shape, strict=True)):
            raise ConfigError(
                "structure_factors.hkl_min", self.hkl_min, "a table that ends inside 32 bits"
            )


def checked_reflections(
    indices: ArrayLike, amplitudes: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Listed reflections as arrays, shapes (n, 3) and (n,).

    `ConfigError` names the entry that is wrong.
    """
    import numpy as np

    refuse_masked("structure_factors.indices", indices)
    refuse_masked("structure_factors.amplitudes", amplitudes)
    hkl = _whole_indices(indices)
    values = _array("structure_factors.amplitudes", amplitudes)
    if values.dtype.kind not in "iuf" or values.shape != hkl.shape[:1]:
        raise ConfigError(
            "structure_factors.amplitudes",
            Description(f"{values.dtype} of shape {values.shape}"),
            f"numbers of shape ({len(hkl)},)",
        )
    values = values.astype(np.float64)
    _require_finite(values, "structure_factors.amplitudes")
    return hkl, values


def checked_default_f(value: object) -> float:
    """`ConfigError` for what is no finite number."""
    return _finite(value, "structure_factors.default_f")


def _is_int(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _finite(value: object, field: str) -> float:
    try:
        return FINITE.normalise(value)
    except ValueError:
        raise ConfigError(field, value, FINITE.text) from None


def _require_finite(values: NDArray[np.float64], field: str) -> None:
    import numpy as np

    flat = values.reshape(-1)
    parts = (flat[start : start + 2**16] for start in range(0, flat.size, 2**16))
    if not all(np.isfinite(part).all() for part in parts):
        place = np.argwhere(~np.isfinite(values))[0]
        index = ", ".join(str(n) for n in place)
        raise ConfigError(f"{field}[{index}]", float(values[tuple(place)]), "a finite value")


def _repeated_text(hkl: NDArray[np.int64], places: NDArray[np.intp]) -> str | None:
    """What to say of reflections that are listed more than once; None: there is none.

    `places` are those of the reflections `hkl` in the table.
    """
    import numpy as np

    order = np.argsort(places, kind="stable")
    again = order[1:][places[order[1:]] == places[order[:-1]]]
    if again.size == 0:
        return None
    first = int(again.min())
    h, k, l = hkl[first].tolist()
    entries = "1 entry lists" if again.size == 1 else f"{again.size} entries list"
    return (
        f"{entries} a reflection again, entry {first} for instance {h} {k} {l}: "
        "the last amplitude of each counts"
    )


def _array(name: str, value: Any) -> NDArray[Any]:
    """What is given as an array; ConfigError if numpy makes none of it (a ragged list, a tensor
    with a gradient, on another device, or sparse)."""
    try:
        return as_ndarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        (why, *_) = str(error).splitlines() or [type(error).__name__]
        kind = Description(f"a {type(value).__name__} that numpy makes no array of ({why})")
        raise ConfigError(name, kind, "an array of numbers") from None


def _whole_indices(indices: ArrayLike) -> NDArray[np.int64]:
    """The indices as integers; ConfigError names the first entry that is none of 32 bits."""
    import numpy as np

    hkl = _array("structure_factors.indices", indices)
    if hkl.dtype.kind not in "iuf" or hkl.ndim != 2 or hkl.shape[1] != 3 or len(hkl) == 0:
        raise ConfigError(
            "structure_factors.indices",
            Description(f"{hkl.dtype} of shape {hkl.shape}"),
            "whole numbers of shape (n, 3), n >= 1",
        )
    is_good = (hkl >= INT32_MIN) & (hkl <= INT32_MAX)
    if hkl.dtype.kind == "f":
        is_good &= hkl == np.floor(hkl)
    if not is_good.all():
        entry, column = np.argwhere(~is_good)[0]
        raise ConfigError(
            f"structure_factors.indices[{entry}, {column}]",
            hkl[entry, column].item(),
            "a whole number of 32 bits",
        )
    return hkl.astype(np.int64)
