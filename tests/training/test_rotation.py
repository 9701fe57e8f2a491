"""How far a step turns a network's output, against networks turned by hand and steps taken by hand."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from training.adam import Adam
from training.conventions import ADAM_BETAS, ADAM_EPS
from training.data import Source, load
from training.job import Job
from training.rotation import follow, reach
from training.shape import HIDDEN, Model, Shape
from training.stack import Stack

DIGITS = Source("digits", None, 64, 40)


def job(symmetry, *models, epochs=2):
    return Job(DIGITS, Shape(symmetry, 12, 5, load(DIGITS).features), models, epochs, 32)


def directions(rng, count, n):
    """Unit vectors of n complex Gaussian entries."""
    drawn = rng.normal(size=(count, n)) + 1j * rng.normal(size=(count, n))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("phase", [0.0, 0.7, 2.0, -2.8])
def test_reach_is_the_change_of_an_aligned_network_by_the_signs_of_its_gradient(phase):
    """Of log(output) where W^l = sigma_w v_{l+1} v_l^dagger, and every gradient is -e^{i phase} v_{l+1} v_l^dagger."""
    n, depth, sigma_w, rate = 800, 20, 0.7, 1e-6  # small, so that the logarithm is linear
    v = directions(np.random.default_rng(5), depth + 1, n)
    change = 0.0
    for before, after in pairwise(v):
        direction = np.exp(1j * phase) * np.outer(after, before.conj())
        step = rate * (np.sign(direction.real) + 1j * np.sign(direction.imag))
        change += np.log1p(after.conj() @ step @ before / sigma_w)
    expected = reach(Shape("U(1)", n, depth, 9), sigma_w, rate) * np.exp(1j * phase)
    # sums of |u_j| over n entries scatter by 0.5/sqrt(n), and there are two for each of the layers
    assert abs(change / expected - 1.0) < 4.0 * 0.5 * np.sqrt(2.0 / n / depth) + 1.0 / n


def test_a_random_network_responds_by_the_root_of_its_width_more():
    """The linear response of log(output) to signs, in linear networks, where signals back and forth are independent."""
    rng, depth, sigma_w, rate = np.random.default_rng(7), 30, 0.7, 1e-6
    ratios = []
    for n in (16, 64):
        responses = []
        for _ in range(40):
            draw = rng.normal(size=(depth + 2, n, n, 2)) @ [1.0, 1j] / np.sqrt(2.0 * n)
            forward, weights, back = [draw[-1, 0]], sigma_w * draw[:depth], draw[-2, 0]
            for weight in weights:
                forward.append(weight @ forward[-1])
            output, change = back @ forward[-1], 0.0
            for weight, state in zip(weights[::-1], forward[-2::-1], strict=True):
                gradient = np.conj(np.outer(back, state) / output)
                change += back @ (np.sign(gradient.real) + 1j * np.sign(gradient.imag)) @ state / output
                back = back @ weight
            responses.append(abs(rate * change))
        ratios.append(np.median(responses) / reach(Shape("U(1)", n, depth, 9), sigma_w, rate))
    assert 0.7 < ratios[1] / 8.0 < 2.0
    assert 1.3 < ratios[1] / ratios[0] < 3.0


def test_reach_of_arrays():
    shape = Shape("U(1)", 64, 100, 784)
    found = reach(shape, np.array([[0.7], [1.4]]), np.array([1e-3, 1e-4]))
    np.testing.assert_allclose(found, [[6.4 / 0.7, 0.64 / 0.7], [6.4 / 1.4, 0.64 / 1.4]], rtol=1e-14)


def test_a_network_turned_by_hand(monkeypatch):
    """A step that turns every layer by one angle and stretches it turns the output by the sum of all of them."""
    turned = job("U(1)", Model(0.01, 0), Model(0.01, 1))  # the hidden layers are linear there

    class Turning(Adam):
        def __init__(self, stack):
            super().__init__(stack)
            self.hidden = stack.views(stack.parameters)[HIDDEN]

        def step(self):
            a, b = self.hidden.chunk(2, 2)
            z = torch.complex(a, b) * 1.1 * torch.exp(1j * torch.tensor([0.3, -0.2]))[:, None, None, None]
            a.copy_(z.real)
            b.copy_(z.imag)

    monkeypatch.setattr("training.job.Adam", Turning)
    found = follow(turned, 3)
    assert np.isnan(found.turn[0]).all()
    np.testing.assert_allclose(found.turn[1:], np.broadcast_to([1.5, -1.0], (3, 2)), atol=1e-5)
    np.testing.assert_allclose(found.overlap[1:], 1.0, atol=1e-6)
    np.testing.assert_allclose(found.c[1:] / found.c[:-1].values, 1.1**10, rtol=1e-4)
    assert found.seed.values.tolist() == [0, 1]


def test_what_a_caller_allows_does_not_reach_the_states(monkeypatch):
    seen, states = [], Stack.states
    monkeypatch.setattr(
        Stack, "states", lambda *args: (seen.append(torch.get_float32_matmul_precision()), states(*args))[1]
    )
    try:
        torch.set_float32_matmul_precision("medium")
        follow(job("U(1)", Model(1.5)), 1)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert set(seen) == {"highest"}


def test_following_is_training():
    """c of the last layer after each step is that of a network trained step by step."""
    models = Model(1.5, 3, 1e-2), Model(0.9, 4, epsilon=1e-16)
    calls = []
    found = follow(job("U(1)", *models), 4, lambda *told: calls.append(told))
    assert calls == [(1, 4)] * 4
    assert found.sizes == {"step": 5, "model": 2}
    for number, model in enumerate(models):
        alone = job("U(1)", model).start()
        optimiser = torch.optim.Adam(
            [torch.nn.Parameter(alone.stack.parameters)], model.learning_rate, ADAM_BETAS, model.epsilon
        )
        optimiser.param_groups[0]["params"][0].grad = alone.stack.gradients
        data = load(DIGITS)
        for taken in range(5):
            *_, state = alone.stack.states(torch.from_numpy(data.test).T[None])
            assert found.c[taken, number] == pytest.approx(float(state.double().square().sum((1, 2)).mean() / 12), 1e-5)
            order = np.random.default_rng(np.random.SeedSequence(model.seed, spawn_key=(1, taken // 2))).permutation(64)
            chosen = order[32 * (taken % 2) :][:32]
            alone.stack.loss(
                torch.from_numpy(data.train[chosen]).T[None], torch.from_numpy(data.train_labels[chosen])[None]
            )
            optimiser.step()
    assert models[0].epsilon == ADAM_EPS


def test_real_weights_do_not_turn():
    found = follow(job("O(2)", Model(0.5, 0, 1e-3, epsilon=1e-20), Model(0.5, 1, 1e-3, epsilon=1e-20)), 4)
    turn = np.abs(found.turn[1:].values)
    assert (np.minimum(turn, np.pi - turn) < 0.3).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reach(Shape("O(2)", 4, 3, 9), 0.5, 1e-3), r"symmetry U\(1\), whose weights turn capsules, got O\(2\)"),
        (lambda: reach(Shape("U(1)", 4, 3, 9), 0.0, 1e-3), "sigma_w must be > 0, got 0"),
        (lambda: reach(Shape("U(1)", 4, 3, 9), 1.0, -1.0), "learning_rate must be > 0, got -1"),
        (lambda: follow(job("O(3)", Model(1.0)), 1), r"job must have capsules of two components, got O\(3\)"),
        (lambda: follow(job("U(1)", Model(1.0)), 5), "steps must be at most the job's 4, got 5"),
        (lambda: follow(job("U(1)", Model(1.0)), 0), "steps must be an integer >= 1, got 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
