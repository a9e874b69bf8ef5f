"""nanoBragg's arguments -> Command: flags, order rules, the substring quirk, bad numbers."""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from for_each import for_each
from recorded import INPUTS, table

from nanobragg_hybrid.arguments.command import Command
from nanobragg_hybrid.arguments.flags import FLAGS
from nanobragg_hybrid.arguments.parse import parse_command
from nanobragg_hybrid.base.errors import (
    CommandLineError,
    ConfigError,
    FileAccessError,
    FileFormatError,
    NanobraggWarning,
)
from nanobragg_hybrid.model.mask import Mask
from nanobragg_hybrid.model.quirks import Quirks
from nanobragg_hybrid.model.rotations import Rotations
from nanobragg_hybrid.model.spectrum import Spectrum


def parsed(args: str, **options: Any) -> Command:
    """The command of `args`; files are those of golden/inputs."""
    return parse_command(args, INPUTS, **options)


def value(command: Command, path: str) -> Any:
    """A field of the experiment by dotted path, or of the command itself."""
    if "." not in path:
        return getattr(command, path)
    part, name = path.split(".")
    return getattr(getattr(command.experiment, part), name)


HEADER = {"detector.n_fast": 96, "detector.n_slow": 80}

# Arguments -> the fields they set.  All spellings of the flag table occur (see the test below).
MEANINGS: dict[str, dict[str, Any]] = {
    "-cell 70 80 90 75 85 95": {
        "crystal.cell_angstrom": (70.0, 80.0, 90.0),
        "crystal.cell_deg": (75.0, 85.0, 95.0),
    },
    "-N 5": {"crystal.n_cells": (5.0, 5.0, 5.0)},
    "-Na 3": {"crystal.n_cells": (3.0, 1.0, 1.0)},
    "-Nb 4": {"crystal.n_cells": (1.0, 4.0, 1.0)},
    "-Nc 6": {"crystal.n_cells": (1.0, 1.0, 6.0)},
    "-misset 10 -20 30.5": {"crystal.misset_deg": (10.0, -20.0, 30.5)},
    "-misset random": {"crystal.misset_random": True},
    "-misset_seed 7": {"crystal.misset_seed": 7, "crystal.misset_deg": (0.0, 0.0, 0.0)},
    "-xtalsize 0.1": {"crystal.size_mm": (0.1, 0.1, 0.1)},
    "-xtal_size 0.1": {"crystal.size_mm": (0.1, 0.1, 0.1)},
    "-samplesize 0.1": {"crystal.size_mm": (0.1, 0.1, 0.1)},
    "-sample_size 0.1": {"crystal.size_mm": (0.1, 0.1, 0.1)},
    "-xtal_x 0.1": {"crystal.size_mm": (0.1, None, None)},
    "-xtal_thick 0.1": {"crystal.size_mm": (0.1, None, None)},
    "-xtal_thickness 0.1": {"crystal.size_mm": (0.1, None, None)},
    "-sample_x 0.1": {"crystal.size_mm": (0.1, None, None)},
    "-sample_thick 0.1": {"crystal.size_mm": (0.1, None, None)},
    "-xtal_y 0.1": {"crystal.size_mm": (None, 0.1, None)},
    "-xtal_width 0.1": {"crystal.size_mm": (None, 0.1, None)},
    "-sample_y 0.1": {"crystal.size_mm": (None, 0.1, None)},
    "-sample_width 0.1": {"crystal.size_mm": (None, 0.1, None)},
    "-width 0.1": {"crystal.size_mm": (None, 0.1, None)},
    "-xtal_z 0.1": {"crystal.size_mm": (None, None, 0.1)},
    "-xtal_height 0.1": {"crystal.size_mm": (None, None, 0.1)},
    "-sample_z 0.1": {"crystal.size_mm": (None, None, 0.1)},
    "-sample_height 0.1": {"crystal.size_mm": (None, None, 0.1)},
    "-height 0.1": {"crystal.size_mm": (None, None, 0.1)},
    "-round_xtal -square_xtal": {"crystal.shape": "square"},
    "-round_xtal": {"crystal.shape": "round"},
    "-gauss_xtal": {"crystal.shape": "gauss"},
    "-binary_spots": {"crystal.shape": "tophat"},
    "-tophat_spots": {"crystal.shape": "tophat"},
    "-gauss_hkl_xtal": {"crystal.shape": "gauss_hkl"},
    "-tophat_hkl_spots": {"crystal.shape": "tophat_hkl"},
    "-fudge 1.7": {"crystal.shape_fudge": 1.7},
    "-water 40": {"crystal.water_um": 40.0},
    "-water -40": {"crystal.water_um": -40.0},
    "-mosaic 0.5": {"crystal.mosaic_spread_deg": 0.5},
    "-mosaicity 0.5": {"crystal.mosaic_spread_deg": 0.5},
    "-mosaic_spread 0.5": {"crystal.mosaic_spread_deg": 0.5},
    "-mosaic_domains 6": {"crystal.mosaic_domains": 6},
    "-mosaic_seed 42": {"crystal.mosaic_seed": 42},
    "-hkl small.hkl": {"hkl_path": INPUTS / "small.hkl"},
    "-default_F -3": {"default_f": -3.0},
    "-dump other.bin": {"dump_path": INPUTS / "other.bin", "dump_named": True},
    "-Fdump other.bin": {"dump_path": INPUTS / "other.bin", "dump_named": True},
    "-lambda 6.2": {"beam.wavelength_angstrom": 6.2},
    "-wavelength 6.2": {"beam.wavelength_angstrom": 6.2},
    "-energy 9500": {"beam.wavelength_angstrom": 12398.42 / 9500},
    "-fluence 1e24": {"beam.fluence_photons_per_m2": 1e24},
    "-flux 1e12": {"beam.flux_photons_per_s": 1e12},
    "-exposure 0.1": {"beam.exposure_s": 0.1},
    "-beamsize 0.03": {"beam.beam_size_mm": 0.03},
    "-dispersion 1": {"beam.dispersion_percent": 1.0},
    "-dispsteps 5": {"beam.dispersion_steps": 5},
    "-divergence 2": {"beam.divergence_h_mrad": 2.0, "beam.divergence_v_mrad": 2.0},
    "-hdivrange 2": {"beam.divergence_h_mrad": 2.0, "beam.divergence_v_mrad": None},
    "-vdivrange 3": {"beam.divergence_v_mrad": 3.0, "beam.divergence_h_mrad": None},
    "-divsteps 4": {"beam.divergence_h_steps": 4, "beam.divergence_v_steps": 4},
    "-hdivsteps 4": {"beam.divergence_h_steps": 4, "beam.divergence_h_step_mrad": None},
    "-vdivsteps 4": {"beam.divergence_v_steps": 4, "beam.divergence_v_step_mrad": None},
    "-hdivstep 0.4": {"beam.divergence_h_step_mrad": 0.4, "beam.divergence_h_steps": None},
    "-vdivstep 0.5": {"beam.divergence_v_step_mrad": 0.5, "beam.divergence_v_steps": None},
    "-square_div": {"beam.divergence_shape": "square"},
    "-square_div -round_div": {"beam.divergence_shape": "round"},
    "-polar 0.9": {"beam.polarization_kahn": 0.9, "beam.polarization_correction": True},
    "-polar 0.9 -nopolar": {"beam.polarization_correction": False},
    "-nopolar -polar 0.5": {"beam.polarization_correction": True},
    "-phi 37": {"goniometer.phi_deg": 37.0},
    "-osc 1": {"goniometer.osc_deg": 1.0},
    "-phisteps 5": {"goniometer.phi_steps": 5, "goniometer.phi_deg": 0.0},
    "-phistep 0.3": {"goniometer.phi_step_deg": 0.3, "goniometer.phi_steps": None},
    "-distance 150": {"detector.distance_mm": 150.0, "detector.pivot": "beam"},
    "-close_distance 88": {
        "detector.close_distance_mm": 88.0,
        "detector.distance_mm": 100.0,
        "detector.pivot": "sample",
    },
    "-pixel 0.172": {"detector.pixel_size_mm": 0.172},
    "-detpixels 64": {"detector.n_fast": 64, "detector.n_slow": 64},
    "-detpixels_f 48": {"detector.n_fast": 48, "detector.n_slow": None},
    "-detpixels_x 48": {"detector.n_fast": 48, "detector.n_slow": None},
    "-detpixels_s 48": {"detector.n_slow": 48, "detector.n_fast": None},
    "-detpixels_y 48": {"detector.n_slow": 48, "detector.n_fast": None},
    "-detsize 25.6": {"detector.size_fast_mm": 25.6, "detector.size_slow_mm": 25.6},
    "-detpixels 0 -detsize 6.4": {"detector.n_fast": None, "detector.size_slow_mm": 6.4},
    "-detpixels 64 -detpixels_f 0": {"detector.n_fast": None, "detector.n_slow": 64},
    "-detpixels 64 -detsize 0": {"detector.n_fast": 64, "detector.size_fast_mm": 102.4},
    "-detsize -1 -detpixels 64": {"detector.n_slow": 64, "detector.size_slow_mm": 102.4},
    "-detsize_f 25.6": {"detector.size_fast_mm": 25.6, "detector.size_slow_mm": 102.4},
    "-detsize_s 25.6": {"detector.size_slow_mm": 25.6, "detector.size_fast_mm": 102.4},
    "-Xbeam 11": {"detector.beam_x_mm": 11.0, "detector.pivot": "beam"},
    "-Ybeam 12": {"detector.beam_y_mm": 12.0, "detector.pivot": "beam"},
    "-Xclose 11": {"detector.close_x_mm": 11.0, "detector.pivot": "sample"},
    "-Yclose 12": {"detector.close_y_mm": 12.0, "detector.pivot": "sample"},
    "-ORGX 30": {"detector.org_x_px": 30.0, "detector.pivot": "sample"},
    "-ORGY 31": {"detector.org_y_px": 31.0, "detector.pivot": "sample"},
    "-detector_rotx 5": {"detector.rotation_deg": (5.0, 0.0, 0.0)},
    "-detector_roty 5": {"detector.rotation_deg": (0.0, 5.0, 0.0)},
    "-detector_rotz -5": {"detector.rotation_deg": (0.0, 0.0, -5.0)},
    "-twotheta 15": {"detector.twotheta_deg": 15.0, "detector.pivot": "sample"},
    "-pivot sample": {"detector.pivot": "sample"},
    "-twotheta 15 -pivot thebeamspot": {"detector.pivot": "beam"},
    "-curved_det -N 5": {"detector.curved": True, "crystal.n_cells": (5.0, 5.0, 5.0)},
    "-point_pixel": {"detector.point_pixel": True},
    "-xds -mosflm": {"detector.convention": "mosflm", "detector.pivot": "beam"},
    "-xds": {"detector.convention": "xds", "detector.pivot": "sample"},
    "-adxv": {"detector.convention": "adxv", "detector.pivot": "beam"},
    "-denzo": {"detector.convention": "denzo", "detector.pivot": "beam"},
    "-dials": {"detector.convention": "dials", "detector.pivot": "beam"},
    "-fdet_vector 0 1 0": {
        "detector.fast_axis": (0.0, 1.0, 0.0),
        "detector.convention": "mosflm",  # the plan makes it custom, by its quirk
        "detector.pivot": None,
    },
    "-sdet_vector 0 1 0": {"detector.slow_axis": (0.0, 1.0, 0.0)},
    "-odet_vector 0 0 0": {"detector.normal_axis": (0.0, 0.0, 0.0)},
    "-beam_vector 0 0 -1": {"beam.direction": (0.0, 0.0, -1.0)},
    "-polar_vector 0 1 0": {
        "beam.polarization_axis": (0.0, 1.0, 0.0),
        "beam.polarization_kahn": 0.0,
    },
    "-spindle_axis -1 0 0": {"goniometer.spindle_axis": (-1.0, 0.0, 0.0)},
    "-twotheta_axis 0.1 0 -1": {
        "detector.twotheta_axis": (0.1, 0.0, -1.0),
        "detector.twotheta_deg": 0.1,
        "detector.pivot": "sample",
    },
    "-pix0_vector 0.1 0.2 -0.3": {"detector.pix0_m": (0.1, 0.2, -0.3)},
    "-pix0_vector_mm 100 12.8 -12.8": {"detector.pix0_m": (0.1, 0.0128, -0.0128)},
    "-detector_abs 234": {"detector.sensor_attenuation_depth_um": 234.0},
    "-detector_thick 320": {"detector.sensor_thickness_um": 320.0, "detector.sensor_layers": None},
    "-detector_thicksteps 3": {"detector.sensor_layers": 3, "detector.sensor_thickness_um": 0.0},
    "-thicksteps 3": {"detector.sensor_layers": 3},
    "-oversample 2": {"sampling.oversample": 2},
    "-oversample_thick": {"sampling.oversample_thick": True, "sampling.oversample": None},
    "-oversample_polar": {"sampling.oversample_polar": True, "sampling.oversample": None},
    "-oversample_omega": {"sampling.oversample_omega": True, "sampling.oversample": None},
    "-interpolate": {"sampling.interpolate": True},
    "-nointerpolate": {"sampling.interpolate": False},
    "-roi 10 40 20 50": {"sampling.roi": (10, 40, 20, 50)},
    "-dmin 3.5": {"sampling.dmin_angstrom": 3.5},
    "-img donor.img": HEADER | {"beam.wavelength_angstrom": 0.979, "detector.beam_y_mm": 4.75},
    "-mask mask_donor.img": HEADER | {"detector.distance_mm": 50.0},
    "-floatfile f.bin": {"float_path": INPUTS / "f.bin"},
    "-floatimage f.bin": {"float_path": INPUTS / "f.bin"},
    "-intfile i.img": {"int_path": INPUTS / "i.img"},
    "-intimage i.img": {"int_path": INPUTS / "i.img"},
    "-pgmfile p.pgm": {"pgm_path": INPUTS / "p.pgm"},
    "-nopgm -pgmimage p.pgm": {"pgm_path": INPUTS / "p.pgm"},
    "-pgmimage p.pgm -nopgm": {"pgm_path": None},
    "-nopgm -pgmscale 5": {"pgm_path": INPUTS / "image.pgm", "output.pgm_scale": 5.0},
    "-nopgm -pgmscale 0": {"pgm_path": INPUTS / "image.pgm", "output.pgm_scale": None},
    "-pgmscale 5 -nopgm": {"pgm_path": None, "output.pgm_scale": 5.0},
    "-nopgm -scale 5 -adc 3 -seed 2": {"pgm_path": None},
    "-nonoise -seed 5 -adc 3 -scale 2 -pgmscale 2": {"noise_path": None},
    "-seed 5 -nonoise": {"noise_path": None},
    "-noisefile n.img": {"noise_path": INPUTS / "n.img"},
    "-nonoise -noiseimage n.img": {"noise_path": INPUTS / "n.img"},
    "-noiseimage n.img -nonoise": {"noise_path": None},
    "-scale 2.5": {"output.intensity_scale": 2.5, "output.pgm_scale": None},
    "-adc 10": {"output.adc_offset": 10.0},
    "-pgmscale 0.02": {"output.pgm_scale": 0.02, "output.intensity_scale": None},
    "-seed 1234": {"output.noise_seed": 1234, "crystal.misset_seed": None},
    "-printout": {"printout": True, "printout_pixel": None},
    "-printout_pixel 3 4": {"printout": True, "printout_pixel": (3, 4)},
    "-trace_pixel 4 3": {"trace_pixel": (3, 4)},
    "-noprogress": {"progress": False},
    "-noprogress -progress": {"progress": True},
    "-coherent": {"ignored": ("-coherent",)},
    "-density 1.2": {"ignored": ("-density 1.2",)},
    "-sample_density 1.2": {"ignored": ("-sample_density 1.2",)},
    "-MW 18": {"ignored": ("-MW 18",)},
    "-molecular_weight 18": {"ignored": ("-molecular_weight 18",)},
    "-stol small.hkl": {"ignored": ("-stol small.hkl",)},
    "-4stol small.hkl": {"ignored": ("-4stol small.hkl",)},
    "-Q small.hkl": {"ignored": ("-Q small.hkl",)},
    "-stolout nowhere": {"ignored": ("-stolout nowhere",)},
    # Values that nanoBragg takes for "not given", or clamps.
    "-N 0": {"crystal.n_cells": (1.0, 1.0, 1.0)},
    "-Na -5": {"crystal.n_cells": (1.0, 1.0, 1.0)},
    "-osc -1": {"goniometer.osc_deg": None},
    "-osc 0": {"goniometer.osc_deg": 0.0},
    "-phisteps 0": {"goniometer.phi_steps": 1},
    "-phisteps -1": {"goniometer.phi_steps": None},
    "-phistep -1": {"goniometer.phi_step_deg": None},
    "-phistep 0": {"goniometer.phi_step_deg": 0.0},
    "-divsteps 0": {"beam.divergence_h_steps": None, "beam.divergence_v_steps": None},
    "-hdivstep 0": {"beam.divergence_h_step_mrad": None},
    "-divergence -1": {"beam.divergence_h_mrad": None},
    "-dispersion -1": {"beam.dispersion_percent": None},
    "-dispersion 0": {"beam.dispersion_percent": 0.0},
    "-dispsteps -1": {"beam.dispersion_steps": None},
    "-mosaic -1": {"crystal.mosaic_spread_deg": None},
    "-mosaic 0": {"crystal.mosaic_spread_deg": 0.0},
    "-mosaic_dom 0": {"crystal.mosaic_domains": None},
    "-xtalsize 0": {"crystal.size_mm": (None, None, None)},
    "-detector_abs -200": {"detector.sensor_attenuation_depth_um": None},
    "-detector_thick -1": {"detector.sensor_thickness_um": None},
    "-thicksteps 0": {"detector.sensor_layers": None},
    "-oversample 0": {"sampling.oversample": None},
    "-dmin -3": {"sampling.dmin_angstrom": 0.0},
    "-scale 0": {"output.intensity_scale": None},
    "-pgmscale -1": {"output.pgm_scale": None},
    "-roi -5 -1 -7 -2": {"sampling.roi": (0, None, 0, None)},
    "-roi 40 10 20 50": {"sampling.roi": (40, 10, 20, 50)},
    # Seeds are C ints.
    "-seed 3000000000": {"output.noise_seed": 3000000000 - 2**32},
    "-seed -77": {"output.noise_seed": -77},
    "-mosaic_seed 4294967297": {"crystal.mosaic_seed": 1},
    # Absorption: inf and 0 empty the sensor at that moment.
    "-detector_thick 320 -detector_abs inf": {
        "detector.sensor_thickness_um": 0.0,
        "detector.sensor_attenuation_depth_um": math.inf,
    },
    "-detector_thick 320 -detector_abs 0": {
        "detector.sensor_thickness_um": 0.0,
        "detector.sensor_attenuation_depth_um": math.inf,
    },
    "-detector_abs infinite -detector_thick 320": {
        "detector.sensor_thickness_um": 320.0,
        "detector.sensor_attenuation_depth_um": math.inf,
    },
    # Cells.
    "-cell 64": {
        "crystal.cell_angstrom": (64.0, 64.0, 64.0),
        "crystal.cell_deg": (90.0, 90.0, 90.0),
    },
    "-cell 70 80 90 75 85 95 -cell 60": {
        "crystal.cell_angstrom": (60.0, 80.0, 90.0),
        "crystal.cell_deg": (75.0, 85.0, 95.0),
    },
    "-cell 60 0 70 0 91": {
        "crystal.cell_angstrom": (60.0, 60.0, 70.0),
        "crystal.cell_deg": (90.0, 91.0, 90.0),
    },
    "-cell 70 80 -N 5 -phi 3": {"crystal.cell_angstrom": (70.0, 80.0, 70.0)},
    "-cell 0 0 0": {"crystal.cell_angstrom": None},
    # Conventions and vectors.
    "-fdet_vector 0 1 0 -xds": {"detector.convention": "xds", "detector.fast_axis": None},
    "-beam_vector 0 0 1 -spindle_axis 0 1 0 -dials": {
        "beam.direction": None,
        "goniometer.spindle_axis": None,
    },
    "-fdet_vector 0 1 0 -xds -sdet_vector 1 0 0": {
        "detector.convention": "xds",
        "detector.fast_axis": (0.0, 1.0, 0.0),
        "detector.slow_axis": (1.0, 0.0, 0.0),
        "detector.pivot": "sample",
    },
    "-twotheta 15 -Xbeam 3": {"detector.pivot": "beam"},
    "-twotheta 15 -twotheta_axis 0 0 -1": {"detector.twotheta_deg": 0.0},
    # Missetting.
    "-misset 1 2 3 -misset random": {
        "crystal.misset_random": True,
        "crystal.misset_deg": (0.0, 0.0, 0.0),
    },
    "-misset random -misset 1 2 3": {
        "crystal.misset_random": False,
        "crystal.misset_deg": (1.0, 2.0, 3.0),
    },
    "-misset_seed 12 -phi 3": {
        "crystal.misset_seed": 12,
        "crystal.misset_deg": (12.0, 0.0, 3.0),
        "goniometer.phi_deg": 3.0,
    },
    "-misset_seed 12 -misset 0 0 0": {
        "crystal.misset_seed": 12,
        "crystal.misset_deg": (0.0, 0.0, 0.0),
    },
    # A spelling in another one.
    "--distance 5": {"detector.distance_mm": 5.0},
}


