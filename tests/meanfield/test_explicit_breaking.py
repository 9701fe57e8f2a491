"""Biases and weights that ignore the symmetry, against integrals of many digits, closed forms, and matrices of O(k)."""

import warnings

import numpy as np
import pytest
import xarray as xr
from mpmath import mp, mpf
from scipy import optimize

from meanfield import (
    AccuracyWarning,
    ConvergenceWarning,
    Ensemble,
    correlation_map,
    depth_scales,
    explicit_breaking,
    matrix_correlation_map,
    overlap,
    polar_factor,
    precise,
    trajectory,
)
from meanfield.nearby import nearby_gap
from meanfield.overlap import Overlaps
from tests.meanfield.independent import clipped, own_tanh

DIGITS = 25


def precise_layers(depth, sigma_w, sigma_b, share, c, covariance, symmetry, activation):
    """c_1, c_2 and the complex C_12 of each layer, by the defining integrals."""
    sigma_w, sigma_b, share = mpf(sigma_w), mpf(sigma_b), mpf(share)
    field = (sigma_b / sigma_w) ** 2
    lengths, out = [mpf(one) for one in c], []
    for _ in range(depth):
        entering = mp.mpc(covariance.real + field, (1 - share) * covariance.imag)
        shifted = tuple(one + field for one in lengths)
        size = precise.correlation_map(abs(entering), shifted, sigma_w, symmetry, activation, digits=DIGITS)
        covariance = size * entering / abs(entering)
        lengths = [precise.length_map(one, sigma_w, symmetry, activation, digits=DIGITS) for one in shifted]
        out.append((*lengths, covariance))
    return out


@pytest.mark.parametrize(
    ("symmetry", "activation", "sigma_w", "sigma_b", "share", "c", "delta", "phi"),
    [
        ("U(1)", "tanh", 1.5, 0.25, 0.125, (0.5, 0.5), 0.375, 2.0),
        ("U(1)", "erf", 0.75, 0.5, 0.0, (0.5, 0.25), -0.25, 1.0),
        ("U(1)", "algebraic", 32.0, 1.0, 0.5, (0.5, 0.5), 0.49, -0.5),
        ("generic(2)", "tanh", 1.5, 0.25, 1.0, (0.5, 0.125), 0.125, 3.0),
        ("O(3)", "tanh", 1.5, 0.5, 0.0, (0.5, 0.5), -0.0625, 0.0),
    ],
)
def test_layers_against_integrals(symmetry, activation, sigma_w, sigma_b, share, c, delta, phi):
    own_share = {} if symmetry == "generic(2)" else {"asymmetry": share}
    found = trajectory(3, sigma_w, c, delta, phi, None, symmetry, activation, sigma_b=sigma_b, **own_share)
    with mp.workdps(DIGITS + 10):
        start = mpf(delta) * mp.expj(mpf(phi))
        layers = precise_layers(3, sigma_w, sigma_b, share, c, start, symmetry, activation)
        for layer, (c_1, c_2, covariance) in enumerate(layers, start=1):
            one = found.isel(layer=layer)
            assert abs(mpf(one.c_1.item()) / c_1 - 1) < 1e-13
            assert abs(mpf(one.c_2.item()) / c_2 - 1) < 1e-13
            told = mpf(one.delta.item()) * mp.expj(mpf(one.phi.item()))
            assert abs(told - covariance) < 2e-13 * abs(covariance)
            assert one.log_c_1.item() == pytest.approx(float(mp.log(c_1)), rel=1e-12)
            missing = 1 - mp.sign(mpf(one.rho.item())) * abs(covariance) / mp.sqrt(c_1 * c_2)
            assert abs(mpf(one.one_minus_rho.item()) / missing - 1) < 1e-12


@pytest.mark.parametrize(
    ("sigma_b", "share", "angle"), [(0.5, 0.25, 2**-20), (1e-3, 0.0, 2**-40), (0.0, 2**-30, 0.5), (0.5, 0.0, 3e-7)]
)
@pytest.mark.parametrize("c", [(0.5, 0.5), (0.5, 0.5 * (1 - 2**-24))])
def test_nearly_identical_inputs_keep_their_digits(sigma_b, share, angle, c):
    """1 - rho of what enters the layer, with 40 digits, times the slope of the gap, which the integrals give."""
    missing = 2.0**-50
    found = trajectory(1, 1.5, c, phi=angle, one_minus_rho=missing, sigma_b=sigma_b, asymmetry=share).isel(layer=1)
    with mp.workdps(60):
        field = (mpf(sigma_b) / mpf(1.5)) ** 2
        lengths = tuple(mpf(one) + field for one in c)
        covariance = mp.sqrt(mpf(c[0]) * mpf(c[1])) * (1 - mpf(missing)) * mp.expj(mpf(angle))
        entering = mp.mpc(covariance.real + field, (1 - mpf(share)) * covariance.imag)
        power = [precise.length_map(one, 1.5, digits=45) for one in lengths]
        size = precise.correlation_map(abs(entering), lengths, 1.5, digits=45)
        expected = 1 - size / mp.sqrt(power[0] * power[1])
        assert abs(mpf(found.one_minus_rho.item()) / expected - 1) < 1e-12
        assert abs(mpf(found.phi.item()) / mp.arg(entering) - 1) < 1e-14


