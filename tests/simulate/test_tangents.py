import numpy as np
import pytest
import torch

import meanfield
from simulate.activations import radial, torch_activation
from simulate.tangents import TORCH_DERIVATIVES, Capsules, generators, torch_derivative

NAMES = sorted(meanfield.NAMED_ACTIVATIONS)


def capsules(name, state):
    return Capsules(torch_activation(name), torch_derivative(name), state)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_every_named_activation_has_a_derivative():
    assert set(TORCH_DERIVATIVES) == set(meanfield.NAMED_ACTIVATIONS)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_of_the_theory(name):
    r = np.concatenate([[0.0], np.geomspace(1e-6, 30.0, 200), [1e3]])
    found = torch_derivative(name)(torch.from_numpy(r)).numpy()
    np.testing.assert_allclose(found, meanfield.NAMED_ACTIVATIONS[name].derivative(r), rtol=1e-13, atol=1e-300)


def test_a_users_derivative_comes_from_automatic_differentiation():
    r = torch.tensor([0.0, 0.5, 1.0, 3.0], dtype=torch.float64)
    torch.testing.assert_close(torch_derivative(lambda r: r / (1.0 + r))(r), (1.0 + r) ** -2, rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("name", [*NAMES, lambda r: r / (1.0 + r)])
@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_tangents_against_automatic_differentiation(name, dimension):
    state, tangents = normal(2, 3, dimension), normal(2, 3, dimension, 5, seed=1)
    f = torch_activation(name)
    for column in range(5):
        tangent = tangents[..., column].contiguous()
        _, expected = torch.autograd.functional.jvp(lambda z: radial(f, z, axis=2), state, tangent)
        torch.testing.assert_close(capsules(name, state)(tangents)[..., column], expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-30])
@pytest.mark.parametrize("name", NAMES)
def test_at_the_origin_a_nonlinearity_is_its_slope(name, size, dtype):
    tangents = normal(1, 3, 2, 4).to(dtype)
    out = capsules(name, size * torch.ones(1, 3, 2, dtype=dtype))(tangents)
    assert torch.isfinite(out).all()
    slope = meanfield.NAMED_ACTIVATIONS[name].slope
    if np.isfinite(slope):
        torch.testing.assert_close(out, slope * tangents)


def test_amplitude_and_angles_are_what_a_radial_function_does_along_and_across():
    state = torch.tensor([[[3.0, 4.0]]], dtype=torch.float64)
    along, across = state / 5.0, torch.tensor([[[-4.0, 3.0]]], dtype=torch.float64) / 5.0
    out = capsules("algebraic", state)(torch.stack([along, across], dim=-1))
    torch.testing.assert_close(out[..., 0], 26.0**-1.5 * along, rtol=1e-14, atol=0.0)
    torch.testing.assert_close(out[..., 1], 26.0**-0.5 * across, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("dimension", [1, 2, 3, 5])
def test_generators_span_the_antisymmetric_matrices(dimension):
    a = generators(dimension)
    assert a.shape == (dimension * (dimension - 1) // 2, dimension, dimension)
    np.testing.assert_array_equal(a, -a.swapaxes(1, 2))
    np.testing.assert_array_equal(np.einsum("ade,bde->ab", a, a), 2.0 * np.eye(len(a)))


def test_the_generator_of_two_components_is_multiplication_by_i():
    z = 0.3 - 0.7j
    np.testing.assert_array_equal(generators(2)[0] @ [z.real, z.imag], [(1j * z).real, (1j * z).imag])
