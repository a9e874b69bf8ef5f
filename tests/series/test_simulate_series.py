"""Files of a series: those of each frame alone, whoever renders them, also after a stop."""

from __future__ import annotations

import json
import tracemalloc
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from series_scenes import STILL, TURNING, factors, hashes, light, per_file

import nanobragg_hybrid as nb
from nanobragg_hybrid.run.series.settings import first_difference
from nanobragg_hybrid.run.series.worker import Done

FACTORS = factors()
WEDGE = nb.Series.rotation(TURNING, 7, seed=2)
STILLS = nb.Series.stills(STILL, 5, seed=2, flux_jitter=0.3, size_jitter=0.1)
# Pixels of 3 mm, of which a spot is a part.
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*oversample 1 is too low:nanobragg_hybrid.NanobraggWarning",
    "ignore:.*pixels are below -1:nanobragg_hybrid.NanobraggWarning",
    "ignore:.*DIALS reads the beam centre:nanobragg_hybrid.NanobraggWarning",
)
MADE_AGAIN = pytest.mark.filterwarnings(
    "ignore:.*was not what had been written there:nanobragg_hybrid.NanobraggWarning"
)


@pytest.mark.parametrize(
    ("name", "format_"),
    [("x_###.cbf", None), ("x_###.img", "smv-adsc"), ("x_###.img", None), ("x_###.tif", None),
     ("x_#.h5", None)],
)  # fmt: skip
def test_each_file_is_the_one_of_its_frame_alone(tmp_path: Path, name: str, format_: Any) -> None:
    done = nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "s" / name, format=format_)
    assert (done.rendered, done.kept, done.is_complete) == (7, 0, True)
    images = list(done.images())
    assert len(images) == 7
    for number in (0, 4):
        alone = nb.simulate(WEDGE.frame(number).experiment, FACTORS, frame=number)
        alone.save(tmp_path / images[number].name, format=format_)
        assert images[number].read_bytes() == (tmp_path / images[number].name).read_bytes()


def test_an_experiment_with_an_oscillation_is_a_wedge(tmp_path: Path) -> None:
    nb.simulate_series(TURNING, FACTORS, frames=3, out=tmp_path / "a" / "x_#.cbf")
    nb.simulate_series(nb.Series.rotation(TURNING, 3), FACTORS, out=tmp_path / "b" / "x_#.cbf")
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


@pytest.mark.parametrize("pixels", ["counts", "photons", "noise"])
def test_one_nxmx_file_has_the_images_of_all_frames(tmp_path: Path, pixels: Any) -> None:
    pytest.importorskip("h5py", reason="NXmx is written with h5py")
    done = nb.simulate_series(
        WEDGE, FACTORS, out=tmp_path / "x.h5", images_per_file=3, pixels=pixels
    )
    assert [path.name for path in done.images()] == ["x.h5"]
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == [
        "x.h5", "x_data_000001.h5", "x_data_000002.h5", "x_data_000003.h5",
    ]  # fmt: skip
    assert not (tmp_path / "x_parts").exists()
    for number in (0, 3, 6):
        alone = nb.simulate(WEDGE.frame(number).experiment, FACTORS, frame=number)
        read = nb.read_image(tmp_path / "x.h5", frame=number).panels[0]
        assert alone.counts is not None
        expected = {
            "counts": alone.counts.astype(np.int32) - 40,
            "photons": alone.image,
            "noise": nb.noise_image(alone).pixels.astype(np.int32) - 40,
        }[pixels]
        assert np.array_equal(read, expected)
    geometry = nb.read_experiment(tmp_path / "x.h5", image=1)
    assert geometry.goniometer.phi_deg == pytest.approx(10.0)
    assert geometry.goniometer.osc_deg == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["x_#.cbf", "x.h5"])
