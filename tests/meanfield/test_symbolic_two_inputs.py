"""The correlation map in all its forms, against averages without Bessel functions or Laguerre polynomials."""

import mpmath
import numpy as np
import pytest
from scipy import integrate, special
from sympy import Integral, Symbol, erf, exp, lambdify, simplify, sqrt, tanh

from meanfield.symbolic import (
    angular_average,
    as_function,
    correlation_coefficient,
    correlation_map_series,
    correlation_series,
    two_inputs,
    two_inputs_any_dimension,
)
from meanfield.symbolic.correlation_series import hille_hardy_residual
from meanfield.symbolic.symbols import D, Delta, c, f, phi, r, rho, s, sigma_w
from meanfield.symbolic.two_inputs import even_cosine_integral, kappa, u1, u2
from meanfield.symbolic.two_inputs_any_dimension import sphere_moment

HERMITE, HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
HERMITE_WEIGHTS = HERMITE_WEIGHTS / HERMITE_WEIGHTS.sum()


def sampled_plane(function, level, magnitude, gain, angle):
    """E phi(z_1) phi(z_2)^dagger for U(1), on a grid of four real Gaussians; C_12 = magnitude * exp(i angle)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    x, y = np.meshgrid(nodes, nodes, indexing="ij")
    plane, density = (x + 1j * y).ravel() / np.sqrt(2), np.outer(weights, weights).ravel()
    width = np.sqrt(gain * level)
    share = magnitude / level
    first = width * plane[:, None]
    second = share * np.exp(-1j * angle) * first + width * np.sqrt(1 - share**2) * plane[None, :]
    product = function(abs(first)) / abs(first) * first * np.conj(function(abs(second)) / abs(second) * second)
    return density @ product @ density


def sampled_capsules(function, scale, share, dimension):
    """E f(r_1) f(r_2) cos(omega), with x_2 given x_1: a component along x_1 and the radius of the others."""
    half = dimension / 2
    t, weights = special.roots_genlaguerre(60, half - 1)
    first = np.sqrt(2 * scale * t / dimension)[:, None, None]
    width = np.sqrt(scale / dimension * (1 - share**2))
    along = share * first + width * HERMITE[None, :, None]
    if dimension == 1:
        across, across_weights = np.zeros(1), np.ones(1)
    else:
        t2, across_weights = special.roots_genlaguerre(40, half - 1.5)
        across, across_weights = width * np.sqrt(2 * t2), across_weights / across_weights.sum()
    second = np.sqrt(along**2 + across[None, None, :] ** 2)
    product = function(first) * function(second) / second * along
    return np.einsum("i,j,k,ijk->", weights / weights.sum(), HERMITE_WEIGHTS, across_weights, product)


def on_grid(integral, *, upper=7.0, nodes=120, **numbers):
    """A double integral over u_1, u_2 by Gauss-Legendre, the integrand lambdified."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    x, w = upper * (x + 1) / 2, upper * w / 2
    integrand = lambdify((u1, u2), integral.function.subs(numbers), "scipy")
    return w @ integrand(x[:, None], x[None, :]) @ w


def in_numbers(expression, numbers, function):
    """Prefactor times double integral, with f filled in."""
    (integral,) = expression.atoms(Integral)
    prefactor = float((expression / integral).subs(numbers))
    return prefactor * on_grid(integral.replace(f, function).subs(numbers))


@pytest.mark.parametrize(("function", "numeric"), [(tanh, np.tanh), (erf, special.erf)])
def test_paper_eq_49_against_a_grid_of_complex_gaussians(function, numeric):
    expression = two_inputs()[49].expression.rhs
    found = in_numbers(expression, {c: 0.5, Delta: 0.3, sigma_w: 1.1}, function)
    expected = sampled_plane(numeric, 0.5, 0.3, 1.1**2, 0.8)
    assert found == pytest.approx(abs(expected), rel=1e-7)
    # Eq. (43): the phase comes back as it went in.
    assert np.angle(expected) == pytest.approx(0.8, abs=1e-7)


def test_paper_eq_47_agrees_with_eq_49():
    expression = two_inputs()[47].expression.rhs
    (integral,) = expression.atoms(Integral)
    numbers = {c: 0.5, Delta: 0.3, sigma_w: 1.1}
    r1, r2 = (limits[0] for limits in integral.limits)
    renamed = integral.replace(f, tanh).subs(numbers).function.subs({r1: u1, r2: u2})
    value = float((expression / integral).subs(numbers)) * on_grid(Integral(renamed, (u1, 0, 1), (u2, 0, 1)), upper=5.0)
    assert value == pytest.approx(abs(sampled_plane(np.tanh, 0.5, 0.3, 1.1**2, 0.0)), rel=1e-7)


