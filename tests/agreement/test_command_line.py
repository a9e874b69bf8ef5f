"""`nanoBragg --backend torch` for each flag: the same files, log and facts as with the C engine."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from for_each import for_each
from recorded import link_inputs
from with_torch import torch  # noqa: F401 (skips where it is not)

from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.cli.nanobragg.main import main

BASE = (
    "-cell 70 80 90 75 85 95 -default_F 100 -lambda 1.2 -distance 100 -detpixels 12 -pixel 2 -N 5 "
    "-misset 10 20 30 -phi 1 -osc 2 -phisteps 2 -oversample 1 -seed 3 -noprogress"
)

# What follows the first spelling of each row, and the flags without which it would say nothing.
VALUES = {
    "-cell": "60 70 80 90 100 90",
    "-mat": "tric.mat",
    "-N": "4",
    "-Na": "3",
    "-Nb": "3",
    "-Nc": "3",
    "-misset": "40 5 6",
    "-misset_seed": "7 -misset random",
    "-xtalsize": "0.0003",
    "-xtal_x": "0.0003",
    "-xtal_y": "0.0003",
    "-xtal_z": "0.0003",
    "-fudge": "0.9 -gauss_xtal",
    "-water": "5",
    "-mosaic": "0.5 -mosaic_dom 3",
    "-mosaici": "0.5 -mosaic_dom 3",
    "-mosaic_dom": "3 -mosaic 0.5",
    "-mosaic_seed": "7 -mosaic 0.5 -mosaic_dom 3",
    "-tophat_hkl_spots": "-fudge 0.02",
    "-hkl": "full.hkl",
    "-default_F": "50",
    "-dump": "plain_dump.bin -default_F 0",
    "-lambda": "1.1",
    "-energy": "12000",
    "-fluence": "1e28",
    "-flux": "1e12",
    "-exposure": "0.5 -flux 1e12",
    "-beamsize": "0.05 -flux 1e12",
    "-dispersion": "1 -dispsteps 3",
    "-dispsteps": "3 -dispersion 1",
    "-divergence": "2 -divsteps 3",
    "-hdivrange": "2 -hdivsteps 3",
    "-vdivrange": "2 -vdivsteps 3",
    "-divsteps": "3 -divergence 2",
    "-hdivsteps": "3 -hdivrange 2",
    "-vdivsteps": "3 -vdivrange 2",
    "-hdivstep": "1 -hdivrange 2",
    "-vdivstep": "1 -vdivrange 2",
    "-round_div": "-divergence 2 -divsteps 3",
    "-square_div": "-divergence 2 -divsteps 3",
    "-sourcefile": "sources.txt",
    "-mosaic_rotations": "turns.txt",
    "-spectrum": "spectrum.txt",
    "-spectrum_ev": "spectrum.txt",
    "-spectrum_angstrom": "lengths.txt",
    "-polar": "0.9",
    "-phi": "0",
    "-osc": "3",
    "-phisteps": "4",
    "-phistep": "0.5",
    "-distance": "80",
    "-close_distance": "80",
    "-pixel": "1",
    "-detpixels": "10",
    "-detpixels_f": "10",
    "-detpixels_s": "10",
    "-detsize": "20",
    "-detsize_f": "20",
    "-detsize_s": "20",
    "-Xbeam": "5",
    "-Ybeam": "5",
    "-Xclose": "5",
    "-Yclose": "5",
    "-ORGX": "5 -xds",
    "-ORGY": "5 -xds",
    "-detector_rotx": "3",
    "-detector_roty": "3",
    "-detector_rotz": "3",
    "-twotheta": "10",
    "-pivot": "sample",
    "-curved_det": "-nopgm",
    "-fdet_vector": "0 0.1 1",
    "-sdet_vector": "0 -1 0.1",
    "-odet_vector": "1 0.1 0",
    "-beam_vector": "1 0.05 0",
    "-polar_vector": "0 0.1 1",
    "-spindle_axis": "0 1 1",
    "-twotheta_axis": "0 0 1 -twotheta 5",
    "-pix0_vector": "0.1 0.01 -0.01",
    "-pix0_vector_mm": "100 10 -10",
    "-detector_abs": "500 -detector_thick 300",
    "-detector_thick": "300 -detector_abs 500",
    "-detector_thicksteps": "3 -detector_thick 300 -detector_abs 500",
    "-oversample": "2",
    "-oversample_thick": "-detector_thicksteps 3 -detector_thick 300 -detector_abs 500",
    "-oversample_polar": "-oversample 2",
    "-oversample_omega": "-oversample 2",
    "-interpolate": "-hkl full.hkl",
    "-nointerpolate": "-hkl full.hkl",
    "-roi": "2 9 3 10",
    "-dmin": "6",
    "-img": "donor.img",
    "-mask": "mask_plain.img",
    "-floatfile": "other.bin",
    "-intfile": "other.img",
    "-pgmfile": "other.pgm",
    "-noisefile": "other.img",
    "-scale": "2",
    "-adc": "10",
    "-pgmscale": "2",
    "-seed": "4",
    "-printout": "-detpixels 4",
    "-printout_pixel": "3 4",
    "-trace_pixel": "4 3",
    "-coherent": "",
    "-density": "1",
    "-MW": "1",
    "-molec": "1",
    "-stol": "small.hkl",
    "-stolout": "x.txt",
}
SPELLINGS = [flag.spellings[0] for flag in FLAGS]
NUMBER = re.compile(r"[-+]?\d+\.?\d*(e[-+]?\d+)?")


class Written(NamedTuple):
    """What a run leaves: name -> bytes of each file, the document of --json, the float image."""

    files: dict[str, int]
    document: dict[str, Any]
    image: np.ndarray


def _run(folder: Path, words: list[str]) -> Written:
    folder.mkdir()
    link_inputs(folder)
    (folder / "spectrum.txt").write_text("energy/eV,weight\n10320,1\n10350,2\n")
    (folder / "turns.txt").write_text("0 0 1 1\n0 -2 0 0.5\n1 1 1 0\n")
    (folder / "lengths.txt").write_text("1.19 1\n1.2 2\n1.21 0.5\n")
    given = set(folder.iterdir())
    with contextlib.chdir(folder):
        assert main([*words, "--json", "run.json"]) == 0
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path not in given}
    del sizes["run.json"]  # as long as its numbers have digits
    document = json.loads((folder / "run.json").read_text())
    return Written(sizes, document, np.fromfile(folder / document["files"]["float image"], "<f4"))


def _keys(value: object) -> object:
    """The keys of a document, and of what is in it."""
    if isinstance(value, dict):
        return {name: _keys(part) for name, part in value.items()}
    return None


def _document_keys(document: dict[str, Any]) -> object:
    """The same without what names the engine: its versions, and the C engine's kernel."""
    info = {name: value for name, value in document["info"].items() if "kernel" not in name}
    return _keys({**document, "provenance": {}, "info": info})


