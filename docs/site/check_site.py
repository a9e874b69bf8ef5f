"""Opens a built site in a headless Chromium, from the disk: nothing may be fetched from elsewhere.

usage: python docs/site/check_site.py [FOLDER]

Every link leads to a page and a place that are there, pages draw without an error and fit into
windows of a telephone and of a desk, a search finds, and the live image shows its SHA-256.
Without Chromium this says so and checks the links alone.
"""

from __future__ import annotations

import html.parser
import sys
import tempfile
import urllib.parse
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = ("index", "docs/getting_started", "docs/physics", "docs/choosing", "docs/parameters")
WIDTHS: Final = (390, 1000, 1400)
WINDOW: Final = (1280, 900)
SEARCHED: Final = "mosaic domains"


class _Page(html.parser.HTMLParser):
    """The links of a page, and the places in it that a link may name."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name == "id":
                self.places.add(value)
            elif value and (tag, name) in {("a", "href"), ("img", "src"), ("iframe", "src")}:
                self.links.append(value)


def broken_links(folder: Path) -> list[str]:
    """Links inside the site that lead nowhere, as "page: link"."""
    pages: dict[Path, _Page] = {}
    for path in sorted(folder.rglob("*.html")):
        pages[path.resolve()] = page = _Page()
        page.feed(path.read_text(encoding="utf-8"))
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            name = urllib.parse.unquote(parts.path)
            target = (path.parent / name).resolve() if name else path
            place = urllib.parse.unquote(parts.fragment)
            is_there = target.exists() and (
                not place or target not in pages or place in pages[target].places
            )
            if not is_there:
                broken.append(f"{path.relative_to(folder.resolve())}: {link}")
    return broken


def faults_of_widths(folder: Path, page: Any) -> list[str]:
    """Pages that do not fit into a window, or leave their text no room in it."""
    faults = []
    for path in sorted({*folder.glob("*.html"), *folder.glob("docs/**/*.html")}):
        page.open(path.resolve().as_uri())
        for width in WIDTHS:
            page.resize(width, 900)
            wide = page.run("document.documentElement.scrollWidth")
            text = page.run("(document.querySelector('article') ?? document.body).clientWidth")
            name = f"{path.relative_to(folder)}, {width} pixels wide"
            if wide > width:
                faults.append(f"{name}: is {wide} wide")
            if text < 0.8 * min(width, 600):
                faults.append(f"{name}: its text is {text} wide")
    page.resize(*WINDOW)
    return faults


def faults_in_browser(folder: Path) -> list[str]:
    """What goes wrong when pages are looked at."""
    from browser import Page

    faults = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, Page(Path(name)) as page:
        for each in PAGES:
            page.open((folder / f"{each}.html").resolve().as_uri())
            if page.run("document.querySelectorAll('img').length") and not page.run(
                "[...document.images].every(image => image.naturalWidth > 0)"
            ):
                faults.append(f"{each}: a picture is not drawn")
        page.open((folder / "docs" / "physics.html").resolve().as_uri())
        tags = (ROOT / "docs" / "physics.md").read_text(encoding="utf-8").count(r"\tag{")
        drawn = page.run("document.querySelectorAll('.formula[id] math').length")
        if drawn != tags:
            faults.append(f"docs/physics: {drawn} numbered formulas, need {tags}")
        faults += faults_of_widths(folder.resolve(), page)
        query = urllib.parse.urlencode({"q": SEARCHED})
        page.open(f"{(folder / 'search.html').resolve().as_uri()}?{query}")
        page.wait("document.querySelectorAll('#search-results li').length > 4")
        page.open((folder / "live.html").resolve().as_uri())
        page.run("live.ready")
        page.wait("document.querySelector('#sha').textContent.length === 64")
        faults += page.faults
        own = ("file:", "blob:", "data:")
        faults += [f"fetches {each}" for each in page.requests if not each.startswith(own)]
    return faults


def main() -> int:
    """Checks, and prints what is wrong."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from browser import chromium

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site"
    if not (folder / "index.html").is_file():
        sys.exit(f"{folder}: no site, python docs/site/make_site.py builds one")
    wrong = broken_links(folder)
    if chromium() is None:
        sys.stdout.write("not looked at in a browser: Chromium is not installed\n")
    else:
        wrong += faults_in_browser(folder)
    sys.stdout.writelines(f"{each}\n" for each in [*wrong, f"{folder}: {len(wrong)} faults"])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
