"""The check of the built site sees pages that do not fit into a window."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from browser import Page

SITE = Path(__file__).resolve().parents[2] / "docs" / "site"
HEAD = '<!doctype html><meta name="viewport" content="width=device-width"><style>body{margin:0}'


@pytest.mark.parametrize(
    ("style", "faults"),
    [
        ("", []),
        ("article { width: 84em; max-width: 100vw; }", []),
        (
            "article { width: 1200px; }",
            [f"a.html, {width} pixels wide: is 1200 wide" for width in (390, 1000)],
        ),
        (
            "article { max-width: calc(100vw - 19em); }",
            ["a.html, 390 pixels wide: its text is 86 wide"],
        ),
    ],
)
def test_widths(
    style: str, faults: list[str], browser: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(SITE))
    check_site = importlib.import_module("check_site")
    (tmp_path / "a.html").write_text(f"{HEAD}{style}</style><article>words and words</article>")
    assert check_site.faults_of_widths(tmp_path, browser) == faults
