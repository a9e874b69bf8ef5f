"""The quirk ledger: behaviours of nanoBragg that are neither physics nor documented.

docs/quirks.md explains each.  A quirk that is *on* means "as nanoBragg does it"; all are on by
default, so that the C backend gives nanoBragg's bytes.  The backend `reference` has no other
position and raises an `UnsupportedError` for it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from numbers import Integral
from typing import Final, Literal, NamedTuple

from nanobragg_hybrid.base.arrays import is_boolean
from nanobragg_hybrid.base.errors import ConfigError, suggestion
from nanobragg_hybrid.base.record import Record


class Quirk(NamedTuple):
    """One row of the ledger.

    `id` is stable; `section` is where docs/model.md marks it (or the files document); `kind` says
    whether it acts inside the render (``kernel``) or before it (``setup``).
    """

    id: str
    name: str
    section: str
    kind: Literal["kernel", "setup"]
    summary: str


LEDGER: Final[tuple[Quirk, ...]] = (
    Quirk(
        "C-PARITY-001",
        "phi_carryover",
        "6.4",
        "kernel",
        "a φ step of exactly 0 keeps the vectors of the φ step before it, even across pixels",
    ),
    Quirk(
        "C-PARITY-002",
        "oversample_running_product",
        "6.5",
        "kernel",
        "the oversample_thick, _polar and _omega factors multiply the running sum at every step",
    ),
    Quirk(
        "C-PARITY-003",
        "thick_last_layer",
        "6.8",
        "kernel",
        "the sum over all sensor layers is scaled by the capture fraction of the last one",
    ),
    Quirk(
        "C-PARITY-004",
        "polar_first_source",
        "6.3",
        "kernel",
        "all sources share the polarization factor of the first one",
    ),
    Quirk(
        "C-PARITY-005",
        "interpolation_latch",
        "6.5",
        "kernel",
        "the first evaluation outside the table ends interpolation for the rest of the run",
    ),
    Quirk(
        "C-PARITY-006",
        "water_background",
        "6",
        "kernel",
        "the water term is scaled twice by r_e²·fluence and divided by the number of steps",
    ),
    Quirk(
        "C-PARITY-007",
        "layer_overshoot",
        "5.1",
        "kernel",
        "n sensor layers of thickness/(n-1) each; one layer becomes two",
    ),
    Quirk(
        "C-PARITY-008",
        "curved_detector_axes",
        "6.2",
        "kernel",
        "the curved detector is bent by laboratory y and z, whatever the beam direction",
    ),
    Quirk(
        "C-PARITY-009",
        "source_weights_ignored",
        "5.2",
        "kernel",
        "weights of a source file are read and not used",
    ),
    Quirk(
        "C-PARITY-010",
        "triclinic_cell",
        "4.1",
        "setup",
        "c* of a cell without two right angles has a wrong third component",
    ),
    Quirk(
        "C-PARITY-011",
        "misset_random_radians",
        "4.3",
        "setup",
        "random missetting spreads over 90 radians and is not uniform",
    ),
    Quirk(
        "C-PARITY-012",
        "misset_seed_default",
        "2",
        "setup",
        "random missetting takes its seed from the clock, not from -seed",
    ),
    Quirk(
        "C-PARITY-013",
        "custom_convention_switch",
        "3",
        "setup",
        "giving any vector drops the named convention as a whole",
    ),
    Quirk(
        "C-PARITY-014",
        "pivot_flag_ignored",
        "3",
        "setup",
        "the pivot of a named convention overrules the one asked for",
    ),
    Quirk(
        "C-PARITY-015",
        "pix0_ignored",
        "3",
        "setup",
        "a pix0 vector selects the custom convention and its value is overwritten",
    ),
    Quirk(
        "C-PARITY-016",
        "near_point_ignored",
        "3",
        "setup",
        "a beam centre counts only in the form that the pivot uses",
    ),
    Quirk(
        "C-PARITY-017",
        "cli_substring",
        "files_and_cli",
        "setup",
        "options are found as substrings of words",
    ),
    Quirk(
        "C-PARITY-018",
        "smv_header_search",
        "files_and_cli",
        "setup",
        "header keywords are found as substrings, and the last one counts",
    ),
    Quirk(
        "C-PARITY-019",
        "hkl_stream",
        "files_and_cli",
        "setup",
        "structure factors are read four numbers at a time, whatever the lines",
    ),
    Quirk(
        "C-PARITY-020",
        "source_file_comments",
        "files_and_cli",
        "setup",
        "a comment line of a source file is a source of zeros",
    ),
    Quirk(
        "C-PARITY-021",
        "fdump_whitespace",
        "files_and_cli",
        "setup",
        "data bytes of a dump that look like white space after its header are skipped",
    ),
    Quirk(
        "C-PARITY-022",
        "solid_angle_over_steps",
        "6.9",
        "setup",
        "the reported solid angle is divided by sources, φ steps and domains too",
    ),
    Quirk(
        "C-PARITY-023",
        "rmsd_counts_masked",
        "6.9",
        "setup",
        "masked pixels count in the rmsd that scales the PGM image",
    ),
    Quirk(
        "C-PARITY-024",
        "curved_needs_argument",
        "files_and_cli",
        "setup",
        "-curved_det as the last word of a command is ignored",
    ),
    Quirk(
        "C-PARITY-025",
        "phi_left_edge",
        "5.3",
        "setup",
        "φ steps sit at the left edge of their intervals",
    ),
    Quirk(
        "C-PARITY-026",
        "header_overflow",
        "files_and_cli",
        "setup",
        "an SMV header longer than 512 bytes still says 512",
    ),
    Quirk(
        "C-PARITY-027",
        "ratio_before_twotheta",
        "3",
        "setup",
        "the distance and the beam centre reported are those before the two-theta rotation",
    ),
    Quirk(
        "C-PARITY-028",
        "normal_towards_source",
        "3",
        "kernel",
        "a detector normal that points at the source makes distances and photons negative",
    ),
    Quirk(
        "C-PARITY-029",
        "curved_flat_factors",
        "6.2",
        "kernel",
        "the curved detector keeps the obliquity and the parallax of the flat one",
    ),
    Quirk(
        "C-PARITY-030",
        "twotheta_axis_length",
        "3",
        "setup",
        "the two-theta axis is not normalised: another length distorts the detector",
    ),
    Quirk(
        "C-PARITY-031",
        "point_pixel_area",
        "6.2",
        "kernel",
        "the solid angle of a point pixel lacks the pixel's area",
    ),
    Quirk(
        "C-PARITY-032",
        "distance_beside_close",
        "3",
        "setup",
        "a distance given beside a close distance is ignored",
    ),
    Quirk(
        "C-PARITY-033",
        "header_geometry",
        "files_and_cli",
        "setup",
        "an image's header does not give back the geometry of its image",
    ),
    Quirk(
        "C-PARITY-034",
        "first_deviate",
        "7.1",
        "setup",
        "the generator's first deviate falls below 1/32 twice as often as it should",
    ),
    Quirk(
        "C-PARITY-035",
        "no_sensor_is_black",
        "6.8",
        "kernel",
        "a sensor of no thickness, or of infinite depth given first, captures nothing",
    ),
    Quirk(
        "C-PARITY-036",
        "first_subpixel_factors",
        "6",
        "kernel",
        "sub-pixels share the solid angle, polarization and capture of the first one",
    ),
    Quirk(
        "C-PARITY-037",
        "polarization_unchecked",
        "6.6",
        "setup",
        "a polarization factor beyond 1 and an axis along the beam are accepted",
    ),
    Quirk(
        "C-PARITY-038",
        "nopolar_undone",
        "6.6",
        "kernel",
        "-oversample_polar switches on the polarization that -nopolar switched off",
    ),
    Quirk(
        "C-PARITY-039",
        "beam_clips_y_and_z",
        "2",
        "setup",
        "a crystal is clipped to the beam in y and z, whatever the beam's direction",
    ),
    Quirk(
        "C-PARITY-040",
        "impossible_cell",
        "4.1",
        "setup",
        "a cell whose angles fit no parallelepiped is rendered with a made-up volume",
    ),
    Quirk(
        "C-PARITY-041",
        "impossible_sources",
        "5.2",
        "setup",
        "sources without direction or with a wavelength of no X-ray are rendered",
    ),
    Quirk(
        "C-PARITY-042",
        "cell_beside_matrix",
        "4.2",
        "setup",
        "a cell beside a matrix changes the lengths of the matrix's axes",
    ),
    Quirk(
        "C-PARITY-043",
        "step_and_count",
        "5.1",
        "setup",
        "a count and a step without a range make two steps, whatever the count",
    ),
    Quirk(
        "C-PARITY-044",
        "count_alone",
        "5.1",
        "setup",
        "a count without a range makes a range of one degree, or of one radian",
    ),
    Quirk(
        "C-PARITY-045",
        "missing_last_source",
        "5.1",
        "setup",
        "a divergence given by range and step lacks its last source",
    ),
    Quirk(
        "C-PARITY-046",
        "osc_overshoot",
        "5.1",
        "setup",
        "an oscillation in steps of another size covers whole steps, more than it says",
    ),
)
"""Every quirk; bit n of `Quirks.bits` and field n of `Quirks` belong to row n."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Quirks(Record):
    """Which of nanoBragg's behaviours are on: one boolean for each row of `LEDGER`, default True.

    >>> import nanobragg_hybrid as nb
    >>> nb.Quirks.parse("nanobragg,-phi_left_edge").phi_left_edge
    False

    Raises `ConfigError` for a value that is no boolean.
    """

    phi_carryover: bool = True
    oversample_running_product: bool = True
    thick_last_layer: bool = True
    polar_first_source: bool = True
    interpolation_latch: bool = True
    water_background: bool = True
    layer_overshoot: bool = True
    curved_detector_axes: bool = True
    source_weights_ignored: bool = True
    triclinic_cell: bool = True
    misset_random_radians: bool = True
    misset_seed_default: bool = True
    custom_convention_switch: bool = True
    pivot_flag_ignored: bool = True
    pix0_ignored: bool = True
    near_point_ignored: bool = True
    cli_substring: bool = True
    smv_header_search: bool = True
    hkl_stream: bool = True
    source_file_comments: bool = True
    fdump_whitespace: bool = True
    solid_angle_over_steps: bool = True
    rmsd_counts_masked: bool = True
    curved_needs_argument: bool = True
    phi_left_edge: bool = True
    header_overflow: bool = True
    ratio_before_twotheta: bool = True
    normal_towards_source: bool = True
    curved_flat_factors: bool = True
    twotheta_axis_length: bool = True
    point_pixel_area: bool = True
    distance_beside_close: bool = True
    header_geometry: bool = True
    first_deviate: bool = True
    no_sensor_is_black: bool = True
    first_subpixel_factors: bool = True
    polarization_unchecked: bool = True
    nopolar_undone: bool = True
    beam_clips_y_and_z: bool = True
    impossible_cell: bool = True
    impossible_sources: bool = True
    cell_beside_matrix: bool = True
    step_and_count: bool = True
    count_alone: bool = True
    missing_last_source: bool = True
    osc_overshoot: bool = True

    def __post_init__(self) -> None:
        for quirk in LEDGER:
            value = getattr(self, quirk.name)
            if not is_boolean(value):
                raise ConfigError(f"quirks.{quirk.name}", value, "True or False")
            object.__setattr__(self, quirk.name, bool(value))

    @classmethod
    def nanobragg(cls) -> Quirks:
        """All on: the reference's output (the default everywhere)."""
        return cls()

    @classmethod
    def nanobragg_fixed(cls) -> Quirks:
        """All on but 001, 002 and 024: the reference with the fixes proposed in July 2026."""
        return cls(**dict.fromkeys(_FIXED, False))

    @classmethod
    def none(cls) -> Quirks:
        """All off: the corrected behaviour throughout."""
        return cls(**{quirk.name: False for quirk in LEDGER})

    @classmethod
    def parse(cls, text: str) -> Quirks:
        """The quirks that a text like ``none,+phi_carryover`` names.

        A preset (``nanobragg``, ``nanobragg-fixed`` or ``none``; nanobragg if left out) and then
        ``+name`` or ``-name`` for each quirk that differs from it, separated by commas.  Raises
        `ConfigError` for what is no text, an unknown preset or name, a name without sign or a name
        given twice.
        """
        if not isinstance(text, str):
            raise ConfigError("quirks", text, "a text like none,+phi_carryover")
        words = [word.strip() for word in text.split(",")]
        quirks = cls()
        if words[0][:1] not in ("+", "-"):
            if words[0] not in _PRESETS:
                raise ConfigError("quirks", words[0], "one of " + ", ".join(_PRESETS))
            quirks = cls.from_bits(_PRESETS[words[0]])
            words = words[1:]
        changes: dict[str, bool] = {}
        for word in words:
            sign, name = word[:1], word[1:].strip()
            if sign not in ("+", "-"):
                raise ConfigError("quirks", word, "+name or -name after the preset")
            if name not in _NAMES:
                raise ConfigError("quirks", name, "the name of a quirk" + suggestion(name, _NAMES))
            if name in changes:
                raise ConfigError("quirks", word, "each quirk at most once")
            changes[name] = sign == "+"
        return dataclasses.replace(quirks, **changes)

    @classmethod
    def from_bits(cls, bits: int) -> Quirks:
        """The quirks whose bits are set (the inverse of `bits`)."""
        is_number = isinstance(bits, Integral) and not isinstance(bits, bool)
        if not is_number or not 0 <= bits < 2 ** len(LEDGER):
            raise ConfigError("quirks", bits, f"bits below 2^{len(LEDGER)}")
        return cls(**{quirk.name: bool(bits >> n & 1) for n, quirk in enumerate(LEDGER)})

    @property
    def bits(self) -> int:
        """One bit for each quirk that is on, in ledger order: the C header's `NBH_QUIRK_` bits."""
        return sum(1 << n for n, quirk in enumerate(LEDGER) if getattr(self, quirk.name))

    @property
    def names_on(self) -> tuple[str, ...]:
        """The names of the quirks that are on, in ledger order."""
        return tuple(quirk.name for quirk in LEDGER if getattr(self, quirk.name))

    def __str__(self) -> str:
        """The shortest text from a preset on that `parse` turns back into these quirks."""
        return min((self._relative_to(preset) for preset in _PRESETS), key=len)

    def _relative_to(self, preset: str) -> str:
        base = _PRESETS[preset]
        words = [preset]
        for n, quirk in enumerate(LEDGER):
            is_on = bool(getattr(self, quirk.name))
            if is_on != bool(base >> n & 1):
                words.append(("+" if is_on else "-") + quirk.name)
        return ",".join(words)


_NAMES: Final = tuple(quirk.name for quirk in LEDGER)
_FIXED: Final = ("phi_carryover", "oversample_running_product", "curved_needs_argument")
_ALL_BITS: Final = 2 ** len(LEDGER) - 1
_PRESETS: Final = {
    "nanobragg": _ALL_BITS,
    "nanobragg-fixed": _ALL_BITS - sum(1 << _NAMES.index(name) for name in _FIXED),
    "none": 0,
}


def quirks_or_all(quirks: object) -> Quirks:
    """The quirks given, all on for None; `ConfigError` for what is none."""
    if quirks is None:
        return Quirks()
    if not isinstance(quirks, Quirks):
        raise ConfigError("quirks", quirks, "an object of class Quirks, or None")
    return quirks
