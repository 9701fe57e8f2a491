"""Order 1/N: fluctuations of c, their mean shift, and the transition, against closed forms and other integrals."""

from functools import lru_cache

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import integrate, special

from meanfield import ConvergenceWarning, depth_scales
from meanfield.finite_width import finite_width_transition
from meanfield.fluctuations import fluctuation_trajectory, fluctuations

from .independent import MP_FUNCTIONS, own_tanh, radial_average, relative

EULER = np.euler_gamma


def length(dimension: int, name: str):
    """F as a function of s = sigma_w^2 c, in mpmath."""
    f = MP_FUNCTIONS[name]
    return lambda s: radial_average(lambda r: f(r) ** 2, dimension, s)


@lru_cache(maxsize=32)
def step_moments(dimension: int, name: str, s: float):
    """F, s F', s^2 F'' (differences at 30 digits), N Var c'/F^2, and <f^2 r^2>/(s F): integrals alone."""
    f = MP_FUNCTIONS[name]
    with mp.workdps(30):
        s = mpf(s)
        value, first, second = (mp.diff(length(dimension, name), s, n, h=mpf(10) ** -8 * s) for n in range(3))
        fourth = radial_average(lambda r: f(r) ** 4, dimension, s)
        gram = radial_average(lambda r: f(r) ** 2 * r**2, dimension, s)
        return [float(x) for x in (value, s * first, s**2 * second, fourth / value**2 - 1, gram / (s * value))]


CASES = [
    ("U(1)", "tanh", 1.5),
    ("U(1)", "tanh", 1.001),
    ("U(1)", "algebraic", 4.0),
    ("O(1)", "erf", 1.3),
    ("O(3)", "tanh", 1.5),
    ("O(8)", "erf", 1.5),
    ("generic(3)", "tanh", 1.5),
]


@pytest.mark.parametrize(("symmetry", "name", "sigma_w"), CASES)
def test_the_fixed_point_against_integrals(symmetry, name, sigma_w):
    """Every ingredient by mpmath: F'' by differences of F, kappa from F''."""
    k = {"U(1)": 2, "O(1)": 1, "O(3)": 3, "O(8)": 8, "generic(3)": 3}[symmetry]
    found = fluctuations(50, sigma_w, symmetry, name)
    c = float(found.c)
    value, first, second, noise, gram = step_moments(k, name, sigma_w**2 * c)
    assert value == pytest.approx(c, rel=1e-11)
    chi = first / c
    variance = noise * c**2 / (50 * (1 - chi**2))
    anisotropy, kappa = 0.0, 0.0
    if symmetry in ("O(3)", "O(8)"):
        anisotropy = k * (k - 1) * (1 + noise) / (50 * (1 - (k / (k + 2) * gram) ** 2))
        kappa = second / (k * (k + 2))
        assert relative(found.anisotropy, anisotropy) < 1e-10
    else:
        assert "anisotropy" not in found
    assert relative(found.var_c, variance) < 1e-9
    assert relative(found.mean_shift, (second / c**2 * variance / 2 + kappa * anisotropy) / (1 - chi)) < 1e-8


@pytest.mark.parametrize("sigma_w", [1 + 1e-9, np.nextafter(1.0, 2.0)])
def test_next_to_the_transition(sigma_w):
    """Leading order in eps = sigma_w^2 - 1 for O(3) and tanh, where F = s - (2/3) <r^4> + ..., <r^4> = 5 s^2/3."""
    eps = (sigma_w - 1.0) * (sigma_w + 1.0)
    found = fluctuations(100, sigma_w, "O(3)")
    s = 0.9 * eps  # the root of s - (10/9) s^2 = s/(1 + eps); 1 - chi_c = eps, c^2 F''/F = -2 eps
    noise, lost = 2 / 3, 2 / 5 * eps
    variance = noise / (2 * eps) / 100
    anisotropy = 6 * (1 + noise) / (2 * lost) / 100
    assert found.c == pytest.approx(s, rel=1e-8)
    assert found.var_c == pytest.approx(s**2 * variance, rel=1e-8)
    assert found.anisotropy == pytest.approx(anisotropy, rel=1e-8)
    assert found.mean_shift == pytest.approx(s * -2 * (variance / 2 + anisotropy / 15), rel=1e-8)


