"""Series of the length map, of the fixed point and of the susceptibilities, against integrals in multiple precision."""

import mpmath
import pytest
from mpmath import mp, mpf
from sympy import Rational, Symbol, asin, atan, erf, exp, lambdify, log, pi, series, simplify, sin, sqrt, symbols, tanh

from meanfield.symbolic import (
    even_moment,
    fixed_point_series,
    isotropic_average,
    length_map_series,
    one_input,
    susceptibility_series,
    taylor_coefficients,
)
from meanfield.symbolic.length_map import compose
from meanfield.symbolic.symbols import D, epsilon, f, r, s

NUMERIC = {
    "tanh": (mp.tanh, lambda x: mp.sech(x) ** 2),
    "erf": (mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "algebraic": (lambda x: x / mp.sqrt(1 + x * x), lambda x: (1 + x * x) ** mpf(-1.5)),
}


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(30):
        yield


def radial(integrand, dimension, scale):
    """< g(r) > over an isotropic Gaussian in R^D with E r^2 = scale, by quadrature over the radius."""
    half = mpf(dimension) / 2
    width = mp.sqrt(scale / half)
    density = lambda y: 2 * y ** (dimension - 1) * mp.exp(-y * y) / mp.gamma(half)  # noqa: E731
    return mp.quad(lambda y: density(y) * integrand(width * y), [0, 1, 2.5, 9])


def at_fixed_point(name, dimension, distance):
    """c* and the four susceptibilities by quadrature and root finding, at sigma_w^2 f'(0)^2 = 1 + distance."""
    value, slope = NUMERIC[name]
    gain = (1 + mpf(distance)) / slope(mpf(0)) ** 2  # sigma_w^2

    def excess(level):
        return radial(lambda x: value(x) ** 2, dimension, gain * level) / level - 1

    guess = mpf(distance) * slope(mpf(0)) ** 2 * 3 * dimension / (2 * (dimension + 2))
    level = mp.findroot(excess, (guess / 2, guess), solver="secant")
    average = lambda g: radial(g, dimension, gain * level)  # noqa: E731
    return {
        "c": level,
        "chi_c": average(lambda x: value(x) * slope(x) * x) / level,
        "chi_delta": average(lambda x: x * value(x)) ** 2 / (gain * level**2),
        "chi_jacobian": gain / dimension * average(lambda x: slope(x) ** 2 + (dimension - 1) * (value(x) / x) ** 2),
        "chi_gram": dimension * average(lambda x: (value(x) * x) ** 2) / ((dimension + 2) * gain * level**2),
    }


def test_paper_eq_36():
    assert length_map_series("tanh", 2, 2) == s - Rational(4, 3) * s**2


def test_first_coefficients_for_any_dimension():
    # f^2 = r^2 - (2/3) r^4 + (17/45) r^6, <r^4> = s^2 (D+2)/D, <r^6> = s^3 (D+2)(D+4)/D^2.
    expected = s - Rational(2, 3) * (D + 2) / D * s**2 + Rational(17, 45) * (D + 2) * (D + 4) / D**2 * s**3
    assert simplify(length_map_series("tanh", 3) - expected) == 0
    # D to infinity: the radius no longer fluctuates, c' = f(sqrt(s))^2.
    limit = length_map_series("tanh", 5).subs(D, 10**30)
    smooth = series(tanh(r) ** 2, r, 0, 11).removeO().subs(r, sqrt(s))
    for n in range(1, 6):
        assert float(limit.coeff(s, n) / smooth.coeff(s, n)) == pytest.approx(1, abs=1e-12)


def test_arcsine_length_map_to_high_order():
    exact = series(2 / pi * asin(2 * s / (1 + 2 * s)), s, 0, 9).removeO()
    assert simplify(length_map_series("erf", 8, 1) - exact) == 0


def test_generic_activation():
    f1, f3, f5 = Symbol("f_1", positive=True), Symbol("f_3", real=True), Symbol("f_5", real=True)
    third = (2 * f1 * f5 + f3**2) * (D + 2) * (D + 4) / D**2
    expected = f1**2 * s + 2 * f1 * f3 * (D + 2) / D * s**2 + third * s**3
    assert simplify(length_map_series("generic", 3) - expected) == 0
    # Substituting the coefficients of arctan gives the series of arctan.
    arctan = {f1: 1, f3: -Rational(1, 3), f5: Rational(1, 5)}
    assert simplify(length_map_series("generic", 3).subs(arctan) - length_map_series(atan(r), 3)) == 0


@pytest.mark.parametrize(
    ("name", "dimension", "order"), [("tanh", 1, 3), ("tanh", 5, 6), ("erf", 2, 5), ("algebraic", 3, 4)]
)
def test_length_map_against_quadrature(name, dimension, order):
    function = lambdify(s, length_map_series(name, order, dimension), "mpmath")
    following = length_map_series(name, order + 1, dimension).coeff(s, order + 1)
    scale = mpf(1) / 2000
    error = radial(lambda x: NUMERIC[name][0](x) ** 2, dimension, scale) - function(scale)
    assert float(error / (mpf(str(following.evalf(25))) * scale ** (order + 1))) == pytest.approx(1, abs=0.05)


def test_even_moments():
    assert even_moment(0) == 1
    assert simplify(even_moment(3) - s**3 * (D + 2) * (D + 4) / D**2) == 0
    assert even_moment(2, 1) == 3 * s**2
    assert even_moment(2, 2) == 2 * s**2


def test_isotropic_average_lambdifies():
    mean = isotropic_average(tanh(r) ** 2, 3)
    value = lambdify(s, mean, "mpmath")(mpf(1) / 2)
    assert float(value - radial(lambda x: mp.tanh(x) ** 2, 3, mpf(1) / 2)) == pytest.approx(0, abs=1e-14)
    assert isotropic_average(f(r), 2).has(f)


def test_paper_eq_37_and_the_next_order():
    assert fixed_point_series("tanh", 1, 2) == Rational(3, 4) * epsilon
    # By hand from c = s - (4/3) s^2 + (34/15) s^3 with s = (1 + epsilon) c.
    assert fixed_point_series("tanh", 2, 2) == Rational(3, 4) * epsilon - Rational(87, 160) * epsilon**2


@pytest.mark.parametrize(
    ("name", "dimension", "order"), [("tanh", 2, 1), ("tanh", 2, 4), ("tanh", 7, 3), ("erf", 1, 2), ("algebraic", 3, 3)]
)
def test_fixed_point_against_quadrature(name, dimension, order):
    function = lambdify(epsilon, fixed_point_series(name, order, dimension), "mpmath")
    following = fixed_point_series(name, order + 1, dimension).coeff(epsilon, order + 1)
    distance = mpf(1) / 500
    error = at_fixed_point(name, dimension, distance)["c"] - function(distance)
    expected = mpf(str(following.evalf(25))) * distance ** (order + 1)
    assert float(error / expected) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("name", "dimension"), [("tanh", 2), ("tanh", 5), ("erf", 3), ("algebraic", 1)])
