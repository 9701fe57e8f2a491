"""Whether a state can grow: the spectral radius of recurrent weights, which are the same at every step."""

from __future__ import annotations

import torch

from .baselines import ElmanRNN
from .capsule_layers import CapsuleRNN
from .layer import Recurrent


def spectral_radius(layer: Recurrent) -> torch.Tensor | None:
    """Largest |eigenvalue| of W, of a stack (models,), in double precision.

    A small state h^t = W h^(t-1) grows where it is above one, and dies where it is below: with weights that are tied,
    and radial units, it is what tells the broken phase from the unbroken one. tanh stops the growth, a ReLU does not.
    NaN for weights that are not finite; None for layers with gates, whose W is not all that acts, and for grids.
    """
    if isinstance(layer, CapsuleRNN):
        weight = layer.acting_weight()
    elif isinstance(layer, ElmanRNN):
        weight = layer.recurrent
    else:
        return None
    weight = weight.detach().cpu().double()
    finite = weight.isfinite().all(-1).all(-1)
    radius = torch.linalg.eigvals(weight.where(finite[..., None, None], 0.0)).abs().amax(-1)
    return radius.where(finite, torch.nan)
