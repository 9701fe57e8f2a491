"""The way of some models forwards and backwards, in memory that is used again for every batch."""

from __future__ import annotations

import torch

from .products import ComplexLayer, Place, Product, RealLayer
from .radial import Radial, factors
from .shape import BIAS, HIDDEN, INPUT, READOUT, Shape


class Memory:
    """Room for the states of some models, used again for every batch.

    Attributes
    ----------
    states : of each layer, (models, N, D, columns); for U(1) all real parts lie before all imaginary parts
    dx, dy : like one of them
    sums, squares : room for two sums of real and imaginary parts, and for three matrices like the real part of a weight
    """

    def __init__(self, shape: Shape, models: int, columns: int, like: torch.Tensor) -> None:
        k, n, layers = shape.group.capsule_dimension, shape.width, shape.depth + 1
        unitary = shape.group.family == "U(1)"
        order = (models, k, n, columns) if unitary else (models, n, k, columns)
        room = like.new_empty(layers + 2, *order)
        *self.states, self.dx, self.dy = room.transpose(2, 3).unbind() if unitary else room.unbind()
        gains, bends = like.new_empty(2, layers, models, n, columns).unbind()
        self.sums, self.squares = like.new_empty(2, models, n, columns), like.new_empty(3, models, n, n)
        self.radial = [Radial(*one, self.sums[0]) for one in zip(self.states, gains, bends, strict=True)]


class Pass:
    """Some models' way forwards and backwards, through weights, gradients and memory that stay where they are."""

    def __init__(
        self, shape: Shape, weights: list[torch.Tensor], gradients: list[torch.Tensor], memory: Memory
    ) -> None:
        self._weights, self._gradients, self.memory = weights, gradients, memory
        self._factors = factors(shape.activation)
        self._flat = [_flat(shape, state) for state in (memory.states[0], memory.states[-1], memory.dx, memory.dy)]
        self._changes = memory.dy.unbind(2)
        rows = [_rows(shape, state) for state in memory.states]
        dx, dy = _rows(shape, memory.dx), _rows(shape, memory.dy)
        room = (memory.sums, memory.squares) if shape.group.family == "U(1)" else ()
        kind = ComplexLayer if room else RealLayer
        self._layers = [
            kind(Place(weights[HIDDEN][:, i], gradients[HIDDEN][:, i], rows[i], rows[i + 1], dx, dy), *room)
            for i in range(shape.depth)
        ]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (models, classes, images), leaving the states in the memory."""
        first, last, _, _ = self._flat
        Product(self._weights[INPUT], images, first)()
        self.memory.radial[0].forward(self._factors)
        for layer, radial in zip(self._layers, self.memory.radial[1:], strict=True):
            layer.forward()
            radial.forward(self._factors)
        logits = self._weights[BIAS][:, :, None].repeat(1, 1, images.shape[-1])
        return logits.add_(Product(self._weights[READOUT], last)())

    def backward(self, images: torch.Tensor, change: torch.Tensor) -> None:
        """Gradients, from `change`, that with respect to the logits of the last :meth:`forward`."""
        _, last, dx, dy = self._flat
        memory = self.memory
        Product(change, last.mT, self._gradients[READOUT])()
        torch.sum(change, -1, out=self._gradients[BIAS])
        Product(self._weights[READOUT].mT, change, dy)()
        for layer, radial in zip(reversed(self._layers), reversed(memory.radial[1:]), strict=True):
            radial.backward(memory.dy, self._changes, memory.dx)
            layer.backward()
        memory.radial[0].backward(memory.dy, self._changes, memory.dx)
        Product(dx, images.mT, self._gradients[INPUT])()


def _flat(shape: Shape, state: torch.Tensor) -> torch.Tensor:
    """A state as V and R see it, (models, N D, columns), in the order in which it lies in memory."""
    return (state.transpose(1, 2) if shape.group.family == "U(1)" else state).flatten(1, 2)


def _rows(shape: Shape, state: torch.Tensor) -> torch.Tensor:
    """A state as the matrix that a layer's weights act on."""
    if shape.group.family == "O":
        return state.flatten(2, 3)  # w_ij times the identity: components are so many more columns
    return _flat(shape, state)
