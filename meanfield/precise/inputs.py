"""What the exact reference is given: numbers as exact fractions, activations as mpmath functions."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from mpmath import libmp, mp

Number = int | float | str | Any  # Any: mpmath.mpf, which is untyped
MpFunction = Callable[[Any], Any]


def exact(value: Number, name: str) -> Fraction:
    """The number as a fraction, so that no precision is chosen before the digits it needs are known.

    A float is the binary number it holds; a string is read as a decimal or a ratio.

    Raises
    ------
    ValueError
        If it is not a finite number.
    """
    try:
        if isinstance(value, mp.mpf) and mp.isfinite(value):
            return Fraction(*libmp.to_rational(value._mpf_))
        if isinstance(value, numbers.Integral) and not isinstance(value, bool):
            return Fraction(int(value))
        if isinstance(value, (str, Fraction)):
            return Fraction(value)
        if isinstance(value, numbers.Real) and not isinstance(value, (bool, mp.mpf)):
            return Fraction(float(value))
    except (ValueError, OverflowError, ZeroDivisionError):
        pass
    raise ValueError(f"{name} must be a finite number (int, float, str or mpf), got {value!r}")


def positive(value: Number, name: str) -> Fraction:
    number = exact(value, name)
    if number <= 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return number


def whole(value: int, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{name} must be an integer, at least {least}, got {value!r}")
    return int(value)


def real(number: Fraction) -> Any:
    """The fraction as an mpf of the current working precision."""
    return mp.mpf(number.numerator) / number.denominator


def bits_below_one(number: Fraction) -> int:
    """How many bits the number is below 1; 0 if it is not."""
    return max(0, number.denominator.bit_length() - number.numerator.bit_length())


@dataclass(frozen=True)
class Radial:
    """f and f' as functions from mpf to mpf, precise to the current working precision."""

    name: str
    value: MpFunction = field(repr=False)
    derivative: MpFunction = field(repr=False)

    @property
    def slope(self) -> Any:
        """f'(0), infinite for the saturated activation."""
        return mp.inf if self.name == "saturated" else self.derivative(mp.mpf(0))


_NAMED = {
    radial.name: radial
    for radial in (
        Radial("tanh", mp.tanh, lambda r: mp.sech(r) ** 2),
        Radial("erf", mp.erf, lambda r: 2 * mp.exp(-r * r) / mp.sqrt(mp.pi)),
        Radial("algebraic", lambda r: r / mp.sqrt(1 + r * r), lambda r: (1 + r * r) ** mp.mpf(-1.5)),
        Radial("saturated", lambda r: mp.mpf(1), lambda r: mp.mpf(0)),
        Radial("linear", lambda r: r, lambda r: mp.mpf(1)),
    )
}


def as_radial(activation: str | tuple[MpFunction, MpFunction]) -> Radial:
    """Read an activation: a name, or a pair (f, f') of functions from mpf to mpf.

    Raises
    ------
    ValueError
        For anything else, or a pair with f(0) != 0 or f'(0) zero or not finite.
    """
    if isinstance(activation, str) and activation in _NAMED:
        return _NAMED[activation]
    if not (isinstance(activation, tuple) and len(activation) == 2 and all(map(callable, activation))):
        known = ", ".join(map(repr, _NAMED))
        raise ValueError(
            f"activation must be one of {known}, or a pair (f, f') of mpmath functions; got {activation!r}"
        )
    radial = Radial("user", *activation)
    at_zero, slope = radial.value(mp.mpf(0)), radial.slope
    if at_zero != 0 or not mp.isfinite(slope) or slope == 0:
        raise ValueError(
            f"activation must have f(0) = 0 and f'(0) finite and not 0, got f(0) = {at_zero} and f'(0) = {slope}"
        )
    return radial
