"""c' - Delta' near rho = 1 of functions that break, by direct quadrature."""

from itertools import pairwise

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import integrate, special

from meanfield import (
    AccuracyWarning,
    as_activation,
    correlation_map,
    depth_scales,
    explicit_breaking,
    overlap,
    trajectory,
)
from meanfield.moments import aligned, gain_and_jacobian
from meanfield.nearby import nearby_gap, nearby_slope
from meanfield.overlap import Overlaps
from meanfield.overlap_response import overlap_response
from tests.meanfield.independent import clipped, clipped_length, own_tanh, toothed

CLOSE = [0.5, 0.1, 1e-2, 1e-4, 1e-6, 1e-9]


def dropping(r):
    return np.where(r < 1.0, r, 0.5)


def gap(function, dimension, s, missing, other=None):
    return nearby_gap(as_activation(function), dimension, s, other or s, missing)


@pytest.mark.parametrize("dimension", [1, 2, 3, 20])
@pytest.mark.parametrize("missing", CLOSE)
@pytest.mark.parametrize("other", [None, 0.3])
def test_against_the_mixture_of_a_named_activation(dimension, missing, other):
    """tanh, which has no break, by the route that the named ones take."""
    s = np.array([2.0, other or 2.0])
    overlaps = Overlaps(as_activation("tanh"), dimension, s)
    one = np.zeros(1, int)
    exact, _ = overlaps.gap(one, one + 1 if other else one, np.array([1.0 - missing]), np.array([missing]))
    found, error = gap(own_tanh, dimension, 2.0, missing, other)
    assert found == pytest.approx(exact[0], rel=1e-13 + error)
    assert error < 1e-11


@pytest.mark.parametrize("s", [1e3, 1e6])
@pytest.mark.parametrize("missing", [0.3, 1e-2, 1e-5])
def test_a_function_that_turns_within_the_kernel(s, missing):
    """r is 1 at x = 1e-3, where the kernel is 0.1 wide."""
    overlaps, one = Overlaps(as_activation("tanh"), 2, np.array([s])), np.zeros(1, int)
    exact, _ = overlaps.gap(one, one, np.array([1.0 - missing]), np.array([missing]))
    found, error = gap(own_tanh, 2, s, missing)
    assert found == pytest.approx(exact[0], rel=1e-13 + error)
    assert error < 1e-11


@pytest.mark.parametrize("dimension", [1, 2, 5])
@pytest.mark.parametrize("function", [clipped, own_tanh])
@pytest.mark.parametrize("missing", [0.4, 1e-2, 1e-5])
def test_the_slope_is_the_derivative_of_the_gap(dimension, function, missing):
    """d gap/d rho = -(slope at rho), by differences of two orders; the slope at rho = 1 is an average of one input."""
    s, activation = 3.0, as_activation(function)
    _, amplitude, angular = gain_and_jacobian(activation, dimension, s)
    whole = float(amplitude + (dimension - 1) * angular) / dimension
    lacks, error = nearby_slope(activation, dimension, s, missing)
    steps = [1e-2 * missing, 5e-3 * missing]
    far, near = (
        (gap(function, dimension, s, missing + h)[0] - gap(function, dimension, s, missing - h)[0]) / (2 * h)
        for h in steps
    )
    assert whole - lacks == pytest.approx(near + (near - far) / 3, rel=2e-9)
    assert error < 1e-10


def test_a_series_that_is_too_short_says_so():
    """The second derivative of the correlation map of a kink, by differences of the slope; among these s are some at
    which the last coefficients happen to vanish.
    """
    activation, missing, step = as_activation(clipped), 1e-2, 1e-4
    s = np.append(np.linspace(1.4, 1.6, 20), 1.512331788)
    found, error = overlap_response(activation, 2, s, np.full(s.shape, missing))
    for value, estimate, at in zip(found.overlap_overlap, error, s, strict=True):
        ends = [nearby_slope(activation, 2, at, missing + shift)[0] for shift in (step, -step)]
        gain, *_ = gain_and_jacobian(activation, 2, at)
        exact = (ends[0] - ends[1]) / (2 * step) / float(gain - gap(clipped, 2, at, missing)[0])
        assert abs(value - exact) < estimate * abs(exact) + 1e-5


def test_no_slope_is_told_of_a_jump():
    assert nearby_slope(as_activation(dropping), 2, 1.0, 0.1) == (0.0, np.inf)


