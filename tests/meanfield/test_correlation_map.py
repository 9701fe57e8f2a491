"""The correlation map: the paper's double integral, closed forms, a second algorithm, and what is proven of it."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp, mpf

from meanfield import NAMED_ACTIVATIONS, AccuracyWarning, as_activation, correlation_map, length_map, trajectory
from meanfield.maps import overlap_of
from meanfield.mixture import coefficients, mixture_state, remainder
from meanfield.overlap import Overlaps
from tests.meanfield.independent import (
    DIMENSIONS,
    FUNCTIONS,
    MP_FUNCTIONS,
    arcsine,
    bessel_map,
    bessel_map_of_unequal_norms,
    classical_map,
    clipped_correlation,
    hyperbolic_ratio,
    own_tanh,
    radial_average,
    relative,
    toothed,
)

CORRELATIONS = (1e-12, 0.1, 0.5, 0.9, 0.999, 1 - 1e-9, 1.0)


@pytest.fixture(autouse=True)
def _digits():
    with mp.workdps(40):
        yield


@pytest.mark.parametrize("name", ["tanh", "algebraic"])
@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9])
def test_literal_eq_12(name, rho):
    """The double Bessel integral as the paper has it, on a plane of radii, at two values of (c, sigma_w)."""
    for c, sigma_w in ((0.48, 1.5), (0.9, 0.6)):
        delta = rho * c
        assert correlation_map(delta, c, sigma_w, "U(1)", name) == pytest.approx(
            bessel_map(delta, c, sigma_w, FUNCTIONS[name]), rel=1e-9
        )


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
@pytest.mark.parametrize("rho", [-0.7, 0.2, 0.6, 0.95])
def test_classical_network(name, rho):
    """D = 1 is the bias-free network of Poole et al. and Schoenholz et al., equal and unequal norms."""
    for c_1, c_2, sigma_w in ((0.4, 0.4, 1.5), (0.9, 0.25, 1.1)):
        delta = rho * np.sqrt(c_1 * c_2)
        expected = classical_map(rho, sigma_w**2 * c_1, sigma_w**2 * c_2, FUNCTIONS[name])
        assert correlation_map(delta, (c_1, c_2), sigma_w, "O(1)", name) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("sigma_w", [1e-3, 0.5, 1.5, 30.0, 1e3])
@pytest.mark.parametrize("c", [1e-12, 0.3, 50.0])
def test_erf_in_one_dimension_is_an_arcsine(sigma_w, c):
    """E[erf(u_1) erf(u_2)] = (2/pi) arcsin(2 q_12/sqrt((1 + 2 q_11)(1 + 2 q_22))), over all magnitudes."""
    square = mpf(sigma_w) ** 2
    for c_2, rho in [(c, rho) for rho in CORRELATIONS] + [(0.37 * c, rho) for rho in CORRELATIONS[:4]]:
        delta = rho * c if c_2 == c else rho * np.sqrt(c * c_2)
        expected = 2 / mp.pi * mp.asin(2 * square * delta / mp.sqrt((1 + 2 * square * c) * (1 + 2 * square * c_2)))
        assert relative(correlation_map(delta, (c, c_2), sigma_w, "O(1)", "erf"), expected) < 1e-14


@pytest.mark.parametrize("dimension", [*DIMENSIONS, 500])
def test_saturated_is_hypergeometric(dimension):
    rho = np.array([*CORRELATIONS, -0.4])
    expected = [hyperbolic_ratio(dimension, x) for x in rho]
    assert relative(correlation_map(rho, 1.0, 2.0, f"O({dimension})", "saturated"), expected) < (
        1e-13 if dimension > 48 else 3e-15
    )


@pytest.mark.parametrize("sigma_w", [5e-324, 5e-161, 1e-100, 1.0, 1e100])
@pytest.mark.parametrize("c", [5e-324, 1e-160, 1e-3, (1e-300, 1e90), (2.0, 5e-320)])
def test_saturated_knows_no_scale(sigma_w, c):
    """f = 1 does not see sigma_w^2 c, not even where it underflows."""
    norm = np.prod(np.sqrt(c)) if isinstance(c, tuple) else c
    for rho in (1.0, 0.0, -1.0) if c == 5e-324 else (1.0, 0.5, -0.25):  # others are no float beside the smallest
        found = correlation_map(rho * norm, c, sigma_w, "O(3)", "saturated")
        assert relative(found, hyperbolic_ratio(3, rho)) < 3e-15


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_linear_keeps_every_correlation(dimension):
    rho = np.array(CORRELATIONS)
    found = correlation_map(rho * 0.7, 0.7, 1.3, f"O({dimension})", "linear")
    np.testing.assert_allclose(found, 1.3**2 * 0.7 * rho, rtol=1e-14)


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("name", ["tanh", "algebraic"])
def test_two_algorithms_agree(dimension, name):
    """A user's callable goes through projections on Laguerre functions, a name through a Gaussian mixture.

    Gauss-Laguerre nodes in each radius, a common way to do the double integral, are off by 2e-6 at rho = 0.97.
    """
    c = np.array([1e-6, 0.2, 1.0, 3.0])[:, None]
    rho = np.array([1e-12, 0.3, 0.9, 0.97])
    symmetry = f"O({dimension})"

    def own(r):
        return FUNCTIONS[name](r)

    found = correlation_map(rho * c, c, 1.5, symmetry, own)
    np.testing.assert_allclose(found, correlation_map(rho * c, c, 1.5, symmetry, name), rtol=1e-12)
    pair = correlation_map(0.5 * rho * c, (c, 0.3 * c), 1.5, symmetry, own)
    np.testing.assert_allclose(pair, correlation_map(0.5 * rho * c, (c, 0.3 * c), 1.5, symmetry, name), rtol=1e-12)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
@pytest.mark.parametrize("dimension", [*DIMENSIONS, 500])
def test_identical_inputs_stay_identical(dimension, name):
    """At Delta = c the map is the length map, at any size of sigma_w: two separate sums must not drift apart."""
    c = np.array([1e-9, 0.3, 5.0])
    for sigma_w in (1e-3, 1.0, 1.5, 30.0, 1e3):
        symmetry = f"O({dimension})"
        same, length = correlation_map(c, c, sigma_w, symmetry, name), length_map(c, sigma_w, symmetry, name)
        np.testing.assert_allclose(same, length, rtol=2e-14)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "saturated"])
def test_odd_convex_and_below_the_diagonal(name):
    """What the non-negative coefficients prove, at random sigma_w, D and c: rho -> rho' is odd, increasing and convex.

    So it lies below the diagonal: no fixed point of Delta between 0 and c.
    """
    rng = np.random.default_rng(11)
    rho = np.linspace(0.0, 1.0, 41)
    for _ in range(25):
        dimension, sigma_w, c = int(rng.integers(1, 60)), 10.0 ** rng.uniform(-1.5, 2.5), 10.0 ** rng.uniform(-3, 1)
        symmetry = f"O({dimension})"
        image = correlation_map(rho * c, c, sigma_w, symmetry, name) / length_map(c, sigma_w, symmetry, name)
        assert image[0] == 0.0
        assert abs(image[-1] - 1.0) < 1e-14
        assert np.all(np.diff(image) > 0)
        assert np.all(np.diff(image, 2) > -1e-14)
        assert np.all(image[1:-1] < rho[1:-1])
        positive, negative = (correlation_map(sign * rho * c, c, sigma_w, symmetry, name) for sign in (1, -1))
        np.testing.assert_array_equal(negative, -positive)


@pytest.mark.parametrize("rho", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("c", [(1e160, 1e170), (1e290, 1e300), (1e-300, 1e300)])
def test_unequal_norms_over_all_floats(c, rho):
    """erf in one dimension: what the series leaves out is told from two remainders whose product underflows."""
    delta = rho * np.sqrt(c[0]) * np.sqrt(c[1])
    with mp.workdps(700):
        both = mp.sqrt((1 + 2 * mpf(c[0])) * (1 + 2 * mpf(c[1])))
        exact = 2 / mp.pi * mp.asin(2 * mpf(delta) / both)
        assert relative(correlation_map(delta, c, 1.0, "O(1)", "erf"), exact) < 1e-13


def unequal_pairs(count: int, largest: float = 6.0):
    """s_1, s_2 and 1 - rho over many decades; and the pair of an almost linear and a saturated capsule."""
    rng = np.random.default_rng(7)
    s_1, s_2 = 10.0 ** rng.uniform(-3, largest, (2, count))
    missing = 10.0 ** rng.uniform(-12, -0.01, count)
    s_1[: count // 2] = rng.uniform(0.05, 3.0, count // 2)
    s_1[0], s_2[0], missing[0] = 0.3046280685122162, 1e5, 1e-3
    return s_1, s_2, missing


def test_arcsine_law_at_unequal_norms():
    """D = 1, erf: one at a time and all at once, where one state's series has ended long before the other's."""
    s_1, s_2, missing = unequal_pairs(300)
    sigma_w = 10.0 ** np.random.default_rng(8).uniform(-3, 3, s_1.size)
    c_1, c_2 = s_1 / sigma_w**2, s_2 / sigma_w**2
    delta = (1.0 - missing) * np.sqrt(c_1) * np.sqrt(c_2)
    delta[::7] *= -1.0
    square = [mpf(x) ** 2 for x in sigma_w]
    exact = [arcsine(q * d, q * a, q * b) for q, d, a, b in zip(square, map(mpf, delta), c_1, c_2, strict=True)]
    assert relative(correlation_map(delta, (c_1, c_2), sigma_w, "O(1)", "erf"), exact) < 2e-14
    alone = [correlation_map(d, (a, b), x, "O(1)", "erf") for d, a, b, x in zip(delta, c_1, c_2, sigma_w, strict=True)]
    assert relative(alone, exact) < 2e-14


def test_gap_of_unequal_norms():
    """What 1 - rho becomes in one layer, D = 1, erf, by the arcsine law."""
    s_1, s_2, missing = unequal_pairs(150)
    path = trajectory(1, 1.0, (s_1, s_2), one_minus_rho=missing, symmetry="O(1)", activation="erf")
    exact = []
    for a, b, m in zip(map(mpf, s_1), map(mpf, s_2), map(mpf, missing), strict=True):
        exact.append(1 - arcsine((1 - m) * mp.sqrt(a * b), a, b) / mp.sqrt(arcsine(a, a, a) * arcsine(b, b, b)))
    assert relative(path.one_minus_rho[1], exact) < 1e-13
    assert relative(path.rho[1], [1 - x for x in exact]) < 1e-13
    # one pair alone, whose own sums stop as soon as they may
    for i in range(40):
        path = trajectory(1, 1.0, (s_1[i], s_2[i]), one_minus_rho=missing[i], symmetry="O(1)", activation="erf")
        assert relative(path.one_minus_rho[1], exact[i]) < 1e-13


@pytest.mark.parametrize("name", ["tanh", "algebraic"])
@pytest.mark.parametrize(
    ("s_1", "s_2", "rho"),
    [
        (0.2835327940078107, 100.0, 0.99),
        (0.2370072234124779, 3000.0, 0.997),
        (1.3, 40.0, -0.95),
        (0.8, 1e4, 0.6),
        (0.05, 500.0, 0.999),
    ],
)
def test_double_bessel_integral_at_unequal_norms(name, s_1, s_2, rho):
    """Eq. (12) on a plane of radii, where one capsule is nearly linear and the other saturates."""
    found = correlation_map(rho * np.sqrt(s_1 * s_2), (s_1, s_2), 1.0, "U(1)", name)
    expected = np.sign(rho) * bessel_map_of_unequal_norms(abs(rho), s_1, s_2, FUNCTIONS[name])
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_a_pair_does_not_see_the_others(dimension, name):
    """To rounding, whatever else is in the batch: how many terms are summed is each pair's own need."""
    s_1, s_2, missing = unequal_pairs(120)
    delta, symmetry = (1.0 - missing) * np.sqrt(s_1) * np.sqrt(s_2), f"O({dimension})"
    together = correlation_map(delta, (s_1, s_2), 1.0, symmetry, name)
    alone = [correlation_map(d, (a, b), 1.0, symmetry, name) for d, a, b in zip(delta, s_1, s_2, strict=True)]
    np.testing.assert_allclose(together, alone, rtol=1e-14)


