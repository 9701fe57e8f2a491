"""The recurrent equations of the paper, step by step and as they read: what the fast layers are held against.

Nothing here is shared with those. Parameters are plain tensors by the names they have in a layer, as in
``dict(layer.named_parameters())``, of one model; inputs x are (batch, steps, d), and states have the features of the
layers, component after component: h^0 is (batch, features), and h^1 to h^steps come as (batch, steps, features).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

Parameters = Mapping[str, torch.Tensor]
Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Activation = Callable[[torch.Tensor], torch.Tensor]


def phi(z: torch.Tensor, epsilon: float = 1e-8) -> torch.Tensor:
    """Eq. (61) for complex z, Eq. (65) for capsules (..., N, k)."""
    r = z.abs() if z.is_complex() else z.square().sum(-1, keepdim=True).sqrt()
    return torch.tanh(r) / (r + epsilon) * z


def u1_rnn(parameters: Parameters, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Eq. (13), (58), (60), in complex numbers."""
    encoder, weight = _complex(parameters["encoder"]), torch.complex(*parameters["recurrent"])

    def step(x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return phi(x.to(h.dtype) @ encoder.T + h @ weight.T)

    states = _states(step, x, _complex(h, -1))
    return torch.cat([states.real, states.imag], -1)


def u1_gru(parameters: Parameters, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Eq. (14), (67), in complex numbers."""
    encoder, weight = _complex(parameters["encoder"]), torch.complex(*parameters["recurrent"])
    (xr, xz), (hr, hz) = parameters["gate_encoder"].chunk(2), parameters["gate_recurrent"].chunk(2)
    br, bz = parameters["gate_bias"].chunk(2)

    def step(x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        r = torch.sigmoid(x @ xr.T + h.abs() @ hr.T + br)
        z = torch.sigmoid(x @ xz.T + h.abs() @ hz.T + bz)
        return z * h + (1.0 - z) * phi(x.to(h.dtype) @ encoder.T + (r * h) @ weight.T)

    states = _states(step, x, _complex(h, -1))
    return torch.cat([states.real, states.imag], -1)


def o_rnn(parameters: Parameters, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Eq. (13), (59), (64): one N x N matrix acts on the vectors of all capsules."""
    weight = parameters["recurrent"]
    return _capsule_rnn(parameters, x, h, lambda h: torch.einsum("ij,bja->bia", weight, h), len(weight))


def generic_rnn(parameters: Parameters, x: torch.Tensor, h: torch.Tensor, capsules: int) -> torch.Tensor:
    """Eq. (64) with a matrix of N k x N k instead, which keeps no symmetry."""
    weight = parameters["recurrent"]
    return _capsule_rnn(parameters, x, h, lambda h: _capsules(_features(h) @ weight.T, capsules), capsules)


def elman(parameters: Parameters, x: torch.Tensor, h: torch.Tensor, psi: Activation = torch.tanh) -> torch.Tensor:
    """Eq. (56)."""
    encoder, weight, bias = parameters["encoder"], parameters["recurrent"], parameters["bias"].sum(0)
    return _states(lambda x, h: psi(x @ encoder.T + h @ weight.T + bias), x, h)


def gru(parameters: Parameters, x: torch.Tensor, h: torch.Tensor, psi: Activation = torch.relu) -> torch.Tensor:
    """Eq. (57)."""
    encoder, weight, (bxn, bhn) = parameters["encoder"], parameters["recurrent"], parameters["bias"]
    (xr, xz), (hr, hz) = parameters["gate_encoder"].chunk(2), parameters["gate_recurrent"].chunk(2)
    br, bz = parameters["gate_bias"].sum(0).chunk(2)

    def step(x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        r = torch.sigmoid(x @ xr.T + h @ hr.T + br)
        z = torch.sigmoid(x @ xz.T + h @ hz.T + bz)
        return z * h + (1.0 - z) * psi(x @ encoder.T + bxn + r * (h @ weight.T + bhn))

    return _states(step, x, h)


def _states(step: Step, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """h^1 to h^steps, along axis 1."""
    states = []
    for t in range(x.shape[1]):
        h = step(x[:, t], h)
        states.append(h)
    return torch.stack(states, 1)


def _capsule_rnn(
    parameters: Parameters, x: torch.Tensor, h: torch.Tensor, act: Activation, capsules: int
) -> torch.Tensor:
    """h^t = phi(E x^t + W h^{t-1}), `act` being W; h is (batch, N, k) inside."""
    encoder, bias = parameters["encoder"], parameters.get("encoder_bias", torch.tensor(0.0))

    def step(x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return phi(_capsules(x @ encoder.T + bias, capsules) + act(h))

    return _features(_states(step, x, _capsules(h, capsules)))


def _complex(parts: torch.Tensor, axis: int = 0) -> torch.Tensor:
    """Complex numbers from their real parts and, after these, their imaginary ones."""
    return torch.complex(*parts.chunk(2, axis))


def _capsules(features: torch.Tensor, capsules: int) -> torch.Tensor:
    """(..., N, k) from the features, of which the first component of all capsules comes first."""
    return features.unflatten(-1, (-1, capsules)).mT


def _features(capsules: torch.Tensor) -> torch.Tensor:
    return capsules.mT.flatten(-2)
