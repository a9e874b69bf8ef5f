"""Bad input, from the command line and from Python: one clear message, nothing written.

Every case names what was given wrongly (the flag, the field, or the file and line), the value and
the rule, and leaves the folder as it was.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from geometry_files import EXPT, STREAM, TEXTS
from recorded import program
from reflection_files import MMCIF_REFLECTIONS, PDB, SMALL_CIF, SMALL_REFLECTIONS, mmcif_model, mtz

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.base import atomic
from nanobragg_hybrid.base.atomic import AtomicFiles
from nanobragg_hybrid.cli.nanobragg import outputs as outputs_module
from nanobragg_hybrid.cli.nanobragg.main import main
from nanobragg_hybrid.formats.smv import SmvHeader

BASE = "-cell 50 60 70 90 90 90 -default_F 10 -detpixels 8 -pixel 0.5 -N 5 -seed 1 -noprogress"
IMAGES = {"floatimage.bin", "intimage.img", "image.pgm", "noiseimage.img"}


def smv(*lines: str, data: bytes = bytes(2 * 64), header_bytes: int = 512) -> bytes:
    """An SMV image of 8 x 8 pixels."""
    layout = (f"HEADER_BYTES={header_bytes};", "DIM=2;", "TYPE=unsigned_short;")
    header = "\n".join(["{", *layout, "SIZE1=8;", "SIZE2=8;", *lines, "}\f"])
    return header.encode().ljust(512) + data


def dump(bounds: str, *values: float) -> bytes:
    return f"{bounds}\n\f".encode() + struct.pack(f"<{len(values)}d", *values)


FULL_HEADER = ("PIXEL_SIZE=0.5;", "DISTANCE=90;", "BEAM_CENTER_X=1;", "WAVELENGTH=1.1;")
HKL = b"0 0 1 10\n1 0 0 20\n"
MATRIX = b"0.01 0 0\n0 0.01 0\n0 0 0.01\n"
SOURCES = b"-10 0 0 1 1e-10\n"
SPECTRUM = b"# eV\n12000 1\n12010 0.5\n"
ROTATIONS = b"1 0 0 0 1 0 0 0 1 0\n0 1 0 0 0 1 1 0 0 2\n"  # with weights
GARBAGE = bytes(range(128, 256)) + bytes(range(128))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of everything in the folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def refusal(words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The message of a command line that must fail, after what all failures have in common."""
    before = content(folder)
    status = main([*BASE.split(), *words])
    message = capsys.readouterr().err
    assert status == 9, message
    assert message.splitlines()[-1].startswith("nanoBragg: error: ")
    assert "Traceback" not in message
    assert content(folder) == before
    return message.splitlines()[-1].removeprefix("nanoBragg: error: ")


# Files