def test_large_sigma_w():
    """U(1) and tanh: Var c = int 2 r sech(r)^4 dr/(N sigma_w^2), as long as that is above rounding."""
    sigma_w = np.array([1e3, 1e6, 1e9, 1e100, 1e150])
    found = fluctuations(16, sigma_w)
    expected = (4.0 * np.log(2.0) - 1.0) / (3.0 * 16.0 * sigma_w**2)
    np.testing.assert_allclose(found.var_c[:3], expected[:3], rtol=1e-5)
    assert np.all((found.var_c >= 0.0) & (found.var_c < 1e-31 / 16 + 2.0 * expected))
    assert np.all(np.abs(found.mean_shift[3:]) < 1e-31)


def test_a_users_function_needs_no_derivative():
    """min(r, 1), D = 1: F and its derivatives by mpmath from incomplete Gamma functions, <f^4> likewise."""

    def clipped(r):
        return np.minimum(r, 1.0)

    def length(s):
        edge = 1 / (2 * s)
        low = s * mp.gammainc(mpf(3) / 2, 0, edge, regularized=True)
        return low + mp.gammainc(mpf(1) / 2, edge, regularized=True)

    found = fluctuation_trajectory(2, 40, 1.5, c=0.4, symmetry="O(1)", activation=clipped)
    assert np.all(found.error_estimate < 1e-8)
    variance, shift, c = 0.0, 0.0, 0.4
    for layer in (1, 2):
        s = mpf(2.25) * c
        first, second = (float(s**n * mp.diff(length, s, n)) / c**n for n in (1, 2))
        edge = float(1 / (2 * s))
        fourth = 3 * float(s) ** 2 * special.gammainc(2.5, edge) + special.gammaincc(0.5, edge)
        shift = first * shift + second * variance / 2
        c = float(length(s))
        variance = first**2 * variance + (fourth - c**2) / 40
        assert found.var_c[layer] == pytest.approx(variance, rel=1e-10)
        assert found.mean_shift[layer] == pytest.approx(shift, rel=1e-10)


def test_classical_networks_have_a_closed_curvature():
    """D = 1, erf: F = (2/pi) arcsin(2 s/(1 + 2 s)), whose derivatives are elementary; <erf^4> by quadrature."""
    s0, sigma = 0.8, 1.3

    def f(s):
        return 2 / np.pi * np.arcsin(2 * s / (1 + 2 * s))

    def erf_power(s, n):
        density = lambda x: np.exp(-x * x / (2 * s)) / np.sqrt(2 * np.pi * s)  # noqa: E731
        return integrate.quad(lambda x: float(mpmath.erf(x)) ** n * density(x), -14, 14, epsabs=1e-14, limit=200)[0]

    c0 = s0 / sigma**2
    s1 = sigma**2 * f(s0)
    first = 4 / np.pi / ((1 + 2 * s1) * np.sqrt(1 + 4 * s1))
    second = -first * (2 / (1 + 2 * s1) + 2 / (1 + 4 * s1))
    var_1 = (erf_power(s0, 4) - f(s0) ** 2) / 40
    found = fluctuation_trajectory(2, 40, sigma, c=c0, symmetry="O(1)", activation="erf")
    np.testing.assert_allclose(found.c, [c0, f(s0), f(s1)], rtol=1e-12)
    var_2 = (sigma**2 * first) ** 2 * var_1 + (erf_power(s1, 4) - f(s1) ** 2) / 40
    np.testing.assert_allclose(found.var_c, [0, var_1, var_2], rtol=1e-11)
    np.testing.assert_allclose(found.mean_shift, [0, 0, 0.5 * sigma**4 * second * var_1], rtol=1e-11)


