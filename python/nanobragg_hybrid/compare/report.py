"""The reports of nb-compare as HTML: one file each, with its pictures inside and nothing from
elsewhere.  The same documents and pictures give the same bytes."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Document = Mapping[str, Any]

_STYLE: Final = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { background: #f5f5f5; padding: 0.6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; } th, td { padding: 0.2rem 0.7rem; text-align: left;
       border-bottom: 1px solid #ddd; vertical-align: top; overflow-wrap: anywhere; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.pass { color: #1a7f37; } .fail { color: #b2182b; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 1 1 20rem; max-width: 36rem; }
figure img { width: 100%; border: 1px solid #ccc; image-rendering: pixelated; }
"""

_METRICS: Final = (
    ("bytes_equal", "every pixel has the same bits"),
    ("identical", "share of equal pixels"),
    ("lit_a", "pixels of A that are not 0"),
    ("lit_b", "pixels of B that are not 0"),
    ("same_non_finite", "NaN and infinities at the same pixels"),
    ("correlation", "correlation"),
    ("sum_a", "sum of A, photons"),
    ("sum_b", "sum of B, photons"),
    ("sum_ratio", "sum of B over sum of A"),
    ("mse", "mean square difference, photons²"),
    ("rmse", "its root, photons"),
    ("relative_l2", "relative L2: |B - A| / |A|"),
    ("max_ulp", "largest difference in units in the last place"),
    ("max_abs", "largest absolute difference, photons"),
)
_PEAKS_SHOWN: Final = 20


