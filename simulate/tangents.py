"""Small changes of a state, carried through one nonlinearity by hand (forward mode)."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch

from meanfield.activations import Activation, as_activation

from .activations import RadialFunction, torch_activation

# f' of the named activations, finite at every r >= 0; the tests hold them against the theory's.
TORCH_DERIVATIVES: dict[str, RadialFunction] = {
    "tanh": lambda r: torch.cosh(r) ** -2,
    "erf": lambda r: 2.0 / math.sqrt(math.pi) * torch.exp(-r * r),
    "algebraic": lambda r: (1.0 + r * r) ** -1.5,
    "saturated": torch.zeros_like,
    "linear": torch.ones_like,
}


def torch_derivative(activation: str | Activation | Callable) -> RadialFunction:
    """f'(r) as a function of torch tensors; of a user's f by automatic differentiation.

    Raises
    ------
    ValueError
        As for :func:`simulate.activations.torch_activation`.
    """
    activation = as_activation(activation)
    if activation.guaranteed:
        return TORCH_DERIVATIVES[activation.name]
    f = torch_activation(activation)
    return torch.func.grad(lambda r: f(r).sum())


class Capsules:
    """What a nonlinearity does to small changes of a state: D v = (f(r)/r) (v - x (x.v)) + f'(r) x (x.v), x = z/r.

    Parameters
    ----------
    f, derivative : f and f' of the radius
    state : z (network, capsule, component, ...)

    Attributes
    ----------
    amplitude, angular : f'(r) and f(r)/r, (network, capsule, 1, ...)
    """

    def __init__(self, f: RadialFunction, derivative: RadialFunction, state: torch.Tensor) -> None:
        square = (state * state).sum(2, keepdim=True)
        # as in `simulate.activations.radial`: at r = 0, D is f'(0) times the identity
        r = square.clamp(min=torch.finfo(state.dtype).tiny ** 0.5).sqrt()
        self._unit = state / r
        self.angular = f(r) / r
        self.amplitude = derivative(r)

    def __call__(self, tangents: torch.Tensor) -> torch.Tensor:
        """D v of several v at the same state, (network, capsule, component, ..., tangent)."""
        unit, angular, amplitude = (x.unsqueeze(-1) for x in (self._unit, self.angular, self.amplitude))
        along = (unit * tangents).sum(2, keepdim=True)
        return angular * tangents + (amplitude - angular) * along * unit


def generators(dimension: int) -> np.ndarray:
    """The generators of the rotations of R^D, one for each plane of two components, (D (D-1)/2, D, D).

    Each turns the first component of its plane into the second; for D = 2 it is multiplication by i.
    """
    planes = list(combinations(range(dimension), 2))
    out = np.zeros((len(planes), dimension, dimension))
    for generator, (first, second) in zip(out, planes, strict=True):
        generator[second, first], generator[first, second] = 1.0, -1.0
    return out
