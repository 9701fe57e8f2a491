"""The correlation map Delta -> Delta' of two inputs and the gap 1 - rho' after one layer, as balls.

With rho = Delta/sqrt(c_1 c_2), Delta' = E[phi(x_1) . phi(x_2)] (Eq. (12) is U(1)) comes by one of three routes:

- ``"closed"``: f = 1, any D: Delta' = rho (2/D) (Gamma((D+1)/2)/Gamma(D/2))^2 2F1(1/2, 1/2; D/2+1; rho^2); linear:
  Delta' = sigma_w^2 Delta; erf with D = 1: Delta' = (2/pi) arcsin(2 rho sqrt(s_1 s_2)/sqrt((1 + 2 s_1) (1 + 2 s_2))),
  s_a = sigma_w^2 c_a.
- ``"laguerre"``: Delta' = sum_n a_n(c_1) a_n(c_2) rho^(2n+1) with the coefficients of `laguerre`, which come from their
  definition. None is negative, and with R_a = c_a' - sum_{n<=M} a_n(c_a)^2 the terms beyond n = M are at most
  sqrt(R_1 R_2) rho^(2M+3) together.
- ``"mixture"``: the double integral of `mixture`, for tanh, erf and algebraic; narrow for every rho, but slow.

c_1' and c_2' are always the one-dimensional integrals of `averages`.
"""

from __future__ import annotations

from typing import Literal, get_args

from flint import arb

from meanfield.certified.activations import as_ball_activation
from meanfield.certified.averages import length_map
from meanfield.certified.balls import (
    DEFAULT_BITS,
    GUARD_BITS,
    between,
    exact,
    exact_positive,
    relative_radius,
    working_precision,
)
from meanfield.certified.laguerre import coefficients
from meanfield.certified.mixture import mixture_covariance
from meanfield.symmetry import Symmetry, as_symmetry

Method = Literal["auto", "closed", "laguerre", "mixture"]
Lengths = float | arb | tuple[float | arb, float | arb]
DEFAULT_N_MAX = 127
NARROW = 1e-20
"""Relative radius at which ``"auto"`` is content with the Laguerre series."""


def correlation_map(
    delta: float | arb | None,
    c: Lengths,
    sigma_w: float | arb,
    symmetry: str | Symmetry = "U(1)",
    activation: str = "tanh",
    *,
    one_minus_rho: float | arb | None = None,
    method: Method = "auto",
    n_max: int = DEFAULT_N_MAX,
    bits: int = DEFAULT_BITS,
) -> arb:
    """Delta' = E[phi(x_1) . phi(x_2)], Eq. (12)/(49) for any capsule dimension, as a ball.

    Parameters
    ----------
    delta : covariance Delta of the two inputs, |delta| <= sqrt(c_1 c_2); None if `one_minus_rho` is given.
    c : order parameter of both inputs, positive, or a tuple (c_1, c_2).
    sigma_w : positive.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``.
    activation : the name of an activation.
    one_minus_rho : 1 - Delta/sqrt(c_1 c_2), between 0 and 2, in place of `delta`: exact near rho = 1 and at c = c*.
    method : a route of this module's docstring; ``"auto"`` takes the closed form where there is one, then the Laguerre
        series, then the mixture where the series is too wide.
    n_max : last coefficient of the Laguerre series.
    bits : accuracy aimed at, in bits.

    Raises
    ------
    ValueError
        For an argument out of its range, or a method that does not apply.
    """
    return _correlation(delta, c, sigma_w, symmetry, activation, one_minus_rho, method, n_max, bits, gap=False)


def correlation_gap(
    delta: float | arb | None,
    c: Lengths,
    sigma_w: float | arb,
    symmetry: str | Symmetry = "U(1)",
    activation: str = "tanh",
    *,
    one_minus_rho: float | arb | None = None,
    method: Method = "auto",
    n_max: int = DEFAULT_N_MAX,
    bits: int = DEFAULT_BITS,
) -> arb:
    """1 - rho' = 1 - Delta'/sqrt(c_1' c_2'), to an absolute accuracy of `bits` bits.

    Parameters and errors as for `correlation_map`.
    """
    return _correlation(delta, c, sigma_w, symmetry, activation, one_minus_rho, method, n_max, bits, gap=True)


