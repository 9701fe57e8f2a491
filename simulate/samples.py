"""Every network of a sampler in one dataset."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Protocol

import numpy as np
import xarray as xr

from meanfield.checks import whole_number

from .blocks import Progress, run_blocks
from .memory import blocks_at_once, require
from .setup import Setup


class Sampler(Protocol):
    """What draws networks in blocks: explicit networks, or the Gram matrices' Markov chain."""

    @property
    def setup(self) -> Setup: ...

    @property
    def name(self) -> str: ...

    @property
    def block_bytes(self) -> float:
        """An estimate, from above, of the memory that one block takes."""
        ...

    @property
    def advice(self) -> str:
        """What would need less memory."""
        ...

    def __call__(self, blocks: range) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrices (network, sigma_w, layer, row, column) and d (network, sigma_w, layer, input)."""
        ...


def require_finite(setup: Setup, gram: np.ndarray, d: np.ndarray) -> None:
    """Refuse results in which c has outgrown float64 numbers.

    Raises
    ------
    OverflowError
        Naming the depth and the largest sigma_w.
    """
    # their extremes tell, and need no copy: NaN is both
    if not np.isfinite([gram.min(), gram.max(), d.min(), d.max()]).all():
        raise OverflowError(
            f"c outgrows float64 numbers within depth = {setup.depth} layers at sigma_w = {setup.sigma_w.max():g}"
        )


def sample(
    sampler: Sampler, n_networks: int, memory: float | None, executor: Executor | None, progress: Progress | None
) -> xr.Dataset:
    """Networks 0 to n_networks - 1; see :func:`simulate.sample_networks`."""
    setup = sampler.setup
    n_networks = whole_number("n_networks", n_networks, 1)
    require(
        2 * n_networks * setup.result_bytes,
        memory,
        "cpu",
        f"the results of all {n_networks} networks (simulate.ensemble_statistics streams them)",
    )
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    taken = run_blocks(
        sampler,
        n_networks,
        parts.append,
        at_once=blocks_at_once(sampler.block_bytes, memory, setup.device, sampler.advice, executor, n_networks),
        executor=executor,
        progress=progress,
    )
    gram, d = (np.concatenate(arrays)[:taken] for arrays in zip(*parts, strict=True))
    return setup.dataset(gram, d, sampler.name).assign_attrs(partial=int(taken < n_networks))
