"""Two inputs to a U(1)-equivariant network: from the covariance matrix to the correlation map, paper Eq. (41) to (49).

One convention for the phase is used throughout, that of Eq. (10): C_12 is the average of phi(z_1) phi(z_2)^dagger. The
paper's appendix switches between this and its complex conjugate; every place is marked where it does.
"""

from __future__ import annotations

from functools import cache

from sympy import (
    Eq,
    Expr,
    I,
    ImmutableMatrix,
    Integral,
    MatMul,
    Matrix,
    Rational,
    Symbol,
    Tuple,
    besseli,
    binomial,
    cancel,
    cos,
    diff,
    exp,
    expand,
    expand_trig,
    factor,
    factorial,
    gamma,
    gammasimp,
    hessian,
    integrate,
    oo,
    pi,
    piecewise_fold,
    powsimp,
    series,
    simplify,
    sin,
    sqrt,
    summation,
)

from meanfield.symbolic.averages import isotropic_average
from meanfield.symbolic.derivation import Check, Derivation, Slip, Step
from meanfield.symbolic.gaussian import ComplexVariable, gaussian_integral
from meanfield.symbolic.symbols import Delta, Delta_next, c, f, phi, r, rho, s, sigma_w, t

r1, r2, u1, u2 = (Symbol(name, positive=True) for name in ("r_1", "r_2", "u_1", "u_2"))
theta1, theta2, delta = (Symbol(name, real=True) for name in ("theta_1", "theta_2", "delta"))
kappa = Symbol("kappa", positive=True)
_m = Symbol("m", integer=True, nonnegative=True)
_det = c**2 - Delta**2
_covariance = Matrix([[c, Delta * exp(I * phi)], [Delta * exp(-I * phi), c]])
_quadratic_form = Symbol(r"Z^\dagger C^{-1} Z")


@cache
def two_inputs() -> Derivation:
    """Derive the correlation map of a U(1)-equivariant network and its conserved phase, paper Eq. (41) to (49)."""
    return Derivation(
        "Two inputs: the phase is conserved, the magnitude is not",
        "Two inputs go through the same network. Their preactivations are jointly Gaussian, and the question is what "
        "one layer does to their covariance $\\Delta e^{i\\varphi}$. Both inputs have the same $c$, and the letters "
        "on the right-hand sides stand for layer $l$.",
        (
            _covariance_matrix(),
            _inverse(),
            _density(),
            _polar(),
            _phase_conservation(),
            _angular_integral(),
            _radial_integral(),
            _change_of_variables(),
            _correlation_map(),
            _linear_network(),
            _small_covariance(),
        ),
    )


def _covariance_matrix() -> Step:
    first, second = Symbol(r"\alpha_a", real=True), Symbol(r"\alpha_b", real=True)
    # phi(z_a) phi(z_b)^dagger picks up this factor when the inputs are rotated.
    factor_of_covariance = exp(I * first) * exp(-I * second)

    def left(shift: Expr) -> Expr:
        return expand(powsimp(factor_of_covariance * exp(-I * shift))) - 1

    return Step(
        "41",
        "The covariance of two inputs",
        Eq(Symbol("C"), ImmutableMatrix(_covariance), evaluate=False),
        "$C_{ab}$ is the average of $\\phi(z_a) \\phi(z_b)^\\dagger$ over the layer, as in Eq. (10). Rotating one "
        "input turns its off-diagonal entry by the same angle: $\\varphi$ is a direction that costs nothing, a "
        "Goldstone mode.",
        (),
        (
            Slip(
                "Eq. (39) defines the complex conjugate of Eq. (10). Appendix C keeps to it: the shift $\\varphi \\to "
                "-\\alpha_a + \\alpha_b$ of Eq. (42) is right there. With Eq. (10), as here, it is $\\varphi \\to "
                "\\varphi + \\alpha_a - \\alpha_b$. The residual is the phase factor of $C_{ab}$ of Eq. (10) times "
                "$e^{-i \\times \\text{shift}}$, minus one",
                left(first - second),
                left(second - first),
            ),
        ),
    )


