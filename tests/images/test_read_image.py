"""Measured images: pixels as they are stored, which of them count, and files that are broken."""

from __future__ import annotations

import builtins
import re
import warnings
from pathlib import Path
from typing import Any

import image_files
import numpy as np
import pytest
from for_each import for_each
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.formats.smv import SmvHeader

h5py = pytest.importorskip("h5py", reason="h5py is not installed (extra: test)")

SHAPE = (20, 30)


def counts(seed: int = 1, dtype: str = "int32", high: int = 900) -> NDArray[Any]:
    """Counts of all sizes, within every trusted range of the headers here."""
    values = np.random.default_rng(seed).integers(0, high, SHAPE)
    return values.astype(dtype)


def read(folder: Path, data: bytes, **options: Any) -> nb.MeasuredImage:
    path = folder / "file"
    path.write_bytes(data)
    return nb.read_image(path, **options)


def jumps() -> NDArray[Any]:
    """Differences of every length, and values that look like escapes."""
    values = np.zeros(SHAPE, dtype=np.int32)
    line = [0, 127, -1, 128, 0, -128, 32767, 0, -32768, 2**31 - 2, -(2**31), 5, 128, 0x8080, 0]
    values[3, : len(line)] = line
    values[4:] = np.random.default_rng(5).integers(-(2**31), 2**31 - 1, (16, 30))
    return values


def test_minicbf(tmp_path: Path) -> None:
    pixels = counts()
    pixels[2, 3], pixels[4, 5], pixels[6, 7] = -1, -2, 1048501
    image = read(tmp_path, image_files.minicbf(pixels))
    assert (image.kind, image.frame, image.frames) == ("miniCBF", 0, 1)
    assert image.panel_names == ("0",)
    (panel,), (mask,) = image.panels, image.masks
    assert panel.dtype == np.int32
    np.testing.assert_array_equal(panel, pixels)
    bad = np.zeros(SHAPE, dtype=bool)
    bad[[2, 4, 6], [3, 5, 7]] = True
    np.testing.assert_array_equal(~mask, bad)
    assert (image.pedestal, image.gain) == (None, None)
    with pytest.warns(nb.NanobraggWarning, match="sensor"):
        experiment = image.experiment()
    with pytest.warns(nb.NanobraggWarning, match="sensor"):
        assert experiment == nb.read_experiment(tmp_path / "file")
    assert experiment.detector.panels is not None


def test_differences_of_every_length(tmp_path: Path) -> None:
    image = read(tmp_path, image_files.minicbf(jumps()))
    np.testing.assert_array_equal(image.panels[0], jumps())


