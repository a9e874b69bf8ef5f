"""The live image of docs/live: the C library in a web page renders the library's own bytes."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from recorded import table

import nanobragg_hybrid as nb
from browser import Page

CASES = table("cases")
GOLDEN = (
    "cubic triclinic cubic_N100 aniso_N short_wave energy cell_obtuse misset_neg twotheta "
    "beam_mosflm odd_pixels far polar_nopolar oversample3 round gauss phi0_carryover phi_osc_only "
    "phi_steps_only mosaic mosaic_auto mosaic_seed mosaic_phi mosaic_powder default_F_negative"
).split()
STILL = "-cell 38 46 54 90 98 90 -misset 10 25 5 -N 12 -default_F 100 -lambda 1 -distance 100 "


def _show(page: Page, command: str) -> dict[str, Any]:
    """The page's settled image of a command: its SHA-256 and what its plan has."""
    page.run(f"live.takeCommand({json.dumps(command)})")
    settled: dict[str, Any] = page.run("live.settled()")
    return settled


def _sha256(image: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def _native(command: str, quirks: str = "nanobragg") -> nb.SimulationResult:
    """What the library renders of a command with one structure factor for all."""
    amplitude = float(re.findall(r"-default_F (\S+)", command)[-1])
    experiment = nb.Experiment.from_nanobragg_args(command)
    factors = nb.StructureFactors.constant(amplitude)
    return nb.simulate(experiment, factors, quirks=nb.Quirks.parse(quirks))


@for_each("case", GOLDEN)
def test_recorded_bytes(case: str, live: Page) -> None:
    """The page shows a recorded command with nanoBragg's bytes, and says so beside the image; the
    command and the Python text that it gives for it render them, too."""
    recorded = CASES[case]["files"]["floatimage.bin"]["sha256"]
    assert _show(live, CASES[case]["args"])["sha256"] == recorded
    assert _sha256(_native(live.run("live.command()")).image) == recorded
    names: dict[str, Any] = {}
    exec(live.run("live.python()"), names)
    assert _sha256(names["result"].image) == recorded
    live.wait("document.querySelector('#sha').textContent.length === 64")
    assert live.run("document.querySelector('#sha').textContent") == recorded


def test_recorded_commands_that_the_page_can_show(live: Page) -> None:
    """As many as docs/live_image.md says, and all of them with the recorded bytes."""
    same, other = 0, []
    for name, case in CASES.items():
        try:
            settled = _show(live, case["args"])
        except RuntimeError:
            continue
        if settled["sha256"] == case["files"]["floatimage.bin"]["sha256"]:
            same += 1
        else:
            other.append(name)
    assert (same, other) == (55, [])


def test_slider(live: Page) -> None:
    """A slider that the keyboard moves changes the image to the library's; so does its box."""
    before = live.run("live.settled()")["sha256"]
    live.run(
        "document.querySelector('[data-field=\"crystal.cell_angstrom\"] input[type=range]').focus()"
    )
    for _ in range(7):
        live.press("ArrowRight")
    after = live.run("live.settled()")
    assert live.run("live.state()['crystal.cell_angstrom']") == [pytest.approx(38.7), 46, 54]
    assert after["sha256"] != before
    native = _native(live.run("live.command()"))
    assert after["sha256"] == _sha256(native.image)
    values = live.run("[live.picture.at(0, 100, 90).value, live.picture.at(0, 33, 200).value]")
    assert values == [float(native.image[90, 100]), float(native.image[200, 33])]
    assert max(values) > 0.0

    live.run(
        """(() => { const row = document.querySelector('[data-field="crystal.misset_deg"]');
        const box = row.querySelector('input[type=text]'); box.value = "-12.5";
        box.dispatchEvent(new Event("change")); })()"""
    )
    assert live.run("live.settled()")["sha256"] != after["sha256"]
    assert live.run("live.state()['crystal.misset_deg']") == [-12.5, 25, 5]


def test_many_changes_end_with_the_last(live: Page) -> None:
    """Changes that come faster than images are passed over, but not the last one."""
    live.run("for (let i = 0; i <= 50; i++) live.set('beam.wavelength_angstrom', 1 + i / 100)")
    assert live.run("live.settled()")["sha256"] == _sha256(
        _native(live.run("live.command()")).image
    )
    assert "-lambda 1.5 " in live.run("live.command()")


def test_slow_images_are_given_up(live: Page) -> None:
    """Changes while one that takes long is in work: the next one does not wait for its end."""
    live.run("live.set('crystal.mosaic_domains', 3000); live.set('crystal.mosaic_spread_deg', 90)")
    for domains in (2999, 2998, 2997):
        live.run("new Promise(done => setTimeout(done, 300))")
        live.run(f"live.set('crystal.mosaic_domains', {domains})")
    live.run("new Promise(done => setTimeout(done, 300))")
    live.run("live.set('crystal.mosaic_domains', 2); live.set('detector.n_fast', 64)")
    native = _native(live.run("live.command()"))
    assert live.run("live.settled()")["sha256"] == _sha256(native.image)


def test_an_image_that_takes_long_says_how_far_it_is(live: Page) -> None:
    """With so many steps that 16 rows would take a minute: it speaks nevertheless, and a change
    ends it."""
    live.run("live.set('crystal.mosaic_domains', 1000000)")
    live.run("live.set('crystal.mosaic_spread_deg', 90)")
    live.wait("document.querySelector('#time').textContent.startsWith('rendering: ')")
    said = live.run("document.querySelector('#time').textContent")
    assert re.fullmatch(r"rendering: \d+ %, some [\d.]+ s left; any change gives it up", said), said
    assert "Infinity" not in said
    live.run("live.set('crystal.mosaic_domains', 2); live.set('detector.n_fast', 64)")
    native = _native(live.run("live.command()"))
    assert live.run("live.settled()")["sha256"] == _sha256(native.image)
    assert "rendering" not in live.run("document.querySelector('#time').textContent")


@for_each(
    "quirks",
    ["none", "nanobragg,-triclinic_cell", "none,+phi_left_edge", "nanobragg,-phi_carryover"],
)
def test_quirks(quirks: str, live: Page) -> None:
    command = (
        STILL.replace("98 90", "98 77") + "-detpixels 96 -pixel 0.8 -phi 0 -osc 1 -phisteps 4 "
    )
    as_nanobragg = _show(live, command)["sha256"]
    shown = _show(live, f"{command} --quirks {quirks}")["sha256"]
    assert shown == _sha256(_native(command, quirks).image)
    assert shown != as_nanobragg
    assert live.run("live.command()").endswith(f"--quirks {quirks}")
    names: dict[str, Any] = {}
    exec(live.run("live.python()"), names)
    assert _sha256(names["result"].image) == shown


def test_check_box_of_a_quirk(live: Page) -> None:
    command = STILL.replace("98 90", "98 77") + "-detpixels 96 -pixel 0.8"
    _show(live, command)
    live.run("document.querySelector('[data-quirk=triclinic_cell]').click()")
    shown = live.run("live.settled()")["sha256"]
    assert shown == _sha256(_native(command, "nanobragg,-triclinic_cell").image)
    live.run(
        """(() => { const preset = document.querySelector('#preset'); preset.value = 'none';
        preset.dispatchEvent(new Event('input')); })()"""
    )
    live.run("live.settled()")
    ticks = live.run("TABLES.quirks.filter(quirk => isOn(quirk.name)).map(quirk => quirk.name)")
    shown_boxes = live.run("TABLES.quirks.filter(quirk => quirk.shown).map(quirk => quirk.name)")
    assert set(ticks) == set(shown_boxes) - {"triclinic_cell"}


def test_structure_factors_of_a_file(live: Page) -> None:
    """And a spot says its indices and its structure factor."""
    indices = itertools.product(range(-12, 13), repeat=3)
    text = "".join(
        f"{h} {k} {l} {50 + 3 * h + 7 * k - 2 * l}\n" for h, k, l in indices if (h + k + l) % 2 == 0
    )
    live.run(f"live.takeReflections('some.hkl', {json.dumps(text)})")
    live.run("live.set('f', 20)")
    command = live.run("live.command()")
    assert "-hkl some.hkl" in command
    shown = live.run("live.settled()")
    experiment = nb.Experiment.from_nanobragg_args(command.replace("-hkl some.hkl", ""))
    h, k, l = np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij")
    amplitudes = np.where((h + k + l) % 2 == 0, 50.0 + 3 * h + 7 * k - 2 * l, 20.0)
    factors = nb.StructureFactors.from_grid(amplitudes, (-12, -12, -12), default_f=20.0)
    result = nb.simulate(experiment, factors)
    assert shown["sha256"] == _sha256(result.image)

    slow, fast = np.unravel_index(int(result.image.argmax()), result.image.shape)
    spot = live.run(f"live.spot({fast}, {slow})")
    (chain,) = nb.trace(experiment, factors, pixel=(int(fast), int(slow))).steps
    assert spot["whole"] == [round(x) for x in spot["hkl"]]
    assert spot["whole"] == list(chain.hkl_rounded)
    assert spot["hkl"] == list(chain.hkl)
    assert spot["f_cell"] == chain.f_cell

    live.run("document.querySelector('#hkl-clear').click()")
    constant = live.run("live.settled()")["sha256"]
    assert constant == _sha256(nb.simulate(experiment, nb.StructureFactors.constant(20.0)).image)


def test_point(live: Page) -> None:
    """The line below the picture: pixel, value, resolution, and indices of the brightest step."""
    command = (
        STILL + "-detpixels 128 -pixel 0.8 -twotheta 10 -oversample 1 -phi 0 -osc 2 -phisteps 5"
    )
    _show(live, command)
    native = _native(command)
    fast, slow = 100, 31
    live.run(f"live.picture.look(0, {fast}, {slow})")
    live.wait("document.querySelector('.nb-readout').textContent.includes('hkl')")
    text = live.run("document.querySelector('.nb-readout').textContent")
    plan = native.plan
    place = [
        plan.pix0_m[i]
        + plan.pixel_size_m * ((fast + 0.5) * plan.fast_axis[i] + (slow + 0.5) * plan.slow_axis[i])
        for i in range(3)
    ]
    cosine = sum(a * b for a, b in zip(place, plan.beam_direction, strict=True)) / math.hypot(
        *place
    )
    point = live.run("live.picture.point")
    assert point["twotheta_deg"] == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-9)
    assert point["d_angstrom"] == pytest.approx(
        1.0 / (2 * math.sin(math.acos(cosine) / 2)), rel=1e-9
    )
    assert point["value"] == float(native.image[slow, fast])
    assert f"fast {fast}" in text
    assert f"slow {slow}" in text
    assert f"{point['twotheta_deg']:.2f} °" in text
    experiment = nb.Experiment.from_nanobragg_args(command)
    chain = nb.trace_phi(experiment, nb.StructureFactors.constant(100.0), pixel=(fast, slow))
    brightest = max(chain.steps, key=lambda step: step.term)
    assert "hkl " + " ".join(f"{x:.0f}" for x in brightest.hkl_rounded) in text


