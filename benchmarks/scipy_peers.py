"""What one would write with scipy and numpy: the paper's integrals, term by term."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from scipy import integrate, special

TOLERANCE = 1e-10
Layer = Callable[[float, float, float], tuple[float, float]]


def length_map(c: float, sigma_w: float) -> float:
    """Eq. (8) for tanh, by `scipy.integrate.quad`."""
    scale = sigma_w * np.sqrt(c)
    return integrate.quad(lambda u: 2.0 * u * np.exp(-u * u) * np.tanh(u * scale) ** 2, 0, np.inf, epsrel=TOLERANCE)[0]


def correlation_map(delta: float, c: float, sigma_w: float, epsabs: float = 1.49e-8) -> float:
    """Eq. (12) for tanh, by `scipy.integrate.dblquad` with scipy's own epsabs, or with another."""
    rho = delta / c
    scale = sigma_w * np.sqrt(c * (1.0 - rho**2))  # 1/alpha

    def integrand(u, v):
        weight = u * v * np.exp(-(u * u + v * v - 2.0 * rho * u * v)) * special.ive(1, 2.0 * rho * u * v)
        return weight * np.tanh(u * scale) * np.tanh(v * scale)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", integrate.IntegrationWarning)
        total = integrate.dblquad(integrand, 0, np.inf, 0, np.inf, epsabs=epsabs, epsrel=TOLERANCE)[0]
    return 4.0 * (1.0 - rho**2) * total


_T, _WEIGHT = np.polynomial.laguerre.laggauss(60)
_U = np.sqrt(_T)


def laguerre_map(delta: float, c: float, sigma_w: float) -> float:
    """Eq. (12) for tanh, by 60 x 60 Gauss-Laguerre nodes in u^2."""
    rho = delta / c
    f = _WEIGHT * np.tanh(_U * sigma_w * np.sqrt(c * (1.0 - rho**2)))
    return (1.0 - rho**2) * f @ special.iv(1, 2.0 * rho * np.outer(_U, _U)) @ f


def layer(c: float, delta: float, sigma_w: float) -> tuple[float, float]:
    """(c, Delta) one layer on, by Eq. (8) and (12)."""
    return length_map(c, sigma_w), correlation_map(delta, c, sigma_w)


def trajectory(layer: Layer, depth: int, sigma_w: float, delta: float) -> tuple[np.ndarray, np.ndarray]:
    """c and Delta of layers 0..depth from c = 1, by a map of one layer."""
    states = [(1.0, delta)]
    for _ in range(depth):
        states.append(layer(*states[-1], sigma_w))
    c, cross = np.array(states).T
    return c, cross


def depth_scales(sigma_w: float) -> tuple[float, float]:
    """xi_c and xi_Delta of U(1) and tanh: Eq. (8) iterated from c = 1 until c stands still, then chi by `quad`."""
    c, previous = 1.0, 0.0
    for _ in range(10_000):
        if abs(c - previous) <= 1e-12:
            break
        c, previous = length_map(c, sigma_w), c
    scale = sigma_w * np.sqrt(c)

    def average(g) -> float:
        return integrate.quad(lambda u: 2.0 * u * np.exp(-u * u) * g(u * scale), 0, 9.0, epsrel=TOLERANCE)[0]

    chi_c = average(lambda r: np.tanh(r) * r / np.cosh(r) ** 2) / c
    chi_delta = average(lambda r: r * np.tanh(r)) ** 2 / (scale**2 * c)
    return -1.0 / np.log(chi_c), -1.0 / np.log(chi_delta)