@pytest.mark.parametrize("share", [1e-9, 0.03, 0.5, 1.0])
@pytest.mark.parametrize(("sigma_w", "activation"), [(0.5, "tanh"), (1.5, "erf"), (100.0, "saturated")])
def test_the_tangent_of_the_phase_shrinks_geometrically(share, sigma_w, activation):
    found = trajectory(30, sigma_w, c=0.5, delta=[0.4, -0.1], phi=2.0, activation=activation, asymmetry=share)
    expected = np.tan(2.0) * (1.0 - share) ** np.arange(31)
    np.testing.assert_allclose(np.tan(found.phi), np.broadcast_to(expected, (2, 31)).T, rtol=1e-13, atol=1e-15)


def test_asymmetry_of_one_is_generic():
    mixed = trajectory(20, [0.8, 1.5, 3.0], c=0.5, delta=0.4, phi=1.0, asymmetry=1.0, sigma_b=0.1)
    generic = trajectory(20, [0.8, 1.5, 3.0], c=0.5, delta=0.4, phi=1.0, symmetry="generic(2)", sigma_b=0.1)
    xr.testing.assert_allclose(mixed.drop_attrs(), generic.drop_attrs(), rtol=1e-14)


@pytest.mark.parametrize("sigma_w", [0.5, 1.0, 1.25])
def test_linear_networks(sigma_w):
    """c, Re C and Im C follow linear recursions."""
    found = trajectory(12, sigma_w, c=0.5, delta=0.25, phi=1.0, activation="linear", sigma_b=0.5, asymmetry=0.25)
    layer, gain = np.arange(13), sigma_w**2
    added = 0.25 * (layer if sigma_w == 1.0 else (gain**layer - 1.0) / (gain - 1.0))
    np.testing.assert_allclose(found.c, 0.5 * gain**layer + added, rtol=1e-13)
    covariance = found.delta * np.exp(1j * found.phi)
    np.testing.assert_allclose(covariance.real, 0.25 * np.cos(1.0) * gain**layer + added, rtol=1e-13)
    np.testing.assert_allclose(covariance.imag, 0.25 * np.sin(1.0) * (0.75 * gain) ** layer, rtol=1e-13)


def test_the_linear_fixed_point():
    found = explicit_breaking(0.5, 0.3, 0.2, activation="linear")
    assert found.c_star.item() == pytest.approx(0.09 * 4 / 3, rel=1e-14)
    assert found.delta_star.item() == pytest.approx(0.09 * 4 / 3, rel=1e-14)
    assert found.chi_c.item() == pytest.approx(0.25, rel=1e-14)
    assert found.chi_delta.item() == pytest.approx(0.25, rel=1e-14)
    assert found.chi_phi.item() == pytest.approx(0.8 * 0.25, rel=1e-14)
    close = explicit_breaking(0.999, 100.0, activation="linear")
    assert close.c_star.item() == pytest.approx(1e4 / (1.0 - 0.999**2), rel=1e-12)
    with pytest.warns(ConvergenceWarning, match="2 of 3 points have no result"):
        found = explicit_breaking([0.5, 1.0, 2.0], 0.3, activation="linear")
    assert found.status.values.tolist() == ["converged", "no fixed point", "no fixed point"]
    assert np.isnan(found.c_star[1:]).all()
    assert np.isnan(found.xi_phi[1:]).all()


@pytest.mark.parametrize(
    ("symmetry", "activation", "sigma_w", "sigma_b"),
    [
        ("U(1)", "tanh", 1.5, 0.125),
        ("U(1)", "tanh", 1.5, 0.5),
        ("O(4)", "erf", 8.0, 1.0),
        ("U(1)", "algebraic", 0.75, 0.25),
        ("O(2)", "tanh", 1.0, 2.0**-10),
        ("U(1)", "saturated", 1.0, 0.5),
        ("U(1)", "saturated", 1.0, 1.5),
        ("U(1)", "tanh", 0.99, 100.0),
        ("O(3)", "tanh", 1.25, 2.0**-30),
    ],
)
def test_fixed_points_and_factors(symmetry, activation, sigma_w, sigma_b):
    """They solve the equations of the defining integrals, and the factors are differences of those."""
    found = explicit_breaking(sigma_w, sigma_b, 0.25, symmetry, activation)
    with mp.workdps(45):
        field, step = (mpf(sigma_b) / mpf(sigma_w)) ** 2, mpf(10) ** -10
        c, delta = mpf(found.c_star.item()), mpf(found.delta_star.item())

        def length(c):
            return precise.length_map(c + field, sigma_w, symmetry, activation, digits=34)

        def overlap(delta):
            return precise.correlation_map(delta + field, c + field, sigma_w, symmetry, activation, digits=34)

        slope = (length(c * (1 + step)) - length(c * (1 - step))) / (2 * step * c)
        assert abs(length(c) / c - 1) < 1e-13 * max(1 - slope, mpf("1e-3"))
        assert abs(found.chi_c.item() - slope) < 2e-13
        if found.one_minus_rho_star == 0.0:
            assert found.one_minus_rho_star == 0.0
            below = (overlap(c) - overlap(c * (1 - step))) / (step * c)
            assert abs(found.chi_delta.item() - below) < 1e-9
            assert below < 1
        else:
            slope = (overlap(delta * (1 + step)) - overlap(delta * (1 - step))) / (2 * step * delta)
            assert abs(overlap(delta) / delta - 1) < 3e-13
            assert abs(found.chi_delta.item() - slope) < 1e-12
            assert slope < 1
            assert found.one_minus_rho_star.item() == pytest.approx(float(1 - delta / c), rel=1e-12)
        kept = mpf(3) / 4 * delta / (delta + field)
        assert abs(found.chi_phi.item() / kept - 1) < 1e-12
        assert found.xi_phi.item() == pytest.approx(float(-1 / mp.log(kept)), rel=1e-11)
        for name in ("c", "delta"):
            xi, chi = found[f"xi_{name}"].item(), found[f"chi_{name}"].item()
            assert xi == pytest.approx(-1.0 / np.log(chi) if chi else 0.0, rel=1e-10)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(4)"])
