"""The loops over time of `recurrence` and `gated` as one kernel each, for a GPU.

The functions have the arguments of those, where these are documented, and the same values to rounding. They are for
float32 numbers, a number of units that fits the matrix units and the registers of a GPU, and capsules of two components
whose weights mix them (U(1), generic(2)): :func:`fits`. For all else there are the loops. Gradients of gradients are
not available.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from shutil import which
from types import ModuleType
from typing import Any

import torch

from .steps import first_order, rows, weight_gradient

UNITS = (16, 32, 64, 128)
PAIRS = 2  # components of a capsule
ROWS = 16  # sequences in a program: the fewest that matrix units take, for as many programs as there can be
WARP_COLUMNS = 8  # of a product's 16 rows, what one warp does
_left_to_loops: list[bool] = []  # one for each block of `loops` that is open
AMPERE = (8, 0)  # the first with matrix units for float32


def fits(start: torch.Tensor, *weights: torch.Tensor) -> bool:
    """Whether there is a kernel for h^0 and these weights, W first, and a GPU with room for them where h^0 is.

    `torch.compile` looks at the loops, with tensors that have no memory.
    """
    if _left_to_loops or torch.compiler.is_compiling() or type(start) is not torch.Tensor:
        return False
    n, inputs = start.shape[-1], weights[0].shape[-2]
    capsules = start.ndim > weights[0].ndim
    dense = inputs == n if not capsules else start.shape[-2] == PAIRS and inputs == PAIRS * n
    if not (start.is_cuda and start.dtype == torch.float32 and n in UNITS and dense):
        return False
    gpu: Any = torch.cuda.get_device_properties(start.device)
    numbers = sum(weight.shape[-2] * weight.shape[-1] for weight in weights)
    return have_kernels(start.device) and _shared_memory(numbers) <= gpu.shared_memory_per_block_optin


@cache
def have_kernels(device: torch.device) -> bool:
    """Whether a device can run them: an NVIDIA GPU of 2020 or later, with Triton and the C compiler that it needs."""
    if device.type != "cuda" or torch.version.hip is not None or find_spec("triton") is None:
        return False
    compiler = "CC" in os.environ or which("gcc") or which("clang")
    return bool(compiler) and torch.cuda.get_device_capability(device) >= AMPERE


def _shared_memory(numbers: int) -> float:
    """Bytes that a program needs for so many weights, rounded up: compiled for Hopper, 8 to 9 a number and a few KB."""
    return 8192 + 8.6 * numbers


@contextmanager
def loops() -> Iterator[None]:
    """Kernels are not used inside the block, in no thread: to see what they change, or gain."""
    _left_to_loops.append(True)
    try:
        yield
    finally:
        _left_to_loops.pop()


def pointwise_states(drive: torch.Tensor, start: torch.Tensor, weight: torch.Tensor, name: str) -> torch.Tensor:
    """h^t = psi(u^t + h^{t-1} W), Eq. (56)."""
    return _alone_or_stacked(_PointwiseStates, 3, (drive, start, weight), name == "relu")


def capsule_states(drive: torch.Tensor, start: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """h^t = phi(u^t + h^{t-1} W) with the radial tanh, Eq. (13), (60), (64)."""
    return _alone_or_stacked(_CapsuleStates, 4, (drive, start, weight), epsilon)


def gru_states(
    drive: torch.Tensor, start: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, name: str
) -> torch.Tensor:
    """The baseline GRU, Eq. (57)."""
    return _alone_or_stacked(_GRUStates, 3, (drive, start, weight, bias), name == "relu")


def capsule_gru_states(
    drive: torch.Tensor,
    gates: torch.Tensor,
    start: torch.Tensor,
    weight: torch.Tensor,
    gate_weight: torch.Tensor,
    epsilon: float,
) -> torch.Tensor:
    """The equivariant GRU, Eq. (14), (67)."""
    return _alone_or_stacked(_CapsuleGRUStates, 4, (drive, gates, start, weight, gate_weight), epsilon)


def _alone_or_stacked(
    function: type[torch.autograd.Function], axes: int, tensors: tuple[torch.Tensor, ...], option: float
) -> torch.Tensor:
    """For one model or a stack; one model's `drive` has so many axes."""
    if tensors[0].ndim > axes:
        return function.apply(*tensors, option)
    return function.apply(*(tensor.unsqueeze(0) for tensor in tensors), option)[0]


def kernels() -> ModuleType:
    """Imported where it is needed: Triton comes with PyTorch for CUDA, and not with that for a CPU."""
    from . import kernels

    return kernels


