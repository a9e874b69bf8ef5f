"""What the repository says once, and what it must not say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.cffi_view import load

ROOT = Path(__file__).resolve().parents[2]

# Folders and addresses of one machine or one place of work, and numbers of somebody's tickets.  The
# brackets keep this file from containing what it looks for.
LOCAL = re.compile(
    r"/wor[k]/|/hom[e]/\w|\biss[u]e #\d|pyp[i]\.org|pythonhoste[d]\.org|conda\.anacond[a]\.org"
)


def local_words(text: str) -> list[str]:
    return [match[0] for match in LOCAL.finditer(text)]


def _tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("the list of tracked files needs git and a clone")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


def test_no_local_words_in_tracked_files() -> None:
    found = {}
    for path in _tracked_files():
        words = local_words(path.read_bytes().decode("utf-8", errors="replace"))
        if words:
            found[path.relative_to(ROOT).as_posix()] = sorted(set(words))
    assert found == {}


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        (("see /wor", "k/notes.md"), 1),
        (("fixes iss", "ue #12"), 1),
        (("https://pyp", "i.org/simple"), 1),
        (("a network/path and ", "an issue of units"), 0),
    ],
)
def test_local_words_are_seen(pieces: tuple[str, str], count: int) -> None:
    assert len(local_words("".join(pieces))) == count


def test_no_file_of_the_pilatus_frame_is_tracked() -> None:
    names = {path.name for path in _tracked_files()}
    assert names & {"A.mat", "scaled.hkl", "crops.npz"} == set()


def test_version_is_the_same_everywhere() -> None:
    ffi, lib = load()
    stated = nb.__version__
    assert ffi.string(lib.nbh_version()).decode() == stated
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)[1] == stated
    # CMake takes it from the Python file, so it cannot say another one.
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert "python/nanobragg_hybrid/_version.py" in cmake
    assert not re.search(r"project\([^)]*VERSION\s+\"?\d", cmake)


def test_version_is_that_of_the_installed_distribution() -> None:
    assert version("nanobragg-hybrid") == nb.__version__


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_how_to_install_an_extra_is_said_once() -> None:
    """Where an index has the package, and in a clone: both, wherever a package is missing."""
    package = ROOT / "python" / "nanobragg_hybrid"
    own = [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        if re.search(r"nanobragg-hybrid\[", path.read_text(encoding="utf-8"))
    ]
    assert own == ["base/errors.py"]
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for paragraph in page.read_text(encoding="utf-8").split("\n\n"):
            if "nanobragg-hybrid[" in paragraph:
                assert "in a clone" in paragraph, f"{page.name}: {paragraph}"


def test_manifest_of_recorded_files() -> None:
    command = [sys.executable, str(ROOT / "golden" / "manifest.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_manifest_sees_changes(tmp_path: Path) -> None:
    """A missing, a new and a changed file are each reported."""
    for name in ("manifest.py", "MANIFEST.json", "cases.json"):
        shutil.copy(ROOT / "golden" / name, tmp_path)
    shutil.copytree(ROOT / "golden" / "inputs", tmp_path / "inputs")
    (tmp_path / "inputs" / "sources.txt").write_text("changed\n")
    (tmp_path / "new.json").write_text("{}\n")
    command = [sys.executable, str(tmp_path / "manifest.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert "traces.json: missing" in lines
    assert "new.json: not in the manifest" in lines
    assert any(line.startswith("inputs/sources.txt: got ") for line in lines)
    assert not any(line.startswith("cases.json") for line in lines)
