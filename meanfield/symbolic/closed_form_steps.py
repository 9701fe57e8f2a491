"""Where the closed forms come from: the saturated activation in any dimension, and erf with its arcsine law."""

from __future__ import annotations

from functools import cache

from sympy import (
    Eq,
    Expr,
    Function,
    Integral,
    Rational,
    Symbol,
    Tuple,
    asin,
    atan,
    cancel,
    diff,
    erf,
    exp,
    expand,
    expand_func,
    factorial,
    gamma,
    gammasimp,
    hessian,
    hyperexpand,
    integrate,
    limit,
    oo,
    pi,
    piecewise_fold,
    powdenest,
    powsimp,
    rf,
    simplify,
    solve,
    sqrt,
    summation,
)

from meanfield.symbolic.closed_forms import (
    arcsine_correlation_map,
    closed_forms,
    saturated_chi_delta,
    saturated_correlation_map,
)
from meanfield.symbolic.derivation import Check, Derivation, Step
from meanfield.symbolic.gaussian import gaussian_integral
from meanfield.symbolic.symbols import D, Delta_next, c_next, r, rho, s, sigma_w, t

_n = Symbol("n", integer=True, nonnegative=True)
_w = Symbol("w", positive=True)
_v1, _v2 = Symbol("v", positive=True), Symbol("w", positive=True)
_x, _y = Symbol("x", real=True), Symbol("y", real=True)
_p1, _p2 = Function("p")(_v1), Function("p")(_v2)


@cache
def saturated_steps() -> Derivation:
    """Derive the closed forms for f = 1, where a capsule keeps its direction and forgets its length."""
    return Derivation(
        "Fully saturated capsules",
        "Far above the transition every bounded activation looks like $f = 1$: a capsule is projected on the unit "
        "sphere. Then $c = 1$ from the first layer on, and all that is left is the correlation map.",
        (_saturated_coefficients(), _saturated_map(), _saturated_slopes(), _saturated_large_dimension()),
    )


def _saturated_coefficients() -> Step:
    # Generating function: sum_n w^n L_n^(nu)(t) = exp(-t w/(1-w))/(1-w)^(nu+1), integrated with t^(nu-1/2) exp(-t).
    nu = D / 2
    gap = Symbol("q", positive=True)  # 1 - w
    integral = integrate(t ** (nu - Rational(1, 2)) * exp(-t / gap), (t, 0, oo)) / gap ** (nu + 1)
    coefficient = gamma(nu + Rational(1, 2)) * rf(Rational(1, 2), _n) / factorial(_n)
    taylor = rf(Rational(1, 2), _n) / factorial(_n)
    ratio = taylor.subs(_n, _n + 1) / taylor - (_n + Rational(1, 2)) / (_n + 1)
    root = 1 / sqrt(1 - _w)
    squared = (coefficient / gamma(nu)) ** 2 * factorial(_n) * gamma(nu) / gamma(_n + nu + 1)
    wanted = saturated_chi_delta() * rf(Rational(1, 2), _n) ** 2 / (factorial(_n) * rf(nu + 1, _n))
    return Step(
        "49a",
        "The coefficients of the series",
        Eq(Symbol("a_n^2"), wanted),
        "For $f = 1$ the generating function of the Laguerre polynomials gives all projections at once: they are the "
        "Taylor coefficients of $1/\\sqrt{1-w}$.",
        (
            Check(
                "the integral of the generating function is $\\Gamma(\\frac{D+1}{2})/\\sqrt{1-w}$",
                simplify(powsimp(powdenest(integral * sqrt(gap) / gamma(nu + Rational(1, 2)), force=True), force=True))
                - 1,
            ),
            Check(
                "its Taylor coefficients $b_n$ obey $(n+1) b_{n+1} = (n + \\tfrac12) b_n$, because $(1-w) g' = g/2$",
                simplify((1 - _w) * diff(root, _w) - root / 2),
            ),
            Check("and so do $(\\tfrac12)_n/n!$", simplify(expand_func(gammasimp(ratio.rewrite(gamma))))),
            Check("squared and normalised", gammasimp(expand_func((squared / wanted).rewrite(gamma))) - 1),
        ),
    )


