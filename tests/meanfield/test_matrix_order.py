"""The matrix order parameter of O(k), against direct quadrature over directions and radii, and what it conserves."""

import numpy as np
import pytest

from meanfield import (
    correlation_map,
    depth_scales,
    fixed_point,
    length_map,
    matrix_correlation_map,
    matrix_gram_map,
    polar_factor,
    singular_value_map,
)
from tests.meanfield.independent import FUNCTIONS, hyperbolic_ratio

LEGENDRE = np.polynomial.legendre.leggauss


def on_interval(n, low, high):
    x, w = LEGENDRE(n)
    return low + (high - low) * (1 + x) / 2, (high - low) / 2 * w


def circle(n):
    angle = 2 * np.pi * (np.arange(n) + 0.5) / n
    return np.stack([np.cos(angle), np.sin(angle)], axis=1), np.full(n, 2 * np.pi / n)


def sphere(n):
    z, w = LEGENDRE(n)
    flat, v = circle(2 * n)
    root = np.sqrt(1 - z * z)
    points = np.concatenate([root[:, None, None] * flat, np.broadcast_to(z[:, None, None], (n, 2 * n, 1))], axis=2)
    return points.reshape(-1, 3), np.multiply.outer(w, v).ravel()


def by_quadrature(covariance, k, f, directions, radii=44):
    """E phi(x_1) phi(x_2)^T for a 2k x 2k covariance: a sum over directions of both capsules and both radii."""
    precision = np.linalg.inv(covariance)
    points, weights = directions
    end = 9.0 * np.sqrt(np.linalg.eigvalsh(covariance)[-1])
    r, w = on_interval(radii, 0.0, end)
    radial = np.multiply.outer(w * r ** (k - 1) * f(r), w * r ** (k - 1) * f(r))
    squares = [np.einsum("ni,ij,nj->n", points, precision[i : i + k, i : i + k], points) for i in (0, k)]
    cross = points @ precision[:k, k:] @ points.T
    total = np.zeros((k, k))
    for i, point in enumerate(points):
        first = np.exp(-0.5 * squares[0][i] * r * r)
        second = np.exp(-0.5 * np.multiply.outer(squares[1], r * r))
        mixed = np.exp(-cross[i][:, None, None] * np.multiply.outer(r, r))
        inner = np.einsum("nab,ab,a,nb->n", mixed, radial, first, second, optimize=True)
        total += np.multiply.outer(weights[i] * point, (weights * inner) @ points)
    return total / np.sqrt(np.linalg.det(2 * np.pi * covariance))


def two_inputs(k, own, other, cross):
    return np.block([[own, cross], [cross.T, other]])


def blocks(own, other, cross):
    return np.array([[own, cross], [cross.T, other]])


def rotation(rng, k):
    q, r = np.linalg.qr(rng.normal(size=(k, k)))
    return q * np.sign(np.diag(r))


def from_features(first, second):
    """The Gram matrix of x_1 = first z and x_2 = second z for independent z: of any rank."""
    return blocks(first @ first.T, second @ second.T, first @ second.T)


def within_errors(gram, sigma_w, f, rng):
    """E phi(x_1) phi(x_2)^T by 4e6 sampled pairs of capsules, and its standard error; gram may be singular."""
    k = gram.shape[-1]
    power, axes = np.linalg.eigh(sigma_w**2 * gram.transpose(0, 2, 1, 3).reshape(2 * k, 2 * k))
    root = axes * np.sqrt(np.maximum(power, 0.0))
    total, square, samples = np.zeros((k, k)), np.zeros((k, k)), 0
    for _ in range(8):
        z = (rng.normal(size=(500_000, 2 * k)) @ root.T).reshape(-1, 2, k)
        radius = np.linalg.norm(z, axis=2, keepdims=True)
        phi = f(radius) / radius * z
        product = phi[:, 0, :, None] * phi[:, 1, None, :]
        total, square, samples = total + product.sum(0), square + (product**2).sum(0), samples + len(z)
    mean = total / samples
    return mean, np.sqrt((square / samples - mean**2) / samples)


