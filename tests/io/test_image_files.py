"""Image files for other programs: what our own readers, fabio, h5py and nxmx find in them."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from positions import five_pixels, laboratory_mm, plan_of

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.images.byte_offset import compressed
from nanobragg_hybrid.formats.images.cbf import write_cbf
from nanobragg_hybrid.formats.images.frame import Counting
from nanobragg_hybrid.formats.images.smv_adsc import write_smv_adsc
from nanobragg_hybrid.formats.smv import SmvHeader
from nanobragg_hybrid.run.image_files import described

h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra: mx)")
pytest.importorskip("hdf5plugin", reason="hdf5plugin is not installed (extra: mx)")
fabio = pytest.importorskip("fabio", reason="fabio is not installed (extra: mx)")

PANELS = tuple(
    nb.Panel(
        name=f"row{row}",
        origin_mm=(100.0 + row, 15.0 - 16.0 * row, -20.0 + 0.1 * row),
        fast_axis=(0.0, 0.01 * row, 1.0),
        slow_axis=(0.0, -1.0, 0.01 * row),
        n_fast=60 + row,
        n_slow=30 - row,
        pixel_size_mm=0.4,
    )
    for row in range(4)
)
SIZE: dict[str, Any] = {"distance_mm": 120, "pixel_size_mm": 1.6, "n_fast": 80, "n_slow": 70}
DETECTORS = {
    "off-centre": nb.Detector(**SIZE, beam_x_mm=50, beam_y_mm=60),
    "tilted": nb.Detector(**SIZE, rotation_deg=(2, 3, 5)),
    "two-theta": nb.Detector(**SIZE, twotheta_deg=12),
    "four panels": nb.Detector(panels=PANELS),
}
RESPONSE = nb.Response(
    pedestal=40, gain=1.0, saturation=60000, seed=3, dead_pixels=((3, 4),), dead_counts=7
)
TABLE = nb.StructureFactors.constant(100.0)
ENDINGS = {"smv": ".img", "smv-adsc": ".img", "cbf": ".cbf", "nxmx": ".h5", "tiff": ".tif"}


def experiment(detector: nb.Detector, **changes: Any) -> nb.Experiment:
    made = nb.Experiment(
        beam=nb.Beam(wavelength_angstrom=0.9763),
        crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5), misset_deg=(10, 20, 30)),
        goniometer=nb.Goniometer(phi_deg=10.0, osc_deg=0.1, phi_steps=2),
        detector=detector,
        response=RESPONSE,
        output=nb.Output(noise_seed=1, adc_offset=10.0),
    )
    return made.replace(changes) if changes else made


@pytest.fixture(scope="module")
def results() -> dict[str, nb.SimulationResult]:
    return {name: nb.simulate(experiment(each), TABLE) for name, each in DETECTORS.items()}


def written(result: nb.SimulationResult, path: Path, form: Any = None, **arguments: Any) -> Path:
    """A file, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        result.save(path, format=form, **arguments)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- geometry


@for_each(
    "scene, form",
    [
        *((scene, form) for scene in DETECTORS for form in ("cbf", "nxmx")),
        ("off-centre", "smv-adsc"),
    ],
)
def test_our_own_reader_finds_the_geometry(
    scene: str, form: str, results: dict[str, nb.SimulationResult], tmp_path: Path
) -> None:
    wanted = results[scene].experiment
    path = written(results[scene], tmp_path / f"{scene}_1{ENDINGS[form]}", form)
    with warnings.catch_warnings():
        # what a gain and a pedestal become is for other programs' files
        warnings.simplefilter("error")
        found = nb.read_experiment(path, like=wanted)
    assert found.beam.wavelength_angstrom == 0.9763
    assert (found.goniometer.phi_deg, found.goniometer.osc_deg) == pytest.approx((10.0, 0.1))
    assert found.goniometer.spindle_axis == pytest.approx((0.0, 0.0, 1.0), abs=1e-15)
    assert len(found.detector.shapes) == len(wanted.detector.shapes)
    for number in range(len(wanted.detector.shapes)):
        plan, again = plan_of(wanted, number), plan_of(found, number)
        assert plan.shape == again.shape
        for pixel in five_pixels(plan.n_fast, plan.n_slow):
            moved = laboratory_mm(again, pixel, "mosflm") - laboratory_mm(plan, pixel, "mosflm")
            assert np.abs(moved).max() < 1e-6


