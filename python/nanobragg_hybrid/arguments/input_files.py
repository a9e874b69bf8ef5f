"""The files that are read together with the command line that names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from nanobragg_hybrid.base.arrays import Array
    from nanobragg_hybrid.formats.smv import SmvLayout
    from nanobragg_hybrid.formats.spectrum_file import SpectrumUnit
    from nanobragg_hybrid.model.beam import Source
    from nanobragg_hybrid.model.quirks import Quirks
    from nanobragg_hybrid.model.rotations import Rotations
    from nanobragg_hybrid.model.spectrum import Spectrum


class InputFiles:
    """Reads each kind of file from disk.

    The methods raise `FileAccessError` and `FileFormatError`.  Their modules are imported when a
    command line names such a file.
    """

    def mask(self, path: Path, quirks: Quirks) -> tuple[str, Array]:
        """The header's text and the pixels, shape (slow, fast), of an SMV image used as a mask."""
        from nanobragg_hybrid.formats.smv import read_smv_buffer

        _, text, pixels = read_smv_buffer(path, quirks, is_mask=True)
        return text, pixels

    def image_header(self, path: Path, quirks: Quirks) -> SmvLayout:
        """The header of an SMV image, whose pixels may be missing."""
        from nanobragg_hybrid.formats.smv import read_smv_layout

        return read_smv_layout(path, quirks)

    def matrix(self, path: Path) -> tuple[float, ...]:
        """The nine numbers of an orientation matrix, row by row."""
        from nanobragg_hybrid.formats.matrix import read_matrix

        return read_matrix(path)

    def rotations(self, path: Path) -> Rotations:
        """The rotations of a file."""
        from nanobragg_hybrid.formats.rotation_file import read_rotations

        return read_rotations(path)

    def spectrum(self, path: Path, unit: SpectrumUnit | None) -> Spectrum:
        """The spectrum of a file, whose unit is given or in the file."""
        from nanobragg_hybrid.formats.spectrum_file import read_spectrum

        return read_spectrum(path, unit=unit)

    def sources(self, path: Path, quirks: Quirks) -> tuple[Source, ...]:
        """The sources of a source file."""
        from nanobragg_hybrid.formats.source_file import read_source_file

        return read_source_file(path, quirks=quirks)