def test_fabio_reads_the_same_byte_offsets(tmp_path: Path) -> None:
    fabio = pytest.importorskip("fabio", reason="fabio is not installed (extra: test)")
    for number, pixels in enumerate((counts(), jumps() // 2)):  # it knows no steps of 64 bits
        path = tmp_path / f"{number}.cbf"
        path.write_bytes(image_files.minicbf(pixels))
        np.testing.assert_array_equal(fabio.open(str(path)).data, pixels)
        ours = tmp_path / f"by_fabio_{number}.cbf"
        fabio.cbfimage.CbfImage(data=pixels).write(str(ours))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nb.NanobraggWarning)  # fabio writes no geometry
            np.testing.assert_array_equal(nb.read_image(ours).panels[0], pixels)


def test_cbflib_reads_the_same_byte_offsets(tmp_path: Path) -> None:
    pycbf = pytest.importorskip("pycbf", reason="pycbf is not installed (extra: test)")
    path = tmp_path / "file.cbf"
    path.write_bytes(image_files.minicbf(jumps()))
    handle = pycbf.cbf_handle_struct()
    handle.read_widefile(str(path), pycbf.MSG_DIGEST)
    handle.find_category(b"array_data")
    handle.find_column(b"data")
    found = np.frombuffer(handle.get_integerarray_as_string(), np.int32).reshape(SHAPE)
    np.testing.assert_array_equal(found, jumps())


@for_each(
    "dtype, options",
    [
        ("int32", {"in_base64": True}),
        ("int16", {}),
        ("uint16", {}),
        ("int32", {"compression": ""}),
        ("float64", {"compression": "NONE"}),
        ("float32", {"compression": ""}),
        ("int32", {"digest": False}),
    ],
)
def test_ways_to_store_a_section(tmp_path: Path, dtype: str, options: dict[str, Any]) -> None:
    pixels = counts(dtype=dtype)
    image = read(tmp_path, image_files.minicbf(pixels, **options))
    assert image.panels[0].dtype == dtype
    np.testing.assert_array_equal(image.panels[0], pixels)


@for_each("compression", ["CBF_CANONICAL", "CBF_PACKED", "CBF_PACKED_V2"])
def test_what_cbflib_packs(tmp_path: Path, compression: str) -> None:
    pycbf = pytest.importorskip("pycbf", reason="pycbf is not installed (extra: test)")
    pixels = counts(2)
    handle = pycbf.cbf_handle_struct()
    handle.new_datablock(b"image")
    handle.new_category(b"array_data")
    for column in (b"array_id", b"binary_id", b"data"):
        handle.new_column(column)
    handle.rewind_column()
    handle.set_value(b"ARRAY1")
    handle.find_column(b"data")
    handle.set_integerarray_wdims_fs(
        getattr(pycbf, compression), 1, pixels.tobytes(), 4, 1, pixels.size, b"little_endian",
        30, 20, 1, 0,
    )  # fmt: skip
    path = tmp_path / "packed.cbf"
    handle.write_widefile(
        str(path), pycbf.CBF, pycbf.MIME_HEADERS | pycbf.MSG_DIGEST, pycbf.ENC_NONE
    )
    with pytest.warns(nb.NanobraggWarning, match="no geometry"):
        image = nb.read_image(path)
    np.testing.assert_array_equal(image.panels[0], pixels)


def test_imgcif_of_two_panels(tmp_path: Path) -> None:
    panels = counts(1), counts(2)
    panels[1][7, 8] = 1001  # the header's overload is 1000
    image = read(tmp_path, image_files.imgcif(*panels))
    assert image.kind == "imgCIF"
    assert image.panel_names == ("ARRAY1", "ARRAY2")
    for found, expected in zip(image.panels, panels, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert image.masks[0].all()
    assert np.argwhere(~image.masks[1]).tolist() == [[7, 8]]
    assert image.gain == 2.0
    assert image.experiment().detector.panel_names == image.panel_names
    np.testing.assert_array_equal(image.photons()[0], panels[0] / 2.0)


def test_imgcif_in_another_order_than_its_header(tmp_path: Path) -> None:
    first, second = counts(1), counts(2)
    data = image_files.imgcif(second, first, names=("ARRAY2", "ARRAY1"))
    image = read(tmp_path, data)
    assert image.panel_names == ("ARRAY1", "ARRAY2")
    np.testing.assert_array_equal(image.panels[0], first)
    np.testing.assert_array_equal(image.panels[1], second)


def test_one_array_of_all_panels(tmp_path: Path) -> None:
    stack = np.stack([counts(1), counts(2)])
    image = read(tmp_path, image_files.imgcif(stack, names=("ALL",)))
    assert image.panel_names == ("ALL[0]", "ALL[1]")
    np.testing.assert_array_equal(np.stack(image.panels), stack)
    assert image.gain == 2.0  # as many panels of the same sizes as the header's


def test_negative_counts_of_an_imgcif_are_counts(tmp_path: Path) -> None:
    pixels = counts() - 500
    image = read(tmp_path, image_files.imgcif(pixels, counts()))
    assert (pixels == -1).any()
    assert image.masks[0].all()


def test_smv(tmp_path: Path) -> None:
    pixels = counts(dtype="uint16")
    pixels[1, 2] = 65535
    image = read(tmp_path, image_files.smv(pixels))
    assert image.kind == "SMV"
    np.testing.assert_array_equal(image.panels[0], pixels)
    assert np.argwhere(~image.masks[0]).tolist() == [[1, 2]]
    assert (image.pedestal, image.gain) == (40.0, None)
    assert image.photons()[0][0, 0] == float(pixels[0, 0]) - 40.0
    with pytest.warns(nb.NanobraggWarning, match="ADSC"):
        assert image.experiment().output.adc_offset == 40.0


def two_modules(frames: int = 3) -> NDArray[Any]:
    return np.stack([np.concatenate([counts(7 + n), counts(99 + n)]) for n in range(frames)])


@for_each("compression", [None, "gzip", "bitshuffle"])
def test_nxmx(tmp_path: Path, compression: str | None) -> None:
    data = two_modules().astype(np.uint32)
    data[1, 3, 4] = 2**32 - 1
    data[1, 5, 6] = 1001  # saturation_value is 1000
    mask = np.zeros((40, 30), dtype=np.uint32)
    mask[25, 3] = 8
    options: dict[str, Any] = {"compression": compression, "chunks": (1, 40, 30)}
    if compression == "bitshuffle":
        hdf5plugin = pytest.importorskip("hdf5plugin", reason="is not installed (extra: test)")
        options.update(hdf5plugin.Bitshuffle())
    image = read(tmp_path, image_files.nxmx_with(data, mask=mask, **options), frame=1)
    assert (image.kind, image.frame, image.frames) == ("NXmx", 1, 3)
    assert image.panel_names == ("module0", "module1")
    np.testing.assert_array_equal(np.concatenate(image.panels), data[1])
    assert np.argwhere(~image.masks[0]).tolist() == [[3, 4], [5, 6]]
    assert np.argwhere(~image.masks[1]).tolist() == [[5, 3]]
    with pytest.warns(nb.NanobraggWarning, match="sensor"):
        experiment = image.experiment()
    assert experiment.detector.panel_names == image.panel_names
    # phi of the frames: 10, 10.25, 10.5
    assert experiment.goniometer.phi_deg == pytest.approx(10.25, abs=1e-12)


def test_nxmx_of_numbered_files(tmp_path: Path) -> None:
    data = two_modules(4)
    path = tmp_path / "master.h5"
    path.write_bytes(image_files.nxmx_with(data[:1]))
    with h5py.File(path, "r+") as file:
        del file["entry/data"]
        group = file.create_group("entry/data")
        group.attrs["NX_class"] = "NXdata"
        for number in (1, 2):
            name = f"data_00000{number}.h5"
            group[f"data_00000{number}"] = h5py.ExternalLink(name, "/data")
            with h5py.File(tmp_path / name, "w") as part:
                part["data"] = data[2 * number - 2 : 2 * number]
    for frame in range(4):
        image = nb.read_image(path, frame=frame)
        assert image.frames == 4
        np.testing.assert_array_equal(np.concatenate(image.panels), data[frame])
    (tmp_path / "data_000002.h5").unlink()
    with pytest.raises(nb.FileFormatError, match=r"a link to the file data_000002\.h5, which"):
        nb.read_image(path)


@for_each("dtype", ["uint8", "uint16", "int16", "int32", "uint32", "float32", "float64"])
def test_tiff(tmp_path: Path, dtype: str) -> None:
    pixels = counts(dtype=dtype, high=100)
    pixels[0, 0] = np.nan if dtype.startswith("f") else np.iinfo(dtype).max
    image = read(tmp_path, image_files.tiff(pixels))
    assert image.kind == "TIFF"
    assert image.panels[0].dtype == dtype
    np.testing.assert_array_equal(image.panels[0], pixels)
    assert np.argwhere(~image.masks[0]).tolist() == [[0, 0]]
    assert (image.pedestal, image.gain) == (None, None)
    with pytest.raises(nb.FileFormatError, match="TIFF"):
        image.experiment()


def test_fabio_and_pillow_write_what_we_read(tmp_path: Path) -> None:
    fabio = pytest.importorskip("fabio", reason="fabio is not installed (extra: test)")
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra: test)")
    path = tmp_path / "file"
    for dtype in ("uint16", "int32", "float32"):
        pixels = counts(dtype=dtype)
        fabio.tifimage.TifImage(data=pixels).write(str(path))
        np.testing.assert_array_equal(nb.read_image(path).panels[0], pixels)
        frames = [pillow.fromarray(pixels), pillow.fromarray(pixels + 1)]
        frames[0].save(path, format="TIFF", save_all=True, append_images=frames[1:])
        for frame in range(2):
            image = nb.read_image(path, frame=frame)
            assert image.frames == 2
            assert image.panels[0].dtype == dtype
            np.testing.assert_array_equal(image.panels[0], pixels + frame)
    frames[0].save(path, format="TIFF", compression="tiff_lzw")
    with pytest.raises(nb.UnsupportedError, match=r"compressed \(method 5\): save it without"):
        nb.read_image(path)
    pillow.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path, format="TIFF")
    with pytest.raises(nb.UnsupportedError, match="has colours"):
        nb.read_image(path)


