"""What is measured of a state, (network, capsule, component, sigma_w, input)."""

from __future__ import annotations

import numpy as np
import torch


def gram_matrix(activity: torch.Tensor) -> torch.Tensor:
    """(1/N) sum_i phi(z_{i,a}) phi(z_{i,b})^T, shape (network, sigma_w, inputs D, inputs D)."""
    networks, width, k, points, inputs = activity.shape
    rows = activity.permute(0, 3, 4, 2, 1).reshape(networks, points, inputs * k, width)
    return rows @ rows.mT / width


def squares(state: torch.Tensor) -> torch.Tensor:
    """|z_i|^2 of each capsule, shape (network, capsule, 1, sigma_w, input)."""
    return (state * state).sum(dim=2, keepdim=True)


def mean_square(square: torch.Tensor) -> torch.Tensor:
    """(1/N) sum_i |z_i|^2 from the :func:`squares`, shape (network, sigma_w, inputs)."""
    return square.mean(dim=(1, 2))


def lengths(gram: torch.Tensor, inputs: int) -> np.ndarray:
    """c of each input, (network, sigma_w, input), from a Gram matrix."""
    diagonal = gram.diagonal(dim1=-2, dim2=-1).cpu().numpy()
    return diagonal.reshape(*diagonal.shape[:-1], inputs, -1).sum(axis=-1)


def rescale(gram: np.ndarray, d: np.ndarray, size: np.ndarray, scale: np.ndarray) -> None:
    """Turn what was measured of activities and states into that of size * activity and scale * state.

    Parameters
    ----------
    gram (..., row, column), d (..., input) : float64, contiguous, changed in place
    size, scale : (..., input), see `simulate.scale`
    """
    inputs = size.shape[-1]
    blocks = gram.reshape(*gram.shape[:-2], inputs, -1, inputs, gram.shape[-1] // inputs)
    with np.errstate(over="ignore", invalid="ignore"):  # the samplers look for what has overflowed
        blocks *= size[..., :, None, None, None]
        blocks *= size[..., None, None, :, None]
        d *= scale
        d *= scale
