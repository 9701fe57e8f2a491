"""One input, any capsule dimension, any smooth odd activation: paper Eq. (35), (36), (37), step by step."""

from __future__ import annotations

from sympy import (
    Add,
    Eq,
    Expr,
    Function,
    Integral,
    Order,
    Symbol,
    cancel,
    diff,
    exp,
    expand,
    gamma,
    gammasimp,
    integrate,
    oo,
    pi,
    powsimp,
    simplify,
    solve,
    sqrt,
    together,
)

from meanfield.symbolic.arguments import as_dimension
from meanfield.symbolic.averages import even_moment, isotropic_average
from meanfield.symbolic.derivation import Check, Derivation, Step
from meanfield.symbolic.length_map import compose, fixed_point_series, length_map_series, susceptibility_series
from meanfield.symbolic.symbols import D, c, c_next, c_star, epsilon, f, r, s, sigma_w, t, u


def one_input(activation: str | Expr = "tanh", order: int = 2, dimension: Expr | int = D) -> Derivation:
    """Derive the length map and its fixed point near the transition, paper Eq. (35) to (37).

    Parameters
    ----------
    activation : str or Expr
        See `taylor_coefficients`; "generic" keeps f_1, f_3, ... as symbols.
    order : int
        The order in epsilon of the fixed point; the length map goes one order further.
    dimension : Expr or int
        The capsule dimension, an integer or a symbol.

    Raises
    ------
    ValueError
        As :func:`fixed_point_series`.
    """
    dimension = as_dimension(dimension)
    return Derivation(
        "The length map, its expansion and its fixed point",
        "A preactivation is an isotropic Gaussian vector in $\\mathbb{R}^D$ with mean squared radius $s = \\sigma_w^2 "
        "c$; $U(1)$ has $D = 2$ and $O(k)$ has $D = k$. The only thing that matters about the symmetry here is $D$.",
        (
            _radial(dimension),
            _gamma_average(dimension),
            _moments(dimension),
            _expansion(activation, order, dimension),
            _fixed_point(activation, order, dimension),
            _relaxation(activation, order, dimension),
            _correlation_decay(activation, order, dimension),
            _jacobian(activation, order, dimension),
            _anisotropy(activation, order, dimension),
        ),
    )


def _radial(dimension: Expr) -> Step:
    sphere = 2 * pi ** (D / 2) / gamma(D / 2)
    density = (D / (2 * pi * s)) ** (D / 2) * exp(-D * r**2 / (2 * s))
    scale = sqrt(2 * s / D)
    weight = powsimp(simplify((sphere * r ** (D - 1) * density).subs(r, u * scale) * scale), force=True)
    ours = 2 * u ** (D - 1) * exp(-(u**2)) / gamma(D / 2)
    integrand = (ours * f(u * scale) ** 2).subs(D, dimension)
    printed = 2 * u * exp(-(u**2)) * f(u * sqrt(s)) ** 2
    return Step(
        "35",
        "Only the radius matters",
        Eq(c_next, Integral(integrand, (u, 0, oo))),
        "In Eq. (34) the integrand depends on the radius alone. The angles give the area of the unit sphere in "
        "$\\mathbb{R}^D$, and $r = u \\sqrt{2s/D}$ removes the scale; at $D = 2$ this is the paper's Eq. (35).",
        (
            Check("shell area times Gaussian density gives this weight", simplify(weight / ours - 1)),
            Check("the weight integrates to one", gammasimp(integrate(ours, (u, 0, oo)) - 1)),
            Check(
                "at $D = 2$ it is Eq. (35) as printed",
                simplify((ours * f(u * scale) ** 2).subs(D, 2) - printed),
            ),
        ),
    )


def _gamma_average(dimension: Expr) -> Step:
    general = isotropic_average(f(r) ** 2)
    old = (2 * u ** (D - 1) * exp(-(u**2)) * f(u * sqrt(2 * s / D)) ** 2 / gamma(D / 2)).subs(u, sqrt(t))
    return Step(
        "35a",
        "The same in the variable t",
        Eq(c_next, isotropic_average(f(r) ** 2, dimension)),
        "With $t = u^2$ the weight is that of a Gamma variable, $t \\sim \\Gamma(D/2)$. All averages $\\langle \\cdot "
        "\\rangle$ below are over this $t$, with $r^2 = 2 s t/D$.",
        (Check("substituting $u = \\sqrt{t}$", simplify(old / (2 * sqrt(t)) - general.function)),),
    )