@pytest.mark.parametrize(("s", "missing"), [(0.1, 1e-2), (1.0, 0.3), (30.0, 0.3), (30.0, 1e-5)])
def test_a_kink_against_arbitrary_precision(s, missing):
    """D = 1: E (f(u) - f(v))^2/2 of f = max(-1, min(u, 1)), u = (a + b)/2 and v = (a - b)/2 of independent a, b."""
    wide, narrow = (mp.sqrt(2 * mpf(s) * x) for x in (2 - mpf(missing), mpf(missing)))

    def clip(x):
        return max(mpf(-1), min(x, mpf(1)))

    def inner(b):
        def integrand(a):
            return mp.npdf(a, 0, wide) * (clip((a + b) / 2) - clip((a - b) / 2)) ** 2

        ends = sorted({-2 - b, -2 + b, 2 - b, 2 + b, mpf(0)})
        return mp.quad(integrand, [-12 * wide, *(e for e in ends if abs(e) < 12 * wide), 12 * wide])

    with mp.workdps(16):
        ends = sorted({mpf(0), mpf(2), *(n * narrow for n in (2, 6, 12))})
        exact = mp.quad(lambda b: mp.npdf(b, 0, narrow) * inner(b), ends)
    found, error = gap(clipped, 1, s, missing)
    assert found * s == pytest.approx(float(exact), rel=1e-11)
    assert error < 1e-12


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_the_growth_of_a_small_difference(dimension):
    """A kink leaves (1 - rho) chi_jacobian/sigma_w^2 c* ... of c' - Delta', next to it (1 - rho)^(3/2)."""
    scales = depth_scales(1.5, f"O({dimension})", clipped)
    s, c = float(scales.d_star), float(scales.fixed_point.c)
    for missing in (1e-6, 1e-8):
        ratio = gap(clipped, dimension, s, missing)[0] * s / c / missing
        assert ratio == pytest.approx(float(scales.chi_jacobian), rel=2.0 * np.sqrt(missing))


@pytest.mark.parametrize("dimension", [1, 2, 5])
@pytest.mark.parametrize("missing", [1e-10, 1e-13, 1e-24, 1e-300])
def test_the_square_root_law_of_a_jump(dimension, missing):
    """J^2 p(x_0) w/(2 sqrt(pi)) for a jump J at x_0: the chance that a break lies between the two radii."""
    at = np.sqrt(dimension / 2.0)
    density = 2.0 * at ** (dimension - 1) * np.exp(-at * at) / special.gamma(dimension / 2.0)
    law = 0.25 * density * np.sqrt(2.0 * missing) / (2.0 * np.sqrt(np.pi))
    assert gap(dropping, dimension, 1.0, missing)[0] == pytest.approx(law, rel=1e-9 + 10.0 * np.sqrt(missing))


@pytest.mark.parametrize("missing", [1e-11, 1e-13, 1e-24, 1e-300])
@pytest.mark.parametrize("other", [1.0, 2.0])
def test_a_kink_however_near(missing, other):
    """(1 - rho) <f_1' f_2' + f_1 f_2/(r_1 r_2)>/2 for D = 2 and min(r, 1), r_1^2 = t, r_2^2 = other t, t ~ Exp(1)."""

    def integrand(t):
        ratio = 1.0 / np.sqrt(other * t) if other * t > 1.0 else 1.0
        return np.exp(-t) * ((1.0 if other * t < 1.0 else 0.0) + ratio) / 2.0

    below = integrate.quad(integrand, 0.0, 1.0, points=[1.0 / other], epsrel=1e-13)[0]
    beyond = integrate.quad(lambda t: np.exp(-t) / (t * np.sqrt(other)) / 2.0, 1.0, 60.0, epsrel=1e-13)[0]
    found, error = gap(clipped, 2, 1.0, missing, other)
    assert found / missing == pytest.approx(below + beyond, rel=1e-9 + 2.0 * np.sqrt(missing))
    assert error < 1e-8


def test_norms_too_alike_to_follow():
    assert gap(clipped, 2, 1.0, 1e-14, 1.0 + 1e-9) == (0.0, np.inf)


def test_inputs_that_biases_make_alike():
    """In the ordered region 1 - rho falls at one rate, through all sizes."""
    path = trajectory(600, 0.8, 1.0, delta=0.5, sigma_b=0.3, activation=clipped)
    rate = np.diff(np.log(path.one_minus_rho.values))
    np.testing.assert_allclose(rate[300:], rate[-1], rtol=1e-8)
    expected = explicit_breaking(0.8, 0.3, activation=clipped).chi_jacobian
    assert np.exp(rate[-1]) == pytest.approx(float(expected), rel=1e-8)


def test_a_layer_behind_a_jump():
    """1 - rho grows from 1e-12 to the square root of that in one layer, and on."""
    path = trajectory(2, 1.5, 1.0, one_minus_rho=1e-12, activation=dropping)
    c = float(path.c[1])
    at = np.sqrt(1.0 / 2.25)
    law = 0.25 * 2.0 * at * np.exp(-at * at) * np.sqrt(2e-12) / (2.0 * np.sqrt(np.pi)) / c
    assert path.one_minus_rho[1] == pytest.approx(law, rel=1e-4)
    assert path.one_minus_rho[2] > 100.0 * path.one_minus_rho[1]
    assert np.all(path.error_estimate < 1e-8)


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("function", [clipped, dropping])
def test_series_and_quadrature_meet(dimension, function, monkeypatch):
    """Where the series still converges it gives the same, for unequal norms too."""
    monkeypatch.setattr(overlap, "nearby_gap", lambda *_: (0.0, np.inf))  # the series alone
    s = np.array([2.0, 0.4])
    overlaps, one = Overlaps(as_activation(function), dimension, s), np.zeros(1, int)
    for first, second in ((one, one), (one, one + 1)):
        by_series, _ = overlaps.gap(first, second, np.array([0.9]), np.array([0.1]))
        direct, _ = gap(function, dimension, 2.0, 0.1, s[second[0]])
        assert direct == pytest.approx(by_series[0], rel=1e-12)


