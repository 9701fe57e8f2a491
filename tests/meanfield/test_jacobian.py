import numpy as np
import pytest
from scipy import special
from scipy.integrate import quad

import meanfield as mf
from meanfield.jacobian import jacobian_trajectory

# ---- one layer, against other integrals -----------------------------------------------------------------------------

DERIVATIVES = {
    "tanh": (np.tanh, lambda r: 1.0 / np.cosh(r) ** 2),
    "erf": (special.erf, lambda r: 2.0 / np.sqrt(np.pi) * np.exp(-(r**2))),
    "algebraic": (lambda r: r / np.sqrt(1.0 + r**2), lambda r: (1.0 + r**2) ** -1.5),
}


def average(g, dimension, d):
    """<g(r)> over r = |z|, z Gaussian in R^D with E|z|^2 = d: adaptive quadrature of the chi distribution."""
    scale = np.sqrt(d / dimension)
    norm = 2.0 ** (1.0 - dimension / 2.0) / special.gamma(dimension / 2.0)

    def integrand(x):
        return norm * x ** (dimension - 1) * np.exp(-(x**2) / 2.0) * g(scale * x)

    edges = [1e-12, 1.0 / (1.0 + scale), 3.0, 40.0]
    return sum(quad(integrand, *edges[i : i + 2], epsabs=0, epsrel=1e-12, limit=200)[0] for i in range(3))


