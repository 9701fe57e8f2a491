"""How the overlap deviates at finite width, against derivatives of the correlation map in arbitrary precision, Bessel
integrals, perturbed Gram matrices, and networks whose moments are known at every width."""

import warnings

import numpy as np
import pytest
import xarray as xr
from mpmath import mp, mpf
from scipy import special

from meanfield import (
    AccuracyWarning,
    ConvergenceWarning,
    as_activation,
    fluctuation_trajectory,
    matrix_gram_map,
    phase_diffusion,
    precise,
)
from meanfield.fluctuations import layer_noise
from meanfield.overlap_depth import overlap_depth_scale
from meanfield.overlap_fluctuations import overlap_fluctuations
from meanfield.overlap_noise import overlap_noise
from meanfield.overlap_response import anisotropy_response, overlap_response

from .independent import FUNCTIONS, own_tanh

CASES = [("tanh", 2, 1.5, 0.6), ("erf", 1, 0.01, 0.25), ("algebraic", 5, 100.0, 0.9375), ("saturated", 3, 1.0, 0.5)]
STEP = mpf(10) ** -8


def one(*values):
    return tuple(np.array([float(value)]) for value in values)


def response(name, dimension, s, one_minus_rho):
    found, _ = overlap_response(as_activation(name), dimension, *one(s, one_minus_rho))
    return {key: value[0] for key, value in found._asdict().items()}


@pytest.mark.parametrize(("name", "dimension", "s", "rho"), [*CASES, ("tanh", 2, 1e6, 0.875), ("tanh", 48, 4.0, 0.5)])
def test_derivatives_of_the_correlation_map(name, dimension, s, rho):
    """By central differences, of the second order in steps of 1e-8, of 34 digits."""
    with mp.workdps(40):
        weights = mp.sqrt(mpf(s))

        def g(c_1=0, c_2=0, delta=0):
            lengths, delta = (1 + c_1 * STEP, 1 + c_2 * STEP), mpf(rho) * (1 + delta * STEP)
            return precise.correlation_map(delta, lengths, weights, f"generic({dimension})", name, digits=34)

        here, up, down = g(), g(1), g(-1)
        further, nearer = g(delta=1), g(delta=-1)
        second, overlap = (up - 2 * here + down) / STEP**2, (further - 2 * here + nearer) / STEP**2
        both = ((g(1, 1) - 2 * here + g(-1, -1)) / STEP**2 - 2 * second) / 2
        mixed = ((g(1, 0, 1) - 2 * here + g(-1, 0, -1)) / STEP**2 - second - overlap) / 2
        power = precise.length_map(1, weights, f"generic({dimension})", name, digits=34)
        expected = {
            "decay": here / (mpf(rho) * power),
            "own": (up - down) / (2 * STEP) / here,
            "surplus": ((further - nearer) / (2 * STEP) / here - 1) / mpf(rho) ** 2,
            "own_own": second / here,
            "both": both / here,
            "own_overlap": mixed / here,
            "overlap_overlap": overlap / here / mpf(rho) ** 2,
        }
        found = response(name, dimension, s, 1.0 - rho)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert abs(found[key] / value - 1) < 1e-12, key


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "saturated"])
@pytest.mark.parametrize("missing", [1e-6, 0.3, 1.0 - 1e-9, 1.0])
def test_a_function_of_the_overlap_alone(name, missing):
    """At s = 1e30 all are saturated: G is a function of Delta/sqrt(c_1 c_2), and c dG/dc_1 = -Delta dG/dDelta/2."""
    found = response(name, 3, 1e30, missing)
    rho_squared = (1.0 - missing) ** 2
    assert found["own"] == pytest.approx(-(1.0 + rho_squared * found["surplus"]) / 2.0, rel=1e-12)
    second = 1.0 + 3.0 * rho_squared * found["surplus"] + rho_squared * found["overlap_overlap"]
    second -= 2.0 * rho_squared * found["surplus"]  # (Delta d/dDelta)^2 G/G
    assert found["both"] == pytest.approx(second / 4.0, rel=1e-11)
    assert found["own_overlap"] == pytest.approx(-second / 2.0, rel=1e-11)


