"""What the symbolic functions refuse, and how they say it."""

import re

import pytest
from sympy import Eq, Symbol

from meanfield.symbolic import (
    angular_average,
    as_function,
    closed_forms,
    correlation_coefficient,
    correlation_map_series,
    even_moment,
    fixed_point_series,
    isotropic_average,
    length_map_series,
    susceptibility_series,
    taylor_coefficients,
)

X = Symbol("x")
DIMENSION = "dimension must be an integer >= 1 or a symbol, got "


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (length_map_series, (None,), "activation must be a sympy expression, got None"),
        (length_map_series, (abs,), "activation must be a sympy expression, got <built-in function abs>"),
        (length_map_series, ("tanh", 1.5), "order must be an integer >= 1, got 1.5"),
        (length_map_series, ("tanh", 2, "D"), DIMENSION + "'D'"),
        (fixed_point_series, ("tanh", "2"), "order must be an integer >= 1, got '2'"),
        (susceptibility_series, ("chi_c", "tanh", 0), "order must be an integer >= 1, got 0"),
        (correlation_coefficient, ("0",), "n must be an integer >= 0, got '0'"),
        (correlation_map_series, ("tanh", 0), "terms must be an integer >= 1, got 0"),
        (closed_forms, ("erf", [2]), DIMENSION + "[2]"),
        (closed_forms, ("linear", True), DIMENSION + "True"),
        (as_function, ("x", X), "expression must be a sympy expression, got 'x'"),
        (as_function, (Eq(X, 1), X), "expression must be a sympy expression, got Eq(x, 1)"),
        (lambda digits: as_function(X, X, digits=digits), ("20",), "digits must be an integer >= 15, got '20'"),
        (even_moment, (-1,), "m must be an integer >= 0, got -1"),
        (even_moment, (1, 0), DIMENSION + "0"),
        (isotropic_average, ("r",), "expression must be a sympy expression, got 'r'"),
        (angular_average, ("kappa",), "strength must be a sympy expression, got 'kappa'"),
        (angular_average, (X, -1), DIMENSION + "-1"),
        (taylor_coefficients, ("generic", 0), "count must be an integer >= 1, got 0"),
        (taylor_coefficients, ("tanh", "a"), "count must be an integer >= 1, got 'a'"),
    ],
)
def test_refused(function, arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        function(*arguments)


def test_numbers_are_expressions():
    assert angular_average(2.0, 3).is_number
    assert as_function(3 * X / X, digits=15)() == 3.0
