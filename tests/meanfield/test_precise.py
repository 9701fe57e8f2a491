"""The exact reference against closed forms and against other forms of the same integrals."""

import numpy as np
import pytest
from mpmath import mp
from scipy import special

from meanfield.precise import (
    correlation_gap,
    correlation_map,
    fixed_point,
    laguerre_coefficient,
    length_map,
    susceptibilities,
    trajectory,
)

TANH = (mp.tanh, lambda r: 1 / mp.cosh(r) ** 2)


@pytest.fixture(autouse=True)
def _many_digits():
    """Closed forms and comparisons are worked out far beyond the digits under test."""
    with mp.workdps(90):
        yield


def assert_digits(found, expected, digits):
    assert abs(found - expected) <= mp.mpf(10) ** -digits * abs(expected), f"{found} is not {expected}"


def saturated_map(rho, dimension):
    """E[x_1.x_2/(|x_1||x_2|)] for capsules of correlation rho: a Gauss hypergeometric function."""
    half = mp.mpf(dimension) / 2
    front = rho / half * (mp.gamma(half + 0.5) / mp.gamma(half)) ** 2
    return front * mp.hyp2f1(0.5, 0.5, half + 1, rho**2)


def erf_map(first, second, cross):
    """E[erf(x_1) erf(x_2)] for Gaussian scalars of variances first and second and covariance cross."""
    return 2 / mp.pi * mp.asin(2 * cross / mp.sqrt((1 + 2 * first) * (1 + 2 * second)))


# ---- length map -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma_w", ["1e-3", "1", "3", "1e3"])
def test_length_map_has_its_closed_forms(sigma_w):
    s = mp.mpf(sigma_w) ** 2 / 2
    assert_digits(length_map("0.5", sigma_w, "O(1)", "erf", digits=25), erf_map(s, s, s), 25)
    # < r^2/(1 + r^2) > for r^2 = s t, t exponential
    assert_digits(length_map("0.5", sigma_w, "U(1)", "algebraic", digits=25), 1 - mp.exp(1 / s) * mp.e1(1 / s) / s, 25)
    for symmetry in ("O(1)", "generic(3)", "O(48)"):
        assert_digits(length_map("0.5", sigma_w, symmetry, "linear", digits=25), s, 25)
        assert_digits(length_map("0.5", sigma_w, symmetry, "saturated", digits=25), 1, 25)


def test_length_map_is_equation_8():
    expected = mp.quad(lambda u: 2 * u * mp.exp(-u * u) * mp.tanh(1.5 * u) ** 2, [0, 1, 2, 4, 16])
    assert_digits(length_map(1, 1.5), expected, 30)


def test_length_map_at_zero():
    assert length_map(0, 1.5) == 0


# ---- correlation map against closed forms ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dimension", "one_minus_rho"),
    [(1, "0.5"), (2, "0.5"), (3, "0.5"), (4, "0.5"), (48, "0.5"), (2, "0.999999999999"), (3, "1e-9"), (48, "1e-9")],
)
def test_saturated_correlation_is_hypergeometric(dimension, one_minus_rho):
    expected = saturated_map(1 - mp.mpf(one_minus_rho), dimension)
    arguments = (None, "0.7", 1.5, f"O({dimension})", "saturated", 10)
    assert_digits(correlation_map(*arguments, one_minus_rho=one_minus_rho), expected, 10)
    assert_digits(correlation_gap(*arguments, one_minus_rho=one_minus_rho), 1 - expected, 10)


