"""Susceptibilities as what they are: slopes of the maps, each by a second route; closed forms; limits."""

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import integrate, special

from meanfield import (
    NAMED_ACTIVATIONS,
    ConvergenceWarning,
    as_activation,
    correlation_map,
    depth_scales,
    fixed_point,
    length_map,
    matrix_gram_map,
    precise,
    trajectory,
)
from meanfield.depth_scales import depth_scale
from meanfield.moments import layer_moments
from meanfield.quadrature import radial_averages
from tests.meanfield.independent import DIMENSIONS, own_tanh, relative, toothed

NAMED = ("tanh", "erf", "algebraic")
SIGMA_W = (1.001, 1.2, 1.5, 4.0, 40.0)


def test_numbers_at_1_5():
    """xi_delta at sigma_w = 1.5 with tanh: 22.5 layers for U(1), 33.3 for O(4), 55 for O(8), 273 for O(48)."""
    found = [float(depth_scales(1.5, symmetry).xi_delta) for symmetry in ("U(1)", "O(4)", "O(8)", "O(48)")]
    np.testing.assert_allclose(found, [22.5, 33.3, 55, 273], rtol=0.01)


@pytest.mark.parametrize("name", [*NAMED, "saturated"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_chi_delta_is_the_slope_of_the_correlation_map_at_zero(dimension, name):
    for sigma_w in SIGMA_W:
        scales = depth_scales(sigma_w, f"O({dimension})", name)
        c = scales.fixed_point.c
        slope = correlation_map(1e-12 * c, c, sigma_w, f"O({dimension})", name) / (1e-12 * c)
        assert relative(scales.chi_delta, slope) < 1e-13
        assert 0.0 < scales.chi_delta < 1.0


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_chi_jacobian_is_the_growth_of_one_minus_rho(dimension, name):
    """The slope of the correlation map at rho = 1, which differentiating through sqrt(1 - rho^2) gets wrong.

    It is read off the 1 - rho of nearly identical inputs, 1e-15 to start with; it is above 1 in the broken phase.
    """
    for sigma_w in SIGMA_W:
        symmetry = f"O({dimension})"
        scales = depth_scales(sigma_w, symmetry, name)
        path = trajectory(1, sigma_w, scales.fixed_point.c, one_minus_rho=1e-15, symmetry=symmetry, activation=name)
        assert relative(scales.chi_jacobian, float(path.one_minus_rho[1]) / 1e-15) < 1e-12
        assert scales.chi_jacobian > 1.0


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_chi_c_is_the_slope_of_the_length_map(dimension, name):
    """By central differences of fourth order."""
    for sigma_w in SIGMA_W:
        scales = depth_scales(sigma_w, f"O({dimension})", name)
        h = 0.004
        c = scales.fixed_point.c
        at = length_map(c * np.exp(h * np.array([-2, -1, 1, 2])), sigma_w, f"O({dimension})", name)
        slope = np.dot([1, -8, 8, -1], at) / (12 * h) / c
        assert scales.chi_c == pytest.approx(slope, abs=3e-10)
        assert scales.chi_c + scales.one_minus_chi_c == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("dimension", [2, 3, 8])
def test_chi_gram_is_the_decay_of_a_small_anisotropy(dimension, name):
    """One layer of a capsule's Gram matrix (c*/k)(1 + T), T traceless and small, by the map of the whole matrix."""
    scales = depth_scales(1.5, f"O({dimension})", name)
    traceless = np.zeros(dimension)
    traceless[0], traceless[1] = 1e-4, -1e-4
    images = [
        matrix_gram_map(
            np.diag(scales.fixed_point.c / dimension * (1 + sign * traceless))[None, None], 1.5, f"O({dimension})", name
        )[0, 0]
        for sign in (1, -1)
    ]
    change = np.diag(images[0] - images[1]) / 2 * dimension / scales.fixed_point.c
    np.testing.assert_allclose(change[:2], scales.chi_gram * traceless[:2], rtol=1e-7)
    np.testing.assert_allclose(change[2:], 0.0, atol=1e-13)


@pytest.mark.parametrize("name", [*NAMED, "saturated"])
@pytest.mark.parametrize("dimension", [2, 3, 4, 8, 48])
def test_chi_gram_and_chi_c_are_related(dimension, name):
    """Integration by parts: k <f^2 r^2>/((k+2) s c) = (k + 2 chi_c)/(k + 2), which the package takes for granted."""
    scales = depth_scales(SIGMA_W, f"O({dimension})", name)
    np.testing.assert_allclose(scales.chi_gram, (dimension + 2 * scales.chi_c) / (dimension + 2), rtol=1e-13)
    s = scales.d_star

    def power(r, t):
        return [NAMED_ACTIVATIONS[name].value(r) ** 2 * t]

    (fourth,) = radial_averages(dimension, s, power)  # <f^2 r^2> D/(2 s)
    expected = 2 * fourth / ((dimension + 2) * scales.fixed_point.c)
    np.testing.assert_allclose(scales.chi_gram, expected, rtol=1e-12)


@pytest.mark.parametrize("sigma_w", [1 + 1e-9, np.nextafter(1.0, 2.0), 1 - 1e-9, 3.0])
def test_xi_gram_keeps_its_digits_next_to_the_transition(sigma_w):
    exact = precise.susceptibilities(sigma_w, "O(3)")
    chi_c = exact.one_minus_chi_c if sigma_w < 1 else 2 * exact.one_minus_chi_c / 5
    with mp.workdps(30):
        xi = -1 / mp.log1p(-chi_c)
    assert relative(depth_scales(sigma_w, "O(3)").xi_gram, xi) < 1e-12


def test_chi_gram_by_symmetry():
    """0 where one layer is enough (U(1), generic), not a number where there is nothing to relax (D = 1)."""
    for symmetry in ("U(1)", "generic(4)"):
        scales = depth_scales([0.5, 1.5], symmetry)
        np.testing.assert_array_equal(scales.chi_gram, [0.0, 0.0])
        np.testing.assert_array_equal(scales.xi_gram, [0.0, 0.0])
    for symmetry in ("O(1)", "generic(1)"):  # one ensemble
        scales = depth_scales([0.5, 1.5], symmetry)
        for value in (scales.chi_gram, scales.xi_gram, scales.one_minus_chi_gram):
            assert np.isnan(value).all()
        assert precise.susceptibilities(1.5, symmetry, digits=15).chi_gram is None
    np.testing.assert_allclose(depth_scales([0.5, 1.0], "O(2)").chi_gram, [0.25, 1.0], rtol=1e-15)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_saturated_is_closed(dimension):
    """chi_c = 0, chi_delta = (2/D)(Gamma((D+1)/2)/Gamma(D/2))^2, chi_J = (D-1)/(D-2), chi_gram = k/(k+2)."""
    scales = depth_scales([5e-324, 1e-200, 1e-156, 1e-3, 1.0, 1e3, 1e150], f"O({dimension})", "saturated")
    half = mpf(dimension) / 2
    with mp.workdps(30):
        chi_delta = (mp.gamma(half + mpf(1) / 2) / mp.gamma(half)) ** 2 / half
        assert relative(scales.chi_delta, chi_delta) < 1e-14
        assert relative(scales.one_minus_chi_delta, 1 - chi_delta) < 1e-13
        assert relative(scales.xi_delta, -1 / mp.log(chi_delta)) < 1e-13
    np.testing.assert_array_equal(scales.chi_c, 0.0)
    np.testing.assert_array_equal(scales.xi_c, 0.0)
    expected = np.inf if dimension <= 2 else (dimension - 1) / (dimension - 2)
    np.testing.assert_allclose(scales.chi_jacobian, expected, rtol=1e-13)
    if dimension > 1:
        np.testing.assert_allclose(scales.chi_gram, dimension / (dimension + 2), rtol=1e-14)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "linear"])
