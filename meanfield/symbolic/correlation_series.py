"""The correlation map as a power series in rho, from the Bessel kernel of paper Eq. (49), for every capsule dimension.

    Delta^{l+1} = sum_n a_n^2 rho^(2n+1),    c^{l+1} = sum_n a_n^2,
    a_n = sqrt( n! Gamma(D/2)/Gamma(n + D/2 + 1) ) < f(r) sqrt(t) L_n^(D/2)(t) >

One set of one-dimensional integrals gives the map at every rho; and since no coefficient is negative, its shape can
be read off.
"""

from __future__ import annotations

from functools import cache

from sympy import (
    Add,
    Eq,
    Expr,
    Function,
    IndexedBase,
    Integral,
    Rational,
    Sum,
    Symbol,
    Tuple,
    assoc_laguerre,
    besseli,
    cancel,
    exp,
    expand,
    factorial,
    gamma,
    gammasimp,
    integrate,
    oo,
    powdenest,
    powsimp,
    rf,
    series,
    simplify,
    sqrt,
    sympify,
)

from meanfield.checks import whole_number
from meanfield.symbolic.arguments import as_dimension
from meanfield.symbolic.averages import isotropic_average
from meanfield.symbolic.derivation import Check, Derivation, Step
from meanfield.symbolic.radial import radial_expression
from meanfield.symbolic.symbols import D, Delta_next, c_next, f, r, rho, s, sigma_w, t
from meanfield.symbolic.two_inputs import u1, u2
from meanfield.symbolic.two_inputs_any_dimension import correlation_map_integrand, correlation_map_prefactor

_n = Symbol("n", integer=True, nonnegative=True)
_nu = Symbol("nu", positive=True)  # D/2
_x, _y, _w = (Symbol(name, positive=True) for name in ("x", "y", "w"))
_t1, _t2 = Symbol("t_1", positive=True), Symbol("t_2", positive=True)
_q = Symbol("q", positive=True)  # stands in where sympy must know a sign
_coefficient = IndexedBase("a")


def correlation_coefficient(n: int, activation: str | Expr = "tanh", dimension: Expr | int = D) -> Expr:
    """a_n of the correlation map, an integral over t that depends on s only.

    Parameters
    ----------
    n : int
        Which coefficient, from 0.
    activation : str or Expr
        A name ("tanh", "erf", "algebraic", "saturated", "linear") or an expression in the symbol `r`.
    dimension : Expr or int
        The capsule dimension, an integer or a symbol.

    Raises
    ------
    ValueError
        For n < 0, an unknown activation or a dimension that is not a positive integer or a symbol.
    """
    n, half = whole_number("n", n, 0), as_dimension(dimension) / 2
    norm = sqrt(factorial(n) * gamma(half) / gamma(n + half + 1))
    laguerre = expand(assoc_laguerre(n, half, t), deep=True)
    return norm * isotropic_average(radial_expression(activation) * _root_t(half) * laguerre, dimension)


def _root_t(half: Expr) -> Expr:
    """sqrt(t) in terms of r, as `isotropic_average` wants it."""
    return r * sqrt(half / s)


def correlation_map_series(activation: str | Expr = "tanh", terms: int = 8, dimension: Expr | int = D) -> Expr:
    """The first terms of Delta^{l+1} = sum_n a_n^2 rho^(2n+1); the omitted ones have the sign of rho.

    Parameters
    ----------
    activation, dimension
        As in :func:`correlation_coefficient`.
    terms : int
        How many terms.

    Raises
    ------
    ValueError
        For terms < 1, or as :func:`correlation_coefficient`.
    """
    coefficients = (correlation_coefficient(n, activation, dimension) for n in range(whole_number("terms", terms, 1)))
    return Add(*(a**2 * rho ** (2 * n + 1) for n, a in enumerate(coefficients)))


