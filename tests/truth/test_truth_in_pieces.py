"""Files of the truth written some frames after the others: the bytes of all at once, and memory
that does not grow with the number of frames."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import nanobragg_hybrid as nb

pytest.importorskip("h5py", reason="h5py is not installed (extra: mx)")
msgpack = pytest.importorskip("msgpack", reason="msgpack is not installed (extra: mx)")

from nanobragg_hybrid.formats.geometry.dials_stills import write_stills  # noqa: E402
from nanobragg_hybrid.formats.truth_refl import ReflWriter, _bytes_header  # noqa: E402
from nanobragg_hybrid.run.experiment_files import content_of  # noqa: E402
from nanobragg_hybrid.run.truth_dials import TruthForDials  # noqa: E402

FACTORS = nb.StructureFactors.constant(100.0)
QUIRKS = nb.Quirks()
PLAIN = nb.Experiment(
    crystal=nb.Crystal(
        cell_angstrom=(40, 50, 60), n_cells=(5, 5, 5), misset_deg=(10, 20, 30), shape="gauss_hkl"
    ),
    detector=nb.Detector(
        distance_mm=60, pixel_size_mm=0.2, n_fast=80, n_slow=70, rotation_deg=(3, 5, 7)
    ),
    sampling=nb.Sampling(oversample=1),
)
TURNING = [
    PLAIN.replace({"goniometer": nb.Goniometer(phi_deg=3.0 + 0.2 * n, osc_deg=0.2, phi_steps=2)})
    for n in range(9)
]
STILLS = [PLAIN.replace({"crystal.misset_deg": (10.0 + n, 20.0, 30.0)}) for n in range(4)]
TABLES = {
    "scan": [nb.predict_reflections(each, FACTORS, frame=n) for n, each in enumerate(TURNING)],
    "stills": [nb.predict_reflections(each, FACTORS, frame=n) for n, each in enumerate(STILLS)],
}
FRAMES = {"scan": TURNING, "stills": STILLS}


@pytest.mark.parametrize("kind", ["scan", "stills"])
@pytest.mark.parametrize("step", [1, 2, 4])
def test_some_frames_after_the_others(kind: str, step: int, tmp_path: Path) -> None:
    tables, frames = TABLES[kind], FRAMES[kind]
    whole = nb.ReflectionTruth.joined(tables)
    nb.write_truth(tmp_path / "whole.refl", whole, experiments=frames)
    with TruthForDials(tmp_path / "parts.refl", turns=kind == "scan") as writer:
        for first in range(0, len(tables), step):
            some = slice(first, first + step)
            contents = [content_of(each, QUIRKS) for each in frames[some]]
            writer.add(nb.ReflectionTruth.joined(tables[some]), contents)
        assert not (tmp_path / "parts.refl").exists()
        writer.write()
    data = (tmp_path / "parts.refl").read_bytes()
    assert data == (tmp_path / "whole.refl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts.refl", "whole.refl"]
    name, version, table = msgpack.unpackb(data, strict_map_key=False)
    assert (name, version) == ("dials::af::reflection_table", 1)
    expected = whole.merged() if kind == "scan" else whole
    assert len(expected) == table["nrows"] > 50
    assert list(table["data"]) == sorted(table["data"])
    hkl = np.frombuffer(table["data"]["miller_index"][1][1], "<i4").reshape(-1, 3)
    assert np.array_equal(hkl, expected.hkl)
    assert np.array_equal(
        np.frombuffer(table["data"]["intensity.sum.value"][1][1]), expected.photons
    )
    assert ("partiality" in table["data"]) == (kind == "scan")
    assert msgpack.packb([name, version, table], use_bin_type=True) == data


def test_what_may_go_on() -> None:
    """Reflections that the last frame has, with all their frames, and none that have ended."""
    whole = nb.ReflectionTruth.joined(TABLES["scan"][:3])
    goes_on = whole.may_go_on()
    last = {tuple(hkl) for hkl in TABLES["scan"][2].hkl.tolist()}
    before = {tuple(hkl) for hkl in TABLES["scan"][1].hkl.tolist()}
    assert last & before
    assert before - last
    for hkl, start, found in zip(whole.hkl.tolist(), whole.frame_start, goes_on, strict=True):
        follows = start == 2 or (tuple(hkl) in last and (start == 1 or tuple(hkl) in before))
        assert found == follows
    ended, open_ = whole.where(~goes_on).merged(), whole.where(goes_on).merged()
    assert len(ended) + len(open_) == len(whole.merged())
    none = whole.where(np.zeros(len(whole), bool))
    assert none.may_go_on().shape == (0,)


def test_frames_that_do_not_follow(tmp_path: Path) -> None:
    tables = TABLES["scan"]
    content = [content_of(TURNING[0], QUIRKS)]
    with TruthForDials(tmp_path / "x.refl", turns=True) as writer:
        writer.add(tables[0], content)
        with pytest.raises(nb.ConfigError, match=r"truth\.frames"):
            writer.add(tables[2], content)
    other = dataclasses.replace(tables[0], shapes=((70, 81),))
    other_panels = pytest.raises(nb.ConfigError, match=r"panels of \(\(70, 80\),\)")
    with TruthForDials(tmp_path / "x.refl", turns=True) as writer, other_panels:
        writer.add(other, content)
    assert list(tmp_path.iterdir()) == []


def test_the_text_of_an_experiment_list(tmp_path: Path) -> None:
    for frames in (STILLS, TURNING, STILLS[:1], [STILLS[0]] * 3):
        nb.write_experiments(tmp_path / "x.expt", frames)
        text = (tmp_path / "x.expt").read_text()
        assert text == json.dumps(json.loads(text), indent=2) + "\n"
    data = json.loads(text)
    assert len(data["experiment"]) == 3
    assert len(data["crystal"]) == 1


def test_headers_of_bytes() -> None:
    for size in (0, 255, 256, 65535, 65536):
        packed = msgpack.packb(bytes(size), use_bin_type=True)
        assert packed == _bytes_header(size, "id") + bytes(size)
    assert _bytes_header(2**32 - 1, "id") == b"\xc6\xff\xff\xff\xff"
    with pytest.raises(nb.UnsupportedError, match="column id: got 4294967296 bytes"):
        _bytes_header(2**32, "id")


def peak_bytes(folder: Path, frames: int) -> tuple[int, int]:
    """The most memory that writing so many stills takes: experiments, reflections."""
    content, table = content_of(STILLS[0], QUIRKS), TABLES["stills"][0]
    row = content.crystal
    assert row is not None

    def contents() -> Iterator[tuple[object, str]]:
        for n in range(frames):
            (x, y, z), *others = row
            crystal = ((x + 1e-6 * n, y, z), *others)
            yield content._replace(crystal=crystal), f"truth-{n}"

    found = []
    tracemalloc.start()
    write_stills(folder / "x.expt", contents())  # type: ignore[arg-type]
    found.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.reset_peak()
    with TruthForDials(folder / "x.refl", turns=False) as writer:
        for n in range(frames):
            own = dataclasses.replace(
                table,
                frames=table.frames + n,
                frame_start=table.frame_start + n,
                frame_stop=table.frame_stop + n,
            )
            writer.add(own, [content])
        writer.write()
    found.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    return found[0], found[1]


def test_memory_does_not_grow_with_the_frames(tmp_path: Path) -> None:
    few, many = peak_bytes(tmp_path, 20), peak_bytes(tmp_path, 120)
    text, table = (tmp_path / name for name in ("x.expt", "x.refl"))
    assert text.stat().st_size > 60_000
    assert table.stat().st_size > 1_000_000
    assert many[0] - few[0] < 150_000  # buffers, a digest of each crystal
    assert many[1] - few[1] < 200_000


def test_a_column_of_no_rows(tmp_path: Path) -> None:
    with ReflWriter(tmp_path / "x.refl", {"id": "int", "d": "double"}) as writer:
        writer.add({"id": np.zeros(0), "d": np.zeros(0)})
        writer.write(["a"], 1, np.zeros(0, np.int64))
    table = msgpack.unpackb((tmp_path / "x.refl").read_bytes(), strict_map_key=False)[2]
    assert table == {
        "identifiers": {0: "a"},
        "nrows": 0,
        "data": {"d": ["double", [0, b""]], "id": ["int", [0, b""]]},
    }
