"""The truth beside the frames of a series, the same files whoever renders them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from series_scenes import STILL, TURNING, factors, hashes, light, per_file

import nanobragg_hybrid as nb

for _library in ("h5py", "hdf5plugin", "msgpack"):
    pytest.importorskip(_library, reason=f"{_library} is not installed (extra: mx)")

FACTORS = factors()
WEDGE = nb.Series.rotation(TURNING, 4, seed=2)
STILLS = nb.Series.stills(STILL, 3, seed=2, size_jitter=0.1)
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*oversample 1 is too low:nanobragg_hybrid.NanobraggWarning",
    "ignore:.*pixels are below -1:nanobragg_hybrid.NanobraggWarning",
)


@pytest.mark.parametrize("series", [WEDGE, STILLS], ids=["rotation", "stills"])
@pytest.mark.parametrize("name", ["x_#.cbf", "x.h5"])
def test_reflections_of_all_frames(tmp_path: Path, series: nb.Series, name: str) -> None:
    settings: dict[str, Any] = {"truth": True, "per_frame": [light], **per_file(name, 2)}
    done = nb.simulate_series(series, FACTORS, out=tmp_path / "a" / name, **settings)
    alone = [
        nb.predict_reflections(series.frame(n).experiment, FACTORS, frame=n)
        for n in range(len(series))
    ]
    expected, found = nb.ReflectionTruth.joined(alone), done.truth()
    assert len(found) == len(expected) > 20
    for column in ("hkl", "frame_start", "photons", "fast_px", "bounds"):
        assert np.array_equal(getattr(found, column), getattr(expected, column))
    assert [len(values) for _, values in done.data()] == [1] * len(series)
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert {"x_truth.h5", "x_truth.expt", "x_truth.refl"} <= names
    listed = dict(json.loads(done.summary.read_text())["files"])
    assert {"x_truth.h5", "x_truth.expt", "x_truth.refl"} <= listed.keys()
    assert listed.items() <= hashes(tmp_path / "a").items()
    crystals = json.loads((tmp_path / "a" / "x_truth.expt").read_text())["crystal"]
    assert len(crystals) == (1 if series is WEDGE else 3)

    with ThreadPoolExecutor(3) as pool:
        stop = {"progress": lambda whole, _: whole < 2}
        with pytest.raises(nb.RenderCancelled):
            nb.simulate_series(
                series, FACTORS, out=tmp_path / "b" / name, executor=pool, window=1,
                **settings, **stop,
            )  # fmt: skip
        nb.simulate_series(
            series, FACTORS, out=tmp_path / "b" / name, executor=pool, resume=True, **settings
        )
    assert hashes(tmp_path / "b") == hashes(tmp_path / "a")


def test_a_grid_has_no_files_for_dials(tmp_path: Path) -> None:
    series = nb.Series.grid(STILL, {"crystal.n_cells": [(5, 5, 5), (7, 7, 7)]})
    done = nb.simulate_series(series, FACTORS, out=tmp_path / "x_#.cbf", truth=True)
    assert sorted(path.name for path in tmp_path.glob("x_truth*")) == ["x_truth.h5"]
    assert done.truth().frames.tolist() == [0, 1]


def test_truth_that_is_not_there_says_why(tmp_path: Path) -> None:
    plain = nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "y_#.cbf")
    with pytest.raises(
        nb.ConfigError, match=r"with which simulate_series .*--truth.* writes y_truth\.h5"
    ):
        plain.truth()
    first, second = (
        nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "x_#.cbf", truth=True, shard=(n, 2))
        for n in (1, 2)
    )
    assert first.truth().frames.tolist() == second.truth().frames.tolist() == [0, 1, 2, 3]
    (tmp_path / "x_truth.h5").unlink()
    with pytest.raises(nb.FileAccessError, match="those of other shards are not"):
        first.truth()
    with pytest.raises(nb.FileAccessError, match="No such file"):
        second.truth()


@pytest.mark.parametrize("series", [WEDGE, STILLS], ids=["rotation", "stills"])
def test_two_shards_may_end_at_the_same_time(
    tmp_path: Path, series: nb.Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one gives the files of the truth their names, the other does all of that."""
    from nanobragg_hybrid.formats.series_files import put_in_place
    from nanobragg_hybrid.run.series import truth_of_series

    def part(n: int, **more: Any) -> nb.SeriesResult:
        out = tmp_path / "b" / "x_#.cbf"
        return nb.simulate_series(series, FACTORS, out=out, truth=True, shard=(n, 2), **more)

    others: list[nb.SeriesResult | None] = []

    def put(*arguments: Any) -> str:
        if not others:
            others.append(None)
            others[0] = part(1, resume=True)
        return put_in_place(*arguments)

    nb.simulate_series(series, FACTORS, out=tmp_path / "a" / "x_#.cbf", truth=True)
    part(1)
    monkeypatch.setattr(truth_of_series, "put_in_place", put)
    assert part(2).is_complete
    assert others[0] is not None
    assert others[0].is_complete
    assert hashes(tmp_path / "b") == hashes(tmp_path / "a")