def anisotropic_algebraic(eigenvalues) -> mpf:
    """E f(|x|)^2 for f^2 = r^2/(1 + r^2) and x Gaussian with these variances: a Laplace transform, exact."""

    def integrand(v):
        product = mpf(1)
        for variance in eigenvalues:
            product *= 1 + 2 * v * variance
        return mp.exp(-v) / mp.sqrt(product)

    return 1 - mp.quad(integrand, [0, 0.3, 1, 3, 8, 20, 80])


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_response_to_anisotropy(k):
    """kappa = (1/2) d^2 F/d epsilon^2 / tr T^2 over T = epsilon diag(1, -1, 0, ...), in exact anisotropic averages.

    O(k) and generic(k) share c and Var c: what their mean shifts differ by is kappa E tr T^2.
    """
    sigma = 1.7
    orthogonal, generic = (
        fluctuation_trajectory(2, 90, sigma, c=0.6, symmetry=name, activation="algebraic")
        for name in (f"O({k})", f"generic({k})")
    )
    np.testing.assert_allclose(orthogonal.var_c, generic.var_c, rtol=1e-14)
    q = sigma**2 * mpf(float(orthogonal.c[1])) / k

    def bent(epsilon):
        return anisotropic_algebraic([q * (1 + epsilon), q * (1 - epsilon)] + [q] * (k - 2))

    with mp.workdps(30):
        kappa = mp.diff(bent, 0, 2, h=mpf(10) ** -7) / 4
    difference = orthogonal.mean_shift[2] - generic.mean_shift[2]
    assert relative(difference, kappa * mpf(float(orthogonal.anisotropy[1]))) < 1e-9


def test_the_response_to_anisotropy_of_tanh():
    """The same for tanh and k = 2, by trapezoidal sums in the plane."""
    x = np.linspace(-9.0, 9.0, 401)
    density = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    orthogonal, generic = (fluctuation_trajectory(2, 90, 1.5, c=0.5, symmetry=s) for s in ("O(2)", "generic(2)"))
    q = 1.5**2 * float(orthogonal.c[1]) / 2

    def bent(epsilon):
        r2 = q * ((1 + epsilon) * x[:, None] ** 2 + (1 - epsilon) * x**2)
        return density @ np.tanh(np.sqrt(r2)) ** 2 @ density

    coarse, fine = (((bent(h) - bent(0.0)) / (2 * h * h)) for h in (0.04, 0.02))
    kappa = (4 * fine - coarse) / 3
    difference = orthogonal.mean_shift[2] - generic.mean_shift[2]
    assert float(difference) == pytest.approx(kappa * float(orthogonal.anisotropy[1]), rel=1e-6)


@pytest.mark.parametrize("k", [2, 3, 10])
def test_saturated_networks(k):
    """c = 1 always; chi_gram = k/(k+2)."""
    anisotropy = k * (k - 1) * (k + 2) ** 2 / (4 * (k + 1))
    for sigma_w in (1e-200, 1e-100, 1.5):
        found = fluctuations([100, 400], sigma_w, f"O({k})", "saturated")
        np.testing.assert_array_equal(found.c, 1.0)
        np.testing.assert_allclose(found.var_c, 0.0, atol=1e-30)
        np.testing.assert_allclose(found.mean_shift, 0.0, atol=1e-15)
        np.testing.assert_allclose(found.anisotropy, anisotropy / found.width, rtol=1e-13)
    for start in ({"c": 1e-300}, {"c": 5e-324}, {"d": 1e-310}):  # layer 1 of a known layer 0, or layer 0 itself
        layer = 1 if "c" in start else 0
        path = fluctuation_trajectory(60, 100, 1e-160, **start, symmetry=f"O({k})", activation="saturated")
        np.testing.assert_allclose(path.c[layer:], 1.0, rtol=1e-14)
        np.testing.assert_allclose(path.var_c[layer:], 0.0, atol=1e-30)
        assert path.anisotropy[layer] == pytest.approx(k * (k - 1) / 100, rel=1e-13)
    np.testing.assert_allclose(path.anisotropy[-1], anisotropy / 100, rtol=1e-8 if k < 10 else 1e-7)


@pytest.mark.parametrize(("symmetry", "dimension"), [("U(1)", 2), ("O(1)", 1), ("O(4)", 4), ("generic(3)", 3)])
def test_linear_networks(symmetry, dimension):
    """c is multiplied by the mean of N D/2 exponential variables: (1 + 2/(D N))^l - 1 = 2 l/(D N) + ..., mean 1."""
    found = fluctuation_trajectory(300, 64, 0.5, d=0.7, symmetry=symmetry, activation="linear")
    c = 0.7 * 0.25 ** np.arange(301.0)
    np.testing.assert_allclose(found.c, c, rtol=1e-11)
    np.testing.assert_allclose(found.var_c, c**2 * 2 * np.arange(1, 302) / (dimension * 64), rtol=1e-10)
    np.testing.assert_array_equal(found.mean_shift, 0.0)
    if symmetry == "O(4)":  # nothing restores isotropy
        np.testing.assert_allclose(found.anisotropy, 4 * 3 * (1 + 2 / 4) * np.arange(1, 302) / 64, rtol=1e-12)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)"])
