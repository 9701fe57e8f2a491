"""Random bits as a function of where they are used: SplitMix64 on tensors.

A generator for each model would have to be seeded by a Python loop at every step. A hash of the seed and of counters
needs none: it gives the bits of a whole stack in a few elementwise operations, the same on every device.
"""

from __future__ import annotations

import torch

GAMMA = 0x9E3779B97F4A7C15  # by which SplitMix64 counts
_FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(state: torch.Tensor) -> torch.Tensor:
    """SplitMix64's output function of 64-bit states: a bijection in which every bit depends on every bit."""
    state = (state ^ _shifted(state, 30)) * _signed(_FACTORS[0])
    state = (state ^ _shifted(state, 27)) * _signed(_FACTORS[1])
    return state ^ _shifted(state, 31)


def jump(state: torch.Tensor, counts: torch.Tensor | int) -> torch.Tensor:
    """The states that SplitMix64 reaches after so many steps."""
    if isinstance(counts, int):
        return state + _signed(counts * GAMMA)  # the factor may exceed what int64 holds
    return state + counts * _signed(GAMMA)


def _shifted(state: torch.Tensor, bits: int) -> torch.Tensor:
    """A shift to the right which fills up with zeros, not with the sign."""
    return (state >> bits) & (2 ** (64 - bits) - 1)


def _signed(value: int) -> int:
    """The int64 with the bits of a number modulo 2^64."""
    return (value + 2**63) % 2**64 - 2**63
