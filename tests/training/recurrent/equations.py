"""The recurrent equations of the paper, step by step and as they read: what the fast layers are held against."""

import torch


def phi(z, epsilon=1e-8):
    """Eq. (61) for complex z, Eq. (65) for capsules (..., N, k)."""
    r = z.abs() if z.is_complex() else z.square().sum(-1, keepdim=True).sqrt()
    return torch.tanh(r) / (r + epsilon) * z


def complex_parts(layer):
    n = layer.hidden_size
    return torch.complex(layer.encoder[:n], layer.encoder[n:]), torch.complex(*layer.recurrent)


def u1_rnn(layer, x, h):
    """Eq. (58), (60): x (batch, steps, d), complex h (batch, N)."""
    encoder, weight = complex_parts(layer)
    states = []
    for t in range(x.shape[1]):
        h = phi(x[:, t].to(encoder.dtype) @ encoder.T + h @ weight.T)
        states.append(h)
    return torch.stack(states, 1)


def u1_gru(layer, x, h):
    """Eq. (67)."""
    encoder, weight = complex_parts(layer)
    (xr, xz), (hr, hz) = layer.gate_encoder.chunk(2), layer.gate_recurrent.chunk(2)
    br, bz = layer.gate_bias.chunk(2)
    states = []
    for t in range(x.shape[1]):
        r = torch.sigmoid(x[:, t] @ xr.T + h.abs() @ hr.T + br)
        z = torch.sigmoid(x[:, t] @ xz.T + h.abs() @ hz.T + bz)
        candidate = phi(x[:, t].to(encoder.dtype) @ encoder.T + (r * h) @ weight.T)
        h = z * h + (1 - z) * candidate
        states.append(h)
    return torch.stack(states, 1)


def capsule_rnn(layer, x, h):
    """Eq. (59), (64), and the same with one full matrix (generic): h (batch, N, k)."""
    n, k = layer.hidden_size, layer.components
    # component-major features as capsules (N, k)
    order = torch.arange(n * k).reshape(k, n).T.flatten()
    encoder = layer.encoder[order].reshape(n, k, -1)
    bias = torch.zeros(n, k) if layer.encoder_bias is None else layer.encoder_bias[order].reshape(n, k)
    if layer.symmetry.family == "O":
        weight = torch.einsum("ij,ab->iajb", layer.recurrent, torch.eye(k, dtype=x.dtype))
    else:
        weight = layer.recurrent[order][:, order].reshape(n, k, n, k)
    states = []
    for t in range(x.shape[1]):
        u = torch.einsum("iad,bd->bia", encoder, x[:, t]) + bias
        h = phi(u + torch.einsum("iajc,bjc->bia", weight, h))
        states.append(h)
    return torch.stack(states, 1)


def elman(layer, x, h):
    """Eq. (56)."""
    activation = torch.tanh if layer.nonlinearity == "tanh" else torch.relu
    states = []
    for t in range(x.shape[1]):
        h = activation(x[:, t] @ layer.encoder.T + h @ layer.recurrent.T + layer.bias.sum(0))
        states.append(h)
    return torch.stack(states, 1)


def gru(layer, x, h):
    """Eq. (57), with the activation of the layer."""
    activation = torch.tanh if layer.nonlinearity == "tanh" else torch.relu
    (xr, xz), (hr, hz) = layer.gate_encoder.chunk(2), layer.gate_recurrent.chunk(2)
    br, bz = layer.gate_bias.sum(0).chunk(2)
    bxn, bhn = layer.bias
    states = []
    for t in range(x.shape[1]):
        r = torch.sigmoid(x[:, t] @ xr.T + h @ hr.T + br)
        z = torch.sigmoid(x[:, t] @ xz.T + h @ hz.T + bz)
        candidate = activation(x[:, t] @ layer.encoder.T + bxn + r * (h @ layer.recurrent.T + bhn))
        h = z * h + (1 - z) * candidate
        states.append(h)
    return torch.stack(states, 1)


def as_features(states):
    """States of the equations as the layers' features: [Re h; Im h], or component after component."""
    if states.is_complex():
        return torch.cat([states.real, states.imag], -1)
    return states.mT.flatten(-2) if states.ndim == 4 else states


def naive(layer, x, start):
    """The layer's output by the equations, start (1, batch, features)."""
    kind, k = type(layer).__name__, layer.components
    if kind in ("ElmanRNN", "GRU"):
        return (elman if kind == "ElmanRNN" else gru)(layer, x, start[0])
    h = layer.capsules(start[0])
    if layer.symmetry.family == "U(1)":
        h = torch.complex(h[:, 0], h[:, 1])
        return as_features((u1_gru if kind == "CapsuleGRU" else u1_rnn)(layer, x, h))
    assert k == h.shape[1]
    return as_features(capsule_rnn(layer, x, h.mT))