@pytest.mark.parametrize("d_0", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("symmetry", ["O(1)", "U(1)", "generic(3)", "O(8)"])
@pytest.mark.parametrize("name", sorted(DERIVATIVES))
def test_amplitude_and_angular_part_against_adaptive_quadrature(name, symmetry, d_0):
    f, derivative = DERIVATIVES[name]
    k = mf.as_symmetry(symmetry).capsule_dimension
    one = jacobian_trajectory(0, 1.7, d_0, symmetry, name).isel(layer=0)
    amplitude = 1.7**2 / k * average(lambda r: derivative(r) ** 2, k, d_0)
    angular = 1.7**2 * (k - 1) / k * average(lambda r: (f(r) / r) ** 2, k, d_0)
    np.testing.assert_allclose(one.amplitude, amplitude, rtol=1e-11)
    np.testing.assert_allclose(one.angular, angular, rtol=1e-11)
    np.testing.assert_allclose(one.chi_jacobian, amplitude + angular, rtol=1e-11)


@pytest.mark.parametrize("symmetry", ["O(1)", "U(1)", "O(4)"])
@pytest.mark.parametrize("sigma_w", [0.8, 1.5, 3.0])
def test_chi_is_how_fast_nearly_identical_inputs_part(symmetry, sigma_w):
    """|phi(z_1) - phi(z_2)|^2 = 2 c (1 - rho): chi_J = c'(1 - rho')/(c (1 - rho)) by the correlation map, Eq. (12)."""
    pair = mf.trajectory(6, sigma_w, c=0.3, one_minus_rho=1e-12, symmetry=symmetry)
    apart = (pair.c * pair.one_minus_rho).values
    chi = jacobian_trajectory(5, sigma_w, sigma_w**2 * 0.3, symmetry).chi_jacobian
    np.testing.assert_allclose(chi, apart[1:] / apart[:-1], rtol=1e-9)


# ---- along the layers, in closed form -------------------------------------------------------------------------------


def algebraic_layers(depth, sigma_w, d):
    """d^l and chi_J^l for f(r) = r/sqrt(1 + r^2), D = 2: averages of (1 + d t)^-n over t ~ Exp(1)."""
    out = []
    for _ in range(depth + 1):
        first, third = (np.exp(1.0 / d) * special.expn(n, 1.0 / d) / d for n in (1, 3))
        out.append((d, sigma_w**2 / 2.0 * (first + third)))
        d = sigma_w**2 * (1.0 - first)
    return np.array(out).T


@pytest.mark.parametrize("symmetry", ["U(1)", "O(2)", "generic(2)"])
@pytest.mark.parametrize("sigma_w", [1.5, 3.0])
def test_algebraic_activation_in_closed_form(sigma_w, symmetry):
    run = jacobian_trajectory(8, sigma_w, 0.7, symmetry, "algebraic")
    d, chi = algebraic_layers(8, sigma_w, 0.7)
    np.testing.assert_allclose(run.d, d, rtol=1e-11)
    np.testing.assert_allclose(run.chi_jacobian, chi, rtol=1e-11)
    np.testing.assert_allclose(run.norm, [np.prod(chi[:layer]) for layer in range(9)], rtol=1e-11)
    generic = [d[0]] + [d[1] * np.prod(chi[1:layer]) for layer in range(1, 9)]
    np.testing.assert_allclose(run.protected, generic if symmetry == "generic(2)" else d, rtol=1e-11)


def test_saturated_capsules_of_three_components():
    """f = 1: c = 1, and <1/r^2> = 3/d in three dimensions, so chi_J is 2 from layer 1 on whatever sigma_w is."""
    sigma_w, d_0 = 1.3, 0.4
    for symmetry in ("O(3)", "generic(3)"):
        run = jacobian_trajectory(5, sigma_w, d_0, symmetry, "saturated")
        growth = np.array([2.0 * sigma_w**2 / d_0, 2.0, 2.0, 2.0, 2.0, 2.0])
        assert np.all(run.amplitude == 0.0)
        np.testing.assert_allclose(run.angular, growth, rtol=1e-12)
        np.testing.assert_allclose(run.norm, np.cumprod([1.0, *growth[:-1]]), rtol=1e-12)
        later = np.full(5, 2.0) if symmetry == "O(3)" else 2.0 ** np.arange(1, 6)
        np.testing.assert_allclose(run.protected, [2.0 * d_0, *sigma_w**2 * later], rtol=1e-12)


def test_saturated_capsules_with_infinite_averages():
    """<1/r^2> diverges for D = 2; at D = 1, f jumps. The component that the symmetry protects stays finite."""
    for symmetry in ("O(1)", "U(1)", "generic(2)"):
        run = jacobian_trajectory(3, 1.5, 1.0, symmetry, "saturated")
        assert np.all(np.isinf(run.chi_jacobian))
        assert np.all(np.isinf(run.norm[1:]))
    np.testing.assert_allclose(jacobian_trajectory(3, 1.5, 1.0, "U(1)", "saturated").protected, [1.0, *[2.25] * 3])
    generic = jacobian_trajectory(3, 1.5, 1.0, "generic(2)", "saturated").protected
    np.testing.assert_allclose(generic, [1.0, 2.25, np.inf, np.inf])


@pytest.mark.parametrize("symmetry", ["O(3)", "generic(3)"])
@pytest.mark.parametrize(("sigma_w", "d_0"), [(1e-200, 1.0), (1e-100, 5e-324), (1e-3, 1e-300), (1e100, 1e-200)])
def test_saturated_networks_know_no_scale(symmetry, sigma_w, d_0):
    """f = 1: chi_J = 2 from layer 1 on in three dimensions, also where d = sigma_w^2 underflows; logarithms go on."""
    run = jacobian_trajectory(4, sigma_w, d_0, symmetry, "saturated")
    np.testing.assert_allclose(run.chi_jacobian[1:], 2.0, rtol=1e-13)
    first = np.log(2.0) + 2.0 * np.log(sigma_w) - np.log(d_0)
    np.testing.assert_allclose(run.log_norm, [0.0, *(first + np.log(2.0) * np.arange(4))], rtol=1e-13)
    np.testing.assert_array_equal(run.amplitude, 0.0)
    np.testing.assert_allclose(run.log_d, [np.log(d_0), *[2.0 * np.log(sigma_w)] * 4], rtol=1e-13)
    growth = np.log(2.0) * (np.arange(1, 5) if symmetry == "generic(3)" else 1.0)
    np.testing.assert_allclose(run.log_protected[1:], 2.0 * np.log(sigma_w) + growth, rtol=1e-13)


@pytest.mark.parametrize("symmetry", ["O(1)", "U(1)"])
def test_saturated_networks_with_infinite_averages_at_small_sigma_w(symmetry):
    run = jacobian_trajectory(2, 1e-200, 1.0, symmetry, "saturated")
    assert np.all(np.isinf(run.chi_jacobian))
    assert np.all(np.isinf(run.log_norm[1:]))


def test_the_logarithms_go_on_where_sigma_w_squared_underflows():
    run = jacobian_trajectory(3, 1e-200, symmetry="O(3)")
    np.testing.assert_allclose(np.diff(run.log_norm)[1:], 2.0 * np.log(1e-200), rtol=1e-14)
    np.testing.assert_array_equal(run.norm, [1.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("symmetry", ["U(1)", "O(5)", "generic(5)"])
@pytest.mark.parametrize("sigma_w", [0.5, 3.0])
def test_linear_networks_to_any_depth(sigma_w, symmetry):
    run = jacobian_trajectory(2000, sigma_w, 0.3, symmetry, "linear")
    k = mf.as_symmetry(symmetry).capsule_dimension
    growth = 2.0 * np.arange(2001) * np.log(sigma_w)
    np.testing.assert_allclose(run.log_norm, growth, rtol=1e-12)
    np.testing.assert_allclose(run.log_protected, np.log((k - 1) * 0.3) + growth, rtol=1e-12)
    np.testing.assert_allclose(run.log_d, np.log(0.3) + growth, rtol=1e-12)
    end = 0.0 if sigma_w < 1.0 else np.inf
    assert run.norm[-1] == run.protected[-1] == run.d[-1] == end


@pytest.mark.parametrize("symmetry", ["U(1)", "generic(3)"])
def test_below_the_transition_everything_dies_alike(symmetry):
    """At |z| -> 0 a layer is linear: all factors are sigma_w^2."""
    run = jacobian_trajectory(1000, 0.5, symmetry=symmetry)
    for name in ("log_d", "log_norm", "log_protected"):
        np.testing.assert_allclose(np.diff(run[name])[100:], 2.0 * np.log(0.5), rtol=1e-12, err_msg=name)
    assert run.norm[-1] == 0.0


def test_no_weights_at_all():
    run = jacobian_trajectory(2, 0.0, 0.5)
    np.testing.assert_array_equal(run.protected, [0.5, 0.0, 0.0])
    np.testing.assert_array_equal(run.norm, [1.0, 0.0, 0.0])
    assert not any(np.isnan(run[name]).any() for name in run)


# ---- the table ------------------------------------------------------------------------------------------------------


def test_axes_are_spanned_by_the_arguments():
    run = jacobian_trajectory(3, [0.5, 1.0, 1.5], [0.1, 1.0], "generic(3)")
    assert run.chi_jacobian.dims == ("layer", "sigma_w", "d_0")
    assert all(run[name].attrs["long_name"] for name in run)
    for sigma_w in run.sigma_w:
        for d_0 in run.d_0:
            one = jacobian_trajectory(3, sigma_w.item(), d_0.item(), "generic(3)")
            for name in run:
                values = run[name].sel(sigma_w=sigma_w, d_0=d_0)
                np.testing.assert_allclose(values, one[name], rtol=1e-13, atol=1e-15, err_msg=name)


def test_one_component_has_no_rotations():
    assert "protected" not in jacobian_trajectory(3, 1.5, symmetry="O(1)")


def test_a_users_activation():
    own = jacobian_trajectory(5, 1.5, 0.7, "generic(3)", lambda r: np.tanh(r))
    named = jacobian_trajectory(5, 1.5, 0.7, "generic(3)", "tanh")
    np.testing.assert_allclose(own.log_norm, named.log_norm, atol=1e-9)
    np.testing.assert_allclose(own.log_protected, named.log_protected, atol=1e-9)
    assert np.all(own.error_estimate < 1e-8)
    assert "error_estimate" not in named


def test_a_users_activation_with_a_kink():
    def ramp(r):
        return np.minimum(r, 1.0)

    run = jacobian_trajectory(1, 1.5, activation=(ramp, lambda r: 1.0 * (r < 1.0)))
    exact = 1.5**2 / 2.0 * (2.0 * (1.0 - np.exp(-1.0)) + special.exp1(1.0))  # r^2 = t ~ Exp(1) at d = 1
    assert run.chi_jacobian[0] == pytest.approx(exact, rel=1e-12)
    assert np.all(run.error_estimate < 1e-10)


def test_where_f_jumps_the_jacobian_is_infinite_but_for_what_is_protected():
    run = jacobian_trajectory(3, 1.5, activation=lambda r: np.where(r < 1.0, r, 0.5))
    assert np.all(np.isinf(run.chi_jacobian))
    assert np.all(np.isinf(run.log_norm[1:]))
    np.testing.assert_allclose(run.protected, run.d, rtol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": -1}, "depth must be an integer >= 0, got -1"),
        ({"depth": 2.5}, "depth must be an integer >= 0, got 2.5"),
        ({"sigma_w": -1.0}, "sigma_w must be >= 0, got -1"),
        ({"sigma_w": 0.0, "activation": "saturated"}, "sigma_w must be > 0, got 0"),
        ({"sigma_w": [[1.0]]}, r"sigma_w must be a number or one-dimensional, got shape \(1, 1\)"),
        ({"d": 0.0}, "d must be > 0, got 0"),
        ({"d": float("nan")}, "d must be finite, got nan"),
        ({"symmetry": "U(3)"}, r"symmetry must be 'U\(1\)'.*got 'U\(3\)'"),
        ({"activation": "relu"}, "activation must be one of.*got 'relu'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        jacobian_trajectory(**({"depth": 2, "sigma_w": 1.5} | arguments))
