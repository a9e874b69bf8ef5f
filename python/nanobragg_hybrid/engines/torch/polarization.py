"""The polarization factor: model 6.6."""

from __future__ import annotations

import torch
from torch import Tensor

from nanobragg_hybrid.engines.torch.scalars import Scalar
from nanobragg_hybrid.engines.torch.vectors import Vector, cross, dot, unit


def polarization_factor(kahn: Scalar, incident: Vector, diffracted: Vector, axis: Vector) -> Tensor:
    """The factor for a Kahn factor and unit vectors, by broadcasting.

    The model normalises the directions once more here; that changes no more than their last bit.

    With E the polarization direction across the incident beam and B = incident x E reversed, the
    model's cos(2 psi) (1 - c^2) is (d.E)^2 - (d.B)^2, which is smooth where psi is not defined.
    An axis along the beam has no E: then psi is 0.
    """
    c = dot(incident, diffracted)
    c2 = c * c
    if isinstance(kahn, float) and kahn == 0.0:
        factor = 0.5 * (1.0 + c2)
    else:
        across = unit(cross(unit(axis), incident))
        e_axis = unit(cross(incident, across))
        along_b, along_e = dot(diffracted, across), dot(diffracted, e_axis)
        has_axis = torch.as_tensor(dot(across, across) != 0.0)
        split = torch.where(has_axis, along_e * along_e - along_b * along_b, 1.0 - c2)
        factor = 0.5 * (1.0 + c2 - kahn * split)
    assert isinstance(factor, Tensor)
    return factor