def _inverse() -> Step:
    inverse = _covariance.inv().applyfunc(factor)
    adjugate = (inverse * _det).applyfunc(simplify)
    unit = (_covariance * adjugate / _det - Matrix.eye(2)).applyfunc(simplify)
    return Step(
        "44",
        "Its inverse",
        Eq(Symbol("C^{-1}"), MatMul(1 / _det, ImmutableMatrix(adjugate), evaluate=False), evaluate=False),
        "The inverse exists as long as the two inputs are not the same up to a phase, $\\Delta < c$.",
        (
            Check("$C\\,C^{-1} = 1$", sum(abs(entry) for entry in unit)),
            Check("$\\det C = c^2 - \\Delta^2$", simplify(_covariance.det() - _det)),
        ),
    )


def _exponent(z1: Expr, z2: Expr, z1_conjugate: Expr, z2_conjugate: Expr) -> Expr:
    """Z^dagger C^{-1} Z, with C of Eq. (10)."""
    inverse = Matrix([[c, -Delta * exp(I * phi)], [-Delta * exp(-I * phi), c]]) / _det
    return expand((Matrix([[z1_conjugate, z2_conjugate]]) * inverse * Matrix([z1, z2]))[0])


def _density() -> Step:
    z1, z2 = ComplexVariable("z_1"), ComplexVariable("z_2")
    # Cartesian parts of the off-diagonal entry keep everything rational.
    entry = ComplexVariable(r"\Delta")
    inverse = Matrix([[c, entry.value], [entry.conjugate, c]]).inv()
    form = (Matrix([[z1.conjugate, z2.conjugate]]) * inverse * Matrix([z1.value, z2.value]))[0]
    form = cancel(expand(form)) / sigma_w**2
    parts = [*z1.parts, *z2.parts]
    amplitude, _ = gaussian_integral(-form, *parts)
    det = c**2 - entry.modulus_squared
    x1, y1, x2, y2 = range(4)
    covariance = hessian(form, parts).applyfunc(cancel).inv().applyfunc(cancel)

    def against(sign: int) -> Expr:
        """E of (x_1 + sign i y_1)(x_2 - sign i y_2), for phi(z) = z, against sigma_w^2 C_12."""
        real = covariance[x1, x2] + covariance[y1, y2]
        moment = real + sign * I * (covariance[y1, x2] - covariance[x1, y2])
        left = cancel(moment / sigma_w**2 - entry.value)
        return expand(left.subs(dict(zip(entry.parts, (Delta * cos(phi), Delta * sin(phi)), strict=True))))

    return Step(
        "45",
        "The density of the preactivations",
        Eq(Symbol("p(Z)"), exp(-_quadratic_form / sigma_w**2) / (pi**2 * sigma_w**4 * _det)),
        "Given $C$ of one layer, the pair $Z = (z_1, z_2)$ of the next is Gaussian with covariance $\\sigma_w^2 C$, "
        "and $\\Delta^{l+1} e^{i\\varphi^{l+1}}$ is the average of $\\phi(z_1)\\phi(z_2)^\\dagger$.",
        (Check("the density is normalised", cancel(amplitude**2 / (pi**2 * sigma_w**4 * det) ** 2 - 1)),),
        (
            Slip(
                "Eq. (45) averages $\\phi^\\dagger(z_a)\\phi(z_b)$, as in Eq. (39), with the exponent $Z^\\dagger "
                "C^{-1} Z$ of the conjugate Eq. (10), which flips the sign of $\\varphi$ in every layer. With Eq. (39) "
                "it is $Z^T C^{-1} Z^*$, as in Eq. (40); with Eq. (10), as here, $\\phi(z_a)\\phi^\\dagger(z_b)$. The "
                "residual is that of $C_{12}$, for $\\phi(z) = z$, which must come back as $\\sigma_w^2 C_{12}$",
                against(1),
                against(-1),
            ),
        ),
    )


