"""nanoBragg's arguments -> `Command` (docs/files_and_command_line.md).

Arguments are scanned once, left to right; every row of the flag table that fires acts, and the
values it took are scanned as options again, as nanoBragg does.  -mask and -img come before all of
that.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from nanobragg_hybrid.arguments.argument_reader import ArgumentReader, normalised
from nanobragg_hybrid.arguments.command import Command
from nanobragg_hybrid.arguments.fields import Fields
from nanobragg_hybrid.arguments.flags import FLAGS, Flag
from nanobragg_hybrid.arguments.input_files import InputFiles
from nanobragg_hybrid.base.arrays import as_ndarray
from nanobragg_hybrid.base.atomic import check_path
from nanobragg_hybrid.base.constants import (
    DEFAULT_DUMP_FILE,
    DEFAULT_FLOAT_FILE,
    DEFAULT_INT_FILE,
    DEFAULT_NOISE_FILE,
    DEFAULT_PGM_FILE,
)
from nanobragg_hybrid.base.errors import (
    CommandLineError,
    ConfigError,
    NanobraggWarning,
    quoted,
    suggestion,
)
from nanobragg_hybrid.base.units import energy_ev_to_wavelength_angstrom, mm_to_m
from nanobragg_hybrid.formats.text import read_bytes
from nanobragg_hybrid.model.detector import Detector
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.mask import Mask
from nanobragg_hybrid.model.quirks import Quirks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.arguments.header import ImageGeometry
    from nanobragg_hybrid.formats.spectrum_file import SpectrumUnit


Complete = Callable[[Experiment, Callable[[str], None]], Experiment]
"""What makes of the words' experiment the one that counts, and complains of words that do not."""


def parse_command(
    args: str | Sequence[str],
    folder: str | os.PathLike[str] = ".",
    *,
    quirks: Quirks | None = None,
    strict: bool = False,
    complete: Complete | None = None,
) -> Command:
    """Reads a nanoBragg command line (without the program's name) into a `Command`.

    `args` may be one string, which is split as a shell would.  File names are looked up in
    `folder`: -mask, -img, -mat, -sourcefile, -spectrum and -mosaic_rotations are read here,
    structure factors are not.  With `strict`, unknown options, missing values and numbers with
    something behind them are errors; without it they become warnings.  `complete` gets the
    experiment of the words and what to call with complaints, and returns the experiment that
    counts.

    Raises `CommandLineError` for arguments that cannot be carried out, `ConfigError` for values
    outside their field's range, `FileAccessError` and `FileFormatError` for the files read here.
    """
    quirks = Quirks.nanobragg() if quirks is None else quirks
    if not isinstance(args, str | list | tuple):
        raise ConfigError("args", args, "a command line, or a list of its words")
    arg_list = _split(args) if isinstance(args, str) else [str(arg) for arg in args]
    check_path(folder, "folder")
    return parse_args(arg_list, Path(folder), quirks, strict=strict, complete=complete)


def parse_args(
    args: list[str],
    folder: Path,
    quirks: Quirks,
    *,
    strict: bool = False,
    files: InputFiles | None = None,
    complete: Complete | None = None,
) -> Command:
    """The same of a list of arguments; `files` reads the files that are read here."""
    return _Parser(args, folder, quirks, strict, files or InputFiles(), complete).run()


def experiment_from_args(args: str | Sequence[str], folder: str | os.PathLike[str]) -> Experiment:
    """The experiment that a command line means; see `Experiment.from_nanobragg_args`."""
    command = parse_command(args, folder)
    for text in command.warnings:
        warnings.warn(text, NanobraggWarning, stacklevel=3)
    return command.experiment


def _split(text: str) -> list[str]:
    import shlex

    try:
        return shlex.split(text)
    except ValueError as error:
        raise CommandLineError(f"{quoted(text)}: {error}") from None


class _Option(NamedTuple):
    """One row that fires: where, and the arguments behind the option, six at most."""

    flag: Flag
    reader: ArgumentReader
    position: int
    values: list[str]

    @property
    def name(self) -> str:
        """The option itself, as it was given."""
        return self.reader.option


