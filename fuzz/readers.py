"""Harnesses of the readers and of the command's words: only errors of our own may come out.

A harness makes bytes (or words) with hypothesis, valid ones with a few changes, words of the format
in any order, or anything, and checks one input: what is raised is a `NanobraggError`, what is
warned is a `NanobraggWarning`, and reading takes at most `MEMORY_PER_BYTE` times the size of the
file, plus `MEMORY_ANYWAY` for what does not depend on it.  Tables of structure factors are as large
as their indices span, and masks of bad pixels as large as their panels, and filling them takes its
time: the files which have them are exempt.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import struct
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.cli.nanobragg.main import main as nanobragg
from nanobragg_hybrid.compare.suite import read_suite
from nanobragg_hybrid.formats.any_image import read_image
from nanobragg_hybrid.formats.image_panels import read_image_panels
from nanobragg_hybrid.formats.smv import header_number

with contextlib.suppress(ImportError), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its extension warns of itself; an error there would crash
    importlib.import_module("pycbf")  # whose first import is no memory of a file's

MEMORY_PER_BYTE = 64
MEMORY_ANYWAY = 4 << 20
LONGEST_S = 5.0


class Finding(Exception):  # noqa: N818 - it is what was looked for
    """An input that does what no input may."""


class Harness(NamedTuple):
    """What makes inputs, and what is done with one in a folder of its own.

    inputs: of bytes, or of words where `words` is set.  has_table: the memory follows from indices.
    """

    inputs: st.SearchStrategy[Any]
    run: Callable[[Any, Path], object]
    words: bool = False
    has_table: bool = False


# ---- what makes inputs

NUMBERS = st.one_of(
    st.integers(-5, 9).map(str),
    st.floats(-1e3, 1e3, allow_nan=False).map(lambda value: f"{value:.4g}"),
    st.sampled_from("1e300 -1e300 1e-300 1e999 nan inf -0 0x1p3 1d2 1. .5 + 99999999999".split()),
)
SPACES = st.sampled_from([b" ", b"\n", b"\t", b"  ", b"\r\n", b",", b""])


@st.composite
def changed(draw: st.DrawFn, valid: tuple[bytes, ...], words: tuple[bytes, ...]) -> bytes:
    """A valid file after a few changes: bytes replaced, left out, doubled, cut off."""
    data = draw(st.sampled_from(valid))
    piece = st.one_of(
        st.binary(max_size=6), st.sampled_from(words), NUMBERS.map(lambda text: text.encode())
    )
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from([0, 1, 1, 2, 4, 9, 40])))
        match draw(st.sampled_from(["replace", "leave out", "double", "cut off"])):
            case "replace":
                data = data[:at] + draw(piece) + data[end:]
            case "leave out":
                data = data[:at] + data[end:]
            case "double":
                data = data[:end] + data[at:end] * draw(st.integers(1, 3)) + data[end:]
            case _:
                data = data[:at]
    return data


def texts(words: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Words of a format and numbers in any order."""
    word = st.one_of(st.sampled_from(words), NUMBERS.map(lambda text: text.encode()))
    return st.lists(st.tuples(word, SPACES), max_size=30).map(
        lambda pairs: b"".join(part for pair in pairs for part in pair)
    )


def files(*valid: bytes, words: bytes) -> st.SearchStrategy[bytes]:
    """Files nearly valid, files of the right words, and any bytes."""
    known = tuple(words.split())
    return st.one_of(changed(valid, known), texts(known), st.binary(max_size=200))


def _smv(header: str, data: bytes = bytes(range(32))) -> bytes:
    return (
        f"{{\nHEADER_BYTES=512;\nDIM=2;\nSIZE1=4;\nSIZE2=4;\n{header}}}\f".encode().ljust(512)
        + data
    )


_EXPERIMENT = nb.Experiment(
    beam=nb.Beam(sources=(nb.Source((-10.0, 0.0, 0.0), 1.0, 1e-10),)),
    crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)),
)
_LIT = nb.Experiment(
    background=nb.Background(
        (nb.Scatterer((0.0, 0.1), (1.0, 2.0), 1.0),), offsets=(nb.BackgroundOffset(1.0, 2),)
    ),
    response=nb.Response(nb.PointSpread(10.0), dead_pixels=((1, 2),)),
)
_OWN_MODELS = nb.Experiment(
    beam=nb.Beam(spectrum=nb.Spectrum(energies_ev=(12000.0, 12010.0), weights=(1.0, 2.0))),
    crystal=nb.Crystal(mosaic_rotations=nb.Rotations.from_vectors([[1.0, 0.0, 2.0]])),
)
_JSON_WORDS = (
    b'{ } [ ] : , "crystal" "beam" "n_cells" "sources" null true false NaN 1e999 "a" \\u0000'
)