@pytest.mark.parametrize("s", [1e-3, 0.3, 2.0, 50.0, 1e4])
def test_bound_of_what_the_series_leaves(s):
    """D = 1, erf: a_n^2 are the coefficients of the arcsine series, which fall below every rounding error."""
    state, t = mixture_state(NAMED_ACTIVATIONS["erf"], 1, np.array([s])), 2 * mpf(s) / (1 + 2 * mpf(s))
    for slope in (False, True):
        for terms in (16, 64, 384):
            # a_n^2 = (2/pi) (2n)!/(4^n n!^2 (2n+1)) t^(2n+1); both sums as hypergeometric functions
            first = 2 / mp.pi * mp.binomial(2 * terms, terms) / mpf(4) ** terms * t ** (2 * terms + 1)
            half = mpf(1) / 2
            if slope:
                exact = first * mp.hyp2f1(1, terms + half, terms + 1, t * t)
            else:
                exact = (
                    first
                    / (2 * terms + 1)
                    * mp.hyp3f2(1, terms + half, terms + half, terms + 1, terms + 3 * half, t * t)
                )
            found = remainder(state, terms, slope)[0] * s
            assert found >= exact * (1 - mpf(10) ** -10) or exact < 1e-300
            if s <= 2.0:
                assert found <= 3 * exact


