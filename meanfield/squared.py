"""(f/r)^2 as a mixture of Gaussians: what averages of four capsule components are made of.

A named activation has f(r)/r = int p(v) exp(-v^2 r^2) dv (see `meanfield.activations`), and so has its square,

    (f(r)/r)^2 = int q(v) exp(-v^2 r^2) dv,        q >= 0,

with q in closed form. tanh: f' = 1 - f^2 says (f/r)^2 = (1 - f/r - r d(f/r)/dr)/r^2, hence q = 2 v int_v^infinity p +
2 v^2 p. erf: q is 2 v times the share of the quarter circle of radius v that lies in the unit square, 1 up to v = 1 and
1 - (4/pi) arccos(1/v) up to sqrt(2). algebraic: 1/(1 + r^2) has q = 2 v exp(-v^2). linear: all at v = 0.

Then f^2/r is the radial function of an activation of its own, and the engine for two inputs (`meanfield.overlap`) takes
averages of it. f = 1 has q = 2 v, with no smallest scale; it is treated apart where it occurs.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from .activations import Activation, GaussianMixture, RadialFunction
from .mixture import STEP, MixtureState, mixture_state, turning
from .overlap import Overlaps
from .quadrature import bent_grid, scale_bucket

_ARC = 32  # Gauss-Legendre points between v = 1 and sqrt(2)


def _tanh_tail(v: np.ndarray) -> np.ndarray:
    """int_v^infinity p for tanh, from the two series of its density."""
    n = np.arange(1, 6)
    with np.errstate(divide="ignore", over="ignore"):  # the smallest v leave exp(-inf)
        x = n / v[:, None]
        terms = (-1.0) ** n * (v[:, None] * np.exp(-(x**2)) - n * np.sqrt(np.pi) * special.erfc(x))
    near = 1.0 - 2.0 / np.sqrt(np.pi) * (v + 2.0 * terms.sum(axis=1))
    rate = (np.pi * (n - 0.5)) ** 2
    far = np.sum(2.0 / rate * np.exp(-rate * v[:, None] ** 2), axis=1)
    return np.where(v < 0.6, near, far)


def _tanh_density(p: RadialFunction) -> RadialFunction:
    return lambda v: 2.0 * v * _tanh_tail(v) + 2.0 * v**2 * p(v)


def _densities(activation: Activation) -> GaussianMixture | None:
    """The mixture of (f/r)^2 where it is known: then averages of f^2/r are as accurate as those of f."""
    if activation.mixture is None:
        return None
    known = {
        "tanh": GaussianMixture(_tanh_density(activation.mixture.density), "gaussian"),
        "erf": GaussianMixture(lambda v: 2.0 * v, "unit"),  # up to v = 1; squared_state adds the rest
        "algebraic": GaussianMixture(lambda v: 2.0 * v * np.exp(-np.square(v)), "gaussian"),
        "linear": activation.mixture,
    }
    return known.get(activation.name)


@lru_cache(maxsize=64)
def squared(activation: Activation) -> Activation:
    """The activation of radial function f(r)^2/r; f must have a slope at the origin."""

    def ratio(r):
        return activation.ratio(r) ** 2

    def one_minus_ratio(r):
        missing = activation.one_minus_ratio(r)
        return missing * (2.0 - missing)

    return Activation(
        name=f"{activation.name}^2/r",
        value=lambda r: activation.ratio(r) * activation.value(r),
        derivative=lambda r: activation.ratio(r) * (2.0 * activation.derivative(r) - activation.ratio(r)),
        slope=activation.slope**2,
        one_minus_ratio=one_minus_ratio,
        deficit=lambda r: 2.0 * activation.ratio(r) * activation.deficit(r),
        critical=(activation.slope**-2, 0.0),
        mixture=_densities(activation),
        jump=activation.jump,
        breaks=activation.breaks,
        more_breaks=activation.more_breaks,
    )


def squared_state(activation: Activation, dimension: int, s: np.ndarray) -> MixtureState:
    """The mixture of (f/r)^2 for a flat array s of states of a named activation."""
    if activation.name != "erf":
        return mixture_state(squared(activation), dimension, s)
    kappa = np.sqrt(2.0 / dimension) * np.sqrt(s)[:, None]
    v, density = erf_rule(scale_bucket(turning(dimension, float(kappa.max(initial=0.0)))))
    return MixtureState(dimension, s, density[None, :], -np.log1p((kappa * v) ** 2))


class SquaredOverlaps(Overlaps):
    """Overlap averages of f(r)^2/r, by the engine for those of f."""

    def __init__(self, activation: Activation, dimension: int, s: np.ndarray) -> None:
        self._root = activation
        super().__init__(squared(activation), dimension, s)

    def _mixture(self, states: np.ndarray) -> MixtureState:
        return squared_state(self._root, self.dimension, self.s[states])


@lru_cache(maxsize=32)
def erf_rule(bucket: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes v and weights q(v) dv for erf: q bends at v = 1, and beyond it is smooth in theta, v = 1/cos(theta)."""
    u, du = bent_grid(-bucket * np.log(4.0), 0.0, STEP, unit_interval=True)
    v = 1.0 / (1.0 + np.exp(-u))
    node, weight = np.polynomial.legendre.leggauss(_ARC)
    theta = np.pi / 8.0 * (1.0 + node)
    beyond = 2.0 * (1.0 - 4.0 * theta / np.pi) * np.tan(theta) / np.cos(theta) ** 2 * (np.pi / 8.0 * weight)
    return np.concatenate([v, 1.0 / np.cos(theta)]), np.concatenate([2.0 * v**2 / (1.0 + np.exp(u)) * du, beyond])
