"""A reader finds every page: in README's table, the questions of the site, and its menu."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    str(page.relative_to(ROOT))
    for folder in ("docs", "docs/tutorials")
    for page in (ROOT / folder).glob("*.md")
)
INDEX = (ROOT / "docs" / "site" / "index.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
_TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def linked(text: str) -> set[str]:
    """The pages of docs/ to which a text links."""
    return set(re.findall(r"\]\((docs/[\w/]+\.md)(?:#[\w-]*)?\)", text))


def in_menu(text: str) -> Counter[str]:
    """How often each page is in the toctrees of a text."""
    lines = [line for tree in _TOCTREE.findall(text) for line in tree.splitlines()]
    return Counter(f"{line}.md" for line in lines if line and not line.startswith(":"))


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_found(page: str) -> None:
    assert page in linked(README), "no row of README.md links to it"
    assert page in linked(INDEX), "no row of docs/site/index.md links to it"
    assert in_menu(INDEX)[page] == 1, "a page is once in the toctrees of docs/site/index.md"


def test_what_is_linked_is_there() -> None:
    own = {"api/index.md", "CONTRIBUTING.md", "CHANGELOG.md", "fuzz/README.md"}
    assert set(in_menu(INDEX)) == {*PAGES, *own}
    assert linked(README) | linked(INDEX) == set(PAGES)


def test_links_and_menus() -> None:
    text = "[a](docs/a.md) [b](docs/t/b.md#c-d) [c](CHANGELOG.md)\n"
    assert linked(text) == {"docs/a.md", "docs/t/b.md"}
    tree = "```{toctree}\n:hidden:\n:caption: Use it\n\ndocs/a\ndocs/b\ndocs/a\n```\n"
    assert in_menu(tree) == {"docs/a.md": 2, "docs/b.md": 1}


def test_the_citation_file() -> None:
    """It names the version of the package, and the papers that docs/physics.md lists."""
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    version = (ROOT / "python" / "nanobragg_hybrid" / "_version.py").read_text(encoding="utf-8")
    assert f'"{re.findall(r"^version: (.*)$", text, re.MULTILINE)[0]}"' in version
    physics = (ROOT / "docs" / "physics.md").read_text(encoding="utf-8")
    papers = re.findall(
        r"family-names: (\w+).*?year: (\d+)\n +volume: (\d+)\n +start: (\d+)\n +end: (\d+)",
        text,
        re.DOTALL,
    )
    assert len(papers) == 2
    for family, year, volume, start, end in papers:
        entry = rf"{family}.*\({year}\)\..*\*\*D?{volume}\*\*, {start}–{end}\."
        assert re.search(entry, physics), family
