"""Recurrent layers, forwards and backwards, against a plain loop over time and PyTorch's own; and stacks of models.

On one thread of a CPU. `stacks` is for a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import nn

from training.recurrent import GRU, CapsuleGRU, CapsuleRNN, CopyTask, ElmanRNN, Recurrent, Setting, Training

from .record import Entry, Job, Scale, Target
from .timing import measure

INPUTS, BATCH, STEPS = 10, 128, 120
STACKS = (1, 2, 4, 8, 16, 32)

Loop = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def jobs(scale: Scale) -> Iterator[Job]:
    """One layer of each kind; then training steps of stacks, per model. One thread, whatever torch was set to."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    try:
        for size in (32, 64) if scale.full else (4,):
            yield _layer(CapsuleRNN(INPUTS, size), u1_rnn, nn.RNN, 2 * size, "U(1) RNN", scale)
            yield _layer(CapsuleGRU(INPUTS, size), u1_gru, nn.GRU, 2 * size, "U(1) GRU", scale)
        k, n = (8, 16) if scale.full else (2, 3)
        yield _layer(CapsuleRNN(INPUTS, n, f"O({k})"), o_rnn, nn.RNN, n * k, f"O({k}) RNN", scale)
        yield _layer(ElmanRNN(INPUTS, n * k, biases=2), elman, nn.RNN, n * k, "RNN", scale)
        yield _layer(GRU(INPUTS, n * k, biases=2), gru, nn.GRU, n * k, "GRU, ReLU", scale)
        yield from _stacks("U(1) RNN", scale)
        yield from _stacks("U(1) GRU", scale)
    finally:
        torch.set_num_threads(threads)


def phi(z: torch.Tensor) -> torch.Tensor:
    """Eq. (61), (65) as they read, capsules (..., N, k) or complex numbers."""
    r = z.abs() if z.is_complex() else z.square().sum(-1, keepdim=True).sqrt()
    return torch.tanh(r) / (r + 1e-8) * z


def u1_rnn(layer, x: torch.Tensor) -> torch.Tensor:
    """Eq. (60) in complex arithmetic."""
    encoder, weight = torch.complex(*layer.encoder.chunk(2)), torch.complex(*layer.recurrent)
    h, states = torch.zeros(len(x), layer.hidden_size, dtype=encoder.dtype), []
    for t in range(x.shape[1]):
        h = phi(x[:, t].to(encoder.dtype) @ encoder.T + h @ weight.T)
        states.append(h)
    out = torch.stack(states, 1)
    return torch.cat([out.real, out.imag], -1)


def u1_gru(layer, x: torch.Tensor) -> torch.Tensor:
    """Eq. (67) in complex arithmetic."""
    encoder, weight = torch.complex(*layer.encoder.chunk(2)), torch.complex(*layer.recurrent)
    (xr, xz), (hr, hz) = layer.gate_encoder.chunk(2), layer.gate_recurrent.chunk(2)
    br, bz = layer.gate_bias.chunk(2)
    h, states = torch.zeros(len(x), layer.hidden_size, dtype=encoder.dtype), []
    for t in range(x.shape[1]):
        r = torch.sigmoid(x[:, t] @ xr.T + h.abs() @ hr.T + br)
        z = torch.sigmoid(x[:, t] @ xz.T + h.abs() @ hz.T + bz)
        h = z * h + (1 - z) * phi(x[:, t].to(encoder.dtype) @ encoder.T + (r * h) @ weight.T)
        states.append(h)
    out = torch.stack(states, 1)
    return torch.cat([out.real, out.imag], -1)


def o_rnn(layer, x: torch.Tensor) -> torch.Tensor:
    """Eq. (64)."""
    k, n = layer.components, layer.hidden_size
    h, states = torch.zeros(len(x), n, k), []
    for t in range(x.shape[1]):
        u = (x[:, t] @ layer.encoder.T).unflatten(1, (k, n)).mT
        h = phi(u + torch.einsum("ij,bja->bia", layer.recurrent, h))
        states.append(h)
    return torch.stack(states, 1).mT.flatten(-2)


def elman(layer, x: torch.Tensor) -> torch.Tensor:
    """Eq. (56)."""
    h, states = torch.zeros(len(x), layer.hidden_size), []
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t] @ layer.encoder.T + h @ layer.recurrent.T + layer.bias.sum(0))
        states.append(h)
    return torch.stack(states, 1)


def gru(layer, x: torch.Tensor) -> torch.Tensor:
    """Eq. (57)."""
    (xr, xz), (hr, hz) = layer.gate_encoder.chunk(2), layer.gate_recurrent.chunk(2)
    br, bz = layer.gate_bias.sum(0).chunk(2)
    bxn, bhn = layer.bias
    h, states = torch.zeros(len(x), layer.hidden_size), []
    for t in range(x.shape[1]):
        r = torch.sigmoid(x[:, t] @ xr.T + h @ hr.T + br)
        z = torch.sigmoid(x[:, t] @ xz.T + h @ hz.T + bz)
        h = z * h + (1 - z) * torch.relu(x[:, t] @ layer.encoder.T + bxn + r * (h @ layer.recurrent.T + bhn))
        states.append(h)
    return torch.stack(states, 1)


def _layer(layer: Recurrent, loop: Loop, peer: type[nn.RNNBase], features: int, name: str, scale: Scale) -> Job:
    """A job of one layer; `features` real numbers in every state."""
    x = torch.randn((BATCH, STEPS, INPUTS) if scale.full else (3, 4, INPUTS))
    exact = _exact(layer, loop, x)
    parameters, probe = list(layer.parameters()), torch.randn_like(exact)
    other = peer(INPUTS, features, batch_first=True)

    def run(forward: Callable[[torch.Tensor], torch.Tensor], leaves: list[nn.Parameter]) -> torch.Tensor:
        out = forward(x)
        torch.autograd.grad((out * probe).sum(), leaves, allow_unused=True)
        return out.detach()

    def error(out: torch.Tensor) -> float:
        return float((out - exact).abs().max() / exact.abs().max())

    ours, timing = measure(partial(run, lambda x: layer(x)[0], parameters), scale.budget)
    plain, plain_timing = measure(partial(run, partial(loop, layer), parameters), scale.budget)
    _, peer_timing = measure(partial(run, lambda x: other(x)[0], list(other.parameters())), scale.budget)
    peers = (
        Entry("loop over time, as the equations read", plain_timing, error(plain)),
        Entry(f"torch.nn.{peer.__name__} of {features}", peer_timing, None),  # another model,
    )
    # within twice the time of PyTorch's layer
    target = Target(ratio=0.5, than="torch.nn") if scale.full else None
    what = f"{name}, {features} real features, {len(x)} x {x.shape[1]} steps, both ways"
    return Job(what, "call", Entry("ours", timing, error(ours)), peers, target)


def _exact(layer: Recurrent, loop: Loop, x: torch.Tensor) -> torch.Tensor:
    """The loop's states in float64."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            exact = loop(layer.double(), x.double())
    finally:
        torch.set_default_dtype(default)
        layer.float()
    return exact.float()


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
