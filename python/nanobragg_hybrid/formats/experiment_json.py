"""Experiments as plain data and as JSON text.

The format is stable within a schema version: a file written by one release is read by every later
one.  Numbers are written with as many digits as give back the same bits.  A file may say with which
quirks its experiment is to be rendered; without that entry it is with all of them on.

Version 1 knows no panels, and is what an experiment without any is written as: earlier releases
read it.  Version 2 is version 1 with the entry "panels" of the detector.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

from nanobragg_hybrid.base.atomic import atomic_write
from nanobragg_hybrid.base.errors import ConfigError, FileFormatError, NanobraggWarning, suggestion
from nanobragg_hybrid.formats.text import read_text
from nanobragg_hybrid.model.background import (
    Background,
    BackgroundOffset,
    RadialBackground,
    Scatterer,
)
from nanobragg_hybrid.model.beam import Beam, Source
from nanobragg_hybrid.model.crystal import Crystal
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.goniometer import Goniometer
from nanobragg_hybrid.model.mask import Mask
from nanobragg_hybrid.model.output import Output
from nanobragg_hybrid.model.panel import Panel
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.response import PointSpread, Response
from nanobragg_hybrid.model.rotations import Rotations
from nanobragg_hybrid.model.sampling import Sampling
from nanobragg_hybrid.model.spectrum import Spectrum

FORMAT: Final = "nanobragg-hybrid experiment"
SCHEMA_VERSION: Final = 1
SCHEMA_VERSION_OF_PANELS: Final = 2

_NEEDED: Final = "an experiment as JSON"
_SECTIONS: Final[Mapping[str, type]] = {
    "beam": Beam,
    "crystal": Crystal,
    "goniometer": Goniometer,
    "detector": Detector,
    "sampling": Sampling,
    "output": Output,
    "background": Background,
    "response": Response,
}
_MAY_BE_NONE: Final = frozenset({"background", "response"})


class SavedRun(NamedTuple):
    """What a file says: the experiment, and the quirks to render it with (all on if it says
    nothing about them)."""

    experiment: Experiment
    quirks: Quirks


def experiment_to_dict(experiment: Experiment, quirks: Quirks | None = None) -> dict[str, Any]:
    """Plain data (dict, list, str, int, float, bool, None) with format and schema version.

    `quirks`, if given, are written as the text that `Quirks.parse` reads.
    """
    has_panels = experiment.detector.panels is not None
    version = SCHEMA_VERSION_OF_PANELS if has_panels else SCHEMA_VERSION
    data: dict[str, Any] = {"format": FORMAT, "schema_version": version}
    if quirks is not None:
        if not isinstance(quirks, Quirks):
            raise ConfigError("quirks", quirks, "an object of class Quirks, or None")
        data["quirks"] = str(quirks)
    for name in _SECTIONS:
        part = getattr(experiment, name)
        if part is not None:
            data[name] = plain_value(part)
    if not has_panels:
        del data["detector"]["panels"]
    return data


def experiment_from_dict(data: Mapping[str, Any]) -> Experiment:
    """The experiment of `run_from_dict`; warns if the data has quirks that are not all on."""
    return _experiment(run_from_dict(data))


def run_from_dict(data: Mapping[str, Any]) -> SavedRun:
    """The inverse of `experiment_to_dict`.

    Fields and sections left out get their defaults.  Raises `ConfigError` for another format or
    schema version, an unknown key and every value that breaks its field's rule.
    """
    if not isinstance(data, Mapping):
        raise ConfigError("experiment", data, "a mapping")
    if data.get("format") != FORMAT:
        raise ConfigError("format", data.get("format"), f"{FORMAT!r}")
    version = data.get("schema_version")
    versions = (SCHEMA_VERSION, SCHEMA_VERSION_OF_PANELS)
    if type(version) is not int or version not in versions:
        rule = f"{SCHEMA_VERSION} or {SCHEMA_VERSION_OF_PANELS}, which this version reads"
        raise ConfigError("schema_version", version, rule)
    quirks = _quirks(data["quirks"]) if "quirks" in data else Quirks()
    sections: dict[str, Any] = {}
    for name, value in data.items():
        if name in ("format", "schema_version", "quirks"):
            continue
        if name not in _SECTIONS:
            known = ", ".join(_SECTIONS)
            rule = f"only the keys quirks, {known}{suggestion(name, ('quirks', *_SECTIONS))}"
            raise ConfigError("experiment", name, rule)
        if value is None and name in _MAY_BE_NONE:
            continue
        fields = _fields(_SECTIONS[name], value, name)
        if name == "beam" and fields.get("sources") is not None:
            fields["sources"] = _records(Source, fields["sources"], "beam.sources")
        if name == "beam" and fields.get("spectrum") is not None:
            fields["spectrum"] = Spectrum(**_fields(Spectrum, fields["spectrum"], "beam.spectrum"))
        if name == "crystal" and fields.get("mosaic_rotations") is not None:
            fields["mosaic_rotations"] = Rotations.from_dict(fields["mosaic_rotations"])
        if name == "detector" and fields.get("mask") is not None:
            fields["mask"] = Mask.from_dict(fields["mask"])
        if name == "background":
            _background(fields)
        if name == "response" and fields.get("point_spread") is not None:
            fields["point_spread"] = _record(
                PointSpread, fields["point_spread"], "response.point_spread"
            )
        if name == "detector" and fields.get("panels") is not None:
            if version == SCHEMA_VERSION:
                rule = f"{SCHEMA_VERSION_OF_PANELS} for a detector with panels"
                raise ConfigError("schema_version", version, rule)
            fields["panels"] = _panels(fields["panels"])
        sections[name] = _made(_SECTIONS[name], fields, name)
    return SavedRun(Experiment(**sections), quirks)


def experiment_to_json(experiment: Experiment, quirks: Quirks | None = None) -> str:
    """JSON text, indented, with a newline at its end."""
    import json

    return json.dumps(experiment_to_dict(experiment, quirks), indent=2, allow_nan=False) + "\n"


def experiment_from_json(text: str) -> Experiment:
    """The experiment of `run_from_json`; warns if the text has quirks that are not all on."""
    return _experiment(run_from_json(text))


def run_from_json(text: str, name: str = "experiment") -> SavedRun:
    """The inverse of `experiment_to_json`; `name` is what messages call the text.

    Raises `FileFormatError` for text that is no JSON, has a key twice or names no quirks that there
    are, and what `run_from_dict` raises.
    """
    if not isinstance(text, str):
        raise ConfigError("text", text, "JSON text")
    return run_from_dict(parsed_json(text, name))


def save(
    experiment: Experiment, path: str | os.PathLike[str], quirks: Quirks | None = None
) -> None:
    """Writes the JSON text to a file; see `Experiment.save`."""
    text = experiment_to_json(experiment, quirks)
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))


def load(path: str | os.PathLike[str]) -> Experiment:
    """Reads the experiment of a file written by `save`; see `Experiment.load`."""
    return _experiment(run_from_json(read_text(path, _NEEDED, own="JSON"), os.fspath(path)))


def load_run(path: str | os.PathLike[str]) -> SavedRun:
    """Reads a file written by `save`: the experiment, and the quirks to render it with.

    All quirks are on if the file says nothing about them.  Raises `FileAccessError`,
    `FileFormatError`, also for quirks that there are not, or `ConfigError` for other values.
    """
    return run_from_json(read_text(path, _NEEDED, own="JSON"), os.fspath(path))


def load_light(path: str | os.PathLike[str]) -> tuple[Background | None, Response]:
    """Background and response of a file that has these parts of an experiment and no other.

    Raises `FileAccessError`, `FileFormatError`, or `ConfigError` for values in it, for another part
    and for a file without a response.
    """
    needed = "a response as JSON"
    data = parsed_json(read_text(path, needed, own="JSON"), os.fspath(path))
    if isinstance(data, Mapping):
        others = [name for name in data if name not in (*_MAY_BE_NONE, "format", "schema_version")]
        if others:
            rule = "only background and response here: the words say the rest"
            raise ConfigError(f"{os.fspath(path)}: experiment", others[0], rule)
        data = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **data}
    experiment = run_from_dict(data).experiment
    if experiment.response is None:
        raise ConfigError(f"{os.fspath(path)}: response", None, "a response")
    return experiment.background, experiment.response


def parsed_json(text: str, name: str) -> Any:
    """The data of JSON text whose quirks, if it has any, are known."""
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
    if isinstance(data, dict) and "quirks" in data:
        try:
            _quirks(data["quirks"])
        except ConfigError as error:
            raise FileFormatError(name, 0, str(error)) from None
    return data


def _experiment(run: SavedRun) -> Experiment:
    """The experiment of a run; the warning points at who called the method of `Experiment`."""
    if run.quirks != Quirks():
        text = f"the quirks {str(run.quirks)!r} are no part of an Experiment: load_run reads both"
        warnings.warn(text, NanobraggWarning, stacklevel=4)
    return run.experiment


def _quirks(text: object) -> Quirks:
    if not isinstance(text, str):
        raise ConfigError("quirks", text, "a text like 'none,+phi_carryover'")
    return Quirks.parse(text)


def plain_value(value: Any) -> Any:
    """A value of a configuration as JSON has it."""
    if isinstance(value, Mask | Rotations):
        return value.to_dict()
    if dataclasses.is_dataclass(value):
        return {f.name: plain_value(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain_value(item) for item in value]
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
            rule = "only the keys " + ", ".join(names) + suggestion(name, names)
            raise ConfigError(path, name, rule)
    return {name: math.inf if value == "inf" else value for name, value in data.items()}


def _background(fields: dict[str, Any]) -> None:
    """Replaces what stands for objects by these objects."""
    for name, of in (("scatterers", Scatterer), ("offsets", BackgroundOffset)):
        if name in fields:
            fields[name] = _records(of, fields[name], f"background.{name}")
    if fields.get("radial") is not None:
        fields["radial"] = _record(RadialBackground, fields["radial"], "background.radial")


def _records(of: type, data: object, path: str) -> tuple[Any, ...]:
    none = ", or None" if of is Source else ""
    if not isinstance(data, list | tuple):
        raise ConfigError(path, data, f"a list of {path.rpartition('.')[2]}{none}")
    return tuple(_record(of, item, f"{path}[{n}]") for n, item in enumerate(data))


def _record(of: type, data: object, path: str) -> Any:
    return _made(of, _fields(of, data, path), path)


def _made(of: type, fields: dict[str, Any], path: str) -> Any:
    """The object; ConfigError for a field without a default that is not there."""
    for field in dataclasses.fields(of):
        has_default = field.default is not dataclasses.MISSING
        if not has_default and field.name not in fields:
            raise ConfigError(path, sorted(fields), f"also the key {field.name}")
    return of(**fields)


def _panels(data: object) -> tuple[Panel, ...]:
    if not isinstance(data, list | tuple):
        raise ConfigError("detector.panels", data, "a list of panels, or None")
    panels = []
    for n, item in enumerate(data):
        path = f"detector.panels[{n}]"
        fields = _fields(Panel, item, path)
        for needed in dataclasses.fields(Panel):
            if needed.default is dataclasses.MISSING and needed.name not in fields:
                raise ConfigError(path, f"no {needed.name}", "one")
        if fields.get("mask") is not None:
            fields["mask"] = Mask.from_dict(fields["mask"])
        panels.append(Panel(**fields))
    return tuple(panels)
