"""Triton kernels for the loops over time of `recurrence` and `gated`, forwards and backwards.

One program follows ROWS sequences of one model from the first step to the last (backwards, from the last to the first)
with the recurrent weights in its registers, so that a whole loop is one launch, and a step waits for nothing but its
matrix product. Arrays are as in `steps`: contiguous, (models, steps, batch, features), states with one more step. What
the next step reads is asked for one step ahead. Products are of float32 numbers split in three (``tf32x3``), which
keeps their digits. Capsules have two components, a and b, of which all a come first.
"""

from __future__ import annotations

import triton
import triton.language as tl

PRECISION = tl.constexpr("tf32x3")


@triton.jit
def tanh(x):
    """To rounding, also where x is small: its series there."""
    square = x * x
    series = 62.0 / 2835.0
    series = series * square - 17.0 / 315.0
    series = series * square + 2.0 / 15.0
    series = series * square - 1.0 / 3.0
    small = tl.exp(-2.0 * tl.abs(x))
    size = (1.0 - small) / (1.0 + small)
    return tl.where(square < 0.05, x + x * square * series, tl.where(x < 0.0, -size, size))


@triton.jit
def sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def product(x, w):
    return tl.dot(x, w, input_precision=PRECISION)


@triton.jit
def psi(x, RELU: tl.constexpr):
    # as torch's: NaN stays NaN
    return tl.where(x < 0.0, 0.0, x) if RELU else tanh(x)


@triton.jit
def slope(value, RELU: tl.constexpr):
    """psi' from psi."""
    return tl.where(value > 0.0, 1.0, 0.0) if RELU else 1.0 - value * value


@triton.jit
def gain_of(radius, epsilon):
    return tanh(radius) / (radius + epsilon)


@triton.jit
def stretch(radius, gain, epsilon):
    """K in dphi = gain dq + K (q . dq) q, as in `steps`."""
    value = tanh(radius)
    along = (1.0 - value * value - gain) * (radius / (radius + epsilon))
    return along / tl.maximum(radius * radius, 1.1754943508222875e-38)


@triton.jit
def length(a, b):
    return tl.sqrt(a * a + b * b)


@triton.jit
def block(weight, unit, row, column, N: tl.constexpr, WIDTH: tl.constexpr):
    """N x N numbers of a matrix with WIDTH columns, from a row and a column on."""
    return tl.load(weight + (row + unit[:, None]) * WIDTH + column + unit[None, :])


@triton.jit
def transposed(weight, unit, row, column, N: tl.constexpr, WIDTH: tl.constexpr):
    """The same block with its axes exchanged."""
    return tl.load(weight + (row + unit[None, :]) * WIDTH + column + unit[:, None])


@triton.jit
def pointwise_forward(
    drive, start, weight, states, steps, batch, N: tl.constexpr, RELU: tl.constexpr, ROWS: tl.constexpr
):
    """h^t = psi(u^t + h^{t-1} W), Eq. (56)."""
    model = tl.program_id(0).to(tl.int64)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, N)
    here, mask = row[:, None] * N + unit[None, :], row[:, None] < batch
    size = batch * N
    w = block(weight + model * N * N, unit, 0, 0, N, N)
    drive += model * steps * size
    states += model * (steps + 1) * size
    h = tl.load(start + model * size + here, mask=mask, other=0.0)
    tl.store(states + here, h, mask=mask)
    u = tl.load(drive + here, mask=mask, other=0.0)
    for t in range(steps):
        drive += size
        states += size
        next_u = tl.load(drive + here, mask=mask & (t + 1 < steps), other=0.0)
        h = psi(u + product(h, w), RELU)
        tl.store(states + here, h, mask=mask)
        u = next_u


@triton.jit
def pointwise_backward(
    gradient, states, weight, dq, d_start, steps, batch, N: tl.constexpr, RELU: tl.constexpr, ROWS: tl.constexpr
):
    model = tl.program_id(0).to(tl.int64)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, N)
    here, mask = row[:, None] * N + unit[None, :], row[:, None] < batch
    size = batch * N
    w = transposed(weight + model * N * N, unit, 0, 0, N, N)
    gradient += (model + 1) * steps * size - size
    dq += (model + 1) * steps * size - size
    states += (model + 1) * (steps + 1) * size - size
    dh = tl.load(gradient + here, mask=mask, other=0.0)
    h = tl.load(states + here, mask=mask, other=0.0)
    for t in range(steps):
        gradient -= size
        states -= size
        more = mask & (t + 1 < steps)
        g = tl.load(gradient + here, mask=more, other=0.0)
        next_h = tl.load(states + here, mask=more, other=0.0)
        d = dh * slope(h, RELU)
        tl.store(dq + here, d, mask=mask)
        dq -= size
        dh = g + product(d, w)
        h = next_h
    tl.store(d_start + model * size + here, dh, mask=mask)


