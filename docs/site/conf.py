"""How the pages of docs/ become a site: `python docs/site/make_site.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))

from public_names import pages_that_show  # noqa: E402

project = "nanobragg-hybrid"
author = "The nanobragg-hybrid maintainers"
copyright = author  # noqa: A001
release = re.findall(
    r'__version__ = "(.*)"', (ROOT / "python/nanobragg_hybrid/_version.py").read_text()
)[0]
version = release

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "mathml",
]
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "attrs_inline", "colon_fence"]
myst_heading_anchors = 4
nitpicky = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = f"nanobragg-hybrid {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["from_disk.js"]
html_copy_source = False
html_show_sphinx = False

default_role = "code"
_NAME = r"\*{0,2}(?:[a-z_]\w*|[A-Z]_\w+)"
_ENTRY = re.compile(rf"^(?P<names>{_NAME}(?:, {_NAME})*): (?P<text>.*)$")


def definitions(lines: list[str]) -> list[str]:
    """A docstring in which `name: text` at the margin, with indented lines after it, is a
    definition: names keep their letters, as they do not in a list of fields."""
    out: list[str] = []
    inside = False
    for given in lines:
        line = given.replace("|", r"\|")  # |F| is no substitution
        line = re.sub(r"(`[^`\s]+`)(?=\w)", r"\1\\ ", line)  # `Source`s
        entry = _ENTRY.match(line)
        is_continued = inside and (line.startswith(" ") or not line.strip())
        if entry is not None and (inside or not out or out[-1] == ""):
            names = entry["names"].split(", ")
            out += [", ".join(f"``{name}``" for name in names), f"    {entry['text']}"]
            inside = True
        elif is_continued:
            out.append(line if line.startswith("    ") else f"    {line.lstrip()}".rstrip())
        elif not inside:
            out.append(line)
        else:
            out += ["", line] if out[-1] != "" else [line]
            inside = False
    return out


def see_also(public: str) -> list[str]:
    """Which pages of docs/ show a public name."""
    shown = [f":doc:`/docs/{page.stem}`" for page in pages_that_show(public)]
    return [f"Shown in {', '.join(shown)}."] if shown else []


def setup(app: object) -> None:
    """Called by Sphinx."""

    def process(*given: object) -> None:
        lines: list[str] = given[-1]  # type: ignore[assignment]
        name = str(given[2])
        of_tuple = lines and lines[0].startswith("Alias for field number")
        lines[:] = [] if of_tuple else definitions(lines)
        package, _, public = name.rpartition(".")
        if package == "nanobragg_hybrid":
            lines += ["", *see_also(public)]

    app.connect("autodoc-process-docstring", process)  # type: ignore[attr-defined]