def double_exponential():
    """Nodes and weights on (0, 1), for integrands that are singular, or nearly so, at the ends."""
    tau = 0.0125 * np.arange(-248, 249)
    x = 1 / (1 + np.exp(-np.pi * np.sinh(tau)))
    return x, 0.0125 * np.pi * np.cosh(tau) * x / (1 + np.exp(np.pi * np.sinh(tau)))


def saturated_from_2_features(first, second):
    """E x_1 x_2^T/(r_1 r_2), O(2), over the directions of z in R^2, between those that an x_a is smallest in."""
    nodes, weights = double_exponential()
    smallest = [np.linalg.svd(matrix)[2][1] for matrix in (first, second)]
    low, middle = np.sort([np.arctan2(y, x) % np.pi for x, y in smallest])
    total = np.zeros((2, 2))
    for start, end in ((low, middle), (middle, low + np.pi)):
        angle = start + (end - start) * nodes
        x, y = (matrix @ np.stack([np.cos(angle), np.sin(angle)]) for matrix in (first, second))
        total += (end - start) * (x / np.linalg.norm(x, axis=0) * weights) @ (y / np.linalg.norm(y, axis=0)).T
    return total / np.pi


def saturated_from_3_features(first, second):
    """E x_1 x_2^T/(r_1 r_2), O(2), over the directions of z in R^3; the poles are the null vector of first.

    Along a meridian x_1 has one direction, and x_2 is p + t q with t the cotangent of the polar angle: smallest at t_0,
    around which the integral is a trapezoidal sum over s, t = t_0 + width sinh(s). The integral over the meridians runs
    from the one of width 0 to the same one.
    """
    axes = np.linalg.svd(first)[2]
    turned, q = second @ axes[:2].T, second @ axes[2]
    across = turned.T @ [q[1], -q[0]]
    start = np.arctan2(-across[0], across[1])
    total = np.zeros((2, 2))
    for share, weight in zip(*double_exponential(), strict=True):
        direction = np.array([np.cos(start + np.pi * share), np.sin(start + np.pi * share)])
        x, p = first @ axes[:2].T @ direction, turned @ direction
        width = np.linalg.norm(across) * np.sin(np.pi * min(share, 1 - share)) / (q @ q)
        middle, end = -(p @ q) / (q @ q), np.arcsinh(1e9 / width)
        s, step = np.linspace(-end, end, int(40 * end * (1 + abs(middle))), retstep=True)
        t = middle + width * np.sinh(s)
        measure = weight * step * (1 + t * t) ** -1.5 / np.linalg.norm(q)
        total += np.multiply.outer(x / np.linalg.norm(x), measure.sum() * p + (measure @ t) * q)
    return total / 2


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
@pytest.mark.parametrize(("rho", "sigma_w"), [((0.6, 0.2), 1.5), ((0.5, -0.4), 0.8), ((0.7, 0.0), 2.5)])
def test_singular_values_for_k_2(rho, sigma_w, name):
    """Arbitrary singular values to 1e-8, k = 2: over two circles and two radii."""
    c = 0.8
    singular = np.array(rho) * c / 2
    covariance = sigma_w**2 * two_inputs(2, np.eye(2) * c / 2, np.eye(2) * c / 2, np.diag(singular))
    expected = by_quadrature(covariance, 2, FUNCTIONS[name], circle(40))
    found = singular_value_map(singular, c, sigma_w, "O(2)", name)
    np.testing.assert_allclose(found, np.diag(expected), rtol=1e-8, atol=1e-12)
    assert abs(expected[0, 1]) < 1e-12  # reflections forbid it: the singular vectors are conserved