_CIF = b"""data_a
_cell_length_a 9
_cell_length_b 9
_cell_length_c 9
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 2'
loop_
"""
_REFLECTIONS = (
    _CIF + b"_refln_index_h _refln_index_k _refln_index_l _refln_F_meas\n1 0 0 5\n0 1 1 .\n"
)
_SITES = (
    _CIF
    + b"_atom_site_label _atom_site_fract_x _atom_site_fract_y _atom_site_fract_z "
    + b"_atom_site_U_iso_or_equiv\nC1 0.1 0.2(1) 0.3 0.02\nFe2 0 0 0 .\n"
)
_PDB = (
    b"CRYST1    9.000    9.000    9.000  90.00  90.00  90.00 P 1 2 1       1\n"
    b"ATOM      1  CA  GLY A   1       1.000   2.000   3.000  1.00 15.00           C\n"
    b"HETATM    2 SE   UNK A   2       5.000   7.000   8.000  0.50 20.00          SE\n"
)


def _mtz() -> bytes:
    """A small MTZ file; of another kind where gemmi is not installed."""
    table = nb.StructureFactors.from_reflections
    try:
        made = table([[1, 0, 0], [0, 1, 1]], [5, 6], space_group="P 2", cell_angstrom=(9, 9, 9),
                     missing="zero", d_min_angstrom=4.0)  # fmt: skip
    except nb.UnsupportedError:
        return b"MTZ "
    file = io.BytesIO()
    nb.write_mtz(file, made)
    return file.getvalue()


