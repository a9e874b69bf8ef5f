"""The drawing of an experiment: what is where, to scale."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import nanobragg_hybrid as nb

SVG = "{http://www.w3.org/2000/svg}"


def parts(sketch: nb.Sketch, kind: str) -> list[Any]:
    root = ET.fromstring(sketch.svg)
    return [each for each in root.iter() if each.get("class") == kind]


def corners(panel: Any) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in panel.get("points").split())
    return [(float(x), float(y)) for x, y in pairs]


def scale_of(sketch: nb.Sketch) -> float:
    """Units of the drawing for a millimetre, by its scale bar."""
    (bar,) = parts(sketch, "scale")
    found = re.search(r">([\d.]+) mm<", sketch.svg)
    assert found is not None
    return (float(bar.get("x2")) - float(bar.get("x1"))) / float(found[1])


def test_a_flat_detector_to_scale() -> None:
    detector = nb.Detector(distance_mm=120, pixel_size_mm=0.2, n_fast=500, n_slow=300)
    sketch = nb.Experiment(detector=detector, goniometer=nb.Goniometer(osc_deg=1.0)).sketch()
    scale = scale_of(sketch)
    side, above, along = (corners(panel) for panel in parts(sketch, "panel"))
    samples = [(float(s.get("cx")), float(s.get("cy"))) for s in parts(sketch, "sample")]
    for seen, height in ((side, 60.0), (above, 100.0)):
        x, y = zip(*seen, strict=True)
        assert max(y) - min(y) == pytest.approx(scale * height, abs=0.1)
        assert max(x) - min(x) < 0.1  # from its edge
    assert side[0][0] - samples[0][0] == pytest.approx(120.0 * scale, abs=0.1)
    x, y = zip(*along, strict=True)
    assert max(x) - min(x) == pytest.approx(100.0 * scale, abs=0.1)
    assert max(y) - min(y) == pytest.approx(60.0 * scale, abs=0.1)
    # slow goes down, fast to the right along the spindle
    assert along[0][1] < along[3][1]
    assert along[0][0] < along[1][0]
    assert len(parts(sketch, "hit")) == 3
    assert "spindle 0 to 1 degrees" in sketch.svg


def test_panels_and_a_beam_that_misses(tmp_path: Path) -> None:
    panels = tuple(
        nb.Panel(f"<{n}>", (100, 15 - 16 * n, -20), (0, 0, 1), (0, -1, 0), 100, 30, 0.4)
        for n in range(4)
    )
    sketch = nb.Experiment(detector=nb.Detector(panels=panels)).sketch()
    assert len(parts(sketch, "panel")) == 12
    assert "&lt;3&gt;" in sketch.svg
    away = nb.Experiment(detector=nb.Detector(panels=panels[2:])).sketch()
    assert parts(away, "hit") == []
    assert sketch._repr_svg_() == sketch.svg
    sketch.save(tmp_path / "sketch.svg")
    assert (tmp_path / "sketch.svg").read_text() == sketch.svg
    with pytest.raises(nb.FileAccessError):
        sketch.save(tmp_path / "missing" / "sketch.svg")
    for name in ("s.png", "s", "svg"):
        with pytest.raises(nb.ConfigError, match=r"path: got .*, need a name that ends in \.svg"):
            sketch.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["sketch.svg"]
    sketch.save(str(tmp_path / "B.SVG"))


def test_a_detector_next_to_the_sample() -> None:
    """It would need more sub-pixels than there can be; a drawing needs none."""
    turning = nb.Goniometer(osc_deg=1.0, phi_steps=10)
    near = nb.Experiment(detector=nb.Detector(distance_mm=0.001), goniometer=turning).sketch()
    assert len(parts(near, "panel")) == 3
    assert "0.001 mm to the detector" in near.svg
    # the beam lies in its plane
    edge = nb.Experiment(detector=nb.Detector(distance_mm=100, twotheta_deg=90)).sketch()
    assert len(parts(edge, "panel")) == 3
    assert "nan" not in edge.svg


def test_every_convention_and_a_spindle_along_the_beam() -> None:
    for convention in ("adxv", "mosflm", "denzo", "xds", "dials"):
        detector = nb.Detector(convention=convention, distance_mm=100)
        assert len(parts(nb.Experiment(detector=detector).sketch(), "hit")) == 3
    along = nb.Experiment(goniometer=nb.Goniometer(spindle_axis=(1.0, 0.0, 0.0)))
    assert "nan" not in along.sketch().svg