def test_an_image_stays_as_it_was_read(tmp_path: Path) -> None:
    image = read(tmp_path, image_files.imgcif(counts(), counts()))
    for array in (*image.panels, *image.masks):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
    with pytest.raises(AttributeError):
        image.kind = "SMV"  # type: ignore[misc]
    assert repr(image) == (
        f"<imgCIF image '{tmp_path / 'file'}': frame 0 of 1, "
        "2 panels of 30 x 20 int32 (fast x slow)>"
    )
    assert image.shapes == (SHAPE, SHAPE)


def test_pixels_without_a_geometry(tmp_path: Path) -> None:
    data = image_files.minicbf(counts()).replace(b"# Detector_distance 0.15 m", b"#")
    with pytest.warns(nb.NanobraggWarning, match="Detector_distance: got nothing"):
        image = read(tmp_path, data)
    np.testing.assert_array_equal(image.panels[0], counts())
    with pytest.raises(nb.FileFormatError, match="Detector_distance"):
        image.experiment()
    data = image_files.imgcif(counts())
    with pytest.warns(nb.NanobraggWarning, match="describes 2 panels"):
        assert len(read(tmp_path, data).panels) == 1


CBF = image_files.minicbf(counts())
DATA_OF_CBF = CBF.index(b"\x0c\x1a\x04\xd5") + 4