_FLUX: Final = (
    ("-flux", "beam.flux_photons_per_s"),
    ("-exposure", "beam.exposure_s"),
    ("-beamsize", "beam.beam_size_mm"),
)
_LAYERS: Final = {
    False: "-thicksteps {0} has no effect without -detector_thick: there is no sensor",
    True: "-thicksteps {0} without -detector_thick: the sensor's thickness is made up",
}
"""By whether the thickness is left open."""


def _taken_as(flag: Flag, number: float | int, counted: float | int | None) -> str | None:
    """What nanoBragg takes a number for that can hardly be meant; None: for itself, or the flag's
    documentation says it."""
    if counted is None:
        # 0 asks for the default where an option's text says so, and of lengths and ranges.
        is_meant = number == 0 and flag.rule != "zero is not given" and flag.kind != "int"
        is_said = number == 0 and flag.targets == ("sampling.oversample",)
        return None if is_meant or is_said else "is as if not given"
    if counted != number and flag.rule != "not positive is zero":
        return f"counts as {counted:g}"
    return None


class _Parser:
    def __init__(
        self,
        args: list[str],
        folder: Path,
        quirks: Quirks,
        strict: bool,
        files: InputFiles,
        complete: Complete | None,
    ) -> None:
        self.args = args
        self.folder = folder
        self.quirks = quirks
        self.strict = strict
        self.files = files
        self.complete = complete
        self.fields = Fields()
        self.warnings: list[str] = []
        self.taken: set[int] = set()  # indices of arguments that are an option's value
        self.mask: NDArray[np.bool_] | None = None
        self.header_shape: tuple[int, ...] | None = None
        self.header_pixel_mm = 0.0
        self.image_path: Path | None = None  # of the last -img
        self.cell: list[float] = []
        self.vectors: dict[str, tuple[float, ...]] = {}
        self.image_geometry: ImageGeometry | None = None  # of -img and -mask
        self.convention = "mosflm"
        self.convention_given = False
        self.vector_is_last = False  # no convention was named after the last vector
        self.pivot: str | None = None  # from -pivot itself
        self.implied_pivot: str | None = None  # from the last flag that implies one
        self.named_pivot: str | None = None  # from the last of all of them, conventions too
        self.matrix_path: Path | None = None
        self.source_path: Path | None = None
        self.rotations_path: Path | None = None
        self.spectrum_path: Path | None = None
        self.spectrum_unit: SpectrumUnit | None = None  # None: the file says it
        self.hkl_path: Path | None = None
        self.dump_path = folder / DEFAULT_DUMP_FILE
        self.dump_named = False
        self.default_f = 0.0
        self.float_path = folder / DEFAULT_FLOAT_FILE
        self.int_path = folder / DEFAULT_INT_FILE
        self.pgm_path = folder / DEFAULT_PGM_FILE
        self.pgm_wanted = True
        self.noise_path = folder / DEFAULT_NOISE_FILE
        self.noise_wanted = True
        self.printout = False
        self.printout_pixel: tuple[int, int] | None = None
        self.trace_pixel: tuple[int, int] | None = None
        self.progress = True
        self.ignored: list[str] = []
        self.inputs: list[Path] = []

    def run(self) -> Command:
        self.read_first_files()
        for position, argument in enumerate(self.args):
            if argument.startswith("-"):
                self.option(position, argument)
            elif position not in self.taken and argument:
                self.complain(f"{quoted(argument)} belongs to no option")
        self.settle()
        experiment = self.fields.build()
        if self.complete is not None:
            experiment = self.complete(experiment, self.complain)
        experiment = self.masked(experiment)
        self.leave_out_pixels_outside(experiment.detector.shape)
        return Command(
            experiment=experiment,
            quirks=self.quirks,
            hkl_path=self.hkl_path,
            dump_path=self.dump_path,
            dump_named=self.dump_named,
            default_f=self.default_f,
            float_path=self.float_path,
            int_path=self.int_path,
            pgm_path=self.pgm_path if self.pgm_wanted else None,
            noise_path=self.noise_path if self.noise_wanted else None,
            printout=self.printout,
            printout_pixel=self.printout_pixel,
            trace_pixel=self.trace_pixel,
            progress=self.progress,
            ignored=tuple(self.ignored),
            warnings=tuple(self.warnings),
            inputs=tuple(self.inputs),
        )

    def complain(self, text: str) -> None:
        """A warning, or an error if the command is to be taken strictly."""
        if self.strict:
            raise CommandLineError(text)
        self.warnings.append(text)

    def read_first_files(self) -> None:
        """-mask, then -img."""
        for spelling in ("-mask", "-img"):
            for option, name in zip(self.args, self.args[1:], strict=False):
                if option == spelling or (
                    self.quirks.cli_substring and option.startswith("-") and spelling in option
                ):
                    path = self.file(option, name)
                    if spelling == "-mask":
                        self.read_mask(path)
                    else:
                        self.read_image(path)

    def read_mask(self, path: Path) -> None:
        text, pixels = self.files.mask(path, self.quirks)
        self.apply_header(path, text, pixels.shape, is_mask=True)
        self.mask = as_ndarray(pixels) != 0
        self.inputs.append(path)

    def read_image(self, path: Path) -> None:
        """The header of -img; nobody looks at its pixels."""
        layout = self.files.image_header(path, self.quirks)
        if not layout.is_complete:
            self.complain(f"{path}: {layout.shortage()}; only its header counts")
        self.apply_header(path, layout.header_text, layout.shape, is_mask=False)
        self.image_path = path

    def apply_header(
        self, path: Path, header_text: str, shape: tuple[int, ...], *, is_mask: bool
    ) -> None:
        from nanobragg_hybrid.arguments.header import apply_header

        geometry = apply_header(path, header_text, shape, self.fields, self.quirks, is_mask=is_mask)
        if geometry is not None:
            self.image_geometry = geometry.or_else(self.image_geometry)
        self.header_shape = shape
        self.header_pixel_mm = self.fields.get("detector.pixel_size_mm")

    def option(self, position: int, argument: str) -> None:
        whole = not self.quirks.cli_substring
        rows = [flag for flag in FLAGS if flag.fires(argument, whole=whole)]
        if not rows:
            if position not in self.taken:
                hint = suggestion(argument, (s for flag in FLAGS for s in flag.spellings), 0.8)
                self.complain(f"{quoted(argument)} is no known option{hint}")
            return
        longest = max(flag.match_length(argument) for flag in rows)
        for flag in rows:
            named = flag.match_length(argument) == longest
            reader = ArgumentReader(quoted(argument)[1:-1], flag, named, self.complain)
            self.act(_Option(flag, reader, position, self.args[position + 1 : position + 7]))

    def act(self, option: _Option) -> None:
        flag = option.flag
        special = _ACTIONS.get(flag.action)
        if special is not None and flag.action in _VARIADIC:
            special(self, option)
            return
        values = self.take(option, len(flag.words))
        if values is None or flag.action == "first":
            return
        if flag.pivot:
            self.named_pivot = flag.pivot
            if flag.action != "convention":
                self.implied_pivot = flag.pivot
        if special is not None:
            special(self, option._replace(values=values))
        elif flag.kind == "switch":
            self.set_all(flag, flag.value)
        else:
            number = option.reader.value(values[0])
            counted = normalised(flag.rule, number)
            if (instead := _taken_as(flag, number, counted)) is not None:
                self.complain(f"{option.name}: got {quoted(values[0])}, which {instead}")
            self.set_all(flag, counted)

    def take(self, option: _Option, count: int) -> list[str] | None:
        """The `count` values after the option; None, with a complaint, if there are fewer."""
        values = option.values[:count]
        if len(values) < count:
            if option.reader.named:
                self.complain(
                    f"{option.name} has no effect: it needs {count} "
                    f"{'word' if count == 1 else 'words'} after it ({' '.join(option.flag.words)})"
                )
            return None
        if values and not option.reader.named:
            self.warnings.append(
                f"{option.name!r} also has {option.flag.spellings[0]!r} in it, which takes "
                f"{quoted(' '.join(values))} as well (quirk cli_substring)"
            )
        self.taken.update(range(option.position + 1, option.position + 1 + count))
        return values

    def set_all(self, flag: Flag, value: object) -> None:
        for path in flag.targets:
            self.fields.set(path, value)

    def file(self, option: str, name: str) -> Path:
        if not name:
            raise CommandLineError(f"{option}: got '', need the name of a file")
        return self.folder / name

    def settle(self) -> None:
        """What depends on more than one flag."""
        self.settle_detector()
        if self.image_path is not None:
            self.check_header(self.image_path)
        self.settle_pixels()
        self.settle_fluence()
        layers = self.fields.get("detector.sensor_layers")
        thickness_um = self.fields.get("detector.sensor_thickness_um")
        if layers is not None and layers > 1 and not thickness_um:
            self.complain(_LAYERS[thickness_um is None].format(layers))
        water_um = self.fields.get("crystal.water_um")
        if water_um < 0.0:
            self.complain(
                f"-water: got {water_um:g} um: below 0 the background has less than no photons"
            )
        if self.cell and self.cell[0] > 0.0:
            self.set_cell()
        if self.fields.get("crystal.misset_random"):
            self.fields.set("crystal.misset_deg", (0.0, 0.0, 0.0))
        if self.matrix_path is not None:
            self.fields.set("crystal.orientation_matrix", self.files.matrix(self.matrix_path))
            self.inputs.append(self.matrix_path)
        if self.source_path is not None:
            self.fields.set("beam.sources", self.files.sources(self.source_path, self.quirks))
            self.inputs.append(self.source_path)
        if self.rotations_path is not None:
            rotations = self.files.rotations(self.rotations_path)
            self.fields.set("crystal.mosaic_rotations", rotations)
            self.inputs.append(self.rotations_path)
        if self.spectrum_path is not None:
            spectrum = self.files.spectrum(self.spectrum_path, self.spectrum_unit)
            self.fields.set("beam.spectrum", spectrum)
            self.inputs.append(self.spectrum_path)

    def check_header(self, path: Path) -> None:
        """Names what an image was expected to bring and nothing else gave."""
        has_corner = "detector.pix0_m" in self.vectors and not self.quirks.pix0_ignored
        missing = [
            name
            for name, given in _EXPECTED_OF_AN_IMAGE.items()
            if all(self.fields.last_set([field]) is None for field in given)
            and not (has_corner and name.startswith("BEAM_CENTER"))
        ]
        if missing:
            self.complain(
                f"{path}: the header has no {', '.join(missing)}, and no option gives "
                f"{'it' if len(missing) == 1 else 'them'}: the default counts"
            )

    def settle_detector(self) -> None:
        """Convention, vectors, pivot and centre, with the quirks of model 3.

        A vector and a convention may both be given to the experiment: its plan knows which counts.
        """
        quirks, image = self.quirks, self.image_geometry
        if image is not None and not self.convention_given and image.convention not in _NO_FLAG:
            self.convention = image.convention
        self.fields.set("detector.convention", self.convention)
        is_custom = quirks.custom_convention_switch and self.vector_is_last
        if is_custom or not quirks.custom_convention_switch:
            for path, vector in self.vectors.items():
                self.fields.set(path, vector)
        pivot = self.named_pivot
        if not quirks.pivot_flag_ignored:
            pivot = self.pivot or (pivot if is_custom else self.implied_pivot)
        if image is not None:
            pivot = pivot or image.pivot
            convention = "custom" if is_custom else self.convention
            self.place_as_in_image(image, convention, self.pivot_that_counts(convention, pivot))
        self.fields.set("detector.pivot", pivot)
        if not quirks.near_point_ignored:
            self.keep_last_centre()
        self.settle_distances()

    def pivot_that_counts(self, convention: str, pivot: str | None) -> str:
        """The pivot that the experiment will have (model 3)."""
        own = "sample" if convention in ("xds", "dials") else "beam"
        if convention != "custom" and self.quirks.pivot_flag_ignored:
            return own
        return pivot or own

    def place_as_in_image(self, image: ImageGeometry, convention: str, pivot: str) -> None:
        """What an image's header says of its detector where no flag says otherwise: with the pivot
        at the beam, the beam centre and the distance, else the near point and its distance."""
        if image.convention not in (None, convention):
            self.complain(
                f"the header's beam centre is that of the convention {image.convention}, not of "
                f"{convention}"
            )
        is_beam = pivot == "beam"
        beam_centre, _, xds_origin = _CENTRES
        centres = (beam_centre, xds_origin) if is_beam else (xds_origin, beam_centre)
        given = self.fields.last_set(path for centre in _CENTRES for path in centre)
        chosen = [centre for centre in centres if any(path in image.numbers for path in centre)]
        paths = ["detector.twotheta_deg"]
        paths += next((c for c in chosen if given is None or given in c), ())
        if not any(self.fields.last_set([path]) for path in _DISTANCES):
            distances = _DISTANCES if is_beam else _DISTANCES[::-1]
            paths += [path for path in distances if path in image.numbers][:1]
        for path in paths:
            if path in image.numbers and self.fields.last_set([path]) is None:
                self.fields.set(path, image.numbers[path])

    def settle_distances(self) -> None:
        """Of a distance and a close distance the last one counts; with the quirk
        distance_beside_close the close one."""
        given = [path for path in _DISTANCES if self.fields.last_set([path])]
        if given != list(_DISTANCES):
            return
        if self.quirks.distance_beside_close:
            # Of any other distance the plan says so, which knows how the detector is turned.
            distance, close = (self.fields.get(path) for path in _DISTANCES)
            if distance == _DEFAULT_DISTANCE_MM and close != distance:
                self.warnings.append(
                    f"the distance of {distance:g} mm is ignored beside a close distance of "
                    f"{close:g} mm (quirk distance_beside_close)"
                )
            return
        last = self.fields.last_set(_DISTANCES)
        for path, unset in zip(_DISTANCES, (_DEFAULT_DISTANCE_MM, None), strict=True):
            if path != last:
                self.fields.set(path, unset)
                self.warnings.append(f"{path} is not used: {last} was given after it")

    def settle_fluence(self) -> None:
        """A flux, the exposure and the beam's size make the fluence, all of them or none."""
        given = [option for option, path in _FLUX if self.fields.last_set([path]) is not None]
        lacking = [option for option, _ in _FLUX if option not in given]
        if not given or not lacking:
            return
        beam = self.fields
        if "-flux" in lacking:
            options = " and ".join(option for option in given if option != "-beamsize")
            if options:  # -beamsize clips the crystal, too
                self.complain(f"{options} has no effect on the fluence without -flux")
            return
        if beam.get("beam.flux_photons_per_s") == 0.0:
            return
        defaults = {
            "-exposure": f"{beam.get('beam.exposure_s'):g} s",
            "-beamsize": f"{beam.get('beam.beam_size_mm'):g} mm",
        }
        self.complain(
            "-flux without "
            + " and ".join(lacking)
            + ": the fluence is that of the default, "
            + " and ".join(defaults[option] for option in lacking)
        )

    def settle_pixels(self) -> None:
        """A size counts only where the pixels are not counted, whose 0 is "not given" (model 2)."""
        for index, axis in enumerate(("slow", "fast")):
            count, size = f"detector.n_{axis}", f"detector.size_{axis}_mm"
            if self.fields.get(count) is None:
                if self.header_shape is not None and self.fields.last_set([size]) is None:
                    self.fields.set(size, self.header_pixel_mm * self.header_shape[index])
            elif (size_mm := self.fields.get(size)) <= 0.0:
                self.complain(
                    f"-detsize: got {size_mm:g} mm, which is not used: the pixels along the {axis} "
                    "axis are counted"
                )
                self.fields.set(size, Detector().size_fast_mm)

    def leave_out_pixels_outside(self, shape: tuple[int, int]) -> None:
        """Nothing is printed for pixels that the detector does not have."""
        for option, name in (
            ("-printout_pixel", "printout_pixel"),
            ("-trace_pixel", "trace_pixel"),
        ):
            pixel: tuple[int, int] | None = getattr(self, name)
            if pixel is None or all(
                0 <= at < count for at, count in zip(pixel, reversed(shape), strict=True)
            ):
                continue
            self.complain(
                f"{option}: got fast {pixel[0]}, slow {pixel[1]}, which is outside the "
                f"{shape[1]} x {shape[0]} pixels (fast x slow): nothing is printed"
            )
            setattr(self, name, None)
            if name == "printout_pixel":
                self.printout = False

    def keep_last_centre(self) -> None:
        """Forgets every centre but the one that was given last."""
        last = self.fields.last_set(path for centre in _CENTRES for path in centre)
        for centre in _CENTRES:
            if last in centre:
                continue
            for path in centre:
                if self.fields.get(path) is not None:
                    self.fields.set(path, None)
                    self.warnings.append(f"{path} is not used: {last} was given after it")

    def masked(self, experiment: Experiment) -> Experiment:
        """The experiment with the mask that was read, in the image's own order of pixels."""
        if self.mask is None:
            return experiment
        mask = Mask(self.mask).reindexed(experiment.detector.shape)
        detector = dataclasses.replace(experiment.detector, mask=mask)
        return dataclasses.replace(experiment, detector=detector)

    def set_cell(self) -> None:
        """Model 4.1: missing or non-positive lengths are a, missing or non-positive angles 90."""
        lengths = [value if value > 0.0 else self.cell[0] for value in self.cell[:3]]
        angles = [value if value > 0.0 else 90.0 for value in self.cell[3:6]]
        lengths += [self.cell[0]] * (3 - len(lengths))
        angles += [90.0] * (3 - len(angles))
        self.fields.set("crystal.cell_angstrom", tuple(lengths))
        self.fields.set("crystal.cell_deg", tuple(angles))


