"""Recurrent layers, forwards and backwards, against a plain loop over time and PyTorch's own; and stacks of models.

On one thread of a CPU. `stacks` is for a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import nn

from simulate.devices import one_thread
from training.recurrent import (
    GRU,
    CapsuleGRU,
    CapsuleRNN,
    CopyTask,
    ElmanRNN,
    Recurrent,
    Setting,
    Training,
    equations,
)

from .record import Entry, Job, Scale, Target
from .timing import measure

INPUTS, BATCH, STEPS = 10, 128, 120
STACKS = (1, 2, 4, 8, 16, 32)

Loop = Callable[[equations.Parameters, torch.Tensor, torch.Tensor], torch.Tensor]


def jobs(scale: Scale) -> Iterator[Job]:
    """One layer of each kind; then training steps of stacks, per model. One thread, whatever torch was set to."""
    torch.manual_seed(0)
    with one_thread():
        for size in (32, 64) if scale.full else (4,):
            yield _layer(CapsuleRNN(INPUTS, size), equations.u1_rnn, nn.RNN, 2 * size, "U(1) RNN", scale)
            yield _layer(CapsuleGRU(INPUTS, size), equations.u1_gru, nn.GRU, 2 * size, "U(1) GRU", scale)
        k, n = (8, 16) if scale.full else (2, 3)
        yield _layer(CapsuleRNN(INPUTS, n, f"O({k})"), equations.o_rnn, nn.RNN, n * k, f"O({k}) RNN", scale)
        yield _layer(ElmanRNN(INPUTS, n * k, biases=2), equations.elman, nn.RNN, n * k, "RNN", scale)
        yield _layer(GRU(INPUTS, n * k, biases=2), equations.gru, nn.GRU, n * k, "GRU, ReLU", scale)
        yield from _stacks("U(1) RNN", scale)
        yield from _stacks("U(1) GRU", scale)


def _layer(layer: Recurrent, loop: Loop, peer: type[nn.RNNBase], features: int, name: str, scale: Scale) -> Job:
    """A job of one layer; `features` real numbers in every state."""
    x = torch.randn((BATCH, STEPS, INPUTS) if scale.full else (3, 4, INPUTS))
    named, start = dict(layer.named_parameters()), torch.zeros(len(x), features)
    exact = _exact(loop, named, x, start)
    parameters, probe = list(named.values()), torch.randn_like(exact)
    other = peer(INPUTS, features, batch_first=True)

    def run(forward: Callable[[torch.Tensor], torch.Tensor], leaves: list[nn.Parameter]) -> torch.Tensor:
        out = forward(x)
        torch.autograd.grad((out * probe).sum(), leaves, allow_unused=True)
        return out.detach()

    def error(out: torch.Tensor) -> float:
        return float((out - exact).abs().max() / exact.abs().max())

    ours, timing = measure(partial(run, lambda x: layer(x)[0], parameters), scale.budget)
    plain, plain_timing = measure(partial(run, lambda x: loop(named, x, start), parameters), scale.budget)
    _, peer_timing = measure(partial(run, lambda x: other(x)[0], list(other.parameters())), scale.budget)
    peers = (
        Entry("loop over time, as the equations read", plain_timing, error(plain)),
        Entry(f"torch.nn.{peer.__name__} of {features}", peer_timing, None),  # another model,
    )
    # within twice the time of PyTorch's layer
    target = Target(ratio=0.5, than="torch.nn") if scale.full else None
    what = f"{name}, {features} real features, {len(x)} x {x.shape[1]} steps, both ways"
    return Job(what, "call", Entry("ours", timing, error(ours)), peers, target)


def _exact(loop: Loop, parameters: equations.Parameters, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """The loop's states in float64."""
    with torch.no_grad():
        return loop({name: value.double() for name, value in parameters.items()}, x.double(), start.double()).float()


def _stacks(kind: str, scale: Scale) -> Iterator[Job]:
    """Training steps on the copy task: sampling, both ways, and Adam. Against a stack of one."""
    task, size = (CopyTask(25), 32) if scale.full else (CopyTask(1), 3)
    alone: Entry | None = None
    for models in STACKS if scale.full else STACKS[:2]:
        settings = [Setting(kind, size, seed=seed) for seed in range(models)]
        training = Training(task, settings, 10**6, test_every=10**6)
        _, timing = measure(training.advance, scale.budget)
        entry = Entry("ours", timing, 0.0, units=models)
        alone = alone or Entry("one model alone", timing, 0.0)
        yield Job(f"training step, {models} stacked {kind}, N = {size}", "model and step", entry, (alone,))