def test_a_folder_under_a_name_of_the_truth_leaves_nothing_half_written(tmp_path: Path) -> None:
    def render(**more: Any) -> nb.SeriesResult:
        return nb.simulate_series(
            STILLS, FACTORS, out=tmp_path / "x_#.cbf", truth=True, resume=True, **more
        )

    render()
    whole = hashes(tmp_path)
    (tmp_path / "x_truth.expt").unlink()
    (tmp_path / "x_series.json").unlink()
    (tmp_path / "x_truth.expt").mkdir()
    with pytest.raises(nb.FileAccessError, match=r"x_truth\.expt: Is a directory"):
        render()
    assert set(whole) - set(hashes(tmp_path)) == {"x_truth.expt", "x_series.json"}
    assert hashes(tmp_path).items() <= whole.items()
    (tmp_path / "x_truth.expt").rmdir()
    render()
    assert hashes(tmp_path) == whole


def test_what_is_missing_for_truth_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nanobragg_hybrid.run.series import truth_of_series

    monkeypatch.setattr(
        truth_of_series, "find_spec", lambda name: None if name == "msgpack" else name
    )
    with pytest.raises(nb.UnsupportedError, match="truth needs msgpack"):
        nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "x_#.cbf", truth=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(nb.ConfigError) as error:
        nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "x_#.cbf", truth=1)  # type: ignore[arg-type]
    assert error.value.field == "truth"