def bessel_average(charge, dimension, s, rho, first, second) -> float:
    """E[first(r_1) second(r_2) P(cos theta)], P = 1 or cos theta: the angular integral is a Bessel function."""
    half = dimension / 2.0
    x = np.linspace(np.log(1e-8), np.log(9.0 / np.sqrt(1.0 - rho)), 1200)
    u = np.exp(x)
    scale = np.sqrt(2.0 * s / dimension * (1.0 - rho**2))
    product = 2.0 * rho * np.multiply.outer(u, u)
    angular = special.gamma(half) * (2.0 / product) ** (half - 1.0) * special.ive(half - 1.0 + charge, product)
    gaussian = np.exp(-(u[:, None] ** 2) - u**2 + product)
    measure = u**dimension * (x[1] - x[0])
    norm = 4.0 * (1.0 - rho**2) ** half / special.gamma(half) ** 2
    return float(norm * ((measure * first(scale * u)) @ (angular * gaussian) @ (measure * second(scale * u))))


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "linear"])
@pytest.mark.parametrize(("dimension", "s", "rho"), [(2, 1.5, 0.3), (2, 1.5, 0.95), (3, 1e-3, 0.6), (8, 300.0, 0.8)])
def test_noise_by_bessel_integrals(name, dimension, s, rho):
    f = FUNCTIONS[name]

    def average(charge, power_1, power_2):
        return bessel_average(charge, dimension, s, rho, lambda r: f(r) ** power_1, lambda r: f(r) ** power_2)

    c, delta = average(0, 2, 0), average(1, 1, 1)
    found, error = overlap_noise(as_activation(name), dimension, *one(s, rho, 1.0 - rho, 1.0 - delta / c))
    assert error < 1e-14
    power = layer_noise(as_activation(name), dimension, *one(s)).noise
    assert power[0] == pytest.approx(average(0, 4, 0) / c**2 - 1.0, rel=1e-10, abs=1e-11)
    assert found.powers[0] == pytest.approx(average(0, 2, 2) / c**2 - 1.0, rel=1e-10, abs=1e-11)
    assert found.power_overlap[0] == pytest.approx(average(1, 3, 1) / (c * delta) - 1.0, rel=1e-10, abs=1e-11)
    # cos^2 by the angular mean of a squared cosine: 1/D + (1 - 1/D) times that of P_2
    two = bessel_average(2, dimension, s, rho, lambda r: f(r) ** 2, lambda r: f(r) ** 2)
    squares = (average(0, 2, 2) + (dimension - 1) * two) / dimension
    assert found.overlap[0] == pytest.approx((squares - delta**2) / c**2, rel=1e-10, abs=1e-11)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
@pytest.mark.parametrize("s", [1e-6, 1.0, 1e4])
def test_noise_at_the_ends(name, s):
    """Identical inputs have one noise; unrelated ones have none in common."""
    power = layer_noise(as_activation(name), 3, *one(s)).noise
    near, _ = overlap_noise(as_activation(name), 3, *one(s, 1.0, 1e-15, 1e-15))
    assert near.powers == pytest.approx(power, abs=1e-12)
    assert near.power_overlap == pytest.approx(power, abs=1e-12)
    assert near.overlap == pytest.approx(power, abs=1e-12)
    far, _ = overlap_noise(as_activation(name), 3, *one(s, 0.0, 1.0, 1.0))
    assert far.powers == pytest.approx(0.0, abs=1e-15)
    assert far.overlap == pytest.approx(1.0 / 3.0, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "k", "sigma_w", "rho"), [("tanh", 2, 1.5, 0.6), ("erf", 3, 0.9, 0.3), ("algebraic", 4, 4.0, 0.8)]
)
def test_what_anisotropy_does(name, k, sigma_w, rho):
    """By the map of perturbed Gram matrices: each second derivative, and what becomes of t_12."""
    shape = np.diag(np.linspace(-1.0, 1.0, k))
    shape /= np.sqrt(np.trace(shape @ shape))

    def mapped(t_11, t_22, t_12):
        eye = np.eye(k)
        own, other, cross = (each / k for each in (eye + t_11 * shape, eye + t_22 * shape, rho * eye + t_12 * shape))
        return matrix_gram_map(np.array([[own, cross], [cross, other]]), sigma_w, f"O({k})", name)

    def delta(*t):
        return np.trace(mapped(*t)[0, 1])

    h, here = 1e-3, np.trace(mapped(0, 0, 0)[0, 1])
    found = anisotropy_response(as_activation(name), k, *one(sigma_w**2, 1.0 - rho))

    def curvature(*t):
        # h^4 errors are taken off by a second step
        plain, finer = (
            (delta(*(step * x for x in t)) - 2 * here + delta(*(-step * x for x in t))) / (2.0 * step**2 * here)
            for step in (2 * h, h)
        )
        return (4.0 * finer - plain) / 3.0

    expected = {
        (1, 0, 0): found.alone / 2.0,
        (1, 1, 0): found.alone + found.apart,
        (0, 0, 1): found.between,
        # crossed counts E tr t_11 t_12 and t_22 t_12 alike, and over rho
        (1, 0, 1): found.alone / 2.0 + found.between + found.crossed / (2.0 * rho),
    }
    for t, value in expected.items():
        assert curvature(*t) == pytest.approx(value[0], abs=1e-7)
    c = np.trace(mapped(0, 0, 0)[0, 0])
    for t, value in {(0, 0, 1): found.kept, (1, 0, 0): rho * found.mixed}.items():
        change = (mapped(*(h * x for x in t)) - mapped(*(-h * x for x in t)))[0, 1] / (2.0 * h)
        assert np.trace(change @ shape) * k / c == pytest.approx(value[0], abs=1e-6)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(1)", "O(3)", "generic(2)"])
