"""Square roots of Gram matrices, taken from what they are made of, so that two nearly equal inputs stay apart.

A Gram matrix knows the distance of two inputs only to the square root of the rounding error. The triangular factor of
the rows themselves knows it to the rounding error.
"""

from __future__ import annotations

import numpy as np
import torch

ROUNDING = 16.0  # a row that is left this many rounding errors long, of its own length, is taken to be zero


def triangular_factor(rows: torch.Tensor, eps: float, *, circular: bool = False) -> torch.Tensor:
    """The lower triangular L, with a diagonal >= 0, of L L^T = rows rows^T, by modified Gram-Schmidt.

    Rows that depend on those above them get a zero on the diagonal. L is exact for rows that differ from the given ones
    by some rounding errors of their lengths, whatever their condition number (Björck, 1967).

    Parameters
    ----------
    rows : (..., count, n)
        Is overwritten.
    eps : relative rounding error of the rows' entries
    circular : bool
        Take each pair of rows as the real and imaginary part of a complex one, and L L^dagger = rows rows^dagger.

    Returns
    -------
    (..., count, count), or (..., count, count/2) with real parts above imaginary parts where circular.
    """
    step = 2 if circular else 1
    count = rows.shape[-2]
    factor = rows.new_zeros((*rows.shape[:-1], count // step))
    for column, first in enumerate(range(0, count, step)):
        row = rows[..., first : first + step, :]
        products = rows[..., first:, :] @ row.mT
        if circular:
            products = _complex_product(products)
        square = products[..., :1, :1]
        length = square + factor[..., first : first + step, :column].square().sum(dim=(-1, -2), keepdim=True)
        independent = square > (ROUNDING * eps) ** 2 * length
        slopes = torch.where(independent, products / torch.where(independent, square, 1.0), 0.0)
        factor[..., first:, column] = (slopes * square.sqrt())[..., 0]
        rows[..., first + step :, :] -= slopes[..., step:, :] @ row
    return factor


def _complex_product(products: torch.Tensor) -> torch.Tensor:
    """What of real products (..., pairs 2, 2) commutes with i: ((p, -q), (q, p)) for x y* = p + i q."""
    xx, xy, yx, yy = products.unflatten(-2, (-1, 2)).flatten(start_dim=-2).unbind(dim=-1)
    real, imaginary = xx + yy, yx - xy
    return torch.stack([real, -imaginary, imaginary, real], dim=-1).unflatten(-1, (2, 2)).flatten(-3, -2)


def cholesky_rows(gram: np.ndarray) -> np.ndarray:
    """Rows whose Gram matrix is given, which may be singular: equal inputs get rows that are equal to the last bit.

    Parameters
    ----------
    gram : (count, count), symmetric and positive semidefinite

    Returns
    -------
    (count, count), lower triangular
    """
    left = np.array(gram, float)
    rows = np.zeros_like(left)
    smallest = len(left) * np.finfo(float).eps * np.diagonal(gram)
    for column in range(len(left)):
        pivot = left[column, column]
        if pivot > smallest[column]:
            slopes = left[:, column] / pivot
            rows[column:, column] = slopes[column:] * np.sqrt(pivot)
            left -= np.outer(slopes, left[column])
    return rows
