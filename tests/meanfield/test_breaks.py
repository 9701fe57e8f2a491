"""Where functions break: kinks and jumps are found to the digit, and smooth functions have none."""

import numpy as np
import pytest
from scipy import special

from meanfield import as_activation
from meanfield.breaks import find_breaks
from tests.meanfield.independent import toothed

BROKEN = {
    "kink": (lambda r: np.minimum(r, 1.0), [1.0], 1e-12),
    "weak kink": (lambda r: np.where(r < 1.0, r, 1.0 + (1.0 - 1e-5) * (r - 1.0)), [1.0], 1e-8),
    "negative": (lambda r: -np.minimum(3.0 * r, 2.0), [2.0 / 3.0], 1e-12),
    "at a grid point": (lambda r: np.minimum(r, 0.1) + np.minimum(r, 10.0), [0.1, 10.0], 1e-12),
    "far": (lambda r: np.minimum(r, 777.0), [777.0], 1e-12),
    "small": (lambda r: np.minimum(r, 1e-6) + 0.1 * np.tanh(r), [1e-6], 1e-12),
    "second derivative": (lambda r: np.where(r < 1.5, r - r * r / 6.0, 1.125 + (r - 1.5) / 2.0), [1.5], 1e-6),
    "jump": (lambda r: np.where(r < 0.7, r, 0.2), [0.7], 1e-14),
    "close": (lambda r: (np.minimum(r, 1.0) + np.minimum(r, 1.05) + np.minimum(r, 1.1)) / 3.0, [1.0, 1.05, 1.1], 1e-12),
    "box": (lambda r: r / 2.0 + ((r > 1.0) & (r < 1.01)), [1.0, 1.01], 1e-14),
    "many": (
        lambda r: np.interp(r, 0.15 * np.arange(20), np.tanh(0.15 * np.arange(20))),
        0.15 * np.arange(1, 20),
        1e-10,
    ),
    "cusp": (lambda r: r / (1.0 + r) + np.sqrt(np.maximum(r - 1.0, 0.0)) / (1.0 + r), [1.0], 1e-12),
    "both": (lambda r: np.minimum(r, 1.0) + (r > 2.0), [1.0, 2.0], 1e-12),
}
SMOOTH = {
    "tanh": np.tanh,
    "steep": lambda r: np.tanh(1e4 * r),
    "linear": lambda r: np.array(r),
    "erf": special.erf,
    "rational": lambda r: r / (1.0 + r),
    "logarithm": np.log1p,
    "overshooting": lambda r: np.tanh(r + 2.0 * r**3),
    "losing its digits": lambda r: 1.0 - np.exp(-r),
    "oscillating": lambda r: r / (1.0 + r**4) * np.cos(5.0 * r),
    "falling": lambda r: r * np.exp(-r * r),
    "float32": lambda r: np.tanh(r).astype(np.float32),
}


@pytest.mark.parametrize("name", BROKEN)
def test_breaks_are_found(name):
    function, radii, tolerance = BROKEN[name]
    found = find_breaks(function)
    assert len(found.all) == len(radii)
    for radius in radii:
        assert np.abs(found.all / radius - 1.0).min() < tolerance
    assert len(found.jumps) == {"jump": 1, "both": 1, "box": 2}.get(name, 0)


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_functions_have_none(name):
    assert find_breaks(SMOOTH[name]).all.size == 0


def test_a_given_derivative_is_looked_at_too():
    """The second derivative jumps by too little for f to show it: f' does."""

    def f(r):
        return np.tanh(r) + 1e-4 * np.maximum(r - 1.3, 0.0) ** 2 / (1.0 + r * r)

    def slope(r):
        over = np.maximum(r - 1.3, 0.0)
        return 1.0 / np.cosh(r) ** 2 + 1e-4 * (2.0 * over / (1.0 + r * r) - 2.0 * r * (over / (1.0 + r * r)) ** 2)

    assert as_activation(f).breaks == ()
    assert as_activation((f, slope)).breaks == pytest.approx((1.3,), rel=1e-6)


def test_a_break_is_counted_once():
    """f and f' show the same kinks, f' more sharply."""
    kinks = np.linspace(0.5, 5.0, 12)

    def f(r):
        return r - 0.08 * np.maximum(r[..., None] - kinks, 0.0).sum(axis=-1)

    def slope(r):
        return 1.0 - 0.08 * (r[..., None] > kinks).sum(axis=-1)

    np.testing.assert_allclose(as_activation((f, slope)).breaks, kinks, rtol=1e-15)
    np.testing.assert_allclose(as_activation(f).breaks, kinks, rtol=1e-11)


def test_too_many_are_not_followed():
    activation, found = as_activation(toothed), find_breaks(toothed).all
    assert len(found) > 32
    assert activation.more_breaks
    assert activation.breaks == tuple(found[:32])
    assert not as_activation(BROKEN["both"][0]).more_breaks


@pytest.mark.parametrize("r", [0.0, 0.2, 0.97, 1.03, 1.3, 5.0])
def test_derivatives_stay_on_their_side(r):
    """Found from f, also next to a kink and to a jump."""
    kinked = as_activation(lambda r: np.where(r < 1.0, np.sin(r), np.cos(r - 1.0)))
    exact = np.cos(r) if r < 1.0 else -np.sin(r - 1.0)
    assert kinked.derivative(np.array([r]))[0] == pytest.approx(exact, abs=1e-9)