def test_the_overlap_of_equal_inputs_is_their_norm():
    c = correlation_map(0.5, 0.5, 1.5, "O(1)", clipped)
    assert c == pytest.approx(clipped_length(1, 1.125), rel=1e-14)


def by_hand(function, breaks, rho, s_1, s_2):
    """E f(u) f(v) for D = 1 by nested quadrature, whose panels end at breaks."""
    width = np.sqrt(1.0 - rho * rho)
    ends = np.array([*(-np.array(breaks)), 0.0, *breaks])

    def odd(r):
        return np.sign(r) * function(np.abs(np.array(r)))

    def inner(u):
        mean, scale = rho * u * np.sqrt(s_2), width * np.sqrt(s_2)
        points = np.sort([e for e in ends if abs(e - mean) < 9 * scale] + [mean - 9 * scale, mean + 9 * scale])
        return sum(
            integrate.quad(lambda v: odd(v) * np.exp(-0.5 * ((v - mean) / scale) ** 2), a, b, epsrel=1e-12)[0]
            for a, b in pairwise(points)
        ) / (scale * np.sqrt(2.0 * np.pi))

    points = [0.0, *(e / np.sqrt(s_1) for e in breaks if e < 9 * np.sqrt(s_1)), 9.0]
    return sum(
        integrate.quad(lambda u: odd(u * np.sqrt(s_1)) * inner(u) * np.exp(-0.5 * u * u), a, b, epsrel=1e-10)[0]
        for a, b in pairwise(points)
    ) * np.sqrt(2.0 / np.pi)


def tent(r):
    return np.where(r < 1.0, r, np.maximum(2.0 - r, -1.0))


def close(r):
    return (np.minimum(r, 1.0) + np.minimum(r, 1.05) + np.minimum(r, 1.1)) / 3.0


@pytest.mark.parametrize(
    ("function", "breaks", "rho", "pair"),
    [
        (tent, (1.0, 3.0), 0.7, (0.3, 20.0)),
        (tent, (1.0, 3.0), 0.98, (0.3, 20.0)),
        (close, (1.0, 1.05, 1.1), 0.9, (1.0, 1.0)),
    ],
)
def test_several_kinks_and_a_function_that_changes_its_sign(function, breaks, rho, pair):
    found = correlation_map(rho * np.sqrt(pair[0] * pair[1]), pair, 1.0, "O(1)", function)
    assert found == pytest.approx(by_hand(function, breaks, rho, *pair), rel=1e-8)


def test_what_is_wrong_of_the_norms_is_wrong_of_the_overlap():
    with pytest.warns(AccuracyWarning, match="toothed"):
        correlation_map(1.0, 1.0, 1.0, activation=toothed)


def test_aligned_inputs_of_unequal_norms():
    """<min(r_1, 1) min(r_2, 1)>/2 for D = 2, r_1^2 = t and r_2^2 = 4 t, t ~ Exp(1), by incomplete Gamma functions."""
    both = 2.0 * special.gammainc(2.0, 0.25)
    one = special.gamma(1.5) * (special.gammainc(1.5, 1.0) - special.gammainc(1.5, 0.25))
    found = aligned(as_activation(clipped), 2, np.array([1.0]), np.array([4.0]))
    assert found[0] == pytest.approx((both + one + np.exp(-1.0)) / 2.0, rel=1e-14)


@pytest.mark.parametrize("second", [0, 1])
def test_identical_directions(second):
    """Their gap is exactly 0, whatever the series leaves out."""
    overlaps, one = Overlaps(as_activation(clipped), 2, np.array([1.0, 4.0])), np.zeros(1, int)
    pair = (one, one + 1) if second else (one, one)
    gap, gap_error = overlaps.gap(*pair, np.array([1.0]), np.array([0.0]))
    assert gap[0] == gap_error[0] == 0.0
    value, _ = overlaps.value(*pair, np.array([1.0]), np.array([0.0]))
    expected = aligned(overlaps.activation, 2, overlaps.s[pair[0]], overlaps.s[pair[1]])
    assert value[0] == pytest.approx(expected[0], rel=1e-14)


def test_a_density_that_underflows_is_told():
    """Bessel functions of order 5000 do, at moderate overlaps: the integral of the density itself says so."""
    assert gap(clipped, 10_000, 1.0, 0.45)[1] > 1e-3


def test_a_function_with_more_breaks_than_are_followed_is_left_to_the_series(monkeypatch):
    monkeypatch.setattr(overlap, "nearby_gap", None)
    with pytest.warns(AccuracyWarning, match="toothed"):
        correlation_map(0.999, 1.0, 1.0, activation=toothed)
