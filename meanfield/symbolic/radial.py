"""The named radial activations as sympy expressions in r: phi(x) = f(|x|) x/|x|, paper Eq. (5) and (20)."""

from __future__ import annotations

from sympy import Expr, Integer, erf, sqrt, tanh

from meanfield.symbolic.arguments import as_expression
from meanfield.symbolic.symbols import r

RADIAL: dict[str, Expr] = {
    "tanh": tanh(r),
    "erf": erf(r),
    "algebraic": r / sqrt(1 + r**2),
    "saturated": Integer(1),
    "linear": r,
}


def radial_expression(activation: str | Expr) -> Expr:
    """Read an activation: a name, or a sympy expression in the symbol `r` (or in any one symbol).

    Raises
    ------
    ValueError
        For an unknown name, what is no expression, or an expression without `r` that has not exactly one symbol.
    """
    if isinstance(activation, str):
        if activation not in RADIAL:
            known = ", ".join(map(repr, RADIAL))
            raise ValueError(f"activation must be one of {known}, or an expression in r; got {activation!r}")
        return RADIAL[activation]
    expression = as_expression("activation", activation)
    symbols = expression.free_symbols
    if r in symbols:
        return expression
    if len(symbols) == 1:
        return expression.subs(next(iter(symbols)), r)
    raise ValueError(f"activation must be an expression in the symbol r, or in one symbol only; got {activation}")
