"""The length map against closed forms, integrals over other variables, expansions and limits."""

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import special

from meanfield import (
    AccuracyWarning,
    correlation_map,
    jacobian_trajectory,
    length_map,
    matrix_gram_map,
    trajectory,
)
from meanfield.activations import as_activation
from meanfield.anisotropy import anisotropy_trajectory
from meanfield.moments import gain_error
from tests.meanfield.independent import (
    DIMENSIONS,
    MP_FUNCTIONS,
    arcsine,
    clipped,
    clipped_length,
    own_tanh,
    radial_average,
    relative,
    toothed,
    toothed_length,
)


@pytest.fixture(autouse=True)
def _digits():
    with mp.workdps(30):
        yield


def test_literal_eq_8():
    """c' = 2 int_0^inf du u exp(-u^2) tanh(u sigma_w sqrt(c))^2."""
    for c, sigma_w in ((0.4, 1.5), (0.9, 6.0)):
        integral = 2 * mp.quad(
            lambda u, c=c, sigma_w=sigma_w: u * mp.exp(-u * u) * mp.tanh(u * sigma_w * mp.sqrt(c)) ** 2,
            [0, 0.3, 1, 2, 4, 9],
        )
        assert relative(length_map(c, sigma_w), integral) < 1e-14


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
def test_integral_over_the_radius(dimension, name):
    f = MP_FUNCTIONS[name]
    for c, sigma_w in ((0.31, 1.25), (3.0, 4.0)):
        expected = radial_average(lambda r: f(r) ** 2, dimension, mpf(sigma_w) ** 2 * mpf(c))
        assert relative(length_map(c, sigma_w, f"O({dimension})", name), expected) < 1e-13


@pytest.mark.parametrize("sigma_w", [1e-3, 0.5, 1.5, 30.0, 1e3])
def test_erf_in_one_dimension_is_an_arcsine(sigma_w):
    """<erf(u)^2> = (2/pi) arcsin(2 s/(1 + 2 s)) for a Gaussian u of variance s."""
    c = np.array([1e-12, 0.3, 1.0, 50.0])
    s = [mpf(sigma_w) ** 2 * mpf(x) for x in c]
    expected = [2 / mp.pi * mp.asin(2 * x / (1 + 2 * x)) for x in s]
    assert relative(length_map(c, sigma_w, "O(1)", "erf"), expected) < 1e-14


@pytest.mark.parametrize("s", [1e-9, 0.2, 3.0, 1e4, 1e9])
def test_algebraic_in_two_dimensions_is_an_exponential_integral(s):
    """<r^2/(1 + r^2)> = 1 - (1/s) exp(1/s) E_1(1/s) for r^2 = s t, t exponential."""
    x = 1 / mpf(s)
    with mp.workdps(60):
        expected = 1 - x * mp.exp(x) * mp.e1(x) if s > 1e-6 else mpf(s) - 2 * mpf(s) ** 2
    assert relative(length_map(s, 1.0, "U(1)", "algebraic"), expected) < 1e-14


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_linear_and_saturated(dimension):
    c = np.array([0.0, 1e-300, 0.3, 1e6])
    linear = length_map(c, 1.7, f"O({dimension})", "linear")
    np.testing.assert_allclose(linear, 1.7**2 * c, rtol=1e-14, atol=0)
    np.testing.assert_array_equal(length_map(c, 1.7, f"O({dimension})", "saturated"), [0.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 48])
def test_expansion_at_small_c(dimension):
    """tanh(r)^2 = r^2 - (2/3) r^4 + (17/45) r^6 - ...: for D = 2 the paper's c' = s - (4/3) s^2 (Eq. (36))."""
    s, d = mpf(2.0**-20), mpf(dimension)
    moments = [mpf(1)]
    for n in range(4):
        moments.append(moments[-1] * s * (1 + 2 * n / d))  # <r^(2n)>
    expected = moments[1] - 2 * moments[2] / 3 + 17 * moments[3] / 45 - 62 * moments[4] / 315
    assert relative(length_map(2.0**-20, 1.0, f"O({dimension})"), expected) < 1e-15
    if dimension == 2:
        assert abs(moments[2] * 2 / 3 - s**2 * 4 / 3) < 1e-30


def test_large_capsules_have_a_fixed_radius():
    """For D -> infinity r^2 = s + sqrt(2/D) s times a standard Gaussian: F = g(s) + (s^2/D) g''(s) + O(1/D^2)."""
    s, g = 2.0, lambda x: mp.tanh(mp.sqrt(x)) ** 2
    curvature = mp.diff(g, s, 2)
    for dimension in (10_000, 100_000):
        slope = (length_map(s, 1.0, f"O({dimension})") - g(s)) * dimension
        assert abs(slope - s**2 * curvature) < 10.0 / dimension


def test_depends_on_the_symmetry_through_the_capsule_dimension_alone():
    c = np.array([0.1, 2.0])
    for same in ("O(2)", "generic(2)", "SO(2)"):
        np.testing.assert_array_equal(length_map(c, 1.5, same), length_map(c, 1.5, "U(1)"))
    assert length_map(0.1, 1.5, "O(3)") != length_map(0.1, 1.5, "O(2)")


