"""Recurrent models on one task and what is done with them, as a job of `training.runner`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from meanfield.checks import whole_number
from meanfield.symmetry import as_symmetry

from ..data import locate
from ..runner import Outcome
from . import rows
from .copy_task import TOKENS, CopyTask
from .image_task import ImageTask
from .rows import Row
from .settings import GRID, Setting
from .stacking import unstack
from .trained_vortices import counts
from .training import BATCH, TEST_EVERY, Training

EPOCHS, DROP_AFTER, CLIP = 120, 100, 1.0  # psMNIST, Appendix D.2.5
VALIDATIONS = 20  # at least, of an image experiment, evenly spaced: enough for a curve in a small file
ON_CPU = 2  # models in a job on a CPU, which gains nothing from more; jobs are what several processes share
PIXELS = {"digits": 64, "mnist": 784}
# What a training step needs, in units of the states of all time steps: peak memory on a CPU, rounded up. Half of the
# GPU is left for the graphs of other batch sizes, which hold on to their memory.
ROOM = {"GRU": 16.0, "U(1) RNN": 8.0, "generic(2) RNN": 8.0, GRID: 10.0, "RNN": 5.0}
SHARE = 0.5
COPY_ONLY = ("fixed_delay", "steps", "drop_at", "test_every")
IMAGES_ONLY = ("epochs", "images")
LARGEST_GPU = 64 * 2**30  # bytes that are used of a larger one, so that a run can go on on another card


@dataclass(frozen=True)
class Job:
    """Models on one task, in plain values.

    Attributes
    ----------
    settings : the models; those that are started must have one shape
    max_delay : T_max of the copy task; None for images
    fixed_delay : whether the delay is always T_max
    steps : batches, for the copy task
    drop_at : batches after which learning rates are a tenth, for the copy task; the paper keeps them, which None does
    epochs : for images
    images : ``"digits"`` or ``"mnist"``
    data_dir : folder with MNIST's IDX files; None downloads them
    batch : examples in a batch
    test_every : steps between tests, for the copy task
    keep : whether the trained weights are part of the outcome
    device : ``"cpu"``, ``"cuda"`` or ``"cuda:i"``
    """

    settings: tuple[Setting, ...]
    max_delay: int | None = None
    fixed_delay: bool = False
    steps: int = 0
    epochs: int = 0
    images: str = "digits"
    data_dir: str | None = None
    batch: int = BATCH
    test_every: int = TEST_EVERY
    keep: bool = False
    device: str = "cpu"
    drop_at: int | None = None

    def __post_init__(self) -> None:
        if not self.settings or not all(isinstance(setting, Setting) for setting in self.settings):
            raise ValueError(f"settings must name at least one Setting and nothing else, got {self.settings!r}")
        if self.images not in PIXELS:
            raise ValueError(f"images must be one of {', '.join(map(repr, PIXELS))}, got {self.images!r}")
        self._check_labels()
        for name, least in (("steps", 0), ("epochs", 0), ("batch", 1), ("test_every", 1)):
            whole_number(name, getattr(self, name), least)
        if self.max_delay is not None:
            CopyTask(self.max_delay, self.fixed_delay)
        others, task = (COPY_ONLY, "images") if self.max_delay is None else (IMAGES_ONLY, "a copy task")
        for field in fields(self):
            if field.name in others and getattr(self, field.name) != field.default:
                raise ValueError(f"{field.name} must be left out for {task}, got {getattr(self, field.name)!r}")

    def _check_labels(self) -> None:
        """Results tell models apart by these, and pool those that differ in seeds alone."""
        known: dict[tuple, Setting] = {}
        for each in self.settings:
            label = each.name, each.recurrent, each.encoder, each.activation, each.learning_rate
            other = known.setdefault(label, each)
            if replace(each, seed=other.seed) != other:
                raise ValueError(
                    "settings must differ in name, recurrent, encoder, activation or learning_rate, as results tell "
                    f"them apart by these, or in seeds alone; got {other} and {each}"
                )
        if len(set(self.settings)) < len(self.settings):
            raise ValueError(f"settings must be different ones, got one twice in {self.settings}")

    @property
    def task(self) -> str:
        """Its name in tables and figures."""
        if self.max_delay is None:
            return f"permuted {self.images}"
        return f"copy, T {'=' if self.fixed_delay else '<='} {self.max_delay}"

    @property
    def cost(self) -> float:
        """Floating-point operations of one step of all models, about: three products for each weight and time step."""
        return 6.0 * self.batch * self._sequence * sum(_products(setting) for setting in self.settings)

    @property
    def work(self) -> float:
        """The same of all steps; loads the images."""
        return self.cost * self._steps()

    @property
    def share(self) -> float:
        """Of its GPU's memory: twice what a step needs, for the graphs of other batch sizes hold on to theirs."""
        needed = len(self.settings) * self._memory(self.settings[0])
        return 0.0 if self.device == "cpu" else min(1.0, needed / (SHARE * self._gpu()))

    def split(self) -> list[Job]:
        """Jobs of models that can share a stack: on a CPU few models each, on a GPU as many as it has memory for."""
        ordered = sorted(self.settings, key=_shape)
        shares = []
        for _, group in groupby(ordered, key=_shape):
            stack = tuple(group)
            at_once = self._at_once(stack[0])
            shares += [stack[first : first + at_once] for first in range(0, len(stack), at_once)]
        return [replace(self, settings=share) for share in shares]

    def _at_once(self, setting: Setting) -> int:
        if self.device == "cpu":
            return ON_CPU
        return max(1, int(SHARE * self._gpu() / self._memory(setting)))

    def _memory(self, setting: Setting) -> float:
        """Bytes that a training step of a model needs, about."""
        return 4.0 * self.batch * self._sequence * _components(setting) * room(setting)

    def _gpu(self) -> int:
        """Bytes that are used of a GPU: of all, not of what is free, as a run must be gone on with as it was.

        Where there is none, a run's checkpoints may be looked at that were made on a large one.
        """
        return min(LARGEST_GPU, gpu_memory(self.device)) if torch.cuda.is_available() else LARGEST_GPU

    @property
    def _sequence(self) -> int:
        return PIXELS[self.images] if self.max_delay is None else CopyTask(self.max_delay).steps

    def start(self) -> Running:
        """The stack before its first step.

        Raises
        ------
        ValueError
            When the models do not share a shape; as :func:`training.data.load`.
        """
        return Running(self)

    def load(self) -> CopyTask | ImageTask:
        """The task."""
        if self.max_delay is not None:
            return CopyTask(self.max_delay, self.fixed_delay)
        return _images(self.images, self.data_dir)

    def _steps(self) -> int:
        if self.max_delay is not None:
            return self.steps
        task = self.load()
        assert isinstance(task, ImageTask)
        return self.epochs * task.batches(self.batch)