@pytest.mark.parametrize("sigma_b", [0.1, 0.6])
def test_factors_are_those_of_deep_layers(symmetry, sigma_b):
    """Late steps of trajectories: of c, of Delta at angle 0, of identical inputs, and of a small angle."""
    ensemble = Ensemble(symmetry, "tanh", 1.5, sigma_b, 0.02)
    found = ensemble.explicit_breaking()
    start = ensemble.trajectory(8, c=float(found.c_star) * (1 + 1e-6))
    change = start.c / found.c_star - 1.0
    assert (change[-1] / change[-2]).item() == pytest.approx(found.chi_c.item(), rel=1e-5)
    apart = ensemble.trajectory(8, c=float(found.c_star), one_minus_rho=1e-12)
    growth = apart.one_minus_rho[-1] / apart.one_minus_rho[-2]
    assert growth.item() == pytest.approx(found.chi_jacobian.item(), rel=1e-9)
    rho = float(found.rho_star) * (1.0 - 1e-6)
    near = ensemble.trajectory(8, c=float(found.c_star), delta=rho * float(found.c_star))
    lost = near.delta / found.delta_star - 1.0
    assert (lost[-1] / lost[-2]).item() == pytest.approx(found.chi_delta.item(), rel=1e-4)
    if symmetry == "U(1)":
        turned = ensemble.trajectory(8, c=float(found.c_star), delta=float(found.delta_star), phi=1e-5)
        decay = turned.phi[-1] / turned.phi[-2]
        assert decay.item() == pytest.approx(found.chi_phi.item(), rel=1e-8)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize(("sigma_b", "share"), [(0.2, 0.0), (0.0, 0.1), (0.3, 0.05), (0.8, 0.2)])
def test_every_angle_of_a_large_group_decays_alike(k, sigma_b, share):
    """By the matrix Q of two inputs that a small rotation in all planes sets apart, and its polar factor."""
    found = explicit_breaking(1.5, sigma_b, share, f"O({k})")
    field = (sigma_b / 1.5) ** 2
    c, delta = float(found.c_star), float(found.delta_star) if sigma_b else 0.3 * float(found.c_star)
    angles = 1e-4 * np.random.default_rng(5).standard_normal((k, k))
    angles = angles - angles.T
    q = delta / k * polar_factor(np.eye(k) + angles)
    entering = (1.0 - share) * q + share * np.trace(q) / k * np.eye(k) + field / k * np.eye(k)
    leaving = polar_factor(matrix_correlation_map(entering, c + field, 1.5, f"O({k})"))
    np.testing.assert_allclose((leaving - leaving.T) / 2.0, found.chi_phi.item() * angles, atol=1e-9)


def test_without_breaking_it_is_the_theory_of_symmetric_networks():
    scales = depth_scales([0.5, 1.0, 1.5, 30.0], "O(4)")
    found = explicit_breaking([0.5, 1.0, 1.5, 30.0], 0.0, [0.0, 0.25], "O(4)")
    assert found.c_star.dims == ("sigma_w",)
    assert found.chi_phi.dims == ("sigma_w", "asymmetry")
    for name in ("c_star", "d_star", "chi_c", "xi_c", "chi_delta", "xi_delta", "chi_jacobian"):
        np.testing.assert_array_equal(found[name], getattr(scales, name))
    np.testing.assert_array_equal(found.chi_phi, np.broadcast_to([1.0, 0.75], (4, 2)))
    np.testing.assert_array_equal(found.rho_star, [np.nan, np.nan, 0.0, 0.0])
    assert found.ordered.values.tolist() == [True, True, False, False]


