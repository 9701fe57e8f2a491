"""The Laguerre coefficients a_n of an activation, all at once, with a proven error.

With kappa^2 = 2 sigma_w^2 c / D, alpha = D/2 and the norm N_n = sqrt(n! Gamma(D/2) / Gamma(n + D/2 + 1)),

    a_n = N_n <f(r) sqrt(t) L_n^(alpha)(t)>
        = int g_n(u) du,      g_n(u) = (2 N_n/Gamma(D/2)) f(kappa x) x^(D+1) L_n^(alpha)(x^2) exp(-x^2) at x = e^u,

and c' = sum_n a_n^2, Delta' = sum_n a_n^2 rho^(2n+1). The integral over u is done by the trapezoidal rule of step h.

**Discretisation.** g_n is analytic for |Im u| < pi/4, where every pole and cut of f (at arg x = pi/2) is far away
whatever kappa is. If int |g_n(u + i b)| du <= M for all |b| < a, the infinite sum is off by at most
2 M/(exp(2 pi a/h) - 1) (Trefethen and Weideman, SIAM Review 56 (2014), Theorem 5.1). From |f(z)| <= f'(0) |z| (see
`activations`), |L_n(z)| <= L_n(-|z|) (all terms of the latter are positive) and p = cos 2a,

    M = (2 N_n/Gamma(D/2)) f'(0) kappa int x^(D+1) L_n(-x^2) exp(-p x^2) dx
      = f'(0) kappa (1 + p)^n / (p^(n+alpha+1) N_n).

**Truncation.** On the real axis |L_n(t)| <= exp(t/2) L_n(0) (DLMF 18.14.8) gives |g_n| <= C x^(D+2) exp(-x^2/2) with
C = (2 N_n/Gamma(D/2)) f'(0) kappa L_n(0) = 4 f'(0) kappa/(D Gamma(D/2) N_n). The nodes left out on the left are a
geometric series; those on the right, beyond the maximum of that bound, are below its integral, an incomplete gamma
function.

**Rounding.** The nodes' three-term recurrence runs in balls, with as many extra bits as its radii grow by.

The nodes and the matrix depend on D alone: every (sigma_w, c) and activation costs one product with the values of f.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from flint import acb, arb, arb_mat

from meanfield.certified.activations import BallActivation, as_ball_activation
from meanfield.certified.averages import radius_scale
from meanfield.certified.balls import DEFAULT_BITS, exact_positive, working_precision
from meanfield.symmetry import Symmetry, as_symmetry


@dataclass(frozen=True)
class LaguerreTransform:
    """The trapezoidal rule for a_0 ... a_M at one D.

    Attributes
    ----------
    nodes : x_k = exp(k h).
    matrix : of shape (M + 1, number of nodes): x_k^(D+1) exp(-x_k^2) L_n(x_k^2).
    factors : 2 h N_n/Gamma(D/2).
    errors : bounds of the error of a_n, divided by f'(0) kappa.
    """

    nodes: list[arb]
    matrix: arb_mat
    factors: list[arb]
    errors: list[arb]

    def apply(self, f: BallActivation, kappa: arb) -> list[arb]:
        """a_0 ... a_M of an activation with a finite slope at the origin."""
        if f.slope is None:
            raise ValueError(f"activation must have a finite slope at the origin, got {f.name!r}")
        values = arb_mat(len(self.nodes), 1, [f.value(acb(kappa * x), False).real for x in self.nodes])
        sums = (self.matrix * values).entries()
        unit = f.slope() * kappa
        return [
            factor * total + arb(0, (unit * error).upper())
            for factor, total, error in zip(self.factors, sums, self.errors, strict=True)
        ]


def coefficients(
    n_max: int,
    c: float | arb,
    sigma_w: float | arb,
    symmetry: str | Symmetry = "U(1)",
    activation: str = "tanh",
    *,
    bits: int = DEFAULT_BITS,
) -> list[arb]:
    """The Laguerre coefficients a_0 ... a_{n_max} of the layer's correlation map, as balls.

    Parameters
    ----------
    n_max : index of the last coefficient.
    c : order parameter, positive.
    sigma_w : positive.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``.
    activation : the name of an activation.
    bits : accuracy aimed at, relative to f'(0) kappa, in bits.

    Raises
    ------
    ValueError
        For an argument out of its range.
    """
    if isinstance(n_max, bool) or not isinstance(n_max, int) or n_max < 0:
        raise ValueError(f"n_max must be a non-negative integer, got {n_max!r}")
    dimension, f = as_symmetry(symmetry).capsule_dimension, as_ball_activation(activation)
    with working_precision(bits, 32):
        kappa = radius_scale(exact_positive(c, "c"), exact_positive(sigma_w, "sigma_w"), dimension)
        if f.slope is None:
            return _saturated_coefficients(n_max, dimension)
        if f.name == "linear":
            return [kappa * (arb(dimension) / 2).sqrt()] + [arb(0)] * n_max
        return laguerre_transform(dimension, n_max, bits).apply(f, kappa)


def _norms(n_max: int, dimension: int) -> list[arb]:
    """N_n = sqrt(n! Gamma(D/2) / Gamma(n + D/2 + 1))."""
    squares = [2 / arb(dimension)]
    for n in range(1, n_max + 1):
        squares.append(squares[-1] * (2 * n) / (2 * n + dimension))
    return [square.sqrt() for square in squares]


def _saturated_coefficients(n_max: int, dimension: int) -> list[arb]:
    """f = 1: <sqrt(t) L_n^(D/2)(t)> = Gamma((D+1)/2)/Gamma(D/2) (1/2)_n/n!."""
    half = arb(dimension) / 2
    moments = [(half + 0.5).gamma() / half.gamma()]
    for n in range(1, n_max + 1):
        moments.append(moments[-1] * (2 * n - 1) / (2 * n))
    return [norm * moment for norm, moment in zip(_norms(n_max, dimension), moments, strict=True)]


@lru_cache(maxsize=1)
def laguerre_transform(dimension: int, n_max: int, bits: int) -> LaguerreTransform:
    """Nodes, matrix and error bounds. One is kept: it can take tens of megabytes."""
    with working_precision(bits, 32):
        width, step, first, last = _grid(dimension, n_max, bits)
        nodes = [(step * k).exp() for k in range(first, last + 1)]
        scale = 2 * step / (arb(dimension) / 2).gamma()
        columns = [_column(step * k, dimension, n_max, bits) for k in range(first, last + 1)]
        matrix = arb_mat(len(nodes), n_max + 1, [entry for column in columns for entry in column]).transpose()
        norms = _norms(n_max, dimension)
        errors = [_error(n, norm, width, step, nodes[0], nodes[-1], dimension) for n, norm in enumerate(norms)]
        return LaguerreTransform(nodes, matrix, [scale * norm for norm in norms], errors)


def _grid(dimension: int, n_max: int, bits: int) -> tuple[arb, arb, int, int]:
    """Half-width a of the strip, step h, first and last node, such that each error is near 2^-bits.

    Chosen in floating point; whether they are good enough is for `_error` to say.
    """
    alpha = dimension / 2
    log_norm = 0.5 * (math.lgamma(n_max + 1) + math.lgamma(alpha) - math.lgamma(n_max + alpha + 1))
    wanted = (bits + 8) * math.log(2)

    def widest_step(a: float) -> float:
        p = math.cos(2 * a)
        log_m = n_max * math.log1p(p) - (n_max + alpha + 1) * math.log(p) - log_norm
        return 2 * math.pi * a / (log_m + wanted)

    width = max((k / 64 for k in range(8, 50)), key=widest_step)
    step = widest_step(width)
    log_c = math.log(4 / dimension) - math.lgamma(alpha) - log_norm
    first = -math.ceil((wanted + log_c) / (dimension + 2) / step)
    square = dimension + 2.0
    while log_c + (alpha + 1) * math.log(square) - square / 2 > -wanted:
        square += 4.0
    return arb(width), arb(step), first, math.ceil(0.5 * math.log(square) / step)


def _column(u: arb, dimension: int, n_max: int, bits: int) -> list[arb]:
    """x^(D+1) exp(-x^2) L_n(x^2) for n = 0 ... M at x = e^u."""
    # The radii of the recurrence grow like L_n(-t), that is like exp(2 sqrt(n t)), so it starts from narrow balls.
    growth = 2 * math.sqrt(n_max) * math.exp(float(u)) / math.log(2)
    with working_precision(bits, 48 + int(growth)):
        x = u.exp()
        t2 = 2 * x * x
        value = x ** (dimension + 1) * (-x * x).exp()
        difference = value
        column = [value]
        for n in range(n_max):
            # (n+1) (L_{n+1} - L_n) = (n+alpha) (L_n - L_{n-1}) - t L_n
            difference = (difference * (2 * n + dimension) - t2 * value) / (2 * n + 2)
            value = value + difference
            column.append(value)
    return [+entry for entry in column]


def _error(n: int, norm: arb, width: arb, step: arb, lowest: arb, highest: arb, dimension: int) -> arb:
    """A bound of |trapezoidal sum - a_n| / (f'(0) kappa): discretisation, left and right truncation."""
    half = arb(dimension) / 2
    p = (2 * width).cos()
    mass = (1 + p) ** n / (p ** (n + 1) * p**half * norm)
    discretisation = 2 * mass / ((2 * arb.pi() * width / step).exp() - 1)
    c = 4 / (dimension * half.gamma() * norm)
    left = c * step * lowest ** (dimension + 2) / ((step * (dimension + 2)).exp() - 1)
    # The bound of |g_n| falls beyond x^2 = D + 2, which the last node has to be past.
    square = highest * highest
    right = c * arb(2) ** half * (square / 2).gamma_upper(half + 1) if square > dimension + 2 else arb.pos_inf()
    return discretisation + left + right
