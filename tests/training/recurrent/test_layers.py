import math
import re
import textwrap
from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group
from torch import nn

from simulate import equivariance_error
from training.recurrent import GRU, CapsuleGRU, CapsuleRNN, ElmanRNN, SequenceModel, Setting, equations, stack, unstack
from training.recurrent.convolutional import ConvolutionalRNN
from training.recurrent.recurrence import radial_tanh
from training.recurrent.steps import portions

pytestmark = pytest.mark.usefixtures("_double")

LAYERS = {
    "U(1) RNN": lambda: CapsuleRNN(3, 4, "U(1)"),
    "U(1) GRU": lambda: CapsuleGRU(3, 4, "U(1)"),
    "O(3) RNN": lambda: CapsuleRNN(3, 4, "O(3)"),
    "O(3) RNN, bias": lambda: CapsuleRNN(3, 4, "O(3)", bias=True),
    "generic(2) RNN": lambda: CapsuleRNN(3, 4, "generic(2)"),
    "RNN tanh": lambda: ElmanRNN(3, 4, "tanh"),
    "RNN ReLU, 2 biases": lambda: ElmanRNN(3, 4, "relu", biases=2),
    "GRU ReLU": lambda: GRU(3, 4),
    "GRU tanh, 2 biases": lambda: GRU(3, 4, "tanh", biases=2, update_bias=2.0),
}
EQUIVARIANT = {
    "U(1) RNN": lambda: CapsuleRNN(3, 5, "U(1)"),
    "O(2) RNN": lambda: CapsuleRNN(3, 5, "O(2)"),
    "O(4) RNN": lambda: CapsuleRNN(3, 5, "O(4)"),
    "U(1) GRU": lambda: CapsuleGRU(3, 5, "U(1)"),
    "O(3) GRU": lambda: CapsuleGRU(3, 5, "O(3)"),
}


def every(layers):
    return pytest.mark.parametrize("make", layers.values(), ids=layers.keys())


def example(layer, batch=2, steps=6, models=1):
    return torch.randn(batch, steps, 3), torch.randn(models, batch, layer.features)


def scrambled(layer):
    """Parameters away from their initial values, of which some are zero."""
    for parameter in layer.parameters():
        nn.init.normal_(parameter, 0.0, 0.7)
    return layer


def naive(layer, x, start):
    """The layer's output by the equations, start (1, batch, features)."""
    arguments = dict(layer.named_parameters()), x, start[0]
    if isinstance(layer, ElmanRNN | GRU):
        equation = equations.elman if isinstance(layer, ElmanRNN) else equations.gru
        return equation(*arguments, getattr(torch, layer.nonlinearity))
    if layer.symmetry.family == "U(1)":
        return (equations.u1_gru if isinstance(layer, CapsuleGRU) else equations.u1_rnn)(*arguments)
    if layer.symmetry.family == "O":
        return equations.o_rnn(*arguments)
    return equations.generic_rnn(*arguments, layer.hidden_size)


@every(LAYERS)
def test_states_and_gradients_are_those_of_the_equations(make):
    """Against the equations written out in complex arithmetic, and their gradients by autograd."""
    layer = scrambled(make())
    x, start = (tensor.requires_grad_() for tensor in example(layer))
    probe = torch.randn(2, 6, layer.features)
    leaves = [x, start, *layer.parameters()]
    wanted = naive(layer, x, start)
    wanted_gradients = torch.autograd.grad((wanted * probe).sum(), leaves)
    output, last = layer(x, start)
    torch.testing.assert_close(output, wanted, rtol=1e-11, atol=1e-13)
    assert torch.equal(last[0], output[:, -1])
    gradients = torch.autograd.grad((output * probe).sum(), leaves)
    for found, right in zip(gradients, wanted_gradients, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-10, atol=1e-12)


@every(LAYERS)
def test_gradient_through_the_last_state_alone(make):
    layer = scrambled(make())
    x, start = example(layer)
    (wanted,) = torch.autograd.grad(naive(layer, x, start)[:, -1].square().sum(), layer.recurrent)
    (found,) = torch.autograd.grad(layer(x, start)[1].square().sum(), layer.recurrent)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@every(LAYERS)
