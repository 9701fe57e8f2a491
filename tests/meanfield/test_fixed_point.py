"""Fixed points: one, several or none, next to the transition and far from it, and what is said where there is none."""

import warnings

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import integrate, optimize, special

from meanfield import AccuracyWarning, ConvergenceWarning, depth_scales, fixed_point, length_map, trajectory
from tests.meanfield.independent import (
    DIMENSIONS,
    MP_DERIVATIVES,
    MP_FUNCTIONS,
    clipped_length,
    own_tanh,
    radial_average,
    relative,
    toothed,
)

NAMED = ("tanh", "erf", "algebraic")
CRITICAL = {"tanh": 1.0, "erf": np.sqrt(np.pi) / 2, "algebraic": 1.0}


def test_the_papers_figure_2():
    """c* of the U(1) network rises from 0 at sigma_w = 1; 0.48323 at 1.5, by an independent root search."""
    c = fixed_point([0.5, 0.99, 1.0, 1.01, 1.5, 2.0]).c
    assert np.all(c[:3] == 0.0)
    assert np.all(np.diff(c[2:]) > 0.0)

    def lack(c):
        integral, _ = integrate.quad(lambda u: 2 * u * np.exp(-u * u) * np.tanh(1.5 * np.sqrt(c) * u) ** 2, 0, 8)
        return integral - c

    assert c[4] == pytest.approx(optimize.brentq(lack, 0.1, 0.9, xtol=1e-14), rel=1e-9)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_it_is_a_fixed_point_of_the_integral(dimension, name):
    for sigma_w in (1.2, 4.0):
        point = fixed_point(sigma_w, f"O({dimension})", name)
        f, derivative = MP_FUNCTIONS[name], MP_DERIVATIVES[name]
        with mp.workdps(20):
            s = mpf(sigma_w) ** 2 * mpf(float(point.c))
            image = radial_average(lambda r, f=f: f(r) ** 2, dimension, s)
            assert relative(point.c, image) < 1e-13
            chi = radial_average(lambda r, f=f, df=derivative: f(r) * df(r) * r, dimension, s) / image
            # to first order, c is off by what the map moves it, over 1 - chi
            assert abs(image / mpf(float(point.c)) - 1) / (1 - chi) < point.error
        assert abs(point.residual) < 1e-14
        assert point.phase == "broken"


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("distance", [2.0**-52, 1e-12, 1e-9, 1e-6])
def test_close_to_the_transition(distance, dimension, name):
    """c* from its own expansion, where an iteration that is capped, or that stops at a small step, has not moved.

    With f^2 = a r^2 - b r^4 + d r^6 and e = sigma_w^2 a - 1: s* = (a e/((1 + e) b m_2)) (1 + e d m_3 a/(b m_2)^2 ...),
    m_n = <r^(2n)>/s^n; terms up to the second order in e are kept.
    """
    if name == "erf":
        distance = max(distance, 1e-12)  # its transition is not a float
    sigma_w = CRITICAL[name] * (1 + distance)
    with mp.workdps(60):
        critical = mp.sqrt(mp.pi) / 2 if name == "erf" else mpf(1)
        a, b, d = {
            "tanh": (1, mpf(2) / 3, mpf(17) / 45),
            "algebraic": (1, 1, 1),
            "erf": (4 / mp.pi, 8 / (3 * mp.pi), mpf(56) / (45 * mp.pi)),
        }[name]
        e = (mpf(sigma_w) / critical) ** 2 - 1
        m_2, m_3 = 1 + mpf(2) / dimension, (1 + mpf(2) / dimension) * (1 + mpf(4) / dimension)
        gain = a / (1 + e)  # <f^2>/s at s*
        s = mpf(0)
        for _ in range(12):
            s = (a - gain + d * m_3 * s * s) / (b * m_2)
        expected = s / mpf(sigma_w) ** 2
    point = fixed_point(sigma_w, f"O({dimension})", name)
    assert relative(point.c, expected) < max(1e-13, 30 * distance**2)
    assert point.c > 0.0
    assert point.status == "converged"