@pytest.mark.parametrize("args", MEANINGS)
def test_meaning(args: str) -> None:
    command = parsed(args)
    assert {path: value(command, path) for path in MEANINGS[args]} == MEANINGS[args]


def test_every_spelling_of_the_table_has_a_meaning_above() -> None:
    tried = {argument for args in MEANINGS for argument in args.split()}
    read_elsewhere = {"-mat", "-sourcefile", "-mosaic_rotations"}
    read_elsewhere |= {"-spectrum", "-spectrum_ev", "-spectrum_angstrom"}
    missing = [
        spelling
        for flag in FLAGS
        for spelling in flag.spellings
        if not any(spelling in argument for argument in tried) and spelling not in read_elsewhere
    ]
    assert missing == []


def test_defaults_are_those_of_the_config() -> None:
    command = parse_command("")
    assert command.experiment == type(command.experiment)()
    assert command.float_path == Path("floatimage.bin")
    assert command.dump_path == Path("Fdump.bin")
    assert (command.hkl_path, command.dump_named, command.default_f) == (None, False, 0.0)
    assert command.progress
    assert command.warnings == ()


def test_matrix_and_sources_are_read() -> None:
    command = parsed("-mat mono.mat -mat ortho.mat -sourcefile sources_short.txt")
    matrix = command.experiment.crystal.orientation_matrix
    assert matrix is not None
    assert matrix[:2] == (0.01355031, -0.00648227)
    sources = command.experiment.beam.sources
    assert sources is not None
    assert sources[1].position == (-10.0, -0.002, 0.001)