@pytest.mark.parametrize("own_inputs", [False, True])
def test_a_stack_is_its_models(make, own_inputs):
    singles = [scrambled(make()) for _ in range(3)]
    stacked = stack(singles)
    x, start = example(singles[0], models=3)
    inputs = torch.randn(3, *x.shape) if own_inputs else x
    output, last = stacked(inputs, start)
    (output.square() * torch.arange(1.0, 4.0)[:, None, None, None]).sum().backward()
    for i, single in enumerate(singles):
        wanted, wanted_last = single(inputs[i] if own_inputs else x, start[i : i + 1])
        torch.testing.assert_close(output[i], wanted)
        torch.testing.assert_close(last[i], wanted_last[0])
        (wanted.square() * (i + 1)).sum().backward()
        for name, parameter in single.named_parameters():
            torch.testing.assert_close(stacked.get_parameter(name).grad[i], parameter.grad)
    again = unstack(stacked)
    assert all(torch.equal(again[1].get_parameter(name), p) for name, p in singles[1].named_parameters())


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn_is_pytorchs(nonlinearity):
    ours, theirs = ElmanRNN(3, 4, nonlinearity, biases=2), nn.RNN(3, 4, nonlinearity=nonlinearity, batch_first=True)
    pairs = zip((ours.encoder, ours.recurrent, ours.bias[0], ours.bias[1]), theirs.parameters(), strict=True)
    for mine, other in pairs:
        other.data = mine.detach().clone()
    x, start = example(ours)
    for found, wanted in zip(ours(x, hx=start), theirs(x, hx=start), strict=True):
        torch.testing.assert_close(found, wanted)


def test_gru_with_tanh_is_pytorchs():
    ours, theirs = GRU(3, 4, "tanh", biases=2), nn.GRU(3, 4, batch_first=True)
    theirs.weight_ih_l0.data = torch.cat([ours.gate_encoder, ours.encoder]).detach()
    theirs.weight_hh_l0.data = torch.cat([ours.gate_recurrent, ours.recurrent]).detach()
    theirs.bias_ih_l0.data, theirs.bias_hh_l0.data = torch.cat([ours.gate_bias, ours.bias], 1).detach()
    x, start = example(ours)
    for found, wanted in zip(ours(x, hx=start), theirs(x, hx=start), strict=True):
        torch.testing.assert_close(found, wanted)


def element(layer, seed):
    """A group element on capsules (..., D, N): a rotation for U(1), any orthogonal matrix for O(k)."""
    g = ortho_group.rvs(layer.components, random_state=seed)
    if layer.symmetry.family == "U(1)":
        g[:, 0] *= np.linalg.det(g)
    return torch.from_numpy(g)


@every(EQUIVARIANT)
def test_equivariance(make):
    """Acting on u^t (through the encoder) and on h^0 acts on all states; lengths, and so gates, stay as they are."""
    layer = scrambled(make())
    x, start = example(layer)
    before = layer.capsules(layer(x, start)[0])
    for seed in range(3):
        g = element(layer, seed)
        turned = unstack(stack([layer]))[0]
        turned.encoder.data = (g @ layer.encoder.detach().T.unflatten(1, (-1, 5))).flatten(1).T
        after = layer.capsules(turned(x, (g @ layer.capsules(start)).flatten(-2))[0])
        torch.testing.assert_close(after, g @ before, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)"])
def test_the_wrapper_that_equivariance_error_documents(symmetry):
    """Without its transpose the components of different capsules would be turned together."""
    layer = CapsuleRNN(3, 5, symmetry)
    code = re.search(r"has to be zero::\n\n(.*?)\n\n", equivariance_error.__doc__, re.DOTALL)[1]
    x = torch.randn(2, 5, layer.components)

    def error(code):
        names = {"layer": layer, "steps": 4}
        exec(textwrap.dedent(code), names)
        return equivariance_error(names["network"], x, symmetry)

    assert 0.0 < error(code) < 5e-15
    assert error(code.replace(".transpose(-1, -2)", "").replace("layer.capsules(last[0])", "last.view(z.shape)")) > 0.1


