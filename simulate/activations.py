"""The radial activations of `meanfield.activations` as torch functions of the radius."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch

from meanfield.activations import Activation, as_activation, function_name, named_function

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
        For an unknown name, or a function that does not return a real tensor of the shape of its argument.
    """
    activation = as_activation(activation)
    if activation.guaranteed:
        return TORCH_ACTIVATIONS[activation.name]
    f = cast(RadialFunction, activation.value)
    _values(f, activation.name, torch.linspace(0.0, 2.0, 5))
    return f


def on_tensors(activation: str | Activation | Callable) -> tuple[str, RadialFunction]:
    """Name and f(r) of an activation that needs no theory: f may be a function or a module that knows tensors only.

    Raises
    ------
    ValueError
        As :func:`torch_activation` does; for a function of tensors that is not real and finite, or has f(0) != 0.
    """
    if not callable(activation) or named_function(activation) is not None:
        activation = as_activation(activation)
        return activation.name, torch_activation(activation)
    name = function_name(activation)
    radii = torch.cat([torch.zeros(1, dtype=torch.float64), torch.logspace(-8, 4, 97, dtype=torch.float64)])
    values = _values(activation, name, radii)
    bad = ~values.isfinite()
    if bad.any():
        raise ValueError(
            f"activation {name} must be finite for every r >= 0; got {values[bad][0]} at r = {radii[bad][0]:.6g}"
        )
    if values[0] != 0.0:
        raise ValueError(f"activation {name} must have f(0) = 0, got f(0) = {values[0]:.6g}")
    return name, activation


def _values(f: RadialFunction, name: str, radii: torch.Tensor) -> torch.Tensor:
    """f of some radii, if it is a function of tensors."""
    try:
        # numpy's functions refuse a tensor that wants a gradient, and would work on the CPU only
        values = f(radii.clone().requires_grad_())
    except Exception as error:
        raise ValueError(
            f"activation {name} must accept torch tensors, as one made of operators does; one made of functions has to "
            f"choose between them, as does `lambda r: torch.sin(r) if isinstance(r, torch.Tensor) else np.sin(r)`, "
            f"got the error: {error}"
        ) from error
    if not isinstance(values, torch.Tensor) or values.shape != radii.shape or values.is_complex():
        raise ValueError(
            f"activation {name} must turn a torch tensor of shape {tuple(radii.shape)} into a real one of the same "
            f"shape, got {values!r}"
        )
    return values.detach()


def radial(f: RadialFunction, state: torch.Tensor, axis: int) -> torch.Tensor:
    """phi(x) = f(|x|) x/|x| (paper Eq. (5), (20)), x running along `axis`; phi(0) = 0, with a finite gradient there."""
    # The square root of a sum of squares is many times faster than torch.linalg.vector_norm over a middle axis.
    return radial_of(f, state, (state * state).sum(axis, keepdim=True))


def radial_of(f: RadialFunction, state: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
    """phi(x) where the `square` |x|^2 is known."""
    r = square.clamp(min=torch.finfo(state.dtype).tiny ** 0.5).sqrt()
    return state * (f(r) / r)