@pytest.mark.parametrize(("symmetry", "dimension"), [("U(1)", 2), ("O(5)", 5), ("generic(1)", 1)])
def test_next_to_the_former_transition_c_grows_as_the_root_of_the_field(symmetry, dimension):
    """tanh(r) = r - r^3/3: s - <f^2> = (2/3) <r^4> = (2/3) (1 + 2/D) s^2 = sigma_b^2 at sigma_w = 1."""
    sigma_b = np.array([1e-12, 1e-9, 1e-6])
    found = explicit_breaking(1.0, sigma_b, symmetry=symmetry)
    expected = sigma_b / np.sqrt(2.0 / 3.0 * (1.0 + 2.0 / dimension))
    np.testing.assert_allclose(found.d_star, expected, rtol=1e-5)
    np.testing.assert_allclose(found.d_star[0], expected[0], rtol=1e-11)
    # 1 - chi_c = sigma_b^2/s + d(s lost)/ds - lost = 2 sigma_b^2/s there
    np.testing.assert_allclose(found.xi_c, expected / (2.0 * sigma_b**2), rtol=1e-5)


def test_weak_fields_have_two_limits():
    """As sigma_b -> 0 below the transition c* = sigma_b^2/(1 - sigma_w^2), above it chi_phi -> chi_delta."""
    weak = np.array([1e-120, 1e-60, 1e-9])
    below = explicit_breaking(0.5, weak)
    np.testing.assert_allclose(below.c_star, weak**2 * 4.0 / 3.0, rtol=1e-12)
    np.testing.assert_allclose(below.chi_phi, 0.25, rtol=1e-12)
    above, symmetric = explicit_breaking(1.5, weak), depth_scales(1.5)
    np.testing.assert_allclose(above.c_star, symmetric.c_star, rtol=1e-12)
    np.testing.assert_allclose(above.chi_phi, symmetric.chi_delta, rtol=1e-12)
    field = (weak / 1.5) ** 2
    expected = field * symmetric.chi_delta / symmetric.one_minus_chi_delta
    np.testing.assert_allclose(above.delta_star, expected, rtol=1e-11)


def test_the_edge_of_chaos():
    """Where biases are strong enough identical inputs are stable, and only there is Delta* = c*."""
    found = explicit_breaking([0.9, 1.2, 1.5, 2.0], np.linspace(0.0, 1.5, 31))
    np.testing.assert_array_equal(found.ordered, found.chi_jacobian <= 1.0)
    biased = found.isel(sigma_b=slice(1, None))
    np.testing.assert_array_equal(biased.ordered, biased.one_minus_rho_star == 0.0)
    assert (biased.one_minus_rho_star >= 0.0).all()
    assert (biased.chi_delta < 1.0).all()
    assert (biased.ordered.astype(int).diff("sigma_b") >= 0).all()
    assert biased.ordered.any("sigma_b").all()
    assert not biased.ordered.all()
    # mass squared times condensate is field
    condensate = (biased.sigma_w**2 * biased.delta_star + biased.sigma_b**2) / biased.d_star
    field = biased.sigma_b**2 / biased.d_star
    xr.testing.assert_allclose((1.0 - biased.chi_phi) * condensate, field.transpose("sigma_w", ...), rtol=1e-11)


def test_symmetries_that_conserve_no_angle():
    assert explicit_breaking(1.5, [0.0, 0.1], symmetry="generic(3)").chi_phi.values.tolist() == [0.0, 0.0]
    assert np.isnan(explicit_breaking(1.5, [0.0, 0.1], symmetry="O(1)").chi_phi).all()


def test_a_users_function_is_followed_as_well():
    def own(r):
        return np.tanh(r)

    named, found = (explicit_breaking([0.8, 1.5], [0.0, 0.2, 0.8], 0.1, activation=f) for f in ("tanh", own))
    assert (found.error_estimate < 1e-8).all()
    for name in named.data_vars:
        if named[name].dtype == float:
            np.testing.assert_allclose(found[name], named[name], rtol=1e-7, err_msg=name)
    layers = [trajectory(20, 1.5, 0.5, 0.3, 1.0, activation=f, sigma_b=0.2, asymmetry=0.1) for f in ("tanh", own)]
    np.testing.assert_allclose(layers[0].delta, layers[1].delta, rtol=1e-9)
    assert "error_estimate" in layers[1]


def test_the_largest_of_several_fixed_points():
    """f turns steep where r is about 1: without biases c* = 0 and a large c* are both stable."""

    def late(r):
        return r**3 / (1.0 + r**3) + 0.1 * r / (1.0 + r)

    found = explicit_breaking(2.0, [0.05, 0.5], activation=late)
    for point in found.transpose("sigma_b", ...).sigma_b.values:
        one = found.sel(sigma_b=point)
        settled = trajectory(400, 2.0, c=50.0, activation=late, sigma_b=point)
        assert one.c_star.item() == pytest.approx(settled.c[-1].item(), rel=1e-10)
    with pytest.raises(ValueError, match=r"linear has no result at sigma_w = 1\.5, sigma_b = 0\.1: no fixed"):
        explicit_breaking(1.5, 0.1, activation="linear")