# One function for each action of the flag table but "set" and "first" (done before).  Enough values
# follow the option, but for the actions in _VARIADIC, which look for themselves.

_Action = Callable[[_Parser, _Option], None]


def _cell(parser: _Parser, option: _Option) -> None:
    count = 0
    while count < min(len(option.values), 6) and not option.values[count].startswith("-"):
        value = option.reader.number(option.values[count])
        parser.cell[count : count + 1] = [value]
        parser.taken.add(option.position + 1 + count)
        count += 1
    if count == 0:
        parser.complain(f"{option.name} has no effect: it needs numbers after it")


def _misset(parser: _Parser, option: _Option) -> None:
    if option.values and "rand" in option.values[0]:
        parser.taken.add(option.position + 1)
        parser.fields.set("crystal.misset_random", True)
        return
    taken = parser.take(option, 3)
    if taken is None:
        return
    parser.fields.set("crystal.misset_random", False)
    parser.fields.set("crystal.misset_deg", tuple(option.reader.number(text) for text in taken))


def _curved(parser: _Parser, option: _Option) -> None:
    if parser.quirks.curved_needs_argument:
        if not option.values:
            parser.complain(
                f"{option.name} has no effect as the last word (quirk curved_needs_argument)"
            )
            return
        if not option.values[0].startswith("-"):
            parser.taken.add(option.position + 1)
    parser.set_all(option.flag, option.flag.value)


