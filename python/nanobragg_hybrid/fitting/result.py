"""What a fit found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.fitting.crystal_systems import CrystalSystem
from nanobragg_hybrid.fitting.figure import boxes_picture
from nanobragg_hybrid.fitting.likelihoods import Array, Likelihood
from nanobragg_hybrid.fitting.minimise import Iteration
from nanobragg_hybrid.fitting.options import checked
from nanobragg_hybrid.fitting.pixels import FitPixels
from nanobragg_hybrid.formats.png import write_png
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.validate import COUNT, Optional


@dataclass(frozen=True, slots=True)
class FittedNumber:
    """One number that was fitted.

    name: of its parameter.  index: which number of the parameter, 0 for one that has only one.
    unit: of value and esd, empty for none.  value: at the end of the fit.  start: before.  esd:
    estimated standard deviation, 0 for a number that the crystal system fixes, infinite for one
    that the data do not determine.
    """

    name: str
    index: int
    unit: str
    value: float
    start: float
    esd: float


class Evaluations(NamedTuple):
    """What the fit asked the engine for: values of the pixels, and their Jacobians."""

    images: int
    jacobians: int


@dataclass(frozen=True, slots=True, eq=False)
class FitResult:
    """The result of `fit`.

    experiment: the experiment with the fitted numbers.  parameters: every number of the fitted
    parameters, in order.  covariance: of these numbers, in their units, shape (numbers, numbers);
    infinite on the diagonal where the data do not determine a number; the inverse of the expected
    or the observed information, as asked for.
    likelihood, crystal_system: as used; no crystal system where no cell was fitted.
    deviance: -2 log likelihood, less that of a model that meets every pixel, and the squared
    residuals of the priors.  degrees_of_freedom: pixels, and priors, less free numbers.
    scale: factor on the signal of `experiment` as it was given.
    background: coefficients for each box, photons, shape (boxes, coefficients): none, the constant,
    or also what a plane adds at the end of the box along slow and fast.
    model: photons in the fitted pixels, box by box, signal and background, shape (n,).
    converged: whether the last step would have been short enough; reason: why the fit ended.
    trace: its trial steps.  evaluations: what it cost.  fitted: the pixels, data and boxes.
    """

    experiment: Experiment
    parameters: tuple[FittedNumber, ...]
    covariance: Array
    likelihood: Likelihood
    crystal_system: CrystalSystem | None
    deviance: float
    degrees_of_freedom: int
    scale: float
    background: Array
    model: Array
    converged: bool
    reason: str
    trace: tuple[Iteration, ...]
    evaluations: Evaluations
    fitted: FitPixels

    @property
    def boxes(self) -> NDArray[np.intp]:
        """As fitted: slow_start, slow_stop, fast_start, fast_stop, shape (boxes, 4)."""
        return self.fitted.boxes

    @property
    def pixels(self) -> NDArray[np.intp]:
        """Slow and fast of the fitted pixels, in the order of `model`, shape (n, 2)."""
        return np.stack([self.fitted.slow, self.fitted.fast], axis=1)

    @property
    def data(self) -> Array:
        """Photons in the fitted pixels, in the order of `model`, shape (n,)."""
        return self.fitted.photons

    @property
    def chi_square(self) -> float:
        """Squared residuals over the variance of the model (Pearson), summed over the pixels; NaN
        where a pixel of the model has neither light nor read-out noise."""
        spread = self.model + self.fitted.variance
        if not bool(np.all(spread > 0.0)):
            return float("nan")
        return float(np.sum((self.data - self.model) ** 2 / spread))

    @property
    def reduced_deviance(self) -> float:
        """Deviance over degrees of freedom: near 1 for a right model of many photons a pixel, and
        below for few (a Poisson deviance is smaller there); NaN without a degree of freedom."""
        freedom = self.degrees_of_freedom
        return self.deviance / freedom if freedom > 0 else float("nan")

    def box_images(self, box: int) -> tuple[Array, Array]:
        """Data and model of a box, photons, shape (slow, fast); NaN where nothing was fitted.

        Raises `IndexError` for a box that there is not.
        """
        slow_start, slow_stop, fast_start, fast_stop = self.boxes[box].tolist()
        images = np.full((2, slow_stop - slow_start, fast_stop - fast_start), np.nan)
        mine = self.fitted.box == range(len(self.boxes))[box]
        place = (self.pixels[mine, 0] - slow_start, self.pixels[mine, 1] - fast_start)
        for image, values in zip(images, (self.data, self.model), strict=True):
            image[place] = values[mine]
        return images[0], images[1]

    def figure(
        self, path: str | os.PathLike[str], *, zoom: int = 4, columns: int | None = None
    ) -> None:
        """Writes a PNG of all boxes: data | model | residual.

        zoom: edge of a pixel in the picture.  columns: boxes side by side; None chooses.

        Data and model are dark on white by the square root of the photons, black at the brightest
        of the box.  Residuals over their standard deviations are red where there is more light than
        in the model and blue where there is less, in full colour from 5 on.  What was not fitted is
        grey.

        Raises `ConfigError`, `ResourceError` for a picture that does not fit into memory,
        `UnsupportedError` without Pillow, and `FileAccessError`.
        """
        checked_zoom = checked("zoom", zoom, COUNT)
        checked_columns = checked("columns", columns, Optional(COUNT))
        write_png(path, boxes_picture(self.fitted, self.model, checked_zoom, checked_columns))

    def __str__(self) -> str:
        """A table of the numbers, and how the fit ended."""
        end = "converged" if self.converged else "NOT CONVERGED"
        lines = [
            f"{end}: {self.reason}",
            f"deviance {self.deviance:.6g} for {self.degrees_of_freedom} degrees of freedom",
            f"{self.evaluations.images} images, {self.evaluations.jacobians} Jacobians",
        ]
        for number in self.parameters:
            several = sum(each.name == number.name for each in self.parameters) > 1
            name = f"{number.name}[{number.index}]" if several else number.name
            error = f"{number.esd:.2g}"
            lines.append(f"{name:32s} {number.value:14.8g} +- {error:8s} {number.unit}".rstrip())
        return "\n".join(lines)