def _correlation(delta, c, sigma_w, symmetry, activation, one_minus_rho, method, n_max, bits, *, gap: bool) -> arb:
    dimension = as_symmetry(symmetry).capsule_dimension
    _check_method(method, as_ball_activation(activation).name, dimension)
    # The gap is a difference, and a small one near rho = 1: the routes work with more bits than are asked for.
    with working_precision(bits, GUARD_BITS):
        states = [exact_positive(value, "c") for value in _one_or_two(c)]
        rho, sign = _overlap(delta, one_minus_rho, states)
        s = [exact_positive(sigma_w, "sigma_w") ** 2 * state for state in states]
        lengths = [length_map(state, sigma_w, symmetry, activation, bits=bits) for state in states]
        norm = _geometric_mean(lengths)

        def wanted(covariance: arb) -> arb:
            return 1 - sign * covariance / norm if gap else sign * covariance

        if rho == 0:
            return wanted(arb(0))
        if rho == 1 and len(states) == 1:  # identical inputs stay identical
            return arb(1 - sign) if gap else sign * norm
        if method == "closed" or (method == "auto" and _has_closed_form(activation, dimension)):
            return wanted(_closed_covariance(rho, s, dimension, activation))
        if method != "mixture":
            series = [coefficients(n_max, state, sigma_w, symmetry, activation, bits=bits) for state in states]
            found = wanted(_series_covariance(rho, series, lengths))
            if method == "laguerre" or relative_radius(found) < NARROW:
                return found
        return wanted(mixture_covariance(rho, s[0], s[-1], dimension, activation))


def _check_method(method: str, activation: str, dimension: int) -> None:
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {get_args(Method)}, got {method!r}")
    if method == "closed" and not _has_closed_form(activation, dimension):
        raise ValueError(
            f"method must be 'auto', 'laguerre' or 'mixture' for activation {activation!r} with D = {dimension}, "
            "which have no closed form, got 'closed'"
        )
    if method == "mixture" and activation in ("saturated", "linear"):
        raise ValueError(f"method must be 'auto', 'closed' or 'laguerre' for activation {activation!r}, got 'mixture'")


def _one_or_two(c) -> tuple:
    """(c,), or the tuple of two that was given. Throughout, [0] and [-1] are the first input and the second."""
    if not isinstance(c, tuple):
        return (c,)
    if len(c) != 2:
        raise ValueError(f"c must be one order parameter or a tuple (c_1, c_2), got {c!r}")
    return c


def _geometric_mean(pair: list[arb]) -> arb:
    return pair[0] if len(pair) == 1 else (pair[0] * pair[1]).sqrt()


def _overlap(delta, one_minus_rho, states: list[arb]) -> tuple[arb, int]:
    """|rho| and the sign of rho."""
    if (delta is None) == (one_minus_rho is None):
        raise ValueError(f"delta or else one_minus_rho must be given, got {delta!r} and {one_minus_rho!r}")
    if delta is None:
        rho = 1 - exact(one_minus_rho, "one_minus_rho")
        if not abs(rho) <= 1:
            raise ValueError(f"one_minus_rho must lie in [0, 2], got {one_minus_rho}")
    else:
        delta = exact(delta, "delta")
        if delta * delta > states[0] * states[-1]:
            raise ValueError(f"delta must be at most sqrt(c_1 c_2) in size, got {delta}")
        rho = delta / _geometric_mean(states)
    if not (rho >= 0 or rho < 0):
        raise ValueError(f"delta must have a proven sign, got rho = {rho}")
    # Beyond 1 there is only the rounding of the square root.
    return abs(rho).min(arb(1)), -1 if rho < 0 else 1


def _has_closed_form(activation: str, dimension: int) -> bool:
    return activation in ("saturated", "linear") or (activation == "erf" and dimension == 1)


def _closed_covariance(rho: arb, s: list[arb], dimension: int, activation: str) -> arb:
    if activation == "linear":
        return rho * _geometric_mean(s)
    if activation == "erf":
        return 2 / arb.pi() * (2 * rho * _geometric_mean(s) / _geometric_mean([1 + 2 * each for each in s])).asin()
    half = arb(dimension) / 2
    chi_delta = ((half + 0.5).gamma() / half.gamma()) ** 2 / half
    return rho * chi_delta * (rho * rho).hypgeom_2f1(arb(0.5), arb(0.5), half + 1)


def _series_covariance(rho: arb, series: list[list[arb]], lengths: list[arb]) -> arb:
    total, power = arb(0), rho
    for a, b in zip(series[0], series[-1], strict=True):
        total += a * b * power
        power *= rho * rho
    rest = _geometric_mean([_remainder(*each) for each in zip(series, lengths, strict=True)])
    return total + between(0, rest * power)


def _remainder(series: list[arb], length: arb) -> arb:
    """An upper bound of R = c' - sum_{n<=M} a_n^2."""
    return (length - sum((a * a for a in series), arb(0))).abs_upper()
