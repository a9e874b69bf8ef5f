"""The flag table of the nanoBragg command, as data.

One row per meaning.  A row fires for an argument that starts with '-' and *has* one of its
spellings somewhere in it, or *is* one of them, and several rows may fire for one argument (quirk
cli_substring): -misset_seed also *has* -misset.  With that quirk off a row fires for its whole
words alone.  `parse` reads the table, `emit` writes arguments from it, `help` prints it, the tests
walk it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Match = Literal["has", "is"]
Kind = Literal["float", "int", "seed", "text", "file", "switch"]
# What a value that nanoBragg takes for "not given", or clamps, is turned into.
Rule = Literal[
    "as is",
    "negative is not given",
    "not positive is not given",
    "not positive is zero",
    "below one is one",
    "zero is one, negative is not given",
    "zero is not given",
]
Pivot = Literal["", "beam", "sample"]

SUBJECTS = (
    "crystal",
    "crystal orientation",
    "crystal size and shape",
    "mosaicity",
    "structure factors",
    "beam",
    "beam spread",
    "polarization",
    "spindle",
    "detector geometry",
    "detector convention and axes",
    "sensor",
    "sampling",
    "files read before all other flags",
    "files written",
    "image scaling and noise",
    "printing",
    "accepted without effect",
)


class Flag(NamedTuple):
    """One row: which arguments fire it, the values it takes, and what they mean.

    `targets` are dotted config paths that get the value (one flag may set several alike); a row
    whose meaning is more than that names its reader in `action`.  A field is emitted with the first
    row that sets it alone; a switch, with the row whose `value` it has.
    """

    spellings: tuple[str, ...]
    subject: str
    help: str
    kind: Kind = "float"
    match: Match = "has"
    words: tuple[str, ...] = ("X",)  # names of the values that follow
    unit: str = ""
    targets: tuple[str, ...] = ()
    rule: Rule = "as is"
    value: object = None  # what a switch sets
    pivot: Pivot = ""  # the pivot this flag implies
    action: str = "set"
    unless: tuple[str, ...] = ()  # arguments with one of these belong to another row alone
    emitted: str = ""  # the whole word that is emitted, if not the first spelling
    is_ours: bool = False  # nanoBragg does not have it and would pass over it

    @property
    def whole_words(self) -> tuple[str, ...]:
        """The arguments that fire the row with the quirk cli_substring off."""
        return tuple(word for s in self.spellings for word in LONGER.get(s, (s,)))

    @property
    def option(self) -> str:
        """The argument that `emit` writes for this row."""
        return self.emitted or self.spellings[0]

    def fires(self, argument: str, *, whole: bool = False) -> bool:
        """Whether `argument` (which starts with '-') makes this row act; with `whole`, it must be
        one of `whole_words`."""
        if whole:
            return argument in self.whole_words
        if self.match == "is":
            return argument in self.spellings
        found = any(s in argument for s in self.spellings)
        return found and not any(u in argument for u in self.unless)

    def match_length(self, argument: str) -> int:
        """Length of the longest spelling in `argument`; the row that it names has the longest."""
        return max((len(s) for s in self.spellings if s in argument), default=0)


def _number(
    spellings: str,
    subject: str,
    unit: str,
    target: str,
    text: str,
    *,
    kind: Kind = "float",
    match: Match = "has",
    rule: Rule = "as is",
    pivot: Pivot = "",
    words: tuple[str, ...] = ("X",),
    unless: tuple[str, ...] = (),
    emitted: str = "",
    is_ours: bool = False,
) -> Flag:
    name = "N" if kind in ("int", "seed") and words == ("X",) else words[0]
    return Flag(
        tuple(spellings.split()),
        subject,
        text,
        kind=kind,
        match=match,
        words=(name, *words[1:]),
        unit=unit,
        targets=tuple(target.split()),
        rule=rule,
        pivot=pivot,
        unless=unless,
        emitted=emitted,
        is_ours=is_ours,
    )


def _switch(
    spellings: str,
    subject: str,
    target: str,
    value: object,
    text: str,
    *,
    action: str = "set",
    pivot: Pivot = "",
    emitted: str = "",
    is_ours: bool = False,
) -> Flag:
    return Flag(
        tuple(spellings.split()),
        subject,
        text,
        kind="switch",
        words=(),
        targets=tuple(target.split()),
        value=value,
        action=action,
        pivot=pivot,
        emitted=emitted,
        is_ours=is_ours,
    )


def _vector(spellings: str, target: str, text: str, unless: tuple[str, ...] = ()) -> Flag:
    return Flag(
        tuple(spellings.split()),
        "detector convention and axes",
        text,
        words=("X", "Y", "Z"),
        unit="mm" if "_mm" in spellings else "m" if "pix0" in spellings else "",
        targets=(target,),
        action="vector",
        unless=unless,
    )


def _file(
    spellings: str,
    subject: str,
    action: str,
    text: str,
    *,
    match: Match = "has",
    target: str = "",
    value: str | None = None,
    is_ours: bool = False,
) -> Flag:
    return Flag(
        tuple(spellings.split()),
        subject,
        text,
        kind="file",
        match=match,
        words=("FILE",),
        action=action,
        targets=(target,) if target else (),
        value=value,
        is_ours=is_ours,
    )


def _no_effect(spellings: str, text: str, *, match: Match = "has", words: str = "X") -> Flag:
    return Flag(
        tuple(spellings.split()),
        "accepted without effect",
        text,
        kind="text",
        match=match,
        words=tuple(words.split()),
        action="no effect",
    )


# fmt: off
FLAGS: tuple[Flag, ...] = (
    # crystal
    Flag(
        ("-cell",), "crystal",
        "unit cell; numbers left out keep those of an earlier -cell, else b = c = a and 90 degrees",
        words=("A", "B", "C", "ALPHA", "BETA", "GAMMA"), unit="angstrom, degrees", action="cell"
    ),
    _file(
        "-mat", "crystal", "matrix", "orientation matrix: components of a*, b*, c* times lambda",
        target="crystal.orientation_matrix"
    ),
    _number(
        "-N", "crystal", "cells", "crystal.n_cells.0 crystal.n_cells.1 crystal.n_cells.2",
        "unit cells along a, b and c", kind="int", match="is", rule="below one is one"
    ),
    _number(
        "-Na", "crystal", "cells", "crystal.n_cells.0", "unit cells along a", kind="int",
        rule="below one is one"
    ),
    _number(
        "-Nb", "crystal", "cells", "crystal.n_cells.1", "unit cells along b", kind="int",
        rule="below one is one"
    ),
    _number(
        "-Nc", "crystal", "cells", "crystal.n_cells.2", "unit cells along c", kind="int",
        rule="below one is one"
    ),
    # crystal orientation
    Flag(
        ("-misset",), "crystal orientation", "missetting angles about x, y, z, or the word random",
        words=("X", "Y", "Z"), unit="degrees", action="misset"
    ),
    _number(
        "-misset_seed", "crystal orientation", "", "crystal.misset_seed",
        (
            "seed of the random missetting; under quirk cli_substring the next three words also "
            "become missetting angles, so give -misset after it"
        ),
        kind="seed"
    ),
    # crystal size and shape
    _number(
        "-xtalsize -xtal_size -samplesize -sample_size", "crystal size and shape", "mm",
        "crystal.size_mm.0 crystal.size_mm.1 crystal.size_mm.2",
        "crystal size along a, b and c; replaces the numbers of cells",
        rule="not positive is not given"
    ),
    _number(
        "-xtal_x -xtal_thick -sample_x -sample_thick", "crystal size and shape", "mm",
        "crystal.size_mm.0", "crystal size along a", rule="not positive is not given"
    ),
    _number(
        "-xtal_y -xtal_width -sample_y -sample_width -width", "crystal size and shape", "mm",
        "crystal.size_mm.1", "crystal size along b", rule="not positive is not given"
    ),
    _number(
        "-xtal_z -xtal_heigh -sample_z -sample_heigh -heigh", "crystal size and shape", "mm",
        "crystal.size_mm.2", "crystal size along c", rule="not positive is not given"
    ),
    _switch(
        "-square_xtal", "crystal size and shape", "crystal.shape", "square",
        "parallelepiped crystal (default)"
    ),
    _switch("-round_xtal", "crystal size and shape", "crystal.shape", "round", "ellipsoid crystal"),
    _switch("-gauss_xtal", "crystal size and shape", "crystal.shape", "gauss", "Gaussian spots"),
    _switch(
        "-binary_spots -tophat_spots", "crystal size and shape", "crystal.shape", "tophat",
        "spots that are either on or off", emitted="-tophat_spots"
    ),
    _switch(
        "-gauss_hkl_xtal", "crystal size and shape", "crystal.shape", "gauss_hkl",
        "Gaussian spots measured in h, k, l", is_ours=True
    ),
    _switch(
        "-tophat_hkl_spots", "crystal size and shape", "crystal.shape", "tophat_hkl",
        "on-or-off spots measured in h, k, l", is_ours=True
    ),
    _number(
        "-fudge", "crystal size and shape", "", "crystal.shape_fudge",
        "factor on the squared radius in round, Gaussian and on-or-off shapes: more is sharper"
    ),
    _number(
        "-water", "crystal size and shape", "um", "crystal.water_um",
        "size of the water volume that gives the background"
    ),
    # mosaicity
    Flag(
        ("-mosaic",), "mosaicity", "mosaic spread", match="is", unit="degrees",
        targets=("crystal.mosaic_spread_deg",), rule="negative is not given"
    ),
    _number(
        "-mosaici -mosaic_spr", "mosaicity", "degrees", "crystal.mosaic_spread_deg", "the same",
        rule="negative is not given"
    ),
    _number(
        "-mosaic_dom", "mosaicity", "domains", "crystal.mosaic_domains", "number of mosaic domains",
        kind="int", rule="not positive is not given", emitted="-mosaic_domains"
    ),
    _file(
        "-mosaic_rotations", "mosaicity", "rotations",
        "the domains themselves: a matrix or vector (degrees), and a weight, in each line",
        match="is", target="crystal.mosaic_rotations", is_ours=True
    ),
    _number(
        "-mosaic_seed", "mosaicity", "", "crystal.mosaic_seed", "seed of the domains", kind="seed"
    ),
    # structure factors
    _file("-hkl", "structure factors", "hkl", "h k l F in P1 with Friedel mates, or MTZ, CIF, PDB"),
    Flag(
        ("-default_F",), "structure factors", "structure factor of reflections that no file gives",
        unit="electrons", action="default_f"
    ),
    _file(
        "-dump -Fdump", "structure factors", "dump",
        "binary table: written when -hkl is read, else read (Fdump.bin)"
    ),
    # beam
    _number(
        "-lambda -wave", "beam", "angstrom", "beam.wavelength_angstrom", "wavelength", words=("X",)
    ),
    Flag(("-energy",), "beam", "photon energy, instead of -lambda", unit="eV", action="energy"),
    _number(
        "-fluence", "beam", "photons/m^2", "beam.fluence_photons_per_m2",
        "photons per area, used when flux is 0"
    ),
    _number("-flux", "beam", "photons/s", "beam.flux_photons_per_s", "photons per second"),
    _number("-exposure", "beam", "s", "beam.exposure_s", "exposure time"),
    _number(
        "-beamsize", "beam", "mm", "beam.beam_size_mm",
        "width of the square beam; also clips the crystal size"
    ),
    # beam spread
    _number(
        "-dispersion", "beam spread", "percent", "beam.dispersion_percent",
        "full width of the wavelength spread", rule="negative is not given"
    ),
    _number(
        "-dispsteps", "beam spread", "", "beam.dispersion_steps", "wavelengths in the spread",
        kind="int", rule="not positive is not given"
    ),
    _number(
        "-divergence", "beam spread", "mrad", "beam.divergence_h_mrad beam.divergence_v_mrad",
        "full horizontal and vertical divergence", rule="negative is not given"
    ),
    _number(
        "-hdivrange", "beam spread", "mrad", "beam.divergence_h_mrad", "full horizontal divergence",
        rule="negative is not given"
    ),
    _number(
        "-vdivrange", "beam spread", "mrad", "beam.divergence_v_mrad", "full vertical divergence",
        rule="negative is not given"
    ),
    _number(
        "-divsteps", "beam spread", "", "beam.divergence_h_steps beam.divergence_v_steps",
        "directions across each divergence", kind="int", rule="not positive is not given"
    ),
    _number(
        "-hdivsteps", "beam spread", "", "beam.divergence_h_steps",
        "directions across the horizontal divergence", kind="int", rule="not positive is not given"
    ),
    _number(
        "-vdivsteps", "beam spread", "", "beam.divergence_v_steps",
        "directions across the vertical divergence", kind="int", rule="not positive is not given"
    ),
    _number(
        "-hdivstep", "beam spread", "mrad", "beam.divergence_h_step_mrad",
        "step of the horizontal divergence", match="is", rule="not positive is not given"
    ),
    _number(
        "-vdivstep", "beam spread", "mrad", "beam.divergence_v_step_mrad",
        "step of the vertical divergence", match="is", rule="not positive is not given"
    ),
    _switch(
        "-round_div", "beam spread", "beam.divergence_shape", "round",
        "directions inside an ellipse only (default)"
    ),
    _switch(
        "-square_div", "beam spread", "beam.divergence_shape", "square",
        "all directions of the rectangle"
    ),
    _file(
        "-sourcefile", "beam spread", "sources", "source list: x y z weight wavelength(m)",
        target="beam.sources"
    ),
    _file(
        "-spectrum", "beam spread", "spectrum",
        "spectrum for every direction: energy or wavelength and weight; it says eV or angstrom",
        match="is", target="beam.spectrum", is_ours=True
    ),
    _file(
        "-spectrum_ev", "beam spread", "spectrum", "the same, with energies in eV",
        match="is", target="beam.spectrum", value="eV", is_ours=True
    ),
    _file(
        "-spectrum_angstrom", "beam spread", "spectrum", "the same, with wavelengths in angstrom",
        match="is", target="beam.spectrum", value="angstrom", is_ours=True
    ),
    # polarization
    Flag(
        ("-polar",), "polarization", "Kahn polarization factor, -1 to 1; undoes -nopolar",
        match="is", targets=("beam.polarization_kahn",), action="polar"
    ),
    _switch(
        "-nopolar", "polarization", "beam.polarization_correction", False,
        "no polarization correction"
    ),
    # spindle
    _number(
        "-phi", "spindle", "degrees", "goniometer.phi_deg", "start of the oscillation", match="is"
    ),
    _number(
        "-osc", "spindle", "degrees", "goniometer.osc_deg", "oscillation range",
        rule="negative is not given"
    ),
    _number(
        "-phisteps", "spindle", "", "goniometer.phi_steps", "steps of the oscillation", kind="int",
        rule="zero is one, negative is not given"
    ),
    _number(
        "-phistep", "spindle", "degrees", "goniometer.phi_step_deg", "step of the oscillation",
        match="is", rule="negative is not given"
    ),
    # detector geometry
    _number(
        "-distance", "detector geometry", "mm", "detector.distance_mm",
        "sample to the direct-beam spot", pivot="beam"
    ),
    _number(
        "-close_distance", "detector geometry", "mm", "detector.close_distance_mm",
        "sample to the nearest point of the detector plane", pivot="sample"
    ),
    _number("-pixel", "detector geometry", "mm", "detector.pixel_size_mm", "pixel size"),
    _number(
        "-detpixels", "detector geometry", "pixels", "detector.n_fast detector.n_slow",
        "pixels along fast and slow; 0: from -detsize", kind="int", match="is",
        rule="zero is not given"
    ),
    _number(
        "-detpixels_f -detpixels_x", "detector geometry", "pixels", "detector.n_fast",
        "pixels along fast; 0: from -detsize_f", kind="int", rule="zero is not given"
    ),
    _number(
        "-detpixels_s -detpixels_y", "detector geometry", "pixels", "detector.n_slow",
        "pixels along slow; 0: from -detsize_s", kind="int", rule="zero is not given"
    ),
    _number(
        "-detsize", "detector geometry", "mm", "detector.size_fast_mm detector.size_slow_mm",
        "detector size, where pixels are not counted", match="is"
    ),
    _number(
        "-detsize_f", "detector geometry", "mm", "detector.size_fast_mm",
        "detector size along fast"
    ),
    _number(
        "-detsize_s", "detector geometry", "mm", "detector.size_slow_mm",
        "detector size along slow"
    ),
    _number(
        "-Xbeam", "detector geometry", "mm", "detector.beam_x_mm",
        "direct-beam centre, in the convention's sense", pivot="beam"
    ),
    _number(
        "-Ybeam", "detector geometry", "mm", "detector.beam_y_mm",
        "direct-beam centre, in the convention's sense", pivot="beam"
    ),
    _number(
        "-Xclose", "detector geometry", "mm", "detector.close_x_mm", "point nearest to the sample",
        pivot="sample"
    ),
    _number(
        "-Yclose", "detector geometry", "mm", "detector.close_y_mm", "point nearest to the sample",
        pivot="sample"
    ),
    _number(
        "-ORGX", "detector geometry", "pixels", "detector.org_x_px", "XDS origin along fast",
        pivot="sample"
    ),
    _number(
        "-ORGY", "detector geometry", "pixels", "detector.org_y_px", "XDS origin along slow",
        pivot="sample"
    ),
    _number(
        "-detector_rotx", "detector geometry", "degrees", "detector.rotation_deg.0",
        "detector rotation about x"
    ),
    _number(
        "-detector_roty", "detector geometry", "degrees", "detector.rotation_deg.1",
        "detector rotation about y"
    ),
    _number(
        "-detector_rotz", "detector geometry", "degrees", "detector.rotation_deg.2",
        "detector rotation about z"
    ),
    _number(
        "-twotheta", "detector geometry", "degrees", "detector.twotheta_deg",
        "detector rotation about the two-theta axis", pivot="sample"
    ),
    Flag(
        ("-pivot",), "detector geometry",
        "the point that stays in place when the detector turns: beam or sample", kind="text",
        words=("POINT",), action="pivot"
    ),
    Flag(
        ("-curved_det",), "detector geometry",
        (
            "all pixels at the same distance; under quirk curved_needs_argument ignored as the last"
            " word"
        ),
        kind="switch", words=(), targets=("detector.curved",), value=True, action="curved"
    ),
    _switch(
        "-point_pixel", "detector geometry", "detector.point_pixel", True,
        "solid angle of a point: 1/R^2 without the obliquity"
    ),
    # detector convention and axes
    _switch(
        "-mosflm", "detector convention and axes", "detector.convention", "mosflm",
        "MOSFLM's beam centre and axes (default)", action="convention", pivot="beam"
    ),
    _switch(
        "-xds", "detector convention and axes", "detector.convention", "xds",
        "XDS's beam centre and axes", action="convention", pivot="sample"
    ),
    _switch(
        "-adxv", "detector convention and axes", "detector.convention", "adxv",
        "ADXV's beam centre and axes", action="convention", pivot="beam"
    ),
    _switch(
        "-denzo", "detector convention and axes", "detector.convention", "denzo",
        "DENZO's beam centre and axes", action="convention", pivot="beam"
    ),
    _switch(
        "-dials", "detector convention and axes", "detector.convention", "dials",
        "DIALS's beam centre and axes", action="convention", pivot="beam"
    ),
    _vector("-fdet_vector", "detector.fast_axis", "direction of increasing fast coordinate"),
    _vector("-sdet_vector", "detector.slow_axis", "direction of increasing slow coordinate"),
    _vector("-odet_vector", "detector.normal_axis", "detector normal; 0 0 0: fast x slow"),
    _vector("-beam_vector", "beam.direction", "direction of the beam"),
    _vector("-polar_vector", "beam.polarization_axis", "direction of the polarization (E vector)"),
    _vector("-spindle_axis", "goniometer.spindle_axis", "spindle axis"),
    _vector(
        "-twotheta_axis", "detector.twotheta_axis",
        (
            "two-theta axis; under quirk cli_substring X also becomes the two-theta angle, so give "
            "-twotheta after it"
        ),
    ),
    _vector(
        "-pix0_vector", "detector.pix0_m",
        "corner of the first pixel; under quirk pix0_ignored only selects CUSTOM",
        unless=("-pix0_vector_mm",)
    ),
    _vector("-pix0_vector_mm", "detector.pix0_m", "the same in millimetres"),
    # sensor
    Flag(
        ("-detector_abs",), "sensor",
        "attenuation depth; inf or 0: no absorption, and thickness 0 until it is given again",
        unit="um", targets=("detector.sensor_attenuation_depth_um",), action="attenuation"
    ),
    _number(
        "-detector_thick", "sensor", "um", "detector.sensor_thickness_um", "sensor thickness",
        match="is", rule="negative is not given"
    ),
    _number(
        "-detector_thicksteps -thicksteps", "sensor", "", "detector.sensor_layers", "sensor layers",
        kind="int", rule="not positive is not given"
    ),
    # sampling
    _number(
        "-oversample", "sampling", "", "sampling.oversample",
        "sub-pixels along each side of a pixel", kind="int", rule="not positive is not given",
        unless=("-oversample_thick", "-oversample_polar", "-oversample_omega")
    ),
    _switch(
        "-oversample_thick", "sampling", "sampling.oversample_thick", True,
        "absorption at every sub-pixel"
    ),
    _switch(
        "-oversample_polar", "sampling", "sampling.oversample_polar", True,
        "polarization at every sub-pixel"
    ),
    _switch(
        "-oversample_omega", "sampling", "sampling.oversample_omega", True,
        "solid angle at every sub-pixel"
    ),
    _switch(
        "-interpolate", "sampling", "sampling.interpolate", True,
        "tricubic interpolation between structure factors"
    ),
    _switch(
        "-nointerpolate", "sampling", "sampling.interpolate", False,
        "structure factor of the nearest reflection"
    ),
    Flag(
        ("-roi",), "sampling",
        "render only these pixels, bounds included; -1 as an upper bound: to the edge", kind="int",
        words=("XMIN", "XMAX", "YMIN", "YMAX"), unit="pixels", action="roi"
    ),
    _number(
        "-dmin", "sampling", "angstrom", "sampling.dmin_angstrom",
        "leave out everything beyond this resolution; 0: no limit", rule="not positive is zero"
    ),
    # files read before all other flags
    _file(
        "-img", "files read before all other flags", "first",
        "SMV image whose header sets size, pixel, distance, wavelength, beam centre and spindle"
    ),
    _file(
        "-mask", "files read before all other flags", "first",
        "SMV image whose pixels of value 0 are left out; its header acts like that of -img",
        target="detector.mask"
    ),
    # files written
    _file(
        "-floatfile -floatimage", "files written", "float file", "32-bit floats (floatimage.bin)"
    ),
    _file("-intfile -intimage", "files written", "int file", "SMV image (intimage.img)"),
    _file("-pgmfile -pgmimage", "files written", "pgm file", "PGM picture (image.pgm)"),
    _file(
        "-noisefile -noiseimage", "files written", "noise file",
        "SMV image with photon noise (noiseimage.img)"
    ),
    _switch("-nopgm", "files written", "", None, "no PGM picture", action="no pgm"),
    _switch("-nonoise", "files written", "", None, "no noise image", action="no noise"),
    # image scaling and noise
    _number(
        "-scale", "image scaling and noise", "", "output.intensity_scale",
        "scale of the SMV image; 0: brightest pixel at 55000", rule="not positive is not given"
    ),
    _number(
        "-adc", "image scaling and noise", "counts", "output.adc_offset",
        "added to every SMV pixel"
    ),
    _number(
        "-pgmscale", "image scaling and noise", "", "output.pgm_scale",
        "scale of the PGM picture, which it asks for; 0: from the spread of the image",
        rule="not positive is not given"
    )._replace(action="pgm scale"),
    _number(
        "-seed", "image scaling and noise", "", "output.noise_seed",
        "seed of the noise image; without it the clock", kind="seed"
    ),
    # printing
    _switch(
        "-printout", "printing", "", None, "print the last state of the loops for every pixel",
        action="printout"
    ),
    Flag(
        ("-printout_pixel",), "printing", "print that state for one pixel only", kind="int",
        words=("FAST", "SLOW"), unit="pixels", action="printout pixel"
    ),
    Flag(
        ("-trace_pixel",), "printing", "print the whole chain of numbers of one pixel", kind="int",
        words=("SLOW", "FAST"), unit="pixels", action="trace pixel"
    ),
    _switch("-progress", "printing", "", True, "show progress (default)", action="progress"),
    _switch("-noprogress", "printing", "", False, "no progress", action="progress"),
    # accepted without effect
    _no_effect("-coherent", "interference of all sources", words=""),
    _no_effect("-density -sample_den", "crystal density"),
    _no_effect("-MW", "molecular weight", match="is"),
    _no_effect("-molec", "molecular weight"),
    _file(
        "-stol -4stol -Q", "accepted without effect", "ignored file", "scattering curve",
        match="is"
    ),
    _no_effect("-stolout", "scattering curve to write", match="is", words="FILE"),
)
# fmt: on

LONGER: dict[str, tuple[str, ...]] = {
    "-mosaici": ("-mosaicity",),
    "-mosaic_spr": ("-mosaic_spread",),
    "-mosaic_dom": ("-mosaic_dom", "-mosaic_domains"),
    "-xtal_thick": ("-xtal_thick", "-xtal_thickness"),
    "-sample_thick": ("-sample_thick", "-sample_thickness"),
    "-xtal_heigh": ("-xtal_height",),
    "-sample_heigh": ("-sample_height",),
    "-heigh": ("-height",),
    "-sample_den": ("-sample_density",),
    "-molec": ("-molecular_weight",),
    "-wave": ("-wave", "-wavelength"),
    "-curved_det": ("-curved_det", "-curved_detector"),
}
"""The whole words for which a spelling stands that is, or may be, only the beginning of one."""

STEMS = frozenset(LONGER) - {"-xtal_thick", "-sample_thick", "-curved_det"}
"""Spellings that are the beginnings of words rather than words."""


class OwnOption(NamedTuple):
    """A double-dash option that nanoBragg does not have."""

    spelling: str
    value: str  # name of its value, empty for a switch
    help: str


OWN_OPTIONS: tuple[OwnOption, ...] = (
    OwnOption("--help", "", "print this text; so do -h and -help"),
    OwnOption("--version", "", "print the version"),
    OwnOption(
        "--backend",
        "NAME",
        "what renders the image: c, torch where it is installed, reference (NB_C_BIN)",
    ),
    OwnOption(
        "--kernel",
        "NAME",
        "c: auto, exact, baseline, avx2, avx512 (same bytes); torch: auto, compiled, triton, eager",
    ),
    OwnOption(
        "--tolerance",
        "PHOTONS",
        "leave out steps whose light in a pixel is less than this in all (c: 0 gives exact bytes)",
    ),
    OwnOption("--device", "NAME", "torch: cpu, cuda, cuda:1, auto"),
    OwnOption("--dtype", "NAME", "torch: float64, or float32 with phases in float64"),
    OwnOption("--exact", "", "torch with the kernel triton: nanoBragg's bytes, as c has them"),
    OwnOption(
        "--threads",
        "N",
        "threads (default: the cores that affinity and container allow)",
    ),
    OwnOption("--quirks", "SPEC", "nanobragg (default), nanobragg-fixed, or toggles: none,+name"),
    OwnOption(
        "--strict",
        "",
        "errors instead of warnings: unknown words, values that are odd or not used, an image that "
        "is dark or has pixels that are NaN, infinite or below 0",
    ),
    OwnOption(
        "--response",
        "FILE",
        "JSON of a response and a background: also write what the detector reads out",
    ),
    OwnOption("--counts", "FILE", "where that goes, as numpy's .npy (counts.npy)"),
    OwnOption(
        "--format",
        "NAME",
        "of the images of -intfile, -noisefile and --counts: smv, smv-adsc, cbf, nxmx, tiff "
        "(default: what their names end in, else smv)",
    ),
    OwnOption(
        "--experiment",
        "FILE",
        "beam, detector, rotation, crystal of a geometry file (.expt, XDS.INP, XPARM.XDS, .geom, "
        "CBF, SMV, NXmx); options count for the rest",
    ),
    OwnOption("--image", "N", "of --experiment: this image of its scan (default: the first)"),
    OwnOption(
        "--panel", "NAME", "of --experiment: this panel of its detector, or its number from 0"
    ),
    OwnOption(
        "--column",
        "LABEL",
        "of -hkl with MTZ or CIF: these amplitudes or intensities; a pair as A,B",
    ),
    OwnOption("--json", "FILE", "write facts, statistics, files and warnings for scripts"),
)