def _convention(parser: _Parser, option: _Option) -> None:
    parser.convention = str(option.flag.value)
    parser.convention_given = True
    parser.vector_is_last = False


def _vector(parser: _Parser, option: _Option) -> None:
    vector = tuple(option.reader.number(text) for text in option.values)
    if option.flag.unit == "mm":
        vector = tuple(mm_to_m(x) for x in vector)
    parser.vectors[option.flag.targets[0]] = vector
    parser.vector_is_last = True


def _pivot(parser: _Parser, option: _Option) -> None:
    pivot = next((p for p in ("sample", "beam") if p in option.values[0]), None)
    if pivot is None:
        parser.complain(f"{option.name}: got {quoted(option.values[0])}, need beam or sample")
        return
    parser.pivot = parser.named_pivot = pivot


def _attenuation(parser: _Parser, option: _Option) -> None:
    depth_um = math.inf if "inf" in option.values[0] else option.reader.number(option.values[0])
    if depth_um == 0.0 or math.isinf(depth_um):
        parser.fields.set("detector.sensor_thickness_um", 0.0)
        depth_um = math.inf
    depth = None if depth_um < 0.0 else depth_um
    parser.fields.set("detector.sensor_attenuation_depth_um", depth)


def _energy(parser: _Parser, option: _Option) -> None:
    energy_ev = option.reader.number(option.values[0])
    if energy_ev <= 0.0:
        text = quoted(option.values[0])
        raise CommandLineError(f"{option.name}: got {text}, need a number > 0 (eV)")
    parser.fields.set("beam.wavelength_angstrom", energy_ev_to_wavelength_angstrom(energy_ev))