class Running(Training):
    """A job under way."""

    def __init__(self, job: Job) -> None:
        self.job = job
        task = job.load()
        if isinstance(task, CopyTask):
            super().__init__(
                task,
                job.settings,
                job.steps,
                batch=job.batch,
                drop_at=job.drop_at,
                test_every=job.test_every,
                device=job.device,
            )
            return
        epoch = task.batches(job.batch)
        super().__init__(
            task,
            job.settings,
            job.epochs * epoch,
            batch=job.batch,
            clip_norm=CLIP,
            drop_at=math.ceil(job.epochs * DROP_AFTER / EPOCHS) * epoch,
            test_every=max(1, job.epochs // VALIDATIONS) * epoch,
            device=job.device,
        )

    def advance(self) -> None:
        """Some steps, between which nobody looks at the clock."""
        self.proceed()

    def outcome(self) -> Outcome:
        """All that was measured; of a grid of complex numbers also its vortices, before and after training."""
        found = rows.rows(self.job.task, self.settings, self.result())
        if self.settings[0].is_grid:
            found += self._vortices()
        return Outcome(found, self.weights() if self.job.keep else {})

    def weights(self) -> dict[str, np.ndarray]:
        """By the models' names and their own, a model's in the order of its settings; of a grid by their own alone."""
        arrays = {name: value.detach().cpu().numpy() for name, value in self.model.named_parameters()}
        if self.settings[0].is_grid:
            return arrays
        labels = np.array([setting.name for setting in self.settings])
        return {
            f"{label} {name}": own[labels == label]
            for label in dict.fromkeys(labels.tolist())
            for name, own in arrays.items()
        }

    def _vortices(self) -> list[Row]:
        assert isinstance(self.task, CopyTask)
        found, parameters = [], sum(each[0].numel() for each in self.model.parameters())
        for setting, trained in zip(self.settings, unstack(self.model), strict=True):
            # sequences for it are drawn where numpy can have the states
            for step, model in ((0, setting.build(TOKENS, every_step=True)), (self.step, trained.cpu())):
                for quantity, channel, time, value in counts(model, self.task):
                    found.append(rows.row(self.job.task, setting, parameters, step, quantity, value, channel, time))
        return found


@lru_cache(maxsize=1)
def _images(name: str, data_dir: str | None) -> ImageTask:
    """The same for all jobs of a run, of which each would read and hash the files."""
    return ImageTask(None if name == "digits" else locate(name, data_dir)[0])


def canonical(images: str, data_dir: str | Path | None) -> bool:
    """Whether the image files have the contents of the data set they are named after."""
    return images == "digits" or locate(images, data_dir)[1]


def _shape(setting: Setting) -> tuple:
    return setting.kind, setting.hidden_size, setting.activation, setting.biases, setting.channels


def room(setting: Setting) -> float:
    """Of `ROOM`: of a model's kind, or of its cell."""
    return ROOM.get(setting.kind) or ROOM[setting.cell]


def gpu_memory(device: str) -> int:
    """Bytes that a CUDA device has."""
    return torch.cuda.get_device_properties(torch.device(device)).total_memory


def _components(setting: Setting) -> int:
    """Real numbers of one state."""
    if setting.is_grid:
        return 2 * setting.channels * setting.hidden_size
    return setting.hidden_size * (as_symmetry(setting.symmetry).capsule_dimension if setting.symmetry else 1)


def _products(setting: Setting) -> int:
    """Multiplications of one step of one sequence, about."""
    n = setting.hidden_size
    if setting.is_grid:
        return n * (2 * setting.channels) ** 2 * 9
    gated = setting.cell == "GRU"
    if not setting.symmetry:
        return n * n * (3 if gated else 1)
    group = as_symmetry(setting.symmetry)
    k = group.capsule_dimension
    return n * n * ((2 if gated else 0) + (k if group.family == "O" else k * k))
