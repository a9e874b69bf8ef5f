"""Read the structure factors that a recorded command line names."""

from __future__ import annotations

from pathlib import Path

import nanobragg_hybrid as nb
from nanobragg_hybrid.arguments.parse import parse_command


def structure_factors_of(args: str, folder: Path) -> nb.StructureFactors:
    """From text (-hkl), else from a dump that is there (-dump), else default_F everywhere."""
    command = parse_command(args.split(), folder)
    if command.hkl_path is not None:
        return nb.read_hkl(command.hkl_path, default_f=command.default_f)
    if command.dump_path.is_file():
        return nb.read_dump(command.dump_path, default_f=command.default_f)
    return nb.StructureFactors.constant(command.default_f)
