"""Equivariant linear layers: how weights look, how they are drawn, and how they act.

A state is a real tensor (..., N, D, columns): N capsules of D components, and in the last axis whatever passes through
the same weights (inputs; the values of sigma_w of a sweep), so that a layer is one matrix product. A complex number is
its real and imaginary part, D = 2.
"""

from __future__ import annotations

import math

import torch

from meanfield.symmetry import Symmetry


def weight_shape(symmetry: Symmetry, n_out: int, n_in: int) -> tuple[int, ...]:
    """Shape of the real numbers behind one layer's weights.

    U(1): (2 n_out, n_in), the real part of W_ij above its imaginary part. O(k): (n_out, n_in), times the identity on
    each capsule. generic(k): (n_out k, n_in k).
    """
    k = symmetry.capsule_dimension
    if symmetry.family == "U(1)":
        return (2 * n_out, n_in)
    return (n_out, n_in) if symmetry.family == "O" else (n_out * k, n_in * k)


def weight_std(symmetry: Symmetry, n_in: int) -> float:
    """Standard deviation of each of these numbers at sigma_w = 1.

    E|W_ij|^2 = 1/N for U(1), so real and imaginary part have 1/(2N) each (Section 2.2 of the paper prints 1/N each;
    Eq. (8) and a transition at sigma_w = 1 need this); E w_ij^2 = 1/N for O(k); E W^2 = 1/(N k) for generic(k).
    """
    return 1.0 / math.sqrt(n_in if symmetry.family == "O" else n_in * symmetry.capsule_dimension)


def linear(symmetry: Symmetry, weights: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """W x, the linear part of Eq. (4), (19) and (21).

    Parameters
    ----------
    weights : (..., *weight_shape(symmetry, n_out, n_in))
    state : (..., n_in, D, columns)

    Returns
    -------
    (..., n_out, D, columns)
    """
    *batch, n_in, k, columns = state.shape
    if symmetry.family == "generic":
        return (weights @ state.reshape(*batch, n_in * k, columns)).reshape(*batch, -1, k, columns)
    product = weights @ state.reshape(*batch, n_in, k * columns)
    if symmetry.family == "O":
        return product.reshape(*batch, -1, k, columns)
    real, imaginary = product.reshape(*batch, 2, -1, 2, columns).unbind(-4)
    # (a + ib)(x + iy): multiplying by i turns (x, y) into (-y, x)
    turned = torch.stack([-imaginary[..., 1, :], imaginary[..., 0, :]], dim=-2)
    return real + turned


def as_generic(symmetry: Symmetry, weights: torch.Tensor) -> torch.Tensor:
    """The same linear map as weights of generic(k): a matrix that acts on all components, capsule by capsule.

    Parameters
    ----------
    weights : (..., *weight_shape(symmetry, n_out, n_in))

    Returns
    -------
    (..., n_out k, n_in k)
    """
    k = symmetry.capsule_dimension
    if symmetry.family == "generic":
        return weights
    if symmetry.family == "O":
        blocks = weights[..., None, None] * torch.eye(k).to(weights)
    else:
        real, imaginary = weights.chunk(2, -2)
        blocks = torch.stack([real, -imaginary, imaginary, real], -1).unflatten(-1, (2, 2))
    return blocks.transpose(-3, -2).flatten(-4, -3).flatten(-2, -1)