def test_susceptibilities_against_quadrature(name, dimension):
    distance, order = mpf(1) / 500, 3
    exact = at_fixed_point(name, dimension, distance)
    for chi in ("chi_c", "chi_delta", "chi_jacobian", "chi_gram"):
        function = lambdify(epsilon, susceptibility_series(chi, name, order, dimension), "mpmath")
        following = susceptibility_series(chi, name, order + 1, dimension).coeff(epsilon, order + 1)
        expected = mpf(str(following.evalf(25))) * distance ** (order + 1)
        assert float((exact[chi] - function(distance)) / expected) == pytest.approx(1, abs=0.1), chi


def test_universal_leading_orders():
    # For any smooth odd activation, and any D: found with the Taylor coefficients as symbols.
    assert simplify(susceptibility_series("chi_c", "generic", 1) - (1 - epsilon)) == 0
    assert simplify(susceptibility_series("chi_delta", "generic", 2) - (1 - epsilon**2 / (2 * (D + 2)))) == 0
    assert simplify(susceptibility_series("chi_jacobian", "generic", 2) - (1 + epsilon**2 / (D + 2))) == 0
    assert simplify(susceptibility_series("chi_gram", "generic", 1) - (1 - 2 * epsilon / (D + 2))) == 0


def test_symbolic_dimension_agrees_with_integers():
    for name in ("chi_c", "chi_delta", "chi_jacobian", "chi_gram"):
        general = susceptibility_series(name, "tanh", 4)
        assert simplify(general.subs(D, 6) - susceptibility_series(name, "tanh", 4, 6)) == 0
    assert simplify(fixed_point_series("erf", 3).subs(D, 3) - fixed_point_series("erf", 3, 3)) == 0


