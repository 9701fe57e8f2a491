"""Two-input averages for any activation, through its expansion in generalised Laguerre functions.

    a_n = < f(r) sqrt(t) L_n^{(D/2)}(t) > sqrt(n! Gamma(D/2)/Gamma(n + D/2 + 1)),       r^2 = (2 s/D) t,  t ~ Gamma(D/2)
    c'  = sum_n a_n^2,     Delta' = sum_n a_n^2 rho^(2n+1).

This follows from the Hille-Hardy formula for the Bessel kernel of Eq. (12). It asks nothing of f but finite averages,
so it serves a user's own function, and the tests use it as a second route for the named ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from .activations import Activation

TERMS = 256
PANELS = 32
OTHER_PANELS = 23  # a second rule for a user's function, whose kinks fall elsewhere between its points
_ORDER = 24  # Gauss-Legendre points a panel
_INFINITE = 1e200  # the slope at rho = 1 where f jumps: times a power of rho that underflows it is 0


@lru_cache(maxsize=32)
def _ends(dimension: int, panels: int) -> np.ndarray:
    """Ends of panels in x = sqrt(t): even ones where the Laguerre functions oscillate (up to n = 256 they have 90 zeros
    where exp(-t) matters), dyadic ones towards x = 0, where an activation may turn on any small scale.
    """
    even = np.linspace(0.0, np.sqrt(dimension / 2.0) + 9.0, panels + 1)
    return np.concatenate([[0.0], even[1] * 2.0 ** -np.arange(20.0, 0.0, -1.0), even[1:]])


def _gauss_legendre(dimension: int, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x and their weights times the density of x, of panels (..., p); shape (..., p * _ORDER)."""
    node, weight = np.polynomial.legendre.leggauss(_ORDER)
    half = (high - low)[..., None] / 2.0
    x = low[..., None] + half * (1.0 + node)
    peak = dimension / 2.0
    log_density = (dimension - 1) * (np.log(x) - 0.5 * np.log(peak)) - (x * x - peak)
    flat = (*low.shape[:-1], -1) if low.size else low.shape
    return x.reshape(flat), (np.exp(log_density) * half * weight).reshape(flat)


