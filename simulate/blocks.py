"""Blocks of networks: the unit of randomness, and of the work handed to an executor.

Every block of `BLOCK` networks has its own seed, so network i has the same weights whatever the number of networks, how
many blocks are computed at a time, the order they are computed in, or the number of workers; on a CPU also the same
states, to the last bit.
"""

from __future__ import annotations

import math
import pickle
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TypeVar

import numpy as np
import torch

from meanfield.checks import whole_number
from meanfield.warn import warn

from .devices import lacks_memory
from .provenance import provenance
from .setup import checked_seed

BLOCK = 16  # networks with one seed
LARGEST_TORCH_SEED = 2**32 - 1  # torch's CPU generator keeps 32 bits of a seed
IN_FLIGHT = 64  # tasks handed to an executor at a time, so that an ensemble of any size runs in constant memory

T = TypeVar("T")
Progress = Callable[[int], object]


class PartialResultWarning(UserWarning):
    """A run stopped early; what had been finished was kept."""


def generator(seed: int, block: int, device: torch.device) -> torch.Generator:
    """The source of all random numbers of one block: of its number and the seed, whatever is sampled with them."""
    # the 32 bits that torch's CPU generator keeps depend on every bit of the seed
    (state,) = np.random.SeedSequence(seed, spawn_key=(block,)).generate_state(1)
    return torch.Generator(device).manual_seed(int(state))


def derived_seed(seed: int, *which: int) -> int:
    """A seed of its own for each ensemble of a run, named by whole numbers >= 0 such as its place among the others.

    seed + 1 would not do: the second ensemble of one seed would have the random numbers of the first one of the next.

    Raises
    ------
    ValueError
        When `seed` is no whole number from 0 to 2^64 - 1.
    """
    (state,) = np.random.SeedSequence(checked_seed(seed), spawn_key=which).generate_state(1, np.uint64)
    return int(state)


def torch_seed(name: str, value) -> int:
    """A seed that torch's generator is given as it is, of which it keeps every bit.

    Raises
    ------
    ValueError
        Unless it is an integer from 0 to 2^32 - 1: larger ones would share their random numbers with smaller ones.
    """
    if whole_number(name, value, 0) > LARGEST_TORCH_SEED:
        told = "of more bits torch's generator keeps the last 32"
        raise ValueError(f"{name} must be at most 2^32 - 1, as {told}, got {value}")
    return int(value)


def run_blocks(
    compute: Callable[[range], T],
    n_networks: int,
    take: Callable[[T], object],
    *,
    at_once: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> int:
    """Compute blocks 0, 1, ... and hand what they yield to `take`, in order.

    Parameters
    ----------
    compute : what some blocks yield, as a function of their range; picklable where the executor has other processes
    n_networks : int >= 1
    take : called with each result; changes nothing if it fails
    at_once : blocks in a range
    executor : any concurrent.futures executor; None computes here
    progress : called with the number of networks finished, task by task

    Returns
    -------
    int
        The number of networks taken: fewer than `n_networks`, with a PartialResultWarning, where Ctrl-C, lack of memory
        or a dead worker stopped the run after its first task.

    Raises
    ------
    ValueError
        When `n_networks` is not a whole number >= 1, or `executor` or `progress` is none; when processes cannot be sent
        the activation.
    KeyboardInterrupt, MemoryError, torch.OutOfMemoryError, torch.AcceleratorError, BrokenExecutor
        What stopped the run, when nothing had been finished.
    Exception
        Any other error of `compute`, `take` or `progress`, whenever it comes.
    """
    n_networks = whole_number("n_networks", n_networks, 1)
    provenance()  # asked once for a process: of the code that samples, whatever is committed meanwhile
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise ValueError(f"executor must be a concurrent.futures.Executor, got {executor!r}")
    if isinstance(executor, ProcessPoolExecutor):
        _require_picklable(compute)
    if progress is not None and not callable(progress):
        told = "a function of the number of networks just finished, as the update of a tqdm bar is, or None"
        raise ValueError(f"progress must be {told}, got {progress!r}")
    count = math.ceil(n_networks / BLOCK)
    firsts = range(0, count, at_once)
    tasks = (range(first, min(first + at_once, count)) for first in firsts)  # one by one: there may be any number
    results = (compute(task) for task in tasks) if executor is None else _elsewhere(compute, tasks, executor)
    taken = 0
    try:
        # closed explicitly: an error's traceback keeps the generator alive, and pending tasks would not be cancelled
        with closing(results):
            for first, result in zip(firsts, results, strict=True):
                take(result)
                finished = min((first + at_once) * BLOCK, n_networks) - taken
                taken += finished
                if progress is not None:
                    progress(finished)
    except BaseException as reason:
        if not taken or not _stops(reason):
            raise
        told = f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__
        warn(
            f"{taken} of {n_networks} networks were finished and are kept; the run was stopped by {told}",
            PartialResultWarning,
        )
    return taken


def _require_picklable(compute: Callable[[range], object]) -> None:
    """Refuse what a pool of processes could not be sent: of all that samplers are made of, a user's function."""
    try:
        pickle.dumps(compute)
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise ValueError(
            f"activation must be a function defined at the top of a module where an executor has processes, "
            f"got one that cannot be sent to them: {error}"
        ) from error


def _stops(reason: BaseException) -> bool:
    """Whether the error is unrelated to the networks' values; otherwise the finished ones are a biased sample."""
    distributed = sys.modules.get("distributed")  # whose executor reports a dead worker in its own way
    dead = (distributed.KilledWorker,) if distributed else ()
    return isinstance(reason, (KeyboardInterrupt, BrokenExecutor, *dead)) or lacks_memory(reason)


def _elsewhere(compute: Callable[[range], T], tasks: Iterator[range], executor: Executor) -> Generator[T, None, None]:
    """Results in order; tasks that are not wanted any more are cancelled."""
    futures = deque(executor.submit(compute, task) for task in islice(tasks, IN_FLIGHT))
    try:
        while futures:
            yield futures.popleft().result()
            futures.extend(executor.submit(compute, task) for task in islice(tasks, 1))
    finally:
        for future in futures:
            future.cancel()