def test_at_and_below_the_transition():
    point = fixed_point([0.0, 1e-300, 0.5, np.nextafter(1.0, 0.0), 1.0, np.nextafter(1.0, 2.0)])
    np.testing.assert_array_equal(point.c[:5], 0.0)
    assert point.c[5] > 0.0
    assert point.phase.tolist() == ["unbroken"] * 4 + ["critical", "broken"]
    assert point.converged.all()
    np.testing.assert_array_equal(point.stable[:5, 0], 0.0)
    np.testing.assert_array_equal(point.unstable[5], [0.0])
    assert np.isnan(point.unstable[:5]).all()
    # no float is sqrt(pi)/2 = 0.88622692545275801365: the nearest is above it
    above = 0.8862269254527580
    assert fixed_point([np.nextafter(above, 0.0), above], "O(4)", "erf").phase.tolist() == ["unbroken", "broken"]
    assert fixed_point(0.886226925452, "O(4)", "erf").phase == "unbroken"
    assert fixed_point(0.886226925453, "O(4)", "erf").phase == "broken"


def test_broken_phase_never_returns_zero():
    """In the broken phase c = 0 is a fixed point too, an unstable one, which a least-squares solver is happy with."""
    sigma_w = 1.0 + np.geomspace(1e-15, 1e3, 200)
    for dimension in (1, 2, 48):
        point = fixed_point(sigma_w, f"O({dimension})")
        assert np.all(point.c > 0.0)
        assert np.all(np.diff(point.c) > -3e-15)
        assert np.abs(point.residual).max() < 1e-14
        np.testing.assert_array_equal(point.unstable, np.zeros((200, 1)))
        np.testing.assert_array_equal(point.stable[:, 0], point.c)


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_saturated(dimension):
    """c* = 1 at every sigma_w > 0, also where its square is no float."""
    point = fixed_point([5e-324, 1e-200, 1e-3, 1.0, 1e3, 1e150], f"O({dimension})", "saturated")
    np.testing.assert_array_equal(point.c, 1.0)
    np.testing.assert_array_equal(point.stable, np.ones((6, 1)))
    np.testing.assert_array_equal(point.unstable, np.zeros((6, 1)))
    np.testing.assert_array_equal(point.residual, 0.0)
    assert point.phase.tolist() == ["broken"] * 6
    assert point.converged.all()
    assert fixed_point(1e-200, activation="saturated").phase == "broken"


def test_large_sigma_w():
    """1 - c* ~ <1 - f^2>, with f = 1 but for r of order 1."""
    for sigma_w in (1e3, 1e6, 1e20):
        point = fixed_point(sigma_w)
        assert point.status == "converged"
        assert float(1 - point.c) == pytest.approx(2 * np.log(2) / sigma_w**2, rel=1e-5, abs=1e-13)


# ---- several, or none ------------------------------------------------------------------------------------------------


def steep(r):
    """Takes off slowly: below its transition at sigma_w = 1 it has a second stable fixed point."""
    return r * (1.0 + 4.0 * r**2) / (1.0 + r**4)


def test_all_stable_fixed_points_are_found():
    """At sigma_w = 0.8 the length map of `steep` crosses the diagonal at 0, 0.0584 and 4.62."""
    point = fixed_point([0.1, 0.8, 1.2], "O(3)", steep)

    def lack(c):
        s = 0.64 * c

        def integrand(y):
            return np.sqrt(2 / np.pi) * y**2 * np.exp(-y * y / 2) * steep(y * np.sqrt(s / 3)) ** 2

        return integrate.quad(integrand, 0, 12, epsabs=0, epsrel=1e-12)[0] - c

    middle, upper = (optimize.brentq(lack, *ends, xtol=1e-14) for ends in ((0.03, 0.1), (3.0, 6.0)))
    np.testing.assert_allclose(point.stable[1], [0.0, upper], rtol=1e-9)
    np.testing.assert_allclose(point.unstable[1, 0], middle, rtol=1e-9)
    assert point.c[1] == point.stable[1, 1]
    # one stable fixed point on either side
    assert point.stable[0, 0] == 0.0
    assert np.isnan(point.stable[0, 1])
    assert np.isnan(point.unstable[0]).all()
    assert point.unstable[2, 0] == 0.0
    assert np.isnan(point.stable[2, 1])
    for sigma_w, row in zip(point.sigma_w, point.stable, strict=True):
        for c in row[row > 0]:
            assert length_map(c, sigma_w, "O(3)", steep) == pytest.approx(c, rel=1e-13)