@lru_cache(maxsize=32)
def _rule(dimension: int, panels: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Nodes x and weights, shape (m,), normalised so that <1> = 1, and what they were divided by."""
    ends = _ends(dimension, panels)
    x, density = _gauss_legendre(dimension, ends[:-1], ends[1:])
    return x, density / density.sum(), density.sum()


def _functions(dimension: int, x: np.ndarray, scalar: bool) -> Iterator[np.ndarray]:
    """Orthonormal functions n = 0 to TERMS - 1, each of the shape of x, by their recurrence: those of a capsule along
    x, psi_n(t) = sqrt(t) L_n^{(D/2)}(t) sqrt(n! Gamma(D/2)/Gamma(n + D/2 + 1)), or scalar ones of its radius,
    L_n^{(D/2-1)}(t) sqrt(n! Gamma(D/2)/Gamma(n + D/2)).
    """
    t = x * x
    alpha = dimension / 2.0 - (1.0 if scalar else 0.0)
    before = np.ones_like(t) if scalar else np.sqrt(t / alpha)
    yield before
    last = before * (alpha + 1.0 - t) / np.sqrt(alpha + 1.0)
    yield last
    for n in range(1, TERMS - 1):
        down = np.sqrt(n * (n + alpha))
        up = np.sqrt((n + 1.0) * (n + alpha + 1.0))
        before, last = last, ((2 * n + alpha + 1.0 - t) * last - down * before) / up
        yield last


@lru_cache(maxsize=32)
def _projection(dimension: int, panels: int, scalar: bool = False) -> np.ndarray:
    """The matrix (m, TERMS) that projects values at the nodes on :func:`_functions`."""
    x, density, _ = _rule(dimension, panels)
    return (np.array(list(_functions(dimension, x, scalar))) * density).T


class _Averages:
    """Averages of what a function makes of the radii of states s, by one rule for all of them.

    Where it breaks the panel is left out, and averaged in two: `more` are the nodes there, shape (m, q).
    """

    def __init__(self, activation: Activation, dimension: int, s: np.ndarray, panels: int) -> None:
        self.dimension, self.panels = dimension, panels
        x, self.density, total = _rule(dimension, panels)
        scale = np.sqrt(2.0 / dimension) * np.sqrt(s)[:, None]
        with np.errstate(divide="ignore"):
            breaks = np.asarray(activation.breaks) / scale
        whole, low, high = _split(_ends(dimension, panels), breaks)
        self.whole = np.repeat(whole, _ORDER, axis=1)
        more, density = _gauss_legendre(dimension, low, high)
        self.more, self.more_density = more, density / total
        self.x = np.concatenate([np.broadcast_to(x, (s.size, x.size)), more], axis=1)
        self.r = scale * self.x

    def mean(self, values: np.ndarray) -> np.ndarray:
        """<values> of values (m, nodes) at `x`; shape (m,)."""
        nodes = self.density.size
        return (values[:, :nodes] * self.whole) @ self.density + np.vecdot(values[:, nodes:], self.more_density)

    def project(self, values: np.ndarray, scalar: bool = False) -> np.ndarray:
        """<values psi_n>, shape (m, TERMS)."""
        nodes = self.density.size
        out = (values[:, :nodes] * self.whole) @ _projection(self.dimension, self.panels, scalar)
        if self.more.size:
            weighted = values[:, nodes:] * self.more_density
            for n, function in enumerate(_functions(self.dimension, self.more, scalar)):
                out[:, n] += np.vecdot(weighted, function)
        return out


def _split(ends: np.ndarray, breaks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which panels hold none of `breaks`, rising, shape (m, b): bool (m, panels); and lower and upper ends of those
    that the others fall into, shape (m, 2 b).
    """
    breaks = np.clip(breaks, ends[1] / 2.0, ends[-1])  # those beyond the ends make panels of no width
    panel = np.searchsorted(ends[1:-1], breaks, side="right")
    whole = np.ones((len(breaks), ends.size - 1), bool)
    np.put_along_axis(whole, panel, False, axis=1)
    shared = panel[:, 1:] == panel[:, :-1]  # with the next break
    start, end = ends[panel], ends[panel + 1]
    start[:, 1:] = np.where(shared, breaks[:, :-1], start[:, 1:])
    end[:, :-1] = np.where(shared, breaks[:, :-1], end[:, :-1])
    return whole, np.concatenate([start, breaks], axis=1), np.concatenate([breaks, end], axis=1)


def expansion(
    activation: Activation, dimension: int, s: np.ndarray, panels: int = PANELS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a_n/sqrt(s) for n < TERMS at a flat array s, shape (m, TERMS), and what the series sums to at rho = 1: c'/s and
    the slope <f'^2 + (D-1)(f/r)^2>/D, shape (m,), by the same rule, so that what they leave is what the series leaves
    out. All of it stays finite where s underflows.
    """
    of = _Averages(activation, dimension, s, panels)
    ratio = activation.ratio(of.r)
    a = of.project(ratio * (np.sqrt(2.0 / dimension) * of.x))
    gain = 2.0 / dimension * of.mean((ratio * of.x) ** 2)
    slope = of.mean(activation.derivative(of.r) ** 2 + (dimension - 1) * ratio**2) / dimension
    if activation.jump is not None:
        slope = np.full(s.shape, _INFINITE)
    return a, gain, slope


def power_expansions(
    activation: Activation, dimension: int, s: np.ndarray, panels: int = PANELS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of f/s^(1/2) and f^3/s^(3/2) in the vector, of f^2/s in the scalar functions, each (m, TERMS)."""
    of = _Averages(activation, dimension, s, panels)
    value = activation.ratio(of.r) * (np.sqrt(2.0 / dimension) * of.x)
    return of.project(value), of.project(value**3), of.project(value**2, scalar=True)