def _polar(parser: _Parser, option: _Option) -> None:
    parser.fields.set("beam.polarization_kahn", option.reader.number(option.values[0]))
    parser.fields.set("beam.polarization_correction", True)


def _roi(parser: _Parser, option: _Option) -> None:
    fast_min, fast_max, slow_min, slow_max = (option.reader.integer(text) for text in option.values)
    parser.fields.set(
        "sampling.roi",
        (
            max(fast_min, 0),
            None if fast_max < 0 else fast_max,
            max(slow_min, 0),
            None if slow_max < 0 else slow_max,
        ),
    )


def _default_f(parser: _Parser, option: _Option) -> None:
    parser.default_f = option.reader.number(option.values[0])


def _input_file(parser: _Parser, option: _Option) -> None:
    path = parser.file(option.name, option.values[0])
    if option.flag.action == "matrix":
        parser.matrix_path = path
    elif option.flag.action == "sources":
        parser.source_path = path
    elif option.flag.action == "rotations":
        parser.rotations_path = path
    elif option.flag.action == "spectrum":
        unit: Any = option.flag.value
        parser.spectrum_path, parser.spectrum_unit = path, unit
    elif option.flag.action == "hkl":
        parser.hkl_path = path
    elif option.flag.action == "dump":
        parser.dump_path = path
        parser.dump_named = True


