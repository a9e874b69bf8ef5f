"""Every Python and shell listing of the documentation runs, in the order of its page."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import warnings
from pathlib import Path

import pytest
from documentation import Listing, Session, listings, names_from_above, same_output

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NEEDS = {
    "torch": r"\btorch\b|nb\.fit\(|PanelModel",
    "gemmi": r"\.pdb|\.mtz|\.cif|space_group",
    "h5py": r"nxmx|NXmx|\.h5",
    "hdf5plugin": r"nxmx|NXmx|\.h5",
    "PIL": r"\.png|_repr_png_",
    "msgpack": r"\.refl\b",
}
"""A package -> listings that need it."""
EXTRAS = {"torch": "torch", "PIL": "png"}
"""A package -> the extra that has it; `mx` has all others."""


def _runnable(page: Path) -> list[Listing]:
    found = [each for each in listings(page) if each.language in {"python", "sh"}]
    return [each for each in found if each.not_run is None]


def _skip_without(text: str) -> None:
    for name, pattern in NEEDS.items():
        if re.search(pattern, text) and importlib.util.find_spec(name) is None:
            pytest.skip(f"the page's listings need {name}, which is not installed")
    if re.search(r"^cc ", text, re.MULTILINE) and shutil.which("cc") is None:
        pytest.skip("the page's listings need a C compiler called cc")


@pytest.mark.parametrize("page", [page for page in PAGES if _runnable(page)], ids=lambda p: p.stem)
def test_listings_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is compared where the page states it."""
    if page.stem == "quirks" and not os.environ.get("NBH_ALL_LISTINGS"):
        pytest.skip(
            "tests/architecture/test_ledger_page.py runs these command lines; "
            "NBH_ALL_LISTINGS=1 runs them here, too"
        )
    found = list(listings(page))
    _skip_without("\n".join(each.text for each in _runnable(page)))
    monkeypatch.setenv("BROWSER", "true")  # what would open a page
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    session, printed = Session(tmp_path), ""
    for each in found:
        if each.language in {"python", "sh"} and each.not_run is None:
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                printed = session.run(each)
        elif "output" in each.marks:
            assert same_output(printed, each.text), f"{each.place}: printed\n{printed}"
        elif each.language == "c" and "file: " in " ".join(each.marks):
            (name,) = [mark[6:] for mark in each.marks if mark.startswith("file: ")]
            (tmp_path / name).write_text(each.text, encoding="utf-8")


def test_what_is_not_run_has_a_reason() -> None:
    for page in PAGES:
        for each in listings(page):
            if each.not_run is not None:
                assert len(each.not_run.split()) >= 3, each.place


def _says_extra(text: str, extra: str) -> bool:
    return bool(re.search(rf"\[[\w,]*\b{extra}\b[\w,]*\]|\bextra `?{extra}\b", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_which_extras_its_listings_need(page: Path) -> None:
    code = "\n".join(each.text for each in _runnable(page))
    needed = {EXTRAS.get(name, "mx") for name, what in NEEDS.items() if re.search(what, code)}
    text = page.read_text(encoding="utf-8")
    assert [extra for extra in sorted(needed) if not _says_extra(text, extra)] == []


def test_an_extra_that_is_said() -> None:
    for text in ('install ".[mx]"', '".[png,mx,torch]"', "needs the extra `mx`", "(extra mx)"):
        assert _says_extra(text, "mx")
    for text in ("needs gemmi", '".[mxtools]"', "mx", "extra png"):
        assert not _says_extra(text, "mx")


def test_a_listing_that_needs_another_says_so() -> None:
    """Everybody else can be copied alone."""
    for page in PAGES:
        for each in _runnable(page):
            if each.language == "python" and names_from_above(each.text):
                needed = f"{each.place}: needs {names_from_above(each.text)}"
                assert each.text.startswith("# goes on from above\n"), needed


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import numpy as np\nx = np.ones(3)\nprint(x)\n", set()),
        ("for n in range(3):\n    print(n)\n", set()),
        ("def f(x):\n    y = x\n    return y\n\n\nf([a for a in (1, 2)])\n", set()),
        ("x = x + 1\n", {"x"}),
        ("save(experiment)\nexperiment, quirks = nb.load()\n", {"save", "experiment", "nb"}),
    ],
)
def test_names_from_above(code: str, names: set[str]) -> None:
    assert names_from_above(code) == names


def test_a_stated_output_is_compared(tmp_path: Path) -> None:
    right = Listing("page:1", "python", "print((1, 2))  # (1, 2): a pair\n", ())
    assert Session(tmp_path).run(right) == "(1, 2)\n"
    wrong = Listing("page:1", "python", "x = 1\nprint((1, 2))  # (1, 3): a pair\n", ())
    with pytest.raises(AssertionError, match=r"printed \(1, 2\), the page says \(1, 3\)"):
        Session(tmp_path).run(wrong)
    failing = Listing("page:7", "sh", "true\nfalse\ntrue\n", ())
    with pytest.raises(AssertionError, match="page:7: status 1"):
        Session(tmp_path).run(failing)


@pytest.mark.parametrize(
    ("printed", "stated", "same"),
    [
        ("a 1.0000001\nb", "a 1.0\nb", True),
        ("a 1.001\nb", "a 1.0\nb", False),
        ("a\nx\ny\nb", "a\n...\nb", True),
        ("a\nx\ny\nc", "a\n...\nb", False),
        ("a\nb", "a", False),
    ],
)
def test_outputs_are_the_same(printed: str, stated: str, same: bool) -> None:
    assert same_output(printed, stated) is same


def test_marks_of_a_listing(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "text <!-- else -->\n\n<!-- not run: it takes hours -->\n<!-- name: begin -->\n"
        "```sh\nsleep 1\n```\n\n```\nplain\n```\n"
    )
    first, second = listings(page)
    assert (first.place, first.language, first.text) == ("page.md:6", "sh", "sleep 1\n")
    assert first.not_run == "it takes hours"
    assert (second.language, second.not_run) == ("", None)
