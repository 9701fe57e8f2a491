import math

import numpy as np
import pytest
import torch

from meanfield import as_symmetry
from simulate.activations import radial
from simulate.layers import linear, weight_std
from training import captured
from training.captured import Captured
from training.shape import BIAS, HIDDEN, INPUT, READOUT, Model, Shape
from training.stack import Stack, cross_entropy

from .tape import FakeCuda

SYMMETRIES = ["U(1)", "O(1)", "O(3)", "generic(2)"]
MODELS = (Model(1.5, 0), Model(0.7, 1), Model(1.5, 2))
BATCH = 20


def shape(symmetry, **changes):
    return Shape(symmetry, **{"width": 8, "depth": 4, "features": 12, "classes": 5, **changes})


def batch(models, features=12, classes=5, count=BATCH, dtype=torch.float64):
    source = torch.Generator().manual_seed(3)
    images = torch.randn((models, features, count), generator=source).to(dtype)
    return images, torch.randint(0, classes, (models, count), generator=source)


def plain(stack, parameters, images):
    """The same networks from the layers that `simulate` samples, under automatic differentiation."""
    v, w, r, b = stack.views(parameters)
    x = capsules(stack, v @ images)
    for layer in range(stack.shape.depth):
        x = linear(stack.shape.group, w[:, layer], radial(torch.tanh, x, 2))
    return r @ flat(stack, radial(torch.tanh, x, 2)) + b[:, :, None]


def capsules(stack, state):
    """(models, N D, columns) as (models, N, D, columns); for U(1) real parts come first, as in its weights."""
    n, k = stack.shape.width, stack.shape.group.capsule_dimension
    if stack.shape.symmetry == "U(1)":
        return torch.stack([state[:, :n], state[:, n:]], dim=2)
    return state.reshape(len(state), n, k, -1)


def flat(stack, state):
    if stack.shape.symmetry == "U(1)":
        return torch.cat([state[:, :, 0], state[:, :, 1]], dim=1)
    return state.flatten(1, 2)


