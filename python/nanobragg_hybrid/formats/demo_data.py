"""The files that come with the package, for examples and first trials."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from nanobragg_hybrid.base.errors import ConfigError, suggestion
from nanobragg_hybrid.model.validate import require_class

FOLDER: Final = Path(__file__).parents[1] / "data"
DEMO_FILES: Final = {
    "demo.hkl": "h k l F of an invented crystal, cell 30 34 38 angstrom, all angles 90 degrees",
    "demo.mat": "an orientation matrix of that crystal, for 1 angstrom",
    "demo_spectrum.txt": "a spectrum of 15 nodes about 12398.42 eV (1 angstrom): energy, weight",
    "helix.pdb": "an atomic model, a helix of 20 residues in P 43 21 2, cell 42 42 38 angstrom",
}
"""What each is; docs/getting_started.md uses them."""


def data_path(name: str | None = None) -> Path:
    """Where a file of the package's demonstration data is; without a name, their folder.

    >>> import nanobragg_hybrid as nb
    >>> nb.read_hkl(nb.data_path("demo.hkl")).reflections
    7400

    name: demo.hkl (h k l F), demo.mat (an orientation of the same crystal), demo_spectrum.txt,
    or helix.pdb (an atomic model).  The command `nanobragg-hybrid data` lists them.

    Raises `ConfigError` for another name.
    """
    if name is None:
        return FOLDER
    require_class("name", name, str)
    if name not in DEMO_FILES:
        raise ConfigError(
            "name", name, f"one of {', '.join(DEMO_FILES)}{suggestion(name, DEMO_FILES)}"
        )
    return FOLDER / name
