"""The rule for averages over a radius, against averages with a closed form, over many magnitudes of s and D."""

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import special

from meanfield import quadrature
from meanfield.quadrature import bent_grid, radial_averages, radial_rule, scale_bucket
from tests.meanfield.independent import relative

DIMENSIONS = (1, 2, 3, 4, 8, 10, 48, 500)
SIZES = np.array([1e-300, 1e-12, 0.3, 1.0, 40.0, 1e6, 1e12, 1e80])


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_powers_of_the_radius(dimension):
    """<t^p> = Gamma(D/2 + p)/Gamma(D/2): linear f has p = 1 (2 for the Gram matrix), f = 1 has 0, f'/f and f/r less."""
    powers = (0.0, 0.5, 1.0, 2.0) if dimension < 3 else (-0.5, 0.0, 0.5, 1.0, 2.0)
    found = radial_averages(dimension, SIZES, lambda r, t: [np.broadcast_to(t**p, r.shape) for p in powers])
    half = mpf(dimension) / 2
    for p, value in zip(powers, found, strict=True):
        assert relative(value, mp.gamma(half + p) / mp.gamma(half)) < 2e-14
        assert value.shape == SIZES.shape


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_gaussian_of_the_radius_at_every_scale(dimension):
    """<exp(-r^2)> = (1 + 2 s/D)^(-D/2): what turns on the scale r ~ 1 is resolved even where s is 1e12."""
    s = SIZES[SIZES < 1e13] if dimension < 5 else np.array([1e-12, 0.3, 1.0, 4.0])
    (found,) = radial_averages(dimension, s, lambda r, t: [np.exp(-r * r)])
    with mp.workdps(40):
        assert relative(found, [(1 + 2 * mpf(x) / dimension) ** (-mpf(dimension) / 2) for x in s]) < 3e-14


def test_r_is_a_capsule_radius():
    """t = D r^2/(2 s), so that <r^2> = s."""
    s = np.array([[0.2, 3.0], [10.0, 0.0]])
    for dimension in (1, 4):
        (square,) = radial_averages(dimension, s, lambda r, t: [r * r])
        np.testing.assert_allclose(square, s, rtol=1e-14, atol=0)


def test_numbers_for_each_state():
    s = np.array([0.5, 2.0])
    (found,) = radial_averages(3, s, lambda r, t, m: [(r * m) ** 2], rows=np.array([2.0, -3.0]))
    np.testing.assert_allclose(found, s * [4.0, 9.0], rtol=1e-14)


def test_many_states_are_split(monkeypatch):
    """More states than fit one temporary array give what they give one by one."""
    s = np.geomspace(1e-3, 50.0, 23)
    rows = np.linspace(1.0, 2.0, 23)

    def integrands(r, t, m):
        return [np.tanh(m * r) ** 2, np.broadcast_to(t, r.shape)]

    whole = radial_averages(2, s, integrands, rows=rows)
    monkeypatch.setattr(quadrature, "_CHUNK", 700)
    for split, reference in zip(radial_averages(2, s, integrands, rows=rows), whole, strict=True):
        np.testing.assert_allclose(split, reference, rtol=1e-15)


def test_refining_changes_nothing_for_an_analytic_function():
    s = np.array([0.1, 1.0, 30.0, 1e4])
    values = [radial_averages(2, s, lambda r, t: [np.tanh(r) ** 2], refine)[0] for refine in (1, 2, 3)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-14)
    np.testing.assert_allclose(values[0], values[2], rtol=1e-14)


def test_refining_converges_for_a_kink():
    """For min(r, 1) the error falls as the square of the step."""
    s, dimension = 1.3, 2
    edge = dimension / (2 * s)
    exact = s * special.gammainc(dimension / 2 + 1, edge) + special.gammaincc(dimension / 2, edge)
    errors = [
        abs(radial_averages(dimension, s, lambda r, t: [np.minimum(r, 1.0) ** 2], refine)[0] / exact - 1)
        for refine in (1, 16)
    ]
    assert errors[0] > 1e-5
    assert errors[1] < errors[0] / 50


def test_a_kink_that_is_not_known_of_is_averaged_alike_in_any_company():
    """Its error shows, so that it must not depend on what else is averaged."""
    s = np.array([1.3, 1e-9, 40.0, 1e12])
    together = radial_averages(2, s, lambda r, t, m: [np.minimum(m * r, 1.0) ** 2], rows=np.ones(4), breaks=())[0]
    for alone, average in zip(s, together, strict=True):
        (value,) = radial_averages(2, alone, lambda r, t, m: [np.minimum(m * r, 1.0) ** 2], rows=np.ones(1), breaks=())
        assert value == pytest.approx(average, rel=1e-15)


def test_rules_are_shared_and_safe():
    assert radial_rule(2, 1)[0] is radial_rule(2, 1)[0]
    with pytest.raises(ValueError, match="read-only"):
        radial_rule(2, 1)[0][0] = 1.0
    assert [scale_bucket(x) for x in (0.0, 1e-9, 1.0, 1.1, 4.0, 4.1, 16.0)] == [0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (3.0, 1.0), (2.0, 3.0)])
def test_unit_interval(a, b):
    """int_0^1 x^(a-1) (1-x)^(b-1) dx = B(a, b) on the grid in log(x/(1-x))."""
    u, du = bent_grid(0.0, 0.0, 0.085, unit_interval=True)
    x, rest = special.expit(u), special.expit(-u)
    assert relative(np.sum(du * x**a * rest**b), special.beta(a, b)) < 1e-14


def test_half_line():
    """int_0^inf x exp(-x^2) dx = 1/2, and with a feature at 1e-4, 1/(1 + 1e8)/2."""
    u, du = bent_grid(np.log(1e-4), np.log(6.5), 0.1)
    x = np.exp(u)
    assert relative(np.sum(du * x**2 * np.exp(-x * x)), 0.5) < 1e-14
    assert relative(np.sum(du * x**2 * np.exp(-1e8 * x * x)), 0.5e-8) < 1e-14
