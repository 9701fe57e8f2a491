"""Jobs carried out: one from beginning to end with checkpoints and a deadline, and many by any executor.

A job is a stack of models and what is done with it, in plain values, so that it can be sent to another process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition
from typing import Any, Protocol

import numpy as np
import torch

from simulate.devices import as_device, matrix_products, one_thread

from .progress import INTERVAL, Note, board

CHECKPOINT = "stack_{:03d}.pt"  # of a run's job, by its number
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
    progress : called with the floating-point operations done, step by step; the state is saved before its errors pass
    note : where to say how far it is, from another process; no longer wanted there, it ends as at the deadline

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
    with _settings(job.device), _GPUS.place(job, deadline), _own_stream(job.device):
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
    inside = progress if getattr(executor, "_threads", None) is not None else None
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
        self._taken: dict[str, float] = {}
        self._changed = Condition()

    @contextmanager
    def place(self, job: Job, deadline: float) -> Iterator[None]:
        """Room for one; Interrupted when there is none by the deadline. Jobs on a CPU need none."""
        if as_device(job.device).type == "cpu":
            yield
            return
        with self._changed:
            while self._others(job) and self._others(job) + job.share > 1.0:
                if not self._changed.wait(None if math.isinf(deadline) else max(0.0, deadline - time.time())):
                    raise Interrupted
            self._taken[job.device] = self._others(job) + job.share
        try:
            yield
        finally:
            with self._changed:
                self._taken[job.device] -= job.share
                self._changed.notify_all()

    def _others(self, job: Job) -> float:
        taken = self._taken.get(job.device, 0.0)
        return taken if taken > 1e-9 else 0.0  # of sums and differences


_GPUS = _Places()


@contextmanager
def _own_stream(device: str) -> Iterator[None]:
    """On a GPU a stream for this job, beside which those of other threads can run."""
    place = as_device(device)
    if place.type != "cuda":
        yield
        return
    with torch.cuda.device(place), torch.cuda.stream(torch.cuda.Stream()):
        yield


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
