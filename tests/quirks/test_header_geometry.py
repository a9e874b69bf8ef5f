"""C-PARITY-033 header_geometry: off, a header says where the detector of its image stands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from recorded import run_in_process

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.formats.smv import SmvHeader

CRYSTAL = "-cell 70 80 90 75 85 95 -default_F 100 -N 5 -oversample 1 -lambda 0.9768"
DETECTOR = "-detpixels_f 40 -detpixels_s 34 -pixel 0.4 -distance 120"
ALL = "none"
SEARCH = "none,+smv_header_search"
ONLY = "nanobragg,-header_geometry"
ONLY_WHOLE = f"{ONLY},-smv_header_search"


def run(folder: Path, args: str, quirks: str, *words: str) -> np.ndarray:
    """The float image of a command; its other files stay in `folder`."""
    folder.mkdir(exist_ok=True)
    done = run_in_process(folder, [*args.split(), "--quirks", quirks, *words])
    assert done.exit == 0
    return np.fromfile(folder / "floatimage.bin", "<f4")


def header_of(folder: Path) -> dict[str, str]:
    """The entries of the integer image's header."""
    return nb.read_smv(folder / "intimage.img", quirks=nb.Quirks.none()).header


def again(tmp_path: Path, words: str, quirks: str, beside: str = "") -> None:
    """The image of a command, and of a command that takes its geometry from the first one's."""
    need = run(tmp_path / "a", f"{CRYSTAL} {DETECTOR} {words}", quirks)
    image = tmp_path / "a" / "intimage.img"
    got = run(tmp_path / "b", f"{CRYSTAL} -img {image} {beside}", quirks)
    assert need.any()
    assert got.tobytes() == need.tobytes(), (words, quirks)


# --- an image gives back its geometry


@for_each("quirks", [ALL, SEARCH, ONLY, ONLY_WHOLE])
def test_plain(quirks: str, tmp_path: Path) -> None:
    again(tmp_path, "", quirks)


@for_each("quirks", [ALL, SEARCH, ONLY, ONLY_WHOLE])
@for_each(
    "words",
    [
        "-Xbeam 5.5 -Ybeam 7.25",
        "-twotheta 20",
        "-xds",
        "-xds -twotheta 20",
        "-adxv -Xbeam 5 -Ybeam 8 -twotheta 20",
        "-denzo -twotheta -7.5",
        "-dials -twotheta 20",
        "-mosflm -Xbeam 9 -Ybeam 4 -twotheta 20",
    ],
)
def test_the_same_bytes(words: str, quirks: str, tmp_path: Path) -> None:
    if quirks in (ONLY, ONLY_WHOLE) or not words.startswith("-mosflm"):
        again(tmp_path, words, quirks)
    again(tmp_path, f"{words} -pivot beam", quirks)
    again(tmp_path, f"{words} -pivot sample", quirks)


def test_those_are_different_detectors(tmp_path: Path) -> None:
    words = ["", "-xds", "-twotheta 20 -pivot beam", "-twotheta 20 -pivot sample", "-Xbeam 5.5"]
    images = [run(tmp_path, f"{CRYSTAL} {DETECTOR} {word}", ALL).tobytes() for word in words]
    assert len(set(images)) == len(words)


def test_with_the_quirk_on_it_is_another_geometry(tmp_path: Path) -> None:
    """The close distance of the turned detector counts as that of the upright one."""
    quirks = "nanobragg,-smv_header_search"
    with pytest.raises(AssertionError):
        again(tmp_path, "-twotheta 20", quirks)
    again(tmp_path, "", quirks)


def test_flags_overrule_the_header(tmp_path: Path) -> None:
    turned = f"{CRYSTAL} {DETECTOR} -Xbeam 5.5 -Ybeam 7.25 -twotheta 20 -pivot beam"
    run(tmp_path / "a", turned, ALL)
    image = tmp_path / "a" / "intimage.img"
    for words in ("-distance 90", "-Xbeam 3 -Ybeam 7.25", "-twotheta 5", "-close_distance 80"):
        pivot = "-pivot beam"
        got = run(tmp_path / "b", f"{CRYSTAL} -img {image} {words} {pivot}", ALL)
        need = run(tmp_path / "c", f"{turned} {words} {pivot}", ALL)
        assert got.tobytes() == need.tobytes(), words
    # one of two numbers: the other is still the header's
    got = run(tmp_path / "b", f"{CRYSTAL} -img {image} -Xbeam 3 -pivot beam", ALL)
    need = run(tmp_path / "c", f"{turned} -Xbeam 3 -pivot beam", ALL)
    assert got.tobytes() == need.tobytes()


