"""What the state before is multiplied by: a matrix, or a convolution over a grid.

The loops of `recurrence` need four things of it: how it looks at states, the product, its transpose, and the gradient
of its weights, which is taken of all steps at once.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.grad import conv2d_weight

from .steps import add_product, rows, weight_gradient


class Matrix:
    """Rows of states times a weight (..., D N, D N) or (..., N, N) from the right."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight

    def each(self, states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """States (..., steps, batch, D, N) as a view (..., rows, n) for each step."""
        return rows(states, self.weight.shape[-1]).unbind(-3)

    def add(self, term: torch.Tensor, state: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """term + state @ weight, of such views."""
        return add_product(term, state, self.weight, out)

    def product(self, state: torch.Tensor) -> torch.Tensor:
        return state @ self.weight

    def transposed(self) -> Matrix:
        return Matrix(self.weight.mT.contiguous())

    def gradient(self, states: torch.Tensor, dq: torch.Tensor) -> torch.Tensor:
        """Of the weight, from the states before each step and the gradient of what they were multiplied to."""
        n = self.weight.shape[-1]
        return weight_gradient(rows(states, n), rows(dq, n))


class Convolution:
    """States on a square grid, convolved with a real weight (D channels, D channels, 3, 3); of one model.

    `mode` is that of `torch.nn.functional.pad`: ``"circular"`` for a periodic grid, ``"constant"`` for an open one.
    """

    def __init__(self, weight: torch.Tensor, mode: str) -> None:
        self.weight, self.mode = weight, mode

    def each(self, states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """States (steps, batch, D, channels side^2) as a view (batch, D channels, side, side) for each step."""
        return self._images(states).unbind()

    def add(self, term: torch.Tensor, state: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        """term + weight * state, of such views."""
        return torch.add(term, self.product(state), out=out)

    def product(self, state: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(self._padded(state), self.weight)

    def transposed(self) -> Convolution:
        return Convolution(self.weight.flip(-2, -1).transpose(0, 1).contiguous(), self.mode)

    def gradient(self, states: torch.Tensor, dq: torch.Tensor) -> torch.Tensor:
        """Of the weight, from the states before each step and the gradient of what they were multiplied to."""
        images, shape = self._padded(self._images(states).flatten(0, 1)), list(self.weight.shape)
        return conv2d_weight(images, shape, self._images(dq).flatten(0, 1))

    def _images(self, states: torch.Tensor) -> torch.Tensor:
        planes = len(self.weight)
        side = math.isqrt(states.shape[-2] * states.shape[-1] // planes)
        return states.view(*states.shape[:-2], planes, side, side)

    def _padded(self, state: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(state, [self.weight.shape[-1] // 2] * 4, mode=self.mode)