@pytest.mark.parametrize("start", [{"c": 0.5}, {"d": 0.5}])
def test_c_is_that_of_one_input(symmetry, start):
    options = {"symmetry": symmetry, "activation": "erf"}
    found = overlap_fluctuations(12, [10, 20], [0.7, 1.5], delta=0.3, **start, **options)
    alone = fluctuation_trajectory(12, [10, 20], [0.7, 1.5], **start, **options)
    for name in ("c", "var_c", "mean_shift"):
        xr.testing.assert_allclose(found[name].drop_vars("delta_0"), alone[name], rtol=1e-13, atol=1e-18)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(1)", "O(3)", "generic(2)"])
def test_nearly_identical_inputs_have_one_c(symmetry):
    found = overlap_fluctuations(8, 1, 1.5, d=0.7, one_minus_rho=1e-8, symmetry=symmetry)
    for name, one_input in {
        "var_magnitude": "var_c",
        "cov_c": "var_c",
        "cov_c_magnitude": "var_c",
        "delta_shift": "mean_shift",
        "magnitude_shift": "mean_shift",
    }.items():
        np.testing.assert_allclose(found[name], found[one_input], rtol=1e-5, atol=1e-8)


def test_linear_networks():
    """Products of Gaussian matrices: second moments are known at every width, here to order 1/N.

    U(1): E |C_12|^2 grows by c^2/N in each layer, and E C_12 stays. generic(1): E C_12^2 by (c^2 + Delta^2)/N.
    """
    c, delta, layers = 0.5, 0.3, np.arange(7)
    unitary = overlap_fluctuations(6, 1, 1.0, c=c, delta=delta, activation="linear")
    np.testing.assert_allclose(unitary.delta_shift, 0.0)
    square = unitary.var_magnitude + 2.0 * delta * unitary.magnitude_shift
    np.testing.assert_allclose(square, layers * c**2, rtol=1e-13)
    real = overlap_fluctuations(6, 1, 1.0, c=c, delta=delta, symmetry="generic(1)", activation="linear")
    np.testing.assert_allclose(real.delta_shift, 0.0)
    np.testing.assert_allclose(real.var_magnitude, layers * (c**2 + delta**2), rtol=1e-13)
    np.testing.assert_allclose(real.cov_c, layers * 2.0 * delta**2, rtol=1e-13)
    np.testing.assert_allclose(real.cov_c_magnitude, layers * 2.0 * c * delta, rtol=1e-13)


def test_the_mean_of_a_network_s_own_size_and_phase():
    """E |C_12| is longer than E C_12 by the variance of the angles."""
    for symmetry, directions in {"U(1)": 1, "O(3)": 2, "generic(2)": 0}.items():
        start = {"d": 0.8, "delta": 0.5, "symmetry": symmetry}
        found = overlap_fluctuations(20, 1, 1.5, **start)
        spread = phase_diffusion(20, 1, 1.5, **start).variance if directions else 0.0
        longer = found.delta * directions * spread / 2.0
        np.testing.assert_allclose(found.magnitude_shift - found.delta_shift, longer, rtol=1e-12)


