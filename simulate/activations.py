"""The radial activations of `meanfield.activations` as torch functions of the radius."""

from __future__ import annotations

from collections.abc import Callable

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
    """f(r) as a function of torch tensors; a user's own f is called on tensors as it is.

    Raises
    ------
    ValueError
        For an unknown name, or a function that does not return a tensor of the shape of its argument.
    """
    activation = as_activation(activation)
    if activation.guaranteed:
        return TORCH_ACTIVATIONS[activation.name]
    probe = torch.linspace(0.0, 2.0, 5)
    try:
        value = activation.value(probe)
    except TypeError as error:
        raise ValueError(f"activation {activation.name} must accept torch tensors: {error}") from error
    if not isinstance(value, torch.Tensor) or value.shape != probe.shape:
        raise ValueError(
            f"activation {activation.name} must turn a torch tensor of shape {tuple(probe.shape)} into one of the same "
            f"shape, got {type(value).__name__}"
        )
    return activation.value


def radial(f: RadialFunction, state: torch.Tensor, axis: int) -> torch.Tensor:
    """phi(x) = f(|x|) x/|x| (paper Eq. (5), (20)), x running along `axis`; phi(0) = 0, with a finite gradient there."""
    # The square root of a sum of squares is many times faster than torch.linalg.vector_norm over a middle axis.
    square = (state * state).sum(axis, keepdim=True)
    r = square.clamp(min=torch.finfo(state.dtype).tiny ** 0.5).sqrt()
    return state * (f(r) / r)
