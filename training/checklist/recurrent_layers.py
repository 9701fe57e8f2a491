"""Recurrent layers against the equations, and the parameter counts of the tables: checks of `training.checklist`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from .. import recurrent
from ..recurrent import equations, recurrence, tables
from ..recurrent.layer import Recurrent
from .outcome import Outcome, vanishes

BATCH, STEPS, FEATURES, N, K = 2, 4, 3, 4, 3
EXACT = 1e-13  # float64, a few steps
Layer = TypeVar("Layer", bound=nn.Module)
Equation = Callable[[equations.Parameters, torch.Tensor, torch.Tensor], torch.Tensor]
STEP_BY_STEP = "against the equation, step by step"


# ---- layers ----------------------------------------------------------------------------------------------------------


def equivariant_rnns() -> Outcome:
    """Eq. (13)."""
    errors = _complex_rnn_error(), _block_rnn_error()
    return vanishes(errors, EXACT, "U(1) and O(3) against the equation, step by step")


def complex_rnn() -> Outcome:
    """Eq. (60)."""
    return vanishes(_complex_rnn_error(), EXACT, "against the equation in complex numbers, step by step")


def block_rnn() -> Outcome:
    """Eq. (64)."""
    return vanishes(_block_rnn_error(), EXACT, "O(3) against the equation, step by step")


def equivariant_gru() -> Outcome:
    """Eq. (14), (67)."""
    layer = _made(lambda: recurrent.CapsuleGRU(FEATURES, N))
    return vanishes(_difference(layer, equations.u1_gru), EXACT, STEP_BY_STEP)


def elman() -> Outcome:
    """Eq. (56), with its readout."""
    layer = _made(lambda: recurrent.ElmanRNN(FEATURES, N))
    model = _made(lambda: recurrent.SequenceModel(layer, 10))
    x = _inputs()
    logits = model(x) - (layer(x)[0] @ model.readout_weight.T + model.readout_bias)
    errors = _difference(layer, equations.elman), float(logits.abs().max())
    return vanishes(errors, EXACT, "states against the equation, step by step, and the readout")


def baseline_gru() -> Outcome:
    """Eq. (57)."""
    layer = _made(lambda: recurrent.GRU(FEATURES, N))
    return vanishes(_difference(layer, equations.gru), EXACT, STEP_BY_STEP)


def complex_embedding() -> Outcome:
    """Eq. (58): the first state from h = 0 is phi(E x)."""
    layer = _made(lambda: recurrent.CapsuleRNN(FEATURES, N))
    real, imaginary = layer.encoder[:N], layer.encoder[N:]
    x = _inputs()[:, :1]
    first = equations.phi(torch.complex(x @ real.T, x @ imaginary.T))
    return vanishes(_complex_states(layer, x) - first, EXACT)


def block_embedding() -> Outcome:
    """Eq. (59): N k rows, reshaped into N vectors, component after component as everywhere here."""
    layer = _made(lambda: recurrent.CapsuleRNN(FEATURES, N, f"O({K})"))
    x = _inputs()[:, :1]
    first = _phi_blocks((x @ layer.encoder.T).unflatten(-1, (K, N)))
    if tuple(layer.encoder.shape) != (N * K, FEATURES):
        return Outcome(f"E of shape {(N * K, FEATURES)}", str(tuple(layer.encoder.shape)), "fails")
    return vanishes(layer.capsules(layer(x)[0]) - first, EXACT, f"E is {N * K} x {FEATURES} for N = {N}, k = {K}")


def radial_tanh() -> Outcome:
    """Eq. (61), (65), the zero state included."""
    z = torch.cat([_normal(5, K, N), torch.zeros(1, K, N, dtype=torch.float64)])
    return vanishes(recurrence.radial_tanh(z) - _phi_blocks(z), EXACT)


def complex_readout() -> Outcome:
    """Eq. (62)."""
    layer = _made(lambda: recurrent.CapsuleRNN(FEATURES, N))
    model, x = _made(lambda: recurrent.SequenceModel(layer, 10)), _inputs()
    h = _complex_states(layer, x)
    read = torch.cat([h.real, h.imag], -1) @ model.readout_weight.T + model.readout_bias
    return vanishes(model(x) - read, EXACT)


def invariant_readout() -> Outcome:
    """Eq. (66)."""
    layer = _made(lambda: recurrent.CapsuleRNN(FEATURES, N, f"O({K})"))
    model, x = _made(lambda: recurrent.SequenceModel(layer, 10, invariant=True)), _inputs()
    lengths = layer.capsules(layer(x)[0]).norm(dim=-2)
    return vanishes(model(x) - (lengths @ model.readout_weight.T + model.readout_bias), EXACT)


def states_turn_together() -> Outcome:
    """Eq. (63): without input, O h^0 leads to O h^t, for a reflection too."""
    layer = _made(lambda: recurrent.CapsuleRNN(FEATURES, N, f"O({K})"))
    element = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)) @ torch.linalg.qr(_normal(K, K))[0]
    silence, start = 0.0 * _inputs(), _normal(1, BATCH, K * N)
    turned = torch.einsum("ab,...bn->...an", element, layer.capsules(start)).flatten(-2)
    expected = torch.einsum("ab,...bn->...an", element, layer.capsules(layer(silence, start)[0]))
    return vanishes(layer.capsules(layer(silence, turned)[0]) - expected, EXACT)


# ---- Table 1 --------------------------------------------------------------------------------------------------------


def table_1() -> Outcome:
    counts = {row: rounded(tables.parameter_count(row.build()), row.printed) for row in tables.TABLE_1}
    wrong = [row for row, count in counts.items() if count != row.printed]
    told = "; ".join(f"{row.model} {row.hidden_size} has {counts[row]}, printed {row.printed}" for row in wrong)
    return Outcome(
        ", ".join(row.printed for row in counts),
        ", ".join(counts.values()),
        "fails" if any(row.fits for row in wrong) else "corrected" if wrong else "agrees",
        f"parameter counts of {len(counts)} models; {told}" if told else f"parameter counts of {len(counts)} models",
    )


def rounded(count: int, printed: str) -> str:
    """A count with as many digits as a printed one."""
    unit = {"K": 1e3, "M": 1e6}[printed[-1]]
    return f"{count / unit:.{len(printed[:-1].partition('.')[2])}f}{printed[-1]}"


# ---- what they share -------------------------------------------------------------------------------------------------


def _made(make: Callable[[], Layer]) -> Layer:
    """A layer in float64, always the same, which leaves torch's own random numbers alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return make().double().requires_grad_(False)


def _normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def _inputs() -> torch.Tensor:
    return _normal(BATCH, STEPS, FEATURES)


def _phi_blocks(v: torch.Tensor) -> torch.Tensor:
    """Eq. (65) for (..., k, N)."""
    return equations.phi(v.mT).mT


def _complex_rnn_error() -> float:
    return _difference(_made(lambda: recurrent.CapsuleRNN(FEATURES, N)), equations.u1_rnn)


def _block_rnn_error() -> float:
    return _difference(_made(lambda: recurrent.CapsuleRNN(FEATURES, N, f"O({K})")), equations.o_rnn)


def _complex_states(layer: Recurrent, x: torch.Tensor) -> torch.Tensor:
    """Those of a U(1) layer from h = 0."""
    return torch.complex(*layer.capsules(layer(x)[0]).unbind(-2))


def _difference(layer: Recurrent, equation: Equation) -> float:
    """Largest one between a layer's states and those of an equation, from a random start."""
    x, start = _inputs(), _normal(1, BATCH, layer.features)
    return float((layer(x, start)[0] - equation(dict(layer.named_parameters()), x, start[0])).abs().max())
