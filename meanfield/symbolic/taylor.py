"""Taylor coefficients of a smooth odd radial activation, f(r) = f_1 r + f_3 r^3 + f_5 r^5 + ..."""

from __future__ import annotations

from sympy import Expr, Symbol, erf, series, sqrt, sympify, tanh

from meanfield.symbolic.symbols import r

ACTIVATIONS: dict[str, Expr] = {
    "tanh": tanh(r),
    "erf": erf(r),
    "algebraic": r / sqrt(1 + r**2),
    "linear": r,
}
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
        For an unknown name, an expression that is not odd and smooth at 0, or one with f'(0) = 0.
    """
    if activation == GENERIC:
        return [Symbol(f"f_{2 * n + 1}", **({"positive": True} if n == 0 else {"real": True})) for n in range(count)]
    expression, variable = _read(activation)
    expansion = series(expression, variable, 0, 2 * count).removeO()
    if not expansion.is_polynomial(variable):
        raise ValueError(f"activation must have a Taylor series at r = 0, got {expression} = {expansion} + ...")
    powers = expansion.as_poly(variable)
    if any(powers.coeff_monomial(variable ** (2 * n)) != 0 for n in range(count)):
        raise ValueError(f"activation must be odd, got {expression} = {expansion} + ...")
    coefficients = [powers.coeff_monomial(variable ** (2 * n + 1)) for n in range(count)]
    if coefficients[0] == 0:
        raise ValueError(f"activation must have f'(0) != 0 (it sets the transition), got {expression}")
    return coefficients


def _read(activation: str | Expr) -> tuple[Expr, Symbol]:
    if isinstance(activation, str):
        if activation == "saturated":
            raise ValueError("activation must be smooth at r = 0, and 'saturated' is not; see closed_forms('saturated')")
        if activation not in ACTIVATIONS:
            known = ", ".join(map(repr, (*ACTIVATIONS, GENERIC)))
            raise ValueError(f"activation must be one of {known}, or an expression in r; got {activation!r}")
        return ACTIVATIONS[activation], r
    expression = sympify(activation)
    symbols = expression.free_symbols
    if r in symbols:
        return expression, r
    if len(symbols) == 1:
        return expression, next(iter(symbols))
    raise ValueError(f"activation must be an expression in the symbol r, or in one symbol only; got {activation}")
