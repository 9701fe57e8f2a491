"""Certified values: balls that must hold independent values, and be narrow.

Expected values come from closed forms, and from mpmath integrals over other variables than the package's, always with
more digits than the ball that is to hold them.
"""

import subprocess
import sys
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import mpmath
import pytest
from flint import acb, arb, ctx
from mpmath import mp, mpf

from meanfield.certified import activations as ball_activations
from meanfield.certified import (
    coefficients,
    correlation_gap,
    correlation_map,
    fixed_point,
    length_map,
    relative_radius,
    susceptibilities,
)
from meanfield.certified.reference import (
    CORRELATIONS,
    DIMENSIONS,
    SIGMAS,
    Key,
    as_decimal,
    enclose,
    keys,
    main,
    read_table,
    short_hex,
    write_table,
)

TABLE = Path(__file__).parent / "reference" / "certified.csv"


@pytest.fixture(autouse=True)
def _fifty_digits():
    with mp.workdps(50):
        yield


def holds(ball: arb, value: mpf, digits: int = 40) -> bool:
    """Whether the ball holds `value`, as far as that is known: to `digits` digits."""
    with ctx.workprec(400):
        middle = arb(mpmath.nstr(value, 60))
        return ball.is_finite() and ball.overlaps(arb(middle.mid(), (abs(middle) * arb(10) ** -digits).upper()))


def narrow(ball: arb, digits: int = 25) -> bool:
    return relative_radius(ball) < 10.0**-digits


def at_rho(function, rho, *arguments, **options):
    """correlation_map or correlation_gap at an exact rho."""
    with ctx.workprec(300):
        one_minus_rho = 1 - arb(rho)
    return function(None, *arguments, one_minus_rho=one_minus_rho, **options)


def scale2(c, sigma_w, dimension):
    return 2 * mpf(sigma_w) ** 2 * mpf(c) / dimension


# ---- one input ------------------------------------------------------------------------------------------------------


class TestAlgebraic:
    """<r^(2j) (1 + r^2)^(-b)> is a confluent hypergeometric function of 1/kappa^2, with no integral to do."""

    @staticmethod
    def moment(j, b, c, sigma_w, dimension):
        half, z = mpf(dimension) / 2, 1 / scale2(c, sigma_w, dimension)
        ratio = mpmath.gamma(half + j) / mpmath.gamma(half)
        return z**-j * ratio * z ** (half + j) * mpmath.hyperu(half + j, half + j + 1 - b, z)

    @pytest.mark.parametrize(
        ("sigma_w", "dimension"), [(1 + 1e-6, 1), (1 + 1e-6, 48), (1.5, 1), (1.5, 2), (1.5, 3), (1e3, 1), (1e3, 48)]
    )
    def test_fixed_point_and_every_susceptibility(self, sigma_w, dimension):
        found = susceptibilities(sigma_w, f"O({dimension})", "algebraic", bits=32)
        with mp.workdps(80):
            guess = mpf(str(float(found.c_star)))
            c = mpmath.findroot(lambda c: self.moment(1, 1, c, sigma_w, dimension) / c - 1, (guess, guess * (1 + 1e-9)))
            s2 = mpf(sigma_w) ** 2
            amplitude, angular = (self.moment(0, b, c, sigma_w, dimension) for b in (3, 1))
            expected = {
                "c_star": c,
                "d_star": s2 * c,
                "chi_c": self.moment(1, 2, c, sigma_w, dimension) / c,
                "chi_delta": self.moment(1, mpf(1) / 2, c, sigma_w, dimension) ** 2 / (s2 * c * c),
                "chi_jacobian": s2 * (amplitude + (dimension - 1) * angular) / dimension,
            }
            expected["chi_gram"] = dimension * self.moment(2, 1, c, sigma_w, dimension) / ((dimension + 2) * s2 * c * c)
            for name in ("chi_c", "chi_delta"):
                expected[f"one_minus_{name}"] = 1 - expected[name]
                expected[name.replace("chi", "xi")] = -1 / mpmath.log(expected[name])
            if dimension == 1:
                assert found.chi_gram is None
                del expected["chi_gram"]
            for name, value in expected.items():
                ball = getattr(found, name)
                assert holds(ball, value), name
                assert narrow(ball, 17), name

    def test_length_map(self):
        for c, sigma_w, dimension in [(0.3, 1e-3, 1), (1e-6, 1e3, 4), (0.3, 1e3, 48)]:
            ball = length_map(c, sigma_w, f"O({dimension})", "algebraic", bits=32)
            assert holds(ball, self.moment(1, 1, c, sigma_w, dimension))
            assert narrow(ball)


