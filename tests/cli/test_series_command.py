"""The command `nanobragg-hybrid series`: words, files, brightness, progress."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from for_each import for_each

import nanobragg_hybrid as nb
from nanobragg_hybrid.cli.series.arguments import sbatch_line
from nanobragg_hybrid.cli.series.progress import SeriesMeter, duration
from nanobragg_hybrid.cli.umbrella.main import main
from nanobragg_hybrid.run.series.brightness import (
    brightest,
    frames_to_look_at,
    spot_of_brightest_pixel,
    with_crystal_of,
)

WORDS = (
    "-cell 79 79 38 90 90 90 -default_F 100 -N 6 -misset 12 34 56 -mosaic 0.15 -mosaic_domains 2 "
    "-oversample 1 -lambda 1 -distance 120 -detpixels 40 -pixel 3"
).split()
TURNING = [*WORDS, "-phisteps", "2", "-osc", "0.5"]
OWN = ["--progress-every", "0", "--workers", "1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def series(*own: str, words: list[str]) -> int:
    return main(["series", *OWN, *own, "--", *words])


def summary(path: str = "x_series.json") -> nb.Series:
    """The recipe that was rendered."""
    return nb.Series.from_dict(json.loads(Path(path).read_text())["identity"]["recipe"])


def test_a_rotation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert series("--frames", "3", "--out", "x_#.cbf", words=[*TURNING, "-phi", "10"]) == 0
    said = capsys.readouterr()
    assert "backend c, this process" in said.out
    assert "3 frames rendered, 0 were there\nthe series of 3 frames is complete" in said.out
    assert re.search(
        r"brightest spot: \S+ photons, \S+ in its brightest pixel, in image 2", said.out
    )
    assert "warning: image 1 and 2 more: oversample 1 is too low" in said.err
    recipe = summary()
    assert recipe.kind == nb.RotationWedge(start_deg=10.0, osc_deg=0.5)
    image = nb.read_image("x_3.cbf")
    experiment = recipe.frame(2).experiment
    expected = nb.noise_image(nb.simulate(experiment, nb.StructureFactors.constant(100.0))).pixels
    assert np.array_equal(image.panels[0], expected.astype(np.int32) - 40)


def test_other_words_say_the_rotation(folder: Path) -> None:
    own = ["--frames", "2", "--out", "x_#.cbf", "--osc", "1", "--start", "-5", "--seed", "9"]
    assert series(*own, words=[*TURNING, "-seed", "4"]) == 0
    assert summary().kind == nb.RotationWedge(start_deg=-5.0, osc_deg=1.0)
    assert summary().seed == 9
    assert series("--frames", "1", "--out", "y_#.cbf", words=[*TURNING, "-seed", "4"]) == 0
    assert summary("y_series.json").seed == 4


def test_stills_with_all_that_is_drawn(folder: Path) -> None:
    own = "--stills --frames 2 --out x.h5 --flux-jitter 0.2 --size-jitter 0.1 --sase 20 5".split()
    assert series(*own, "--sase-nodes", "3", words=WORDS) == 0
    pulses = nb.SasePulses(fwhm_ev=20.0, pulse_fwhm_fs=5.0, nodes=3)
    found = summary()
    assert found.kind == nb.RandomStills()
    assert (found.spectrum, found.flux_jitter, found.size_jitter) == (pulses, 0.2, 0.1)


def test_a_grid(folder: Path) -> None:
    own = ["--grid", "crystal.n_cells", "[[3,3,3],[5,5,5]]", "--grid", "beam.exposure_s", "[1,2]"]
    assert series(*own, "--out", "x_#.img", "--format", "smv-adsc", words=WORDS) == 0
    assert [path.name for path in sorted(folder.glob("*.img"))] == [
        f"x_{n}.img" for n in (1, 2, 3, 4)
    ]
    assert summary().frame(2).experiment.crystal.n_cells == (5, 5, 5)


def test_a_response_makes_counts(folder: Path) -> None:
    nb.Experiment(response=nb.Response(pedestal=100)).save("all.json")
    data = json.loads(Path("all.json").read_text())
    Path("light.json").write_text(json.dumps({"response": data["response"]}))
    words = [*TURNING, "--response", "light.json"]
    assert series("--frames", "1", "--out", "x_#.cbf", words=words) == 0
    recipe = summary()
    alone = nb.simulate(recipe.frame(0).experiment, nb.StructureFactors.constant(100.0))
    assert alone.counts is not None
    assert np.array_equal(nb.read_image("x_1.cbf").panels[0], alone.counts - 100)


def test_resume(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--frames", "3", "--out", "x_#.cbf"]
    assert series(*own, words=TURNING) == 0
    assert series(*own, words=TURNING) == 1
    assert "error: --resume is needed" in capsys.readouterr().err
    Path("x_2.cbf").unlink()
    assert series(*own, "--resume", words=TURNING) == 0
    assert "1 frames rendered, 2 were there" in capsys.readouterr().out
    assert series(*own, "--resume", words=[*TURNING, "-mosaic", "0.2"]) == 1
    assert (
        "recipe.experiment.crystal.mosaic_spread_deg: got 0.2, need 0.15" in capsys.readouterr().err
    )


def test_shards(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--frames", "3", "--out", "x_#.cbf", "--shard"]
    assert series(*own, "2/2", words=TURNING) == 0
    assert "complete when the other shards are" in capsys.readouterr().out
    assert series(*own, "1/2", words=TURNING) == 0
    assert "the series of 3 frames is complete" in capsys.readouterr().out


def test_the_line_for_slurm(capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--frames", "3", "--out", "my x_#.cbf", "--print-sbatch", "8", "--shard=1/2"]
    assert series(*own, words=[*TURNING, "-hkl", "it's.hkl"]) == 0
    line = capsys.readouterr().out.strip()
    program, array, wrap = shlex.split(line)
    assert (program, array) == ("sbatch", "--array=1-8")
    job = wrap.removeprefix("--wrap=").replace("${SLURM_ARRAY_TASK_ID}", "5")
    words = shlex.split(job)
    assert words[:2] == ["nanobragg-hybrid", "series"]
    assert words[words.index("--out") + 1] == "my x_#.cbf"
    assert words[words.index("--shard") + 1] == "5/8"
    assert words.count("--shard") == 1
    assert "--shard=1/2" not in words
    assert "--resume" in words
    assert words[-1] == "it's.hkl"
    assert words[words.index("--") + 1 :] == [*TURNING, "-hkl", "it's.hkl"]
    with pytest.raises(nb.CommandLineError):
        sbatch_line(["series"], WORDS, 0)


def test_photons_in_the_brightest_spot(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--frames", "5", "--out", "x_#.cbf", "--photons-in-brightest", "12345"]
    assert series(*own, words=TURNING) == 0
    said = capsys.readouterr().out
    assert "brightest spot: 1.234e+04 photons" in said
    assert "of image 1, 3, 5" in said
    table = nb.StructureFactors.constant(100.0)
    found = brightest(summary(), table, nb.CEngine(), nb.Quirks(), (0, 2, 4), 1)
    assert found.spot_photons == pytest.approx(12345, rel=1e-6)
    assert found.frames == (0, 2, 4)
    wet = summary().experiment.replace({"crystal.water_um": 100.0})
    wet_series = nb.Series.rotation(wet, 5, seed=summary().seed)
    assert brightest(wet_series, table, nb.CEngine(), nb.Quirks(), (0, 2, 4), 1) == found
    # The same words choose the same fluence, so that it can be resumed.
    assert series(*own, "--resume", words=TURNING) == 0
    assert "0 frames rendered, 5 were there" in capsys.readouterr().out


def test_the_light_of_a_crystal_of_many_blocks() -> None:
    crystal = nb.Crystal(cell_angstrom=(50, 60, 70), n_cells=(5, 6, 7))
    water = nb.Background(scatterers=(nb.water_scatterer(1e-3),))
    experiment = nb.Experiment(
        crystal=crystal, detector=nb.Detector(n_fast=4, n_slow=4), background=water
    )

    def lit(of: nb.Experiment, *crystal_um: float) -> nb.Experiment:
        found = with_crystal_of(
            of,
            nb.StructureFactors.constant(1.0),
            nb.CEngine(),
            nb.Quirks(),
            crystal_um=crystal_um,
            flux_photons_per_s=1e12,
            exposure_s=0.1,
            beam_um=10.0,
        )
        assert found.fluence_photons_per_m2 == pytest.approx(1e21)
        lit_um3 = crystal_um[0] * min(crystal_um[1], 10.0) * min(crystal_um[2], 10.0)
        blocks = lit_um3 * 1e12 / (50 * 60 * 70 * 5 * 6 * 7)
        assert found.blocks == pytest.approx(blocks)
        beam = found.experiment.beam
        assert beam.fluence_photons_per_m2 == pytest.approx(1e21 * blocks)
        assert beam.flux_photons_per_s == 0.0
        if of.background is not None:  # whose light is that of the beam
            assert found.experiment.background is not None
            (scatterer,) = found.experiment.background.scatterers
            assert scatterer.volume_mm3 == pytest.approx(1e-3 / blocks)
        return found.experiment

    lit(experiment, 20.0, 5.0, 30.0)
    lit(experiment.replace({"background": None}), 1.0, 1.0, 1.0)
    with pytest.raises(nb.ConfigError) as error:
        lit(experiment.replace({"crystal.water_um": 10.0}), 20.0, 5.0, 30.0)
    assert error.value.field == "crystal.water_um"
    with pytest.raises(nb.ConfigError) as error:
        lit(experiment, 0.0, 5.0, 30.0)
    assert error.value.field == "crystal_um"


def test_the_command_lights_a_crystal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = "--frames 1 --out x_#.cbf --crystal-um 20 --flux 1e12 --exposure 0.1 --beam-um 10".split()
    assert series(*own, words=TURNING) == 0
    assert "the beam has 1e+21 photons/m^2 and lights 3.904e+07 blocks" in capsys.readouterr().out
    volume = 20 * 10 * 10 * 1e12 / (79 * 79 * 38 * 6**3)
    assert summary().experiment.beam.fluence_photons_per_m2 == pytest.approx(1e21 * volume)


def test_the_spot_of_the_brightest_pixel() -> None:
    image = np.zeros((9, 9), np.float32)
    image[4, 3:6] = (10.0, 100.0, 20.0)
    image[5, 4] = 1.0  # just enough
    image[3, 4] = 0.5  # too little
    image[8, 8] = 90.0  # another spot
    assert spot_of_brightest_pixel(image) == (131.0, 100.0)
    assert spot_of_brightest_pixel(np.zeros((3, 3))) == (0.0, 0.0)
    assert spot_of_brightest_pixel(np.full((3, 3), 2.0)) == (18.0, 2.0)


def test_which_frames_are_looked_at() -> None:
    experiment = nb.Experiment(goniometer=nb.Goniometer(osc_deg=1.0))
    for frames, three, one in ((1, (0,), (0,)), (2, (0, 1), (0,)), (101, (0, 50, 100), (50,))):
        recipe = nb.Series.rotation(experiment, frames)
        assert frames_to_look_at(recipe, 3) == three
        assert frames_to_look_at(recipe, 1) == one


@for_each(
    "own, words, message",
    [
        ("--frames 2", WORDS, "which frames? give --osc DEG"),
        ("", TURNING, "--frames: needs a number"),
        ("--frames 2 --osc 1 --stills", WORDS, "--osc: may not stand beside --stills"),
        ("--frames 2 --stills", TURNING, "goniometer.osc_deg"),
        ("--grid beam.exposure_s [1] --stills", WORDS, "--stills: may not stand beside --grid"),
        ("--grid beam.exposure_s [1] --start 1", WORDS, "--start: may not stand beside --grid"),
        ("--grid beam.exposure_s [1,2] --frames 3", WORDS, "--frames: got 3, need 2"),
        ("--grid beam.exposure_s 1", WORDS, "--grid beam.exposure_s: got '1', need a list"),
        ("--grid beam.exposure [1]", WORDS, "did you mean beam.exposure_s?"),
        ("--frames 2 --shard 3/2", TURNING, "--shard: got '3/2'"),
        ("--frames 2 --shard x", TURNING, "--shard: got 'x'"),
        ("--frames 2 --dask local", TURNING, "--dask: may not stand beside --workers"),
        ("--frames 2 --seed -1", TURNING, "series.seed"),
        ("--frames 2 --photons-in-brightest 0", TURNING, "--photons-in-brightest: got 0"),
        ("--frames 2 --photons-in-brightest nan", TURNING, "--photons-in-brightest: got nan"),
        ("--frames 2 --flux 1e12", TURNING, "--flux: needs --crystal-um beside it"),
        ("--frames 2 --exposure 1", TURNING, "--exposure: belongs to --crystal-um"),
        (
            "--frames 2 --crystal-um 1 2 --flux 1 --beam-um 1",
            TURNING,
            "--crystal-um: got 2 numbers, need 1 or 3",
        ),
        (
            "--frames 2 --crystal-um 1 --flux 1 --beam-um 1 --photons-in-brightest 3",
            TURNING,
            "--crystal-um: may not stand beside --photons-in-brightest",
        ),
        ("--frames 2 --sase-nodes 5", TURNING, "--sase-nodes: needs --sase beside it"),
        ("--frames 2 --images-per-file 100", TURNING, "images_per_file: got 100, need None"),
        ("--frames 2 --progress-every -1", TURNING, "--progress-every: got -1, need"),
        ("--frames 2 --progress-every nan", TURNING, "--progress-every: got nan, need"),
        ("--frames 2 --backend d", TURNING, "no backend 'd'"),
        ("--frames 2 --device cuda", TURNING, "device"),
        ("--frames 2", [*TURNING, "-intfile", "i.img"], "-intfile: a series writes --out alone"),
        ("--frames 2", [*TURNING, "-noisefile", "i.img"], "-noisefile: a series writes"),
        ("--frames 2", [*TURNING, "-printout"], "-printout, -trace_pixel: of one image"),
        ("--frames 2", [*TURNING, "--json", "j"], "--json: belongs to the command nanoBragg"),
        ("--frames 2", [*TURNING, "--format", "cbf"], "--format: belongs to the command"),
        ("--frames 2", [], "needs a nanoBragg command line after --"),
        ("--frames 2 --format nxmx", TURNING, "path"),
    ],
)
def test_what_the_command_refuses(
    folder: Path, capsys: pytest.CaptureFixture[str], own: str, words: list[str], message: str
) -> None:
    assert series(*own.split(), "--out", "x_#.cbf", words=words) == 1
    assert message in capsys.readouterr().err
    assert list(folder.glob("x*")) == []


def test_a_dark_series_has_no_brightest_spot(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--frames", "2", "--out", "x_#.cbf", "--photons-in-brightest", "10"]
    assert series(*own, words=[*TURNING, "-fluence", "0"]) == 1
    assert "need frames with light: 0, 1 are dark" in capsys.readouterr().err


def test_what_is_refused_is_refused_before_frames_are_looked_at(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a frame was rendered")

    looked: list[str] = ["--out", "a/x_#.cbf", "--photons-in-brightest", "10"]
    (folder / "b").mkdir()
    (folder / "b" / "x_1.cbf").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr("nanobragg_hybrid.cli.series.main.brightest", never)
        for own, words, told in (
            (["--grid", "detector.n_fast", "[20,30]", "--truth"], WORDS, "panels of one shape"),
            (["--frames", "2", "--pixels", "counts"], TURNING, "no response"),
            (["--frames", "2"], ["-curved_det", *TURNING], "detector.curved"),
            (["--frames", "2", "--shard", "3/2"], TURNING, "shard"),
            (["--frames", "2", "--out", "b/x_#.cbf"], TURNING, "nothing is overwritten"),
        ):
            assert series(*looked, *own, words=words) != 0
            assert told in capsys.readouterr().err
        # These frames are looked at.
        with pytest.raises(AssertionError, match="a frame was rendered"):
            series(*looked, "--frames", "2", words=TURNING)
    assert not (folder / "a").exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_meter_writes_a_line_now_and_then() -> None:
    stream, now = io.StringIO(), [100.0]
    meter = SeriesMeter(10.0, stream, lambda: now[0])
    for done in range(41, 101):  # 40 were there
        now[0] += 1.0
        assert meter.update(done, 100) is True
    meter.close()
    assert stream.getvalue().splitlines()[:2] == [
        "50/100 frames, 1 frames/s, 50 s left",
        "60/100 frames, 1 frames/s, 40 s left",
    ]
    assert stream.getvalue().splitlines()[-1] == "100/100 frames, 1 frames/s"


def test_the_meter_of_a_terminal_changes_one_line() -> None:
    stream, now = Terminal(), [0.0]
    meter = SeriesMeter(10.0, stream, lambda: now[0])
    for done in (1, 2, 3):
        now[0] += 100.0
        meter.update(done, 3)
    meter.close()
    lines = stream.getvalue()
    assert lines.startswith("\r1/3 frames, 0.01 frames/s, 3 min 20 s left\r2/3 frames")
    assert lines.endswith("\n")
    assert lines.count("\n") == 1
    quiet = io.StringIO()
    SeriesMeter(0.0, quiet, lambda: 0.0).update(3, 3)
    assert quiet.getvalue() == ""


@for_each(
    "seconds, text",
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (61.0, "1 min 1 s"),
        (3600.0, "1 h 0 min"),
        (90000, "25 h 0 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
