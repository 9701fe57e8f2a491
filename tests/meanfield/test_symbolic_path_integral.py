"""The path integral against integrals done numerically."""

import numpy as np
import pytest
from scipy import integrate
from sympy import Abs, I, Symbol, exp, expand, lambdify, symbols, tanh

from meanfield.symbolic import path_integral
from meanfield.symbolic.gaussian import ComplexVariable, gaussian_integral
from meanfield.symbolic.path_integral import weights_integrated
from meanfield.symbolic.symbols import N, c, c_next, f, sigma_w


def test_gaussian_integral_against_quadrature():
    a, b, x = symbols("a b x")
    amplitude, exponent = gaussian_integral(-a * x**2 + b * x + 1, x)
    answer = complex((amplitude * exp(exponent)).subs({a: 1.3, b: 0.4 + 0.7j}))

    def integrand(t):
        return np.exp(-1.3 * t**2 + (0.4 + 0.7j) * t + 1)

    real = integrate.quad(lambda t: integrand(t).real, -12, 12)[0]
    imaginary = integrate.quad(lambda t: integrand(t).imag, -12, 12)[0]
    assert answer == pytest.approx(real + 1j * imaginary, abs=1e-10)


def test_gaussian_integral_of_two_coupled_variables():
    x, y, b = symbols("x y b")
    amplitude, exponent = gaussian_integral(-2 * x**2 - 3 * y**2 + 2 * x * y + b * x, x, y)
    matrix = np.array([[2.0, -1.0], [-1.0, 3.0]])
    assert float(amplitude) == pytest.approx(np.pi / np.sqrt(np.linalg.det(matrix)), rel=1e-14)
    assert float(exponent.subs(b, 1.7)) == pytest.approx(1.7**2 * np.linalg.inv(matrix)[0, 0] / 4, rel=1e-14)


def test_gaussian_integral_wants_a_quadratic():
    x = Symbol("x")
    with pytest.raises(ValueError, match="exponent must be quadratic in x, got degree 1"):
        gaussian_integral(3 * x, x)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_weights_of_a_whole_layer(width):
    exponent, quartic = weights_integrated(width)
    assert expand(exponent - quartic) == 0
    # The average of exp(-i (z-hat^dagger W phi + h.c.)) over complex W is exp(-E|z-hat^dagger W phi|^2).
    rng = np.random.default_rng(7)
    zhat, phi = rng.normal(size=(2, width, 2))
    numbers = {Symbol("sigma_w", positive=True): 1.4}
    for i in range(width):
        for name, value in ((rf"\hat{{z}}_{i}", zhat[i]), (f"a_{i}", phi[i])):
            numbers |= dict(zip(ComplexVariable(name).parts, value, strict=True))
    variance = 1.4**2 / width * np.sum(zhat**2) * np.sum(phi**2)
    assert float(exponent.subs(numbers)) == pytest.approx(-variance, rel=1e-12)


def test_the_literal_hermitian_conjugate_would_flip_the_quartic_term():
    # i (z W phi) + h.c. with the conjugate of the i as well: the integral over one weight grows instead of decaying.
    weight, zhat, phi = ComplexVariable("W"), ComplexVariable("z"), ComplexVariable("a")
    term = I * zhat.conjugate * weight.value * phi.value
    literal = expand(-term + I * zhat.value * weight.conjugate * phi.conjugate)
    _, exponent = gaussian_integral(-N / sigma_w**2 * weight.modulus_squared + literal, *weight.parts)
    assert expand(exponent - sigma_w**2 / N * zhat.modulus_squared * phi.modulus_squared) == 0


def test_one_weight_against_quadrature():
    right = path_integral()["29a"].expression.rhs
    width, scale, coupling = 5, 1.3, 0.8 + 0.5j  # coupling = conj(z-hat) phi
    variance = scale**2 / width / 2  # of each part of W

    def integrand(y, x):
        density = np.exp(-(x**2 + y**2) / (2 * variance)) / (2 * np.pi * variance)
        return density * np.cos(2 * (coupling * (x + 1j * y)).real)

    numeric = integrate.dblquad(integrand, -5, 5, -5, 5, epsabs=1e-10)[0]
    moduli = right.atoms(Abs)
    assert len(moduli) == 2  # |z-hat_i| and |phi(z_j)|, whose product is |coupling|
    numbers = dict(zip(moduli, (abs(coupling), 1), strict=True))
    assert float(right.subs(numbers).subs({N: width, sigma_w: scale})) == pytest.approx(numeric, abs=1e-9)


def test_the_density_of_the_next_layer():
    # Eq. (33) at c-hat = 0, for one unit: the log density of a complex Gaussian with E|z|^2 = sigma_w^2 c.
    action = path_integral()[33].expression.rhs.subs({N: 1, Symbol(r"\hat{c}", real=True): 0}).doit()
    (modulus,) = action.atoms(Abs)
    density = lambdify(modulus, exp(action.subs({sigma_w: 1.2, c: 0.6})))
    total = integrate.quad(lambda r: 2 * np.pi * r * density(r), 0, 12)[0]
    second = integrate.quad(lambda r: 2 * np.pi * r**3 * density(r), 0, 12)[0]
    assert total == pytest.approx(1, abs=1e-10)
    assert second == pytest.approx(1.2**2 * 0.6, abs=1e-10)


def test_the_length_map_integral_evaluates():
    equation = path_integral()[34].expression
    assert equation.lhs == c_next
    mapped = lambdify((sigma_w, c), equation.rhs.replace(f, tanh), "scipy")(1.5, 0.4)
    # In polar coordinates, paper Eq. (8).
    radial = integrate.quad(lambda u: 2 * u * np.exp(-(u**2)) * np.tanh(u * 1.5 * np.sqrt(0.4)) ** 2, 0, 10)[0]
    assert mapped == pytest.approx(radial, abs=1e-7)


def test_the_saddle_point_is_the_length_map():
    c_hat, length_map = path_integral()["34b"].expression
    assert c_hat.rhs == 0
    assert str(length_map.rhs) == f"F({length_map.lhs.name.replace('{l}', '{l-1}')})"


def test_the_order_parameter_of_a_finite_layer_fluctuates_as_stated():
    density = path_integral()["34c"].expression.rhs
    numbers = {Symbol("F", positive=True): 0.5, Symbol("V", positive=True): 0.08, N: 16}
    function = lambdify(c_next, density.subs(numbers))
    moments = [integrate.quad(lambda x, n=n: function(x) * (x - 0.5) ** n, -1, 2)[0] for n in range(3)]
    assert moments == pytest.approx([1, 0, 0.08 / 16], abs=1e-9)
