"""The Gram matrix of one input becomes isotropic: closed forms, integrals in the plane, sampled capsules."""

import numpy as np
import pytest
from scipy import special, stats

from meanfield import depth_scales, length_map, matrix_gram_map
from meanfield.anisotropy import anisotropy_trajectory

from .independent import FUNCTIONS, own_tanh

GRAM = np.array([[0.5, 0.1, 0.0], [0.1, 0.3, 0.02], [0.0, 0.02, 0.05]])
NAMES = ["tanh", "erf", "algebraic", "saturated", "linear"]


@pytest.mark.parametrize("ratio", [1.0, 0.3, 1e-3, 1e-12, 0.0])
def test_saturated_capsules_in_the_plane(ratio):
    """E x_1^2/r^2 = a/(a + b) for standard deviations a and b."""
    found = anisotropy_trajectory(1, np.diag([0.4, 0.4 * ratio]), 1.3, "O(2)", "saturated").gram[1]
    b = np.sqrt(ratio)
    np.testing.assert_allclose(np.diag(found), [1 / (1 + b), b / (1 + b)], rtol=1e-12)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
@pytest.mark.parametrize("sigma_w", [0.5, 4.0, 300.0])
def test_capsules_in_the_plane(name, sigma_w):
    """By a sum over angles and a sum over log r of the anisotropic Gaussian itself."""
    variances = sigma_w**2 * np.array([0.7, 0.2])
    angle = 2 * np.pi * np.arange(200) / 200
    rate = np.cos(angle) ** 2 / (2 * variances[0]) + np.sin(angle) ** 2 / (2 * variances[1])
    x = np.linspace(np.log(1e-9), np.log(15.0 * sigma_w), 3000)
    r = np.exp(x)
    radial = (r**2 * FUNCTIONS[name](r) ** 2 * (x[1] - x[0])) @ np.exp(-np.multiply.outer(r**2, rate))
    density = radial / (200 * np.sqrt(np.prod(variances)))
    expected = [density @ np.cos(angle) ** 2, density @ np.sin(angle) ** 2]
    found = anisotropy_trajectory(1, np.diag([0.7, 0.2]), sigma_w, "O(2)", name).gram[1]
    np.testing.assert_allclose(np.diag(found), expected, rtol=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_sampled_capsules(name):
    rng = np.random.default_rng(0)
    x = 1.5 * rng.normal(size=(200_000, 3)) @ np.linalg.cholesky(GRAM).T
    r = np.sqrt(np.sum(x**2, axis=1, keepdims=True))
    phi = FUNCTIONS[name](r) * x / r
    products = phi[:, :, None] * phi[:, None, :]
    found = anisotropy_trajectory(1, GRAM, 1.5, "O(3)", name).gram[1].values
    assert np.max(np.abs(products.mean(axis=0) - found) / stats.sem(products, axis=0)) < 5.0


@pytest.mark.parametrize("ratio", [1e-20, 1e-30, 1e-36, 1e-40, 1e-100, 1e-300])
def test_saturated_capsules_that_are_all_but_flat(ratio):
    """Each eigenvalue to its own last digits: sqrt(ratio)/(1 + sqrt(ratio)), and Carlson's integral R_D for k = 3."""
    found = anisotropy_trajectory(2, np.diag([ratio, 1.0]), 1.3, "O(2)", "saturated").gram.values
    for layer in (1, 2):
        ratio = np.sqrt(ratio)
        np.testing.assert_allclose(np.diag(found[layer]), [ratio / (1 + ratio), 1 / (1 + ratio)], rtol=1e-12)
    three = np.array([1.0, ratio, np.sqrt(ratio)])
    found = anisotropy_trajectory(1, np.diag(three), 1.3, "O(3)", "saturated").gram.values[1]
    a = 1 / three
    expected = [special.elliprd(*np.delete(a, i), a[i]) * np.prod(np.sqrt(a)) / 3 for i in range(3)]
    np.testing.assert_allclose(np.diag(found), expected, rtol=1e-12)


def test_what_rounding_leaves_of_a_zero_is_zero():
    """A capsule on a line or in a plane stays there, whatever its direction: no square root of 1e-17 widens it."""
    x = np.random.default_rng(2).normal(size=(3, 2))
    for features, spread in ((x[:, :1], 6.0), (x, 1.5)):
        path = anisotropy_trajectory(60, features @ features.T, 1.3, "O(3)", "saturated")
        assert float(path.anisotropy[60]) == pytest.approx(spread, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_against_the_map_of_several_inputs(name):
    """Its integral for an input and itself, turned, is over two mixtures of f/r, where this one has one of (f/r)^2."""
    g = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    path = anisotropy_trajectory(2, GRAM, 2.5, "O(3)", name)
    gram = np.array([[GRAM, GRAM @ g.T], [g @ GRAM, g @ GRAM @ g.T]])
    for layer in (1, 2):
        gram = matrix_gram_map(gram, 2.5, "O(3)", name)
        np.testing.assert_allclose(path.gram[layer], gram[0, 1] @ g, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(path.gram[layer], gram[0, 0], rtol=1e-12, atol=1e-13)


def test_the_shape_stays_below_the_transition():
    """Where c vanishes a layer is linear, and T stays as it is: at 1e-120, 1e-160, and when c has underflowed."""
    g = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    own = np.diag([1.0, 2.0, 3.0])
    gram = np.array([[own, own @ g.T], [g @ own, g @ own @ g.T]])
    for _ in range(40):  # until sigma_w^2 c is 1e-24
        gram = matrix_gram_map(gram, 0.5, "O(3)")
    t = 3 * gram[0, 1] @ g / np.trace(gram[0, 1] @ g) - np.eye(3)
    path = anisotropy_trajectory(1200, own, 0.5, "O(3)")
    np.testing.assert_allclose(path.anisotropy[40:], np.trace(t @ t), rtol=1e-11)
    np.testing.assert_allclose(path.c[101:500] / path.c[100:499].values, 0.25, rtol=1e-14)
    assert path.c[1200] == 0.0
    linear = anisotropy_trajectory(1200, own, 0.5, "O(3)", "linear")
    np.testing.assert_allclose(linear.anisotropy, 0.5, rtol=1e-14)
    np.testing.assert_allclose(linear.c[:500], 6 * 0.25 ** np.arange(500.0), rtol=1e-14)


def test_a_linear_network_that_explodes():
    path = anisotropy_trajectory(1200, np.diag([1.0, 2.0, 3.0]), 3.0, "O(3)", "linear")
    np.testing.assert_allclose(path.anisotropy, 0.5, rtol=1e-14)
    np.testing.assert_allclose(path.c[:300], 6 * 9.0 ** np.arange(300.0), rtol=1e-13)
    np.testing.assert_array_equal(path.gram[1200], np.diag(np.full(3, np.inf)))


@pytest.mark.parametrize("k", [12, 48])
@pytest.mark.parametrize("name", NAMES[:4])
@pytest.mark.parametrize("sigma_w", [1.5, 1e3])
def test_large_capsules(sigma_w, name, k):
    """Determinants there overflow."""
    path = anisotropy_trajectory(2, np.eye(k), sigma_w, f"O({k})", name)
    c = length_map(k, sigma_w, f"O({k})", name)
    np.testing.assert_allclose(path.c[1:], [c, length_map(c, sigma_w, f"O({k})", name)], rtol=1e-12)


@pytest.mark.parametrize(("symmetry", "name"), [("O(2)", "erf"), ("O(3)", "tanh"), ("O(6)", "saturated")])
def test_it_relaxes_with_chi_gram(symmetry, name):
    k = int(symmetry[2])
    path = anisotropy_trajectory(60, np.diag(np.linspace(0.2, 0.8, k)), 1.5, symmetry, name)
    factor = np.sqrt(path.anisotropy[60] / path.anisotropy[59])
    scales = depth_scales(1.5, symmetry, name)
    assert float(factor) == pytest.approx(float(scales.chi_gram), rel=1e-5)
    assert float(path.c[60]) == pytest.approx(float(scales.fixed_point.c), rel=1e-5)
    c, gram = path.c.values[3], path.gram.values[3]
    t = k / c * gram - np.eye(k)
    assert float(path.anisotropy[3]) == pytest.approx(np.trace(t @ t), rel=1e-10)


def test_the_group_acts_on_the_path():
    g, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    plain, turned = (anisotropy_trajectory(4, m, 1.5).gram.values for m in (GRAM, g @ GRAM @ g.T))
    np.testing.assert_allclose(turned, g @ plain @ g.T, atol=1e-14)


def test_the_result():
    path = anisotropy_trajectory(2, GRAM, 0.0)
    np.testing.assert_array_equal(path.c[1:], 0.0)
    np.testing.assert_array_equal(path.anisotropy[1:], 0.0)
    assert dict(path.sizes) == {"layer": 3, "row": 3, "column": 3}
    assert path.attrs == {"symmetry": "O(3)", "activation": "tanh", "sigma_w": 0.0}
    assert all(path[name].attrs["long_name"] for name in path.data_vars)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symmetry": "U(1)"}, "whose capsules can stay anisotropic; got"),
        ({"symmetry": "O(1)"}, "whose capsules can stay anisotropic; got"),
        ({"gram": np.eye(2)}, r"gram must have shape \(3, 3\), got \(2, 2\)"),
        ({"gram": GRAM + np.triu(GRAM, 1)}, "gram must be symmetric"),
        ({"gram": np.diag([1.0, 1.0, -0.1])}, "gram must have a diagonal >= 0, got -0.1"),
        ({"gram": np.zeros((3, 3))}, "gram must not be zero"),
        ({"gram": np.full((3, 3), np.nan)}, "gram must be finite"),
        ({"activation": own_tanh}, "activation must be one of the named ones"),
        ({"sigma_w": 1e150, "gram": np.eye(3)}, r"sigma_w\^2 c must be at most 1e\+300, got 3e\+300"),
        ({"sigma_w": [1.0, 2.0]}, r"sigma_w must be one number, got shape \(2,\)"),
        ({"depth": 1.5}, "depth must be an integer >= 0, got 1.5"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        anisotropy_trajectory(**({"depth": 2, "gram": GRAM, "sigma_w": 1.5} | options))
