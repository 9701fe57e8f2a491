"""Every network of a sampler in one dataset."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Protocol, TypeVar

import numpy as np
import xarray as xr

from meanfield.checks import whole_number

from .blocks import Progress, run_blocks
from .memory import blocks_at_once, require
from .setup import Setup

Part = TypeVar("Part")
Part_co = TypeVar("Part_co", covariant=True)


class Blocks(Protocol[Part_co]):
    """What draws networks in blocks, and measures something of each of them."""

    @property
    def setup(self) -> Setup: ...

    @property
    def block_bytes(self) -> float:
        """An estimate, from above, of the memory that one block takes."""
        ...

    @property
    def advice(self) -> str:
        """What would need less memory."""
        ...

    def __call__(self, blocks: range) -> Part_co: ...


class Sampler(Blocks[tuple[np.ndarray, np.ndarray]], Protocol):
    """What measures Gram matrices (network, sigma_w, layer, row, column) and d (network, sigma_w, layer, input): of
    explicit networks, or along the Gram matrices' Markov chain.
    """

    @property
    def name(self) -> str: ...


def require_finite(setup: Setup, gram: np.ndarray, d: np.ndarray) -> None:
    """Refuse results in which c has outgrown float64 numbers.

    Raises
    ------
    OverflowError
        Naming the first such layer, and the least sigma_w that has it.
    """
    # their extremes tell, and need no copy: NaN is both
    if not np.isfinite([gram.min(), gram.max(), d.min(), d.max()]).all():
        outgrown = ~(np.isfinite(gram).all(axis=(0, 3, 4)) & np.isfinite(d).all(axis=(0, 3)))  # (sigma_w, layer)
        layer = int(np.argmax(outgrown.any(axis=0)))
        sigma_w = setup.sigma_w[outgrown[:, layer]].min()
        raise OverflowError(f"c outgrows float64 numbers at layer {layer} of {setup.depth} at sigma_w = {sigma_w:g}")


def sample(
    sampler: Blocks[Part],
    n_networks: int,
    memory: float | None,
    executor: Executor | None,
    progress: Progress | None,
    *,
    result_bytes: int,
    dataset: Callable[[list[Part], int], xr.Dataset],
    hint: str = "",
) -> xr.Dataset:
    """Networks 0 to n_networks - 1; see :func:`simulate.sample_networks`.

    Parameters
    ----------
    result_bytes : size of one network's results
    dataset : makes it of what the blocks yielded, and of the number of networks in them that are wanted
    hint : said where the results do not fit into memory
    """
    n_networks = whole_number("n_networks", n_networks, 1)
    require(2 * n_networks * result_bytes, memory, "cpu", f"the results of all {n_networks} networks{hint}")
    at_once = blocks_at_once(sampler.block_bytes, memory, sampler.setup.device, sampler.advice, executor, n_networks)
    parts: list[Part] = []
    taken = run_blocks(sampler, n_networks, parts.append, at_once=at_once, executor=executor, progress=progress)
    return dataset(parts, taken).assign_attrs(partial=int(taken < n_networks))


def sample_gram(
    sampler: Sampler, n_networks: int, memory: float | None, executor: Executor | None, progress: Progress | None
) -> xr.Dataset:
    """Gram matrices and d of networks 0 to n_networks - 1."""

    def dataset(parts: list[tuple[np.ndarray, np.ndarray]], taken: int) -> xr.Dataset:
        gram, d = (np.concatenate(arrays)[:taken] for arrays in zip(*parts, strict=True))
        return sampler.setup.dataset(gram, d, sampler.name)

    return sample(
        sampler,
        n_networks,
        memory,
        executor,
        progress,
        result_bytes=sampler.setup.result_bytes,
        dataset=dataset,
        hint=" (simulate.ensemble_statistics streams them)",
    )
