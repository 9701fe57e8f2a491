"""Diffusion of the phase and of polar factors, against Bessel integrals of the charge kernels and closed forms."""

import mpmath
import numpy as np
import pytest
import xarray as xr
from mpmath import mp, mpf
from scipy import optimize, special

from meanfield import ConvergenceWarning, as_activation, depth_scales, fixed_point, trajectory
from meanfield.phase_diffusion import phase_diffusion, readable_depth
from meanfield.squared import SquaredOverlaps, squared
from meanfield.transverse import transverse_noise

from .independent import FUNCTIONS, MP_FUNCTIONS, hyperbolic_ratio, own_tanh, radial_average, relative


def charge_kernel(charge: int, dimension: int, s: float, rho: float, f) -> float:
    """K_m = E[f_1^2 f_2^2 P_m(cos theta)]: the angular integral is a Bessel function (Eq. (12) has m = 1, D = 2)."""
    half = dimension / 2.0
    x = np.linspace(np.log(1e-7), np.log(8.0 / np.sqrt(1.0 - rho)), 600)
    u = np.exp(x)
    scale = np.sqrt(2.0 * s / dimension * (1.0 - rho**2))
    product = 2.0 * rho * np.multiply.outer(u, u)
    angular = special.gamma(half) * (2.0 / product) ** (half - 1.0) * special.ive(half - 1.0 + charge, product)
    gaussian = np.exp(-(u[:, None] ** 2) - u**2 + product)
    radial = u**dimension * f(scale * u) ** 2 * (x[1] - x[0])
    norm = 4.0 * (1.0 - rho**2) ** half / special.gamma(half) ** 2
    return float(norm * (radial @ (angular * gaussian) @ radial))


def noise(name, dimension, s, rho, one_minus_rho=None):
    """(K_0 - K_2)/c'^2 of the package, for single numbers."""
    missing = 1.0 - rho if one_minus_rho is None else one_minus_rho
    found, _ = transverse_noise(as_activation(name), dimension, *(np.array([float(x)]) for x in (s, rho, missing)))
    return found[0]


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "saturated"])
@pytest.mark.parametrize(("dimension", "s", "rho"), [(2, 1.1, 0.3), (2, 1.1, 0.95), (3, 0.4, 0.8), (8, 30.0, 0.6)])
def test_kernels_by_bessel_integrals(name, dimension, s, rho):
    zero, two = (charge_kernel(m, dimension, s, rho, FUNCTIONS[name]) for m in (0, 2))
    gain = float(radial_average(lambda r: MP_FUNCTIONS[name](r) ** 2, dimension, s))
    assert noise(name, dimension, s, rho) == pytest.approx((zero - two) / gain**2, rel=1e-11)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "linear"])
@pytest.mark.parametrize("missing", [1e-3, 1e-8, 1e-15, 1e-100])
def test_kernels_next_to_identical_inputs(name, missing):
    """K_0 - K_2 = (1 - rho^2) s (<f^4/r^2> - (1 - rho) ...), nothing is lost however small 1 - rho is."""
    f, s, dimension = MP_FUNCTIONS[name], 2.0, 3
    limit = s * radial_average(lambda r: f(r) ** 4 / r**2, dimension, s)
    gain = radial_average(lambda r: f(r) ** 2, dimension, s)
    found = noise(name, dimension, s, 1.0 - missing, missing) / (2 * missing)
    assert found == pytest.approx(float(limit / gain**2), rel=max(5 * missing, 1e-12))


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "saturated", "linear"])
@pytest.mark.parametrize("s", [1e-6, 1.0, 1e6])
def test_kernels_at_the_ends(name, s):
    """1 for unrelated inputs, however far f is saturated; 0 for identical ones."""
    assert noise(name, 2, s, 0.0) == pytest.approx(1.0, rel=1e-12)
    assert noise(name, 2, s, 1e-200, 1.0) == pytest.approx(1.0, rel=1e-12)
    assert noise(name, 2, s, 1.0) == 0.0


@pytest.mark.parametrize("dimension", [2, 3, 4, 9])
@pytest.mark.parametrize("missing", [1e-100, 1e-9, 0.01, 0.5, 0.99])
def test_kernels_of_saturated_networks(dimension, missing):
    """(1 - rho^2) 2F1(1, 1; D/2 + 1; rho^2); for U(1) (1 - rho^2) log(1/(1 - rho^2))/rho^2."""
    with mp.workdps(130):
        z = (1 - mpf(missing)) ** 2
        expected = (1 - z) * mpmath.hyp2f1(1, 1, mpf(dimension) / 2 + 1, z)
        if dimension == 2:
            assert expected == pytest.approx(-(1 - z) * mp.log(1 - z) / z, rel=1e-30)
        assert relative(noise("saturated", dimension, 2.0, 1.0 - missing, missing), expected) < 1e-12