@cache
def correlation_series() -> Derivation:
    """Derive the series of the correlation map from its Bessel kernel, and what its signs imply."""
    return Derivation(
        "The correlation map as a power series",
        "The double integral of Eq. (49) hides a simple structure. In the variables $t_a$, with $r_a^2 = 2 s t_a/D$, "
        "its kernel is a sum of products of Laguerre polynomials.",
        (_kernel(), _hille_hardy(), _coefficients(), _series(), _consequences()),
    )


def _bessel_kernel() -> Expr:
    """Weight of f(r_1) f(r_2) in the correlation map, in the variables t_1 and t_2."""
    bessel = besseli(D / 2, 2 * rho * sqrt(_t1 * _t2) / (1 - rho**2))
    power = rho ** (1 - D / 2) * (_t1 * _t2) ** (D / 4 - Rational(1, 2))
    return power * exp(-(_t1 + _t2) / (1 - rho**2)) * bessel / (gamma(D / 2) * (1 - rho**2))


def _kernel() -> Step:
    to_t = {u1: sqrt(_t1 / (1 - rho**2)), u2: sqrt(_t2 / (1 - rho**2))}
    measure = 1 / (4 * sqrt(_t1 * _t2) * (1 - rho**2))
    old = (correlation_map_prefactor() * correlation_map_integrand()).subs(to_t) * measure
    ratio = (old / _bessel_kernel()).subs(rho, _q)
    ratio = simplify(powsimp(powdenest(expand(ratio.subs(1 - _q**2, _w)), force=True), force=True))
    radius = Function("r")
    return Step(
        "49b",
        "The kernel in the variables t",
        Eq(
            Delta_next,
            Integral(_bessel_kernel() * f(radius(_t1)) * f(radius(_t2)), (_t1, 0, oo), (_t2, 0, oo)),
        ),
        "Substituting $u_a^2 = t_a/(1 - \\rho^2)$ in the correlation map makes the radii independent of $\\rho$, "
        "$r(t) = \\sqrt{2 s t/D}$: all of $\\rho$ is now in the kernel.",
        (Check("the substitution", ratio - 1),),
    )


def hille_hardy_residual(order: int) -> Expr:
    """Left minus right-hand side of the Hille-Hardy formula through w^order, times Gamma(nu + 1); zero.

    sum_n n!/Gamma(n+nu+1) L_n^nu(x) L_n^nu(y) w^n
        = (x y w)^(-nu/2)/(1-w) exp(-(x+y) w/(1-w)) I_nu(2 sqrt(x y w)/(1-w))

    The Bessel function enters through its own series, I_nu(2z) = sum_k z^(nu+2k)/(k! Gamma(k+nu+1)).
    """
    left = right = sympify(0)
    for k in range(order + 1):
        left += factorial(k) / rf(_nu + 1, k) * assoc_laguerre(k, _nu, _x) * assoc_laguerre(k, _nu, _y) * _w**k
        generating = exp(-(_x + _y) * _w / (1 - _w)) * (1 - _w) ** (-2 * k - _nu - 1)
        expanded = series(generating, _w, 0, order - k + 1).removeO()
        right += (_x * _y * _w) ** k / (factorial(k) * rf(_nu + 1, k)) * expanded
    difference = expand(left - right)
    return Add(*(cancel(difference.coeff(_w, k)) * _w**k for k in range(order + 1)))


def _hille_hardy() -> Step:
    laguerre = assoc_laguerre(_n, _nu, _x) * assoc_laguerre(_n, _nu, _y)
    closed = (_x * _y * _w) ** (-_nu / 2) / (1 - _w) * exp(-(_x + _y) * _w / (1 - _w))
    return Step(
        "49c",
        "The Hille-Hardy formula",
        Eq(
            Sum(factorial(_n) / gamma(_n + _nu + 1) * laguerre * _w**_n, (_n, 0, oo)),
            closed * besseli(_nu, 2 * sqrt(_x * _y * _w) / (1 - _w)),
        ),
        "A classical identity: the Bessel kernel is diagonal in generalised Laguerre polynomials, with eigenvalues "
        "that are powers of $w$. Here $\\nu = D/2$, $w = \\rho^2$, $x = t_1$ and $y = t_2$.",
        (Check("both sides agree through $w^2$ for symbolic $\\nu$, $x$ and $y$", hille_hardy_residual(2)),),
    )


