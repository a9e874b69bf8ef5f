"""Write the table of figures in README.md, from the code, the recordings and the trend file.

    python docs/figures/make_table.py

No figure depends on the machine that runs this: times are in docs/speed.md.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Final

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.engines.torch.set_up.parameters import known_names

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "README.md"
BEGIN: Final = "<!-- figures: begin -->\n"
END: Final = "<!-- figures: end -->\n"


def _cases(name: str) -> int:
    recorded = json.loads((ROOT / "golden" / f"{name}.json").read_text(encoding="utf-8"))
    return sum(case["exit"] == 0 for case in recorded.values())


def table() -> str:
    """The table."""
    with (ROOT / "benchmarks" / "trend.csv").open(encoding="utf-8", newline="") as file:
        *_, last = csv.DictReader(file)
    runs = _cases("cases") + _cases("more/cases") + _cases("cases_fixed")
    rows = [
        ("recorded runs of nanoBragg whose files come out byte for byte", str(runs)),
        ("flags of nanoBragg", str(sum(not flag.is_ours for flag in FLAGS))),
        ("habits of nanoBragg with a name and a switch", str(len(nb.LEDGER))),
        ("kinds of numbers that are differentiated", str(len(known_names()))),
        (
            "orientation found from one noisy image, 0.3° off at first: error",
            f"{float(last['refinement_error_deg']):.5f}°",
        ),
        ("packages needed at run time", "numpy"),
    ]
    lines = ["| figure | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)]
    return "\n".join(lines) + "\n"


def page() -> str:
    """README.md with the table as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
