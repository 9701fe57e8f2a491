"""Two-input averages for any activation, through its expansion in generalised Laguerre functions.

    a_n = < f(r) sqrt(t) L_n^{(D/2)}(t) > sqrt(n! Gamma(D/2)/Gamma(n + D/2 + 1)),       r^2 = (2 s/D) t,  t ~ Gamma(D/2)
    c'  = sum_n a_n^2,     Delta' = sum_n a_n^2 rho^(2n+1).

This follows from the Hille-Hardy formula for the Bessel kernel of Eq. (12). It asks nothing of f but finite averages,
so it serves a user's own function, and the tests use it as a second route for the named ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from .activations import Activation
from .chunks import chunks
from .quadrature import density, in_x, panels

TERMS = 256
PANELS = (32, 24)  # and Gauss-Legendre points in each
OTHER_PANELS = (23, 22)  # a second rule for a user's function, whose kinks fall elsewhere between its points
_INFINITE = 1e200  # in place of a slope that is not known: times a power of rho that underflows it is 0
_CHUNK = 256  # states at a time


@lru_cache(maxsize=32)
def _ends(dimension: int, n: int) -> np.ndarray:
    """Ends of panels in x = sqrt(t): even ones where the Laguerre functions oscillate (up to n = 256 they have 90 zeros
    where exp(-t) matters), dyadic ones towards x = 0, where an activation may turn on any small scale.
    """
    even = np.linspace(0.0, np.sqrt(dimension / 2.0) + 9.0, n + 1)
    return np.concatenate([[0.0], even[1] * 2.0 ** -np.arange(20.0, 0.0, -1.0), even[1:]])


@lru_cache(maxsize=32)
def _rule(dimension: int, rule: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, float]:
    """Nodes x and weights, shape (m,), normalised so that <1> = 1, and what they were divided by."""
    ends = _ends(dimension, rule[0])
    x, dx = panels(ends[:-1], ends[1:], rule[1])
    weight = density(dimension, x) * dx
    return x, weight / weight.sum(), weight.sum()


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
def _projection(dimension: int, rule: tuple[int, int], scalar: bool = False) -> np.ndarray:
    """The matrix (m, TERMS) that projects values at the nodes on :func:`_functions`."""
    x, weight, _ = _rule(dimension, rule)
    return (np.array(list(_functions(dimension, x, scalar))) * weight).T


class _Averages:
    """Averages of what a function makes of the radii of states s, by one rule for all of them.

    Where it breaks the panel is left out, and averaged in two: `more` are the nodes there, shape (m, q).
    """

    def __init__(self, activation: Activation, dimension: int, s: np.ndarray, rule: tuple[int, int]) -> None:
        self.dimension, self.rule = dimension, rule
        x, self.weight, total = _rule(dimension, rule)
        scale = np.sqrt(2.0 / dimension) * np.sqrt(s)[:, None]
        whole, low, high = _split(_ends(dimension, rule[0]), in_x(activation.breaks, scale))
        self.whole = np.repeat(whole, rule[1], axis=1)
        self.more, dx = panels(low, high, rule[1])
        self.more_weight = density(dimension, self.more) * dx / total
        self.x = np.concatenate([np.broadcast_to(x, (s.size, x.size)), self.more], axis=1)
        self.r = scale * self.x

    def mean(self, values: np.ndarray) -> np.ndarray:
        """<values> of values (m, nodes) at `x`; shape (m,)."""
        nodes = self.weight.size
        return (values[:, :nodes] * self.whole) @ self.weight + np.vecdot(values[:, nodes:], self.more_weight)

    def project(self, values: np.ndarray, scalar: bool = False) -> np.ndarray:
        """<values psi_n>, shape (m, TERMS)."""
        nodes = self.weight.size
        out = (values[:, :nodes] * self.whole) @ _projection(self.dimension, self.rule, scalar)
        if self.more.size:
            weighted = values[:, nodes:] * self.more_weight
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
    activation: Activation, dimension: int, s: np.ndarray, rule: tuple[int, int] = PANELS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a_n/sqrt(s) for n < TERMS at a flat array s, shape (m, TERMS), and what the series sums to at rho = 1: c'/s and
    the slope <f'^2 + (D-1)(f/r)^2>/D, shape (m,), by the same rule, so that what they leave is what the series leaves
    out (of a function that breaks the slope is not known). All of it stays finite where s underflows.
    """

    def of_some(s: np.ndarray):
        of = _Averages(activation, dimension, s, rule)
        ratio = activation.ratio(of.r)
        a = of.project(ratio * (np.sqrt(2.0 / dimension) * of.x))
        gain = 2.0 / dimension * of.mean((ratio * of.x) ** 2)
        if activation.breaks or activation.jump is not None:
            return a, gain, np.full(s.shape, _INFINITE)
        return a, gain, of.mean(activation.derivative(of.r) ** 2 + (dimension - 1) * ratio**2) / dimension

    return _in_chunks(of_some, s)


def power_expansions(
    activation: Activation, dimension: int, s: np.ndarray, rule: tuple[int, int] = PANELS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of f/s^(1/2) and f^3/s^(3/2) in the vector, of f^2/s in the scalar functions, each (m, TERMS)."""

    def of_some(s: np.ndarray):
        of = _Averages(activation, dimension, s, rule)
        value = activation.ratio(of.r) * (np.sqrt(2.0 / dimension) * of.x)
        return of.project(value), of.project(value**3), of.project(value**2, scalar=True)

    return _in_chunks(of_some, s)


def _in_chunks(of_some: Callable, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = [of_some(s[part]) for part in chunks(max(s.size, 1), 1, _CHUNK)]  # at least one, to have shapes
    first, second, third = (np.concatenate(column) for column in zip(*parts, strict=True))
    return first, second, third
