"""The fixed point of the length map and the susceptibilities there, from their integrals."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

from mpmath import mp

from meanfield.precise.inputs import Number, Radial, as_radial, exact, positive, real, whole
from meanfield.precise.maps import ActivationName, length, preactivation_scale
from meanfield.precise.quadrature import GUARD, radial_average, rounded
from meanfield.symmetry import Symmetry, as_symmetry

_SCAN_DIGITS = 8  # to bracket the fixed point and for the slope of Newton's method
_WIDEST_SCAN = 60  # factors of 16 in c
_NEWTON_STEPS = 60


class Susceptibilities(NamedTuple):
    """Growth rates per layer at the fixed point, and the depth scales xi = -1/log|chi|; mpf throughout.

    Attributes
    ----------
    c_star : fixed point of the length map
    d_star : sigma_w^2 c_star, the order parameter of the preactivations
    chi_c : < f f' r > / c, of a perturbation of c
    chi_delta : < r f >^2 / (sigma_w^2 c^2), of a small correlation
    chi_jacobian : (sigma_w^2/D) < f'^2 + (D-1) (f/r)^2 >, of 1 - rho; infinite for the saturated activation in D <= 2
    chi_gram : k < f^2 r^2 > / ((k+2) sigma_w^2 c^2), of the anisotropy of one input's Gram matrix for O(k), k >= 2;
        0 for U(1) and generic, which are isotropic after one layer; None for O(1) and generic(1), which have none
    one_minus_chi_c, one_minus_chi_delta : the same without cancellation
    xi_c, xi_delta : depth scales
    """

    c_star: Any
    d_star: Any
    chi_c: Any
    chi_delta: Any
    chi_jacobian: Any
    chi_gram: Any | None
    one_minus_chi_c: Any
    one_minus_chi_delta: Any
    xi_c: Any
    xi_delta: Any


def fixed_point(
    sigma_w: Number,
    symmetry: str | Symmetry = "U(1)",
    activation: ActivationName = "tanh",
    digits: int = 30,
) -> Any:
    """c* with c* = F(c*), F the length map of Eq. (8); 0 where sigma_w |f'(0)| <= 1.

    Parameters
    ----------
    sigma_w : weight scale, > 0
    symmetry : "U(1)", "O(k)" or "generic(k)"
    activation : name, or a pair (f, f') of mpmath functions
    digits : significant digits of the result

    Returns
    -------
    mpmath.mpf

    Raises
    ------
    ValueError
        For an argument outside its range, or where c grows without bound: linear with sigma_w > 1.
    ArithmeticError
        If the digits were not reached.
    """
    digits = whole(digits, "digits", 1)
    dimension, radial = as_symmetry(symmetry).capsule_dimension, as_radial(activation)
    sigma = positive(sigma_w, "sigma_w")
    return rounded(_fixed_point(sigma, _excess(sigma, radial), dimension, radial, digits), digits)


def susceptibilities(
    sigma_w: Number,
    symmetry: str | Symmetry = "U(1)",
    activation: ActivationName = "tanh",
    digits: int = 30,
) -> Susceptibilities:
    """Susceptibilities and depth scales at the fixed point; for parameters and errors see :func:`fixed_point`.

    Below the transition, and at it, c* = 0 and every susceptibility is sigma_w^2 f'(0)^2.
    """
    digits = whole(digits, "digits", 1)
    read, radial = as_symmetry(symmetry), as_radial(activation)
    sigma = positive(sigma_w, "sigma_w")
    excess = _excess(sigma, radial)
    more = digits + GUARD
    with mp.workdps(more + (2 * _digits_lost(excess) if excess > 0 else 0)):
        found = _below(excess, read) if excess <= 0 else _above(sigma, excess, read, radial, more)
        return Susceptibilities(*(None if x is None else rounded(x, digits) for x in found))


def _excess(sigma: Fraction, radial: Radial) -> Any:
    """sigma_w^2 f'(0)^2 - 1, the distance from the transition, to at least 30 digits wherever it is not zero."""
    with mp.workprec(2 * max(sigma.numerator.bit_length(), sigma.denominator.bit_length()) + 100):
        return (real(sigma) * radial.slope) ** 2 - 1


def _digits_lost(excess: Any) -> int:
    """c = F(c) is solved to a fraction 1 - chi_c ~ sigma_w^2 f'(0)^2 - 1 of the accuracy of F."""
    return 0 if excess > 1 else math.ceil(-mp.log10(excess))


def _fixed_point(sigma: Fraction, excess: Any, dimension: int, radial: Radial, digits: int) -> Any:
    if excess <= 0:
        return mp.mpf(0)
    if radial.name == "linear":
        raise ValueError(
            f"sigma_w must be at most 1 for the linear activation to have a fixed point, got {real(sigma)}"
        )
    lost = _digits_lost(excess)

    def growth(c: Any, accuracy: int) -> Any:
        """log(F(c)/c)"""
        scale = preactivation_scale(exact(c, "c"), sigma, dimension)
        return mp.log(length(scale, dimension, radial, accuracy + lost) / c)

    def slope(c: Any, growth_there: Any) -> Any:
        """d log(F(c)/c) / d log c = -< f (f - r f') > / F"""
        scale = preactivation_scale(exact(c, "c"), sigma, dimension)
        return -_deficit(scale, dimension, radial, _SCAN_DIGITS, lost) / (c * mp.exp(growth_there))

    with mp.workdps(digits + lost + 2 * GUARD):
        c, steepness = _newton(growth, slope, *_bracket(growth, min(mp.mpf(1), excess), sigma))
        for _ in range(_NEWTON_STEPS):  # with the slope kept, each step adds about 6 digits
            step = -growth(c, digits + GUARD) / steepness
            c *= mp.exp(step)
            if abs(step) < mp.mpf(10) ** -(digits + GUARD - 2):
                return c
        raise ArithmeticError(f"fixed point: {digits} digits were not reached")


def _bracket(growth, start: Any, sigma: Fraction) -> tuple[Any, Any]:
    """c with F(c) >= c, and one with F(c) <= c, a factor 16 apart."""
    c, rising = start, growth(start, _SCAN_DIGITS) > 0
    for _ in range(_WIDEST_SCAN):
        beyond = c * 16 if rising else c / 16
        if (growth(beyond, _SCAN_DIGITS) > 0) != rising:
            return min(c, beyond), max(c, beyond)
        c = beyond
    raise ValueError(
        f"the activation must have a fixed point c* at sigma_w = {real(sigma)}: none was found up to c = {c}"
    )


def _newton(growth, slope, low: Any, high: Any) -> tuple[Any, Any]:
    """Newton's method in log c for growth(c) = 0, kept inside a bracket: c to about 6 digits, and the slope there."""
    c = high
    for _ in range(_NEWTON_STEPS):
        value = growth(c, _SCAN_DIGITS)
        steepness = slope(c, value)
        step = -value / steepness
        if abs(step) < mp.mpf(10) ** (2 - _SCAN_DIGITS):
            return c * mp.exp(step), steepness
        low, high = (c, high) if value > 0 else (low, c)
        c *= mp.exp(step)
        if not low <= c <= high:
            c = mp.sqrt(low * high)
    raise ArithmeticError("fixed point: Newton's method did not converge")


def _deficit(scale: Fraction, dimension: int, radial: Radial, digits: int, lost: int) -> Any:
    """< f (f - r f') >, which is (1 - chi_c) c; near the transition r is small and f - r f' ~ r^3."""

    def integrand(r: Any, t: Any) -> Any:
        f = radial.value(r)
        return f * (f - r * radial.derivative(r))

    return radial_average(integrand, dimension, scale, digits, "1 - chi_c", lost_bits=4 * lost + 16)


def _below(excess: Any, symmetry: Symmetry) -> Susceptibilities:
    chi, zero = 1 + excess, mp.mpf(0)
    xi = _depth_scale(chi, -excess)
    return Susceptibilities(zero, zero, chi, chi, chi, _chi_gram(symmetry, lambda: chi), -excess, -excess, xi, xi)


def _above(sigma: Fraction, excess: Any, symmetry: Symmetry, radial: Radial, digits: int) -> Susceptibilities:
    dimension, lost = symmetry.capsule_dimension, _digits_lost(excess)
    c = _fixed_point(sigma, excess, dimension, radial, digits)
    scale = preactivation_scale(exact(c, "c"), sigma, dimension)
    variance = real(sigma) ** 2 * c  # <r^2>

    def average(integrand, what: str, more: int = 0, lost_bits: int = 0) -> Any:
        return radial_average(integrand, dimension, scale, digits + more, what, lost_bits=lost_bits)

    chi_c = average(lambda r, t: radial.value(r) * radial.derivative(r) * r, "chi_c") / c
    one_minus_chi_c = _deficit(scale, dimension, radial, digits, lost) / c
    # 1 - chi_delta = < (f - gain r)^2 > / c, what is left of f when its linear part is taken out.
    overlap = average(lambda r, t: r * radial.value(r), "chi_delta", more=lost)
    gain = overlap / variance
    residual = average(lambda r, t: (radial.value(r) - gain * r) ** 2, "1 - chi_delta", lost_bits=8 * lost + 16)
    chi_delta, one_minus_chi_delta = overlap**2 / (variance * c), residual / c
    if radial.name == "saturated" and dimension <= 2:
        chi_jacobian = mp.inf
    else:
        chi_jacobian = (
            variance
            / c
            / dimension
            * average(
                lambda r, t: radial.derivative(r) ** 2 + (dimension - 1) * (radial.value(r) / r) ** 2, "chi_jacobian"
            )
        )

    def chi_gram() -> Any:
        return dimension * average(lambda r, t: (radial.value(r) * r) ** 2, "chi_gram") / (dimension + 2) / variance / c

    return Susceptibilities(
        c,
        variance,
        chi_c,
        chi_delta,
        chi_jacobian,
        _chi_gram(symmetry, chi_gram),
        one_minus_chi_c,
        one_minus_chi_delta,
        _depth_scale(chi_c, one_minus_chi_c),
        _depth_scale(chi_delta, one_minus_chi_delta),
    )


def _chi_gram(symmetry: Symmetry, value) -> Any | None:
    if symmetry.keeps_anisotropy:
        return value()
    return None if symmetry.capsule_dimension == 1 else mp.mpf(0)


def _depth_scale(chi: Any, one_minus_chi: Any) -> Any:
    """-1/log|chi|: infinite at chi = 1, 0 at chi = 0."""
    if one_minus_chi == 0:
        return mp.inf
    if chi == 0:
        return mp.mpf(0)
    return -1 / (mp.log(abs(chi)) if chi < 0.5 else mp.log1p(-one_minus_chi))
