"""Every listing of the tutorials runs, in the order of its page; those for DIALS where it is."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import pytest
from documentation import Session, listings

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "tutorials").glob("*.md"))
LIBRARIES = {
    "index_what_you_simulated": ("gemmi", "h5py", "msgpack"),
    "train_on_simulated_stills": ("torch",),
    "compare_with_a_real_frame": ("h5py",),
}
"""What a page needs besides the package."""
FOR_DIALS = "needs: dials"


def test_pages() -> None:
    assert {page.stem for page in PAGES} == set(LIBRARIES)
    for page in PAGES:
        found = list(listings(page))
        assert len(found) >= 4
        assert {each.language for each in found} <= {"python", "sh"}
        assert all(each.not_run is None for each in found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_listing_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in LIBRARIES[page.stem]:
        pytest.importorskip(library, reason=f"{library} is not installed: {page.name} is not run")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # the long way through DIALS is for .ci/acceptance
    has_dials = shutil.which("dials.index") is not None and "NB_DIALS_SERIES" in os.environ
    session, left_out = Session(tmp_path), []
    for each in listings(page):
        if FOR_DIALS in each.marks and not has_dials:
            left_out.append(each.place)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a reader sees and goes on
            session.run(each)
    if left_out:
        pytest.skip(
            f"NOT RUN: {', '.join(left_out)}, for DIALS, with which .ci/acceptance runs them; "
            "all else was run"
        )