class TestErfWithOneComponent:
    """Averages of erf over one Gaussian are elementary: E erf(x)^2 = (2/pi) arcsin(2s/(1+2s)), s = E x^2."""

    @staticmethod
    def length(s):
        return 2 / mpmath.pi * mpmath.asin(2 * s / (1 + 2 * s))

    @pytest.mark.parametrize("sigma_w", [0.886226925452758 * (1 + 1e-6), 1.5, 1e3])
    def test_fixed_point_and_susceptibilities(self, sigma_w):
        found = susceptibilities(sigma_w, "O(1)", "erf", bits=32)
        with mp.workdps(80):
            s2, guess = mpf(sigma_w) ** 2, mpf(str(float(found.c_star)))
            c = mpmath.findroot(lambda c: self.length(s2 * c) / c - 1, (guess, guess * (1 + 1e-9)))
            s, drive = s2 * c, 4 / mpmath.pi * s2
            assert holds(found.c_star, c, 50)
            assert holds(found.chi_c, drive / ((1 + 2 * s) * mpmath.sqrt(1 + 4 * s)), 50)
            assert holds(found.chi_delta, drive / (1 + 2 * s), 50)
            assert holds(found.chi_jacobian, drive / mpmath.sqrt(1 + 4 * s), 50)
        assert all(narrow(ball) for ball in (found.c_star, found.chi_c, found.chi_delta, found.chi_jacobian))

    @pytest.mark.parametrize("method", ["closed", "laguerre", "mixture"])
    @pytest.mark.parametrize("rho", [1e-12, 0.5, 0.99])
    def test_correlation_map(self, method, rho):
        s = mpf(1.1) ** 2 * mpf(0.3)
        expected = 2 / mpmath.pi * mpmath.asin(2 * s * mpf(rho) / (1 + 2 * s))
        ball = at_rho(correlation_map, rho, 0.3, 1.1, "O(1)", "erf", method=method, bits=64)
        gap = at_rho(correlation_gap, rho, 0.3, 1.1, "O(1)", "erf", method=method, bits=64)
        assert holds(ball, expected)
        assert holds(gap, 1 - expected / self.length(s))
        assert narrow(ball, 18)
        assert narrow(gap, 18)

    @pytest.mark.parametrize("method", ["closed", "laguerre", "mixture"])
    @pytest.mark.parametrize("delta", [0.1, -0.2])
    def test_unequal_norms(self, method, delta):
        c, sigma_w = (0.3, 0.9), 0.7
        one, two = (2 * mpf(sigma_w) ** 2 * mpf(each) for each in c)
        total = mpmath.sqrt((1 + one) * (1 + two))
        expected = 2 / mpmath.pi * mpmath.asin(2 * mpf(sigma_w) ** 2 * mpf(delta) / total)
        norm = mpmath.sqrt(self.length(one / 2) * self.length(two / 2))
        ball = correlation_map(delta, c, sigma_w, "O(1)", "erf", method=method, bits=64)
        gap = correlation_gap(delta, c, sigma_w, "O(1)", "erf", method=method, bits=64)
        assert holds(ball, expected)
        assert holds(gap, 1 - expected / norm)
        assert narrow(ball, 18)
        assert narrow(gap, 18)

    @pytest.mark.parametrize("method", ["closed", "mixture"])
    def test_gap_at_the_corner(self, method):
        rho, s = 1 - 1e-9, mpf(1e3) ** 2 * mpf(0.3)
        expected = 1 - mpmath.asin(2 * s * mpf(rho) / (1 + 2 * s)) / mpmath.asin(2 * s / (1 + 2 * s))
        gap = at_rho(correlation_gap, rho, 0.3, 1e3, "O(1)", "erf", method=method, bits=32)
        assert holds(gap, expected, 35)
        assert narrow(gap, 18)


