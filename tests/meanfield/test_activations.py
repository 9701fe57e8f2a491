"""Activations: every form of f that is free of cancellation, against mpmath, and what is read as an activation."""

import pickle

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import special

from meanfield import NAMED_ACTIVATIONS, Activation, as_activation, depth_scales
from tests.meanfield.independent import MP_DERIVATIVES, MP_FUNCTIONS, own_tanh, relative

SMOOTH = ("tanh", "erf", "algebraic")
# both sides of every threshold of a series, and the extremes
RADII = np.array([1e-300, 1e-150, 1e-9, 1e-3, 0.1, 0.3, 0.59, 0.61, 0.79, 0.81, 0.99, 1.01, 2.0, 5.0, 18.0])


@pytest.fixture(autouse=True)
def _digits():
    with mp.workdps(60):
        yield


@pytest.mark.parametrize("name", SMOOTH)
def test_value_and_derivative(name):
    activation = NAMED_ACTIVATIONS[name]
    r = np.append(RADII, [60.0, 300.0, 1e3])
    assert relative(activation.value(r), [MP_FUNCTIONS[name](mpf(x)) for x in r]) < 4e-16
    near = r[r < 12.0]  # the rounding of exp(x) grows with x
    assert relative(activation.derivative(near), [MP_DERIVATIVES[name](mpf(x)) for x in near]) < 2e-14
    far = activation.derivative(np.array([400.0, 1e3, 1e100]))  # underflows, does not overflow
    assert np.all((far >= 0) & (far < 1e-6))


@pytest.mark.parametrize("name", SMOOTH)
def test_differences_that_almost_cancel(name):
    """1 - f/(f'(0) r) and f - r f' keep their digits where they are 1e-18 of the terms they are differences of."""
    activation, f, df = NAMED_ACTIVATIONS[name], MP_FUNCTIONS[name], MP_DERIVATIVES[name]
    r = RADII[RADII > 1e-100]
    with mp.workdps(350):
        missing = [1 - f(mpf(x)) / (df(mpf(0)) * mpf(x)) for x in r]
        deficit = [f(mpf(x)) - mpf(x) * df(mpf(x)) for x in r]
        assert relative(activation.one_minus_ratio(r), missing) < 1e-14
        assert relative(activation.deficit(r), deficit) < 1e-14


@pytest.mark.parametrize("name", ["saturated", "linear"])
def test_the_two_trivial_ones(name):
    activation, r = NAMED_ACTIVATIONS[name], np.array([0.5, 2.0])
    expected = {"saturated": ([1, 1], [0, 0], [1, 1]), "linear": ([0.5, 2], [1, 1], [0, 0])}[name]
    for function, values in zip((activation.value, activation.derivative, activation.deficit), expected, strict=True):
        np.testing.assert_array_equal(function(r), values)
    np.testing.assert_array_equal(activation.ratio(r), activation.value(r) / r)


@pytest.mark.parametrize("name", NAMED_ACTIVATIONS)
def test_ratio_goes_to_the_slope_at_the_origin(name):
    activation = NAMED_ACTIVATIONS[name]
    expected = {"erf": 2 / np.sqrt(np.pi), "saturated": np.inf}.get(name, 1.0)
    assert activation.ratio(np.array([0.0]))[0] == expected
    assert activation.slope == expected
    assert activation.is_saturated is (name == "saturated")


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "saturated"])
@pytest.mark.parametrize("r", [0.05, 1.0, 7.0])
def test_gaussian_mixture(name, r):
    """f(r)/r = int p(v) exp(-v^2 r^2) dv, the identity under the two-input maps."""
    mixture = NAMED_ACTIVATIONS[name].mixture
    assert mixture is not None
    assert {"tanh": "gaussian", "erf": "unit", "algebraic": "gaussian", "saturated": "flat"}[name] == mixture.upper_end
    with mp.workdps(25):
        ends = [0, 0.2, 0.6, 1] if name == "erf" else [0, 0.2, 0.6, 1, 2, 4, 8, max(8, 12 / r)]
        total = mp.quad(lambda v: float(mixture.density(np.array([float(v)]))[0]) * mp.exp(-((v * r) ** 2)), ends)
        assert relative(float(total), MP_FUNCTIONS[name](mpf(r)) / mpf(r)) < 3e-14


