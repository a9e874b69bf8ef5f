"""Draw docs/pictures/frames.svg: each program's laboratory axes at one beam, sample and detector.

    python docs/conventions/make_pictures.py

The axes are those of `formats/geometry/frames.py`, in the simulator's frame, seen from above the
beam's left side.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from nanobragg_hybrid.formats.geometry.frames import FRAMES, Frame, to_simulator

PICTURE: Final = Path(__file__).parents[1] / "pictures" / "frames.svg"
NAMES: Final = {
    "mosflm": "simulator, MOSFLM",
    "dials": "DIALS, imgCIF",
    "nexus": "NeXus (McStas)",
    "xds": "XDS",
    "crystfel": "CrystFEL",
}
WIDTH, HEIGHT = 230, 200
ORIGIN: Final = (70.0, 105.0)
COLOURS: Final = ("#c0392b", "#27722f", "#1f4e9c")

Point = tuple[float, float]


def project(vector: tuple[float, float, float]) -> Point:
    """A vector of the simulator's frame on paper: x to the right, y up, z towards the reader."""
    x, y, z = vector
    return (ORIGIN[0] + x - 0.45 * z, ORIGIN[1] - y + 0.35 * z)


def _line(start: Point, end: Point, colour: str, extra: str = "") -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{colour}" stroke-width="2"{extra}/>'
    )


def _text(at: Point, text: str, colour: str, size: int = 17) -> str:
    halo = 'stroke="#fff" stroke-width="5" paint-order="stroke"'  # over the beam's line
    place = f'x="{at[0]:.1f}" y="{at[1]:.1f}"'
    return f'<text {place} font-size="{size}" fill="{colour}" {halo}>{text}</text>'


def _frame(frame: Frame) -> list[str]:
    corners = [(105.0, y, z) for y, z in ((42, 42), (42, -42), (-42, -42), (-42, 42))]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(project, corners))
    beam = _line(project((-62, 0, 0)), project((105, 0, 0)), "#888", ' stroke-dasharray="5 4"')
    lines = [
        f'<polygon points="{points}" fill="#dde3ea" stroke="#667" />',
        beam,
        _text((6.0, 88.0), "beam", "#666", 14),
        _text((10.0, 18.0), NAMES[frame], "#222", 17),
        _text((145.0, 192.0), "detector", "#666", 14),
    ]
    for name, colour, axis in zip("xyz", COLOURS, ((1, 0, 0), (0, 1, 0), (0, 0, 1)), strict=True):
        x, y, z = to_simulator(frame, axis)
        end = project((52 * x, 52 * y, 52 * z))
        label = project((66 * x, 66 * y, 66 * z))
        lines.append(_line(project((0, 0, 0)), end, colour, f' marker-end="url(#tip-{name})"'))
        lines.append(_text((label[0] - 5, label[1] + 5), name, colour))
    return [*lines, f'<circle cx="{ORIGIN[0]}" cy="{ORIGIN[1]}" r="4" fill="#222"/>']


def picture() -> str:
    """The SVG file."""
    heads = [
        f'<marker id="tip-{name}" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto">'
        f'<path d="M0,0 L7,3 L0,6 z" fill="{colour}"/></marker>'
        for name, colour in zip("xyz", COLOURS, strict=True)
    ]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {3 * WIDTH} {2 * HEIGHT}"',
        'font-family="sans-serif" role="img">',
        "<title>Laboratory axes of each program at one beam and detector</title>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f"<defs>{''.join(heads)}</defs>",
    ]
    for n, frame in enumerate(FRAMES):
        lines.append(f'<g transform="translate({n % 3 * WIDTH} {n // 3 * HEIGHT})">')
        lines += [*_frame(frame), "</g>"]
    return "\n".join([*lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
