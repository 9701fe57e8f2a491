"""Averages over one isotropic Gaussian capsule: the one integral that the single-input theory is made of.

A capsule x in R^D with E|x|^2 = s has r^2 = |x|^2 = (2 s/D) t with t ~ Gamma(D/2):

    < g(r) > = 1/Gamma(D/2) int_0^oo dt t^(D/2-1) exp(-t) g( sqrt(2 s t/D) ).
"""

from __future__ import annotations

from sympy import Expr, Integer, Integral, Mul, exp, gamma, oo, sqrt, sympify

from meanfield.symbolic.symbols import D, r, s, t


def as_dimension(dimension: Expr | int) -> Expr:
    """Read a capsule dimension: an integer >= 1, or a symbol for any dimension.

    Raises
    ------
    ValueError
        If it is a number but not an integer >= 1.
    """
    read = sympify(dimension)
    if isinstance(dimension, bool) or (read.is_number and not (read.is_Integer and read >= 1)):
        raise ValueError(f"dimension must be an integer >= 1 or a symbol, got {dimension!r}")
    return read


def isotropic_average(expression: Expr, dimension: Expr | int = D) -> Integral:
    """< g(r) > as an unevaluated integral over t, for an expression g in the symbol `r`."""
    D_ = as_dimension(dimension)
    radius = sqrt(2 * s * t / D_)
    return Integral(t ** (D_ / 2 - 1) * exp(-t) * expression.subs(r, radius) / gamma(D_ / 2), (t, 0, oo))


def even_moment(m: int, dimension: Expr | int = D) -> Expr:
    """< r^(2m) > = s^m (2/D)^m (D/2)_m, with (a)_m the rising factorial."""
    D_ = as_dimension(dimension)
    return s**m * Mul(*((D_ + 2 * Integer(j)) / D_ for j in range(m)))