@pytest.mark.parametrize("name", ["tanh", "erf", "saturated"])
def test_unequal_norms(name):
    """Symmetric in the two inputs, and |Delta'| <= sqrt(c_1' c_2')."""
    rng = np.random.default_rng(5)
    c_1, c_2 = 10.0 ** rng.uniform(-4, 1, (2, 200))
    delta = rng.uniform(-1, 1, 200) * np.sqrt(c_1 * c_2)
    for dimension in (1, 2, 5):
        symmetry = f"O({dimension})"
        new = correlation_map(delta, (c_1, c_2), 1.7, symmetry, name)
        np.testing.assert_allclose(new, correlation_map(delta, (c_2, c_1), 1.7, symmetry, name), rtol=1e-14)
        bound = np.sqrt(length_map(c_1, 1.7, symmetry, name) * length_map(c_2, 1.7, symmetry, name))
        assert np.all(np.abs(new) <= bound * (1 + 1e-14))


def test_pair_and_broadcasting():
    """A tuple is a pair (c_1, c_2); a list is an array for both."""
    assert correlation_map(0.2, (0.5, 0.5), 1.5) == correlation_map(0.2, 0.5, 1.5)
    both = correlation_map(0.2, [0.5, 0.6], 1.5)
    assert both.shape == (2,)
    assert both[0] == pytest.approx(correlation_map(0.2, 0.5, 1.5), rel=1e-14)
    table = correlation_map(np.array([0.1, 0.2, 0.3]), (np.array([[0.5], [0.6]]), 0.4), 1.5)
    assert table.shape == (2, 3)
    assert table[1, 2] == pytest.approx(correlation_map(0.3, (0.6, 0.4), 1.5), rel=1e-14)
    assert correlation_map(0.1, 1, [[1, 2], [3, 4]]).shape == (2, 2)
    assert np.ndim(correlation_map(0, 1, 2)) == 0


