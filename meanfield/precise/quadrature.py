"""Integrals over radii, by the trapezoidal rule in log r, each computed on two grids.

In w = log r the averages of the theory decay like e^(D w) to the left and like exp(-e^(2 w)) to the right, and are
analytic in |Im w| < pi/4 whatever the size of sigma_w: a rescaling of r is a shift of w, and the poles of tanh at
r = i pi (n + 1/2), like the branch points of r/sqrt(1 + r^2) at r = +-i, all lie at Im w = pi/2. The trapezoidal rule
therefore converges geometrically, uniformly in sigma_w.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from mpmath import mp

from meanfield.precise.inputs import real

GUARD = 6  # digits carried beyond those asked for
_GRIDS = (1.0, 0.8, 0.5, 0.3, 0.2)  # successive grids, in units of the step the digits need
# How long (in w) terms must stay negligible before the rest is left out: a zero of f is not the end of the integral.
_QUIET_LEFT, _QUIET_RIGHT = 2.0, 0.3

Line = Callable[[int, float], tuple[Any, Any]]


def line_sum(
    term: Callable[[int], Any], start: int, step: float, goal: int, ends: tuple[float, float]
) -> tuple[Any, Any]:
    """sum_i term(i) and sum_i |term(i)| over all integers, to 10^-goal of the largest term.

    The sum runs left and then right from `start` until the terms stay negligible.

    Raises
    ------
    ArithmeticError
        If they are not negligible at the `ends` (in w = i * step): the integral does not exist.
    """
    total, size, largest = mp.mpf(0), mp.mpf(0), mp.mpf(0)
    negligible = mp.mpf(10) ** -goal
    for first, direction, enough, end in zip(
        (start, start + 1), (-1, 1), (_QUIET_LEFT, _QUIET_RIGHT), ends, strict=True
    ):
        quiet, i = 0.0, first
        while quiet < enough:
            if (i * step - end) * direction > 0:
                if largest:
                    raise ArithmeticError(f"the integral does not converge at {'0' if direction < 0 else 'infinity'}")
                break
            value = term(i)
            magnitude = abs(value)
            total, size, largest = total + value, size + magnitude, max(largest, magnitude)
            quiet = quiet + step if largest and magnitude <= negligible * largest else 0.0
            i += direction
    return total, size


def converged(line: Line, digits: int, what: str) -> Any:
    """The value on which two grids agree to `digits` significant digits.

    ``line(goal, fraction)`` returns an integral and that of the modulus, with `goal` digits of the latter, on a grid
    refined to a `fraction` of its natural step. Digits lost to cancellation between the two are added to the goal.

    Raises
    ------
    ArithmeticError
        If no two successive grids agree, or cancellation takes more than 8 times the digits asked for.
    """
    cancelled = 0
    while cancelled <= 8 * digits:
        goal, coarse, lost = digits + GUARD + cancelled, None, 0
        for fraction in _GRIDS:
            value, size = line(goal, fraction)
            if size == 0:
                return mp.mpf(0)
            lost = math.ceil(mp.log10(size / abs(value))) if value else goal
            if lost > cancelled + 2:
                break
            if coarse is not None and abs(value - coarse) * mp.mpf(10) ** digits <= abs(value):
                return value
            coarse = value
        else:
            raise ArithmeticError(f"{what}: the integral did not reach {digits} digits")
        cancelled = lost + 2
    raise ArithmeticError(f"{what}: {digits} digits are out of reach, more than {8 * digits} are lost to cancellation")


def working(digits: int, bits: int = 0) -> Any:
    """Context manager: mpmath's precision for `digits` digits, and `bits` more that are going to be lost."""
    return mp.workprec(math.ceil((digits + GUARD) * math.log2(10)) + bits)


def outer_step(goal: int, power: float) -> float:
    """Step in w for e^(power w - e^(2 w)) times a function analytic in |Im w| < pi/4.

    A shift of the contour to Im w = y multiplies the integral by cos(2 y)^(-power/2) and the error of the trapezoidal
    rule by e^(-2 pi y/step); y is chosen near the best.
    """
    nats = goal * math.log(10)
    y = min(0.7, math.sqrt(nats / power))
    return 2 * math.pi * y / (nats - power / 2 * math.log(math.cos(2 * y)))


def line_ends(goal: int, power: float, *scales: Any) -> tuple[float, float]:
    """w beyond which nothing is left: of e^(power w - e^(2 w)) on the right; on the left, of e^w times a function with
    structure at e^w ~ 1/sqrt(scale), generously.
    """
    nats = goal * math.log(10)
    return -2 * nats - 50 - sum(abs(float(mp.log(scale))) for scale in scales), math.log(2 * power + 6 * nats) / 2


def radial_average(
    integrand: Callable[[Any, Any], Any],
    dimension: int,
    scale: Fraction,
    digits: int,
    what: str,
    *,
    lost_bits: int = 0,
    degree: int = 0,
) -> Any:
    """< F(r, t) > for t ~ Gamma(D/2), r^2 = scale * t: the integral 2/Gamma(D/2) int x^(D-1) e^(-x^2) F(r, x^2) dx.

    Parameters
    ----------
    integrand : F(r, t)
    dimension : D
    scale : 2 sigma_w^2 c / D
    digits : digits of the result
    what : name of the result, for the error message
    lost_bits : bits that `integrand` loses to cancellation
    degree : growth of F as a polynomial in x
    """

    def line(goal: int, fraction: float) -> tuple[Any, Any]:
        with working(goal, lost_bits):
            power = dimension + 2 + degree
            step = outer_step(goal, power) * fraction
            h, root = mp.mpf(step), mp.sqrt(real(scale))

            def term(i: int) -> Any:
                x = mp.exp(i * h)
                t = x * x
                return x**dimension * mp.exp(-t) * integrand(root * x, t)

            start = round(math.log(dimension / 2) / (2 * step))
            weight = 2 * h / mp.gamma(mp.mpf(dimension) / 2)
            total, size = line_sum(term, start, step, goal, line_ends(goal, power, root))
            return weight * total, weight * size

    return converged(line, digits, what)


def rounded(value: Any, digits: int) -> Any:
    with mp.workdps(digits):
        return +value