def test_the_exponent_peaks_at_the_phase_of_the_covariance():
    form = two_inputs()[46].expression.rhs
    numbers = {c: 0.5, Delta: 0.3, phi: 0.8, Symbol("r_1", positive=True): 1.0, Symbol("r_2", positive=True): 0.7}
    difference = np.linspace(-np.pi, np.pi, 20001)
    angles = Symbol("theta_1", real=True), Symbol("theta_2", real=True)
    values = lambdify(angles, form.subs(numbers))(difference, 0.0)
    assert difference[np.argmin(values)] == pytest.approx(0.8, abs=1e-3)


def test_the_inverse_and_the_density():
    numbers = {c: 0.5, Delta: 0.3, phi: 0.8}
    matrix = np.array([[0.5, 0.3 * np.exp(0.8j)], [0.3 * np.exp(-0.8j), 0.5]])
    found = lambdify((c, Delta, phi), two_inputs()[44].expression.rhs)(*numbers.values())
    assert np.allclose(found, np.linalg.inv(matrix), rtol=1e-13)
    density = two_inputs()[45].expression.rhs
    at_zero = float(density.subs(Symbol(r"Z^\dagger C^{-1} Z"), 0).subs({**numbers, sigma_w: 1.1}))
    assert at_zero == pytest.approx(1 / (np.pi**2 * 1.1**4 * np.linalg.det(matrix).real), rel=1e-13)


def test_the_angular_integral():
    equation = two_inputs()["47a"].expression
    numeric = integrate.quad(lambda d: np.cos(d) * np.exp(1.7 * np.cos(d)), 0, 2 * np.pi)[0]
    assert float(equation.rhs.subs(kappa, 1.7)) == pytest.approx(numeric, rel=1e-12)
    for m in range(4):
        moment = integrate.quad(lambda d, m=m: np.cos(d) ** (2 * m + 2), 0, 2 * np.pi)[0]
        assert float(even_cosine_integral(m)) == pytest.approx(moment, rel=1e-12)


def test_the_angular_integral_to_forty_digits():
    with mpmath.workdps(40):
        value = lambdify(kappa, two_inputs()["47a"].expression.rhs, "mpmath")(mpmath.mpf("2.3"))
        numeric = (
            mpmath.quad(lambda d: mpmath.cos(d) * mpmath.exp(mpmath.mpf("2.3") * mpmath.cos(d)), [0, mpmath.pi]) * 2
        )
        assert abs(value - numeric) < mpmath.mpf(10) ** -37


@pytest.mark.parametrize("dimension", [2, 3, 6])
def test_the_angular_average_on_a_sphere(dimension):
    def mean(g):
        weighted = integrate.quad(lambda w: g(np.cos(w)) * np.sin(w) ** (dimension - 2), 0, np.pi)[0]
        return weighted / integrate.quad(lambda w: np.sin(w) ** (dimension - 2), 0, np.pi)[0]

    value = float(angular_average(kappa, dimension).subs(kappa, 1.3))
    assert value == pytest.approx(mean(lambda x: x * np.exp(1.3 * x)), rel=1e-12)
    assert float(sphere_moment(2).subs(D, dimension)) == pytest.approx(mean(lambda x: x**6), rel=1e-12)


def test_linear_networks_keep_every_correlation():
    assert simplify(two_inputs()["49a"].expression.rhs - sigma_w**2 * Delta) == 0


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_the_correlation_map_in_any_dimension(dimension):
    expression = two_inputs_any_dimension()[49].expression.rhs.subs(D, dimension)
    found = in_numbers(expression, {s: 0.6, rho: 0.55}, tanh)
    assert found == pytest.approx(sampled_capsules(np.tanh, 0.6, 0.55, dimension), rel=1e-7)


def test_the_classical_correlation_map():
    expression = two_inputs_any_dimension()["49a"].expression.rhs
    found = in_numbers(expression, {s: 0.6, rho: -0.55}, tanh)
    assert found == pytest.approx(sampled_capsules(np.tanh, 0.6, -0.55, 1), rel=1e-7)