@pytest.mark.parametrize("name", ["tanh", "algebraic"])
def test_singular_values_for_k_3(name):
    """Arbitrary singular values to 1e-8, k = 3: over two spheres and two radii."""
    c, sigma_w = 0.8, 1.2
    singular = np.array([0.45, 0.2, -0.3]) * c / 3
    covariance = sigma_w**2 * two_inputs(3, np.eye(3) * c / 3, np.eye(3) * c / 3, np.diag(singular))
    expected = by_quadrature(covariance, 3, FUNCTIONS[name], sphere(12), radii=28)
    found = singular_value_map(singular, c, sigma_w, "O(3)", name)
    np.testing.assert_allclose(found, np.diag(expected), rtol=1e-8)
    np.testing.assert_allclose(expected - np.diag(np.diag(expected)), 0.0, atol=1e-12)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "saturated", "linear"])
@pytest.mark.parametrize("k", [1, 2, 3, 8, 48])
def test_equal_singular_values_are_the_scalar_map(k, name):
    """S = (Delta/k) 1 is the correlation map, to 1e-12, up to S = c/k, which is the length map."""
    for sigma_w in (1e-3, 1.0, 1.5, 30.0, 1e3):
        for rho in (1e-12, 0.5, 0.99, 1 - 1e-9, 1.0):
            new = singular_value_map(np.full(k, rho * 0.7 / k), 0.7, sigma_w, f"O({k})", name)
            expected = correlation_map(rho * 0.7, 0.7, sigma_w, f"O({k})", name)
            np.testing.assert_allclose(new, expected / k, rtol=1e-12)
    same = singular_value_map(np.full(k, 0.7 / k), 0.7, 1.5, f"O({k})", name)
    np.testing.assert_allclose(same.sum(), length_map(0.7, 1.5, f"O({k})", name), rtol=1e-13)


@pytest.mark.parametrize("k", [2, 3, 5, 16])
def test_small_components_decay_by_chi_delta(k):
    """All k^2 components of a small Q, whatever its shape, shrink by one factor: any k."""
    rng = np.random.default_rng(0)
    scales = depth_scales(1.5, f"O({k})")
    q = rng.normal(size=(k, k)) * 1e-9
    new = matrix_correlation_map(q, scales.fixed_point.c, 1.5, f"O({k})")
    np.testing.assert_allclose(new, scales.chi_delta * q, rtol=1e-9, atol=1e-22)


def test_the_group_acts_on_either_side():
    """Q -> g_1 Q g_2^T commutes with the map; so the polar factor U V^T is conserved, reflections included."""
    rng = np.random.default_rng(1)
    for k in (2, 3, 4):
        c = float(fixed_point(1.5, f"O({k})").c)
        q = rotation(rng, k) @ np.diag(rng.uniform(0.1, 0.9, k)) @ rotation(rng, k).T * c / k
        left, right = rotation(rng, k), rotation(rng, k) @ np.diag([-1.0] + [1.0] * (k - 1))
        image = matrix_correlation_map(q, c, 1.5, f"O({k})")
        turned = matrix_correlation_map(left @ q @ right.T, c, 1.5, f"O({k})")
        np.testing.assert_allclose(turned, left @ image @ right.T, atol=1e-15)
        deep = q
        for _ in range(20):
            deep = matrix_correlation_map(deep, c, 1.5, f"O({k})")
        np.testing.assert_allclose(polar_factor(deep), polar_factor(q), atol=1e-9)
        np.testing.assert_allclose(polar_factor(left @ q @ right.T), left @ polar_factor(q) @ right.T, atol=1e-13)