def test_large_sigma_w_tends_to_saturation():
    """Through the other code path: at s = 1e10 tanh differs from f = 1 at relative order 1e-5."""
    for rho in (0.2, 0.9, 0.999):
        assert noise("tanh", 4, 1e10, rho) == pytest.approx(noise("saturated", 4, 1e10, rho), rel=1e-4)


def test_a_users_activation():
    for rho in (0.1, 0.9):
        assert noise(own_tanh, 2, 1.0, rho) == pytest.approx(noise("tanh", 2, 1.0, rho), rel=1e-9)


@pytest.mark.parametrize(("height", "rho"), [(1.0, 0.3), (1.0, 0.9), (0.3, 0.3), (0.3, 0.9)])
def test_an_activation_that_breaks(height, rho):
    """f = r up to 1 and `height` beyond, a kink or a jump: K_m by panels that end there."""
    s, ends = 0.5, np.concatenate([[0.0, 1.0], np.arange(2.0, 8.0)])
    node, weight = np.polynomial.legendre.leggauss(60)
    half = np.diff(ends)[:, None] / 2.0
    r, dr = (ends[:-1, None] + half * (1.0 + node)).ravel(), (half * weight).ravel()
    f, spread = np.where(r < 1.0, r, height), s * (1.0 - rho**2)
    product = 2.0 * rho / spread * np.multiply.outer(r, r)
    density = np.exp(-np.add.outer(r**2, r**2) / spread + product) * 4.0 / (s * spread)
    zero, two = ((f**2 * r * dr) @ (density * special.ive(m, product)) @ (f**2 * r * dr) for m in (0, 2))
    gain = 2.0 / s * np.sum(f**2 * r * np.exp(-(r**2) / s) * dr)

    def breaks(r):
        return np.where(r < 1.0, r, height)

    assert noise(breaks, 2, s, rho) == pytest.approx((zero - two) / gain**2, rel=1e-10)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "linear"])
def test_the_squared_activation(name):
    """g = f^2/r, its derivative, 1 - g/(g'(0) r), g - r g', and its mixture of Gaussians."""
    activation, r = squared(as_activation(name)), np.array([1e-6, 0.1, 1.3, 4.0, 30.0])
    with mp.workdps(40):
        f = MP_FUNCTIONS[name]
        g = [f(mpf(x)) ** 2 / mpf(x) for x in r]
        slopes = [mp.diff(lambda y: f(y) ** 2 / y, mpf(x), h=mpf(10) ** -15 * mpf(x)) for x in r]
        origin = {"erf": 4 / mp.pi}.get(name, mpf(1))
        assert relative(activation.value(r), g) < 1e-14
        assert relative(activation.derivative(r), slopes) < 1e-12
        assert activation.slope == pytest.approx(float(origin), rel=1e-15)
        assert activation.critical[0] == pytest.approx(1 / float(origin), rel=1e-15)
        if name != "linear":
            assert (
                relative(activation.one_minus_ratio(r), [1 - y / (origin * x) for x, y in zip(r, g, strict=True)])
                < 1e-13
            )
            assert relative(activation.deficit(r), [y - x * z for x, y, z in zip(r, g, slopes, strict=True)]) < 1e-12
    mixture = SquaredOverlaps(as_activation(name), 2, np.array([900.0]))._mixture(np.array([0]))
    v2 = np.expm1(-mixture.log_beta[0]) / 900.0
    assert relative(np.exp(-np.multiply.outer(r**2, v2)) @ mixture.density[0] * r, g) < 1e-13


# ---- along the layers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetry", ["U(1)", "O(2)", "O(5)"])
def test_linear_networks(symmetry):
    """rho stays, and every layer adds (1 - rho^2)/(2 N rho^2)."""
    step = (1 - 0.8**2) / (2 * 32 * 0.8**2)
    known = phase_diffusion(40, 32, 0.7, c=2.0, delta=1.6, symmetry=symmetry, activation="linear")
    np.testing.assert_allclose(known.variance, step * np.arange(41), rtol=1e-12)
    random = phase_diffusion(40, 32, 0.7, d=2.0, one_minus_rho=0.2, symmetry=symmetry, activation="linear")
    np.testing.assert_allclose(random.variance, step * np.arange(1, 42), rtol=1e-12)