@triton.jit
def capsule_forward(drive, start, weight, states, qs, steps, batch, epsilon, N: tl.constexpr, ROWS: tl.constexpr):
    """h^t = phi(u^t + h^{t-1} W), Eq. (13), (60), (64)."""
    model = tl.program_id(0).to(tl.int64)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, N)
    a, mask = row[:, None] * (2 * N) + unit[None, :], row[:, None] < batch
    b, size = a + N, batch * 2 * N
    weight += model * 4 * N * N
    aa, ab = block(weight, unit, 0, 0, N, 2 * N), block(weight, unit, 0, N, N, 2 * N)
    ba, bb = block(weight, unit, N, 0, N, 2 * N), block(weight, unit, N, N, N, 2 * N)
    drive += model * steps * size
    qs += model * steps * size
    states += model * (steps + 1) * size
    start += model * size
    ha, hb = tl.load(start + a, mask=mask, other=0.0), tl.load(start + b, mask=mask, other=0.0)
    tl.store(states + a, ha, mask=mask)
    tl.store(states + b, hb, mask=mask)
    ua, ub = tl.load(drive + a, mask=mask, other=0.0), tl.load(drive + b, mask=mask, other=0.0)
    for t in range(steps):
        drive += size
        states += size
        more = mask & (t + 1 < steps)
        next_a, next_b = tl.load(drive + a, mask=more, other=0.0), tl.load(drive + b, mask=more, other=0.0)
        qa = ua + product(ha, aa) + product(hb, ba)
        qb = ub + product(ha, ab) + product(hb, bb)
        gain = gain_of(length(qa, qb), epsilon)
        ha, hb = qa * gain, qb * gain
        tl.store(qs + a, qa, mask=mask)
        tl.store(qs + b, qb, mask=mask)
        tl.store(states + a, ha, mask=mask)
        tl.store(states + b, hb, mask=mask)
        qs += size
        ua, ub = next_a, next_b


@triton.jit
def capsule_backward(gradient, qs, weight, dq, d_start, steps, batch, epsilon, N: tl.constexpr, ROWS: tl.constexpr):
    model = tl.program_id(0).to(tl.int64)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, N)
    a, mask = row[:, None] * (2 * N) + unit[None, :], row[:, None] < batch
    b, size = a + N, batch * 2 * N
    weight += model * 4 * N * N
    aa, ab = transposed(weight, unit, 0, 0, N, 2 * N), transposed(weight, unit, 0, N, N, 2 * N)
    ba, bb = transposed(weight, unit, N, 0, N, 2 * N), transposed(weight, unit, N, N, N, 2 * N)
    last = (model + 1) * steps * size - size
    gradient += last
    qs += last
    dq += last
    d_start += model * size
    da, db = tl.load(gradient + a, mask=mask, other=0.0), tl.load(gradient + b, mask=mask, other=0.0)
    qa, qb = tl.load(qs + a, mask=mask, other=0.0), tl.load(qs + b, mask=mask, other=0.0)
    for t in range(steps):
        gradient -= size
        qs -= size
        more = mask & (t + 1 < steps)
        ga, gb = tl.load(gradient + a, mask=more, other=0.0), tl.load(gradient + b, mask=more, other=0.0)
        next_a, next_b = tl.load(qs + a, mask=more, other=0.0), tl.load(qs + b, mask=more, other=0.0)
        radius = length(qa, qb)
        gain = gain_of(radius, epsilon)
        along = (da * qa + db * qb) * stretch(radius, gain, epsilon)
        da, db = da * gain + qa * along, db * gain + qb * along
        tl.store(dq + a, da, mask=mask)
        tl.store(dq + b, db, mask=mask)
        dq -= size
        da, db = ga + product(da, aa) + product(db, ab), gb + product(da, ba) + product(db, bb)
        qa, qb = next_a, next_b
    tl.store(d_start + a, da, mask=mask)
    tl.store(d_start + b, db, mask=mask)