def _polar_form() -> Expr:
    """Z^dagger C^{-1} Z in polar coordinates, as it comes out of the matrix product."""
    z1, z2 = r1 * exp(I * theta1), r2 * exp(I * theta2)
    return _exponent(z1, z2, r1 * exp(-I * theta1), r2 * exp(-I * theta2))


def _polar() -> Step:
    computed = _polar_form()
    ours = (c * (r1**2 + r2**2) - 2 * Delta * r1 * r2 * cos(theta1 - theta2 - phi)) / _det

    def against(form: Expr) -> Expr:
        return factor(powsimp(expand((form - computed).rewrite(exp))))

    flipped = ours.subs(cos(theta1 - theta2 - phi), cos(phi + delta))
    straight = ours.subs(cos(theta1 - theta2 - phi), cos(delta - phi))
    return Step(
        "46",
        "Polar coordinates",
        Eq(_quadratic_form, ours),
        "With $z_a = r_a e^{i\\theta_a}$ only the difference of the two angles appears, and the exponent favours "
        "$\\theta_1 - \\theta_2 = \\varphi$: that is what a covariance with phase $\\varphi$ means.",
        (Check("the matrix product of Eq. (44) with $Z$", against(ours)),),
        (
            Slip(
                "the first term is printed with $c^2$, where Eq. (44) and (47) give $c$ (and a $c^2$ would not have "
                "the right units). The residual is that of the exponent",
                against(ours),
                against(ours + (c**2 - c) * (r1**2 + r2**2) / _det),
            ),
            Slip(
                "the angle is printed as $\\varphi + \\theta_1 - \\theta_2$, which is that of $Z^T C^{-1} Z^*$ and so "
                "of Eq. (39) and (40), beside $Z^\\dagger C^{-1} Z$. The residual is that of the exponent, with "
                "$\\delta = \\theta_1 - \\theta_2$",
                against(ours),
                factor(expand_trig(flipped - straight)),
            ),
        ),
    )


def _phase_conservation() -> Step:
    shifted = (_polar_form()).subs(theta1, theta1 + phi)
    overlap = exp(I * (theta1 - theta2)).subs(theta1, theta1 + phi)
    phi_next = Symbol(r"\varphi^{l+1}", real=True)
    return Step(
        "43",
        "The phase is conserved",
        Eq(phi_next, phi),
        "Shift $\\theta_1 \\to \\theta_1 + \\varphi$. The phase leaves the exponent and comes out in front, from "
        "$\\phi(z_1) \\to e^{i\\varphi} \\phi(z_1)$. What remains is real, because $\\theta_1 - \\theta_2$ can be "
        "reflected: it is $\\Delta^{l+1}$. Equivariance is all that was used.",
        (
            Check("after the shift the exponent does not depend on $\\varphi$", simplify(diff(shifted, phi))),
            Check(
                "and the average gains the factor $e^{i\\varphi}$",
                simplify(overlap - exp(I * phi) * exp(I * (theta1 - theta2))),
            ),
        ),
    )


def even_cosine_integral(m: Expr | int) -> Expr:
    """int_0^{2 pi} cos(delta)^(2 m + 2) d delta = 2 pi binom(2 m + 2, m + 1)/4^(m + 1)."""
    return 2 * pi * binomial(2 * m + 2, m + 1) / 4 ** (m + Rational(1))