class TestTanh:
    """mpmath's tanh-sinh rule in r."""

    @staticmethod
    def average(g, c, sigma_w, dimension, breaks):
        kappa = mpmath.sqrt(scale2(c, sigma_w, dimension))
        norm = 2 / (mpmath.gamma(mpf(dimension) / 2) * kappa**dimension)
        return norm * mpmath.quad(lambda r: g(r) * r ** (dimension - 1) * mpmath.exp(-((r / kappa) ** 2)), breaks)

    @pytest.mark.parametrize("dimension", [1, 2, 3])
    def test_fixed_point_and_every_susceptibility(self, dimension):
        found = susceptibilities(1.5, f"O({dimension})", "tanh", bits=32)
        breaks = [0, 1, 3, 6, 16]  # kappa <= 1.3: the rest is below exp(-150)

        def average(g, c):
            return self.average(g, c, 1.5, dimension, breaks)

        guess = mpf(str(float(found.c_star)))
        c = mpmath.findroot(lambda c: average(lambda r: mpmath.tanh(r) ** 2, c) / c - 1, (guess, guess * (1 + 1e-9)))
        s2 = mpf(1.5) ** 2
        assert holds(found.c_star, c, 35)
        assert holds(found.chi_c, average(lambda r: r * mpmath.tanh(r) * mpmath.sech(r) ** 2, c) / c, 35)
        assert holds(found.chi_delta, average(lambda r: r * mpmath.tanh(r), c) ** 2 / (s2 * c * c), 35)
        squares = average(lambda r: mpmath.sech(r) ** 4 + (dimension - 1) * (mpmath.tanh(r) / r) ** 2, c)
        assert holds(found.chi_jacobian, s2 * squares / dimension, 35)
        if dimension > 1:
            quartic = average(lambda r: (r * mpmath.tanh(r)) ** 2, c)
            assert holds(found.chi_gram, dimension * quartic / ((dimension + 2) * s2 * c * c), 35)

    def test_tiny_susceptibility_of_a_large_capsule(self):
        found = susceptibilities(1e3, "O(48)", "tanh", bits=32)
        c = 1 - mpf(1e-80)  # 1 - c* is smaller still: tanh^2 saturates for all but 1e-87 of the radii
        breaks = [0, 10, 20, 30, 50, 100, 150]
        chi = self.average(lambda r: r * mpmath.tanh(r) * mpmath.sech(r) ** 2, c, 1e3, 48, breaks)
        assert 1e-88 < chi < 1e-86
        assert holds(found.chi_c, chi, 35)
        assert narrow(found.chi_c)

    def test_length_map_of_a_saturated_network(self):
        value = self.average(lambda r: mpmath.tanh(r) ** 2, 0.3, 1e3, 2, [0, 1, 3, 10, 50, 500, 2000, 8000])
        ball = length_map(0.3, 1e3, "U(1)", "tanh", bits=32)
        assert holds(ball, value, 35)
        assert narrow(ball)


def test_below_the_transition_every_susceptibility_is_the_drive():
    found = susceptibilities(0.5, "O(3)", "tanh")
    assert found.c_star == 0
    assert found.chi_c == found.chi_delta == found.chi_jacobian == found.chi_gram == arb(0.25)
    assert holds(found.xi_c, 1 / mpmath.log(4), 45)
    erf = susceptibilities(0.5, "U(1)", "erf", bits=32)
    assert holds(erf.chi_delta, 1 / mpmath.pi, 35)


def test_the_transition_of_erf_lies_between_two_floats():
    above = 0.886226925452758
    assert mpf(above) > mpmath.sqrt(mpmath.pi) / 2 > mpf(above) - mpf(2) ** -53
    assert fixed_point(above - 2.0**-53, "U(1)", "erf") == 0
    c = fixed_point(above, "U(1)", "erf")
    assert narrow(c)
    # erf^2 = (4/pi) (r^2 - (2/3) r^4 + ...) and <r^4> = 2 s^2, so F(c) = (4/pi) (s - (4/3) s^2 + ...), s = sigma_w^2 c.
    drive = 4 / mpmath.pi * mpf(above) ** 2
    leading = (drive - 1) / (mpf(4) / 3 * mpf(above) ** 2)  # up to a relative error of order c
    assert mpmath.almosteq(mpf(str(float(c))), leading, 1e-10)


@pytest.mark.parametrize("dimension", [1, 2, 3, 48])
def test_saturated(dimension):
    found = susceptibilities(1e3, f"O({dimension})", "saturated", bits=64)
    half = mpf(dimension) / 2
    chi_delta = (mpmath.gamma(half + 0.5) / mpmath.gamma(half)) ** 2 / half
    assert (found.c_star, found.d_star, found.chi_c, found.xi_c) == (1, 1e6, 0, 0)
    assert holds(found.chi_delta, chi_delta)
    if dimension > 2:
        assert holds(found.chi_jacobian, mpf(dimension - 1) / (dimension - 2))
        assert holds(found.chi_gram, mpf(dimension) / (dimension + 2))
    else:
        assert found.chi_jacobian == arb.pos_inf()
    for rho in (1e-12, 0.9, 1 - 1e-9):
        series = mpmath.hyp2f1(0.5, 0.5, half + 1, mpf(rho) ** 2)
        covariance = at_rho(correlation_map, rho, 0.3, 1.5, f"O({dimension})", "saturated")
        assert holds(covariance, rho * chi_delta * series)
    laguerre = at_rho(correlation_map, 0.9, (0.3, 0.7), 1.5, f"O({dimension})", "saturated", method="laguerre")
    assert laguerre.contains(at_rho(correlation_map, 0.9, (0.3, 0.7), 1.5, f"O({dimension})", "saturated"))
    assert narrow(laguerre, 12)


