"""Initial weights of the recurrent models, Appendix D.2.2.

N(0, 0.001) of the low-variance encoder names a variance or a standard deviation; both are offered, under names that say
which. "Uniform" draws every real number from U(-1/sqrt(N), 1/sqrt(N)) with N the hidden size, for encoders too.

Numbers come from the `generator` that is given, None being torch's own: models that are built side by side in threads
need one each, as they would share that.
"""

from __future__ import annotations

import math

import torch

from meanfield.symmetry import Symmetry, as_symmetry

RECURRENT = ("identity", "uniform")
ENCODERS = {"standard": None, "variance 0.001": math.sqrt(0.001), "deviation 0.001": 0.001}


def check_schemes(recurrent: str, encoder: str) -> None:
    """Raise ValueError for an unknown name."""
    for name, scheme, known in (("recurrent", recurrent, RECURRENT), ("encoder", encoder, tuple(ENCODERS))):
        if scheme not in known:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {scheme!r}")


@torch.no_grad()
def uniform_(parameter: torch.Tensor, hidden: int, generator: torch.Generator | None) -> None:
    """U(-1/sqrt(hidden), 1/sqrt(hidden)), PyTorch's own for recurrent networks."""
    bound = 1.0 / math.sqrt(hidden)
    parameter.uniform_(-bound, bound, generator=generator)


@torch.no_grad()
def recurrent_(parameter: torch.Tensor, scheme: str, generator: torch.Generator | None) -> None:
    """Blocks of (n, n) in the last two axes: all identity matrices, or uniform with hidden size n."""
    n = parameter.shape[-1]
    if scheme == "uniform":
        uniform_(parameter, n, generator)
    else:
        parameter.copy_(torch.eye(n).repeat(parameter.shape[-2] // n, 1))


@torch.no_grad()
def complex_recurrent_(parameter: torch.Tensor, scheme: str, generator: torch.Generator | None) -> None:
    """Real and imaginary part, (2, n, n): the identity is real."""
    recurrent_(parameter, scheme, generator)
    if scheme == "identity":
        parameter[1].zero_()


@torch.no_grad()
def encoder_(parameter: torch.Tensor, scheme: str, hidden: int, generator: torch.Generator | None) -> None:
    """Uniform with the hidden size ("standard"), or Gaussian of low variance."""
    deviation = ENCODERS[scheme]
    if deviation is None:
        uniform_(parameter, hidden, generator)
    else:
        parameter.normal_(0.0, deviation, generator=generator)


def initial_sigma_w(symmetry: str | Symmetry, recurrent: str) -> float:
    """sigma_w of a recurrent initialisation: sigma_w^2 = sum_j E|W_ij|^2 (per component for generic).

    Uniform: each real number has the variance 1/(3 n), n the number of rows, so sigma_w = 1/sqrt(3) for O(k), generic
    and real networks and, with two real numbers to each weight, sqrt(2/3) for U(1). All lie in the unbroken phase,
    below the transition at sigma_w = 1. The identity has sigma_w = 1, the transition itself, but is no random matrix:
    without input every capsule keeps its direction and shrinks as r -> tanh(r), r ~ sqrt(3/(2 t)) after t steps.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    check_schemes(recurrent, "standard")
    if recurrent == "identity":
        return 1.0
    return math.sqrt(2.0 / 3.0) if as_symmetry(symmetry).family == "U(1)" else math.sqrt(1.0 / 3.0)
