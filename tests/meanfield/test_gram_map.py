"""The Gram matrix of many inputs: its entries are the two maps, phases are conserved, and it stays a Gram matrix."""

import numpy as np
import pytest
from mpmath import mp, mpf

from meanfield import as_gram, correlation_map, gram_map, length_map
from tests.meanfield.independent import arcsine, relative


def random_gram(rng, batch=(), inputs=4, is_complex=True, features=9):
    x = rng.normal(size=(*batch, inputs, features))
    if is_complex:
        x = x + 1j * rng.normal(size=x.shape)
    return x @ np.conj(np.swapaxes(x, -1, -2)) / features


@pytest.mark.parametrize("name", ["tanh", "erf", "saturated", "linear"])
def test_entries_are_the_length_and_correlation_maps(name):
    gram = random_gram(np.random.default_rng(0), inputs=3)
    new = gram_map(gram, 1.5, "U(1)", name)
    c = np.diag(gram).real
    np.testing.assert_allclose(np.diag(new), length_map(c, 1.5, "U(1)", name), rtol=1e-14)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        size = correlation_map(abs(gram[a, b]), (c[a], c[b]), 1.5, "U(1)", name)
        assert abs(new[a, b]) == pytest.approx(size, rel=1e-13)
        assert np.angle(new[a, b]) == pytest.approx(np.angle(gram[a, b]), abs=1e-14)  # Eq. (11)
        assert new[b, a] == np.conj(new[a, b])


def test_real_symmetries():
    """O(k) keeps the sign of an overlap; generic drops the imaginary part of a complex one in its first layer."""
    rng = np.random.default_rng(1)
    gram = random_gram(rng, is_complex=False)
    for symmetry in ("O(3)", "generic(3)", "U(1)"):
        new = gram_map(gram, 1.5, symmetry)
        assert new.dtype == float
        np.testing.assert_array_equal(np.sign(new), np.sign(gram))
        c = np.diag(gram)
        assert new[0, 1] == pytest.approx(correlation_map(gram[0, 1], (c[0], c[1]), 1.5, symmetry), rel=1e-13)
    mixed = random_gram(rng)
    generic = gram_map(mixed, 1.5, "generic(2)")
    assert generic.dtype == float
    np.testing.assert_allclose(generic, gram_map(mixed.real, 1.5, "generic(2)"), rtol=1e-14)
    # a complex array without an imaginary part is a real one
    np.testing.assert_array_equal(gram_map(gram + 0j, 1.5, "O(3)"), gram_map(gram, 1.5, "O(3)"))


def test_phase_rotations_commute_with_the_map():
    """Turning each input by its own phase turns the image in the same way: U(1) acts on every input."""
    rng = np.random.default_rng(2)
    gram = random_gram(rng)
    turn = np.exp(1j * rng.uniform(0, 2 * np.pi, 4))
    turned = turn[:, None] * gram * turn.conj()
    expected = turn[:, None] * gram_map(gram, 2.0) * turn.conj()
    np.testing.assert_allclose(gram_map(turned, 2.0), expected, rtol=1e-12)


@pytest.mark.parametrize(("symmetry", "is_complex"), [("U(1)", True), ("O(4)", False), ("generic(3)", False)])
def test_it_stays_positive_semi_definite(symmetry, is_complex):
    """More inputs than features, iterated through layers."""
    gram = random_gram(np.random.default_rng(3), inputs=6, features=3, is_complex=is_complex)
    for _ in range(5):
        gram = gram_map(gram, 1.8, symmetry)
        assert np.linalg.eigvalsh(gram)[0] > -1e-14
        np.testing.assert_array_equal(gram, gram.conj().T)


def test_identical_inputs_stay_identical():
    """Exactly, through a hundred chaotic layers, beside inputs that are not, and with the opposite sign."""
    gram = np.full((5, 5), 0.2)
    gram[:3, :3] = gram[3, 3] = 0.7
    gram[4, 4] = 1.1
    gram *= np.multiply.outer([1, 1, -1, 1, 1], [1, 1, -1, 1, 1])
    for sigma_w in np.linspace(2.0, 3.0, 100):
        gram = gram_map(gram, sigma_w, "O(2)")
        np.testing.assert_array_equal(gram[:3, :3], gram[0, 0] * np.array([[1, 1, -1], [1, 1, -1], [-1, -1, 1]]))
    # one input and itself turned by four phases: to rounding, which does not grow
    turn = np.exp(1j * np.array([0.0, np.pi / 2, 0.3, -2.0, 3.1]))
    turned = 0.7 * np.multiply.outer(turn, turn.conj())
    turned[np.arange(5), np.arange(5)] = 0.7
    for _ in range(100):
        turned = gram_map(turned, 3.0)
    np.testing.assert_allclose(turned, turned[0, 0] * np.multiply.outer(turn, turn.conj()), atol=2e-14)


