"""The corrected kernel as plain sums in numpy (docs/quirks.md, docs/model.md 6): an opinion of its
own about what a pixel is worth when every kernel quirk is off.

Only what the plan says about geometry, crystal and sampling is taken from the engine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

import nanobragg_hybrid as nb
from nanobragg_hybrid.engines.c.engine import Plan

R_E_SQR_M2 = 7.94079248018965e-30
AVOGADRO = 6.02214179e23
Array = NDArray[np.float64]


def rotation(axis: Array, angle: float) -> Array:
    """The matrix that turns by `angle` (radians) about the unit vector `axis`."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def rotation_xyz(angles: Array) -> Array:
    """Turns about x, then y, then z (radians)."""
    matrices = [rotation(axis, angle) for axis, angle in zip(np.eye(3), angles, strict=True)]
    return matrices[2] @ matrices[1] @ matrices[0]


def unit(v: Array) -> Array:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def polarization(kahn: float, axis: Array, incident: Array, d: Array) -> Array:
    """Kahn's factor for directions d, shape (..., 3)."""
    cos_sqr = (d @ incident) ** 2
    across = unit(np.cross(axis, incident))
    along = np.cross(incident, across)
    psi = -np.arctan2(d @ across, d @ along)
    return 0.5 * (1 + cos_sqr - kahn * np.cos(2 * psi) * (1 - cos_sqr))


