"""Frozen classes of named, typed fields: what the package's configuration and results are made of.

To everybody who looks they are frozen dataclasses with slots: `dataclasses.fields`, `replace`,
`asdict` and `is_dataclass` take them.  They are made here because `dataclasses` writes source text
for each class and needs Python's own parser to be loaded, which takes longer than rendering a small
image; it is imported when somebody asks it about one of these classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, dataclass_transform

if TYPE_CHECKING:
    import dataclasses

_REQUIRED: Any = object()
"""The default of a field that has none."""

_set = object.__setattr__


class Field:
    """What a class says about one of its fields; its default may be made anew by a function."""

    __slots__ = ("default", "default_factory", "metadata")

    def __init__(
        self,
        default: Any,
        default_factory: Callable[[], Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.metadata = metadata or {}


def field(
    *,
    default: Any = _REQUIRED,
    default_factory: Callable[[], Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    """A field with more than a default, as `dataclasses.field`."""
    return Field(default, default_factory, metadata)


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
class _RecordType(type):
    """Turns the annotations of a class into slots and keeps what it says about them."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], members: dict[str, Any], *, kw_only: bool = False
    ) -> _RecordType:
        own: dict[str, Field] = {}
        for key in members.get("__annotations__", ()):
            said = members.pop(key, _REQUIRED)
            own[key] = said if isinstance(said, Field) else Field(said)
        fields: dict[str, Field] = {}
        for base in reversed(bases):
            fields |= getattr(base, "_fields", {})
            kw_only = kw_only or getattr(base, "_kw_only", False)
        members["__slots__"] = tuple(key for key in own if key not in fields)
        fields |= own
        members["_fields"] = fields
        members["_kw_only"] = kw_only
        members["__match_args__"] = () if kw_only else tuple(fields)
        return super().__new__(mcs, name, bases, members)


class _AsDataclass:
    """An attribute by which Python knows a dataclass, made when it is first asked for."""

    def __init__(self, make: Callable[[type[Record]], Any]) -> None:
        self._make = make

    def __get__(self, record: object, cls: type[Record]) -> Any:
        return self._make(cls)


@cache
def _twin(cls: type[Record]) -> Any:
    """The dataclass that has the fields of a class of ours."""
    import dataclasses

    fields: list[tuple[str, Any, Any]] = []
    types: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        types |= vars(base).get("__annotations__", {})
    for name, said in cls._fields.items():
        default = {} if said.default is _REQUIRED else {"default": said.default}
        if said.default_factory is not None:
            default = {"default_factory": said.default_factory}
        fields.append((name, types[name], dataclasses.field(**default, metadata=said.metadata)))
    return dataclasses.make_dataclass(
        cls.__name__, fields, frozen=True, eq=False, repr=False, kw_only=cls._kw_only
    )


def _signature(cls: type[Record]) -> Any:
    """How to call the class; None, so that others look for themselves, if it has its own way."""
    import inspect

    return inspect.signature(_twin(cls)) if cls.__init__ is Record.__init__ else None


class Record(metaclass=_RecordType):
    """Equal if class and fields are equal; printed as the call that makes it.

    A subclass annotates its fields as a dataclass does, with `field` for what is more than a
    default.  Its `__post_init__` may check them and, with `object.__setattr__`, set them once more.
    """

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
        _fields: ClassVar[dict[str, Field]]
        _kw_only: ClassVar[bool]
    else:
        __dataclass_fields__ = _AsDataclass(lambda cls: _twin(cls).__dataclass_fields__)
        __dataclass_params__ = _AsDataclass(lambda cls: _twin(cls).__dataclass_params__)
        __signature__ = _AsDataclass(_signature)

        def __init__(self, *args, **named):
            cls = type(self)
            if len(args) > len(cls.__match_args__):
                most = len(cls.__match_args__)
                raise TypeError(f"{cls.__name__}() takes {most} values, {len(args)} were given")
            for name, value in zip(cls._fields, args, strict=False):
                if name in named:
                    raise TypeError(f"{cls.__name__}() got two values for {name!r}")
                _set(self, name, value)
            for name, said in list(cls._fields.items())[len(args) :]:
                if name in named:
                    value = named.pop(name)
                elif said.default_factory is not None:
                    value = said.default_factory()
                elif said.default is not _REQUIRED:
                    value = said.default
                else:
                    raise TypeError(f"{cls.__name__}() needs a value for {name!r}")
                _set(self, name, value)
            if named:
                raise TypeError(f"{cls.__name__}() has no field {next(iter(named))!r}")
            self.__post_init__()

    def __post_init__(self) -> None:
        pass

    def __setattr__(self, name: str, value: object) -> NoReturn:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __replace__(self, /, **changes: Any) -> Record:
        return replaced(self, **changes)

    def __getstate__(self) -> object:
        return _values(self)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        for name, value in zip(self._fields, state, strict=True):
            _set(self, name, value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(_values(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in items(self))
        return f"{type(self).__name__}({shown})"


R = TypeVar("R", bound=Record)


def names(record: Record | type[Record]) -> tuple[str, ...]:
    """The names of its fields, in order."""
    return tuple(record._fields)


def items(record: Record) -> Iterator[tuple[str, Any]]:
    """Its fields, names and values, in order."""
    return ((name, getattr(record, name)) for name in record._fields)


def said_of(record: Record | type[Record], name: str) -> Mapping[str, Any]:
    """The metadata of a field."""
    return record._fields[name].metadata


def replaced(record: R, **changes: Any) -> R:
    """A copy with other values for some fields, as `dataclasses.replace`."""
    return type(record)(**{**dict(items(record)), **changes})


def _values(record: Any) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in record._fields)
