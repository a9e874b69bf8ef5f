"""The viewer's page in a browser: pixel values, panels in their places, rings, contrast, keys."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nanobragg_hybrid as nb
from browser import Page
from nanobragg_hybrid.formats.viewer_page import ViewedImage, ViewedPanel, viewer_page
from nanobragg_hybrid.model.panel import Panel
from nanobragg_hybrid.run.viewing import page_of_files

RANDOM = np.random.default_rng(8)


def _open(page: Page, folder: Path, text: str) -> None:
    path = folder / f"view{len(list(folder.iterdir()))}.html"
    path.write_text(text)
    page.faults.clear()
    page.open(path.as_uri())
    page.wait(f"location.href === {json.dumps(path.as_uri())} && typeof viewer === 'object'")
    page.run("viewer.ready")
    page.wait_for_layout()


def _image(*pixels: Any, unit: str = "") -> ViewedImage:
    return ViewedImage("an image", tuple(ViewedPanel(p) for p in pixels), unit)


def _readout(page: Page) -> str:
    text: str = page.run("document.querySelector('.nb-readout').textContent")
    return " ".join(text.split())


def _middle(page: Page, panel: int, fast: float, slow: float) -> list[float]:
    """Where a pixel's middle is in the window."""
    place: list[float] = page.run(
        f"""(() => {{ const p = viewer.picture, box = p.canvas.getBoundingClientRect();
        const [x, y] = p._canvas(...p._placed(p.panels[{panel}], {fast + 0.5}, {slow + 0.5}));
        return [box.left + x / p.ratio, box.top + y / p.ratio]; }})()"""
    )
    return place


def _colour(page: Page, panel: int, fast: float, slow: float) -> list[int]:
    """What is drawn in the middle of a pixel: red, green, blue."""
    page.wait_for_layout()
    colour: list[int] = page.run(
        f"""(() => {{ const p = viewer.picture;
        const [x, y] = p._canvas(...p._placed(p.panels[{panel}], {fast + 0.5}, {slow + 0.5}));
        return [...p.canvas.getContext("2d").getImageData(Math.floor(x), Math.floor(y), 1, 1).data]
          .slice(0, 3); }})()"""
    )
    return colour


def test_values_of_every_type(browser: Page, tmp_path: Path) -> None:
    """A pixel's value is that of the array, whatever its type; a slider goes from file to file."""
    arrays = [
        RANDOM.normal(size=(7, 5)).astype(np.float32),
        RANDOM.normal(size=(6, 9)) * 1e300,
        RANDOM.integers(0, 65536, (7, 5)).astype(np.uint16),
        RANDOM.integers(-(2**31), 2**31, (7, 5)).astype(np.int32),
        RANDOM.integers(0, 2**53, (3, 4)),
        np.array([[math.nan, math.inf], [-math.inf, 0.0]]),
    ]
    _open(browser, tmp_path, viewer_page([_image(a) for a in arrays], "several"))
    assert browser.run("IMAGES.length") == len(arrays)
    for number, array in enumerate(arrays):
        browser.run(f"viewer.show({number})")
        browser.wait(f"viewer.shown() === {number}")
        shown = browser.run("Array.from(viewer.picture.panels[0].pixels, String)")
        assert np.array_equal(
            np.array([float(text.replace("Infinity", "inf")) for text in shown]),
            array.ravel().astype(float),
            equal_nan=True,
        )
        point = browser.run("(() => { const p = viewer.picture.at(0, 1, 1); return p.value; })()")
        assert point == array[1, 1]
    assert browser.run("document.querySelector('#count').textContent") == "6 of 6"
    assert browser.faults == []


def test_slider_and_keys_choose_the_image(browser: Page, tmp_path: Path) -> None:
    images = [_image(np.full((4, 4), float(n)), unit="counts") for n in range(3)]
    _open(browser, tmp_path, viewer_page(images, "three"))
    browser.run("document.querySelector('#slider').focus()")
    browser.press("ArrowRight")
    browser.wait("viewer.shown() === 1")
    browser.press("n")
    browser.wait("viewer.shown() === 2")
    assert browser.run("viewer.picture.at(0, 0, 0).value") == 2.0
    browser.press("p")
    browser.wait("viewer.shown() === 1")
    browser.run("document.querySelector('#before').click()")
    browser.wait("viewer.shown() === 0")
    assert "4 × 4 pixels · 0 to 0 counts" in browser.run("document.body.textContent")