def test_threads_of_any_number_write_the_same_files(tmp_path: Path, name: str) -> None:
    settings: dict[str, Any] = {"per_frame": [light], **per_file(name, 3)}
    nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "0" / name, **settings)
    for count in (1, 2, 7):
        with ThreadPoolExecutor(count) as pool:
            nb.simulate_series(
                WEDGE, FACTORS, out=tmp_path / str(count) / name, executor=pool, **settings
            )
        assert hashes(tmp_path / str(count)) == hashes(tmp_path / "0")
    assert not list(tmp_path.rglob("*.pickle"))


@pytest.mark.parametrize("name", ["x_#.cbf", "x.h5"])
def test_shards_in_any_order_write_the_same_files(tmp_path: Path, name: str) -> None:
    nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "whole" / name, **per_file(name, 2))
    complete, rendered = [], 0
    for number in (3, 1, 2):
        done = nb.simulate_series(
            WEDGE, FACTORS, out=tmp_path / "s" / name, **per_file(name, 2), shard=(number, 3)
        )
        complete.append(done.is_complete)
        rendered += done.rendered
    assert complete == [False, False, True]
    assert rendered == 7
    assert hashes(tmp_path / "s") == hashes(tmp_path / "whole")
    again = nb.simulate_series(
        WEDGE, FACTORS, out=tmp_path / "s" / name, **per_file(name, 2), resume=True
    )
    assert (again.kept, again.rendered, again.is_complete) == (7, 0, True)


@pytest.mark.parametrize("resume", [False, True])
def test_a_shard_of_another_series_or_number_renders_nothing(tmp_path: Path, resume: bool) -> None:
    settings: dict[str, Any] = {"out": tmp_path / "x_#.cbf", "resume": resume}
    nb.simulate_series(WEDGE, FACTORS, shard=(1, 3), **settings)
    before = sorted(tmp_path.iterdir())
    other = nb.Series.rotation(TURNING, 7, seed=3)
    with pytest.raises(nb.ConfigError) as error:
        nb.simulate_series(other, FACTORS, shard=(2, 3), **settings)
    assert error.value.field == "resume: recipe.seed"
    with pytest.raises(nb.ConfigError, match="x_manifest-1of3") as error:
        nb.simulate_series(WEDGE, FACTORS, shard=(2, 4), **settings)
    assert error.value.field == "shard"
    assert sorted(tmp_path.iterdir()) == before
    assert nb.simulate_series(WEDGE, FACTORS, shard=(2, 3), **settings).rendered == 2


def _break_nothing(folder: Path) -> int:
    return 0


def _remove(folder: Path) -> int:
    (folder / "x_2.cbf").unlink()
    return 1


def _change(folder: Path) -> int:
    path = folder / "x_5.cbf"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    return 1


def _cut(folder: Path) -> int:
    path = folder / "x_7.cbf"
    path.write_bytes(path.read_bytes()[:1000])
    (folder / "x_1.cbf").write_bytes(b"")
    return 2


def _break_data(folder: Path) -> int:
    (folder / "x_parts" / "0000003.data").write_bytes(b"")
    return 1


def _tear(folder: Path) -> int:
    path = folder / "x_manifest.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    return 1


@MADE_AGAIN
@for_each("break_", [_break_nothing, _remove, _change, _cut, _break_data, _tear])
def test_what_is_missing_or_broken_is_rendered_again(
    tmp_path_factory: pytest.TempPathFactory, break_: Any
) -> None:
    folder = tmp_path_factory.mktemp("series")
    settings: dict[str, Any] = {"out": folder / "x_#.cbf", "per_frame": [light]}
    done = nb.simulate_series(WEDGE, FACTORS, **settings)
    before, data = hashes(folder), list(done.data())
    lost = break_(folder)
    again = nb.simulate_series(WEDGE, FACTORS, resume=True, **settings)
    assert (again.kept, again.rendered, again.is_complete) == (7 - lost, lost, True)
    assert hashes(folder) == before
    assert list(again.data()) == data