@triton.jit
def gru_forward(
    drive, start, weight, bias, states, gates, inner, candidate, steps, batch,
    N: tl.constexpr, RELU: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The baseline GRU, Eq. (57); `drive` has its columns for candidate, reset and update, `weight` the candidate's
    last."""
    model = tl.program_id(0).to(tl.int64)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, N)
    index, mask = row[:, None], row[:, None] < batch
    one, two, three = index * N + unit[None, :], index * (2 * N) + unit[None, :], index * (3 * N) + unit[None, :]
    size = batch * N
    weight += model * 3 * N * N
    wr, wz = block(weight, unit, 0, 0, N, 3 * N), block(weight, unit, 0, N, N, 3 * N)
    wn = block(weight, unit, 0, 2 * N, N, 3 * N)
    bias += model * 3 * N
    br, bz = tl.load(bias + unit)[None, :], tl.load(bias + N + unit)[None, :]
    bn = tl.load(bias + 2 * N + unit)[None, :]
    drive += model * steps * size * 3
    gates += model * steps * size * 2
    inner += model * steps * size
    candidate += model * steps * size
    states += model * (steps + 1) * size
    h = tl.load(start + model * size + one, mask=mask, other=0.0)
    tl.store(states + one, h, mask=mask)
    un = tl.load(drive + three, mask=mask, other=0.0)
    ur = tl.load(drive + three + N, mask=mask, other=0.0)
    uz = tl.load(drive + three + 2 * N, mask=mask, other=0.0)
    for t in range(steps):
        drive += 3 * size
        states += size
        more = mask & (t + 1 < steps)
        next_n = tl.load(drive + three, mask=more, other=0.0)
        next_r = tl.load(drive + three + N, mask=more, other=0.0)
        next_z = tl.load(drive + three + 2 * N, mask=more, other=0.0)
        r = sigmoid(ur + br + product(h, wr))
        z = sigmoid(uz + bz + product(h, wz))
        m = bn + product(h, wn)
        c = psi(un + r * m, RELU)
        h = c + z * (h - c)
        tl.store(gates + two, r, mask=mask)
        tl.store(gates + two + N, z, mask=mask)
        tl.store(inner + one, m, mask=mask)
        tl.store(candidate + one, c, mask=mask)
        tl.store(states + one, h, mask=mask)
        gates += 2 * size
        inner += size
        candidate += size
        un, ur, uz = next_n, next_r, next_z


@triton.jit
def gru_backward(
    gradient, states, gates, inner, candidate, weight, d, d_start, steps, batch,
    N: tl.constexpr, RELU: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """`d` has columns for candidate, reset, update, and the part of the candidate behind the reset gate."""
    model = tl.program_id(0).to(tl.int64)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, N)
    index, mask = row[:, None], row[:, None] < batch
    one, two, four = index * N + unit[None, :], index * (2 * N) + unit[None, :], index * (4 * N) + unit[None, :]
    size = batch * N
    weight += model * 3 * N * N
    wr, wz = transposed(weight, unit, 0, 0, N, 3 * N), transposed(weight, unit, 0, N, N, 3 * N)
    wn = transposed(weight, unit, 0, 2 * N, N, 3 * N)
    last = (model + 1) * steps * size - size
    gradient += last
    inner += last
    candidate += last
    gates += 2 * last
    d += 4 * last
    states += (model + 1) * (steps + 1) * size - 2 * size  # what the last step begins with
    dh = tl.load(gradient + one, mask=mask, other=0.0)
    h, m = tl.load(states + one, mask=mask, other=0.0), tl.load(inner + one, mask=mask, other=0.0)
    c = tl.load(candidate + one, mask=mask, other=0.0)
    r, z = tl.load(gates + two, mask=mask, other=0.0), tl.load(gates + two + N, mask=mask, other=0.0)
    for t in range(steps):
        gradient -= size
        states -= size
        inner -= size
        candidate -= size
        gates -= 2 * size
        more = mask & (t + 1 < steps)
        g = tl.load(gradient + one, mask=more, other=0.0)
        next_h, next_m = tl.load(states + one, mask=more, other=0.0), tl.load(inner + one, mask=more, other=0.0)
        next_c = tl.load(candidate + one, mask=more, other=0.0)
        next_r, next_z = tl.load(gates + two, mask=more, other=0.0), tl.load(gates + two + N, mask=more, other=0.0)
        d_candidate = dh * (1.0 - z) * slope(c, RELU)
        d_r = d_candidate * m * r * (1.0 - r)
        d_z = dh * (h - c) * z * (1.0 - z)
        d_inner = d_candidate * r
        tl.store(d + four, d_candidate, mask=mask)
        tl.store(d + four + N, d_r, mask=mask)
        tl.store(d + four + 2 * N, d_z, mask=mask)
        tl.store(d + four + 3 * N, d_inner, mask=mask)
        d -= 4 * size
        dh = g + dh * z + product(d_r, wr) + product(d_z, wz) + product(d_inner, wn)
        h, m, c, r, z = next_h, next_m, next_c, next_r, next_z
    tl.store(d_start + model * size + one, dh, mask=mask)


@triton.jit
def capsule_gru_forward(
    drive, gate_drive, start, weight, gate_weight, states, lengths, qs, resets, gates, steps, batch, epsilon,
    N: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The equivariant GRU, Eq. (14), (67)."""
    model = tl.program_id(0).to(tl.int64)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, N)
    a, mask = row[:, None] * (2 * N) + unit[None, :], row[:, None] < batch
    b, size, one = a + N, batch * 2 * N, row[:, None] * N + unit[None, :]
    weight += model * 4 * N * N
    gate_weight += model * 2 * N * N
    aa, ab = block(weight, unit, 0, 0, N, 2 * N), block(weight, unit, 0, N, N, 2 * N)
    ba, bb = block(weight, unit, N, 0, N, 2 * N), block(weight, unit, N, N, N, 2 * N)
    wr, wz = block(gate_weight, unit, 0, 0, N, 2 * N), block(gate_weight, unit, 0, N, N, 2 * N)
    first = model * steps * size
    drive += first
    gate_drive += first
    qs += first
    resets += first
    gates += first
    states += model * (steps + 1) * size
    lengths += model * (steps + 1) * batch * N
    start += model * size
    ha, hb = tl.load(start + a, mask=mask, other=0.0), tl.load(start + b, mask=mask, other=0.0)
    size_h = length(ha, hb)
    tl.store(states + a, ha, mask=mask)
    tl.store(states + b, hb, mask=mask)
    tl.store(lengths + one, size_h, mask=mask)
    ua, ub = tl.load(drive + a, mask=mask, other=0.0), tl.load(drive + b, mask=mask, other=0.0)
    ur, uz = tl.load(gate_drive + a, mask=mask, other=0.0), tl.load(gate_drive + b, mask=mask, other=0.0)
    for t in range(steps):
        drive += size
        gate_drive += size
        states += size
        lengths += batch * N
        more = mask & (t + 1 < steps)
        next_a, next_b = tl.load(drive + a, mask=more, other=0.0), tl.load(drive + b, mask=more, other=0.0)
        next_r, next_z = tl.load(gate_drive + a, mask=more, other=0.0), tl.load(gate_drive + b, mask=more, other=0.0)
        r, z = sigmoid(ur + product(size_h, wr)), sigmoid(uz + product(size_h, wz))
        ra, rb = ha * r, hb * r
        qa = ua + product(ra, aa) + product(rb, ba)
        qb = ub + product(ra, ab) + product(rb, bb)
        gain = gain_of(length(qa, qb), epsilon)
        ca, cb = qa * gain, qb * gain
        ha, hb = ca + z * (ha - ca), cb + z * (hb - cb)
        size_h = length(ha, hb)
        tl.store(gates + a, r, mask=mask)
        tl.store(gates + b, z, mask=mask)
        tl.store(resets + a, ra, mask=mask)
        tl.store(resets + b, rb, mask=mask)
        tl.store(qs + a, qa, mask=mask)
        tl.store(qs + b, qb, mask=mask)
        tl.store(states + a, ha, mask=mask)
        tl.store(states + b, hb, mask=mask)
        tl.store(lengths + one, size_h, mask=mask)
        gates += size
        resets += size
        qs += size
        ua, ub, ur, uz = next_a, next_b, next_r, next_z