def test_extremes():
    assert length_map(0.0, 1.5) == 0.0
    assert length_map(0.7, 0.0) == 0.0
    assert relative(length_map(1e-300, 3.0), 9e-300) < 1e-15
    assert length_map(1.0, 1e6) == pytest.approx(1.0, abs=1e-11)
    assert length_map(1.0, 1e6) < 1.0
    assert length_map(1e300, 1.0) == 1.0


@pytest.mark.parametrize(
    ("c", "sigma_w"), [(1e300, 1e-170), (1e300, 3e-154), (1e200, 1e-160), (1e-300, 1e150), (3.0, 5e-160)]
)
def test_squares_that_underflow(c, sigma_w):
    """s = sigma_w^2 c keeps its digits where sigma_w^2 has none, in every map: erf in one dimension is an arcsine."""
    s = mpf(sigma_w) ** 2 * mpf(c)
    length = arcsine(s, s, s)
    assert relative(length_map(c, sigma_w, "O(1)", "erf"), length) < (1e-14 if s > 1e-300 else 1e-3)
    if s < 1e-300:  # the result itself is subnormal
        return
    both = arcsine(s / 2, s, s)
    assert relative(correlation_map(c / 2, c, sigma_w, "O(1)", "erf"), both) < 1e-14
    path = trajectory(1, sigma_w, c, c / 2, symmetry="O(1)", activation="erf")
    for name, exact in (("c", length), ("delta", both), ("rho", both / length)):
        assert relative(path[name][1], exact) < 1e-14
    assert relative(jacobian_trajectory(1, sigma_w, c, "O(2)", "linear").d[1], s) < 1e-14
    assert relative(matrix_gram_map([[c / 2 * np.eye(2)]], sigma_w, "O(2)", "linear")[0, 0, 1, 1], s / 2) < 1e-14
    assert relative(anisotropy_trajectory(1, c / 2 * np.eye(2), sigma_w, "O(2)", "linear").c[1], s) < 1e-14


def test_broadcasting():
    c, sigma_w = np.array([[0.1], [0.5]]), np.array([0.5, 1.5, 3.0])
    table = length_map(c, sigma_w)
    assert table.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        assert table[i, j] == pytest.approx(length_map(float(c[i, 0]), float(sigma_w[j])), rel=1e-14)
    assert np.ndim(length_map(1, 2)) == 0
    assert length_map([1, 2], 2).shape == (2,)
    assert length_map(np.float32(0.5), 2) == length_map(0.5, 2)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
def test_growth_never_increases(name):
    """F(c)/c decreases (so there is one fixed point), F increases and stays below f'(0)^2 s and 1."""
    rng = np.random.default_rng(3)
    for _ in range(40):
        dimension, sigma_w = int(rng.integers(1, 60)), 10.0 ** rng.uniform(-2, 2)
        c = np.sort(10.0 ** rng.uniform(-6, 3, 30))
        new = length_map(c, sigma_w, f"O({dimension})", name)
        assert np.all(np.diff(new) > -1e-15)
        assert np.all(np.diff(new / c) < 1e-14 * (new / c)[:-1])
        slope = {"erf": 4 / np.pi}.get(name, 1.0)
        assert np.all(new <= np.minimum(1.0, slope * sigma_w**2 * c) * (1 + 1e-14))


def test_users_function_gives_what_its_named_twin_gives():
    c = np.array([1e-9, 0.2, 1.0, 30.0])
    for dimension in (1, 2, 48):
        np.testing.assert_allclose(
            length_map(c, 1.5, f"O({dimension})", own_tanh), length_map(c, 1.5, f"O({dimension})"), rtol=1e-13
        )


def cut(r):
    return np.where(r < 1.0, r, 0.0)


@pytest.mark.parametrize("dimension", [1, 2, 3, 8, 48])
def test_kinks_and_jumps_cost_no_digits(dimension):
    s = np.geomspace(1e-6, 1e12, 41)
    found, jumped = (length_map(s, 1.0, f"O({dimension})", f) for f in (clipped, cut))
    np.testing.assert_allclose(found, [clipped_length(dimension, x) for x in s], rtol=3e-14)
    np.testing.assert_allclose(jumped, s * special.gammainc(dimension / 2 + 1, dimension / (2 * s)), rtol=3e-13)
    # numpy's Gauss-Legendre weights are good to 1e-13 at the ends, where the averages of large D sit
    for f in (clipped, cut):
        assert np.all(gain_error(as_activation(f), dimension, s) < 3e-13)


@pytest.mark.parametrize("dimension", [1, 2, 3, 8, 48])
def test_error_estimate_of_a_users_function_is_honest(dimension):
    """With more kinks than are found the true error stays within a small multiple of the estimate."""
    s = np.geomspace(0.05, 300.0, 41)
    with pytest.warns(AccuracyWarning, match="activation toothed: averages are estimated to be off by up to"):
        found = length_map(s, 1.0, f"O({dimension})", toothed)
    error = np.abs(found / [toothed_length(dimension, x) for x in s] - 1)
    assert 1e-7 < error.max() < 3e-3
    assert np.all(error <= 4 * gain_error(as_activation(toothed), dimension, s) + 1e-11)