def test_what_stands_in_an_smv_header_of_adsc(
    results: dict[str, nb.SimulationResult], tmp_path: Path
) -> None:
    result = results["off-centre"]
    path = written(result, tmp_path / "a_1.img", "smv-adsc")
    image = nb.read_smv(path)
    header = image.header
    rendered = SmvHeader.from_plan(result.plan)
    assert float(header["BEAM_CENTER_X"]) == pytest.approx(1000 * rendered.beam_slow_m, abs=1e-9)
    assert float(header["BEAM_CENTER_Y"]) == pytest.approx(1000 * rendered.beam_fast_m, abs=1e-9)
    assert header["BEAMLINE"] != "fake"
    assert (header["IMAGE_PEDESTAL"], header["GAIN"]) == ("40", "1.0")
    size = int(header["HEADER_BYTES"])
    assert size % 512 == 0
    assert path.stat().st_size == size + 2 * 80 * 70
    assert "\n}\n" in image.header_text
    assert image.pixels.tobytes() == (result.counts.astype(np.uint16)).tobytes()  # type: ignore[union-attr]


def test_a_classic_file_has_the_bytes_of_the_command(
    results: dict[str, nb.SimulationResult], tmp_path: Path
) -> None:
    result = results["tilted"]
    path = written(result, tmp_path / "c_1.img", pixels="noise")
    expected = io.BytesIO()
    header = SmvHeader.from_plan(result.plan, result.experiment)
    nb.write_smv(expected, nb.noise_image(result).pixels, header)
    assert path.read_bytes() == expected.getvalue()


# ---- pixels


@for_each("scene, form", [("off-centre", "cbf"), ("tilted", "cbf"), ("off-centre", "smv-adsc")])
def test_fabio_reads_the_pixels(
    scene: str, form: str, results: dict[str, nb.SimulationResult], tmp_path: Path
) -> None:
    result = results[scene]
    path = written(result, tmp_path / f"f_1{ENDINGS[form]}", form)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fabio.open(path).data.astype(np.int64)
    expected = np.array(result.counts, dtype=np.int64)
    if form == "cbf":
        expected = expected - 40
        expected[4, 3] = -2
    assert expected.max() > 100
    assert np.array_equal(found, expected)


@for_each(
    "scene, form",
    [
        *((scene, form) for scene in DETECTORS for form in ("cbf", "nxmx")),
        *((scene, "tiff") for scene in DETECTORS if scene != "four panels"),
        ("off-centre", "smv-adsc"),
    ],
)
def test_our_own_reader_finds_the_pixels(
    scene: str, form: str, results: dict[str, nb.SimulationResult], tmp_path: Path
) -> None:
    result = results[scene]
    path = written(result, tmp_path / f"{scene}_1{ENDINGS[form]}", form)
    found = nb.read_image(path)
    off = 40 if form in ("cbf", "nxmx") else 0
    assert len(found.panels) == len(result.panels)
    for panel, image, usable in zip(result.panels, found.panels, found.masks, strict=True):
        expected = np.array(panel.counts, dtype=np.int64) - off
        is_bad = np.zeros(expected.shape, bool)
        is_bad[4, 3] = form in ("cbf", "nxmx")
        assert np.array_equal(image[~is_bad], expected[~is_bad])
        assert np.array_equal(usable, ~is_bad)
    if form == "smv-adsc":
        assert (found.pedestal, found.gain) == (40.0, 1.0)
        counts = np.array(result.counts, dtype=np.float64)
        assert np.array_equal(found.photons()[0], counts - 40.0)


def test_a_cbf_file_has_all_panels(results: dict[str, nb.SimulationResult], tmp_path: Path) -> None:
    data = written(results["four panels"], tmp_path / "p_1.cbf").read_bytes()
    parts = data.split(b"\x0c\x1a\x04\xd5")[1:]
    assert len(parts) == 4
    for part, panel in zip(parts, results["four panels"].panels, strict=True):
        counts = np.array(panel.counts, dtype=np.int32) - 40
        counts[4, 3] = -2
        assert part.startswith(compressed(counts) + bytes(4095))