@pytest.mark.parametrize("kind", [CapsuleRNN, CapsuleGRU])
def test_generic_capsules_are_not_equivariant(kind):
    layer = scrambled(kind(3, 5, "generic(2)"))
    x, start = torch.zeros(2, 6, 3), torch.randn(1, 2, 10)
    g = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    before, after = (layer.capsules(layer(x, h)[0]) for h in (start, (g @ layer.capsules(start)).flatten(-2)))
    assert (after - g @ before).norm() > 0.1 * before.norm()


@every(EQUIVARIANT)
def test_black_pixels_leave_zero_states_with_finite_gradients(make):
    """h = 0 exactly until the first input, for float32 as well, and gradients that a naive square root makes NaN."""
    layer = make().float()
    x = torch.zeros(2, 8, 3, dtype=torch.float32)
    x[:, 4:] = torch.randn(2, 4, 3, dtype=torch.float32)
    x.requires_grad_()
    output, last = layer(x)
    assert torch.all(output[:, :4] == 0.0)
    assert torch.all(output[:, 4:].abs().sum(-1) > 0.0)
    last.sum().backward()
    assert all(tensor.grad.isfinite().all() for tensor in (x, *layer.parameters()))
    output, _ = layer(torch.zeros(2, 8, 3, dtype=torch.float32))
    output.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("size", [2e-4, 300.0])
@every({name: make for name, make in LAYERS.items() if "(" in name})
def test_squares_that_float16_does_not_have(make, size, dtype):
    """Capsules whose squared lengths over- or underflow in float16: lengths and gradients are those of float64."""
    layer = make()
    with torch.no_grad():
        layer.encoder.fill_(size)
    layer.to(dtype)
    x = torch.ones(2, 1, 3, dtype=dtype, requires_grad=True)
    output, _ = layer(x)
    output.sum().backward()
    wide = x.detach().double().requires_grad_()
    wanted, _ = deepcopy(layer).double()(wide)
    wanted.sum().backward()
    torch.testing.assert_close(output.double(), wanted, rtol=0.05, atol=0.0)
    # along a saturated capsule the gradient is what is left of terms of order one for each of at most 12 features
    atol = 12 * torch.finfo(dtype).eps if size > 1.0 else 0.0
    torch.testing.assert_close(x.grad.double(), wide.grad, rtol=0.05, atol=atol)


def test_radial_tanh_in_float16():
    for size in (2e-4, 300.0):
        q = torch.tensor([[0.6], [0.8]]).mul(size).half().requires_grad_()
        value = radial_tanh(q)
        assert value.dtype == torch.float16
        torch.testing.assert_close(value.double().norm().item(), math.tanh(size), rtol=2e-3, atol=0.0)
        value.sum().backward()
        assert q.grad.isfinite().all()


@every(LAYERS)
@pytest.mark.parametrize("loss", [torch.sum, lambda h: h.square().sum()])
def test_gradients_of_gradients_are_refused(make, loss):
    """Of a loss that is linear in the states too, where nothing but the backward pass depends on x."""
    layer, x = make(), torch.randn(2, 3, 3, requires_grad=True)
    (once,) = torch.autograd.grad(loss(layer(x)[0]), x)
    assert once.abs().sum() > 0
    with pytest.raises(NotImplementedError, match=r"gradients of gradients .* are not available"):
        torch.autograd.grad(loss(layer(x)[0]), x, create_graph=True)


@every(LAYERS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_black_pixels_in_types_of_few_bits(make, dtype):
    """The paper's epsilon is zero in float16."""
    layer = make().to(dtype)
    x = torch.zeros(2, 8, 3, dtype=dtype)
    x[:, 4:] = torch.randn(2, 4, 3).to(dtype)
    output, last = layer(x)
    last.sum().backward()
    assert output.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
    wanted, _ = layer.double()(x.double())
    torch.testing.assert_close(output.double(), wanted, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-12, 1e-8, 1e-3, 1.0, 30.0])
