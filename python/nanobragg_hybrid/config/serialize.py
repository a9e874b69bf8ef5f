"""Experiments as plain data and as JSON text.

The format is stable within a schema version: a file written by one release is read by every later
one.  Numbers are written with as many digits as give back the same bits.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

from nanobragg_hybrid.errors import ConfigError, FileFormatError

from .beam import Beam, Source
from .crystal import Crystal
from .detector import Detector
from .goniometer import Goniometer
from .mask import Mask
from .output import Output
from .sampling import Sampling

if TYPE_CHECKING:
    from .experiment import Experiment

FORMAT: Final = "nanobragg-hybrid experiment"
SCHEMA_VERSION: Final = 1

_SECTIONS: Final[Mapping[str, type]] = {
    "beam": Beam,
    "crystal": Crystal,
    "goniometer": Goniometer,
    "detector": Detector,
    "sampling": Sampling,
    "output": Output,
}


def experiment_to_dict(experiment: Experiment) -> dict[str, Any]:
    """Plain data (dict, list, str, int, float, bool, None) with format and schema version."""
    data: dict[str, Any] = {"format": FORMAT, "schema_version": SCHEMA_VERSION}
    for name in _SECTIONS:
        data[name] = _plain(getattr(experiment, name))
    return data


def experiment_from_dict(data: Mapping[str, Any]) -> Experiment:
    """The inverse of `experiment_to_dict`.

    Fields and sections left out get their defaults.  Raises `ConfigError` for another format or
    schema version, an unknown key and every value that breaks its field's rule.
    """
    from .experiment import Experiment

    if not isinstance(data, Mapping):
        raise ConfigError("experiment", data, "a mapping")
    if data.get("format") != FORMAT:
        raise ConfigError("format", data.get("format"), f"{FORMAT!r}")
    version = data.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise ConfigError("schema_version", version, f"{SCHEMA_VERSION}, which this version reads")
    sections: dict[str, Any] = {}
    for name, value in data.items():
        if name in ("format", "schema_version"):
            continue
        if name not in _SECTIONS:
            raise ConfigError("experiment", name, "only the keys " + ", ".join(_SECTIONS))
        fields = _fields(_SECTIONS[name], value, name)
        if name == "beam" and fields.get("sources") is not None:
            fields["sources"] = _sources(fields["sources"])
        if name == "detector" and fields.get("mask") is not None:
            fields["mask"] = Mask.from_dict(fields["mask"])
        sections[name] = _SECTIONS[name](**fields)
    return Experiment(**sections)


def experiment_to_json(experiment: Experiment) -> str:
    """JSON text, indented, with a newline at its end."""
    import json

    return json.dumps(experiment_to_dict(experiment), indent=2, allow_nan=False) + "\n"


def experiment_from_json(text: str, name: str = "experiment") -> Experiment:
    """The inverse of `experiment_to_json`; `name` is what messages call the text.

    Raises `FileFormatError` for text that is no JSON or has a key twice, and what
    `experiment_from_dict` raises.
    """
    import json

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise FileFormatError(name, 0, f"the key {key!r} is there twice")
        return dict(pairs)

    def no_constant(word: str) -> NoReturn:
        raise FileFormatError(name, 0, f"{word} is no JSON number")

    try:
        data = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise FileFormatError(name, error.lineno, f"no JSON: {error.msg}") from None
    except FileFormatError:
        raise
    except (ValueError, RecursionError) as error:  # a number too long, brackets too deep
        raise FileFormatError(name, 0, f"no JSON of an experiment: {error}") from None
    return experiment_from_dict(data)


def _plain(value: Any) -> Any:
    if isinstance(value, Mask):
        return value.to_dict()
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf"  # only an attenuation depth can be infinite, and JSON has no word for it
    return value


def _fields(cls: type, data: object, path: str) -> dict[str, Any]:
    """The keyword arguments for `cls` in `data`; ConfigError for a key that is no field."""
    if not isinstance(data, Mapping):
        raise ConfigError(path, data, "a mapping")
    names = [field.name for field in dataclasses.fields(cls)]
    for name in data:
        if name not in names:
            raise ConfigError(path, name, "only the keys " + ", ".join(names))
    return {name: math.inf if value == "inf" else value for name, value in data.items()}


def _sources(data: object) -> tuple[Source, ...]:
    if not isinstance(data, list | tuple):
        raise ConfigError("beam.sources", data, "a list of sources, or None")
    return tuple(
        Source(**_fields(Source, item, f"beam.sources[{n}]")) for n, item in enumerate(data)
    )