@pytest.mark.parametrize(("symmetry", "k", "generators"), [("U(1)", 2, 1), ("O(3)", 3, 3), ("O(4)", 4, 6)])
def test_saturated_networks(symmetry, k, generators):
    """Both maps in closed form; a random layer 0 is one layer more."""
    rho, expected = mpf(0.9), []
    for _ in range(6):
        kernel = (1 - rho**2) * mpmath.hyp2f1(1, 1, mpf(k) / 2 + 1, rho**2)
        rho = hyperbolic_ratio(k, rho)
        expected.append(kernel / (2 * 50 * rho**2))
    for sigma_w in (1.0, 1e-100, 1e-200):  # which f = 1 does not see
        known = phase_diffusion(6, 50, sigma_w, c=1.0, delta=0.9, symmetry=symmetry, activation="saturated")
        assert relative(known.variance, np.concatenate([[mpf(0)], np.cumsum(expected)])) < 1e-11
        assert relative(known.step_variance[1:], expected) < 1e-11
        random = phase_diffusion(5, 50, sigma_w, d=0.3, one_minus_rho=0.1, symmetry=symmetry, activation="saturated")
        assert relative(random.variance, np.cumsum(expected)) < 1e-11
    assert known.generators == generators


@pytest.mark.parametrize("symmetry", ["U(1)", "O(2)"])
def test_numbers_of_other_work(symmetry):
    """Sampled elsewhere for U(1): 0.0086 and 0.0295. O(2) contains U(1)'s rotations and shares c and Delta."""
    c = float(fixed_point(1.5, symmetry).c)
    found = phase_diffusion(20, 256, 1.5, c=c, one_minus_rho=0.1, symmetry=symmetry).variance
    assert float(found[10]) == pytest.approx(0.0083, abs=5e-5)
    assert float(found[20]) == pytest.approx(0.0291, abs=5e-5)


def test_one_step_in_tanh_networks():
    """A layer by hand from Bessel integrals, and the mean path from the correlation map."""
    found = phase_diffusion(2, 40, 1.5, c=0.5, delta=0.35, symmetry="O(3)")
    path = trajectory(2, 1.5, 0.5, 0.35, symmetry="O(3)")
    for layer in (1, 2):
        before = path.isel(layer=layer - 1)
        zero, two = (charge_kernel(m, 3, 2.25 * float(before.c), float(before.rho), np.tanh) for m in (0, 2))
        step = (zero - two) / (2 * 40 * float(path.delta[layer]) ** 2)
        assert float(found.step_variance[layer]) == pytest.approx(step, rel=1e-11)
    np.testing.assert_allclose(found.delta, path.delta)
    np.testing.assert_allclose(found.variance[2], found.step_variance[1] + found.step_variance[2])


def test_identical_inputs_have_no_relative_phase():
    np.testing.assert_array_equal(phase_diffusion(5, 8, 2.0, d=1.0, one_minus_rho=0.0).variance, 0.0)


def test_a_covariance_that_underflows_leaves_no_phase():
    found = phase_diffusion(2000, 8, 100.0, c=1.0, delta=0.01)
    assert float(found.variance[-1]) == np.inf
    assert not np.isnan(found.variance).any()


def test_axes():
    found = phase_diffusion(3, [16, 64], [1.5, 2.0], d=[1.0, 2.0, 3.0], one_minus_rho=[0.1, 0.2, 0.3, 0.4])
    assert found.variance.dims == ("layer", "sigma_w", "d_0", "one_minus_rho_0", "width")
    alone = phase_diffusion(3, 64, 2.0, d=3.0, delta=3.0 * 0.8)
    np.testing.assert_allclose(
        found.variance.sel(sigma_w=2.0, d_0=3.0, one_minus_rho_0=0.2, width=64), alone.variance, rtol=1e-12
    )
    assert alone.variance.dims == ("layer",)
    assert (float(alone.width), float(alone.sigma_w), float(alone.d_0)) == (64.0, 2.0, 3.0)
    assert all(found[name].attrs["long_name"] for name in found.data_vars)


# ---- how deep it is readable ----------------------------------------------------------------------------------------