@pytest.mark.parametrize(
    ("sigma_w", "one_minus_rho", "c"),
    [
        ("1e-3", "0.3", ("0.5", "0.2")),
        ("1e-3", "1e-9", ("0.5", "0.5")),
        ("3", "0.999999999999", ("0.5", "0.5")),
        ("3", "1e-9", ("0.5", "0.2")),
        ("1e3", "0.3", ("0.5", "0.5")),
        ("1e3", "1e-9", ("0.5", "0.5")),
    ],
)
def test_erf_correlation_is_an_arcsine(sigma_w, one_minus_rho, c):
    first, second = (mp.mpf(sigma_w) ** 2 * mp.mpf(x) for x in c)
    expected = erf_map(first, second, (1 - mp.mpf(one_minus_rho)) * mp.sqrt(first * second))
    norm = mp.sqrt(erf_map(first, first, first) * erf_map(second, second, second))
    arguments = (None, c, sigma_w, "O(1)", "erf", 7)
    assert_digits(correlation_map(*arguments, one_minus_rho=one_minus_rho), expected, 7)
    assert_digits(correlation_gap(*arguments, one_minus_rho=one_minus_rho), 1 - expected / norm, 7)


@pytest.mark.parametrize("symmetry", ["O(1)", "U(1)", "O(7)"])
def test_linear_map_keeps_the_correlation(symmetry):
    cross = mp.mpf("0.1")
    assert_digits(correlation_map("0.1", ("0.7", "0.2"), "0.5", symmetry, "linear", 10), cross / 4, 10)
    gap = 1 - cross / mp.sqrt(mp.mpf("0.14"))
    assert_digits(correlation_gap("0.1", ("0.7", "0.2"), "0.5", symmetry, "linear", 10), gap, 10)


def test_gap_far_beyond_double_precision():
    expected = 1 - saturated_map(1 - mp.mpf("1e-30"), 4)
    assert_digits(correlation_gap(None, 1, 1, "O(4)", "saturated", 5, one_minus_rho="1e-30"), expected, 5)


# ---- correlation map against other forms of the integral ------------------------------------------------------------


def cartesian(dimension, sigma_w, c, rho, function):
    """E[phi(x_1).phi(x_2)] in float64, from x_2 = rho x_1 + sqrt(1-rho^2) z: along x_1, across it, and |x_1|."""
    spread = sigma_w * np.sqrt(c / dimension)
    t, weight_t = special.roots_genlaguerre(80, dimension / 2 - 1)
    r = spread * np.sqrt(2 * t)[:, None, None]
    z = np.linspace(-9, 9, 361)[None, :, None]
    if dimension == 1:
        across, weight_across = np.zeros(1), np.ones(1)
    else:
        across, weight_across = special.roots_genlaguerre(60, (dimension - 3) / 2)
    along = rho * r + np.sqrt(1 - rho**2) * spread * z
    radius = np.sqrt(along**2 + (1 - rho**2) * spread**2 * 2 * across[None, None, :])
    ratio = function(radius) / radius
    values = np.einsum("ijk,k,j->i", along * ratio, weight_across / weight_across.sum(), np.exp(-(z[0, :, 0] ** 2) / 2))
    values *= 0.05 / np.sqrt(2 * np.pi) * function(r[:, 0, 0])
    return values @ weight_t / weight_t.sum()


@pytest.mark.parametrize("dimension", [1, 2, 3, 48])
def test_correlation_map_is_the_gaussian_expectation(dimension):
    expected = cartesian(dimension, 0.8, 0.5, 0.6, np.tanh)
    found = correlation_map(0.3, 0.5, 0.8, f"O({dimension})", digits=15)
    assert float(found) == pytest.approx(expected, rel=1e-13, abs=0)


@pytest.mark.parametrize("symmetry", ["O(1)", "O(48)"])
def test_laguerre_series_sums_to_both_maps(symmetry):
    a = [laguerre_coefficient(n, "0.5", "0.5", symmetry, digits=10) for n in range(9)]
    assert_digits(sum(x**2 for x in a), length_map("0.5", "0.5", symmetry), 9)
    series = sum(x**2 * mp.mpf("0.6") ** (2 * n + 1) for n, x in enumerate(a))
    assert_digits(correlation_map("0.3", "0.5", "0.5", symmetry, digits=12), series, 9)


