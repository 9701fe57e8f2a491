import math

import numpy as np
import pytest
import torch

from training.recurrent import CopyTask


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def by_hand(symbols, delay, longest):
    """A sequence written token by token."""
    rest = longest - delay
    inputs = [*symbols, *[0] * delay, 9, *[0] * 10, *[0] * rest]
    targets = [*[0] * (10 + delay + 1), *symbols, *[0] * rest]
    return inputs, targets


@pytest.mark.parametrize(("max_delay", "fixed"), [(0, False), (3, False), (25, False), (25, True)])
def test_every_example_is_one_written_by_hand(max_delay, fixed):
    task = CopyTask(max_delay, fixed)
    inputs, targets = task.tokens(200, source())
    assert inputs.shape == targets.shape == (200, task.steps) == (200, max_delay + 21)
    for given, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
        symbols, delay = given[:10], given.index(9) - 10
        assert set(symbols) <= set(range(1, 9))
        assert 0 <= delay <= max_delay
        assert delay == max_delay or not fixed
        assert (given, wanted) == by_hand(symbols, delay, max_delay)


def test_symbols_and_delays_are_uniform():
    """Pearson's chi-squared against its mean plus five standard deviations."""
    inputs, _ = CopyTask(24).tokens(20_000, source())
    delays = np.bincount((inputs == 9).int().argmax(1) - 10, minlength=25)
    for position in range(10):
        symbols = np.bincount(inputs[:, position], minlength=9)[1:]
        assert chi_squared(symbols) < 7 + 5 * math.sqrt(14)
    assert delays.size == 25
    assert chi_squared(delays) < 24 + 5 * math.sqrt(48)
    # independent of each other: the second symbol given the first
    assert chi_squared(np.bincount((inputs[:, 0] - 1) * 8 + inputs[:, 1] - 1, minlength=64)) < 63 + 5 * math.sqrt(126)


def chi_squared(counts):
    wanted = counts.sum() / counts.size
    return ((counts - wanted) ** 2).sum() / wanted


def test_loss_without_memory():
    """The cross-entropy of a predictor that knows everything but the symbols, at which it guesses evenly."""
    task = CopyTask(7)
    inputs, targets = task.tokens(3, source())
    guess = torch.full((*targets.shape, 10), -1e30)
    guess[targets == 0, 0] = 0.0
    guess[(targets > 0)[..., None] & (torch.arange(10) % 9 != 0)] = 0.0
    loss = torch.nn.functional.cross_entropy(guess.double().flatten(0, 1), targets.flatten())
    assert loss.item() == pytest.approx(task.loss_without_memory, rel=1e-12)
    assert inputs.dtype == torch.int64


def test_batches_depend_on_seed_step_and_split_only():
    task = CopyTask(5)
    x, targets = task.batch(3, 4, [7, 8])
    assert x.shape == (2, 4, 26, 10)
    assert x.dtype == torch.float32
    assert torch.equal(x.sum(-1), torch.ones(2, 4, 26))
    alone, wanted = task.batch(3, 4, [8])
    assert torch.equal(alone[0], x[1])
    assert torch.equal(wanted[0], targets[1])
    others = [task.batch(4, 4, [8])[1], task.batch(3, 4, [9])[1]]
    others += [task.batch(3, 4, [8], split=split)[1] for split in ("validation", "test")]
    assert all(not torch.equal(other, wanted) for other in others)
    assert not torch.equal(others[2], others[3])


@pytest.mark.parametrize("max_delay", [-1, 2.5, True])
def test_bad_delay(max_delay):
    with pytest.raises(ValueError, match="max_delay must be an integer >= 0"):
        CopyTask(max_delay)


def test_bad_batch():
    with pytest.raises(ValueError, match="batch must be an integer >= 1, got 0"):
        CopyTask(3).tokens(0, source())
