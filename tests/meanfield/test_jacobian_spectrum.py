"""Singular values of deep Jacobians: closed forms, moments, and the equation itself by other integrals."""

import numpy as np
import pytest
from scipy import integrate, special, stats

import meanfield
from meanfield import jacobian_spectrum


def mean_over_direction(function, sigma_w, dimension):
    """<function(delta^2)> for tanh at the fixed point, by adaptive integration over the radius."""
    s = sigma_w**2 * float(meanfield.fixed_point(sigma_w, f"O({dimension})").c)
    radius = stats.chi(dimension, scale=np.sqrt(s / dimension))

    def integrand(r):
        along, across = 1.0 / np.cosh(r) ** 4, (np.tanh(r) / r) ** 2
        return (function(along) + (dimension - 1) * function(across)) / dimension * radius.pdf(r)

    return integrate.quad(integrand, 1e-12, radius.isf(1e-18), limit=400, epsabs=1e-13, epsrel=1e-12)[0]


def test_one_linear_layer_is_the_quarter_circle():
    """Singular values of a square Gaussian matrix: sqrt(4 - s^2)/pi between 0 and 2."""
    s = np.array([1e-3, 0.1, 0.7, 1.3, 1.99])
    found = jacobian_spectrum(1, 1.0, np.log(s), activation="linear")
    np.testing.assert_allclose(found.density, s * np.sqrt(4.0 - s**2) / np.pi, rtol=1e-11)
    below = (s * np.sqrt(4.0 - s**2) + 4.0 * np.arcsin(s / 2.0)) / (2.0 * np.pi)
    np.testing.assert_allclose(found.share_above, 1.0 - below, rtol=1e-11)
    assert found.log_largest.item() == pytest.approx(np.log(2.0), rel=1e-13)


@pytest.mark.parametrize("depth", [2, 5, 40])
def test_linear_layers_have_the_distribution_of_fuss_and_catalan(depth):
    """In its parametrisation by an angle; beyond the upper end there is nothing."""
    sigma_w, n = 0.7, depth + 1
    angle = np.linspace(0.02, 0.98, 25) * np.pi / n
    square = np.sin(n * angle) ** n / (np.sin(angle) * np.sin(depth * angle) ** depth)
    density = np.sin(angle) ** 2 * np.sin(depth * angle) ** (depth - 1) / (np.pi * np.sin(n * angle) ** depth)
    log_value = np.log(square) / 2.0 + depth * np.log(sigma_w)
    found = jacobian_spectrum(depth, sigma_w, log_value, "O(3)", "linear")
    np.testing.assert_allclose(found.density, 2.0 * square * density, rtol=1e-9)
    top = depth * np.log(sigma_w) + (n * np.log(n) - depth * np.log(depth)) / 2.0
    assert found.log_largest.item() == pytest.approx(top, rel=1e-12)
    beyond = jacobian_spectrum(depth, sigma_w, [top + 1e-3, top + 30.0], "O(3)", "linear")
    assert np.all(beyond.share_above < 1e-12)
    assert np.all(beyond.density < 1e-12)


@pytest.mark.parametrize(("sigma_w", "dimension", "depth"), [(1.5, 2, 1), (1.5, 2, 6), (3.0, 3, 4)])
def test_moments(sigma_w, dimension, depth):
    """The mean of s^2 is chi_J^L, that of s^4 larger by 1 + L <delta^4>/<delta^2>^2 than its square, and that of log s
    is what determinants of Gaussian matrices and of D make it."""
    top = jacobian_spectrum(depth, sigma_w, 0.0, f"O({dimension})").log_largest.item()
    # by parts: E g(s) = g(0) + the integral of g' times the share above; the square root tames the upper end
    t, weight = np.polynomial.legendre.leggauss(200)
    log_value = top - 30.0 * depth * ((1.0 + t) / 2.0) ** 2
    weight = weight * 30.0 * depth * (1.0 + t) / 2.0
    share = jacobian_spectrum(depth, sigma_w, log_value, f"O({dimension})").share_above.values
    squares = [sum(weight * share * 2 * n * np.exp(2 * n * log_value)) for n in (1, 2)]
    moments = [mean_over_direction(lambda square, n=n: square**n, sigma_w, dimension) for n in (1, 2)]
    mean = (sigma_w**2 * moments[0]) ** depth
    assert squares[0] == pytest.approx(mean, rel=1e-9)
    assert squares[1] == pytest.approx(mean**2 * (1.0 + depth * moments[1] / moments[0] ** 2), rel=1e-9)
    log_mean = top - sum(weight * (1.0 - share))
    per_layer = np.log(sigma_w) - 0.5 + mean_over_direction(np.log, sigma_w, dimension) / 2.0
    assert log_mean == pytest.approx(depth * per_layer, abs=3e-3 * depth)  # of what lies below the integral


def test_density_is_the_slope_of_the_share():
    x = np.linspace(-8.0, 0.5, 35)
    middle, step = jacobian_spectrum(8, 1.5, x, "O(4)").density, 1e-4
    low, high = (jacobian_spectrum(8, 1.5, x + shift, "O(4)").share_above for shift in (-step, step))
    np.testing.assert_allclose((low.values - high.values) / (2.0 * step), middle, atol=1e-7)


