"""What is measured of a state, (network, capsule, component, sigma_w, input)."""

from __future__ import annotations

import torch


def gram_matrix(activity: torch.Tensor) -> torch.Tensor:
    """(1/N) sum_i phi(z_{i,a}) phi(z_{i,b})^T, shape (network, sigma_w, inputs D, inputs D)."""
    networks, width, k, points, inputs = activity.shape
    rows = activity.permute(0, 3, 4, 2, 1).reshape(networks, points, inputs * k, width)
    return rows @ rows.mT / width


def mean_square(state: torch.Tensor) -> torch.Tensor:
    """(1/N) sum_i |z_i|^2, shape (network, sigma_w, inputs)."""
    return (state * state).sum(dim=2).mean(dim=1)
