"""Lyapunov exponents of wide networks: the linear one, the equation by adaptive integration, and very deep spectra."""

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

import meanfield
from meanfield import lyapunov_exponents

from .test_jacobian_spectrum import mean_over_direction

SHARES = np.array([1e-9, 0.01, 0.2, 0.5, 0.8, 0.99, 1.0 - 1e-9])


@pytest.mark.parametrize("sigma_w", [1e-3, 1.0, 1e3])
def test_linear_layers(sigma_w):
    found = lyapunov_exponents(SHARES, sigma_w, activation="linear").exponent
    np.testing.assert_allclose(found, np.log(sigma_w) + np.log1p(-SHARES) / 2.0, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("sigma_w", "dimension"), [(1.5, 2), (4.0, 2), (3.0, 3), (2.0, 1)])
def test_the_equation_by_adaptive_integration(sigma_w, dimension):
    shares = [0.05, 0.4, 0.7]

    def excess(log_v, share):
        v = np.exp(log_v)
        return mean_over_direction(lambda square: square * v / (1.0 + square * v), sigma_w, dimension) - share

    log_v = [optimize.brentq(excess, -10.0, 60.0, args=(share,), xtol=1e-12) for share in shares]
    found = lyapunov_exponents(shares, sigma_w, f"O({dimension})").exponent
    np.testing.assert_allclose(found, (np.log(shares) - log_v) / 2.0 + np.log(sigma_w), rtol=1e-9)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(4)"])
def test_what_the_spectra_of_deep_networks_tend_to(symmetry):
    """To order log L/L, so that eight times the depth leaves less than a fifth."""
    shares, gaps = [0.1, 0.3, 0.6], []
    exponents = lyapunov_exponents(shares, 1.7, symmetry).exponent.values
    for depth in (250, 2000):
        above = meanfield.jacobian_spectrum(depth, 1.7, depth * exponents, symmetry).share_above
        gaps.append(np.abs(above.values - shares).max())
    assert gaps[1] < gaps[0] / 5.0
    assert gaps[1] < 2e-3


def test_their_mean_is_that_of_the_logarithms():
    found = integrate.quad(lambda share: lyapunov_exponents(share, 2.0).exponent.item(), 0.0, 1.0, limit=100)[0]
    assert found == pytest.approx(np.log(2.0) - 0.5 + mean_over_direction(np.log, 2.0, 2) / 2.0, rel=1e-6)


def test_the_largest_is_that_of_the_jacobian_and_none_grows_below_the_transition():
    sigma_w = np.array([0.5, 1.0, 1.0 + 1e-6, 1.5, 30.0])
    found = lyapunov_exponents(1e-12, sigma_w)
    chi = [float(meanfield.depth_scales(each).chi_jacobian) for each in sigma_w]
    np.testing.assert_allclose(found.exponent, np.log(chi) / 2.0, atol=1e-10)
    assert np.array_equal(found.growing > 0.0, np.array(chi) > 1.0)


@pytest.mark.parametrize("sigma_w", [1.1, 2.0, 100.0])
def test_the_share_that_grows(sigma_w):
    growing = lyapunov_exponents(0.5, sigma_w, "O(3)").growing.item()
    assert lyapunov_exponents(growing, sigma_w, "O(3)").exponent.item() == pytest.approx(0.0, abs=1e-11)


def test_the_sharp_fall_of_f_prime_is_resolved():
    """At sigma_w = 100 radial changes shrink by factors over hundreds of powers of ten. The share is then that of
    capsules beyond a radius, up to 1/(log delta^2)."""
    share, s = 0.75, 1e4 * float(meanfield.fixed_point(100.0).c)
    # half of the directions are angles, which shrink by far less; r of the radial ones is exponential in r^2
    radius = np.sqrt(-s * np.log(1.0 - (1.0 - share) / 0.5))
    found = lyapunov_exponents(share, 100.0).exponent.item()
    assert found == pytest.approx(np.log(100.0) + np.log(4.0) - 2.0 * radius, rel=0.02)
    np.testing.assert_array_less(np.diff(lyapunov_exponents(np.linspace(0.55, 0.95, 81), 100.0).exponent), 0.0)


