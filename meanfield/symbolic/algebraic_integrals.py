"""The averages behind the closed forms for f(r) = r/sqrt(1 + r^2), with q = 2 s/D and z = 1/q.

< 1/(1 + r^2) > is an exponential integral, and an integration by parts brings all higher powers back to it:

    lambda h'(lambda) = (z lambda + D/2 - 1) h - z,    h(lambda) = < 1/(lambda + r^2) >.
"""

from __future__ import annotations

from sympy import (
    Expr,
    Integer,
    Rational,
    Symbol,
    besselk,
    collect,
    diff,
    erfc,
    exp,
    expand,
    expint,
    factor,
    gamma,
    pi,
    sqrt,
)

_h = Symbol("h")


def resolvent(z: Expr, dimension: Expr) -> Expr:
    """< 1/(1 + r^2) > = z exp(z) E_{D/2}(z), by E_{p+1} = (exp(-z) - z E_p)/p from E_1 or E_{1/2}."""
    if dimension % 2:
        p, value = Rational(1, 2), sqrt(pi / z) * exp(z) * erfc(sqrt(z))
    else:
        p, value = Integer(1), exp(z) * expint(1, z)
    while p < dimension / 2:
        value, p = (1 - z * value) / p, p + 1
    return expand(z * value)


def inverse_power(n: int, z: Expr, dimension: Expr) -> Expr:
    """< (1 + r^2)^-n > for n = 1, 2, 3, as a polynomial in z times the first of them."""
    level, lam = _h, Symbol("lambda")
    for order in range(1, n):
        slope = ((z * lam + dimension / 2 - 1) * _h - z) / lam
        level = -(diff(level, lam) + diff(level, _h) * slope) / order
    level = collect(expand(level.subs(lam, 1)), _h, factor)
    return level.subs(_h, resolvent(z, dimension))


def mean_overlap(z: Expr, dimension: Expr) -> Expr:
    """< r f > = < r^2/sqrt(1 + r^2) >, by differentiating int t^b exp(-mu t)/sqrt(1 + t/z) dt in mu at mu = 1.

    For odd D, b = -1/2 and the integral is sqrt(z) exp(x) K_0(x) with x = mu z/2; for even D, b = 0 and it is
    sqrt(pi) z exp(y) erfc(sqrt(y))/sqrt(y) with y = mu z.
    """
    if dimension % 2:
        x = z / 2
        value = sqrt(z) * _derivative_of_bessel(x, int(dimension + 1) // 2) * (-x) ** ((dimension + 1) / 2)
    else:
        value = sqrt(pi) * z * _derivative_of_erfc(z, int(dimension) // 2) * (-z) ** (dimension / 2)
    return value / (z * gamma(dimension / 2))


def _derivative_of_bessel(at: Expr, times: int) -> Expr:
    """d^n/dx^n exp(x) K_0(x), kept as alpha exp(x) K_0 + beta exp(x) K_1."""
    x = Symbol("x", positive=True)
    alpha, beta = Integer(1), Integer(0)
    for _ in range(times):
        alpha, beta = diff(alpha, x) + alpha - beta, diff(beta, x) + beta - alpha - beta / x
    value = factor(alpha) * besselk(0, x) + factor(beta) * besselk(1, x)
    return exp(at) * value.subs(x, at)


def _derivative_of_erfc(at: Expr, times: int) -> Expr:
    """d^n/dy^n exp(y) erfc(sqrt(y))/sqrt(y), kept as alpha exp(y) erfc(sqrt(y)) + beta."""
    y = Symbol("y", positive=True)
    alpha, beta = 1 / sqrt(y), Integer(0)
    for _ in range(times):
        alpha, beta = diff(alpha, y) + alpha, diff(beta, y) - alpha / sqrt(pi * y)
    return (factor(alpha) * exp(y) * erfc(sqrt(y)) + factor(beta)).subs(y, at)