def test_the_two_capsule_density_is_normalised():
    density = two_inputs_any_dimension()[46].expression.rhs
    numbers = {D: 2, s: 0.6, rho: 0.4}
    radii = Symbol("r_1", positive=True), Symbol("r_2", positive=True)
    function = lambdify((*radii, Symbol("omega", real=True)), density.subs(numbers))
    x, w = np.polynomial.legendre.leggauss(60)
    radius, radius_weight = 3 * (x + 1), 3 * w
    angle, angle_weight = np.pi * (x + 1), np.pi * w
    values = function(radius[:, None, None], radius[None, :, None], angle[None, None, :])
    shell = 2 * np.pi * radius * radius_weight
    total = np.einsum("i,j,k,ijk->", shell, radius * radius_weight, angle_weight, values)
    assert total == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_the_series_against_capsules(dimension):
    partial = correlation_map_series("tanh", 8, dimension)
    function = as_function(partial, s, rho, digits=15)
    assert function(0.6, 0.4) == pytest.approx(sampled_capsules(np.tanh, 0.6, 0.4, dimension), rel=1e-7)
    # Odd in rho, and every term left out has the sign of rho.
    assert function(0.6, -0.4) == -function(0.6, 0.4)
    fewer = as_function(correlation_map_series("tanh", 2, dimension), s, rho, digits=15)
    assert fewer(0.6, 0.9) < function(0.6, 0.9)


def test_the_series_sums_to_the_length_map():
    level = as_function(correlation_map_series("tanh", 7, 2), s, rho, digits=15)(0.2, 1.0)
    radial = integrate.quad(lambda u: 2 * u * np.exp(-(u**2)) * np.tanh(u * np.sqrt(0.2)) ** 2, 0, 9)[0]
    assert level == pytest.approx(radial, rel=1e-9)


def test_coefficients_for_unequal_norms():
    # Two different s: a_n(s_1) a_n(s_2) replaces a_n^2 (erf at D = 1, where the map is an arcsine).
    a = [as_function(correlation_coefficient(n, "erf", 1), s, digits=15) for n in range(9)]
    value = sum(float(x(0.3)) * float(x(0.5)) * 0.4 ** (2 * n + 1) for n, x in enumerate(a))
    exact = 2 / np.pi * np.arcsin(2 * 0.4 * np.sqrt(0.15) / np.sqrt((1 + 0.6) * (1 + 1.0)))
    assert value == pytest.approx(exact, rel=1e-9)


def test_the_first_coefficient_is_chi_delta():
    # a_0^2 = < r f >^2/s; for f = 1 and D = 3 that is 8/(3 pi).
    value = as_function(correlation_coefficient(0, "saturated", 3) ** 2, s)(0.7)
    assert value == pytest.approx(8 / (3 * np.pi), rel=1e-14)
    overlap = two_inputs()["49b"].expression.rhs.replace(f, tanh)
    value = as_function(overlap, s, sigma_w)(0.6, 1.3)
    mean = integrate.quad(lambda u: 2 * u * np.exp(-(u**2)) * u * np.sqrt(0.6) * np.tanh(u * np.sqrt(0.6)), 0, 9)[0]
    assert value == pytest.approx(mean**2 * 1.3**2 / 0.6**2, rel=1e-9)


def test_a_linear_activation_has_one_coefficient():
    assert simplify(correlation_coefficient(0, "linear", 2).doit()) == sqrt(s)
    assert simplify(correlation_coefficient(3, "linear", 2).doit()) == 0


def test_hille_hardy_formula():
    assert hille_hardy_residual(3) == 0


def test_the_kernel_of_the_series_against_mpmath():
    # Eq. (49c) at numbers, summed to convergence.
    equation = correlation_series()["49c"].expression
    x, y, w, nu = 0.7, 1.9, 0.3, 1.5
    names = {"x": x, "y": y, "w": w, "nu": nu}
    numbers = {symbol: names[symbol.name] for symbol in equation.rhs.free_symbols}
    left = sum(
        mpmath.factorial(n) / mpmath.gamma(n + nu + 1) * mpmath.laguerre(n, nu, x) * mpmath.laguerre(n, nu, y) * w**n
        for n in range(40)
    )
    assert float(equation.rhs.subs(numbers)) == pytest.approx(float(left), rel=1e-12)


def test_bad_input():
    with pytest.raises(ValueError, match="n must be an integer >= 0, got -1"):
        correlation_coefficient(-1)
    with pytest.raises(ValueError, match="terms must be an integer >= 1, got 0"):
        correlation_map_series("tanh", 0)
    with pytest.raises(ValueError, match="dimension must be an integer >= 1 or a symbol, got -2"):
        correlation_map_series("tanh", 2, -2)
    with pytest.raises(ValueError, match="activation must be one of"):
        correlation_coefficient(0, "gelu")


def test_any_expression_in_r_may_be_used():
    custom = as_function(correlation_coefficient(0, r * exp(-(r**2)), 2), s)(0.5)
    mean = integrate.quad(lambda u: 2 * u * np.exp(-(u**2)) * 0.5 * u**2 * np.exp(-0.5 * u**2), 0, 9)[0]
    assert custom == pytest.approx(mean / np.sqrt(0.5), rel=1e-12)