def test_what_epsilon_does(size):
    """tanh(r) r/(r + epsilon) is the length, and the derivative along the capsule is that of this function."""
    epsilon = 1e-8
    layer = CapsuleRNN(1, 1, "U(1)", epsilon=epsilon)
    layer.encoder.data = torch.tensor([[0.6], [0.8]])
    x = torch.full((1, 1, 1), size, requires_grad=True)
    output, _ = layer(x)
    length = np.tanh(size) * size / (size + epsilon)
    torch.testing.assert_close(output.norm().item(), length, rtol=1e-12, atol=0.0)
    by_autograd = radial_tanh(torch.tensor([[0.6 * size], [0.8 * size]]), epsilon)
    torch.testing.assert_close(by_autograd.norm().item(), length, rtol=1e-12, atol=0.0)
    (output[0, 0] @ torch.tensor([0.6, 0.8])).backward()
    share = size / (size + epsilon)
    wanted = share / np.cosh(size) ** 2 + np.tanh(size) * epsilon / (size + epsilon) ** 2
    torch.testing.assert_close(x.grad.item(), wanted, rtol=1e-9, atol=1e-15)


def test_radial_tanh_by_autograd():
    q = torch.randn(5, 2, 3)
    q[0, :, 0] = 0.0
    q.requires_grad_()
    value = radial_tanh(q)
    z = torch.complex(q[:, 0], q[:, 1])
    torch.testing.assert_close(torch.complex(value[:, 0], value[:, 1]), equations.phi(z))
    assert torch.autograd.grad(value.sum(), q)[0][0, :, 0].abs().max() == 0.0
    torch.autograd.gradcheck(radial_tanh, torch.randn(2, 3, 2, requires_grad=True))


def test_frozen_token_stays_zero_while_training():
    for layer in (CapsuleGRU(3, 4, frozen_token=1), ElmanRNN(3, 4, frozen_token=1), GRU(3, 4, frozen_token=1)):
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
        before = layer.encoder.detach().clone()
        for _ in range(3):
            layer(torch.randn(2, 5, 3))[0].square().sum().backward()
            optimiser.step()
        assert torch.all(layer.encoder[:, 1] == 0.0)
        assert torch.all(layer.encoder[:, [0, 2]] != before[:, [0, 2]])


def test_a_stack_may_mix_frozen_and_free_models():
    models = stack([CapsuleRNN(3, 4, frozen_token=0), CapsuleRNN(3, 4)])
    models(torch.randn(2, 5, 3))[0].square().sum().backward()
    assert torch.all(models.encoder.grad[0, :, 0] == 0.0)
    assert torch.all(models.encoder.grad[1] != 0.0)


def test_a_stack_trains_what_its_models_train():
    frozen = [CapsuleRNN(3, 4).requires_grad_(False) for _ in range(2)]
    for part in frozen:
        part.encoder.requires_grad_(True)
    models = stack(frozen)
    assert {name for name, p in models.named_parameters() if p.requires_grad} == {"encoder"}
    assert {name for name, p in unstack(models)[1].named_parameters() if p.requires_grad} == {"encoder"}


@every(LAYERS)
def test_shapes_without_memory_or_numbers(make):
    """On the "meta" device, which has neither."""
    output, last = make().to("meta")(torch.zeros(2, 5, 3, device="meta"))
    assert output.shape[:2] == (2, 5)
    assert last.shape[:2] == (1, 2)


@every(LAYERS)
def test_time_major(make):
    layer = make()
    x, start = example(layer)
    output, last = layer(x, start)
    assert output.shape == (2, 6, layer.features)
    assert last.shape == (1, 2, layer.features)
    layer.batch_first = False
    again, last_again = layer(x.transpose(0, 1), start)
    assert torch.equal(again.transpose(0, 1), output)
    assert torch.equal(last, last_again)


@every(LAYERS)
@pytest.mark.parametrize("change", [lambda o: o.add_(1.0), torch.relu_, lambda o: o.mul_(o.detach() + 2.0)])
def test_output_may_be_changed_in_place(make, change):
    """As that of nn.RNN: later values and gradients are those of a copy that is changed."""
    layer = scrambled(make())
    x, start = example(layer)

    def gradients(own):
        output, last = layer(x, start)
        changed = change(output if own else output.clone())
        return torch.autograd.grad(changed.square().sum() + (last * changed[:, -1]).sum(), list(layer.parameters()))

    for found, right in zip(gradients(True), gradients(False), strict=True):
        assert torch.equal(found, right)
    output, last = layer(x, start)
    output.zero_()
    assert last.abs().sum() > 0.0