@for_each(
    "out, name, options",
    [
        ("x_#.cbf", "x_1.cbf", {}),
        ("x_#.cbf", "x_7.cbf", {}),
        ("x_#.cbf", "x_7.cbf", {"shard": (1, 2)}),
        ("x_#.cbf", "x_series.json", {}),
        ("x_#.cbf", "x_truth.refl", {"truth": True}),
        ("x_#.cbf", "x_parts/0000003.data", {"per_frame": [light]}),
        ("note.h5", "note.h5", {}),
        ("note.h5", "note_data_000001.h5", {}),
    ],
)
def test_a_file_that_is_of_no_series_is_not_overwritten(
    tmp_path_factory: pytest.TempPathFactory, out: str, name: str, options: Any
) -> None:
    folder = tmp_path_factory.mktemp("series")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    before = sorted(folder.rglob("*"))
    for resume in (False, True):
        with pytest.raises(nb.ConfigError, match="nothing is overwritten") as error:
            nb.simulate_series(WEDGE, FACTORS, out=folder / out, resume=resume, **options)
        assert error.value.field == "out"
        assert Path(name).name in str(error.value)
    assert (folder / name).read_text() == "mine"
    assert sorted(folder.rglob("*")) == before


def test_files_of_other_names_and_shards_do_no_harm(tmp_path: Path) -> None:
    for name in ("x_8.cbf", "x_2.cbf", "x_truth.h5", "y_series.json"):
        (tmp_path / name).write_text("mine")
    done = nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "x_#.cbf", shard=(1, 2), resume=True)
    assert (done.rendered, done.is_complete) == (4, False)
    assert (tmp_path / "x_2.cbf").read_text() == "mine"
    with pytest.raises(nb.ConfigError, match=r"x_2\.cbf is") as error:
        nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "x_#.cbf", shard=(2, 2))
    assert error.value.field == "out"


@for_each("first", [b"\n", b"", b"junk\n", b'{"format": "x"}\n', b'{"form'])
def test_a_manifest_without_its_first_line_is_no_new_start(
    tmp_path_factory: pytest.TempPathFactory, first: bytes
) -> None:
    folder = tmp_path_factory.mktemp("series")
    nb.simulate_series(WEDGE, FACTORS, out=folder / "x_#.cbf")
    manifest = folder / "x_manifest.jsonl"
    _, _, lines = manifest.read_bytes().partition(b"\n")
    manifest.write_bytes(first + lines if first.endswith(b"\n") else first)
    (folder / "x_2.cbf").write_text("mine")
    before = hashes(folder)
    with pytest.raises((nb.FileFormatError, nb.ConfigError)) as error:
        nb.simulate_series(WEDGE, FACTORS, out=folder / "x_#.cbf", resume=True)
    assert isinstance(error.value, nb.FileFormatError) == first.endswith(b"\n")
    assert hashes(folder) == before


def test_a_run_that_was_killed_before_its_first_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "x_manifest.jsonl").write_bytes(b'{"format": "nanob')
    done = nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "x_#.cbf", resume=True)
    assert (done.kept, done.rendered, done.is_complete) == (0, 7, True)


@MADE_AGAIN
@pytest.mark.parametrize("broken", ["x_data_000002.h5", "x_parts/0000004.data"])
def test_a_broken_file_of_data_is_made_again(tmp_path: Path, broken: str) -> None:
    settings: dict[str, Any] = {
        "out": tmp_path / "x.h5", "per_frame": [light], "images_per_file": 3,
    }  # fmt: skip
    nb.simulate_series(WEDGE, FACTORS, **settings)
    before = hashes(tmp_path)
    (tmp_path / broken).write_bytes(b"\x89HDF")
    again = nb.simulate_series(WEDGE, FACTORS, resume=True, **settings)
    assert (again.kept, again.rendered) == (4, 3)
    assert hashes(tmp_path) == before


