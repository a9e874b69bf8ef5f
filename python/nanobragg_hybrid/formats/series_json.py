"""The recipe of a series as plain data and as JSON text, and its hash.

Numbers are written with as many digits as give back the same bits.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from nanobragg_hybrid.base.atomic import atomic_write
from nanobragg_hybrid.base.errors import ConfigError, suggestion
from nanobragg_hybrid.formats.experiment_json import (
    SCHEMA_VERSION_OF_PANELS,
    experiment_from_dict,
    experiment_to_dict,
    parsed_json,
    plain_value,
)
from nanobragg_hybrid.formats.text import read_text
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.series import Series, kind_name
from nanobragg_hybrid.model.series_kinds import (
    ParameterGrid,
    RandomStills,
    RotationWedge,
    SasePulses,
    SeriesKind,
)

FORMAT: Final = "nanobragg-hybrid series"
SCHEMA_VERSION: Final = 1
_NEEDED: Final = "a series as JSON"
_HEAD: Final = ("format", "schema_version")
_KEYS: Final = tuple(field.name for field in dataclasses.fields(Series))
_KINDS: Final[Mapping[str, type[SeriesKind]]] = {
    "rotation": RotationWedge,
    "stills": RandomStills,
    "grid": ParameterGrid,
}


def series_to_dict(series: Series) -> dict[str, Any]:
    """Plain data with format and schema version; see `Series.to_dict`."""
    kind: dict[str, Any] = {"name": kind_name(series.kind)}
    if isinstance(series.kind, ParameterGrid):
        kind["axes"] = [
            [path, [plain_value(value) for value in values]] for path, values in series.kind.axes
        ]
    else:
        kind.update(plain_value(series.kind))
    data: dict[str, Any] = {"format": FORMAT, "schema_version": SCHEMA_VERSION}
    for name in _KEYS:
        if name == "kind":
            data[name] = kind
        elif name == "experiment":
            data[name] = experiment_to_dict(series.experiment)
        else:
            data[name] = plain_value(getattr(series, name))
    return data


def series_from_dict(data: Mapping[str, Any]) -> Series:
    """The inverse of `series_to_dict`.

    Raises `ConfigError` for another format or schema version, an unknown key and every value that
    breaks its field's rule.
    """
    if not isinstance(data, Mapping):
        raise ConfigError("series", data, "a mapping")
    if data.get("format") != FORMAT:
        raise ConfigError("format", data.get("format"), f"{FORMAT!r}")
    version = data.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        rule = f"{SCHEMA_VERSION}, which this version reads"
        raise ConfigError("schema_version", version, rule)
    values = {name: value for name, value in data.items() if name not in _HEAD}
    for name in values:
        if name not in _KEYS:
            rule = f"only the keys {', '.join(_KEYS)}{suggestion(name, _KEYS)}"
            raise ConfigError("series", name, rule)
    for name in ("experiment", "kind", "frames"):
        if name not in values:
            raise ConfigError(f"series.{name}", None, "a value: it has no default")
    experiment = experiment_from_dict(values.pop("experiment"))
    kind = _kind(values.pop("kind"), experiment)
    if values.get("spectrum") is not None:
        values["spectrum"] = _made(SasePulses, values["spectrum"], "series.spectrum")
    return Series(experiment, kind, **values)


def series_to_json(series: Series) -> str:
    """JSON text, indented, with a newline at its end."""
    return json.dumps(series_to_dict(series), indent=2, allow_nan=False) + "\n"


def series_from_json(text: str, name: str = "series") -> Series:
    """The inverse of `series_to_json`; `name` is what messages call the text."""
    if not isinstance(text, str):
        raise ConfigError("text", text, "JSON text")
    return series_from_dict(parsed_json(text, name))


def save_series(series: Series, path: str | os.PathLike[str]) -> None:
    """Writes the JSON text to a file; see `Series.save`."""
    text = series_to_json(series)
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def load_series(path: str | os.PathLike[str]) -> Series:
    """Reads a file written by `save_series`; see `Series.load`."""
    return series_from_json(read_text(path, _NEEDED, own="JSON"), os.fspath(path))


def recipe_hash(data: Mapping[str, Any]) -> str:
    """SHA-256 of plain data, hexadecimal: of its JSON text without blanks, keys in order."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _kind(data: object, experiment: Experiment) -> SeriesKind:
    if not isinstance(data, Mapping) or data.get("name") not in _KINDS:
        given = data.get("name") if isinstance(data, Mapping) else data
        raise ConfigError("series.kind.name", given, f"one of {', '.join(_KINDS)}")
    cls = _KINDS[data["name"]]
    values = {name: value for name, value in data.items() if name != "name"}
    if cls is ParameterGrid and isinstance(values.get("axes"), list):
        values["axes"] = [_axis(axis, experiment) for axis in values["axes"]]
    made: SeriesKind = _made(cls, values, "series.kind")
    return made


def _axis(axis: object, experiment: Experiment) -> object:
    """An axis whose values are those that stand in the experiment's JSON."""
    if not isinstance(axis, list) or len(axis) != 2 or not isinstance(axis[1], list):
        return axis  # for `ParameterGrid` to complain about
    path, values = axis
    part, _, name = str(path).partition(".")
    made = []
    for value in values:
        data = experiment_to_dict(experiment)
        data["schema_version"] = SCHEMA_VERSION_OF_PANELS
        if not name:
            data[part] = value
        elif isinstance(data.get(part), dict):
            data[part][name] = value
        else:
            return axis
        whole = getattr(experiment_from_dict(data), part)
        made.append(getattr(whole, name) if name else whole)
    return path, made


def _made(cls: type, data: object, path: str) -> Any:
    """An object of a recipe's part; `ConfigError` for keys that are missing or too many."""
    if not isinstance(data, Mapping):
        raise ConfigError(path, data, "a mapping")
    names = [field.name for field in dataclasses.fields(cls)]
    for name in data:
        if name not in names:
            rule = f"only the keys {', '.join(names)}{suggestion(name, names)}" if names else "none"
            raise ConfigError(path, name, rule)
    for field in dataclasses.fields(cls):
        if field.default is dataclasses.MISSING and field.name not in data:
            raise ConfigError(f"{path}.{field.name}", None, "a value: it has no default")
    return cls(**data)