def _angular_integral() -> Step:
    total = summation(kappa ** (2 * _m + 1) / factorial(2 * _m + 1) * even_cosine_integral(_m), (_m, 0, oo))
    jacobian = Matrix([theta1 - theta2, (theta1 + theta2) / 2]).jacobian([theta1, theta2]).det()
    power = cos(delta) ** (2 * _m + 3) * sin(delta)
    wallis = diff(power, delta) - ((2 * _m + 4) * cos(delta) ** 2 - (2 * _m + 3)) * cos(delta) ** (2 * _m + 2)
    ratio = even_cosine_integral(_m + 1) / even_cosine_integral(_m) - (2 * _m + 3) / (2 * _m + 4)
    return Step(
        "47a",
        "The angular integral",
        Eq(Integral(exp(kappa * cos(delta) + I * delta), (delta, 0, 2 * pi)), total),
        "With $\\delta = \\theta_1 - \\theta_2$ and $\\Sigma = (\\theta_1 + \\theta_2)/2$ the integral over $\\Sigma$ "
        "gives $2\\pi$. For $\\delta$, expand $e^{\\kappa\\cos\\delta}$: only even powers of the cosine survive, "
        "$\\int \\cos^{2m+2}\\delta\\, d\\delta = 2\\pi \\binom{2m+2}{m+1}/4^{m+1}$, and their sum is a Bessel "
        "function.",
        (
            Check("the change of angles has unit Jacobian", jacobian - 1),
            Check("$m = 0$", integrate(cos(delta) ** 2, (delta, 0, 2 * pi)) - even_cosine_integral(0)),
            Check(
                "integrating by parts lowers $\\cos^{2m+4}$ to $\\frac{2m+3}{2m+4} \\cos^{2m+2}$",
                simplify(wallis.subs(sin(delta) ** 2, 1 - cos(delta) ** 2)),
            ),
            Check("and so does the formula, hence it holds for every $m$", gammasimp(ratio.rewrite(gamma))),
            Check("the sum", total - 2 * pi * besseli(1, kappa)),
        ),
    )


def _integrand_47() -> Expr:
    weight = exp(-c * (r1**2 + r2**2) / (sigma_w**2 * _det))
    return r1 * r2 * weight * besseli(1, 2 * r1 * r2 * Delta / (sigma_w**2 * _det)) * f(r1) * f(r2)


def _radial_integral() -> Step:
    strength = 2 * Delta * r1 * r2 / (sigma_w**2 * _det)
    exponent = -(c * (r1**2 + r2**2) - 2 * Delta * r1 * r2 * cos(delta)) / (sigma_w**2 * _det)
    separated = -c * (r1**2 + r2**2) / (sigma_w**2 * _det) + strength * cos(delta)
    prefactor = 2 * pi * 2 * pi / (pi**2 * sigma_w**4 * _det)
    return Step(
        "47",
        "Only the radii are left",
        Eq(
            Delta_next,
            4 / (_det * sigma_w**4) * Integral(_integrand_47(), (r1, 0, oo), (r2, 0, oo)),
        ),
        "The angular integral of the last step with $\\kappa = 2 r_1 r_2 \\Delta/(\\sigma_w^2 (c^2 - \\Delta^2))$. "
        "The paper writes it for $f = \\tanh$.",
        (
            Check("$\\kappa\\cos\\delta$ is the angular part of the exponent", simplify(exponent - separated)),
            Check("normalisation times two angular factors $2\\pi$", simplify(prefactor - 4 / (_det * sigma_w**4))),
        ),
    )


_alpha = sqrt(c) / (sigma_w * sqrt(_det))


def _change_of_variables() -> Step:
    exponent = -c * (r1**2 + r2**2) / (sigma_w**2 * _det)
    printed = -(c**2) * (r1**2 + r2**2) / (sigma_w**2 * _det)  # what Eq. (46) would have given
    to_u = {r1: u1 / _alpha, r2: u2 / _alpha}

    def against(expression: Expr) -> Expr:
        return factor(simplify(expression.subs(to_u) + u1**2 + u2**2))

    alpha, u_a, r_a = Symbol("alpha"), Symbol("u_a"), Symbol("r_a")
    return Step(
        "48",
        "Radii in units of their width",
        Tuple(Eq(u_a, alpha * r_a), Eq(alpha, _alpha)),
        "The scale that makes the Gaussian weight $e^{-u_1^2 - u_2^2}$.",
        (),
        (
            Slip(
                "with the $c^2$ of Eq. (46) the weight would not come out as $e^{-u_1^2 - u_2^2}$. The residual is "
                "that of its exponent",
                against(exponent),
                against(printed),
            ),
        ),
    )


