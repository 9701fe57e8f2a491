"""Arguments of the public functions, read as sympy reads them, or refused."""

from __future__ import annotations

from sympy import Expr, SympifyError, sympify


def as_expression(name: str, value: Expr | float) -> Expr:
    """A sympy expression, or a number as one.

    Raises
    ------
    ValueError
        Naming the argument, for anything else, a string too: its letters would not be those of this package.
    """
    try:
        read = sympify(value, strict=True)
    except SympifyError:
        read = None
    if not isinstance(read, Expr):
        raise ValueError(f"{name} must be a sympy expression, got {value!r}")
    return read


def as_dimension(dimension: Expr | int) -> Expr:
    """Read a capsule dimension: an integer >= 1, or a symbol for any dimension.

    Raises
    ------
    ValueError
        If it is neither.
    """
    message = f"dimension must be an integer >= 1 or a symbol, got {dimension!r}"
    try:
        read = as_expression("dimension", dimension)
    except ValueError:
        raise ValueError(message) from None
    if read.is_number and not (read.is_Integer and read >= 1):
        raise ValueError(message)
    return read
