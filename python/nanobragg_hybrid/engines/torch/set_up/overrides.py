"""Parameters of which one decides, so that a value for another beside it would have no effect.

What the configuration decides makes a parameter inactive (see `parameters`); this is about values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.engines.torch.set_up.detector import ORIGIN
from nanobragg_hybrid.engines.torch.set_up.parameters import counts_cell
from nanobragg_hybrid.engines.torch.set_up.placement import BEAM_CENTRE, NEAR_POINT, XDS_ORIGIN
from nanobragg_hybrid.engines.torch.set_up.setup import Setup
from nanobragg_hybrid.engines.torch.set_up.sources import WAVELENGTHS

_DISTANCE: Final = "detector.distance_mm"
_CLOSE_DISTANCE: Final = "detector.close_distance_mm"
_WAVELENGTH: Final = "beam.wavelength_angstrom"


class _Override(NamedTuple):
    """decides: a parameter; overridden: those that it leaves without effect, if `holds`."""

    decides: str
    overridden: tuple[str, ...]
    holds: Callable[[Setup], bool] = lambda _: True


_OVERRIDES: Final = (
    _Override(ORIGIN, (_DISTANCE, _CLOSE_DISTANCE, *BEAM_CENTRE, *NEAR_POINT, *XDS_ORIGIN)),
    _Override(_CLOSE_DISTANCE, (_DISTANCE,)),
    # An orientation matrix is in proportion to the beam's wavelength, whatever the sources have.
    _Override(WAVELENGTHS, (_WAVELENGTH,), counts_cell),
)


def overridden_by(name: str, names: Collection[str], setup: Setup) -> str | None:
    """Which of `names` leaves the value of `name` without effect in a set-up; None: none."""
    for override in _OVERRIDES:
        if name in override.overridden and override.decides in names and override.holds(setup):
            return override.decides
    return None


def require_none_overridden(names: Collection[str], setup: Setup) -> None:
    """Raises `ConfigError` for values of which one leaves another without effect."""
    for name in names:
        decides = overridden_by(name, names, setup)
        if decides is not None:
            raise ConfigError(
                f"values[{name}]",
                Description(f"a value beside one of {decides}"),
                f"only one of the two: {decides} decides, and {name} would have no effect",
            )