@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_below_the_transition_everything_is_the_linear_factor(dimension, name):
    slope = {"erf": 2 / np.sqrt(np.pi)}.get(name, 1.0)
    sigma_w = np.array([0.0, 1e-300, 1e-3, 0.3, 0.8])
    scales = depth_scales(sigma_w, f"O({dimension})", name)
    for chi in (scales.chi_c, scales.chi_delta, scales.chi_jacobian):
        np.testing.assert_allclose(chi, (slope * sigma_w) ** 2, rtol=1e-15, atol=0)
    xi = -0.5 / np.log(slope * sigma_w[2:])
    np.testing.assert_allclose(scales.xi_c[2:], xi, rtol=1e-14)
    np.testing.assert_allclose(scales.xi_delta[2:], xi, rtol=1e-14)
    assert scales.xi_c[0] == 0.0
    np.testing.assert_allclose(scales.amplitude * (dimension - 1), scales.angular, rtol=1e-14)


def test_at_the_transition():
    """c* = 0 and every depth scale is infinite, exactly there."""
    for name in ("tanh", "algebraic", "linear"):
        for symmetry in ("U(1)", "O(4)", "generic(3)"):
            scales = depth_scales(1.0, symmetry, name)
            assert scales.fixed_point.c == 0.0
            assert scales.xi_c == scales.xi_delta == np.inf
            assert scales.chi_c == scales.chi_delta == scales.chi_jacobian == 1.0
    assert depth_scales(1.0, "O(4)").xi_gram == np.inf


