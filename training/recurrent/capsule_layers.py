"""The equivariant layers, Eq. (13), (14), (58) to (67), and their control without symmetry."""

from __future__ import annotations

import torch
from torch import nn

from meanfield.checks import real_number
from meanfield.symmetry import Symmetry, as_symmetry
from simulate.setup import flag

from .gated import capsule_gru_states
from .initial import complex_recurrent_, recurrent_, uniform_
from .layer import Recurrent, affine
from .recurrence import EPSILON, capsule_states


class _Capsules(Recurrent):
    """What both layers share: the symmetry, the encoder and the recurrent weights."""

    def __init__(
        self, input_size: int, hidden_size: int, symmetry: str | Symmetry, bias: bool, epsilon: float, recurrent: str,
        encoder: str, frozen_token: int | None, batch_first: bool,
    ) -> None:  # fmt: skip
        components = as_symmetry(symmetry).capsule_dimension
        super().__init__(input_size, hidden_size, components, recurrent, encoder, frozen_token, batch_first)
        self.symmetry = as_symmetry(symmetry)
        self.epsilon = real_number("epsilon", epsilon, minimum=0.0, strict=True)
        n = self.features if self.symmetry.family == "generic" else hidden_size
        shape = (2, n, n) if self.symmetry.family == "U(1)" else (n, n)
        self.recurrent = nn.Parameter(torch.empty(shape))
        self.encoder_bias = nn.Parameter(torch.empty(self.features)) if flag("bias", bias) else None

    def _draw(self, generator: torch.Generator | None) -> None:
        draw = complex_recurrent_ if self.symmetry.family == "U(1)" else recurrent_
        draw(self.recurrent, self.schemes[0], generator)
        self._draw_encoder(generator)
        if self.encoder_bias is not None:
            nn.init.zeros_(self.encoder_bias)

    def acting_weight(self) -> torch.Tensor:
        """W as it multiplies rows of states from the right; [[Re W, -Im W], [Im W, Re W]]^T for U(1)."""
        if self.symmetry.family != "U(1)":
            return self.recurrent.mT
        real, imaginary = self.recurrent.mT.unbind(-3)
        return torch.cat([torch.cat([real, imaginary], -1), torch.cat([-imaginary, real], -1)], -2)

    def _drive(self, x: torch.Tensor) -> torch.Tensor:
        return self.capsules(affine(x, self._encoder(), self.encoder_bias))


class CapsuleRNN(_Capsules):
    """h^t = phi(E x^t + W h^{t-1}), phi the radial tanh: Eq. (13), (58) to (61), (63) to (65).

    Called like `nn.RNN`, ``output, last = layer(x, hx)``, but x is (batch, steps, inputs) unless ``batch_first=False``;
    what else differs is said in :mod:`training.recurrent.layer`.

    Parameters
    ----------
    input_size, hidden_size, recurrent, encoder, frozen_token, batch_first, generator : see :class:`Recurrent`
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
        Generic is the control: the same capsules and nonlinearity, weights without any symmetry.
    bias : bool
        Whether the encoder has a bias. The paper's equations have none, its parameter counts of O(k) have it. It starts
        at zero, which leaves h at zero until the first input that is not.
    epsilon : float > 0
        Of Eq. (61); see :func:`~training.recurrent.recurrence.radial_tanh` for what it does.

    Raises
    ------
    ValueError
        As :class:`Recurrent`; for an unknown symmetry or an epsilon that is not positive.
    """

    def __init__(
        self, input_size: int, hidden_size: int, symmetry: str | Symmetry = "U(1)", *, bias: bool = False,
        epsilon: float = EPSILON, recurrent: str = "uniform", encoder: str = "standard",
        frozen_token: int | None = None, batch_first: bool = True, generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        shared = symmetry, bias, epsilon, recurrent, encoder, frozen_token, batch_first
        super().__init__(input_size, hidden_size, *shared)
        self._draw(generator)

    def _states(self, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        return capsule_states(self._drive(x), self.capsules(start), self.acting_weight(), self.epsilon).flatten(-2)


class CapsuleGRU(_Capsules):
    """The equivariant GRU, Eq. (14), (67): a :class:`CapsuleRNN` with real gates that see x and |h|.

    Parameters
    ----------
    input_size, hidden_size, symmetry, bias, epsilon, recurrent, encoder, frozen_token, batch_first, generator
        As in :class:`CapsuleRNN`.
    update_bias : float
        b_z at the start, 2 in the paper: the layer begins by keeping its state. b_r begins at 0.

    Raises
    ------
    ValueError
        As :class:`CapsuleRNN`, or for an update_bias that is not finite.
    """

    def __init__(
        self, input_size: int, hidden_size: int, symmetry: str | Symmetry = "U(1)", *, update_bias: float = 2.0,
        bias: bool = False, epsilon: float = EPSILON, recurrent: str = "uniform", encoder: str = "standard",
        frozen_token: int | None = None, batch_first: bool = True, generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        shared = symmetry, bias, epsilon, recurrent, encoder, frozen_token, batch_first
        super().__init__(input_size, hidden_size, *shared)
        self.gate_encoder = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.gate_recurrent = nn.Parameter(torch.empty(2 * hidden_size, hidden_size))
        self.gate_bias = nn.Parameter(torch.empty(2 * hidden_size))
        self.update_bias = real_number("update_bias", update_bias)
        self._draw(generator)

    def _draw(self, generator: torch.Generator | None) -> None:
        super()._draw(generator)
        uniform_(self.gate_encoder, self.hidden_size, generator)
        recurrent_(self.gate_recurrent, self.schemes[0], generator)
        with torch.no_grad():
            self.gate_bias.copy_(torch.tensor([0.0, self.update_bias]).repeat_interleave(self.hidden_size))

    def _states(self, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        gates = affine(x, self.gate_encoder, self.gate_bias)
        weights = self.acting_weight(), self.gate_recurrent.mT
        return capsule_gru_states(self._drive(x), gates, self.capsules(start), *weights, self.epsilon).flatten(-2)
