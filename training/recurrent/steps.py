"""How states along time are laid out and multiplied.

Layout: (..., steps, batch, D, N), component-major, so that the last two axes read in a row are [Re h; Im h], Eq. (62).
The leading axes are empty for one model and (models,) for a stack. Weights act from the right on rows of states: one
with D N rows mixes components (U(1), generic), one with N rows acts on each component alike (O(k)).
"""

from __future__ import annotations

import torch

POINTWISE = {"tanh": torch.tanh_, "relu": torch.relu_}


def rows(states: torch.Tensor, n: int) -> torch.Tensor:
    """(..., batch, D, N) as (..., rows, n), what weights with n rows act on."""
    return states.reshape(*states.shape[:-3], -1, n)


def with_start(start: torch.Tensor, steps: int, axes: int) -> torch.Tensor:
    """A buffer for h^0 = start and `steps` more states, each of the last `axes` axes of start."""
    split = start.ndim - axes
    states = start.new_empty(*start.shape[:split], steps + 1, *start.shape[split:])
    states.select(split, 0).copy_(start)
    return states


def add_product(term: torch.Tensor, state: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """term + state @ weight, for one model or a stack."""
    if weight.ndim == 2:
        return torch.addmm(term, state, weight, out=out)
    return torch.baddbmm(term, state, weight, out=out)


def weight_gradient(before: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """The sum over steps of state^T gradient, both (..., steps, rows, n), as one product."""
    return before.flatten(-3, -2).mT @ gradient.flatten(-3, -2)


def at_least_tiny(epsilon: float, like: torch.Tensor) -> float:
    """epsilon, or the smallest normal number of a type in which it would be zero, as 1e-8 is in float16."""
    return max(epsilon, torch.finfo(like.dtype).tiny)


def slope(value: torch.Tensor, name: str) -> torch.Tensor:
    """psi'(x) from the value psi(x)."""
    return 1.0 - value * value if name == "tanh" else (value > 0.0).to(value.dtype)


def stretch(radius: torch.Tensor, gain: torch.Tensor, epsilon: float) -> torch.Tensor:
    """K in dphi = gain dq + K (q . dq) q, where phi(q) = gain q, gain = tanh(r)/(r + epsilon) and r = |q|.

    K = (r/(r + epsilon)) (tanh'(r) - gain) / r^2, and zero at r = 0, where phi is as flat as the paper's epsilon makes
    it.
    """
    size = radius + epsilon
    along = 1.0 - (gain * size).square_() - gain
    return along.mul_(radius).div_(size).div_(radius.square().clamp_(min=torch.finfo(radius.dtype).tiny))