def test_h5py_reads_the_pixels_and_the_mask(
    results: dict[str, nb.SimulationResult], tmp_path: Path
) -> None:
    result = results["four panels"]
    with h5py.File(written(result, tmp_path / "p.h5"), "r") as file:
        data = file["entry/data/data"][:]
        detector = file["entry/instrument/detector"]
        mask = detector["pixel_mask"][:]
        assert data.shape == (1, 30 + 29 + 28 + 27, 63)
        assert data.dtype == np.int32
        first = 0
        for number, panel in enumerate(result.panels):
            module = detector[f"module_{number:04d}"]
            (slow, fast), (n_slow, n_fast) = module["data_origin"][:], module["data_size"][:]
            assert (slow, fast, n_slow, n_fast) == (first, 0, 30 - number, 60 + number)
            window = np.s_[slow : slow + n_slow, fast : fast + n_fast]
            assert np.array_equal(data[0][window], np.array(panel.counts, np.int32) - 40)
            bad = mask[window] != 0
            assert np.argwhere(bad).tolist() == [[4, 3]]
            assert (mask[slow : slow + n_slow, n_fast:] == 1).all()
            first += n_slow
        assert detector["saturation_value"][()] == 60000 - 40
        assert detector["underload_value"][()] == -40


def test_every_field_that_strict_readers_ask_for(
    results: dict[str, nb.SimulationResult], tmp_path: Path
) -> None:
    wanted = """
        definition start_time end_time_estimated source/name instrument/name data/data
        instrument/beam/incident_wavelength instrument/beam/total_flux sample/name sample/depends_on
        sample/transformations/omega sample/transformations/omega_end
    """.split()
    of_detector = """
        description type depends_on beam_center_x beam_center_y distance sensor_material
        sensor_thickness saturation_value underload_value count_time frame_time bit_depth_readout
        module/data_origin module/data_size module/data_stride module/module_offset
        module/fast_pixel_direction module/slow_pixel_direction transformations/det_z
    """.split()
    with h5py.File(written(results["two-theta"], tmp_path / "t.h5"), "r") as file:
        entry = file["entry"]
        names = wanted + [f"instrument/detector/{name}" for name in of_detector]
        assert [name for name in names if name not in entry] == []
        assert entry["data"].attrs["signal"] == b"data"
        for name in ("fast_pixel_direction", "slow_pixel_direction", "module_offset"):
            dataset = entry[f"instrument/detector/module/{name}"]
            assert {"depends_on", "transformation_type", "vector", "units"} <= set(dataset.attrs)


def test_the_package_nxmx_reads_it(results: dict[str, nb.SimulationResult], tmp_path: Path) -> None:
    nxmx = pytest.importorskip("nxmx", reason="nxmx is not installed")
    path = written(results["off-centre"], tmp_path / "x.h5")
    with h5py.File(path, "r") as file:
        entry = nxmx.NXmx(file).entries[0]
        detector = entry.instruments[0].detectors[0]
        (module,) = detector.modules
        assert entry.definition == "NXmx"
        assert entry.instruments[0].beams[0].incident_wavelength.magnitude == 0.9763
        chain = nxmx.get_dependency_chain(module.fast_pixel_direction.depends_on)
        corner = nxmx.get_cumulative_transformation(chain)[0, :3, 3]
        expected = laboratory_mm(plan_of(results["off-centre"].experiment), (0, 0), "nexus")
        assert np.abs(np.asarray(corner) - expected).max() < 1e-9
        assert detector.distance.to("mm").magnitude == pytest.approx(120.0, abs=1e-9)
        omega = entry.samples[0].depends_on
        assert omega[()].to("degree").magnitude.tolist() == [10.0]
        assert omega.end[()].to("degree").magnitude.tolist() == pytest.approx([10.1])
        assert np.asarray(omega.vector).tolist() == [-1.0, 0.0, 0.0]


@for_each("kind", ["int16", "uint16", "int32", "uint32", "float32", "float64"])
def test_tiff_holds_integers_and_floats(kind: str, tmp_path: Path) -> None:
    image = (np.arange(35).reshape(5, 7) * 1.5).astype(kind)
    small = nb.Experiment(detector=nb.Detector(n_fast=7, n_slow=5))
    path = tmp_path / f"{kind}.tif"
    nb.write_image(path, image, experiment=small)
    found = fabio.open(path).data
    assert found.dtype == image.dtype
    assert np.array_equal(found, image)


def test_photons_and_pictures(results: dict[str, nb.SimulationResult], tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra: png)")
    result = results["off-centre"]
    nb.write_image(tmp_path / "p.tif", result, pixels="photons")
    with image_module.open(tmp_path / "p.tif") as picture:
        assert np.array_equal(np.asarray(picture), result.image)
    nb.write_image(tmp_path / "p.png", result)
    with image_module.open(tmp_path / "p.png") as picture:
        assert np.array_equal(np.asarray(picture), nb.pgm_image(result).pixels)
    nb.write_image(tmp_path / "p.h5", result, pixels="photons")
    with h5py.File(tmp_path / "p.h5", "r") as file:
        assert np.array_equal(file["entry/data/data"][0], result.image)


