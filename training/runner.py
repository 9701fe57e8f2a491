"""Jobs carried out: one from beginning to end with checkpoints and a deadline, and many by any executor.

A job is a stack of models and what is done with it, in plain values, so that it can be sent to another process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition
from typing import Any, Protocol

import numpy as np
import torch

from simulate.devices import as_device, matrix_products, one_thread

from .progress import INTERVAL, Note, board

LOOK = 0.5  # seconds between two looks at the clock while waiting
_FILE = "stack_{}.pt"
CHECKPOINT, CHECKPOINTS = _FILE.format("{:03d}"), _FILE.format("*")  # of a run's job, by its number; of all of them
Progress = Callable[[float], object]


class Interrupted(Exception):
    """The deadline came before the end, or Ctrl-C; the checkpoint has all that was done."""


@dataclass(frozen=True)
class Outcome:
    """What a job yields.

    Attributes
    ----------
    rows : its numbers, named tuples of one type
    arrays : trained weights by name, of jobs that keep them
    """

    rows: list[Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class Training(Protocol):
    """A job under way: `step` of `steps` done."""

    step: int

    @property
    def steps(self) -> int: ...

    def advance(self) -> None:
        """One step of all models, or a few."""

    def save(self, path: Path) -> None:
        """Write everything that the rest depends on, whole or not at all."""

    def restore(self, path: Path) -> None:
        """Take up what :meth:`save` wrote; ValueError when it is of another job, or damaged."""

    def outcome(self) -> Outcome:
        """What was measured so far."""


class Job(Protocol):
    """A stack of models and what is done with it."""

    @property
    def device(self) -> str: ...

    @property
    def cost(self) -> float:
        """Floating-point operations of one step, about."""

    @property
    def work(self) -> float:
        """Floating-point operations in all, about."""

    @property
    def share(self) -> float:
        """Of its GPU's memory; what is at work there at a time adds up to one at most."""

    def start(self) -> Training:
        """The job before its first step."""