def test_scaling_of_an_activation():
    # f(r) = a tanh(b r)/b has slope a; c* scales with 1/b^2 and with a^2.
    a, b = symbols("a b", positive=True)
    scaled = fixed_point_series(a * tanh(b * r) / b, 3, 2)
    assert simplify(scaled - a**2 / b**2 * fixed_point_series("tanh", 3, 2)) == 0


def test_coefficients_outside_the_rationals():
    # Leading order: c* = -D f_1^3 epsilon/(2 (D + 2) f_3).
    assert simplify(fixed_point_series(sqrt(2) * r - r**3, 1, 2) - epsilon / sqrt(2)) == 0
    assert fixed_point_series(sin(Symbol("q")), 1, 2) == Rational(3, 2) * epsilon


def test_taylor_coefficients():
    assert taylor_coefficients("tanh", 4) == [1, -Rational(1, 3), Rational(2, 15), -Rational(17, 315)]
    assert taylor_coefficients("erf", 2) == [2 / sqrt(pi), -2 / (3 * sqrt(pi))]
    assert taylor_coefficients("linear", 3) == [1, 0, 0]
    assert [symbol.name for symbol in taylor_coefficients("generic", 3)] == ["f_1", "f_3", "f_5"]
    assert taylor_coefficients(Symbol("w") * r + r**3, 2) == [Symbol("w"), 1]


def test_compose_truncates():
    assert compose(3 * s**2 + s, epsilon + epsilon**2, 2) == epsilon + 4 * epsilon**2


@pytest.mark.parametrize(
    ("activation", "message"),
    [
        ("relu", "activation must be one of 'tanh', 'erf', 'algebraic', 'saturated', 'linear', or an expression"),
        ("saturated", "activation must be odd and smooth"),
        (r**2, "activation must be odd and smooth"),
        (exp(r) - 1, "activation must be odd and smooth"),
        (r * log(r), "activation must have a Taylor series"),
        (1 / r, "activation must have a Taylor series"),
        (r**3, r"activation must have f'\(0\) != 0"),
        (Rational(1, 2), "activation must be an expression in the symbol r"),
        (Symbol("p") * Symbol("q"), "activation must be an expression in the symbol r"),
    ],
)
def test_unusable_activations(activation, message):
    with pytest.raises(ValueError, match=message):
        length_map_series(activation, 2, 2)


@pytest.mark.parametrize("activation", ["linear", r - r**5])
def test_no_power_series_without_a_cubic_term(activation):
    with pytest.raises(ValueError, match=r"f'''\(0\) != 0"):
        fixed_point_series(activation, 2, 2)


def test_other_bad_input():
    with pytest.raises(ValueError, match="order must be an integer >= 1, got 0"):
        length_map_series("tanh", 0)
    with pytest.raises(ValueError, match="order must be an integer >= 1, got True"):
        fixed_point_series("tanh", True)
    with pytest.raises(ValueError, match="dimension must be an integer >= 1 or a symbol, got 0"):
        length_map_series("tanh", 2, 0)
    with pytest.raises(ValueError, match=r"dimension must be an integer >= 1 or a symbol, got 2\.5"):
        length_map_series("tanh", 2, 2.5)
    with pytest.raises(ValueError, match="name must be one of 'chi_c'"):
        susceptibility_series("chi", "tanh")


@pytest.mark.parametrize(("activation", "dimension"), [("tanh", D), ("erf", 3), ("generic", 2)])
def test_the_derivation_ends_in_the_series(activation, dimension):
    derivation = one_input(activation, 2, dimension)
    assert derivation[36].expression.rhs == length_map_series(activation, 3, dimension)
    assert derivation[37].expression.rhs == fixed_point_series(activation, 2, dimension)
    assert derivation["37b"].expression.rhs == susceptibility_series("chi_delta", activation, 2, dimension)


def test_the_derivation_starts_from_eq_35():
    derivation = one_input("tanh", 1, 2)
    value = lambdify(s, derivation[35].expression.rhs.replace(f, tanh), "mpmath")(mpf(1) / 3)
    assert float(value - radial(lambda x: mp.tanh(x) ** 2, 2, mpf(1) / 3)) == pytest.approx(0, abs=1e-14)
    value = lambdify(s, derivation["35a"].expression.rhs.replace(f, erf), "mpmath")(mpf(1) / 3)
    assert float(value - radial(lambda x: mp.erf(x) ** 2, 2, mpf(1) / 3)) == pytest.approx(0, abs=1e-14)
    moment = derivation["36a"].expression.rhs
    (m,) = moment.free_symbols - {s}
    assert moment.subs(m, 3).simplify() == 6 * s**3