@for_each("steps", [(0, 1), (127, 128), (-127, -128), (32767, 32768), (-32767, -32768), (2**30,)])
def test_byte_offsets_are_fabios(steps: tuple[int, ...]) -> None:
    module = pytest.importorskip("fabio.ext.byte_offset", reason="fabio has no such module")
    compression = pytest.importorskip("fabio.compression", reason="fabio has no such module")
    random = np.random.default_rng(abs(steps[0]))
    for size in (1, 2, 65536, 65537, 70001):
        image = random.poisson(3.0, size).astype(np.int32)
        for step in steps:
            at = random.integers(0, size, 5)
            image[at] += np.int32(step)
        image = image.reshape(1, -1)
        ours = compressed(image)
        assert ours == bytes(module.comp_cbf(image))
        assert np.array_equal(compression.decByteOffset(ours, size=size), image.ravel())


def test_steps_that_no_reader_takes() -> None:
    image = np.array([[2**31 - 1, -1]], np.int32)
    assert compressed(np.array([[2**31 - 1, 0]], np.int32))[-7:] == struct.pack(
        "<BhI", 0x80, -32768, 2**31 + 1
    )
    with pytest.raises(nb.ConfigError, match=r"a step of 2\^31 or more"):
        compressed(image)


# ---- the same bytes


@for_each("form", ["smv", "smv-adsc", "cbf", "nxmx", "tiff", "png"])
def test_bytes_depend_on_the_image_alone(
    form: str, results: dict[str, nb.SimulationResult], tmp_path: Path
) -> None:
    ending = ENDINGS.get(form, ".png")
    first = written(results["off-centre"], tmp_path / f"first_1{ending}", form)
    second = written(results["off-centre"], tmp_path / f"another_2{ending}", form)
    assert digest(first) == digest(second)
    third = written(results["off-centre"], first, form, pixels="noise" if form != "png" else None)
    assert (digest(third) == digest(second)) == (form == "png")


def test_no_time_stands_in_an_hdf5_file(tmp_path: Path) -> None:
    with series_of(tmp_path) as writer:
        for number in range(5):
            writer.add(number, image_of(number))
    for path in (tmp_path / "run.h5", *writer.files):
        with h5py.File(path, "r") as file:
            names: list[str] = []
            file.visit(names.append)
            assert len(names) >= 3
            assert [name for name in names if stamped(file[name])] == []


def stamped(each: Any) -> int:
    """The time that an object was written; 0 if it does not say."""
    time: int = h5py.h5o.get_info(each.id).mtime
    return time


# ---- what is refused


FLAT = experiment(nb.Detector(**SIZE))
IMAGE = np.full((70, 80), 50, np.int32)
REFUSED: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    (
        "a.cbf",
        {"format": "smv"},
        nb.ConfigError,
        "path: got 'a.cbf', need a name that ends in .img",
    ),
    (
        "a.img",
        {"format": "cbf"},
        nb.ConfigError,
        "a name that ends in .cbf for the format cbf",
    ),
    (
        "a.npy",
        {"format": "cbf"},
        nb.ConfigError,
        "a name that ends in .cbf for the format cbf",
    ),
    ("a.dat", {}, nb.ConfigError, "path: got 'a.dat', need a name that ends in .img"),
    ("a.cbf", {"format": "jpeg"}, nb.ConfigError, "format: got 'jpeg', need one of smv, smv-adsc"),
    ("a.cbf", {"sensor_material": "Ge"}, nb.ConfigError, "sensor_material: got 'Ge', need one of"),
    ("a.cbf", {"gain": 0}, nb.ConfigError, "gain: got 0 counts/photon, need a finite value > 0"),
    ("a.cbf", {"saturation": 40}, nb.ConfigError, "saturation: got 40.0 counts, need more than"),
    ("a.cbf", {"pedestal": 0.5}, nb.ConfigError, "pedestal: got 0.5 counts, need a whole number"),
    ("a.cbf", {"pixels": "noise"}, nb.ConfigError, "pixels: got 'noise', need None"),
    ("a.cbf", {"experiment": None}, nb.ConfigError, "experiment: got None, need an experiment"),
    ("a.png", {}, nb.UnsupportedError, "png: an array has no picture"),
]