def test_one_image_needs_no_slider(browser: Page, tmp_path: Path) -> None:
    for number in (1, 2):
        _open(browser, tmp_path, viewer_page([_image(np.zeros((4, 4)))] * number, "a"))
        assert bool(browser.run("document.querySelector('#slider').offsetWidth")) is (number > 1)


def test_pointer_and_arrows(browser: Page, tmp_path: Path) -> None:
    """Pointing at a pixel and the arrow keys tell the same of it."""
    pixels = np.arange(48, dtype=np.uint16).reshape(6, 8)
    _open(browser, tmp_path, viewer_page([_image(pixels, unit="counts")], "a"))
    x, y = _middle(browser, 0, 5, 2)
    browser.mouse("mouseMoved", x, y)
    browser.wait("viewer.picture.point")
    assert _readout(browser) == f"fast 5 slow 2 value {pixels[2, 5]} counts"
    browser.run("viewer.picture.canvas.focus()")
    browser.press("ArrowLeft")
    browser.press("ArrowDown")
    assert _readout(browser) == f"fast 4 slow 3 value {pixels[3, 4]} counts"
    browser.press("ArrowRight", modifiers=8)
    assert browser.run("viewer.picture.point.fast") == 7
    browser.press("Escape")
    assert browser.run("viewer.picture.point") is None
    browser.mouse("mouseMoved", 3, 3)
    assert _readout(browser).startswith("Point at a pixel")


def test_zoom_and_drag(browser: Page, tmp_path: Path) -> None:
    _open(browser, tmp_path, viewer_page([_image(RANDOM.random((40, 60)))], "a"))
    x, y = _middle(browser, 0, 10, 10)
    start = browser.run("viewer.picture.view.scale")
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-200)
    browser.wait(f"viewer.picture.view.scale > 1.4 * {start}")
    assert _middle(browser, 0, 10, 10) == pytest.approx([x, y], abs=0.6)
    browser.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    browser.mouse("mouseMoved", x + 50, y + 20, button="left", buttons=1)
    browser.mouse("mouseReleased", x + 50, y + 20, button="left", clickCount=1)
    assert _middle(browser, 0, 10, 10) == pytest.approx([x + 50, y + 20], abs=0.6)
    browser.run("viewer.picture.canvas.focus()")
    browser.press("0")
    assert browser.run("viewer.picture.view.scale") == pytest.approx(start)


def test_contrast(browser: Page, tmp_path: Path) -> None:
    """From the low to the high value, on three scales and in three colours; NaN stands out."""
    pixels = np.float32([[0.0, 25.0, 50.0, 100.0, 200.0, np.nan, -5.0]])
    _open(browser, tmp_path, viewer_page([_image(pixels)], "a"))
    browser.run("viewer.picture.set({colours: 'grey', scale: 'linear', low: 0, high: 100})")
    colours = [_colour(browser, 0, fast + 0.3, 0) for fast in range(7)]
    greys = [colour[0] for colour in colours]
    assert greys[:5] == pytest.approx([0, 64, 128, 255, 255], abs=2)
    assert greys[6] == 0
    assert colours[5][0] > 200
    assert colours[5][1] < 100
    assert not browser.run("viewer.picture.settings.automatic")
    for scale, middle in (("root", 128), ("log", 255 * math.log(251) / math.log(1001))):
        browser.run(f"viewer.picture.set({{scale: '{scale}'}})")
        assert _colour(browser, 0, 1.3, 0)[0] == pytest.approx(middle, abs=2)
    browser.run("viewer.picture.set({colours: 'ink'})")
    assert _colour(browser, 0, 0.3, 0) == [255, 255, 255]
    assert max(_colour(browser, 0, 3.3, 0)) < 60
    with pytest.raises(RuntimeError, match="scale: got cube"):
        browser.run("viewer.picture.set({scale: 'cube'})")


