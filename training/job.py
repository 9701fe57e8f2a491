"""One stack of deep networks and its training: batches, measurements, and all that a checkpoint must hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from meanfield.checks import real_number, whole_number
from simulate.devices import as_device, matrix_products

from . import checkpoint, measure
from .adam import Adam
from .conventions import ADAM_EPS, BATCH, JACOBIAN_IMAGES, RANK_IMAGES
from .data import Data, Source, load
from .runner import Outcome
from .shape import Model, Shape
from .stack import Stack

NO_LAYER = -1


class Row(NamedTuple):
    """One number of a result. Training means (`loss`) are over the epoch that ends at `step`.

    `learning_rate` is the first, where the job has another one later.

    `epsilon` is Adam's, and `symmetric` the model's (:class:`training.shape.Model`). `diverged` is 1 for a model with
    parameters that are no longer finite: what else is said of it may be NaN.
    """

    symmetry: str
    width: int
    depth: int
    sigma_w: float
    seed: int
    learning_rate: float
    step: int
    epoch: float
    layer: int
    quantity: str
    value: float
    # last and with defaults: tables that are older than these columns do without
    epsilon: float = ADAM_EPS
    symmetric: float = 0.0


def rank_at_readout(stack: Stack, images: torch.Tensor) -> Iterator[tuple[str, int, torch.Tensor]]:
    """The effective rank of what the last layer reads."""
    yield "rank", stack.shape.depth, measure.rank_at_readout(stack, images[:RANK_IMAGES])


def rank_of_layers(stack: Stack, images: torch.Tensor) -> Iterator[tuple[str, int, torch.Tensor]]:
    """The effective rank of every layer."""
    for layer, values in enumerate(measure.ranks(stack, images[:RANK_IMAGES])):
        yield "rank", layer, values


def jacobian(stack: Stack, images: torch.Tensor) -> Iterator[tuple[str, int, torch.Tensor]]:
    """The Jacobian's norm, its protected component, and d^L."""
    for name, values in measure.jacobian(stack, images[:JACOBIAN_IMAGES]).items():
        yield f"jacobian_{name}" if name != "d" else name, stack.shape.depth, values


def asymmetry(stack: Stack, _images: torch.Tensor) -> Iterator[tuple[str, int, torch.Tensor]]:
    """How far the hidden weights are from equivariant ones."""
    yield "asymmetry", NO_LAYER, measure.asymmetry(stack)


MEASURES = {
    "rank_at_readout": rank_at_readout,
    "rank_of_layers": rank_of_layers,
    "jacobian": jacobian,
    "asymmetry": asymmetry,
}


@dataclass(frozen=True)
class Job:
    """A stack and what is done with it, in plain values, so that it can be sent to another process.

    Attributes
    ----------
    source : the images
    shape, models : the stack
    epochs : times that each train image is seen
    batch : images in a step
    measures : of `MEASURES`, taken at the steps `at` (0: before training; steps past the end are ignored)
    switch : step, and the learning rate with which all models go on from there, with a new Adam
    device : ``"cpu"``, ``"cuda"``, ``"cuda:i"`` or ``"auto"``
    """

    source: Source
    shape: Shape
    models: tuple[Model, ...]
    epochs: int
    batch: int = BATCH
    measures: tuple[str, ...] = ()
    at: tuple[int, ...] = ()
    switch: tuple[int, float] | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not isinstance(self.source, Source):
            raise ValueError(f"source must be a Source, got {self.source!r}")
        whole_number("epochs", self.epochs, 0)
        whole_number("batch", self.batch, 1)
        if not isinstance(self.at, tuple):
            raise ValueError(f"at must be a tuple of steps, got {self.at!r}")
        for step in self.at:
            whole_number("steps of at", step, 0)
        for name in self.measures:
            if name not in MEASURES:
                raise ValueError(f"measures must be of {', '.join(MEASURES)}, got {name!r}")
        if self.switch is not None:
            if not isinstance(self.switch, tuple) or len(self.switch) != 2:
                raise ValueError(f"switch must be a pair (step, learning rate), got {self.switch!r}")
            whole_number("switch step", self.switch[0], 1)
            real_number("switch learning rate", self.switch[1], minimum=0.0)

    def steps(self, images: int) -> int:
        """Steps in all, with so many train images."""
        return self.epochs * math.ceil(images / self.batch)

    @property
    def cost(self) -> float:
        """Floating-point operations of one step, about: three products for each weight."""
        k = self.shape.group.capsule_dimension
        columns = k if self.shape.group.family == "O" else 1
        square = self.shape.width**2 if self.shape.group.family == "O" else self.shape.components**2
        weights = self.shape.depth * square * columns + self.shape.components * self.shape.features
        return 6.0 * len(self.models) * self.batch * weights

    @property
    def work(self) -> float:
        """The same of all steps; loads the images."""
        return self.cost * self.steps(len(load(self.source).train))

    @property
    def share(self) -> float:
        """Of its GPU's memory: all of it, as its stack is as large as the memory allows."""
        return 1.0

    def start(self) -> Training:
        """The stack before its first step.

        Raises
        ------
        ValueError
            When the images do not fit the shape, or the job ends before its switch; as :func:`training.data.load`.
        """
        data = load(self.source)
        steps = self.steps(len(data.train))
        if self.switch is not None and self.switch[0] >= steps:
            raise ValueError(f"switch step must be below the {steps} steps of the job, got {self.switch[0]}")
        if data.features != self.shape.features:
            raise ValueError(f"shape must have {data.features} features for {data!r}, got {self.shape.features}")
        return Training(self, data)


