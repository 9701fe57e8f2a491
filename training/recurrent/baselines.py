"""The ordinary layers that the paper compares with, Eq. (56), (57)."""

from __future__ import annotations

import torch
from torch import nn

from meanfield.checks import real_number

from .gated import gru_states
from .initial import recurrent_, uniform_
from .layer import Recurrent, affine
from .recurrence import pointwise_states
from .steps import POINTWISE


class ElmanRNN(Recurrent):
    """h^t = psi(W_x x^t + W_h h^{t-1} + b), Eq. (56).

    Parameters
    ----------
    input_size, hidden_size, recurrent, encoder, frozen_token, batch_first, generator : see :class:`Recurrent`
    nonlinearity : ``"tanh"`` or ``"relu"``
    biases : 1 or 2
        Bias vectors: Eq. (56) has one, PyTorch two, which add up. The paper's counts need two at N = 512.

    Raises
    ------
    ValueError
        As :class:`Recurrent`; for an unknown nonlinearity or another number of biases.
    """

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "tanh", *, biases: int = 1,
        recurrent: str = "uniform", encoder: str = "standard", frozen_token: int | None = None,
        batch_first: bool = True, generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, 1, recurrent, encoder, frozen_token, batch_first)
        self.nonlinearity = _checked_options(nonlinearity, biases)
        self.recurrent = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(biases, hidden_size))
        self._draw(generator)

    def _draw(self, generator: torch.Generator | None) -> None:
        recurrent_(self.recurrent, self.schemes[0], generator)
        uniform_(self.bias, self.hidden_size, generator)
        self._draw_encoder(generator)

    def _states(self, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        drive = affine(x, self._encoder(), self.bias.sum(-2))
        return pointwise_states(drive, start, self.recurrent.mT, self.nonlinearity)


class GRU(Recurrent):
    """The baseline GRU, Eq. (57): PyTorch's, with a ReLU candidate.

    Parameters
    ----------
    input_size, hidden_size, recurrent, encoder, frozen_token, batch_first, generator : see :class:`Recurrent`
    nonlinearity : ``"relu"`` or ``"tanh"``
        The candidate's.
    biases : 1 or 2
        1: b_r, b_z, b_xn, b_hn of Eq. (57), 4 N numbers. 2: PyTorch's two vectors for every gate, 6 N, which the
        paper's counts need at N = 64, 128 and 512. The second vectors of r and z only add to the first ones.
    update_bias : float, optional
        What b_z starts at; all biases are uniform by default, as PyTorch's. 2 is the control for the equivariant GRU,
        which starts there.

    Raises
    ------
    ValueError
        As :class:`Recurrent`; for an unknown nonlinearity, another number of biases, or an update_bias that is not
        finite.
    """

    def __init__(
        self, input_size: int, hidden_size: int, nonlinearity: str = "relu", *, biases: int = 1,
        update_bias: float | None = None, recurrent: str = "uniform", encoder: str = "standard",
        frozen_token: int | None = None, batch_first: bool = True, generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, 1, recurrent, encoder, frozen_token, batch_first)
        self.nonlinearity, n = _checked_options(nonlinearity, biases), hidden_size
        self.recurrent = nn.Parameter(torch.empty(n, n))
        self.gate_encoder = nn.Parameter(torch.empty(2 * n, input_size))
        self.gate_recurrent = nn.Parameter(torch.empty(2 * n, n))
        self.gate_bias = nn.Parameter(torch.empty(biases, 2 * n))
        self.bias = nn.Parameter(torch.empty(2, n))  # b_xn, b_hn
        self.update_bias = None if update_bias is None else real_number("update_bias", update_bias)
        self._draw(generator)

    def _draw(self, generator: torch.Generator | None) -> None:
        n = self.hidden_size
        for parameter in (self.gate_encoder, self.gate_bias, self.bias):
            uniform_(parameter, n, generator)
        for parameter in (self.recurrent, self.gate_recurrent):
            recurrent_(parameter, self.schemes[0], generator)
        if self.update_bias is not None:
            with torch.no_grad():
                self.gate_bias[:, n:] = self.update_bias / len(self.gate_bias)
        self._draw_encoder(generator)

    def _states(self, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        outer, inner = self.bias.unbind(-2)
        encoder = torch.cat([self._encoder(), self.gate_encoder], -2)
        drive = affine(x, encoder, torch.cat([outer, self.gate_bias.sum(-2)], -1))
        weight = torch.cat([self.gate_recurrent, self.recurrent], -2).mT
        bias = torch.cat([torch.zeros_like(inner), torch.zeros_like(inner), inner], -1)
        return gru_states(drive, start, weight, bias, self.nonlinearity)


def _checked_options(nonlinearity: str, biases: int) -> str:
    if not isinstance(nonlinearity, str) or nonlinearity not in POINTWISE:
        raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
    if not isinstance(biases, int) or isinstance(biases, bool) or biases not in (1, 2):
        raise ValueError(f"biases must be 1 or 2, got {biases!r}")
    return nonlinearity