@pytest.mark.parametrize("series", [WEDGE, STILLS], ids=["rotation", "stills"])
def test_truth_that_is_there_is_not_made_again(
    tmp_path: Path, series: nb.Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that dies while the tables are put together has the truth of each frame; and in how
    many pieces they are put together makes no difference."""
    from nanobragg_hybrid.formats.truth_hdf5 import TruthWriter
    from nanobragg_hybrid.run.series import truth_of_series, worker

    out = "x_#.cbf"
    nb.simulate_series(series, FACTORS, out=tmp_path / "a" / out, truth=True)
    with monkeypatch.context() as patch:

        def dies(writer: TruthWriter, truth: nb.ReflectionTruth) -> None:
            raise OSError("the disk is full")

        patch.setattr(TruthWriter, "add", dies)
        with pytest.raises(OSError, match="the disk is full"):
            nb.simulate_series(series, FACTORS, out=tmp_path / "b" / out, truth=True)
    assert {path.name for path in (tmp_path / "b").glob("x_truth*")} <= {"x_truth.expt"}
    monkeypatch.setattr(worker, "predict_reflections", None)
    monkeypatch.setattr(truth_of_series, "_BYTES_AT_A_TIME", 1)
    again = nb.simulate_series(series, FACTORS, out=tmp_path / "b" / out, truth=True, resume=True)
    assert (again.rendered, again.kept) == (0, len(series))
    assert hashes(tmp_path / "b") == hashes(tmp_path / "a")


def test_panels_of_several_shapes_are_refused_at_once(tmp_path: Path) -> None:
    """Also where no axis alone changes them."""
    detector = nb.Detector(distance_mm=120, pixel_size_mm=1.0, size_fast_mm=10.4, size_slow_mm=10.4)
    base = STILL.replace({"detector": detector})
    axes = {"detector.size_fast_mm": [10.0, 10.4], "detector.pixel_size_mm": [1.0, 1.06]}
    for path, values in axes.items():
        alone = nb.Series.grid(base, {path: values})
        done = nb.simulate_series(alone, FACTORS, out=tmp_path / path / "x_#.cbf", truth=True)
        assert done.truth().shapes == ((10, 10),)
    series = nb.Series.grid(base, {"crystal.n_cells": [(5, 5, 5)], **axes})
    with pytest.raises(nb.ConfigError) as error:
        nb.simulate_series(series, FACTORS, out=tmp_path / "x" / "x_#.cbf", truth=True)
    assert error.value.field == "truth"
    assert (
        "10 x 10 px with detector.size_fast_mm 10.0, detector.pixel_size_mm 1.0 and "
        "9 x 10 px with detector.size_fast_mm 10.0, detector.pixel_size_mm 1.06"
    ) in str(error.value)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["x_truth.h5", "x_truth.expt", "x_truth.refl", "x_series.json"])
@pytest.mark.parametrize("content", [b"mine", None])
def test_a_file_of_the_truth_that_is_another_is_left_alone(
    tmp_path: Path, name: str, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the summary knows it: before anything is rendered; where nothing does: when the files
    are whole.  One that is missing is made again."""
    from nanobragg_hybrid.run.series import worker

    call: dict[str, Any] = {"out": tmp_path / "x_#.cbf", "truth": True, "resume": True}
    nb.simulate_series(STILLS, FACTORS, **call)
    before = hashes(tmp_path)
    if content is None:  # damaged
        whole = (tmp_path / name).read_bytes()
        content = whole[:50] + bytes([whole[50] ^ 1]) + whole[51:]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "x_2.cbf").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(worker, "render_frame", None)
        with pytest.raises(nb.FileAccessError, match="move it away, and resume") as error:
            nb.simulate_series(STILLS, FACTORS, **call)
    assert Path(error.value.path).name == name
    assert (tmp_path / name).read_bytes() == content
    if name != "x_series.json":
        (tmp_path / "x_series.json").unlink()
        with pytest.raises(nb.FileAccessError, match="move it away, and resume") as error:
            nb.simulate_series(STILLS, FACTORS, **call)
        assert Path(error.value.path).name == name
        assert (tmp_path / name).read_bytes() == content
    (tmp_path / name).unlink()
    nb.simulate_series(STILLS, FACTORS, **call)
    assert hashes(tmp_path) == before


def test_a_whole_truth_without_a_summary_is_taken(tmp_path: Path) -> None:
    """As of a run that died between them."""
    call: dict[str, Any] = {"out": tmp_path / "x_#.cbf", "truth": True, "resume": True}
    nb.simulate_series(WEDGE, FACTORS, **call)
    before = hashes(tmp_path)
    (tmp_path / "x_series.json").unlink()
    (tmp_path / "x_truth.refl").unlink()
    again = nb.simulate_series(WEDGE, FACTORS, **call)
    assert (again.rendered, again.warnings) == (0, ())
    assert hashes(tmp_path) == before


def test_a_truth_that_the_summary_knows_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever bytes another version of a library would write."""
    from nanobragg_hybrid.run.series import truth_of_series

    call: dict[str, Any] = {"out": tmp_path / "x.h5", "truth": True, "resume": True}
    nb.simulate_series(STILLS, FACTORS, **call)
    before = hashes(tmp_path)
    assert before.keys() >= {"x.h5", "x_truth.h5"}
    listed = dict(json.loads((tmp_path / "x_series.json").read_text())["files"])
    assert listed["x.h5"] == before["x.h5"]
    monkeypatch.setattr(truth_of_series, "TruthWriter", None)
    nb.simulate_series(STILLS, FACTORS, **call)
    assert hashes(tmp_path) == before
