"""Adam for a stack of models: each with its own learning rate and its own clipping."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch

from meanfield.checks import real_array

from ..conventions import ADAM_BETAS, ADAM_EPS


class StackedAdam:
    """Adam on parameters with a leading axis of models, as if each model had its own optimiser.

    Parameters
    ----------
    parameters : tensors (models, ...)
    learning_rates : one for each model, >= 0

    Raises
    ------
    ValueError
        When there is not one learning rate for each model.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], learning_rates) -> None:
        self.parameters = list(parameters)
        rates = real_array("learning_rates", learning_rates, minimum=0.0)
        models = {len(parameter) for parameter in self.parameters}
        if models != {rates.size} or rates.ndim != 1:
            raise ValueError(f"learning_rates must be one for each of {models} models, got shape {rates.shape}")
        self.learning_rates = torch.from_numpy(rates).to(self.parameters[0])
        self.step_count = 0
        # of all parameters, one after the other: few operations, whose number is what counts on a GPU
        sizes = [parameter.numel() for parameter in self.parameters]
        self._mean, self._square = (self.parameters[0].new_zeros(sum(sizes)) for _ in range(2))
        index = torch.arange(rates.size, device=self._mean.device)
        self._model = torch.cat([index.repeat_interleave(size // rates.size) for size in sizes])
        self._views = [self._by_parameter(moment) for moment in (self._mean, self._square)]

    @property
    def moments(self) -> list[torch.Tensor]:
        """What :meth:`update` changes besides the parameters."""
        return [self._mean, self._square]

    def step(self, factor: float = 1.0) -> None:
        """Change all parameters by their gradients, learning rates times `factor`; gradients are dropped.

        Raises
        ------
        ValueError
            When a parameter has no gradient.
        """
        _gradients(self.parameters)  # before anything changes
        self.update(self._mean.new_tensor(self.numbers(self.step_count + 1, factor)))
        self.step_count += 1

    @staticmethod
    def numbers(step: int, factor: float = 1.0) -> tuple[float, float]:
        """What :meth:`update` needs to know of a step, the first being 1.

        Returns
        -------
        What multiplies the learning rates, `factor` and the correction of the mean; the correction of the squares.
        """
        first, second = (1.0 - beta**step for beta in ADAM_BETAS)
        return factor / first, second

    @torch.no_grad()
    def update(self, numbers: torch.Tensor) -> None:
        """:meth:`step` without counting it: all of it on the device, so that a CUDA graph can hold it.

        Parameters
        ----------
        numbers : what :meth:`numbers` returns, (2,)
        """
        gradient = torch.cat([each.flatten() for each in _gradients(self.parameters)])
        self._mean.lerp_(gradient, 1.0 - ADAM_BETAS[0])
        self._square.mul_(ADAM_BETAS[1]).addcmul_(gradient, gradient, value=1.0 - ADAM_BETAS[1])
        rates, scale = self.learning_rates * numbers[0], self._square.div(numbers[1]).sqrt_().add_(ADAM_EPS)
        steps = self._by_parameter(rates[self._model].mul_(self._mean).div_(scale))
        for parameter, step in zip(self.parameters, steps, strict=True):
            parameter.sub_(step)
            parameter.grad = None

    def state(self) -> dict:
        """All that :meth:`restore` needs."""
        mean, square = self._views
        return {"step_count": self.step_count, "mean": mean, "square": square}

    def restore(self, state: dict) -> None:
        """Go on from a state."""
        self.step_count = state["step_count"]
        for own, saved in zip(self._views, (state["mean"], state["square"]), strict=True):
            for tensor, value in zip(own, saved, strict=True):
                tensor.copy_(value)

    def _by_parameter(self, numbers: torch.Tensor) -> list[torch.Tensor]:
        """Views of numbers of all parameters, in their shapes."""
        parts = numbers.split([parameter.numel() for parameter in self.parameters])
        return [part.view_as(parameter) for part, parameter in zip(parts, self.parameters, strict=True)]


@torch.no_grad()
def clip_norms(parameters: Iterable[torch.nn.Parameter], largest: float) -> None:
    """Scale each model's gradient so that its norm over all parameters is at most `largest`.

    As with :func:`torch.nn.utils.clip_grad_norm_` a gradient whose square overflows becomes zero, and the model stands
    still; one with an infinite component becomes NaN.
    """
    parameters = list(parameters)
    gradients = _gradients(parameters)
    squares = torch.stack([gradient.flatten(1).square().sum(1) for gradient in gradients])
    scale = (largest / squares.sum(0).sqrt()).clamp(max=1.0)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        # not in place: two parameters may have one gradient between them
        parameter.grad = gradient * along_models(scale, gradient)


@torch.no_grad()
def clip_values(parameters: Iterable[torch.nn.Parameter], largest: float) -> None:
    """Cut every component of the gradients at +- `largest`."""
    parameters = list(parameters)
    for parameter, gradient in zip(parameters, _gradients(parameters), strict=True):
        parameter.grad = gradient.clamp(-largest, largest)


def along_models(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(models,) shaped to multiply (models, ...)."""
    return values.view(-1, *[1] * (like.ndim - 1))


def _gradients(parameters: Iterable[torch.nn.Parameter]) -> list[torch.Tensor]:
    """All gradients; a model's parameters without one would be a mistake."""
    gradients = [parameter.grad for parameter in parameters]
    missing = sum(gradient is None for gradient in gradients)
    if missing:
        raise ValueError(
            f"parameters must all have gradients (call backward first), got {missing} of {len(gradients)} without"
        )
    return cast(list[torch.Tensor], gradients)