def _moments(dimension: Expr) -> Step:
    m = Symbol("m", integer=True, nonnegative=True)
    moment = gammasimp(integrate(t**m * t ** (D / 2 - 1) * exp(-t), (t, 0, oo), conds="none") / gamma(D / 2))
    general = (2 * s / D) ** m * moment
    checks = tuple(
        Check(
            f"$m = {n}$ agrees with the product $s^m \\prod_{{j<m}} (D + 2j)/D$",
            simplify(gammasimp(general.subs(m, n)) - even_moment(n)),
        )
        for n in (1, 2, 3)
    )
    return Step(
        "36a",
        "Moments of the radius",
        Eq(Symbol(r"\left\langle r^{2m} \right\rangle"), general.subs(D, dimension)),
        "The moments of a Gamma variable. They grow like a factorial of $m$, and that is why the series below are "
        "asymptotic and not convergent, except where the Taylor coefficients of $f$ fall off just as fast.",
        checks,
    )


def _expansion(activation: str | Expr, order: int, dimension: Expr) -> Step:
    printed = c * sigma_w**2 - 4 * c**2 * sigma_w**4 / 3
    ours = length_map_series("tanh", 2, 2).subs(s, sigma_w**2 * c)
    return Step(
        "36",
        "The length map at small c",
        Eq(c_next, length_map_series(activation, order + 1, dimension)),
        "Squaring the Taylor series of $f$ and averaging term by term, with $s = \\sigma_w^2 c$. The first term "
        "multiplies $c$ by $\\sigma_w^2 f'(0)^2$: below one the signal dies out, above one it grows until the next "
        "term stops it.",
        (Check("for tanh at $D = 2$ the first two terms are Eq. (36) as printed", expand(ours - printed)),),
        remainder=Order(s ** (order + 2)),
    )


def _fixed_point(activation: str | Expr, order: int, dimension: Expr) -> Step:
    level = fixed_point_series(activation, order, dimension)
    # Back into the length map: with sigma_w^2 = (1 + epsilon)/f_1^2, F(sigma_w^2 c*) - c* must vanish to this order.
    slope_squared = length_map_series(activation, 1, dimension) / s
    length_map = length_map_series(activation, order + 1, dimension)
    left = compose(length_map, expand((1 + epsilon) * level / slope_squared), order + 1) - level
    leading = fixed_point_series("tanh", 1, 2)
    second = fixed_point_series("tanh", 2, 2)
    distance = sigma_w**2 - 1
    return Step(
        "37",
        "The fixed point just above the transition",
        Eq(c_star, level),
        "Solving $c^* = F(\\sigma_w^2 c^*)$ order by order in the distance from the transition, $\\epsilon = "
        "\\sigma_w^2 f'(0)^2 - 1$. $c^*$ grows linearly and the typical activation $\\sqrt{c^*}$ like "
        "$\\sqrt{\\epsilon}$: the exponent of a mean-field theory.",
        (
            Check("put back into the length map, it solves it to this order", _truncated(left, order + 1)),
            Check(
                "for tanh at $D = 2$ the leading term is Eq. (37) as printed",
                expand(leading.subs(epsilon, distance) - 3 * distance / 4),
            ),
            Check(
                "its next order is that of the length map to $c^3$; Eq. (36), which ends at $c^2$, has the leading one",
                second.coeff(epsilon, 2) - _second_order(length_map_series("tanh", 3, 2)),
            ),
        ),
        remainder=Order(epsilon ** (order + 1)),
    )


def _second_order(length_map: Expr) -> Expr:
    """Coefficient of epsilon^2 of the fixed point of a truncated length map s + b_2 s^2 + ..., with slope one."""
    first, second = Symbol("a_1"), Symbol("a_2")
    level = first * epsilon + second * epsilon**2
    left = expand(length_map.subs(s, (1 + epsilon) * level) - level)
    (one,) = (root for root in solve(left.coeff(epsilon, 2), first) if root != 0)
    (two,) = solve(left.coeff(epsilon, 3).subs(first, one), second)
    return two


def _truncated(expression: Expr, order: int) -> Expr:
    """The polynomial part of an expression in epsilon through epsilon^order, simplified."""
    expression = expand(expression)
    return Add(*(cancel(together(expression.coeff(epsilon, n))) * epsilon**n for n in range(order + 1)))