def test_laguerre_series_for_unequal_lengths():
    a, b = ([laguerre_coefficient(n, c, "0.5", digits=10) for n in range(8)] for c in ("0.5", "0.2"))
    rho = mp.mpf("0.2") / mp.sqrt(mp.mpf("0.1"))
    series = sum(x * y * rho ** (2 * n + 1) for n, (x, y) in enumerate(zip(a, b, strict=True)))
    assert_digits(correlation_map("0.2", ("0.5", "0.2"), "0.5", digits=10), series, 9)


@pytest.mark.parametrize(("symmetry", "sigma_w", "one_minus_rho"), [("O(3)", 3, "0.5"), ("U(1)", "1e3", "1e-9")])
def test_map_and_gap_are_the_same_quantity(symmetry, sigma_w, one_minus_rho):
    c = length_map("0.5", sigma_w, symmetry, digits=30)
    arguments = (None, "0.5", sigma_w, symmetry, "tanh", 10)
    gap = correlation_gap(*arguments, one_minus_rho=one_minus_rho)
    assert_digits(correlation_map(*arguments, one_minus_rho=one_minus_rho), c * (1 - gap), 9)


# ---- Laguerre coefficients ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 7, 25])
def test_laguerre_coefficients_have_their_closed_forms(n):
    s, half = mp.mpf(9) / 2, mp.mpf(3) / 2
    arcsine = 2 / mp.pi * mp.binomial(2 * n, n) / mp.mpf(4) ** n / (2 * n + 1) * (2 * s / (1 + 2 * s)) ** (2 * n + 1)
    assert_digits(laguerre_coefficient(n, "0.5", 3, "O(1)", "erf", 15) ** 2, arcsine, 14)
    front = (mp.gamma(2) / mp.gamma(half)) ** 2 / half
    term = front * mp.rf(0.5, n) ** 2 / (mp.rf(half + 1, n) * mp.factorial(n))
    assert_digits(laguerre_coefficient(n, "0.5", 3, "O(3)", "saturated", 15) ** 2, term, 14)


def test_linear_has_one_laguerre_coefficient():
    assert_digits(laguerre_coefficient(0, "0.5", 2, "O(3)", "linear", 20), mp.sqrt(2), 20)
    assert laguerre_coefficient(3, "0.5", 2, "O(3)", "linear", 20) == 0


# ---- edges, shape, digits -------------------------------------------------------------------------------------------


def test_edges_of_the_correlation():
    c = 1 - mp.exp(1 / mp.mpf("1.125")) * mp.e1(1 / mp.mpf("1.125")) / mp.mpf("1.125")
    assert_digits(correlation_map("0.5", "0.5", 1.5, activation="algebraic", digits=20), c, 20)
    assert_digits(correlation_map("-0.5", "0.5", 1.5, activation="algebraic", digits=20), -c, 20)
    assert correlation_gap("0.5", "0.5", 1.5) == 0
    assert correlation_gap(None, "0.5", 1.5, one_minus_rho=2) == 2
    assert correlation_map(0, "0.5", 1.5) == 0
    assert correlation_gap(0, "0.5", 1.5) == 1


def test_parallel_inputs_of_unequal_length():
    lengths = ("0.5", "0.2")
    expected = erf_map(mp.mpf("0.5"), mp.mpf("0.2"), mp.sqrt(mp.mpf("0.1")))
    norms = [erf_map(x, x, x) for x in map(mp.mpf, lengths)]
    assert_digits(correlation_map(None, lengths, 1, "O(1)", "erf", 20, one_minus_rho=0), expected, 20)
    gap = correlation_gap(None, lengths, 1, "O(1)", "erf", 20, one_minus_rho=0)
    assert_digits(gap, 1 - expected / mp.sqrt(norms[0] * norms[1]), 20)
    # Lengths that differ in the 25th digit: the gap is the square of that.
    close = ("0.5", "0.5000000000000000000000001")
    norms = [erf_map(x, x, x) for x in map(mp.mpf, close)]
    product = mp.mpf(close[0]) * mp.mpf(close[1])
    expected = 1 - erf_map(mp.mpf(close[0]), mp.mpf(close[1]), mp.sqrt(product)) / mp.sqrt(norms[0] * norms[1])
    assert_digits(correlation_gap(None, close, 1, "O(1)", "erf", 10, one_minus_rho=0), expected, 10)