def test_linear():
    found = susceptibilities(0.999, "O(3)", "linear")
    assert found.c_star == 0
    assert holds(found.chi_delta, mpf(0.999) ** 2, 45)
    assert holds(length_map(0.3, 3.0, "O(4)", "linear"), 9 * mpf(0.3), 45)
    for method in ("auto", "laguerre"):
        assert holds(correlation_map(0.2, 0.3, 3.0, "O(4)", "linear", method=method), 9 * mpf(0.2), 45)
        assert holds(correlation_map(-0.2, (0.3, 0.7), 3.0, "O(4)", "linear", method=method), -9 * mpf(0.2), 45)
        assert holds(correlation_gap(0.2, 0.3, 3.0, "O(4)", "linear", method=method), 1 - mpf(0.2) / mpf(0.3), 45)


# ---- the activations on complex balls, on which the error bounds of every integral rest ------------------------------


@pytest.mark.parametrize(
    ("activation", "f"),
    [
        ("tanh", mpmath.tanh),
        ("erf", mpmath.erf),
        ("algebraic", lambda z: z / mpmath.sqrt(1 + z * z)),
        ("linear", lambda z: z),
    ],
)
@pytest.mark.parametrize("center", [0, mpmath.mpc(0.3, 0.2), mpmath.mpc(2.0, -1.0)])
def test_activations_hold_the_values_on_a_disc(activation, f, center):
    ball = ball_activations.as_ball_activation(activation)
    z = acb(arb(float(mpmath.re(center)), 1e-3), arb(float(mpmath.im(center)), 1e-3))
    for direction in (1, 1j, -0.6 + 0.7j):
        at = center + mpmath.mpc(direction) * mpf(0.0009)
        for function, value in (
            (ball.value, f(at)),
            (ball.derivative, mpmath.diff(f, at)),
            (ball.ratio, f(at) / at),
        ):
            disc = function(z, True)
            assert holds(disc.real, mpmath.re(value), 12)
            assert holds(disc.imag, mpmath.im(value), 12) or abs(mpmath.im(value)) < 1e-12
            assert disc.real.rad() < 0.05


def test_a_branch_cut_is_reported_and_a_pole_too():
    on_the_cut = acb(arb(0, 0.1), 2)  # (1 + z^2)^(1/2) is cut along the imaginary axis beyond i
    algebraic = ball_activations.as_ball_activation("algebraic")
    for function in (algebraic.value, algebraic.derivative, algebraic.ratio):
        assert not function(on_the_cut, True).is_finite()
    tanh = ball_activations.as_ball_activation("tanh")
    assert not tanh.value(acb(0, arb(1.57, 0.1)), True).is_finite()


# ---- Laguerre coefficients ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "dimension", "sigma_w"), [("tanh", 1, 1.5), ("erf", 3, 1e3), ("algebraic", 48, 3.0)]
)
def test_coefficients_are_their_defining_integrals(activation, dimension, sigma_w):
    """Against rigorous integrals of f(kappa x) L_n(x^2) over x itself, without the change to log x."""
    found = coefficients(60, 0.3, sigma_w, f"O({dimension})", activation, bits=64)
    f = ball_activations.as_ball_activation(activation)
    with ctx.workprec(160):
        half = arb(dimension) / 2
        kappa = arb(sigma_w) * (arb(2) * arb(0.3) / dimension).sqrt()
        for n in (0, 1, 2, 7):
            norm = (arb(n).fac() * half.gamma() / (half + n + 1).gamma()).sqrt()

            def integrand(x, analytic, n=n):
                laguerre = (x * x).laguerre_l(n, acb(half))
                return f.value(kappa * x, analytic) * laguerre * x**dimension * (-x * x).exp()

            body = acb.integral(integrand, 0, 16, abs_tol=arb(2) ** -140, rel_tol=arb(2) ** -140, eval_limit=10**5).real
            value = 2 * norm / half.gamma() * body  # the rest, beyond x = 16, is below exp(-100)
            assert found[n].contains(arb(value.mid(), 1e-30))
            assert found[n].rad() < 1e-15


