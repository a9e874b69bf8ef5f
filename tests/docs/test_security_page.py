"""What .github/SECURITY.md promises of files, as far as the source can say it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "nanobragg_hybrid"
PAGE = (ROOT / ".github" / "SECURITY.md").read_text(encoding="utf-8")
EXECUTES = {"eval", "exec", "compile", "__import__"}
UNPICKLES = {"pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load"}
UNPICKLES |= {f"{module}.{name}" for module in ("marshal", "shelve") for name in ("loads", "open")}
NETWORK = {"socket", "urllib", "http", "requests", "ftplib", "smtplib", "xmlrpc", "aiohttp"}


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute(value=ast.Name() as owner):
            return f"{owner.id}.{node.attr}"
        case _:
            return ""


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """What a source calls, as `name` or `module.name`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield _dotted(node.func), node


def imported(source: str) -> set[str]:
    """The top packages that a source imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def takes_pickles(call: ast.Call) -> bool:
    """Whether a call of numpy's load lets pickles in."""
    allowed = [word.value for word in call.keywords if word.arg == "allow_pickle"]
    return bool(allowed) and not (
        isinstance(allowed[0], ast.Constant) and allowed[0].value is False
    )


def test_what_is_executed_unpickled_or_sent() -> None:
    unpickles, faults = set(), []
    for path in sorted(PACKAGE.rglob("*.py")):
        source, name = path.read_text(encoding="utf-8"), str(path.relative_to(PACKAGE))
        faults += [f"{name}: imports {each}" for each in imported(source) & NETWORK]
        for called, call in calls(source):
            if called in UNPICKLES:
                unpickles.add(str(path.parent.relative_to(PACKAGE)))
            elif called in EXECUTES or takes_pickles(call):
                faults.append(f"{name}:{call.lineno}: {called}")
    assert faults == []
    assert unpickles == {"run/series"}, (
        "the page says so of series that are taken up, and of no other"
    )
    assert re.search(r"series of your own only", PAGE)


def test_what_is_found() -> None:
    source = "import pickle, http.client\nfrom urllib.request import urlopen\npickle.loads(b'')\n"
    assert [name for name, _ in calls(source)] == ["pickle.loads"]
    assert imported(source) & NETWORK == {"http", "urllib"}
    for text, lets_in in [
        ("np.load(f, allow_pickle=True)", True),
        ("np.load(f, allow_pickle=x)", True),
        ("np.load(f, allow_pickle=False)", False),
        ("np.load(f)", False),
    ]:
        ((name, call),) = calls(text)
        assert (name, takes_pickles(call)) == ("np.load", lets_in)
    assert {"eval", "exec"} <= EXECUTES & {name for name, _ in calls("eval('1')\nexec('2')\n")}