def test_another_convention_than_the_headers_is_told(tmp_path: Path) -> None:
    run(tmp_path, f"{CRYSTAL} {DETECTOR} -xds", ALL)
    image = tmp_path / "intimage.img"
    command = parse_command(f"-img {image} -mosflm", quirks=nb.Quirks.none())
    assert any("of the convention xds, not of mosflm" in text for text in command.warnings)
    assert command.experiment.detector.convention == "mosflm"
    with pytest.raises(nb.CommandLineError, match="of the convention xds, not of mosflm"):
        parse_command(f"-img {image} -mosflm", quirks=nb.Quirks.none(), strict=True)
    command = parse_command(f"-img {image}", quirks=nb.Quirks.none(), strict=True)
    assert command.warnings == ()
    assert command.experiment.detector.convention == "xds"


# --- what the header says


def test_where_the_beam_meets_a_turned_detector(tmp_path: Path) -> None:
    """XDS' near point stays at the detector's middle, 12.8 mm; 20 degrees carry the beam away."""
    cosine, tangent = np.cos(np.radians(20)), np.tan(np.radians(20))
    words = "-cell 70 80 90 90 90 90 -default_F 100 -N 5 -detpixels 64 -pixel 0.4 -oversample 1"
    for name in ("detector_rotx", "twotheta"):
        run(tmp_path, f"{words} -xds -{name} 20", ONLY)
        header = header_of(tmp_path)
        close = 100 if name == "twotheta" else 100 * cosine
        assert float(header["CLOSE_DISTANCE"]) == pytest.approx(close, rel=1e-5)
        assert float(header["DISTANCE"]) == pytest.approx(close / cosine, rel=1e-5)
        assert float(header["BEAM_CENTER_X"]) == 12.8
        assert float(header["BEAM_CENTER_Y"]) == pytest.approx(12.8 + close * tangent, rel=1e-5)
        assert float(header["DENZO_X_BEAM"]) == pytest.approx(12.8 + close * tangent, rel=1e-5)
        run(tmp_path, f"{words} -xds -{name} 20", "nanobragg")
        assert header_of(tmp_path)["BEAM_CENTER_Y"] == "12.8"


@for_each(
    "convention, centre, origin",
    [
        ("mosflm", ("13", "13"), "-13.2,13.2,-100"),
        ("denzo", ("13", "13"), "-13,13,-100"),
        ("adxv", ("13", "12.6"), "-13,13,100"),
        ("xds", ("12.8", "12.8"), "-12.8,-12.8,100"),
        ("dials", ("12.8", "12.8"), "-12.8,-12.8,100"),
    ],
)
def test_the_corner_in_the_conventions_own_frame(
    convention: str, centre: tuple[str, str], origin: str, tmp_path: Path
) -> None:
    """An upright detector: minus the beam centre, and the distance along the beam."""
    words = "-cell 70 80 90 90 90 90 -default_F 100 -N 5 -detpixels 64 -pixel 0.4 -oversample 1"
    run(tmp_path, f"{words} -{convention}", ONLY)
    header = header_of(tmp_path)
    assert header["DIALS_ORIGIN"] == origin
    assert (header["BEAM_CENTER_X"], header["BEAM_CENTER_Y"]) == centre
    assert b"DIALS_ORIGIN=" + origin.encode() + b";\n" in (tmp_path / "intimage.img").read_bytes()
    assert header["GEOMETRY"] == f"{convention},{'sample' if convention in OWN_SAMPLE else 'beam'}"


OWN_SAMPLE = ("xds", "dials")


# --- what it cannot say


