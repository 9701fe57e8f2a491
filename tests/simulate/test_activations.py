import re

import numpy as np
import pytest
import torch
from torch import nn

import meanfield
from simulate.activations import TORCH_ACTIVATIONS, on_tensors, radial, torch_activation


def test_every_named_activation_of_the_theory_has_a_torch_function():
    assert set(TORCH_ACTIVATIONS) == set(meanfield.NAMED_ACTIVATIONS)


@pytest.mark.parametrize("name", sorted(meanfield.NAMED_ACTIVATIONS))
def test_values_are_those_of_the_theory(name):
    r = np.concatenate([[0.0], np.geomspace(1e-6, 30.0, 200)])
    found = torch_activation(name)(torch.from_numpy(r)).numpy()
    np.testing.assert_allclose(found, meanfield.NAMED_ACTIVATIONS[name].value(r), rtol=2e-15, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", sorted(meanfield.NAMED_ACTIVATIONS))
def test_value_and_gradient_at_the_origin(name, dtype):
    x = torch.zeros(3, 2, dtype=dtype, requires_grad=True)
    y = radial(torch_activation(name), x, axis=1)
    assert torch.equal(y, torch.zeros_like(y))
    y.sum().backward()
    assert torch.isfinite(x.grad).all()
    slope = meanfield.NAMED_ACTIVATIONS[name].slope
    if np.isfinite(slope):  # phi(x) = f'(0) x + ...
        torch.testing.assert_close(x.grad, torch.full_like(x, slope))


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
def test_radial_keeps_the_direction_and_maps_the_radius(name):
    x = torch.randn(4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = radial(torch_activation(name), x, axis=1)
    r = x.norm(dim=1, keepdim=True)
    expected = torch.from_numpy(meanfield.NAMED_ACTIVATIONS[name].value(r.numpy())) * x / r
    torch.testing.assert_close(y, expected, rtol=1e-14, atol=1e-15)


def test_gradient_of_radial_against_finite_differences():
    x = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: radial(torch.tanh, z, axis=1), x)


def test_a_users_function_is_called_on_tensors():
    f = torch_activation(lambda r: r / (1.0 + r))
    assert torch.equal(f(torch.tensor([0.0, 1.0, 3.0])), torch.tensor([0.0, 0.5, 0.75]))


@pytest.mark.parametrize(
    ("f", "name"), [(np.sin, "sin"), (np.log1p, "log1p"), (lambda r: np.where(r < 1.0, r, 1.0), "<lambda>")]
)
def test_a_function_of_numpy_arrays_only_is_told_what_would_be_one_of_tensors(f, name):
    told = rf"^activation {name} must accept torch tensors, .* as does `(.*)`, got the error: "
    for read in (torch_activation, on_tensors):
        with pytest.raises(ValueError, match=told) as raised:
            read(f)
    both = eval(re.search(told, str(raised.value))[1], {"np": np, "torch": torch})
    assert torch_activation(both)(torch.tensor(1.0)) == pytest.approx(np.sin(1.0))


@pytest.mark.parametrize("f", [nn.Tanh(), torch.tanh, np.tanh, "tanh", meanfield.NAMED_ACTIVATIONS["tanh"]])
def test_where_there_are_tensors_only_a_function_need_not_know_arrays(f):
    name, read = on_tensors(f)
    assert name.lower() == "tanh"
    r = torch.linspace(0.0, 3.0, 7, dtype=torch.float64)
    assert torch.equal(read(r), torch.tanh(r))


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (torch.cos, r"activation cos must have f\(0\) = 0, got f\(0\) = 1"),
        (torch.expm1, r"activation expm1 must be finite for every r >= 0; got inf at r = 749\.894"),
        (lambda r: r.sum(), r"activation <lambda> must turn .* shape \(98,\) into a real one of the same shape"),
        (lambda r: r + 0j, r"activation <lambda> must turn .* into a real one of the same shape"),
        ("relu", "activation must be one of"),
        (None, "activation must be a name, .*got None"),
    ],
)
def test_functions_of_tensors_that_are_no_activations(f, message):
    with pytest.raises(ValueError, match=message):
        on_tensors(f)


def test_any_error_of_a_function_is_told():
    with pytest.raises(ValueError, match=r"activation <lambda> must accept torch tensors, .* got the error: .*astype"):
        torch_activation(lambda r: r / (1.0 + r.astype(float)))


def test_a_function_that_loses_the_tensor_is_refused():
    with pytest.raises(ValueError, match=r"into a real one of the same shape, got 1\.0"):
        torch_activation(lambda r: r / (1.0 + r) if isinstance(r, np.ndarray) else 1.0)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="activation must be one of"):
        torch_activation("relu")
