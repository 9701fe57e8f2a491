"""Two inputs with capsules in R^D: paper Eq. (45) to (49) for every D, with the Bessel function I_{D/2}.

For O(k) the aligned part of the covariance of two inputs is Delta/k times the identity, and rho = Delta/c; D = 1 is the
classical network and D = 2 gives back the paper's Eq. (49).
"""

from __future__ import annotations

from functools import cache

from sympy import (
    Eq,
    Expr,
    Integral,
    Rational,
    Symbol,
    besseli,
    cancel,
    cos,
    diff,
    exp,
    expand,
    expand_func,
    factorial,
    gamma,
    gammasimp,
    oo,
    pi,
    powdenest,
    powsimp,
    simplify,
    sin,
    sinh,
    sqrt,
    summation,
)

from meanfield.symbolic.arguments import as_dimension, as_expression
from meanfield.symbolic.derivation import Check, Derivation, Step
from meanfield.symbolic.gaussian import gaussian_integral
from meanfield.symbolic.symbols import D, Delta, Delta_next, c, f, rho, s, sigma_w
from meanfield.symbolic.two_inputs import kappa, r1, r2, u1, u2

omega = Symbol("omega", real=True)
_m = Symbol("m", integer=True, nonnegative=True)
_q = Symbol("q", positive=True)  # stands in where sympy must know a sign


@cache
def two_inputs_any_dimension() -> Derivation:
    """Derive the correlation map for capsules in R^D, the general form of paper Eq. (49)."""
    return Derivation(
        "Two inputs with capsules in any dimension",
        "The two preactivations are Gaussian vectors in $\\mathbb{R}^D$ whose components have variance $s/D$ each and "
        "correlation $\\rho = \\Delta/c$ between the inputs. The only angle that matters is the one between the two "
        "vectors, $\\omega$.",
        (_density(), _angular_average(), _correlation_map(), _classical()),
    )


def _density() -> Step:
    x, y = Symbol("x", real=True), Symbol("y", real=True)
    form = -D * (x**2 + y**2 - 2 * rho * x * y) / (2 * s * (1 - rho**2))
    amplitude, _ = gaussian_integral(form, x, y)
    exponent = -D * (r1**2 + r2**2 - 2 * rho * r1 * r2 * cos(omega)) / (2 * s * (1 - rho**2))
    normalisation = (D / (2 * pi * s)) ** 2 / (1 - rho**2)
    return Step(
        "46",
        "The density of two capsules",
        Eq(Symbol("p(x_{1}, x_{2})"), (D / (2 * pi * s)) ** D * (1 - rho**2) ** (-D / 2) * exp(exponent)),
        "The product of $D$ identical factors, one per component. For $\\rho > 0$ the density favours parallel "
        "vectors.",
        (Check("one component is normalised", cancel(amplitude**2 * normalisation - 1)),),
    )


def sphere_moment(m: Expr | int) -> Expr:
    """Mean of cos(omega)^(2 m + 2) over the unit sphere in R^D."""
    half = Rational(1, 2)
    return gamma(D / 2) * gamma(m + 3 * half) / (gamma(half) * gamma(m + 1 + D / 2))


def angular_average(strength: Expr, dimension: Expr | int = D) -> Expr:
    """Mean of cos(omega) exp(strength cos(omega)) over the unit sphere in R^D: the angular integral, to I_{D/2}.

    Raises
    ------
    ValueError
        For a strength that is no expression, or a dimension that is neither an integer >= 1 nor a symbol.
    """
    kappa_, half = as_expression("strength", strength), as_dimension(dimension) / 2
    return gamma(half) * (2 / kappa_) ** (half - 1) * besseli(half, kappa_)


def _angular_average() -> Step:
    # The weight of an angle omega on the sphere is sin(omega)^(D-2).
    power = cos(omega) ** (2 * _m + 1) * sin(omega) ** (D - 1)
    lowered = ((2 * _m + D) * cos(omega) ** 2 - (2 * _m + 1)) * cos(omega) ** (2 * _m) * sin(omega) ** (D - 2)
    by_parts = diff(power, omega) - lowered
    ratio = sphere_moment(_m) / sphere_moment(_m - 1) - (2 * _m + 1) / (2 * _m + D)
    # Term m of the exponential series against term m of the series of the Bessel function.
    term = sphere_moment(_m) / factorial(2 * _m + 1)
    bessel = gamma(D / 2) / (2 ** (2 * _m + 1) * factorial(_m) * gamma(_m + 1 + D / 2))
    quotient = (term / bessel).rewrite(gamma)
    total = simplify(summation(kappa ** (2 * _m + 1) * bessel, (_m, 0, oo)) / angular_average(kappa))
    return Step(
        "47a",
        "The angular average",
        Eq(Symbol(r"\left\langle \cos\omega\, e^{\kappa\cos\omega} \right\rangle_\omega"), angular_average(kappa)),
        "The mean over directions on the sphere in $\\mathbb{R}^D$, where an angle $\\omega$ has weight "
        "$\\sin^{D-2}\\omega$. As for $U(1)$, expand the exponential; the moments of $\\cos\\omega$ are ratios of "
        "Gamma functions and sum up to $I_{D/2}$.",
        (
            Check("$\\langle \\cos^2\\omega \\rangle = 1/D$", gammasimp(sphere_moment(0) - 1 / D)),
            Check(
                "integrating by parts lowers $\\cos^{2m+2}$ to $\\frac{2m+1}{2m+D} \\cos^{2m}$",
                simplify(powsimp(expand(by_parts.subs(cos(omega), sqrt(1 - sin(omega) ** 2))))),
            ),
            Check("and so does the formula, hence it holds for every $m$", simplify(expand_func(ratio))),
            Check("term $m$ of both series", powsimp(gammasimp(expand_func(gammasimp(quotient)))) - 1),
            Check("the sum is the Bessel function", total - 1),
        ),
    )