def test_rotations_are_read(tmp_path: Path) -> None:
    (tmp_path / "turns").write_text("# degrees\n0 0 1\n0 -2 0\n")
    command = parse_command("-mosaic_rotations turns", tmp_path)
    rotations = Rotations.from_vectors([(0, 0, 1), (0, -2, 0)])
    assert command.experiment.crystal.mosaic_rotations == rotations
    assert command.inputs == (tmp_path / "turns",)
    with pytest.raises(ConfigError, match=r"crystal\.mosaic_spread_deg: got 1\.0.*_rotations"):
        parse_command("-mosaic_rotations turns -mosaic 1", tmp_path)


def test_a_spectrum_is_read(tmp_path: Path) -> None:
    (tmp_path / "ev").write_text("# eV\n12000 1\n12010 2\n")
    (tmp_path / "plain").write_text("1.0 1\n1.01 3\n")
    in_ev = Spectrum(energies_ev=(12000.0, 12010.0), weights=(1.0, 2.0))
    for words in ("-spectrum ev", "-spectrum_ev ev"):
        command = parse_command(words, tmp_path)
        assert command.experiment.beam.spectrum == in_ev
        assert command.inputs == (tmp_path / "ev",)
    command = parse_command("-spectrum_ev ev -spectrum_angstrom plain", tmp_path)  # the last counts
    assert command.experiment.beam.spectrum == Spectrum(
        wavelengths_angstrom=(1.0, 1.01), weights=(1.0, 3.0)
    )
    with pytest.raises(FileFormatError, match=r"plain:1: unit: got none, need eV or angstrom"):
        parse_command("-spectrum plain", tmp_path)
    with pytest.raises(ConfigError, match=r"beam\.dispersion_percent: got 1\.0 %.*spectrum"):
        parse_command("-spectrum ev -dispersion 1", tmp_path)