@triton.jit
def capsule_gru_backward(
    gradient, states, qs, gates, weight, gate_weight, dq, d_gates, d_start, steps, batch, epsilon,
    N: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    model = tl.program_id(0).to(tl.int64)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, N)
    a, mask = row[:, None] * (2 * N) + unit[None, :], row[:, None] < batch
    b, size = a + N, batch * 2 * N
    weight += model * 4 * N * N
    gate_weight += model * 2 * N * N
    aa, ab = transposed(weight, unit, 0, 0, N, 2 * N), transposed(weight, unit, 0, N, N, 2 * N)
    ba, bb = transposed(weight, unit, N, 0, N, 2 * N), transposed(weight, unit, N, N, N, 2 * N)
    wr, wz = transposed(gate_weight, unit, 0, 0, N, 2 * N), transposed(gate_weight, unit, 0, N, N, 2 * N)
    last = (model + 1) * steps * size - size
    gradient += last
    qs += last
    gates += last
    dq += last
    d_gates += last
    states += (model + 1) * (steps + 1) * size - 2 * size  # what the last step begins with
    d_start += model * size
    da, db = tl.load(gradient + a, mask=mask, other=0.0), tl.load(gradient + b, mask=mask, other=0.0)
    ha, hb = tl.load(states + a, mask=mask, other=0.0), tl.load(states + b, mask=mask, other=0.0)
    qa, qb = tl.load(qs + a, mask=mask, other=0.0), tl.load(qs + b, mask=mask, other=0.0)
    r, z = tl.load(gates + a, mask=mask, other=0.0), tl.load(gates + b, mask=mask, other=0.0)
    for t in range(steps):
        gradient -= size
        states -= size
        qs -= size
        gates -= size
        more = mask & (t + 1 < steps)
        ga, gb = tl.load(gradient + a, mask=more, other=0.0), tl.load(gradient + b, mask=more, other=0.0)
        next_ha, next_hb = tl.load(states + a, mask=more, other=0.0), tl.load(states + b, mask=more, other=0.0)
        next_qa, next_qb = tl.load(qs + a, mask=more, other=0.0), tl.load(qs + b, mask=more, other=0.0)
        next_r, next_z = tl.load(gates + a, mask=more, other=0.0), tl.load(gates + b, mask=more, other=0.0)
        radius = length(qa, qb)
        gain = gain_of(radius, epsilon)
        d_z = (da * (ha - qa * gain) + db * (hb - qb * gain)) * z * (1.0 - z)
        along = (da * qa + db * qb) * stretch(radius, gain, epsilon) * (1.0 - z)
        to_q = gain * (1.0 - z)
        dqa, dqb = da * to_q + qa * along, db * to_q + qb * along
        reset_a, reset_b = product(dqa, aa) + product(dqb, ab), product(dqa, ba) + product(dqb, bb)
        d_r = (reset_a * ha + reset_b * hb) * r * (1.0 - r)
        tl.store(dq + a, dqa, mask=mask)
        tl.store(dq + b, dqb, mask=mask)
        tl.store(d_gates + a, d_r, mask=mask)
        tl.store(d_gates + b, d_z, mask=mask)
        dq -= size
        d_gates -= size
        # the gradient of |h| is along h, and zero at h = 0
        size_h = length(ha, hb)
        along_h = (product(d_r, wr) + product(d_z, wz)) / tl.where(size_h == 0.0, 1.0, size_h)
        da, db = ga + da * z + reset_a * r + ha * along_h, gb + db * z + reset_b * r + hb * along_h
        ha, hb, qa, qb, r, z = next_ha, next_hb, next_qa, next_qb, next_r, next_z
    tl.store(d_start + a, da, mask=mask)
    tl.store(d_start + b, db, mask=mask)