@for_each("out, name", [("x_#.cbf", "x_3.cbf"), ("x.h5", "x_data_000002.h5"), ("x.h5", "x.h5")])
def test_a_file_that_no_manifest_lists_is_not_overwritten_on_resume(
    tmp_path_factory: pytest.TempPathFactory, out: str, name: str
) -> None:
    """The whole file of a run that died before it said so is taken."""
    folder = tmp_path_factory.mktemp("series")
    call: dict[str, Any] = {"out": folder / out, "resume": True, **per_file(out, 3)}
    nb.simulate_series(WEDGE, FACTORS, **call)
    before = hashes(folder)
    manifest = folder / "x_manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    number = '"frame":2,' if "_3" in name else '"data_file":1,'
    manifest.write_text("".join(line for line in lines if number not in line))
    (folder / "x_series.json").unlink()
    nb.simulate_series(WEDGE, FACTORS, **call)
    assert hashes(folder) == before

    manifest.write_text("".join(line for line in lines if number not in line))
    (folder / "x_series.json").unlink()
    (folder / name).write_text("mine")
    with pytest.raises(
        (nb.SeriesError, nb.FileAccessError), match="nothing is overwritten"
    ) as error:
        nb.simulate_series(WEDGE, FACTORS, **call)
    assert name in str(error.value)
    assert (folder / name).read_text() == "mine"
    (folder / name).unlink()
    nb.simulate_series(WEDGE, FACTORS, **call)
    assert hashes(folder) == before


@for_each("out, name", [("x_#.cbf", "x_3.cbf"), ("x.h5", "x_data_000001.h5")])
def test_a_file_that_is_made_again_is_told_of(
    tmp_path_factory: pytest.TempPathFactory, out: str, name: str
) -> None:
    folder = tmp_path_factory.mktemp("series")
    call: dict[str, Any] = {"out": folder / out, "resume": True, **per_file(out, 3)}
    nb.simulate_series(WEDGE, FACTORS, **call)
    before = hashes(folder)
    told = f"{name} was not what had been written there"
    (folder / name).unlink()
    again = nb.simulate_series(WEDGE, FACTORS, **call)
    assert not any(told in text for text in again.warnings)
    (folder / name).write_bytes(b"damaged")
    with pytest.warns(nb.NanobraggWarning, match=told):
        again = nb.simulate_series(WEDGE, FACTORS, **call)
    assert sum(told in text for text in again.warnings) == 1
    assert hashes(folder) == before


def test_a_series_that_was_stopped_goes_on(tmp_path: Path) -> None:
    nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "whole" / "x.h5", images_per_file=3)
    seen = []

    def stop(done: int, total: int) -> bool:
        seen.append((done, total))
        return done < 4

    settings: dict[str, Any] = {"out": tmp_path / "s" / "x.h5", "images_per_file": 3}
    with pytest.raises(nb.RenderCancelled):
        nb.simulate_series(WEDGE, FACTORS, progress=stop, **settings)
    assert seen == [(1, 7), (2, 7), (3, 7), (4, 7)]
    seen.clear()
    done = nb.simulate_series(
        WEDGE, FACTORS, resume=True, progress=lambda *n: seen.append(n), **settings
    )
    assert (done.kept, done.rendered) == (4, 3)
    assert seen == [(5, 7), (6, 7), (7, 7)]
    assert hashes(tmp_path / "s") == hashes(tmp_path / "whole")


def test_functions_of_a_frame(tmp_path: Path) -> None:
    done = nb.simulate_series(STILLS, FACTORS, out=tmp_path / "x_#.tif", per_frame=[light, light])
    found = list(done.data())
    assert [number for number, _ in found] == [0, 1, 2, 3, 4]
    result = nb.simulate(STILLS.frame(3).experiment, FACTORS, frame=3)
    assert found[3][1] == (light(3, result.experiment, result),) * 2
    assert list(nb.simulate_series(STILLS, FACTORS, out=tmp_path / "y_#.tif").data()) == []


