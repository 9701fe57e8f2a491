import math

import numpy as np
import pytest
import torch

from simulate.activations import TORCH_ACTIVATIONS, radial
from training.radial import Radial, factors

SHAPE = (2, 3, 4, 5)  # models, capsules, components, columns


def passes(activation, x, dy):
    y, dx = x.clone(), torch.empty_like(x)
    gain, bend, scratch = (torch.empty_like(x[:, :, 0]) for _ in range(3))
    layer = Radial(y, gain, bend, scratch)
    layer.forward(factors(activation))
    layer.backward(dy, dy.unbind(2), dx)
    return y, dx


@pytest.mark.parametrize("activation", sorted(TORCH_ACTIVATIONS))
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_against_automatic_differentiation(activation, scale):
    source = torch.Generator().manual_seed(1)
    x, dy = (torch.randn(SHAPE, generator=source, dtype=torch.float64) for _ in range(2))
    x = (scale * x).requires_grad_()
    right = radial(TORCH_ACTIVATIONS[activation], x, axis=2)
    right.backward(dy)
    y, dx = passes(activation, x.detach(), dy)
    torch.testing.assert_close(y, right.detach(), rtol=1e-13, atol=0.0)
    torch.testing.assert_close(dx, x.grad, rtol=1e-9, atol=1e-9 / max(scale, 1.0))


def test_a_users_function():
    x = torch.tensor([[[[3.0], [4.0]]]], dtype=torch.float64)
    y, dx = passes(lambda r: r / (1.0 + r), x, torch.ones_like(x))
    # f = 5/6, f' = 1/36; along x/r = (0.6, 0.8) the slope is f', at right angles f/r = 1/6
    np.testing.assert_allclose(y.ravel(), [0.5, 2.0 / 3.0], rtol=1e-14)
    along = (1.0 / 36.0 - 1.0 / 6.0) * 1.4
    np.testing.assert_allclose(dx.ravel(), [1.0 / 6.0 + 0.6 * along, 1.0 / 6.0 + 0.8 * along], rtol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-45, 1e-30, 1e-12, 1e-7, 1e-4])
def test_small_capsules(dtype, size):
    """At a zero capsule the nonlinearity is f'(0) times the identity; nothing near it may blow up."""
    x = torch.zeros((1, 1, 2, 1), dtype=dtype)
    x[0, 0, 0, 0] = size
    dy = torch.tensor([0.3, -0.7], dtype=dtype).view(1, 1, 2, 1)
    y, dx = passes("tanh", x, dy)
    torch.testing.assert_close(y, x, rtol=1e-6, atol=0.0)
    torch.testing.assert_close(dx, dy, rtol=0.0, atol=3e-7 if dtype == torch.float32 else 3e-8)


def test_large_capsules_are_saturated():
    x = torch.full((1, 1, 2, 1), 1e6)
    y, dx = passes("tanh", x, torch.ones_like(x))
    torch.testing.assert_close(y, torch.full_like(x, math.sqrt(0.5)))
    # the change is along the radius, where tanh no longer moves
    torch.testing.assert_close(dx, torch.zeros_like(x), rtol=0.0, atol=1e-12)