def test_correlation_is_odd_increasing_and_convex():
    values = [correlation_map(x, "0.8", 2, "O(3)", digits=8) for x in ("0.1", "0.3", "0.5", "0.7")]
    steps = np.diff([float(x) for x in values])
    assert np.all(steps > 0)
    assert np.all(np.diff(steps) > 0)
    assert correlation_map("-0.3", "0.8", 2, "O(3)", digits=8) == -values[1]
    gap = correlation_gap("0.3", "0.8", 2, "O(3)", digits=8)
    assert_digits(correlation_gap("-0.3", "0.8", 2, "O(3)", digits=8), 2 - gap, 7)


@pytest.mark.parametrize("one_minus_rho", ["0.9", "1e-6"])
@pytest.mark.parametrize("function", [correlation_map, correlation_gap])
def test_digits_are_delivered(function, one_minus_rho):
    arguments = (None, "0.5", 4, "U(1)", "tanh")
    best = function(*arguments, 16, one_minus_rho=one_minus_rho)
    for digits in (3, 9):
        found = function(*arguments, digits, one_minus_rho=one_minus_rho)
        assert_digits(found, best, digits)
        assert found != best


def test_twenty_digits_against_thirty_five():
    for function in (correlation_map, correlation_gap):
        assert_digits(
            function("0.3", "0.5", 1.5, "O(8)", digits=20), function("0.3", "0.5", 1.5, "O(8)", digits=35), 20
        )


def test_digits_of_single_input_quantities():
    assert_digits(fixed_point(3, "O(1)", digits=10), fixed_point(3, "O(1)", digits=30), 10)
    assert_digits(laguerre_coefficient(5, 1, 1, digits=10), laguerre_coefficient(5, 1, 1, digits=40), 10)


# ---- fixed point and susceptibilities -------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma_w", ["0.9", "3", "1e3"])
def test_fixed_points_of_closed_length_maps(sigma_w):
    square = mp.mpf(sigma_w) ** 2
    expected = mp.findroot(lambda c: erf_map(square * c, square * c, square * c) - c, (0.05, 1), solver="anderson")
    assert_digits(fixed_point(sigma_w, "O(1)", "erf", 25), expected, 25)
    assert_digits(fixed_point(sigma_w, "O(5)", "saturated", 25), 1, 25)


@pytest.mark.parametrize("dimension", [1, 2, 48])
def test_fixed_point_just_above_the_transition(dimension):
    # tanh(r)^2 = r^2 - 2 r^4/3 + 17 r^6/45 - 62 r^8/315 + 1382 r^10/14175 - ...
    taylor = [1, -mp.mpf(2) / 3, mp.mpf(17) / 45, -mp.mpf(62) / 315, mp.mpf(1382) / 14175]
    half, square = mp.mpf(dimension) / 2, mp.mpf(1.000001) ** 2
    moments = [mp.rf(half, k) / half**k for k in range(1, 6)]

    def growth(c):
        s = square * c
        return sum(a * m * s**k for k, (a, m) in enumerate(zip(taylor, moments, strict=True), 1)) / c - 1

    expected = mp.findroot(growth, (square - 1) * 1.5 * half / (half + 1))
    assert_digits(fixed_point(1.000001, f"O({dimension})", digits=20), expected, 20)


