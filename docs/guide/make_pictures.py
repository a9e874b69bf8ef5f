"""Draw the pictures of README, docs/getting_started.md and docs/choosing.md, and the tables beside
the latter.

    python docs/guide/make_pictures.py

Pictures of the first pages are those of the commands that stand there.  A test renders all of them
again and compares pixels and tables.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.umbrella.main import DEMO_FILE, demo_experiment
from nanobragg_hybrid.compare.pictures import grey

DOCS: Final = Path(__file__).resolve().parents[1]
PICTURES: Final = DOCS / "pictures"
sys.path.insert(0, str(Path(__file__).resolve().parent))

from strips import CHOOSING, STRIPS, Strip, rendered, table  # noqa: E402

Picture = NDArray[np.uint8]


def commands_of_first_page() -> list[list[str]]:
    """The words of the `nanoBragg` commands in getting_started.md, in their order."""
    text = (DOCS / "getting_started.md").read_text(encoding="utf-8").replace("\\\n", " ")
    found = []
    for line in re.findall(r"^nanoBragg (-.*)$", text, re.MULTILINE):
        data = r'"\$\(nanobragg-hybrid data (\S+)\)"'
        found.append(shlex.split(re.sub(data, lambda name: str(nb.data_path(name[1])), line)))
    return found


def of_command(words: list[str]) -> Picture:
    """The picture of a command's float image."""
    experiment = nb.Experiment.from_nanobragg_args(words)
    if "-hkl" in words:
        factors = nb.read_hkl(words[words.index("-hkl") + 1])
    else:
        factors = nb.StructureFactors.constant(float(words[words.index("-default_F") + 1]))
    return grey(nb.simulate(experiment, factors).image)


def strip_picture(strip: Strip) -> Picture:
    """The images of a strip side by side, with the same brightness."""
    images = rendered(strip)
    block = np.ones((strip.enlarged, strip.enlarged), np.uint8)
    parts = [np.kron(grey(image, strip.brightest(images)), block) for image in images]
    gap = np.full((parts[0].shape[0], 2), 160, np.uint8)
    return np.hstack([part for each in parts for part in (each, gap)][:-1])


def pictures() -> Iterator[tuple[str, Picture]]:
    """Every picture, by the name of its file."""
    yield "demo.png", grey(nb.simulate(demo_experiment(), nb.read_hkl(DEMO_FILE)).image)
    for number, words in enumerate(commands_of_first_page(), 1):
        yield f"first_{number}.png", of_command(words)
    for name, strip in STRIPS.items():
        yield f"choosing_{name}.png", strip_picture(strip)


def choosing_page() -> str:
    """docs/choosing.md with the tables as they should be."""
    text = CHOOSING.read_text(encoding="utf-8")
    for name, strip in STRIPS.items():
        begin, end = f"<!-- strip {name}: begin -->\n", f"<!-- strip {name}: end -->\n"
        before, _, rest = text.partition(begin)
        inside, _, after = rest.partition(end)
        if not inside:
            raise SystemExit(f"docs/choosing.md has no place for the table of {name}")
        text = f"{before}{begin}{table(name, strip)}{end}{after}"
    return text


def main() -> None:
    """Writes them."""
    for name, picture in pictures():
        nb.write_png(PICTURES / name, picture)
    CHOOSING.write_text(choosing_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
