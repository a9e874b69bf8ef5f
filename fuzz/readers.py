"""Harnesses of the readers and of the command's words: only errors of our own may come out.

A harness makes bytes (or words) with hypothesis, valid ones with a few changes, words of the format
in any order, or anything, and checks one input: what is raised is a `NanobraggError`, what is
warned is a `NanobraggWarning`, and reading takes at most `MEMORY_PER_BYTE` times the size of the
file, plus `MEMORY_ANYWAY` for what does not depend on it.  Tables of structure factors are as large
as their indices span, and filling them takes its time: the two files which have them are exempt.
"""

from __future__ import annotations

import contextlib
import io
import struct
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.cli.nanobragg.main import main as nanobragg
from nanobragg_hybrid.compare.suite import read_suite
from nanobragg_hybrid.formats.any_image import read_image
from nanobragg_hybrid.formats.smv import header_number

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
_JSON_WORDS = (
    b'{ } [ ] : , "crystal" "beam" "n_cells" "sources" null true false NaN 1e999 "a" \\u0000'
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
    "experiment": (
        files(
            _EXPERIMENT.to_json().encode(),
            _EXPERIMENT.to_json(nb.Quirks()).encode(),
            _LIT.to_json().encode(),
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
}
TABLES = ("hkl", "dump")


def _read(read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def run(data: bytes, folder: Path) -> object:
        path = folder / "file"
        path.write_bytes(data)
        return read(path)

    return run


# ---- words

INPUTS = ("tilted.mat", "table.hkl", "sources.txt", "mask.img", "nothing.there")
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
