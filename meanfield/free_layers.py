"""Layers of a wide network as factors that are free of each other: what the spectrum of its Jacobian is made of.

J^L is a product of L factors W D. D multiplies a capsule's radial part by f' and the D - 1 directions at right angles
to it by f/r: on a direction drawn at random it acts as a factor delta, with

    delta^2 = f'(r)^2 with probability 1/D,  (f(r)/r)^2 with probability (D-1)/D.

In a wide network W and the D of different layers are free of each other in the sense of free probability, for which S
transforms multiply (Voiculescu; for networks Pennington, Schoenholz and Ganguli 2017). An equivariant W acts on all
components of a capsule alike, or turns them, which changes nothing: all that it could tell apart is the average D x D
block of what it multiplies, and capsules without a preferred direction (C = (c/D) 1: nothing here is for O(k) networks
whose inputs have one, which they keep for long) make that a multiple of 1. So the spectrum of a generic network is also
that of an equivariant one: what symmetry protects is a few directions of N D, known in advance, and no part of the
spectrum.

With m(v) = <delta^2 v/(1 + delta^2 v)>, which rises from 0 to 1, the S transform of (W D)(W D)^T is v/(sigma_w^2 m) at
-m. A squared singular value exp(x) of J^L is where, with theta = pi,

    log m - log(1 - m) + L (log v - log m - log sigma_w^2) + x = i theta.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, cached_property, partial
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from .activations import Activation, as_activation
from .checks import times_square
from .chunks import chunks
from .fixed_points import fixed_point
from .maps import AccuracyWarning
from .quadrature import radial_nodes
from .symmetry import Symmetry, as_symmetry
from .warn import warn

_FAR, _NEAR, _TAIL = np.linspace(-700.0, -60.0, 33), np.linspace(-59.5, 100.0, 320), np.geomspace(101.0, 1300.0, 300)
_LOG_V = np.concatenate([_FAR, _NEAR, _TAIL])  # of v <delta^2>, where a solution may be
_LEAST = 1e-290  # 1 - m that is looked at
_ROUNDS = 40  # of Newton's method at most
_LONGEST, _LAST = 2.0, 1e-7  # of its steps; after the last, what is left is its square
_AT_ONCE = 100_000  # numbers per temporary array
REFINEMENTS = (1, 2, 4, 16, 64)  # of a rule: where f' falls by many powers of ten, v may feel its nodes
REFINEMENTS_OF_A_USER_S = (1, 2, 4)  # whose rule has more nodes to begin with


class Means(NamedTuple):
    """Averages over delta at some log v."""

    m: np.ndarray  # <delta^2 v/(1 + delta^2 v)>
    rest: np.ndarray  # 1 - m
    slope: np.ndarray  # d log m/d log v


class Law:
    """log sigma_w^2, and what delta^2 is: a rule of logarithms and weights, and the weight of zero."""

    def __init__(self, sigma_w: float, log_squares: np.ndarray, weights: np.ndarray, activation: Activation) -> None:
        there, self.activation = np.isfinite(log_squares) & (weights > 0.0), activation
        self.log_gain, self.zero = 2.0 * np.log(sigma_w), weights[~there].sum()
        self.log_squares, self.weights = log_squares[there], weights[there]

    @cached_property
    def log_v(self) -> np.ndarray:
        """Where a solution may be."""
        grid = _LOG_V - logsumexp(self.log_squares + np.log(self.weights))
        return grid[self.means(grid).rest > _LEAST]

    def means(self, log_v: np.ndarray) -> Means:
        """At log v, real or with an imaginary part in [0, pi]."""
        y = log_v[..., None] + self.log_squares
        large = y.real > 0.0
        small = np.exp(np.where(large, -y, y))  # never above 1
        of_small, of_large = small / (1.0 + small), 1.0 / (1.0 + small)
        taken, left = np.where(large, of_large, of_small), np.where(large, of_small, of_large)
        m = taken @ self.weights
        return Means(m, left @ self.weights + self.zero, (taken * left) @ self.weights / m)

    def logarithm(self, log_v: np.ndarray) -> np.ndarray:
        """<log(1 + delta^2 v)>."""
        y = log_v[..., None] + self.log_squares
        large = y.real > 0.0
        return (np.where(large, y, 0.0) + np.log1p(np.exp(np.where(large, -y, y)))) @ self.weights

    def log_size(self, log_v: np.ndarray, length: int) -> np.ndarray:
        """x at theta = 0."""
        found = self.means(log_v)
        with np.errstate(divide="ignore"):  # minus infinity where exp(log_v) overflows
            return np.log(found.rest) - np.log(found.m) + length * (np.log(found.m) + self.log_gain - log_v)


def solve(law: Law, step: Callable, log_v: np.ndarray, *rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method for each log v by itself, from guesses.

    Parameters
    ----------
    step : of averages, log v and those of the rows that belong to it, the step to subtract
    log_v : (n,), real or complex

    Returns
    -------
    log v, and what it may be off by
    """
    log_v, error = log_v.copy(), np.full(log_v.shape, np.inf)
    left = np.arange(log_v.size)
    for _ in range(_ROUNDS):
        taken = step(law.means(log_v[left]), log_v[left], *(row[left] for row in rows))
        size = np.abs(taken)
        log_v[left] -= taken * (_LONGEST / np.maximum(size, _LONGEST))
        error[left] = size**2
        left = left[size > _LAST]
        if not left.size:
            break
    return log_v, error


def portions(which: np.ndarray, law: Law) -> Iterator[np.ndarray]:
    """Some of the indices at a time, whose averages by a law fit the cache."""
    for some in chunks(which.size, law.weights.size, _AT_ONCE):
        yield which[some]


def warn_of_errors(what: str, errors: np.ndarray, accuracy: float) -> None:
    """With how many are larger, and the largest."""
    large = ~(errors < accuracy)
    if large.any():
        text = f"{large.sum()} of {large.size} {what} are less accurate than {accuracy:g}"
        warn(f"{text}, by up to about {errors[large].max():.1g}", AccuracyWarning)


def laws(sigma_w: xr.DataArray, symmetry: str | Symmetry, activation) -> list[Callable[[int], Law] | None]:
    """For each sigma_w the law at its fixed point, by a rule that is so many times finer than the first.

    None where there is no fixed point.

    Raises
    ------
    ValueError
        For a sigma_w of 0, and constant layers: their Jacobian is zero.
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    if not np.all(sigma_w > 0.0):
        raise ValueError("sigma_w must be > 0, got 0")
    if activation.is_saturated and symmetry.capsule_dimension == 1:
        raise ValueError(f"activation must have a Jacobian, got {activation.name!r} of {symmetry}, which is constant")
    scales = sigma_w.values.ravel()
    if activation.name == "linear":
        powers = np.ones(scales.shape)  # it is the same at all of them
    else:
        powers = times_square(scales, np.ravel(fixed_point(scales, symmetry, activation).c))
    return [
        None if np.isnan(s) else cache(partial(_law, scale, s, symmetry, activation))
        for scale, s in zip(scales, powers, strict=True)
    ]


def _law(sigma_w: float, s: float, symmetry: Symmetry, activation: Activation, refine: int) -> Law:
    dimension = symmetry.capsule_dimension
    r, weights = radial_nodes(dimension, s, refine, None if activation.guaranteed else activation.breaks)
    with np.errstate(divide="ignore"):
        logs = [2.0 * np.log(np.abs(each)) for each in (activation.derivative(r), activation.ratio(r))]
    shares = [weights / dimension, (dimension - 1) / dimension * weights]
    return Law(sigma_w, np.concatenate(logs), np.concatenate(shares), activation)
