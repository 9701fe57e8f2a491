"""The U(1) RNN on a grid, Appendix D.3: its recurrent matrix is a complex convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from meanfield.checks import real_number, whole_number
from simulate.devices import held

from .initial import uniform_
from .layer import Recurrent, affine
from .recurrence import EPSILON, grid_states

KERNEL = 3
PADDINGS = ("circular", "zeros")


@held
def exact_convolutions() -> Callable[[], None]:
    """Inside, convolutions on a GPU neither round float32 to 10 bits (TF32, their default) nor differ from run to run.

    It has to hold for the backward pass too.
    """
    cudnn: Any = torch.backends.cudnn  # its stubs lack `conv`
    before = cudnn.conv.fp32_precision, cudnn.deterministic
    cudnn.conv.fp32_precision, cudnn.deterministic = "ieee", True

    def undo() -> None:
        cudnn.conv.fp32_precision, cudnn.deterministic = before

    return undo


class ConvolutionalRNN(Recurrent):
    """h^t = phi(E x^t + K * h^{t-1}) with complex h (channels, side, side) and a complex 3 x 3 kernel K.

    The paper states neither the padding nor the kernel's initialisation. Here the grid is periodic by default, on
    which the total winding of the phase is always zero; ``"zeros"`` is an open grid, whose edge vortices can cross.
    "Uniform" draws from U(-1/sqrt(n), 1/sqrt(n)) with n = 9 channels, the numbers that one unit sums, so that
    sigma_w^2 = 2/3 as for the dense layer; "identity" leaves each state where it is.

    Parameters
    ----------
    input_size, recurrent, encoder, frozen_token, batch_first, generator : see :class:`Recurrent`
    side : length of the grid, >= 3; the paper's is 20
    channels : the paper's are 16
    padding : ``"circular"`` or ``"zeros"``
    epsilon : float > 0, of Eq. (61)

    Raises
    ------
    ValueError
        As :class:`Recurrent`; for a grid smaller than the kernel, or an unknown padding.
    """

    def __init__(
        self, input_size: int, side: int = 20, channels: int = 16, *, padding: str = "circular",
        epsilon: float = EPSILON, recurrent: str = "identity", encoder: str = "standard",
        frozen_token: int | None = None, batch_first: bool = True, generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        size = whole_number("side", side, KERNEL) ** 2 * whole_number("channels", channels, 1)
        super().__init__(input_size, size, 2, recurrent, encoder, frozen_token, batch_first)
        if padding not in PADDINGS:
            raise ValueError(f"padding must be 'circular' or 'zeros', got {padding!r}")
        self.side, self.channels, self.padding = side, channels, padding
        self.epsilon = real_number("epsilon", epsilon, minimum=0.0, strict=True)
        self.kernel = nn.Parameter(torch.empty(2, channels, channels, KERNEL, KERNEL))
        self._draw(generator)

    def _draw(self, generator: torch.Generator | None) -> None:
        if self.schemes[0] == "uniform":
            uniform_(self.kernel, self.channels * KERNEL**2, generator)
        else:
            with torch.no_grad():
                self.kernel.zero_()
                self.kernel[0, :, :, KERNEL // 2, KERNEL // 2] = torch.eye(self.channels)
        self._draw_encoder(generator)

    def extra_repr(self) -> str:
        """As the arguments were, and the number of models in a stack."""
        return self._told(f"side={self.side}", f"channels={self.channels}", self.padding)

    def grid(self, states: torch.Tensor) -> torch.Tensor:
        """States (..., features) as complex (..., channels, side, side)."""
        real, imaginary = self.capsules(states).unflatten(-1, (self.channels, self.side, self.side)).unbind(-4)
        return torch.complex(real, imaginary)

    def _states(self, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        tensors = self.capsules(affine(x, self._encoder())), self.capsules(start), self.kernel
        if self.n_models is None:
            return self._run(*tensors)
        return torch.stack([self._run(*each) for each in zip(*tensors, strict=True)])

    def _run(self, drive: torch.Tensor, start: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """One model's states (steps, batch, features)."""
        real, imaginary = kernel
        weight = torch.cat([torch.cat([real, -imaginary], 1), torch.cat([imaginary, real], 1)])
        return grid_states(drive, start, weight, self.padding == "circular", self.epsilon).flatten(-2)
