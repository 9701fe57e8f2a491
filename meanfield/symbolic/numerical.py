"""From an expression to numbers: arrays in, float64 arrays out, with the digits of mpmath in between."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import numpy as np
from sympy import Expr, Symbol, lambdify

from meanfield.checks import whole_number
from meanfield.symbolic.arguments import as_expression


def as_function(expression: Expr, *arguments: Symbol, digits: int = 30) -> Callable[..., np.ndarray]:
    """A numpy function of the given symbols, evaluated in multiple precision and rounded to float64.

    `sympy.lambdify` does the same at float64; the extra digits are for expressions that cancel, such as closed forms at
    small s, and mpmath knows all special functions and integrals that appear in this package.

    Parameters
    ----------
    expression : Expr
        Any expression of this package; of an `Eq`, pass the right-hand side.
    *arguments : Symbol
        The arguments of the function, in order; they must cover all symbols of the expression.
    digits : int
        Working precision in decimal digits.

    Returns
    -------
    callable
        Takes as many arrays or numbers as there are arguments and broadcasts them.

    Raises
    ------
    ValueError
        If the expression is none, or contains a symbol that is not among the arguments; for digits that are not an
        integer >= 15.
    """
    read, precision = as_expression("expression", expression), whole_number("digits", digits, 15)
    missing = sorted(map(str, read.free_symbols - set(arguments)))
    if missing:
        raise ValueError(f"arguments must cover all symbols of the expression, missing {', '.join(missing)}")
    evaluate = lambdify(arguments, read, "mpmath")

    def one(*values: float) -> float:
        with mpmath.workdps(precision):
            return float(mpmath.re(evaluate(*map(mpmath.mpf, values))))

    return np.vectorize(one, otypes=[float])