def test_the_summary_says_everything(tmp_path: Path) -> None:
    done = nb.simulate_series(
        STILLS, FACTORS, out=tmp_path / "x_#.cbf", quirks=nb.Quirks.parse("none")
    )
    data = json.loads(done.summary.read_text())
    identity = data["identity"]
    assert identity["version"] == nb.__version__
    assert identity["quirks"] == "none"
    assert identity["format"] == "cbf"
    assert nb.Series.from_dict(identity["recipe"]) == STILLS
    found = hashes(tmp_path)
    assert data["files"] == [[f"x_{n}.cbf", found[f"x_{n}.cbf"]] for n in range(1, 6)]


@for_each(
    "changes, field",
    [
        ({"images_per_file": 4}, "resume: images_per_file"),
        ({"sensor_material": "CdTe"}, "resume: sensor_material"),
        ({"quirks": nb.Quirks.parse("none")}, "resume: quirks"),
        ({"backend": nb.CEngine(kernel="exact")}, "resume: backend"),
        ({"pixels": "photons"}, "resume: pixels"),
        ({"per_frame": [light]}, "resume: per_frame"),
        ({"series": nb.Series.rotation(TURNING, 8, seed=2)}, "resume: recipe.frames"),
        ({"series": nb.Series.rotation(TURNING, 7, seed=3)}, "resume: recipe.seed"),
        (
            {
                "series": nb.Series.rotation(
                    TURNING.replace({"crystal.n_cells": (6, 6, 7)}), 7, seed=2
                )
            },
            "resume: recipe.experiment.crystal.n_cells[2]",
        ),
        (
            {"structure_factors": nb.StructureFactors.constant(1.0)},
            "resume: structure_factors",
        ),
    ],
)
def test_another_series_under_the_name_is_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: Any, field: str
) -> None:
    folder = tmp_path_factory.mktemp("series")
    given: dict[str, Any] = {
        "series": WEDGE, "structure_factors": FACTORS, "out": folder / "x.h5",
        "images_per_file": 3,
    }  # fmt: skip
    nb.simulate_series(**given)
    before = hashes(folder)
    with pytest.raises(nb.ConfigError) as error:
        nb.simulate_series(**{**given, **changes}, resume=True)
    assert error.value.field == field
    with pytest.raises(nb.ConfigError) as error:
        nb.simulate_series(**given)
    assert error.value.field == "resume"
    assert hashes(folder) == before


@for_each(
    "changes, field",
    [
        ({"series": STILL, "frames": 3}, "goniometer.osc_deg"),
        ({"series": TURNING}, "frames"),
        ({"series": TURNING, "frames": 0}, "frames"),
        ({"frames": 3}, "frames"),
        ({"series": 3}, "series"),
        ({"structure_factors": 3}, "structure_factors"),
        ({"executor": 3}, "executor"),
        ({"out": "x.cbf"}, "out"),
        ({"out": "x.h5", "images_per_file": 0}, "images_per_file"),
        ({"images_per_file": 100}, "images_per_file"),
        ({"window": 0}, "window"),
        ({"threads": 0}, "threads"),
        ({"resume": 1}, "resume"),
        ({"progress": 3}, "progress"),
        ({"per_frame": light}, "per_frame"),
        ({"per_frame": [3]}, "per_frame"),
        ({"per_frame": [light, lambda *_: 1]}, "per_frame[1]"),
        (
            {
                "series": nb.Series.grid(TURNING, {"detector.n_fast": [40, 41]}),
                "truth": True,
            },
            "truth",
        ),
        ({"shard": (0, 3)}, "shard"),
        ({"shard": (4, 3)}, "shard"),
        ({"shard": [1, 3]}, "shard"),
        ({"pixels": "photons"}, "pixels"),
        ({"pixels": "all"}, "pixels"),
        ({"out": "x.h5", "pixels": "integers"}, "pixels"),
        ({"series": nb.Series.rotation(TURNING.replace({"response": None}), 2)}, "pixels"),
        (
            {
                "series": nb.Series.rotation(TURNING.replace({"response": None}), 2),
                "pixels": "counts",
            },
            "pixels",
        ),
        ({"sensor_material": "C"}, "sensor_material"),
        (
            {
                "out": "x.h5",
                "series": nb.Series.grid(TURNING, {"detector.distance_mm": [100.0, 120.0]}),
            },
            "out",
        ),
    ],
)
def test_what_is_refused_before_anything_is_rendered(
    tmp_path_factory: pytest.TempPathFactory, changes: Any, field: str
) -> None:
    folder = tmp_path_factory.mktemp("series")
    given = {"series": WEDGE, "structure_factors": FACTORS, "out": "x_#.cbf", **changes}
    given["out"] = folder / given["out"]
    with pytest.raises(nb.ConfigError) as error:
        nb.simulate_series(**given)
    assert error.value.field == field
    assert list(folder.iterdir()) == []