def test_a_list_of_arguments_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "two words"
    folder.mkdir()
    shutil.copy(INPUTS / "ortho.mat", folder / "my matrix.mat")
    command = parse_command(["-mat", "my matrix.mat"], folder)
    assert command.experiment.crystal.orientation_matrix is not None
    assert parse_command("-mat 'my matrix.mat'", folder) == command


# Numbers that are none


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("-distance abc", r"-distance: got 'abc', need a number \(mm\)"),
        ("-distance nan", r"-distance: got 'nan', need a finite number \(mm\)"),
        ("-lambda inf", r"-lambda: got 'inf', need a finite number \(angstrom\)"),
        ("-phi 1e999", r"-phi: got '1e999', need a finite number \(degrees\)"),
        ("-distance -lambda 1", r"-distance: got '-lambda', need a number \(mm\)"),
        ("-N five", r"-N: got 'five', need a whole number \(cells\)"),
        ("-N .5", r"-N: got '.5', need a whole number \(cells\)"),
        ("-N ''", r"-N: got '', need a whole number \(cells\)"),
        ("-detpixels 5000000000", r"-detpixels: got '5000000000', need .* at most 32 bits"),
        (f"-N {'9' * 5000}", r"-N: got '9+\.\.\.9+', need a whole number of at most 32 bits"),
        ("-cell 70 x", r"-cell: got 'x', need a number \(angstrom, degrees\)"),
        ("-misset 1 2 z", r"-misset: got 'z', need a number \(degrees\)"),
        ("-roi 1 2 3 z", r"-roi: got 'z', need a whole number \(pixels\)"),
        ("-detector_abs abc", r"-detector_abs: got 'abc', need a number \(um\)"),
        ("-detector_abs nan", r"-detector_abs: got 'nan', need a finite number \(um\)"),
        ("-energy 0", r"-energy: got '0', need a number > 0 \(eV\)"),
        ("-misset_seed random", r"-misset_seed: got 'random', need a whole number"),
        ("-wavelength x", r"-wavelength: got 'x', need a number \(angstrom\)"),
    ],
)
def test_impossible_number(args: str, message: str) -> None:
    with pytest.raises(CommandLineError, match=message):
        parse_command(args)


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ("-pixel 0", "detector.pixel_size_mm"),
        ("-distance -1", "detector.distance_mm"),
        ("-lambda 0", "beam.wavelength_angstrom"),
        ("-detpixels -1", "detector.n_fast"),
        ("-detpixels 0 -detsize 0", "detector.size_fast_mm"),
        ("-cell 10 10 10 180", "crystal.cell_deg"),
        ("-fdet_vector 0 0 0", "detector.fast_axis"),
    ],
)
def test_value_outside_its_range(args: str, field: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(field)}: got"):
        parse_command(args)