def test_largest_singular_value_decreases():
    """Relative to c/k, strictly, unless f is linear: there is no fixed point but Q = 0."""
    rng = np.random.default_rng(2)
    for k, sigma_w, name in ((2, 1.5, "tanh"), (3, 4.0, "erf"), (5, 1.2, "algebraic"), (3, 1.0, "saturated")):
        c = rng.uniform(0.2, 2.0, 40)
        rho = rng.uniform(-1, 1, (40, k))
        new = singular_value_map(rho * c[:, None] / k, c, sigma_w, f"O({k})", name)
        new_rho = k * new / length_map(c, sigma_w, f"O({k})", name)[:, None]
        assert np.all(np.abs(new_rho).max(axis=1) < np.abs(rho).max(axis=1))
        np.testing.assert_array_equal(np.sign(new_rho), np.sign(rho))
    linear = singular_value_map(rho * c[:, None] / 3, c, 1.3, "O(3)", "linear")
    np.testing.assert_allclose(linear, 1.69 * rho * c[:, None] / 3, rtol=1e-13)


@pytest.mark.parametrize("name", ["tanh", "erf", "saturated"])
@pytest.mark.parametrize("k", [2, 3])
def test_whole_gram_matrix_with_isotropic_blocks(k, name):
    """The map of 2k x 2k matrices gives what the map of singular values gives, and the length map on the diagonal."""
    rng = np.random.default_rng(3)
    c, one = 0.7, np.eye(k) * 0.7 / k
    singular = np.array([1 - 1e-6, 0.4, 0.1])[:k] * c / k
    q = rotation(rng, k) @ np.diag(singular) @ rotation(rng, k).T
    new = matrix_gram_map(blocks(one, one, q), 1.5, f"O({k})", name)
    np.testing.assert_allclose(new[0, 1], matrix_correlation_map(q, c, 1.5, f"O({k})", name), rtol=1e-11, atol=1e-14)
    np.testing.assert_array_equal(new[1, 0], new[0, 1].T)
    np.testing.assert_allclose(new[0, 0], np.eye(k) * length_map(c, 1.5, f"O({k})", name) / k, atol=1e-14)


@pytest.mark.parametrize("name", ["tanh", "algebraic"])
def test_anisotropic_blocks_for_k_2(name):
    """Nothing isotropic: two different diagonal blocks and a full Q, to 1e-8 over two circles and two radii."""
    own = np.array([[0.9, 0.2], [0.2, 0.4]])
    other = np.array([[0.3, -0.1], [-0.1, 0.5]])
    cross = np.array([[0.2, 0.15], [-0.1, 0.1]])
    expected = by_quadrature(1.44 * two_inputs(2, own, other, cross), 2, FUNCTIONS[name], circle(64))
    new = matrix_gram_map(blocks(own, other, cross), 1.2, "O(2)", name)
    np.testing.assert_allclose(new[0, 1], expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["tanh", "saturated"])
@pytest.mark.parametrize("ratio", [1.0, 0.1, 1e-3])
def test_anisotropy_of_one_input(ratio, name):
    """The own Gram matrix of an O(2) capsule with variances (1, ratio), radii integrated along each angle."""
    variances = np.array([1.0, ratio])
    points, weights = circle(1600)
    squeeze = 1 / np.sqrt(points**2 @ (1 / variances))  # r = squeeze * chi
    chi, w = on_interval(80, 0.0, 9.5)
    inner = (FUNCTIONS[name](np.multiply.outer(squeeze, chi)) ** 2 * chi * np.exp(-chi * chi / 2)) @ w
    density = weights * squeeze**2 * inner / (2 * np.pi * np.sqrt(ratio))
    expected = np.einsum("n,na,nb->ab", density, points, points)
    new = matrix_gram_map(np.diag(variances)[None, None], 1.0, "O(2)", name)[0, 0]
    np.testing.assert_allclose(np.diag(new), np.diag(expected), rtol=1e-11)
    np.testing.assert_allclose(new[0, 1], 0.0, atol=1e-15)


def test_a_capsule_with_one_live_component_is_one_dimensional():
    for name in ("tanh", "saturated"):
        own = np.diag([0.5, 0.0, 0.0])
        new = matrix_gram_map(own[None, None], 1.5, "O(3)", name)[0, 0]
        np.testing.assert_allclose(new, np.diag([length_map(0.5, 1.5, "O(1)", name), 0, 0]), atol=1e-14)
    np.testing.assert_array_equal(matrix_gram_map(np.zeros((2, 2, 3, 3)), 1.5, "O(3)"), 0.0)