def test_depends_on_the_symmetry_through_the_capsule_dimension_alone():
    for same in ("O(2)", "generic(2)"):
        assert correlation_map(0.2, 0.5, 1.5, same) == correlation_map(0.2, 0.5, 1.5, "U(1)")


def test_rounded_bound_is_accepted():
    """sqrt(c_1) sqrt(c_2), rounded up or down, is |Delta| of aligned inputs."""
    rng = np.random.default_rng(0)
    c_1, c_2 = rng.uniform(0.1, 3, (2, 500))
    for delta in (np.sqrt(c_1) * np.sqrt(c_2), np.sqrt(c_1 * c_2), np.nextafter(np.sqrt(c_1 * c_2), 9)):
        assert np.all(np.isfinite(correlation_map(delta, (c_1, c_2), 1.5)))


def test_extremes():
    """Zero inputs, subnormal numbers, no weights: no NaN, and Delta/c goes on where both are tiny."""
    assert correlation_map(0.0, 0.0, 1.5) == 0.0
    assert correlation_map(0.0, (0.0, 0.5), 1.5) == 0.0
    assert correlation_map(0.0, (0.0, 0.5), 1.5, "O(3)", "saturated") == 0.0
    assert correlation_map(0.2, 0.5, 0.0) == 0.0
    assert relative(correlation_map(3e-301, 1e-300, 1.5), 2.25 * mpf(3e-301)) < 1e-15
    assert relative(correlation_map(1e-300, 1.0, 1.5), mpf(correlation_map(1e-12, 1.0, 1.5)) * mpf(10) ** -288) < 1e-14