def _coefficients() -> Step:
    weight = sqrt(factorial(_n) * gamma(D / 2) / gamma(_n + D / 2 + 1))
    inner = t ** (D / 2 - Rational(1, 2)) * exp(-t) * assoc_laguerre(_n, D / 2, t) * f(sqrt(2 * s * t / D))
    linear = [gammasimp(integrate(expand(t**_nu * exp(-t) * assoc_laguerre(n, _nu, t)), (t, 0, oo))) for n in (1, 2, 3)]
    return Step(
        "49d",
        "The coefficients",
        Eq(_coefficient[_n], weight * Integral(inner / gamma(D / 2), (t, 0, oo))),
        "The projection of $f$ on the $n$-th Laguerre function: a one-dimensional integral that knows nothing of "
        "$\\rho$.",
        (
            Check(
                "for a linear network only $a_0$ is left (shown for $n = 1, 2, 3$)",
                sum(abs(value) for value in linear),
            ),
        ),
    )


def _series() -> Step:
    # Kernel of the series before the sum over n, against the Hille-Hardy right-hand side at w = rho^2.
    laguerre_sum = Symbol("H", positive=True)
    closed = (_t1 * _t2 * rho**2) ** (-D / 4) / (1 - rho**2) * exp(-(_t1 + _t2) * rho**2 / (1 - rho**2))
    bessel = besseli(D / 2, 2 * rho * sqrt(_t1 * _t2) / (1 - rho**2))
    kernel = _bessel_kernel().subs(bessel, laguerre_sum / closed)
    wanted = rho * (_t1 * _t2) ** (D / 2 - Rational(1, 2)) * exp(-_t1 - _t2) * laguerre_sum / gamma(D / 2)
    ratio = (kernel / wanted).subs(rho, _q)
    ratio = simplify(powsimp(powdenest(expand(ratio), force=True), force=True))
    return Step(
        "49e",
        "The series",
        Tuple(
            Eq(Delta_next, Sum(_coefficient[_n] ** 2 * rho ** (2 * _n + 1), (_n, 0, oo))),
            Eq(c_next, Sum(_coefficient[_n] ** 2, (_n, 0, oo))),
        ),
        "Inserting the formula, the double integral falls apart into squares. At $\\rho = 1$ the two inputs are the "
        "same, and the sum must be $c^{l+1}$. For inputs of different norm $a_n^2$ becomes $a_n(c_1) a_n(c_2)$.",
        (Check("the kernel of Eq. (49b), with the formula inserted", ratio - 1),),
    )


def _consequences() -> Step:
    overlap = Symbol("R", positive=True)  # < r f >
    first = sqrt(gamma(D / 2) / gamma(D / 2 + 1)) * overlap * sqrt(D / (2 * s))
    chi_delta = overlap**2 * sigma_w**2 / s**2
    return Step(
        "49f",
        "What the signs say",
        Tuple(
            Eq(Symbol(r"\chi_\Delta"), _coefficient[0] ** 2 / Symbol("c^{*}")),
            Eq(Symbol(r"\chi_J"), Sum((2 * _n + 1) * _coefficient[_n] ** 2, (_n, 0, oo)) / Symbol("c^{*}")),
        ),
        "At the fixed point $\\rho \\to \\rho^{l+1}$ is a power series with non-negative coefficients that sum to "
        "one. It is convex, so it lies strictly below the diagonal between $0$ and $1$ unless $f$ is linear: there is "
        "no fixed point in between, and $\\Delta = 0$ always attracts. Its slopes at the two ends are $\\chi_\\Delta "
        "\\le 1$ and $\\chi_J \\ge 1 + 2(1 - \\chi_\\Delta)$.",
        (
            Check(
                "$a_0^2 = \\langle r f \\rangle^2/s$, which is $\\chi_\\Delta c$",
                gammasimp(first**2 - chi_delta * s / sigma_w**2),
            ),
        ),
    )