def _relaxation(activation: str | Expr, order: int, dimension: Expr) -> Step:
    chi = susceptibility_series("chi_c", activation, order, dimension)
    slope = length_map_series(activation, order + 1, dimension)
    unit = slope.coeff(s, 1)  # f'(0)^2
    level = fixed_point_series(activation, order, dimension)
    along = compose(diff(slope, s), expand((1 + epsilon) * level / unit), order) * (1 + epsilon) / unit
    return Step(
        "37a",
        "How fast the order parameter settles",
        Eq(Symbol(r"\chi_c"), chi),
        "The slope of the length map at its fixed point, $\\chi_c = dc^{l+1}/dc^l = \\langle f f' r \\rangle / c^*$. "
        "It starts as $1 - \\epsilon$ for every activation that bends at third order and every $D$, so the depth "
        "scale $\\xi_c = -1/\\log \\chi_c$ is close to $1/\\epsilon$.",
        (Check("differentiating the length map gives the same", _truncated(along - chi, order)),),
        remainder=Order(epsilon ** (order + 1)),
    )


def _correlation_decay(activation: str | Expr, order: int, dimension: Expr) -> Step:
    chi = susceptibility_series("chi_delta", activation, max(order, 2), dimension)
    universal = 1 - epsilon**2 / (2 * (D + 2))
    return Step(
        "37b",
        "How fast two inputs forget each other",
        Eq(Symbol(r"\chi_\Delta"), chi),
        "The factor by which a small covariance $\\Delta$ shrinks per layer, $\\chi_\\Delta = \\langle r f \\rangle^2 "
        "/ (\\sigma_w^2 c^{*2})$. It misses one only at second order: near the transition $\\xi_\\Delta \\approx "
        "2(D+2)/\\epsilon^2$ is much longer than $\\xi_c$, and grows with the capsule dimension.",
        (
            Check(
                "$1 - \\chi_\\Delta = \\epsilon^2/(2(D+2)) + \\ldots$ for every activation (found with $f_1, f_3, "
                "f_5$ as symbols)",
                expand(susceptibility_series("chi_delta", "generic", 2) - universal),
            ),
        ),
        remainder=Order(epsilon ** (max(order, 2) + 1)),
    )


def _jacobian(activation: str | Expr, order: int, dimension: Expr) -> Step:
    chi = susceptibility_series("chi_jacobian", activation, max(order, 2), dimension)
    decay = susceptibility_series("chi_delta", "generic", 3)
    growth = susceptibility_series("chi_jacobian", "generic", 3)
    return Step(
        "37c",
        "How gradients grow",
        Eq(Symbol(r"\chi_J"), chi),
        "The mean squared singular value of a layer's Jacobian, $\\chi_J = (\\sigma_w^2/D) \\langle f'^2 + "
        "(D-1)(f/r)^2 \\rangle$: one amplitude direction, $f'$, and $D - 1$ angular ones, $f/r$. It exceeds one in "
        "the whole broken phase: 'chaos' in the classical sense, with or without equivariance.",
        (
            Check(
                "$\\chi_J - 1 = 2(1 - \\chi_\\Delta)$ through third order, for every activation",
                _truncated(growth - 1 - 2 * (1 - decay), 3),
            ),
        ),
        remainder=Order(epsilon ** (max(order, 2) + 1)),
    )


def _anisotropy(activation: str | Expr, order: int, dimension: Expr) -> Step:
    chi = susceptibility_series("chi_gram", activation, order, dimension)
    relaxation = susceptibility_series("chi_c", activation, order, dimension)
    g = Function("g")
    weight = t ** (D / 2 - 1) * exp(-t)
    by_parts = diff(t * weight * g(t), t) - weight * (D / 2 * g(t) + t * diff(g(t), t) - t * g(t))
    return Step(
        "37d",
        "How fast an O(k) capsule becomes isotropic",
        Eq(Symbol(r"\chi_G"), chi),
        "For $O(k)$, $k = D \\ge 2$, the $k \\times k$ Gram matrix of one input need not be isotropic; its traceless "
        "part shrinks by $\\chi_G = D \\langle f^2 r^2 \\rangle / ((D+2) \\sigma_w^2 c^{*2})$ per layer. Integrating "
        "by parts, $\\langle f^2 r^2 \\rangle = s c^* (1 + 2\\chi_c/D)$, so $\\chi_G = (D + 2\\chi_c)/(D + 2)$ "
        "exactly: nothing new has to be measured.",
        (
            Check(
                "$\\langle t g \\rangle = \\tfrac{D}{2} \\langle g \\rangle + \\langle t g' \\rangle$, since the "
                "difference is a total derivative",
                simplify(by_parts),
            ),
            Check(
                "the two series agree, $\\chi_G = (D + 2\\chi_c)/(D+2)$",
                _truncated((dimension + 2) * chi - dimension - 2 * relaxation, order),
            ),
        ),
        remainder=Order(epsilon ** (order + 1)),
    )
