"""Files of spectra: columns, units, line ends, and what is refused with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from for_each import for_each

from nanobragg_hybrid import ConfigError, FileFormatError, Spectrum, read_spectrum, write_spectrum

IN_EV = Spectrum(energies_ev=(12000.0, 12010.5), weights=(1.0, 0.25))
IN_ANGSTROM = Spectrum(wavelengths_angstrom=(1.03, 0.98), weights=(0.0, 2.0))

Read = Callable[..., Spectrum]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def reader(text: str, **options: Any) -> Spectrum:
        (tmp_path / "f").write_bytes(text.encode())
        return read_spectrum(tmp_path / "f", **options)

    return reader


@for_each(
    "text",
    [
        "# eV\n12000 1\n12010.5 0.25\n",
        "# photon energy (eV), weight\r\n12000 1\r\n\r\n12010.5 0.25",
        "energy/eV,weight\r12000,1\r12010.5,0.25\r",
        "% energies in ev\n12000;1 # the first\n12010.5 ; .25 // the second, in angstrom\n",
        "! nothing\n  Energy   eV\n\t12.0e3\t1\n 12010.5  25e-2 \n",
        "\ufeffeV weight\n12000 1\n12010.5 0.25\n",
    ],
)
def test_energies(text: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(text.encode())
    assert read_spectrum(tmp_path / "f") == IN_EV
    assert read_spectrum(tmp_path / "f", unit="eV") == IN_EV


@for_each("word", ["angstrom", "Angstrom", "Å", "\u212b"])
def test_wavelengths(word: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(f"# wavelength ({word})\n1.03 0\n0.98 2\n".encode())
    assert read_spectrum(tmp_path / "f") == IN_ANGSTROM


def test_the_caller_says_the_unit(read: Read) -> None:
    text = "# from the monochromator\n12000 1\n12010.5 0.25\n"
    assert read(text, unit="eV") == IN_EV
    assert read("1.03 0\n0.98 2\n", unit="angstrom") == IN_ANGSTROM
    with pytest.raises(ConfigError, match=r'unit: got .nm., need one of "eV" and "angstrom"'):
        read(text, unit="nm")


@for_each(
    "text, options, message",
    [
        ("12000 1\n", {}, "f:1: unit: got none, need eV or angstrom, in a line before the numbers"),
        ("# monochromator\n\n12000 1\n", {}, "f:3: unit: got none"),
        ("# eV\n# or angstrom\n1 1\n", {}, "f:1: unit: got angstrom and eV, need one of eV and"),
        ("# keV\n12 1\n", {}, "f:1: unit: got kev, need one of eV and angstrom"),
        ("#\n# nm\n12 1\n", {"unit": "eV"}, "f:2: unit: got nm, need one of eV and angstrom"),
        ("# eV\n1 1\n", {"unit": "angstrom"}, "f:1: unit: got eV, need angstrom, which was asked"),
        ("12000 1\n# eV\n", {}, "f:1: unit: got none"),
        ("# eV\n12000\n", {}, "f:2: got 1 columns, need two numbers"),
        ("# eV\n12000 1 0.1\n", {}, "f:2: got 3 columns, need two numbers"),
        ("# eV\n12000 1\nenergy weight\n", {}, "f:3: got 'energy', need a finite number"),
        ("# eV\n12000 1e999\n", {}, "f:2: got '1e999', need a finite number"),
        ("# eV\n1.2D4 1\n", {}, "f:2: got '1.2D4', need a finite number: write E for the D"),
        ("# eV\n0 1\n", {}, "f:2: got 0 eV, need a number > 0"),
        ("# angstrom\r\n1 1\r\n-1 1\r\n", {}, "f:3: got -1 angstrom, need a number > 0"),
        ("# eV\n12000 -0.5\n", {}, "f:2: weight: got -0.5, need a number >= 0"),
        ("# eV\n12000 0\n", {}, "f: got weights whose sum is 0, need a finite sum > 0"),
        ("# eV\n", {}, "f: has no line of two numbers"),
        ("", {}, "f: has no line of two numbers"),
    ],
)
def test_other_files_are_refused(
    text: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(FileFormatError) as caught:
        read_spectrum(tmp_path / "f", **options)
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)


@for_each(
    "spectrum",
    [
        IN_EV,
        IN_ANGSTROM,
        Spectrum(energies_ev=(1e4 / 3, 5e-324), weights=(0.1 + 0.2, 1e-300)),
        Spectrum(wavelengths_angstrom=(0.1 + 0.2,)),
    ],
)
def test_every_digit_comes_back(spectrum: Spectrum, tmp_path: Path) -> None:
    write_spectrum(tmp_path / "f", spectrum)
    assert read_spectrum(tmp_path / "f") == spectrum


def test_only_a_spectrum_is_written(tmp_path: Path) -> None:
    nothing: Any = (1.0, 2.0)
    with pytest.raises(ConfigError, match=r"spectrum: got .* need an object of class Spectrum"):
        write_spectrum(tmp_path / "f", nothing)
    assert not (tmp_path / "f").exists()