FILE_FAULTS: dict[str, tuple[str, bytes | None, str]] = {
    "missing hkl": ("-hkl", None, "f: No such file or directory"),
    "missing matrix": ("-mat", None, "f: No such file or directory"),
    "missing sources": ("-sourcefile", None, "f: No such file or directory"),
    "missing rotations": ("-mosaic_rotations", None, "f: No such file or directory"),
    "empty rotations": ("-mosaic_rotations", b"", "f: has no rotation"),
    "garbage rotations": ("-mosaic_rotations", GARBAGE, "f:1: is no text"),
    "mirror image": (
        "-mosaic_rotations",
        ROTATIONS + b"1 0 0 0 1 0 0 0 -1 1\n",
        "f:3: got a matrix that is a mirror image, need proper rotations to 1e-06",
    ),
    "rotation short of a number": ("-mosaic_rotations", b"1 0\n", "f:1: got 2 columns, need a mat"),
    "missing spectrum": ("-spectrum", None, "f: No such file or directory"),
    "empty spectrum": ("-spectrum", b"", "f: has no line of two numbers"),
    "garbage spectrum": ("-spectrum", GARBAGE, "f:1: is no text"),
    "spectrum without unit": ("-spectrum", b"12000 1\n", "f:1: unit: got none, need eV or angst"),
    "spectrum in keV": ("-spectrum_ev", b"# keV\n12 1\n", "f:1: unit: got kev, need one of eV"),
    "spectrum below 0": ("-spectrum", SPECTRUM + b"-1 1\n", "f:4: got -1 eV, need a number > 0"),
    "missing image": ("-img", None, "f: No such file or directory"),
    "missing mask": ("-mask", None, "f: No such file or directory"),
    "empty hkl": ("-hkl", b"", "f: the text is empty"),
    "empty matrix": ("-mat", b"", "f: got 0 numbers, need nine"),
    "empty sources": ("-sourcefile", b"", "f: has no source"),
    "empty image": ("-img", b"", "f: does not begin like an SMV image"),
    "empty mask": ("-mask", b"", "f: does not begin like an SMV image"),
    "empty dump": ("-dump", b"", "f: is empty"),
    "garbage hkl": ("-hkl", GARBAGE, "f:1: no reflection"),
    "garbage matrix": ("-mat", GARBAGE, "f:1: is no text"),
    "garbage sources": ("-sourcefile", GARBAGE, "f:1: is no text"),
    "garbage image": ("-img", GARBAGE, "f: does not begin like an SMV image"),
    "garbage mask": ("-mask", GARBAGE, "f: does not begin like an SMV image"),
    "garbage dump": ("-dump", GARBAGE, "f:1: does not begin with six whole numbers"),
    "truncated mask": ("-mask", smv()[:600], "need 640 bytes, the file has 600"),
    "truncated header": ("-img", smv()[:100], "f:2: HEADER_BYTES: got 512, but the file has 100"),
    "image with NaN": ("-img", smv("PIXEL_SIZE=nan;"), "f: PIXEL_SIZE: got nan, need a finite"),
    "mask with NaN": ("-mask", smv("DISTANCE=nan;"), "f: DISTANCE: got nan, need a finite"),
    "image with a distance of 0": ("-img", smv("DISTANCE=0;"), "detector.distance_mm: got 0.0 mm"),
    "dump with absurd bounds": (
        "-dump",
        dump("-100000 100000 -100000 100000 -100000 100000", 1.0),
        "structure factor table 64000960004800008 bytes",
    ),
    "dump beyond 32 bits": ("-dump", dump("0 3000000000 0 0 0 0"), "f:1: bounds 0 3000000000"),
    "dump the wrong way round": ("-dump", dump("1 0 0 0 0 0", *range(8)), "need hmin <= hmax"),
    "dump cut short": (
        "-dump",
        dump("0 0 0 0 0 0", *range(7))[:11],
        "needs 64 bytes, the file has 0",
    ),
    "dump that is text": ("-dump", HKL, "f: is text of h k l F, need a binary dump of"),
    "gzip instead of text": ("-hkl", b"\x1f\x8b" + bytes(9), "f: is a gzip file, need text of h k"),
    "index beyond 32 bits": (
        "-hkl",
        HKL + b"0 99999999999 0 5\n",
        "f:3: k: got 99999999999, need an index that fits 32 bits",
    ),
    "indices far apart": (
        "-hkl",
        b"2147483647 0 0 5\n-2147483648 0 0 5\n",
        "f:2: index -2147483648 0 0 makes the table span h -2147483648 to 2147483647",
    ),
    "table larger than memory": (
        "-hkl",
        b"99999 99999 99999 5\n-99999 -99999 -99999 5\n",
        "structure factor table 63999040004799992 bytes",
    ),
    "F is NaN": ("-hkl", HKL + b"1 1 1 nan\n", "f:3: F: got nan, need a finite number"),
    "F is infinite": ("-hkl", HKL + b"1 1 1 1e999\n", "f:3: F: got 1e999, need a finite number"),
    "an index is NaN": ("-hkl", HKL + b"1 nan 1 1\n", "f:3: k: got nan, need a finite number"),
    "matrix with NaN": ("-mat", b"1 2\nnan", "f:2: number 3 of nine: got 'nan', need a finite"),
    "matrix with a word": ("-mat", b"1 2\nx", "f:2: number 3 of nine: got 'x', need a finite"),
    "matrix in a plane": ("-mat", b"1 2 3 " * 3, "crystal.orientation_matrix: got (1.0, 2.0, 3.0"),
    "matrix of zeros": ("-mat", b"0 0 0 " * 3, "whose three columns do not lie in a plane"),
    "sources with NaN": (
        "-sourcefile",
        SOURCES + b"-10 nan 0 1 1e-10\n",
        "f:2: y: got nan, need a finite number",
    ),
}


