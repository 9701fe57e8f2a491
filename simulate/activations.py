"""The radial activations of `meanfield.activations` as torch functions of the radius."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch

from meanfield.activations import Activation, as_activation

RadialFunction = Callable[[torch.Tensor], torch.Tensor]

# The same names as meanfield.NAMED_ACTIVATIONS, which the tests hold against these.
TORCH_ACTIVATIONS: dict[str, RadialFunction] = {
    "tanh": torch.tanh,
    "erf": torch.erf,
    "algebraic": lambda r: r * torch.rsqrt(1.0 + r * r),
    "saturated": torch.ones_like,
    "linear": lambda r: r,
}


def torch_activation(activation: str | Activation | Callable) -> RadialFunction:
    """f(r) as a function of torch tensors.

    A user's own f is called on tensors as it is, so it must be made of operators (or of torch functions for tensors and
    numpy functions for arrays): ``lambda r: r / (1 + r)`` serves the theory and the networks.

    Raises
    ------
    ValueError
        For an unknown name, or a function that does not return a tensor of the shape of its argument.
    """
    activation = as_activation(activation)
    if activation.guaranteed:
        return TORCH_ACTIVATIONS[activation.name]
    f = cast(RadialFunction, activation.value)
    # numpy's functions refuse a tensor that wants a gradient, and would work on the CPU only
    probe = torch.linspace(0.0, 2.0, 5, requires_grad=True)
    try:
        value = f(probe)
    except Exception as error:
        raise ValueError(
            f"activation {activation.name} must accept torch tensors, as one made of operators does, or one that tells "
            f"them from arrays (see meanfield.as_activation), got the error: {error}"
        ) from error
    if not isinstance(value, torch.Tensor) or value.shape != probe.shape:
        raise ValueError(
            f"activation {activation.name} must turn a torch tensor of shape {tuple(probe.shape)} into one of the same "
            f"shape, got {value!r}"
        )
    return f


def radial(f: RadialFunction, state: torch.Tensor, axis: int) -> torch.Tensor:
    """phi(x) = f(|x|) x/|x| (paper Eq. (5), (20)), x running along `axis`; phi(0) = 0, with a finite gradient there."""
    # The square root of a sum of squares is many times faster than torch.linalg.vector_norm over a middle axis.
    return radial_of(f, state, (state * state).sum(axis, keepdim=True))


def radial_of(f: RadialFunction, state: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
    """phi(x) where the `square` |x|^2 is known."""
    r = square.clamp(min=torch.finfo(state.dtype).tiny ** 0.5).sqrt()
    return state * (f(r) / r)
