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
def blocks(weight, unit, N: tl.constexpr):
    """What takes a to a, a to b, b to a and b to b."""
    a, b = block(weight, unit, 0, 0, N, 2 * N), block(weight, unit, 0, N, N, 2 * N)
    return a, b, block(weight, unit, N, 0, N, 2 * N), block(weight, unit, N, N, N, 2 * N)


@triton.jit
def blocks_transposed(weight, unit, N: tl.constexpr):
    """The same blocks, each with its axes exchanged."""
    a, b = transposed(weight, unit, 0, 0, N, 2 * N), transposed(weight, unit, 0, N, N, 2 * N)
    return a, b, transposed(weight, unit, N, 0, N, 2 * N), transposed(weight, unit, N, N, N, 2 * N)


@triton.jit
def get(place, mask):
    """Numbers, and zeros for rows that are no sequence."""
    return tl.load(place, mask=mask, other=0.0)


@triton.jit
def pair(place, mask, N: tl.constexpr):
    """Two components, or two gates, side by side."""
    return get(place, mask), get(place + N, mask)


@triton.jit
def put_pair(place, first, second, mask, N: tl.constexpr):
    tl.store(place, first, mask=mask)
    tl.store(place + N, second, mask=mask)


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
    h = get(start + model * size + here, mask)
    tl.store(states + here, h, mask=mask)
    u = get(drive + here, mask)
    for t in range(steps):
        drive += size
        states += size
        next_u = get(drive + here, mask & (t + 1 < steps))
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
    dh = get(gradient + here, mask)
    h = get(states + here, mask)
    for t in range(steps):
        gradient -= size
        states -= size
        more = mask & (t + 1 < steps)
        g = get(gradient + here, more)
        next_h = get(states + here, more)
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
    size = batch * 2 * N
    weight += model * 4 * N * N
    aa, ab, ba, bb = blocks(weight, unit, N)
    drive += model * steps * size
    qs += model * steps * size
    states += model * (steps + 1) * size
    start += model * size
    ha, hb = pair(start + a, mask, N)
    put_pair(states + a, ha, hb, mask, N)
    ua, ub = pair(drive + a, mask, N)
    for t in range(steps):
        drive += size
        states += size
        more = mask & (t + 1 < steps)
        next_a, next_b = pair(drive + a, more, N)
        qa = ua + product(ha, aa) + product(hb, ba)
        qb = ub + product(ha, ab) + product(hb, bb)
        gain = gain_of(length(qa, qb), epsilon)
        ha, hb = qa * gain, qb * gain
        put_pair(qs + a, qa, qb, mask, N)
        put_pair(states + a, ha, hb, mask, N)
        qs += size
        ua, ub = next_a, next_b