def test_at_and_below_the_transition_of_a_users_function():
    """Whose slope must not be off in its last digits: next to the transition they decide."""
    for f in (lambda r: np.tanh(r), lambda r: r / (1.0 + r), lambda r: np.minimum(r, 1.0)):
        scales = depth_scales([1.0, 1.0 - 1e-9], activation=f)
        assert scales.xi_c[0] == scales.xi_delta[0] == np.inf
        with mp.workdps(30):
            assert relative(scales.xi_c[1], -1 / (2 * mp.log(mpf(1.0 - 1e-9)))) < 1e-14


@pytest.mark.parametrize("name", ["tanh", "algebraic"])
@pytest.mark.parametrize("dimension", [1, 2, 4, 48])
def test_just_above_the_transition(dimension, name):
    """With e = sigma_w^2 - 1, 1 - chi_c = e + ... is of first order and 1 - chi_delta = e^2/(2(D+2)) + ... of second.

    At sigma_w = 1 + 1e-9 the second is 1e-18 and invisible in chi_delta itself.
    """
    for distance in (1e-12, 1e-9, 1e-6, -1e-9):
        sigma_w = 1.0 + distance
        e = (mpf(sigma_w) - 1) * (mpf(sigma_w) + 1)
        scales = depth_scales(sigma_w, f"O({dimension})", name)
        if distance > 0:
            assert relative(scales.one_minus_chi_c, e) < 5 * distance + 1e-14
            assert relative(scales.one_minus_chi_delta, e * e / (2 * (dimension + 2))) < 10 * distance + 1e-13
            assert relative(scales.xi_c, 1 / e) < 5 * distance + 1e-14
            assert relative(scales.xi_delta, 2 * (dimension + 2) / e**2) < 10 * distance + 1e-13
            assert scales.chi_jacobian > 1.0 or distance < 1e-6
        else:
            assert relative(scales.one_minus_chi_delta, -e) < 1e-14
            assert relative(scales.xi_delta, -1 / mp.log1p(e)) < 1e-14


def test_xi_delta_is_affine_in_the_capsule_dimension():
    """At large D with slope 2/(1 - kappa)^2, kappa = dlog f/dlog r at the fixed radius: memory of large capsules."""
    for sigma_w, name in ((1.5, "tanh"), (2.5, "erf")):
        xi = [float(depth_scales(sigma_w, f"O({dimension})", name).xi_delta) for dimension in (400, 600, 800)]
        r = sigma_w * np.sqrt(fixed_point(sigma_w, "O(100000)", name).c)
        f, df = (
            (np.tanh, lambda r: 1 / np.cosh(r) ** 2)
            if name == "tanh"
            else (special.erf, lambda r: 2 / np.sqrt(np.pi) * np.exp(-r * r))
        )
        slope = 2 / (1 - r * df(r) / f(r)) ** 2
        assert (xi[1] - xi[0]) / 200 == pytest.approx(slope, rel=1e-3)
        assert xi[0] + xi[2] == pytest.approx(2 * xi[1], rel=1e-5)


