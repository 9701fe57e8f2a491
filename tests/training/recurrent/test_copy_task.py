import math

import numpy as np
import pytest
import torch
from scipy import stats

from training.recurrent import CopyTask
from training.recurrent.hashing import GAMMA, jump, mix

WORD = 2**64 - 1


def splitmix(state):
    """One output of SplitMix64 in Python's integers, after Steele, Lea and Flood."""
    z = (state + GAMMA) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def test_the_hash_is_splitmix64():
    """The outputs published for the seed 1234567, and states of both signs against Python's integers."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    outputs = mix(jump(torch.tensor([1234567]), torch.arange(1, 5)))
    assert [output & WORD for output in outputs.tolist()] == published
    assert [mix(jump(torch.tensor(1234567), n)).item() & WORD for n in range(1, 5)] == published
    states = [-(2**63), -1, 0, 2**63 - 1, -123456789012345678]
    assert [output & WORD for output in mix(jump(torch.tensor(states), 1)).tolist()] == [splitmix(s) for s in states]


def test_an_example_follows_from_its_word():
    """Symbols and delay of one example, read off the hash of seed, split, step and its number."""
    task, seed, step, number = CopyTask(25), 2**32 - 5, 10**6, 77
    inputs, _ = task.tokens(step, 128, [5, seed], split="test")
    start = splitmix((splitmix(seed) + (3 * step + 2) * GAMMA) & WORD)
    word = splitmix((start + number * GAMMA) & WORD)
    delay = (word >> 32) * 26 >> 32
    wanted, _ = by_hand([1 + ((word >> 3 * i) & 7) for i in range(10)], delay, 25)
    assert inputs[1, number].tolist() == wanted


def by_hand(symbols, delay, longest):
    """A sequence written token by token."""
    rest = longest - delay
    inputs = [*symbols, *[0] * delay, 9, *[0] * 10, *[0] * rest]
    targets = [*[0] * (10 + delay + 1), *symbols, *[0] * rest]
    return inputs, targets


@pytest.mark.parametrize(("max_delay", "fixed"), [(0, False), (3, False), (25, False), (25, True)])
def test_every_example_is_one_written_by_hand(max_delay, fixed):
    task = CopyTask(max_delay, fixed)
    inputs, targets = (tokens[0] for tokens in task.tokens(0, 200, [0]))
    assert inputs.shape == targets.shape == (200, task.steps) == (200, max_delay + 21)
    for given, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
        symbols, delay = given[:10], given.index(9) - 10
        assert set(symbols) <= set(range(1, 9))
        assert 0 <= delay <= max_delay
        assert delay == max_delay or not fixed
        assert (given, wanted) == by_hand(symbols, delay, max_delay)


def test_symbols_and_delays_are_uniform():
    """Pearson's chi-squared against its mean plus five standard deviations."""
    inputs = CopyTask(24).tokens(0, 20_000, [0])[0][0]
    delays = np.bincount((inputs == 9).int().argmax(1) - 10, minlength=25)
    for position in range(10):
        symbols = np.bincount(inputs[:, position], minlength=9)[1:]
        assert chi_squared(symbols) < 7 + 5 * math.sqrt(14)
    assert delays.size == 25
    assert chi_squared(delays) < 24 + 5 * math.sqrt(48)
    # independent of each other: the second symbol given the first
    assert independent(inputs[:, 0], inputs[:, 1])
    assert independent(inputs[:, 9], (inputs == 9).int().argmax(1))


def independent(a, b):
    """Whether a table of two discrete variables passes the chi-squared test."""
    return stats.chi2_contingency(stats.contingency.crosstab(a.numpy(), b.numpy()).count).pvalue > 1e-6


def examples(models, steps, split="train"):
    """First symbol, tenth symbol and delay of 64 examples for every model and step: (3, models, steps, 64)."""
    task = CopyTask(7)
    inputs = torch.stack([task.tokens(step, 64, range(models), split=split)[0] for step in range(steps)], 1)
    return torch.stack([inputs[..., 0], inputs[..., 9], (inputs == 9).int().argmax(-1)])


def test_streams_are_independent():
    """Neighbours in every counter: seeds, steps, splits and examples. A fixed difference would show in any of them."""
    train, test = examples(8, 40), examples(8, 40, "test")
    for each, other in zip(train, test, strict=True):
        assert independent(each.flatten(), other.flatten())
        assert independent(each[:-1].flatten(), each[1:].flatten())
        assert independent(each[:, :-1].flatten(), each[:, 1:].flatten())
        assert independent(each[..., :-1].flatten(), each[..., 1:].flatten())
        # uniform within every one of many short streams: their chi-squared values follow its distribution
        values = [chi_squared(np.bincount(stream - stream.min(), minlength=8)) for stream in each.flatten(0, 1)]
        assert stats.kstest(values, stats.chi2(7).cdf).pvalue > 1e-6


def chi_squared(counts):
    wanted = counts.sum() / counts.size
    return ((counts - wanted) ** 2).sum() / wanted


def test_loss_without_memory():
    """The cross-entropy of a predictor that knows everything but the symbols, at which it guesses evenly."""
    task = CopyTask(7)
    inputs, targets = (tokens[0] for tokens in task.tokens(0, 3, [0]))
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
    with pytest.raises(ValueError, match="size must be an integer >= 1, got 0"):
        CopyTask(3).batch(0, 0, [0])