@triton.jit
def shuffled(state):
    """SplitMix64's output function, as in `hashing`."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB
    return state ^ (state >> 31)


@triton.jit
def copy_examples(
    step, keys, x, targets, batch, length, max_delay,
    FIXED: tl.constexpr, LENGTH: tl.constexpr, MEMORY: tl.constexpr, GO: tl.constexpr, TOKENS: tl.constexpr,
    STREAMS: tl.constexpr, GAMMA: tl.constexpr,
):  # fmt: skip
    """One training example of the copy task, as in `copy_task`: the inputs, one-hot, and the targets."""
    model, example = tl.program_id(0).to(tl.int64), tl.program_id(1)
    stream = STREAMS * tl.load(step).to(tl.uint64) + 1
    start = shuffled(tl.load(keys + model).to(tl.uint64) + stream * GAMMA)
    word = shuffled(start + (example + 1).to(tl.uint64) * GAMMA)
    go = MEMORY + max_delay if FIXED else MEMORY + (((word >> 32) * (max_delay + 1)) >> 32).to(tl.int32)
    t, token = tl.arange(0, LENGTH), tl.arange(0, 16)
    first, recalled = t < MEMORY, t - go - 1
    answer = (recalled >= 0) & (recalled < MEMORY)
    place = tl.where(first, t, tl.where(answer, recalled, 0))
    symbol = 1 + ((word >> (3 * place).to(tl.uint64)) & 7).to(tl.int32)
    shown = tl.where(first, symbol, tl.where(t == go, GO, 0))
    here = (model * batch + example) * length
    there, inside = here + t, t < length
    tl.store(targets + there, tl.where(answer, symbol, 0).to(tl.int64), mask=inside)
    one_hot = tl.where(shown[:, None] == token[None, :], 1.0, 0.0)
    tl.store(x + there[:, None] * TOKENS + token[None, :], one_hot, mask=inside[:, None] & (token[None, :] < TOKENS))