def test_iteration_ends_in_the_stable_ones():
    point = fixed_point(0.8, "O(3)", steep)
    for start, end in ((0.05, 0.0), (0.07, point.c)):
        c = start
        for _ in range(400):
            c = length_map(c, 0.8, "O(3)", steep)
        assert c == pytest.approx(end, abs=1e-12)


def test_oscillation_is_not_a_stable_fixed_point():
    """With f = sin and large capsules c* can have slope below -1: the length map then alternates for ever."""
    with pytest.warns(ConvergenceWarning):
        point = fixed_point([2.0, 3.0], "O(48)", np.sin)
    assert point.status.tolist() == ["converged", "no fixed point"]
    assert np.isnan(point.stable[1]).all()
    c = np.nanmax(point.unstable[1])
    assert length_map(c, 3.0, "O(48)", np.sin) == pytest.approx(c, rel=1e-12)
    slope = (length_map(c * 1.001, 3.0, "O(48)", np.sin) - length_map(c * 0.999, 3.0, "O(48)", np.sin)) / (0.002 * c)
    assert slope < -1.0
    with pytest.raises(ValueError, match=r"at sigma_w = 3: the length map oscillates about c = 0\.57"):
        fixed_point(3.0, "O(48)", np.sin)


def test_no_phase_without_a_fixed_point():
    with pytest.warns(ConvergenceWarning):
        point = fixed_point([0.5, 1.0, 2.0], activation="linear")
    assert point.phase.tolist() == ["unbroken", "critical", ""]


def test_unbounded_activations():
    """Above its transition a linear network explodes, log grows without bound but has a fixed point."""
    assert fixed_point(1.0, "O(3)", "linear").phase == "critical"
    assert fixed_point(0.9, "O(3)", "linear").c == 0.0
    for bad in ("linear", lambda r: np.maximum(r, 0.0), lambda r: r + np.tanh(r)):
        with pytest.raises(ValueError, match=r"no stable fixed point at sigma_w = 1\.5: it does not saturate"):
            fixed_point(1.5, "O(3)", bad)
    found = fixed_point([1.5, 100.0], "U(1)", np.arcsinh)
    for sigma_w, c in zip(found.sigma_w, found.c, strict=True):
        image, _ = integrate.quad(lambda t, v=sigma_w**2 * c: np.exp(-t) * np.arcsinh(np.sqrt(v * t)) ** 2, 0, 60)
        assert image == pytest.approx(c, rel=1e-7)


def test_a_sweep_marks_what_a_single_call_raises():
    with pytest.warns(ConvergenceWarning, match="2 of 4 sigma_w have no result: see status"):
        point = fixed_point([0.5, 1.0, 1.5, 2.0], "O(2)", "linear")
    assert point.status.tolist() == ["converged", "converged", "no fixed point", "no fixed point"]
    np.testing.assert_array_equal(point.c, [0.0, 0.0, np.nan, np.nan])
    assert np.isnan(point.stable[2:]).all()


def test_digits_lost_by_a_user_s_activation_are_named():
    """1 - exp(-r) is nothing but rounding at r = 1e-16, and what is asked at the transition is lost in it."""

    def rounded(r):
        return 1.0 - np.exp(-r)

    near = 1.0 + np.array([-1e-8, -1e-11, 0.0, 1e-11, 1e-9])
    for symmetry in ("O(1)", "U(1)", "O(3)", "O(48)"):
        with pytest.raises(RuntimeError, match=r"keep its digits at small r, as -expm1\(-r\) does"):
            fixed_point(1.0, symmetry, rounded)
        with pytest.warns(AccuracyWarning), pytest.warns(ConvergenceWarning):
            assert not fixed_point(near, symmetry, rounded).converged.any()
        assert fixed_point(1.0, symmetry, lambda r: -np.expm1(-r)).c == 0.0