@every(LAYERS)
def test_the_last_state_may_be_detached_in_place(make):
    layer = make()
    output, last = layer(*example(layer))
    assert not last.detach_().requires_grad
    output.sum().backward()


@every(LAYERS)
def test_autocast_leaves_the_parameters_their_type(make):
    layer = make().float()
    x, start = (tensor.float() for tensor in example(layer))
    wanted = layer(x, start)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x.bfloat16().float(), start), layer(x.bfloat16(), start.bfloat16())
    for output, _ in found:
        assert output.dtype == torch.float32
        torch.testing.assert_close(output, wanted[0], rtol=0.1, atol=0.1)
        output.sum().backward()


@every(LAYERS)
@pytest.mark.parametrize("batch_first", [True, False])
def test_one_sequence_and_none(make, batch_first):
    """As nn.RNN takes them."""
    layer = make()
    layer.batch_first = batch_first
    x, start = torch.randn(6, 3), torch.randn(1, layer.features)
    output, last = layer(x, start)
    batch = 0 if batch_first else 1
    wanted, wanted_last = layer(x.unsqueeze(batch), start.unsqueeze(1))
    assert torch.equal(output, wanted.squeeze(batch))
    assert torch.equal(last, wanted_last.squeeze(1))
    assert (output.shape, last.shape) == ((6, layer.features), (1, layer.features))
    empty, last = layer(torch.randn(0, 6, 3) if batch_first else torch.randn(6, 0, 3))
    assert empty.shape == ((0, 6, layer.features) if batch_first else (6, 0, layer.features))
    assert last.shape == (1, 0, layer.features)
    empty.sum().backward()


@every(LAYERS)
def test_hooks_are_called_once_for_one_sequence(make):
    layer, seen = make(), []
    layer.register_forward_hook(lambda module, inputs, result: seen.append(result[0].shape))
    output, _ = layer(torch.randn(6, 3))
    assert seen == [output.shape]


def test_repr_is_a_summary():
    assert repr(CapsuleRNN(3, 4)) == "CapsuleRNN(3, 4, U(1))"
    assert repr(CapsuleGRU(3, 4, "O(3)")) == "CapsuleGRU(3, 4, O(3))"
    assert repr(GRU(3, 4)) == "GRU(3, 4, relu)"
    assert repr(stack([ElmanRNN(3, 4)] * 2)) == "ElmanRNN(3, 4, tanh, 2 models)"
    assert repr(ConvolutionalRNN(3, 5, 2)) == "ConvolutionalRNN(3, side=5, channels=2, circular)"
    layers = [CapsuleRNN(3, 4, frozen_token=token, batch_first=False) for token in (0, None)]
    assert repr(layers[0]) == "CapsuleRNN(3, 4, U(1), frozen_token=0, batch_first=False)"
    models = stack(layers)
    assert repr(models) == "CapsuleRNN(3, 4, U(1), frozen_token=0, None, batch_first=False, 2 models)"
    assert repr(unstack(models)[1]) == repr(layers[1])


def test_readouts():
    """Eq. (62): R [Re h; Im h] + c at every step; Eq. (66): R |h| + c; and the last state alone."""
    layer, x = CapsuleRNN(3, 4), torch.randn(2, 6, 3)
    h = layer(x)[0]
    for every_step in (True, False):
        flat, invariant = (SequenceModel(layer, 5, every_step=every_step, invariant=kind) for kind in (False, True))
        states = h if every_step else h[:, -1]
        torch.testing.assert_close(flat(x), states @ flat.readout_weight.T + flat.readout_bias)
        lengths = torch.complex(states[..., :4], states[..., 4:]).abs()
        torch.testing.assert_close(invariant(x), lengths @ invariant.readout_weight.T + invariant.readout_bias)
        models = stack([invariant, invariant])
        torch.testing.assert_close(models(x), invariant(x).expand(2, *invariant(x).shape))