@for_each("name, arguments, kind, message", REFUSED)
def test_what_is_refused(
    name: str,
    arguments: dict[str, Any],
    kind: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"experiment": FLAT, **arguments}
    with pytest.raises(kind) as caught:
        nb.write_image(name, IMAGE, **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@for_each(
    "scene, form, message",
    [
        ("tilted", "smv-adsc", "the detector is turned"),
        ("two-theta", "smv-adsc", "the detector is turned"),
        ("four panels", "smv-adsc", "the detector has 4 panels"),
        ("four panels", "smv", "smv has one panel, the detector has 4"),
        ("four panels", "png", "a picture of several panels is that of nb.assembled_image"),
    ],
)
def test_geometries_that_a_format_cannot_say(
    scene: str, form: str, message: str, results: dict[str, nb.SimulationResult], tmp_path: Path
) -> None:
    with pytest.raises(nb.UnsupportedError, match=message):
        results[scene].save(tmp_path / "refused_1", format=form)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@for_each(
    "image, form, message",
    [
        (IMAGE.astype(np.float32), "cbf", "pixels: got 'float32', need whole numbers for CBF"),
        (IMAGE.astype(np.float32), "smv", "pixels: got 'float32', need whole numbers for SMV"),
        (IMAGE - 51, "smv-adsc", "pixels: got '-1 to -1', need 0 to 65535 for SMV"),
        (IMAGE + 70000, "smv", "pixels: got '70050 to 70050', need 0 to 65535 for SMV"),
        (np.full((70, 80), 2**31, np.uint32), "nxmx", "need -2147483648 to 2147483647 for NXmx"),
        (IMAGE.astype(np.int64) + 2**40, "tiff", "pixels: got 'int64 (70, 80)', need integers"),
        (IMAGE[:5], "cbf", "source: got 1 images: (5, 80), need 1 of the shapes of the panels"),
        ([IMAGE, IMAGE], "cbf", "source: got 2 images"),
        (IMAGE.astype(complex), "tiff", "source: got complex128 (70, 80), need a result, an array"),
    ],
    ids=lambda row: f"{row[1]} {row[2]}",
)
def test_pixels_that_do_not_fit(image: Any, form: Any, message: str, tmp_path: Path) -> None:
    plain = experiment(nb.Detector(**SIZE), response=None)
    with pytest.raises(nb.ConfigError) as caught:
        nb.write_image(tmp_path / "x_1", image, experiment=plain, format=form)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    frame, _ = described(FLAT, nb.Quirks(), Counting(), "Si")
    oblong = frame.panel._replace(pixel_mm=(1.6, 0.8))
    frame = frame._replace(content=frame.content._replace(panels=(oblong,)), pixels=(IMAGE,))
    with pytest.raises(nb.UnsupportedError, match="the pixels are not square"):
        write_smv_adsc(tmp_path / "x.img", frame)
    write_cbf(tmp_path / "x.cbf", frame)
    assert b"# Pixel_size 0.0016 m x 0.0008 m" in (tmp_path / "x.cbf").read_bytes()
    tilted, _ = described(experiment(DETECTORS["tilted"]), nb.Quirks(), Counting(), "Si")
    oblong = tilted.panel._replace(pixel_mm=(1.6, 0.8))
    tilted = tilted._replace(content=tilted.content._replace(panels=(oblong,)), pixels=(IMAGE,))
    write_cbf(tmp_path / "t.cbf", tilted)
    assert b"ELEMENT1_Y ELEMENT1_Y 0.0 0.8" in (tmp_path / "t.cbf").read_bytes()


def test_a_beam_that_nxmx_cannot_say(tmp_path: Path) -> None:
    oblique = experiment(nb.Detector(**SIZE)).replace({"beam.direction": (1.0, 0.01, 0.0)})
    with pytest.raises(nb.UnsupportedError, match="not along the laboratory's axis"):
        nb.write_image(tmp_path / "x.h5", IMAGE, experiment=oblique)
    nb.write_image(tmp_path / "x_1.cbf", IMAGE, experiment=oblique)  # imgCIF says it
    found = nb.read_experiment(tmp_path / "x_1.cbf", like=oblique)
    assert found.beam.direction == pytest.approx(
        (1 / np.hypot(1, 0.01), 0.01 / np.hypot(1, 0.01), 0)
    )


def test_only_counts_have_dead_pixels(
    results: dict[str, nb.SimulationResult], tmp_path: Path
) -> None:
    path = written(results["off-centre"], tmp_path / "x_1.cbf", pixels="noise")
    expected = nb.noise_image(results["off-centre"]).pixels.astype(np.int64) - 10
    assert np.array_equal(fabio.open(path).data, expected)


def test_whole_numbers_have_to_be_asked_for(tmp_path: Path) -> None:
    result = nb.simulate(experiment(nb.Detector(**SIZE), response=None), TABLE)
    with pytest.raises(nb.ConfigError, match="pixels: got None, need 'noise' or 'integers'"):
        result.save(tmp_path / "x_1.cbf")
    with pytest.raises(nb.ConfigError, match="'counts', need 'noise', 'integers' or 'photons'"):
        result.save(tmp_path / "x_1.cbf", pixels="counts")
    result.save(tmp_path / "x_1.cbf", pixels="noise")
    expected = nb.noise_image(result).pixels.astype(np.int64) - 10
    assert np.array_equal(fabio.open(tmp_path / "x_1.cbf").data, expected)


# ---- warnings


@for_each(
    "changes, name, message",
    [
        ({"detector": DETECTORS["off-centre"]}, "x_1.img", "pixels off"),
        ({"detector": DETECTORS["tilted"]}, "x_1.img", "for one across the beam"),
        ({"detector": DETECTORS["two-theta"]}, "x_1.img", "for one across the beam"),
        ({}, "intimage.img", "wants a number before the ending"),
        ({"goniometer.osc_deg": 0.0}, "intimage.img", None),
        ({}, "x_1.img", None),
        ({}, "x_1.cbf", None),
        ({}, "x.cbf", "wants a number before the ending"),
        ({}, "x.h5", None),
    ],
)
def test_what_other_programs_misread(
    changes: dict[str, Any], name: str, message: str | None, tmp_path: Path
) -> None:
    square = nb.Detector(distance_mm=120, pixel_size_mm=1.6, n_fast=75, n_slow=75)
    of = experiment(square).replace(changes) if changes else experiment(square)
    image = IMAGE if of.detector.n_fast == 80 else np.full((75, 75), 50, np.int32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nb.write_image(tmp_path / name, image, experiment=of)
    said = [str(warning.message) for warning in caught]
    if message is None:
        assert said == []
    else:
        assert len(said) == 1
        assert message in said[0]


def test_what_a_format_has_no_place_for(tmp_path: Path) -> None:
    of = experiment(nb.Detector(**SIZE))
    with pytest.warns(nb.NanobraggWarning, match="no place for the gain of 2.5"):
        nb.write_image(tmp_path / "x_1.cbf", IMAGE, experiment=of, gain=2.5)
    with pytest.warns(nb.NanobraggWarning, match="the gain of 2.5 stands in detector/gain_setting"):
        nb.write_image(tmp_path / "x.h5", IMAGE, experiment=of, gain=2.5)
    panels = experiment(DETECTORS["four panels"])
    images = [np.full(shape, 50, np.int32) for shape in panels.detector.shapes]
    with pytest.warns(nb.NanobraggWarning, match="no mask of panels of different widths .60 to 63"):
        nb.write_image(tmp_path / "p.h5", images, experiment=panels)
    with pytest.warns(nb.NanobraggWarning, match="DIALS reads the first of the 4 panels"):
        nb.write_image(tmp_path / "p_1.cbf", images, experiment=panels)
    nb.write_image(tmp_path / "p.h5", images, experiment=panels.replace({"response": None}))
    with h5py.File(tmp_path / "p.h5", "r") as file:
        assert "pixel_mask" not in file["entry/instrument/detector"]
    low = IMAGE.copy()
    low[3, 2:5] = 20
    with pytest.warns(nb.NanobraggWarning, match="3 pixels are below -1 without the pedestal"):
        nb.write_image(tmp_path / "x_1.cbf", low, experiment=of)


def test_sensors(tmp_path: Path) -> None:
    with_sensor = {"sensor_thickness_um": 320.0, "sensor_attenuation_depth_um": 250.0}
    of = experiment(nb.Detector(**SIZE, **with_sensor), response=None)  # type: ignore[arg-type]
    nb.write_image(tmp_path / "x_1.cbf", IMAGE, experiment=of, sensor_material="CdTe")
    header = (tmp_path / "x_1.cbf").read_bytes()[:2000]
    assert b"# CdTe sensor, thickness 0.00032 m" in header
    nb.write_image(tmp_path / "x.h5", IMAGE, experiment=of)
    with h5py.File(tmp_path / "x.h5", "r") as file:
        detector = file["entry/instrument/detector"]
        assert detector["sensor_thickness"][()] == pytest.approx(0.32)
        assert detector["sensor_material"][()] == b"Si"
    turned = of.replace({"detector.rotation_deg": (0, 3, 0)})
    with pytest.warns(nb.NanobraggWarning, match="no place for the sensor"):
        nb.write_image(tmp_path / "x_1.cbf", IMAGE, experiment=turned)
    thin = dataclasses.replace(of.detector, sensor_attenuation_depth_um=np.inf)
    nb.write_image(tmp_path / "x_1.cbf", IMAGE, experiment=of.replace({"detector": thin}))
    assert b"sensor" not in (tmp_path / "x_1.cbf").read_bytes()[:2000]
    panels = [dataclasses.replace(panel, **with_sensor) for panel in PANELS[:1]]
    mixed = experiment(nb.Detector(panels=(*panels, *PANELS[1:])), response=None)
    images = [np.full(shape, 50, np.int32) for shape in mixed.detector.shapes]
    with pytest.warns(nb.NanobraggWarning, match="one sensor for all panels"):
        nb.write_image(tmp_path / "p.h5", images, experiment=mixed)


def test_pixels_that_are_not_rendered(tmp_path: Path) -> None:
    mask = np.ones((70, 80), bool)
    mask[20, 30] = False
    detector = nb.Detector(**SIZE, mask=nb.Mask(mask))
    of = experiment(detector, response=None).replace({"sampling.roi": (10, 69, 5, 59)})
    nb.write_image(tmp_path / "x_1.cbf", IMAGE, experiment=of)
    found = fabio.open(tmp_path / "x_1.cbf").data
    expected = np.full((70, 80), -2)
    expected[5:60, 10:70] = 50
    expected[20, 30] = -2
    assert np.array_equal(found, expected)


def test_polarization_in_a_minicbf_and_in_imgcif(tmp_path: Path) -> None:
    for detector in (nb.Detector(**SIZE), DETECTORS["tilted"]):
        of = experiment(detector).replace({"beam.polarization_kahn": 0.98})
        nb.write_image(tmp_path / "x_1.cbf", IMAGE, experiment=of)
        found = nb.read_experiment(tmp_path / "x_1.cbf").beam
        assert found.polarization_kahn == pytest.approx(0.98, abs=1e-15)
        assert np.abs(found.polarization_axis) == pytest.approx((0.0, 0.0, 1.0), abs=1e-12)
    oblique = of.replace({"beam.polarization_axis": (0.0, 0.6, 0.8), "detector": FLAT.detector})
    nb.write_image(tmp_path / "x_1.cbf", IMAGE, experiment=oblique)
    found = nb.read_experiment(tmp_path / "x_1.cbf").beam
    sign = np.sign(found.polarization_axis[2])  # type: ignore[index]
    assert sign * np.array(found.polarization_axis) == pytest.approx((0.0, 0.6, 0.8), abs=1e-12)


# ---- a series


def series_of(folder: Path, **changes: Any) -> nb.NXmxSeriesWriter:
    return nb.NXmxSeriesWriter(folder / "run.h5", FLAT, 5, **{"images_per_file": 2, **changes})


def image_of(number: int) -> Any:
    return IMAGE + number


def test_a_series_in_any_order(tmp_path: Path) -> None:
    digests = []
    for name, order in (("up", (0, 1, 2, 3, 4)), ("mixed", (3, 0, 4, 2, 1))):
        folder = tmp_path / name
        folder.mkdir()
        with series_of(folder) as writer:
            for number in order:
                writer.add(number, image_of(number))
        names = sorted(path.name for path in folder.iterdir())
        digests.append([(each, digest(folder / each)) for each in names])
    assert digests[0] == digests[1]
    assert [name for name, _ in digests[0]] == [
        "run.h5", "run_data_000001.h5", "run_data_000002.h5", "run_data_000003.h5",
    ]  # fmt: skip
    with h5py.File(tmp_path / "mixed" / "run.h5", "r") as file:
        data = file["entry/data/data"]
        assert data.shape == (5, 70, 80)
        assert data.is_virtual
        assert [int(data[number].mean()) for number in range(5)] == [10, 11, 12, 13, 14]
        omega = file["entry/sample/transformations/omega"][:]
        assert omega == pytest.approx([10.0, 10.1, 10.2, 10.3, 10.4], abs=1e-12)
    last = nb.read_experiment(tmp_path / "mixed" / "run.h5", image=5, like=FLAT)
    assert last.goniometer.phi_deg == pytest.approx(10.4)


def test_a_series_goes_on(tmp_path: Path) -> None:
    writer = series_of(tmp_path)
    assert writer.missing == (0, 1, 2, 3, 4)
    for number in (0, 2, 3):
        writer.add(number, image_of(number))
    assert writer.missing == (1, 4)
    assert [path.is_file() for path in writer.files] == [False, True, False]
    with pytest.raises(nb.ConfigError, match="missing: got 1, 4, need all images added"):
        writer.close()
    assert not (tmp_path / "run.h5").exists()
    for number in (0, 2):
        with pytest.raises(nb.ConfigError, match="an image that is not there yet"):
            writer.add(number, image_of(number))
    with series_of(tmp_path) as again:
        assert again.missing == (0, 1, 4)
        for number in again.missing:
            again.add(number, image_of(number))
    with h5py.File(tmp_path / "run.h5", "r") as file:
        assert [int(image.mean()) for image in file["entry/data/data"][:]] == [10, 11, 12, 13, 14]
    for changes in ({"images_per_file": 1}, {"gain": 2.0}, {"dtype": "float32"}):
        with pytest.raises(nb.FileFormatError, match="is no data file of this series"):
            series_of(tmp_path, **changes)
    (tmp_path / "run_data_000001.h5").write_bytes(b"half")
    with pytest.raises(nb.FileFormatError, match="is no data file of this series"):
        series_of(tmp_path)


def test_two_processes_write_a_series(tmp_path: Path) -> None:
    first, second = series_of(tmp_path), series_of(tmp_path)
    for number in (0, 1, 4):
        first.add(number, image_of(number))
    assert first.missing == (2, 3)
    for number in (2, 3):
        second.add(number, image_of(number))
    assert first.missing == second.missing == ()
    first.close()
    before = digest(tmp_path / "run.h5")
    second.close()
    assert digest(tmp_path / "run.h5") == before


def test_a_series_of_results(results: dict[str, nb.SimulationResult], tmp_path: Path) -> None:
    result = results["four panels"]
    with (
        pytest.warns(nb.NanobraggWarning, match="different widths"),
        nb.NXmxSeriesWriter(tmp_path / "run.h5", result.experiment, 1) as writer,
    ):
        writer.add(0, result)
    one = written(result, tmp_path / "one.h5")
    with h5py.File(tmp_path / "run.h5", "r") as series, h5py.File(one, "r") as alone:
        assert np.array_equal(series["entry/data/data"][:], alone["entry/data/data"][:])
        assert series["entry/data/data"][:].max() > 50


def test_an_error_leaves_a_series_without_its_master_file(tmp_path: Path) -> None:
    def stopped() -> None:
        with series_of(tmp_path) as writer:
            for number in range(5):
                writer.add(number, image_of(number))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        stopped()
    assert not (tmp_path / "run.h5").exists()
    series_of(tmp_path).close()
    assert (tmp_path / "run.h5").is_file()


@for_each(
    "changes, message",
    [
        ({"images_per_file": 0}, "images_per_file: got 0, need an integer 1 to 1000000"),
        ({"dtype": "uint16"}, "dtype: got 'uint16', need 'int32' or 'float32'"),
        ({"gain": -1}, "gain: got -1 counts/photon, need a finite value > 0"),
    ],
)
def test_what_a_series_refuses(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(nb.ConfigError) as caught:
        series_of(tmp_path, **changes)
    assert message in str(caught.value)
    writer = series_of(tmp_path)
    with pytest.raises(nb.ConfigError, match="number: got 5, need an integer 0 to 4"):
        writer.add(5, IMAGE)
    with pytest.raises(nb.ConfigError, match="source: got float32, need whole numbers"):
        writer.add(0, IMAGE.astype(np.float32))
    with pytest.raises(nb.ConfigError, match="path: got"):
        nb.NXmxSeriesWriter(tmp_path / "run.cbf", FLAT, 5)


def test_a_still_has_no_rotation(tmp_path: Path) -> None:
    still = FLAT.replace({"goniometer": dataclasses.replace(FLAT.goniometer, osc_deg=0.0)})
    nb.write_image(tmp_path / "s.h5", IMAGE, experiment=still)
    with h5py.File(tmp_path / "s.h5", "r") as file:
        assert file["entry/sample/depends_on"][()] == b"."
    tilted = still.replace({"detector": DETECTORS["tilted"]})
    nb.write_image(tmp_path / "s.cbf", IMAGE, experiment=tilted)
    assert b"_diffrn_measurement" not in (tmp_path / "s.cbf").read_bytes()