@pytest.mark.parametrize(
    ("sigma_w", "sigma_b"), [(6.0, 3.65), (10.0, 7.22493), (20.0, 32.9954), (50.0, 79.2538), (200.0, 326.726)]
)
def test_a_users_function_far_out_and_next_to_the_edge_of_chaos(sigma_w, sigma_b):
    """There its series is too short; the named tanh has a route of its own, that of sums over pairs of Gaussians."""
    named, found = (explicit_breaking(sigma_w, sigma_b, activation=f) for f in ("tanh", own_tanh))
    for name in ("rho_star", "one_minus_rho_star", "chi_delta", "xi_delta", "chi_phi"):
        assert found[name].item() == pytest.approx(named[name].item(), rel=4.0 * found.error_estimate.item()), name
    assert found.error_estimate < 1e-10
    assert not found.ordered


@pytest.mark.filterwarnings("ignore::meanfield.AccuracyWarning")
def test_up_to_the_edge_of_chaos_of_a_kink():
    """A kink leaves (1 - rho)^(3/2), so that half of what chi_jacobian exceeds 1 by is what chi_delta is below it."""

    def excess(sigma_b):
        return float(explicit_breaking(1.28, sigma_b, activation=clipped).chi_jacobian) - 1.0

    edge = optimize.brentq(excess, 0.5, 0.6, xtol=1e-15)
    for below in (1e-6, 1e-7, 1e-8):  # corrections are of the order (1 - rho)^(1/2), some 1e-6 and less
        found = explicit_breaking(1.28, edge - below, activation=clipped)
        share = (1.0 - found.chi_delta.item()) / (found.chi_jacobian.item() - 1.0)
        assert found.status == "converged"
        assert found.one_minus_rho_star > 0.0
        assert share == pytest.approx(0.5, rel=found.error_estimate.item())


def test_what_a_gap_is_off_by_the_overlap_is_off_by(monkeypatch):
    def rough(*arguments):
        return nearby_gap(*arguments)[0], 1e-5

    monkeypatch.setattr(overlap, "nearby_gap", rough)
    with pytest.warns(AccuracyWarning):
        found = explicit_breaking(50.0, 79.2538, activation=own_tanh)
    assert found.error_estimate > 1e-5


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1.28, 0.56), (1.28574, 0.55031), (1.5, 0.5)])
def test_a_kink_next_to_the_edge_of_chaos(sigma_w, sigma_b):
    """Against how fast small deviations from rho* die along layers."""
    found = explicit_breaking(sigma_w, sigma_b, activation=clipped)
    c, rho = found.c_star.item(), found.rho_star.item()
    logs = []
    for shift in (1e-3, -1e-3, 5e-4, -5e-4):
        away = (1.0 - rho) * (1.0 + shift)
        path = trajectory(1, sigma_w, c=c, one_minus_rho=away, activation=clipped, sigma_b=sigma_b)
        logs.append((path.one_minus_rho[-1].item() - (1.0 - rho)) / ((1.0 - rho) * shift))
    far, near = sum(logs[:2]) / 2, sum(logs[2:]) / 2
    assert found.chi_delta.item() == pytest.approx(near + (near - far) / 3, rel=1e-8)
    assert found.error_estimate < 1e-9


def test_what_is_not_found_next_to_an_edge_is_no_result(monkeypatch):
    """Both inputs alike are a fixed point beyond the edge of chaos too, and not the one that inputs go to."""

    def lost(self, state, rho, one_minus_rho):
        return np.full(rho.shape, np.nan), np.full(rho.shape, np.inf)

    monkeypatch.setattr(Overlaps, "steepening", lost)
    with pytest.raises(ValueError, match="not converged"):
        explicit_breaking(1.5, 0.1, activation=own_tanh)


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1e-8, 1.0), (1e-3, 1e3), (0.5, 0.3)])
def test_the_depth_scale_of_an_ordered_network_is_that_of_its_factor(sigma_w, sigma_b):
    found = explicit_breaking(sigma_w, sigma_b, symmetry="O(3)")
    assert found.ordered
    assert found.xi_delta.item() == pytest.approx(-1.0 / np.log(found.chi_delta.item()), rel=1e-12)


def test_a_small_fixed_point_below_one_that_explodes():
    """Large inputs grow for ever, small ones settle where biases and weights balance."""

    def late(r):
        return 0.1 * r + np.maximum(r - 1.0, 0.0)

    settled = trajectory(50, 1.5, c=1e-3, activation=late, sigma_b=0.1)
    assert explicit_breaking(1.5, 0.1, activation=late).c_star.item() == pytest.approx(settled.c[-1].item(), rel=1e-10)


def test_a_stable_fixed_point_below_one_that_alternates():
    def hump(r):
        return r * (0.3 + 5.0 * r * r) * np.exp(-r * r)

    found = explicit_breaking(1.0, 0.05, symmetry="O(16)", activation=hump)
    settled = trajectory(50, 1.0, c=1e-3, symmetry="O(16)", activation=hump, sigma_b=0.05)
    assert found.c_star.item() == pytest.approx(settled.c[-1].item(), rel=1e-10)


