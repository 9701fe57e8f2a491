"""Hidden states of the ungated models along time, Eq. (13), (56), (60), (64), with hand-written backward passes.

Whatever does not depend on the state before is done for all steps at once: input projections by the caller, slopes and
weight gradients here. What is left of a step, forwards and backwards, is one matrix product and a few elementwise
operations into buffers, without a synchronisation, so that a CUDA graph can hold the loop (`captured`). On a GPU
`fused` does the same in one kernel, where that fits. Weights are tied: all steps use the same ones. Gradients of
gradients are not available.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from . import fused
from .couplings import Convolution, Matrix
from .opaque import operation
from .steps import (
    POINTWISE,
    add_product,
    extended,
    first_order,
    in_float32,
    slope,
    stretch,
    weight_gradient,
    with_start,
)

EPSILON = 1e-8  # of Eq. (61), (65)


def radial_tanh(q: torch.Tensor, epsilon: float = EPSILON) -> torch.Tensor:
    """phi(q) = tanh(|q|) / (|q| + epsilon) q, Eq. (61) and (65), for q of shape (..., D, N).

    epsilon changes tanh(|q|) q/|q| by the relative amount epsilon/|q|. A capsule much shorter than epsilon is
    multiplied by |q|/epsilon, so that a state which has shrunk that far is gone within a few steps, and at q = 0 both
    the value and its derivative vanish, where without epsilon the derivative would be 1. That blocks no gradient worth
    having: before a state h = 0 there has been no input. Value and gradient are right wherever |q|^2 is finite (|q| <
    1e19 in float32); beyond it the value is 0, and the gradient no number.
    """
    return in_float32(lambda q: _scaled(q, epsilon), q)


def _scaled(q: torch.Tensor, epsilon: float) -> torch.Tensor:
    radius = lengths(q).unsqueeze(-2)
    return q * (torch.tanh(radius) / (radius + epsilon))


def lengths(capsules: torch.Tensor) -> torch.Tensor:
    """|h| of capsules (..., D, N), with gradient zero at h = 0."""
    return in_float32(_lengths, capsules)


def _lengths(capsules: torch.Tensor) -> torch.Tensor:
    square = (capsules * capsules).sum(-2)
    # the square root has no gradient at zero: there it is taken of 1, and left out
    zero = square == 0.0
    return square.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)


def capsule_states(
    drive: torch.Tensor, start: torch.Tensor, weight: torch.Tensor, epsilon: float = EPSILON
) -> torch.Tensor:
    """h^t = phi(u^t + h^{t-1} W) with the radial tanh, Eq. (13), (60), (64).

    Parameters
    ----------
    drive : u, (..., steps, batch, D, N)
    start : h^0, (..., batch, D, N)
    weight : (..., D N, D N) or (..., N, N)

    Returns
    -------
    h^1 to h^steps, (..., steps, batch, D, N)
    """
    if fused.fits(start, weight):
        return fused.capsule_states(drive, start, weight, epsilon)
    states = _capsule_operation if torch.compiler.is_compiling() else _CapsuleStates.apply
    return in_float32(lambda *tensors: states(*tensors, epsilon), drive, start, weight)


def grid_states(
    drive: torch.Tensor, start: torch.Tensor, weight: torch.Tensor, periodic: bool, epsilon: float = EPSILON
) -> torch.Tensor:
    """h^t = phi(u^t + K * h^{t-1}) on a square grid, Appendix D.3; of one model.

    Parameters
    ----------
    drive : u, (steps, batch, D, channels side^2)
    start : h^0, (batch, D, channels side^2)
    weight : real, (D channels, D channels, 3, 3)
    periodic : whether the grid is, or ends in zeros

    Returns
    -------
    h^1 to h^steps, (steps, batch, D, channels side^2)
    """
    operation, function = (_periodic_operation, _PeriodicStates) if periodic else (_open_operation, _OpenStates)
    states = operation if torch.compiler.is_compiling() else function.apply
    return in_float32(lambda *tensors: states(*tensors, epsilon), drive, start, weight)


def pointwise_states(drive: torch.Tensor, start: torch.Tensor, weight: torch.Tensor, name: str) -> torch.Tensor:
    """h^t = psi(u^t + h^{t-1} W), Eq. (56).

    Parameters
    ----------
    drive : u, (..., steps, batch, N)
    start : h^0, (..., batch, N)
    weight : (..., N, N)
    name : ``"tanh"`` or ``"relu"``

    Returns
    -------
    h^1 to h^steps, (..., steps, batch, N)
    """
    if fused.fits(start, weight):
        return fused.pointwise_states(drive, start, weight, name)
    states = _pointwise_operation if torch.compiler.is_compiling() else _PointwiseStates.apply
    return states(drive, start, weight, name)


class _CapsuleStates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, start, weight, epsilon):
        return _forward(ctx, Matrix(weight), drive, start, epsilon)

    @staticmethod
    @first_order
    def backward(ctx, gradient):
        return _backward(ctx, Matrix(ctx.saved_tensors[-1]), gradient)


class _PeriodicStates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, start, weight, epsilon):
        return _forward(ctx, Convolution(weight, "circular"), drive, start, epsilon)

    @staticmethod
    @first_order
    def backward(ctx, gradient):
        return _backward(ctx, Convolution(ctx.saved_tensors[-1], "circular"), gradient)


class _OpenStates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, start, weight, epsilon):
        return _forward(ctx, Convolution(weight, "constant"), drive, start, epsilon)

    @staticmethod
    @first_order
    def backward(ctx, gradient):
        return _backward(ctx, Convolution(ctx.saved_tensors[-1], "constant"), gradient)


def _forward(ctx, coupling: Matrix | Convolution, drive, start, epsilon):
    """States of capsules, and what their gradients need."""
    drive = drive.contiguous()
    states, q = with_start(start, drive.shape[-4], axes=3), torch.empty_like(drive)
    radius, gain = torch.empty_like(q[..., 0, :]), torch.empty_like(q[..., 0, :])
    square, size = torch.empty_like(start), torch.empty_like(start[..., 0, :])
    after, qs = states.unbind(-4)[1:], q.unbind(-4)
    drives, before, products = coupling.each(drive), coupling.each(states), coupling.each(q)
    for t, (r, g) in enumerate(zip(radius.unbind(-3), gain.unbind(-3), strict=True)):
        coupling.add(drives[t], before[t], out=products[t])
        torch.mul(qs[t], qs[t], out=square)
        torch.sum(square, -2, out=r)
        r.sqrt_()
        torch.tanh(r, out=g)
        g.div_(torch.add(r, epsilon, out=size))
        torch.mul(qs[t], g.unsqueeze(-2), out=after[t])
    ctx.save_for_backward(states, q, radius, gain, coupling.weight)
    ctx.epsilon = epsilon
    return states.narrow(-4, 1, drive.shape[-4])


def _backward(ctx, coupling: Matrix | Convolution, gradient):
    """Gradients of the drive, of h^0 and of the weight."""
    states, q, radius, gain, _ = ctx.saved_tensors
    gradient, transposed = gradient.contiguous(), coupling.transposed()
    dq, dh = torch.empty_like(q), gradient.select(-4, -1).clone()
    product, along = torch.empty_like(dh), torch.empty_like(dh[..., 0, :])
    gradients, dqs, (dh_seen,) = (coupling.each(each) for each in (gradient, dq, dh.unsqueeze(-4)))
    curves = stretch(radius, gain, ctx.epsilon).unbind(-3)
    steps = list(zip(q.unbind(-4), dq.unbind(-4), gain.unsqueeze(-2).unbind(-4), curves, strict=True))
    for t in range(len(steps) - 1, -1, -1):
        q_t, dq_t, gain_t, curve = steps[t]
        torch.sum(torch.mul(dh, q_t, out=product), -2, out=along)
        along.mul_(curve)
        torch.mul(dh, gain_t, out=dq_t)
        dq_t.addcmul_(q_t, along.unsqueeze(-2))
        if t:
            transposed.add(gradients[t - 1], dqs[t], out=dh_seen)
    first = transposed.product(dqs[0]).view_as(dh)
    return dq, first, coupling.gradient(states.narrow(-4, 0, len(steps)), dq), None


class _PointwiseStates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, start, weight, name):
        states, activation = with_start(start, drive.shape[-3], axes=2), POINTWISE[name]
        each = states.unbind(-3)
        for t, u in enumerate(drive.contiguous().unbind(-3)):
            activation(add_product(u, each[t], weight, out=each[t + 1]))
        ctx.save_for_backward(states, weight)
        ctx.name = name
        return states.narrow(-3, 1, drive.shape[-3])

    @staticmethod
    @first_order
    def backward(ctx, gradient):
        states, weight = ctx.saved_tensors
        transposed, steps = weight.mT.contiguous(), gradient.shape[-3]
        dq = slope(states.narrow(-3, 1, steps), ctx.name).contiguous()
        dh, dqs, gradients = gradient.select(-3, -1).clone(), dq.unbind(-3), gradient.contiguous().unbind(-3)
        for t in range(steps - 1, -1, -1):
            dqs[t].mul_(dh)
            if t:
                add_product(gradients[t - 1], dqs[t], transposed, out=dh)
        return dq, dqs[0] @ transposed, weight_gradient(states.narrow(-3, 0, steps), dq), None


def _capsule_saved(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    drive, start, _ = tensors
    each = (*drive.shape[:-2], drive.shape[-1])
    shapes = extended(start, drive.shape[-4], axes=3), drive.shape, each, each
    return [drive.new_empty(shape) for shape in shapes]


def _capsule_gradients(gradient: torch.Tensor, saved: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    shapes = gradient.shape, gradient.select(-4, 0).shape, saved[-1].shape
    return [gradient.new_empty(shape) for shape in shapes]


def _pointwise_saved(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    drive, start, _ = tensors
    return [drive.new_empty(extended(start, drive.shape[-3], axes=2))]


def _pointwise_gradients(gradient: torch.Tensor, saved: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    shapes = gradient.shape, gradient.select(-3, 0).shape, saved[-1].shape
    return [gradient.new_empty(shape) for shape in shapes]


_WEIGHT = slice(2, 3)  # of the arguments
_capsule_operation = operation(_CapsuleStates, "float epsilon", -4, _WEIGHT, _capsule_saved, _capsule_gradients)
_periodic_operation = operation(_PeriodicStates, "float epsilon", -4, _WEIGHT, _capsule_saved, _capsule_gradients)
_open_operation = operation(_OpenStates, "float epsilon", -4, _WEIGHT, _capsule_saved, _capsule_gradients)
_pointwise_operation = operation(_PointwiseStates, "str name", -3, _WEIGHT, _pointwise_saved, _pointwise_gradients)
