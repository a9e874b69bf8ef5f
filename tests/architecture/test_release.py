"""What a release is made by: the workflows, what they pin, and the check of what wheels hold."""

from __future__ import annotations

import importlib.util
import re
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / ".ci").exists(), reason="a source distribution has no scripts of releases"
)
USES = re.compile(
    r"^\s*(?:- )?uses: (?P<action>\S+?)@(?P<version>\S+)(?: # (?P<comment>\S+))?$", re.M
)
COMMIT = re.compile(r"[\da-f]{40}")
EXACT = re.compile(r"v\d+\.\d+\.\d+")
METADATA = "Metadata-Version: 2.4\nLicense-Expression: BSD-3-Clause\nRequires-Dist: numpy>=1.26\n"


def pins(text: str) -> dict[str, set[str]]:
    """The versions of each action of a workflow.  Raises ValueError for one that can move."""
    found: dict[str, set[str]] = {}
    for action, version, comment in USES.findall(text):
        commit = COMMIT.fullmatch(version) and EXACT.fullmatch(comment)
        if not commit and not EXACT.fullmatch(version):
            raise ValueError(f"{action}@{version}: neither a commit with its version nor vX.Y.Z")
        found.setdefault(action, set()).add(version)
    return found


def test_actions_are_pinned_and_of_one_version_everywhere() -> None:
    together: dict[str, set[str]] = {}
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    for path in workflows:
        text = path.read_text(encoding="utf-8")
        of_this = pins(text)
        assert sum(text.count(f"uses: {action}@") for action in of_this) == text.count("uses:")
        for action, versions in of_this.items():
            together.setdefault(action, set()).update(versions)
    assert len(workflows) == 2
    assert {action: len(versions) for action, versions in together.items()} == dict.fromkeys(
        together, 1
    )


@pytest.mark.parametrize(
    "line",
    ["uses: a/b@v4", "uses: a/b@main", "uses: a/b@release/v1", f"uses: a/b@{'0' * 40}"],
)
def test_an_action_that_can_move_is_seen(line: str) -> None:
    with pytest.raises(ValueError, match="neither a commit"):
        pins(f"      - {line}\n")
    assert pins(f"  - uses: a/b@{'0' * 40} # v1.2.3\n  - uses: c/d@v1.2.3\n") == {
        "a/b": {"0" * 40},
        "c/d": {"v1.2.3"},
    }


def test_only_the_job_that_publishes_may_ask_the_registry_for_a_token() -> None:
    text = (ROOT / ".github" / "workflows" / "wheels.yml").read_text(encoding="utf-8")
    before, _, publish = text.partition("\n  publish:\n")
    assert "id-token" not in before
    assert "permissions:\n      id-token: write" in publish
    assert "password" not in publish
    assert "if: startsWith(github.ref, 'refs/tags/')" in publish


def test_wheels_are_made_for_every_python_that_is_promised() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    build = project["tool"]["cibuildwheel"]["build"]
    oldest = project["project"]["requires-python"].removeprefix(">=3.")
    assert build == [f"cp3{minor}-*" for minor in range(int(oldest), int(oldest) + len(build))]
    release = (ROOT / ".ci" / "release").read_text(encoding="utf-8")
    (named,) = re.findall(r"for each in (3\.[\d. ]+); do one_python", release)
    assert [f"cp{each.replace('.', '')}-*" for each in named.split()] == build


@pytest.fixture(scope="module")
def wheel_contents() -> ModuleType:
    path = ROOT / ".ci" / "wheel_contents.py"
    spec = importlib.util.spec_from_file_location("wheel_contents", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(folder: Path, files: Mapping[str, bytes], metadata: str = METADATA) -> Path:
    path = folder / "nanobragg_hybrid-0-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nanobragg_hybrid-0.dist-info/METADATA", metadata)
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "compiled_in"),
    [
        ("_core.so", b"\0libnbh.so\0libstdc++.so.6\0libc.so.6\0", "libstdc++ and libgcc"),
        ("_core.so", b"\0libnbh.so\0libc.so.6\0", "compiler-rt"),
        ("lib/libnbh.dylib", b"\0@rpath/libnbh.dylib\0/usr/lib/libSystem.B.dylib\0", "compiler-rt"),
        ("_core.so", b"\0@rpath/libnbh.dylib\0/usr/lib/libc++.1.dylib\0", "is the system's"),
        ("_core.pyd", b"\0libnbh.dll\0KERNEL32.dll\0python313.dll\0", "compiler-rt"),
        ("libnbh.dll", b"\0api-ms-win-crt-math-l1-1-0.dll\0", "compiler-rt"),
    ],
)
def test_libraries_that_a_system_has_are_listed(
    name: str, content: bytes, compiled_in: str, wheel_contents: ModuleType, tmp_path: Path
) -> None:
    lines = wheel_contents.contents(wheel(tmp_path, {f"nanobragg_hybrid/{name}": content}))
    needs = sorted(content.decode("ascii").strip("\0").split("\0"), key=str.lower)
    assert f"  shared libraries: {', '.join(needs)}" in lines
    assert "  needs when it runs: numpy>=1.26" in lines
    assert any(line.startswith("  compiled in: ") and compiled_in in line for line in lines)


def test_libraries_of_gcc_are_listed_with_their_licence(
    wheel_contents: ModuleType, tmp_path: Path
) -> None:
    name = "nanobragg_hybrid.libs/libstdc++-0a1b2c3d.so.6.0.34"
    files = {
        name: b"\0libgcc_s-0a1b2c3d.so.1\0libc.musl-x86_64.so.1\0",
        "nanobragg_hybrid/_core.so": b"\0libstdc++-0a1b2c3d.so.6.0.34\0",
    }
    lines = wheel_contents.contents(wheel(tmp_path, files))
    assert f"  library of GCC: {name}, GPL-3.0-or-later WITH GCC-exception-3.1" in lines


@pytest.mark.parametrize(
    ("files", "metadata", "message"),
    [
        ({"nanobragg_hybrid/_core.so": b"\0libgomp.so.1\0"}, METADATA, "nobody lists: .'libgomp"),
        ({"nanobragg_hybrid/_core.so": b"\0/usr/lib/libz.1.dylib\0"}, METADATA, "libz.1.dylib"),
        ({"nanobragg_hybrid/_core.pyd": b"\0libwinpthread-1.dll\0"}, METADATA, "libwinpthread"),
        ({"nanobragg_hybrid.libs/libz-0a1b.so.1": b""}, METADATA, "files of others"),
        ({"other/__init__.py": b""}, METADATA, "files of others"),
        ({}, "License-Expression: MIT\n", "METADATA does not say"),
    ],
)
def test_what_nobody_lists_is_refused(
    files: Mapping[str, bytes],
    metadata: str,
    message: str,
    wheel_contents: ModuleType,
    tmp_path: Path,
) -> None:
    with pytest.raises(SystemExit, match=message):
        wheel_contents.contents(wheel(tmp_path, files, metadata))


def test_a_folder_stands_for_its_wheels(wheel_contents: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no wheel is in this folder"):
        list(wheel_contents.wheels([str(tmp_path)]))
    path = wheel(tmp_path, {})
    assert list(wheel_contents.wheels([str(tmp_path), str(path)])) == [path, path]