def _log_lines(text: str) -> list[str]:
    """The log without its numbers, the engine's name, the group "computed by", and the line that
    says whose the printed pixels are."""
    groups = [group for group in text.split("\n\n") if not group.startswith("computed by")]
    text = re.sub("backend (c|torch)$", "", "\n\n".join(groups), flags=re.MULTILINE)
    text = re.sub(r"^the backend c computes the lines .*\n", "", text, flags=re.MULTILINE)
    return NUMBER.sub("#", text).splitlines()


def _warnings(text: str) -> list[str]:
    """What stderr has besides the progress meter, which counts rows or tiles."""
    return [line for line in text.splitlines() if not line.endswith("%")]


def test_every_row_that_takes_words_has_some() -> None:
    takes = {flag.spellings[0] for flag in FLAGS if flag.words}
    assert takes <= set(VALUES) <= set(SPELLINGS)


@for_each("spelling", SPELLINGS)
def test_flag(spelling: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"{BASE} {spelling} {VALUES.get(spelling, '')}".split()
    folder = tmp_path / spelling
    folder.mkdir()
    c = _run(folder / "c", [*words, "--backend", "c"])
    c_printed = capsys.readouterr()
    other = _run(folder / "torch", [*words, "--backend", "torch"])
    other_printed = capsys.readouterr()

    assert c.image.any()
    steps = other.image.view(np.int32).astype(np.int64) - c.image.view(np.int32)
    assert np.abs(steps).max() <= 1
    assert other.files == c.files
    assert _document_keys(other.document) == _document_keys(c.document)
    assert _log_lines(other_printed.out) == _log_lines(c_printed.out)
    assert _warnings(other_printed.err) == _warnings(c_printed.err)


@pytest.mark.parametrize("number_type", ["float64", "float32"])
def test_log_says_where_and_how_torch_computed(
    number_type: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*BASE.split(), "--backend", "torch", "--device", "cpu", "--dtype", number_type]
    _run(tmp_path / "torch", words)
    (group,) = [
        group for group in capsys.readouterr().out.split("\n\n") if group.startswith("computed by")
    ]
    found = dict(
        line.split(maxsplit=1)
        for line in group.replace("number type", "type")
        .replace("steps visited", "visited")
        .splitlines()
    )
    assert found == {
        "computed": "by",
        "device": "cpu",
        "type": number_type,
        "kernel": "compiled",
        "visited": "all, because tolerance_photons is 0",
    }