def test_one_minus_rho_is_exact():
    """1 - |Delta|/sqrt(c_1 c_2) of the floats given, against fractions, however close to 1 rho is."""
    rng = np.random.default_rng(2)
    c_1, c_2 = 10.0 ** rng.uniform(-200, 100, (2, 400))
    c_2[:100] = c_1[:100]
    delta = np.sqrt(c_1) * np.sqrt(c_2) * (1 - 10.0 ** rng.uniform(-16, 0, 400)) * rng.choice([-1, 1], 400)
    rho, missing = overlap_of(delta, c_1, c_2)
    for i in range(400):
        square = Fraction(float(delta[i])) ** 2 / (Fraction(float(c_1[i])) * Fraction(float(c_2[i])))
        exact = mp.sqrt(mpf(square.numerator) / square.denominator)
        assert relative(abs(rho[i]), exact) < 1e-15
        if square < 1:
            assert relative(missing[i], 1 - exact) < 1e-15
        else:
            assert missing[i] == 0.0


@pytest.mark.parametrize("rho", [0.3, 0.9])
def test_saturated_capsules_of_a_thousand_components(rho):
    exact = hyperbolic_ratio(1000, rho)
    assert relative(correlation_map(rho, 1.0, 1.5, "O(1000)", "saturated"), exact) < 1e-14
    gap = trajectory(1, 1.5, 1.0, rho, symmetry="O(1000)", activation="saturated").one_minus_rho[1]
    assert relative(gap, 1 - exact) < 1e-14


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
def test_the_mixture_of_large_capsules(name):
    """a_0 = <r f> sqrt(2/D)/sqrt(s) of the mixture, where its weight turns far below the scale of the activation."""
    s, dimension = 0.9 * 5000.0, 10_000
    with mp.workdps(20):
        exact = radial_average(lambda r: r * MP_FUNCTIONS[name](r), dimension, mpf(s)) / mpf(s)
    state = mixture_state(NAMED_ACTIVATIONS[name], dimension, np.array([s]))
    assert relative(coefficients(state, 1)[0, 0], exact) < 1e-12