def test_a_trajectory_ends_at_the_fixed_point(symmetry):
    path = fluctuation_trajectory(300, [32, 64], [1.3, 2.0], d=1.0, symmetry=symmetry).isel(layer=-1)
    point = fluctuations([32, 64], [1.3, 2.0], symmetry)
    for name in set(point.data_vars) - {"wide"}:
        np.testing.assert_allclose(path[name], point[name], rtol=1e-10)


def test_a_random_layer_is_one_layer_of_known_inputs():
    """d: layer 0 is what sigma_w = 1 makes of c = d."""
    random = fluctuation_trajectory(0, 20, 1.9, d=0.8, symmetry="O(3)")
    known = fluctuation_trajectory(1, 20, 1.0, c=0.8, symmetry="O(3)").isel(layer=[1])
    for name in random.data_vars:
        np.testing.assert_allclose(random[name], known[name], rtol=1e-14)


def test_numbers_of_other_work():
    """Sampled elsewhere: U(1), sigma_w = 1.5, within 1 %; O(3), N = 64: shift -0.0109 sampled; U(1) alone: -0.0009."""
    assert float(fluctuations(64, 1.5, "O(3)").mean_shift) == pytest.approx(-0.0105, abs=5e-5)
    assert float(fluctuations(64, 1.5, "generic(3)").mean_shift) == pytest.approx(-0.0009, abs=5e-5)


def test_axes():
    found = fluctuations([16, 64], [0.9, 1.5, 2.0], "O(3)")
    assert found.var_c.dims == found.mean_shift.dims == ("sigma_w", "width")
    assert found.c.dims == ("sigma_w",)
    np.testing.assert_array_equal(found.sel(sigma_w=0.9).var_c, 0.0)  # dead
    np.testing.assert_array_equal(found.sel(sigma_w=0.9).mean_shift, 0.0)
    assert np.isnan(found.sel(sigma_w=0.9).anisotropy).all()
    one = fluctuations(64, 1.5, "O(3)")
    assert one.var_c.dims == ()
    assert float(one.width) == 64
    assert float(one.var_c) == pytest.approx(float(found.var_c.sel(sigma_w=1.5, width=64)), rel=1e-14)
    assert found.attrs == {"symmetry": "O(3)", "activation": "tanh"}
    assert all(found[name].attrs["long_name"] for name in found.data_vars)
    path = fluctuation_trajectory(3, [16, 64], [1.5, 2.0], c=[0.1, 0.2, 0.3])
    assert path.var_c.dims == ("layer", "sigma_w", "c_0", "width")
    alone = fluctuation_trajectory(3, 64, 2.0, c=0.3)
    np.testing.assert_allclose(path.mean_shift.sel(sigma_w=2.0, c_0=0.3, width=64), alone.mean_shift, rtol=1e-13)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_transition_that_is_a_jump_is_warned_of(sign):
    """tanh(r + 2 r^3) keeps c > 0 below the sigma_w at which zero is unstable; the number is that of its slope."""
    with pytest.warns(UserWarning, match=r"activation <lambda>: f\(r\)/r exceeds f'\(0\)"):
        found = finite_width_transition(16, activation=lambda r: sign * np.tanh(r + 2 * r**3))
    assert found == finite_width_transition(16)


@pytest.mark.parametrize("f", [own_tanh, lambda r: 1.0 - np.exp(-r), lambda r: -np.arcsinh(2 * r), lambda r: 1.0 * r])
def test_no_jump_no_warning(f):
    """Whatever rounding makes of f(r)/r at small r."""
    assert finite_width_transition(16, activation=f) > 0.0


def test_a_users_activation():
    point = fluctuations(64, 1.5, "O(3)", own_tanh)
    for name, value in fluctuations(64, 1.5, "O(3)").data_vars.items():
        assert float(point[name]) == pytest.approx(float(value), rel=1e-8)


