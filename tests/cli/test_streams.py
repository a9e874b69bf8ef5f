"""The tools with closed streams, a full disk, no reader, and names that cannot be shown."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from recorded import program

SMALL = "-cell 50 60 70 90 90 90 -default_F 10 -detpixels 8 -pixel 1 -N 3"
TOOLS = {
    "nb-compare": f"--a c --b c --no-pictures -- {SMALL}",
    "nb-trace": f"--pixel 1 2 -- {SMALL}",
    "nb-compare-hkl": "--hkl a.hkl --engines c c",
    "nanobragg-hybrid": "quirks",
}
FULL = {"nb-compare": 5, "nb-trace": 5, "nb-compare-hkl": 5, "nanobragg-hybrid": 1}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.hkl").write_text("1 0 0 5\n0 1 0 6\n")
    return tmp_path


def _run(
    tool: str, args: str, folder: Path, redirections: str = "", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", f'"$0" "$@" {redirections}', program(tool), *args.split()],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("redirections", ["1>&-", "0>&- 1>&- 2>&-"])
def test_closed_streams(tool: str, redirections: str, folder: Path) -> None:
    done = _run(tool, TOOLS[tool], folder, redirections)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("tool", TOOLS)
def test_full_disk_behind_standard_output(tool: str, folder: Path) -> None:
    done = _run(tool, TOOLS[tool], folder, "> /dev/full")
    assert done.returncode == FULL[tool]
    message = f"{tool}: error: standard output: No space left on device\n"
    assert done.stderr.decode() == message


@pytest.mark.parametrize("environment", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {}])
def test_names_that_the_terminal_cannot_show(environment: dict[str, str], folder: Path) -> None:
    """The folder that is printed, and a file that is named in JSON."""
    (folder / "ü \udcff").mkdir()
    (folder / "a.hkl").rename(folder / "é\udcff.hkl")
    words = f"--a c --b c --no-pictures --outdir ü* -- {SMALL} -hkl é*.hkl -dump x".split()
    for tool, args in (
        ("nb-compare", words),
        ("nb-compare-hkl", "--hkl é*.hkl --engines c c --metrics m.json --out r.md".split()),
    ):
        found = [
            str(next(folder.glob(word)).relative_to(folder)) if "*" in word else word
            for word in args
        ]
        done = subprocess.run(
            [program(tool), *found],
            cwd=folder,
            env=os.environ | environment,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")


IMAGE_BYTES = 4 * 8 * 8
QUIET = "-nopgm -intfile /dev/null -noprogress"


@pytest.mark.parametrize(
    "name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link", "deep/er", "redirected"]
)
@pytest.mark.parametrize("redirection", ["", "> redirected", ">> redirected"])
def test_an_image_on_standard_output_has_it_to_itself(
    name: str, redirection: str, folder: Path
) -> None:
    """The log goes to standard error; without it, the same bytes as in a file."""
    if name == "redirected" and not redirection:
        name = "/dev/stdout"
    (folder / "link").symlink_to("/dev/stdout")
    (folder / "deep").mkdir()
    (folder / "deep" / "er").symlink_to(folder / "link")
    before = b"so far" if redirection.startswith(">>") else b""
    (folder / "redirected").write_bytes(before)
    plain = _run("nanoBragg", f"{SMALL} {QUIET} -floatfile plain.bin", folder)
    assert b"unit cell" in plain.stdout
    assert plain.stderr == b""
    done = _run("nanoBragg", f"{SMALL} {QUIET} -floatfile {name}", folder, redirection)
    assert done.returncode == 0, done.stderr
    image = (folder / "plain.bin").read_bytes()
    assert len(image) == IMAGE_BYTES
    got = (folder / "redirected").read_bytes() if redirection else done.stdout
    assert got == before + image
    assert b"unit cell" in done.stderr


def test_json_on_standard_output_is_only_that(folder: Path) -> None:
    done = _run("nanoBragg", f"{SMALL} {QUIET} -floatfile a.bin --json /dev/stdout", folder)
    assert json.loads(done.stdout)["files"]["float image"] == "a.bin"
    assert b"unit cell" in done.stderr


def test_only_one_file_is_standard_output(folder: Path) -> None:
    words = f"{SMALL} {QUIET} -floatfile /dev/stdout --json /dev/fd/1"
    done = _run("nanoBragg", words, folder)
    assert (done.returncode, done.stdout) == (9, b"")
    assert b"error: /dev/fd/1: named for the JSON, but standard output is also" in done.stderr


def test_nothing_is_no_standard_output(folder: Path) -> None:
    """The log to /dev/null and an image to /dev/null are two wishes."""
    words = f"{SMALL} {QUIET} -floatfile /dev/null --json /dev/null"
    done = _run("nanoBragg", words, folder, "> /dev/null")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
