"""The radial nonlinearity and its backward pass by hand, in memory that is there already.

phi(x) = f(r) x/r with r = |x| (paper Eq. (5), (20)). Its derivative is symmetric. With y = phi(x), what comes back is

    dx = (f/r) dy - ((f/r - f')/f^2) y (y.dy),

so that y, f/r and the factor of the second term, two numbers for each capsule, are all that has to be kept.
Automatic differentiation would go through the norm, the quotient and the product one by one, and keep all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from meanfield.activations import Activation, as_activation
from simulate.activations import torch_activation
from simulate.tangents import torch_derivative

Factors = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None]


def factors(activation: str | Activation | Callable) -> Factors:
    """The function (r, gain, bend) that writes f/r to `gain` and (f/r - f')/f^2 to `bend`, and may overwrite r.

    It needs f(r) > 0 for r > 0.

    Raises
    ------
    ValueError
        As for :func:`simulate.activations.torch_activation`.
    """
    activation = as_activation(activation)
    if activation.guaranteed and activation.name == "tanh":
        return _factors_of_tanh
    f, derivative = torch_activation(activation), torch_derivative(activation)

    def of_any(r: torch.Tensor, gain: torch.Tensor, bend: torch.Tensor) -> None:
        value = f(r)
        torch.div(value, r, out=gain)
        torch.sub(gain, derivative(r), out=bend).div_(value * value)

    return of_any


def _factors_of_tanh(r: torch.Tensor, gain: torch.Tensor, bend: torch.Tensor) -> None:
    # each operation costs a pass over memory: there are few, and they write to memory that is there already
    m = torch.mul(r, -2.0, out=bend).expm1_()
    # tanh r = -m/(m + 2), m = e^{-2r} - 1, to rounding at any r, in less time than torch.tanh takes
    value = m.div_(-2.0 - m)
    torch.div(value, r, out=gain)
    square = value.mul_(value)
    torch.sub(square, 1.0, out=r).add_(gain)  # f' = 1 - f^2
    torch.div(r, square, out=bend)


class Radial:
    """The nonlinearity of one layer, at work in one piece of memory.

    Parameters
    ----------
    state : (models, N, D, columns), in any order in memory. x is put here; :meth:`forward` turns it into y.
    gain, bend : (models, N, columns), for f/r and (f/r - f')/f^2
    scratch : (models, N, columns), which many layers may share
    """

    def __init__(self, state: torch.Tensor, gain: torch.Tensor, bend: torch.Tensor, scratch: torch.Tensor) -> None:
        # views are made once: making them takes as long as some of the arithmetic
        self._y, self._components = state, state.unbind(2)
        self._gain, self._gains = gain, gain[:, :, None]
        self._bend, self._scratch, self._scratches = bend, scratch, scratch[:, :, None]
        self._least = torch.finfo(state.dtype).tiny ** 0.5

    def forward(self, into: Factors) -> None:
        """From x to y; `into` is that of the activation, see :func:`factors`."""
        square = self._scratch
        # a sum over few components, one by one: no reduction over a short axis, and the same bits for any models
        torch.mul(self._components[0], self._components[0], out=square)
        for component in self._components[1:]:
            square.addcmul_(component, component)
        # below it f(r)/r is f'(0) to the last bit, and a zero capsule stays one
        into(square.clamp_(min=self._least).sqrt_(), self._gain, self._bend)
        self._y.mul_(self._gains)

    def backward(self, dy: torch.Tensor, changes: Sequence[torch.Tensor], dx: torch.Tensor) -> None:
        """Write dx to `dx`, like the state. `changes` are the components of `dy`, dy.unbind(2)."""
        along = self._scratch
        torch.mul(self._components[0], changes[0], out=along)
        for component, change in zip(self._components[1:], changes[1:], strict=True):
            along.addcmul_(component, change)
        along.mul_(self._bend)
        torch.mul(dy, self._gains, out=dx)
        dx.addcmul_(self._y, self._scratches, value=-1.0)
