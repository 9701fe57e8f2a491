"""Initial parameters of the networks of a stack: see `training.conventions` for their laws."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from simulate.blocks import generator
from simulate.layers import as_generic, weight_std

from .conventions import D0
from .shape import Model, Shape


def initial(shape: Shape, model: Model) -> torch.Tensor:
    """One model's parameters in a row, in float32."""
    source = generator(model.seed, 0, torch.device("cpu"))
    start = symmetric_start(shape) if model.symmetric else None
    if start is None:
        return torch.cat([part.flatten() for part in _drawn(shape, model.sigma_w, source)])
    # of an equivariant network of this seed what it begins with, and where all is symmetric the same function
    first, hidden, readout, bias = _drawn(start, model.sigma_w, source)
    hidden = math.sqrt(model.symmetric) * as_generic(start.group, hidden)
    if model.symmetric < 1.0:
        std = math.sqrt(1.0 - model.symmetric) * model.sigma_w * weight_std(shape.group, shape.width)
        hidden += std * torch.randn(hidden.shape, generator=source, dtype=torch.float32)
    if start.group.family == "U(1)":  # from all real parts and all imaginary parts to capsule by capsule
        first = first.unflatten(0, (2, -1)).transpose(0, 1)
        readout = readout.unflatten(1, (2, -1)).transpose(1, 2)
    return torch.cat([part.flatten() for part in (first, hidden, readout, bias)])


def symmetric_start(shape: Shape) -> Shape | None:
    """Layers with the symmetry that generic ones can begin with; None for others."""
    k = shape.group.capsule_dimension
    if shape.group.family != "generic" or k == 1:
        return None
    return replace(shape, symmetry="U(1)" if k == 2 else f"O({k})")


def _drawn(shape: Shape, sigma_w: float, source: torch.Generator) -> list[torch.Tensor]:
    """V, W, R and b."""
    stds = (
        math.sqrt(D0 / (shape.group.capsule_dimension * shape.features)),
        sigma_w * weight_std(shape.group, shape.width),
        1.0 / math.sqrt(shape.components),
        0.0,
    )
    return [
        std * torch.randn(part, generator=source, dtype=torch.float32)
        for std, part in zip(stds, shape.parts, strict=True)
    ]