def number_text(value: object) -> str:
    """A value as reports show it: numbers to 12 digits, words as they are."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value)


def comparison_html(summary: Document, pictures: Mapping[str, bytes]) -> str:
    """The report of one comparison.

    summary: the document of ``summary.json``.  pictures: caption -> PNG, in the order shown.
    """
    verdict = summary["verdict"]
    metrics, peaks = summary["metrics"], summary["peaks"]
    at = metrics["max_abs_pixel"]
    place = f"at fast {at['fast']}, slow {at['slow']}: A {at['a']:.9g}, B {at['b']:.9g}"
    bins = [row for row in summary["ulp_histogram"] if row["pixels"]]
    parts = [
        _verdict(verdict),
        _table(
            ("criterion", "need", "got", ""),
            [
                (c["name"], c["rule"], number_text(c["value"]), "pass" if c["pass"] else "fail")
                for c in summary["criteria"]
            ],
        ),
        _pictures(pictures),
        "<h2>Figures</h2>",
        f"<p>Region: {_region(summary['roi'])}, {metrics['pixels']} pixels.</p>",
        _table(
            ("figure", "value", ""),
            [
                (label, number_text(metrics[name]), place if name == "max_abs" else "")
                for name, label in _METRICS
            ],
        ),
        "<h2>Differences in units in the last place</h2>",
        _table(
            ("units", "pixels"),
            [(_span(row["first"], row["last"]), str(row["pixels"])) for row in bins],
        ),
        "<h2>Peaks</h2>",
        _peak_sentence(peaks),
        _peak_table(peaks),
        "<h2>The two sides</h2>",
        _sides(summary["a"], summary["b"]),
        *_notes(summary),
    ]
    return _page(f"nb-compare: {summary['a']['name']} and {summary['b']['name']}", parts)


def suite_html(document: Document) -> str:
    """The report of a suite, from the document of ``suite.json``."""
    cases = document["cases"]
    rows = [
        (
            case["name"],
            case["status"],
            number_text(case["bytes_equal"]),
            number_text(case["max_ulp"]),
            number_text(case["relative_l2"]),
            number_text(case["correlation"]),
            number_text(case["runtime_ratio"]),
            case["problem"] or "",
            case["args"],
        )
        for case in cases
    ]
    counts = ", ".join(f"{count} {status}" for status, count in document["counts"].items())
    headings = (
        "case",
        "status",
        "bytes equal",
        "max ULP",
        "relative L2",
        "correlation",
        "runtime B/A",
        "problem",
        "command line",
    )
    parts = [
        _verdict(document["verdict"]),
        f"<p>{_text(document['suite'])}: {_text(counts)}</p>",
        f"<p>A: {_text(_side_words(document['a']))}<br>B: {_text(_side_words(document['b']))}</p>",
        f"<p>Criteria: {_text('; '.join(document['criteria']))}</p>",
        _table(headings, rows),
        f"<pre>{_text(document['command'])}</pre>",
    ]
    return _page("nb-compare: suite", parts)


def _side_words(side: Document) -> str:
    return f"{side['name']}, quirks {side['quirks']}" if side["quirks"] else str(side["name"])


def _page(title: str, parts: Iterable[str]) -> str:
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_text(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _verdict(verdict: str) -> str:
    return f'<p class="{_text(verdict)}"><strong>{_text(verdict)}</strong></p>'


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{_text(word)}</th>" for word in headings)
    lines = ["<table>", f"<tr>{head}</tr>"]
    lines += [f"<tr>{''.join(_cell(word) for word in row)}</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def _cell(word: str) -> str:
    kind = f' class="{word}"' if word in ("pass", "fail") else ""
    return f"<td{kind}>{_text(word)}</td>"


def _pictures(pictures: Mapping[str, bytes]) -> str:
    figures = []
    for caption, png in pictures.items():
        data = base64.b64encode(png).decode("ascii")
        figures.append(
            f'<figure><img alt="{_text(caption)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{_text(caption)}</figcaption></figure>"
        )
    return f'<div class="pictures">{"".join(figures)}</div>' if figures else ""


def _peak_sentence(peaks: Document) -> str:
    return (
        f"<p>{peaks['matched']} of {peaks['a']} peaks of A and {peaks['b']} of B belong together; "
        f"largest distance {number_text(peaks['max_distance_px'])} pixels.</p>"
    )


def _peak_table(peaks: Document) -> str:
    rows = [
        (_place(pair["a"]), _place(pair["b"]), number_text(pair["distance_px"]))
        for pair in peaks["pairs"][::-1][:_PEAKS_SHOWN]
    ]
    rows += [(_place(peak), "-", "-") for peak in peaks["only_a"][:_PEAKS_SHOWN]]
    rows += [("-", _place(peak), "-") for peak in peaks["only_b"][:_PEAKS_SHOWN]]
    return _table(("A: fast, slow: photons", "B", "distance, pixels"), rows) if rows else ""


def _place(peak: Document) -> str:
    return f"{peak['fast']:.3f}, {peak['slow']:.3f}: {peak['value']:.6g}"


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _region(roi: Document) -> str:
    return (
        f"fast {roi['fast_min']} to {roi['fast_max']}, slow {roi['slow_min']} to {roi['slow_max']}"
    )


def _sides(a: Document, b: Document) -> str:
    names = list(dict.fromkeys([*_facts(a), *_facts(b)]))
    return _table(
        ("", "A", "B"),
        [(name, _facts(a).get(name, "-"), _facts(b).get(name, "-")) for name in names],
    )


def _facts(side: Document) -> dict[str, str]:
    facts = {name: side[name] for name in ("name", "quirks", "seconds", "path", "sha256")}
    facts["quirks that mattered"] = ", ".join(side["quirks_that_mattered"])
    hidden = ("stdout", "stderr", "quirks", "seconds")
    facts |= {name: item for name, item in side["provenance"].items() if name not in hidden}
    return {
        name: "; ".join(f"{key}: {item}" for key, item in value.items())
        if isinstance(value, Mapping)
        else number_text(value)
        for name, value in facts.items()
        if value not in (None, "")
    }


def _notes(summary: Document) -> list[str]:
    notes = [f"<h2>Command</h2>\n<pre>{_text(summary['command'])}</pre>"]
    if summary["warnings"]:
        items = "".join(f"<li>{_text(text)}</li>" for text in summary["warnings"])
        notes.append(f"<h2>Warnings</h2>\n<ul>{items}</ul>")
    return notes


def _text(value: object) -> str:
    text = str(value).encode("utf-8", errors="backslashreplace")  # names of files may be any bytes
    return html.escape(text.decode("utf-8"))