def test_a_function_that_jumps():
    """Nearly identical inputs part however strong the biases are: chi_jacobian is infinite."""

    def jumping(r):
        return np.where(r > 1.0, 1.0, 0.3 * r)

    found = explicit_breaking(2.0, [0.5, 1.0], activation=jumping)
    assert np.all(np.isinf(found.chi_jacobian))
    assert not found.ordered.any()
    for bias in (0.5, 1.0):
        one = found.sel(sigma_b=bias)
        path = trajectory(200, 2.0, c=0.5, one_minus_rho=1e-6, activation=jumping, sigma_b=bias)
        assert one.rho_star.item() == pytest.approx(path.rho[-1].item(), rel=1e-10)
        assert one.c_star.item() == pytest.approx(path.c[-1].item(), rel=1e-12)


@pytest.mark.parametrize("sigma_b", [1e-3, 1e-5, 1e-8, 1e-20])
def test_weak_biases_add_what_they_are(sigma_b):
    """In a layer that turns a small angle they act by b/rho, and in the end Delta is what they sustain."""
    scales = depth_scales(1.5)
    c = float(scales.c_star)
    odds = (sigma_b / 1.5) ** 2 / (0.5 * c)
    found = trajectory(1, 1.5, c=c, delta=0.5 * c, phi=[1e-3, 3e-7], sigma_b=sigma_b)
    turned = np.arctan2(np.sin([1e-3, 3e-7]), np.cos([1e-3, 3e-7]) + odds)
    np.testing.assert_allclose(found.phi[1], turned, rtol=1e-14)
    after = trajectory(2600, 1.5, c=c, delta=0.3 * c, sigma_b=sigma_b)
    assert after.delta[-1].item() == pytest.approx(explicit_breaking(1.5, sigma_b).delta_star.item(), rel=1e-10)


def test_inputs_of_very_different_size_share_what_biases_add():
    """Of a small input all is bias, of a large one little: against the exact correlation of two known powers."""
    c_1, c_2, square = 1e-12, 1e6, 1e-12
    found = trajectory(1, 1.5, c=(c_1, c_2), one_minus_rho=0.0, sigma_b=1e-6)
    s_1, s_2 = 2.25 * c_1 + square, 2.25 * c_2 + square
    entering = (2.25 * np.sqrt(c_1 * c_2) + square) / np.sqrt(s_1 * s_2)
    expected = correlation_map(entering * np.sqrt(s_1 * s_2), (s_1, s_2), 1.0)
    assert found.delta[1].item() == pytest.approx(expected, rel=1e-12)


def test_networks_that_explode_forget_their_biases():
    found = trajectory(400, 10.0, c=1.0, delta=0.1, phi=1.0, activation="linear", sigma_b=1.0)
    np.testing.assert_allclose(found.rho[5:], found.rho[5], rtol=1e-3)
    np.testing.assert_allclose(found.rho[200:], found.rho[200], rtol=1e-12)
    np.testing.assert_allclose(found.phi[200:], found.phi[200], rtol=1e-12)
    np.testing.assert_allclose(found.log_c.diff("layer")[5:], 2.0 * np.log(10.0), rtol=1e-6)
    dying, plain = (trajectory(1300, 0.5, c=1.0, sigma_b=scale) for scale in (1e-200, 0.0))  # no number when squared
    np.testing.assert_array_equal(dying.log_c, plain.log_c)


def edge_of_chaos(sigma_w, symmetry="U(1)", activation="tanh") -> float:
    """The largest sigma_b of the chaotic region, to the last digit."""
    low, high = 1e-3, 3.0
    for _ in range(70):
        middle = (low + high) / 2.0
        ordered = explicit_breaking(sigma_w, middle, 0.0, symmetry, activation).ordered
        low, high = (low, middle) if ordered else (middle, high)
    return low


@pytest.mark.parametrize(("sigma_w", "symmetry", "activation"), [(1.3, "O(48)", "tanh"), (1.2, "O(1)", "algebraic")])
def test_next_to_the_edge_both_signs_agree(sigma_w, symmetry, activation):
    edge = edge_of_chaos(sigma_w, symmetry, activation)
    for step in (1e-16, 1e-14, 1e-11):
        found = explicit_breaking(sigma_w, edge * (1.0 + step * np.arange(-99.0, 100.0)), 0.0, symmetry, activation)
        assert ((found.chi_jacobian <= 1.0) | ~found.ordered).all()
        assert ((found.chi_jacobian >= 1.0) | found.ordered).all()
        assert (found.xi_delta > 0.0).all()
        assert (found.chi_delta <= 1.0).all()