def test_chaos_is_where_the_transition_is():
    """chi_J crosses 1 with c*: it is above 1 at every sigma_w > 1 and below 1 at every sigma_w < 1."""
    sigma_w = np.concatenate([np.linspace(0.05, 0.999, 30), np.linspace(1.001, 6.0, 60)])
    for symmetry in ("O(1)", "U(1)", "O(8)"):
        scales = depth_scales(sigma_w, symmetry)
        np.testing.assert_array_equal(scales.chi_jacobian > 1.0, sigma_w > 1.0)
        assert np.all(scales.chi_delta <= 1.0)
        assert np.all(scales.chi_c <= 1.0)


@pytest.mark.parametrize(("name", "symmetry"), [("tanh", "O(5)"), ("erf", "O(1)")])
def test_growth_of_small_changes_next_to_the_transition(name, symmetry):
    """chi_J - 1 is of second order there; from chi_J itself, at 36 digits."""
    sigma_w = float(NAMED_ACTIVATIONS[name].critical[0]) * (1.0 + 1e-9)
    exact = precise.susceptibilities(sigma_w, symmetry, name, digits=36)
    with mp.workdps(36):
        expected = exact.chi_jacobian - 1
    assert relative(depth_scales(sigma_w, symmetry, name).chi_jacobian_minus_one, expected) < 1e-12


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("symmetry", ["O(1)", "U(1)", "O(5)"])
def test_growth_of_small_changes_far_from_the_transition(symmetry, name):
    scales = depth_scales([0.0, 0.5, 1.5, 4.0], symmetry, name)
    np.testing.assert_allclose(scales.chi_jacobian_minus_one, scales.chi_jacobian - 1.0, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dimension", [1, 2, 3, 8])
def test_growth_of_small_changes_in_saturated_networks(dimension):
    """1/(D - 2), infinite for D <= 2; and that of linear networks at the transition is none."""
    expected = 1.0 / (dimension - 2.0) if dimension > 2 else np.inf
    found = depth_scales([1e-200, 1.5], f"O({dimension})", "saturated").chi_jacobian_minus_one
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert depth_scales(1.0, f"O({dimension})", "linear").chi_jacobian_minus_one == 0.0


def test_amplitude_and_angular_parts():
    """chi_J is the sum of one amplitude direction and D - 1 angular ones; at large sigma_w the first dies out."""
    scales = depth_scales(8.0, "O(4)")
    assert scales.chi_jacobian == scales.amplitude + scales.angular
    assert scales.amplitude < 0.05 * scales.angular
    assert depth_scales(1.5, "O(1)").angular == 0.0


def test_preactivation_order_parameter():
    scales = depth_scales([0.5, 1.5])
    np.testing.assert_array_equal(scales.c_star, scales.fixed_point.c)
    np.testing.assert_allclose(scales.d_star, [0.0, 2.25 * scales.c_star[1]])


def test_depth_scale_uses_the_accurate_one_of_the_two():
    """-1/log|chi|: from 1 - chi next to 1, from chi next to 0; 0 and infinity at the ends."""
    chi = np.array([0.0, 1e-300, 0.3, 0.7, 1.0, 1.0, -0.5])
    missing = np.array([1.0, 1.0, 0.7, 0.3, 1e-20, 0.0, 1.5])
    expected = [0, -1 / mp.log(mpf(1e-300)), -1 / mp.log(mpf(0.3)), -1 / mp.log1p(-mpf(0.3)), mpf(10) ** 20]
    found = depth_scale(chi, missing)
    assert relative(found[:5], expected) < 1e-15
    assert found[5] == np.inf
    assert found[6] == pytest.approx(1 / np.log(2))


def test_no_fixed_point_is_not_a_number():
    with pytest.warns(ConvergenceWarning):
        scales = depth_scales([0.5, 2.0], "O(3)", "linear")
    for value in (scales.chi_c, scales.xi_c, scales.chi_delta, scales.xi_delta, scales.chi_jacobian, scales.chi_gram):
        assert value[0] > 0
        assert np.isnan(value[1])


def test_users_function_gives_what_its_named_twin_gives():
    user, named = (depth_scales([0.5, 1.01, 1.5, 4.0], "O(3)", f) for f in (own_tanh, "tanh"))
    for name in ("chi_c", "chi_delta", "chi_jacobian", "chi_gram", "xi_c", "xi_delta"):
        np.testing.assert_allclose(getattr(user, name), getattr(named, name), rtol=1e-9)
    assert np.all(user.error < 1e-9)
    np.testing.assert_array_equal(named.error[1:], 1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 3, 20])
