"""How much memory a computation may use, and how much it will."""

from __future__ import annotations

import math
from concurrent.futures import Executor

import psutil
import torch

from meanfield.checks import real_number

from .blocks import BLOCK

# A GPU is busy with this many blocks; a CPU's caches are best served with one.
GPU_BLOCKS = 64
FRACTION = 0.5  # of the free memory, unless the caller says how much


def budget(memory: float | None, device: str, workers: int = 1) -> float:
    """Bytes that each of some workers may use on a device: what the caller says, or its share of half of what is free.

    Raises
    ------
    ValueError
        When `memory` is not a positive number.
    """
    if memory is not None:
        return real_number("memory", memory, minimum=0.0, strict=True)
    place = torch.device(device)
    if place.type == "cuda":
        # PyTorch keeps what it has freed for its next use
        kept = torch.cuda.memory_reserved(place) - torch.cuda.memory_allocated(place)
        return FRACTION * (torch.cuda.mem_get_info(place)[0] + kept) / workers
    return FRACTION * psutil.virtual_memory().available / workers


def require(needed: float, memory: float | None, device: str, what: str, workers: int = 1) -> None:
    """Refuse what will not fit, before it is begun.

    Raises
    ------
    ValueError
        Saying how much `what` needs and how much there is.
    """
    available = budget(memory, device, workers)
    if needed > available:
        raise ValueError(f"memory must be at least {_size(needed)} on {device} for {what}, got {_size(available)}")


def blocks_at_once(
    block_bytes: float,
    memory: float | None,
    device: str,
    advice: str,
    executor: Executor | None = None,
    n_networks: int = BLOCK,
) -> int:
    """How many blocks of networks each worker computes together; `advice` says what would need less.

    Raises
    ------
    ValueError
        When not even one fits.
    """
    workers = workers_here(executor, n_networks)
    require(block_bytes, memory, device, f"a block of {BLOCK} networks ({advice})", workers)
    if torch.device(device).type == "cpu":
        return 1
    return min(GPU_BLOCKS, int(budget(memory, device, workers) // block_bytes))


def workers_here(executor: Executor | None, n_networks: int) -> int:
    """How many workers share this machine: of a pool, those that get a block; of a cluster nothing is known."""
    return min(getattr(executor, "_max_workers", 1), math.ceil(n_networks / BLOCK))


def _size(count: float) -> str:
    return f"{count / 2**20:.4g} MiB"