def without_data() -> bytes:
    import geometry_files

    return geometry_files.nxmx()


@for_each(
    "data, message",
    [
        (CBF[: DATA_OF_CBF + 100], r"section 1: truncated: X-Binary-Size is \d+, the file has 100"),
        (CBF[:DATA_OF_CBF] + b"\x01" + CBF[DATA_OF_CBF + 1 :], "section 1: is damaged"),
        (CBF.replace(b"\x0c\x1a\x04\xd5", b""), "section 1: has no binary"),
        (image_files.minicbf(counts(), X_Binary_Size="abc"), "X-Binary-Size: got 'abc', need a"),
        (image_files.minicbf(counts(), X_Binary_Size=None), "X-Binary-Size: got nothing, need a"),
        (
            image_files.minicbf(counts(), digest=False, X_Binary_Size=500),
            "truncated: 500 bytes are fewer than 600 pixels",
        ),
        (
            image_files.minicbf(counts(), X_Binary_Size_Fastest_Dimension=10**9),
            "X-Binary-Number-of-Elements is not 1000000000 x 20 x 1",
        ),
        (
            image_files.minicbf(
                counts(),
                X_Binary_Size_Fastest_Dimension=10**9,
                X_Binary_Number_of_Elements=2 * 10**10,
            ),
            "bytes are fewer than 20000000000 pixels",
        ),
        (
            image_files.minicbf(
                counts(), X_Binary_Size_Fastest_Dimension=0, X_Binary_Number_of_Elements=0
            ),
            "has no pixels",
        ),
        (
            image_files.minicbf(counts(), X_Binary_Element_Type='"unsigned 8-bit integer"'),
            "values beyond those of its type, unsigned 8-bit integer",
        ),
        (image_files.minicbf(counts(), compression="NONE")[:-2000], "section 1: truncated"),
        (CBF.partition(b"--CIF")[0], "has no binary section"),
        (image_files.smv(counts())[:700], "truncated"),
        (b"{\nHEADER_BYTES=99999;\n}", "HEADER_BYTES: got 99999"),
        (image_files.tiff(counts(), cut=900), "truncated: it has 900 bytes, needs 24"),
        (image_files.tiff(counts(), cut=2410), "truncated: it has 2410 bytes, needs 2"),
        (b"II*\0\xff\xff\xff\xff", "truncated: it has 8 bytes, needs 4294967297"),
        (b"II*\0\0\0\0\0", "has no image"),
        (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "its frames have no end"),
        (image_files.nxmx_with(two_modules())[:3000], "cannot be read"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "cannot be read"),
        (without_data(), "/entry: need an NXdata with the frames"),
        (image_files.nxmx_with(two_modules()[..., :20]), "/module0: need a part of the data"),
        (image_files.nxmx_with(two_modules().astype(complex)), "data: need real numbers"),
        (
            image_files.nxmx_with(two_modules(), mask=np.zeros((4, 3))),
            "pixel_mask: need the shape of the data, 40 x 30",
        ),
        (b"P5\n3 2\n255\n" + bytes(6), "is a PGM picture, need an SMV, miniCBF, imgCIF, NXmx or"),
        (b"\x1f\x8b" + bytes(9), "is a gzip file, need an SMV.*: unpack it first"),
        (b"nothing that is known", "is of no kind that is known, need an SMV"),
        (b"", "is of no kind that is known"),
    ],
    ids=lambda row: row[1],
)
def test_broken_files(tmp_path: Path, data: bytes, message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nb.NanobraggWarning)
        with pytest.raises(nb.FileFormatError) as caught:
            read(tmp_path, data)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "file"))


