"""Write docs/parameters.md: one table of every number that can be set, from the code.

    python docs/parameters/make_page.py

Fields, units, defaults and ranges are those of the configuration's classes, flags those of the
command's table, and what can be differentiated is what the torch engine lists.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any, Final

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.flags import FLAGS, OWN_OPTIONS
from nanobragg_hybrid.engines.torch.set_up.parameters import known_names

PAGE: Final = Path(__file__).parents[1] / "parameters.md"
CLASSES: Final = {
    "beam": nb.Beam,
    "crystal": nb.Crystal,
    "goniometer": nb.Goniometer,
    "detector": nb.Detector,
    "sampling": nb.Sampling,
    "output": nb.Output,
    "background": nb.Background,
    "response": nb.Response,
}
EXPECTED: Final = {
    "background.air_attenuation_per_mm",
    "background.flat_photons_per_pixel",
    "background.offsets",
    "background.radial",
    "background.scatterers",
}
"""What `ForwardModel.expected` differentiates of a background."""
HEAD: Final = """\
# Parameters

Every number that an experiment has, in one table: what the constructor of its class takes, the
unit, the default, what is accepted, the flag of the `nanoBragg` command, and whether the torch
engine differentiates the image by it ([differentiable.md](differentiable.md); "part" means numbers
inside it). A dotted name as here is what `experiment.replace`, errors and fits use. "chosen" is
`None`, the default that stands for "choose for me": `experiment.resolved()` shows what came of it.
Where several flags set a field, the first is the one that `to_nanobragg_args` writes. The fields of
a panel are in [panels.md](panels.md).

`python docs/parameters/make_page.py` writes this page from the code; a test sees when it is stale.
"""


def default_of(field: dataclasses.Field[Any]) -> str:
    """As the table has it."""
    value = field.default
    if value is dataclasses.MISSING:
        return "required"
    if value is None:
        return "chosen"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join("chosen" if v is None else f"{v:g}" for v in value) or "none"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def flags_of(path: str) -> str:
    """The flags that set a field or one of its numbers."""
    found = [
        flag.option
        for flag in FLAGS
        if any(target == path or target.startswith(f"{path}.") for target in flag.targets)
    ]
    if path == "crystal.cell_angstrom":
        found.insert(0, "-cell")
    if path == "crystal.cell_deg":
        found.insert(0, "-cell")
    if path == "crystal.misset_deg":
        found.insert(0, "-misset")
    return ", ".join(f"`{each}`" for each in dict.fromkeys(found))


def derivative_of(path: str) -> str:
    """yes, part or nothing."""
    if path in known_names() or path in EXPECTED:
        return "yes"
    inside = any(name.startswith(f"{path}.") for name in known_names())
    return "part" if inside else ""


def meaning_of(cls: type, name: str) -> str:
    """The field's entry in the docstring of its class."""
    lines = (inspect.getdoc(cls) or "").splitlines()
    pattern = re.compile(rf"^(?:\w+, )*{name}(?:, \w+)*: (.*)$")
    for n, line in enumerate(lines):
        found = pattern.match(line)
        if found:
            text = [found[1]]
            for more in lines[n + 1 :]:
                if not more.startswith("    "):
                    break
                text.append(more.strip())
            return " ".join(text).replace("|", "\\|")
    raise SystemExit(f"{cls.__name__} says nothing of {name}")


def page_text() -> str:
    """The whole page."""
    lines = [HEAD]
    for part, cls in CLASSES.items():
        lines += [
            f"## {part}: nb.{cls.__name__}",
            "| name | unit | default | accepted | flag | derivative | meaning |",
            "|---|---|---|---|---|---|---|",
        ]
        for field in dataclasses.fields(cls):
            path = f"{part}.{field.name}"
            cells = [
                f"`{path}`",
                field.metadata["unit"],
                default_of(field),
                field.metadata["rule"].text.replace("|", "\\|"),
                flags_of(path),
                derivative_of(path),
                meaning_of(cls, field.name),
            ]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    lines += [
        "## Options of the command alone",
        "What is no number of the experiment but says how, or with what, the command works.",
        "",
        "| option | meaning |",
        "|---|---|",
    ]
    for option in OWN_OPTIONS:
        spelling = f"{option.spelling} {option.value}".rstrip()
        lines.append(f"| `{spelling}` | {option.help.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page_text(), encoding="utf-8")
