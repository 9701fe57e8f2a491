"""The integrals behind the closed forms for erf(r) = (2/sqrt(pi)) r int_0^1 exp(-v^2 r^2) dv.

Writing each erf this way, Gaussian averages become integrals over v (and w) in the unit interval of powers of
1 + 2 a (...), with a = s/D. Integrating a total derivative such as d/dv (v X^-p) over the interval relates the power
p + 1 to p, so that one integral is left for even D (p = 1, 2, ...) and one for odd D (p = 3/2, 5/2, ...).
"""

from __future__ import annotations

from collections.abc import Callable

from sympy import Expr, Integer, Rational, atan, cancel, sqrt


def line_integral(a: Expr, power: Expr) -> Expr:
    """int_0^1 (1 + 2 a v^2)^-p dv for p = 1, 3/2, 2, ..."""
    first = atan(sqrt(2 * a)) / sqrt(2 * a) if power.is_Integer else 1 / sqrt(1 + 2 * a)
    return _climb(first, power, lambda p, value: ((1 + 2 * a) ** -p + (2 * p - 1) * value) / (2 * p))


def edge_integral(a: Expr, power: Expr) -> Expr:
    """int_0^1 (1 + 2 a (1 + v^2))^-p dv for p = 1, 3/2, 2, ..."""
    if power.is_Integer:
        first = atan(sqrt(cancel(2 * a / (1 + 2 * a)))) / sqrt(2 * a * (1 + 2 * a))
    else:
        first = 1 / ((1 + 2 * a) * sqrt(1 + 4 * a))
    return _climb(first, power, lambda p, value: ((1 + 4 * a) ** -p + (2 * p - 1) * value) / (2 * p * (1 + 2 * a)))


def square_integral(a: Expr, power: Expr) -> Expr:
    """int_0^1 int_0^1 (1 + 2 a (v^2 + w^2))^-p dv dw for p = 3/2, 2, 5/2, ... (p = 1 is not elementary)."""
    if power.is_Integer:
        first, lowest = edge_integral(a, Integer(1)), Integer(2)
    else:
        first, lowest = atan(2 * a / sqrt(1 + 4 * a)) / (2 * a), Rational(3, 2)
    return _climb(first, power, lambda p, value: ((p - 1) * value + edge_integral(a, p)) / p, lowest)


def _climb(first: Expr, power: Expr, step: Callable[[Expr, Expr], Expr], lowest: Expr | None = None) -> Expr:
    """From the lowest power (1 or 3/2 unless given) to the wanted one: integral(p + 1) = step(p, integral(p))."""
    p = lowest or (Integer(1) if power.is_Integer else Rational(3, 2))
    value = first
    while p < power:
        value, p = step(p, value), p + 1
    return value