def _saturated_map() -> Step:
    mapped = saturated_correlation_map()
    term = rf(Rational(1, 2), _n) ** 2 / (factorial(_n) * rf(D / 2 + 1, _n)) * rho ** (2 * _n + 1)
    total = piecewise_fold(summation(term, (_n, 0, oo)))
    series = (total.args[0][0] if total.is_Piecewise else total) * saturated_chi_delta()
    arcsine = hyperexpand(mapped.subs(D, 1))
    return Step(
        "49",
        "The correlation map",
        Eq(Delta_next, mapped),
        "The sum is a hypergeometric function. At $D = 1$ it is an arcsine, the classical result for sign units.",
        (
            Check("summing the series", simplify(series - mapped)),
            Check("at $D = 1$ it is $\\frac{2}{\\pi} \\arcsin\\rho$", simplify(arcsine - 2 * asin(rho) / pi)),
            Check("identical inputs stay identical: the map is one at $\\rho = 1$", _at_one(mapped) - 1),
        ),
    )


def _at_one(expression: Expr) -> Expr:
    """The value at rho = 1 by Gauss's theorem for 2F1 at 1."""
    return gammasimp(hyperexpand(expression.subs(rho, 1)))


def _saturated_slopes() -> Step:
    mapped = saturated_correlation_map()
    slope = diff(mapped, rho)
    k = Symbol("k", positive=True)
    large = D - 2  # Gauss's theorem at rho = 1 needs D > 2
    upper = gammasimp(hyperexpand(slope.subs(rho, 1).subs(D, 2 + k))).subs(k, large)
    forms = closed_forms("saturated")
    return Step(
        "49b",
        "The susceptibilities",
        Tuple(
            Eq(Symbol(r"\chi_\Delta"), forms.chi_delta),
            Eq(Symbol(r"\chi_J"), forms.chi_jacobian),
            Eq(Symbol(r"\chi_c"), forms.chi_c),
            Eq(Symbol(r"\chi_G"), forms.chi_gram),
        ),
        "The slopes of the map at $\\rho = 0$ and $\\rho = 1$, neither of which depends on $\\sigma_w$. For $D \\le "
        "2$ two almost identical inputs separate infinitely fast, because a capsule near zero can turn by any angle.",
        (
            Check("slope at $\\rho = 0$", simplify(slope.subs(rho, 0) - forms.chi_delta)),
            Check("slope at $\\rho = 1$, for $D > 2$", simplify(upper - (D - 1) / (D - 2))),
        ),
    )


def _saturated_large_dimension() -> Step:
    # Gamma(z + 1) = z Gamma(z) makes chi(D) chi(D + 1) = D/(D + 1), which fixes the expansion in y = 1/D.
    y, first, second = Symbol("y", positive=True), Symbol("a_1"), Symbol("a_2")

    def chi(at: Expr) -> Expr:
        return 1 + first * at + second * at**2

    left = (chi(y) * chi(y / (1 + y)) * (1 + y)).series(y, 0, 3).removeO() - 1
    solution = solve([expand(left).coeff(y, 1), expand(left).coeff(y, 2)], [first, second], dict=True)[0]
    value = chi(1 / D).subs(solution)
    product_ = saturated_chi_delta() * saturated_chi_delta().subs(D, D + 1)
    return Step(
        "49c",
        "Large capsules",
        Eq(Symbol(r"\chi_\Delta"), value),
        "For large $D$ (up to terms of order $D^{-3}$) the factor per layer approaches one, so the depth scale "
        "$\\xi_\\Delta = -1/\\log\\chi_\\Delta \\approx 2D$ grows in proportion to the capsule dimension.",
        (
            Check(
                "$\\chi_\\Delta(D)\\,\\chi_\\Delta(D+1) = D/(D+1)$, which fixes the expansion",
                gammasimp(product_ - D / (D + 1)),
            ),
        ),
    )


