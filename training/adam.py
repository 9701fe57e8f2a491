"""Adam on a stack: each model with its own learning rate and epsilon."""

from __future__ import annotations

import torch

from .conventions import ADAM_BETAS
from .stack import Stack


class Adam:
    """PyTorch's Adam, whose fused form goes through a model's parameters once.

    Models of one learning rate and epsilon are one group: on a GPU they are then changed together.

    Attributes
    ----------
    optimiser : torch.optim.Adam
    """

    def __init__(self, stack: Stack) -> None:
        groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
        for model, row, gradient in zip(stack.models, stack.parameters, stack.gradients, strict=True):
            parameter = torch.nn.Parameter(row)  # shares the stack's memory
            parameter.grad = gradient
            groups.setdefault((model.learning_rate, model.epsilon), []).append(parameter)
        settings = [{"params": own, "lr": rate, "eps": epsilon} for (rate, epsilon), own in groups.items()]
        self.optimiser = torch.optim.Adam(settings, betas=ADAM_BETAS, fused=True)

    def restart(self, learning_rate: float) -> None:
        """Go on with another learning rate for all models, and with moments of gradients to come only."""
        self.optimiser.state.clear()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate

    def step(self) -> None:
        """Change each model's parameters."""
        self.optimiser.step()
