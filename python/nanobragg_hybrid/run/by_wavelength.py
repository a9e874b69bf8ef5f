"""An image whose structure factors change with the wavelength: one render for each, added up."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nanobragg_hybrid.base.errors import (
    ConfigError,
    Description,
    ImageWarning,
    SetupWarning,
    UnsupportedError,
)
from nanobragg_hybrid.base.units import m_to_angstrom
from nanobragg_hybrid.model.detector import several_panels
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.spectrum import Spectrum
from nanobragg_hybrid.model.structure_factors import StructureFactors
from nanobragg_hybrid.model.validate import require_class
from nanobragg_hybrid.run.prepare import checked_threads, image_warnings, prepared

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nanobragg_hybrid.engines.protocol import Engine
    from nanobragg_hybrid.model.quirks import Quirks


@dataclass(frozen=True, slots=True, eq=False)
class SpectralImage:
    """An image, or one for each panel, with structure factors of their own for each wavelength.

    images: of the panels, float32, shape (slow, fast), photons per pixel: `unrounded_images`,
        rounded once.
    unrounded_images: float64, the same shapes: sum of weights[n] * (pixels of wavelength n), added
        in the order of the nodes, where these pixels are those before rounding to float32.
    wavelengths_angstrom: of the nodes.  weights: of the nodes, with the sum 1.

    `image` and `unrounded` are those of a detector of one panel; of several they are errors.
    """

    images: tuple[NDArray[np.float32], ...]
    unrounded_images: tuple[NDArray[np.float64], ...]
    wavelengths_angstrom: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def image(self) -> NDArray[np.float32]:
        """The only panel's image."""
        self._require_one("image", "images")
        return self.images[0]

    @property
    def unrounded(self) -> NDArray[np.float64]:
        """The same before rounding."""
        self._require_one("unrounded", "unrounded_images")
        return self.unrounded_images[0]

    def _require_one(self, name: str, every: str) -> None:
        if len(self.images) > 1:
            raise several_panels(name, len(self.images), f"{every} has that of each")


def simulate_by_wavelength(
    experiment: Experiment,
    structure_factors: Sequence[StructureFactors],
    *,
    backend: str | Engine = "c",
    quirks: Quirks | None = None,
    threads: int | None = None,
) -> SpectralImage:
    """Renders an experiment with a spectrum, with the structure factors of each wavelength.

    experiment: has `Beam.spectrum`.  structure_factors: one table for each node of
    the spectrum, in its order (`structure_factors_from_model` makes one for a wavelength).
    backend, quirks, threads: see `simulate`.

    Each node is a render of its own, of all the fluence at one wavelength (`simulate` with a
    spectrum of that node alone, so that nothing else changes: geometry, crystal, sub-pixels), and
    the image is their weighted mean, which is what a spectrum means (model 5.2).  Pixels are added
    up in float64 before they are rounded, and rounded once: equal tables give the pixels of
    `simulate` to about 1e-7, not its bits.  Whatever depends on the serial order of steps (model
    6.4, 6.5) begins anew with each node.  It takes the time of unrounded images (see `simulate`).

    Warns as `simulate` does: once of what the plan changed or doubts, and of each node's image.
    Raises `ConfigError`, and what `simulate` raises; `UnsupportedError` with a background or a
    response.
    """
    import numpy as np

    require_class("experiment", experiment, Experiment)
    spectrum = experiment.beam.spectrum
    if spectrum is None:
        raise ConfigError("beam.spectrum", None, "a spectrum with a node for each table")
    if isinstance(structure_factors, StructureFactors):
        raise ConfigError("structure_factors", structure_factors, "one table for each wavelength")
    tables = list(structure_factors)
    for n, table in enumerate(tables):
        require_class(f"structure_factors[{n}]", table, StructureFactors)
    if len(tables) != spectrum.nodes:
        found = Description(f"{len(tables)} tables")
        rule = f"{spectrum.nodes}, one for each node of beam.spectrum"
        raise ConfigError("structure_factors", found, rule)
    for part in ("background", "response"):
        if getattr(experiment, part) is not None:
            raise UnsupportedError(
                f"{part}: simulate_by_wavelength renders the crystal's light alone; "
                f"experiment.replace({{{part!r}: None}}) is without it"
            )
    checked = checked_threads(threads)
    # Seeds from the clock are drawn once, for all of them.
    whole = prepared(experiment, tables[0], backend, quirks, unrounded=True)
    lengths = tuple(m_to_angstrom(length) for length in spectrum.wavelengths_m)
    total = sum(spectrum.node_weights)
    weights = tuple(weight / total for weight in spectrum.node_weights)
    means = [np.zeros(shape, np.float64) for shape in experiment.detector.shapes]
    for n, (table, weight) in enumerate(zip(tables, weights, strict=True)):
        if weight == 0.0:
            continue
        node = _node(spectrum, n)
        alone = whole.experiment.replace({"beam.spectrum": node})
        run = prepared(alone, table, backend, quirks, unrounded=True)
        result = run.render_quietly(threads=checked, unrounded=True)
        for number, panel in enumerate(result.panels):
            assert panel.unrounded is not None
            means[number] += weight * panel.unrounded
        for text in image_warnings(result):
            about = f"wavelength {lengths[n]:g} angstrom: {text}"
            warnings.warn(about, ImageWarning, stacklevel=2)
    for text in dict.fromkeys(text for plan in whole.plans for text in plan.sentences()):
        warnings.warn(text, SetupWarning, stacklevel=2)
    rounded = tuple(mean.astype(np.float32) for mean in means)
    return SpectralImage(rounded, tuple(means), lengths, weights)


def _node(spectrum: Spectrum, n: int) -> Spectrum:
    if spectrum.wavelengths_angstrom is not None:
        return Spectrum(wavelengths_angstrom=(spectrum.wavelengths_angstrom[n],))
    assert spectrum.energies_ev is not None
    return Spectrum(energies_ev=(spectrum.energies_ev[n],))