def test_at_the_edge_of_chaos_nothing_is_negative():
    """xi_delta has a pole there, of the same strength from both sides."""
    low = edge_of_chaos(1.5)
    edge = low * (1.0 + np.array([-1e-3, -1e-6, -1e-10, -1e-14, 0.0, 1e-15, 1e-10, 1e-6, 1e-3]))
    found = explicit_breaking(1.5, edge)
    assert (found.xi_delta > 0.0).all()
    assert (found.chi_delta <= 1.0).all()
    np.testing.assert_allclose(found.xi_delta[[0, 1]], found.xi_delta[[-1, -2]], rtol=3e-3)
    assert (found.one_minus_rho_star[[0, 1, 2]] > 0.0).all()
    assert (found.one_minus_rho_star[[3, 4]] < 1e-10).all()
    for distance in (1e-15, 1e-13):
        fine = explicit_breaking(1.5, low * (1.0 - distance * np.arange(100.0)))
        assert (fine.xi_delta > 0.0).all()
        assert (fine.chi_delta <= 1.0).all()
    # 1 - rho* grows from 0 in proportion to the distance
    assert (found.one_minus_rho_star[1] / found.one_minus_rho_star[2]).item() == pytest.approx(1e4, rel=1e-3)


def test_fixed_points_that_a_layer_overshoots_are_none():
    def bump(r):
        return 2.0 * r * np.exp(-r * r / 2.0)

    with pytest.raises(ValueError, match="no fixed point"):
        explicit_breaking(8.0, 0.05, symmetry="O(3)", activation=bump)
    with pytest.warns(ConvergenceWarning, match="1 of 2 points"):
        found = explicit_breaking([1.2, 8.0], 0.05, symmetry="O(3)", activation=bump)
    settled = trajectory(200, 1.2, c=0.5, symmetry="O(3)", activation=bump, sigma_b=0.05)
    assert found.c_star[0].item() == pytest.approx(settled.c[-1].item(), rel=1e-9)
    assert np.isnan(found.xi_c[1])


def test_a_single_point_without_biases_and_result_is_an_error():
    with pytest.raises(ValueError, match="linear has no stable fixed point"):
        explicit_breaking(2.0, 0.0, activation="linear")


def test_one_input():
    found = trajectory(60, [0.5, 1.5], c=0.5, sigma_b=0.3)
    np.testing.assert_allclose(found.c[-1], explicit_breaking([0.5, 1.5], 0.3).c_star, rtol=1e-13)
    assert "delta" not in found


def test_the_overlap_of_O_can_change_its_sign():
    found = trajectory(3, 1.5, c=0.5, delta=-0.02, symmetry="O(3)", sigma_b=0.3)
    assert found.rho[0] < 0.0 < found.rho[1]
    np.testing.assert_allclose(found.one_minus_rho, 1.0 - found.rho, atol=1e-15)
    same = trajectory(3, 1.5, c=0.5, delta=-0.02, symmetry="U(1)", sigma_b=0.3)
    np.testing.assert_allclose(same.rho[1:], found.rho[1:], atol=0.1)
    assert same.phi.values.tolist() == [0.0, 0.0, 0.0, 0.0]
    opposite = trajectory(3, 1.5, c=0.5, delta=-0.4, symmetry="U(1)", sigma_b=0.1)
    assert opposite.rho[0] < 0.0 < opposite.rho[1]
    np.testing.assert_allclose(opposite.phi[1:], np.pi)
    entering = (0.4 - (0.1 / 1.5) ** 2, 0.5 + (0.1 / 1.5) ** 2)
    assert opposite.delta[1].item() == pytest.approx(correlation_map(*entering, 1.5), rel=1e-13)


def test_without_weights_biases_are_all_there_is():
    found = trajectory(2, 0.0, c=0.5, delta=0.1, phi=1.0, sigma_b=0.3)
    np.testing.assert_allclose(found.c[1:], explicit_breaking(0.0, 0.3).c_star, rtol=1e-14)
    np.testing.assert_array_equal(found.rho[1:], 1.0)
    np.testing.assert_array_equal(found.phi[1:], 0.0)
    one = explicit_breaking(0.0, 0.3)
    assert (one.chi_phi.item(), one.xi_phi.item(), one.rho_star.item()) == (0.0, 0.0, 1.0)


def test_saturated_networks_know_their_biases():
    """c = 1 whatever the scale; a common bias of the size of the weights halves what sets inputs apart."""
    found = trajectory(1, 2.0, c=1.0, delta=0.0, activation="saturated", sigma_b=2.0).isel(layer=1)
    assert found.c == 1.0
    assert found.rho.item() == pytest.approx(correlation_map(0.5, 1.0, 1.0, activation="saturated"), rel=1e-14)


def test_a_phase_that_nothing_turns_stays_the_number_it_was():
    found = trajectory(3, 1.5, c=0.5, delta=0.3, phi=5.0, sigma_b=[0.0, 0.1])
    assert found.phi.isel(sigma_b_0=0).values.tolist() == [5.0] * 4
    assert (found.phi.isel(sigma_b_0=1)[1:] < 0.0).all()  # in [-pi, pi]