@pytest.mark.parametrize("invariant", [False, True])
def test_a_readout_begins_as_pytorchs(invariant):
    layer = CapsuleRNN(3, 4)
    torch.manual_seed(5)
    ours = SequenceModel(layer, 7, invariant=invariant)
    torch.manual_seed(5)
    theirs = nn.Linear(4 if invariant else 8, 7)
    torch.testing.assert_close(ours.readout_weight, theirs.weight, rtol=0.0, atol=0.0)
    torch.testing.assert_close(ours.readout_bias, theirs.bias, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("biases", [1, 2])
def test_the_update_gate_begins_with_its_bias(biases):
    """The sum of the two vectors, where there are two; the reset gate's are left as they were drawn."""
    gates = GRU(3, 4, biases=biases, update_bias=2.0).gate_bias.detach().sum(0)
    np.testing.assert_array_equal(gates[4:], 2.0)
    assert (gates[:4].abs() < biases / 2.0).all()  # uniform up to 1/sqrt(4) each


class Scaled(SequenceModel):
    """A user's own model, with an attribute that stacked ones have to share."""

    def __init__(self, layer, outputs, scale=1.0):
        super().__init__(layer, outputs)
        self.scale = scale


def _parametrized():
    layer = CapsuleRNN(3, 4)
    nn.utils.parametrizations.weight_norm(layer, "encoder")
    return layer


def _hooked():
    layer = CapsuleRNN(3, 4)
    layer.register_forward_hook(lambda *_: None)
    return layer


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CapsuleRNN(0, 4), "input_size must be an integer >= 1, got 0"),
        (lambda: CapsuleRNN(3, 4, "SU(2)"), "symmetry must be"),
        (lambda: CapsuleRNN(3, 4, epsilon=0.0), "epsilon must be > 0"),
        (lambda: CapsuleRNN(3, 4, recurrent="random"), "recurrent must be one of 'identity', 'uniform', got 'random'"),
        (lambda: CapsuleRNN(3, 4, encoder="low"), "encoder must be one of 'standard', .*, got 'low'"),
        (lambda: CapsuleRNN(3, 4, frozen_token=3), "frozen_token must be below input_size = 3, got 3"),
        (lambda: GRU(3, 4, batch_first="no"), "batch_first must be True or False, got 'no'"),
        (lambda: CapsuleRNN(3, 4, bias=1), "bias must be True or False, got 1"),
        (lambda: GRU(3, 4, ["relu"]), r"nonlinearity must be 'tanh' or 'relu', got \['relu'\]"),
        (lambda: CapsuleRNN(3, 4).capsules(torch.zeros(2, 7)), r"states must have 8 features in the last axis"),
        (lambda: ElmanRNN(3, 4, "sine"), "nonlinearity must be 'tanh' or 'relu', got 'sine'"),
        (lambda: GRU(3, 4, biases=3), "biases must be 1 or 2, got 3"),
        (lambda: CapsuleGRU(3, 4, update_bias=np.inf), "update_bias must be finite"),
        (lambda: SequenceModel(CapsuleRNN(3, 4), 0), "outputs must be an integer >= 1"),
        (lambda: CapsuleRNN(3, 4)(torch.zeros(3)), "x must have 2 or 3 axes"),
        (lambda: CapsuleRNN(3, 4)(torch.zeros(2, 0, 3)), "and at least one step"),
        (lambda: CapsuleRNN(3, 4, batch_first=False)(torch.zeros(0, 2, 3)), "and at least one step"),
        (lambda: stack([CapsuleRNN(3, 4)] * 2)(torch.zeros(5, 3)), "x must have 3 axes, or 4, first 2 models"),
        (lambda: CapsuleRNN(3, 4)(np.zeros((2, 5, 3))), "x must be a tensor, got ndarray"),
        (lambda: CapsuleRNN(3, 4)(torch.zeros(2, 5, 3), torch.zeros(2, 8)), r"hx must have the shape \(1, 2, 8\)"),
        (lambda: CapsuleRNN(3, 4)(torch.zeros(5, 3), torch.zeros(1, 1, 8)), r"shape \(1, 8\), got \(1, 1, 8\)"),
        (lambda: CapsuleRNN(3, 4)(torch.zeros(2, 5, 3), np.zeros((1, 2, 8))), "hx must be a tensor, got ndarray"),
        (lambda: GRU(3, 4)(torch.zeros(2, 5, 3), (torch.zeros(1, 2, 4),)), "hx must be a tensor, got tuple"),
        (
            lambda: GRU(3, 4)(torch.zeros(2, 5, 3).float()),
            r"x must be of the parameters' type torch.float64, got t.*32",
        ),
        (lambda: GRU(3, 4)(torch.zeros(2, 5, 3), torch.zeros(1, 2, 4).half()), "hx must be of the parameters' type"),
        (lambda: CapsuleRNN(3, 4, epsilon=[1e-8, 1e-8]), "epsilon must be one number"),
        (lambda: GRU(3, 4, update_bias=[1.0, 2.0]), "update_bias must be one number"),
        (lambda: CapsuleGRU(3, 4, update_bias=[1.0, 2.0]), "update_bias must be one number"),
        (lambda: ElmanRNN(3, 4, biases=1.0), "biases must be 1 or 2, got 1.0"),
        (lambda: SequenceModel(nn.RNN(3, 4), 2), "layer must be a recurrent layer of this package, .* got RNN"),
        (lambda: stack([nn.RNN(3, 4)] * 2), "models must be recurrent layers or SequenceModel, got RNN"),
        (lambda: stack([CapsuleRNN(3, 4), CapsuleRNN(3, 4).float()]), "models must be alike"),
        (lambda: stack([CapsuleRNN(3, 4), CapsuleRNN(3, 4).eval()]), "models must be alike"),
        (lambda: stack([CapsuleRNN(3, 4), CapsuleRNN(3, 4).requires_grad_(False)]), "models must be alike"),
        (lambda: stack([]), "models must not be empty"),
        (lambda: stack([_parametrized(), _parametrized()]), "models must have no parametrizations and no hooks"),
        (lambda: stack([CapsuleRNN(3, 4), _hooked()]), "models must have no parametrizations and no hooks"),
        (lambda: stack([SequenceModel(GRU(3, 4), 2), Scaled(GRU(3, 4), 2)]), "models must be alike"),
        (lambda: stack([Scaled(GRU(3, 4), 2), Scaled(GRU(3, 4), 2, scale=5.0)]), "models must be alike"),
        (
            lambda: CapsuleRNN(4, 2)(torch.zeros(2, 5, 2, dtype=torch.complex128)),
            r"got torch.complex128; torch.cat\(\[x.real, x.imag\], -1\) converts it",
        ),
        (
            lambda: CapsuleRNN(4, 2)(torch.zeros(2, 5, 4, dtype=torch.int64)),
            r"got torch.int64; x.to\(torch.float64\) converts it",
        ),
        (
            lambda: CapsuleRNN(4, 2).type(torch.complex64)(torch.zeros(2, 5, 4, dtype=torch.complex64)),
            "parameters must be real, as the components of capsules are, got torch.complex64",
        ),
        (lambda: stack([CapsuleRNN(3, 4), CapsuleRNN(3, 5)]), "models must be alike"),
        (lambda: stack([CapsuleRNN(3, 4), CapsuleRNN(3, 4, epsilon=1e-3)]), "models must be alike"),
        (lambda: stack([stack([CapsuleRNN(3, 4)])]), "models must be single ones"),
        (lambda: unstack(CapsuleRNN(3, 4)), "models must be a stack, got a single CapsuleRNN"),
        (lambda: unstack(SequenceModel(CapsuleRNN(3, 4), 2)), "models must be a stack, got a single SequenceModel"),
    ],
)
def test_bad_input(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_frozen_token_is_not_loaded_away():
    """Nor frozen by loading; between layers that agree weights are handed on, also into one on no device yet."""
    free, frozen, other = (CapsuleRNN(3, 5, frozen_token=token) for token in (None, 1, 2))
    for layer, foreign in ((frozen, free), (free, frozen), (frozen, other)):
        with pytest.raises(RuntimeError, match="state_dict must be of a layer with the same frozen_token"):
            layer.load_state_dict(foreign.state_dict())
    again = CapsuleRNN(3, 5, frozen_token=1)
    again.load_state_dict(frozen.state_dict())
    assert torch.equal(again.encoder, frozen.encoder)
    with torch.device("meta"):
        empty = CapsuleRNN(3, 5, frozen_token=1)
    with pytest.raises(RuntimeError, match="same frozen_token"):
        empty.load_state_dict(free.state_dict(), assign=True)
    empty.load_state_dict(frozen.state_dict(), assign=True)
    assert torch.equal(empty.encoder, frozen.encoder)


def test_weights_of_other_shapes_are_each_named():
    """As a module's own error does, and not as another frozen token."""
    with pytest.raises(RuntimeError, match=r"size mismatch for recurrent(?s:.*)size mismatch for encoder") as error:
        CapsuleRNN(3, 4).load_state_dict(CapsuleRNN(5, 7, "O(3)").state_dict())
    assert "frozen_token must" not in str(error.value)


GRID = {"grid": lambda: ConvolutionalRNN(3, 5, 2), "uniform grid": lambda: ConvolutionalRNN(3, 5, recurrent="uniform")}


@every(LAYERS | GRID)
def test_reset_parameters_draws_as_a_new_layer_does(make):
    torch.manual_seed(7)
    made = make()
    layer = scrambled(make())
    torch.manual_seed(7)
    layer.reset_parameters()
    for name, value in made.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value), name
    with torch.device("meta"):
        empty = make()
    empty.to_empty(device="cpu")
    torch.manual_seed(7)
    empty.reset_parameters()
    for name, value in made.state_dict().items():
        assert torch.equal(empty.state_dict()[name], value), name
    with pytest.raises(ValueError, match="a single model, got a stack: unstack it"):
        stack([layer]).reset_parameters()