def test_a_geometry_that_a_format_cannot_say_is_refused_at_once(tmp_path: Path) -> None:
    tilted = TURNING.replace({"detector.twotheta_deg": 10.0})
    with pytest.raises(nb.UnsupportedError):
        nb.simulate_series(
            nb.Series.rotation(tilted, 2), FACTORS, out=tmp_path / "x_#.img", format="smv-adsc"
        )
    assert list(tmp_path.iterdir()) == []


def test_a_frame_that_fails_is_named_and_the_others_kept(tmp_path: Path) -> None:
    series = nb.Series.grid(
        STILL, {"response.pedestal": [0.0, 100.0], "response.saturation": [50.0, 1000.0]}
    )
    with pytest.raises(nb.SeriesError, match=r"frame 2: ConfigError: response.saturation") as error:
        nb.simulate_series(series, FACTORS, out=tmp_path / "x_#.cbf")
    assert (error.value.lost, error.value.waiting, error.value.whole) == ((2,), 1, 2)
    assert isinstance(error.value.__cause__, nb.ConfigError)
    assert sorted(path.name for path in tmp_path.glob("*.cbf")) == ["x_1.cbf", "x_2.cbf"]


class _Gone(Executor):
    """Takes a task or two and is shut down then."""

    def __init__(self) -> None:
        self.taken = 0

    def submit(self, function: Any, /, *arguments: Any, **_: Any) -> Future[Any]:
        self.taken += 1
        if self.taken > 2:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


def test_an_executor_that_takes_no_more_tasks(tmp_path: Path) -> None:
    with pytest.raises(nb.SeriesError, match="cannot schedule") as error:
        nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "x_#.cbf", executor=_Gone())
    assert (error.value.lost, error.value.waiting, error.value.whole) == ((2,), 4, 2)
    again = nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "x_#.cbf", resume=True)
    assert (again.kept, again.rendered) == (2, 5)


class _Pretends(Executor):
    """Says that every frame is whole; some have something to warn of."""

    def submit(self, _: Any, /, *arguments: Any, **__: Any) -> Future[Any]:
        number = arguments[2]
        notes = () if number % 10 else (f"pixel {number} is odd",)
        future: Future[Any] = Future()
        future.set_result(Done(number, f"{number:064x}", None, notes))
        return future


def test_a_long_series_takes_little_memory(tmp_path: Path) -> None:
    """1 kB a frame: the master keeps a hash of each, never all tasks at a time."""
    frames = 20_000
    tracemalloc.start()
    try:
        with pytest.warns(nb.NanobraggWarning, match="image 1 and 1999 more: pixel 0 is odd"):
            done = nb.simulate_series(
                nb.Series.stills(STILL, frames),
                FACTORS,
                out=tmp_path / "x_######.tif",
                executor=_Pretends(),
            )
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (done.rendered, done.is_complete) == (frames, True)
    assert most < 20e6


