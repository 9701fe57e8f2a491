"""How much memory a computation may use, and how much it will."""

from __future__ import annotations

import psutil
import torch

from meanfield.checks import real_number

from .blocks import BLOCK

# A GPU is busy with this many blocks; a CPU's caches are best served with one.
GPU_BLOCKS = 64
FRACTION = 0.5  # of the free memory, unless the caller says how much


def budget(memory: float | None, device: str) -> float:
    """Bytes that a computation may use on a device: what the caller says, else half of what is free.

    Raises
    ------
    ValueError
        When `memory` is not a positive number.
    """
    if memory is not None:
        return real_number("memory", memory, minimum=0.0, strict=True)
    if torch.device(device).type == "cuda":
        return FRACTION * torch.cuda.mem_get_info(torch.device(device))[0]
    return FRACTION * psutil.virtual_memory().available


def require(needed: float, memory: float | None, device: str, what: str) -> None:
    """Refuse what will not fit, before it is begun.

    Raises
    ------
    ValueError
        Saying how much `what` needs and how much there is.
    """
    available = budget(memory, device)
    if needed > available:
        raise ValueError(f"memory must be at least {_size(needed)} on {device} for {what}, got {_size(available)}")


def blocks_at_once(block_bytes: float, memory: float | None, device: str, advice: str) -> int:
    """How many blocks of networks to compute together; `advice` says what would need less.

    Raises
    ------
    ValueError
        When not even one fits.
    """
    require(block_bytes, memory, device, f"a block of {BLOCK} networks ({advice})")
    if torch.device(device).type == "cpu":
        return 1
    return min(GPU_BLOCKS, int(budget(memory, device) // block_bytes))


def _size(count: float) -> str:
    return f"{count / 2**20:.4g} MiB"