def test_labels():
    bias = xr.DataArray([0.0, 0.1, 0.2], dims="sigma_b", coords={"sigma_b": [0.0, 0.1, 0.2]})
    found = trajectory(4, 1.5, c=0.5, delta=0.3, phi=1.0, sigma_b=bias)
    assert found.phi.dims == ("layer", "sigma_b")
    np.testing.assert_array_equal(found.phi.sel(sigma_b=0.0), 1.0)
    np.testing.assert_array_equal(found.sigma_b, [0.0, 0.1, 0.2])
    assert trajectory(4, 1.5, c=0.5, delta=0.3, asymmetry=[0.0, 0.5]).rho.dims == ("layer", "asymmetry_0")
    table = explicit_breaking([1.2, 1.5], [0.1, 0.2], [0.0, 0.5])
    assert table.xi_phi.dims == ("sigma_w", "sigma_b", "asymmetry")
    assert all(table[name].attrs["long_name"] for name in table.data_vars)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma_b": -0.1}, "sigma_b must be >= 0"),
        ({"sigma_b": np.nan}, "sigma_b must be finite"),
        ({"asymmetry": 1.5}, r"asymmetry must be in \[0, 1\], got 1.5"),
        ({"asymmetry": -0.5}, "asymmetry must be >= 0"),
        ({"asymmetry": 0.1, "symmetry": "generic(2)"}, "asymmetry must be 0 but for"),
        ({"asymmetry": 0.1, "symmetry": "O(1)"}, "asymmetry must be 0 but for"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        explicit_breaking(1.5, **arguments)
    with pytest.raises(ValueError, match=message):
        trajectory(3, 1.5, c=0.5, delta=0.1, **arguments)
    with pytest.raises(ValueError, match=message):
        Ensemble(**arguments).explicit_breaking()


def test_scales_out_of_range():
    with pytest.raises(ValueError, match="sigma_b must be a number or one-dimensional"):
        explicit_breaking(1.5, [[0.1]])
    with pytest.raises(ValueError, match="sigma_b must be 0 or at least 1e-150"):
        explicit_breaking(1.5, 1e-160)
    for arguments in ((1.5, 1e145), (1e145, 0.1)):
        with pytest.raises(ValueError, match=r"sigma_. must be at most 1e\+100, got 1e\+145"):
            explicit_breaking(*arguments)
    with pytest.raises(ValueError, match=r"sigma_w\^2 c \+ sigma_b\^2 must be at most"):
        trajectory(3, 1.5, c=0.5, delta=0.1, sigma_b=1e160)


@pytest.mark.parametrize("activation", ["tanh", "erf", "algebraic", "saturated", "linear"])
@pytest.mark.parametrize("symmetry", ["U(1)", "O(1)", "O(48)", "generic(3)"])
def test_every_scale_has_a_result_or_says_that_it_has_none(activation, symmetry):
    scales = [1e-3, 1.0, 1.0 + 1e-12, 1.5, 1e3]
    biases = [1e-150, 1e-9, 1e-8, 3e-8, 1e-3, 1.0, 20.0, 1e100]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = explicit_breaking(scales, biases, symmetry=symmetry, activation=activation)
    converged = found.status == "converged"
    assert converged.all() == (activation != "linear")
    names = ["c_star", "d_star", "delta_star", "rho_star", "one_minus_rho_star", "chi_c", "xi_c", "chi_delta"]
    for name in (*names, "xi_delta", "chi_jacobian", *(["chi_phi", "xi_phi"] if symmetry != "O(1)" else [])):
        np.testing.assert_array_equal(found[name].notnull(), converged, err_msg=name)
    found = found.where(converged)
    assert (found.xi_delta.fillna(0.0) >= 0.0).all()
    assert (found.chi_delta.fillna(0.0) >= 0.0).all()
    assert ((found.rho_star.fillna(0.0) >= 0.0) & (found.rho_star.fillna(0.0) <= 1.0)).all()
    condensate = (found.sigma_w**2 * found.delta_star + found.sigma_b**2) / found.d_star
    if symmetry in ("U(1)", "O(48)"):
        told = (1.0 - found.chi_phi) * condensate
        field = (found.sigma_b**2 / found.d_star).transpose(*told.dims)
        large = (field > 1e-3).values
        np.testing.assert_allclose(told.values[large], field.values[large], rtol=1e-11)


def test_an_ensemble_says_what_it_cannot_answer():
    exact, biased = Ensemble("O(4)", "tanh", 1.5), Ensemble("O(4)", "tanh", 1.5, sigma_b=0.1, asymmetry=0.2)
    assert repr(exact) == "Ensemble('O(4)', 'tanh', sigma_w=1.5)"
    assert repr(biased) == "Ensemble('O(4)', 'tanh', sigma_w=1.5, sigma_b=0.1, asymmetry=0.2)"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert exact.explicit_breaking().chi_phi == 1.0
    for method, arguments in (("fixed_point", ()), ("length_map", (0.5,)), ("jacobian_trajectory", (3,))):
        with pytest.raises(ValueError, match=f"sigma_b and asymmetry must be 0 for {method}, got 0.1 and 0.2"):
            getattr(biased, method)(*arguments)
