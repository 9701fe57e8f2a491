"""How states along time are laid out and multiplied.

Layout: (..., steps, batch, D, N), component-major, so that the last two axes read in a row are [Re h; Im h], Eq. (62).
The leading axes are empty for one model and (models,) for a stack. Weights act from the right on rows of states: one
with D N rows mixes components (U(1), generic), one with N rows acts on each component alike (O(k)).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps

import torch

PORTIONS = 16
LARGE = 2**16  # numbers in a weight
POINTWISE = {"tanh": torch.tanh_, "relu": torch.relu_}


def rows(states: torch.Tensor, n: int) -> torch.Tensor:
    """(..., batch, D, N) as (..., rows, n), what weights with n rows act on."""
    return states.reshape(*states.shape[:-3], -1, n)


def with_start(start: torch.Tensor, steps: int, axes: int) -> torch.Tensor:
    """A buffer for h^0 = start and `steps` more states, each of the last `axes` axes of start."""
    states = start.new_empty(extended(start, steps, axes))
    states.select(start.ndim - axes, 0).copy_(start)
    return states


def extended(start: torch.Tensor, steps: int, axes: int) -> tuple[int, ...]:
    """The shape of such a buffer."""
    split = start.ndim - axes
    return *start.shape[:split], steps + 1, *start.shape[split:]


def add_product(term: torch.Tensor, state: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """term + state @ weight, for one model or a stack."""
    if weight.ndim == 2:
        return torch.addmm(term, state, weight, out=out)
    return torch.baddbmm(term, state, weight, out=out)


def weight_gradient(before: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """The sum over steps of state^T gradient, both (..., steps, rows, n), as one product, or some on a GPU."""
    before, gradient = before.flatten(-3, -2), gradient.flatten(-3, -2)
    parts = portions(before.shape[-2], before.shape[-1] * gradient.shape[-1]) if before.is_cuda else 1
    if parts == 1:
        return before.mT @ gradient
    before, gradient = (x.unflatten(-2, (parts, -1)) for x in (before, gradient))
    return (before.mT @ gradient).sum(-3)


def portions(rows: int, numbers: int) -> int:
    """Into how many equal parts to divide a product over so many rows, with so many numbers as its result, on a GPU.

    Over the rows of all steps a product is long, and where its result is small a library leaves most of a GPU idle.
    """
    return math.gcd(rows, PORTIONS) if rows and numbers <= LARGE else 1


def first_order(backward: Callable) -> Callable:
    """A backward pass whose own gradient is not available, and is asked for where gradients are recorded during it.

    PyTorch's `once_differentiable` lets a loss that is linear in the output through, with gradients that lack all that
    the backward pass depends on.
    """

    @wraps(backward)
    def checked(ctx, *gradients: torch.Tensor):
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "gradients of gradients (create_graph=True, hessian) are not available for recurrent layers, whose "
                "backward passes are written by hand"
            )
        return backward(ctx, *gradients)

    return checked


def in_float32(states: Callable, *tensors: torch.Tensor) -> torch.Tensor:
    """`states` of tensors in float16, computed in float32: squares of float16 overflow at 256, and vanish at 2e-4.

    Other types, of which bfloat16 has the exponents of float32, are left as they are.
    """
    if tensors[0].dtype != torch.float16:
        return states(*tensors)
    return states(*(tensor.float() for tensor in tensors)).half()


def slope(value: torch.Tensor, name: str) -> torch.Tensor:
    """psi'(x) from the value psi(x)."""
    return 1.0 - value * value if name == "tanh" else (value > 0.0).to(value.dtype)


def stretch(radius: torch.Tensor, gain: torch.Tensor, epsilon: float) -> torch.Tensor:
    """K in dphi = gain dq + K (q . dq) q, where phi(q) = gain q, gain = tanh(r)/(r + epsilon) and r = |q|.

    K = (r/(r + epsilon)) (tanh'(r) - gain) / r^2, and zero at r = 0, where phi is as flat as the paper's epsilon makes
    it.
    """
    along = 1.0 - torch.tanh(radius).square_() - gain  # not of gain, whose rounding would be all that is left
    return along.mul_(radius).div_(radius + epsilon).div_(radius.square().clamp_(min=torch.finfo(radius.dtype).tiny))