@pytest.mark.parametrize("symmetry", ["U(1)", "generic(3)"])
@pytest.mark.parametrize("sigma_w", [0.8, 1.5, 3.0])
def test_a_user_s_function_by_its_series(symmetry, sigma_w):
    """Which shares no sum with the mixture of the named tanh."""
    start = {"sigma_w": sigma_w, "d": 1.0, "delta": 0.8, "symmetry": symmetry}
    named, own = (overlap_fluctuations(10, 50, activation=each, **start) for each in ("tanh", own_tanh))
    for name in set(named.data_vars) - {"cov_c"}:
        np.testing.assert_allclose(own[name], named[name], rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(own.cov_c / own.var_c, named.cov_c / named.var_c, atol=1e-10)


def test_a_user_s_function_says_what_its_series_leaves_out():
    """Saturated and nearly identical: 254 terms are few."""
    start = {"sigma_w": 50.0, "c": 0.5, "one_minus_rho": 1e-4}
    with pytest.warns(AccuracyWarning, match="averages are estimated to be off by"):
        own = overlap_fluctuations(1, 1, activation=own_tanh, **start)
    named = overlap_fluctuations(1, 1, **start)
    off = abs(own.var_magnitude / named.var_magnitude - 1.0)[1]
    assert 0.1 < off < own.error_estimate[1]


@pytest.mark.parametrize("symmetry", ["U(1)", "O(2)", "generic(2)"])
def test_no_nan_where_numbers_end(symmetry):
    for sigma_w in (0.0, 1e-3, 1.0, 1e3):
        for name in ("tanh", "linear"):
            found = overlap_fluctuations(300, 10, sigma_w, c=0.5, delta=0.1, symmetry=symmetry, activation=name)
            assert not any(np.isnan(found[key]).any() for key in found.data_vars)
    deep = overlap_fluctuations(4000, 10, 5.0, c=0.5, delta=0.1, symmetry=symmetry)
    assert deep.rho[-1] < 1e-320
    assert np.isfinite(deep.delta_shift).all()
    assert np.isfinite(deep.var_magnitude).all()


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(3)"])
def test_wide_networks_scatter_by_less_than_a_tenth(symmetry):
    """Along the frame of C_12, and across it, where noise lengthens |C_12| by half its variance."""
    found = overlap_fluctuations(60, [9.0, 64.0, 1e12], 1.5, c=0.5, delta=0.4, symmetry=symmetry)
    along = found.var_magnitude / found.delta**2
    across = 2.0 * (found.magnitude_shift - found.delta_shift) / found.delta
    expected = (along < 0.1) & (across < 0.1) & ((found.width > 9.0) | (symmetry != "O(3)"))
    np.testing.assert_array_equal(found.wide, expected)
    assert found.wide.sel(width=1e12).all()
    assert 0 < found.wide.sel(width=64.0).sum() < 61


def test_no_network_is_wide_where_rho_underflows():
    deep = overlap_fluctuations(4000, 1e12, 5.0, c=0.5, delta=0.1)
    assert deep.rho[-1] < 1e-320
    assert not deep.wide[-1]
    assert deep.wide[0]  # known exactly


def test_saturated_networks_have_one_c():
    found = overlap_fluctuations(5, 10, 1.0, c=1.0, delta=0.5, activation="saturated")
    for name in ("var_c", "mean_shift", "cov_c", "cov_c_magnitude"):
        np.testing.assert_allclose(found[name], 0.0, atol=1e-30)
    assert np.all(found.var_magnitude[1:] > 0.0)


def test_axes_and_names():
    found = overlap_fluctuations(3, [10, 20], [1.2, 1.5], d=[0.5, 1.0], one_minus_rho=[0.1, 0.2, 0.3])
    assert dict(found.sizes) == {"layer": 4, "sigma_w": 2, "d_0": 2, "one_minus_rho_0": 3, "width": 2}
    single = overlap_fluctuations(3, 20, 1.5, d=1.0, delta=0.8)
    picked = found.sel(sigma_w=1.5, d_0=1.0, one_minus_rho_0=0.2, width=20)
    for name in found.data_vars:
        assert found[name].attrs["long_name"]
        np.testing.assert_allclose(picked[name], single[name], rtol=1e-12, atol=1e-18)


SETTLED = [
    ("U(1)", "tanh", 1.5),
    ("U(1)", "saturated", 1.0),
    ("O(1)", "erf", 2.0),
    ("O(4)", "tanh", 1.5),
    ("O(3)", "saturated", 1.0),
    ("generic(4)", "algebraic", 1.5),
]


@pytest.mark.parametrize(("symmetry", "activation", "sigma_w"), SETTLED)
def test_the_depth_scale_of_the_mean_overlap(symmetry, activation, sigma_w):
    """What is in closed form there is where the layers of a deep network end."""
    options = {"symmetry": symmetry, "activation": activation}
    deep = overlap_fluctuations(1200, 1, sigma_w, c=0.5, one_minus_rho=0.5, **options)
    growth = (deep.delta_shift / deep.delta).diff("layer")[-1]
    found = overlap_depth_scale([1, 10], sigma_w, **options)
    np.testing.assert_allclose(found.growth, growth, rtol=1e-11)
    np.testing.assert_allclose(found.xi_delta, -1.0 / np.log(deep.rho[-1] / deep.rho[-2]), rtol=1e-9)
    np.testing.assert_allclose(found.xi_shift, found.xi_delta**2 * found.growth / found.width)


@pytest.mark.parametrize(
    ("symmetry", "limit"), [("U(1)", 3 / 4), ("O(1)", 1.0), ("generic(2)", 1 / 2), ("generic(5)", 1 / 5)]
)
@pytest.mark.parametrize("activation", ["tanh", "erf", "algebraic"])
def test_next_to_the_transition(symmetry, limit, activation):
    """With eps = 1 - chi_c, small, and f = r - a r^3: Var e_1 = 1/(D eps), E e_1 = -1/(D eps), Cov(e_1, e) = 3/(2 D
    eps), g_1 = -eps/2. That is 1/D - 3/(2D) of the growth, and the cubic term of the correlation map, of which 1 -
    chi_delta is made as well, adds 3/(2D), and 1/4 from the phase of U(1).
    """
    critical = as_activation(activation).critical[0]
    found = overlap_depth_scale(100, critical * (1.0 + 1e-5), symmetry, activation)
    assert found.growth == pytest.approx(limit, rel=1e-4)
    assert not found.wide


def test_depth_scales_where_networks_die():
    found = overlap_depth_scale([10, 100], [0.0, 0.5, 1.0, 1.5, 1e3])
    np.testing.assert_array_equal(found.growth[:3], 0.0)
    np.testing.assert_array_equal(found.xi_shift[:3], 0.0)
    assert (found.xi_shift[3:] > 0.0).all()
    np.testing.assert_array_equal(found.wide.sel(sigma_w=1.5), [False, True])
    with pytest.warns(ConvergenceWarning):
        exploding = overlap_depth_scale(10, [0.5, 1.5], activation="linear")
    np.testing.assert_array_equal(exploding.xi_shift, [0.0, np.nan])
    np.testing.assert_array_equal(exploding.wide, [True, False])


def test_no_layer():
    known, random = (overlap_fluctuations(0, 10, [1.2, 1.5], delta=0.3, **{name: 0.5}) for name in "cd")
    assert dict(known.sizes) == {"layer": 1, "sigma_w": 2}
    assert not known.var_magnitude.any()
    assert (random.var_magnitude > 0.0).all()


def test_bad_input():
    def raises(text):
        return pytest.raises(ValueError, match=text)

    with raises("identical inputs have one c, got one_minus_rho = 0"):
        overlap_fluctuations(3, 10, 1.5, c=0.5, delta=0.5)
    with raises("identical inputs have one c, got one_minus_rho = 0"):
        overlap_fluctuations(3, 10, 1.5, d=0.5, one_minus_rho=0.0)
    with raises("delta or one_minus_rho must be given, and not both, got neither"):
        overlap_fluctuations(3, 10, 1.5, c=0.5)
    with raises(r"c .* or d .* must be given"):
        overlap_fluctuations(3, 10, 1.5, delta=0.5)
    with raises("activation must be one of the named ones for the overlap of anisotropic capsules"):
        overlap_fluctuations(3, 10, 1.5, c=0.5, delta=0.2, symmetry="O(3)", activation=own_tanh)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        overlap_fluctuations(3, 10, 1.5, c=0.5, delta=0.2, symmetry="O(1)", activation=own_tanh)
    with raises("activation must be one of the named ones"):
        overlap_depth_scale(10, 1.5, "O(3)", own_tanh)
    with raises("width must be"):
        overlap_depth_scale(0, 1.5)
    for bad in (-1, 1.5):
        with raises("depth must be"):
            overlap_fluctuations(bad, 10, 1.5, c=0.5, delta=0.2)
    with raises("width must be"):
        overlap_fluctuations(3, 0, 1.5, c=0.5, delta=0.2)
