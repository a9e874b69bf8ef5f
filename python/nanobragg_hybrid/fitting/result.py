"""What a fit found."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nanobragg_hybrid.base.errors import ConfigError, Description
from nanobragg_hybrid.fitting.coordinates import SPOT_SCALES
from nanobragg_hybrid.fitting.crystal_systems import CrystalSystem
from nanobragg_hybrid.fitting.figure import boxes_picture
from nanobragg_hybrid.fitting.likelihoods import Array, Likelihood
from nanobragg_hybrid.fitting.minimise import Iteration
from nanobragg_hybrid.fitting.options import checked
from nanobragg_hybrid.fitting.pixels import FitPixels
from nanobragg_hybrid.fitting.stack import Stack
from nanobragg_hybrid.formats.png import write_png
from nanobragg_hybrid.model.experiment import Experiment
from nanobragg_hybrid.model.validate import COUNT, Optional


@dataclass(frozen=True, slots=True)
class FittedNumber:
    """One number that was fitted.

    name: of its parameter.  index: which number of the parameter, 0 for one that has only one.
    unit: of value and esd, empty for none.  value: at the end of the fit.  start: before.  esd:
    estimated standard deviation, 0 for a number that the crystal system fixes, infinite for one
    that the data do not determine.  image: the number of the image that it belongs to, None for
    all.
    """

    name: str
    index: int
    unit: str
    value: float
    start: float
    esd: float
    image: int | None = None


class Evaluations(NamedTuple):
    """What the fit asked the engine for: values of an image's pixels, and their Jacobians."""

    images: int
    jacobians: int


@dataclass(frozen=True, slots=True, eq=False)
class FittedImage:
    """One image of a fit.

    experiment: the experiment with the fitted numbers.  deviance: -2 log likelihood, less that of a
    model that meets every pixel.  scale: factor on the signal of the experiment as it was given.
    background: coefficients for each box, photons, shape (boxes, coefficients): none, the constant,
    or also what a plane adds at the end of the box along slow and fast.
    model: photons in the fitted pixels, box by box, signal and background, shape (n,).
    fitted: the pixels, data and boxes; of a detector of several panels, with the panels below each
    other.  stack: how they are; None: there is one panel.
    """

    experiment: Experiment
    deviance: float
    scale: float
    background: Array
    model: Array
    fitted: FitPixels
    stack: Stack | None = None

    @property
    def boxes(self) -> NDArray[np.intp]:
        """As fitted: slow_start, slow_stop, fast_start, fast_stop, shape (boxes, 4); of several
        panels with the panel in front, shape (boxes, 5)."""
        if self.stack is None:
            return self.fitted.boxes
        return self.stack.boxes_of_panels(self.fitted.boxes)

    @property
    def pixels(self) -> NDArray[np.intp]:
        """Slow and fast of the fitted pixels, in the order of `model`, shape (n, 2); of several
        panels with the panel in front, shape (n, 3)."""
        slow, fast = self.fitted.slow, self.fitted.fast
        if self.stack is None:
            return np.stack([slow, fast], axis=1)
        panel = self.stack.panel(slow)
        return np.stack([panel, slow - self.stack.starts[panel], fast], axis=1)

    @property
    def data(self) -> Array:
        """Photons in the fitted pixels, in the order of `model`, shape (n,)."""
        return self.fitted.photons

    @property
    def cut_off(self) -> NDArray[np.bool_]:
        """Which of the fitted pixels show the end of what they can, in the order of `model`: their
        likelihood is the probability to be there or beyond."""
        found = np.zeros(self.fitted.count, np.bool_)
        if self.fitted.cut is not None:
            found[self.fitted.cut.place] = True
        return found

    @property
    def chi_square(self) -> float:
        """Squared residuals over the variance of the model (Pearson), summed over the pixels, with
        none where data and model are both cut off; NaN where a pixel of the model has neither light
        nor read-out noise."""
        spread = self.fitted.growth.spread(self.model, self.fitted.variance)
        if not bool(np.all(spread > 0.0)):
            return float("nan")
        return float(np.sum(self.fitted.residuals(self.model) ** 2 / spread))

    def box_images(self, box: int) -> tuple[Array, Array]:
        """Data and model of a box, photons, shape (slow, fast); NaN where nothing was fitted.

        Raises `IndexError` for a box that there is not.
        """
        slow_start, slow_stop, fast_start, fast_stop = self.fitted.boxes[box].tolist()
        images = np.full((2, slow_stop - slow_start, fast_stop - fast_start), np.nan)
        mine = self.fitted.box == range(len(self.fitted.boxes))[box]
        place = (self.fitted.slow[mine] - slow_start, self.fitted.fast[mine] - fast_start)
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