def test_density_of_tanh_is_the_theta_series():
    """p(v) = 4 v sum exp(-v^2 pi^2 (n - 1/2)^2): at small v it needs many terms."""
    v = np.array([0.03, 0.1, 0.3, 0.59, 0.61, 1.0, 3.0])
    series = [
        4 * mpf(x) * mpmath.nsum(lambda n, x=x: mp.exp(-((mpf(x) * mp.pi * (n - mpf(1) / 2)) ** 2)), [1, 400])
        for x in v
    ]
    assert relative(NAMED_ACTIVATIONS["tanh"].mixture.density(v), series) < 5e-15


@pytest.mark.parametrize(("name", "critical"), [("tanh", mpf(1)), ("algebraic", mpf(1)), ("erf", None)])
def test_distance_from_the_transition(name, critical):
    """sigma_w^2 f'(0)^2 - 1 of a float sigma_w is known to full precision, at the very next float too."""
    with mp.workdps(60):
        critical = critical or mp.sqrt(mp.pi) / 2
        centre = float(critical)
        sigma_w = [np.nextafter(centre, 0), np.nextafter(centre, 2), centre * (1 + 1e-6), centre * (1 - 1e-6), 0.0, 1e3]
        if name == "erf":  # no float is exactly at sqrt(pi)/2
            sigma_w.append(centre)
        expected = [(mpf(s) / critical) ** 2 - 1 for s in sigma_w]
        assert relative(NAMED_ACTIVATIONS[name].excess(np.array(sigma_w)), expected) < 1e-15
    if name != "erf":
        assert NAMED_ACTIVATIONS[name].excess(np.array(1.0)) == 0.0


def test_reading_an_activation():
    tanh = NAMED_ACTIVATIONS["tanh"]
    assert as_activation("tanh") is tanh
    assert as_activation(tanh) is tanh
    assert as_activation(np.tanh) is tanh
    assert as_activation(special.erf) is NAMED_ACTIVATIONS["erf"]
    assert as_activation(own_tanh) is as_activation(own_tanh)
    assert tanh.guaranteed
    assert not as_activation(own_tanh).guaranteed
    assert repr(tanh) == "Activation(name='tanh')"
    assert isinstance(as_activation((np.tanh, lambda r: 1 / np.cosh(r) ** 2)), Activation)


@pytest.mark.parametrize("bad", [None, 3.0, (), (np.tanh,), [np.tanh, np.cosh]])
def test_what_is_no_activation(bad):
    with pytest.raises(ValueError, match="activation must be a name, a callable f"):
        as_activation(bad)


def test_functions_of_one_name_are_not_confused():
    """Results are kept per function object: two lambdas look the same as text."""
    steep, flat = as_activation(lambda r: np.tanh(3.0 * r)), as_activation(lambda r: np.tanh(0.5 * r))
    assert steep.name == flat.name
    assert relative([steep.slope, flat.slope], [3.0, 0.5]) < 1e-12


def test_derivative_left_out():
    r = np.array([0.0, 1e-6, 1e-3, 0.1, 1.0, 4.0])
    found = as_activation(own_tanh)
    assert abs(found.slope - 1.0) < 1e-12
    assert np.max(np.abs(found.derivative(r) - 1 / np.cosh(r) ** 2)) < 1e-9
    assert np.max(np.abs(found.deficit(r) - (np.tanh(r) - r / np.cosh(r) ** 2))) < 1e-9
    assert np.max(np.abs(found.one_minus_ratio(r[1:]) - (1 - np.tanh(r[1:]) / r[1:]))) < 1e-12
    assert found.one_minus_ratio(np.array([0.0]))[0] == 0.0