def test_point_of_too_many_steps(live: Page) -> None:
    """Is told so: a part of them would name a wrong spot."""
    for domains, shown in ((2000, "hkl "), (10001, "the pixel has too many steps to look at")):
        steps = f"-mosaic_spread 0.3 -mosaic_domains {domains} -osc 1 -phisteps 20 -oversample 1"
        _show(live, f"{STILL} -detpixels 4 -pixel 10 {steps}")
        live.run("live.picture.look(0, 1, 1)")
        live.wait("document.querySelectorAll('.nb-readout span')[1].textContent !== ''")
        assert live.run("document.querySelectorAll('.nb-readout span')[1].textContent").startswith(
            shown
        )
        live.run("live.picture.look(-1, 0, 0)")


def test_labels(live: Page) -> None:
    live.run("live.settled()")
    live.run("document.querySelector('#labels').click()")
    live.wait("live.picture.labels.length > 5")
    native = _native(live.run("live.command()"))
    for label in live.run("live.picture.labels")[:5]:
        fast, slow = label["fast"], label["slow"]
        assert (
            native.image[slow, fast] == native.image[slow - 3 : slow + 4, fast - 3 : fast + 4].max()
        )
        spot = live.run(f"live.spot({fast}, {slow})")
        assert label["text"] == " ".join(f"{x:.0f}" for x in spot["whole"])
    live.run("document.querySelector('#labels').click()")
    live.wait("live.picture.labels.length === 0")