def test_fixed_point_is_zero_up_to_the_transition():
    critical = mp.sqrt(mp.pi) / 2
    for sigma_w, activation in ((1 - 1e-6, "tanh"), (1, "tanh"), ("0.2", "linear"), (1, "linear"), (0.88, "erf")):
        assert fixed_point(sigma_w, "O(3)", activation) == 0
    assert fixed_point(critical * (1 - mp.mpf("1e-25")), "O(3)", "erf") == 0
    # Just above, c* = s = (s - slope^2 ...): of the order of the distance.
    assert 1e-26 < fixed_point(critical * (1 + mp.mpf("1e-25")), "O(3)", "erf", digits=5) < 1e-24


def test_no_fixed_point_above_the_linear_transition():
    with pytest.raises(ValueError, match="sigma_w must be at most 1"):
        fixed_point(1.01, activation="linear")


def test_susceptibilities_of_erf_scalars():
    found = susceptibilities(3, "O(1)", "erf", 20)
    s = 9 * found.c_star
    assert_digits(found.d_star, s, 19)
    assert_digits(found.c_star, erf_map(s, s, s), 19)
    chi_c = 9 * 4 / mp.pi / ((1 + 2 * s) * mp.sqrt(1 + 4 * s))
    chi_delta = 4 / mp.pi * s / (1 + 2 * s) / found.c_star
    for name, value in {
        "chi_c": chi_c,
        "chi_delta": chi_delta,
        "chi_jacobian": 9 * 4 / mp.pi / mp.sqrt(1 + 4 * s),
        "one_minus_chi_c": 1 - chi_c,
        "one_minus_chi_delta": 1 - chi_delta,
        "xi_c": -1 / mp.log(chi_c),
        "xi_delta": -1 / mp.log(chi_delta),
    }.items():
        assert_digits(getattr(found, name), value, 18)
    assert found.chi_gram is None


@pytest.mark.parametrize("k", [2, 3, 48])
def test_susceptibilities_of_the_saturated_activation(k):
    found = susceptibilities("0.3", f"O({k})", "saturated", 20)
    half = mp.mpf(k) / 2
    assert found.chi_c == 0
    assert found.xi_c == 0
    assert_digits(found.chi_delta, (mp.gamma(half + 0.5) / mp.gamma(half)) ** 2 / half, 20)
    assert_digits(found.chi_gram, mp.mpf(k) / (k + 2), 20)
    if k == 2:
        assert found.chi_jacobian == mp.inf
    else:
        assert_digits(found.chi_jacobian, mp.mpf(k - 1) / (k - 2), 20)


def test_susceptibilities_are_slopes_of_the_maps():
    found = susceptibilities("1.7", "O(3)", digits=25)
    c, h = found.c_star, mp.mpf("1e-8")
    up, down = (length_map(c * x, "1.7", "O(3)", digits=30) for x in (1 + h, 1 - h))
    assert_digits(found.chi_c, (up - down) / (2 * h * c), 14)
    slope = correlation_map(c * h, c, "1.7", "O(3)", digits=15) / (c * h)
    assert_digits(found.chi_delta, slope, 14)
    gap = correlation_gap(None, c, "1.7", "O(3)", digits=10, one_minus_rho="1e-14")
    assert_digits(found.chi_jacobian, gap / mp.mpf("1e-14"), 9)


@pytest.mark.parametrize("dimension", [2, 5])
def test_gram_susceptibility_near_the_transition(dimension):
    # k < f^2 r^2 > / ((k+2) s c) with f^2 = r^2 - 2 r^4/3 and < r^2k > = s^k (D/2)_k (2/D)^k
    found = susceptibilities("1.0000000001", f"O({dimension})", digits=15)
    expected = found.d_star / found.c_star * (1 - mp.mpf(2) / 3 * found.d_star * mp.mpf(dimension + 4) / dimension)
    assert_digits(found.chi_gram, expected, 14)
    assert susceptibilities("1.1", f"generic({dimension})", digits=5).chi_gram == 0


