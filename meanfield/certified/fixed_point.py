"""c*, the susceptibilities and the depth scales as balls.

f(r)/r decreases, so F(c)/c = sigma_w^2 <(2t/D) (f(r)/r)^2> decreases from sigma_w^2 f'(0)^2 at c = 0: there is a
positive fixed point exactly if sigma_w f'(0) > 1, it is unique, and F(c) - c changes sign there from + to -. Two points
at which the enclosures of F(c) - c have proven signs therefore enclose it. As a mixture of decreasing exponentials,
F(c)/c is convex, which is why Newton's method for F(c)/c = 1 finds the two points.
"""

from __future__ import annotations

from dataclasses import dataclass

from flint import arb

from meanfield.certified.activations import BallActivation, ComplexFunction, as_ball_activation
from meanfield.certified.averages import gaussian_average, radius_scale
from meanfield.certified.balls import DEFAULT_BITS, GUARD_BITS, exact_positive, working_precision
from meanfield.symmetry import Symmetry, as_symmetry


@dataclass(frozen=True)
class Susceptibilities:
    """The fixed point and what it implies, each a ball.

    Attributes
    ----------
    c_star : the positive fixed point of the length map; exactly 0 below the transition.
    d_star : sigma_w^2 c*, the order parameter of the preactivations.
    chi_c : <f f' r>/c*.
    chi_delta : <r f>^2/(sigma_w^2 c*^2).
    chi_jacobian : (sigma_w^2/D) <f'^2 + (D-1) (f/r)^2>, the slope of the correlation map at rho = 1 (infinite for the
        saturated activation with D <= 2, whose map has no finite slope there).
    chi_gram : k <f^2 r^2>/((k+2) sigma_w^2 c*^2) for O(k) with k >= 2; 0 for U(1) and generic(k), under which the
        capsule Gram matrix of one input is isotropic after one layer; None for O(1) and generic(1), which have none.
    one_minus_chi_c, one_minus_chi_delta : what their names say.
    xi_c, xi_delta : -1/log chi; infinite at the transition, 0 where chi is 0.
    """

    c_star: arb
    d_star: arb
    chi_c: arb
    chi_delta: arb
    chi_jacobian: arb
    chi_gram: arb | None
    one_minus_chi_c: arb
    one_minus_chi_delta: arb
    xi_c: arb
    xi_delta: arb


def fixed_point(
    sigma_w: float | arb, symmetry: str | Symmetry = "U(1)", activation: str = "tanh", *, bits: int = DEFAULT_BITS
) -> arb:
    """c* = F(c*), enclosed by a proven change of sign; exactly 0 for sigma_w f'(0) <= 1.

    Parameters
    ----------
    sigma_w : positive.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``.
    activation : the name of an activation.
    bits : relative accuracy aimed at, in bits.

    Raises
    ------
    ValueError
        For an argument out of its range; for the linear activation with sigma_w > 1, where c grows without bound; for
        a sigma_w (a ball, say) that is on no proven side of the transition.
    ArithmeticError
        If sigma_w is a ball too wide to prove a change of sign within 2^-bits of c*.
    """
    dimension, f = as_symmetry(symmetry).capsule_dimension, as_ball_activation(activation)
    with working_precision(bits, GUARD_BITS):
        return _fixed_point(exact_positive(sigma_w, "sigma_w"), dimension, f, bits)


def susceptibilities(
    sigma_w: float | arb, symmetry: str | Symmetry = "U(1)", activation: str = "tanh", *, bits: int = DEFAULT_BITS
) -> Susceptibilities:
    """c*, every chi and both depth scales; parameters and errors as for `fixed_point`.

    Below the transition every chi is sigma_w^2 f'(0)^2.
    """
    symmetry, f = as_symmetry(symmetry), as_ball_activation(activation)
    dimension = symmetry.capsule_dimension
    # The balls of the averages inherit the radius of c*, so c* is found to more bits than are asked for.
    with working_precision(bits, 2 * GUARD_BITS):
        sigma_w = exact_positive(sigma_w, "sigma_w")
        c = _fixed_point(sigma_w, dimension, f, bits + GUARD_BITS)
        if c == 0:
            chi_c = chi_delta = chi_jacobian = chi_gram = (sigma_w * _slope(f)) ** 2
        elif f.slope is None:
            chi_c, chi_delta, chi_jacobian, chi_gram = _saturated(dimension)
        else:
            chi_c, chi_delta, chi_jacobian, chi_gram = _broken_phase(c, sigma_w, dimension, f)
        return Susceptibilities(
            c_star=c,
            d_star=sigma_w**2 * c,
            chi_c=chi_c,
            chi_delta=chi_delta,
            chi_jacobian=chi_jacobian,
            chi_gram=_of_gram_matrix(chi_gram, symmetry),
            one_minus_chi_c=1 - chi_c,
            one_minus_chi_delta=1 - chi_delta,
            xi_c=_depth_scale(chi_c),
            xi_delta=_depth_scale(chi_delta),
        )


