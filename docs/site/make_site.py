"""Builds the documentation as a site; warnings are errors.

usage: python docs/site/make_site.py [--out FOLDER]

The pages are those of docs/ with README's neighbours, staged with the layout that they have here,
so that a link that works in the repository works on the site.  The pages of the Python interface
are made from the docstrings, the first page's live image by docs/live/make_page.py.  Needs the
package with its extras docs, mx, png and torch.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import nanobragg_hybrid as nb

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
LINK: Final = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
CHAPTERS: Final = {
    "experiment": ("An experiment", ".model."),
    "files": ("Files", ".formats."),
    "run": ("Images, traces, pictures", ".run."),
    "fits": ("Fits", ".fitting."),
    "engines": ("Engines", ".engines."),
    "errors": ("Errors and warnings", ".base."),
}


def stage(folder: Path) -> None:
    """Copies the pages and every file that they link to."""
    pages = [
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/tutorials/*.md"),
        *map(ROOT.joinpath, ("CONTRIBUTING.md", "CHANGELOG.md")),
    ]
    pages += [ROOT / "README.md", ROOT / "fuzz" / "README.md"]
    for page in pages:
        linked = LINK.findall(page.read_text(encoding="utf-8"))
        for path in [page, *(page.parent / link for link in linked if "://" not in link)]:
            if not path.exists():
                sys.exit(f"{page.relative_to(ROOT)} links to {path}, which is not there")
            if path.is_file():
                target = folder / path.resolve().relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    shutil.copyfile(HERE / "index.md", folder / "index.md")
    readme = folder / "README.md"  # its text is that of index.md
    readme.write_text("---\norphan: true\n---\n" + readme.read_text(encoding="utf-8"))


def name_links(folder: Path) -> None:
    """A link whose text is the name of a page gets that page's title."""
    pages = {page.name: page for page in folder.rglob("*.md")}
    titles = {
        name: found[1]
        for name, page in pages.items()
        if (found := re.search(r"^# (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE))
    }
    for page in pages.values():
        text = page.read_text(encoding="utf-8")
        text = re.sub(
            r"\[(?:\w+/)?(\w+\.md)\](?=\()", lambda link: f"[{titles.get(link[1], link[1])}]", text
        )
        page.write_text(text, encoding="utf-8")


def show_gallery(folder: Path) -> None:
    """Makes the gallery's pictures, and puts each with its script where the page links to that."""
    page = folder / "docs" / "gallery.md"
    pictures = folder / "docs" / "pictures"
    pictures.mkdir(exist_ok=True)

    def shown(link: re.Match[str]) -> str:
        script = ROOT / "examples" / "gallery" / f"{link[1]}.py"
        target = pictures / f"gallery_{link[1]}.png"
        subprocess.run([sys.executable, "-W", "ignore", str(script), str(target)], check=True)
        title = script.read_text(encoding="utf-8").split('"""')[1]
        code = script.read_text(encoding="utf-8")
        picture = f"![{title}](pictures/{target.name})"
        return f"\n\n{picture}\n\n{link[0]}:\n\n```python\n{code}```"

    text = page.read_text(encoding="utf-8")
    text = re.sub(r"\[(\w+)\.py\]\(\.\./examples/gallery/\w+\.py\)", shown, text)
    page.write_text(text.replace("The site shows picture and script; here are the scripts. ", ""))


def module_of(name: str) -> str:
    """Where a public name lives."""
    found = getattr(nb, name)
    if isinstance(found, tuple):  # of objects of one class
        found = found[0]
    module: str = getattr(found, "__module__", type(found).__module__)
    return module.removeprefix(nb.__name__)


def write_interface(folder: Path) -> None:
    """A page for each chapter of the public names, from their docstrings."""
    folder.mkdir()
    left = {name for name in dir(nb) if not name.startswith("__")}
    entries = []
    for chapter, (title, prefix) in CHAPTERS.items():
        names = sorted(name for name in left if module_of(name).startswith(prefix))
        left -= set(names)
        lines = [f"# {title}", ""]
        for name in names:
            found = getattr(nb, name)
            kind = "class" if isinstance(found, type) else "function" if callable(found) else "data"
            if isinstance(found, type) and issubclass(found, BaseException):
                kind = "exception"
            options = "   :members:\n" if kind == "class" else ""
            lines.append(
                f"```{{eval-rst}}\n.. auto{kind}:: nanobragg_hybrid.{name}\n{options}```\n"
            )
        (folder / f"{chapter}.md").write_text("\n".join(lines), encoding="utf-8")
        entries.append(chapter)
    if left:
        sys.exit(f"no chapter has {', '.join(sorted(left))}")
    toctree = "\n".join(["```{toctree}", *entries, "```"])
    text = (
        f"# Python interface\n\nEvery public name, `import nanobragg_hybrid as nb`.\n\n{toctree}\n"
    )
    (folder / "index.md").write_text(text, encoding="utf-8")


def main() -> int:
    """Builds it."""
    from sphinx.cmd.build import main as sphinx

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site")
    out: Path = parser.parse_args().out
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage(folder)
        name_links(folder)
        show_gallery(folder)
        write_interface(folder / "api")
        options = ["--fail-on-warning", "--keep-going", "--quiet", "--conf-dir", str(HERE)]
        status = int(sphinx([*options, str(folder), str(out)]))
    make_live_page = [sys.executable, str(ROOT / "docs" / "live" / "make_page.py")]
    subprocess.run([*make_live_page, str(out / "live.html")], check=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