@for_each(
    "data, message",
    [
        (
            image_files.minicbf(counts(), X_Binary_Element_Type='"complex"'),
            "Element-Type 'complex'",
        ),
        (
            image_files.minicbf(counts(), Content_Type='a; conversions="x-CBF_NIBBLE_OFFSET"'),
            "the compression NIBBLE_OFFSET is not read",
        ),
        (
            image_files.minicbf(counts(), Content_Transfer_Encoding="X-BASE16"),
            "Content-Transfer-Encoding 'x-base16' is not read",
        ),
    ],
)
def test_what_is_not_read(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(nb.UnsupportedError, match=message):
        read(tmp_path, data)


@for_each(
    "frame, message",
    [
        (3, "frame: got 3, need a number from 0 to 2"),
        (-1, "frame: got -1"),
        (0.5, "frame: got 0.5"),
    ],
)
def test_frames_that_there_are_not(tmp_path: Path, frame: Any, message: str) -> None:
    with pytest.raises(nb.ConfigError, match=message):
        read(tmp_path, image_files.nxmx_with(two_modules()), frame=frame)


def test_the_only_frame(tmp_path: Path) -> None:
    with pytest.raises(nb.ConfigError, match="frame: got 1, need 0, the only frame"):
        read(tmp_path, CBF, frame=1)


@for_each(
    "module, data",
    [
        ("h5py", image_files.nxmx_with(two_modules())),
        ("pycbf", image_files.minicbf(counts(), compression="PACKED")),
    ],
    ids=lambda row: row[0],
)
def test_without_a_package(tmp_path: Path, module: str, data: bytes) -> None:
    real_import = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == module:
            raise ImportError(name)
        return real_import(name, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "__import__", without)
        with pytest.raises(nb.UnsupportedError, match=rf"{module}.*nanobragg-hybrid\[mx\]"):
            read(tmp_path, data)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(nb.FileAccessError, match="No such file"):
        nb.read_image(tmp_path / "nothing.cbf")


def test_what_we_write_comes_back(tmp_path: Path) -> None:
    """The integer image of a simulation, through its SMV file."""
    experiment = nb.Experiment(
        crystal=nb.Crystal(cell_angstrom=(70, 80, 90), n_cells=(5, 5, 5)),
        detector=nb.Detector(distance_mm=100, pixel_size_mm=0.4, n_fast=50, n_slow=40),
    )
    result = nb.simulate(experiment, nb.StructureFactors.constant(100.0))
    pixels = nb.integer_image(result).pixels
    nb.write_smv(tmp_path / "file", pixels, SmvHeader.from_plan(result.plan, experiment))
    image = nb.read_image(tmp_path / "file")
    assert image.panels[0].dtype == np.uint16
    np.testing.assert_array_equal(image.panels[0], pixels)
    plan = nb.prepare(
        image.experiment(like=experiment.replace({"detector": nb.Detector()})),
        nb.StructureFactors.constant(100.0),
    ).plan
    np.testing.assert_allclose(plan.pix0_m, result.plan.pix0_m, atol=1e-9)