def test_a_function_that_breaks():
    """min(r, 1): chi_J in closed form, r^2 being exponential at D = 2."""

    def kink(r):
        return np.minimum(r, 1.0)

    s = 1.5**2 * float(meanfield.fixed_point(1.5, "O(2)", kink).c)
    along, across = 1.0 - np.exp(-1.0 / s), 1.0 - np.exp(-1.0 / s) + special.exp1(1.0 / s) / s
    found = lyapunov_exponents(1e-13, 1.5, "O(2)", kink).exponent.item()
    assert found == pytest.approx(np.log(1.5**2 * (along + across) / 2.0) / 2.0, rel=1e-10)


def test_a_jacobian_with_zeros():
    found = lyapunov_exponents([0.3, 0.7], 2.0, "O(3)", "saturated").exponent
    assert np.isfinite(found[0])
    assert found[1] == -np.inf
    # at the very share where they end, too
    for k, sigma_w in ((2, 1.5), (3, 2.0), (4, 3.0), (5, 1.5), (10, 2.0)):
        assert lyapunov_exponents((k - 1) / k, sigma_w, f"O({k})", "saturated").exponent.item() == -np.inf


def test_far_ends():
    assert lyapunov_exponents(1e-300, 2.0).exponent.item() == pytest.approx(lyapunov_exponents(1e-30, 2.0).exponent)
    far = lyapunov_exponents(0.3, [1e30, 1e100])
    np.testing.assert_allclose(far.exponent[1], far.exponent[0], rtol=1e-6)  # f = 1 in all but one of 1e30 capsules
    np.testing.assert_allclose(far.growing[1], lyapunov_exponents(0.3, 5.0, "U(1)", "saturated").growing, rtol=1e-6)


def test_the_share_that_grows_is_as_accurate():
    """Of a function that turns often within the radii that there are."""
    found = lyapunov_exponents(0.5, 10.0, "O(3)", (np.sin, np.cos)).growing.item()
    s = 100.0 * float(meanfield.fixed_point(10.0, "O(3)", (np.sin, np.cos)).c)
    radius = stats.chi(3, scale=np.sqrt(s / 3.0))
    r = np.linspace(0.0, radius.isf(1e-18), 4_000_001)[1:]
    weight = radius.pdf(r) * (r[1] - r[0])

    def shares(log_v):
        return [weight @ special.expit(log_v + np.log(d * d + 1e-300)) for d in (np.cos(r), np.sin(r) / r)]

    def growth(log_v):
        along, across = shares(log_v)
        return np.log(100.0 * (along + 2.0 * across) / 3.0) - log_v

    along, across = shares(optimize.brentq(growth, -20.0, 20.0, xtol=1e-12))
    assert found == pytest.approx((along + 2.0 * across) / 3.0, abs=1e-7)


def test_axes_and_labels():
    found = lyapunov_exponents([0.1, 0.5], [0.5, 1.5, 3.0], "O(3)")
    assert found.exponent.dims == ("sigma_w", "share")
    assert found.growing.dims == ("sigma_w",)
    by_ensemble = meanfield.Ensemble("O(3)", "tanh", 3.0).lyapunov_exponents(0.5)
    assert by_ensemble.exponent.item() == pytest.approx(found.exponent[2, 1].item(), rel=1e-12)
    assert by_ensemble.exponent.dims == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.5), "share must be > 0, got 0"),
        (([0.5, 1.0], 1.5), r"share must be in \(0, 1\), got 1"),
        ((0.5, 0.0), "sigma_w must be > 0, got 0"),
        ((0.5, 1.5, "O(1)", "saturated"), "activation must have a Jacobian"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        lyapunov_exponents(*arguments)


def test_where_there_is_no_fixed_point():
    with pytest.warns(meanfield.ConvergenceWarning):
        found = lyapunov_exponents(0.5, [0.3, 2.0], activation=lambda r: 2.0 * r + np.tanh(r))
    assert np.isfinite(found.exponent[0])
    assert np.isnan(found.exponent[1])
    assert np.isnan(found.growing[1])