@pytest.mark.parametrize(
    ("activation", "density", "end"),
    [
        ("erf", lambda v: 2 / mpmath.sqrt(mpmath.pi), 1),
        ("algebraic", lambda v: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-v * v), 12),
    ],
)
@pytest.mark.parametrize("dimension", [1, 8])
def test_high_coefficients_by_the_mixture(activation, density, end, dimension):
    """a_n^2 = s ((D/2+1)_n/n!) (int p(v) beta^(D/2+1) alpha^n dv)^2, beta = 1 - alpha = 1/(1 + kappa^2 v^2)."""
    found = coefficients(60, 0.3, 3.0, f"O({dimension})", activation, bits=128)
    s, half = mpf(9) * mpf(0.3), mpf(dimension) / 2
    for n in (0, 25, 60):

        def integrand(v, n=n):
            y = 2 * s / dimension * v * v
            return density(v) * (y / (1 + y)) ** n * (1 + y) ** (-half - 1)

        weight = mpmath.sqrt(s * mpmath.rf(half + 1, n) / mpmath.factorial(n))
        breaks = [end * mpf(k) / 16 for k in range(17)]
        assert holds(found[n], weight * mpmath.quad(integrand, breaks), 30)
        assert narrow(found[n], 12)


def test_saturated_coefficients():
    found = coefficients(9, 0.3, 1.5, "O(3)", "saturated")
    for n in (0, 4, 9):
        moment = mpmath.quad(
            lambda t, n=n: t * mpmath.laguerre(n, 1.5, t) * mpmath.exp(-t), [0, 1, 4, 16, 64, 200]
        ) / mpmath.gamma(1.5)
        norm = mpmath.sqrt(mpmath.factorial(n) * mpmath.gamma(1.5) / mpmath.gamma(n + 2.5))
        assert holds(found[n], moment * norm, 30)


# ---- two inputs -----------------------------------------------------------------------------------------------------


def test_correlation_map_is_the_double_bessel_integral_of_the_paper():
    """Eq. (12), in log r_1 and log r_2."""
    rho, s, step = mpf(0.5), mpf(1.5) ** 2 * mpf(0.3), mpf(1) / 12
    q = 1 - rho**2
    with mp.workdps(25):
        x = [mpmath.exp(k * step) for k in range(-140, 28)]
        side = [v**2 * mpmath.tanh(mpmath.sqrt(s) * v) * mpmath.exp(-v * v / q) for v in x]
        total = mpf(0)
        for i, (u, left) in enumerate(zip(x, side, strict=True)):
            z = 2 * rho * u / q
            row = sum((w * mpmath.besseli(1, z * v) for v, w in zip(x[:i], side[:i], strict=True)), mpf(0))
            total += left * (2 * row + left * mpmath.besseli(1, z * u))
        covariance = 4 / q * step**2 * total
    for method in ("laguerre", "mixture"):
        ball = at_rho(correlation_map, 0.5, 0.3, 1.5, "U(1)", "tanh", method=method, bits=32)
        assert holds(ball, covariance, 18)
        assert narrow(ball, 12)


def test_gap_of_a_saturated_network_at_the_corner():
    """D = 1: half the mean square of tanh x - tanh y = 2 sinh d/(cosh 2m + cosh d), m = (x+y)/2, d = x - y."""
    rho, s = mpf(1 - 1e-9), mpf(1e3) ** 2 * mpf(0.3)
    var_m, var_d = s * (1 + rho) / 2, 2 * s * (1 - rho)
    h_m, h_d = mpf(0.15), mpmath.sqrt(var_d) * mpf(0.4)
    with mp.workdps(35):
        weights_m = [(mpmath.cosh(2 * k * h_m), mpmath.exp(-((k * h_m) ** 2) / (2 * var_m))) for k in range(-270, 271)]
        total = mpf(0)
        for k in range(1, 32):
            d = k * h_d
            row = sum((w / (ch + mpmath.cosh(d)) ** 2 for ch, w in weights_m), mpf(0))
            total += 2 * mpmath.exp(-d * d / (2 * var_d)) * 4 * mpmath.sinh(d) ** 2 * row
        difference = total * h_m * h_d / (4 * mpmath.pi * mpmath.sqrt(var_m * var_d))
    ball = at_rho(correlation_gap, 1 - 1e-9, 0.3, 1e3, "O(1)", "tanh", bits=32)
    assert holds(ball * length_map(0.3, 1e3, "O(1)", "tanh", bits=32), difference, 24)
    assert relative_radius(ball) < 1e-9