@dataclass(frozen=True, slots=True, eq=False)
class FitResult:
    """The result of `fit`.

    images: what was found for each image.  parameters: every number of the fitted parameters, in
    order, those that images do not share image by image.  covariance: of these numbers, in their
    units, shape (numbers, numbers); infinite on the diagonal where the data do not determine a
    number; the inverse of the expected or the observed information, as asked for.
    likelihood, crystal_system: as used; no crystal system where no cell was fitted.
    deviance: -2 log likelihood, less that of a model that meets every pixel, and the squared
    residuals of the priors.  degrees_of_freedom: pixels that are not cut off, and priors, less free
    numbers.
    converged: whether the last step would have been short enough; reason: why the fit ended.
    trace: its trial steps.  evaluations: what it cost.

    What a `FittedImage` has, a fit of one image has, too: `experiment`, `scale`, `model`, ...; of
    several it is a `ConfigError`, and `images` or `experiments` have it.
    """

    images: tuple[FittedImage, ...]
    parameters: tuple[FittedNumber, ...]
    covariance: Array
    likelihood: Likelihood
    crystal_system: CrystalSystem | None
    deviance: float
    degrees_of_freedom: int
    converged: bool
    reason: str
    trace: tuple[Iteration, ...]
    evaluations: Evaluations

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        """With the fitted numbers, one for each image."""
        return tuple(image.experiment for image in self.images)

    def _only(self, name: str) -> FittedImage:
        """The image of a fit that has one."""
        if len(self.images) != 1:
            what = Description(f"a fit of {len(self.images)} images")
            raise ConfigError(name, what, f"one image: ask for images[n].{name}")
        return self.images[0]

    @property
    def experiment(self) -> Experiment:
        """The experiment with the fitted numbers."""
        return self._only("experiment").experiment

    @property
    def scale(self) -> float:
        """Factor on the signal of the experiment as it was given."""
        return self._only("scale").scale

    @property
    def background(self) -> Array:
        """Coefficients for each box, photons, shape (boxes, coefficients)."""
        return self._only("background").background

    @property
    def model(self) -> Array:
        """Photons in the fitted pixels, box by box, signal and background, shape (n,)."""
        return self._only("model").model

    @property
    def fitted(self) -> FitPixels:
        """The pixels, data and boxes."""
        return self._only("fitted").fitted

    @property
    def boxes(self) -> NDArray[np.intp]:
        """As fitted: slow_start, slow_stop, fast_start, fast_stop, shape (boxes, 4); see
        `FittedImage`."""
        return self._only("boxes").boxes

    @property
    def pixels(self) -> NDArray[np.intp]:
        """Slow and fast of the fitted pixels, in the order of `model`, shape (n, 2); see
        `FittedImage`."""
        return self._only("pixels").pixels

    @property
    def data(self) -> Array:
        """Photons in the fitted pixels, in the order of `model`, shape (n,)."""
        return self._only("data").data

    @property
    def cut_off(self) -> NDArray[np.bool_]:
        """Which of the fitted pixels are cut off, see `FittedImage`."""
        return self._only("cut_off").cut_off

    @property
    def chi_square(self) -> float:
        """Squared residuals over the variance of the model (Pearson), summed over the pixels of all
        images; NaN where a pixel of the model has neither light nor read-out noise."""
        return sum(image.chi_square for image in self.images)

    @property
    def reduced_deviance(self) -> float:
        """Deviance over degrees of freedom: near 1 for a right model of many photons a pixel, and
        below for few (a Poisson deviance is smaller there); NaN without a degree of freedom."""
        freedom = self.degrees_of_freedom
        return self.deviance / freedom if freedom > 0 else float("nan")

    def box_images(self, box: int) -> tuple[Array, Array]:
        """Those of the only image, see `FittedImage`."""
        return self._only("box_images").box_images(box)

    def figure(
        self, path: str | os.PathLike[str], *, zoom: int = 4, columns: int | None = None
    ) -> None:
        """A picture of the only image, see `FittedImage`."""
        self._only("figure").figure(path, zoom=zoom, columns=columns)

    def __str__(self) -> str:
        """A table of the numbers, and how the fit ended."""
        end = "converged" if self.converged else "NOT CONVERGED"
        lines = [
            f"{end}: {self.reason}",
            f"deviance {self.deviance:.6g} for {self.degrees_of_freedom} degrees of freedom",
            f"{self.evaluations.images} images, {self.evaluations.jacobians} Jacobians",
        ]
        cut = sum(image.fitted.cut_count for image in self.images)
        if cut:
            lines.append(f"{cut} pixels are cut off: they are there or beyond")
        sizes = Counter((number.name, number.image) for number in self.parameters)
        for number in self.parameters:
            if number.name == SPOT_SCALES:
                continue
            several = sizes[number.name, number.image] > 1
            name = f"{number.name}[{number.index}]" if several else number.name
            if number.image is not None:
                name += f" of image {number.image}"
            error = f"{number.esd:.2g}"
            lines.append(f"{name:32s} {number.value:14.8g} +- {error:8s} {number.unit}".rstrip())
        scales = [number.value for number in self.parameters if number.name == SPOT_SCALES]
        if scales:
            low, middle, high = np.percentile(scales, [10, 50, 90])
            lines.append(
                f"{SPOT_SCALES:32s} {len(scales)} boxes, {low:.3g} to {high:.3g} for most of them, "
                f"median {middle:.3g}"
            )
        return "\n".join(lines)