class Training:
    """A job under way.

    Attributes
    ----------
    stack : Stack
    step, steps : done, and in all
    rows : what was measured so far
    """

    def __init__(self, job: Job, data: Data) -> None:
        self.job = job
        # of the images what they are, not where: a folder may be moved between two calls
        self._plan = f"{replace(job, source=replace(job.source, data_dir=None))} on {data}, {data.digest}"
        device = as_device(job.device)
        self.stack = Stack(job.shape, job.models, device=job.device)
        self._train, self._test = (torch.from_numpy(x).to(device) for x in (data.train, data.test))
        self._truth, self._test_truth = (torch.from_numpy(y).to(device) for y in (data.train_labels, data.test_labels))
        self._adam = Adam(self.stack)
        self.step, self.steps = 0, job.steps(len(data.train))
        self._in_epoch = math.ceil(len(data.train) / job.batch)
        self._loss = torch.zeros(len(job.models), dtype=torch.float64, device=device)
        self._order: torch.Tensor | None = None
        self.rows: list[Row] = []

    @matrix_products(tf32=False)
    def advance(self) -> None:
        """One step of all models."""
        self._measure_first()
        if self.job.switch is not None and self.step == self.job.switch[0]:
            self._adam.restart(self.job.switch[1])
        epoch, number = divmod(self.step, self._in_epoch)
        if number == 0 or self._order is None:
            self._order = self._permutations(epoch)
        chosen = self._order[:, number * self.job.batch : (number + 1) * self.job.batch]
        self._loss += self.stack.loss(self._train[chosen].mT, self._truth[chosen]) * chosen.shape[1]
        self._adam.step()
        self.step += 1
        self._measure()

    def save(self, path: Path) -> None:
        """Write everything that the rest depends on, whole or not at all."""
        state = {
            "step": self.step,
            "parameters": self.stack.parameters,
            "adam": self._adam.optimiser.state_dict(),
            "loss": self._loss,
            "rows": [tuple(row) for row in self.rows],
        }
        checkpoint.write(path, self._plan, state)

    def restore(self, path: Path) -> None:
        """Take up the state that :meth:`save` wrote, before the first step.

        Raises
        ------
        ValueError
            When it is that of another job, or damaged.
        """
        with checkpoint.reading(path, self._plan, self.steps, self.stack.parameters.device) as state:
            self.step = state["step"]
            checkpoint.copy_(self.stack.parameters, state["parameters"])
            self._adam.optimiser.load_state_dict(state["adam"])
            checkpoint.copy_(self._loss, state["loss"])
            self.rows = [Row(*row) for row in state["rows"]]

    def outcome(self) -> Outcome:
        """What was measured so far."""
        self._measure_first()
        return Outcome(self.rows)

    def _permutations(self, epoch: int) -> torch.Tensor:
        """The order of images, (models, images): a function of seed and epoch alone, so that there is none to save."""
        seeds = [model.seed for model in self.job.models]
        orders = {
            seed: np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, epoch))).permutation(
                len(self._train)
            )
            for seed in set(seeds)
        }
        return torch.from_numpy(np.stack([orders[seed] for seed in seeds])).to(self._train.device)

    def _measure_first(self) -> None:
        """Before the first step, and not where a job is only taken up again."""
        if self.step == 0 and not self.rows:
            self._measure()

    def _measure(self) -> None:
        if self.step in self.job.at:
            for name in self.job.measures:
                for quantity, layer, values in MEASURES[name](self.stack, self._test):
                    self._note(quantity, values, layer)
        if self.step and self.step % self._in_epoch == 0:
            accuracy, loss = measure.evaluate(self.stack, self._test, self._test_truth)
            self._note("accuracy", accuracy)
            self._note("test_loss", loss)
            self._note("loss", self._loss / len(self._train))
            self._note("diverged", 1.0 - self.stack.parameters.isfinite().all(1).double())
            self._loss.zero_()

    def _note(self, quantity: str, values: torch.Tensor, layer: int = NO_LAYER) -> None:
        shape, epoch = self.job.shape, self.step / self._in_epoch
        for model, value in zip(self.job.models, values.tolist(), strict=True):
            self.rows.append(
                Row(
                    shape.symmetry,
                    shape.width,
                    shape.depth,
                    model.sigma_w,
                    model.seed,
                    model.learning_rate,
                    self.step,
                    epoch,
                    layer,
                    quantity,
                    value,
                    model.epsilon,
                    model.symmetric,
                )
            )