def test_automatic_contrast(browser: Page, tmp_path: Path) -> None:
    """From a fiftieth of the sorted values, if that is below 0, to the 0.3 % that are brightest."""
    for pixels in (
        RANDOM.exponential(10, (60, 70)) - 20,
        RANDOM.integers(0, 4, (60, 70)),
        np.arange(4200.0).reshape(60, 70),
        np.full((60, 70), -3.0),
    ):
        values = pixels.astype(np.float32)
        _open(browser, tmp_path, viewer_page([_image(values)], "a"))
        found = browser.run("[viewer.picture.settings.low, viewer.picture.settings.high]")
        in_order = np.sort(values.ravel()).astype(float)
        low = max(in_order[0], min(0.0, in_order[84])) if in_order[0] < 0 else 0.0
        high = in_order[4187] if in_order[4187] > low else max(in_order[-1], low + 1)
        assert found == [low, high]


def test_every_number_has_its_shade(browser: Page, tmp_path: Path) -> None:
    """The table of shades, which is not computed beyond both ends, is that of the formula."""
    _open(browser, tmp_path, viewer_page([_image(np.ones((4, 4), np.float32))], "a"))
    for scale, low, high in (
        ("root", 0.0, 6220.0),
        ("linear", -5.0, 100.0),
        ("log", 3.0, 4.0),
        ("linear", -20.0, -10.0),
        ("linear", 10.0, -10.0),
    ):
        browser.run(f"viewer.picture.set({{scale: '{scale}', low: {low}, high: {high}}})")
        wrong = browser.run(
            f"""(() => {{ const half = new Uint16Array(2), number = new Float32Array(half.buffer);
            const p = viewer.picture, wrong = [], colour = PICTURE_COLOURS[p.settings.colours];
            for (let i = 0; i < 65536; i++) {{
              if (i === 0xff80) continue;
              half[0] = i ? 0x8000 : 0; half[1] = i;
              const t = Math.max(0, Math.min(1, (number[0] - {low}) / ({high} - {low})));
              const red = colour(Math.round(1023 * PICTURE_SCALES["{scale}"](t)) / 1023)[0];
              const need = Number.isNaN(t) ? 0xd0 : Math.max(0, Math.min(255, Math.round(red)));
              if ((p._shades[i] & 255) !== need) wrong.push(i);
            }}
            return wrong; }})()"""
        )
        assert wrong == [], (scale, low, high)


def test_any_part_in_view_has_its_colours(browser: Page, tmp_path: Path) -> None:
    """Wherever one looks in a large panel that stands obliquely, and at any zoom."""
    pixels = RANDOM.integers(0, 101, (700, 900)).astype(np.uint8)
    panel = ViewedPanel(pixels, place=(10, 20, 0.8, 0.6, -0.6, 0.8))
    _open(browser, tmp_path, viewer_page([ViewedImage("a", (panel,))], "a"))
    browser.run("viewer.picture.set({colours: 'grey', scale: 'linear', low: 0, high: 100})")
    browser.run("viewer.picture.set({rings: false})")
    for fast, slow, scale in ((3, 2, 9), (255, 256, 5), (511, 513, 2.5), (899, 699, 30)):
        browser.run(
            f"""(() => {{ const p = viewer.picture;
            const [x, y] = p._placed(p.panels[0], {fast + 0.5}, {slow + 0.5});
            p.view = {{scale: {scale}, x: x + 4, y: y - 3}}; p._draw(); }})()"""
        )
        for near_fast, near_slow in ((fast, slow), (fast - 2, slow), (fast, slow - 2)):
            if near_slow < 0:
                continue
            shade = 255 * int(pixels[near_slow, near_fast]) / 100
            assert _colour(browser, 0, near_fast, near_slow)[0] == pytest.approx(shade, abs=2)


def test_masked_pixels(browser: Page, tmp_path: Path) -> None:
    """Are drawn apart, are no part of the contrast and say that they are masked."""
    pixels = np.full((10, 10), 5, np.uint32)
    pixels[2:4] = 2**32 - 1
    mask = pixels < 2**32 - 1
    for shown in (None, mask):
        panel = ViewedPanel(pixels, mask=shown)
        _open(browser, tmp_path, viewer_page([ViewedImage("a", (panel,), "counts")], "a"))
        browser.run("viewer.picture.set({colours: 'grey', automatic: true})")
        high = browser.run("viewer.picture.settings.high")
        assert high == (5 if shown is mask else 2**32 - 1)
        red, green, blue = _colour(browser, 0, 5, 2.3)
        assert (red < green < blue) is (shown is mask)
        browser.run("viewer.picture.look(0, 5, 2)")
        assert _readout(browser) == "fast 5 slow 2 value 4294967295 counts" + (
            " masked" if shown is mask else ""
        )
        assert browser.run("viewer.picture.at(0, 5, 4).masked") is False