@for_each(
    "words, said",
    [
        ("-detector_roty 5", "detector.rotation_deg"),
        ("-twotheta_axis 0 1 0 -twotheta 5", "detector.twotheta_axis"),
        ("-beam_vector 1 0.1 0", "beam.direction"),
        ("-curved_det x", "detector.curved"),
        ("-twotheta 5", None),
        ("-xds -Xbeam 5", None),
    ],
)
def test_a_header_that_cannot_say_everything(
    words: str, said: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [*f"{CRYSTAL} {DETECTOR} {words}".split()]
    for quirks, is_told in ((ALL, said is not None), ("nanobragg", False)):
        done = run_in_process(tmp_path, [*args, "--quirks", quirks])
        assert done.exit == 0
        stderr = capsys.readouterr().err
        assert ("an SMV header cannot say" in stderr) == is_told
        assert said is None or not is_told or said in stderr
    # the image is what was asked for, so that no strictness keeps it from being rendered
    done = run_in_process(tmp_path, [*args, "--quirks", ALL, "--strict"])
    assert done.exit == (9 if " x" in words else 0)  # a word that belongs to no option


def test_nothing_is_invented_for_it(tmp_path: Path) -> None:
    """The same options beside the image do give its geometry back."""
    again(tmp_path, "-detector_roty 5 -pivot beam", ALL, beside="-detector_roty 5")
    run(tmp_path / "a", f"{CRYSTAL} {DETECTOR} -detector_roty 5", ALL)
    command = parse_command(
        f"{CRYSTAL} -img {tmp_path / 'a' / 'intimage.img'}", quirks=nb.Quirks.none()
    )
    assert command.experiment.detector.rotation_deg == (0.0, 0.0, 0.0)


def test_python_writes_the_same_header(tmp_path: Path) -> None:
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(70, 80, 90)),
        detector=nb.Detector(n_fast=8, n_slow=6, convention="xds", rotation_deg=(20, 0, 0)),
    )
    quirks = nb.Quirks.none()
    plan = nb.prepare(experiment, nb.StructureFactors.constant(1.0), quirks=quirks).plan
    pixels = np.zeros((6, 8), np.uint16)
    with pytest.warns(nb.NanobraggWarning, match=r"cannot say detector\.rotation_deg"):
        nb.write_smv(tmp_path / "a", pixels, SmvHeader.from_plan(plan, experiment), quirks)
    nb.write_smv(tmp_path / "b", pixels, SmvHeader.from_plan(plan, experiment))
    texts = [nb.read_smv(tmp_path / name).header_text for name in "ab"]
    assert "GEOMETRY=xds,sample;" in texts[0]
    assert "GEOMETRY" not in texts[1]


# --- headers of others


def test_a_header_without_a_word_about_its_geometry(tmp_path: Path) -> None:
    """The whole keyword DISTANCE, not the one inside CLOSE_DISTANCE, in every mixture."""
    header = (
        "{\nHEADER_BYTES=512;\nSIZE1=8;\nSIZE2=6;\nPIXEL_SIZE=0.5;\nDISTANCE=120;\n"
        "CLOSE_DISTANCE=110;\nBEAM_CENTER_X=1.5;\nBEAM_CENTER_Y=2.5;\nORGX=4;\nORGY=5;\n"
        "TWOTHETA=12;\nWAVELENGTH=1.1;\n}\f"
    )
    path = tmp_path / "a.img"
    path.write_bytes(header.encode().ljust(512) + bytes(96))
    for text in (ALL, SEARCH, ONLY, ONLY_WHOLE):
        quirks = nb.Quirks.parse(text)
        beam = parse_command(f"-img {path}", quirks=quirks).experiment.detector
        assert (beam.distance_mm, beam.close_distance_mm) == (120.0, None)
        assert (beam.beam_x_mm, beam.beam_y_mm, beam.org_x_px) == (1.5, 2.5, None)
        assert beam.twotheta_deg == 12.0
        sample = parse_command(f"-img {path} -xds", quirks=quirks).experiment.detector
        assert (sample.distance_mm, sample.close_distance_mm) == (100.0, 110.0)
        assert (sample.org_x_px, sample.org_y_px, sample.beam_x_mm) == (4.0, 5.0, None)
    on = parse_command(f"-img {path}").experiment.detector
    assert (on.distance_mm, on.close_distance_mm, on.twotheta_deg) == (110.0, 110.0, 0.0)


def test_the_geometry_of_a_mask(tmp_path: Path) -> None:
    """It is read the same way; only nanoBragg's search turns its beam centre upside down."""
    run(tmp_path, f"{CRYSTAL} {DETECTOR} -Xbeam 5 -Ybeam 7 -twotheta 20 -pivot beam", ALL)
    for text, y in ((ALL, 7.0), (SEARCH, 34 * 0.4 - 7.0)):
        command = parse_command(f"-mask {tmp_path / 'intimage.img'}", quirks=nb.Quirks.parse(text))
        detector = command.experiment.detector
        assert (detector.beam_x_mm, detector.twotheta_deg) == (5.0, 20.0)
        assert detector.beam_y_mm == pytest.approx(y, rel=1e-12)


def test_a_number_that_is_not_finite(tmp_path: Path) -> None:
    header = "{\nHEADER_BYTES=512;\nSIZE1=8;\nSIZE2=6;\nTWOTHETA=inf;\n}\f"
    path = tmp_path / "a.img"
    path.write_bytes(header.encode().ljust(512) + bytes(96))
    with pytest.raises(nb.FileFormatError, match="TWOTHETA: got inf, need a finite number"):
        parse_command(f"-img {path}", quirks=nb.Quirks.none())
