"""The coefficients that prove there is no non-trivial fixed point of Delta."""

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import integrate, special

from meanfield import correlation_map, depth_scales, fixed_point, length_map, overlap_series
from tests.meanfield.independent import FUNCTIONS


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
@pytest.mark.parametrize("dimension", [1, 2, 3, 48])
def test_weights_make_the_correlation_map(dimension, name):
    """Non-negative, of sum 1, and rho' = sum_n w_n rho^(2n+1)."""
    symmetry = f"O({dimension})"
    for c, sigma_w in ((0.5, 1.5), (0.02, 0.9), (1.0, 3.0)):
        series = overlap_series(c, sigma_w, symmetry, name, terms=200)
        weight = series.weight.values
        assert np.all(weight >= 0.0)
        total = weight.sum() + series.remainder[-1].item()
        assert total == pytest.approx(1.0, abs=1e-14)
        for rho in (0.1, 0.5, 0.9):
            expected = correlation_map(rho * c, c, sigma_w, symmetry, name) / length_map(c, sigma_w, symmetry, name)
            assert np.sum(weight * rho ** (2 * series.n.values + 1)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_weights_are_squared_laguerre_projections(dimension):
    """a_n = <f(r) sqrt(t) L_n^(D/2)(t)> sqrt(n! Gamma(D/2)/Gamma(n + D/2 + 1)), by scipy's quadrature."""
    c, sigma_w, half = 0.6, 1.5, dimension / 2
    weight = overlap_series(c, sigma_w, f"O({dimension})", terms=6).weight.values
    norm = length_map(c, sigma_w, f"O({dimension})")
    for n in range(6):

        def integrand(x, n=n):
            r = x * sigma_w * np.sqrt(2 * c / dimension)
            density = 2 * x ** (dimension - 1) * np.exp(-x * x) / special.gamma(half)
            return density * np.tanh(r) * x * special.eval_genlaguerre(n, half, x * x)

        integral, _ = integrate.quad(integrand, 0, 9, epsabs=1e-13, epsrel=1e-12, limit=200)
        factor = special.factorial(n) * special.gamma(half) / special.gamma(n + half + 1)
        assert weight[n] == pytest.approx(integral**2 * factor / norm, rel=1e-8, abs=1e-14)


def test_no_fixed_point_but_zero():
    """At c* the first weight is chi_delta < 1, so rho' < rho strictly between 0 and 1: Delta always decays."""
    rho = np.linspace(0.0, 1.0, 501)[1:-1]
    for symmetry, sigma_w in (("U(1)", 1.05), ("U(1)", 1.5), ("O(8)", 5.0), ("O(1)", 1.001)):
        c = float(fixed_point(sigma_w, symmetry).c)
        series = overlap_series(c, sigma_w, symmetry, terms=300)
        assert series.weight[0].item() == pytest.approx(float(depth_scales(sigma_w, symmetry).chi_delta), rel=1e-13)
        # all of the weights' remainder counted at rho^3, which is more than it can be
        bound = series.weight[0].item() * rho + (1 - series.weight[0].item()) * rho**3
        assert np.all(bound < rho)
        image = correlation_map(rho * c, c, sigma_w, symmetry) / c
        assert np.all(image <= bound * (1 + 1e-13))


def test_linear_has_one_weight():
    series = overlap_series(0.5, 1.5, "O(3)", "linear", terms=4)
    np.testing.assert_allclose(series.weight, [1.0, 0.0, 0.0, 0.0], atol=1e-14)
    np.testing.assert_allclose(overlap_series(1e-300, 1.5, terms=3).weight, [1.0, 0.0, 0.0], atol=1e-14)


@pytest.mark.parametrize("c", [1e-9, 1e-3, 0.5, 30.0, 1e4])
def test_remainder_is_a_bound_with_digits(c):
    """O(1) and erf: w_n are the coefficients of the arcsine, (2n)!/(4^n n!^2 (2n+1)) t^(2n+1), t = 2s/(1 + 2s)."""
    series = overlap_series(c, 1.0, "O(1)", "erf", terms=384)
    with mp.workdps(200):
        t = 2 * mpf(c) / (1 + 2 * mpf(c))
        first = t
        total = mp.asin(t)
        left = total
        for n, found in enumerate(series.remainder.values):
            left -= first
            if left < total * mpf(10) ** -150:  # no digits of it are left here
                break
            assert found >= left / total * (1 - mpf(10) ** -12)
            if c < 1.0:
                assert found <= left / total * (1 + mpf(10) ** -9)
            first *= t * t * mpf(2 * n + 1) ** 2 / ((2 * n + 2) * mpf(2 * n + 3))
    assert np.all(np.diff(series.remainder) <= 0.0)


def test_labels():
    series = overlap_series(0.5, 1.5, "generic(3)", "erf", terms=7)
    assert series.sizes == {"n": 7}
    assert series.attrs == {"symmetry": "generic(3)", "activation": "erf", "sigma_w": 1.5, "c": 0.5}
    assert np.all(np.diff(series.remainder) <= 0)
    assert overlap_series(0.5, 1.5).sizes == {"n": 32}


def test_users_function():
    user, named = (overlap_series(0.5, 1.5, "O(3)", f, terms=64) for f in (FUNCTIONS["algebraic"], "algebraic"))
    np.testing.assert_allclose(user.weight, named.weight, atol=1e-13)