ANISOTROPIC = np.array([[0.9, 0.2, 0.0], [0.2, 0.4, 0.1], [0.0, 0.1, 0.2]])
PLANE, LINE = np.array([[1.0, 0.4], [0.2, -0.5], [0.3, 0.1]]), np.array([[0.6], [-0.3], [0.7]])


@pytest.mark.parametrize(("name", "sigma_w"), [("tanh", 1.5), ("tanh", 100.0), ("saturated", 1.5)])
def test_identical_anisotropic_inputs_stay_identical(name, sigma_w):
    """Exactly, through forty layers, and with the opposite sign."""
    gram = blocks(ANISOTROPIC, ANISOTROPIC, ANISOTROPIC)
    opposite = blocks(ANISOTROPIC, ANISOTROPIC, -ANISOTROPIC)
    for _ in range(40):
        gram = matrix_gram_map(gram, sigma_w, "O(3)", name)
        opposite = matrix_gram_map(opposite, sigma_w, "O(3)", name)
        np.testing.assert_array_equal(gram, blocks(gram[0, 0], gram[0, 0], gram[0, 0]))
        np.testing.assert_array_equal(opposite, blocks(gram[0, 0], gram[0, 0], -gram[0, 0]))
    c = fixed_point(sigma_w, "O(3)", name).c
    np.testing.assert_allclose(gram[0, 0], np.eye(3) * c / 3, atol=1e-4)


@pytest.mark.parametrize("own", [ANISOTROPIC, PLANE @ PLANE.T, LINE @ LINE.T], ids=["full", "plane", "line"])
@pytest.mark.parametrize(("name", "sigma_w"), [("tanh", 1.5), ("tanh", 100.0), ("saturated", 1.5)])
def test_an_input_and_itself_turned(name, sigma_w, own):
    """Q = G g^T stays so to rounding, which does not grow; nor does the rank of G."""
    g = rotation(np.random.default_rng(10), 3)
    gram = blocks(own, g @ own @ g.T, own @ g.T)
    rank = np.linalg.matrix_rank(own)
    for _ in range(30):
        gram = matrix_gram_map(gram, sigma_w, "O(3)", name)
        np.testing.assert_allclose(gram[0, 1], gram[0, 0] @ g.T, atol=3e-14)
        np.testing.assert_allclose(gram[1, 1], g @ gram[0, 0] @ g.T, atol=3e-14)
        assert np.linalg.matrix_rank(gram[0, 0], tol=1e-13) == rank


@pytest.mark.parametrize("seed", range(3))
def test_two_saturated_inputs_of_three_features(seed):
    """A 4 x 4 covariance of rank 3, by an integral over the sphere."""
    first, second = np.random.default_rng(seed).normal(size=(2, 2, 3))
    new = matrix_gram_map(from_features(first, second), 1.5, "O(2)", "saturated")
    np.testing.assert_allclose(new[0, 1], saturated_from_3_features(first, second), atol=1e-13)


@pytest.mark.parametrize("small", [1.0, 1e-2, 1e-4, 1e-6])
def test_saturated_inputs_of_two_features(small):
    """Rank 2, x_2 a matrix times x_1, both of them nearly one-dimensional: by an integral over the circle."""
    rng = np.random.default_rng(6)
    squeeze = np.diag([1.0, small])
    first, second = rotation(rng, 2) @ squeeze, rotation(rng, 2) @ squeeze @ rotation(rng, 2)
    expected = saturated_from_2_features(first, second)
    new = matrix_gram_map(from_features(first, second), 1.5, "O(2)", "saturated")
    np.testing.assert_allclose(new[0, 1], expected, atol=1e-13)
    swapped = matrix_gram_map(from_features(second, first), 1.5, "O(2)", "saturated")
    np.testing.assert_allclose(swapped[0, 1], expected.T, atol=1e-13)


