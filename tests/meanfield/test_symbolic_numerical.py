"""From expressions to arrays."""

import numpy as np
import pytest
from sympy import Integral, Symbol, exp, oo, sqrt

from meanfield.symbolic import as_function, closed_forms
from meanfield.symbolic.symbols import s, sigma_w

x = Symbol("x", positive=True)
y = Symbol("y", positive=True)


def test_arrays_broadcast():
    function = as_function(x + 2 * y, x, y)
    out = function(np.array([[1.0], [2.0]]), np.array([10.0, 20.0, 30.0]))
    assert out.dtype == float
    assert out.tolist() == [[21.0, 41.0, 61.0], [22.0, 42.0, 62.0]]


def test_extra_digits_survive_cancellation():
    # (sqrt(1 + x) - 1)/x at x = 1e-17 is 1/2; in float64 it is 0.
    assert as_function((sqrt(1 + x) - 1) / x, x)(1e-17) == pytest.approx(0.5, rel=1e-12)


def test_cancelling_closed_form_at_small_s():
    # chi_c of the algebraic activation tends to sigma_w^2 as s to 0: 1 - 2 * 2 * s * ... stays close to one.
    chi_c = as_function(closed_forms("algebraic", 2).chi_c, s, sigma_w, digits=40)
    assert chi_c(1e-6, 1.0) == pytest.approx(1 - 4e-6, abs=1e-10)


def test_integrals_and_infinities():
    assert as_function(Integral(exp(-x * y), (y, 0, oo)), x)(4.0) == pytest.approx(0.25, rel=1e-14)
    assert as_function(oo * x, x)(1.0) == np.inf


def test_bad_input():
    with pytest.raises(ValueError, match="arguments must cover all symbols of the expression, missing y"):
        as_function(x + y, x)
    with pytest.raises(ValueError, match="digits must be an integer >= 15, got 3"):
        as_function(x, x, digits=3)