# What is only odd: a warning, an error if strict


@for_each(
    "args",
    [
        "-detpixels 1",
        "-detpixels 8 -detsize 1",
        "-water 5",
        "-water 0",
        "-detpixels 8 -printout_pixel 7 7 -trace_pixel 0 7",
    ],
)
def test_arguments_beside_the_odd_ones(args: str) -> None:
    assert parse_command(args, strict=True).warnings == ()


def test_pixels_outside_are_not_printed() -> None:
    command = parse_command("-detpixels 8 -printout_pixel 8 0 -trace_pixel 0 8")
    assert (command.printout, command.printout_pixel, command.trace_pixel) == (False, None, None)


def test_no_pixels_after_a_header_are_those_of_its_size() -> None:
    """As many pixels as fit into the size that the header means."""
    plain = parsed("-img donor.img").experiment.detector
    again = parsed("-img donor.img -detpixels 0").experiment.detector
    assert again.n_fast is again.n_slow is None
    assert again.shape == plain.shape
    halved = f"-img donor.img -detpixels 0 -pixel {plain.pixel_size_mm / 2}"
    assert parsed(halved).experiment.detector.shape == tuple(2 * n for n in plain.shape)
    sized = parsed("-img donor.img -detpixels 0 -detsize 3").experiment.detector
    assert sized.size_fast_mm == 3.0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("-nosuch", "'-nosuch' is no known option"),
        ("-phi 3 -5", "'-5' is no known option"),
        ("-", "'-' is no known option"),
        ("-phi 3 stray", "'stray' belongs to no option"),
        ("-cell 1 2 3 90 90 90 7", "'7' belongs to no option"),
        ("-detpixels 100mm", "-detpixels: took '100' of '100mm' (pixels)"),
        ("-distance 100mm", "-distance: took '100' of '100mm' (mm)"),
        ("-N 5.5", "-N: took '5' of '5.5' (cells)"),
        ("-phi", "-phi has no effect: it needs 1 word after it (X)"),
        ("-roi 1 2 3", "-roi has no effect: it needs 4 words after it (XMIN XMAX YMIN YMAX)"),
        ("-misset 1 2", "-misset has no effect: it needs 3 words after it (X Y Z)"),
        ("-cell", "-cell has no effect: it needs numbers after it"),
        ("-curved_det", "-curved_det has no effect as the last word (quirk curved_needs_argument)"),
        ("-detpixels 0", "-detpixels: got '0', which is as if not given"),
        ("-detpixels_y 0", "-detpixels_y: got '0', which is as if not given"),
        ("-Nb 0", "-Nb: got '0', which counts as 1"),
        ("-N -3", "-N: got '-3', which counts as 1"),
        ("-phisteps 0", "-phisteps: got '0', which counts as 1"),
        ("-phisteps -1", "-phisteps: got '-1', which is as if not given"),
        ("-mosaic_domains 0", "-mosaic_domains: got '0', which is as if not given"),
        ("-osc -1", "-osc: got '-1', which is as if not given"),
        (
            "-thicksteps 5",
            "-thicksteps 5 has no effect without -detector_thick: there is no sensor",
        ),
        (
            "-flux 1e12",
            (
                "-flux without -exposure and -beamsize: the fluence is that of the default, 1 s "
                "and 0.1 mm"
            ),
        ),
        (
            "-flux 1e12 -exposure 2",
            "-flux without -beamsize: the fluence is that of the default, 0.1 mm",
        ),
        ("-exposure 2", "-exposure has no effect on the fluence without -flux"),
        (
            "-detpixels 8 -detsize 0",
            "-detsize: got 0 mm, which is not used: the pixels along the slow axis are counted",
        ),
        ("-water -5", "-water: got -5 um: below 0 the background has less than no photons"),
        (
            "-detpixels 8 -printout_pixel 8 7",
            (
                "-printout_pixel: got fast 8, slow 7, which is outside the 8 x 8 pixels "
                "(fast x slow): nothing is printed"
            ),
        ),
        (
            "-detpixels 8 -trace_pixel 8 7",
            (
                "-trace_pixel: got fast 7, slow 8, which is outside the 8 x 8 pixels "
                "(fast x slow): nothing is printed"
            ),
        ),
        ("-pivot middle", "-pivot: got 'middle', need beam or sample"),
        ("-mask", "-mask has no effect: it needs 1 word after it (FILE)"),
    ],
)
def test_odd_arguments(args: str, message: str) -> None:
    assert message in parse_command(args).warnings
    with pytest.raises(CommandLineError) as error:
        parse_command(args, strict=True)
    assert str(error.value) in parse_command(args).warnings