@pytest.mark.parametrize("slope", [1.0, -1.0, 3.0, 0.3, 1e-6, 1e3])
def test_slope_is_exact_where_f_keeps_its_digits(slope):
    for f in (np.tanh, lambda x: x / (1.0 + np.abs(x)), lambda x: np.clip(x, -1.0, 1.0)):
        assert as_activation(lambda r, f=f: f(slope * r)).slope == slope


def test_slope_where_f_loses_its_digits():
    """1 - exp(-r) is 0 at the smallest radii; its slope comes from larger ones."""
    assert as_activation(lambda r: 1.0 - np.exp(-r)).slope == pytest.approx(1.0, rel=1e-10)


def test_given_derivative_is_used():
    exact = as_activation((np.tanh, lambda r: 1 / np.cosh(r) ** 2))
    assert exact.slope == 1.0
    assert exact.derivative(np.array(0.7)) == 1 / np.cosh(0.7) ** 2


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_slope_of_a_function_on_another_scale(scale):
    assert as_activation(lambda r: np.tanh(scale * r)).slope == pytest.approx(scale, rel=1e-3)
    assert as_activation(lambda r: -np.arcsinh(r)).slope == pytest.approx(-1.0, rel=1e-12)


def soft(r):
    return r / (1.0 + r)


@pytest.mark.parametrize("name", [*NAMED_ACTIVATIONS, "soft"])
def test_activations_can_be_sent_to_another_process(name):
    activation = as_activation(soft if name == "soft" else name)
    again = pickle.loads(pickle.dumps(activation))
    r = np.linspace(0.0, 3.0, 7)
    np.testing.assert_array_equal(again.value(r), activation.value(r))
    np.testing.assert_array_equal(again.derivative(r), activation.derivative(r))
    assert again.guaranteed == activation.guaranteed
    assert again is activation  # in this process it is known already, from the user's function alone


def test_jumps_are_found_and_nothing_else():
    """By bisection, whatever the function does elsewhere; a jump makes the mean squared Jacobian infinite."""
    jumps = {
        1.0: lambda r: np.where(r < 1.0, r, 2.0),
        0.7: lambda r: np.where(r < 0.7, r, 0.2),
        1e-3: lambda r: np.where(r < 1e-3, r, 1e-3 * np.tanh(r)),
        3.0: lambda r: np.tanh(r) + 0.01 * (r > 3.0),
    }
    for at, f in jumps.items():
        assert as_activation(f).jump == pytest.approx(at, rel=1e-12)
    smooth = (
        lambda r: np.minimum(r, 1.0),
        lambda r: np.tanh(1e4 * r),
        lambda r: np.sin(200.0 * r),
        lambda r: np.tanh(r).astype(np.float32),
        lambda r: r / (1.0 + r),
        lambda r: -np.tanh(r),
    )
    assert [as_activation(f).jump for f in (*smooth, "tanh", "saturated")] == [None] * 8
    scales = depth_scales([0.5, 1.2], "U(1)", jumps[1.0])
    assert scales.chi_jacobian.tolist() == [0.25, np.inf]
    assert scales.chi_jacobian_minus_one.tolist() == [-0.75, np.inf]


def test_what_makes_a_slope_vanish():
    """Too few digits or a threshold, a factor as in Eq. (61), or the function itself."""
    told = {
        "f is 0 up to r = 2.4e-08; has it too few digits, or a threshold": lambda r: np.tanh(r).astype(np.float16),
        r"f is 0 up to r = 1.0e\+00; has it too few digits, or a threshold": lambda r: np.maximum(r - 1.0, 0.0),
        "leave out a factor that keeps from a division by zero": lambda r: np.tanh(r) * r / (r + 1e-8),
        r"got f'\(0\) = 0$": lambda r: np.tanh(r) ** 3,
    }
    for text, f in told.items():
        with pytest.raises(ValueError, match=text):
            as_activation(f)