def _output_file(parser: _Parser, option: _Option) -> None:
    path = parser.file(option.name, option.values[0])
    if option.flag.action == "float file":
        parser.float_path = path
    elif option.flag.action == "int file":
        parser.int_path = path
    elif option.flag.action == "pgm file":
        parser.pgm_path, parser.pgm_wanted = path, True
    elif option.flag.action == "noise file":
        parser.noise_path, parser.noise_wanted = path, True


def _pgm_scale(parser: _Parser, option: _Option) -> None:
    """The scale; a -nopgm before it no longer counts."""
    parser.set_all(option.flag, normalised(option.flag.rule, option.reader.value(option.values[0])))
    parser.pgm_wanted = True


def _printing(parser: _Parser, option: _Option) -> None:
    if option.flag.action == "no pgm":
        parser.pgm_wanted = False
    elif option.flag.action == "no noise":
        parser.noise_wanted = False
    elif option.flag.action == "progress":
        parser.progress = bool(option.flag.value)
    elif option.flag.action == "printout":
        parser.printout = True
    elif option.flag.action == "printout pixel":
        fast, slow = (option.reader.integer(text) for text in option.values)
        parser.printout_pixel = (fast, slow)
    elif option.flag.action == "trace pixel":
        slow, fast = (option.reader.integer(text) for text in option.values)
        parser.trace_pixel = (fast, slow)