@pytest.mark.parametrize(
    "args",
    [
        "-phi -5",
        "-misset -37 125.5 -2",
        "-roi -5 200 -1 40",
        "-curved_det x",
        "-curved_det -N 5",
        "-misset random",
        "-mosaic_domains 3 -wavelength 1 -xtal_height 0.1",
        "-phi 0x10 -osc 1.e-1 -fudge +.5",
        "-stolout nowhere",
    ],
)
def test_nothing_odd(args: str) -> None:
    assert parse_command(args, strict=True).warnings == ()


def test_the_row_that_an_option_does_not_name_reads_anything_with_a_warning() -> None:
    command = parse_command("-misset_seed 12 -phi 3 -N 5", strict=True)
    assert command.experiment.crystal.misset_deg == (12.0, 0.0, 3.0)
    [warning] = command.warnings
    assert "'-misset_seed' also has '-misset' in it" in warning
    assert "takes '12 -phi 3' as well (quirk cli_substring)" in warning


def test_the_row_that_an_option_does_not_name_is_silent_without_enough_values() -> None:
    assert parse_command("-misset_seed 12", strict=True).warnings == ()


# Quirks


def test_curved_det_as_last_argument_follows_its_quirk() -> None:
    fixed = parse_command("-curved_det", quirks=Quirks.nanobragg_fixed(), strict=True)
    assert fixed.experiment.detector.curved
    assert not parse_command("-curved_det").experiment.detector.curved