def test_saturated_capsules_on_lines():
    """Rank-1 blocks: u v^T (2/pi) arcsin rho, as accurate as the square root of 1 - rho lets it be."""
    rng = np.random.default_rng(7)
    for k in (1, 2, 3, 8):
        for gap in (1.0, 0.3, 1e-4, 1e-8, 1e-12, 0.0):
            u, v = rotation(rng, k)[0], rotation(rng, k)[0]
            gram = blocks(np.outer(u, u), 2.0 * np.outer(v, v), (1 - gap) * np.sqrt(2.0) * np.outer(u, v))
            new = matrix_gram_map(gram, 1.5, f"O({k})", "saturated")[0, 1]
            expected = 2 / np.pi * np.outer(u, v) * np.arcsin(1 - gap)
            np.testing.assert_allclose(new, expected, rtol=0, atol=2e-15 / np.sqrt(gap) if gap else 2e-15)


@pytest.mark.parametrize("rho", [(1.0, 0.4), (1.0, 0.4, 0.1), (-1.0, 1.0, 0.3), (1.0, 1 - 1e-9, 0.3)])
@pytest.mark.parametrize("name", ["tanh", "saturated"])
def test_isotropic_blocks_of_deficient_rank(rho, name):
    """The map of singular values, which needs no factor of the Gram matrix."""
    rng, k = np.random.default_rng(8), len(rho)
    one = np.eye(k) * 0.7 / k
    q = rotation(rng, k) @ np.diag(rho) @ rotation(rng, k).T * 0.7 / k
    new = matrix_gram_map(blocks(one, one, q), 1.5, f"O({k})", name)
    np.testing.assert_allclose(new[0, 1], matrix_correlation_map(q, 0.7, 1.5, f"O({k})", name), atol=2e-13)


def test_two_saturated_inputs_of_five_features_sampled():
    """A 6 x 6 covariance of rank 5, k = 3, within 4.5 standard errors of 4e6 sampled capsules."""
    rng = np.random.default_rng(9)
    gram = from_features(*rng.normal(size=(2, 3, 5)))
    mean, error = within_errors(gram, 1.5, np.ones_like, rng)
    new = matrix_gram_map(gram, 1.5, "O(3)", "saturated")
    assert np.all(np.abs(new[0, 1] - mean) < 4.5 * error)  # 9 numbers: passes by chance with probability 0.9999
    # the image is a Gram matrix again
    assert np.linalg.eigvalsh(new.transpose(0, 2, 1, 3).reshape(6, 6))[0] > -1e-14


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_the_image_of_anisotropic_inputs_is_taken_as_the_next_layers_input(name):
    """Components of a capsule span ten decades, so that rounding of the large ones exceeds the small ones' overlaps."""
    rng = np.random.default_rng(12)
    for _ in range(10):
        gram = from_features(*rng.normal(size=(2, 3, 3)) * 10.0 ** rng.uniform(-10, 0, (3, 1)))
        for _ in range(2):
            gram = matrix_gram_map(gram, 5.0, "O(3)", name)
        assert np.all(np.isfinite(gram))


@pytest.mark.parametrize("name", ["tanh", "saturated"])
def test_inputs_of_very_different_size(name):
    """Isotropic blocks: the correlation map at unequal norms, Eq. (12) with footnote 4."""
    for c_1, c_2 in ((1.4, 3e-21), (3e-21, 1.4)):
        q = 0.3 * np.sqrt(c_1 * c_2) * np.eye(2) / 2
        new = matrix_gram_map(blocks(np.eye(2) * c_1 / 2, np.eye(2) * c_2 / 2, q), 1.5, "O(2)", name)
        expected = correlation_map(2 * q[0, 0], (c_1, c_2), 1.5, "O(2)", name)
        np.testing.assert_allclose(new[0, 1], np.eye(2) * expected / 2, rtol=1e-12, atol=1e-14 * expected)