def _nxmx() -> bytes:
    """A small NXmx file; of another kind where h5py is not installed."""
    pixels = [np.arange(12, dtype=np.uint16).reshape(3, 4)]
    detector = nb.Detector(n_fast=4, n_slow=3, pixel_size_mm=0.1, distance_mm=50)
    made = nb.Experiment(
        detector=detector, goniometer=nb.Goniometer(phi_deg=10.0, osc_deg=0.5, phi_steps=2)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.h5"
        try:
            nb.write_image(path, pixels, experiment=made, format="nxmx")
        except nb.UnsupportedError:
            return b"\x89HDF\r\n\x1a\n"
        return path.read_bytes()


def _model(path: Path) -> object:
    return nb.structure_factors_from_model(path, d_min_angstrom=4.0, wavelength_angstrom=1.0)


_EXPT = b"""{"__id__": "ExperimentList", "experiment": [{"beam": 0, "detector": 0, "goniometer": 0,
"scan": 0, "crystal": 0}], "beam": [{"direction": [0, 0, 1], "wavelength": 1.25,
"polarization_normal": [0, 1, 0], "polarization_fraction": 0.9}], "detector": [{"panels": [{
"name": "p", "fast_axis": [1, 0, 0], "slow_axis": [0, -1, 0], "origin": [-1, 1, -100],
"pixel_size": [0.1, 0.1], "image_size": [30, 20], "trusted_range": [0, 100], "thickness": 0.3,
"mu": 3.0, "gain": 1, "pedestal": 0, "mask": [[0, 0, 2, 2]]}],
"hierarchy": {"children": [{"fast_axis": [1, 0, 0], "slow_axis": [0, 1, 0], "origin": [0, 0, 0],
"children": [{"panel": 0}]}]}}], "goniometer": [{"axes": [[1, 0, 0], [0, 1, 0]],
"angles": [0, 10], "scan_axis": 0}], "scan": [{"image_range": [1, 2], "oscillation": [0, 0.1]}],
"crystal": [{"real_space_a": [40, 0, 0], "real_space_b": [0, 50, 0], "real_space_c": [0, 0, 60]}]}
"""
_XDS_INP = b"""JOB=ALL ! all
NX=30 NY=20 QX=0.1 QY=0.1 ORGX=15 ORGY=10 DETECTOR_DISTANCE=100 X-RAY_WAVELENGTH=1
OSCILLATION_RANGE=0.1 DATA_RANGE=1 5 UNTRUSTED_RECTANGLE= 1 3 1 3
UNIT_CELL_A-AXIS= 40 0 0 UNIT_CELL_B-AXIS= 0 50 0 UNIT_CELL_C-AXIS= 0 0 60
SEGMENT= 1 30 1 20
SEGMENT_ORGX= 1
"""
_XPARM = b""" XPARM.XDS    VERSION
1 0 0.1 1 0 0
1.0 0 0 1
1 40 50 60 90 90 90
40 0 0
0 50 0
0 0 60
1 30 20 0.1 0.1
15 10 100
1 0 0
0 1 0
0 0 1
1 1 30 1 20
0 0 0 1 0 0 0 1 0
"""
_GEOM = b"""photon_energy = 9000 eV
clen = 0.1
res = 10000
rigid_group_a = p0
p0/min_fs = 0
p0/max_fs = 29
p0/min_ss = 0
p0/max_ss = 19
p0/fs = +0.6x +0.8y
p0/ss = -0.8x +0.6y
p0/corner_x = -10
p0/corner_y = 10
bad0/min_x = -3
bad0/max_x = 3
bad0/min_y = -3
bad0/max_y = 3
"""
_STREAM_HEAD = b"CrystFEL stream format 2.3\n----- Begin geometry file -----\n"
_STREAM_TAIL = b"""----- End geometry file -----
----- Begin chunk -----
Image filename: a.h5
photon_energy_eV = 9000
Peaks from peak search
  fs/px   ss/px (1/d)/nm^-1   Intensity  Panel
 1.5 2.5 0.5 100 p0
End of peak list
--- Begin crystal
astar = +0.25 0 0 nm^-1
bstar = 0 +0.2 0 nm^-1
cstar = 0 0 +0.2 nm^-1
Reflections measured after indexing
   h    k    l          I   sigma(I)       peak background  fs/px  ss/px panel
   1    2   -3      55.5       2.0      10.0       1.0    3.5    4.5 p0
End of reflections
--- End crystal
----- End chunk -----
"""
_IMGCIF = b"""###CBF: VERSION 1.5
data_a
_diffrn_radiation_wavelength.wavelength 1.0
loop_
_axis.id
_axis.type
_axis.equipment
_axis.depends_on
_axis.vector[1]
_axis.vector[2]
_axis.vector[3]
_axis.offset[3]
 PHI rotation goniometer . 1 0 0 .
 Z translation detector . 0 0 -1 .
 S translation detector Z 0 -1 0 0
 F translation detector S 1 0 0 0
loop_
_diffrn_scan_axis.axis_id
_diffrn_scan_axis.angle_increment
_diffrn_scan_axis.displacement_start
 PHI 0.1 0
 Z 0 100
loop_
_array_structure_list.array_id
_array_structure_list.dimension
_array_structure_list.precedence
_array_structure_list.axis_set_id
 A 30 1 F
 A 20 2 S
loop_
_array_structure_list_axis.axis_set_id
_array_structure_list_axis.axis_id
_array_structure_list_axis.displacement_increment
 F F 0.1
 S S 0.1
"""
_MINICBF = b"""###CBF: VERSION 1.5
data_a
_array_data.header_contents
;
# Pixel_size 172e-6 m x 172e-6 m
# Wavelength 1.0 A
# Detector_distance 0.1 m
# Beam_xy (15.0, 10.0) pixels
# Start_angle 0.0 deg.
# Angle_increment 0.1 deg.
;
_array_data.data
;
--CIF-BINARY-FORMAT-SECTION--
X-Binary-Size-Fastest-Dimension: 30
X-Binary-Size-Second-Dimension: 20

"""


def _npy(header: str, data: bytes) -> bytes:
    """A .npy file of version 1."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


_BYTE_OFFSET = (
    b"###CBF: VERSION 1.5\ndata_a\n_array_data.data\n;\n--CIF-BINARY-FORMAT-SECTION--\n"
    b'Content-Type: application/octet-stream;\n  conversions="x-CBF_BYTE_OFFSET"\n'
    b'Content-Transfer-Encoding: BINARY\nX-Binary-Size: 12\nX-Binary-Element-Type: "signed 32-bit '
    b'integer"\nX-Binary-Size-Fastest-Dimension: 3\nX-Binary-Size-Second-Dimension: 2\n\n'
    b"\x0c\x1a\x04\xd5\x01\x02\x80\x00\x01\x80\x00\x80\x00\x00\x01\x00\x05\x06\x07\n"
    b"--CIF-BINARY-FORMAT-SECTION----\n;\n"
)
_TIFF = (
    b"II*\0"
    + struct.pack("<I", 14)
    + bytes(6)
    + struct.pack("<H", 8)
    + b"".join(
        struct.pack("<HHII", tag, 4, 1, value)
        for tag, value in (
            *((256, 3), (257, 2), (258, 8), (259, 1)),
            *((262, 1), (273, 8), (278, 2), (279, 6)),
        )
    )
    + bytes(4)
)

_REFL = (
    b"\x93\xbbdials::af::reflection_table\x01\x83\xabidentifiers\x80\xa5nrows\x01\xa4data\x83"
    b"\xa5panel\x92\xabstd::size_t\x92\x01\xc4\x08\x02\0\0\0\0\0\0\0"
    b"\xafxyzobs.px.value\x92\xacvec3<double>\x92\x01\xc4\x18"
    + struct.pack("<3d", 3.5, 4.25, 0.5)
    + b"\xb3intensity.sum.value\x92\xa6double\x92\x01\xc4\x08"
    + struct.pack("<d", 100.0)
)

FILES: dict[str, tuple[st.SearchStrategy[bytes], Callable[[Path], object]]] = {
    "smv": (
        files(
            _smv("TYPE=unsigned_short;\nBYTE_ORDER=little_endian;\n"),
            _smv("TYPE=unsigned_short;\nBYTE_ORDER=big_endian;\nDISTANCE=100;\nBEAM_CENTER_X=3;\n"),
            words=b"{ } ; = HEADER_BYTES= SIZE1= SIZE2= TYPE= BYTE_ORDER= unsigned_short long",
        ),
        lambda path: header_number(nb.read_smv(path).header_text, "DISTANCE"),
    ),
    "pgm": (
        files(
            b"P5\n# scale 1\n2 1\n255\nab",
            b"P5 3 2 255\nabcdef",
            words=b"P5 P2 # 255 65535 1 0",
        ),
        nb.read_pgm,
    ),
    "npy": (
        files(
            _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", b"abcdefgh"),
            _npy("{'descr': '>u2', 'fortran_order': True, 'shape': (2, 2, 1), }", b"abcdefgh"),
            words=b"\x93NUMPY { } 'descr': '<f8' '|O' 'shape': (1,) , True L 99999999999",
        ),
        read_image_panels,
    ),
    "matrix": (
        files(b"0.01 0 0\n0 0.01 0\n0 0 0.01\n", b"0.1 0 0 0 .1 0 0 0 .1 0 0 0\n", words=b"# 0.01"),
        nb.read_matrix,
    ),
    "source_file": (
        files(b"-10 0 0 1 1e-10\n# c\n-10 1 0 1 1e-10\n", b"-10 0 0", words=b"# x -10 1e-10 |"),
        nb.read_source_file,
    ),
    "scattering_table": (
        files(b"0.0 1.5\n0.1,2\r\n# c\n0.2\t3 # d\r0.3 4", words=b"# , 0.1 -1 x nan"),
        nb.read_scattering_table,
    ),
    "rotations": (
        files(
            b"1 0 0 0 1 0 0 0 1 1\n0 1 0 0 0 1 1 0 0 0.5\n",
            b"0 0 1\r\n# c\r\n1,2,3\r\n",
            words=b"# 1 0 -1 , ; %",
        ),
        nb.read_rotations,
    ),
    "spectrum": (
        files(
            b"# eV\n12000 1\n12010 0.5\n",
            b"wavelength/angstrom, weight\r\n1.0, 1\r\n1.1, 2\r\n",
            words=b"# eV angstrom keV 12000 1 , ; %",
        ),
        nb.read_spectrum,
    ),
    "experiment": (
        files(
            _EXPERIMENT.to_json().encode(),
            _EXPERIMENT.to_json(nb.Quirks()).encode(),
            _LIT.to_json().encode(),
            _OWN_MODELS.to_json().encode(),
            words=_JSON_WORDS,
        ),
        lambda path: (nb.load_run(path), nb.Experiment.load(path)),
    ),
    "trace": (
        files(
            b"TRACE_C: pix0_vector 0.1 0.2 0.3\nTRACE_C: fast 1\nTRACE_C: slow 2\n",
            words=b"TRACE_C: TRACE_PY: TRACE_CONFIG: fast slow hkl_frac omega_pixel_sr",
        ),
        nb.read_trace,
    ),
    "suite": (
        files(
            b"# two\nnanoBragg -N 5 -lambda 1\n-N 3\n",
            b'[{"name": "a", "args": "-N 5"}, "-N 3"]',
            words=b'[ ] { } "args" "name" -N 5 "-N_5" # \' "',
        ),
        read_suite,
    ),
    "any_image": (
        files(
            _smv("TYPE=unsigned_short;\n"),
            b"P5\n2 1\n255\nab",
            bytes(64),
            words=b"P5 { } \x93NUMPY",
        ),
        lambda path: (read_image(path), nb.read_raw(path, (2, 4))),
    ),
    "hkl": (
        files(b"0 0 1 10\n1 0 0 20\n# c\n-2 3 1 0.5\n", words=b"# 0 1 -1 2 x 0.5"),
        lambda path: (nb.read_hkl(path), nb.read_hkl(path, quirks=nb.Quirks.none())),
    ),
    "dump": (
        files(
            b"0 0 0 0 0 0\n\f" + struct.pack("<8d", *range(8)),
            b"-1 0 0 1 2 2\n\f" + struct.pack("<24d", *range(24)),
            words=b"0 1 -1 2 \x0c",
        ),
        nb.read_dump,
    ),
    "mtz": (
        files(_mtz(), words=b"MTZ VERS NCOL CELL SYMM COLUMN F G J H X,Y,Z END 1 0"),
        nb.read_structure_factors,
    ),
    "cif": (
        files(_REFLECTIONS, _SITES, words=b"data_a loop_ _refln_index_h . ? ' ; # 1 0.5(2)"),
        lambda path: (nb.read_structure_factors(path, d_min_angstrom=4.0), _model(path)),
    ),
    "pdb": (files(_PDB, words=b"CRYST1 ATOM HETATM ANISOU MODEL END P_1 C X 1.000"), _model),
}
FILES.update(
    {
        "expt": (
            files(
                _EXPT,
                _EXPT.replace(b'"children": [', b'"children": [{"children": []}, '),
                words=_JSON_WORDS + b' "__id__" "ExperimentList" "detector" "panels" "crystal" 0',
            ),
            nb.read_experiments,
        ),
        "xds": (
            files(_XDS_INP, _XPARM, words=b"ORGX= NX= QX= SEGMENT= ! ROTATION_AXIS= XPARM.XDS"),
            nb.read_experiments,
        ),
        "crystfel": (
            files(_GEOM, words=b"p0/corner_x = ; fs = +1.0x -2y clen = m eV bad0/min_fs res /"),
            nb.read_experiment,
        ),
        "stream": (
            files(
                _STREAM_HEAD + _GEOM + _STREAM_TAIL,
                words=b"----- Begin chunk ----- End astar = nm^-1 --- crystal Peaks from peak",
            ),
            lambda path: (
                nb.read_stream(path),
                nb.read_spots(path),
                nb.read_spots(path, crystal=0),
                nb.read_experiments(path),
            ),
        ),
        "cbf": (
            files(
                _IMGCIF,
                _MINICBF,
                words=b"###CBF data_a loop_ _axis.id _axis.type . ? ' ; # 1 rotation FAST1 --CIF",
            ),
            nb.read_experiments,
        ),
        "smv_geometry": (
            files(
                _smv(
                    "PIXEL_SIZE=0.1;\nWAVELENGTH=1;\nDISTANCE=100;\nBEAM_CENTER_X=1;\n"
                    "BEAM_CENTER_Y=2;\nTYPE=unsigned_short;\n"
                ),
                words=b"{ } ; = HEADER_BYTES= PIXEL_SIZE= WAVELENGTH= XDS_ORGX= OSC_RANGE= GAIN=",
            ),
            nb.read_experiment,
        ),
    }
)
FILES["measured"] = (
    files(
        _smv("TYPE=unsigned_short;\nGAIN=2;\n"),
        _MINICBF + b"\x0c\x1a\x04\xd5" + bytes(600),
        _BYTE_OFFSET,
        _BYTE_OFFSET.replace(b"BYTE_OFFSET", b"NONE"),
        _BYTE_OFFSET.replace(b"BYTE_OFFSET", b"PACKED"),
        _TIFF,
        words=b"X-Binary-Size: X-Binary-Size-Fastest-Dimension: \x80 \x80\x00\x80 \x0c\x1a\x04\xd5",
    ),
    nb.read_image,
)
FILES["spots"] = (
    files(
        _REFL,
        _REFL.replace(b"\xa5panel", b"\xa2id"),
        words=b"\x93 \x83 \xa5panel \xa3int \x92 \xc4\x04 \xc4\x08 \xa5nrows \xa4data \xff",
    ),
    nb.read_spots,
)
FILES["nxmx"] = (
    files(
        _nxmx(),
        words=b"NXmx NXentry NXdetector NX_class depends_on . / mm deg rotation \x89HDF \xff\xff",
    ),
    lambda path: (nb.read_image(path), nb.read_experiments(path)),
)
FILES["truth"] = (  # what HDF5 makes of its own bytes is not ours to look at
    files(b"\x89HDF\r\n\x1a\n" + bytes(88), words=b"\x89HDF \r\n\x1a\n OHDR TREE HEAP \xff \x00"),
    nb.read_truth,
)
TABLES = ("hkl", "dump", "mtz", "cif", "pdb", "expt", "xds", "crystfel", "stream")


def _read(read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def run(data: bytes, folder: Path) -> object:
        path = folder / "file"
        path.write_bytes(data)
        return read(path)

    return run


# ---- words

INPUTS = (*("tilted.mat", "table.hkl", "sources.txt", "spectrum.txt", "mask.img", "nothing.there"),)
SMALL = (
    "-cell 70 80 90 90 90 90 -default_F 10 -detpixels 6 -pixel 1 -N 5 -seed 1 -noprogress".split()
)
# At the end, so that no word before makes an image large or a pixel slow.
TAIL = "-detpixels 6 -oversample 1".split()
SPELLINGS = tuple(spelling for flag in FLAGS for spelling in flag.spellings)
_COUNTS = st.sampled_from("0 1 2 3 -1 abc".split())


@st.composite
def option(draw: st.DrawFn) -> list[str]:
    """An option of the table with values that it could have, or nearly."""
    flag = draw(st.sampled_from(FLAGS))
    spelling = draw(st.sampled_from(flag.spellings))
    count = len(flag.words) + draw(st.sampled_from([0, 0, 0, 0, -1, 1]))
    value = {"int": _COUNTS, "float": NUMBERS, "seed": NUMBERS}.get(
        flag.kind, st.sampled_from([*INPUTS, "1", "beam", "random", "", "out.bin"])
    )
    return [spelling, *(draw(value) for _ in range(max(0, count)))]


QUIRK_WORDS = st.lists(
    st.tuples(st.sampled_from("+-"), st.sampled_from([quirk.name for quirk in nb.LEDGER])),
    max_size=6,
    unique_by=lambda pair: pair[1],
).map(lambda pairs: ["--quirks", ",".join(["nanobragg", *(a + b for a, b in pairs)])])
OURS = st.sampled_from(["--strict", "--version", "--json=run.json", "--kernel=exact", "--x", "--"])
WORDS = st.lists(
    st.one_of(option(), option(), option(), NUMBERS.map(lambda word: [word]), QUIRK_WORDS,
              OURS.map(lambda word: [word]), st.sampled_from(SPELLINGS).map(lambda word: [word])),
    max_size=8,
).map(lambda parts: [word for part in parts for word in part])  # fmt: skip


def _command(words: list[str], folder: Path) -> None:
    with contextlib.suppress(nb.NanobraggError):
        parse_command([word for word in words if not word.startswith("--")], folder)
    said = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        status = nanobragg([*SMALL, *words, *TAIL])
    if status not in (0, 9):
        raise Finding(f"status {status}")
    if status == 9 and "error: " not in said.getvalue():
        raise Finding(f"failed without a word: {said.getvalue()!r}")


HARNESSES: dict[str, Harness] = {
    **{
        name: Harness(inputs, _read(read), has_table=name in TABLES)
        for name, (inputs, read) in FILES.items()
    },
    "command": Harness(WORDS, _command, words=True, has_table=True),
}


# ---- checking one input


@contextlib.contextmanager
def bounded(harness: Harness, size: int, watch_time: bool) -> Iterator[None]:
    """Raises `Finding` where the body takes more memory, or longer, than it may."""
    begin = time.perf_counter()
    if harness.has_table:
        yield
    else:
        tracemalloc.start()
        try:
            yield
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        if peak > MEMORY_PER_BYTE * size + MEMORY_ANYWAY:
            raise Finding(f"{peak} bytes of memory for {size} bytes")
    if watch_time and time.perf_counter() - begin > LONGEST_S:
        raise Finding(f"{time.perf_counter() - begin:.1f} s for {size} bytes")


def check(name: str, data: Any, folder: Path, *, watch_time: bool = False) -> bool:
    """Runs one input; returns whether it was accepted.  What is wrong with it is raised."""
    harness = HARNESSES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        with bounded(harness, len(data), watch_time and name not in TABLES):
            try:
                harness.run(data, folder)
            except nb.NanobraggError:
                return False
    return True