def test_curved_det_without_its_quirk_takes_no_value() -> None:
    fixed = parse_command("-curved_det x", quirks=Quirks.nanobragg_fixed())
    assert fixed.warnings == ("'x' belongs to no option",)


# Image headers and masks


def test_mask_is_read_before_img_and_both_before_flags() -> None:
    command = parsed("-distance 60 -img donor.img -mask mask_donor.img")
    detector = command.experiment.detector
    assert (detector.distance_mm, detector.pixel_size_mm) == (60.0, 0.12)
    assert command.experiment.goniometer.osc_deg == 0.75
    assert detector.mask is not None


def test_beam_centre_of_a_mask_is_flipped_to_the_bit() -> None:
    detector = parsed("-mask mask_header.img").experiment.detector
    assert detector.beam_x_mm == 4.4
    assert detector.beam_y_mm is not None
    assert detector.beam_y_mm / 1000.0 == 0.15 / 1000.0 * 72 - 6.1 / 1000.0


def header_file(path: Path, *lines: str, byte_order: str = "big_endian") -> Path:
    """An SMV image of 2 x 3 pixels, the first one 0, with these lines in its header."""
    layout = ("HEADER_BYTES=512;", "DIM=2;", f"BYTE_ORDER={byte_order};", "SIZE1=2;", "SIZE2=3;")
    header = "\n".join(["{", *layout, "TYPE=unsigned_short;", *lines, "}\f"])
    pixels = np.array([0, 256, 1, 1, 1, 1], ">u2" if byte_order == "big_endian" else "<u2")
    path.write_bytes(header.encode().ljust(512) + pixels.tobytes())
    return path


HEADER_LINES = (
    "PIXEL_SIZE=2;",
    "DISTANCE=100;",
    "CLOSE_DISTANCE=90;",
    "BEAM_CENTER_X=1;",
    "BEAM_CENTER_Y=1.5;",
    "XDS_ORGX=7;",
    "TWOTHETA=20;",
    "PHI=3;",
    "OSC_RANGE=0.5;",
)


@pytest.mark.parametrize("flag", ["-img", "-mask"])
def test_header_as_nanobragg_reads_it(flag: str, tmp_path: Path) -> None:
    header_file(tmp_path / "i.img", *HEADER_LINES)
    experiment = parse_command(f"{flag} i.img", tmp_path).experiment
    detector = experiment.detector
    assert (detector.distance_mm, detector.close_distance_mm) == (90.0, 90.0)
    assert (detector.beam_x_mm, detector.org_x_px) == (1.0, 7.0)
    assert detector.beam_y_mm == pytest.approx(4.5 if flag == "-mask" else 1.5)
    assert detector.twotheta_deg == 0.0
    assert (experiment.goniometer.phi_deg, experiment.goniometer.osc_deg) == (3.0, 0.5)


@pytest.mark.parametrize("flag", ["-img", "-mask"])
def test_header_by_whole_keywords(flag: str, tmp_path: Path) -> None:
    header_file(tmp_path / "i.img", *HEADER_LINES)
    quirks = dataclasses.replace(Quirks(), smv_header_search=False)
    experiment = parse_command(f"{flag} i.img", tmp_path, quirks=quirks).experiment
    detector = experiment.detector
    assert detector.shape == (3, 2)
    assert (detector.distance_mm, detector.close_distance_mm) == (100.0, 90.0)
    assert (detector.beam_x_mm, detector.beam_y_mm, detector.org_x_px) == (1.0, 1.5, None)
    assert (detector.twotheta_deg, detector.pivot) == (20.0, None)
    assert (experiment.goniometer.phi_deg, experiment.goniometer.osc_deg) == (3.0, 0.5)


@pytest.mark.parametrize("byte_order", ["big_endian", "little_endian"])
def test_byte_order_of_a_mask(byte_order: str, tmp_path: Path) -> None:
    """0 is 0 in any order, and a mask only asks for that."""
    header_file(tmp_path / "m.img", byte_order=byte_order)
    for on in (True, False):
        quirks = dataclasses.replace(Quirks(), smv_header_search=on)
        mask = parse_command("-mask m.img", tmp_path, quirks=quirks).experiment.detector.mask
        assert mask == Mask([[0, 1], [1, 1], [1, 1]])


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("number", ["nan", "-inf", "1e999"])
def test_header_number_that_is_not_finite(number: str, on: bool, tmp_path: Path) -> None:
    path = header_file(tmp_path / "i.img", f"PHI={number};")
    quirks = dataclasses.replace(Quirks(), smv_header_search=on)
    with pytest.raises(FileFormatError) as error:
        parse_command("-img i.img", tmp_path, quirks=quirks)
    assert str(error.value) == f"{path}: PHI: got {float(number)}, need a finite number"


FULL_HEADER = ("PIXEL_SIZE=0.1;", "DISTANCE=90;", "WAVELENGTH=1.1;", "BEAM_CENTER_X=1;")