@pytest.mark.parametrize("case", FILE_FAULTS)
def test_file(case: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flag, data, part = FILE_FAULTS[case]
    if data is not None:
        (folder / "f").write_bytes(data)
    assert part in refusal([flag, "f"], folder, capsys)


@pytest.mark.parametrize(
    ("flag", "data"),
    [
        ("-hkl", HKL),
        ("-dump", dump("0 0 0 0 0 0", *range(8))),
        ("-mat", MATRIX),
        ("-sourcefile", SOURCES),
        ("-img", smv("PIXEL_SIZE=0.5;")),
        ("-mask", smv("PIXEL_SIZE=0.5;")),
    ],
)
def test_good_files_are_accepted(flag: str, data: bytes, folder: Path) -> None:
    (folder / "f").write_bytes(data)
    assert main([*BASE.split(), flag, "f"]) == 0
    assert content(folder).keys() - {"Fdump.bin"} == IMAGES | {"f"}


# What nanoBragg takes and a script may rely on: a warning, an error with --strict

ODD_FILES: dict[str, tuple[list[str], bytes | None, str]] = {
    "missing dump": (["-dump"], None, "f: there is no such dump, so -default_F counts everywhere"),
    "dump cut short": (
        ["-dump"],
        dump("0 0 0 0 0 1", *range(1)),
        "f: used 1 of 2 reflections: the file ends there; the others are 0",
    ),
    "image without pixels": (
        ["-img"],
        smv(*FULL_HEADER)[:512],
        (
            "f: truncated: 512 bytes of header and 8 x 8 pixels need 640 bytes, the file has 512; "
            "only its header counts"
        ),
    ),
    "image without a wavelength": (
        ["-img"],
        smv(*FULL_HEADER[:-1]),
        "f: the header has no WAVELENGTH, and no option gives it: the default counts",
    ),
    "mask of another type": (
        ["-mask"],
        smv("DATA_TYPE=long;"),
        "f: DATA_TYPE is long, but pixels are read as unsigned_short (quirk smv_header_search)",
    ),
    "reflection listed again": (
        ["-hkl"],
        HKL + HKL,
        "f:3: 2 lines list a reflection again, here 0 0 1: the last F of each counts",
    ),
    "text that is not used up": (
        ["-hkl"],
        b"0 0 0 5\n0 0 1 0.5D0\n0 0 2 7\n",
        (
            "f:2: used 2 of 3 reflections: reading ended at '0.5D0', which is no number: write E "
            "for the D of Fortran's exponent"
        ),
    ),
    "source that loses a column": (
        ["-sourcefile"],
        b"-10 0 0 1 1e-10\n-10 0 0 1 1e-10|2\n",
        "f:2: '1e-10|2' is no number and counts as 1e-10",
    ),
}


@for_each("case", ODD_FILES)
def test_an_odd_file_is_told_or_refused(
    case: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flag, data, message = ODD_FILES[case]
    for path in folder.iterdir():
        path.unlink()
    if data is not None:
        (folder / "f").write_bytes(data)
    assert refusal([*flag, "f", "--strict"], folder, capsys) == (
        "f: No such file or directory" if case == "missing dump" else message
    )
    assert main([*BASE.split(), *flag, "f", "--json", "run.json"]) == 0
    assert f"nanoBragg: warning: {message}\n" in capsys.readouterr().err
    assert message in json.loads((folder / "run.json").read_text())["warnings"]


def test_no_dump_and_no_default_f(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in BASE.split() if word not in ("-default_F", "10")]
    assert main([*words, "-dump", "f"]) == 9
    assert "f: No such file or directory" in capsys.readouterr().err


@for_each("flag", ["-hkl", "-mat", "-sourcefile", "-img", "-mask", "-dump", "-stol"])
@for_each("name", ["", ".", "f/g"])
def test_name_of_no_file(
    flag: str, name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "f").write_bytes(b"1")
    message = refusal([flag, name], folder, capsys)
    expected = {"": f"{flag}: got '', need the name of a file", ".": ".: Is a directory"}
    assert message == expected.get(name, "f/g: Not a directory")


def truth_file() -> bytes:
    """A table of reflections."""
    table = nb.StructureFactors.constant(100.0)
    crystal = nb.Crystal(cell_angstrom=(50, 50, 50), n_cells=(5, 5, 5))
    detector = nb.Detector(n_fast=4, n_slow=3, pixel_size_mm=5.0)
    experiment = nb.Experiment(crystal=crystal, detector=detector)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.h5"
        nb.write_truth(path, nb.predict_reflections(experiment, table))
        return path.read_bytes()


READERS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "hkl": (HKL, nb.read_hkl),
    "dump": (dump("0 0 0 0 0 0", *range(8)), nb.read_dump),
    "matrix": (MATRIX, nb.read_matrix),
    "sources": (SOURCES, nb.read_source_file),
    "spectrum": (SPECTRUM, nb.read_spectrum),
    "rotations": (ROTATIONS, nb.read_rotations),
    "SMV": (smv(), nb.read_smv),
    "PGM": (b"P5\n2 1\n255\nab", nb.read_pgm),
    "raw": (bytes(8), lambda path: nb.read_raw(path, (1, 2))),
    "trace": (b"TRACE_C: fast 1\n", nb.read_trace),
    "experiment": (nb.Experiment().to_json().encode(), nb.Experiment.load),
    "scattering table": (b"0.0000000000 1.0\n", nb.read_scattering_table),
    "stream": (STREAM, nb.read_stream),
    "spots": (STREAM, nb.read_spots),
    "measured image": (smv(), nb.read_image),
    "truth": (truth_file(), nb.read_truth),
    **{f"geometry, {kind}": (data, nb.read_experiments) for kind, data in TEXTS.items()},
    "geometry, one": (EXPT, nb.read_experiment),
    "run": (nb.Experiment().to_json(nb.Quirks.none()).encode(), nb.load_run),
    "structure factors, text": (HKL, nb.read_structure_factors),
    "structure factors, dump": (dump("0 0 0 0 0 0", *range(8)), nb.read_structure_factors),
    "MTZ": (mtz(), lambda path: nb.read_structure_factors(path, missing="zero")),
    "mmCIF reflections": (
        MMCIF_REFLECTIONS,
        lambda path: nb.read_structure_factors(path, missing="zero"),
    ),
    "small-molecule reflections": (
        SMALL_REFLECTIONS,
        lambda path: nb.read_structure_factors(path, missing="zero"),
    ),
    "PDB": (PDB, lambda path: nb.structure_factors_from_model(path, d_min_angstrom=3.0)),
    "mmCIF": (mmcif_model(), lambda path: nb.structure_factors_from_model(path, d_min_angstrom=3)),
    "small molecule": (
        SMALL_CIF,
        lambda path: nb.structure_factors_from_model(path, d_min_angstrom=2),
    ),
}


def test_every_reader_is_here() -> None:
    readers = {getattr(nb, name) for name in nb.__all__ if name.startswith(("read_", "load_"))}
    here = {read for _, read in READERS.values()}
    assert readers - here == {nb.read_raw}  # which has to be told a shape
    assert "raw" in READERS


@for_each("kind", READERS)
@for_each("fault", ["empty", "garbage", "cut short"])
def test_reading_a_broken_file_in_python(kind: str, fault: str, tmp_path: Path) -> None:
    data, read = READERS[kind]
    # A list of numbers is also one when it is cut between them.
    lists = ("hkl", "sources", "structure factors, text", "structure factors, dump")
    short = b"\n" if kind in lists else data[: min(len(data) // 3, 10)]
    path = tmp_path / "f"
    path.write_bytes({"empty": b"", "garbage": GARBAGE, "cut short": short}[fault])
    with pytest.raises(nb.FileFormatError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:")


@for_each("kind", READERS)
def test_reading_no_file_in_python(kind: str, tmp_path: Path) -> None:
    _, read = READERS[kind]
    for path, problem in (
        (tmp_path / "f", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (Path("/dev/null"), "is not a regular file"),
    ):
        with pytest.raises(nb.FileAccessError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {problem}"


@pytest.mark.filterwarnings("ignore::nanobragg_hybrid.NanobraggWarning")
@for_each("kind", READERS)
def test_reading_a_good_file_in_python(kind: str, tmp_path: Path) -> None:
    data, read = READERS[kind]
    (tmp_path / "f").write_bytes(data)
    assert read(tmp_path / "f") is not None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", r"f:1: no JSON"),
        ('{"format": 1' + "0" * 5000 + "}", r"f: no JSON of an experiment: .*4300 digits"),
        ("[" * 100000, r"f: no JSON of an experiment: .*recursion"),
        ('{"a": NaN}', r"f: NaN is no JSON number"),
        ('{"a": 1, "a": 2}', r"f: the key 'a' is there twice"),
    ],
)
def test_json_that_is_no_experiment(text: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(nb.FileFormatError, match=part):
        nb.Experiment.load(tmp_path / "f")


# Numbers on the command line

NUMERIC = [flag for flag in FLAGS if flag.kind in ("float", "int", "seed") and flag.words]
PLACES = [
    (spelling, place, len(flag.words))
    for flag in NUMERIC
    for spelling in flag.spellings
    for place in range(len(flag.words))
]


@for_each("spelling, place, count", PLACES)
def test_words_that_are_no_finite_numbers(
    spelling: str, place: int, count: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for word in ("nan", "inf", "abc", "", "+", "."):
        if (spelling, word) == ("-detector_abs", "inf"):
            continue  # no absorption
        words = ["1"] * count
        words[place] = word
        message = refusal([spelling, *words], folder, capsys)
        assert message.startswith(f"{spelling}: got {word!r}, need a ")


@for_each("word", ["1e999", "-1e999", "NaN(7)", "-nan", "-Infinity"])
def test_numbers_that_are_not_finite(
    word: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(["-distance", word], folder, capsys) == (
        f"-distance: got {word!r}, need a finite number (mm)"
    )


# Values that break a rule: words, part of the message, and words that just keep it.

RULES: list[tuple[str, str, str]] = [
    ("-pixel 0", "detector.pixel_size_mm: got 0.0 mm, need a finite value > 0", "-pixel 1e-3"),
    ("-pixel -1", "detector.pixel_size_mm: got -1.0 mm, need", "-pixel 1"),
    ("-distance 0", "detector.distance_mm: got 0.0 mm, need a finite value > 0", "-distance 9"),
    ("-lambda 0", "beam.wavelength_angstrom: got 0.0 angstrom, need", "-lambda 0.1"),
    ("-energy 0", "-energy: got '0', need a number > 0 (eV)", "-energy 1"),
    ("-detpixels -1", "detector.n_fast: got -1 px, need an integer >= 1", "-detpixels 1"),
    ("-detpixels_s -5", "detector.n_slow: got -5 px, need an integer >= 1", "-detpixels_s 5"),
    ("-cell 10 10 10 90 180 90", "crystal.cell_deg: got (90.0, 180.0, 90.0)", "-cell 9 9 9 80"),
    ("-beam_vector 0 0 0", "beam.direction: got (0.0, 0.0, 0.0), need", "-beam_vector 2 0 0"),
    ("-fluence -1", "beam.fluence_photons_per_m2: got -1.0 photons/m^2, need", "-fluence 0"),
    (
        "-water -1 --quirks nanobragg,-water_background",
        "crystal.water_um: got -1.0 um, need a size >= 0 with the quirk water_background off",
        "-water -1",
    ),
    ("-roi a 1 2 3", "-roi: got 'a', need a whole number (pixels)", "-roi 9 -1 5 2"),
    (
        "-phisteps 2147483648",
        "-phisteps: got '2147483648', need a whole number of at most 32 bits",
        "-phisteps 2 -osc 1",
    ),
    (f"-detpixels {'9' * 5000}", "-detpixels: got '999", "-seed 99999999999"),
    ("-oversample 46341", "a product of at most 2147483647 steps", "-oversample 2"),
    ("-phisteps 2000000 -oversample 1000", "need a product of at most 2147483647", "-phisteps 3"),
    ("-trace_pixel 8 0 --strict", "-trace_pixel: got fast 0, slow 8", "-trace_pixel 7 7 --strict"),
    (
        "-printout_pixel 0 -1 --strict",
        "-printout_pixel: got fast 0, slow -1",
        "-printout_pixel 7 0 --strict",
    ),
    ("--threads 0", "--threads: got '0', need a whole number >= 1", "--threads 1"),
    ("--threads 1025", "threads: got 1025, need an integer from 1 to 1024", "--threads 1024"),
    ("--json=", "--json: got '', need a value", "--json j"),
    ("--quirks nanobragg,-phi_carry", "did you mean phi_carryover?", "--quirks nanobragg"),
]


@pytest.mark.parametrize(("words", "part", "good"), RULES)
def test_rule(
    words: str, part: str, good: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(words.split(), folder, capsys)
    assert part in message
    assert len(message) < 400
    assert main([*BASE.split(), *good.split()]) == 0


@for_each("words", ["-cell 0 0 0", "-cell 0 0 0 90 90 90", "-cell 0"])
def test_cell_of_zeros(words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words.split(), "-default_F", "1"]) == 9
    message = capsys.readouterr().err
    assert message.startswith("nanoBragg: error: there is no crystal: give -cell (a > 0) or -mat\n")
    assert content(folder) == {}


# More than fits

LARGE: list[tuple[str, str]] = [
    ("-detpixels 1000000", "image of 1000000 x 1000000 pixels 4000000000000 bytes"),
    ("-phisteps 2000000000 -osc 1", "2000000000 phi steps 304000000000 bytes"),
    ("-mosaic_dom 2000000000 -mosaic 1", "2000000000 mosaic domains 144000000000 bytes"),
    ("-hdivsteps 100000 -vdivsteps 100000", "10000000000 sources 640000000000 bytes"),
    ("-dispersion 1 -dispsteps 2000000000", "2000000000 sources 128000000000 bytes"),
]


@pytest.mark.parametrize(("words", "part"), LARGE)
def test_more_than_memory(
    words: str,
    part: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nanobragg_hybrid.base.host.physical_memory_bytes", lambda: 2**36)
    monkeypatch.setattr("nanobragg_hybrid.base.host.memory_limit_bytes", lambda: None)
    message = refusal(words.split(), folder, capsys)
    assert part in message
    assert message.startswith("need ")
    assert message.endswith(f", this computer has {2**36} bytes")


def test_more_than_memory_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nanobragg_hybrid.base.host.physical_memory_bytes", lambda: 2**14)
    factors = nb.StructureFactors.constant(1.0)
    crystal = nb.Crystal(cell_angstrom=(10, 10, 10))
    fits = nb.Experiment(crystal=crystal, detector=nb.Detector(n_fast=4096, n_slow=1))
    assert nb.simulate(fits, factors).image.size == 4096
    with pytest.raises(
        nb.ResourceError, match=r"need 16388 bytes .*image of 4097 x 1 pixels 16388"
    ):
        nb.simulate(fits.replace({"detector.n_fast": 4097}), factors)
    with pytest.raises(nb.ResourceError, match="structure factor table 16392 bytes"):
        nb.StructureFactors.from_reflections([[0, 0, 0], [2048, 0, 0]], [1.0, 2.0])
    nb.StructureFactors.from_reflections([[0, 0, 0], [2047, 0, 0]], [1.0, 2.0])


def test_derived_counts_are_bounded_by_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Phi steps that a rule counts, in each engine, before any of them is allocated."""
    monkeypatch.setattr("nanobragg_hybrid.base.host.physical_memory_bytes", lambda: 2**20)
    factors = nb.StructureFactors.constant(1.0)
    few = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(10, 10, 10)),
        goniometer=nb.Goniometer(osc_deg=1, phi_step_deg=0.01),
        detector=nb.Detector(n_fast=2, n_slow=2),
    )
    many = few.replace({"goniometer.phi_step_deg": 1e-5})
    for backend, message in (
        ("c", r"^need 100000 times 72 bytes of memory for the phi steps, of 1048576 bytes \d+ are"),
        ("torch", r"100000 phi steps \d+ bytes.*this computer has 1048576 bytes$"),
    ):
        if backend == "torch":
            pytest.importorskip("torch", reason="PyTorch is not installed (extra: torch)")
        assert nb.prepare(few, factors, backend=backend).plan.phi_steps == 100
        with pytest.raises(nb.ResourceError, match=message):
            nb.simulate(many, factors, backend=backend)


# What cannot be written

OUTPUTS = ["-floatfile", "-intfile", "-pgmfile", "-noisefile", "--json"]


@for_each("flag", OUTPUTS)
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing/f", "missing/f: No such file or directory"),
        ("file/f", "file/f: Not a directory"),
        (".", ".: Is a directory"),
        ("/proc/f", "/proc/f: "),
        ("x" * 300, ": File name too long"),
        ("loop", "loop: Too many levels of symbolic links"),
        ("/dev/full", "/dev/full: No space left on device"),
    ],
)
def test_unwritable_output(
    flag: str, name: str, problem: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "file").write_bytes(b"")
    (folder / "loop").unlink(missing_ok=True)
    (folder / "loop").symlink_to(folder / "loop")
    assert problem in refusal([flag, name], folder, capsys)


@pytest.mark.parametrize(
    ("flag", "data"),
    [("-hkl", HKL), ("-mat", MATRIX), ("-sourcefile", SOURCES), ("-mask", smv()), ("-stol", b"1")],
)
@for_each("output", OUTPUTS)
def test_output_that_would_replace_an_input(
    flag: str, data: bytes, output: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "f").write_bytes(data)
    (folder / "link").unlink(missing_ok=True)
    (folder / "link").symlink_to("f")
    for name in ("f", "./f", "link"):
        message = refusal([flag, "f", output, name], folder, capsys)
        assert message.endswith("but it is a file that is read")


def test_dump_that_is_read_or_is_the_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "d").write_bytes(dump("0 0 0 0 0 0", *range(8)))
    message = refusal(["-dump", "d", "-floatfile", "d"], folder, capsys)
    assert message == "d: named for the float image, but it is a file that is read"
    (folder / "h").write_bytes(HKL)
    message = refusal(["-hkl", "h", "-dump", "h"], folder, capsys)
    assert message == "h: named for the structure factor dump, but it is a file that is read"
    assert main([*BASE.split(), "-hkl", "h", "-dump", "d"]) == 0  # as nanoBragg does


def test_image_that_is_read_may_be_replaced(folder: Path) -> None:
    (folder / "intimage.img").write_bytes(smv())
    assert main([*BASE.split(), "-img", "intimage.img"]) == 0
    assert content(folder).keys() == IMAGES


def test_two_outputs_of_one_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for one, other in itertools.combinations(OUTPUTS, 2):
        message = refusal([one, "f", other, "./f"], folder, capsys)
        assert message.startswith("f: named for the ")
        assert ", but it is also named for the " in message
    nowhere = [word for flag in OUTPUTS for word in (flag, "/dev/null")]
    assert main([*BASE.split(), *nowhere]) == 0


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["write_raw", "write_smv_blocks"])
def test_disk_full_or_ctrl_c_while_writing(
    error: BaseException,
    step: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "floatimage.bin").write_bytes(b"old")

    def fail(file: Any, *_: object) -> None:
        file.write(b"half")
        raise error

    monkeypatch.setattr(outputs_module, step, fail)
    status = main(BASE.split())
    message = capsys.readouterr().err
    assert content(folder) == {"floatimage.bin": b"old"}
    if isinstance(error, KeyboardInterrupt):
        assert (status, message) == (130, "nanoBragg: interrupted\n")
    else:
        name = {"write_raw": "floatimage.bin", "write_smv_blocks": "intimage.img"}[step]
        assert (status, message) == (9, f"nanoBragg: error: {name}: No space left on device\n")


# write_animation wants an ending: io/test_animation.py has the same.
@for_each(
    "name",
    [name for name in nb.__all__ if name.startswith("write_") and name != "write_animation"],
)
def test_unwritable_output_in_python(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    write = getattr(nb, name)
    if name == "write_experiment":

        def write(path: Path, experiment: nb.Experiment) -> None:
            nb.write_experiment(path, experiment, format="dials")

    if name == "write_truth":

        def write(path: Path, truth: nb.ReflectionTruth) -> None:
            nb.write_truth(path, truth, format="hdf5")

    if name == "write_image":

        def write(path: Path, image: np.ndarray) -> None:
            nb.write_image(path, image, experiment=SMALL_RUN[0], format="cbf")

    factors = nb.StructureFactors.from_reflections([[0, 0, 0]], [1.0])
    with_cell = nb.StructureFactors.from_reflections(
        [[1, 0, 0]], [1.0], space_group="P 1", cell_angstrom=(9, 8, 7), missing="zero"
    )
    arguments: tuple[Any, ...] = {
        "write_dump": (factors,),
        "write_experiment": (SMALL_RUN[0],),
        "write_experiments": ([SMALL_RUN[0]],),
        "write_hkl": (factors,),
        "write_image": (np.zeros(SMALL_RUN[0].detector.shapes[0], np.uint16),),
        "write_matrix": ((1.0,) * 9,),
        "write_mtz": (with_cell,),
        "write_pgm": (np.zeros((2, 3), np.uint8), 1.0),
        "write_png": (np.zeros((2, 3), np.uint8),),
        "write_raw": (np.zeros((2, 3), np.float32),),
        "write_scattering_table": ((0.0, 0.1), (1.0, 2.0)),
        "write_smv": (np.zeros((2, 3), np.uint16), result_header()),
        "write_source_file": ([nb.Source((-1.0, 0.0, 0.0))],),
        "write_rotations": (nb.Rotations(np.eye(3)[None]),),
        "write_spectrum": (nb.Spectrum(energies_ev=(12000.0,)),),
        "write_trace": (nb.trace(*SMALL_RUN, pixel=(0, 0)),),
        "write_truth": (nb.predict_reflections(*SMALL_RUN),),
    }[name]
    for path, problem in (
        (tmp_path / "file" / "f", "Not a directory"),
        (tmp_path / "missing" / "f", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (Path("/dev/full"), "No space left on device"),
    ):
        with pytest.raises(nb.FileAccessError) as caught:
            write(path, *arguments)
        assert str(caught.value) == f"{path}: {problem}"
    assert content(tmp_path) == {"file": b"old"}
    write(tmp_path / "file", *arguments)
    assert content(tmp_path).keys() == {"file"}


def result_header() -> SmvHeader:
    return SmvHeader.from_plan(nb.simulate(*SMALL_RUN).plan)


SMALL_RUN = (
    nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(10, 10, 10)), detector=nb.Detector(n_fast=1, n_slow=1)
    ),
    nb.StructureFactors.constant(1.0),
)


# Words


@pytest.mark.parametrize(
    "words",
    [
        [""],
        ["-"],
        ["--"],
        ["-roi", "1"],
        ["-hkl"],
        ["x"] * 3000,
        ["-zz"] * 3000,
        ["-N", "5"] * 3000,
        ["-pivot", "nowhere"],
        ["\udcff"],
        ["-zz" * 5000],
        ["-cell", "-nan"],
    ],
    ids=lambda words: repr(words)[:20],
)
def test_words_that_only_deserve_a_warning(
    words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BASE.split(), *words]) == 0
    assert all(len(line) < 200 for line in capsys.readouterr().err.splitlines())
    assert content(folder).keys() == IMAGES


def test_unfinished_quotes(tmp_path: Path) -> None:
    with pytest.raises(nb.CommandLineError, match="No closing quotation"):
        nb.Experiment.from_nanobragg_args("-N '5")
    assert nb.Experiment.from_nanobragg_args("-N '5'").crystal.n_cells == (5.0, 5.0, 5.0)


def test_python_hears_the_warnings_of_the_command_line() -> None:
    with pytest.warns(nb.NanobraggWarning, match="'-distnce' is no known option"):
        nb.Experiment.from_nanobragg_args("-N 5 -distnce")
    nb.Experiment.from_nanobragg_args("-N 5 -distance 100")


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("progress", 5, "progress: got 5, need a function of two numbers, or None"),
        ("unrounded", "x", "unrounded: got 'x', need True or False"),
        ("threads", float("nan"), "threads: got nan, need an integer from 1 to 1024, or None"),
        ("quirks", "none", "quirks: got 'none', need an object of class Quirks, or None"),
    ],
)
def test_arguments_of_simulate(argument: str, value: object, message: str) -> None:
    experiment = nb.Experiment(crystal=nb.Crystal(cell_angstrom=(10, 10, 10)))
    arguments: dict[str, Any] = {argument: value}
    with pytest.raises(nb.ConfigError) as caught:
        nb.simulate(experiment, nb.StructureFactors.constant(1.0), **arguments)
    assert str(caught.value) == message


# Whole processes


def run(
    words: list[str] | list[bytes], folder: Path, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program("nanoBragg"), *BASE.split(), *words],
        cwd=folder,
        stderr=subprocess.PIPE,
        check=False,
        **({"stdout": subprocess.DEVNULL} | options),
    )


def limit(which: int, size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(which, (size, size))


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("-detpixels 20000", "image of 20000 x 20000 pixels 1600000000 bytes"),
        ("-mosaic 1 -mosaic_dom 20000000", "20000000 mosaic domains 1440000000 bytes"),
        ("-osc 1 -phisteps 20000000", "20000000 phi steps 3040000000 bytes"),
        ("-hkl f", "structure factor table 1012048064 bytes"),
    ],
)
def test_limited_address_space(words: str, part: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"500 500 500 10\n-1 -1 -1 5\n")
    done = run(words.split(), tmp_path, preexec_fn=limit(resource.RLIMIT_AS, 10**9))
    assert done.returncode == 9
    assert part in done.stderr.decode()
    assert b"this process is limited (ulimit -v) to 1000000000 bytes" in done.stderr
    assert content(tmp_path).keys() == {"f"}
    done = run(["--threads", "1"], tmp_path, preexec_fn=limit(resource.RLIMIT_AS, 10**9))
    assert done.returncode == 0


@pytest.mark.parametrize("size", [0, 200, 300, 600])
def test_limited_file_size(size: int, tmp_path: Path) -> None:
    """8 x 8 pixels: 256 bytes of floats, 640 of integers."""
    done = run([], tmp_path, preexec_fn=limit(resource.RLIMIT_FSIZE, size))
    name = "floatimage.bin" if size < 256 else "intimage.img"
    assert done.stderr.decode() == f"nanoBragg: error: {name}: File too large\n"
    assert done.returncode == 9
    assert content(tmp_path) == {}


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("words", [["--version"], ["-zz"], ["-distance", "abc"]])
def test_closed_streams(closed: tuple[int, ...], words: list[str], tmp_path: Path) -> None:
    redirections = " ".join(f"{number}>&-" for number in closed)
    done = subprocess.run(
        ["sh", "-c", f'"$@" {redirections}', "sh", program("nanoBragg"), *BASE.split(), *words],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == (9 if "abc" in words else 0)
    assert b"Traceback" not in done.stderr
    assert content(tmp_path).keys() == (IMAGES if "-zz" in words else set())


def test_log_on_a_full_disk(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run([], tmp_path, stdout=full)
    assert done.returncode == 9
    assert done.stderr == b"nanoBragg: error: standard output: No space left on device\n"
    assert content(tmp_path) == {}


@pytest.mark.parametrize(
    "environment",
    [{}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}],
)
def test_names_that_the_terminal_cannot_show(environment: dict[str, str], tmp_path: Path) -> None:
    """Without HOME and TERM, too."""
    names = [b"\xff.bin", "Å β.img".encode(), b"a\nb"]
    flags = [b"-floatfile", b"-intfile", b"-pgmfile"]
    words = [word for pair in zip(flags, names, strict=True) for word in pair]
    done = run([*words, b"--json", b"\xfe"], tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    written = {os.fsencode(path.name) for path in tmp_path.iterdir()}
    assert written == {*names, b"\xfe", b"noiseimage.img"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_in_a_pixel_of_two_thousand_million_steps(
    number: signal.Signals, tmp_path: Path
) -> None:
    words = f"{BASE} -progress -detpixels 1 -oversample 46000".split()
    with subprocess.Popen(
        [program("nanoBragg"), *words],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509 - not inherited
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "0%\n"
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert rest == "nanoBragg: interrupted\n"
    assert content(tmp_path) == {}


def test_callback_stops_a_pixel_of_two_thousand_million_steps() -> None:
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(10, 10, 10), n_cells=(5, 5, 5)),
        detector=nb.Detector(n_fast=1, n_slow=1),
        sampling=nb.Sampling(oversample=46000),
    )
    calls = itertools.count()
    with pytest.raises(nb.RenderCancelled):
        nb.simulate(
            experiment, nb.StructureFactors.constant(1.0), progress=lambda *_: next(calls) < 3
        )
    assert next(calls) == 4


def test_temporary_files_are_in_the_folder_of_their_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that giving them their names is one step, on systems where they have one before."""
    monkeypatch.setattr(atomic, "_open_without_name", lambda _: -1)
    with AtomicFiles() as files, files.write(tmp_path / "f") as file:
        file.write(b"1")
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    assert content(tmp_path) == {"f": b"1"}
