"""Gaussian integrals with symbolic coefficients, one real variable at a time.

Everything in the path integral is of this kind: the weights, the response field z-hat and, given the order parameter,
the preactivations themselves. Complex variables enter through their real and imaginary parts.
"""

from __future__ import annotations

from sympy import Expr, I, Poly, Symbol, cancel, expand, pi, sqrt, together
from sympy.core.singleton import S


def gaussian_integral(exponent: Expr, *variables: Symbol) -> tuple[Expr, Expr]:
    """Integrate exp(exponent) over real variables, each from -oo to oo, by completing the square.

    int dx exp(-A x^2 + B x + C) = sqrt(pi/A) exp(B^2/(4 A) + C)

    The exponent must be quadratic in every variable, with A > 0; B may be complex.

    Returns
    -------
    amplitude, exponent
        The integral is amplitude * exp(exponent).

    Raises
    ------
    ValueError
        If the exponent is not quadratic in a variable.
    """
    amplitude = S.One
    for x in variables:
        poly = Poly(expand(exponent), x)
        if poly.degree() != 2:
            raise ValueError(f"exponent must be quadratic in {x}, got degree {poly.degree()}")
        A, B, C = -poly.coeff_monomial(x**2), poly.coeff_monomial(x), poly.coeff_monomial(1)
        amplitude *= pi / cancel(A)
        exponent = expand(cancel(together(B**2 / (4 * A) + C)))
    return sqrt(cancel(amplitude)), exponent


class ComplexVariable:
    """A complex number given by two real symbols, so that Gaussian integrals and moduli are polynomials."""

    def __init__(self, name: str) -> None:
        self.re = Symbol(f"{name}_x", real=True)
        self.im = Symbol(f"{name}_y", real=True)

    @property
    def value(self) -> Expr:
        return self.re + I * self.im

    @property
    def conjugate(self) -> Expr:
        return self.re - I * self.im

    @property
    def modulus_squared(self) -> Expr:
        return self.re**2 + self.im**2

    @property
    def parts(self) -> tuple[Symbol, Symbol]:
        return self.re, self.im