def run(
    job: Job,
    checkpoint: str | Path | None = None,
    *,
    deadline: float = math.inf,
    every: float = 30.0,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Outcome:
    """Train a stack and return what was measured.

    Parameters
    ----------
    checkpoint : file to go on from where it is there, and to keep up to date; None keeps none
    deadline : by `time.time`; when it has passed, the state is saved and Interrupted is raised
    every : seconds between checkpoints
    progress : called with the floating-point operations done since, often; if it raises, the state is saved and the
        exception raised again
    note : where to tell other processes how far it is; when nobody waits for the job any more, it stops as at the
        deadline

    Raises
    ------
    Interrupted
        At the deadline.
    ValueError
        When the checkpoint is of another job, or is damaged; for a deadline that is no number, or `every` that is none
        >= 0.
    """
    if math.isnan(deadline):
        raise ValueError("deadline must be a time, got nan")
    if not every >= 0.0:
        raise ValueError(f"every must be a number of seconds >= 0, got {every!r}")
    checkpoint = None if checkpoint is None else Path(checkpoint)
    with _settings(job.device), _GPUS.place(job, deadline, note), _own_stream(job.device):
        training = job.start()
        if checkpoint is not None and checkpoint.exists():
            training.restore(checkpoint)
            if progress is not None:
                progress(job.cost * training.step)
        saved = time.monotonic()
        while training.step < training.steps:
            if note is not None and not note.wanted:
                # nor is its folder made again, once somebody has removed it
                _save(training, checkpoint if checkpoint is not None and checkpoint.parent.is_dir() else None)
                raise Interrupted
            if time.time() >= deadline:
                _save(training, checkpoint)
                raise Interrupted
            before = training.step
            training.advance()
            try:
                if progress is not None:
                    progress(job.cost * (training.step - before))
                if note is not None:
                    note.write(job.cost * training.step)
            except BaseException:  # whoever is told may stop the run; between two steps the state is whole
                _save(training, checkpoint)
                raise
            if time.monotonic() - saved >= every:
                _save(training, checkpoint)
                saved = time.monotonic()
        _save(training, checkpoint)
        return training.outcome()


def run_all(
    jobs: Sequence[Job],
    work: Path | None = None,
    executor: Executor | None = None,
    deadline: float = math.inf,
    progress: Progress | None = None,
) -> list[Outcome]:
    """All jobs' outcomes, in the order of the jobs.

    Parameters
    ----------
    work : folder for checkpoints, one file for each job; None keeps none
    executor : runs jobs side by side: threads, processes, or dask.distributed's; None runs them here, one by one

    Raises
    ------
    Interrupted, ValueError
        As :func:`run`.
    """
    files = [None if work is None else work / CHECKPOINT.format(number) for number in range(len(jobs))]
    if executor is None:
        return [run(*each, deadline=deadline, progress=progress) for each in zip(jobs, files, strict=True)]
    # another process cannot call back
    inside = progress if isinstance(executor, ThreadPoolExecutor) else None
    with board(work) as folder:
        notes = [None if folder is None else Note(folder, str(number)) for number in range(len(jobs))]
        futures = [
            executor.submit(run, job, file, deadline=deadline, progress=inside, note=note)
            for job, file, note in zip(jobs, files, notes, strict=True)
        ]
        if inside is not None or progress is None:
            return _gather(futures, notes)
        return _gather(futures, notes, progress, [job.work for job in jobs])


def _gather(
    futures: Sequence[Future[Outcome]],
    notes: Sequence[Note | None],
    progress: Progress | None = None,
    works: Sequence[float] = (),
) -> list[Outcome]:
    """All outcomes, as they come; `works` are the floating-point operations of the jobs, for `progress`."""
    pending, told = set(futures), 0.0
    try:
        while pending:
            ended, pending = wait(pending, None if progress is None else INTERVAL, FIRST_COMPLETED)
            for error in (future.exception() for future in ended):
                if error is not None and not isinstance(error, Interrupted):
                    raise error
            if progress is not None:
                done = sum(map(_done, works, futures, notes))
                # a note that is just being written reads as none
                progress(max(0.0, done - told))
                told = max(told, done)
    finally:
        for future in futures:
            future.cancel()
    # at the deadline every stack has saved its state by now, and the first result raises Interrupted
    return [future.result() for future in futures]


def _done(work: float, future: Future[Outcome], note: Note | None) -> float:
    """Floating-point operations that a job elsewhere has done, of so many."""
    if future.done() and future.exception() is None:
        return work
    return 0.0 if note is None else note.read()


def _save(training: Training, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        training.save(checkpoint)


class _Places:
    """Jobs on GPUs wait here until there is room beside those that are at work."""

    def __init__(self) -> None:
        self._shares: dict[int, list[float]] = {}
        self._changed = Condition()

    @contextmanager
    def place(self, job: Job, deadline: float, note: Note | None = None) -> Iterator[None]:
        """Room for one; Interrupted when there is none by the deadline. Jobs on a CPU need none."""
        gpu = as_device(job.device)
        if gpu.type == "cpu":
            yield
            return
        own, shares = job.share, self._shares.setdefault(gpu.index or 0, [])
        with self._changed:
            while shares and sum(shares) + own > 1.0:
                if time.time() >= deadline or (note is not None and not note.wanted):
                    raise Interrupted
                self._changed.wait(LOOK)
            shares.append(own)
        try:
            yield
        finally:
            with self._changed:
                shares.remove(own)
                self._changed.notify_all()


_GPUS = _Places()
_STREAMS: dict[int, list[torch.cuda.Stream]] = {}  # of each GPU, those that no job has


@contextmanager
def _own_stream(device: str) -> Iterator[None]:
    """On a GPU a stream for this job, beside which those of other threads can run."""
    place = as_device(device)
    if place.type != "cuda":
        yield
        return
    with torch.cuda.device(place):
        # streams are handed on: PyTorch has 32, and would give out one that is at work
        free = _STREAMS.setdefault(torch.cuda.current_device(), [])
        try:
            stream = free.pop()
        except IndexError:
            stream = torch.cuda.Stream()
        try:
            with torch.cuda.stream(stream):
                yield
        finally:
            free.append(stream)


@contextmanager
def _settings(device: str) -> Iterator[None]:
    """One thread, as several for each of these small products do not help, and zero for what is too small to be normal.

    Below the transition states vanish, and a CPU is many times slower on subnormal numbers. Products are exact to
    float32, whatever the caller allows.
    """
    flushed = (torch.tensor(1e-40) * 1.0).item() == 0.0
    torch.set_flush_denormal(True)
    try:
        with one_thread() if as_device(device).type == "cpu" else nullcontext(), matrix_products(tf32=False):
            yield
    finally:
        torch.set_flush_denormal(flushed)