def test_zoomed_out_the_brightest_pixel_is_seen(browser: Page, tmp_path: Path) -> None:
    """One bright pixel among ten million dark ones is a spot on the screen."""
    pixels = np.zeros((3001, 3333), np.uint16)
    pixels[1234, 2345] = 9
    pixels[3000, 3332] = 9
    _open(browser, tmp_path, viewer_page([_image(pixels)], "a"))
    browser.run("viewer.picture.set({colours: 'grey', scale: 'linear', low: 0, high: 9})")
    assert browser.run("viewer.picture.view.scale") < 0.4
    counted = browser.run(
        """new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
        const p = viewer.picture, data = p.canvas.getContext("2d")
          .getImageData(0, 0, p.canvas.width, p.canvas.height).data;
        let count = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] > 200) count++;
        done(count); })))"""
    )
    assert 2 <= counted <= 40


def test_panels(browser: Page, tmp_path: Path) -> None:
    """A result's panels: their pixels are where the laboratory has them."""
    panels = (
        Panel("left", (100, 10, -12), (0, 0, 1), (0, -1, 0), 5, 10, 2.0),
        Panel("right", (90, 30, 15), (-0.6, 0, 0.8), (0, -1, 0), 7, 9, 1.0),
    )
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(50, 60, 70)), detector=nb.Detector(panels=panels)
    )
    result = nb.simulate(experiment, nb.StructureFactors.constant(10.0))
    _open(browser, tmp_path, result.show(tmp_path / "a.html").read_text())
    x, y = _middle(browser, 1, 3, 4)
    browser.mouse("mouseMoved", x, y)
    browser.wait("viewer.picture.point")
    point = browser.run("viewer.picture.point")
    assert (point["panel"], point["fast"], point["slow"]) == (1, 3, 4)
    assert point["value"] == float(result.images[1][4, 3])
    assert _readout(browser).startswith("panel right fast 3 slow 4")
    place = np.array([90, 30, 15]) + 3.5 * np.array([-0.6, 0, 0.8]) + 4.5 * np.array([0, -1, 0])
    twotheta = math.acos(place[0] / np.linalg.norm(place))
    assert point["twotheta_deg"] == pytest.approx(math.degrees(twotheta), rel=1e-9)
    assert point["d_angstrom"] == pytest.approx(0.5 / math.sin(twotheta / 2), rel=1e-9)
    # one millimetre in the picture is one along the projected axes
    (x0, y0), (x1, y1) = _middle(browser, 0, 0, 0), _middle(browser, 1, 0, 0)
    scale = browser.run("viewer.picture.view.scale / viewer.picture.ratio")
    assert (x1 - x0) / scale == pytest.approx(15 + 0.4 - (-12 + 1), abs=1e-6)
    assert (y1 - y0) / scale == pytest.approx(-30 + 0.5 - (-10 + 1), abs=1e-6)


def test_rings(browser: Page, tmp_path: Path) -> None:
    """Every point of a ring has its resolution, on a panel that stands obliquely."""
    panel = Panel("a", (90, 30, -15), (-0.6, 0, 0.8), (0, -1, 0), 70, 90, 1.0)
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(50, 60, 70)), detector=nb.Detector(panels=(panel,))
    )
    result = nb.simulate(experiment, nb.StructureFactors.constant(10.0))
    _open(browser, tmp_path, result.show(tmp_path / "a.html").read_text())
    for d in (5.0, 2.0, 1.2):
        points = browser.run(
            f"""(() => {{ const p = viewer.picture, panel = p.panels[0];
            return p._ring(panel, {d}).filter(point => point)
              .map(point => p._resolution(panel, ...point).d_angstrom); }})()"""
        )
        assert len(points) > 100
        assert points == pytest.approx([d] * len(points), rel=1e-9)
    assert browser.run("viewer.picture._ring(viewer.picture.panels[0], 0.4)") == []