@pytest.mark.parametrize(
    ("activation", "dimension", "rho", "c"),
    [
        ("tanh", 1, 0.5, 0.3),
        ("tanh", 3, 0.9, (0.3, 0.1)),
        ("algebraic", 2, 0.5, (0.2, 0.4)),
        ("algebraic", 48, 0.9, 0.3),
        ("erf", 4, 0.9, (0.3, 0.6)),
        ("erf", 3, 0.99, 0.3),
    ],
)
def test_series_and_mixture_agree(activation, dimension, rho, c):
    arguments = (rho, c, 2.0, f"O({dimension})", activation)
    for function in (correlation_map, correlation_gap):
        series = at_rho(function, *arguments, method="laguerre", bits=96)
        mixture = at_rho(function, *arguments, method="mixture", bits=32)
        assert series.overlaps(mixture)
        assert narrow(series, 15)
        assert narrow(mixture, 15)


@pytest.mark.parametrize("activation", ["tanh", "erf"])
def test_slope_at_identical_inputs_is_the_jacobian(activation):
    """(1 - rho')/(1 - rho) -> chi_jacobian at c*, at 1 - rho = 2^-66: the next order is smaller by about 1e-20."""
    gap = arb(2) ** -66
    found = susceptibilities(1.5, "O(3)", activation)
    options = {"one_minus_rho": gap, "method": "laguerre", "n_max": 160, "bits": 160}
    ratio = correlation_gap(None, found.c_star, 1.5, "O(3)", activation, **options) / gap
    assert narrow(ratio, 12)
    assert abs(ratio - found.chi_jacobian) < 1e-12
    assert not ratio.overlaps(found.chi_jacobian * (1 + arb(1e-10)))


def test_end_points_are_exact():
    for activation in ("tanh", "erf", "saturated", "linear"):
        arguments = (0.3, 1.5, "O(3)", activation)
        assert correlation_map(0.0, *arguments) == 0
        assert correlation_gap(0.0, *arguments) == 1
        assert correlation_gap(0.3, *arguments) == 0
        assert correlation_gap(-0.3, *arguments) == 2
        assert (correlation_map(0.3, *arguments) - length_map(*arguments)).contains(0)
        assert (correlation_map(-0.3, *arguments) + length_map(*arguments)).contains(0)
        assert correlation_map(0.0, (0.3, 0.7), *arguments[1:]) == 0


def test_parallel_inputs_of_unequal_norms():
    """rho = 1 with c_1 != c_2, where 1 - rho' > 0: against <f(kappa_1 x) f(kappa_2 x)>, one integral."""
    one, two = (mpmath.sqrt(scale2(c, 1.5, 3)) for c in (0.25, 1.0))
    integral = mpmath.quad(
        lambda x: mpmath.tanh(one * x) * mpmath.tanh(two * x) * x**2 * mpmath.exp(-x * x), [0, 1, 3, 6, 12]
    )
    covariance = 4 / mpmath.sqrt(mpmath.pi) * integral
    for method in ("laguerre", "mixture"):
        # 0.5 = sqrt(0.25 * 1)
        ball = correlation_map(0.5, (0.25, 1.0), 1.5, "O(3)", "tanh", method=method, bits=32)
        assert holds(ball, covariance, 35)
        assert narrow(ball, 9)


def test_a_short_series_says_so_through_its_radius():
    short = at_rho(correlation_map, 0.99, 0.3, 1e3, "O(2)", "erf", method="laguerre", n_max=20)
    long = at_rho(correlation_map, 0.99, 0.3, 1e3, "O(2)", "erf")
    assert relative_radius(short) > 1e-3
    assert short.contains(long)
    assert narrow(long)


def test_only_the_capsule_dimension_matters_but_for_the_gram_matrix():
    unitary, orthogonal = (susceptibilities(1.5, name, "tanh") for name in ("U(1)", "O(2)"))
    assert unitary.chi_delta.overlaps(orthogonal.chi_delta)
    assert unitary.chi_gram == 0
    assert susceptibilities(0.5, "generic(3)", "tanh").chi_gram == 0
    assert susceptibilities(0.5, "O(1)", "tanh").chi_gram is None


# ---- a wrong constant is seen ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", ["c_star", "chi_c", "chi_delta", "chi_jacobian", "chi_gram"])
def test_a_wrong_constant_is_seen(monkeypatch, quantity):
    key = Key(quantity, "tanh", "O(3)", 1.5)
    right = getattr(susceptibilities(1.5, "O(3)", "tanh"), quantity)
    tanh = ball_activations.as_ball_activation("tanh")

    def rescaled(function):
        return lambda z, analytic: function(z * (1 + arb(1e-18)), analytic)

    wrong_tanh = ball_activations.BallActivation(
        "tanh", *(rescaled(part) for part in (tanh.value, tanh.derivative, tanh.ratio)), tanh.slope
    )
    monkeypatch.setitem(ball_activations._BALL_ACTIVATIONS, "tanh", wrong_tanh)
    wrong = getattr(susceptibilities(1.5, "O(3)", "tanh"), quantity)
    assert not wrong.overlaps(right)
    assert not agrees(as_decimal(wrong), {row.key: row for row in read_table(TABLE)}[key])