@for_each(
    "left_out, options, missing",
    [
        ("", "", None),
        ("PIXEL_SIZE", "", "PIXEL_SIZE, and no option gives it"),
        ("PIXEL_SIZE", "-pixel 0.1", None),
        ("DISTANCE", "", "DISTANCE, and no option gives it"),
        ("DISTANCE", "-distance 80", None),
        ("DISTANCE", "-close_distance 80", None),
        ("WAVELENGTH", "", "WAVELENGTH, and no option gives it"),
        ("WAVELENGTH", "-lambda 1", None),
        ("WAVELENGTH", "-energy 12000", None),
        ("BEAM_CENTER", "", "BEAM_CENTER_X, BEAM_CENTER_Y, and no option gives"),
        ("BEAM_CENTER", "-Xbeam 1", None),
        ("BEAM_CENTER", "-ORGX 1 -ORGY 1", None),
        ("_", "", "PIXEL_SIZE, DISTANCE, WAVELENGTH, BEAM_CENTER_X, BEAM_CENTER_Y, and no option"),
    ],
)
def test_what_an_image_does_not_give_is_named(
    left_out: str, options: str, missing: str | None, tmp_path: Path
) -> None:
    lines = [line for line in FULL_HEADER if not left_out or left_out not in line]
    lines = [] if left_out == "_" else lines
    header_file(tmp_path / "i.img", *lines)
    args = f"-img i.img {options}"
    said = [text for text in parse_command(args, tmp_path).warnings if "the header has no" in text]
    if missing is None:
        assert said == []
        parse_command(args, tmp_path, strict=True)
    else:
        assert len(said) == 1
        assert f"{tmp_path / 'i.img'}: the header has no {missing}" in said[0]
        with pytest.raises(CommandLineError, match="the default counts"):
            parse_command(args, tmp_path, strict=True)
    assert parse_command(f"-mask i.img {options}", tmp_path).warnings == ()


def test_an_image_needs_no_pixels_but_a_mask_does(tmp_path: Path) -> None:
    path = header_file(tmp_path / "i.img", *FULL_HEADER)
    whole = path.read_bytes()
    assert parse_command("-img i.img", tmp_path, strict=True).warnings == ()
    for size in (len(whole) - 1, 512):
        path.write_bytes(whole[:size])
        command = parse_command("-img i.img", tmp_path)
        assert command.experiment.detector.shape == (3, 2)
        assert command.experiment.detector.distance_mm == 90.0
        [said] = command.warnings
        assert f"the file has {size}; only its header counts" in said
        with pytest.raises(CommandLineError, match="only its header counts"):
            parse_command("-img i.img", tmp_path, strict=True)
        with pytest.raises(FileFormatError, match=f"the file has {size}"):
            parse_command("-mask i.img", tmp_path)
    path.write_bytes(whole[:511])
    with pytest.raises(FileFormatError, match="HEADER_BYTES: got 512, but the file has 511 bytes"):
        parse_command("-img i.img", tmp_path)


def test_pixels_of_a_mask_have_the_type_that_its_header_states(tmp_path: Path) -> None:
    """With the quirk off; with it on, the bytes are 16-bit numbers and a warning says so."""
    header_file(tmp_path / "m.img", "TYPE=long;")
    data = np.array([[0, 9], [65536, 0], [-1, 3]], "<i4").tobytes()
    header = (tmp_path / "m.img").read_bytes()[:512].replace(b"big_endian", b"little_endian")
    (tmp_path / "m.img").write_bytes(header[:512].ljust(512) + data)
    off = dataclasses.replace(Quirks(), smv_header_search=False)
    mask = parse_command("-mask m.img", tmp_path, quirks=off).experiment.detector.mask
    assert mask == Mask([[0, 1], [1, 0], [1, 1]])
    with pytest.warns(NanobraggWarning, match="TYPE is long, but pixels are read as unsigned_sh"):
        mask = parse_command("-mask m.img", tmp_path).experiment.detector.mask
    assert mask == Mask([[0, 0], [1, 0], [0, 1]])


def test_header_without_sizes_but_dimensions() -> None:
    detector = parsed("-img donor_dimensions.img").experiment.detector
    assert (detector.n_fast, detector.n_slow) == (64, 64)


def test_mask_is_walked_in_the_order_of_the_image() -> None:
    whole = parsed("-mask mask_plain.img").experiment.detector.mask
    assert whole is not None
    assert whole.shape == (72, 64)
    other = parsed("-mask mask_plain.img -detpixels_f 60 -detpixels_s 70").experiment.detector.mask
    assert other is not None
    assert np.array_equal(other.values.ravel(), whole.values.ravel()[: 60 * 70])


def test_mask_smaller_than_the_image() -> None:
    with pytest.raises(ConfigError, match=r"64 x 72.*65 x 72"):
        parsed("-mask mask_plain.img -detpixels_f 65")
    parsed("-mask mask_plain.img -detpixels_f 63")


@pytest.mark.parametrize("flag", ["-mat", "-sourcefile", "-img", "-mask", "-stol", "-4stol", "-Q"])
def test_unreadable_file(flag: str) -> None:
    with pytest.raises(FileAccessError, match=r"nosuch\.file"):
        parsed(f"{flag} nosuch.file")


def test_files_of_the_wrong_kind(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for flag in ("-mat", "-sourcefile", "-img", "-mask"):
        with pytest.raises(FileFormatError, match="empty"):
            parse_command(f"{flag} empty", tmp_path)


_ODD_ON_PURPOSE = {
    "cubic_N0": "-N: got '0', which counts as 1",
    "flux_only": "-flux without -exposure and -beamsize: the fluence is that of the default",
}


@pytest.mark.filterwarnings("ignore:.* counts as 0", "ignore:.*quirk impossible_sources")
@pytest.mark.parametrize("case", table("cases"))
def test_recorded_command_lines_have_nothing_strict_about_them(case: str) -> None:
    if case in ("img_spaced", "img_dimensions"):
        with pytest.raises(CommandLineError, match=r"the header has no .*: the default counts"):
            parsed(table("cases")[case]["args"], strict=True)
        return
    if case in _ODD_ON_PURPOSE:
        with pytest.raises(CommandLineError, match=_ODD_ON_PURPOSE[case]):
            parsed(table("cases")[case]["args"], strict=True)
        return
    command = parsed(table("cases")[case]["args"], strict=True)
    told = ("cli_substring", "distance_beside_close")
    assert all(any(quirk in text for quirk in told) for text in command.warnings)
