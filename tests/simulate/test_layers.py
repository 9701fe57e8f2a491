import numpy as np
import pytest
import torch

from meanfield import as_symmetry
from simulate.layers import as_generic, linear, weight_shape, weight_std

N_IN, N_OUT, COLUMNS = 5, 4, 3


def _draw(symmetry, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(2, *weight_shape(symmetry, N_OUT, N_IN), dtype=torch.float64, generator=generator)
    k = symmetry.capsule_dimension
    return weights, torch.randn(2, N_IN, k, COLUMNS, dtype=torch.float64, generator=generator)


def test_u1_is_a_complex_product():
    weights, state = _draw(as_symmetry("U(1)"))
    w = torch.complex(weights[:, :N_OUT], weights[:, N_OUT:])
    expected = w @ torch.complex(state[:, :, 0], state[:, :, 1])
    found = linear(as_symmetry("U(1)"), weights, state)
    torch.testing.assert_close(torch.complex(found[:, :, 0], found[:, :, 1]), expected)


@pytest.mark.parametrize("k", [1, 3])
def test_orthogonal_weights_act_as_a_kronecker_product_with_the_identity(k):
    symmetry = as_symmetry(f"O({k})")
    weights, state = _draw(symmetry)
    dense = np.stack([np.kron(w, np.eye(k)) for w in weights.numpy()])
    expected = (dense @ state.reshape(2, N_IN * k, COLUMNS).numpy()).reshape(2, N_OUT, k, COLUMNS)
    np.testing.assert_allclose(linear(symmetry, weights, state).numpy(), expected, rtol=1e-13)


def test_generic_weights_are_a_dense_matrix():
    symmetry = as_symmetry("generic(3)")
    weights, state = _draw(symmetry)
    expected = np.einsum("noj,njc->noc", weights.numpy(), state.reshape(2, N_IN * 3, COLUMNS).numpy())
    np.testing.assert_allclose(linear(symmetry, weights, state).reshape(2, -1, COLUMNS).numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("name", "shape", "variance"),
    [
        ("U(1)", (8, 5), 1 / 10),  # real and imaginary part 1/(2N) each: E|W|^2 = 1/N, half of what Section 2.2 prints
        ("O(3)", (4, 5), 1 / 5),
        ("generic(3)", (12, 15), 1 / 15),
    ],
)
def test_shape_and_variance(name, shape, variance):
    assert weight_shape(as_symmetry(name), N_OUT, N_IN) == shape
    assert weight_std(as_symmetry(name), N_IN) ** 2 == pytest.approx(variance, rel=1e-15)


@pytest.mark.parametrize("name", ["U(1)", "O(1)", "O(3)", "generic(2)"])
def test_every_layer_is_a_generic_one(name):
    symmetry = as_symmetry(name)
    k = symmetry.capsule_dimension
    weights = torch.randn(4, *weight_shape(symmetry, 5, 3), dtype=torch.float64)
    state = torch.randn(4, 3, k, 2, dtype=torch.float64)
    matrix = as_generic(symmetry, weights)
    assert matrix.shape == (4, 5 * k, 3 * k)
    expected = linear(as_symmetry(f"generic({k})"), matrix, state)
    torch.testing.assert_close(linear(symmetry, weights, state), expected, rtol=1e-14, atol=1e-14)
