"""How far one step of Adam turns the phase of a whole U(1) network: what its learning rate has to be compared with.

In a network of complex weights every layer can turn all capsules, and since the phase is conserved from layer to layer
the turns of all layers add up. Adam gives every real number of a gradient a first step of the same size, and gradients
of all layers have the same phase: so the network turns L times as far as a layer does. Where that is more than about a
radian, a step that should have turned the output towards the right phase overshoots it, and the next one does so again.
Weights of an O(k) network are real numbers, which cannot turn a capsule: its output only grows, shrinks, or changes its
sign.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

from meanfield.checks import real_array, whole_number
from simulate.devices import matrix_products

from .conventions import RANK_IMAGES
from .data import load
from .job import Job
from .shape import Shape
from .stack import Stack


def reach(shape: Shape, sigma_w: np.ndarray | float, learning_rate: np.ndarray | float) -> np.ndarray:
    """kappa = learning_rate N L/sigma_w: the scale, in radians, of the turn that a step gives a U(1) network's output.

    Where forward and backward signals of a layer run along one direction each, its gradient is s u v^dagger, with unit
    vectors u, v of N complex Gaussian entries and a phase of s that all layers share. Adam's first step has the signs
    of its real and imaginary parts, times the learning rate. Along u v^dagger that is learning_rate sqrt(2) (2
    sqrt(2)/pi) sum_j |u_j| sum_k |v_k| = learning_rate N, next to a gain of sigma_w where W maps v to u. What is turned
    is the logarithm of the output, its imaginary part or its real part.

    It is a scale and no bound. In a random network what comes back and what goes on are independent of each other, so
    that W maps v to u by about sigma_w/sqrt(N) only, and the linear response is larger by about sqrt(N). Where
    gradients are small next to Adam's epsilon, steps are shorter, and so are turns.

    Broadcasts over sigma_w and learning_rate.

    Raises
    ------
    ValueError
        When the shape's symmetry is not U(1), or a number is not positive.
    """
    if shape.group.family != "U(1)":
        raise ValueError(f"shape must have the symmetry U(1), whose weights turn capsules, got {shape.symmetry}")
    sigma_w, learning_rate = (
        real_array(name, value, minimum=0.0, strict=True)
        for name, value in (("sigma_w", sigma_w), ("learning_rate", learning_rate))
    )
    return learning_rate * shape.width * shape.depth / sigma_w


@matrix_products(tf32=False)
def follow(job: Job, steps: int, progress: Callable[[float, float], object] | None = None) -> xr.Dataset:
    """Train a stack of capsules of two components, and tell after each step how it changed the last layer's states.

    `progress` is called with the steps newly done, and with those in all.

    Returns
    -------
    xarray.Dataset
        Over ``step`` (0..steps) and ``model``, whose number is that in `job.models`: `c`, Eq. (6), of the last layer's
        states at test images; `turn`, in radians, and `overlap`, the phase and the size of Eq. (10)'s mean of
        phi(z') conj(phi(z)) over capsules and images, z' after the step and z before it. The size is divided by that
        of equal states: 1 where the step did nothing but turn and stretch. NaN at step 0, which has none before it.
        Coordinates are `sigma_w`, `learning_rate` and `seed` of each model.

    Raises
    ------
    ValueError
        When capsules do not have two components, or the job is shorter than `steps`; as :meth:`Job.start`.
    """
    if job.shape.group.capsule_dimension != 2:
        raise ValueError(f"job must have capsules of two components, got {job.shape.symmetry}")
    training = job.start()
    if whole_number("steps", steps, 1) > training.steps:
        raise ValueError(f"steps must be at most the job's {training.steps}, got {steps}")
    images = torch.from_numpy(load(job.source).test[:RANK_IMAGES]).to(training.stack.parameters)
    states = [_last(training.stack, images)]
    found = [_compared(states[0] * torch.nan, states[0])]
    for _ in range(steps):
        training.advance()
        if progress is not None:
            progress(1, steps)
        states = [*states[-1:], _last(training.stack, images)]
        found.append(_compared(*states))
    varied = {
        name: ("model", [getattr(model, name) for model in job.models]) for name in ("sigma_w", "learning_rate", "seed")
    }
    values = {name: (("step", "model"), np.stack([step[name] for step in found])) for name in found[0]}
    return xr.Dataset(values, varied | {"step": np.arange(steps + 1)})


def _last(stack: Stack, images: torch.Tensor) -> torch.Tensor:
    """phi(z^L) as complex numbers, (models, N images)."""
    *_, state = stack.states(images.T.expand(len(stack.models), -1, -1))
    return torch.complex(*state.double().unbind(2)).flatten(1)


def _compared(before: torch.Tensor, after: torch.Tensor) -> dict[str, np.ndarray]:
    """What :func:`follow` tells of one step, each (models,)."""
    c, c_before = (state.abs().square().mean(1) for state in (after, before))
    across = (after * before.conj()).mean(1)
    found = {"c": c, "turn": across.angle(), "overlap": across.abs() / (c * c_before).sqrt()}
    return {name: values.cpu().numpy() for name, values in found.items()}