@cache
def erf_steps() -> Derivation:
    """Derive the arcsine law (D = 1) and the closed length map of erf in any dimension."""
    return Derivation(
        "The error function",
        "erf is the classic sigmoid whose Gaussian averages can be done: $\\mathrm{erf}(r)/r = \\int p(v) e^{-v^2 "
        "r^2} dv$ is a mixture of Gaussians, and averages of products of Gaussians are elementary.",
        (_mixture(), _mixture_map(), _arcsine_law(), _slopes(), _erf_length_map(), _erf_plane()),
    )


def _mixture() -> Step:
    integral = integrate(2 / sqrt(pi) * exp(-(_v1**2) * r**2), (_v1, 0, 1))
    return Step(
        "5",
        "erf as a mixture of Gaussians",
        Eq(erf(r) / r, Integral(2 / sqrt(pi) * exp(-(_v1**2) * r**2), (_v1, 0, 1))),
        "The weight $p(v)$ is constant, $2/\\sqrt{\\pi}$ for $0 < v < 1$. Other activations have other weights, and "
        "the next step holds for all of them.",
        (Check("the integral", simplify(integral - erf(r) / r)),),
    )


def _mixture_map() -> Step:
    # One pair of components (x, y), variance a = s/D, correlation rho, weighted with exp(-v^2 x^2 - w^2 y^2).
    a = Symbol("a", positive=True)
    form = (_x**2 + _y**2 - 2 * rho * _x * _y) / (2 * a * (1 - rho**2)) + _v1**2 * _x**2 + _v2**2 * _y**2
    amplitude, _ = gaussian_integral(-form, _x, _y)
    norm = 1 / (2 * pi * a * sqrt(1 - rho**2))
    kernel = (1 + 2 * a * _v1**2) * (1 + 2 * a * _v2**2) - 4 * a**2 * rho**2 * _v1**2 * _v2**2
    covariance = hessian(form, (_x, _y)).inv()[0, 1]
    shown = kernel.subs(a, s / D)
    return Step(
        "49",
        "The correlation map of a mixture",
        Eq(
            Delta_next,
            rho * s * Integral(_p1 * _p2 * shown ** (-D / 2 - 1), (_v1, 0, oo), (_v2, 0, oo)),
        ),
        "With both activations written as mixtures, the average of $x_1 \\cdot x_2\\, e^{-v^2 r_1^2 - w^2 r_2^2}$ is "
        "needed: one component contributes its covariance, the others their normalisation.",
        (
            Check(
                "normalisation of one component: $Q^{-1/2}$, with $Q$ the bracket above",
                cancel((amplitude * norm) ** 2 * kernel - 1),
            ),
            Check("its covariance: $\\rho s/(D Q)$", cancel(covariance - a * rho / kernel)),
        ),
    )


def _arcsine_law() -> Step:
    # Price's theorem: the density obeys dp/drho = s d^2 p/dx dy, so d/drho E f(x) f(y) = s E f'(x) f'(y).
    form = (_x**2 + _y**2 - 2 * rho * _x * _y) / (2 * s * (1 - rho**2))
    density = exp(-form) / (2 * pi * s * sqrt(1 - rho**2))
    price = simplify((diff(density, rho) - s * diff(density, _x, _y)) / density)
    amplitude, _ = gaussian_integral(-form - _x**2 - _y**2, _x, _y)
    slope = s * 4 / pi * amplitude / (2 * pi * s * sqrt(1 - rho**2))
    mapped = arcsine_correlation_map()
    return Step(
        "49a",
        "The arcsine law, D = 1",
        Eq(Delta_next, mapped),
        "The slope of the correlation map in $\\rho$ is an average of $f'(x)f'(y)$, and $f'$ is a Gaussian: one "
        "integral gives the slope, another one in $\\rho$ the map.",
        (
            Check("Price's theorem: the density obeys $\\partial_\\rho p = s\\, \\partial_x \\partial_y p$", price),
            Check("the slope of the arcsine is that average", cancel((diff(mapped, rho) / slope) ** 2) - 1),
            Check("no correlation gives none", mapped.subs(rho, 0)),
        ),
    )