def test_a_share_of_zeros_stays():
    """f = 1 takes every change along a radius."""
    found = jacobian_spectrum(5, 1.3, [-300.0, 1.0], "O(3)", "saturated")
    assert found.share_above[0].item() == pytest.approx(2.0 / 3.0, rel=1e-9)
    assert found.log_largest.item() == np.inf


@pytest.mark.parametrize("sigma_w", [1e-3, 1.0 - 1e-9, 1.0, 1.0 + 1e-9])
def test_layers_are_linear_where_c_is_zero(sigma_w):
    x = np.linspace(-6.0, 0.0, 7) + 3.0 * np.log(sigma_w)
    tanh, linear = (jacobian_spectrum(3, sigma_w, x, activation=name).share_above for name in ("tanh", "linear"))
    np.testing.assert_allclose(tanh, linear, rtol=1e-7)


def test_a_user_s_function():
    x = np.linspace(-9.0, 1.0, 11)
    named, written = (jacobian_spectrum(4, 1.5, x, "O(3)", f).share_above for f in ("erf", special.erf))
    np.testing.assert_allclose(written, named, atol=1e-8)


def test_axes_and_labels():
    found = jacobian_spectrum(4, [0.5, 1.5], [-1.0, 0.0, 0.5])
    assert found.share_above.dims == ("sigma_w", "log_value")
    assert found.log_largest.dims == ("sigma_w",)
    assert found.attrs == {"symmetry": "U(1)", "activation": "tanh", "depth": 4}
    single = jacobian_spectrum(4, 1.5, 0.0)
    assert single.share_above.item() == pytest.approx(found.share_above[1, 1].item(), rel=1e-12)
    by_ensemble = meanfield.Ensemble("U(1)", "tanh", 1.5).jacobian_spectrum(4, 0.0)
    assert by_ensemble.share_above.item() == single.share_above.item()


def test_where_there_is_no_fixed_point():
    with pytest.warns(meanfield.ConvergenceWarning):
        found = jacobian_spectrum(3, [0.3, 2.0], 0.0, activation=lambda r: 2.0 * r + np.tanh(r))
    assert np.isfinite(found.share_above[0])
    assert np.isnan(found.isel(sigma_w=1).to_array()).all()


def test_what_the_rule_cannot_resolve_is_told():
    """One layer of which half the directions have factors over hundreds of powers of ten; a second one blurs them."""
    with pytest.warns(meanfield.AccuracyWarning, match="1 of 1 shares are less accurate than 1e-08, by up to about"):
        jacobian_spectrum(1, 100.0, -40.0)
    jacobian_spectrum(2, 100.0, -40.0)


def test_finer_rules_are_taken_where_the_plain_one_does_not_do():
    """One layer at sigma_w = 10, without a warning; each value is as it is when asked for alone."""
    x = np.array([-36.0, -26.0, -9.0, 0.0, 2.0])
    together = jacobian_spectrum(1, 10.0, x).share_above.values
    alone = [jacobian_spectrum(1, 10.0, each).share_above.item() for each in x[1:3]]
    np.testing.assert_allclose(together[1:3], alone, atol=1e-13)
    assert np.all(np.diff(together) <= 0.0)


@pytest.mark.parametrize("depth", [1, 2, 1000, 100_000])
@pytest.mark.parametrize("sigma_w", [1e-3, 0.9, 1.5, 1e100])
def test_far_from_the_spectrum_shares_are_none_or_all(depth, sigma_w):
    edge = jacobian_spectrum(depth, sigma_w, 0.0).log_largest.item()
    far = edge + np.array([-1e6, 1e-6, 30.0, 1e3, 1e6]) * depth
    found = jacobian_spectrum(depth, sigma_w, far)
    there = 0.5 if sigma_w == 1e100 else 1.0  # of f' is then nothing left
    assert found.share_above.values.tolist() == pytest.approx([there, 0.0, 0.0, 0.0, 0.0], rel=1e-12)
    assert not found.density.any()
    at = jacobian_spectrum(depth, sigma_w, [edge, edge - 1e-9]).share_above
    assert np.all((at >= 0.0) & (at < 1e-6))


def test_the_upper_end_at_large_d():
    """Where it is where v reaches the largest delta^2, the 1 of a capsule at 0; none of the spectrum is seen there."""
    found = jacobian_spectrum(1, 4.0, 0.9, "O(64)")
    assert found.share_above.item() < 1e-8
    assert found.log_largest.item() > 1.4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1.5, 0.0), "depth must be an integer >= 1, got 0"),
        ((3, 0.0, 0.0), "sigma_w must be > 0, got 0"),
        ((3, [1.0, 0.0], 0.0), "sigma_w must be > 0, got 0"),
        ((3, 1.5, [0.0, np.inf]), "log_value must be finite, got inf"),
        ((3, 1.5, [[0.0]]), "log_value must be a number or one-dimensional, got shape"),
        ((3, 1.5, 0.0, "O(1)", "saturated"), r"activation must have a Jacobian, got 'saturated' of O\(1\)"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        jacobian_spectrum(*arguments)