def _launch(kernel, *tensors: torch.Tensor, sizes: tuple[int, ...], epsilon: tuple[float, ...] = (), **constants):
    """One program for each model and ROWS of its sequences; `sizes` are models, steps, batch and N."""
    models, steps, batch, n = sizes
    warps = max(1, n // WARP_COLUMNS)
    grid = models, -(-batch // ROWS)
    with torch.cuda.device_of(tensors[0]):  # Triton launches on the current one
        # stages: kernels ask for what the next step reads themselves
        kernel[grid](*tensors, steps, batch, *epsilon, N=n, ROWS=ROWS, num_warps=warps, num_stages=1, **constants)


def _sizes(drive: torch.Tensor, start: torch.Tensor) -> tuple[int, int, int, int]:
    return len(drive), drive.shape[1], drive.shape[2], start.shape[-1]


def _more(start: torch.Tensor, steps: int) -> torch.Tensor:
    """Memory for so many states like h^0."""
    return start.new_empty(len(start), steps, *start.shape[1:])


class _PointwiseStates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, start, weight, relu):
        drive, start, weight = drive.contiguous(), start.contiguous(), weight.contiguous()
        ctx.sizes, ctx.relu = _sizes(drive, start), relu
        states = _more(start, drive.shape[1] + 1)
        _launch(kernels().pointwise_forward, drive, start, weight, states, sizes=ctx.sizes, RELU=relu)
        ctx.save_for_backward(states, weight)
        return states[:, 1:]

    @staticmethod
    @first_order
    def backward(ctx, gradient):
        states, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        dq, d_start = torch.empty_like(gradient), torch.empty_like(gradient[:, 0])
        kernel = kernels().pointwise_backward
        _launch(kernel, gradient, states, weight, dq, d_start, sizes=ctx.sizes, RELU=ctx.relu)
        return dq, d_start, weight_gradient(states[:, :-1], dq), None


class _CapsuleStates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, start, weight, epsilon):
        drive, start, weight = drive.contiguous(), start.contiguous(), weight.contiguous()
        ctx.sizes, ctx.epsilon = _sizes(drive, start), epsilon
        states, q = _more(start, drive.shape[1] + 1), torch.empty_like(drive)
        kernel = kernels().capsule_forward
        _launch(kernel, drive, start, weight, states, q, sizes=ctx.sizes, epsilon=(epsilon,))
        ctx.save_for_backward(states, q, weight)
        return states[:, 1:]

    @staticmethod
    @first_order
    def backward(ctx, gradient):
        states, q, weight = ctx.saved_tensors
        gradient, n = gradient.contiguous(), weight.shape[-1]
        dq, d_start = torch.empty_like(q), torch.empty_like(q[:, 0])
        kernel = kernels().capsule_backward
        _launch(kernel, gradient, q, weight, dq, d_start, sizes=ctx.sizes, epsilon=(ctx.epsilon,))
        return dq, d_start, weight_gradient(rows(states[:, :-1], n), rows(dq, n)), None


class _GRUStates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, start, weight, bias, relu):
        drive, start, weight = drive.contiguous(), start.contiguous(), weight.contiguous()
        ctx.sizes, ctx.relu = _sizes(drive, start), relu
        steps, n = drive.shape[1], start.shape[-1]
        states, inner, candidate = _more(start, steps + 1), _more(start, steps), _more(start, steps)
        gates = drive.new_empty(*drive.shape[:-1], 2 * n)
        tensors = drive, start, weight, bias.contiguous(), states, gates, inner, candidate
        _launch(kernels().gru_forward, *tensors, sizes=ctx.sizes, RELU=relu)
        ctx.save_for_backward(states, gates, inner, candidate, weight)
        return states[:, 1:]

    @staticmethod
    @first_order
    def backward(ctx, gradient):
        states, gates, inner, candidate, weight = ctx.saved_tensors
        gradient, n = gradient.contiguous(), states.shape[-1]
        # candidate, r, z, and the part of the candidate that r multiplies: `drive` wants the first three of these
        # blocks, `weight` and `bias` the last three
        d, d_start = gradient.new_empty(*gradient.shape[:-1], 4 * n), torch.empty_like(gradient[:, 0])
        tensors = gradient, states, gates, inner, candidate, weight, d, d_start
        _launch(kernels().gru_backward, *tensors, sizes=ctx.sizes, RELU=ctx.relu)
        d_sums = d[..., n:]
        d_weight = weight_gradient(states[:, :-1], d_sums)
        return d[..., : 3 * n], d_start, d_weight, d_sums.sum((-3, -2)), None


class _CapsuleGRUStates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, gate_drive, start, weight, gate_weight, epsilon):
        drive, gate_drive, start = drive.contiguous(), gate_drive.contiguous(), start.contiguous()
        weight, gate_weight = weight.contiguous(), gate_weight.contiguous()
        ctx.sizes, ctx.epsilon = _sizes(drive, start), epsilon
        states, q, resets = _more(start, drive.shape[1] + 1), torch.empty_like(drive), torch.empty_like(drive)
        lengths, gates = torch.empty_like(states[..., 0, :]), torch.empty_like(gate_drive)
        tensors = drive, gate_drive, start, weight, gate_weight, states, lengths, q, resets, gates
        _launch(kernels().capsule_gru_forward, *tensors, sizes=ctx.sizes, epsilon=(epsilon,))
        ctx.save_for_backward(states, lengths, q, resets, gates, weight, gate_weight)
        return states[:, 1:]

    @staticmethod
    @first_order
    def backward(ctx, gradient):
        states, lengths, q, resets, gates, weight, gate_weight = ctx.saved_tensors
        gradient, n = gradient.contiguous(), weight.shape[-1]
        dq, d_gates, d_start = torch.empty_like(q), torch.empty_like(gates), torch.empty_like(q[:, 0])
        tensors = gradient, states, q, gates, weight, gate_weight, dq, d_gates, d_start
        _launch(kernels().capsule_gru_backward, *tensors, sizes=ctx.sizes, epsilon=(ctx.epsilon,))
        d_weight = weight_gradient(rows(resets, n), rows(dq, n))
        return dq, d_gates, d_start, d_weight, weight_gradient(lengths[:, :-1], d_gates), None
