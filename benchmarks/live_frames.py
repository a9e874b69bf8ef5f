"""How many images a second the live image shows: 256 x 256 pixels, one domain, in this Chromium.

usage: python benchmarks/live_frames.py [LIVE.HTML] [--images N]

LIVE.HTML is a page of docs/live/make_page.py; without it one is made, which needs ziglang.  Each
image is asked for when the one before is there, as a slider that moves does, and its time is from
the question to the settled image, with the SHA-256 of its pixels.  60 a second are 16.7 ms each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMAND = (
    "-cell 38 46 54 90 98 90 -misset 10 25 5 -N 12 -default_F 100 -lambda 1 -distance 100 "
    "-detpixels 256 -pixel 0.4 -oversample 1"
)
MEASURE = """(async () => {
    const times = [];
    for (let n = 0; n < %d; n++) {
        const start = performance.now();
        live.set("beam.wavelength_angstrom", 1 + n / 1000);
        await live.settled();
        times.push(performance.now() - start);
    }
    return times;
})()"""


def milliseconds(page_file: Path, images: int, folder: Path) -> list[float]:
    """The time of each image after the first."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from browser import chromium, opened

    if chromium() is None:
        raise SystemExit("needs Chromium")
    with opened(page_file, folder, (1400, 1000)) as page:
        page.run("live.ready")
        page.run(f"live.takeCommand({json.dumps(COMMAND)})")
        page.run("live.settled()")
        times: list[float] = page.run(MEASURE % (images + 1))
    return times[1:]


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", nargs="?", type=Path, metavar="LIVE.HTML")
    parser.add_argument("--images", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page_file: Path = asked.page or folder / "live.html"
        if asked.page is None:
            make = [sys.executable, str(ROOT / "docs" / "live" / "make_page.py"), str(page_file)]
            subprocess.run(make, check=True)
        times = milliseconds(page_file.resolve(), asked.images, folder)
    middle = statistics.median(times)
    print(
        f"{len(times)} images of 256 x 256 pixels: {min(times):.1f} ms at best, {middle:.1f} ms "
        f"in the middle, {1000 / middle:.0f} a second"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
