"""Reading input as exact balls, and the working precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from flint import arb, ctx

DEFAULT_BITS = 128
GUARD_BITS = 64
"""Working bits beyond those asked for: near the transition 1 - chi_delta ~ (sigma_w - 1)^2 costs up to 40 of them."""


@contextmanager
def working_precision(bits: int, extra: int = 0) -> Iterator[None]:
    """Compute with `bits` + `extra` bits inside the block; flint's own precision is restored, whatever happens.

    Raises
    ------
    ValueError
        If `bits` is not an integer of at least 32.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or bits < 32:
        raise ValueError(f"bits must be an integer of at least 32, got {bits!r}")
    before = ctx.prec
    ctx.prec = bits + extra
    try:
        yield
    finally:
        ctx.prec = before


def exact(value: float | arb, name: str) -> arb:
    """A finite number as a ball: a float or an int without any rounding, an `arb` as it is.

    Raises
    ------
    ValueError
        If it is not a finite real number.
    """
    if isinstance(value, arb) and value.is_finite():
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return arb(value)
    raise ValueError(f"{name} must be a finite float, int or arb, got {value!r}")


def exact_positive(value: float | arb, name: str) -> arb:
    """As `exact`, for a number that must be positive (a ball must lie wholly above 0)."""
    ball = exact(value, name)
    if not ball > 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return ball


def between(low: arb | int, high: arb) -> arb:
    """The smallest ball that holds everything from `low` to `high`."""
    return arb(low).union(high)


def relative_radius(ball: arb) -> float:
    """An upper bound of radius / smallest absolute value; 0 for an exact ball, infinite for any other that holds 0."""
    if ball.is_exact():
        return 0.0
    smallest = ball.abs_lower()
    if not (ball.is_finite() and smallest > 0):
        return math.inf
    # One relative ulp covers the rounding of the quotient and of its conversion.
    return math.nextafter(float((ball.rad() / smallest).upper()) * (1.0 + 1e-15), math.inf)