def test_readable_depth_is_where_the_variance_is_one():
    """Between the layers that phase_diffusion puts on either side of 1 rad^2."""
    for sigma_w, rho, width in ((1.5, 0.9, 256), (2.0, 0.3, 40), (1.2, 0.99, 5000)):
        depth = float(readable_depth(width, sigma_w, rho).depth)
        c = float(fixed_point(sigma_w).c)
        variance = phase_diffusion(int(depth) + 1, width, sigma_w, c=c, one_minus_rho=1 - rho).variance
        assert variance[-2] < 1.0 <= variance[-1]


def test_readable_depth_of_wide_networks():
    """Geometric steps sum to exp(2 l/xi)/(2 N A^2 (1 - exp(-2/xi))): that is 1 where the interpolation finds it."""
    for symmetry in ("U(1)", "O(4)"):
        scales = depth_scales(1.5, symmetry)
        path = trajectory(600, 1.5, scales.fixed_point.c, one_minus_rho=0.1, symmetry=symmetry)
        amplitude = float(path.rho[600]) * np.exp(600 / scales.xi_delta)
        found = readable_depth(1e7, 1.5, 0.9, symmetry)
        exact = scales.xi_delta / 2 * np.log(2e7 * amplitude**2 * -np.expm1(-2 / scales.xi_delta))
        assert float(found.depth) == pytest.approx(exact, abs=1e-3)
        assert float(found.amplitude) == pytest.approx(amplitude, rel=1e-5)
        assert float(found.asymptotic) == pytest.approx(exact, abs=0.7)  # the sum as an integral: half a layer
    found = readable_depth(256, 1.5, 0.9)
    assert round(float(found.asymptotic)) == 58
    assert float(found.depth) == pytest.approx(float(found.asymptotic), abs=1.0)


def test_a_phase_that_the_first_layer_ends_is_readable_for_less_than_a_layer():
    """Not for one layer: depth is 1/variance there, and goes to 0 with the overlap."""
    c = fixed_point(1.5).c

    def first(width, rho):
        return phase_diffusion(1, width, 1.5, c=c, delta=rho * c).variance.values[1]

    for width, rho in ((256, 1e-3), (256, 0.02), (16, 0.1)):
        assert first(width, rho) > 1.0
        assert readable_depth(width, 1.5, rho).depth.item() == pytest.approx(1.0 / first(width, rho), rel=1e-9)
    edge = optimize.brentq(lambda rho: first(16, rho) - 1.0, 0.1, 0.5)
    above, below = readable_depth(16, 1.5, edge * (1.0 + np.array([1e-6, -1e-6]))).depth.values
    assert below < 1.0 < above < below + 1e-4


@pytest.mark.parametrize("sigma_w", [0.5, 1.0, 1.5])
def test_phase_diffusion_needs_no_fixed_point(sigma_w):
    """Linear networks have none above the transition; rho stays, and every layer adds the same."""
    found = phase_diffusion(3, 64, sigma_w, c=0.5, delta=0.4, activation="linear")
    np.testing.assert_allclose(found.step_variance[1:], (1.0 - 0.8**2) / (2 * 64 * 0.8**2), rtol=1e-12)


def test_readable_depth_of_next_to_no_overlap():
    """So little is lost in 1 - rho: no layer, which 2 N rho^2 < 1e-197 is to every digit that counts."""
    np.testing.assert_array_equal(readable_depth(256, 1.5, [1e-160, 1e-100]).depth, 0.0)


def test_readable_depth_says_which_networks_are_wide_enough():
    xi = [depth_scales(sigma_w).xi_delta for sigma_w in (1.1, 2.0)]
    found = readable_depth([3.9 * xi[1], 4.1 * xi[1], 4.1 * xi[0]], [1.1, 2.0], 0.9)
    np.testing.assert_array_equal(found.wide.transpose("sigma_w", "width"), [[False, False, True], [False, True, True]])
    found = readable_depth([255.0, 257.0], 3.0, 0.9, "O(16)")  # a depth scale of less than 60 layers
    assert float(found.xi_delta) < 60
    np.testing.assert_array_equal(found.wide, [False, True])


@pytest.mark.parametrize(("symmetry", "sigma_w"), [("U(1)", 1.3), ("U(1)", 6.0), ("O(3)", 2.0)])
def test_readable_depth_is_a_geometric_sum(symmetry, sigma_w):
    """In very wide networks, to the digits; `asymptotic` has an integral for it, half a layer more at large xi."""
    found = readable_depth(1e14, sigma_w, 0.5, symmetry)
    xi, reach = float(found.xi_delta), 2e14 * float(found.amplitude) ** 2
    exact = xi / 2 * np.log(reach * (1 - np.exp(-2 / xi)))
    assert float(found.depth) == pytest.approx(exact, abs=1e-4)
    assert float(found.asymptotic) - exact == pytest.approx(0.5, abs=0.1 / xi)


