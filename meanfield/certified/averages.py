"""Gaussian averages over the radius of one input's capsules, and with them the length map, as balls.

With s = sigma_w^2 c the next layer's radius is r = kappa x, kappa^2 = 2 s / D, where x^2 ~ Gamma(D/2), so that

    <g> = (2/Gamma(D/2)) int_0^infinity g(kappa x) x^(D-1) exp(-x^2) dx.

The integral up to a cut X is a rigorous one (adaptive Gauss-Legendre with error bounds from the integrand's values in
the complex plane: Johansson's `acb_calc_integrate`). Every g here obeys 0 <= g(r) <= b r^j, so that the rest lies
between 0 and b kappa^j Gamma((D+j)/2, X^2)/Gamma(D/2), an incomplete gamma function that flint encloses.
"""

from __future__ import annotations

from flint import acb, arb, ctx

from meanfield.certified.activations import ComplexFunction, as_ball_activation
from meanfield.certified.balls import DEFAULT_BITS, GUARD_BITS, between, exact_positive, working_precision
from meanfield.symmetry import Symmetry, as_symmetry


def radius_scale(c: arb, sigma_w: arb, dimension: int) -> arb:
    """kappa = sigma_w sqrt(2 c / D): the next layer's radius is kappa x with x^2 ~ Gamma(D/2)."""
    return sigma_w * (2 * c / dimension).sqrt()


def enclose_integral(integrand: ComplexFunction, high: arb, size: arb) -> arb:
    """int_0^high of a function that is real on the real axis, with a radius of about 2^-precision times `size`.

    Whatever `size` is, the ball holds the integral; a bad guess only makes it wide or slow.
    """
    resolution = arb(2) ** -ctx.prec
    found = acb.integral(
        integrand, acb(0), acb(high), rel_tol=resolution, abs_tol=size * resolution, eval_limit=10**6, depth_limit=10**4
    )
    return found.real


def rough_size(integrand: ComplexFunction) -> arb:
    """The size of int_0^infinity of a positive function that falls off like exp(-x^2), by a coarse sum over log x."""
    with working_precision(64):
        nodes = (arb(k / 8).exp() for k in range(-128, 28))
        return (sum((x * integrand(acb(x), False).real for x in nodes), arb(0)) / 8).mid()


def gaussian_average(g: ComplexFunction, kappa: arb, dimension: int, bound: arb | int, degree: int) -> arb:
    """<g(r)> for a g with 0 <= g(r) <= bound * r^degree on r >= 0, to the current precision relative to its value."""

    def integrand(x: acb, analytic: bool) -> acb:
        return g(kappa * x, analytic) * x ** (dimension - 1) * (-x * x).exp()

    def tail(square: float) -> arb:
        return bound * kappa**degree * arb(square).gamma_upper(arb(dimension + degree) / 2) / 2

    # A tiny average (chi_c of a saturated network with many components) needs a later cut than the Gaussian suggests.
    size = rough_size(integrand)
    square = 0.7 * ctx.prec
    while tail(square) > size * arb(2) ** -ctx.prec and square < 1e6:
        square *= 1.1
    body = enclose_integral(integrand, arb(square).sqrt(), size)
    return (body + between(0, tail(square))) * 2 / (arb(dimension) / 2).gamma()


def length_map(
    c: float | arb,
    sigma_w: float | arb,
    symmetry: str | Symmetry = "U(1)",
    activation: str = "tanh",
    *,
    bits: int = DEFAULT_BITS,
) -> arb:
    """F(c) = <f(r)^2>, the order parameter of the next layer (Eq. (8) for D = 2), as a ball.

    Parameters
    ----------
    c : order parameter, positive.
    sigma_w : positive.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``.
    activation : the name of an activation.
    bits : relative accuracy aimed at, in bits.

    Raises
    ------
    ValueError
        For an argument out of its range.
    """
    dimension, f = as_symmetry(symmetry).capsule_dimension, as_ball_activation(activation)
    with working_precision(bits, GUARD_BITS):
        s = exact_positive(sigma_w, "sigma_w") ** 2 * exact_positive(c, "c")
        if f.slope is None:
            return arb(1)
        if f.name == "linear":
            return s
        kappa = (2 * s / dimension).sqrt()
        return gaussian_average(lambda r, analytic: f.value(r, analytic) ** 2, kappa, dimension, f.slope() ** 2, 2)
