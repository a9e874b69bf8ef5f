"""Physical constants and names of the reference program (model 2, model 6).

The digits are the reference's: changing one changes images.
"""

from __future__ import annotations

from typing import Final

R_E_SQR_M2: Final = 7.94079248018965e-30
"""Square of the classical electron radius, m^2."""

AVOGADRO_PER_MOL: Final = 6.02214179e23
"""Avogadro's number, 1/mol."""

WATER_F: Final = 2.57
"""Forward scattering amplitude of a water molecule, electrons."""

WATER_MOLECULAR_WEIGHT: Final = 18.0
"""Molecular weight of water, g/mol."""

DEFAULT_FLUENCE_PHOTONS_PER_M2: Final = 125932015286227086360700780544.0
"""Fluence when neither a fluence nor a flux is given, photons/m^2."""

DEFAULT_MOSAIC_SEED: Final = 12345678
"""Seed of the mosaic domains when none is given."""

REFERENCE_NAME: Final = "nanoBragg (bl831)"
"""The program whose output the C backend reproduces byte for byte."""

REFERENCE_REVISION: Final = "455534a"
"""Its revision, of 2026-07-23."""

DEFAULT_DUMP_FILE: Final = "Fdump.bin"
DEFAULT_FLOAT_FILE: Final = "floatimage.bin"
DEFAULT_INT_FILE: Final = "intimage.img"
DEFAULT_PGM_FILE: Final = "image.pgm"
DEFAULT_NOISE_FILE: Final = "noiseimage.img"
DEFAULT_COUNTS_FILE: Final = "counts.npy"

INT32_MIN: Final = -(2**31)
INT32_MAX: Final = 2**31 - 1