# ---- input, precision, the missing extra ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: length_map(-1.0, 1.5, "O(2)", "tanh"), "c must be positive"),
        (lambda: length_map(float("nan"), 1.5, "O(2)", "tanh"), "c must be a finite"),
        (lambda: length_map(0.3, 0.0, "O(2)", "tanh"), "sigma_w must be positive"),
        (lambda: length_map(0.3, 1.5, "O(2)", "relu"), "activation must be one of 'tanh'"),
        (lambda: length_map(0.3, 1.5, "O(2)", abs), "activation must be one of"),
        (lambda: length_map(0.3, 1.5, "O(0)", "tanh"), "symmetry must be"),
        (lambda: length_map(0.3, 1.5, "O(2)", "tanh", bits=8), "bits must be"),
        (lambda: fixed_point(1.1, "O(2)", "linear"), "sigma_w must be at most 1"),
        (lambda: fixed_point(arb(1, 1e-3), "O(2)", "tanh"), "sigma_w must be on a proven side"),
        (lambda: coefficients(-1, 0.3, 1.5, "O(2)", "tanh"), "n_max must be"),
        (lambda: correlation_map(0.4, 0.3, 1.5, "O(2)", "tanh"), "delta must be at most"),
        (lambda: correlation_map(-0.4, (0.3, 0.4), 1.5, "O(2)", "tanh"), "delta must be at most"),
        (lambda: correlation_map(arb(0, 0.1), 0.3, 1.5, "O(2)", "tanh"), "delta must have a proven sign"),
        (lambda: correlation_map(None, 0.3, 1.5, one_minus_rho=2.1), "one_minus_rho must lie in"),
        (lambda: correlation_map(None, 0.3, 1.5), "delta or else one_minus_rho must be given"),
        (lambda: correlation_map(0.1, 0.3, 1.5, one_minus_rho=0.1), "delta or else one_minus_rho must be given"),
        (lambda: correlation_map(0.1, (0.3, 0.3, 0.3), 1.5), "c must be one order parameter or a tuple"),
        (lambda: correlation_gap(0.1, 0.3, 1.5, "O(2)", "tanh", method="magic"), "method must be one of"),
        (lambda: correlation_map(0.1, 0.3, 1.5, "O(2)", "tanh", method="closed"), "no closed form, got 'closed'"),
        (lambda: correlation_map(0.1, 0.3, 1.5, "O(2)", "linear", method="mixture"), "'linear', got 'mixture'"),
    ],
)
def test_bad_input_is_named(call, message):
    precision = ctx.prec
    with pytest.raises(ValueError, match=message):
        call()
    assert ctx.prec == precision


def test_a_ball_too_wide_for_a_proof_is_refused():
    with pytest.raises(ArithmeticError, match="no proven change of sign"):
        fixed_point(arb(1.5, 1e-3), "O(2)", "tanh")
    narrower = fixed_point(arb(1.5, 1e-30), "O(2)", "tanh", bits=64)
    assert narrower.contains(fixed_point(1.5, "O(2)", "tanh"))


def test_flint_is_left_as_it_was():
    with ctx.workprec(77):
        susceptibilities(1.5, "O(2)", "tanh", bits=32)
        correlation_gap(0.1, 0.3, 1.5, "O(2)", "tanh", bits=32)
        assert ctx.prec == 77


def test_without_flint_the_extra_is_named():
    code = "import sys; sys.modules['flint'] = None; import meanfield; import meanfield.certified"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "meanfield.certified needs python-flint: pip install goldstone-propagation[certified]" in run.stderr


# ---- the reference table --------------------------------------------------------------------------------------------


def agrees(value_and_radius, row) -> bool:
    """Whether a decimal ball overlaps a row of the table."""
    if row.value == "inf":
        return value_and_radius[0] == "inf"
    (value, radius), (other, spread) = value_and_radius, (row.value, row.radius)
    value, radius, other, spread = map(Fraction, (value, radius, other, spread))
    return abs(value - other) <= radius * abs(value) + spread * abs(other)


@pytest.fixture(scope="module")
def table():
    return read_table(TABLE)


