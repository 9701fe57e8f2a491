"""`angle_half_life`: against trajectories at a small angle, linear networks by hand, and what asymmetry does alone."""

import numpy as np
import pytest

from meanfield import ConvergenceWarning, Ensemble, angle_half_life, explicit_breaking, readable_depth, trajectory

SMALL = 1e-5  # radians; its square is what an angle's size changes


def halved(angles):
    """Where angles along layers have fallen to half, between two layers by a straight line for their logarithm."""
    after = int(np.flatnonzero(2.0 * np.asarray(angles) <= angles[0])[0])
    before, last = np.log(2.0 * angles[after - 1] / angles[0]), np.log(2.0 * angles[after] / angles[0])
    return after - 1 + before / (before - last)


@pytest.mark.parametrize(
    ("sigma_w", "rho", "sigma_b", "asymmetry"),
    [(1.5, 0.9, 0.1, 0.0), (1.5, 0.9, 1e-4, 0.0), (1.5, 0.5, 0.01, 0.01), (2.5, 0.2, 0.8, 0.3), (0.7, 0.9, 0.3, 0.0)],
)
@pytest.mark.parametrize("activation", ["tanh", "saturated"])
def test_a_small_angle_along_the_layers(sigma_w, rho, sigma_b, asymmetry, activation):
    breaking = {"sigma_b": sigma_b, "asymmetry": asymmetry, "activation": activation}
    c = explicit_breaking(sigma_w, **breaking).c_star.item()
    run = trajectory(1000, sigma_w, c=c, delta=rho * c, phi=SMALL, **breaking)
    found = angle_half_life(sigma_w, rho, **breaking).half_life.item()
    assert found == pytest.approx(halved(run.phi.values), rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "O(7)"])
def test_linear_networks(symmetry):
    """Delta goes to b^2/(1 - w^2) by the factor w^2, whatever a capsule is."""
    w, b, rho, eta = 0.99, 0.004, 0.7, 0.002
    star = b**2 / (1 - w**2)
    delta = star + (rho - 1.0) * star * w ** (2 * np.arange(400.0))
    angles = np.concatenate([[1.0], np.cumprod((1 - eta) * w**2 * delta / (w**2 * delta + b**2))])
    found = angle_half_life(w, rho, b, eta, symmetry, "linear").half_life.item()
    assert found == pytest.approx(halved(angles), rel=1e-10)


def test_asymmetry_alone():
    """At every sigma_w and overlap the tangent loses the same share, below the transition as well."""
    eta = np.array([0.0, 1e-12, 0.01, 0.5, 1.0])
    found = angle_half_life([0.5, 1.0, 2.0], [0.1, 0.9], asymmetry=eta).half_life
    assert found.dims == ("sigma_w", "rho_0", "asymmetry")
    with np.errstate(divide="ignore"):
        expected = np.log(0.5) / np.log1p(-eta)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-14)


def test_ten_times_weaker_biases_buy_two_xi_delta_log_ten_layers():
    """Not ten times as many, as one exponential would."""
    found = angle_half_life(1.5, 0.9, [1e-6, 1e-5]).half_life.values
    xi = explicit_breaking(1.5).xi_delta.item()
    assert found[0] - found[1] == pytest.approx(2.0 * xi * np.log(10.0), rel=1e-3)
    assert found[1] > 20 * explicit_breaking(1.5, 1e-5).xi_phi.item()


def test_larger_capsules_hold_out_longer():
    lives = [angle_half_life(1.5, 0.9, 0.05, symmetry=f"O({k})").half_life.item() for k in (2, 4, 8)]
    assert lives == sorted(lives)
    assert lives[0] == angle_half_life(1.5, 0.9, 0.05).half_life.item()


def test_as_a_method():
    ensemble = Ensemble("O(4)", "erf", 1.4, 0.2, 0.03)
    assert ensemble.angle_half_life(0.8).identical(angle_half_life(1.4, 0.8, 0.2, 0.03, "O(4)", "erf"))


def test_what_takes_too_long_is_told():
    with pytest.warns(ConvergenceWarning, match="1 of 2 angles have not halved within 16384 layers"):
        found = angle_half_life(1.0, 0.5, [1e-2, 1e-9]).half_life
    assert list(np.isnan(found)) == [False, True]


def test_without_a_fixed_point():
    with pytest.raises(ValueError, match="no fixed point"):
        angle_half_life(2.0, 0.5, 0.1, activation="linear")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": 1.0}, r"rho must be in \(0, 1\), got 1"),
        ({"rho": 0.0}, "rho must be > 0, got 0"),
        ({"sigma_b": -1.0}, "sigma_b must be >= 0, got -1"),
        ({"asymmetry": 2.0}, r"asymmetry must be in \[0, 1\], got 2"),
        ({"symmetry": "generic(2)"}, r"symmetry must be 'U\(1\)' or 'O\(k\)' with k >= 2, .* got 'generic\(2\)'"),
        ({"sigma_w": [[1.0]]}, "sigma_w must be a number or one-dimensional"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        angle_half_life(**({"sigma_w": 1.5, "rho": 0.5} | arguments))


def test_biases_and_width_are_noise_of_the_same_kind():
    """Both buy depth by logarithms: readable_depth grows by xi_delta log(10)/2 where N is ten times larger."""
    depths = readable_depth([1e6, 1e7], 1.5, 0.9).depth.values
    lives = angle_half_life(1.5, 0.9, [1e-4, 1e-5]).half_life.values
    assert (lives[1] - lives[0]) / (depths[1] - depths[0]) == pytest.approx(4.0, rel=0.01)