def test_a_search_that_stops_early_is_reported(monkeypatch):
    from meanfield import fixed_points

    monkeypatch.setattr(fixed_points, "_NEWTON_STEPS", 1)
    with pytest.raises(RuntimeError, match="stopped before it converged"):
        fixed_point(1.5)
    with pytest.warns(ConvergenceWarning):
        point = fixed_point([0.5, 1.5])
    assert point.status.tolist() == ["converged", "not converged"]
    assert np.isnan(point.c[1])


def test_unbounded_activations_that_grow_slowly_enough():
    """c* of a leaky clipping: <f^2> in pieces by incomplete Gamma functions, D = 2, s = sigma_w^2 c."""

    def leaky(r):
        return np.where(r < 1.0, r, 1.0 + 0.7 * (r - 1.0))

    def lack(s):
        far, _ = integrate.quad(lambda t: np.exp(-t) * (0.3 + 0.7 * np.sqrt(s * t)) ** 2, 1 / s, 60, epsrel=1e-12)
        return s * special.gammainc(2.0, 1 / s) + far - s / 1.69

    found = fixed_point(1.3, activation=leaky)
    assert found.c == pytest.approx(optimize.brentq(lack, 5.0, 30.0, xtol=1e-13) / 1.69, rel=1e-11)
    # above 1/0.7 it grows for ever
    message = r"at sigma_w = 1\.5: it does not saturate, a layer still multiplies c by 1\.1025 where sigma_w\^2 c = "
    with pytest.raises(ValueError, match=message):
        fixed_point(1.5, activation=leaky)


@pytest.mark.parametrize("scale", [1e-7, 1e-60, 1e-140])
def test_a_function_that_saturates_far_out(scale):
    """f(r) = g(scale r)/scale has c* = c*_g/scale^2, and a sweep finds what a single call finds."""

    def late(r):
        return r / (1.0 + scale * r)

    def lack(c, sigma_w):
        image, _ = integrate.quad(
            lambda u, v=sigma_w**2 * c: 2 * u**3 * np.exp(-u * u) * v / (1 + np.sqrt(v) * u) ** 2, 0, 8, epsrel=1e-12
        )
        return image - c

    sigma_w = (1.5, 2.0, 30.0)
    exact = [optimize.brentq(lack, 1e-3, 1.0, args=(v,), xtol=1e-14) for v in sigma_w]
    sweep = fixed_point([0.5, *sigma_w], activation=late)
    np.testing.assert_allclose(sweep.c * scale**2, [0.0, *exact], rtol=1e-9)
    assert sweep.converged.all()
    assert fixed_point(2.0, activation=late).c == pytest.approx(sweep.c[2], rel=1e-13)
    assert fixed_point([2.0], activation=late).c[0] == pytest.approx(sweep.c[2], rel=1e-13)