def correlation_map_integrand(dimension: Expr | int = D) -> Expr:
    """What stands under the integral over u_1, u_2 in the correlation map, without f."""
    weight = (u1 * u2) ** (dimension / 2) * exp(-(u1**2) - u2**2)
    return weight * besseli(dimension / 2, 2 * rho * u1 * u2)


def correlation_map_prefactor(dimension: Expr | int = D) -> Expr:
    """4 (1 - rho^2)^(D/2) rho^(1 - D/2)/Gamma(D/2)."""
    return 4 * (1 - rho**2) ** (dimension / 2) * rho ** (1 - dimension / 2) / gamma(dimension / 2)


def _correlation_map() -> Step:
    scale = sqrt(2 * s * (1 - rho**2) / D)
    sphere = 2 * pi ** (D / 2) / gamma(D / 2)
    shell = (sphere * scale**D) ** 2 * (u1 * u2) ** (D - 1)  # both radial measures at r = scale * u
    normalisation = (D / (2 * pi * s)) ** D * (1 - rho**2) ** (-D / 2)
    assembled = normalisation * shell * angular_average(2 * rho * u1 * u2)
    final = correlation_map_prefactor() * correlation_map_integrand() / exp(-(u1**2) - u2**2)
    # An identity between powers: sympy combines them once it knows that 1 - rho^2 and rho are positive.
    ratio = (assembled / final).subs(1 - rho**2, _q).subs(rho, kappa)
    integrand = correlation_map_integrand() * f(scale * u1) * f(scale * u2)
    circle = (correlation_map_prefactor() * integrand).subs(D, 2)
    printed = 4 * (c**2 - Delta**2) / c**2 * u1 * u2 * exp(-(u1**2) - u2**2) * besseli(1, 2 * u1 * u2 * Delta / c)
    alpha = sqrt(c) / (sigma_w * sqrt(c**2 - Delta**2))
    printed *= f(u1 / alpha) * f(u2 / alpha)
    same = (circle / printed).subs({Delta: kappa * c, rho: kappa, s: sigma_w**2 * c})
    return Step(
        "49",
        "The correlation map in any dimension",
        Eq(
            Delta_next,
            correlation_map_prefactor() * Integral(integrand, (u1, 0, oo), (u2, 0, oo)),
        ),
        "Shell areas, density and angular average put together, with radii in units of $\\sqrt{2s(1-\\rho^2)/D}$, the "
        "analogue of Eq. (48). Written for $\\rho > 0$; the map is odd in $\\rho$.",
        (
            Check("collecting all factors", simplify(powsimp(powdenest(ratio, force=True), force=True)) - 1),
            Check("at $D = 2$ it is the paper's Eq. (49)", simplify(same) - 1),
        ),
    )


def _classical() -> Step:
    integrand = (correlation_map_prefactor(Rational(1)) * correlation_map_integrand(Rational(1))).subs(rho, _q)
    elementary = powsimp(expand_func(integrand), force=True)
    weight = 4 * sqrt(1 - _q**2) / pi * exp(-(u1**2) - u2**2) * sinh(2 * _q * u1 * u2)
    scale = sqrt(2 * s * (1 - rho**2))
    shown = exp(-(u1**2) - u2**2) * sinh(2 * rho * u1 * u2) * f(scale * u1) * f(scale * u2)
    return Step(
        "49a",
        "The classical network, D = 1",
        Eq(Delta_next, 4 * sqrt(1 - rho**2) / pi * Integral(shown, (u1, 0, oo), (u2, 0, oo))),
        "In one dimension a vector has two directions only, and $I_{1/2}$ is a hyperbolic sine: the difference "
        "between equal and opposite signs. This is the correlation map of an ordinary bias-free network with an odd "
        "activation.",
        (Check("$I_{1/2}$ written out", simplify(elementary / weight) - 1),),
    )
