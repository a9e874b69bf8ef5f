"""Responses like those of some detectors (model 10.5).

Where a number has no source it is an assumption, to be replaced by that of the detector at hand.
"""

from __future__ import annotations

from nanobragg_hybrid.model.response import PointSpread, Response


def pilatus_response(seed: int = 0) -> Response:
    """Photon counting, no read-out noise, counters of 20 bits (DECTRIS, PILATUS user manual 1.2 and
    PILATUS3 X CdTe data).  Assumption: no light spreads to other pixels."""
    return Response(saturation=2.0**20 - 1.0, count_type="int32", seed=seed)


def eiger_response(seed: int = 0) -> Response:
    """Photon counting, no read-out noise.  Assumptions: sums of 32 bits, no light spreads to other
    pixels."""
    return Response(count_type="uint32", seed=seed)


def ccd_response(seed: int = 0) -> Response:
    """Fibre-coupled CCD: tails of the point spread with g = 27 um (Holton, Nielsen and Frankel,
    2012, J. Synchrotron Rad. 19, 1006-1011).  Assumptions: all else, among it a gain of 1.8 counts
    per photon, 3 counts of read-out noise, 3 % between the gains of pixels, a pedestal of 40."""
    return Response(
        point_spread=PointSpread(fibre_radius_um=27.0),
        gain=1.8,
        gain_error=0.03,
        read_noise=3.0,
        pedestal=40.0,
        count_type="uint16",
        seed=seed,
    )


def jungfrau_response(seed: int = 0) -> Response:
    """Integrating, pedestal taken off, counts in photons, not rounded.  Assumptions: all numbers,
    among them a read-out noise of 0.03 photons and 1 % between the gains of pixels."""
    return Response(
        gain_error=0.01, read_noise=0.03, saturation=11000.0, count_type="float32", seed=seed
    )


def cspad_response(seed: int = 0) -> Response:
    """Integrating, 14 bits.  Assumptions: all numbers, among them 25 counts per photon, a read-out
    noise of 5 counts, 5 % between the gains of pixels, 1 % from frame to frame, 10 % of flicker, a
    pedestal of 1000 and 0.1 % dead pixels."""
    return Response(
        gain=25.0,
        gain_error=0.05,
        flicker=0.1,
        frame_gain_error=0.01,
        read_noise=5.0,
        pedestal=1000.0,
        saturation=2.0**14 - 1.0,
        dead_fraction=0.001,
        count_type="uint16",
        seed=seed,
    )
