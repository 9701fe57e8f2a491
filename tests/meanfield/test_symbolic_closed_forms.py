"""Closed forms against integrals over the radius, and the derivations behind them."""

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from sympy import Function, Piecewise, Rational, Symbol, asin, gamma, lambdify, oo, pi, simplify, sqrt

from meanfield.symbolic import as_function, closed_forms, erf_steps, length_map_series, saturated_steps
from meanfield.symbolic.symbols import D, rho, s, sigma_w

FUNCTIONS = {
    "linear": (lambda x: x, lambda x: mpf(1)),
    "saturated": (lambda x: mpf(1), lambda x: mpf(0)),
    "erf": (mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "algebraic": (lambda x: x / mp.sqrt(1 + x * x), lambda x: (1 + x * x) ** mpf(-1.5)),
}


def by_quadrature(name, dimension, scale):
    """Length map and susceptibilities from their definitions, at sigma_w^2 c* = scale."""
    value, slope = FUNCTIONS[name]
    half = mpf(dimension) / 2
    width = mp.sqrt(scale / half)

    def average(g):
        density = lambda y: 2 * y ** (dimension - 1) * mp.exp(-y * y) / mp.gamma(half)  # noqa: E731
        return mp.quad(lambda y: density(y) * g(width * y), [0, 1, 2.5, 9])

    level = average(lambda x: value(x) ** 2)
    gain = scale / level
    return gain, {
        "length_map": level,
        "chi_c": average(lambda x: value(x) * slope(x) * x) / level,
        "chi_delta": average(lambda x: x * value(x)) ** 2 / (gain * level**2),
        "chi_jacobian": gain / dimension * average(lambda x: slope(x) ** 2 + (dimension - 1) * (value(x) / x) ** 2),
        "chi_gram": dimension * average(lambda x: (value(x) * x) ** 2) / ((dimension + 2) * gain * level**2),
    }


@pytest.mark.parametrize("dimension", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_closed_form_against_quadrature(name, dimension):
    with mpmath.workdps(25):
        scale = mpf(4) / 5
        gain, expected = by_quadrature(name, dimension, scale)
        forms = closed_forms(name, dimension)
        without = {"chi_gram"} if dimension == 1 else set()
        if (name, dimension) == ("erf", 2):
            without.add("chi_jacobian")
        assert {key for key in expected if getattr(forms, key) is None} == without
        for key in set(expected) - without:
            if name == "saturated" and key == "chi_jacobian" and dimension <= 2:
                assert forms.chi_jacobian == oo  # < 1/r^2 > diverges at r = 0
                continue
            found = lambdify((s, sigma_w), getattr(forms, key), "mpmath")(scale, mp.sqrt(gain))
            assert float(found - expected[key]) == pytest.approx(0, abs=1e-15), key


def test_linear_networks():
    # With f = r every average is a moment of r, and < r^2 > = s = sigma_w^2 c. Away from sigma_w = 1 this is not a
    # fixed point, but each ratio per layer is sigma_w^2.
    forms = closed_forms("linear", 3)
    assert (forms.length_map, forms.correlation_map) == (s, s * rho)
    assert {forms.chi_c, forms.chi_delta, forms.chi_jacobian, forms.chi_gram} == {sigma_w**2}


def test_arcsine_law_of_the_literature():
    forms = closed_forms("erf", 1)
    assert forms.length_map == 2 / pi * asin(2 * s / (2 * s + 1))
    assert simplify(forms.correlation_map - 2 / pi * asin(2 * s * rho / (1 + 2 * s))) == 0
    assert simplify(forms.chi_jacobian - 4 * sigma_w**2 / (pi * sqrt(1 + 4 * s))) == 0


def test_correlation_maps_at_one_are_length_maps():
    for name, dimension in (("erf", 1), ("linear", 3), ("saturated", 5)):
        forms = closed_forms(name, dimension)
        mapped = as_function(forms.correlation_map, s, rho)
        assert mapped(0.7, 1.0) == pytest.approx(float(forms.length_map.subs(s, 0.7)), rel=1e-14)


@pytest.mark.parametrize("dimension", [1, 2, 3, 8])
def test_saturated_correlation_map_against_random_directions(dimension):
    rng = np.random.default_rng(11)
    first, noise = rng.normal(size=(2, 400_000, dimension))
    second = 0.6 * first + 0.8 * noise
    cosine = np.sum(first * second, axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    mapped = float(as_function(closed_forms("saturated", dimension).correlation_map, rho)(0.6))
    assert mapped == pytest.approx(cosine.mean(), abs=4 * cosine.std() / np.sqrt(cosine.size))


def test_saturated_correlation_map_of_u1_is_elliptic():
    # [E(rho^2) - (1 - rho^2) K(rho^2)]/rho
    mapped = as_function(closed_forms("saturated", 2).correlation_map, rho)
    exact = [float((mp.ellipe(x**2) - (1 - x**2) * mp.ellipk(x**2)) / x) for x in (0.1, 0.5, 0.9, 0.999)]
    assert mapped(np.array([0.1, 0.5, 0.9, 0.999])) == pytest.approx(exact, rel=1e-13)


def test_saturated_forms_for_any_dimension():
    forms = closed_forms("saturated")
    assert forms.dimension == D
    assert simplify(forms.chi_delta - 2 / D * (gamma((D + 1) / 2) / gamma(D / 2)) ** 2) == 0
    assert forms.chi_jacobian == Piecewise((oo, D <= 2), ((D - 1) / (D - 2), True))
    assert forms.chi_gram == D / (D + 2)
    assert closed_forms("saturated", 2).chi_delta == pi / 4
    k = Symbol("k", positive=True)
    assert closed_forms("saturated", k).chi_gram == k / (k + 2)


@pytest.mark.parametrize(("name", "dimension"), [("erf", 1), ("erf", 4), ("algebraic", 2), ("algebraic", 3)])
def test_length_maps_expand_into_the_series(name, dimension):
    with mpmath.workdps(40):
        scale = mpf(1) / 4000
        exact = lambdify(s, closed_forms(name, dimension).length_map, "mpmath")(scale)
        truncated = lambdify(s, length_map_series(name, 3, dimension), "mpmath")(scale)
        following = length_map_series(name, 4, dimension).coeff(s, 4).evalf(30)
        assert float((exact - truncated) / scale**4 / mpf(str(following))) == pytest.approx(1, abs=0.02)


def test_the_fixed_point_curve_is_parametrised_by_s():
    forms = closed_forms("erf", 2)
    gain = float(forms.sigma_w_squared.subs(s, 0.9))
    level = float(forms.length_map.subs(s, 0.9))
    assert gain * level == pytest.approx(0.9, rel=1e-14)
    along = float(forms.along_fixed_points("chi_c").subs(s, 0.9))
    assert along == pytest.approx(float(forms.chi_c.subs({s: 0.9, sigma_w: np.sqrt(gain)})), rel=1e-14)
    assert forms.along_fixed_points("chi_jacobian") is None
    with pytest.raises(ValueError, match="name must be 'chi_c'"):
        forms.along_fixed_points("length_map")


def test_closed_forms_render():
    text = closed_forms("erf", 2)._repr_markdown_()
    assert "$D = 2$" in text
    for shown in (r"c^{l+1} =", r"\chi_c =", r"\chi_\Delta =", r"\chi_G ="):
        assert shown in text
    for unknown in (r"\Delta^{l+1}", r"\chi_J"):
        assert unknown not in text
    assert "any $D$" in closed_forms("saturated")._repr_markdown_()
    for dimension in (1, 2, 3, 5):
        for name in ("erf", "algebraic"):
            formulas = closed_forms(name, dimension)._repr_markdown_().split("\n\n")[1:]
            assert max(map(len, formulas)) < 450


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tanh", 2), "activation must be one of 'linear', 'saturated', 'erf', 'algebraic'"),
        (("erf",), "dimension must be an integer >= 1 for 'erf', got D"),
        (("algebraic", D), "dimension must be an integer >= 1 for 'algebraic', got D"),
        (("erf", 0), "dimension must be an integer >= 1 or a symbol, got 0"),
        (("saturated", Rational(5, 2)), "dimension must be an integer >= 1 or a symbol, got 5/2"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        closed_forms(*arguments)


def test_the_saturated_derivation():
    steps = saturated_steps()
    assert steps[49].expression.rhs == closed_forms("saturated").correlation_map
    # 1 - 1/(2 D) + 1/(8 D^2) at D = 1000.
    exact = float(closed_forms("saturated", 1000).chi_delta)
    assert float(steps["49c"].expression.rhs.subs(D, 1000)) == pytest.approx(exact, abs=1e-9)
    assert exact != pytest.approx(1 - 1 / 2000, abs=1e-9)
    # a_2^2 at D = 3 from its definition: the projection of f = 1 on the second Laguerre function.
    n = next(iter(steps["49a"].expression.rhs.free_symbols - {D}))
    with mpmath.workdps(20):
        half = mpf(3) / 2
        projection = mp.quad(lambda t: t ** (half - 0.5) * mp.exp(-t) * mp.laguerre(2, half, t), [0, 1, 5, 20, 60])
        squared = projection**2 * 2 / (mp.gamma(half) * mp.gamma(3 + half))
    assert float(steps["49a"].expression.rhs.subs({n: 2, D: 3})) == pytest.approx(float(squared), rel=1e-12)


def test_the_erf_derivation():
    steps = erf_steps()
    over_v = lambdify(s, steps["35a"].expression.rhs.subs(D, 5), "mpmath")(mpf("0.8"))
    assert float(over_v) == pytest.approx(float(by_quadrature("erf", 5, mpf("0.8"))[1]["length_map"]), rel=1e-13)
    # The double integral over the mixture with a constant weight on the unit square is the arcsine law at D = 1.
    integral = steps[49].expression.rhs / (rho * s)
    v, w = (limits[0] for limits in integral.limits)
    numbers = {D: 1, s: 0.8, rho: 0.5}
    constant = integral.function.replace(Function("p"), lambda _: 2 / sqrt(pi)).subs(numbers)
    x, weights = np.polynomial.legendre.leggauss(30)
    x, weights = (x + 1) / 2, weights / 2
    values = lambdify((v, w), constant)(x[:, None], x[None, :])
    total = 0.5 * 0.8 * (weights @ values @ weights)
    assert total == pytest.approx(2 / np.pi * np.arcsin(0.8 / 2.6), rel=1e-12)
