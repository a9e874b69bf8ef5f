"""The crystal: cell or orientation matrix, missetting, size, shape, mosaicity (model 4, 5.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from nanobragg_hybrid.base.constants import DEFAULT_MOSAIC_SEED
from nanobragg_hybrid.base.errors import ConfigError
from nanobragg_hybrid.base.record import Record
from nanobragg_hybrid.model.conventions import SHAPES, Shape
from nanobragg_hybrid.model.rotations import Rotations
from nanobragg_hybrid.model.validate import (
    COUNT,
    FINITE,
    FLAG,
    INT32,
    NOT_NEGATIVE,
    POSITIVE,
    VECTOR,
    Choice,
    Instance,
    Items,
    Matrix,
    Number,
    Optional,
    check_fields,
    meta,
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Crystal(Record):
    """The crystal.  It needs a cell or a matrix to be rendered, not to be constructed.

    cell_angstrom: a, b, c, angstrom, each > 0; None: no cell (model 4.1).
    cell_deg: alpha, beta, gamma, degrees, each in (0, 180), default 90 (model 4.1).
    orientation_matrix: nine finite numbers, row by row: row i holds component i of a*, b*, c* times
        the wavelength in angstrom; the three vectors do not lie in a plane.  None: no matrix.  It
        replaces the orientation that the cell gives; if a cell is given too, its lengths and volume
        still count (model 4.2, 4.4), unless the quirk cell_beside_matrix is off.
    misset_deg: rotations about x, y, z, applied in this order, degrees, finite, default 0
        (model 4.3).
    misset_random: True draws the missetting from `misset_seed` instead (model 4.3, 7.3).
    misset_seed: integer of 32 bits; None: from the clock when the image is rendered (model 2).
    n_cells: number of unit cells along a, b, c, each > 0, default 1; values <= 1 render as 1
        (model 4.5).
    size_mm: size of the crystal along a, b, c, mm, each > 0 or None; replaces that number of cells
        (model 4.5).
    shape: "square" (default), "round", "gauss", "tophat", "gauss_hkl" or "tophat_hkl" (model 6.5).
    shape_fudge: factor on the squared argument of the shape, finite, default 1 (model 6.5).
    mosaic_spread_deg: spread of the mosaic domains, degrees, >= 0; None: by the rules of model 5.1.
    mosaic_domains: number of domains, >= 1; None: by the rules of model 5.1.
    mosaic_seed: integer of 32 bits, default 12345678 (model 7.4).
    water_um: size of the water volume behind the background, um, finite, default 0: none; below 0,
        with the quirk water_background on only, the background is negative (model 6).
    mosaic_rotations: the orientation of each domain, and its weight (model 5.3): any model of
        mosaicity.  None (default): domains by spread and number.  Beside it, neither
        mosaic_spread_deg nor mosaic_domains may be given, and mosaic_seed has no effect.
    """

    cell_angstrom: tuple[float, float, float] | None = field(
        default=None, metadata=meta(Optional(Items(3, POSITIVE)), "angstrom")
    )
    cell_deg: tuple[float, float, float] = field(
        default=(90.0, 90.0, 90.0), metadata=meta(Items(3, Number(above=0.0, below=180.0)), "deg")
    )
    orientation_matrix: (
        tuple[float, float, float, float, float, float, float, float, float] | None
    ) = field(default=None, metadata=meta(Optional(Matrix())))
    misset_deg: tuple[float, float, float] = field(
        default=(0.0, 0.0, 0.0), metadata=meta(VECTOR, "deg")
    )
    misset_random: bool = field(default=False, metadata=meta(FLAG))
    misset_seed: int | None = field(default=None, metadata=meta(Optional(INT32)))
    n_cells: tuple[float, float, float] = field(
        default=(1.0, 1.0, 1.0), metadata=meta(Items(3, POSITIVE))
    )
    size_mm: tuple[float | None, float | None, float | None] = field(
        default=(None, None, None), metadata=meta(Items(3, Optional(POSITIVE)), "mm")
    )
    shape: Shape = field(default="square", metadata=meta(Choice(SHAPES)))
    shape_fudge: float = field(default=1.0, metadata=meta(FINITE))
    mosaic_spread_deg: float | None = field(
        default=None, metadata=meta(Optional(NOT_NEGATIVE), "deg")
    )
    mosaic_domains: int | None = field(default=None, metadata=meta(Optional(COUNT)))
    mosaic_seed: int = field(default=DEFAULT_MOSAIC_SEED, metadata=meta(INT32))
    water_um: float = field(default=0.0, metadata=meta(FINITE, "um"))
    mosaic_rotations: Rotations | None = field(
        default=None, metadata=meta(Optional(Instance(Rotations)))
    )

    def __post_init__(self) -> None:
        check_fields(self, "crystal")
        if self.mosaic_rotations is None:
            return
        rule = "None beside crystal.mosaic_rotations"
        if self.mosaic_spread_deg is not None:
            raise ConfigError("crystal.mosaic_spread_deg", self.mosaic_spread_deg, rule, "deg")
        if self.mosaic_domains is not None:
            raise ConfigError("crystal.mosaic_domains", self.mosaic_domains, rule)

    @property
    def given_domains(self) -> int | None:
        """How many domains the configuration gives; None: that is left open."""
        if self.mosaic_rotations is not None:
            return len(self.mosaic_rotations)
        return self.mosaic_domains