def test_a_small_overlap_keeps_its_digits():
    """The map is linear in a small Q, with anisotropic blocks too."""
    own, other = np.diag([0.9, 0.2]), np.array([[0.3, -0.1], [-0.1, 0.5]])
    cross = np.array([[0.2, 0.15], [-0.1, 0.1]])
    for name in ("tanh", "saturated"):
        one, half = (
            matrix_gram_map(blocks(own, other, size * cross), 1.2, "O(2)", name)[0, 1] / size for size in (1e-9, 5e-12)
        )
        np.testing.assert_allclose(one, half, rtol=1e-13)


@pytest.mark.parametrize(("sigma_w", "depth"), [(3.0, 120), (10.0, 60)])
def test_identical_singular_values_stay_identical(sigma_w, depth):
    """Exactly the length map's c/k, with their signs, beside some that are not; a matrix to rounding, which adds up."""
    rng = np.random.default_rng(11)
    c, singular = 0.7, np.array([[1.0, 1.0, -1.0], [1.0, 0.5, -1.0]]) * 0.7 / 3
    g = rotation(rng, 3) @ np.diag([1.0, 1.0, -1.0])
    q = g * c / 3
    for _ in range(depth):
        singular = singular_value_map(singular, c, sigma_w, "O(3)")
        q = matrix_correlation_map(q, c, sigma_w, "O(3)")
        c = length_map(c, sigma_w, "O(3)")
        np.testing.assert_array_equal(singular[0], np.array([c, c, -c]) / 3)
        np.testing.assert_allclose(q, g * c / 3, atol=1e-13)
    assert 0.0 < singular[1, 0] < 0.999 * c / 3


def test_singular_values_beyond_their_bound():
    """The message names the input that breaks it, not the largest of all."""
    with pytest.raises(ValueError, match=r"must be at most c/k in size, got 0\.3 with c = 0\.1, k = 3"):
        singular_value_map([[3.0, 3.0, 3.0], [0.3, 0.3, 0.3]], [10.0, 0.1], 1.5)
    with pytest.raises(ValueError, match=r"must be at most c/k in size, got 0\.1 with c = 0\.3, k = 3"):
        singular_value_map([0.1 + 1e-9, 0.1, 0.1], 0.3, 1.5)
    with pytest.raises(ValueError, match=r"sigma_w\^2 c must be at most 1e\+300, got 2e\+300"):
        matrix_gram_map(np.eye(2)[None, None], 1e150, "O(2)")


def test_polar_factor_drifts_with_anisotropic_blocks_sampled():
    """After a trained input layer only the covariance is exact: against 4e6 sampled capsules, k = 3, within 4.5 SE."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(12, 6)) * np.array([1.5, 0.3, 0.2, 0.2, 1.2, 0.3])
    gram = np.cov(x.T).reshape(2, 3, 2, 3).transpose(0, 2, 1, 3)
    new = matrix_gram_map(gram, 1.3, "O(3)")
    mean, error = within_errors(gram, 1.3, np.tanh, rng)
    assert np.all(np.abs(new[0, 1] - mean) < 4.5 * error)  # 9 numbers: 1 - 18 sf(4.5) = 0.9999 by chance
    turn = polar_factor(new[0, 1]) @ polar_factor(gram[0, 1]).T
    drift = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    assert drift > 0.5
    # the covariance under the two groups holds all the same
    left, right = rotation(rng, 3), rotation(rng, 3)
    both = [left, right]
    turned = np.array([[both[a] @ gram[a, b] @ both[b].T for b in range(2)] for a in range(2)])
    expected = left @ new[0, 1] @ right.T
    np.testing.assert_allclose(matrix_gram_map(turned, 1.3, "O(3)")[0, 1], expected, atol=1e-13)


def test_generic_transmits_the_trace_alone():
    """One number instead of k^2: isotropic blocks with the trace's image, by the scalar map at the same c."""
    rng = np.random.default_rng(5)
    c = 0.6
    q = rng.uniform(-0.1, 0.1, (3, 3))
    new = matrix_gram_map(blocks(np.eye(3) * c / 3, np.eye(3) * c / 3, q), 1.5, "generic(3)")
    expected = correlation_map(np.trace(q), c, 1.5, "generic(3)")
    np.testing.assert_allclose(new[0, 1], np.eye(3) * expected / 3, atol=1e-15)
    # what O(3) carries in a traceless Q is lost
    traceless = np.diag([0.1, -0.1, 0.0])
    lost = matrix_gram_map(blocks(np.eye(3) * c / 3, np.eye(3) * c / 3, traceless), 1.5, "generic(3)")
    np.testing.assert_allclose(lost[0, 1], 0.0, atol=1e-17)
    assert matrix_correlation_map(traceless, c, 1.5)[0, 0] > 0.05
    # one input isotropises in one layer
    one = matrix_gram_map(np.diag([0.5, 0.1, 0.0])[None, None], 1.5, "generic(3)")[0, 0]
    np.testing.assert_allclose(one, np.eye(3) * length_map(0.6, 1.5, "O(3)") / 3, rtol=1e-13, atol=1e-16)


