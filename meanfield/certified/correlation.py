"""The correlation map rho -> rho' of two inputs and its gap 1 - rho', as balls.

Delta' = E[phi(x_1) . phi(x_2)] (Eq. (12) is U(1)) and c' = <f^2> come out of separate computations: c' is always the
one-dimensional integral of `averages`. Delta' has three routes.

- ``"closed"``: f = 1, any D: rho' = rho (2/D) (Gamma((D+1)/2)/Gamma(D/2))^2 2F1(1/2, 1/2; D/2+1; rho^2); linear:
  rho' = rho; erf with D = 1: Delta' = (2/pi) arcsin(2 s rho/(1 + 2 s)), s = sigma_w^2 c.
- ``"laguerre"``: the coefficients a_n of `laguerre` come from their definition. With R = c' - sum_{n<=M} a_n^2 >= 0,

      Delta'      = sum_{n<=M} a_n^2 rho^(2n+1)       + rest,   0 <= rest <= R rho^(2M+3),
      c' - Delta' = sum_{n<=M} a_n^2 (1 - rho^(2n+1)) + rest,   R (1 - rho^(2M+3)) <= rest <= R.

- ``"mixture"``: the double integral of `mixture`, for tanh, erf and algebraic; narrow for every rho, at a second or so.
"""

from __future__ import annotations

from typing import Literal, get_args

from flint import arb

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
DEFAULT_N_MAX = 127
NARROW = 1e-20
"""Relative radius at which ``"auto"`` is content with the Laguerre series."""


def correlation_map(
    rho: float | arb,
    c: float | arb,
    sigma_w: float | arb,
    symmetry: str | Symmetry,
    activation: str,
    *,
    method: Method = "auto",
    n_max: int = DEFAULT_N_MAX,
    bits: int = DEFAULT_BITS,
) -> arb:
    """rho' = Delta'/c' for two inputs of order parameter c and correlation rho, as a ball.

    Parameters
    ----------
    rho : correlation Delta/c, 0 <= rho <= 1.
    c : order parameter of both inputs, positive.
    sigma_w : positive.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``.
    activation : the name of an activation.
    method : a route of this module's docstring; ``"auto"`` takes the closed form where there is one, then the Laguerre
        series, then the mixture where the series is too wide.
    n_max : last coefficient of the Laguerre series.
    bits : accuracy aimed at, in bits.

    Raises
    ------
    ValueError
        For an argument out of its range, or a method that does not apply.
    """
    return _correlation(rho, c, sigma_w, symmetry, activation, method, n_max, bits, gap=False)


def correlation_gap(
    rho: float | arb,
    c: float | arb,
    sigma_w: float | arb,
    symmetry: str | Symmetry,
    activation: str,
    *,
    method: Method = "auto",
    n_max: int = DEFAULT_N_MAX,
    bits: int = DEFAULT_BITS,
) -> arb:
    """1 - rho' = 1 - Delta'/c', without cancellation; parameters and errors as for `correlation_map`.

    For a rho nearer to 1 than a float can be, pass an exact ball such as ``arb(1) - arb(1e-30)``.
    """
    return _correlation(rho, c, sigma_w, symmetry, activation, method, n_max, bits, gap=True)


def _correlation(rho, c, sigma_w, symmetry, activation, method, n_max, bits, *, gap: bool) -> arb:
    dimension = as_symmetry(symmetry).capsule_dimension
    _check_method(method, activation, dimension)
    # Near rho = 1 the gap is a difference in the closed forms and in the mixture.
    with working_precision(bits + GUARD_BITS):
        rho = exact(rho, "rho")
        if not (rho >= 0 and rho <= 1):
            raise ValueError(f"rho must lie in [0, 1], got {rho}")
        s = exact_positive(sigma_w, "sigma_w") ** 2 * exact_positive(c, "c")
        length = length_map(c, sigma_w, symmetry, activation, bits=bits)
        if rho == 0 or rho == 1:
            return 1 - rho if gap else rho
        if method == "closed" or (method == "auto" and _has_closed_form(activation, dimension)):
            delta = _closed_covariance(rho, s, dimension, activation)
            return (length - delta) / length if gap else delta / length
        if method != "mixture":
            series = coefficients(n_max, c, sigma_w, symmetry, activation, bits=bits)
            found = (_series_gap if gap else _series_covariance)(rho, series, length) / length
            if method == "laguerre" or relative_radius(found) < NARROW:
                return found
        delta = mixture_covariance(rho, s, dimension, activation)
        return (length - delta) / length if gap else delta / length


def _check_method(method: str, activation: str, dimension: int) -> None:
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {get_args(Method)}, got {method!r}")
    if method == "closed" and not _has_closed_form(activation, dimension):
        raise ValueError(f"method 'closed' does not exist for activation {activation!r} with D = {dimension}")
    if method == "mixture" and activation in ("saturated", "linear"):
        raise ValueError(f"method 'mixture' does not exist for activation {activation!r}; it has a closed form")


def _has_closed_form(activation: str, dimension: int) -> bool:
    return activation in ("saturated", "linear") or (activation == "erf" and dimension == 1)


def _closed_covariance(rho: arb, s: arb, dimension: int, activation: str) -> arb:
    if activation == "linear":
        return s * rho
    if activation == "erf":
        return 2 / arb.pi() * (2 * s * rho / (1 + 2 * s)).asin()
    half = arb(dimension) / 2
    chi_delta = ((half + 0.5).gamma() / half.gamma()) ** 2 / half
    return rho * chi_delta * (rho * rho).hypgeom_2f1(arb(0.5), arb(0.5), half + 1)


def _series_covariance(rho: arb, series: list[arb], length: arb) -> arb:
    total, power = arb(0), rho
    for a in series:
        total += a * a * power
        power *= rho * rho
    return total + between(0, _remainder(series, length) * power)


def _series_gap(rho: arb, series: list[arb], length: arb) -> arb:
    total, power = arb(0), rho
    for a in series:
        total += a * a * (1 - power)
        power *= rho * rho
    rest = _remainder(series, length)
    return total + rest * between(1 - power, arb(1))


def _remainder(series: list[arb], length: arb) -> arb:
    """c' - sum_n a_n^2, which is not negative."""
    return (length - sum((a * a for a in series), arb(0))).nonnegative_part()