def _slopes() -> Step:
    forms = closed_forms("erf", 1)
    mapped = arcsine_correlation_map()
    scale = sigma_w**2 / s  # 1/c
    residuals = (
        ("$\\chi_\\Delta$: slope at $\\rho = 0$, over $c$", scale * diff(mapped, rho).subs(rho, 0) / forms.chi_delta),
        ("$\\chi_J$: slope at $\\rho = 1$, over $c$", scale * diff(mapped, rho).subs(rho, 1) / forms.chi_jacobian),
        (
            "$\\chi_c$: $\\sigma_w^2$ times the slope of the length map",
            sigma_w**2 * diff(mapped.subs(rho, 1), s) / forms.chi_c,
        ),
    )
    return Step(
        "49b",
        "Length map and susceptibilities, D = 1",
        Tuple(
            Eq(c_next, mapped.subs(rho, 1)),
            Eq(Symbol(r"\chi_\Delta"), forms.chi_delta),
            Eq(Symbol(r"\chi_J"), forms.chi_jacobian),
            Eq(Symbol(r"\chi_c"), forms.chi_c),
        ),
        "At $\\rho = 1$ the correlation map is the length map; everything else is a derivative. Here $s = \\sigma_w^2 "
        "c^*$.",
        tuple(Check(statement, simplify(ratio) - 1) for statement, ratio in residuals),
    )


def _erf_length_map() -> Step:
    # d/ds < erf(r)^2 > = < f f' r >/s, with erf as mixture: the v integrand is <r^2 exp(-(1+v^2) r^2)> * 4/(pi s).
    a = s / D
    weighted = (1 + 2 * a * (1 + _v1**2)) ** (-D / 2 - 1)
    inner = integrate(t ** (D / 2) * exp(-_w * t), (t, 0, oo)) / gamma(D / 2)
    moment = simplify(powsimp(2 / D * inner * _w ** (D / 2 + 1), force=True))
    rest = (1 + 2 * a * (1 + _v1**2)) ** (-D / 2) / (1 + _v1**2)
    return Step(
        "35a",
        "The length map in any dimension",
        Eq(c_next, 1 - 4 / pi * Integral(rest, (_v1, 0, 1))),
        "The same trick in $D$ dimensions leaves one integral over a power of a quadratic, which is elementary for "
        "every integer $D$.",
        (
            Check("$\\langle r^2 e^{-\\lambda r^2} \\rangle = s\\,(1 + 2\\lambda s/D)^{-D/2-1}$", moment - 1),
            Check(
                "the derivative in $s$ is $\\langle f f' r \\rangle/s$",
                simplify(-diff(rest, s) / weighted) - 1,
            ),
            Check("at $s = 0$ it vanishes", 1 - 4 / pi * integrate(1 / (1 + _v1**2), (_v1, 0, 1))),
        ),
    )


def _erf_plane() -> Step:
    length_map = closed_forms("erf", 2).length_map
    integrand = 1 / ((1 + _v1**2) * (1 + s * (1 + _v1**2)))
    root = sqrt(s / (1 + s))
    antiderivative = atan(_v1) - root * atan(_v1 * root)
    definite = antiderivative.subs(_v1, 1) - antiderivative.subs(_v1, 0)
    return Step(
        "35b",
        "The length map of U(1)",
        Eq(c_next, length_map),
        "At $D = 2$ the integral is an arctangent. Its slope at $s = 0$ is $4/\\pi = f'(0)^2$, and it saturates at "
        "one.",
        (
            Check("the antiderivative in $v$", simplify(diff(antiderivative, _v1) - integrand)),
            Check("taken between $0$ and $1$", simplify(1 - 4 / pi * definite - length_map)),
            Check("slope at $s = 0$", limit(length_map / s, s, 0) - 4 / pi),
            Check("saturation", limit(length_map, s, oo) - 1),
        ),
    )