def _of_gram_matrix(chi_gram: arb, symmetry: Symmetry) -> arb | None:
    if symmetry.keeps_anisotropy:
        return chi_gram
    return None if symmetry.capsule_dimension == 1 else arb(0)


def _slope(f: BallActivation) -> arb:
    return arb.pos_inf() if f.slope is None else f.slope()


def _depth_scale(chi: arb) -> arb:
    if chi == 0:
        return arb(0)
    if chi == 1:
        return arb.pos_inf()
    return -1 / chi.log()


def _fixed_point(sigma_w: arb, dimension: int, f: BallActivation, bits: int) -> arb:
    if f.slope is None:
        return arb(1)
    drive = sigma_w * f.slope()
    if drive <= 1:
        return arb(0)
    if f.name == "linear":
        raise ValueError(f"sigma_w must be at most 1 for the linear activation, whose c grows otherwise, got {sigma_w}")
    if not drive > 1:
        raise ValueError(f"sigma_w must be on a proven side of the transition at {bits} bits, got {sigma_w}")

    def excess(c: arb) -> arb:
        return _length(c, sigma_w, dimension, f) - c

    guess = _approximate_fixed_point(sigma_w, dimension, f, bits)
    for spare in range(8, -GUARD_BITS, -8):
        step = guess * arb(2) ** -(bits + spare)
        low, high = (guess - step).mid(), (guess + step).mid()
        if excess(low) > 0 and excess(high) < 0:
            return low.union(high)
    raise ArithmeticError(f"no proven change of sign of F(c) - c near c = {guess} at {bits} bits")


def _approximate_fixed_point(sigma_w: arb, dimension: int, f: BallActivation, bits: int) -> arb:
    """The midpoint of a Newton iteration for F(c)/c = 1. Nothing is proven here."""
    c = arb(1)
    with working_precision(64):
        while True:
            c, change = _newton(c, sigma_w, dimension, f)
            if change < 2.0**-24:
                break
    accurate = 40
    while accurate < bits + 16:
        c, _ = _newton(c, sigma_w, dimension, f)
        accurate *= 2
    return c


def _newton(c: arb, sigma_w: arb, dimension: int, f: BallActivation) -> tuple[arb, float]:
    value, chi = _length(c, sigma_w, dimension, f).mid(), _chi_c(c, sigma_w, dimension, f).mid()
    step = ((value - c) / (value / c - chi)).mid()
    # The tangent of a convex function overshoots from the right, possibly below 0.
    new = (c + step).mid() if c + step > 0 else (c / 16).mid()
    return new, float(abs(new / c - 1).mid())


def _length(c: arb, sigma_w: arb, dimension: int, f: BallActivation) -> arb:
    return _average(lambda r, a: f.value(r, a) ** 2, c, sigma_w, dimension, _slope(f) ** 2, 2)


def _chi_c(c: arb, sigma_w: arb, dimension: int, f: BallActivation) -> arb:
    # 0 <= r f' <= f <= f'(0) r.
    return _average(lambda r, a: f.value(r, a) * f.derivative(r, a) * r, c, sigma_w, dimension, _slope(f) ** 2, 2) / c


def _average(g: ComplexFunction, c: arb, sigma_w: arb, dimension: int, bound: arb, degree: int) -> arb:
    return gaussian_average(g, radius_scale(c, sigma_w, dimension), dimension, bound, degree)


def _broken_phase(c: arb, sigma_w: arb, dimension: int, f: BallActivation) -> tuple[arb, arb, arb, arb]:
    slope = _slope(f)
    s = sigma_w**2 * c
    overlap = _average(lambda r, a: r * f.value(r, a), c, sigma_w, dimension, slope, 2)
    amplitude = _average(lambda r, a: f.derivative(r, a) ** 2, c, sigma_w, dimension, slope**2, 0)
    angular = _average(lambda r, a: f.ratio(r, a) ** 2, c, sigma_w, dimension, slope**2, 0)
    quartic = _average(lambda r, a: (r * f.value(r, a)) ** 2, c, sigma_w, dimension, slope**2, 4)
    return (
        _chi_c(c, sigma_w, dimension, f),
        overlap**2 / (s * c),
        sigma_w**2 * (amplitude + (dimension - 1) * angular) / dimension,
        dimension * quartic / ((dimension + 2) * s * c),
    )


def _saturated(dimension: int) -> tuple[arb, arb, arb, arb]:
    """f = 1, c* = 1: <r>^2, <1/r^2> and <r^2> are ratios of gamma functions."""
    half = arb(dimension) / 2
    chi_delta = ((half + 0.5).gamma() / half.gamma()) ** 2 / half
    chi_jacobian = arb(dimension - 1) / (dimension - 2) if dimension > 2 else arb.pos_inf()
    return arb(0), chi_delta, chi_jacobian, arb(dimension) / (dimension + 2)