def test_readable_depth_of_tables():
    found = readable_depth([64, 1024], [1.5, 2.0], [0.2, 0.9])
    assert found.depth.dims == found.asymptotic.dims == ("sigma_w", "rho_0", "width")
    one = readable_depth(1024, 2.0, 0.2)
    same = found.sel(sigma_w=2.0, rho_0=0.2, width=1024)
    assert float(same.depth) == pytest.approx(float(one.depth), rel=1e-12)
    assert float(same.asymptotic) == pytest.approx(float(one.asymptotic), rel=1e-12)
    far = readable_depth(1e6, [1.08, 20.0], 0.9).sel(sigma_w=20.0)  # beside a depth scale of 390 layers, one of 4
    near = readable_depth(1e6, 20.0, 0.9)
    assert float(far.depth) == pytest.approx(float(near.depth), rel=1e-12)
    assert float(far.amplitude) == pytest.approx(float(near.amplitude), rel=1e-12)
    assert (found.depth.diff("width") > 0).all()
    assert (found.depth.diff("rho_0") > 0).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: phase_diffusion(3, 8, 1.5, c=1.0, delta=0.5, symmetry="generic(2)"), "which conserve angles; got"),
        (lambda: phase_diffusion(3, 8, 1.5, c=1.0, delta=0.5, symmetry="O(1)"), "which conserve angles; got"),
        (lambda: phase_diffusion(3, 8, 1.5, c=1.0), "delta or one_minus_rho must be given, and not both, got neither"),
        (lambda: phase_diffusion(3, 8, 1.5, c=1.0, delta=0.5, one_minus_rho=0.5), "and not both, got both"),
        (lambda: phase_diffusion(3, 8, 1.5, delta=0.5), "c .* or d .* must be given, and not both, got neither"),
        (lambda: phase_diffusion(3, 8, 1.5, c=1.0, delta=0.0), "delta must be > 0, got 0"),
        (lambda: phase_diffusion(3, 8, 1.5, c=1.0, delta=1.1), "delta must satisfy"),
        (lambda: phase_diffusion(3, 8, 1.5, c=1.0, one_minus_rho=1.0), r"one_minus_rho must be in \[0, 1\), got 1"),
        (lambda: phase_diffusion(-1, 8, 1.5, c=1.0, delta=0.5), "depth must be an integer >= 0, got -1"),
        (lambda: phase_diffusion(3, 0.5, 1.5, c=1.0, delta=0.5), "width must be >= 1, got 0.5"),
        (lambda: readable_depth(8, 0.9, 0.5), "sigma_w must be in the broken phase"),
        (lambda: readable_depth(8, [1.0001, 0.5], 0.5), "sigma_w must be in the broken phase.*got 1.0001"),
        (lambda: readable_depth(8, 1.5, 1.0), r"rho must be in \(0, 1\), got 1"),
        (lambda: readable_depth(8, 1.5, 0.0), "rho must be > 0, got 0"),
        (lambda: readable_depth(8, 1.5, 0.5, "generic(2)"), "which conserve angles; got"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_sweep_marks_what_has_no_readable_depth():
    """Below the transition, and so near to it that layers are too many to follow."""
    with pytest.warns(ConvergenceWarning, match="2 of 4 sigma_w are not in the broken phase, with xi_delta <= 10000"):
        found = readable_depth([64, 256], [0.9, 1.01, 1.5, 2.0], 0.9)
    assert found.sigma_w.values.tolist() == [0.9, 1.01, 1.5, 2.0]
    assert np.isnan(found.depth[:2]).all()
    assert not found.wide[:2].any()
    alone = readable_depth([64, 256], [1.5, 2.0], 0.9)
    xr.testing.assert_identical(found.isel(sigma_w=[2, 3]), alone)
    with pytest.raises(ValueError, match=r"sigma_w must be in the broken phase, .* got 0\.5"):
        readable_depth(64, [0.5, 0.9], 0.9)


def test_where_the_order_is_good_is_told():
    found = phase_diffusion(40, [128, 1024], 1.4, d=1.0, delta=0.8)
    assert np.array_equal(found.wide, found.variance <= 0.1)
    assert 15 < int((~found.wide.sel(width=128)).argmax("layer")) < 22
    assert not phase_diffusion(3, 16, 1.5, d=1.0, delta=0.8, symmetry="O(4)").wide.any()