@pytest.mark.parametrize("given", [True, False])
def test_a_kink_costs_no_digits(dimension, given):
    """All factors of min(r, 1) by incomplete Gamma functions, with f' and without."""

    def clipped(r):
        return np.minimum(r, 1.0)

    def slope(r):
        return np.where(r < 1.0, 1.0, 0.0)

    scales = depth_scales([1.01, 1.5, 100.0], f"O({dimension})", (clipped, slope) if given else clipped)
    half, c, s = mpf(dimension) / 2, scales.fixed_point.c, scales.d_star
    for i, sigma_w in enumerate((1.01, 1.5, 100.0)):
        edge = half / mpf(float(s[i]))
        below = mpf(float(s[i])) * mp.gammainc(half + 1, 0, edge, regularized=True)  # <r^2> below the kink
        power = below + mp.gammainc(half, edge, regularized=True)
        near = mp.gammainc(half, 0, edge, regularized=True)
        far = edge * mp.gammainc(half - 1, edge) / mp.gamma(half)  # <1/r^2> beyond it
        beyond = mp.sqrt(mpf(float(s[i])) / half) * mp.gammainc(half + mpf(1) / 2, edge) / mp.gamma(half)
        assert c[i] == pytest.approx(float(power), rel=1e-13)
        assert scales.chi_c[i] == pytest.approx(float(below / power), rel=1e-11)
        assert scales.chi_delta[i] == pytest.approx(float((below + beyond) ** 2 / (s[i] * power)), rel=1e-13)
        jacobian = mpf(sigma_w) ** 2 / dimension * (near + (dimension - 1) * (near + far))
        assert scales.chi_jacobian[i] == pytest.approx(float(jacobian), rel=1e-11)
    assert np.all(scales.error < 1e-9)


@pytest.mark.parametrize("sigma_w", [1.0 + 1e-6, 1.001, 1.1, 1.5, 30.0])
def test_the_transition_of_a_clipped_activation(sigma_w):
    """min(r, 1), D = 2: s = 1/log(1 + 1/e) and 1 - chi_c = e/s with e = sigma_w^2 - 1."""
    scales = depth_scales(sigma_w, "U(1)", lambda r: np.minimum(r, 1.0))
    with mp.workdps(30):
        e = mpf(sigma_w) ** 2 - 1
        s = 1 / mp.log1p(1 / e)
        assert scales.c_star == pytest.approx(float(s / (1 + e)), rel=1e-11)
        assert scales.one_minus_chi_c == pytest.approx(float(e / s), rel=1e-10)
        assert scales.chi_jacobian_minus_one == pytest.approx(float((1 + e) * mp.e1(1 / s) / (2 * s)), rel=1e-9)


@pytest.mark.parametrize("p", [1, 2, 4])
@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_exponents_of_activations_that_bend_at_order_p(p, dimension):
    """f = r - r^(p+1)/p + ...: with half = D/2, e = sigma_w^2 - 1, and <r^q> by Gamma functions, to first order."""
    scales = depth_scales(1.0 + 1e-6, f"O({dimension})", lambda r: r * (1.0 + r**p) ** (-1.0 / p))
    half, e = dimension / 2.0, (1.0 + 1e-6) ** 2 - 1.0
    moment = special.gamma(half + 1.0 + p / 2.0) / special.gamma(half + 1.0)
    s = 2.0 * half * (p * e / (2.0 * moment)) ** (2.0 / p) / 2.0
    spread = special.gamma(half + 1.0 + p) / special.gamma(half + 1.0) / moment**2 - 1.0
    assert scales.d_star == pytest.approx(s, rel=2e-3)
    assert scales.one_minus_chi_c == pytest.approx(p / 2.0 * e, rel=2e-3)
    assert scales.one_minus_chi_delta == pytest.approx(e**2 / 4.0 * spread, rel=2e-3)


