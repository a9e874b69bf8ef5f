"""Formulas as MathML, which browsers draw by themselves: the site needs no network for them.

A `\\tag{n}` at the end of a displayed formula is its number; links to `#equation-n` lead there.
"""

from __future__ import annotations

import re
from typing import Any, Final

from latex2mathml.converter import convert

_TAG: Final = re.compile(r"\\tag\{(\w+)\}")


def displayed(source: str) -> str:
    """A displayed formula of LaTeX, with its number."""
    tag = _TAG.search(source)
    formula = convert(_TAG.sub("", source), display="block")
    if tag is None:
        return f'<div class="formula">{formula}</div>'
    number = f'<span class="number">({tag[1]})</span>'
    return f'<div class="formula" id="equation-{tag[1]}">{formula}{number}</div>'


def visit_inline(writer: Any, node: Any) -> None:
    """Writes a formula in a line."""
    writer.body.append(convert(node.astext()))
    skip_children()


def visit_displayed(writer: Any, node: Any) -> None:
    """Writes a formula of its own."""
    writer.body.append(displayed(node.astext()))
    skip_children()


def skip_children() -> None:
    """The LaTeX itself is not shown."""
    from docutils.nodes import SkipNode

    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