def test_a_layer_that_was_made_without_memory_keeps_its_frozen_token():
    with torch.device("meta"):
        layer = CapsuleRNN(3, 4, frozen_token=1)
    layer.to_empty(device="cpu").reset_parameters()
    assert layer.encoder_mask.tolist() == [[1.0, 0.0, 1.0]]
    assert not layer.encoder[:, 1].any()
    assert layer.encoder[:, ::2].all()


def test_a_complex_start_is_converted_as_the_message_says():
    layer, start = CapsuleRNN(3, 4), torch.randn(1, 2, 4, dtype=torch.complex128)
    x = torch.randn(2, 5, 3)
    with pytest.raises(ValueError, match="converts it") as error:
        layer(x, start)
    advice = str(error.value).partition("; ")[2].removesuffix(" converts it")
    converted = eval(advice, {"torch": torch, "hx": start})
    real, imaginary = layer.capsules(converted[0]).unbind(-2)
    assert torch.equal(torch.complex(real, imaginary), start[0])
    layer(x, converted)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("every_step", [True, False])
def test_a_model_reads_one_sequence(batch_first, every_step):
    model = SequenceModel(CapsuleRNN(3, 4, batch_first=batch_first), 5, every_step=every_step)
    x = torch.randn(6, 3)
    batch = 0 if batch_first else 1
    torch.testing.assert_close(model(x), model(x.unsqueeze(batch)).squeeze(batch if every_step else 0))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "U(1) RNN", "O(3) RNN", "U(1) GRU"])
def test_a_stack_of_models_with_an_empty_batch(kind):
    """The first batch of examples that were filtered, for one."""
    models = stack([Setting(kind, 4, seed).build(3, every_step=True) for seed in range(2)])
    logits = models(torch.zeros(0, 5, 3, dtype=torch.float32))
    assert logits.shape == (2, 0, 5, 10)
    logits.sum().backward()


def test_logits_can_be_viewed():
    for build in (lambda each: each, lambda each: stack([each])):
        model = build(Setting("U(1) RNN", 4).build(3, every_step=True))
        assert model(torch.zeros(2, 5, 3, dtype=torch.float32)).view(-1, 10).shape == (10, 10)


def test_portions_of_a_product_over_all_steps():
    """Equal ones, of a number that does not grow with the steps; a result that is large is one product."""
    assert [portions(rows, 64 * 64) for rows in (46 * 128, 47 * 128, 46 * 50, 47 * 25, 0)] == [16, 16, 4, 1, 1]
    assert portions(46 * 128, 1024 * 1024) == 1
