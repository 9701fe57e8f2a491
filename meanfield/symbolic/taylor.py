"""Taylor coefficients of a smooth odd radial activation, f(r) = f_1 r + f_3 r^3 + f_5 r^5 + ..."""

from __future__ import annotations

from sympy import Expr, Symbol, series

from meanfield.checks import whole_number
from meanfield.symbolic.radial import radial_expression
from meanfield.symbolic.symbols import r

GENERIC = "generic"


def taylor_coefficients(activation: str | Expr, count: int) -> list[Expr]:
    """The first `count` coefficients f_1, f_3, f_5, ...

    Parameters
    ----------
    activation : str or Expr
        A name ("tanh", "erf", "algebraic", "linear"); a sympy expression in the symbol `r` of this package, other
        symbols being parameters, or in any one symbol; or "generic" for the symbols f_1, f_3, f_5, ... themselves.

    Raises
    ------
    ValueError
        For a count that is not an integer >= 1, an unknown name, an expression that is not odd and smooth at 0, or one
        with f'(0) = 0.
    """
    count = whole_number("count", count, 1)
    if isinstance(activation, str) and activation == GENERIC:
        return [Symbol(f"f_{2 * n + 1}", **({"positive": True} if n == 0 else {"real": True})) for n in range(count)]
    expression = radial_expression(activation)
    expansion = series(expression, r, 0, 2 * count).removeO()
    if not expansion.is_polynomial(r):
        raise ValueError(f"activation must have a Taylor series at r = 0, got {expression} = {expansion} + ...")
    powers = expansion.as_poly(r)
    if any(powers.coeff_monomial(r ** (2 * n)) != 0 for n in range(count)):
        raise ValueError(f"activation must be odd and smooth at r = 0, got {expression} = {expansion} + ...")
    coefficients = [powers.coeff_monomial(r ** (2 * n + 1)) for n in range(count)]
    if coefficients[0] == 0:
        raise ValueError(f"activation must have f'(0) != 0 (it sets the transition), got {expression}")
    return coefficients