def test_the_table_holds_every_row_once(table):
    assert Counter(row.key for row in table) == Counter(keys())
    corner = Key("correlation_gap", "algebraic", "O(48)", 1e3, 0.3, 1 - 1e-9)
    assert corner in {row.key for row in table}
    for activation in ("tanh", "erf", "algebraic"):
        one_input = {(row.key.symmetry, row.key.sigma_w) for row in table if row.key[:2] == ("chi_c", activation)}
        assert one_input >= {(f"O({d})", sigma_w) for d in DIMENSIONS for sigma_w in SIGMAS}
        assert {row.key.rho for row in table if row.key.activation == activation} >= {0.0, 1.0, *CORRELATIONS}


def test_the_table_says_what_it_was_made_with():
    header = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any("python-flint 0." in line for line in header)
    assert any("128 bits" in line for line in header)
    assert TABLE.stat().st_size < 500_000


def test_the_flag_says_whether_the_radius_reaches_1e_14(table):
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    flags = [line.rsplit(",", 1)[1] for line in lines]
    assert flags[0] == "reached"
    assert flags[1:] == ["yes" if Decimal(row.radius) <= Decimal("1e-14") else "no" for row in table]


def test_radii(table):
    """The table is fit for errors of 1e-12: every radius is far below, at least 25 digits are written."""
    assert max(Decimal(row.radius) for row in table) < Decimal("1e-16")


SAMPLE = [
    Key("c_star", "tanh", "O(2)", 1 + 1e-6),
    Key("one_minus_chi_delta", "erf", "O(48)", 0.886226925452758 * (1 + 1e-6)),
    Key("chi_c", "erf", "O(48)", 1e3),
    Key("chi_jacobian", "algebraic", "O(1)", 1e3),
    Key("chi_gram", "tanh", "O(8)", 3.0),
    Key("xi_delta", "algebraic", "O(3)", 10.0),
    Key("length_map", "tanh", "O(4)", 1e-3, 0.3),
    Key("correlation_map", "tanh", "O(2)", 1.5, None, 0.5),
    Key("correlation_gap", "erf", "O(2)", 1e3, None, 1 - 1e-9),
    Key("correlation_gap", "tanh", "O(2)", 1e3, 0.3, 1 - 1e-9),
    Key("correlation_gap", "saturated", "O(2)", 1e3, 0.3, 1 - 1e-9),
    Key("correlation_gap", "linear", "O(2)", 1e3, 0.3, 0.9),
    Key("chi_jacobian", "saturated", "O(2)", 1.5),
]


@pytest.mark.parametrize("key", SAMPLE, ids=lambda key: "-".join(map(str, key)))
def test_rows_come_out_again_at_another_precision(table, key):
    row = {row.key: row for row in table}[key]
    ball, method = enclose(key, bits=112, mixture_bits=40)
    assert method == row.method
    assert agrees(as_decimal(ball), row)
    if row.value not in ("0", "inf"):
        off = str(Fraction(row.value) * (1 + Fraction(1, 10**15)))
        assert not agrees((off, "0"), row)


def test_decimals_cover_the_ball_and_the_rounding():
    for spread in (1e-20, 1e-40):
        with ctx.workprec(200):
            value, radius = as_decimal(arb(arb(1) / 3, spread))
        assert abs(Fraction(value) - Fraction(1, 3)) + Fraction(spread) <= Fraction(radius) * abs(Fraction(value))
        assert Fraction(radius) < 4 * Fraction(spread) + Fraction(1, 10**24)
    assert as_decimal(arb(0)) == ("0", "0")
    assert as_decimal(arb(1) / 4)[0] == "2.5e-1"


def test_short_hex_is_exact():
    for value in (1.5, 1.0, 0.0, 1e-6, 1 - 1e-9, 1e3):
        assert float.fromhex(short_hex(value)) == value
    assert short_hex(1.5) == "0x1.8p+0"


def test_writing_and_reading_a_table(tmp_path, monkeypatch, capsys):
    some = [SAMPLE[6], SAMPLE[11], Key("chi_jacobian", "saturated", "O(2)", 1.5)]
    monkeypatch.setattr("meanfield.certified.reference.keys", lambda: iter(some))
    written = write_table(tmp_path / "a.csv")
    assert [row.key for row in written] == some
    assert read_table(tmp_path / "a.csv") == written
    monkeypatch.setattr(sys, "argv", ["reference", str(tmp_path / "b.csv")])
    main()
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "a.csv").read_text()
    assert "3 rows" in capsys.readouterr().out


def test_a_table_that_cannot_be_written_is_refused_before_it_is_computed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("meanfield.certified.reference.keys", None)
    monkeypatch.setattr(sys, "argv", ["reference", str(tmp_path)])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"path must be a file, got {tmp_path}, which is a folder" in capsys.readouterr().err