@pytest.mark.parametrize("dimension", [1, 3])
def test_susceptibilities_just_above_the_transition(dimension):
    found = susceptibilities("1.000000000000001", f"O({dimension})", digits=20)
    s = found.d_star
    # 1 - chi_c = < f (f - r f') >/c and 1 - chi_delta = Var of r^3/3 beyond its linear part, over c, to leading order
    assert_digits(found.one_minus_chi_c, mp.mpf(2) / 3 * s * (dimension + 2) / dimension, 13)
    assert_digits(found.one_minus_chi_delta, mp.mpf(2) / 9 * s**2 * (dimension + 2) / dimension**2, 13)
    assert_digits(found.xi_c, 1 / found.one_minus_chi_c, 13)
    assert_digits(found.xi_delta, 1 / found.one_minus_chi_delta, 20)


@pytest.mark.parametrize(("symmetry", "gram"), [("O(3)", True), ("U(1)", False), ("generic(3)", False)])
def test_susceptibilities_below_the_transition(symmetry, gram):
    found = susceptibilities("0.75", symmetry, "erf", 20)
    chi = mp.mpf("0.75") ** 2 * 4 / mp.pi
    assert found.c_star == found.d_star == 0
    for name in ("chi_c", "chi_delta", "chi_jacobian"):
        assert_digits(getattr(found, name), chi, 20)
    assert_digits(found.chi_gram, chi if gram else 0, 20)
    assert_digits(found.one_minus_chi_c, 1 - chi, 20)
    assert_digits(found.one_minus_chi_delta, 1 - chi, 20)
    assert_digits(found.xi_delta, -1 / mp.log(chi), 19)


def test_depth_scales_are_infinite_at_the_transition():
    found = susceptibilities(1, "O(1)")
    assert found.xi_c == found.xi_delta == mp.inf
    assert found.chi_gram is None


# ---- trajectories ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one_minus_rho", ["1e-18", "0.45", "1.9"])
def test_trajectory_iterates_the_arcsine(one_minus_rho):
    c, delta, gap = trajectory(2, 2, "0.5", None, "O(1)", "erf", 7, one_minus_rho=one_minus_rho)
    length = mp.mpf("0.5")
    cross = length * (1 - mp.mpf(one_minus_rho))
    for layer in range(3):
        assert_digits(c[layer], length, 7)
        assert_digits(delta[layer], cross, 7)
        assert_digits(gap[layer], 1 - cross / length, 7)
        length, cross = erf_map(4 * length, 4 * length, 4 * length), erf_map(4 * length, 4 * length, 4 * cross)
    assert len(c) == len(delta) == len(gap) == 3


def test_identical_inputs_stay_identical():
    c, delta, gap = trajectory(3, 1.5, "0.5", "0.5", digits=12)
    assert gap == [0, 0, 0, 0]
    assert c == delta


# ---- activations, inputs, errors ------------------------------------------------------------------------------------


def test_a_pair_of_functions_is_an_activation():
    assert_digits(fixed_point("1.5", activation=TANH, digits=20), fixed_point("1.5", digits=30), 20)
    # tanh(2 r)/2 sees twice the radius and gives half the value.
    halved = (lambda r: mp.tanh(2 * r) / 2, lambda r: mp.sech(2 * r) ** 2)
    expected = correlation_map("0.3", "0.5", 2, digits=12) / 4
    assert_digits(correlation_map("0.3", "0.5", 1, activation=halved, digits=10), expected, 10)
    below, above = (susceptibilities(x, "O(3)", halved, 8) for x in ("0.9", "1.1"))
    assert below.c_star == 0
    assert_digits(above.chi_jacobian, susceptibilities("1.1", "O(3)", digits=12).chi_jacobian, 8)


