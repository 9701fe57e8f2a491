"""Averages over one isotropic Gaussian capsule: the one integral that the single-input theory is made of.

A capsule x in R^D with E|x|^2 = s has r^2 = |x|^2 = (2 s/D) t with t ~ Gamma(D/2):

    < g(r) > = 1/Gamma(D/2) int_0^oo dt t^(D/2-1) exp(-t) g( sqrt(2 s t/D) ).
"""

from __future__ import annotations

from sympy import Expr, Integer, Integral, Mul, exp, gamma, oo, sqrt

from meanfield.checks import whole_number
from meanfield.symbolic.arguments import as_dimension, as_expression
from meanfield.symbolic.symbols import D, r, s, t


def isotropic_average(expression: Expr, dimension: Expr | int = D) -> Integral:
    """< g(r) > as an unevaluated integral over t, for an expression g in the symbol `r`.

    Raises
    ------
    ValueError
        For what is no expression, or a dimension that is neither an integer >= 1 nor a symbol.
    """
    integrand = as_expression("expression", expression)
    D_ = as_dimension(dimension)
    radius = sqrt(2 * s * t / D_)
    return Integral(t ** (D_ / 2 - 1) * exp(-t) * integrand.subs(r, radius) / gamma(D_ / 2), (t, 0, oo))


def even_moment(m: int, dimension: Expr | int = D) -> Expr:
    """< r^(2m) > = s^m (2/D)^m (D/2)_m, with (a)_m the rising factorial.

    Raises
    ------
    ValueError
        For m that is not an integer >= 0, or a dimension that is neither an integer >= 1 nor a symbol.
    """
    D_, power = as_dimension(dimension), whole_number("m", m, 0)
    return s**power * Mul(*((D_ + 2 * Integer(j)) / D_ for j in range(power)))