@pytest.mark.parametrize("depth", [0, 4])
@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_outputs_and_gradients_against_automatic_differentiation(symmetry, depth):
    stack = Stack(shape(symmetry, depth=depth), MODELS, dtype="float64")
    stack.views(stack.parameters)[BIAS].normal_(generator=torch.Generator().manual_seed(5))
    images, labels = batch(3)
    parameters = stack.parameters.clone().requires_grad_()
    outputs = plain(stack, parameters, images)
    losses = torch.nn.functional.cross_entropy(outputs, labels, reduction="none").mean(-1)
    losses.sum().backward()
    torch.testing.assert_close(stack.logits(images), outputs.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(stack.loss(images, labels), losses.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(stack.gradients, parameters.grad, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_replayed_passes_are_the_others(symmetry, monkeypatch):
    """By a stand-in for CUDA graphs, for two sizes of a batch in turn, with weights that change in between."""
    monkeypatch.setattr(captured, "cuda", FakeCuda)
    stack, by_replays = (Stack(shape(symmetry), MODELS, "float64") for _ in range(2))
    by_replays._captured = Captured(torch.device("cuda"))
    first = None
    for count in (20, 20, 7, 20):
        images, labels = batch(3, count=count)
        right, found = stack.loss(images, labels), by_replays.loss(images, labels)
        first = first or (found, found.clone())
        assert torch.equal(found, right)
        assert torch.equal(by_replays.gradients, stack.gradients)
        for each in (stack, by_replays):
            each.parameters.sub_(0.1 * each.gradients)
    assert torch.equal(*first)  # no later call overwrote it
    assert sorted(each.graph.replays for each in by_replays._captured._recordings.values()) == [1, 3]


@pytest.mark.parametrize(("width", "count"), [(8, 20), (40, 512)], ids=["together", "one-by-one"])
@pytest.mark.parametrize(
    ("symmetry", "threads"),
    [*((symmetry, 1) for symmetry in SYMMETRIES), ("U(1)", 2)],
)
def test_a_model_in_a_stack_is_that_model_alone_to_the_last_bit(symmetry, width, count, threads):
    """At 40 capsules and 512 images a CPU takes fewer models at a time than the stack has."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        one_shape = shape(symmetry, width=width, depth=3)
        images, labels = batch(3, count=count, dtype=torch.float32)
        stack = Stack(one_shape, MODELS)
        losses, logits = stack.loss(images, labels), stack.logits(images)
        for number, model in enumerate(MODELS):
            alone, own = Stack(one_shape, (model,)), slice(number, number + 1)
            assert torch.equal(alone.loss(images[own], labels[own]), losses[own])
            assert torch.equal(alone.gradients, stack.gradients[own])
            assert torch.equal(alone.logits(images[own]), logits[own])
    finally:
        torch.set_num_threads(before)


def test_smaller_batches_between_larger_ones():
    stack = Stack(shape("U(1)"), MODELS)
    images, labels = batch(3, dtype=torch.float32)
    first = stack.loss(images, labels), stack.gradients.clone()
    stack.loss(images[..., :7], labels[..., :7])
    stack.logits(images)
    again = stack.loss(images, labels), stack.gradients
    assert all(map(torch.equal, first, again))


def test_the_users_default_precision_does_not_choose_the_weights():
    expected = Stack(shape("U(1)"), MODELS).parameters
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(Stack(shape("U(1)"), MODELS).parameters, expected)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_the_law_of_the_initial_weights(symmetry):
    """Variances against those that `simulate` draws with, from many weights: s^2 has relative variance 2/n."""
    one = shape(symmetry, width=40, depth=6, features=50)
    stack = Stack(one, [Model(1.7, seed) for seed in range(4)])
    v, w, r, b = stack.views(stack.parameters)
    k, group = one.group.capsule_dimension, as_symmetry(symmetry)
    for part, std in (
        (v, 1.0 / math.sqrt(k * 50)),  # an input of norm sqrt(50) makes E|z_i^0|^2 = 1
        (w, 1.7 * weight_std(group, 40)),
        (r, 1.0 / math.sqrt(40 * k)),
    ):
        ratio = part.double().square().mean().item() / std**2
        assert abs(ratio - 1.0) <= 5.0 * math.sqrt(2.0 / part.numel())
    assert not b.any()


@pytest.mark.parametrize(("generic", "symmetry"), [("generic(2)", "U(1)"), ("generic(3)", "O(3)")])
def test_generic_layers_can_begin_as_equivariant_ones(generic, symmetry):
    """The same function as the equivariant network of that seed; other shares are in between, of the same variance."""
    images = torch.randn(1, 7, 5, dtype=torch.float64)
    found, expected = (
        Stack(Shape(name, 6, 4, 7), [Model(1.5, 3, symmetric=share)], "float64").logits(images)
        for name, share in ((generic, 1.0), (symmetry, 0.0))
    )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    wide = Shape(generic, 64, 3, 7)
    for share in (0.0, 0.25, 1.0):
        weights = Stack(wide, [Model(1.5, 3, symmetric=share)])
        hidden = weights.views(weights.parameters)[1]
        variance = 1.5**2 / wide.components
        # entries come in k^2 of a block that are one number, or none
        assert hidden.square().mean().item() == pytest.approx(variance, rel=0.08)


def test_states_are_what_the_layers_hand_on():
    stack = Stack(shape("U(1)"), MODELS, dtype="float64")
    images, _ = batch(3)
    states = list(stack.states(images))
    v, w, r, _ = stack.views(stack.parameters)
    assert len(states) == 5
    x = capsules(stack, v @ images)
    torch.testing.assert_close(states[0], radial(torch.tanh, x, 2))
    torch.testing.assert_close(states[3], radial(torch.tanh, linear(stack.shape.group, w[:, 2], states[2]), 2))
    torch.testing.assert_close(r @ flat(stack, states[4]), stack.logits(images))


def test_models_of_one_seed_differ_by_sigma_w_alone():
    stack = Stack(shape("O(3)"), [Model(1.0, 7), Model(2.0, 7), Model(1.0, 8)])
    parts = stack.views(stack.parameters)
    for number, factor in ((INPUT, 1.0), (HIDDEN, 2.0), (READOUT, 1.0)):
        torch.testing.assert_close(parts[number][1], factor * parts[number][0])
        assert not torch.equal(parts[number][2], parts[number][0])


def test_number_of_parameters():
    assert Shape("U(1)", 64, 100, 784).parameters == 128 * 784 + 100 * 2 * 64**2 + 10 * 128 + 10
    assert Shape("O(4)", 64, 100, 784).parameters == 256 * 784 + 100 * 64**2 + 10 * 256 + 10
    assert Shape("generic(4)", 64, 100, 784).parameters == 256 * 784 + 100 * 256**2 + 10 * 256 + 10


def test_cross_entropy_by_hand():
    logits = torch.tensor([[[math.log(3.0), 1000.0], [0.0, 0.0]]], dtype=torch.float64)
    loss, change = cross_entropy(logits, torch.tensor([[0, 1]]))
    # -log(3/4), and 1000 for a certain, wrong answer
    np.testing.assert_allclose(loss, [(math.log(4.0 / 3.0) + 1000.0) / 2.0], rtol=1e-14)
    np.testing.assert_allclose(change[0], [[-0.125, 0.5], [0.125, -0.5]], rtol=1e-14)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Shape("U(1)", 0, 1, 1), "width must be an integer >= 1, got 0"),
        (lambda: Shape("U(1)", 1, -1, 1), "depth must be an integer >= 0, got -1"),
        (lambda: Shape("U(1)", 1, 1, 1, 1), "classes must be an integer >= 2, got 1"),
        (lambda: Shape("U(2)", 1, 1, 1), "symmetry must be"),
        (lambda: Shape("U(1)", 1, 1, 1, activation="relu"), "activation must be"),
        (lambda: Model(-1.0), "sigma_w must be >= 0, got -1"),
        (lambda: Model(1.0, -1), "seed must be an integer >= 0, got -1"),
        (lambda: Model(1.0, 2**32), r"seed must be at most 2\^32 - 1, .* got 4294967296"),
        (lambda: Model(1.0, learning_rate=math.nan), "learning_rate must be finite"),
        (lambda: Model(1.0, epsilon=0.0), "epsilon must be > 0, got 0"),
        (lambda: Model(1.0, symmetric=-0.5), "symmetric must be >= 0, got -0.5"),
        (lambda: Model(1.0, symmetric=1.5), "symmetric must be a share of at most 1, got 1.5"),
        (lambda: Stack(shape("O(3)"), [Model(1.0, symmetric=0.5)]), "symmetric must be 0 but for generic"),
        (lambda: Stack(shape("generic(1)"), [Model(1.0, symmetric=0.5)]), "symmetric must be 0 but for generic"),
        (lambda: Model(1.0, learning_rate=[1.0, 2.0]), "learning_rate must be one number"),
        (lambda: Stack(shape("U(1)"), []), r"models must name at least one Model and nothing else, got \[\]"),
        (lambda: Stack(shape("U(1)"), [1.0]), r"models must name at least one Model and nothing else, got \[1.0\]"),
        (lambda: Stack("U(1)", MODELS), r"shape must be a Shape, got 'U\(1\)'"),
        (lambda: Stack(shape("U(1)"), MODELS, dtype="float16"), "dtype must be"),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:2], y), r"images must have the shape \(3, 12, images\), got \(2, 12, 20\)"),
        (lambda x, y: (x[0], y), r"images must have the shape \(3, 12, images\), got \(12, 20\)"),
        (lambda x, y: (x.mT, y), r"images must have the shape \(3, 12, images\), got \(3, 20, 12\)"),
        (lambda x, y: (x[:, :, :0], y), r"images must have the shape \(3, 12, images\), got \(3, 12, 0\)"),
        (
            lambda x, y: (x.float(), y),
            "images must be a tensor of the parameters' type torch.float64, got torch.float32",
        ),
        (lambda x, y: (x.numpy(), y), "images must be a tensor .*, got ndarray"),
        (lambda x, y: (x, y[:1]), r"labels must have the shape \(3, 20\), got \(1, 20\)"),
        (lambda x, y: (x, y.int()), "labels must be an int64 tensor, got torch.int32"),
    ],
)
def test_batches_that_do_not_fit_are_refused(change, message):
    """They would be broadcast, or cut, to numbers that mean nothing."""
    networks = Stack(shape("U(1)"), MODELS, "float64")
    images, labels = change(*batch(3))
    with pytest.raises(ValueError, match=message):
        networks.loss(images, labels)
    if "images" in message:
        with pytest.raises(ValueError, match=message):
            networks.logits(images)
        with pytest.raises(ValueError, match=message):
            next(networks.states(images))