def test_numbers_are_read_exactly():
    tenth = length_map(0.1, 1, activation="linear", digits=30)
    assert tenth == mp.mpf(0.1)
    assert_digits(length_map("0.1", 1, activation="linear", digits=30), mp.mpf(1) / 10, 30)
    assert_digits(length_map("1/3", np.float32(0.5), activation="linear", digits=30), mp.mpf(1) / 12, 30)
    assert_digits(length_map(mp.mpf(1) / 3, np.int64(2), activation="linear", digits=30), mp.mpf(4) / 3, 30)


def test_the_precision_of_mpmath_is_left_alone():
    mp.dps = 17
    correlation_gap(None, 1, 1, activation="saturated", digits=5, one_minus_rho="0.1")
    length_map(1, 1.5, digits=5)
    fixed_point(1.5, digits=5)
    assert mp.dps == 17


def test_digits_that_are_out_of_reach_are_refused():
    kink = (lambda r: min(r, mp.mpf(1)), lambda r: mp.mpf(r < 1))
    with pytest.raises(ArithmeticError, match="length map: the integral did not reach 15 digits"):
        length_map(1, 1, activation=kink, digits=15)
    with pytest.raises(ArithmeticError, match="does not converge at infinity"):
        length_map(1, 1, activation=(lambda r: r * mp.exp(r * r), lambda r: (1 + 2 * r * r) * mp.exp(r * r)), digits=5)
    with pytest.raises(ArithmeticError, match="lost to cancellation"):
        laguerre_coefficient(2, 1, 1, activation=(lambda r: r, lambda r: mp.mpf(1)), digits=5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: length_map(-1, 1), "c must be at least 0, got -1"),
        (lambda: length_map("x", 1), "c must be a finite number .* got 'x'"),
        (lambda: length_map(float("nan"), 1), "c must be a finite number .* got nan"),
        (lambda: length_map(mp.inf, 1), "c must be a finite number"),
        (lambda: length_map(True, 1), "c must be a finite number .* got True"),
        (lambda: length_map(1, 0), "sigma_w must be positive, got 0"),
        (lambda: fixed_point("-0.5"), "sigma_w must be positive, got '-0.5'"),
        (lambda: fixed_point(1, "O(0)"), "symmetry must be"),
        (lambda: fixed_point(1, activation="relu"), "activation must be one of 'tanh', .* got 'relu'"),
        (lambda: fixed_point(1, activation=mp.tanh), "a pair"),
        (lambda: fixed_point(1, activation=(mp.cos, mp.sin)), r"f\(0\) = 1.0"),
        (lambda: fixed_point(1, activation=(lambda r: r * r, lambda r: 2 * r)), r"f'\(0\) = 0"),
        (lambda: fixed_point(1, digits=0), "digits must be an integer, at least 1, got 0"),
        (lambda: fixed_point(1, digits=2.5), "digits must be an integer"),
        (lambda: laguerre_coefficient(-1, 1, 1), "n must be an integer, at least 0"),
        (lambda: laguerre_coefficient(1, 0, 1), "c must be positive"),
        (lambda: correlation_map(0.6, 0.5, 1), "delta must be at most"),
        (lambda: correlation_map(0.1, 0, 1), "c must be positive, got 0"),
        (lambda: correlation_map(0.1, (1, -1), 1), r"c\[1\] must be positive, got -1"),
        (lambda: correlation_map(0.1, (1, 1, 1), 1), "c must be one number or a pair"),
        (lambda: correlation_map(None, 1, 1), "either delta or one_minus_rho"),
        (lambda: correlation_map(0.5, 1, 1, one_minus_rho=0.5), "either delta or one_minus_rho"),
        (lambda: correlation_gap(None, 1, 1, one_minus_rho=2.5), "one_minus_rho must be between 0 and 2, got 2.5"),
        (lambda: trajectory(-1, 1, 1, 0.5), "depth must be an integer, at least 0, got -1"),
        (lambda: trajectory(1, 1, (1, 1), 0.5), "c must be one number"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