def test_labels(browser: Page, tmp_path: Path) -> None:
    """Something is drawn around a labelled pixel, and not without."""
    _open(browser, tmp_path, viewer_page([_image(np.zeros((30, 30)))], "a"))
    blank = _colour(browser, 0, 10, 10 - 1.2)
    browser.run("viewer.picture.label([{panel: 0, fast: 10, slow: 10, text: '1 2 3'}])")
    assert _colour(browser, 0, 10, 10 - 1.2) != blank
    browser.run("viewer.picture.label([])")
    assert _colour(browser, 0, 10, 10 - 1.2) == blank


def test_page_of_files(browser: Page, tmp_path: Path) -> None:
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(5, 5, 5)),
        detector=nb.Detector(n_fast=30, n_slow=20, pixel_size_mm=2.0),
    )
    result = nb.simulate(experiment, nb.StructureFactors.constant(100.0))
    nb.write_raw(tmp_path / "a.bin", result.image)
    _open(browser, tmp_path, page_of_files([tmp_path / "a.bin"], shape=(20, 30)))
    for slow, fast in ((0, 0), (19, 29), (7, 21)):
        value = browser.run(f"viewer.picture.at(0, {fast}, {slow}).value")
        assert value == float(result.image[slow, fast])
    assert browser.faults == []
    assert {address.split(":")[0] for address in browser.requests} <= {"file", "blob", "data"}


def test_damaged_page_says_so(browser: Page, tmp_path: Path) -> None:
    text = viewer_page([_image(np.zeros((3, 3)))], "a").replace('"n_fast": 3', '"n_fast": 4')
    path = tmp_path / "view.html"
    path.write_text(text)
    browser.open(path.as_uri())
    browser.wait("document.querySelector('#problem') && !document.querySelector('#problem').hidden")
    assert "data are damaged" in browser.run("document.querySelector('#problem').textContent")


def test_spots_are_marked(browser: Page, tmp_path: Path) -> None:
    """Rings and indices of the truth, of each frame its own, until they are hidden."""
    frames = [
        nb.Experiment(
            crystal=nb.Crystal(
                cell_angstrom=(40, 50, 60), n_cells=(5, 5, 5), misset_deg=(10 + n, 20, 30)
            ),
            detector=nb.Detector(distance_mm=60, pixel_size_mm=0.3, n_fast=60, n_slow=50),
            sampling=nb.Sampling(oversample=1),
        )
        for n in range(2)
    ]
    factors = nb.StructureFactors.constant(100.0)
    paths = [tmp_path / f"f_{n}.npy" for n in range(2)]
    for path, each in zip(paths, frames, strict=True):
        np.save(path, nb.simulate(each, factors).image)
    truth = nb.ReflectionTruth.joined(
        [nb.predict_reflections(each, factors, frame=n) for n, each in enumerate(frames)]
    )
    _open(browser, tmp_path, page_of_files(paths, truth=truth))
    for number in range(2):
        browser.run(f"viewer.show({number})")
        browser.wait(f"viewer.shown() === {number}")
        rows = truth.of_frame(number)
        labels = browser.run("viewer.picture.labels")
        assert len(labels) == len(rows) > 3
        brightest = int(rows.photons.argmax())
        assert labels[0]["text"] == " ".join(map(str, rows.hkl[brightest].tolist()))
        assert labels[0]["fast"] == pytest.approx(rows.fast_px[brightest] - 0.5, abs=0.01)
        value = browser.run(
            "(() => { const {panel, fast, slow} = viewer.picture.labels[0];"
            " return viewer.picture.at(panel, Math.round(fast), Math.round(slow)).value; })()"
        )
        assert value > 0.3 * rows.peak_photons[brightest]
    browser.run("document.querySelector('#mark').click()")
    assert browser.run("viewer.picture.labels") == []
    browser.run("viewer.show(0)")
    browser.wait("viewer.shown() === 0")
    assert browser.run("viewer.picture.labels") == []
    assert browser.faults == []
    with pytest.raises(nb.ConfigError, match="truth"):
        page_of_files([*paths, paths[0]], truth=truth)
    small = tmp_path / "small.npy"
    np.save(small, np.ones((5, 5)))
    with pytest.raises(nb.ConfigError, match="truth"):
        page_of_files([small], truth=truth)
