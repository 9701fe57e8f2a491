"""Two-input averages for any activation, through its expansion in generalised Laguerre functions.

    a_n = < f(r) sqrt(t) L_n^{(D/2)}(t) > sqrt(n! Gamma(D/2)/Gamma(n + D/2 + 1)),       r^2 = (2 s/D) t,  t ~ Gamma(D/2)
    c'  = sum_n a_n^2,     Delta' = sum_n a_n^2 rho^(2n+1).

This follows from the Hille-Hardy formula for the Bessel kernel of Eq. (12). It asks nothing of f but finite averages,
so it serves a user's own function, and the tests use it as a second route for the named ones.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .activations import Activation

TERMS = 256
PANELS = 32
OTHER_PANELS = 23  # a second rule for a user's function, whose kinks fall elsewhere between its points
_ORDER = 24  # Gauss-Legendre points a panel


@lru_cache(maxsize=32)
def _rule(dimension: int, panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x = sqrt(t) and weights, shape (m,).

    Panels of Gauss-Legendre points, even ones where the Laguerre functions oscillate (up to n = 256 they have 90 zeros
    where exp(-t) matters), dyadic ones towards x = 0, where an activation may turn on any small scale.
    """
    upper = np.sqrt(dimension / 2.0) + 9.0
    even = np.linspace(0.0, upper, panels + 1)
    edges = np.concatenate([[0.0], even[1] * 2.0 ** -np.arange(20.0, 0.0, -1.0), even[1:]])
    node, weight = np.polynomial.legendre.leggauss(_ORDER)
    half = np.diff(edges)[:, None] / 2.0
    x = (edges[:-1, None] + half * (1.0 + node)).ravel()
    peak = dimension / 2.0
    log_density = (dimension - 1) * (np.log(x) - 0.5 * np.log(peak)) - (x * x - peak)
    density = np.exp(log_density) * (half * weight).ravel()
    return x, density / density.sum()  # normalised: <1> = 1


@lru_cache(maxsize=32)
def _projection(dimension: int, panels: int, scalar: bool = False) -> np.ndarray:
    """The matrix (m, TERMS) that projects values at the nodes on orthonormal functions: by their recurrence, those of a
    capsule along x, psi_n(t) = sqrt(t) L_n^{(D/2)}(t) sqrt(n! Gamma(D/2)/Gamma(n + D/2 + 1)), or scalar ones of its
    radius, L_n^{(D/2-1)}(t) sqrt(n! Gamma(D/2)/Gamma(n + D/2)).
    """
    x, density = _rule(dimension, panels)
    t = x * x
    alpha = dimension / 2.0 - (1.0 if scalar else 0.0)
    functions = np.empty((TERMS, x.size))
    functions[0] = 1.0 if scalar else np.sqrt(t / alpha)
    functions[1] = functions[0] * (alpha + 1.0 - t) / np.sqrt(alpha + 1.0)
    for n in range(1, TERMS - 1):
        down = np.sqrt(n * (n + alpha))
        up = np.sqrt((n + 1.0) * (n + alpha + 1.0))
        functions[n + 1] = ((2 * n + alpha + 1.0 - t) * functions[n] - down * functions[n - 1]) / up
    return (functions * density).T


def expansion(
    activation: Activation, dimension: int, s: np.ndarray, panels: int = PANELS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a_n/sqrt(s) for n < TERMS at a flat array s, shape (m, TERMS), and what the series sums to at rho = 1: c'/s and
    the slope <f'^2 + (D-1)(f/r)^2>/D, shape (m,), by the same rule, so that what they leave is what the series leaves
    out. All of it stays finite where s underflows.
    """
    x, density = _rule(dimension, panels)
    r = np.sqrt(2.0 / dimension) * np.sqrt(s)[:, None] * x
    ratio = activation.ratio(r)
    a = (ratio * (np.sqrt(2.0 / dimension) * x)) @ _projection(dimension, panels)
    gain = 2.0 / dimension * ((ratio * x) ** 2 @ density)
    slope = (activation.derivative(r) ** 2 + (dimension - 1) * ratio**2) @ density / dimension
    return a, gain, slope


def power_expansions(
    activation: Activation, dimension: int, s: np.ndarray, panels: int = PANELS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of f/s^(1/2) and f^3/s^(3/2) in the vector, of f^2/s in the scalar functions, each (m, TERMS)."""
    x, _ = _rule(dimension, panels)
    value = activation.ratio(np.sqrt(2.0 / dimension) * np.sqrt(s)[:, None] * x) * (np.sqrt(2.0 / dimension) * x)
    vector, scalar = (_projection(dimension, panels, each) for each in (False, True))
    return value @ vector, value**3 @ vector, value**2 @ scalar