def test_no_fixed_point_is_marked():
    with pytest.warns(ConvergenceWarning):
        found = fluctuations(64, [0.5, 1.5], "O(3)", "linear")
    assert np.isnan(found.drop_vars("wide").isel(sigma_w=1).to_array()).all()
    assert not found.wide[1]
    np.testing.assert_array_equal(found.var_c.isel(sigma_w=0), 0.0)


@pytest.mark.parametrize(
    ("symmetry", "width", "expected"),
    [
        ("U(1)", 1, np.exp(EULER / 2)),  # digamma(1) = -gamma
        ("O(3)", 2, np.exp(EULER / 2)),
        ("O(3)", 1, np.exp((EULER + np.log(2)) / 2)),  # digamma(1/2) = -gamma - 2 log 2
        ("generic(4)", 1, np.exp((EULER - 1 + np.log(2)) / 2)),  # digamma(2) = 1 - gamma
        ("U(1)", 1e6, 1 + 1 / 4e6),
        ("generic(2)", 1e6, 1 + 1 / 4e6),
    ],
)
def test_transition(symmetry, width, expected):
    assert finite_width_transition(width, symmetry) == pytest.approx(expected, rel=1e-12)


def test_transition_by_activation():
    assert finite_width_transition(16) == pytest.approx(1.016, abs=5e-4)  # the paper's Fig. 2
    np.testing.assert_allclose(
        finite_width_transition([4, 8], "O(2)", "erf"), finite_width_transition([2, 4]) * np.sqrt(np.pi) / 2, rtol=1e-15
    )
    assert finite_width_transition(3, activation="saturated") == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fluctuations(0, 1.5), "width must be >= 1, got 0"),
        (lambda: fluctuations([[2]], 1.5), r"width must be a number or one-dimensional, got shape \(1, 1\)"),
        (lambda: fluctuations(8, [[1.5]]), r"sigma_w must be a number or one-dimensional, got shape \(1, 1\)"),
        (lambda: fluctuations(8, -1.0), "sigma_w must be >= 0, got -1"),
        (lambda: fluctuations(8, 1.5, "SU(2)"), "symmetry must be"),
        (lambda: fluctuations(8, 1.5, "O(2)", "linear"), "no stable fixed point"),
        (lambda: fluctuation_trajectory(-1, 8, 1.5, c=1.0), "depth must be an integer >= 0, got -1"),
        (lambda: fluctuation_trajectory(3, 8, 1.5), "c .* or d .* must be given, and not both, got neither"),
        (lambda: fluctuation_trajectory(3, 8, 1.5, c=1.0, d=1.0), "c .* or d .* must be given, and not both, got both"),
        (lambda: fluctuation_trajectory(3, 8, 1.5, c=0.0), "c must be > 0, got 0"),
        (lambda: fluctuation_trajectory(3, 8, 1.5, d=-1.0), "d must be > 0, got -1"),
        (lambda: fluctuation_trajectory(3, 8, 1.5, d=[[1.0]]), r"d must be a number or one-dimensional"),
        (lambda: finite_width_transition(0.5), "width must be >= 1, got 0.5"),
        (lambda: finite_width_transition(4, "SU(2)"), "symmetry must be"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("symmetry", ["U(1)", "O(4)", "generic(4)"])
def test_where_the_expansion_is_good(symmetry):
    """N (1 - chi_c) > 4, and N > k^2 for O(k); where a mean comes out negative it is not."""
    widths, scales = [2, 14, 17, 300], [0.7, 1.01, 1.2, 2.0]
    found = fluctuations(widths, scales, symmetry)
    one_minus = depth_scales(scales, symmetry).one_minus_chi_c[:, None]
    wide = np.array(widths) * one_minus > 4.0
    if symmetry == "O(4)":
        wide &= np.array(widths) > 16
    assert found.wide.dims == ("sigma_w", "width")
    np.testing.assert_array_equal(found.wide, wide)
    assert 0 < wide.sum() < wide.size
    assert not ((found.c + found.mean_shift < 0) & found.wide).any()


def test_a_pair_of_inputs_is_no_list_of_starts():
    for name in ("c", "d"):
        with pytest.raises(
            ValueError, match=rf"{name} must be a number or a list or array of starts, .* got \(0.3, 0.5\)"
        ):
            fluctuation_trajectory(2, 100, 1.5, **{name: (0.3, 0.5)})
