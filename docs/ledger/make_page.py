"""Write docs/quirks.md and its pictures from page.md, ledger.toml and what the commands there do.

    python docs/ledger/make_page.py          # run every command line, write figures and pictures
    python docs/ledger/make_page.py --text   # the page alone, from the figures that are there

`results.json` holds the figures as they are printed, so that the page can be made without running
anything, and the runs can be compared with it (tests/architecture/test_ledger_page.py does both).
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from measure import Picture, measure_candidate, measure_quirk  # noqa: E402

import nanobragg_hybrid as nb  # noqa: E402

PAGE = HERE.parent / "quirks.md"
RESULTS = HERE / "results.json"
PICTURES = HERE.parent / "pictures"
FILES_PAGE = "files_and_command_line.md"
KEYS = {
    "quirk": (
        {"id", "what", "corrected", "bites", "args", "sure", "proof"},
        {"before", "files", "facts", "shows", "recorded", "refused"},
    ),
    "candidate": (
        {"name", "what", "should", "args", "sure"},
        {"before", "files", "facts", "quirks", "against", "special"},
    ),
}
"""What a row has to have, and what it may have."""

Table = Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write docs/quirks.md.")
    parser.add_argument("--text", action="store_true", help="from the figures that are there")
    table = load_table()
    if not parser.parse_args().text:
        results, pictures = measure_all(table)
        RESULTS.write_text(results_text(results))
        PICTURES.mkdir(exist_ok=True)
        for name, pixels in pictures.items():
            (PICTURES / name).write_bytes(png(pixels))
    PAGE.write_text(page_text(table, json.loads(RESULTS.read_text())))


def load_table() -> dict[str, Any]:
    """The table of ledger.toml, checked."""
    table = tomllib.loads((HERE / "ledger.toml").read_text())
    check_table(table)
    return table


def check_table(table: Table) -> None:
    """Raises ValueError unless the table has exactly the rows of the ledger, in its order, and each
    row the keys that it needs and no other."""
    have, need = [row["id"] for row in table["quirk"]], [quirk.id for quirk in nb.LEDGER]
    if have != need:
        raise ValueError(f"ledger.toml: got rows {have}, need those of LEDGER: {need}")
    names = [row["name"] for row in table["candidate"]]
    for name in names:
        if names.count(name) > 1 or name in nb.Quirks().names_on:
            raise ValueError(f"ledger.toml: candidate {name}: the name is taken")
    for kind, label in (("quirk", "id"), ("candidate", "name")):
        needed, optional = KEYS[kind]
        for row in table[kind]:
            for key in needed - row.keys():
                raise ValueError(f"ledger.toml: {row[label]}: has no {key}")
            for key in row.keys() - needed - optional:
                raise ValueError(f"ledger.toml: {row[label]}: {key} is no key")
            if kind == "candidate" and ("against" in row) == ("special" in row):
                raise ValueError(f"ledger.toml: {row[label]}: needs one of against and special")


def measure_all(table: Table) -> tuple[dict[str, Any], dict[str, Picture]]:
    """The figures of all rows by id or name, and the pictures by file name."""
    results: dict[str, Any] = {}
    pictures = {}
    for entry, quirk in zip(table["quirk"], nb.LEDGER, strict=True):
        results[quirk.id], pixels = measure_quirk(entry, quirk.name)
        if pixels is not None:
            pictures[picture_name(quirk)] = pixels
    for entry in table["candidate"]:
        results[entry["name"]] = measure_candidate(entry)
    return results, pictures


def picture_name(quirk: nb.Quirk) -> str:
    return f"quirk_{quirk.id[-3:]}.png"


def results_text(results: Mapping[str, Any]) -> str:
    return json.dumps(results, indent=1, ensure_ascii=False) + "\n"


def png(pixels: Picture) -> bytes:
    file = io.BytesIO()
    nb.write_png(file, pixels)
    return file.getvalue()


def page_text(table: Table, results: Mapping[str, Any]) -> str:
    """The page: page.md with what the table says and what was measured in its places."""
    text = (HERE / "page.md").read_text()
    for place, lines in (
        ("kernel", _rows("kernel", table, results)),
        ("setup", _rows("setup", table, results)),
        ("candidates", _candidates(table, results)),
    ):
        mark = f"<!-- {place} -->\n"
        if text.count(mark) != 1:
            raise ValueError(f"page.md: needs one line {mark!r}")
        text = text.replace(mark, "\n".join(lines) + "\n")
    return text


def _rows(kind: str, table: Table, results: Mapping[str, Any]) -> Iterator[str]:
    """A line for each quirk of a kind, then a section for each."""
    rows = [
        (entry, quirk)
        for entry, quirk in zip(table["quirk"], nb.LEDGER, strict=True)
        if quirk.kind == kind
    ]
    yield "| id | name | what nanoBragg does | change (relative L2) |"
    yield "|---|---|---|---|"
    for _, quirk in rows:
        measured = results[quirk.id]
        change = "an error" if "refused" in measured else "not of the image"
        change = _number(measured.get("relative_l2", change))
        name = f"[{quirk.name}](#{_anchor(quirk)})"
        yield f"| {quirk.id} | {name} | {quirk.summary} | {change} |"
    for entry, quirk in rows:
        yield from _quirk_section(entry, quirk, results[quirk.id])


def _anchor(quirk: nb.Quirk) -> str:
    return f"{quirk.id} {quirk.name}".lower().replace(" ", "-")


def _quirk_section(entry: Table, quirk: nb.Quirk, measured: Table) -> Iterator[str]:
    yield ""
    yield f"### {quirk.id} {quirk.name}"
    is_of_files = quirk.section == "files_and_cli"
    where = f"[{FILES_PAGE}]({FILES_PAGE})" if is_of_files else f"model §{quirk.section}"
    yield f"**What nanoBragg does** ({where}). {_one_line(entry['what'])}"
    yield ""
    yield f"**Corrected.** {_one_line(entry['corrected'])}"
    yield ""
    yield f"**Whom it bites.** {_one_line(entry['bites'])}"
    yield ""
    yield from _command_lines(entry)
    yield ""
    yield from _figures(entry, measured, ("on", "off"))
    if entry.get("shows") != "none" and "refused" not in entry:
        name = picture_name(quirk)
        yield ""
        yield f"![{quirk.name}: on, off, difference](pictures/{name})"
    yield ""
    text = f"nanobragg,-{quirk.name}"
    yield f"**Switch it off.** `--quirks {text}`, or `nb.Quirks({quirk.name}=False)` in Python."
    yield ""
    sure = f"**How sure we are.** {_one_line(entry['sure'])}"
    if "recorded" in entry:
        sure += f" Recorded case: `{entry['recorded']['case']}`."
    yield sure + " Tests: " + ", ".join(_test(proof) for proof in entry["proof"]) + "."


def _test(proof: str) -> str:
    path, _, function = proof.partition("::")
    return f"[{function}](../{path})"


def _command_lines(entry: Table) -> Iterator[str]:
    quirks = entry.get("quirks", "nanobragg")
    option = "" if quirks == "nanobragg" else f" --quirks {quirks}"
    yield "```sh"
    for name, text in entry.get("files", {}).items():
        yield f"cat > {name} <<END\n{text}END"
    for args in entry.get("before", ()):
        yield f"nanoBragg {args}"
    yield f"nanoBragg {entry['args']}{option}"
    if "against" in entry:
        yield f"nanoBragg {entry['against']}{option}"
    yield "```"


def _figures(entry: Table, measured: Table, columns: tuple[str, str]) -> Iterator[str]:
    yield f"| | {columns[0]} | {columns[1]} |"
    yield "|---|---|---|"
    if "total" in measured:
        yield _row("total, photons", measured["total"])
        largest = measured["largest"]
        pixel = f"pixel fast {largest['fast']}, slow {largest['slow']}, photons"
        yield _row(f"{pixel} (it changes most)", largest["values"])
    for name, label in entry.get("facts", {}).items():
        yield _row(label, measured["facts"][name])
    if "refused" in measured:
        yield _row("error", measured["refused"])
    if "named" in measured:
        yield _row("named by the run as one that could have changed the image", measured["named"])
    if "relative_l2" in measured:
        yield f"| relative L2 change | | {_number(measured['relative_l2'])} |"


def _row(label: str, values: list[str]) -> str:
    return f"| {label} | {_number(values[0])} | {_number(values[1])} |"


def _number(text: str) -> str:
    return {"inf": "∞ (it was dark)", "nan": "not a number"}.get(text, text)


def _candidates(table: Table, results: Mapping[str, Any]) -> Iterator[str]:
    for number, entry in enumerate(table["candidate"]):
        if number:
            yield ""
        measured = results[entry["name"]]
        yield f"### {entry['name']}"
        yield _one_line(entry["what"])
        yield ""
        yield f"**Should be.** {_one_line(entry['should'])}"
        yield ""
        yield from _command_lines(entry)
        yield ""
        if "special" in measured:
            yield "| | measured |"
            yield "|---|---|"
            for label, [value] in measured["special"].items():
                yield f"| {label} | {value} |"
        else:
            yield from _figures(entry, measured, ("first command line", "second"))
            if measured["same_image"]:
                yield "| image | the same bytes | the same bytes |"
        yield ""
        yield f"**How sure we are.** {_one_line(entry['sure'])}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    main()
