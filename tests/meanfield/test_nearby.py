"""c' - Delta' near rho = 1 of functions that break, by direct quadrature."""

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import special

from meanfield import as_activation, correlation_map, depth_scales, trajectory
from meanfield.nearby import nearby_gap
from meanfield.overlap import Overlaps
from tests.meanfield.independent import clipped, clipped_length, own_tanh

CLOSE = [0.5, 0.1, 1e-2, 1e-4, 1e-6, 1e-9]


def dropping(r):
    return np.where(r < 1.0, r, 0.5)


def gap(function, dimension, s, missing, other=None):
    return nearby_gap(as_activation(function), dimension, s, other or s, 1.0 - missing, missing)


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
def test_the_square_root_law_of_a_jump(dimension):
    """J^2 p(x_0) w/(2 sqrt(pi)) for a jump J at x_0: the chance that a break lies between the two radii."""
    s, missing, at = 1.0, 1e-10, np.sqrt(dimension / 2.0)
    density = 2.0 * at ** (dimension - 1) * np.exp(-at * at) / special.gamma(dimension / 2.0)
    law = 0.25 * density * np.sqrt(2.0 * missing) / (2.0 * np.sqrt(np.pi))
    assert gap(dropping, dimension, s, missing)[0] == pytest.approx(law, rel=1e-4)


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
def test_series_and_quadrature_meet(dimension, function):
    """Where the series still converges it gives the same, for unequal norms too."""
    s = np.array([2.0, 0.4])
    overlaps, one = Overlaps(as_activation(function), dimension, s), np.zeros(1, int)
    for second in (one, one + 1):
        value, error = overlaps.value(one, second if second[0] else one, np.array([0.9]), np.array([0.1]))
        assert error[0] < 1e-12
        direct, _ = gap(function, dimension, 2.0, 0.1, s[second[0]])
        whole, _ = overlaps.gap(one, second if second[0] else one, np.array([0.9]), np.array([0.1]))
        assert direct == pytest.approx(whole[0], rel=1e-12)
        assert value[0] > 0.0


def test_the_overlap_of_equal_inputs_is_their_norm():
    c = correlation_map(0.5, 0.5, 1.5, "O(1)", clipped)
    assert c == pytest.approx(clipped_length(1, 1.125), rel=1e-14)