@pytest.mark.filterwarnings("error::meanfield.AccuracyWarning")
def test_no_alarm_where_the_relaxation_vanishes():
    """f = r exp(-r^2), D = 2: F(c) = s/(1 + 2 s)^2, s = sigma_w^2 c; at sigma_w = 2 c* = 1/8, the top of F."""
    scales = depth_scales(2.0, activation=lambda r: r * np.exp(-r * r))
    assert scales.fixed_point.c == pytest.approx(0.125, rel=1e-14)
    assert abs(scales.chi_c) < 1e-14
    assert scales.error < 1e-12


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_relaxation_of_a_users_function_needs_no_derivative(dimension):
    """chi_c = d log F/d log c also of a function with a kink or a jump, F by incomplete Gamma functions."""

    def clipped(r):
        return np.minimum(r, 1.0)

    def dropping(r):
        return np.where(r < 1.0, r, 0.5)

    def length(s, far):
        half, edge = mpf(dimension) / 2, dimension / (2 * s)
        low = s * mp.gammainc(half + 1, 0, edge, regularized=True)
        return mp.log(low + far**2 * mp.gammainc(half, edge, regularized=True))

    for f, far in ((clipped, mpf(1)), (dropping, mpf(0.5))):
        scales = depth_scales(1.5, f"O({dimension})", f)
        s = mpf(float(scales.d_star))
        chi = float(s * mp.diff(lambda x, far=far: length(x, far), s))
        assert scales.chi_c == pytest.approx(chi, abs=1e-12)
        assert scales.chi_c + scales.one_minus_chi_c == pytest.approx(1.0, abs=1e-12)


def test_a_name_is_only_a_name():
    """What makes f = 1 jump at 0 in one dimension is its slope, not what it is called."""

    def saturated(r):
        return np.tanh(5 * r)

    amplitude = float(depth_scales(1.5, "O(1)", saturated).amplitude)
    assert amplitude == pytest.approx(float(depth_scales(7.5, "O(1)").amplitude), rel=1e-9)


def test_a_finer_rule_is_finer_for_the_distance_from_linear_too():
    """1 - <r f>^2/(s <f^2>) of a step that bends, s = 1, D = 2: rules ever finer differ by ever less."""
    found = [layer_moments(as_activation(toothed), 2, np.array([1.0]), n).one_minus_linear[0] for n in (1, 4, 16)]
    assert 0.0 < abs(found[1] - found[2]) < 0.3 * abs(found[0] - found[2])


def test_the_distance_from_linear_of_a_step():
    """1 - <r f>^2/(s <f^2>), s = 1, D = 2, in closed form."""
    step = as_activation(lambda r: np.where(r < 1.0, r, 0.5))
    e = float(np.exp(-1.0))
    linear = 1 - 2 * e + 0.5 * integrate.quad(lambda t: np.sqrt(t) * np.exp(-t), 1.0, 40.0, epsrel=1e-13)[0]
    exact = 1 - linear**2 / (1 - 2 * e + 0.25 * e)
    assert layer_moments(step, 2, np.array([1.0])).one_minus_linear[0] == pytest.approx(exact, rel=1e-12)


def test_shapes_and_repr():
    single, many = depth_scales(1.5), depth_scales([[0.5, 1.5, 2.0]], "O(3)")
    assert np.shape(single.xi_delta) == np.shape(single.chi_c) == ()
    assert many.xi_delta.shape == many.chi_gram.shape == many.chi_jacobian.shape == (1, 3)
    assert repr(single).startswith("DepthScales(U(1), tanh, sigma_w=1.5: c*=0.483232, xi_c=1.36173, xi_delta=22.4649")
    assert repr(many).startswith("DepthScales(O(3), tanh, 3 sigma_w, 3 converged: c*=")
    # below the transition xi = -1/log(sigma_w^2), and at it infinite; f = 1 has c* = 1
    low = depth_scales([0.5, 0.7, 1.0])
    assert repr(low) == "DepthScales(U(1), tanh, 3 sigma_w, 3 converged: c*=0 to 0, xi_delta=0.721348 to inf)"
    assert "c*=1 to 1, xi_delta=" in repr(depth_scales([1.0, 2.0], "O(3)", "saturated"))
    assert many.fixed_point.converged.all()