def _correlation_map() -> Step:
    integrand = u1 * u2 * exp(-(u1**2) - u2**2) * besseli(1, 2 * u1 * u2 * Delta / c) * f(u1 / _alpha) * f(u2 / _alpha)
    before = 4 / (_det * sigma_w**4) * _integrand_47().subs({r1: u1 / _alpha, r2: u2 / _alpha}) / _alpha**2
    after = 4 * _det / c**2 * integrand
    return Step(
        "49",
        "The correlation map",
        Eq(Delta_next, 4 * _det / c**2 * Integral(integrand, (u1, 0, oo), (u2, 0, oo))),
        "How the magnitude of the covariance goes from one layer to the next. It depends on $\\Delta$ only through "
        "$\\rho = \\Delta/c$, apart from the scale $s = \\sigma_w^2 c$ of the radii.",
        (Check("substituting Eq. (48) in Eq. (47)", simplify(simplify(before / after) - 1)),),
    )


def _linear_network() -> Step:
    # Term m of I_1(2 u1 u2 rho), each u integral being (m + 1)!/2.
    radial = integrate(t ** (_m + 1) * exp(-t), (t, 0, oo), conds="none") / 2  # t = u^2
    term = (radial**2 / (gamma(_m + 1) * gamma(_m + 2)) * rho ** (2 * _m + 1)).rewrite(gamma)
    term = gammasimp(term)
    # The sum converges for |rho| < 1, the first branch of what sympy returns.
    total = piecewise_fold(summation(term, (_m, 0, oo))).args[0][0].subs(rho, Delta / c)
    value = simplify(4 * _det / c**2 * total / _alpha**2)
    return Step(
        "49a",
        "A linear network",
        Eq(Delta_next, value),
        "A first test: for $f(r) = r$ nothing is lost but the overall scale. The Bessel function is expanded and "
        "integrated term by term.",
        (
            Check(
                "every correlation is kept, $\\Delta^{l+1} = \\sigma_w^2 \\Delta$", simplify(value - sigma_w**2 * Delta)
            ),
        ),
    )


def _small_covariance() -> Step:
    first = series(besseli(1, 2 * u1 * u2 * rho), rho, 0, 2).removeO().coeff(rho, 1)
    overlap = isotropic_average(r * f(r), 2)
    radial = (u1**2 * exp(-(u1**2)) * f(u1 * sqrt(s))).subs(u1, sqrt(t)) / (2 * sqrt(t))
    return Step(
        "49b",
        "Small covariance",
        Eq(Symbol(r"\chi_\Delta"), overlap**2 * sigma_w**2 / s**2),
        "To first order in $\\Delta$ the two radii decouple, and $\\Delta^{l+1} = \\chi_\\Delta \\Delta$ with "
        "$\\chi_\\Delta = \\langle r f \\rangle^2 / (\\sigma_w^2 c^2)$: the number behind the depth scale "
        "$\\xi_\\Delta = -1/\\log\\chi_\\Delta$.",
        (
            Check("$I_1(2 u_1 u_2 \\rho) = u_1 u_2 \\rho + \\ldots$", first - u1 * u2),
            Check(
                "$2 \\sqrt{s} \\int du\\, u^2 e^{-u^2} f(u\\sqrt{s}) = \\langle r f \\rangle$",
                simplify(2 * sqrt(s) * radial - overlap.function),
            ),
        ),
    )