@triton.jit
def capsule_backward(gradient, qs, weight, dq, d_start, steps, batch, epsilon, N: tl.constexpr, ROWS: tl.constexpr):
    model = tl.program_id(0).to(tl.int64)
    row, unit = tl.program_id(1) * ROWS + tl.arange(0, ROWS), tl.arange(0, N)
    a, mask = row[:, None] * (2 * N) + unit[None, :], row[:, None] < batch
    size = batch * 2 * N
    weight += model * 4 * N * N
    aa, ab, ba, bb = blocks_transposed(weight, unit, N)
    last = (model + 1) * steps * size - size
    gradient += last
    qs += last
    dq += last
    d_start += model * size
    da, db = pair(gradient + a, mask, N)
    qa, qb = pair(qs + a, mask, N)
    for t in range(steps):
        gradient -= size
        qs -= size
        more = mask & (t + 1 < steps)
        ga, gb = pair(gradient + a, more, N)
        next_a, next_b = pair(qs + a, more, N)
        radius = length(qa, qb)
        gain = gain_of(radius, epsilon)
        along = (da * qa + db * qb) * stretch(radius, gain, epsilon)
        da, db = da * gain + qa * along, db * gain + qb * along
        put_pair(dq + a, da, db, mask, N)
        dq -= size
        da, db = ga + product(da, aa) + product(db, ab), gb + product(da, ba) + product(db, bb)
        qa, qb = next_a, next_b
    put_pair(d_start + a, da, db, mask, N)


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
    h = get(start + model * size + one, mask)
    tl.store(states + one, h, mask=mask)
    un = get(drive + three, mask)
    ur = get(drive + three + N, mask)
    uz = get(drive + three + 2 * N, mask)
    for t in range(steps):
        drive += 3 * size
        states += size
        more = mask & (t + 1 < steps)
        next_n = get(drive + three, more)
        next_r = get(drive + three + N, more)
        next_z = get(drive + three + 2 * N, more)
        r = sigmoid(ur + br + product(h, wr))
        z = sigmoid(uz + bz + product(h, wz))
        m = bn + product(h, wn)
        c = psi(un + r * m, RELU)
        h = c + z * (h - c)
        put_pair(gates + two, r, z, mask, N)
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
    dh = get(gradient + one, mask)
    h, m = get(states + one, mask), get(inner + one, mask)
    c = get(candidate + one, mask)
    r, z = pair(gates + two, mask, N)
    for t in range(steps):
        gradient -= size
        states -= size
        inner -= size
        candidate -= size
        gates -= 2 * size
        more = mask & (t + 1 < steps)
        g = get(gradient + one, more)
        next_h, next_m = get(states + one, more), get(inner + one, more)
        next_c = get(candidate + one, more)
        next_r, next_z = pair(gates + two, more, N)
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
    size, one = batch * 2 * N, row[:, None] * N + unit[None, :]
    weight += model * 4 * N * N
    gate_weight += model * 2 * N * N
    aa, ab, ba, bb = blocks(weight, unit, N)
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
    ha, hb = pair(start + a, mask, N)
    size_h = length(ha, hb)
    put_pair(states + a, ha, hb, mask, N)
    tl.store(lengths + one, size_h, mask=mask)
    ua, ub = pair(drive + a, mask, N)
    ur, uz = pair(gate_drive + a, mask, N)
    for t in range(steps):
        drive += size
        gate_drive += size
        states += size
        lengths += batch * N
        more = mask & (t + 1 < steps)
        next_a, next_b = pair(drive + a, more, N)
        next_r, next_z = pair(gate_drive + a, more, N)
        r, z = sigmoid(ur + product(size_h, wr)), sigmoid(uz + product(size_h, wz))
        ra, rb = ha * r, hb * r
        qa = ua + product(ra, aa) + product(rb, ba)
        qb = ub + product(ra, ab) + product(rb, bb)
        gain = gain_of(length(qa, qb), epsilon)
        ca, cb = qa * gain, qb * gain
        ha, hb = ca + z * (ha - ca), cb + z * (hb - cb)
        size_h = length(ha, hb)
        put_pair(gates + a, r, z, mask, N)
        put_pair(resets + a, ra, rb, mask, N)
        put_pair(qs + a, qa, qb, mask, N)
        put_pair(states + a, ha, hb, mask, N)
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
    size = batch * 2 * N
    weight += model * 4 * N * N
    gate_weight += model * 2 * N * N
    aa, ab, ba, bb = blocks_transposed(weight, unit, N)
    wr, wz = transposed(gate_weight, unit, 0, 0, N, 2 * N), transposed(gate_weight, unit, 0, N, N, 2 * N)
    last = (model + 1) * steps * size - size
    gradient += last
    qs += last
    gates += last
    dq += last
    d_gates += last
    states += (model + 1) * (steps + 1) * size - 2 * size  # what the last step begins with
    d_start += model * size
    da, db = pair(gradient + a, mask, N)
    ha, hb = pair(states + a, mask, N)
    qa, qb = pair(qs + a, mask, N)
    r, z = pair(gates + a, mask, N)
    for t in range(steps):
        gradient -= size
        states -= size
        qs -= size
        gates -= size
        more = mask & (t + 1 < steps)
        ga, gb = pair(gradient + a, more, N)
        next_ha, next_hb = pair(states + a, more, N)
        next_qa, next_qb = pair(qs + a, more, N)
        next_r, next_z = pair(gates + a, more, N)
        radius = length(qa, qb)
        gain = gain_of(radius, epsilon)
        d_z = (da * (ha - qa * gain) + db * (hb - qb * gain)) * z * (1.0 - z)
        along = (da * qa + db * qb) * stretch(radius, gain, epsilon) * (1.0 - z)
        to_q = gain * (1.0 - z)
        dqa, dqb = da * to_q + qa * along, db * to_q + qb * along
        reset_a, reset_b = product(dqa, aa) + product(dqb, ab), product(dqa, ba) + product(dqb, bb)
        d_r = (reset_a * ha + reset_b * hb) * r * (1.0 - r)
        put_pair(dq + a, dqa, dqb, mask, N)
        put_pair(d_gates + a, d_r, d_z, mask, N)
        dq -= size
        d_gates -= size
        # the gradient of |h| is along h, and zero at h = 0
        size_h = length(ha, hb)
        along_h = (product(d_r, wr) + product(d_z, wz)) / tl.where(size_h == 0.0, 1.0, size_h)
        da, db = ga + da * z + reset_a * r + ha * along_h, gb + db * z + reset_b * r + hb * along_h
        ha, hb, qa, qb, r, z = next_ha, next_hb, next_qa, next_qb, next_r, next_z
    put_pair(d_start + a, da, db, mask, N)


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
    """One training example of the copy task, as in `copy_task`: the inputs, one-hot, and the targets. Blanks are 0."""
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