def test_an_overlap_beyond_the_norms_by_rounding_is_one():
    """As a sum of squares may leave it; real or complex."""
    for dtype in (float, complex):
        found = gram_map(np.array([[1.0, 1.0 + 1e-13], [1.0 + 1e-13, 1.0]], dtype), 1.5)
        np.testing.assert_allclose(found, length_map(1.0, 1.5) * np.ones((2, 2)), rtol=1e-12)


def test_broadcasting():
    rng = np.random.default_rng(4)
    gram = random_gram(rng, batch=(2, 1), inputs=2)
    sigma_w = np.array([0.5, 1.5, 3.0])
    new = gram_map(gram, sigma_w)
    assert new.shape == (2, 3, 2, 2)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(new[i, j], gram_map(gram[i, 0], sigma_w[j]), rtol=1e-13)
    assert gram_map([[1, 0], [0, 2]], 1).shape == (2, 2)
    assert gram_map([[0.4]], 1.5)[0, 0] == pytest.approx(length_map(0.4, 1.5), rel=1e-15)


def test_zero_inputs():
    np.testing.assert_array_equal(gram_map(np.zeros((2, 2)), 1.5, "O(3)"), 0.0)
    new = gram_map([[1.0, 0.0], [0.0, 0.0]], 1.5, "O(3)")
    assert new[0, 1] == new[1, 1] == 0.0
    assert new[0, 0] > 0.0


def test_semi_definite_to_rounding():
    """More inputs than features leave eigenvalues that rounding makes negative, in double and single precision."""
    rng = np.random.default_rng(6)
    for dtype in (np.float32, float, np.complex64, complex):
        x = rng.normal(size=(40, 3)).astype(dtype) * np.array(10.0 ** rng.uniform(-2, 2, (40, 1)), dtype)
        gram = x @ x.conj().T
        gram = (gram + gram.conj().T) / 2
        assert np.linalg.eigvalsh(gram)[0] < 0.0
        bound = np.sqrt(np.multiply.outer(gram.diagonal().real, gram.diagonal().real))
        assert np.all(np.isfinite(gram_map(np.where(abs(gram) > bound, bound, gram), 1.5)))


@pytest.mark.parametrize("missing", [1e-6, 1e-3, 0.3])
def test_arcsine_law_for_inputs_of_unequal_size(missing):
    """O(1) and erf, nearly aligned: one input almost linear, the other saturated."""
    rng = np.random.default_rng(9)
    with mp.workdps(30):
        for s_1, s_2 in zip(rng.uniform(0.1, 2.0, 30), 10.0 ** rng.uniform(1, 8, 30), strict=True):
            gram = as_gram((s_1, s_2), (1.0 - missing) * np.sqrt(s_1) * np.sqrt(s_2)).real
            s = [mpf(gram[0, 0]), mpf(gram[1, 1])]
            exact = [[arcsine(gram[a, b], s[a], s[b]) for b in range(2)] for a in range(2)]
            assert relative(gram_map(gram, 1.0, "O(1)", "erf"), exact) < 2e-14


def test_as_gram():
    gram = as_gram(1.0, 0.3, 0.4)
    np.testing.assert_allclose(gram, [[1.0, 0.3 * np.exp(0.4j)], [0.3 * np.exp(-0.4j), 1.0]])
    assert as_gram((1.0, [2.0, 3.0]), 0.3).shape == (2, 2, 2)
    np.testing.assert_allclose(as_gram((1.0, [2.0, 3.0]), 0.3)[1], [[1.0, 0.3], [0.3, 3.0]])
    # what it makes goes into gram_map, for O(k) too
    assert gram_map(as_gram(1.0, 0.3), 1.5, "O(4)")[0, 1] == correlation_map(0.3, 1.0, 1.5, "O(4)")
    # a phase of pi is a sign, up to the rounding error of pi
    assert gram_map(as_gram(0.5, 0.2, np.pi), 1.5, "O(3)")[0, 1] == correlation_map(-0.2, 0.5, 1.5, "O(3)")