def _no_effect(parser: _Parser, option: _Option) -> None:
    if option.flag.kind == "file":
        path = parser.file(option.name, option.values[0])
        read_bytes(path)
        parser.inputs.append(path)
    parser.ignored.append(" ".join([option.name, *option.values]))


_ACTIONS: dict[str, _Action] = {
    "cell": _cell,
    "misset": _misset,
    "curved": _curved,
    "convention": _convention,
    "vector": _vector,
    "pivot": _pivot,
    "attenuation": _attenuation,
    "energy": _energy,
    "polar": _polar,
    "roi": _roi,
    "default_f": _default_f,
    "matrix": _input_file,
    "sources": _input_file,
    "rotations": _input_file,
    "spectrum": _input_file,
    "hkl": _input_file,
    "dump": _input_file,
    "float file": _output_file,
    "int file": _output_file,
    "pgm file": _output_file,
    "noise file": _output_file,
    "pgm scale": _pgm_scale,
    "no pgm": _printing,
    "no noise": _printing,
    "progress": _printing,
    "printout": _printing,
    "printout pixel": _printing,
    "trace pixel": _printing,
    "no effect": _no_effect,
    "ignored file": _no_effect,
}
_CENTRES = (
    ("detector.beam_x_mm", "detector.beam_y_mm"),
    ("detector.close_x_mm", "detector.close_y_mm"),
    ("detector.org_x_px", "detector.org_y_px"),
)
_NO_FLAG = (None, "custom")
_DISTANCES = ("detector.distance_mm", "detector.close_distance_mm")
_DEFAULT_DISTANCE_MM = Detector().distance_mm
_EXPECTED_OF_AN_IMAGE = {
    "PIXEL_SIZE": ("detector.pixel_size_mm",),
    "DISTANCE": ("detector.distance_mm", "detector.close_distance_mm"),
    "WAVELENGTH": ("beam.wavelength_angstrom",),
    "BEAM_CENTER_X, BEAM_CENTER_Y": (*(path for centre in _CENTRES for path in centre),),
}
"""What a header is expected to state -> the fields of which it, or an option, must set one."""
_VARIADIC = frozenset({"cell", "misset", "curved"})