def test_a_dead_capsule_of_the_saturated_activation():
    """phi(0) = 0; a dead input beside a live one changes nothing for it."""
    np.testing.assert_array_equal(singular_value_map([0.0, 0.0, 0.0], 0.0, 1.5, activation="saturated"), 0.0)
    np.testing.assert_array_equal(matrix_correlation_map(np.zeros((3, 3)), 0.0, 1.5, activation="saturated"), 0.0)
    both = singular_value_map([[0.0, 0.0, 0.0], [0.1, 0.1, 0.1]], [0.0, 1.0], 1.5, activation="saturated")
    np.testing.assert_array_equal(both[0], 0.0)
    np.testing.assert_allclose(both[1], float(hyperbolic_ratio(3, 0.3)) / 3, rtol=1e-12)


def test_shapes():
    assert singular_value_map([[0.1, 0.2, 0.1]], [1.0, 2.0], [[1.5], [2.0]]).shape == (2, 2, 3)
    assert matrix_correlation_map(np.zeros((4, 3, 3)), 1.0, 1.5).shape == (4, 3, 3)
    rows = singular_value_map([[0.1, 0.2, 0.1], [0.3, 0.0, 0.1]], [1.0, 2.0], 1.5)
    np.testing.assert_allclose(rows[1], singular_value_map([0.3, 0.0, 0.1], 2.0, 1.5), rtol=1e-13)
    assert polar_factor(np.stack([np.eye(2), -np.eye(2)])).shape == (2, 2, 2)
    np.testing.assert_array_equal(singular_value_map([0.0, 0.0], 0.0, 1.5, "O(2)"), [0.0, 0.0])
    assert matrix_gram_map(np.eye(2)[None, None], 1.0, "O(2)").shape == (1, 1, 2, 2)


@pytest.mark.parametrize("name", ["tanh", "saturated"])
def test_two_inputs_of_large_capsules(name):
    """Determinants there overflow: O(12), and singular values from -1 to 1."""
    one, q = np.eye(12) / 12, np.diag(np.linspace(-1.0, 1.0, 12)) / 12
    new = matrix_gram_map(blocks(one, one, q), 1.5, "O(12)", name)
    np.testing.assert_allclose(new[0, 1], matrix_correlation_map(q, 1.0, 1.5, "O(12)", name), rtol=1e-12, atol=1e-16)


def test_large_capsules():
    one = np.eye(48) / 48
    new = matrix_gram_map(one[None, None], 1.5, "O(48)")[0, 0]
    np.testing.assert_allclose(new, np.eye(48) * length_map(1.0, 1.5, "O(48)") / 48, atol=1e-16)
