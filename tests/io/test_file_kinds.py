"""Files of another kind: every reader says what one is and what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each
from recorded import INPUTS

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.cli.trace.origins import read_trace_file
from nanobragg_hybrid.compare.suite import read_suite
from nanobragg_hybrid.formats.any_image import read_image
from nanobragg_hybrid.formats.file_kinds import FILE_KINDS, kind_of
from nanobragg_hybrid.model.quirks import Quirks

HKL = b"0 0 0 1\n1 1 1 5.5\n"
SMV = b"{\nHEADER_BYTES=512;\nSIZE1=3;\nSIZE2=2;\n}\f".ljust(512) + bytes(12)


def saved(save: Callable[..., None], *content: object) -> bytes:
    file = io.BytesIO()
    save(file, *content)
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("P1.hkl", HKL)
    return file.getvalue()


SAMPLES = {
    "text with a byte-order mark (UTF-8)": b"\xef\xbb\xbf" + HKL,
    "text in UTF-16": HKL.decode().encode("utf-16"),
    "a gzip file": gzip.compress(HKL),
    "a bzip2 file": bz2.compress(HKL),
    "an xz file": lzma.compress(HKL),
    "a Zstandard file": b"\x28\xb5\x2f\xfd" + bytes(20),
    "a file of compress (.Z)": b"\x1f\x9d\x90" + bytes(20),
    "a 7-Zip archive": b"7z\xbc\xaf\x27\x1c" + bytes(20),
    "an archive of numpy arrays (.npz)": saved(np.savez, np.zeros(3)),
    "a zip archive": zipped(),
    "a numpy array (.npy)": saved(np.save, np.zeros(3)),
    "an MTZ file": b"MTZ " + bytes(76),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(80),
    "a CBF image": b"###CBF: VERSION 1.5\r\n",
    "a TIFF image": b"II*\0" + bytes(80),
    "a PNG picture": b"\x89PNG\r\n\x1a\n" + bytes(80),
    "a JPEG picture": b"\xff\xd8\xff\xe0" + bytes(80),
    "an SMV image whose header has DOS line ends (CR LF)": SMV.replace(b"\n", b"\r\n"),
    "an SMV image": SMV,
    "an EDF image": b"{\nHeaderID = EH:000001:000000:000000 ;\n",
    "a PGM picture": b"P5\n3 2\n255\n" + bytes(6),
    "a picture of the PNM family": b"P2\n3 2\n255\n0 1 2 3 4 5\n",
    "a binary dump of structure factors": b"0 0 0 0 0 0\n\f" + bytes(64),
    "a DIALS reflection table (.refl)": b"\x93\xbbdials::af::reflection_table\x01\x83",
    "an XDS_ASCII file": b"!FORMAT=XDS_ASCII    MERGE=FALSE\n!NUMBER=5\n 1 2 3 4.5 0.5\n",
    "a file of XDS": b"!OUTPUT_FILE=INTEGRATE.HKL    DATE= 1\n 1 2 3 4.5 0.5\n",
    "a reflection list of CrystFEL": b"CrystFEL reflection list version 2.0\nSymmetry: 1\n",
    "a stream of CrystFEL": b"CrystFEL stream format 2.3\n",
    "the geometry that XDS found (XPARM.XDS)": b" XPARM.XDS    VERSION Jan 10, 2022\n",
    "the input of XDS (XDS.INP)": b"! mine\nJOB=ALL\nNX=30 ORGX= 15.2 ORGY=3\n",
    "a geometry file of CrystFEL": b"; mine\nres = 9090.9\np0/corner_x = -20.5\n",
    "a DIALS experiment list": b'{\n  "__id__": "ExperimentList",\n  "experiment": []\n}\n',
    "a CIF file": b"# a comment\ndata_r1abcsf\n#\nloop_\n_refln.index_h\n",
    "a PDB file": b"CRYST1   70.000   80.000   90.000  75.00  85.00  95.00 P 1           1\n",
    "a reflection file of CNS": b" NREFlection= 5\n ANOMalous=FALSE\n",
    "a SHELX file of intensities and their errors (HKLF 4)": (
        b"   1   0   0   12.50    0.50\n   0   1   0    7.25    0.50\n"
    ),
    "text of h k l F": b"# h k l F\n" + HKL,
    "JSON": b'{\n  "format": "something"\n}\n',
}


def test_there_is_a_sample_of_every_kind() -> None:
    assert SAMPLES.keys() == {kind.name for kind in FILE_KINDS}


@for_each("name", SAMPLES)
def test_each_is_recognised(name: str) -> None:
    kind = kind_of(SAMPLES[name])
    assert kind is not None
    assert kind.name == name
    if kind.own:
        other = kind_of(SAMPLES[name], own=kind.own)
        assert other is None or other.name != name


@for_each(
    "start",
    [
        b"",
        b"0.1 0.2 0.3\n0.4 0.5 0.6\n0.7 0.8 0.9\n",
        b"-10 0.1 0 1 1e-10\n",
        b"BZh is a word\n",
        b"data about nothing\n",
        b"TRACE_C: spixel 3\n",
        b"ATOMS are no records\n",
        bytes(4096),
        b"\t \n" * 1000,
        b" \n" * 1000 + b"# x\n" * 500,
        b"1" * 4096,
    ],
)
def test_others_are_not(start: bytes) -> None:
    assert kind_of(start) is None


def mask(path: Path) -> object:
    return parse_command(["-mask", str(path)])


GEOMETRY = (
    "a DIALS experiment list, XDS.INP, XPARM.XDS, a CrystFEL geometry or stream, an imgCIF, "
    "miniCBF or SMV image, an NXmx file, or an experiment of this package"
)
READERS: dict[str, tuple[Callable[[Path], object], str, set[str]]] = {
    "hkl": (
        nb.read_hkl,
        "text of h k l F",
        {"text of h k l F", "a SHELX file of intensities and their errors (HKLF 4)"},
    ),
    "structure factors": (
        nb.read_structure_factors,
        "structure factors: h k l F, a dump, MTZ, CIF or PDB",
        {
            "text of h k l F",
            "a SHELX file of intensities and their errors (HKLF 4)",
            "a binary dump of structure factors",
            *("an MTZ file", "a CIF file", "a PDB file"),
        },
    ),
    "atomic model": (
        lambda path: nb.structure_factors_from_model(path, d_min_angstrom=3.0),
        "an atomic model: PDB or CIF",
        {"a CIF file", "a PDB file"},
    ),
    "dump": (
        nb.read_dump,
        "a binary dump of structure factors",
        {"a binary dump of structure factors"},
    ),
    "matrix": (nb.read_matrix, "nine numbers of an orientation matrix", set()),
    "sources": (nb.read_source_file, "lines x y z weight wavelength", {"text of h k l F"}),
    "SMV": (nb.read_smv, "an SMV image", {"an SMV image"}),
    "-img": (lambda path: parse_command(["-img", str(path)]), "an SMV image", {"an SMV image"}),
    "-mask": (mask, "an SMV image", {"an SMV image"}),
    "PGM": (nb.read_pgm, "a binary PGM picture", {"a PGM picture"}),
    "raw": (lambda path: nb.read_raw(path, (5, 7)), "32-bit floats without a header", set()),
    "any image": (
        read_image,
        "an SMV, PGM or raw float image",
        # The last three begin like SMV, whose reader refuses them.
        {"an SMV image", "a PGM picture", "an EDF image", "JSON", "a DIALS experiment list"},
    ),
    "experiment": (
        nb.Experiment.load,
        "an experiment as JSON",
        {"JSON", "text with a byte-order mark (UTF-8)"},
    ),
    "geometry": (
        nb.read_experiment,
        GEOMETRY,
        {
            *("an HDF5 file", "a CBF image", "an SMV image", "a stream of CrystFEL", "JSON"),
            *("the geometry that XDS found (XPARM.XDS)", "the input of XDS (XDS.INP)"),
            *("a geometry file of CrystFEL", "a DIALS experiment list"),
            "an SMV image whose header has DOS line ends (CR LF)",
            "an EDF image",
        },
    ),
    "trace": (
        nb.read_trace,
        "lines TRACE_C: name values",
        {"text with a byte-order mark (UTF-8)"},
    ),
    "trace of nb-trace": (
        lambda path: read_trace_file(str(path), None),
        "traces, as text or JSON",
        {"JSON", "text with a byte-order mark (UTF-8)"},
    ),
    "suite": (
        read_suite,
        "command lines, as text or JSON",
        {"JSON", "text with a byte-order mark (UTF-8)"},
    ),
}


@for_each("reader", READERS)
def test_every_reader_says_what_a_file_is_and_what_to_do(reader: str, tmp_path: Path) -> None:
    read, needed, own = READERS[reader]
    path = tmp_path / "file"
    assert own <= SAMPLES.keys()
    for name in SAMPLES.keys() - own:
        path.write_bytes(SAMPLES[name])
        kind = kind_of(SAMPLES[name])
        assert kind is not None
        with pytest.raises(nb.FileFormatError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: is {name}, need {needed}: {kind.advice}", name


def test_a_byte_order_mark_is_read_over_in_text_of_utf8(tmp_path: Path) -> None:
    path = tmp_path / "file"
    experiment = nb.Experiment(crystal=nb.Crystal(cell_angstrom=(70, 80, 90)))
    text = nb.Experiment.to_json(experiment)
    path.write_text("\ufeff" + text, encoding="utf-8")
    assert nb.Experiment.load(path) == experiment
    path.write_text("\ufeffTRACE_C: spixel 3\n", encoding="utf-8")
    assert nb.read_trace(path)[0].values == {"spixel": (3.0,)}
    path.write_text("\ufeff" + json.dumps(["-N 5"]), encoding="utf-8")
    assert [case.args for case in read_suite(path)] == ["-N 5"]


@pytest.mark.parametrize("name", ["small.hkl", "exp.hkl", "fivecol.hkl"])
def test_recorded_text_is_text(name: str) -> None:
    kind = kind_of((INPUTS / name).read_bytes())
    assert kind is not None
    assert kind.name == "text of h k l F"
    assert kind_of((INPUTS / name).read_bytes(), own="h k l F") is None


@for_each(
    "read, text, message",
    [
        (
            nb.read_matrix,
            "1 2 3\n4 0.451D+02 6\n7 8 9\n",
            "file:2: number 6 of nine: got '0.451D+02'",
        ),
        (
            nb.read_source_file,
            "1 2 0.1D0 \n",
            "file:1: '0.1D0' is no number and counts as 0.1: write E",
        ),
        (
            lambda path: nb.read_source_file(path, quirks=Quirks.parse("none")),
            "1 2 3\n1 2 0.1d0\n",
            "file:2: z: got '0.1d0', need a number: write E",
        ),
    ],
)
def test_fortran_exponents_are_named(
    tmp_path: Path, read: Callable[[Path], object], text: str, message: str
) -> None:
    (tmp_path / "file").write_text(text)
    said = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            read(tmp_path / "file")
        except nb.FileFormatError as error:
            said.append(str(error))
    said += [str(warning.message) for warning in caught]
    assert len(said) == 1
    assert message in said[0]
    assert "write E for the D of Fortran's exponent" in said[0]