def test_a_sweep_is_its_single_points():
    """The error of kinks shows in c*, and it must not depend on which other sigma_w are there."""
    sigma_w = [1.3, 0.7, 1e8, 1.05, 1e3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        for dimension in (1, 2):
            sweep = fixed_point(sigma_w, f"O({dimension})", toothed)
            for i, single in enumerate(fixed_point(v, f"O({dimension})", toothed) for v in sigma_w):
                assert single.c == pytest.approx(sweep.c[i], rel=1e-14)
                assert single.error == pytest.approx(sweep.error[i], rel=1e-6)


def test_what_lies_beyond_the_search_for_one_sigma_w():
    """A function that grows again far out: its unstable fixed point there is in reach of sigma_w = 1e8 alone."""

    def wakes(r):
        return np.tanh(r) + 0.9 * np.where(r < 1e12, 0.0, r - 1e12)

    alone, sweep = fixed_point([2.0], activation=wakes), fixed_point([2.0, 1e8], activation=wakes)
    assert alone.c[0] == pytest.approx(sweep.c[0], rel=1e-14)
    np.testing.assert_array_equal(alone.unstable[0], [0.0])
    np.testing.assert_array_equal(sweep.unstable[0][~np.isnan(sweep.unstable[0])], [0.0])


def test_a_function_that_grows_until_it_overflows():
    """r + r^3/(1 + r^2) is r^3 = infinity beyond r = 1e102. A search that c outgrows ends before that, quietly."""

    def grows(r):
        return r + r**3 / (1.0 + r**2)

    with pytest.raises(ValueError, match=r"does not saturate, a layer still multiplies c by 9 where sigma_w\^2 c = "):
        fixed_point(1.5, activation=grows)
    with pytest.warns(ConvergenceWarning) as caught:
        point = fixed_point([0.3, 1.5], activation=grows)
    assert len(caught) == 1
    assert point.status.tolist() == ["converged", "no fixed point"]


def test_users_functions_to_the_largest_sigma_w():
    np.testing.assert_allclose(fixed_point([1e100, 1e140, 1e150], activation=own_tanh).c, 1.0, rtol=1e-12)


def test_log_of_one_plus_r():
    """Unbounded, with f'(0) = 1: an ordinary transition at 1, and c* > 0 at every sigma_w above."""
    sigma_w = np.array([0.1, 0.5, 1.0, 1.01, 1.5, 100.0])
    point = fixed_point(sigma_w, activation=np.log1p)
    assert point.phase.tolist() == ["unbroken", "unbroken", "critical", "broken", "broken", "broken"]
    np.testing.assert_array_equal(point.c[:3], 0.0)
    for v, c in zip(sigma_w[3:], point.c[3:], strict=True):
        image, _ = integrate.quad(lambda t, s=v**2 * c: np.exp(-t) * np.log1p(np.sqrt(s * t)) ** 2, 0, 60)
        assert image == pytest.approx(c, rel=1e-8)


# ---- a user's function at its transition -----------------------------------------------------------------------------


def takes_off(r):
    """f(r)/r rises from 1: at its transition c = 0 repels, and there is a stable c* far above."""
    return np.tanh(r + 2.0 * r**3)


DEAD_AT_ONE = {
    "clipped": lambda r: np.minimum(r, 1.0),
    "tanh": lambda r: np.tanh(r),
    "r/(1+r)": lambda r: r / (1.0 + r),
    "r/(1+r^4)^(1/4)": lambda r: r / (1.0 + r**4) ** 0.25,
    "1-exp(-r)": lambda r: -np.expm1(-r),
    "linear": lambda r: 1.0 * r,
}


@pytest.mark.parametrize("name", DEAD_AT_ONE)
@pytest.mark.parametrize("symmetry", ["O(1)", "U(1)", "O(48)"])
def test_exactly_at_the_transition(symmetry, name):
    point = fixed_point([np.nextafter(1.0, 0.0), 1.0], symmetry, DEAD_AT_ONE[name])
    np.testing.assert_array_equal(point.c, 0.0)
    assert point.phase.tolist() == ["unbroken", "critical"]
    np.testing.assert_array_equal(point.stable, 0.0)
    assert np.isnan(point.unstable).all()


def test_a_jump_at_the_transition():
    def lack(c):
        integral, _ = integrate.quad(lambda t: np.exp(-t) * takes_off(np.sqrt(c * t)) ** 2, 0, 40, epsrel=1e-12)
        return integral - c

    exact = optimize.brentq(lack, 0.4, 0.8, xtol=1e-14)
    for sigma_w in (1.0, np.array([0.8, 1.0, 1.2])):
        point = fixed_point(sigma_w, activation=takes_off)
        at = (...,) if np.ndim(sigma_w) == 0 else 1
        assert point.c[at] == pytest.approx(exact, rel=1e-9)
        assert point.phase[at] == "broken"
        assert point.stable[at][0] == point.c[at]
        assert point.unstable[at][0] == 0.0


def test_a_dip_at_the_transition():
    """f(r)/r falls from 1 before it rises far out: c = 0 attracts there, and the lower of the two roots repels."""

    def dips(r):
        return r * (1.0 - 6.0 * r**2 + 12.0 * r**4) / (1.0 + r**2) ** 3

    def lack(c):
        return integrate.quad(lambda t: np.exp(-t) * dips(np.sqrt(c * t)) ** 2, 0, 60, epsrel=1e-12, limit=200)[0] - c

    assert lack(1e-3) < 0.0
    middle, upper = (optimize.brentq(lack, *ends, xtol=1e-14) for ends in ((0.5, 0.9), (4.0, 6.0)))
    point = fixed_point(1.0, activation=dips)
    np.testing.assert_allclose(point.stable, [0.0, upper], rtol=1e-8)
    np.testing.assert_allclose(point.unstable[0], middle, rtol=1e-8)
    assert np.isnan(point.unstable[1:]).all()


@pytest.mark.parametrize("symmetry", ["O(1)", "U(1)", "O(3)", "O(48)"])
def test_a_jump_next_to_the_transition(symmetry):
    """The lower root is in the table's rounding there; whether it is seen or not, the upper one is."""
    near = float(fixed_point(1.0 + 1e-10, symmetry, takes_off).c)
    for steps in range(-12, 13):
        assert fixed_point(1.0 + steps * 2.0**-52, symmetry, takes_off).c == pytest.approx(near, rel=1e-8)


@pytest.mark.parametrize("symmetry", ["O(1)", "U(1)", "O(16)"])
def test_two_roots_that_have_just_parted(symmetry):
    """Above the jump, however little: where the table of log c has no node between the stable root and the other."""

    def late(r):
        return np.minimum(r + 3.0 * r**3, 1.0)

    def growth(log_c, sigma_w):
        c = np.exp(log_c)
        return float(np.log(length_map(c, sigma_w, symmetry, late) / c))

    def top(sigma_w):
        return optimize.minimize_scalar(
            lambda x: -growth(x, sigma_w), bounds=(-3.0, 0.2), method="bounded", options={"xatol": 1e-10}
        )

    jump = optimize.brentq(lambda sigma_w: top(sigma_w).fun, 0.5, 0.7, xtol=1e-14)
    for above in (1e-3, 1e-5, 1e-7):
        sigma_w = jump * (1.0 + above)
        point, middle = fixed_point(sigma_w, symmetry, late), top(sigma_w).x
        upper, lower = (optimize.brentq(growth, middle, end, args=(sigma_w,)) for end in (1.0, -5.0))
        assert point.c == pytest.approx(np.exp(upper), rel=1e-8)
        assert np.nanmax(point.unstable) == pytest.approx(np.exp(lower), rel=1e-8)
        assert fixed_point(jump * (1.0 - above), symmetry, late).c == 0.0


def test_rounding_far_out_is_no_fixed_point():
    """f(r) > r: c grows for ever, by ever less than rounding can tell."""
    with pytest.raises(ValueError, match="has no stable fixed point"):
        fixed_point(1.0, activation=lambda r: r + np.tanh(r))


@pytest.mark.filterwarnings("ignore::meanfield.AccuracyWarning", "ignore::meanfield.ConvergenceWarning")
def test_the_error_next_to_the_transition_is_that_of_rounding():
    sigma_w = 1.0 + np.array([2.0**-52, 4e-15, 1e-13, 1e-11, 1e-9])
    exact, found = fixed_point(sigma_w).c, fixed_point(sigma_w, activation=own_tanh)
    known = found.converged
    assert not known[0]
    assert known[2:].all()
    np.testing.assert_array_less(np.abs(found.c - exact)[known], (found.error * exact)[known])


def test_c_too_small_to_be_found():
    """c* of r/(1 + r) is of second order in the distance: below 1e-20 at 1 + 1e-12. It exists, and that is said."""
    with pytest.raises(RuntimeError, match=r"at sigma_w = 1\.000000000001 is too small to be found"):
        fixed_point(1.0 + 1e-12, activation=DEAD_AT_ONE["r/(1+r)"])
    with pytest.warns(ConvergenceWarning):
        point = fixed_point([1.0, 1.0 + 1e-12, 1.5], activation=DEAD_AT_ONE["r/(1+r)"])
    assert point.status.tolist() == ["converged", "not converged", "converged"]


# ---- shapes and the rest ---------------------------------------------------------------------------------------------


def test_shapes():
    single, many = fixed_point(1.5), fixed_point([[0.5, 1.5, 2.0]])
    assert single.c.shape == single.status.shape == ()
    assert single.stable.shape == (1,)
    assert many.c.shape == many.residual.shape == many.status.shape == many.error.shape == (1, 3)
    assert many.stable.shape == (1, 3, 1)
    assert many.c[0, 1] == pytest.approx(float(single.c), rel=1e-14)
    assert fixed_point(2).c == fixed_point(2.0).c


def test_repr_is_a_summary():
    assert repr(fixed_point(1.5)).startswith("FixedPoint(U(1), tanh, sigma_w=1.5: c*=0.483232, broken, residual")
    assert repr(fixed_point([0.5, 1.5], "O(3)")) == "FixedPoint(O(3), tanh, 2 points: 2 converged)"


def test_what_does_not_end_at_c_star_is_told():
    """Iterated from both sides of the borders that the summaries name."""

    def swish(r):
        return r / (1.0 + np.exp(-r))

    def steep(r):
        return np.tanh(r + 2.0 * r**3)

    assert "; from c > 0.121038 without limit)" in repr(depth_scales(1.5, activation=swish))
    assert "; from c < 0.0477877 to c = 0)" in repr(fixed_point(0.9, activation=steep))
    for f, sigma_w, border, ends in ((swish, 1.5, 0.121038, (0.0, np.inf)), (steep, 0.9, 0.0477877, (0.0, 0.485771))):
        run = trajectory(400, sigma_w, c=[0.99 * border, 1.01 * border], activation=f)
        assert float(run.c[-1, 0]) < 1e-6
        assert float(run.c[-1, 1]) == pytest.approx(ends[1], rel=1e-5) or float(run.c[-1, 1]) > 1e10
    assert fixed_point(1.5).elsewhere == fixed_point(0.5).elsewhere == ""


def test_the_next_lower_of_several_is_told():
    """c = 0, 6.2 and 500 are stable: from below the border of the last, inputs come to the one before it, or lower."""

    def stairs(r):
        low, high = r**8, (r / 10.0) ** 8
        return 0.5 * np.tanh(r) + 2.0 * low / (1.0 + low) + 20.0 * high / (1.0 + high)

    assert fixed_point(1.0, "O(16)", stairs).elsewhere == "; from c < 72.4553 to c = 6.17041"
    run = trajectory(200, 1.0, c=[0.6, 72.0, 73.0], symmetry="O(16)", activation=stairs)
    np.testing.assert_allclose(run.c[-1], [0.0, 6.17041, 500.355], rtol=1e-5, atol=1e-9)


def test_symmetries_of_one_dimension_agree():
    assert fixed_point(1.5, "U(1)").c == fixed_point(1.5, "O(2)").c == fixed_point(1.5, "generic(2)").c


def test_large_capsules():
    """For D -> infinity the radius does not fluctuate: c* = tanh(sigma_w sqrt(c*))^2."""
    limit = optimize.brentq(lambda c: np.tanh(1.5 * np.sqrt(c)) ** 2 - c, 0.1, 1.0, xtol=1e-15)
    errors = [abs(fixed_point(1.5, f"O({dimension})").c - limit) for dimension in (100, 1000, 10_000)]
    assert errors[2] < 1e-4
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 10.0, rtol=0.05)


def test_users_function_gives_what_its_named_twin_gives():
    sigma_w = [0.5, 1.001, 1.5, 30.0, 1e3]
    user, named = fixed_point(sigma_w, "O(3)", own_tanh), fixed_point(sigma_w, "O(3)")
    np.testing.assert_allclose(user.c, named.c, rtol=1e-9)
    assert np.all(np.abs(user.c - named.c) <= named.c * (10 * user.error + 1e-12))


@pytest.mark.parametrize("dimension", [1, 2, 3, 48])
@pytest.mark.parametrize("sigma_w", [1.01, 1.1, 1.5, 4.0, 1e3])
def test_a_clipped_activation(dimension, sigma_w):
    """c* of min(r, 1) against the root of its closed form."""

    def lack(c):
        return clipped_length(dimension, sigma_w**2 * c) - c

    point = fixed_point(sigma_w, f"O({dimension})", lambda r: np.minimum(r, 1.0))
    assert point.c == pytest.approx(optimize.brentq(lack, 0.05, 1.5, xtol=1e-15, rtol=1e-15), rel=1e-12)
    assert point.error < 1e-12
