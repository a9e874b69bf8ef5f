"""The check of the built site sees links that lead nowhere; formulas are numbered."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[2] / "docs" / "site"
PAGE = '<h1 id="top">Page</h1><a href="{link}">there</a><img src="{picture}">'


@pytest.mark.parametrize(
    ("link", "picture", "broken"),
    [
        ("other.html#place", "a.png", []),
        ("#top", "a.png", []),
        ("https://example.org/nowhere", "a.png", []),
        ("none.html", "a.png", ["index.html: none.html"]),
        ("other.html#nowhere", "a.png", ["index.html: other.html#nowhere"]),
        ("#nowhere", "b.png", ["index.html: #nowhere", "index.html: b.png"]),
    ],
)
def test_broken_links(
    link: str, picture: str, broken: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(SITE))
    check_site = importlib.import_module("check_site")
    (tmp_path / "index.html").write_text(PAGE.format(link=link, picture=picture))
    (tmp_path / "other.html").write_text('<p id="place">')
    (tmp_path / "a.png").write_bytes(b"")
    assert check_site.broken_links(tmp_path) == broken


def test_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("latex2mathml", reason="formulas of the site need the extra docs")
    monkeypatch.syspath_prepend(str(SITE))
    displayed = importlib.import_module("mathml").displayed
    numbered = displayed(r"a = b \tag{3}")
    assert numbered.startswith('<div class="formula" id="equation-3"><math ')
    assert numbered.endswith('<span class="number">(3)</span></div>')
    assert "tag" not in numbered
    assert displayed("a = b").endswith("</math></div>")