@for_each(
    "command,problem",
    [
        ("-N 5 -default_F 1", "need -cell with six numbers"),
        ("-cell 70 80 90", "-cell: need 6 numbers"),
        ("-cell 70 80 90 90 90 90 -mat A.mat", "-mat: this page does not know it"),
        ("-cell 70 80 90 90 90 90 -hkl P1.hkl", "-hkl P1.hkl: open this file"),
        ("-cell 70 80 90 90 90 90 -lambda", "-lambda: need 1 number"),
        ("-cell 70 80 90 90 90 90 --quirks none,+nothing", "--quirks: nothing is none"),
        ("-cell 70 80 90 90 90 90 --quirks", "--quirks: need what follows it"),
        ("-cell 70 80 90 90 90 90 -pivot here", "-pivot: got here"),
    ],
)
def test_commands_that_are_refused(command: str, problem: str, live: Page) -> None:
    """With the word to blame, and the image stays."""
    before = live.run("live.settled()")["sha256"]
    live.run("document.querySelector('#paste').click()")
    live.run(f"document.querySelector('#text').value = {json.dumps(command)}")
    live.run("document.querySelector('#dialog-take').click()")
    assert problem in live.run("document.querySelector('#dialog-note').textContent")
    live.run("document.querySelector('#dialog').close()")
    assert live.run("live.settled()")["sha256"] == before