class Corrected:
    """The pixels of one plan; `image` is what they are worth."""

    def __init__(self, plan: Plan, factors: nb.StructureFactors) -> None:
        self.experiment = plan.experiment
        self.info = {
            name: np.array(value) if isinstance(value, tuple | list) else value
            for name, value in plan.info().items()
        }
        self.factors = factors
        self.phi = plan.phi()
        self.mosaic = plan.mosaic_matrices()
        table = plan.sources()
        self.incident, self.weights, self.wavelengths = -table[:, :3], table[:, 3], table[:, 4]

    def positions(self, sub_slow: float = 0, sub_fast: float = 0, depth_m: float = 0.0) -> Array:
        """Where the sub-pixels are, shape (slow, fast, 3)."""
        info = self.info
        step = info["pixel_size_m"] / info["oversample"]
        step_slow = info["pixel_size_slow_m"] / info["oversample"]
        fast = step * (np.arange(info["n_fast"]) * info["oversample"] + sub_fast + 0.5)
        slow = step_slow * (np.arange(info["n_slow"]) * info["oversample"] + sub_slow + 0.5)
        f, s, o = info["fast_axis"], info["slow_axis"], info["normal_axis"]
        fast, slow = fast[None, :, None], slow[:, None, None]
        if not self.experiment.detector.curved:
            return np.asarray(fast * f + slow * s + depth_m * o + info["pix0_m"])
        b, distance = info["beam_direction"], info["distance_m"]
        arc = ((fast - info["beam_fast_m"]) * f + (slow - info["beam_slow_m"]) * s) / distance
        angle = np.hypot(fast - info["beam_fast_m"], slow - info["beam_slow_m"]) / distance
        across = arc - (arc @ b)[..., None] * b
        length = np.linalg.norm(across, axis=-1, keepdims=True)
        across = np.divide(across, length, out=np.zeros_like(across), where=length > 0)
        return np.asarray((distance + depth_m) * (np.cos(angle) * b + np.sin(angle) * across))

    def solid_angle(self, position: Array) -> Array:
        r = np.linalg.norm(position, axis=-1)
        facing = np.asarray(self.info["pixel_size_m"] * self.info["pixel_size_slow_m"] / r**2)
        detector = self.experiment.detector
        if detector.point_pixel or detector.curved:
            return facing
        return np.asarray(facing * self.info["close_distance_m"] / r)

    def captured(self, d: Array, top_m: float, bottom_m: float) -> Array:
        """Fraction of photons stopped between two depths of the sensor."""
        is_curved = self.experiment.detector.curved  # rays go straight through
        path = np.ones(d.shape[:-1]) if is_curved else d @ self.info["normal_axis"]
        mu = self.info["sensor_attenuation_per_m"]
        return np.asarray(np.exp(-top_m * mu / path) - np.exp(-bottom_m * mu / path))

    def polarization(self, source: int, d: Array) -> Array:
        """The factor for a source; 1 without polarization."""
        beam = self.experiment.beam
        if not beam.polarization_correction:
            return np.ones(d.shape[:-1])
        axis = self.info["polarization_axis"]
        return polarization(beam.polarization_kahn, axis, self.incident[source], d)

    def structure_factor(self, hkl: Array) -> Array:
        """F at fractional indices (..., 3), interpolated where the table allows it."""
        grid, low = self.factors.grid, np.array(self.factors.hkl_min)
        default = np.full(hkl.shape[:-1], self.factors.default_f)
        if grid is None:
            return default
        nearest = np.ceil(hkl - 0.5).astype(int) - low
        inside = np.all((nearest >= 0) & (nearest < grid.shape), axis=-1)
        i = np.where(inside[..., None], nearest, 0)
        f = np.where(inside, grid[i[..., 0], i[..., 1], i[..., 2]], default)
        if self.info["interpolate"]:
            high = low + np.array(grid.shape) - 1
            fits = np.all((hkl - low + 3 <= high - low + 1) & (hkl - 2 >= low), axis=-1)
            f[fits] = [self.tricubic(point) for point in hkl[fits]]
        return f

    def tricubic(self, hkl: Array) -> float:
        """Lagrange polynomials through the 4 x 4 x 4 neighbours."""
        assert self.factors.grid is not None
        first = np.floor(hkl).astype(int) - 1
        weights = []
        for x, x0 in zip(hkl, first, strict=True):
            nodes = np.arange(x0, x0 + 4)
            others = [np.delete(nodes, j) for j in range(4)]
            weights.append([np.prod((x - o) / (n - o)) for n, o in zip(nodes, others, strict=True)])
        h, k, l = first - np.array(self.factors.hkl_min)
        cube = self.factors.grid[h : h + 4, k : k + 4, l : l + 4]
        return float(np.einsum("i,j,k,ijk", *weights, cube))

    def lattice(self, hkl: Array) -> Array:
        """The shape factor of model 6.5."""
        n = self.info["n_cells"]
        shape, fudge = self.experiment.crystal.shape, self.experiment.crystal.shape_fudge
        if shape == "square":
            x = np.pi * hkl
            sines = np.sin(x * n) / np.where(x == 0, 1, np.sin(x))
            return np.asarray(np.prod(np.where(n > 1, np.where(x == 0, n, sines), 1), axis=-1))
        from_peak = hkl - np.ceil(hkl - 0.5)
        if shape in ("gauss", "tophat"):
            stars = [self.info[f"{axis}_star_per_angstrom"] for axis in "abc"]
            r_sqr = np.sum((from_peak @ np.array(stars)) ** 2, axis=-1) * np.prod(n) ** 2
        else:
            r_sqr = np.sum((from_peak * n) ** 2, axis=-1)
        if shape == "round":
            x = np.pi * np.sqrt(r_sqr * fudge)
            safe = np.where(x == 0, 1, x)
            ball = np.where(x == 0, 1, 3 * (np.sin(safe) / safe - np.cos(safe)) / safe**2)
            return np.asarray(np.prod(n) * 0.723601254558268 * ball)
        if shape in ("gauss", "gauss_hkl"):
            return np.asarray(np.prod(n) * np.exp(-r_sqr / 0.63 * fudge))
        return np.asarray(np.prod(n) * (r_sqr * fudge < 0.3969))

    def diffracted(self, source: int, d: Array) -> Array:
        """Sum of F^2 latt^2 over phi steps and domains for directions d; 0 beyond dmin."""
        q = (d - self.incident[source]) / self.wavelengths[source]
        total = np.zeros(d.shape[:-1])
        cell = np.array([self.info["a0_m"], self.info["b0_m"], self.info["c0_m"]])
        for phi in self.phi:
            turned = cell @ rotation(self.info["spindle_axis"], phi).T
            for matrix in self.mosaic:
                hkl = q @ (turned @ matrix.T).T
                total += (self.structure_factor(hkl) * self.lattice(hkl)) ** 2
        half_q = np.linalg.norm(q, axis=-1) / 2
        with np.errstate(divide="ignore"):
            is_cut = self.experiment.sampling.dmin_angstrom * 1e-10 > 0.5 / half_q
        return np.where(is_cut, 0.0, total)

    def image(self) -> Array:
        """Photons per pixel, shape (slow, fast).  The oversample options change nothing: every
        sample has factors of its own.
        """
        info = self.info
        shares = self.weights / self.weights.sum()
        scale = R_E_SQR_M2 * info["fluence_photons_per_m2"]
        oversample, layers = info["oversample"], info["sensor_layers"]
        step = info["sensor_layer_step_m"]
        has_sensor = info["sensor_thickness_m"] > 0
        total, drop = (np.zeros((info["n_slow"], info["n_fast"])) for _ in range(2))
        for layer in range(layers):
            for place in np.ndindex(oversample, oversample):
                position = self.positions(*place, layer * step)
                d, omega = unit(position), self.solid_angle(position)
                polar = [self.polarization(source, d) for source in range(len(shares))]
                stopped = self.captured(d, layer * step, (layer + 1) * step) if has_sensor else 1.0
                for source, share in enumerate(shares):
                    total += share * stopped * omega * polar[source] * self.diffracted(source, d)
                if layer == 0:
                    stopped = self.captured(d, 0.0, layers * step) if has_sensor else 1.0
                    drop += stopped * omega * sum(s * p for s, p in zip(shares, polar, strict=True))
        water_m = self.experiment.crystal.water_um * 1e-6
        molecules = water_m**3 * 1e6 * AVOGADRO / 18
        diffracted = total / (len(self.phi) * len(self.mosaic))
        image = scale * (diffracted + 2.57**2 * molecules * drop) / oversample**2
        return np.where(self.is_active(), image, 0.0)

    def is_active(self) -> NDArray[np.bool_]:
        """Inside the region of interest and not masked."""
        info, mask = self.info, self.experiment.detector.mask
        lit = np.zeros((info["n_slow"], info["n_fast"]), bool)
        slow = slice(info["roi_slow_min"], info["roi_slow_max"] + 1)
        fast = slice(info["roi_fast_min"], info["roi_fast_max"] + 1)
        lit[slow, fast] = True
        return lit if mask is None else lit & mask.values