@pytest.mark.parametrize(
    ("dimension", "name"), [(10**4, "tanh"), (10**5, "algebraic"), (10**7, "erf"), (10**9, "algebraic")]
)
def test_very_large_capsules(dimension, name):
    """The first terms of Delta' = sum_n a_n^2 rho^(2n+1), each smaller by 1/D, from integrals with mpmath."""
    symmetry = f"O({dimension})"
    with mp.workdps(45):
        square = [narrow_coefficient(MP_FUNCTIONS[name], dimension, mpf(0.5), n) ** 2 for n in range(3)]
        for rho in (0.1, 0.9, 1.0):
            exact = sum(a * mpf(rho) ** (2 * n + 1) for n, a in enumerate(square))
            assert relative(correlation_map(rho * 0.5, 0.5, 1.0, symmetry, name), exact) < 3e-15
        gap = sum(a * (1 - (1 - mpf(1e-10)) ** (2 * n + 1)) for n, a in enumerate(square)) / sum(square)
        path = trajectory(1, 1.0, 0.5, one_minus_rho=1e-10, symmetry=symmetry, activation=name)
        assert relative(path.one_minus_rho[1], gap) < 2e-13
        assert relative(length_map(0.5, 1.0, symmetry, name), sum(square)) < 2e-13


def narrow_coefficient(f, dimension: int, s, n: int):
    """a_n = <f(r) sqrt(t) L_n^{(D/2)}(t)> sqrt(n! Gamma(D/2)/Gamma(n + D/2 + 1)) where r is sharply distributed."""
    half = mpf(dimension) / 2
    width = 1 / mp.sqrt(2 * mpf(dimension))
    log_norm = mp.log(2) + half * mp.log(half) - mp.loggamma(half)

    def integrand(y):  # r = sqrt(s) y
        t = half * y * y
        laguerre = sum((-1) ** k * mp.binomial(n + half, n - k) * t**k / mp.factorial(k) for k in range(n + 1))
        return mp.exp(log_norm + (dimension - 1) * mp.log(y) - t) * f(mp.sqrt(s) * y) * mp.sqrt(t) * laguerre

    mean = mp.quad(integrand, [1 + k * width for k in (-14, -9, -5, -3, -1, 0, 1, 3, 5, 9, 14)])
    return mean * mp.sqrt(mp.factorial(n) * mp.exp(mp.loggamma(half) - mp.loggamma(n + half + 1)))


def test_a_clipped_activation():
    """Against one of its two averages in closed form and the other by quadrature."""
    activation = as_activation(lambda r: np.minimum(r, 1.0))
    for s in (0.1, 0.7, 1.0, 3.3, 10.0, 100.0, 1e4):
        overlaps, state = Overlaps(activation, 1, np.array([s])), np.zeros(1, int)
        for rho in (0.1, 0.5, 0.9, 0.95, 0.97, 0.99, 0.999):
            value, error = overlaps.value(state, state, np.array([rho]), np.array([1 - rho]))
            assert value[0] * s == pytest.approx(clipped_correlation(rho, s), rel=1e-10)
            assert error[0] < 1e-12
            assert overlaps.value(state, state, np.array([-rho]), np.array([1 - rho]))[0] == -value


def test_error_estimate_near_identity_is_honest():
    """A smooth callable near rho = 1 and at large sigma_w, where its series is cut off, against its named twin."""
    s = np.array([0.1, 1.0, 10.0, 1e2, 1e4, 1e6])
    state = np.arange(s.size)
    for dimension in (1, 2, 8):
        user, named = (Overlaps(as_activation(f), dimension, s) for f in (own_tanh, "tanh"))
        for missing in (0.4, 0.1, 1e-2, 1e-4, 1e-9):
            rho = np.full(s.size, 1 - missing)
            for method in ("value", "gap"):
                (found, error), (exact, _) = (
                    getattr(overlaps, method)(state, state, rho, np.full(s.size, missing)) for overlaps in (user, named)
                )
                assert np.all(np.abs(found / exact - 1) <= 2 * error + 1e-13)


def test_inaccurate_callable_warns_and_accurate_one_does_not():
    with pytest.warns(AccuracyWarning, match="toothed"):
        correlation_map(0.3, 0.5, 1.5, "O(2)", toothed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        correlation_map(0.3, 0.5, 1.5, "O(2)", own_tanh)
