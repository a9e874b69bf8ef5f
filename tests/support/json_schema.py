"""Documents against the schemas that the package documents them with.

Knows the words of JSON Schema that these schemas use, and refuses others.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nanobragg_hybrid

SCHEMAS = Path(nanobragg_hybrid.__file__).parent / "compare" / "schemas"
KNOWN = {
    *("$schema", "title", "description", "$defs", "$ref", "anyOf", "const", "enum", "type"),
    *("properties", "required", "additionalProperties", "items", "minItems", "maxItems"),
    *("minimum", "maximum"),
}
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def schema(name: str) -> dict[str, Any]:
    """A schema of the package, by file name without suffix."""
    content: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text())
    return content


def problems(document: Any, root: dict[str, Any]) -> list[str]:
    """What is wrong with `document`, one line each, with the place where it is."""
    return _problems(document, root, root, "$")


def _problems(value: Any, rule: dict[str, Any], root: dict[str, Any], at: str) -> list[str]:
    unknown = rule.keys() - KNOWN
    assert not unknown, f"schema word not supported: {sorted(unknown)}"
    if "$ref" in rule:
        match = re.fullmatch(r"#/\$defs/(\w+)", rule["$ref"])
        assert match is not None
        return _problems(value, root["$defs"][match[1]], root, at)
    found: list[str] = []
    if "anyOf" in rule:
        choices = [_problems(value, choice, root, at) for choice in rule["anyOf"]]
        if all(choices):
            found.append(f"{at}: fits no choice: {'; '.join(c[0] for c in choices)}")
    if "const" in rule and value != rule["const"]:
        found.append(f"{at}: got {value!r}, need {rule['const']!r}")
    if "enum" in rule and value not in rule["enum"]:
        found.append(f"{at}: got {value!r}, need one of {rule['enum']}")
    kinds = rule.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return [*found, f"{at}: got {value!r}, need {' or '.join(kinds)}"]
    if _is(value, "number") and not (
        rule.get("minimum", value) <= value <= rule.get("maximum", value)
    ):
        found.append(f"{at}: got {value!r}, which is out of range")
    if isinstance(value, dict):
        found += _object_problems(value, rule, root, at)
    if isinstance(value, list):
        if not rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value)):
            found.append(f"{at}: got {len(value)} items")
        for n, item in enumerate(value):
            found += _problems(item, rule.get("items", {}), root, f"{at}[{n}]")
    return found


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind in {"integer", "number"}:
        return False
    return isinstance(value, TYPES[kind])


def _object_problems(
    value: dict[str, Any], rule: dict[str, Any], root: dict[str, Any], at: str
) -> list[str]:
    properties = rule.get("properties", {})
    found = [f"{at}: lacks {name}" for name in rule.get("required", []) if name not in value]
    for name, item in value.items():
        others = rule.get("additionalProperties", True)
        if name in properties:
            found += _problems(item, properties[name], root, f"{at}.{name}")
        elif others is False:
            found.append(f"{at}: {name} is not in the schema")
        elif isinstance(others, dict):
            found += _problems(item, others, root, f"{at}.{name}")
    return found
