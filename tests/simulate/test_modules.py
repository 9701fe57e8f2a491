import re

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import meanfield
import simulate
from meanfield import Ensemble, fluctuations
from simulate import equivariance_error, measure, sample_networks
from simulate.activations import radial
from simulate.observables import order_parameters
from simulate.sampling import Draws
from simulate.scale import column
from simulate.setup import Setup

INPUTS = np.array([[1.0, 0.5, 0.0, 0.2], [0.8, 0.1, 0.6, 0.0]])


class ComplexLayer(nn.Module):
    """z -> W phi(z) in complex arithmetic, as a user would write it."""

    def __init__(self, width, sigma_w, dtype=torch.complex128):
        super().__init__()
        self.weight = nn.Parameter(sigma_w / np.sqrt(width) * torch.randn(width, width, dtype=dtype))

    def forward(self, z):
        return (torch.tanh(z.abs()) / z.abs() * z) @ self.weight.T


class Mixing(nn.Module):
    """O(k): capsules are mixed, components are not."""

    def __init__(self, width, bias=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width, dtype=torch.float64) / np.sqrt(width))
        self.bias = bias

    def forward(self, x):
        return self.weight @ radial(torch.tanh, x, axis=-1) + self.bias


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_measuring_modules_is_measuring_a_sampled_network():
    """The weights of sampled networks handed over as modules, one network after the other."""
    setup = Setup.create(Ensemble("O(3)"), INPUTS, width=5, depth=3, dtype="float64", device="cpu")
    samples = sample_networks(Ensemble("O(3)"), INPUTS, width=5, depth=3, n_networks=2, dtype="float64", device="cpu")
    draws = Draws(setup, range(1))
    state, scale = draws.input_layer()
    z0, layers = column(scale, state) * state, [draws.hidden_layer() for _ in range(3)]

    def module(layer, network):
        def forward(x):
            state = torch.zeros_like(z0)
            state[network] = x.permute(1, 2, 0)[:, :, None]
            return layer(radial(torch.tanh, state, axis=2))[network][:, :, 0].permute(2, 0, 1)

        return forward

    for network in range(2):
        x = z0[network][:, :, 0].permute(2, 0, 1)
        measured = measure([module(layer, network) for layer in layers], x, "O(3)")
        np.testing.assert_allclose(measured.gram[0], samples.gram[network], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(measured.d[0], samples.d[network], rtol=1e-12)
        np.testing.assert_allclose(measured.c[0], order_parameters(samples)[network], rtol=1e-12)


def test_measurements_of_several_networks_are_summarised():
    """Modules have no sigma_w, and their summary makes none up."""
    x = torch.randn(2, 6, 2)
    several = [measure([torch.nn.Identity()], x + i) for i in range(3)]
    found = simulate.summary(xr.concat(several, "network", combine_attrs="drop_conflicts"))
    np.testing.assert_allclose(found.c[0], np.mean([each.c[0, 0] for each in several], axis=0), rtol=1e-13)
    assert found.attrs["activation"] == several[0].attrs["activation"] == "tanh"
    assert "sigma_w" not in found.coords


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_functions_of_torch_are_read_as_their_names(name):
    assert meanfield.as_activation(getattr(torch, name)) is meanfield.NAMED_ACTIVATIONS[name]
    with pytest.raises(ValueError, match="got None"):  # nor is what torch has no function for
        meanfield.as_activation(None)


def test_a_weight_scale_that_wants_a_gradient_is_refused():
    scale = nn.Parameter(torch.tensor(1.5)) * 1.0
    with pytest.raises(ValueError, match=r"sigma_w must be a real number .*\(of a torch tensor take .item\(\)"):
        meanfield.depth_scales(scale)
    assert meanfield.depth_scales(scale.item()).sigma_w == 1.5


@pytest.mark.parametrize("size", [1e-44, 1e-25, 1e25])
def test_states_of_any_size_are_measured(size):
    x = torch.full((2, 3, 2), size, dtype=torch.float32)
    measured = measure([], x, activation="saturated")
    np.testing.assert_allclose(order_parameters(measured), 1.0, rtol=1e-6)
    np.testing.assert_allclose(measured.d[0, 0, 0], 2.0 * x[0, 0, 0].double() ** 2, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_states_of_few_bits_are_measured_with_all_of_float64(dtype):
    z = torch.randn(2, 4096, 2).to(dtype)
    found = measure([], z)
    np.testing.assert_allclose(found.d[0, 0, 0], z.double().square().sum(2).mean(1), rtol=1e-13)


def test_layers_that_write_into_their_input_leave_the_users_alone():
    z = torch.randn(2, 5, 2)
    before = z.clone()
    found = measure([lambda x: x.mul_(2.0)], z)
    assert torch.equal(z, before)
    np.testing.assert_allclose(found.d[0, 0, 1], 4.0 * found.d[0, 0, 0])


def test_complex_modules_keep_c_where_the_theory_says():
    """A user's complex network of width N at sigma_w = 1.5 settles near c* = 0.4832 (2-D quadrature of Eq. (8)).

    As near as order 1/N lets it; what is left after that is smaller.
    """
    nets = [[ComplexLayer(400, 1.5) for _ in range(10)] for _ in range(8)]
    z = torch.randn(2, 400, dtype=torch.complex128)
    c = np.array([order_parameters(measure(net, z))[0, 0, -1].mean() for net in nets])
    shift = abs(float(fluctuations(400, 1.5).mean_shift))
    assert abs(c.mean() - 0.483232) < 5 * c.std(ddof=1) / np.sqrt(8) + 2 * shift


def test_several_networks_make_a_summary():
    import xarray as xr

    z = torch.randn(2, 20, dtype=torch.complex128)
    runs = [measure([ComplexLayer(20, 1.5)], z) for _ in range(3)]
    means = simulate.summary(xr.concat(runs, "network", combine_attrs="drop_conflicts"))
    np.testing.assert_allclose(means.d[0, 1], np.mean([run.d[0, 0, 1] for run in runs], axis=0))


def test_an_activation_of_their_own_makes_linear_the_right_choice():
    x = torch.randn(1, 6, 2, dtype=torch.float64)
    measured = measure([], x, activation="linear")
    np.testing.assert_allclose(order_parameters(measured)[0, 0, 0], (x**2).sum() / 6)


@pytest.mark.parametrize("f", [nn.Tanh(), nn.functional.softsign, nn.functional.gelu, torch.sin, torch.arctan])
def test_an_activation_may_be_a_function_of_tensors_only(f):
    x = torch.randn(2, 8, 2)
    measured = measure([lambda z: 2.0 * z], x, "U(1)", f)
    r = 2.0 * x.double().norm(dim=2)
    np.testing.assert_allclose(measured.c[0, 0, 1], f(r).square().mean(1), rtol=1e-6)
    assert measured.attrs["activation"] in ("Tanh", "softsign", "gelu", "sin", "arctan")


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_equivariant_networks_have_rounding_only(dtype):
    eps = torch.finfo(dtype).eps
    net = nn.Sequential(*[ComplexLayer(30, 1.2, dtype) for _ in range(4)])
    assert 0.0 < equivariance_error(net, torch.randn(3, 30, dtype=dtype)) < 30 * eps


def test_orthogonal_networks_commute_with_reflections_too():
    net = nn.Sequential(Mixing(12), Mixing(12))
    x = torch.randn(2, 12, 3, dtype=torch.float64)
    assert equivariance_error(net, x, "O(3)") < 1e-14


def test_what_breaks_the_symmetry_shows():
    x = torch.randn(2, 12, 3, dtype=torch.float64)
    assert equivariance_error(nn.Sequential(Mixing(12), Mixing(12, bias=0.1)), x, "O(3)") > 1e-2
    flipped = lambda z: torch.view_as_complex(torch.view_as_real(z).flip(-1).contiguous())  # noqa: E731
    assert equivariance_error(flipped, torch.randn(2, 12, dtype=torch.complex128)) > 0.1
    # -1 is in every group, and a generic layer commutes with it
    generic = lambda y: (radial(torch.tanh, y, -1).flatten(1) @ torch.ones(24, 24).double()).reshape(y.shape)  # noqa: E731
    y = torch.randn(2, 12, 2, dtype=torch.float64)
    assert equivariance_error(generic, y, "generic(2)") < 1e-14
    assert equivariance_error(generic, y, "O(2)") > 0.1


def test_products_of_vectors_turn_but_are_not_reflected():
    """x times y of R^3 commutes with SO(3); a reflection of both leaves the sign of what it should reflect."""
    x = torch.randn(2, 12, 3, dtype=torch.float64)
    assert equivariance_error(lambda y: torch.cross(y, y.roll(1, dims=1), dim=-1), x, "O(3)") > 1.0


def test_as_many_elements_are_tried_as_asked_for_and_a_seed_chooses_them():
    def tried(**options):
        seen = []
        equivariance_error(lambda z: seen.append(z.clone()) or z, torch.ones(1, 4, 2), **options)
        return torch.stack(seen[1:])

    assert len(tried(n_elements=3)) == 3
    assert torch.equal(tried(seed=1), tried(seed=1))
    assert not torch.isclose(tried(seed=1), tried(seed=2)).any()


def test_networks_that_conjugate_lazily():
    weights = torch.randn(6, 6, dtype=torch.complex128)
    z = torch.randn(2, 6, dtype=torch.complex128)
    network = lambda z: (weights.mH @ z.mH).mH  # noqa: E731
    assert equivariance_error(network, z) < 1e-14
    np.testing.assert_allclose(measure([network], z).d[0, 0, 1], (network(z).abs() ** 2).mean(dim=1))
    assert equivariance_error(torch.conj, z) > 0.1


def test_a_network_that_writes_into_its_input():
    z = torch.randn(2, 6, dtype=torch.complex128)
    before = z.clone()
    assert equivariance_error(lambda z: z.mul_(2), z) < 1e-14
    assert torch.equal(z, before)


def test_a_network_that_gives_nothing_for_x_but_something_for_g_x():
    sign = lambda x: torch.relu(x)  # noqa: E731
    assert equivariance_error(sign, -torch.ones(1, 4, 1), "O(1)") == float("inf")


@pytest.mark.parametrize("size", [1e-30, 1e-25, 1.0, 1e25, 1e30])
def test_states_of_any_size_are_compared(size):
    """Their squares need not be float32; |x_i| is no symmetry of the components."""
    x = torch.randn(2, 8, 2)
    assert equivariance_error(lambda z: size * z.abs(), x) == pytest.approx(
        equivariance_error(lambda z: z.abs(), x), rel=1e-5
    )
    assert equivariance_error(lambda z: size * z, x) < 1e-6
    assert equivariance_error(lambda z: size**10 * z, x.double()) < 1e-14


def test_networks_that_answer_with_another_precision():
    x = torch.randn(2, 8, 2)
    assert 1e-9 < equivariance_error(lambda z: z.bfloat16(), x) < 1e-2
    assert equivariance_error(lambda z: z.to(torch.complex64), torch.randn(2, 8, dtype=torch.complex128)) < 1e-6


def test_a_module_of_flat_states_is_told_how_to_be_wrapped():
    x, f = torch.randn(3, 4, 2), nn.Linear(8, 8)
    told = (
        r"network must take states of shape \(3, 4, 2\) of torch.float32, as x is, got RuntimeError\('mat1 and mat2.*; "
        r"a module f of flat states is wrapped as (lambda z: f\(z.flatten\(1\)\).unflatten\(1, \(4, 2\)\))$"
    )
    with pytest.raises(ValueError, match=told) as raised:
        equivariance_error(f, x)
    assert isinstance(raised.value.__cause__, RuntimeError)
    wrapped = eval(re.search(told, str(raised.value))[1], {"f": f})
    assert equivariance_error(wrapped, x) > 0.1
    with torch.no_grad():
        f.weight.copy_(torch.eye(8))
        f.bias.zero_()
    assert equivariance_error(wrapped, x) < 1e-6


def test_a_network_for_which_there_is_no_memory_says_so_itself():
    def full(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        equivariance_error(full, torch.randn(3, 4, 2))


def test_states_without_an_axis_are_told_how_to_get_one():
    told = r"x must be a real tensor of shape \(inputs, N, 2\) for U\(1\), got shape \({}\) of torch.float32{}$"
    for shape, hint in (
        ((3, 8), r" \(flat states, capsule by capsule, need .unflatten\(1, \(-1, 2\)\)\)"),
        ((4, 2), r" \(the state of a single input needs \[None\]\)"),
        ((3, 7), ""),
        ((2, 3, 4, 2), ""),
    ):
        with pytest.raises(ValueError, match=told.format(", ".join(map(str, shape)), hint)):
            equivariance_error(lambda z: z, torch.zeros(shape))


def flat(*modules):
    """Modules of the components of 4 capsules of U(1)."""
    return nn.Sequential(nn.Flatten(1), *modules, nn.Unflatten(1, (4, 2)))


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (nn.BatchNorm1d(8), "BatchNorm1d '1'"),
        (nn.InstanceNorm1d(8, track_running_stats=True), "InstanceNorm1d '1'"),
        (nn.Dropout(0.5), "Dropout '1'"),
        (nn.AlphaDropout(0.5), "AlphaDropout '1'"),
        (nn.RReLU(), "RReLU '1'"),
        (nn.RNN(8, 8, 2, dropout=0.5), "RNN '1'"),
        (nn.MultiheadAttention(8, 2, dropout=0.5), "MultiheadAttention '1'"),
    ],
)
def test_what_training_changes_is_refused_in_training_mode(module, told):
    network, x = flat(module), torch.randn(3, 4, 2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    message = rf"must be in evaluation mode .*call .eval\(\) first\), got {told} in training mode"
    with pytest.raises(ValueError, match=rf"^layers\[1\] {message}"):
        measure([nn.Identity(), network], x)
    with pytest.raises(ValueError, match=f"^network {message}"):
        equivariance_error(network, x)
    with pytest.raises(ValueError, match=r"^network .* got Dropout in training mode"):
        equivariance_error(nn.Dropout(), x)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_in_evaluation_mode_nothing_is_drawn_or_changed():
    network, x = flat(nn.BatchNorm1d(8), nn.Dropout(0.5)).eval(), torch.randn(3, 4, 2)
    before = network[1].running_mean.clone()
    assert equivariance_error(network, x) < 1e-6  # at first batch norm is the identity
    np.testing.assert_allclose(measure([network], x).d[0, 0, 1], x.double().square().sum(2).mean(1), rtol=1e-4)
    assert torch.equal(network[1].running_mean, before)


@pytest.mark.parametrize("module", [nn.Linear(8, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.Dropout(0.0)])
def test_modules_that_training_does_not_change_may_be_in_training_mode(module):
    network, x = flat(module), torch.randn(3, 4, 2)
    assert network.training
    assert measure([network], x).sizes["layer"] == 2
    assert equivariance_error(network, x) > 0.01 or isinstance(module, nn.Dropout)


def test_zero_is_equivariant():
    assert equivariance_error(lambda x: 0.0 * x, torch.ones(1, 4, 2), "U(1)") == 0.0


@pytest.mark.parametrize(
    ("x", "symmetry", "message"),
    [
        (np.ones((2, 4, 2)), "U(1)", "must be a torch tensor, got ndarray"),
        (torch.ones(2, 4), "U(1)", r"must be a real tensor of shape \(inputs, N, 2\) for U\(1\), got shape \(2, 4\)"),
        (torch.ones(2, 4, 3), "O(2)", r"shape \(inputs, N, 2\)"),
        (torch.ones(2, 4, 2, dtype=torch.int64), "O(2)", "must be a real tensor"),
        (torch.full((2, 4, 2), torch.nan), "O(2)", "must be finite"),
        (torch.ones(0, 4, 2), "O(2)", "must be a real tensor"),
    ],
)
def test_bad_states(x, symmetry, message):
    with pytest.raises(ValueError, match=message):
        measure([], x, symmetry)
    with pytest.raises(ValueError, match=message):
        equivariance_error(lambda y: y, x, symmetry)


def test_a_network_that_loses_inputs_or_changes_its_shape():
    with pytest.raises(ValueError, match="the state at layer 1 must be of all 3 inputs, got 2"):
        measure([lambda z: z[:2]], torch.ones(3, 8, 2))
    shapes = iter(range(4, 9))
    with pytest.raises(ValueError, match="one shape for all x, got \\(2, 5, 2\\) and \\(2, 4, 2\\)"):
        equivariance_error(lambda z: z[:, : next(shapes)], torch.ones(2, 8, 2))


def test_a_layer_that_breaks_names_itself():
    with pytest.raises(ValueError, match="the state at layer 2 must be finite"):
        measure([lambda x: x, lambda x: x * float("inf")], torch.ones(1, 4, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: measure(None, x), "layers must be a sequence of modules or functions, got None"),
        (lambda x: measure([5], x), r"layers must be a sequence of modules or functions, got \[5\]"),
        (lambda x: measure(torch.nn.Identity(), x), "layers must be a sequence of modules or functions, got Identity"),
        (lambda x: equivariance_error(5, x), "network must be a module or a function, got 5"),
    ],
)
def test_layers_that_are_none(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.ones(2, 4, dtype=torch.complex128))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sample_networks(Ensemble(), np.eye(2), width=4, depth=2, n_networks=8, tf32="no"),
            "tf32 must be True or False, got 'no'",
        ),
        (
            lambda: simulate.sample_jacobians(Ensemble(), np.eye(2), width=4, depth=2, n_networks=8, spectrum="no"),
            "spectrum must be True or False, got 'no'",
        ),
        (lambda: simulate.figure9(seed="a", quick=True), "seed must be an integer >= 0, got 'a'"),
    ],
)
def test_flags_and_seeds_that_are_none(call, message):
    with pytest.raises(ValueError, match=message):
        call()