@for_each(
    "field,values,problem",
    [
        ("detector.distance_mm", (0,), "detector.distance_m: got 0"),
        ("beam.wavelength_angstrom", (-1,), "beam.wavelength_m: got -1e-10"),
        ("detector.n_fast", (100.5,), "detector.n_fast: need a whole number"),
        ("detector.n_fast", (1e12,), "detector.n_fast: need a whole number below 2^31"),
        ("detector.n_fast", (2000000,), "too many pixels"),
    ],
)
def test_numbers_that_are_refused(
    field: str, values: tuple[float, ...], problem: str, live: Page
) -> None:
    """With the library's own words; no hash stands beside an image that is not of these numbers."""
    live.run(f"live.set({json.dumps(field)}, ...{json.dumps(values)})")
    assert live.run("live.settled()") is None
    assert problem in live.run("document.querySelector('#problem').textContent")
    assert not live.run("document.querySelector('#problem').hidden")
    assert live.run("document.querySelector('#sha').textContent").startswith("no image")
    live.run("document.querySelector('#reset').click()")
    assert live.run("live.settled()")["sha256"]
    assert live.run("document.querySelector('#problem').hidden")


@for_each(
    "field,place,text,stays",
    [
        ("crystal.cell_angstrom", 1, "abc", 'Unit cell, b: got "abc", need a number; the image is'),
        (
            "crystal.cell_angstrom",
            0,
            "",
            'Unit cell, a: got "", need a number; the image is that of 38',
        ),
        ("goniometer.osc_deg", 0, "1 deg", "need a number, or still; the image is that of still"),
    ],
)
def test_words_that_are_no_numbers(
    field: str, place: int, text: str, stays: str, live: Page
) -> None:
    """Are named, with what the image is of; the next number takes the sentence away."""
    live.run("document.querySelector('#reset').click()")
    before = live.run("live.settled()")["sha256"]

    def put(text: str) -> None:
        live.run(
            f"""(() => {{ const row = document.querySelectorAll('[data-field="{field}"]')[{place}];
            const box = row.querySelector('input[type=text]'); box.value = {json.dumps(text)};
            box.dispatchEvent(new Event("change")); }})()"""
        )

    put(text)
    assert live.run("live.settled()")["sha256"] == before
    assert stays in live.run("document.querySelector('#problem').textContent")
    assert not live.run("document.querySelector('#problem').hidden")
    put("3,5")
    assert live.run("live.settled()")["sha256"] != before
    assert live.run(f"live.state()['{field}'][{place}]") == 3.5
    assert live.run("document.querySelector('#problem').hidden")


@for_each(
    "field,value,note",
    [
        ("f", 0, "the image is dark: F is 0"),
        ("detector.twotheta_deg", 180, "the detector's normal points at the crystal"),
        ("crystal.mosaic_domains", 3, "domains without a spread have no effect"),
        ("f", 100, ""),
    ],
)
def test_notes_of_an_image(field: str, value: float, note: str, live: Page) -> None:
    live.run("document.querySelector('#reset').click()")
    live.run("live.set('sampling.oversample', null); live.set('detector.n_fast', 32)")
    live.run(f"live.set({json.dumps(field)}, {value})")
    image = live.run("live.settled()")
    text = live.run("document.querySelector('#warnings').textContent")
    assert image["sha256"]
    assert note in text
    assert ("dark" in text) is (note.startswith("the image is dark"))
    live.run("live.set('detector.distance_mm', 0)")
    assert live.run("live.settled()") is None
    assert live.run("document.querySelector('#warnings').textContent") == ""


def test_every_warning_has_words(make_page: ModuleType) -> None:
    for warning in make_page.tables()["warnings"]:
        assert len(warning["words"].split()) >= 4
        assert "{" not in warning["words"]


def test_nothing_comes_from_elsewhere(live: Page) -> None:
    live.run("live.settled()")
    assert live.requests
    assert {address.split(":")[0] for address in live.requests} <= {"file", "blob", "data"}


def test_page_starts_from_its_address(live: Page) -> None:
    """The address has the settings, so a bookmark brings them back."""
    settled = _show(live, STILL + "-detpixels 96 -pixel 0.5 -gauss_xtal")
    live.wait("location.hash.includes('gauss_xtal')")
    live.run("window.isOld = true; location.reload()")
    live.wait("!window.isOld && typeof live === 'object' && live.ready")
    live.run("live.ready")
    assert live.run("live.settled()")["sha256"] == settled["sha256"]


def test_numbers_of_the_page_are_fields(live: Page, make_page: ModuleType) -> None:
    """Every number that the module takes is a field of the configuration, and the page sets it."""
    tables = make_page.tables()
    names = set(live.run("live.state()")) - {"f"}
    experiment = nb.Experiment()
    for name in names:
        part, field = name.split(".")
        assert hasattr(getattr(experiment, part), field)
    assert len(tables["quirks"]) == len(nb.LEDGER)
    assert {quirk["name"] for quirk in tables["quirks"] if quirk["shown"]} == set(
        make_page.SHOWN_QUIRKS
    )
