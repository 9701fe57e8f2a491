"""A recurrent layer with a readout: what is trained."""

from __future__ import annotations

import math

import torch
from torch import nn

from meanfield.checks import whole_number

from .initial import uniform_
from .layer import Recurrent, affine
from .recurrence import lengths


class SequenceModel(nn.Module):
    """A recurrent layer and a linear readout to logits, Eq. (56), (62), (66).

    Parameters
    ----------
    layer : Recurrent
    outputs : number of logits
    every_step : bool
        Read out every state (copy task), or the last one only (image classification).
    invariant : bool
        Read the capsules' lengths, Eq. (66), instead of all their components, Eq. (62).
    generator : torch.Generator, optional
        Of the readout's initial weights, which are those of `nn.Linear`; torch's own by default.

    Raises
    ------
    ValueError
        When there are no outputs, or for a layer that is none of this package's.
    """

    def __init__(
        self, layer: Recurrent, outputs: int, *, every_step: bool = True, invariant: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not hasattr(layer, "features"):
            raise ValueError(
                f"layer must be a recurrent layer of this package, or one like it, got {type(layer).__name__}"
            )
        self.layer, self.every_step, self.invariant = layer, every_step, invariant
        features = layer.hidden_size if invariant else layer.features
        self.readout_weight = nn.Parameter(torch.empty(whole_number("outputs", outputs, 1), features))
        self.readout_bias = nn.Parameter(torch.empty(outputs))
        nn.init.kaiming_uniform_(self.readout_weight, a=math.sqrt(5.0), generator=generator)
        uniform_(self.readout_bias, features, generator)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits: (batch, steps, outputs) in the order of x, or (batch, outputs); a stack's with its models first.

        Of one sequence, x (steps, inputs), they are (steps, outputs) or (outputs,).
        """
        states, last = self.layer(x)
        if not self.every_step:
            states = last if self.layer.n_models is None else last.unsqueeze(-3)
        if self.invariant:
            states = lengths(self.layer.capsules(states))
        # states lie step by step in memory: they are not moved
        if self.every_step and self.layer.batch_first and states.ndim > 2:
            return self._logits(states.transpose(-3, -2)).transpose(-3, -2).contiguous()
        logits = self._logits(states)
        if self.every_step:
            return logits
        return logits[0] if self.layer.n_models is None else logits.squeeze(-3)

    def _logits(self, states: torch.Tensor) -> torch.Tensor:
        return affine(states, self.readout_weight, self.readout_bias)
