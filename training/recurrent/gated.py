"""Hidden states of the gated models along time, Eq. (14), (57), (67), with hand-written backward passes.

As in `recurrence`: all that can be done for every step at once is; `fused` on a GPU; tied weights; no gradients of
gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from . import fused
from .opaque import operation
from .recurrence import EPSILON
from .steps import (
    POINTWISE,
    add_product,
    extended,
    first_order,
    in_float32,
    rows,
    slope,
    stretch,
    weight_gradient,
    with_start,
)


def gru_states(
    drive: torch.Tensor, start: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, name: str
) -> torch.Tensor:
    """The baseline GRU, Eq. (57).

    Parameters
    ----------
    drive : (..., steps, batch, 3 N)
        What the candidate, the reset gate and the update gate receive from the input, in this order, with biases.
    start : h^0, (..., batch, N)
    weight : (..., N, 3 N)
        W_hr, W_hz and W_hn side by side, acting on rows from the right.
    bias : (..., 3 N)
        Added to h W; its last N numbers are b_hn, which the reset gate multiplies.
    name : ``"relu"`` or ``"tanh"``, the candidate's activation

    Returns
    -------
    h^1 to h^steps, (..., steps, batch, N)
    """
    if fused.fits(start, weight):
        return fused.gru_states(drive, start, weight, bias, name)
    states = _gru_operation if torch.compiler.is_compiling() else _GRUStates.apply
    return states(drive, start, weight, bias, name)


def capsule_gru_states(
    drive: torch.Tensor,
    gates: torch.Tensor,
    start: torch.Tensor,
    weight: torch.Tensor,
    gate_weight: torch.Tensor,
    epsilon: float = EPSILON,
) -> torch.Tensor:
    """The equivariant GRU, Eq. (14), (67).

    Parameters
    ----------
    drive : u, (..., steps, batch, D, N)
    gates : (..., steps, batch, 2 N)
        W_x x + b of the reset gate, then of the update gate.
    start : h^0, (..., batch, D, N)
    weight : W_h, (..., D N, D N) or (..., N, N)
    gate_weight : (..., N, 2 N)
        W_hr and W_hz side by side, acting on rows of |h| from the right.

    Returns
    -------
    h^1 to h^steps, (..., steps, batch, D, N)
    """
    tensors = drive, gates, start, weight, gate_weight
    if fused.fits(start, weight, gate_weight):
        return fused.capsule_gru_states(*tensors, epsilon)
    states = _capsule_gru_operation if torch.compiler.is_compiling() else _CapsuleGRUStates.apply
    return in_float32(lambda *tensors: states(*tensors, epsilon), *tensors)


class _GRUStates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, start, weight, bias, name):
        n, steps, activation = start.shape[-1], drive.shape[-3], POINTWISE[name]
        states = with_start(start, steps, axes=2)
        gates, inner, candidate = (drive.new_empty(*drive.shape[:-1], size) for size in (2 * n, n, n))
        sums, offset = drive.new_empty(*start.shape[:-1], 3 * n), bias.unsqueeze(-2)
        h, drives = states.unbind(-3), drive.contiguous().unbind(-3)
        each = zip(gates.unbind(-3), inner.unbind(-3), candidate.unbind(-3), strict=True)
        for t, (gate, m, c) in enumerate(each):
            add_product(offset, h[t], weight, out=sums)
            torch.add(drives[t][..., n:], sums[..., : 2 * n], out=gate).sigmoid_()
            m.copy_(sums[..., 2 * n :])
            activation(torch.addcmul(drives[t][..., :n], gate[..., :n], m, out=c))
            torch.lerp(c, h[t], gate[..., n:], out=h[t + 1])
        ctx.save_for_backward(states, gates, inner, candidate, weight)
        ctx.name = name
        return states.narrow(-3, 1, steps)

    @staticmethod
    @first_order
    def backward(ctx, gradient):
        states, gates, inner, candidate, weight = ctx.saved_tensors
        n, steps, transposed = states.shape[-1], gradient.shape[-3], weight.mT.contiguous()
        before, (r, z) = states.narrow(-3, 0, steps), gates.split(n, -1)
        to_candidate = (1.0 - z) * slope(candidate, ctx.name)
        to_r, to_z = inner * r * (1.0 - r), (before - candidate) * z * (1.0 - z)
        # candidate, r, z, and the part of the candidate that r multiplies: `drive` wants the first three of these
        # blocks, `weight` and `bias` the last three
        d = gradient.new_empty(*gradient.shape[:-1], 4 * n)
        blocks = [block.unbind(-3) for block in d.split(n, -1)]
        sums, gradients = d[..., n:].unbind(-3), gradient.contiguous().unbind(-3)
        factors = [factor.unbind(-3) for factor in (to_candidate, to_r, to_z, r, z)]
        dh = gradients[-1].clone()
        for t in range(steps - 1, -1, -1):
            to_candidate_t, to_r_t, to_z_t, r_t, z_t = (factor[t] for factor in factors)
            d_candidate, d_r, d_z, d_inner = (block[t] for block in blocks)
            torch.mul(dh, to_candidate_t, out=d_candidate)
            torch.mul(d_candidate, to_r_t, out=d_r)
            torch.mul(dh, to_z_t, out=d_z)
            torch.mul(d_candidate, r_t, out=d_inner)
            add_product(dh.mul_(z_t), sums[t], transposed, out=dh)
            if t:
                dh.add_(gradients[t - 1])
        d_sums = d[..., n:]
        return d[..., : 3 * n], dh, weight_gradient(before, d_sums), d_sums.sum((-3, -2)), None


class _CapsuleGRUStates(torch.autograd.Function):
    @staticmethod
    def forward(ctx, drive, gate_drive, start, weight, gate_weight, epsilon):
        drive, gate_drive = drive.contiguous(), gate_drive.contiguous()
        n, width, steps = start.shape[-1], weight.shape[-1], drive.shape[-4]
        states, q, reset = with_start(start, steps, axes=3), torch.empty_like(drive), torch.empty_like(drive)
        length = with_start((start * start).sum(-2).sqrt_(), steps, axes=2)  # |h|
        gates, radius = torch.empty_like(gate_drive), torch.empty_like(q[..., 0, :])
        gain = torch.empty_like(radius)
        buffer, size = torch.empty_like(start), torch.empty_like(start[..., 0, :])
        h, lengths, qs, resets = states.unbind(-4), length.unbind(-3), q.unbind(-4), reset.unbind(-4)
        drives, products, reset_rows = (rows(x, width).unbind(-3) for x in (drive, q, reset))
        each = zip(gate_drive.unbind(-3), gates.unbind(-3), radius.unbind(-3), gain.unbind(-3), strict=True)
        for t, (from_input, gate, rho, g) in enumerate(each):
            add_product(from_input, lengths[t], gate_weight, out=gate).sigmoid_()
            torch.mul(h[t], gate[..., :n].unsqueeze(-2), out=resets[t])
            add_product(drives[t], reset_rows[t], weight, out=products[t])
            torch.sum(torch.mul(qs[t], qs[t], out=buffer), -2, out=rho)
            torch.tanh(rho.sqrt_(), out=g)
            g.div_(torch.add(rho, epsilon, out=size))
            torch.mul(qs[t], g.unsqueeze(-2), out=buffer)
            torch.lerp(buffer, h[t], gate[..., n:].unsqueeze(-2), out=h[t + 1])
            torch.sum(torch.mul(h[t + 1], h[t + 1], out=buffer), -2, out=lengths[t + 1])
            lengths[t + 1].sqrt_()
        ctx.save_for_backward(states, length, q, reset, gates, radius, gain, weight, gate_weight)
        ctx.epsilon = epsilon
        return states.narrow(-4, 1, steps)

    @staticmethod
    @first_order
    def backward(ctx, gradient):
        states, length, q, reset, gates, radius, gain, weight, gate_weight = ctx.saved_tensors
        n, width, steps = q.shape[-1], weight.shape[-1], q.shape[-4]
        gradient, transposed, gate_transposed = (
            gradient.contiguous(),
            weight.mT.contiguous(),
            gate_weight.mT.contiguous(),
        )
        before, lengths = states.narrow(-4, 0, steps), length.narrow(-3, 0, steps)
        r, z = (gate.unsqueeze(-2) for gate in gates.split(n, -1))
        direction = before / lengths.masked_fill(lengths == 0.0, 1.0).unsqueeze(-2)  # of |h|'s gradient; 0 at h = 0
        to_r = before * (r * (1.0 - r))
        to_z = (before - q * gain.unsqueeze(-2)) * (z * (1.0 - z))
        to_q, curve = gain.unsqueeze(-2) * (1.0 - z), stretch(radius, gain, ctx.epsilon) * (1.0 - z.squeeze(-2))
        dq, d_gates, dh = torch.empty_like(q), torch.empty_like(gates), gradient.select(-4, -1).clone()
        product, d_reset, d_length = torch.empty_like(dh), torch.empty_like(dh), torch.empty_like(dh[..., 0, :])
        d_reset_rows = rows(d_reset, width)
        along = torch.empty_like(d_length)
        factors = [x.unbind(-4) for x in (q, to_q, to_r, to_z, r, z, direction, dq)]
        gradients, curves, d_gate, dq_rows = (
            gradient.unbind(-4),
            curve.unbind(-3),
            d_gates.unbind(-3),
            rows(dq, width).unbind(-3),
        )
        for t in range(steps - 1, -1, -1):
            q_t, to_q_t, to_r_t, to_z_t, r_t, z_t, direction_t, dq_t = (factor[t] for factor in factors)
            torch.sum(torch.mul(dh, to_z_t, out=product), -2, out=d_gate[t][..., n:])
            torch.sum(torch.mul(dh, q_t, out=product), -2, out=along).mul_(curves[t])
            torch.mul(dh, to_q_t, out=dq_t)
            dq_t.addcmul_(q_t, along.unsqueeze(-2))
            torch.matmul(dq_rows[t], transposed, out=d_reset_rows)
            torch.sum(torch.mul(d_reset, to_r_t, out=product), -2, out=d_gate[t][..., :n])
            torch.matmul(d_gate[t], gate_transposed, out=d_length)
            dh.mul_(z_t).addcmul_(d_reset, r_t).addcmul_(direction_t, d_length.unsqueeze(-2))
            if t:
                dh.add_(gradients[t - 1])
        d_weight = weight_gradient(rows(reset, width), rows(dq, width))
        return dq, d_gates, dh, d_weight, weight_gradient(lengths, d_gates), None


def _gru_saved(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    drive, start, *_ = tensors
    each, n = drive.shape[:-1], start.shape[-1]
    shapes = extended(start, drive.shape[-3], axes=2), (*each, 2 * n), (*each, n), (*each, n)
    return [drive.new_empty(shape) for shape in shapes]


def _gru_gradients(gradient: torch.Tensor, saved: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    weight = saved[-1]
    sums = (*gradient.shape[:-1], 3 * gradient.shape[-1])
    shapes = sums, gradient.select(-3, 0).shape, weight.shape, (*weight.shape[:-2], weight.shape[-1])
    return [gradient.new_empty(shape) for shape in shapes]


def _capsule_gru_saved(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    drive, gates, start, *_ = tensors
    states, each = extended(start, drive.shape[-4], axes=3), (*drive.shape[:-2], drive.shape[-1])
    shapes = states, (*states[:-2], states[-1]), drive.shape, drive.shape, gates.shape, each, each
    return [drive.new_empty(shape) for shape in shapes]


def _capsule_gru_gradients(gradient: torch.Tensor, saved: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    *_, gates, _, _, weight, gate_weight = saved
    shapes = gradient.shape, gates.shape, gradient.select(-4, 0).shape, weight.shape, gate_weight.shape
    return [gradient.new_empty(shape) for shape in shapes]


_gru_operation = operation(_GRUStates, "str name", -3, slice(2, 3), _gru_saved, _gru_gradients)
_capsule_gru_operation = operation(
    _CapsuleGRUStates, "float epsilon", -4, slice(3, 5), _capsule_gru_saved, _capsule_gru_gradients
)