@pytest.mark.parametrize("name", ["x_#.cbf", "x.h5"])
def test_tasks_are_given_ahead_in_a_window(tmp_path: Path, name: str) -> None:
    """Three of them end at the same time, which may be all of one file of data."""

    class Late(Executor):
        """Renders when the window is full."""

        def __init__(self) -> None:
            self.waiting: list[tuple[Future[Any], Any, Any]] = []
            self.most = self.files = 0

        def submit(self, function: Any, /, *arguments: Any, **_: Any) -> Future[Any]:
            future: Future[Any] = Future()
            self.waiting.append((future, function, arguments))
            self.most = max(self.most, len(self.waiting))
            is_file = len(arguments) == 4
            self.files += is_file
            if len(self.waiting) == 3 or is_file or arguments[2] == 6:
                for future_, function_, arguments_ in reversed(self.waiting):
                    future_.set_result(function_(*arguments_))
                self.waiting.clear()
            return future

    settings: dict[str, Any] = per_file(name, 3)
    nb.simulate_series(WEDGE, FACTORS, out=tmp_path / "a" / name, **settings)
    late = Late()
    nb.simulate_series(
        WEDGE, FACTORS, out=tmp_path / "b" / name, executor=late, window=3, **settings
    )
    assert late.most == 3
    assert late.files == (3 if name == "x.h5" else 0)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


@for_each(
    "mine, other, expected",
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {"a": 2}, ("a", 1, 2)),
        ({"a": 1}, {"a": 1.0}, ("a", 1, 1.0)),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ("a.b[1]", 2, 3)),
        ({"a": [1]}, {"a": [1, 2]}, ("a", [1], [1, 2])),
        ({"a": None}, {}, ("a", None, None)),
        ({}, {"b": 3}, ("b", None, 3)),
    ],
)
def test_first_difference(mine: Any, other: Any, expected: Any) -> None:
    assert first_difference(mine, other) == expected


LIT = nb.Background(scatterers=(nb.water_scatterer(1e-12),), flat_photons_per_pixel=3.0)
SPREAD = nb.Response(point_spread=nb.PointSpread(gaussian_fwhm_um=3000.0), seed=3)
HALVES = tuple(
    nb.Panel(name, (120.0, 45.0, z), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0), 20, 32, 3.0)
    for name, z in (("left", -60.0), ("right", 2.0))
)


@for_each(
    "changes, options",
    [
        ({"background": LIT}, {}),
        ({"background": LIT}, {"flux_jitter": 0.3, "size_jitter": 0.2}),
        ({"background": LIT, "response": SPREAD, "sampling.roi": (5, 20, 5, 20)}, {}),
        ({"background": LIT, "detector": nb.Detector(panels=HALVES)}, {}),
    ],
)
def test_a_background_that_is_kept_is_each_frames_own(
    tmp_path_factory: pytest.TempPathFactory, changes: Any, options: Any
) -> None:
    folder = tmp_path_factory.mktemp("series")
    series = nb.Series.rotation(TURNING.replace(changes), 3, **options)
    done = nb.simulate_series(series, FACTORS, out=folder / "x_#.tif")
    for number, path in enumerate(done.images()):
        alone = nb.simulate(series.frame(number).experiment, FACTORS, frame=number)
        alone.save(folder / "alone.tif")
        assert path.read_bytes() == (folder / "alone.tif").read_bytes()


def test_a_background_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nanobragg_hybrid.engines.c.plan import Plan

    calls = []
    real = Plan.photons_beside_spots

    def counted(plan: Plan, threads: int) -> Any:
        found = real(plan, threads)
        calls.append(found[0] is not None)
        return found

    monkeypatch.setattr(Plan, "photons_beside_spots", counted)
    series = nb.Series.rotation(TURNING.replace({"background": LIT}), 5)
    nb.simulate_series(series, FACTORS, out=tmp_path / "x_#.tif")
    assert calls == [True, False, False, False, False]
    calls.clear()
    jittered = nb.Series.rotation(TURNING.replace({"background": LIT}), 2, flux_jitter=0.1)
    nb.simulate_series(jittered, FACTORS, out=tmp_path / "y_#.tif")
    assert calls == [True, True]
